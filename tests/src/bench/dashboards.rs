//! Whether who looks at the page is felt by the line: a frame's last byte to its record at a subscriber, with
//! ten dashboards open and with none, in turns.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use retrotap::port::pty::Pty;
use serde_json::Value;

use super::machine::{End, FRAME_EVERY, Machine};
use super::plant::{GATEWAY, MACHINE, Plant, SITE};
use super::report::{Budget, figure, note, title};
use super::visible::gateway_opens;
use super::{Effort, quantile};
use crate::subscriber::Subscriber;

/// How many look.
const DASHBOARDS: usize = 10;

/// What a page that is open reads: the live stream, whole statuses at up to 30 Hz.
struct Dashboard {
    socket: TcpStream,
    reader: Option<JoinHandle<()>>,
}

impl Dashboard {
    /// Reads as fast as it comes; counts what came.
    fn open(page: u16, events: &Arc<AtomicU64>) -> Self {
        let mut socket =
            TcpStream::connect((Ipv4Addr::LOCALHOST, page)).expect("the page is there");
        socket
            .write_all(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .expect("the page is there");
        let lines = BufReader::new(socket.try_clone().expect("a socket")).lines();
        let events = Arc::clone(events);
        let reader = std::thread::spawn(move || {
            let came = lines.map_while(Result::ok);
            for _ in came.filter(|line| line.starts_with("data:")) {
                events.fetch_add(1, Relaxed);
            }
        });
        Self {
            socket,
            reader: Some(reader),
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Measures it.
///
/// # Panics
///
/// Something can't be started, or a frame's record did not come.
pub async fn measure(effort: &Effort) {
    title(
        "Frame's last byte to its record at a subscriber, with ten dashboards open and with none, in turns",
    );
    let plant = Plant::start();
    let pty = Pty::open().expect("a pseudo-terminal");
    let gateway = plant.gateway(&pty.path().display().to_string(), "broker");
    let mut machine = Machine::new(End::Pty(pty));
    gateway_opens(&gateway).await;
    let topic = format!("retrotap/1/{SITE}/{GATEWAY}/{MACHINE}/records");
    let subscriber = Subscriber::start(plant.plain, None, &topic).await;
    let frames = |seconds: u64| seconds * 1_000_000_000 / FRAME_EVERY.as_nanos() as u64;
    machine.send(frames(2), FRAME_EVERY).await;

    let (mut alone, mut watched) = (Vec::new(), Vec::new());
    let events = Arc::<AtomicU64>::default();
    for _ in 0..effort.rounds.max(3) {
        for (dashboards, into) in [(0, &mut alone), (DASHBOARDS, &mut watched)] {
            let _open: Vec<Dashboard> = (0..dashboards)
                .map(|_| Dashboard::open(gateway.page(), &events))
                .collect();
            let (first, before) = (machine.frames() + 1, subscriber.messages().len());
            machine.send(frames(effort.pace_s / 2), FRAME_EVERY).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            for message in subscriber.messages().iter().skip(before) {
                let records: Vec<Value> = serde_json::from_str(&message.payload).expect("JSON");
                for frame in records.iter().filter_map(|record| record["frame"].as_u64()) {
                    if frame >= first {
                        let sent = machine.sent_at(frame).expect("it was sent");
                        let age = message.at.saturating_duration_since(sent);
                        into.push(age.as_secs_f64() * 1e3);
                    }
                }
            }
        }
    }
    let mut p99_ms = [0.0; 2];
    for ((who, ages_ms), p99_ms) in [("none", &mut alone), ("ten", &mut watched)]
        .into_iter()
        .zip(&mut p99_ms)
    {
        let samples = ages_ms.len() as u64;
        assert!(samples > 0, "no record came: {}", gateway.log());
        *p99_ms = quantile(ages_ms, 0.99);
        for (share, value) in [("p50", quantile(ages_ms, 0.5)), ("p99", *p99_ms)] {
            figure(
                &format!("{who}, {share}"),
                value,
                "ms",
                samples,
                Budget::None,
            );
        }
    }
    let [alone_ms, watched_ms] = p99_ms;
    let samples = watched.len() as u64;
    figure(
        "p99 with ten by p99 with none",
        watched_ms / alone_ms,
        "times",
        samples,
        Budget::AtMost(1.1),
    );
    let seen = events.load(Relaxed);
    assert!(seen > 0, "the dashboards saw nothing");
    note(&format!(
        "records wait up to 5 ms to leave together; the dashboards read {seen} statuses"
    ));
}
