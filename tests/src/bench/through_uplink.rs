//! From a machine's frames to a broker with TLS: what a spool that has waited sends, and beside it
//! Node-RED with the same frames.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Broker, Event, MqttOptions, Packet, QoS};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::cpu;
use super::machine::Machine;
use super::node_red;
use super::plant::{GATEWAY, MACHINE, Plant, SITE, until};
use super::report::{Budget, figure, note, title};
use super::visible::gateway_opens;
use super::{Effort, median};

/// From one frame to the next while the spool is filled. A line never waits for the spool.
const FAST: Duration = Duration::from_micros(100);

/// Counts what comes to a broker; ends when dropped.
struct Counter {
    messages: Arc<AtomicU64>,
    entries: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Counter {
    /// Returns when the broker has confirmed it.
    async fn start(port: u16, filters: &[String]) -> Self {
        let mut options = MqttOptions::new("bench-counter", Broker::tcp("127.0.0.1", port));
        options.set_unlimited_incoming_packet_size();
        let (client, mut events) = AsyncClient::builder(options).capacity(10).build();
        for filter in filters {
            let subscribed = client.subscribe(filter.clone(), QoS::AtMostOnce);
            subscribed.await.expect("a valid filter");
        }
        let (messages, entries) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (confirmed, is_confirmed) = tokio::sync::oneshot::channel();
        let mut waiting = Some((confirmed, filters.len()));
        let task = tokio::spawn({
            let (messages, entries) = (Arc::clone(&messages), Arc::clone(&entries));
            async move {
                // The client lives as long as its event loop.
                let _client = client;
                while let Ok(event) = events.poll().await {
                    match event {
                        Event::Incoming(Packet::Publish(publish)) => {
                            messages.fetch_add(1, Relaxed);
                            entries.fetch_add(count(&publish.payload), Relaxed);
                        }
                        Event::Incoming(Packet::SubAck(_)) => {
                            waiting = match waiting.take() {
                                Some((confirmed, 1)) => {
                                    let _ = confirmed.send(());
                                    None
                                }
                                Some((confirmed, more)) => Some((confirmed, more - 1)),
                                None => None,
                            };
                        }
                        _ => {}
                    }
                }
            }
        });
        is_confirmed.await.expect("the broker confirms");
        Self {
            messages,
            entries,
            task,
        }
    }

    fn messages(&self) -> u64 {
        self.messages.load(Relaxed)
    }

    fn entries(&self) -> u64 {
        self.entries.load(Relaxed)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Entries of an array; each begins so, and no text in one can hold it.
fn count(payload: &[u8]) -> u64 {
    const BEGINS: &[u8] = br#"{"v":1,"#;
    let found = payload.windows(BEGINS.len());
    found.filter(|window| *window == BEGINS).count() as u64
}

/// What one round gave.
struct Round {
    messages: u64,
    entries: u64,
    /// From the first message at the subscriber to the last.
    over_s: f64,
    /// Processor time for it, and for taking the frames in where that was another time.
    out_s: f64,
    in_s: f64,
}

async fn ours(frames: u64) -> Round {
    let mut plant = Plant::start();
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = server.local_addr().expect("a port").port();
    let gateway = plant.gateway(&format!("tcp://127.0.0.1:{port}"), "broker");
    let mut machine = Machine::on(&server).await;
    gateway_opens(&gateway).await;
    plant.broker.kill();
    let before = cpu::seconds(gateway.process());
    machine.send(frames, FAST).await;
    until("all is in the spool", || {
        gateway.machine(MACHINE)["frames"] == frames
    })
    .await;
    // Numbered and stored.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let in_s = cpu::seconds(gateway.process()) - before;
    let status = gateway.status();
    let dropped = status["machines"][0]["dropped_records"].as_u64();
    assert_eq!(dropped, Some(0), "the spool can't follow: {status}");
    let waiting = status["uplink"]["unreleased_records"]
        .as_u64()
        .expect("a number");
    plant.broker.start_again();
    let root = format!("retrotap/1/{SITE}/{GATEWAY}/+");
    let filters = ["records", "frames", "inputs"].map(|stream| format!("{root}/{stream}"));
    let counter = Counter::start(plant.plain, &filters).await;
    let before = cpu::seconds(gateway.process());
    until("the first message", || counter.messages() > 0).await;
    let began = Instant::now();
    until("all is released", || {
        let left = gateway.status()["uplink"]["unreleased_records"].as_u64();
        left == Some(0)
    })
    .await;
    let over_s = began.elapsed().as_secs_f64();
    let out_s = cpu::seconds(gateway.process()) - before;
    until("the subscriber has it", || counter.entries() >= waiting).await;
    Round {
        messages: counter.messages(),
        entries: counter.entries(),
        over_s,
        out_s,
        in_s,
    }
}

async fn node_red(program: &std::path::Path, frames: u64) -> Round {
    let plant = Plant::start();
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = server.local_addr().expect("a port").port();
    let counter = Counter::start(plant.plain, &[node_red::TOPIC.to_owned()]).await;
    let flows = node_red::flows(&plant, port);
    let node_red = node_red::start(program, plant.path(), &flows, "Connected to broker");
    let mut machine = Machine::on(&server).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, began) = (cpu::seconds(node_red.process()), Instant::now());
    // It reads as fast as it likes, and keeps in memory what the broker hasn't acknowledged.
    machine.send(frames, Duration::ZERO).await;
    until("the subscriber has it", || counter.messages() >= frames).await;
    Round {
        messages: counter.messages(),
        entries: counter.messages(),
        over_s: began.elapsed().as_secs_f64(),
        out_s: cpu::seconds(node_red.process()) - before,
        in_s: 0.0,
    }
}

/// Measures it.
///
/// # Panics
///
/// Something can't be started, or frames are lost.
pub async fn measure(effort: &Effort) {
    title("From a machine's frames to a broker with TLS, QoS 1");
    let peer = node_red::program();
    let (mut own, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        own.push(ours(effort.frames).await);
        if let Some(program) = &peer {
            theirs.push(node_red(program, effort.frames).await);
        }
    }
    let frames = effort.frames as f64;
    let samples = effort.frames * effort.rounds as u64;
    let of = |rounds: &[Round], value: &dyn Fn(&Round) -> f64| {
        median(rounds.iter().map(value).collect())
    };
    let entries: u64 = own.iter().map(|round| round.entries).sum();
    let messages: u64 = own.iter().map(|round| round.messages).sum();
    figure(
        "Retrotap, a spool that waited, all of this machine",
        of(&own, &|round| round.entries as f64 / round.over_s),
        "entries/s",
        entries,
        Budget::None,
    );
    figure(
        "Retrotap, the same on one core of the gateway",
        of(&own, &|round| round.entries as f64 / round.out_s),
        "entries/s",
        entries,
        Budget::None,
    );
    let in_us = of(&own, &|round| round.in_s) / frames * 1e6;
    let out_us = of(&own, &|round| round.out_s) / frames * 1e6;
    for (name, micros) in [
        ("Retrotap, a frame into the spool", in_us),
        ("Retrotap, a frame with its records out of it", out_us),
    ] {
        figure(name, micros, "µs/frame", samples, Budget::None);
    }
    if theirs.is_empty() {
        note("Node-RED isn't installed: tests/support/peers.sh");
    } else {
        figure(
            "Node-RED, all of this machine",
            of(&theirs, &|round| frames / round.over_s),
            "frames/s",
            samples,
            Budget::None,
        );
        let theirs_us = of(&theirs, &|round| round.out_s) / frames * 1e6;
        figure(
            "Node-RED, a frame to the broker",
            theirs_us,
            "µs/frame",
            samples,
            Budget::None,
        );
        figure(
            "processor time a frame, Node-RED's to ours, in and out",
            theirs_us / (in_us + out_us),
            "times",
            samples,
            Budget::None,
        );
    }
    note(&format!(
        "{} rounds in turns of {} frames. Ours come every {FAST:?} while there is no broker, and are decoded, checked, made poses and distances, \
         numbered and stored: {:.2} entries a frame in messages of {:.0}. Node-RED decodes, one message a frame, \
         and keeps nothing",
        effort.rounds,
        effort.frames,
        entries as f64 / samples as f64,
        entries as f64 / messages as f64,
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted() {
        assert_eq!(count(b"[]"), 0);
        assert_eq!(count(br#"[{"v":1,"a":{"v":2}},{"v":1,"b":3}]"#), 2);
    }
}
