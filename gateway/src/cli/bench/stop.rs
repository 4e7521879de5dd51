//! From the last byte of a cycle on a real pseudo-terminal to the stop bytes at its other end.
//!
//! A robot swings to and fro by two degrees, and somebody stands so that one end of the swing is too near
//! and the other isn't: every second cycle enters `stop`. Framing, three stages in Wasmtime, judgement and
//! write are those of every line, in a thread and a runtime of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use retrotap_host::{ParamValue, Value};
use tokio_util::sync::CancellationToken;

use super::report::{Bound, Figure};
use super::workload::{ADAPTER, CYCLE_BYTES, port};
use super::{Effort, median, quantile};
use crate::cell::obstacles::{Obstacle, Snapshot};
use crate::cell::separation::{Rules, State};
use crate::cell::standing::Standing;
use crate::line::{Hands, Input, Line, Output, Writes};
use crate::modules::assemble::{Params, assemble};
use crate::modules::catalog::Catalog;
use crate::port::pty::Pty;
use crate::port::{Access, LineClock, Port};
use crate::simulate::ValueEncoding;
use crate::simulate::krc2::frame;
use crate::words::{Chunk, Stamp};

const STOP: &[u8] = b"STOP";

/// Between a cycle's other bytes and its last, and between cycles.
const PAUSE: Duration = Duration::from_micros(500);

/// Bytes that take longer than this are not late but lost.
const LOST_AFTER: Duration = Duration::from_secs(1);

/// Stops that count for nothing, until caches are warm.
const WARM_UP: usize = 50;

/// A cycle that took this long to be sent is not timed. Half of what the adapter's framing waits.
const HELD_UP: Duration = Duration::from_millis(50);

/// What the showcase's rule multiplies the robot's speed by, in seconds.
const SHOWCASE_S: f64 = 2.472;

/// The first guess at a speed, in m/s, by which the protective distance is put between both ends.
const SPEED_M_PER_S: f64 = 0.5;

/// One end of the swing, in degrees of axis 1.
const SWING_DEG: f64 = 1.0;

/// A cycle of the robot at one end of its swing.
fn cycle(axis_1_deg: f64) -> Vec<u8> {
    let degrees = [axis_1_deg, -90.0, 90.0, 0.0, 0.0, 0.0, 0.0];
    let values = degrees.map(|value| (value * 1e5) as i32);
    (1..)
        .zip(values)
        .flat_map(|(axis, value)| frame(axis, value, ValueEncoding::SignMagnitude))
        .collect()
}

/// A line that judges by the showcase's rule, whose protective distance depends on nothing but this speed.
fn line(
    catalog: &Catalog,
    speed_m_per_s: f64,
) -> anyhow::Result<(Line, retrotap_adapters::framing::SerialSettings)> {
    let own = [
        ("rule", ParamValue::Choice("showcase".to_owned())),
        (
            "robot_speed_m_per_s",
            ParamValue::Number {
                value: speed_m_per_s,
                unit: None,
            },
        ),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value)).into();
    let params = Params::from([("arm-distance".to_owned(), own)]);
    let adapter = catalog.adapter(ADAPTER)?;
    let assembled = assemble(&catalog.engine()?, catalog, &adapter, &params)?;
    let (serial, gauge) = (assembled.serial, Line::gauge_for(&assembled));
    let mut line = Line::new(assembled, gauge)?;
    let rules = Rules {
        cell: "bench".to_owned(),
        warn_margin_m: 0.0,
        hysteresis_m: 0.0,
        hold_ns: 0,
        watched: false,
        gateway_latency_ns: u64::MAX,
    };
    let somebody = Snapshot::new(vec![Obstacle::Sphere {
        id: "somebody".to_owned(),
        center: [1.5, 2.5, 1.0],
        radius: 0.3,
        velocity: [0.0; 3],
    }])?;
    for input in [Input::Rules(rules), Input::Obstacles(somebody.into())] {
        line.apply(&input, Stamp::default(), &mut |_| {})?;
    }
    Ok((line, serial))
}

/// The margins at both ends of the swing.
fn margins(line: &mut Line) -> anyhow::Result<[f64; 2]> {
    let mut found = [f64::NAN; 2];
    for number in 0..6_u64 {
        let end = (number % 2) as usize;
        let bytes = cycle(if end == 0 { -SWING_DEG } else { SWING_DEG });
        let at = Stamp {
            line_ns: (number + 1) * 70_000_000,
            wall_ns: 0,
        };
        let chunk = Chunk {
            at,
            bytes,
            ..Chunk::default()
        };
        line.receive(&chunk, &mut |output| {
            if let Output::Judged(judged) = output
                && judged.at.line_ns == at.line_ns
            {
                let fields = judged.separation.into_iter().flat_map(|it| it.fields());
                for (name, value) in fields {
                    if let ("margin_m", Value::F64(margin_m)) = (name, value) {
                        found[end] = margin_m;
                    }
                }
            }
        });
    }
    if found.iter().any(|margin_m| !margin_m.is_finite()) {
        bail!("no separation was computed");
    }
    Ok(found)
}

/// The figures.
pub(super) async fn to_the_stop(effort: &Effort) -> anyhow::Result<Vec<Figure>> {
    let mut us = times_us(effort.stops_timed).await?;
    let count = us.len();
    Ok(vec![
        Figure::new(
            "last byte in to stop bytes out, p50",
            median(&mut us),
            "µs",
            count,
        )
        .budget(Bound::AtMost(30.0))
        .note("pseudo-terminal, to the reader of its other end, who spins"),
        Figure::new(
            "last byte in to stop bytes out, p99",
            quantile(&mut us, 0.99),
            "µs",
            count,
        )
        .budget(Bound::AtMost(150.0)),
        Figure::new(
            "last byte in to stop bytes out, longest",
            quantile(&mut us, 1.0),
            "µs",
            count,
        ),
    ])
}

/// The two ends of the robot's swing as cycles: the far one, and the near one that is a reason to stop.
///
/// # Errors
///
/// The shipped stages can't be used.
pub fn swing() -> anyhow::Result<[Vec<u8>; 2]> {
    let [first_m, second_m] = margins(&mut line(&Catalog::default(), SPEED_M_PER_S)?.0)?;
    let near_deg = if second_m < first_m {
        SWING_DEG
    } else {
        -SWING_DEG
    };
    Ok([cycle(-near_deg), cycle(near_deg)])
}

/// Microseconds from a near cycle's last byte to the stop bytes, so many times.
///
/// # Errors
///
/// The shipped stages can't be used, this system gives no pseudo-terminal, or a stop did not come.
pub async fn times_us(count: usize) -> anyhow::Result<Vec<f64>> {
    let catalog = Catalog::default();
    let margins_m = margins(&mut line(&catalog, SPEED_M_PER_S)?.0)?;
    let speed_m_per_s = SPEED_M_PER_S + margins_m.iter().sum::<f64>() / 2.0 / SHOWCASE_S;
    let cycles = swing()?;
    let (mut line, serial) = line(&catalog, speed_m_per_s)?;
    let standing = Arc::new(Standing::new("bench".into(), 1));
    let writes = Writes {
        standing: Arc::clone(&standing),
        permit: None,
        on_entering: vec![(State::Stop, STOP.to_vec())],
    };
    let mut hands = Hands::new(Some((standing, 0)), vec![writes]);

    let pty = Pty::open().context("this system gives no pseudo-terminal")?;
    let spec = port(pty.path());
    let stop = CancellationToken::new();
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
                    let clock = LineClock::start();
                    let mut port =
                        Port::open_for(&spec, serial, 0, clock, Access::ReadWrite).await?;
                    hands.port(port.outlet());
                    // The other end is there as long as this thread is.
                    let _ = opened.send(());
                    let mut chunk = Chunk::default();
                    loop {
                        tokio::select! {
                            read = port.read(&mut chunk) => read?,
                            () = stop.cancelled() => return Ok(()),
                        }
                        line.receive(&chunk, &mut |output| {
                            if let Output::Judged(judged) = output {
                                let at_ns = judged.at.line_ns;
                                hands.judged(judged.state, at_ns, clock.now().line_ns);
                            }
                        });
                    }
                })
            }
        })?;
    is_opened.await.context("the port can't be opened")?;
    let (timed, pty) =
        tokio::task::spawn_blocking(move || (stop_by_stop(&pty, &cycles, count), pty)).await?;
    stop.cancel();
    let ended = tokio::task::spawn_blocking(move || listener.join()).await?;
    ended.map_err(|_| anyhow::anyhow!("the line's thread panicked"))??;
    // Not before the line has gone: it would see a cable that was pulled.
    drop(pty);
    timed
}

/// Sends far and near in turns; gives microseconds from just before the near cycle's last byte is
/// written to the stop bytes.
///
/// # Errors
///
/// The pseudo-terminal fails, or a stop did not come.
pub fn stop_by_stop(pty: &Pty, cycles: &[Vec<u8>; 2], count: usize) -> anyhow::Result<Vec<f64>> {
    let mut timed = Vec::with_capacity(count);
    for number in 0..WARM_UP + count {
        let [far, near] = cycles;
        pty.send(far)?;
        std::thread::sleep(PAUSE);
        let (most, last) = near.split_at(CYCLE_BYTES - 1);
        let began = Instant::now();
        pty.send(most)?;
        std::thread::sleep(PAUSE);
        let sent = Instant::now();
        pty.send(last)?;
        let warm = number >= WARM_UP && began.elapsed() < HELD_UP;
        let patience = if warm { LOST_AFTER } else { LOST_AFTER / 10 };
        let (mut got, mut buffer) = (Vec::new(), [0; 64]);
        while got.len() < STOP.len() && sent.elapsed() < patience {
            let bytes = pty.receive_now(&mut buffer)?;
            got.extend_from_slice(buffer.get(..bytes).unwrap_or_default());
            std::hint::spin_loop();
        }
        let took = sent.elapsed();
        if warm {
            if got != STOP {
                bail!("stop {number} did not come: {got:?}");
            }
            timed.push(took.as_nanos() as f64 / 1e3);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(timed)
}
