//! The uplink against a real mosquitto: mutual TLS, refusals, restarts, last will, limits.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use retrotap::config::limits;
use retrotap::spool::{Fields, Intake, Spool};
use retrotap::uplink::tls::client_config;
use retrotap::uplink::{self, Board, BrokerUrl, ClientFiles, ReleaseOn, State, Status, TlsFiles};
use retrotap::words::{ClockState, RawFrame, Record, Stamp};
use retrotap_tests::certificates::{Authority, Pair, Validity};
use retrotap_tests::mosquitto::{Listener, Mosquitto, free_port};
use retrotap_tests::subscriber::{Subscriber, eventually};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An uplink under test with the line's end of its spool.
struct Running {
    intake: Intake,
    spool: Spool,
    board: Board,
    status: watch::Receiver<Status>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    // Last: the spool ends before its folder.
    _folder: TempDir,
}

impl Running {
    fn start(url: BrokerUrl, tls: Option<TlsFiles>) -> Self {
        Self::start_releasing_on(ReleaseOn::Broker, url, tls)
    }

    fn start_releasing_on(release_on: ReleaseOn, url: BrokerUrl, tls: Option<TlsFiles>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (spool, reader) = Spool::open(&retrotap::spool::Settings {
            site: "aachen".into(),
            gateway: "cell-3".into(),
            path: folder.path().to_owned(),
            max_bytes: limits::SPOOL_BYTES_MIN,
            max_age: None,
            sync_every: limits::SYNC_EVERY_DEFAULT,
        })
        .expect("a new spool");
        let intake = spool.intake("robot-1");
        let board = Board::new();
        let (sender, status) = watch::channel(Status::off());
        let shutdown = CancellationToken::new();
        let settings = uplink::Settings {
            site: "aachen".into(),
            gateway: "cell-3".into(),
            url,
            tls,
            client_id: "retrotap-aachen-cell-3".into(),
            release_on,
            linger: limits::BATCH_LINGER,
            hear: None,
            modules: None,
        };
        let task = tokio::spawn(uplink::run(
            settings,
            reader,
            board.clone(),
            sender,
            shutdown.clone(),
        ));
        Self {
            intake,
            spool,
            board,
            status,
            shutdown,
            task,
            _folder: folder,
        }
    }

    /// Waits for the state and returns what is said about it.
    async fn detail(&mut self, state: State) -> String {
        let watch = self.status.clone();
        let reached = self.status.wait_for(|status| status.state == state);
        tokio::time::timeout(Duration::from_secs(30), reached)
            .await
            .unwrap_or_else(|_| panic!("never {state:?}, but {:?}", watch.borrow()))
            .expect("the uplink runs")
            .detail
            .clone()
    }

    fn record(&self, number: u64) -> bool {
        self.record_of(number, 0)
    }

    fn record_of(&self, number: u64, filling_bytes: usize) -> bool {
        let mut fields = Fields::new();
        fields.integer("n", i64::try_from(number).expect("small"));
        fields.text("filling", &"x".repeat(filling_bytes));
        self.intake.record(Record {
            name: "axes".into(),
            module: "krc2-decode@1.0.0".into(),
            at: at(number),
            clock: ClockState::Synced,
            frame: number,
            fields: fields.finish(),
        })
    }
}

fn at(number: u64) -> Stamp {
    let wall_ns = 1_795_172_100_000_000_000 + i64::try_from(number).expect("small") * 1_000_000;
    Stamp {
        line_ns: number,
        wall_ns,
    }
}

fn plain(port: u16) -> BrokerUrl {
    BrokerUrl {
        tls: false,
        host: "127.0.0.1".into(),
        port,
    }
}

fn tls(port: u16) -> BrokerUrl {
    BrokerUrl {
        tls: true,
        host: "localhost".into(),
        port,
    }
}

fn files(ca: &Path, client: Option<&Pair>) -> TlsFiles {
    TlsFiles {
        ca: ca.into(),
        client: client.map(|pair| ClientFiles {
            cert: pair.cert.clone(),
            key: pair.key.clone(),
        }),
    }
}

fn number(entry: &str, name: &str) -> u64 {
    let value: serde_json::Value = serde_json::from_str(entry).expect("JSON");
    value[name].as_u64().expect("a number")
}

/// A plant: authority, broker with mutual TLS, and the gateway's certificate.
struct Plant {
    folder: tempfile::TempDir,
    authority: Authority,
    broker: Mosquitto,
    client: Pair,
}

impl Plant {
    fn new(names: &[&str], validity: Validity, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new(folder.path(), "plant-ca");
        let listener = Listener::MutualTls {
            ca: authority.cert.clone(),
            broker: authority.broker("broker", names, validity),
        };
        let broker = Mosquitto::start(folder.path(), &listener, more);
        let client = authority.client("gateway", Validity::Valid);
        Self {
            folder,
            authority,
            broker,
            client,
        }
    }

    async fn subscribe(&self, filter: &str) -> Subscriber {
        let config =
            client_config(&files(&self.authority.cert, Some(&self.client))).expect("good files");
        Subscriber::start(self.broker.port(), Some(config), filter).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_frames_arrive_in_order_over_mutual_tls() {
    let plant = Plant::new(&["localhost"], Validity::Valid, "");
    let subscriber = plant.subscribe("retrotap/1/aachen/cell-3/#").await;
    let mut running = Running::start(
        tls(plant.broker.port()),
        Some(files(&plant.authority.cert, Some(&plant.client))),
    );
    assert_eq!(running.detail(State::Connected).await, "");
    running
        .board
        .put_schema("robot-1", "krc2-decode@1.0.0", r#"{"stage":"krc2-decode"}"#);
    for count in 1..=1000 {
        assert!(running.record(count));
        assert!(running.intake.frame(RawFrame {
            at: at(count),
            clock: ClockState::Synced,
            number: count,
            port: 0,
            bytes: vec![3, 0, 0, 0, 0x20, 0x80, 0x2c, 0x80, 0],
            errors: Vec::new(),
        }));
        if count % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    eventually("1000 records and frames", || {
        subscriber.entries("records").len() >= 1000 && subscriber.entries("frames").len() >= 1000
    })
    .await;
    eventually("all is released", || running.spool.backlog().entries == 0).await;
    for stream in ["records", "frames"] {
        let numbers: Vec<u64> = subscriber
            .entries(stream)
            .iter()
            .map(|entry| number(entry, "seq"))
            .collect();
        assert_eq!(numbers, (1..=1000).collect::<Vec<_>>(), "{stream}");
    }
    assert_eq!(running.spool.counts().released, 2000);
    let schema = "retrotap/1/aachen/cell-3/robot-1/schema/krc2-decode@1.0.0";
    eventually("the schema", || {
        subscriber
            .messages()
            .iter()
            .any(|message| message.topic == schema)
    })
    .await;
    let batches = subscriber
        .messages()
        .iter()
        .filter(|m| m.topic.ends_with("records"))
        .count();
    assert!(
        batches < 500,
        "records share messages, but there were {batches}"
    );

    running.shutdown.cancel();
    running.task.await.expect("it ends");
    assert_eq!(running.status.borrow().state, State::Off);
}

/// What the uplink says when it is refused, and that no record was released meanwhile.
async fn refusal(url: BrokerUrl, files: TlsFiles) -> String {
    let mut running = Running::start(url, Some(files));
    assert!(running.record(1));
    let detail = running.detail(State::Refused).await;
    assert_eq!(running.spool.counts().released, 0);
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    detail
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} isn't in: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_another_authority_is_refused_and_the_ca_file_named() {
    let plant = Plant::new(&["localhost"], Validity::Valid, "");
    let other = Authority::new(plant.folder.path(), "other-ca");
    let said = refusal(
        tls(plant.broker.port()),
        files(&other.cert, Some(&plant.client)),
    )
    .await;
    assert_says(
        &said,
        &["isn't signed by a CA in", "other-ca.pem", "uplink.mqtt.ca"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_of_the_broker_is_refused_with_its_date() {
    let plant = Plant::new(&["localhost"], Validity::Expired, "");
    let said = refusal(
        tls(plant.broker.port()),
        files(&plant.authority.cert, Some(&plant.client)),
    )
    .await;
    assert_says(
        &said,
        &[
            "has expired on 2020-01-01",
            "renew it on the broker",
            "clock",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_is_refused_with_both_names() {
    let plant = Plant::new(&["broker.plant.example"], Validity::Valid, "");
    let said = refusal(
        tls(plant.broker.port()),
        files(&plant.authority.cert, Some(&plant.client)),
    )
    .await;
    assert_says(
        &said,
        &["localhost", "broker.plant.example", "uplink.mqtt.url"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_asks_for_a_client_certificate_says_so() {
    let plant = Plant::new(&["localhost"], Validity::Valid, "");
    let said = refusal(tls(plant.broker.port()), files(&plant.authority.cert, None)).await;
    assert_says(&said, &["asks for a client certificate", "client_cert"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_that_the_broker_refuses_is_named() {
    let plant = Plant::new(&["localhost"], Validity::Valid, "");
    let expired = plant.authority.client("old-gateway", Validity::Expired);
    let said = refusal(
        tls(plant.broker.port()),
        files(&plant.authority.cert, Some(&expired)),
    )
    .await;
    assert_says(
        &said,
        &[
            "refuses the client certificate",
            "old-gateway.pem",
            "expired",
        ],
    );

    let other = Authority::new(plant.folder.path(), "other-ca");
    let stranger = other.client("stranger", Validity::Valid);
    let said = refusal(
        tls(plant.broker.port()),
        files(&plant.authority.cert, Some(&stranger)),
    )
    .await;
    assert_says(&said, &["refuses the client certificate", "stranger.pem"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_without_tls_is_recognised() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Mosquitto::start(folder.path(), &Listener::Plain, "");
    let authority = Authority::new(folder.path(), "plant-ca");
    let mut running = Running::start(tls(broker.port()), Some(files(&authority.cert, None)));
    let state = running
        .status
        .wait_for(|status| !status.detail.is_empty())
        .await
        .expect("it runs")
        .clone();
    assert_ne!(state.state, State::Connected);
    assert!(state.detail.contains("closed the connection") || state.detail.contains("speak TLS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_is_waited_for() {
    let port = free_port();
    let mut running = Running::start(plain(port), None);
    assert!(running.record(1));
    let status = running
        .status
        .wait_for(|status| !status.detail.is_empty())
        .await;
    let status = status.expect("it runs").clone();
    assert_eq!(status.state, State::Connecting);
    assert_says(
        &status.detail,
        &["nothing listens at mqtt://127.0.0.1", "does the broker run"],
    );
    running.shutdown.cancel();
    running.task.await.expect("it stops without a broker too");
}

/// Lets a session of the subscriber outlive the broker.
const DURABLE: &str =
    "persistence true\nautosave_on_changes true\nautosave_interval 1\nqueue_qos0_messages true";

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_restarted_costs_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let more = format!(
        "{DURABLE}\npersistence_location {}/",
        folder.path().display()
    );
    let mut broker = Mosquitto::start(folder.path(), &Listener::Plain, &more);
    let subscriber = Subscriber::start(broker.port(), None, "retrotap/1/+/+/+/records").await;
    let mut running = Running::start(plain(broker.port()), None);
    running.detail(State::Connected).await;

    let mut count = 0;
    for round in 0..3 {
        for step in 0..200 {
            count += 1;
            assert!(running.record(count));
            tokio::time::sleep(Duration::from_millis(1)).await;
            if step == 70 {
                broker.kill();
            }
            if step == 140 {
                broker.start_again();
            }
        }
        eventually(&format!("all released after restart {round}"), || {
            running.spool.backlog().entries == 0
        })
        .await;
    }
    let seqs = || -> std::collections::BTreeSet<u64> {
        let entries = subscriber.entries("records");
        entries.iter().map(|entry| number(entry, "seq")).collect()
    };
    eventually("all 600", || seqs().len() == 600).await;

    // What is new overtakes what was kept, so the numbers need not come in order.
    let mut bytes: BTreeMap<u64, String> = BTreeMap::new();
    for entry in subscriber.entries("records") {
        let seq = number(&entry, "seq");
        let first = bytes.entry(seq).or_insert_with(|| entry.clone());
        assert_eq!(*first, entry, "sent again with other bytes");
    }
    assert_eq!(
        bytes.keys().copied().collect::<Vec<_>>(),
        (1..=600).collect::<Vec<_>>()
    );
    assert_eq!(running.spool.counts().dropped, BTreeMap::new());
}

/// Says what a lake says.
fn say_taken(port: u16, topic: &str, payload: &str) {
    let status = std::process::Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-q", "1", "-p", &port.to_string()])
        .args(["-t", topic, "-m", payload])
        .status()
        .expect("mosquitto_pub is installed (Debian package mosquitto-clients)");
    assert!(status.success());
}

fn taken_range(entries: &[String], first: usize, last: usize) -> String {
    let epoch = number(&entries[first], "epoch");
    let (first, last) = (
        number(&entries[first], "seq"),
        number(&entries[last], "seq"),
    );
    format!(
        r#"{{"v":1,"taken":[{{"stream":"records","epoch":{epoch},"first":{first},"last":{last}}}]}}"#
    )
}

const TAKEN: &str = "retrotap/1/aachen/cell-3/robot-1/taken";

#[tokio::test(flavor = "multi_thread")]
async fn with_release_on_lake_a_puback_releases_nothing_and_taken_just_what_it_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Mosquitto::start(folder.path(), &Listener::Plain, "");
    let subscriber = Subscriber::start(broker.port(), None, "retrotap/1/+/+/+/records").await;
    let mut running = Running::start_releasing_on(ReleaseOn::Lake, plain(broker.port()), None);
    running.detail(State::Connected).await;
    for count in 1..=100 {
        assert!(running.record(count));
    }
    eventually("100 records", || subscriber.entries("records").len() >= 100).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        running.spool.backlog().entries,
        100,
        "PUBACK is not delivery"
    );

    let entries = subscriber.entries("records");
    for nonsense in [
        "",
        "{}",
        r#"{"v":1,"taken":[{"stream":"records","epoch":1,"first":1,"last":100}]}"#,
    ] {
        say_taken(broker.port(), TAKEN, nonsense);
    }
    say_taken(
        broker.port(),
        "retrotap/1/aachen/cell-3/robot-2/taken",
        &taken_range(&entries, 0, 99),
    );
    say_taken(broker.port(), TAKEN, &taken_range(&entries, 10, 29));
    eventually("twenty released", || running.spool.backlog().entries == 80).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(running.spool.backlog().entries, 80);
    say_taken(broker.port(), TAKEN, &taken_range(&entries, 0, 99));
    eventually("all released", || running.spool.backlog().entries == 0).await;
    assert_eq!(running.spool.counts().released, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_lake_is_silent_about_is_sent_again_in_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Mosquitto::start(folder.path(), &Listener::Plain, "");
    let subscriber = Subscriber::start(broker.port(), None, "retrotap/1/+/+/+/records").await;
    let mut running = Running::start_releasing_on(ReleaseOn::Lake, plain(broker.port()), None);
    running.detail(State::Connected).await;
    assert!(running.record(1));
    eventually("it is sent", || subscriber.entries("records").len() == 1).await;
    eventually("it is sent again", || {
        subscriber.entries("records").len() == 2
    })
    .await;
    let entries = subscriber.entries("records");
    assert_eq!(entries[0], entries[1]);
    say_taken(broker.port(), TAKEN, &taken_range(&entries, 0, 0));
    eventually("released", || running.spool.backlog().entries == 0).await;
    assert_eq!(
        running.status.borrow().state,
        State::Connected,
        "all in one session"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn status_is_online_then_offline_by_goodbye_or_by_last_will() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Mosquitto::start(folder.path(), &Listener::Plain, "");
    let subscriber =
        Subscriber::start(broker.port(), None, "retrotap/1/aachen/cell-3/status").await;
    let states = || -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        subscriber
            .messages()
            .iter()
            .map(|message| serde_json::from_str(&message.payload).expect("JSON"))
            .map(|value: serde_json::Value| (text(&value["state"]), text(&value["reason"])))
            .collect()
    };
    let pair = |state: &str, reason: &str| (state.to_owned(), reason.to_owned());

    let mut running = Running::start(plain(broker.port()), None);
    running.detail(State::Connected).await;
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    let clean = [pair("online", "connected"), pair("offline", "stopped")];
    eventually("goodbye", || states() == clean).await;

    let mut running = Running::start(plain(broker.port()), None);
    running.detail(State::Connected).await;
    eventually("online", || states().len() == 3).await;
    running.task.abort();
    let cut = [
        clean.to_vec(),
        vec![
            pair("online", "connected"),
            pair("offline", "connection lost"),
        ],
    ]
    .concat();
    eventually("the last will", || states() == cut).await;

    let late = Subscriber::start(broker.port(), None, "retrotap/1/aachen/+/status").await;
    eventually("the retained status", || {
        late.messages()
            .iter()
            .any(|message| message.retain && message.payload.contains("offline"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_in_the_spool_goes_out_before_the_goodbye() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Mosquitto::start(folder.path(), &Listener::Plain, "");
    let subscriber = Subscriber::start(broker.port(), None, "retrotap/#").await;
    let mut running = Running::start(plain(broker.port()), None);
    running.detail(State::Connected).await;
    for count in 1..=500 {
        assert!(running.record(count));
    }
    eventually("taken", || running.spool.counts().taken == 500).await;
    running.shutdown.cancel();
    running.task.await.expect("it ends");
    assert_eq!(running.spool.counts().released, 500);
    eventually("all 500", || subscriber.entries("records").len() == 500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_that_is_not_allowed_is_kept_and_the_topic_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let acl = folder.path().join("acl");
    std::fs::write(&acl, "topic write retrotap/1/aachen/cell-3/status\n").expect("written");
    let more = format!("acl_file {}", acl.display());
    let broker = Mosquitto::start(folder.path(), &Listener::Plain, &more);
    let mut running = Running::start(plain(broker.port()), None);
    running.detail(State::Connected).await;
    assert!(running.record(1));
    let said = running.detail(State::Refused).await;
    assert_says(
        &said,
        &[
            "doesn't allow client",
            "retrotap/1/aachen/cell-3/robot-1/records",
        ],
    );
    assert_eq!(running.spool.backlog().entries, 1);
    assert_eq!(running.spool.counts().dropped, BTreeMap::new());
}

/// 8000 bytes fit neither limit, the records around it fit both.
async fn only_what_is_too_large_is_dropped(more: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = Mosquitto::start(folder.path(), &Listener::Plain, more);
    let subscriber = Subscriber::start(broker.port(), None, "retrotap/#").await;
    let running = Running::start(plain(broker.port()), None);
    for count in 1..=60 {
        assert!(running.record_of(count, if count == 30 { 8000 } else { 200 }));
    }
    let seqs = || -> Vec<u64> {
        let mut seqs: Vec<u64> = subscriber
            .entries("records")
            .iter()
            .map(|entry| number(entry, "seq"))
            .collect();
        // What is new overtakes what a session left.
        seqs.sort_unstable();
        seqs.dedup();
        seqs
    };
    eventually("all but one, and its gap", || seqs().contains(&61)).await;
    let expect: Vec<u64> = (1..=61).filter(|&seq| seq != 30).collect();
    assert_eq!(seqs(), expect);
    let entries = subscriber.entries("records");
    let gap = entries.iter().find(|entry| number(entry, "seq") == 61);
    assert_says(
        gap.expect("it came"),
        &[
            r#""record":"gap""#,
            r#""reason":"refused""#,
            r#""first":30,"last":30"#,
        ],
    );
    eventually("all released", || running.spool.backlog().entries == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_entry_above_the_brokers_packet_size_is_dropped() {
    only_what_is_too_large_is_dropped("max_packet_size 6000").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_entry_above_the_brokers_message_size_is_dropped() {
    only_what_is_too_large_is_dropped("message_size_limit 4000").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demos_broker_serves_an_ordinary_client() {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let broker = retrotap::demo_broker::start(listen)
        .await
        .expect("it starts");
    let port = broker.address().port();
    assert_ne!(port, 0);
    let listener = tokio::process::Command::new("mosquitto_sub")
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-q",
            "1",
            "-W",
            "20",
            "-C",
            "1",
        ])
        .args(["-t", "retrotap/1/+/+/+/records"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("mosquitto_sub is installed (Debian package mosquitto-clients)");
    let mut running = Running::start(plain(port), None);
    running.detail(State::Connected).await;
    let feed = async {
        for count in 1.. {
            running.record(count);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let output = tokio::select! {
        output = listener.wait_with_output() => output.expect("it runs"),
        () = feed => unreachable!("it never ends"),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_says(&text, &[r#"[{"v":1,"site":"aachen""#, r#""record":"axes""#]);

    let again = retrotap::demo_broker::start(broker.address()).await;
    let said = again.expect_err("the port is in use").to_string();
    assert_says(&said, &[&port.to_string(), "another one running"]);
    drop(Arc::new(broker));
}
