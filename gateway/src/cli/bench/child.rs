//! The whole program in a process of its own, fed through pseudo-terminals: how soon it speaks, how
//! many machines it carries, and what memory it takes.
//!
//! Machines, broker and subscriber are in this process, so that what the other one uses is all the
//! gateway's.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::report::{Bound, Figure};
use super::subscriber::{Subscriber, subscribe};
use super::workload::{ADAPTER, Way, obstacles};
use super::{Effort, median};
use crate::demo_broker::{self, DemoBroker};
use crate::port::pty::Pty;
use crate::simulate::krc2::FRAME_BYTES;

/// 115200 baud with ten bits a byte.
const BYTES_PER_S: f64 = 11_520.0;

/// A USB adapter with the low-latency flag hands over what came every millisecond.
const BUNDLE: Duration = Duration::from_millis(1);

/// What a start may take before it counts as none.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// Machines that send, a broker, a subscriber, and the settings of a gateway between them.
struct Plant {
    subscriber: Subscriber,
    feed: Feed,
    page: SocketAddr,
    folder: TempDir,
    // Last, because the others talk to it.
    _broker: DemoBroker,
}

impl Plant {
    async fn start(machines: usize) -> anyhow::Result<Self> {
        let broker = demo_broker::start(([127, 0, 0, 1], 0).into()).await?;
        let subscriber = subscribe(broker.address()).await?;
        let folder = tempfile::tempdir().context("no folder for temporary files")?;
        let ptys: Vec<Pty> = (0..machines)
            .map(|_| Pty::open())
            .collect::<Result<_, _>>()
            .context("this system gives no pseudo-terminal")?;
        // Free now, and hardly taken by another until the gateway listens there.
        let page = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let settings = settings(&ptys, broker.address(), page)?;
        std::fs::write(folder.path().join("retrotap.yaml"), settings)?;
        let obstacles = serde_json::to_string(&obstacles()?)?;
        std::fs::write(folder.path().join("obstacles.json"), obstacles)?;
        Ok(Self {
            subscriber,
            feed: Feed::start(ptys)?,
            page,
            folder,
            _broker: broker,
        })
    }

    /// Starts this very program as a gateway; it is killed when the child is dropped.
    fn gateway(&self, cache: &Path) -> anyhow::Result<Child> {
        Command::new(std::env::current_exe()?)
            .arg("run")
            .arg(self.folder.path().join("retrotap.yaml"))
            .env_remove("CACHE_DIRECTORY")
            .env("XDG_CACHE_HOME", cache)
            .env("RETROTAP_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("can't start this program a second time")
    }

    /// Waits for the first distance that comes from now on.
    async fn first_distance(&self, gateway: &mut Child) -> anyhow::Result<Instant> {
        let began = Instant::now();
        loop {
            if let Ok(at) = self.subscriber.distances.try_recv() {
                return Ok(at);
            }
            if let Some(status) = gateway.try_wait()? {
                bail!("the gateway ended: {status}");
            }
            ensure!(
                began.elapsed() < STARTS_WITHIN,
                "no record within {STARTS_WITHIN:?}"
            );
            // When it came was noted on its arrival: looking seldom falsifies nothing.
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Forgets what came so far, and what is still on its way from a gateway that was ended.
    async fn forget(&self) {
        sleep(Duration::from_millis(200)).await;
        while self.subscriber.distances.try_recv().is_ok() {}
    }

    /// The gateway's own view of itself.
    async fn status(&self) -> anyhow::Result<Value> {
        let mut stream = TcpStream::connect(self.page)
            .await
            .context("the page isn't there")?;
        let request = format!(
            "GET /api/v1/status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.page
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (_, body) = answer
            .split_once("\r\n\r\n")
            .context("no answer from the page")?;
        Ok(serde_json::from_str(body)?)
    }
}

fn settings(ptys: &[Pty], broker: SocketAddr, page: SocketAddr) -> anyhow::Result<String> {
    let mut text = format!(
        "site: bench\ngateway: bench\nallow_unsigned: true\n\
         spool: {{path: spool}}\n\
         uplink: {{mqtt: {{url: \"mqtt://{broker}\"}}, release_on: broker}}\n\
         web: {{listen: \"{page}\"}}\nmachines:\n"
    );
    for (number, pty) in ptys.iter().enumerate() {
        let path = pty.path().display();
        writeln!(
            text,
            "  - {{id: robot-{number}, adapter: {ADAPTER}, port: {path}}}"
        )?;
    }
    text += "cells:\n  - id: cell\n    obstacles: {file: obstacles.json}\n    robots:\n";
    for number in 0..ptys.len() {
        writeln!(
            text,
            "      - {{machine: robot-{number}, base_pose: {{xyz: [0m, 0m, 0m], rpy: [0deg, 0deg, 0deg]}}}}"
        )?;
    }
    Ok(text)
}

/// A thread that sends for all machines at 115200 baud, until dropped.
struct Feed {
    stop: Arc<AtomicBool>,
    counts: Arc<Fed>,
    thread: Option<JoinHandle<()>>,
}

/// What was sent, and what no kernel buffer took.
#[derive(Debug, Default)]
struct Fed {
    bytes: AtomicU64,
    lost: AtomicU64,
}

impl Feed {
    fn start(ptys: Vec<Pty>) -> anyhow::Result<Self> {
        let (stop, counts) = (Arc::<AtomicBool>::default(), Arc::<Fed>::default());
        let thread = std::thread::Builder::new().name("feed".to_owned()).spawn({
            let (stop, counts) = (Arc::clone(&stop), Arc::clone(&counts));
            move || feed(&ptys, &stop, &counts)
        })?;
        Ok(Self {
            stop,
            counts,
            thread: Some(thread),
        })
    }

    fn counts(&self) -> (u64, u64) {
        (
            self.counts.bytes.load(Relaxed),
            self.counts.lost.load(Relaxed),
        )
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the machines' thread panicked");
        }
    }
}

fn feed(ptys: &[Pty], stop: &AtomicBool, counts: &Fed) {
    let bytes = Way::new().bytes();
    let began = Instant::now();
    let mut sent = 0;
    for bundle in 1_u32.. {
        if stop.load(Relaxed) {
            return;
        }
        std::thread::sleep((BUNDLE * bundle).saturating_sub(began.elapsed()));
        let due = (began.elapsed().as_secs_f64() * BYTES_PER_S) as usize;
        let mut wire: Vec<u8> = Vec::with_capacity(due - sent);
        wire.extend((sent..due).map(|place| bytes[place % bytes.len()]));
        sent = due;
        for pty in ptys {
            // What isn't taken is counted, whatever the reason.
            let taken = pty.send(&wire).unwrap_or(0);
            counts.bytes.fetch_add(wire.len() as u64, Relaxed);
            counts.lost.fetch_add((wire.len() - taken) as u64, Relaxed);
        }
    }
}

/// From the start of the process to the first distance at a subscriber.
pub(super) async fn starts(effort: &Effort) -> anyhow::Result<Vec<Figure>> {
    let plant = Plant::start(1).await?;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for number in 0..effort.starts {
        let cache: PathBuf = plant.folder.path().join(format!("cache-{number}"));
        for times in [&mut cold, &mut warm] {
            plant.forget().await;
            let began = Instant::now();
            let mut gateway = plant.gateway(&cache)?;
            let arrived = plant.first_distance(&mut gateway).await?;
            times.push(arrived.saturating_duration_since(began).as_secs_f64() * 1e3);
            gateway.kill().await?;
        }
    }
    let samples = effort.starts;
    Ok(vec![
        Figure::new("start to first record, modules compiled before", median(&mut warm), "ms", samples)
            .budget(Bound::AtMost(300.0))
            .note("from starting the process to a subscriber behind a broker; the machine sends all the time"),
        Figure::new("start to first record, nothing compiled", median(&mut cold), "ms", samples),
    ])
}

/// Many machines that send without a pause, on one gateway.
pub(super) async fn load(effort: &Effort) -> anyhow::Result<Vec<Figure>> {
    let machines = effort.machines;
    let plant = Plant::start(machines).await?;
    let mut gateway = plant.gateway(&plant.folder.path().join("cache"))?;
    plant.first_distance(&mut gateway).await?;
    // Until the last of them is in step too.
    sleep(Duration::from_secs_f64(effort.load_s.min(1.0))).await;

    let process = Process(gateway.id().context("the gateway ended")?);
    let (status, cpu, (fed, lost), began) = (
        plant.status().await?,
        process.cpu()?,
        plant.feed.counts(),
        Instant::now(),
    );
    sleep(Duration::from_secs_f64(effort.load_s)).await;
    let over_s = began.elapsed().as_secs_f64();
    let (fed_after, lost_after) = plant.feed.counts();
    let (cpu_after, status_after) = (process.cpu()?, plant.status().await?);
    let (rss_mb, pss_mb) = process.memory_mb()?;
    gateway.kill().await?;

    let bytes = fed_after - fed;
    let frames = frames(&status_after)? - frames(&status)?;
    let not_taken = (lost_after - lost) as f64;
    let not_used = losses(&status_after)? - losses(&status)?;
    let share = frames * FRAME_BYTES as f64 / bytes as f64;
    let lines = (cpu_after.lines_s - cpu.lines_s) / over_s;
    let all = (cpu_after.all_s - cpu.all_s) / over_s;
    let per_core = |cores: f64| {
        if cores > 0.0 {
            machines as f64 / cores
        } else {
            f64::NAN
        }
    };
    let samples = frames as usize;
    Ok(vec![
        Figure::new("machines per core at 115200 baud", per_core(all), "machines", samples)
            .budget(Bound::AtLeast(64.0))
            .note(format!(
                "{machines} machines for {over_s:.1} s in bundles of 1 ms; processor time of the whole process: \
                 lines, spool, uplink (records and raw frames, QoS 1) and page"
            )),
        Figure::new("machines per core, threads of lines alone", per_core(lines), "machines", samples),
        Figure::new("bytes or records lost under that load", not_taken + not_used, "count", samples)
            .budget(Bound::AtMost(0.0))
            .note(format!(
                "{not_taken} bytes that no kernel buffer took, {not_used} skipped, rejected or dropped in the gateway"
            )),
        Figure::new("bytes sent that were in frames", share * 100.0, "%", samples)
            .note("counters are read one after the other: a few thousandths more or less are on their way"),
        Figure::new(format!("memory with {machines} machines, resident"), rss_mb, "MB", 1)
            .budget(Bound::AtMost(60.0)),
        Figure::new(format!("memory with {machines} machines, proportional"), pss_mb, "MB", 1),
    ])
}

/// Frames of all machines.
fn frames(status: &Value) -> anyhow::Result<f64> {
    machines(status)?
        .iter()
        .map(|machine| number(&machine["frames"]))
        .sum()
}

/// Everything of all machines that didn't become what it should have.
fn losses(status: &Value) -> anyhow::Result<f64> {
    let mut losses = 0.0;
    for machine in machines(status)? {
        losses += number(&machine["dropped_records"])?;
        for counts in [
            &machine["rejected"],
            &machine["skipped_bytes"],
            &machine["line_errors"],
        ] {
            for count in counts
                .as_object()
                .context("the status has no counters")?
                .values()
            {
                losses += number(count)?;
            }
        }
    }
    Ok(losses)
}

fn machines(status: &Value) -> anyhow::Result<&Vec<Value>> {
    status["machines"]
        .as_array()
        .context("the status has no machines")
}

fn number(value: &Value) -> anyhow::Result<f64> {
    value.as_f64().context("the status lacks a number")
}

/// Another process, as the kernel sees it.
struct Process(u32);

/// Processor time that a process has had.
struct Cpu {
    /// Threads whose names begin with `line`.
    lines_s: f64,
    all_s: f64,
}

impl Process {
    fn cpu(&self) -> anyhow::Result<Cpu> {
        let mut cpu = Cpu {
            lines_s: 0.0,
            all_s: 0.0,
        };
        for task in std::fs::read_dir(format!("/proc/{}/task", self.0))? {
            let task = task?.path();
            let stat = std::fs::read_to_string(task.join("stat"))?;
            let (name, seconds) = processor_time(&stat).context("the kernel's `stat` is odd")?;
            cpu.all_s += seconds;
            if name.starts_with("line ") {
                cpu.lines_s += seconds;
            }
        }
        Ok(cpu)
    }

    /// Resident, and with shared pages divided among those who share them; megabytes of 10⁶ bytes.
    fn memory_mb(&self) -> anyhow::Result<(f64, f64)> {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0))?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kib * 1024.0 / 1e6)
        };
        Ok((
            value("Rss:").context("the kernel tells no resident memory")?,
            value("Pss:").context("the kernel tells no proportional memory")?,
        ))
    }
}

/// A thread's name and processor time, user and system, from proc_pid_stat(5). The name stands in
/// parentheses and may hold anything; the clock ticks a hundred times a second on every Linux.
fn processor_time(stat: &str) -> Option<(&str, f64)> {
    const TICKS_PER_S: f64 = 100.0;
    let (_, rest) = stat.split_once('(')?;
    let (name, rest) = rest.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((name, (ticks()? + ticks()?) / TICKS_PER_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_name_with_anything_in_it() {
        let stat = "42 (line a) (b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1";
        assert_eq!(processor_time(stat), Some(("line a) (b", 2.0)));
        assert_eq!(processor_time("42 (line) S 1"), None);
        assert_eq!(processor_time(""), None);
    }
}
