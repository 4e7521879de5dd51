//! The lake with a real mosquitto, a real Kafka and a strict database: nothing lost, nothing twice,
//! whatever is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use retrotap::capture::Item;
use retrotap::line::{Line, Output};
use retrotap::modules::assemble::{Params, assemble};
use retrotap::modules::catalog::Catalog;
use retrotap::port::replay::{Replay, Speed};
use retrotap::simulate::{Faults, Krc2, Wire, drive};
use retrotap::time::rfc3339;
use retrotap_tests::binary::{self, repository};
use retrotap_tests::certificates::{Authority, Validity};
use retrotap_tests::feeder::{EPOCH, Feeder, record};
use retrotap_tests::gateway::Gateway;
use retrotap_tests::influx::line_protocol::Value;
use retrotap_tests::influx::{Failure, Influx, Settings, Store};
use retrotap_tests::kafka::Kafka;
use retrotap_tests::lake::Lake;
use retrotap_tests::mosquitto::{Listener, Mosquitto};
use retrotap_tests::robot::CYCLE_BYTES;
use retrotap_tests::subscriber::{Subscriber, eventually};
use rumqttc::{AsyncClient, Broker, MqttOptions, PublishOptions, QoS};
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
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // A broker that holds on to nothing: what the lake doesn't have must come from the gateway.
        let more = "persistence false\nmax_queued_messages 100";
        Self {
            broker: Mosquitto::start(folder.path(), &Listener::Plain, more),
            kafka: Kafka::start(folder.path()),
            influx: Influx::start(settings),
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

    /// Puts records of a machine straight into Kafka.
    fn publish(&self, records: &[String]) {
        let messages = records
            .iter()
            .map(|json| ("aachen/cell-3/robot-1", json.as_bytes()));
        self.kafka.publish("retrotap.records", messages);
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
    eventually("all taken", || feeder.held() == 0).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_is_killed_while_messages_are_in_flight_loses_nothing() {
    let plant = Plant::start();
    let feeder = Feeder::start(plant.broker.port());
    let mut sink = plant.sink("sink", &[]);
    let mut in_flight = 0;
    for round in 0..5 {
        let mut ingest = plant.ingest(&format!("ingest-{round}"), &[]);
        ingest.becomes_ready();
        feeder.put("robot-1", 4000);
        feeder.put("press-2", 1000);
        let taken = feeder.taken();
        eventually("some are taken", || feeder.taken() > taken).await;
        in_flight += u32::from(feeder.held() > 0);
        ingest.kill();
    }
    assert!(in_flight > 0, "no kill met anything in flight");
    assert!(feeder.held() > 0, "nothing was left for the last one");
    let mut ingest = plant.ingest("ingest-last", &[]);
    ingest.becomes_ready();
    sink.becomes_ready();
    eventually("all taken", || feeder.held() == 0).await;
    plant
        .has(&[("robot-1", 20_000), ("press-2", 5000)], &[&ingest, &sink])
        .await;
    println!(
        "{in_flight} of 5 kills met entries in flight, {} were sent again",
        feeder.sent_again()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_while_kafka_is_down_and_all_of_it_when_it_is_back() {
    let mut plant = Plant::start();
    let mut ingest = plant.ingest("ingest", &[]);
    let mut sink = plant.sink("sink", &[]);
    ingest.becomes_ready();
    sink.becomes_ready();
    let feeder = Feeder::start(plant.broker.port());
    feeder.put("robot-1", 1000);
    eventually("all taken", || feeder.held() == 0).await;

    plant.kafka.kill();
    feeder.put("robot-1", 2000);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(feeder.held(), 2000, "taken without Kafka");
    plant.kafka.restart();
    eventually("all taken", || feeder.held() == 0).await;

    // Away for so long that the ingest leaves its group: it says so, and comes back by itself.
    plant.kafka.kill();
    feeder.put("robot-1", 500);
    eventually("it leaves", || ingest.ready().is_err()).await;
    assert_eq!(feeder.held(), 500, "taken without Kafka");
    assert!(
        ingest.log().contains("leaving the group"),
        "{}",
        ingest.log()
    );
    plant.kafka.restart();
    ingest.becomes_ready();
    eventually("all taken", || feeder.held() == 0).await;
    plant.has(&[("robot-1", 3500)], &[&ingest, &sink]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_busy_away_or_cut_off_is_waited_for() {
    let mut plant = Plant::start();
    let mut sink = plant.sink("sink", &["--batch-points", "100"]);
    sink.becomes_ready();
    let records = |from: u64, to: u64| -> Vec<String> {
        (from..=to).map(|seq| record("robot-1", seq)).collect()
    };
    let answer = |status, retry_after| Failure::Answer {
        status,
        retry_after,
    };
    for (count, failure) in [
        (2, answer(429, None)),
        (1, answer(500, None)),
        (1, Failure::CutBefore),
        (2, Failure::CutAfter),
        (1, answer(503, None)),
    ] {
        plant.influx.fail_next(count, failure);
    }
    plant.publish(&records(1, 1000));
    plant.has(&[("robot-1", 1000)], &[&sink]).await;
    assert_eq!(plant.influx.failures_left(), 0);
    assert!(sink.metric("retrotap_lake_sink_retries_total") >= 7.0);
    assert_eq!(sink.metric("retrotap_lake_sink_refused_total"), 0.0);
    assert!(
        plant.store().counts().rewrites > 0,
        "what was cut off after it was written"
    );

    // The server says when.
    plant.influx.fail_next(1, answer(503, Some(3)));
    let began = Instant::now();
    plant.publish(&records(1001, 1001));
    eventually("it says that it waits", || sink.ready().is_err()).await;
    plant.has(&[("robot-1", 1001)], &[&sink]).await;
    assert!(
        began.elapsed() >= Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    eventually("it is ready again", || sink.ready().is_ok()).await;

    // Away for longer than a sink goes on reading.
    plant.influx.kill();
    plant.publish(&records(1002, 4000));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(sink.ready().is_err());
    plant.influx.restart();
    plant.has(&[("robot-1", 4000)], &[&sink]).await;
    assert_eq!(sink.terminate(), Some(0), "{}", sink.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_accepted_is_said_and_nothing_is_skipped() {
    let plant = Plant::start();
    let wrong = plant.path().join("wrong-token");
    std::fs::write(&wrong, "not-the-one").expect("the folder is there");
    let mut sink = plant.sink("sink", &[]);
    sink.becomes_ready();
    assert_eq!(sink.terminate(), Some(0));
    plant.publish(
        &(1..=300)
            .map(|seq| record("robot-1", seq))
            .collect::<Vec<_>>(),
    );
    let kafka = plant.kafka.address();
    let mut arguments = vec![
        "sink", "--kafka", &kafka, "--org", "plant", "--bucket", "retrotap",
    ];
    let (url, wrong) = (
        plant.influx.url(),
        wrong.to_str().expect("UTF-8").to_owned(),
    );
    arguments.extend(["--influx-url", &url, "--token-file", &wrong]);
    let mut sink = Lake::start(plant.path(), "sink-wrong", &arguments);
    eventually("it says why", || {
        sink.log().contains("doesn't accept the token")
    })
    .await;
    let why = sink.ready().expect_err("not ready");
    assert!(why.contains("wrong-token"), "{why}");
    assert_eq!(sink.terminate(), Some(0), "{}", sink.log());
    let mut sink = plant.sink("sink-right", &[]);
    sink.becomes_ready();
    plant.has(&[("robot-1", 300)], &[&sink]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_record_goes_to_refused_alone_and_as_it_came() {
    let plant = Plant::with(Settings {
        body_bytes_max: 20_000,
        ..Settings::default()
    });
    let mut sink = plant.sink("sink", &["--no-gzip"]);
    sink.becomes_ready();
    let mut records: Vec<String> = (1..=2000).map(|seq| record("robot-1", seq)).collect();
    plant.publish(&records[..1]);
    eventually("the first", || plant.store().counts().points == 1).await;
    // Of another type than the database has; no JSON; no time; larger than the database takes at all.
    let conflict = record("robot-1", 9001).replace("\"x\":4500.5", "\"x\":\"half\"");
    let no_time = record("robot-1", 9002).replace("2026-11-20T", "2026-11-31T");
    let large = record("robot-1", 9003).replace("no. 9003", &"long ".repeat(5000));
    let poison = vec![conflict, "no JSON".to_owned(), no_time, large];
    for (place, bad) in [(1900, 0), (1000, 1), (500, 2), (100, 3)] {
        records.insert(place, poison[bad].clone());
    }
    plant.publish(&records[1..]);
    plant.has(&[("robot-1", 2000)], &[&sink]).await;
    eventually("all four are refused", || {
        sink.metric("retrotap_lake_sink_refused_total") >= 4.0
    })
    .await;
    let refused: BTreeSet<String> = plant
        .kafka
        .read("retrotap.refused")
        .iter()
        .map(|message| message.text().to_owned())
        .collect();
    assert_eq!(refused, poison.into_iter().collect());
    for cause in ["database_422", "database_413", "not_a_record", "time"] {
        let beginning = format!("retrotap_lake_sink_refused_total{{cause=\"{cause}\"}}");
        assert_eq!(sink.metric(&beginning), 1.0, "{cause}: {}", sink.log());
    }
    // They are done with: the next sink doesn't meet them again.
    assert_eq!(sink.terminate(), Some(0));
    let mut sink = plant.sink("sink-again", &[]);
    sink.becomes_ready();
    plant.publish(&[record("robot-1", 2001)]);
    plant.has(&[("robot-1", 2001)], &[&sink]).await;
    assert_eq!(sink.metric("retrotap_lake_sink_records_total"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_killed_between_write_and_commit_loses_nothing() {
    let plant = Plant::start();
    plant.influx.delay(Duration::from_millis(60));
    // Killed ones are missed soon.
    let soon = [
        "--kafka-option",
        "session.timeout.ms=2000",
        "--kafka-option",
        "heartbeat.interval.ms=500",
    ];
    let small = [&["--batch-points", "100"][..], &soon].concat();
    let mut sink = plant.sink("sink-0", &small);
    sink.becomes_ready();
    plant.publish(
        &(1..=10_000)
            .map(|seq| record("robot-1", seq))
            .collect::<Vec<_>>(),
    );
    let mut in_flight = 0;
    for round in 1..=5 {
        let before = plant.store().counts().points;
        eventually("it writes", || plant.store().counts().points > before + 300).await;
        in_flight += u32::from(sink.metric("retrotap_lake_sink_in_flight ") > 0.0);
        sink.kill();
        sink = plant.sink(&format!("sink-{round}"), &small);
    }
    assert!(in_flight > 0, "no kill met a write");
    plant.influx.delay(Duration::ZERO);
    plant.has(&[("robot-1", 10_000)], &[&sink]).await;
    let counts = plant.store().counts();
    assert!(
        counts.rewrites > 0,
        "what wasn't committed is written again"
    );
    println!(
        "{in_flight} of 5 kills met a write, {} points were written again",
        counts.rewrites
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ingests_and_two_sinks_share_the_work_and_one_alone_goes_on() {
    let plant = Plant::start();
    let mut ingests = [plant.ingest("ingest-a", &[]), plant.ingest("ingest-b", &[])];
    let mut sinks = [plant.sink("sink-a", &[]), plant.sink("sink-b", &[])];
    ingests
        .iter_mut()
        .chain(&mut sinks)
        .for_each(Lake::becomes_ready);
    let feeder = Feeder::start(plant.broker.port());
    let machines: Vec<String> = (1..=16).map(|n| format!("machine-{n}")).collect();
    let put = |count| {
        machines
            .iter()
            .for_each(|machine| feeder.put(machine, count));
    };
    put(200);
    eventually("all taken", || feeder.held() == 0).await;
    let expect = |count| {
        machines
            .iter()
            .map(|m| (m.as_str(), count))
            .collect::<Vec<_>>()
    };
    let logs = [&ingests[0], &ingests[1], &sinks[0], &sinks[1]];
    plant.has(&expect(200), &logs).await;
    let shares: Vec<f64> = ingests
        .iter()
        .map(|ingest| ingest.metric("retrotap_lake_ingest_entries_total"))
        .chain(
            sinks
                .iter()
                .map(|sink| sink.metric("retrotap_lake_sink_points_total")),
        )
        .collect();
    assert!(shares.iter().all(|share| *share > 0.0), "{shares:?}");
    assert_eq!(shares[0] + shares[1], 3200.0, "{shares:?}");

    // Half of them stop as they should, while there is work.
    put(500);
    assert_eq!(ingests[0].terminate(), Some(0), "{}", ingests[0].log());
    assert_eq!(sinks[0].terminate(), Some(0), "{}", sinks[0].log());
    eventually("all taken", || feeder.held() == 0).await;
    plant.has(&expect(700), &[&ingests[1], &sinks[1]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_ingest_has_told_of_everything_that_it_gave_to_kafka() {
    let plant = Plant::start();
    let mut ingest = plant.ingest("ingest", &[]);
    ingest.becomes_ready();
    let feeder = Feeder::start(plant.broker.port());
    feeder.put("robot-1", 50_000);
    eventually("some are taken", || feeder.taken() > 2000).await;
    assert_eq!(ingest.terminate(), Some(0), "{}", ingest.log());
    assert!(feeder.held() > 0, "it was in the middle of it");
    let names: BTreeSet<String> = plant
        .kafka
        .read("retrotap.records")
        .iter()
        .map(|message| message.text().to_owned())
        .collect();
    eventually("all of it is told", || feeder.taken() == names.len() as u64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_named_is_refused_once_and_holds_nothing_up() {
    let plant = Plant::start();
    let mut ingest = plant.ingest("ingest", &[]);
    ingest.becomes_ready();
    let taken = Subscriber::start(
        plant.broker.port(),
        None,
        "retrotap/1/aachen/cell-3/+/taken",
    )
    .await;
    let options = MqttOptions::new("stranger", Broker::tcp("127.0.0.1", plant.broker.port()));
    let (client, mut events) = AsyncClient::builder(options).capacity(100).build();
    let driver = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    let other = format!("[{}]", record("robot-2", 1));
    let gap = format!("[{},{}]", record("robot-1", 1), record("robot-1", 3));
    let newer = format!("[{}]", record("robot-1", 7).replace("\"v\":1", "\"v\":2"));
    let wrong = ["no JSON", "[]", "[{}]", &other, &gap, &newer];
    let publish = async |topic: &str, payload: &str, qos| {
        let topic = format!("retrotap/1/aachen/cell-3/robot-1/{topic}");
        let done = client
            .publish(topic, payload.to_owned(), PublishOptions::new(qos))
            .await;
        done.expect("the client runs");
    };
    for _ in 0..3 {
        for payload in wrong {
            publish("records", payload, QoS::AtLeastOnce).await;
        }
    }
    publish("schema/counter@1.0.0", "{}", QoS::AtLeastOnce).await;
    publish(
        "records",
        &format!("[{}]", record("robot-1", 1)),
        QoS::AtMostOnce,
    )
    .await;
    publish(
        "records",
        &format!("[{}]", record("robot-1", 1)),
        QoS::AtLeastOnce,
    )
    .await;
    eventually("the good one is taken", || !taken.messages().is_empty()).await;

    let refused: Vec<String> = plant
        .kafka
        .read("retrotap.refused")
        .iter()
        .map(|message| message.text().to_owned())
        .collect();
    assert_eq!(refused.len(), wrong.len() + 2, "{refused:?}");
    for payload in wrong {
        assert_eq!(
            refused.iter().filter(|kept| *kept == payload).count(),
            1,
            "{payload}"
        );
    }
    for (cause, count) in [
        ("not_json", 3.0),
        ("empty", 3.0),
        ("no_name", 6.0),
        ("other_machine", 3.0),
        ("numbers", 3.0),
        ("document", 1.0),
        ("qos_0", 1.0),
    ] {
        let beginning = format!("retrotap_lake_ingest_refused_total{{cause=\"{cause}\"}}");
        assert_eq!(
            ingest.metric(&beginning),
            count,
            "{cause}: {}",
            ingest.log()
        );
    }
    assert_eq!(taken.messages().len(), 1);
    assert_eq!(plant.kafka.read("retrotap.records").len(), 1);
    driver.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_typed_by_the_manifest_that_a_gateway_retains() {
    let plant = Plant::start();
    let manifest = r#"{"stage":"counter","version":"1.0.0","abi":1,"title":"Counts","input":"frame","records":[{"record":"counted","fields":[{"name":"x","kind":"f64"},{"name":"n","kind":"i64"}]}],"sizes":{"frame_bytes_max":8,"output_bytes_max":64,"records_max":1,"memory_bytes":4096},"time_budget_us":100}"#;
    // Retained before anybody listens.
    let options = MqttOptions::new("gateway", Broker::tcp("127.0.0.1", plant.broker.port()));
    let (client, mut events) = AsyncClient::builder(options).capacity(100).build();
    let driver = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    let topic = "retrotap/1/aachen/cell-3/robot-1/schema/counter@1.0.0";
    let retained = PublishOptions::new(QoS::AtLeastOnce).retain(true);
    client
        .publish(topic, manifest, retained.clone())
        .await
        .expect("the client runs");
    let alarms = r#"{"v":1,"t":"2026-11-20T10:55:00Z","active":[]}"#;
    let topic = "retrotap/1/aachen/cell-3/alarms";
    client
        .publish(topic, alarms, retained)
        .await
        .expect("the client runs");
    let mut ingest = plant.ingest("ingest", &[]);
    ingest.becomes_ready();
    eventually("both are kept", || {
        ingest.metric("retrotap_lake_ingest_documents_total") >= 2.0
    })
    .await;
    let schemas = plant.kafka.read("retrotap.schemas");
    assert_eq!(schemas[0].key, "counter@1.0.0");
    assert_eq!(schemas[0].text(), manifest);
    let states = plant.kafka.read("retrotap.alarms");
    assert_eq!(
        (states[0].key.as_str(), states[0].text()),
        ("aachen/cell-3/alarms", alarms)
    );

    let mut sink = plant.sink("sink", &["--create-buckets", "--retention", "30d"]);
    sink.becomes_ready();
    // A whole number where the manifest says a float; a fraction where it says a whole number.
    let whole = record("robot-1", 2).replace("\"x\":1.0", "\"x\":1");
    let fraction = record("robot-1", 4).replace("\"n\":4", "\"n\":4.0");
    plant.publish(&[
        record("robot-1", 1),
        whole,
        record("robot-1", 3),
        fraction.clone(),
    ]);
    plant.has(&[("robot-1", 3)], &[&sink]).await;
    eventually("the fourth is refused", || {
        plant.kafka.read("retrotap.refused").len() == 1
    })
    .await;
    assert_eq!(plant.kafka.read("retrotap.refused")[0].text(), fraction);

    // Buckets and tasks that were asked for.
    let buckets: BTreeMap<String, u64> = plant
        .influx
        .buckets()
        .into_iter()
        .map(|bucket| (bucket.name, bucket.retention_s))
        .collect();
    assert_eq!(
        buckets,
        BTreeMap::from([("retrotap".to_owned(), 0), ("retrotap_1m".to_owned(), 0)])
    );
    let tasks = plant.influx.tasks();
    let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(names, ["retrotap retrotap_1m", "retrotap retrotap_1m late"]);
    assert_eq!(sink.terminate(), Some(0));
    let mut again = plant.sink("sink-again", &["--create-buckets"]);
    again.becomes_ready();
    assert_eq!(plant.influx.tasks(), tasks, "made once");
    assert_eq!(again.terminate(), Some(0));
    plant
        .influx
        .change_task(&tasks[0].name, "something of somebody's");
    let mut again = plant.sink("sink-again", &["--create-buckets"]);
    again.becomes_ready();
    assert_eq!(plant.influx.tasks(), tasks, "put back");
    driver.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_used_and_a_wrong_one_is_named() {
    let mut plant = Plant::start();
    let authority = Authority::new(plant.path(), "ca");
    let other = Authority::new(plant.path(), "other-ca");
    let listener = Listener::MutualTls {
        ca: authority.cert.clone(),
        broker: authority.broker("broker", &["localhost"], Validity::Valid),
    };
    plant.broker = Mosquitto::start(plant.path(), &listener, "");
    let client = authority.client("lake", Validity::Valid);
    let url = format!("mqtts://localhost:{}", plant.broker.port());
    let kafka = plant.kafka.address();
    let file = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (cert, key) = (file(&client.cert), file(&client.key));
    let start = |name: &str, ca: &Path| {
        let ca = file(ca);
        let arguments = ["ingest", "--mqtt-url", &url, "--kafka", &kafka, "--ca", &ca];
        let more = ["--client-cert", &cert, "--client-key", &key];
        Lake::start(plant.path(), name, &[&arguments[..], &more[..]].concat())
    };
    let mut ingest = start("ingest", &authority.cert);
    ingest.becomes_ready();
    let refused = start("refused", &other.cert);
    eventually("it says why", || {
        let log = refused.log();
        log.contains("isn't signed by a CA in") && log.contains("other-ca.pem")
    })
    .await;
    assert!(refused.log().contains("(--ca)"), "{}", refused.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_would_lose_records_is_a_reason_not_to_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let kafka = Kafka::start(folder.path());
    let admin: rdkafka::admin::AdminClient<_> = kafka.client(&[]);
    let one = || rdkafka::admin::TopicReplication::Fixed(1);
    let topic = rdkafka::admin::NewTopic::new("retrotap.records", 1, one())
        .set("cleanup.policy", "compact");
    let short =
        rdkafka::admin::NewTopic::new("retrotap.frames", 1, one()).set("retention.ms", "86400000");
    let made = admin
        .create_topics([&topic, &short], &rdkafka::admin::AdminOptions::new())
        .await;
    made.expect("Kafka answers");
    let mut ingest = Lake::ingest(folder.path(), "ingest", 1, &kafka.address(), &[]);
    assert_eq!(ingest.ends(), Some(1), "{}", ingest.log());
    for said in [
        "retrotap.records",
        "compact",
        "retrotap.frames",
        "1.0 days",
        "35 days",
    ] {
        assert!(ingest.log().contains(said), "{said}: {}", ingest.log());
    }
}

#[test]
fn options_that_do_not_fit_are_told_with_exit_code_2() {
    for (arguments, said) in [
        (&["ingest"][..], "--mqtt-url"),
        (
            &["ingest", "--mqtt-url", "http://x", "--kafka", "x"],
            "mqtts",
        ),
        (
            &["ingest", "--mqtt-url", "mqtts://x", "--kafka", "x"],
            "--ca",
        ),
        (
            &[
                "ingest",
                "--mqtt-url",
                "mqtt://x",
                "--kafka",
                "x",
                "--site",
                "a/b",
            ],
            "without /",
        ),
        (&["sink", "--kafka", "x"], "--influx-url"),
        (
            &[
                "reprocess",
                "--kafka",
                "x",
                "--machine",
                "a/b/c",
                "--adapter",
                "y",
                "--from",
                "2026-01-01",
                "--to",
                "2026-01-02",
            ],
            "--suffix",
        ),
        (
            &[
                "reprocess",
                "--kafka",
                "x",
                "--machine",
                "a/b/c",
                "--adapter",
                "y",
                "--from",
                "2026-01-02",
                "--to",
                "2026-01-01",
                "--stdout",
            ],
            "before",
        ),
        (&["dance"], "dance"),
    ] {
        let output = Command::new(binary::retrotap_lake())
            .args(arguments)
            .output()
            .expect("it starts");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {err}");
        assert!(err.contains(said), "{arguments:?}: {err}");
    }
}

/// What a gateway would have sent of a recording: its frames, and the obstacles from the beginning on.
async fn frames_and_inputs_of(case: &Path) -> (Vec<String>, Vec<String>) {
    let catalog = Catalog::default();
    let engine = catalog.engine().expect("an engine");
    let adapter = catalog.adapter("kuka-krc2").expect("it ships");
    let assembled = assemble(&engine, &catalog, &adapter, &Params::new()).expect("it fits");
    let gauge = Line::gauge_for(&assembled);
    let mut line = Line::new(assembled, gauge).expect("a line");
    let head = |seq: u64, wall_ns: i64, line_ns: u64| {
        format!(
            r#"{{"v":1,"site":"aachen","gateway":"cell-3","machine":"robot-1","epoch":7,"seq":{seq},"t":"{}","clock":"capture","line_ns":{line_ns}"#,
            rfc3339(wall_ns)
        )
    };
    let mut frames = Vec::new();
    let mut begin = None;
    let mut recording = Replay::open(&case.join("capture.pcapng"), Speed::Max).expect("a capture");
    while let Some(item) = recording.next_item().await.expect("whole") {
        let Item::Chunk(chunk) = item else { continue };
        let origin = chunk.at.wall_ns - i64::try_from(chunk.at.line_ns).expect("short");
        begin.get_or_insert(origin);
        line.receive(&chunk, &mut |output| {
            if let Output::Frame(frame) = output {
                let hex: String = frame
                    .bytes
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                let head = head(frame.number, frame.at.wall_ns, frame.at.line_ns);
                let number = frame.number;
                frames.push(format!(
                    r#"{head},"port":0,"frame":{number},"bytes":"{hex}","errors":[]}}"#
                ));
            }
        });
    }
    let begin = begin.expect("chunks");
    let obstacles = std::fs::read_to_string(case.join("obstacles.json")).expect("obstacles");
    let start = head(1, begin, 0);
    let inputs = vec![
        format!(r#"{start},"input":"start","data":{{"machine":"robot-1"}}}}"#),
        format!(
            r#"{},"input":"obstacles","data":{obstacles}}}"#,
            head(2, begin + 1, 1)
        ),
    ];
    (frames, inputs)
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_give_the_same_fields_again_however_they_stand_in_kafka() {
    let case = repository().join("adapters/machines/kuka-krc2/testcases/clean");
    let (mut frames, inputs) = frames_and_inputs_of(&case).await;
    let plant = Plant::start();
    // An ingest makes the topics.
    let mut ingest = plant.ingest("ingest", &[]);
    ingest.becomes_ready();
    assert_eq!(ingest.terminate(), Some(0));
    // A part sent twice, and the later half first.
    let count = frames.len();
    frames.rotate_left(count / 2);
    frames.extend_from_within(..10);
    let key = "aachen/cell-3/robot-1";
    let publish = |topic: &str, entries: &[String]| {
        plant
            .kafka
            .publish(topic, entries.iter().map(|json| (key, json.as_bytes())));
    };
    publish("retrotap.frames", &frames);
    publish("retrotap.inputs", &inputs);

    let kafka = plant.kafka.address();
    let common = [
        "reprocess",
        "--kafka",
        &kafka,
        "--machine",
        key,
        "--adapter",
        "kuka-krc2",
    ];
    let range = [
        "--from",
        "2026-11-20T10:55:00Z",
        "--to",
        "2026-11-20T10:56:00Z",
    ];
    let output = Command::new(binary::retrotap_lake())
        .args(common)
        .args(range)
        .arg("--stdout")
        .output()
        .expect("it starts");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    // Site, gateway, machine and epoch are others than in a replay; all else is byte for byte the same.
    let tail = |json: &str| json[json.find(",\"seq\":").expect("a record")..].to_owned();
    let got: Vec<String> = String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(tail)
        .collect();
    let expected = std::fs::read_to_string(case.join("expected.jsonl")).expect("records");
    let expected: Vec<String> = expected.lines().map(tail).collect();
    assert_eq!(got, expected, "{err}");

    // And as points of a measurement of its own.
    let token = plant.path().join("token");
    std::fs::write(&token, Settings::default().token).expect("the folder is there");
    let (url, token) = (
        plant.influx.url(),
        token.to_str().expect("UTF-8").to_owned(),
    );
    let output = Command::new(binary::retrotap_lake())
        .args(common)
        .args(range)
        .args(["--suffix", "_v2", "--influx-url", &url, "--org", "plant"])
        .args(["--bucket", "retrotap", "--token-file", &token])
        .output()
        .expect("it starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let store = plant.store();
    assert_eq!(store.counts().points, expected.len() as u64);
    let measurements: BTreeSet<&str> = store
        .points()
        .map(|(series, _, _)| series.measurement.as_str())
        .collect();
    assert_eq!(
        measurements,
        BTreeSet::from(["axes_v2", "axis_speeds_v2", "distance_v2", "pose_v2"])
    );
}

/// Time and fields of records by name, from their JSON.
fn fields_by_time(records: impl Iterator<Item = String>) -> BTreeMap<(String, String), String> {
    let part = |json: &str, from: &str, to: &str| {
        let begin = json.find(from).expect("a record") + from.len();
        json[begin..begin + json[begin..].find(to).expect("its end")].to_owned()
    };
    let of = |json: String| {
        let name = part(&json, "\"record\":\"", "\"");
        (
            (name, part(&json, "\"t\":\"", "\"")),
            part(&json, "\"fields\":", "}"),
        )
    };
    records.map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_made_is_made_again_from_what_it_sent() {
    let plant = Plant::start();
    let mut ingest = plant.ingest("ingest", &[]);
    ingest.becomes_ready();
    let mut wire = Wire::pty(Some(&plant.path().join("robot"))).expect("a pseudo-terminal");
    let person = r#"[{"id":"person","kind":"sphere","center":[2.6,0.4,1.2],"radius":0.4}]"#;
    std::fs::write(plant.path().join("obstacles.json"), person).expect("written");
    // Where the robot stands is a parameter, and not the adapter's.
    let settings = format!(
        "site: aachen\ngateway: cell-3\nallow_unsigned: true\nspool: {{path: spool}}\n\
         machines:\n  - {{id: robot-1, adapter: kuka-krc2, port: {port}}}\n\
         cells:\n  - id: cell\n    robots:\n\
         \x20     - {{machine: robot-1, base_pose: {{xyz: [0.25m, -0.5m, 0.1m], rpy: [0deg, 0deg, 30deg]}}}}\n\
         \x20   obstacles: {{file: obstacles.json}}\n\
         uplink:\n  mqtt: {{url: \"mqtt://127.0.0.1:{broker}\"}}\n  release_on: lake\n",
        port = plant.path().join("robot").display(),
        broker = plant.broker.port(),
    );
    let mut gateway = Gateway::start(plant.path(), &settings, &[]);
    gateway.reaches("robot-1", "silent").await;
    let mut robot = Krc2::new(3, Faults::default());
    let events: Vec<_> = (0..40 * CYCLE_BYTES).filter_map(|_| robot.next()).collect();
    drive(&mut wire, events, std::future::pending())
        .await
        .expect("the pseudo-terminal works");
    // A stopped gateway has sent what it had.
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    let of_records = plant.kafka.read("retrotap.records");
    let made = fields_by_time(of_records.iter().map(|message| message.text().to_owned()));
    assert!(
        made.keys().filter(|(name, _)| name == "distance").count() >= 20,
        "{made:?}"
    );

    let kafka = plant.kafka.address();
    let output = Command::new(binary::retrotap_lake())
        .args([
            "reprocess",
            "--kafka",
            &kafka,
            "--machine",
            "aachen/cell-3/robot-1",
        ])
        .args([
            "--adapter",
            "kuka-krc2",
            "--from",
            "2020-01-01",
            "--to",
            "2100-01-01",
            "--stdout",
        ])
        .output()
        .expect("it starts");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    let out = String::from_utf8(output.stdout).expect("UTF-8");
    let again = fields_by_time(out.lines().map(str::to_owned));
    assert_eq!(again, made, "{err}");
}
