//! The whole chain as processes: machines, gateway, broker, ingests, Kafka, sinks and database, with a
//! proxy in every connection between them. It only starts, kills and looks from outside.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::database::Database;
use super::disk::Disk;
use super::history::{Run, said_by};
use super::script::{Act, LINKS, Link, Part};
use crate::binary;
use crate::certificates::{Authority, Pair, Validity};
use crate::http::get_json;
use crate::influx::{Settings, Store};
use crate::kafka::Kafka;
use crate::mosquitto::{Listener, Mosquitto};
use crate::ports::free_port;
use crate::proxy::{Mode, Proxy};

/// The plant's name.
pub const SITE: &str = "aachen";
/// The gateway's.
pub const GATEWAY: &str = "cell-3";

/// The spool's disk. Nothing is to be dropped for want of room while the disk isn't filled on
/// purpose: five minutes of three machines are some 30 MB of JSON, packed a tenth.
const DISK_MIB: u32 = 48;
const SPOOL_MIB: u32 = 24;

/// Where Debian's package `libfaketime` puts what lets one process have a clock of its own.
const FAKETIME: &str = "libfaketimeMT.so.1";

/// What was done so far.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// Kills by part, and those that landed while entries were in flight.
    pub kills: BTreeMap<String, (u64, u64)>,
    /// Cuts by link.
    pub cuts: BTreeMap<String, u64>,
    /// Times that a link was black-holed, refused or slowed.
    pub troubles: BTreeMap<String, u64>,
    /// For how long the disk was full.
    pub disk_full: Duration,
    /// Steps of the gateway's clock.
    pub clock_steps: u64,
    /// The most entries that were said and not yet in the database.
    pub in_flight_max: u64,
    /// Starts of the gateway that ended by themselves, because the disk was full.
    pub refused_starts: u64,
    /// What can't be done on this computer.
    pub skipped: Vec<String>,
}

/// One process of the gateway, gone or not.
#[derive(Debug)]
struct Started {
    pid: u32,
    captures: PathBuf,
    log: PathBuf,
    killed: bool,
}

/// All of it; killed when dropped.
#[derive(Debug)]
pub struct Chain {
    folder: PathBuf,
    machines: usize,
    seed: u64,
    client: Pair,
    ca: PathBuf,
    children: BTreeMap<Part, Child>,
    broker: Mosquitto,
    broker_up: bool,
    kafka: Kafka,
    kafka_up: bool,
    proxies: BTreeMap<Link, Proxy>,
    page: u16,
    database: Database,
    disk: Option<Disk>,
    disk_full_since: Option<Instant>,
    disk_freed: Option<Instant>,
    clock_ms: i64,
    starts: Vec<Started>,
    counted: BTreeMap<PathBuf, (u64, u64)>,
    /// What was done.
    pub done: Done,
}

impl Chain {
    /// Starts everything in `folder`; `stand_in` is the database's program where
    /// there is no real one.
    ///
    /// # Panics
    ///
    /// Something can't be started.
    pub fn start(folder: &Path, stand_in: &Path, machines: usize, seed: u64) -> Self {
        let authority = Authority::new(folder, "plant-ca");
        let listener = Listener::MutualTls {
            ca: authority.cert.clone(),
            broker: authority.broker("broker", &["localhost"], Validity::Valid),
        };
        // As it comes: no persistence, and a thousand messages for a subscriber that is away.
        let broker = Mosquitto::start(folder, &listener, "");
        let (publish, consume) = (free_port(), free_port());
        let kafka = Kafka::start_behind(folder, &[publish, consume]);
        let database_port = free_port();
        let database = Database::new(stand_in, folder, database_port);
        let proxies = BTreeMap::from([
            (Link::Uplink, Proxy::start(broker.port())),
            (Link::Subscribe, Proxy::start(broker.port())),
            (Link::Publish, Proxy::start_at(publish, kafka.behind(0))),
            (Link::Consume, Proxy::start_at(consume, kafka.behind(1))),
            (Link::Write, Proxy::start(database_port)),
        ]);
        let mut done = Done::default();
        let disk = Disk::mount(&folder.join("spool"), DISK_MIB);
        if disk.is_none() {
            done.skipped
                .push("the full disk: mounting a small one needs root".to_owned());
        }
        if faketime().is_none() {
            done.skipped
                .push("steps of the clock: Debian's package faketime isn't there".to_owned());
        }
        std::fs::write(folder.join("token"), Settings::default().token).expect("written");
        let obstacles = r#"[{"id":"person","kind":"sphere","center":[2.6,0.4,1.2],"radius":0.4}]"#;
        std::fs::write(folder.join("obstacles.json"), obstacles).expect("written");
        let mut chain = Self {
            folder: folder.to_owned(),
            machines,
            seed,
            client: authority.client("client", Validity::Valid),
            ca: authority.cert.clone(),
            children: BTreeMap::new(),
            broker,
            broker_up: true,
            kafka,
            kafka_up: true,
            proxies,
            page: free_port(),
            database,
            disk,
            disk_full_since: None,
            disk_freed: None,
            clock_ms: 0,
            starts: Vec::new(),
            counted: BTreeMap::new(),
            done,
        };
        chain.set_clock();
        chain.start_all();
        chain
    }

    fn parts(&self) -> Vec<Part> {
        let simulators = (0..self.machines).map(Part::Simulator);
        let others = [
            Part::Database,
            Part::Ingest(0),
            Part::Ingest(1),
            Part::Sink(0),
            Part::Sink(1),
            Part::Broker,
            Part::Kafka,
            Part::Gateway,
        ];
        simulators.chain(others).collect()
    }

    fn start_all(&mut self) {
        for part in self.parts() {
            self.start_part(part);
        }
    }

    /// The name of a machine.
    pub fn machine(index: usize) -> String {
        format!("robot-{}", index + 1)
    }

    /// Does one thing of the script.
    pub fn act(&mut self, act: Act) {
        match act {
            Act::Kill(part) => self.kill(part),
            Act::Start(part) => self.start_part(part),
            Act::Cut(link, how) => {
                self.proxies[&link].cut(how);
                *self.done.cuts.entry(format!("{link:?}")).or_default() += 1;
            }
            Act::Set(link, mode) => {
                let what = match mode {
                    Mode::Pass => None,
                    Mode::Refuse => Some("refused"),
                    Mode::BlackHole(_) => Some("black-holed"),
                    Mode::Slow { .. } => Some("slow"),
                };
                if let Some(what) = what {
                    *self.done.troubles.entry(what.to_owned()).or_default() += 1;
                }
                self.proxies[&link].set(mode);
            }
            Act::FillDisk => {
                if let Some(disk) = &self.disk {
                    disk.fill();
                    self.disk_full_since = Some(Instant::now());
                }
            }
            Act::FreeDisk => self.free_disk(),
            Act::StepClock { milliseconds } => {
                if faketime().is_some() {
                    self.clock_ms += milliseconds;
                    self.set_clock();
                    self.done.clock_steps += 1;
                }
            }
        }
    }

    fn free_disk(&mut self) {
        if let (Some(disk), Some(since)) = (&self.disk, self.disk_full_since.take()) {
            disk.free();
            self.disk_freed = Some(Instant::now());
            self.done.disk_full += since.elapsed();
        }
    }

    fn set_clock(&self) {
        let seconds = self.clock_ms as f64 / 1e3;
        let (file, part) = (self.folder.join("clock"), self.folder.join("clock.part"));
        // Never half a file for whoever reads it.
        std::fs::write(&part, format!("{seconds:+.3}\n")).expect("written");
        std::fs::rename(part, file).expect("renamed");
    }

    /// Does what a service manager does for a gateway that doesn't start on a full disk: try again.
    pub fn look_after(&mut self) {
        let Some(child) = self.children.get_mut(&Part::Gateway) else {
            return;
        };
        // One that has just found it full may need a moment to end.
        let lately = |freed: Instant| freed.elapsed() < Duration::from_secs(5);
        let full = self.disk_full_since.is_some() || self.disk_freed.is_some_and(lately);
        if full && child.try_wait().expect("a child").is_some() {
            self.children.remove(&Part::Gateway);
            self.done.refused_starts += 1;
            self.start_part(Part::Gateway);
        }
    }

    fn kill(&mut self, part: Part) {
        let in_flight = self.in_flight() > 0;
        self.look_after();
        let killed = match part {
            Part::Broker if self.broker_up => {
                self.broker.kill();
                self.broker_up = false;
                true
            }
            Part::Kafka if self.kafka_up => {
                self.kafka.kill();
                self.kafka_up = false;
                true
            }
            Part::Broker | Part::Kafka => false,
            _ => match self.children.remove(&part) {
                Some(mut child) => {
                    // One that ended by itself is a finding, and not a kill.
                    let ended = child.try_wait().expect("a child");
                    assert!(
                        ended.is_none(),
                        "{part:?} ended, {ended:?}: {}",
                        self.log(part)
                    );
                    child.kill().expect("it runs");
                    child.wait().expect("a child");
                    true
                }
                None => false,
            },
        };
        if killed {
            if part == Part::Gateway
                && let Some(started) = self.starts.last_mut()
            {
                started.killed = true;
            }
            let name = match part {
                Part::Simulator(_) => "simulator".to_owned(),
                Part::Ingest(_) => "ingest".to_owned(),
                Part::Sink(_) => "sink".to_owned(),
                other => format!("{other:?}").to_lowercase(),
            };
            let (kills, meanwhile) = self.done.kills.entry(name).or_default();
            *kills += 1;
            *meanwhile += u64::from(in_flight);
        }
    }

    fn start_part(&mut self, part: Part) {
        match part {
            Part::Broker => {
                if !std::mem::replace(&mut self.broker_up, true) {
                    self.broker.start_again();
                }
            }
            Part::Kafka => {
                if !std::mem::replace(&mut self.kafka_up, true) {
                    self.kafka.restart_without_waiting();
                }
            }
            _ if self.children.contains_key(&part) => {}
            _ => {
                let mut command = self.command(part);
                let log = File::options()
                    .create(true)
                    .append(true)
                    .open(self.log_path(part))
                    .expect("a file");
                let child = command
                    .stdin(Stdio::null())
                    .stdout(log.try_clone().expect("a file"))
                    .stderr(log)
                    .spawn()
                    .expect("it starts");
                if part == Part::Gateway {
                    self.starts.push(Started {
                        pid: child.id(),
                        captures: self.captures(),
                        log: self.log_path(part),
                        killed: false,
                    });
                }
                self.children.insert(part, child);
            }
        }
    }

    fn captures(&self) -> PathBuf {
        self.folder.join(format!("captures-{}", self.starts.len()))
    }

    fn log_path(&self, part: Part) -> PathBuf {
        let name = format!("{part:?}").to_lowercase();
        self.folder.join(format!("{name}.log"))
    }

    fn log(&self, part: Part) -> String {
        let log = std::fs::read_to_string(self.log_path(part)).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(20).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn command(&self, part: Part) -> Command {
        let text = |path: PathBuf| path.display().to_string();
        let proxy = |link: Link| self.proxies[&link].port();
        match part {
            Part::Simulator(index) => {
                let port = format!("pty:{}", text(self.folder.join(Self::machine(index))));
                let seed = (self.seed * 100 + index as u64).to_string();
                let arguments = ["simulate", "--adapter", "kuka-krc2", "--port", &port];
                let mut command = binary::command(&arguments);
                command.args(["--seed", &seed]);
                command
            }
            Part::Gateway => {
                let settings = self.folder.join("retrotap.yaml");
                std::fs::write(&settings, self.settings()).expect("written");
                let mut command = binary::command(&["run", &text(settings)]);
                command
                    .arg("--record")
                    .arg(self.captures())
                    .arg("--oracle")
                    .arg(self.folder.join("oracle"))
                    .env("XDG_CACHE_HOME", &self.folder);
                if let Some(library) = faketime() {
                    command
                        .env("LD_PRELOAD", library)
                        .env("FAKETIME_TIMESTAMP_FILE", self.folder.join("clock"))
                        .env("FAKETIME_CACHE_DURATION", "1")
                        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                        .env("DONT_FAKE_MONOTONIC", "1")
                        .env("NO_FAKE_STAT", "1");
                }
                command
            }
            Part::Ingest(index) => {
                let url = format!("mqtts://localhost:{}", proxy(Link::Subscribe));
                let kafka = format!("127.0.0.1:{}", proxy(Link::Publish));
                let mut command = binary::lake_command(&["ingest", "--mqtt-url", &url]);
                command
                    .args(["--kafka", &kafka, "--share", "lake", "--site", SITE])
                    .args(["--client-id", &format!("ingest-{index}")])
                    .arg("--ca")
                    .arg(&self.ca)
                    .arg("--client-cert")
                    .arg(&self.client.cert)
                    .arg("--client-key")
                    .arg(&self.client.key);
                command
            }
            Part::Sink(_) => {
                let kafka = format!("127.0.0.1:{}", proxy(Link::Consume));
                let influx = format!("http://127.0.0.1:{}", proxy(Link::Write));
                let mut command = binary::lake_command(&["sink", "--kafka", &kafka]);
                command
                    .args(["--influx-url", &influx, "--org", &Settings::default().org])
                    .args(["--bucket", &Settings::default().buckets[0]])
                    .arg("--token-file")
                    .arg(self.folder.join("token"));
                command
            }
            Part::Database => self.database.command(),
            Part::Broker | Part::Kafka => unreachable!("they start themselves"),
        }
    }

    fn settings(&self) -> String {
        let machines: String = (0..self.machines)
            .map(|index| {
                let machine = Self::machine(index);
                let port = self.folder.join(&machine);
                format!(
                    "  - {{id: {machine}, adapter: kuka-krc2, port: {}}}\n",
                    port.display()
                )
            })
            .collect();
        let robots: String = (0..self.machines)
            .map(|index| {
                format!(
                    "      - {{machine: {}, base_pose: {{xyz: [{index}m, 0m, 0m], \
                     rpy: [0deg, 0deg, 0deg]}}}}\n",
                    Self::machine(index)
                )
            })
            .collect();
        format!(
            "site: {SITE}\ngateway: {GATEWAY}\nallow_unsigned: true\nmachines:\n{machines}\
             cells:\n  - id: cell\n    robots:\n{robots}    obstacles: {{file: obstacles.json}}\n\
             uplink:\n  mqtt: {{url: \"mqtts://localhost:{broker}\", ca: {ca}, client_cert: {cert}, \
             client_key: {key}}}\n  release_on: lake\n\
             spool: {{path: {spool}, max_bytes: {SPOOL_MIB}MiB, sync_every: 1s}}\n\
             web: {{listen: \"127.0.0.1:{page}\"}}\n",
            broker = self.proxies[&Link::Uplink].port(),
            ca = self.ca.display(),
            cert = self.client.cert.display(),
            key = self.client.key.display(),
            spool = self.spool().display(),
            page = self.page,
        )
    }

    /// The spool's folder, on its small disk.
    pub fn spool(&self) -> PathBuf {
        self.folder.join("spool/spool")
    }

    /// All that the database holds, at the end: it is ended for that.
    ///
    /// # Errors
    ///
    /// Its files can't be read.
    pub fn content(&mut self) -> Result<Store, String> {
        let child = self.children.remove(&Part::Database);
        self.database.clone().content(|| {
            if let Some(mut child) = child {
                let _ = child.kill();
                let _ = child.wait();
            }
        })
    }

    /// What the database is.
    pub fn database(&self) -> &'static str {
        self.database.name()
    }

    /// Kafka, for counting.
    pub fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// How many records the lines have said so far, from the oracle's files.
    pub fn said(&mut self) -> u64 {
        let Ok(files) = std::fs::read_dir(self.folder.join("oracle")) else {
            return 0;
        };
        for file in files.flatten() {
            // Only what was added since the last look.
            let (read, lines) = self.counted.entry(file.path()).or_default();
            let Ok(mut file) = File::open(file.path()) else {
                continue;
            };
            let mut added = Vec::new();
            if file.seek(SeekFrom::Start(*read)).is_ok() && file.read_to_end(&mut added).is_ok() {
                *read += added.len() as u64;
                *lines += added.iter().filter(|byte| **byte == b'\n').count() as u64;
            }
        }
        self.counted.values().map(|(_, lines)| lines).sum()
    }

    /// Points in the database: the last number that it told, while it is down.
    pub fn points(&self) -> Option<u64> {
        self.database.points()
    }

    /// Records that were said and aren't in the database; all, while the database is down.
    pub fn in_flight(&mut self) -> u64 {
        let said = self.said();
        let points = self.points();
        let in_flight = said.saturating_sub(points.unwrap_or(0));
        if points.is_some() {
            self.done.in_flight_max = self.done.in_flight_max.max(in_flight);
        }
        in_flight
    }

    /// Mends everything and starts what is down.
    ///
    /// # Panics
    ///
    /// A process ended that nobody killed.
    pub fn heal(&mut self) {
        for link in LINKS {
            self.proxies[&link].set(Mode::Pass);
        }
        self.free_disk();
        self.look_after();
        self.all_run();
        self.start_all();
    }

    /// Nobody ended who wasn't killed.
    ///
    /// # Panics
    ///
    /// Somebody did.
    pub fn all_run(&mut self) {
        let mut ended = Vec::new();
        for (part, child) in &mut self.children {
            if let Some(status) = child.try_wait().expect("a child") {
                ended.push((*part, status));
            }
        }
        let logs: Vec<String> = ended.iter().map(|(part, _)| self.log(*part)).collect();
        assert!(ended.is_empty(), "{ended:?} by themselves: {logs:#?}");
    }

    /// Takes the machines away; what they said so far goes on its way.
    pub fn silence(&mut self) {
        for index in 0..self.machines {
            if let Some(mut child) = self.children.remove(&Part::Simulator(index)) {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }

    /// What the gateway's page says, if it answers.
    pub fn status(&self) -> Option<Value> {
        get_json(self.page, "/api/v1/status")
    }

    /// Ends the gateway as a service manager does.
    ///
    /// # Panics
    ///
    /// It doesn't end within half a minute, or not well.
    pub fn stop_gateway(&mut self) {
        let mut child = self.children.remove(&Part::Gateway).expect("it runs");
        let sent = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        assert!(sent.expect("kill").success());
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = child.try_wait().expect("a child") {
                assert!(status.success(), "{status}: {}", self.log(Part::Gateway));
                return;
            }
            assert!(Instant::now() < deadline, "{}", self.log(Part::Gateway));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What each process of the gateway said, in the order of their starts.
    ///
    /// # Panics
    ///
    /// An oracle's file isn't what it should be.
    pub fn runs(&self) -> Vec<Run> {
        self.starts
            .iter()
            .map(|started| Run {
                said: said_by(&self.folder.join("oracle"), started.pid).expect("oracle files"),
                killed: started.killed,
            })
            .collect()
    }

    /// Replays every capture and holds it against what was said live: each must be a beginning of it,
    /// the whole of it where the process stopped well, else all but what stood in the capture's
    /// buffer. Gives how many records were compared.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn replay(&self, runs: &[Run]) -> Result<u64, String> {
        let mut compared = 0;
        for (started, run) in self.starts.iter().zip(runs) {
            let log = std::fs::read_to_string(&started.log).unwrap_or_default();
            if log.contains("too slow for the capture") {
                return Err("the disk was too slow for a capture".to_owned());
            }
            for (machine, said) in &run.said {
                let capture = started.captures.join(format!("{machine}.pcapng"));
                let name = capture.display().to_string();
                let ended = binary::run(&["replay", &name, "--adapter", "kuka-krc2"]);
                // A file that was cut gives all that is whole and says so.
                if ended.code != Some(0) && !started.killed {
                    return Err(format!("{name}: {}", ended.err));
                }
                let mut count = 0;
                for (line, said) in ended.out.lines().zip(said) {
                    let replayed: Value = serde_json::from_str(line).expect("JSON");
                    let same = replayed["record"] == *said.record
                        && replayed["frame"] == said.frame
                        && replayed["module"] == *said.module
                        && replayed["fields"].as_object() == Some(&said.fields);
                    if !same {
                        return Err(format!("{name}: said {said:?}, replayed {line}"));
                    }
                    count += 1;
                }
                compared += count as u64;
                let more = ended.out.lines().count() > said.len();
                let young_ns = if started.killed { 3_000_000_000 } else { 0 };
                let last_ns = said.last().map_or(0, |said| said.line_ns);
                let missing = &said[count..];
                let old = missing
                    .first()
                    .is_some_and(|first| first.line_ns + young_ns < last_ns || young_ns == 0);
                if more || old {
                    let replayed = ended.out.lines().count();
                    return Err(format!(
                        "{name}: {} records said, {replayed} replayed: {}",
                        said.len(),
                        ended.err
                    ));
                }
            }
        }
        Ok(compared)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    folders
        .map(|folder| folder.path().join("faketime").join(FAKETIME))
        .find(|path| path.exists())
}
