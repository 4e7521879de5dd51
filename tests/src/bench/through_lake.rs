//! Records through the whole lake: MQTT, ingest, Kafka, sink, database, and beside it Telegraf twice
//! in the place of ingest and sink.

use std::path::Path;
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Broker, Event, MqttOptions, Packet, PublishOptions, QoS};
use tempfile::TempDir;

use super::cpu::Watch;
use super::plant::{GATEWAY, SITE, points, until};
use super::report::{Budget, figure, note, title};
use super::telegraf;
use super::{Effort, median};
use crate::influx::{Influx, Settings};
use crate::kafka::Kafka;
use crate::lake::Lake;
use crate::mosquitto::{Listener, Mosquitto};

/// So many that every partition of a topic has work.
const MACHINES: u64 = 12;

/// Records in a message, about what a backlog comes in.
const IN_A_MESSAGE: u64 = 100;

/// Messages on their way to the broker.
const IN_FLIGHT: u16 = 64;

/// Messages that the broker has and the database has not: fewer than an ingest takes at a time.
const UNWRITTEN_MAX: u64 = 240;

/// Budget: records in a second of one core, both programs of the lake together.
const PER_CORE: f64 = 100_000.0;

/// The four records of a KR C2's cycle, one after the other.
fn record(machine: u64, seq: u64) -> String {
    let (kind, cycle) = (seq % 4, seq / 4);
    let (at_ns, x) = (cycle * 65_625_000, cycle as f64 * 0.000_37);
    let (name, module, fields) = match kind {
        0 => (
            "axes",
            "krc2-decode@1.0.0",
            format!(
                r#""axis_1_deg":{:.5},"axis_2_deg":{:.5},"axis_3_deg":{:.5},"axis_4_deg":0.0,"axis_5_deg":{:.5},"axis_6_deg":{:.5},"axis_7_mm":0.0,"age_s":0.067708333"#,
                x - 45.02573,
                -78.73587 + x / 3.0,
                94.24263 - x / 7.0,
                74.49324 - x / 5.0,
                x - 45.02573
            ),
        ),
        1 => (
            "axis_speeds",
            "axis-limits@1.0.0",
            format!(
                r#""axis_1_speed_deg_per_s":{},"axis_2_speed_deg_per_s":{},"axis_3_speed_deg_per_s":0.6112499969435778,"axis_4_speed_deg_per_s":0.0,"axis_5_speed_deg_per_s":-0.7067999964661007,"axis_6_speed_deg_per_s":{},"axis_7_speed_mm_per_s":0.0"#,
                2.743_199_98 + x,
                0.095_699_9 - x,
                2.743_199_98 + x
            ),
        ),
        2 => (
            "pose",
            "arm-distance@1.0.0",
            format!(
                r#""flange_x_m":{},"flange_y_m":{},"flange_z_m":1.3979493379592896,"flange_speed_m_per_s":0.07963564246892929"#,
                1.162_314_057 + x,
                1.155_955_553 - x
            ),
        ),
        _ => (
            "distance",
            "arm-distance@1.0.0",
            format!(
                r#""distance_m":{},"nearest_link":"link_1","nearest_obstacle":"pallet","on_robot_x_m":{},"on_robot_y_m":-0.31279343366622925,"on_robot_z_m":0.3335275650024414,"on_obstacle_x_m":0.75,"on_obstacle_y_m":-0.44999998807907104,"on_obstacle_z_m":0.20000000298023224"#,
                0.417_192_28 + x,
                0.373_379_842 + x
            ),
        ),
    };
    let (second, nanosecond) = (at_ns / 1_000_000_000, at_ns % 1_000_000_000);
    format!(
        r#"{{"v":1,"site":"{SITE}","gateway":"{GATEWAY}","machine":"robot-{machine}","record":"{name}","epoch":1795186221,"seq":{seq},"t":"2026-11-{:02}T{:02}:{:02}:{:02}.{nanosecond:09}Z","clock":"synced","module":"{module}","frame":{},"fields":{{{fields}}}}}"#,
        1 + second / 86_400,
        second / 3600 % 24,
        second / 60 % 60,
        second % 60,
        7 * (cycle + 1),
    )
}

/// All messages, machine by machine in turn: topic and payload.
fn messages(records: u64, in_a_message: u64) -> Vec<(String, String)> {
    let of_each = records / MACHINES / in_a_message;
    let mut messages = Vec::new();
    for index in 0..of_each {
        for machine in 1..=MACHINES {
            let first = 4 + index * in_a_message;
            let entries: Vec<String> = (first..first + in_a_message)
                .map(|seq| record(machine, seq))
                .collect();
            let topic = format!("retrotap/1/{SITE}/{GATEWAY}/robot-{machine}/records");
            messages.push((topic, format!("[{}]", entries.join(","))));
        }
    }
    messages
}

/// Publishes all of it, and returns when the broker has it. As a gateway does, it doesn't go on
/// without end while the lake takes nothing: mosquitto gives an ingest that falls behind more than it
/// asked for (Receive Maximum), the ingest leaves, and only a gateway would send that again.
async fn publish(port: u16, messages: &[(String, String)], influx: &Influx, in_a_message: u64) {
    let mut options = MqttOptions::new("bench-feeder", Broker::tcp("127.0.0.1", port));
    options
        .set_outgoing_inflight_upper_limit(IN_FLIGHT)
        .set_keep_alive(60);
    let (client, mut events) = AsyncClient::builder(options)
        .capacity(usize::from(IN_FLIGHT))
        .build();
    let mut acknowledged = 0;
    let all = messages.len();
    let receive = async {
        while acknowledged < all {
            let event = events.poll().await.expect("the broker stays");
            if let Event::Incoming(Packet::PubAck(_)) = event {
                acknowledged += 1;
            }
        }
    };
    let send = async {
        for (sent, (topic, payload)) in (0..).zip(messages) {
            while sent >= UNWRITTEN_MAX + points(influx) / in_a_message {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let options = PublishOptions::new(QoS::AtLeastOnce);
            let sent = client.publish(topic.clone(), payload.clone(), options);
            sent.await.expect("the event loop runs");
        }
    };
    tokio::join!(receive, send);
}

/// What all rounds have in common.
struct Servers {
    folder: TempDir,
    broker: Mosquitto,
    kafka: Kafka,
}

/// What one round gave.
struct Round {
    over_s: f64,
    cpu: Vec<(&'static str, f64)>,
}

impl Servers {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let more = "max_queued_messages 0\nmax_inflight_messages 256";
        let broker = Mosquitto::start(folder.path(), &Listener::Plain, more);
        let kafka = Kafka::start(folder.path());
        Self {
            folder,
            broker,
            kafka,
        }
    }

    /// From the first publish to the last point.
    async fn feed(
        &self,
        influx: &Influx,
        messages: &[(String, String)],
        records: u64,
        programs: [(&'static str, u32); 2],
    ) -> Round {
        let [first, second] = programs;
        let parts = [
            first,
            second,
            ("mosquitto", self.broker.process()),
            ("Kafka", self.kafka.process()),
        ];
        let (watch, began) = (Watch::start(&parts), Instant::now());
        let in_a_message = records / messages.len() as u64;
        publish(self.broker.port(), messages, influx, in_a_message).await;
        until("all points are there", || points(influx) >= records).await;
        let over_s = began.elapsed().as_secs_f64();
        let cpu = watch.until_now();
        Round { over_s, cpu }
    }

    async fn ours(&self, messages: &[(String, String)], records: u64) -> Round {
        let influx = Influx::start(Settings::default());
        let (folder, kafka) = (self.folder.path(), self.kafka.address());
        let mut ingest = Lake::ingest(folder, "ingest", self.broker.port(), &kafka, &[]);
        let mut sink = Lake::sink(folder, "sink", &kafka, &influx.url(), &[]);
        ingest.becomes_ready();
        sink.becomes_ready();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let programs = [("ingest", ingest.process()), ("sink", sink.process())];
        let round = self.feed(&influx, messages, records, programs).await;
        assert_eq!(ingest.terminate(), Some(0), "{}", ingest.log());
        assert_eq!(sink.terminate(), Some(0), "{}", sink.log());
        round
    }

    async fn telegraf(&self, program: &Path, messages: &[(String, String)], records: u64) -> Round {
        let influx = Influx::start(Settings::default());
        let (folder, kafka) = (self.folder.path(), self.kafka.address());
        let mut sink = telegraf::sink(program, folder, &kafka, &influx.url());
        let mut ingest = telegraf::ingest(program, folder, self.broker.port(), &kafka);
        ingest.says("Connected");
        tokio::time::sleep(Duration::from_secs(4)).await;
        let programs = [("ingest", ingest.process()), ("sink", sink.process())];
        let round = self.feed(&influx, messages, records, programs).await;
        ingest.terminate();
        sink.terminate();
        round
    }
}

/// Measures it.
///
/// # Panics
///
/// Something can't be started, or records are lost.
pub async fn measure(effort: &Effort) {
    let servers = Servers::start();
    let peer = telegraf::program();
    if peer.is_some() {
        servers
            .kafka
            .create_topic(telegraf::TOPIC, i32::try_from(MACHINES).expect("few"))
            .await;
    }
    let messages = messages(effort.records, IN_A_MESSAGE);
    let records = messages.len() as u64 * IN_A_MESSAGE;
    let bytes: usize = messages.iter().map(|(_, payload)| payload.len()).sum();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        ours.push(servers.ours(&messages, records).await);
        if let Some(program) = &peer {
            theirs.push(servers.telegraf(program, &messages, records).await);
        }
    }
    title(&format!(
        "Through the lake, {IN_A_MESSAGE} records a message: mosquitto, ingest, Kafka, sink"
    ));
    tell("Retrotap", &ours, records);
    if theirs.is_empty() {
        note("Telegraf wasn't built: tests/support/peers.sh");
    } else {
        tell("Telegraf", &theirs, records);
        let ratio = programs_s(&theirs) / programs_s(&ours);
        let samples = records * effort.rounds as u64;
        figure(
            "processor time of both programs, Telegraf's to ours",
            ratio,
            "times",
            samples,
            Budget::None,
        );
    }
    note(&format!(
        "{} rounds in turns of {records} records of {:.0} bytes of JSON, {MACHINES} machines, QoS 1, no TLS; \
         the database is a stand-in in this process and not counted",
        effort.rounds,
        bytes as f64 / records as f64
    ));
}

/// Processor time of ingest and sink, the median of the rounds.
fn programs_s(rounds: &[Round]) -> f64 {
    let of_round = |round: &Round| round.cpu.iter().take(2).map(|(_, s)| s).sum();
    median(rounds.iter().map(of_round).collect())
}

fn tell(who: &str, rounds: &[Round], records: u64) {
    let samples = records * rounds.len() as u64;
    let count = records as f64;
    let over_s = median(rounds.iter().map(|round| round.over_s).collect());
    let name = format!("{who}, all of this machine");
    figure(&name, count / over_s, "records/s", samples, Budget::None);
    let budget = if who == "Retrotap" {
        Budget::AtLeast(PER_CORE)
    } else {
        Budget::None
    };
    let name = format!("{who}, on one core, ingest and sink");
    let per_core = count / programs_s(rounds);
    figure(&name, per_core, "records/s", samples, budget);
    let whole = |round: &Round| round.cpu.iter().map(|(_, s)| s).sum();
    let whole_s = median(rounds.iter().map(whole).collect());
    let name = format!("{who}, on one core, mosquitto and Kafka too");
    figure(&name, count / whole_s, "records/s", samples, Budget::None);
    for part in 0..4 {
        let part_name = rounds.first().map_or("", |round| round.cpu[part].0);
        let part_s = median(rounds.iter().map(|round| round.cpu[part].1).collect());
        let name = format!("{who}, {part_name} alone");
        let micros = part_s / count * 1e6;
        figure(&name, micros, "µs/record", samples, Budget::None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_json_and_each_has_a_name_of_its_own() {
        let mut names = std::collections::BTreeSet::new();
        for (_, payload) in messages(4_800, 100) {
            let entries: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
            for entry in entries.as_array().expect("an array") {
                let name = [&entry["machine"], &entry["record"], &entry["t"]];
                assert!(names.insert(format!("{name:?}")), "{entry}");
            }
        }
        assert_eq!(names.len(), 4_800);
    }
}
