//! From the last byte of a cycle on a real pseudo-terminal to what comes of it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;

use super::report::{Bound, Figure};
use super::subscriber::subscribe;
use super::workload::{ADAPTER, CYCLE_BYTES, Way, obstacles, port};
use super::{Effort, median, quantile};
use crate::cli::gateway::{self, MachinePlan, Plan};
use crate::config::cell::{Cell, Pose, Robot};
use crate::config::{Modules, Spool};
use crate::demo_broker;
use crate::line::{Input, Line, Output};
use crate::modules::assemble::{Params, assemble};
use crate::modules::catalog::Catalog;
use crate::port::pty::Pty;
use crate::port::{LineClock, Port};
use crate::uplink::{self, BrokerUrl, ReleaseOn};
use crate::words::{Chunk, ClockState, Stamp};

/// Between a record and the next cycle, and between a cycle's other bytes and its last.
const PAUSE: Duration = Duration::from_micros(500);

/// A record that takes longer than this is not late but lost.
const LOST_AFTER: Duration = Duration::from_secs(1);

/// A cycle that took this long to be sent is not timed. Half of what the adapter's framing waits.
const HELD_UP: Duration = Duration::from_millis(50);

/// Cycles that count for nothing: until the framing is in step and caches are warm.
const WARM_UP: usize = 50;

/// To the record at the line's sink, with its values written out as JSON: where a line hands over
/// to the spool, and where a decision would be taken. The line has a thread and a runtime of its
/// own, as always.
pub(super) async fn to_the_sink(effort: &Effort) -> anyhow::Result<Vec<Figure>> {
    let catalog = Catalog::default();
    let adapter = catalog.adapter(ADAPTER)?;
    let assembled = assemble(&catalog.engine()?, &catalog, &adapter, &Params::new())?;
    let serial = assembled.serial;
    let gauge = Line::gauge_for(&assembled);
    let mut line = Line::new(assembled, gauge)?;
    line.apply(
        &Input::Obstacles(obstacles()?.into()),
        Stamp::default(),
        &mut |_| {},
    )?;

    let pty = Pty::open().context("this system gives no pseudo-terminal")?;
    let spec = port(pty.path());
    let stop = CancellationToken::new();
    let (seen, distances) = channel();
    let (opened, is_opened) = tokio::sync::oneshot::channel();
    let listener = std::thread::Builder::new()
        .name("line bench".to_owned())
        .spawn({
            let stop = stop.clone();
            move || -> anyhow::Result<()> {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(async {
                    let mut port = Port::open(&spec, serial, 0, LineClock::start()).await?;
                    // The other end is there as long as this thread is.
                    let _ = opened.send(());
                    let mut chunk = Chunk::default();
                    loop {
                        tokio::select! {
                            read = port.read(&mut chunk) => read?,
                            () = stop.cancelled() => return Ok(()),
                        }
                        line.receive(&chunk, &mut |output| note(&output, &seen));
                    }
                })
            }
        })?;
    is_opened.await.context("the port can't be opened")?;
    let count = effort.cycles_timed;
    let (timed, pty) =
        tokio::task::spawn_blocking(move || (cycle_by_cycle(&pty, &distances, count), pty)).await?;
    stop.cancel();
    let ended = tokio::task::spawn_blocking(move || listener.join()).await?;
    ended.map_err(|_| anyhow::anyhow!("the line's thread panicked"))??;
    // Not before the line has gone: it would see a cable that was pulled.
    drop(pty);
    let mut us = timed?;
    Ok(vec![
        Figure::new("last byte in to record out, p50", median(&mut us), "µs", us.len())
            .budget(Bound::AtMost(30.0))
            .note("pseudo-terminal; to the line's sink with the record as JSON, where the way to a stop begins"),
        Figure::new("last byte in to record out, p99", quantile(&mut us, 0.99), "µs", us.len())
            .budget(Bound::AtMost(150.0)),
    ])
}

fn note(output: &Output<'_>, seen: &Sender<Instant>) {
    if let Output::Record(record) = output {
        let record = std::hint::black_box(record.to_record(ClockState::Unsynced));
        if &*record.name == "distance" {
            // The feeder has gone: then the bench is over.
            let _ = seen.send(Instant::now());
        }
    }
}

/// Through a whole gateway and a broker to a subscriber, all in this process.
pub(super) async fn to_a_subscriber(effort: &Effort) -> anyhow::Result<Vec<Figure>> {
    let broker = demo_broker::start(([127, 0, 0, 1], 0).into()).await?;
    let pty = Pty::open().context("this system gives no pseudo-terminal")?;
    let folder = tempfile::tempdir().context("no folder for temporary files")?;
    let name: Arc<str> = Arc::from("bench");
    let gateway = gateway::start(Plan {
        site: Arc::clone(&name),
        gateway: Arc::clone(&name),
        simulated: true,
        machines: vec![MachinePlan {
            id: Arc::from("robot-1"),
            adapter: ADAPTER.to_owned(),
            ports: vec![port(pty.path())],
            params: Params::new(),
            send_frames: true,
        }],
        cells: vec![cell("robot-1")?],
        uplink: Some(uplink::Settings {
            site: Arc::clone(&name),
            gateway: Arc::clone(&name),
            url: BrokerUrl {
                tls: false,
                host: broker.address().ip().to_string(),
                port: broker.address().port(),
            },
            tls: None,
            client_id: "bench-gateway".to_owned(),
            release_on: ReleaseOn::Broker,
            linger: Duration::ZERO,
            hear: None,
            modules: None,
        }),
        listen: None,
        shown_settings: serde_json::Value::Null,
        spool: Spool::at(folder.path().to_owned()),
        modules: Modules::at(folder.path().join("modules")),
        catalog: Catalog::default(),
        record_dir: None,
        oracle_dir: None,
    })
    .await?;
    let subscriber = subscribe(broker.address()).await?;
    let count = effort.cycles_timed;
    let (timed, pty) = tokio::task::spawn_blocking(move || {
        (cycle_by_cycle(&pty, &subscriber.distances, count), pty)
    })
    .await?;
    gateway.stop().await;
    drop(pty);
    let mut ms: Vec<f64> = timed?.iter().map(|us| us / 1e3).collect();
    Ok(vec![
        Figure::new("last byte in to MQTT subscriber, p50", median(&mut ms), "ms", ms.len())
            .note(
                "QoS 1, linger 0, raw frames too; broker and subscriber inside this process, without TLS. The \
                 budget asks for TLS and a plant's broker beside a peer in one run: not judged here",
            ),
        Figure::new("last byte in to MQTT subscriber, p99", quantile(&mut ms, 0.99), "ms", ms.len()),
    ])
}

/// A cell in which somebody stands around; distances alone.
fn cell(machine: &str) -> anyhow::Result<Cell> {
    Ok(Cell {
        id: Arc::from("bench"),
        robots: vec![Robot {
            machine: Arc::from(machine),
            base_pose: Pose::default(),
            linear_axis: None,
            tool_capsules: Vec::new(),
        }],
        separation: None,
        fixtures: Some(obstacles()?),
        source: None,
        permit: None,
        actions: Vec::new(),
    })
}

/// Sends one cycle after the other, each when the one before has arrived; gives microseconds from
/// just before the last byte is written.
fn cycle_by_cycle(
    pty: &Pty,
    arrivals: &Receiver<Instant>,
    count: usize,
) -> anyhow::Result<Vec<f64>> {
    let mut way = Way::new();
    let mut timed = Vec::with_capacity(count);
    for number in 0..WARM_UP + count {
        let began = Instant::now();
        let (most, last) = way.cycle().split_at(CYCLE_BYTES - 1);
        pty.send(most)?;
        std::thread::sleep(PAUSE);
        let sent = Instant::now();
        pty.send(last)?;
        // Half a frame is not continued after a pause (the adapter's `timeout`): where this thread was
        // held up for so long, the cycle was broken here and not on the line.
        let warm = number >= WARM_UP && began.elapsed() < HELD_UP;
        let patience = if warm { LOST_AFTER } else { LOST_AFTER / 10 };
        loop {
            match arrivals.recv_timeout(patience) {
                // A cycle of the warm-up that was given up and came after all.
                Ok(arrived) if arrived < sent => {}
                Ok(arrived) => {
                    if warm {
                        timed.push(arrived.duration_since(sent).as_nanos() as f64 / 1e3);
                    }
                    break;
                }
                Err(RecvTimeoutError::Timeout) if !warm => break,
                Err(error) => bail!("cycle {number} did not arrive: {error}"),
            }
        }
        std::thread::sleep(PAUSE);
    }
    Ok(timed)
}
