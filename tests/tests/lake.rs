//! The lake with a real mosquitto, a real Kafka and a strict database: nothing lost, nothing twice,
//! whatever is killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use retrotap_tests::feeder::{EPOCH, Feeder, record};
use retrotap_tests::influx::line_protocol::Value;
use retrotap_tests::influx::{Failure, Influx, Settings, Store};
use retrotap_tests::kafka::Kafka;
use retrotap_tests::lake::Lake;
use retrotap_tests::mosquitto::{Listener, Mosquitto};
use retrotap_tests::subscriber::eventually;
use tempfile::TempDir;

/// All that stands around the lake.
struct Plant {
    folder: TempDir,
    broker: Mosquitto,
    kafka: Kafka,
    influx: Influx,
}

impl Plant {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // A broker that holds on to nothing: what the lake doesn't have must come from the gateway.
        let more = "persistence false\nmax_queued_messages 100";
        Self {
            broker: Mosquitto::start(folder.path(), &Listener::Plain, more),
            kafka: Kafka::start(folder.path()),
            influx: Influx::start(Settings::default()),
            folder,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn ingest(&self, name: &str, more: &[&str]) -> Lake {
        Lake::ingest(
            self.path(),
            name,
            self.broker.port(),
            &self.kafka.address(),
            more,
        )
    }

    fn sink(&self, name: &str, more: &[&str]) -> Lake {
        Lake::sink(
            self.path(),
            name,
            &self.kafka.address(),
            &self.influx.url(),
            more,
        )
    }

    fn store(&self) -> Store {
        self.influx.store("retrotap")
    }

    /// Waits until the database has this many points, then looks at each of them.
    async fn has(&self, machines: &[(&str, u64)], lakes: &[&Lake]) {
        let total: u64 = machines.iter().map(|(_, count)| count).sum();
        for _ in 0..6000 {
            if self.store().counts().points >= total {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let logs = || {
            lakes
                .iter()
                .map(|lake| lake.log())
                .collect::<Vec<_>>()
                .join("\n---\n")
        };
        let store = self.store();
        assert_eq!(store.counts().points, total, "{}", logs());
        assert_eq!(store.counts().conflicts, 0);
        let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (series, _, kept) in store.points() {
            assert_eq!(series.measurement, "counted");
            assert_eq!(series.tags["epoch"], EPOCH.to_string());
            let Value::Integer(n) = kept.fields["n"] else {
                panic!("{kept:?}")
            };
            let seq = u64::try_from(n).expect("positive");
            assert_eq!(kept.fields["seq"], Value::Integer(n));
            assert_eq!(kept.fields["x"], Value::Float(n as f64 / 2.0));
            assert_eq!(kept.fields["odd"], Value::Boolean(n % 2 == 1));
            assert_eq!(kept.fields["name"], Value::Text(format!("no. {n}")));
            found
                .entry(series.tags["machine"].clone())
                .or_default()
                .push(seq);
        }
        for (machine, count) in machines {
            let seqs = found.get_mut(*machine).expect("its points");
            seqs.sort_unstable();
            assert!(seqs.iter().copied().eq(1..=*count), "{machine}");
        }
    }
}

/// Waits, but not as long as `eventually` does.
async fn soon(what: &str, done: impl FnMut() -> bool) {
    eventually(what, done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_go_from_mqtt_through_kafka_into_the_database() {
    let plant = Plant::start();
    let mut ingest = plant.ingest("ingest", &[]);
    let mut sink = plant.sink("sink", &[]);
    ingest.becomes_ready();
    sink.becomes_ready();
    let feeder = Feeder::start(plant.broker.port());
    feeder.put("robot-1", 3000);
    feeder.put("press-2", 500);
    soon("all taken", || feeder.held() == 0).await;
    plant
        .has(&[("robot-1", 3000), ("press-2", 500)], &[&ingest, &sink])
        .await;

    // Byte for byte, in order, one partition for a machine.
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut partitions: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for message in plant.kafka.read("retrotap.records") {
        partitions
            .entry(message.key.clone())
            .or_default()
            .push(message.partition);
        by_key
            .entry(message.key.clone())
            .or_default()
            .push(message.text().to_owned());
    }
    let expected: Vec<String> = (1..=3000).map(|seq| record("robot-1", seq)).collect();
    assert_eq!(by_key["aachen/cell-3/robot-1"], expected);
    for partitions in partitions.values_mut() {
        partitions.dedup();
        assert_eq!(partitions.len(), 1);
    }

    assert_eq!(
        ingest.metric("retrotap_lake_ingest_entries_total{stream=\"records\"}"),
        3500.0
    );
    assert_eq!(sink.metric("retrotap_lake_sink_points_total"), 3500.0);
    assert_eq!(ingest.terminate(), Some(0), "{}", ingest.log());
    assert_eq!(sink.terminate(), Some(0), "{}", sink.log());
    assert_eq!(feeder.sent_again(), 0);
    // What was committed at the stop is not read again.
    let before = plant.store().counts();
    let mut sink = plant.sink("sink-again", &[]);
    sink.becomes_ready();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(plant.store().counts(), before);
}
