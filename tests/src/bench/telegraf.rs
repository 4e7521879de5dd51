//! Telegraf as a peer of ingest and sink: MQTT to Kafka, and Kafka to the database.
//!
//! As near to what the lake does as its settings allow: QoS 1, all replicas, what is under way
//! bounded, writes of 5000 points every 100 ms, packed with gzip. It reads the same messages.
//! It gives up what fits into no buffer, makes every number a float, and knows nothing of gateways
//! that wait for a word: that isn't judged here.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::binary::repository;
use crate::influx::Settings;

/// Its topic in Kafka.
pub const TOPIC: &str = "telegraf";

/// The protocol it speaks: its default is older than what Kafka 4 understands.
const KAFKA: &str = "3.6.0";

/// A running agent; killed when dropped.
#[derive(Debug)]
pub struct Telegraf {
    child: Child,
    log: PathBuf,
}

/// Where `tests/support/peers.sh` puts the program; `None`: it was not built.
pub fn program() -> Option<PathBuf> {
    let program = repository().join("target/tools/peers/telegraf/telegraf");
    program.exists().then_some(program)
}

/// One agent's settings: sends as soon as a batch is full, and ten times a second.
fn agent(plugins: &str) -> String {
    format!(
        "[agent]\n  omit_hostname = true\n  flush_interval = \"100ms\"\n  metric_batch_size = 5000\n  \
         metric_buffer_limit = 100000\n  skip_processors_after_aggregators = true\n{plugins}"
    )
}

impl Telegraf {
    /// From the broker to Kafka.
    pub fn ingest(program: &Path, folder: &Path, mqtt: u16, kafka: &str) -> Self {
        let plugins = format!(
            "[[inputs.mqtt_consumer]]\n  servers = [\"tcp://127.0.0.1:{mqtt}\"]\n  \
             topics = [\"retrotap/1/+/+/+/records\"]\n  topic_tag = \"\"\n  qos = 1\n  \
             client_id = \"telegraf\"\n  max_undelivered_messages = 256\n  data_format = \"json\"\n  \
             json_name_key = \"record\"\n  tag_keys = [\"site\", \"gateway\", \"machine\", \"epoch\"]\n  \
             json_string_fields = [\"clock\", \"module\", \"fields_nearest_link\", \
             \"fields_nearest_obstacle\"]\n  json_time_key = \"t\"\n  \
             json_time_format = \"2006-01-02T15:04:05.999999999Z07:00\"\n\
             [[outputs.kafka]]\n  brokers = [\"{kafka}\"]\n  topic = \"{TOPIC}\"\n  \
             routing_tag = \"machine\"\n  version = \"{KAFKA}\"\n  required_acks = -1\n  data_format = \"influx\"\n"
        );
        Self::start(program, folder, "telegraf-in", &agent(&plugins))
    }

    /// From Kafka to the database.
    pub fn sink(program: &Path, folder: &Path, kafka: &str, influx: &str) -> Self {
        let Settings {
            org,
            token,
            buckets,
            ..
        } = Settings::default();
        let plugins = format!(
            "[[inputs.kafka_consumer]]\n  brokers = [\"{kafka}\"]\n  topics = [\"{TOPIC}\"]\n  \
             consumer_group = \"telegraf\"\n  kafka_version = \"{KAFKA}\"\n  offset = \"oldest\"\n  \
             max_undelivered_messages = 20000\n  data_format = \"influx\"\n\
             [[outputs.influxdb_v2]]\n  urls = [\"{influx}\"]\n  token = \"{token}\"\n  \
             organization = \"{org}\"\n  bucket = \"{}\"\n",
            buckets[0]
        );
        Self::start(program, folder, "telegraf-out", &agent(&plugins))
    }

    fn start(program: &Path, folder: &Path, name: &str, settings: &str) -> Self {
        let file = folder.join(format!("{name}.conf"));
        std::fs::write(&file, settings).expect("the folder is there");
        let log = folder.join(format!("{name}.log"));
        let child = Command::new(program)
            .arg("--config")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("the folder is there"))
            .spawn()
            .expect("it starts");
        Self { child, log }
    }

    /// Waits until its log says this.
    ///
    /// # Panics
    ///
    /// It doesn't within a minute.
    pub fn says(&self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.log().contains(what) {
            assert!(Instant::now() < deadline, "no {what:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it wrote on standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a service manager does.
    ///
    /// # Panics
    ///
    /// There is no `kill`.
    pub fn terminate(&mut self) {
        let process = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &process]).status();
        assert!(sent.expect("kill").success());
        let _ = self.child.wait();
    }
}

impl Drop for Telegraf {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
