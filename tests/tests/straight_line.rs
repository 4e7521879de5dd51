//! The straight line: a robot's bytes on a real pseudo-terminal, `retrotap run`, and what a client of
//! a real broker receives over TLS with certificates on both sides; with a port that is pulled out,
//! a broker that is killed, and a recording.
//!
//! Where this computer is too busy to give the bytes to the pseudo-terminal at their pace, a pause
//! stands in a cycle that no robot makes, and the line drops that cycle. It has to say so: a cycle may
//! be missing only if a rejection for time was counted.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use retrotap::simulate::{Faults, Krc2, Sent, What, Wire, drive};
use retrotap::uplink::tls::client_config;
use retrotap::uplink::{ClientFiles, TlsFiles};
use retrotap_tests::binary;
use retrotap_tests::certificates::{Authority, Pair, Validity};
use retrotap_tests::gateway::Gateway;
use retrotap_tests::mosquitto::{Listener, Mosquitto};
use retrotap_tests::robot::{CYCLE_BYTES, Values};
use retrotap_tests::subscriber::{Subscriber, eventually};
use serde_json::Value;

const MACHINE: &str = "robot-1";

/// A person who stands a way off, as a sphere.
const PERSON: ([f64; 3], f64) = ([2.6, 0.4, 1.2], 0.4);

/// A plant in a folder: authority, broker, certificates, and a robot's port with a name that stays.
struct Plant {
    folder: tempfile::TempDir,
    ca: std::path::PathBuf,
    gateway: Pair,
    reader: Pair,
    broker: Mosquitto,
}

impl Plant {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new(folder.path(), "plant-ca");
        let listener = Listener::MutualTls {
            ca: authority.cert.clone(),
            broker: authority.broker("broker", &["localhost"], Validity::Valid),
        };
        // The subscriber's session outlives the broker, so that the broker's memory isn't what is
        // tested here.
        let durable = format!(
            "persistence true\nautosave_on_changes true\nautosave_interval 1\n\
             queue_qos0_messages true\nmax_queued_messages 0\npersistence_location {}/",
            folder.path().display()
        );
        let broker = Mosquitto::start(folder.path(), &listener, &durable);
        let ([x, y, z], radius) = PERSON;
        let person = format!(
            r#"[{{"id":"person","kind":"sphere","center":[{x},{y},{z}],"radius":{radius}}}]"#
        );
        std::fs::write(folder.path().join("obstacles.json"), person).expect("written");
        Self {
            gateway: authority.client("gateway", Validity::Valid),
            reader: authority.client("reader", Validity::Valid),
            ca: authority.cert.clone(),
            broker,
            folder,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn robot(&self) -> Wire {
        Wire::pty(Some(&self.path().join(MACHINE))).expect("a pseudo-terminal")
    }

    fn gateway(&self, more: &[&str]) -> Gateway {
        let settings = format!(
            "site: aachen\ngateway: cell-3\nallow_unsigned: true\nspool: {{path: spool}}\n\
             machines:\n  - {{id: {MACHINE}, adapter: kuka-krc2, port: {port}}}\n\
             cells:\n  - id: cell\n    robots:\n\
             \x20     - {{machine: {MACHINE}, base_pose: {{xyz: [0m, 0m, 0m], rpy: [0deg, 0deg, 0deg]}}}}\n\
             \x20   obstacles: {{file: obstacles.json}}\n\
             uplink:\n  mqtt: {{url: \"mqtts://localhost:{broker}\", ca: plant-ca.pem, \
             client_cert: {cert}, client_key: {key}}}\n  release_on: broker\n",
            port = self.path().join(MACHINE).display(),
            broker = self.broker.port(),
            cert = self.gateway.cert.display(),
            key = self.gateway.key.display(),
        );
        Gateway::start(self.path(), &settings, more)
    }

    async fn subscribe(&self, filter: &str) -> Subscriber {
        let client = ClientFiles {
            cert: self.reader.cert.clone(),
            key: self.reader.key.clone(),
        };
        let files = TlsFiles {
            ca: self.ca.clone(),
            client: Some(client),
        };
        let config = client_config(&files).expect("good files");
        Subscriber::start(self.broker.port(), Some(config), filter).await
    }

    async fn records(&self) -> Subscriber {
        self.subscribe("retrotap/1/aachen/cell-3/robot-1/records")
            .await
    }
}

/// What the robot does in its first cycles: events with their times, and the axes that they tell of.
fn robot(cycles: usize) -> (Vec<Sent>, Vec<Values>) {
    let mut robot = Krc2::new(3, Faults::default());
    let (mut events, mut values) = (Vec::new(), Vec::new());
    for index in 0..cycles * CYCLE_BYTES {
        events.extend(robot.next());
        if index % CYCLE_BYTES == 0 {
            values.push(robot.values());
        }
    }
    (events, values)
}

/// The same beginning at once, however late in the whole it comes.
fn at_once(events: &[Sent]) -> Vec<Sent> {
    let began_ns = events.first().map_or(0, |first| first.due_ns);
    events
        .iter()
        .map(|sent| Sent {
            due_ns: sent.due_ns - began_ns,
            what: sent.what,
        })
        .collect()
}

async fn send(wire: &mut Wire, events: Vec<Sent>) {
    let sent = drive(wire, events, std::future::pending())
        .await
        .expect("the pseudo-terminal works");
    assert_eq!(sent.bytes_dropped, 0, "the gateway fetches what is sent");
}

fn only(what: What) -> Vec<Sent> {
    vec![Sent { due_ns: 0, what }]
}

fn parsed(entries: &[String]) -> Vec<Value> {
    entries
        .iter()
        .map(|entry| serde_json::from_str(entry).expect("JSON"))
        .collect()
}

fn of<'a>(records: &'a [Value], name: &'a str) -> impl Iterator<Item = &'a Value> {
    records
        .iter()
        .filter(move |record| record["record"] == name)
}

fn field(record: &Value, name: &str) -> f64 {
    record["fields"][name]
        .as_f64()
        .unwrap_or_else(|| panic!("no {name} in {record}"))
}

fn fields<const N: usize>(record: &Value, names: [&str; N]) -> [f64; N] {
    names.map(|name| field(record, name))
}

fn axes(records: &[Value]) -> Vec<[f64; 7]> {
    let names = [
        "axis_1_deg",
        "axis_2_deg",
        "axis_3_deg",
        "axis_4_deg",
        "axis_5_deg",
        "axis_6_deg",
        "axis_7_mm",
    ];
    of(records, "axes")
        .map(|record| fields(record, names))
        .collect()
}

fn sent_axes(values: &[Values]) -> Vec<[f64; 7]> {
    values
        .iter()
        .map(|values| values.map(|value| f64::from(value) / 1e5))
        .collect()
}

/// Where the flange is: the arm of the data sheet in the vertical plane that axis 1 turns. Axes 2, 3
/// and 5 turn downwards, axis 1 clockwise seen from above; axes 4 and 6 don't move it while 4 is 0.
fn flange([axis_1, axis_2, axis_3, axis_4, axis_5, _, _]: [f64; 7]) -> [f64; 3] {
    assert!(axis_4.abs() < 1e-9);
    let mut down = 0.0f64;
    let (mut reach, mut height) = (0.35, 0.75);
    for (turn_deg, along, across) in [
        (axis_2, 1.25, 0.0),
        (axis_3, 1.1, -0.055),
        (axis_5, 0.23, 0.0),
    ] {
        down += turn_deg.to_radians();
        reach += along * down.cos() + across * down.sin();
        height += across * down.cos() - along * down.sin();
    }
    let side = -axis_1.to_radians();
    [reach * side.cos(), reach * side.sin(), height]
}

fn apart(one: [f64; 3], other: [f64; 3]) -> f64 {
    one.iter()
        .zip(other)
        .map(|(one, other)| (one - other).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// All records that the gateway has made, once nothing comes any more: each number once, from 1 on,
/// and the very same bytes where one was sent again.
async fn all_records(gateway: &Gateway, subscriber: &Subscriber) -> Vec<Value> {
    let mut frames = None;
    while frames != gateway.machine(MACHINE)["frames"].as_u64() {
        frames = gateway.machine(MACHINE)["frames"].as_u64();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let machine = gateway.machine(MACHINE);
    let newest = machine["records"].as_object().into_iter().flatten();
    let newest = newest
        .filter_map(|(_, record)| record["seq"].as_u64())
        .max()
        .expect("records");
    eventually(&format!("seq {newest} and its release"), || {
        let entries = subscriber.entries("records");
        let last = entries
            .last()
            .map(|last| parsed(std::slice::from_ref(last))[0]["seq"].as_u64());
        let status = gateway.status();
        last.flatten() >= Some(newest) && status["uplink"]["unreleased_records"] == 0
    })
    .await;
    let mut by_seq = BTreeMap::new();
    for entry in subscriber.entries("records") {
        let record = parsed(std::slice::from_ref(&entry)).remove(0);
        let seq = record["seq"].as_u64().expect("a number");
        let (first, _) = by_seq.entry(seq).or_insert_with(|| (entry.clone(), record));
        assert_eq!(*first, entry, "sent again with other bytes");
    }
    assert_eq!(
        by_seq.keys().copied().collect::<Vec<_>>(),
        (1..=newest).collect::<Vec<_>>()
    );
    by_seq.into_values().map(|(_, record)| record).collect()
}

/// Each cycle that came is one that was sent, in that order; those that are missing were counted.
fn hold_against_what_was_sent(gateway: &Gateway, records: &[Value], values: &[Values]) {
    let mut sent = sent_axes(values).into_iter();
    for came in axes(records) {
        assert!(
            sent.any(|sent| sent == came),
            "{came:?} was not sent, or not then"
        );
    }
    let missing = values.len() - axes(records).len();
    let rejected = gateway.machine(MACHINE)["rejected"].clone();
    let rejected: BTreeMap<String, usize> = serde_json::from_value(rejected).expect("counters");
    for why in rejected.keys() {
        let for_time = ["/gap_in_cycle", "/axis_out_of_order", "/unconfirmed"];
        assert!(
            for_time.iter().any(|name| why.ends_with(name)),
            "{rejected:?}"
        );
    }
    // A pause between axis 7 of one cycle and axis 1 of the next can cost both, at one rejection.
    assert!(
        missing <= 2 * rejected.values().sum::<usize>(),
        "{missing} are missing, but {rejected:?}"
    );
    assert!(
        missing < values.len() - 2,
        "this computer is too busy: {rejected:?}"
    );
}

/// The state in the gateway's own status as the broker kept it, for somebody who comes only then.
/// `filter` names that topic, and gives the subscriber its name.
async fn kept_status(plant: &Plant, filter: &str) -> (String, bool) {
    let subscriber = plant.subscribe(filter).await;
    eventually("the retained status", || !subscriber.messages().is_empty()).await;
    let message = subscriber.messages().remove(0);
    let status: Value = serde_json::from_str(&message.payload).expect("JSON");
    (
        status["state"].as_str().expect("a word").to_owned(),
        message.retain,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_axes_were_arrives_as_records_over_tls_and_a_recording_gives_them_again() {
    const CYCLES: usize = 50;
    let plant = Plant::new();
    let subscriber = plant.records().await;
    let mut wire = plant.robot();
    let mut gateway = plant.gateway(&["--record", plant.path().to_str().expect("UTF-8")]);
    gateway.reaches(MACHINE, "silent").await;
    let (events, values) = robot(CYCLES);
    send(&mut wire, events).await;

    let records = all_records(&gateway, &subscriber).await;
    hold_against_what_was_sent(&gateway, &records, &values);
    // Axes, pose and distance of each cycle, and speeds of all but the first.
    assert_eq!(records.len(), 4 * axes(&records).len() - 1);
    let (center, radius) = PERSON;
    let mut moved_m: f64 = 0.0;
    for ((pose, distance), axes) in of(&records, "pose")
        .zip(of(&records, "distance"))
        .zip(axes(&records))
    {
        let at = fields(pose, ["flange_x_m", "flange_y_m", "flange_z_m"]);
        assert!(
            apart(at, flange(axes)) < 1e-4,
            "{at:?}, not {:?}",
            flange(axes)
        );
        let distance_m = field(distance, "distance_m");
        let on_robot = fields(distance, ["on_robot_x_m", "on_robot_y_m", "on_robot_z_m"]);
        let on_person = fields(
            distance,
            ["on_obstacle_x_m", "on_obstacle_y_m", "on_obstacle_z_m"],
        );
        assert_eq!(distance["fields"]["nearest_obstacle"], "person");
        assert!((apart(on_robot, on_person) - distance_m).abs() < 1e-4);
        assert!(
            (apart(on_person, center) - radius).abs() < 1e-4,
            "it isn't on the sphere"
        );
        assert!(
            apart(on_robot, center) <= apart(at, center) + 1e-4,
            "the flange is nearer"
        );
        moved_m = moved_m.max(
            (distance_m - field(of(&records, "distance").next().expect("one"), "distance_m")).abs(),
        );
    }
    assert!(
        moved_m > 0.02,
        "the robot moved, and with it the distance: {moved_m}"
    );

    assert_eq!(
        kept_status(&plant, "retrotap/1/aachen/cell-3/status").await,
        ("online".to_owned(), true)
    );
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    assert_eq!(
        kept_status(&plant, "retrotap/1/aachen/+/status").await,
        ("offline".to_owned(), true)
    );

    let capture = plant.path().join("robot-1.pcapng");
    let replayed = binary::run(&[
        "replay",
        capture.to_str().expect("UTF-8"),
        "--adapter",
        "kuka-krc2",
    ]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.err);
    let replayed: Vec<String> = replayed.out.lines().map(str::to_owned).collect();
    assert_eq!(comparable(&parsed(&replayed)), comparable(&records));
}

/// What a record says, without who sent it and as what number.
fn comparable(records: &[Value]) -> Vec<Value> {
    let mut records = records.to_vec();
    for record in &mut records {
        let object = record.as_object_mut().expect("an object");
        for key in ["site", "gateway", "machine", "epoch", "seq", "clock"] {
            assert!(object.remove(key).is_some(), "no {key}");
        }
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_pulled_out_is_told_within_a_second_and_runs_within_two_of_its_return() {
    const BEFORE: usize = 15;
    const AWAY: usize = 20;
    const AFTER: usize = 45;
    let plant = Plant::new();
    let subscriber = plant.records().await;
    let mut wire = plant.robot();
    let gateway = plant.gateway(&[]);
    gateway.reaches(MACHINE, "silent").await;
    let (events, values) = robot(BEFORE + AWAY + AFTER);
    // The cable goes in the middle of a cycle and returns at the same place of a later one, so that
    // both halves together would make a cycle that never was.
    let before = &events[..BEFORE * CYCLE_BYTES + 30];
    let after = &events[(BEFORE + AWAY) * CYCLE_BYTES + 30..];
    send(&mut wire, before.to_vec()).await;

    send(&mut wire, only(What::Unplug)).await;
    assert!(gateway.reaches(MACHINE, "disconnected").await < Duration::from_secs(1));
    let detail = gateway.machine(MACHINE)["line"]["detail"].to_string();
    assert!(detail.contains("robot-1"), "{detail}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(gateway.state(MACHINE), "disconnected");

    let returned = Instant::now();
    send(&mut wire, only(What::Plug)).await;
    let rest = at_once(after);
    let robot = tokio::spawn(async move {
        let sent = drive(&mut wire, rest, std::future::pending())
            .await
            .expect("it works");
        (wire, sent)
    });
    gateway.reaches(MACHINE, "running").await;
    assert!(
        returned.elapsed() < Duration::from_secs(2),
        "{:?}",
        returned.elapsed()
    );
    let (_wire, _) = robot.await.expect("it sends");

    let records = all_records(&gateway, &subscriber).await;
    let mut sent = values[..BEFORE].to_vec();
    let before = axes(&records)
        .iter()
        .filter(|came| sent_axes(&sent).contains(came))
        .count();
    assert!(before > 0, "{before} of {BEFORE} cycles before");
    sent.extend_from_slice(&values[BEFORE + AWAY + 1..]);
    let behind = axes(&records).len() - before;
    assert!(behind > 1, "{behind} of {AFTER} cycles behind");
    let mut sent = sent_axes(&sent).into_iter();
    for came in axes(&records) {
        assert!(
            sent.any(|sent| sent == came),
            "{came:?} was not sent, or not then"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_while_the_robot_moves_costs_no_record() {
    const CYCLES: usize = 75;
    let mut plant = Plant::new();
    let subscriber = plant.records().await;
    let mut wire = plant.robot();
    let gateway = plant.gateway(&[]);
    gateway.reaches(MACHINE, "silent").await;
    let (events, values) = robot(CYCLES);
    let robot = tokio::spawn(async move {
        send(&mut wire, events).await;
        wire
    });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    plant.broker.kill();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    // The line doesn't mind.
    gateway.reaches(MACHINE, "running").await;
    assert_ne!(gateway.status()["uplink"]["state"], "connected");
    plant.broker.start_again();
    let _wire = robot.await.expect("it sends");

    let records = all_records(&gateway, &subscriber).await;
    hold_against_what_was_sent(&gateway, &records, &values);
}
