//! After an outage: how fast the backlog goes into the lake, and how old live records get meanwhile.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::machine::{FRAME_EVERY, Machine};
use super::plant::{Chain, MACHINE, until};
use super::report::{Budget, figure, note, title};
use super::visible::{ages, gateway_opens};
use super::{Effort, quantile};
use crate::gateway::Gateway;

/// Frames come in so fast while the hour is made up: 94 times the machine's pace.
const FAST: Duration = Duration::from_micros(100);

/// So many records may wait of a machine that is live: half a second of it.
const LIVE_RECORDS: u64 = 30;

/// What the ingest has given to Kafka, of all streams.
const TAKEN: &str = "retrotap_lake_ingest_entries_total";

/// Records that were not released yet.
fn unreleased(gateway: &Gateway) -> u64 {
    gateway.status()["uplink"]["unreleased_records"]
        .as_u64()
        .expect("a number")
}

/// Measures it.
///
/// # Panics
///
/// Something can't be started, or frames are lost.
pub async fn measure(effort: &Effort) {
    title(
        "After an outage: backlog beside live records, gateway, mosquitto (TLS), ingest, Kafka, sink",
    );
    let mut chain = Chain::start();
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = server.local_addr().expect("a port").port();
    let gateway = chain
        .plant
        .gateway(&format!("tcp://127.0.0.1:{port}"), "lake");
    let mut machine = Machine::on(&server).await;
    gateway_opens(&gateway).await;
    chain.plant.broker.kill();
    let frames = effort.outage_s * 1_000_000_000 / FRAME_EVERY.as_nanos() as u64;
    machine.send(frames, FAST).await;
    until("all is in the spool", || {
        gateway.machine(MACHINE)["frames"] == machine.frames()
    })
    .await;
    // A line never waits for the spool, and at this pace a busy machine may drop some: told below.
    let dropped = gateway.machine(MACHINE)["dropped_records"].clone();
    let backlog = unreleased(&gateway) + frames;

    let bodies = chain.influx.watch();
    chain.plant.broker.start_again();
    // From the first entry that is taken, so that pauses between attempts to connect don't count.
    let taken = || chain.ingest.metric(TAKEN) as u64;
    until("it connects", || taken() > 0).await;
    let (began, before, first_live) = (Instant::now(), taken(), machine.frames() + 1);
    let mut left = unreleased(&gateway);
    while left > LIVE_RECORDS {
        machine.send(10, FRAME_EVERY).await;
        left = unreleased(&gateway);
        assert!(
            began.elapsed() < Duration::from_secs(600),
            "{left} records are left: {}",
            chain.ingest.log()
        );
    }
    let after = taken();
    let over_s = began.elapsed().as_secs_f64();
    // What was sent meanwhile and is still on its way belongs to it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let gone = after - before;
    figure(
        "backlog into Kafka, records and raw frames",
        gone as f64 / over_s,
        "entries/s",
        gone,
        Budget::None,
    );
    figure(
        "as fast as the machine made it",
        effort.outage_s as f64 * gone as f64 / backlog as f64 / over_s,
        "times",
        gone,
        Budget::None,
    );
    let mut ages = ages(&bodies, &machine, first_live);
    let samples = ages.len() as u64;
    for (name, share, budget) in [
        ("p50", 0.5, Budget::None),
        ("p99", 0.99, Budget::AtMost(1.0)),
        ("the longest", 1.0, Budget::None),
    ] {
        let name = format!("frame to visible of live records meanwhile, {name}");
        figure(&name, quantile(&mut ages, share), "s", samples, budget);
    }
    note(&format!(
        "{} s of a KR C2's frames ({frames}) sent every {FAST:?} without a broker: {backlog} entries, \
         then one frame every {FRAME_EVERY:?} for {over_s:.1} s, until all was released. {dropped} records found no room while the spool was filled",
        effort.outage_s
    ));
}
