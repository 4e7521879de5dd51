//! From a frame's last byte to its record in the database, at the pace of one KR C2.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use retrotap::port::pty::Pty;

use super::machine::{End, FRAME_EVERY, Machine};
use super::plant::Chain;
use super::report::{Budget, figure, note, title};
use super::{Effort, quantile};
use crate::influx::line_protocol::{Value, parse};

/// Seconds from the frame's last byte to each of its points, of frames from `first` on.
///
/// # Panics
///
/// A point has no frame, or that of one that was never sent.
pub fn ages(bodies: &Receiver<(Instant, String)>, machine: &Machine, first: u64) -> Vec<f64> {
    let mut ages = Vec::new();
    for (at, body) in bodies.try_iter() {
        for point in parse(&body).expect("it was accepted") {
            let Some(Value::Integer(frame)) = point.fields.get("frame") else {
                panic!("a point without its frame: {point:?}");
            };
            let frame = u64::try_from(*frame).expect("from 1");
            // What the spool itself tells has no frame.
            if frame >= first.max(1) {
                let sent = machine.sent_at(frame).expect("it was sent");
                ages.push(at.saturating_duration_since(sent).as_secs_f64());
            }
        }
    }
    ages
}

/// Measures it.
///
/// # Panics
///
/// Something can't be started, or frames are lost.
pub async fn measure(effort: &Effort) {
    title(
        "From a frame's last byte to its records in the database: pty, gateway, mosquitto (TLS), ingest, Kafka, sink",
    );
    let chain = Chain::start();
    let pty = Pty::open().expect("a pseudo-terminal");
    let gateway = chain
        .plant
        .gateway(&pty.path().display().to_string(), "lake");
    let mut machine = Machine::new(End::Pty(pty));
    gateway_opens(&gateway).await;
    // Compiled, subscribed, in step: the first seconds are another figure.
    let warm = 5_000_000_000 / FRAME_EVERY.as_nanos() as u64;
    machine.send(warm, FRAME_EVERY).await;
    let bodies = chain.influx.watch();
    let first = machine.frames() + 1;
    let frames = effort.pace_s * 1_000_000_000 / FRAME_EVERY.as_nanos() as u64;
    machine.send(frames, FRAME_EVERY).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = gateway.machine(super::plant::MACHINE);
    assert_eq!(status["frames"], machine.frames(), "{status}");
    let mut ages = ages(&bodies, &machine, first);
    let samples = ages.len() as u64;
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("the longest", 1.0)] {
        let age_ms = quantile(&mut ages, share) * 1e3;
        let name = format!("frame to visible, {name}");
        figure(&name, age_ms, "ms", samples, Budget::None);
    }
    note(&format!(
        "{frames} frames, one every {FRAME_EVERY:?}; the sink collects for 100 ms (--batch-wait), \
         which is most of it; visible is when the stand-in database has the point"
    ));
}

/// Waits until the gateway listens to its machine.
pub(super) async fn gateway_opens(gateway: &crate::gateway::Gateway) {
    gateway.reaches(super::plant::MACHINE, "silent").await;
}
