//! Telegraf as a peer of ingest and sink: MQTT to Kafka, and Kafka to the database.
//!
//! As near to what the lake does as its settings allow: QoS 1, all replicas, what is under way
//! bounded, writes of 5000 points every 100 ms, packed with gzip. It reads the same messages.
//! It gives up what fits into no buffer, makes every number a float, and knows nothing of gateways
//! that wait for a word: that isn't judged here.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::peer::Peer;
use crate::binary::repository;
use crate::influx::Settings;

/// Its topic in Kafka.
pub const TOPIC: &str = "telegraf";

/// The protocol it speaks: its default is older than what Kafka 4 understands.
const KAFKA: &str = "3.6.0";

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

/// From the broker to Kafka.
pub fn ingest(program: &Path, folder: &Path, mqtt: u16, kafka: &str) -> Peer {
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
    start(program, folder, "telegraf-in", &agent(&plugins))
}

/// From Kafka to the database.
pub fn sink(program: &Path, folder: &Path, kafka: &str, influx: &str) -> Peer {
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
    start(program, folder, "telegraf-out", &agent(&plugins))
}

fn start(program: &Path, folder: &Path, name: &str, settings: &str) -> Peer {
    let file = folder.join(format!("{name}.conf"));
    std::fs::write(&file, settings).expect("the folder is there");
    let log = folder.join(format!("{name}.log"));
    let mut command = Command::new(program);
    Peer::start(command.arg("--config").arg(&file), log)
}
