//! The cell, end to end: a robot on a real pseudo-terminal that moves only while the permit comes, a person
//! whose place comes over a real broker, and what becomes of both.
//!
//! Bounds are the settings' own; where this computer is busy things take longer, and then only order and
//! outcome are looked at.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use retrotap::cell::obstacles::{Room, Sighting, Snapshot};
use retrotap::cell::separation::{Cause, Rules, State};
use retrotap::line::{Input, Line, Output};
use retrotap::modules::assemble::{Params, assemble};
use retrotap::modules::catalog::Catalog;
use retrotap::port::pty::Pty;
use retrotap::port::{LineClock, Port, PortSpec};
use retrotap::simulate::{Faults, Krc2, PermitWatch, What, Wire, drive_watching};
use retrotap::time::{parse_rfc3339, rfc3339};
use retrotap::words::{Chunk, Stamp};
use retrotap_adapters::framing::{Parity, SerialSettings};
use retrotap_host::ParamValue;
use retrotap_tests::binary;
use retrotap_tests::gateway::Gateway;
use retrotap_tests::http::request_with;
use retrotap_tests::mosquitto::{Listener, Mosquitto};
use retrotap_tests::ports::free_port;
use retrotap_tests::robot::{CYCLE_BYTES, bytes, one_by_one, unbroken, way};
use retrotap_tests::subscriber::{Subscriber, eventually};
use rumqttc::{AsyncClient, Broker, MqttOptions, PublishOptions, QoS};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const MACHINE: &str = "robot-1";
const PERMIT: u8 = 0x55;
const STOP: [u8; 4] = *b"STOP";

/// Where the person stands, in metres before the robot, and far and near enough for all that the robot
/// does: with two seconds declared for the gateway the protective distance is some 14 m.
const FAR_M: f64 = 40.0;
const NEAR_M: f64 = 2.0;

/// A folder, a broker and a robot that moves by its permit.
struct Plant {
    folder: tempfile::TempDir,
    broker: Mosquitto,
    /// Whether the robot's controller has its permit.
    permitted: Arc<AtomicBool>,
    robot: CancellationToken,
}

impl Plant {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let broker = Mosquitto::start(folder.path(), &Listener::Plain, "");
        let mut wire = Wire::pty(Some(&folder.path().join(MACHINE))).expect("a pseudo-terminal");
        let watch = PermitWatch::new(vec![PERMIT], Duration::from_millis(500));
        let permitted = watch.is_there();
        let source = Krc2::new(5, Faults::default()).permit(watch.is_there());
        let robot = CancellationToken::new();
        let stop = robot.clone();
        tokio::spawn(async move {
            let shutdown = stop.cancelled();
            let driven = drive_watching(&mut wire, source, Some(watch), shutdown).await;
            driven.expect("the pseudo-terminal works");
            // The cable stays where it is: the machine is silent, and not gone.
            std::future::pending::<()>().await;
        });
        Self {
            folder,
            broker,
            permitted,
            robot,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A busy computer must not make `unknown` of everything, so the latencies are generous.
    fn gateway(&self) -> Gateway {
        let settings = format!(
            r#"
site: aachen
gateway: cell-3
allow_unsigned: true
spool: {{path: spool}}
machines:
  - {{id: {MACHINE}, adapter: kuka-krc2, port: {port}}}
cells:
  - id: cell
    robots:
      - machine: {MACHINE}
        base_pose: {{xyz: [0m, 0m, 0m], rpy: [0deg, 0deg, 0deg]}}
        tool_capsules: none
    separation:
      human_speed: 1.6m/s
      robot: {{speed: measured, max_acceleration: 2m/s2}}
      stopping: {{time: 0.3s, distance: 0.2m}}
      latency: {{sensor: 20ms, stop_signal: 20ms, gateway: 2s}}
      intrusion: 0.1m
      uncertainty: {{person: 0.05m, robot: 0.02m}}
      warn_margin: 0.5m
      hysteresis: 0.1m
      hold: 300ms
    obstacles: {{source: mqtt, time_to_live: 2s}}
    permit: {{serial_write: {{machine: {MACHINE}, bytes: "55", every: 50ms}}}}
    on_stop: [{{serial_write: {{machine: {MACHINE}, bytes: "53 54 4F 50"}}}}, {{mqtt_alarm: {{}}}}]
uplink:
  mqtt: {{url: "mqtt://localhost:{broker}"}}
  release_on: broker
"#,
            port = self.path().join(MACHINE).display(),
            broker = self.broker.port(),
        );
        let record = self.path().join("captures");
        Gateway::start(
            self.path(),
            &settings,
            &["--record", record.to_str().expect("UTF-8")],
        )
    }
}

/// What says where the person is, twenty times a second, until it is dropped.
struct Source {
    /// How far away, in millimetres.
    away_mm: Arc<AtomicU64>,
    stop: CancellationToken,
}

impl Source {
    fn start(port: u16, away_m: f64) -> Self {
        let source = Self {
            away_mm: Arc::default(),
            stop: CancellationToken::new(),
        };
        source.person_at(away_m);
        let (away_mm, stop) = (Arc::clone(&source.away_mm), source.stop.clone());
        tokio::spawn(async move {
            let options = MqttOptions::new("lidar-1", Broker::tcp("localhost", port));
            let (client, mut events) = AsyncClient::builder(options).capacity(10).build();
            // Not beside the ticks: a poll that is dropped half way loses what it was doing.
            tokio::spawn(async move { while events.poll().await.is_ok() {} });
            let mut every = tokio::time::interval(Duration::from_millis(50));
            let mut number = 0_u64;
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = every.tick() => {
                        number += 1;
                        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
                        let t = rfc3339(i64::try_from(now.as_nanos()).expect("before 2262"));
                        let x = away_mm.load(Relaxed) as f64 / 1e3;
                        let snapshot = format!(
                            r#"{{"v":1,"source":"lidar-1","number":{number},"t":"{t}","obstacles":[{{"id":"p1","kind":"capsule","a":[{x},0,0.35],"b":[{x},0,1.45],"radius":0.35}}]}}"#
                        );
                        let topic = "retrotap/1/aachen/cell/obstacles";
                        let options = PublishOptions::new(QoS::AtMostOnce);
                        client.publish(topic, snapshot, options).await.expect("room");
                    }
                }
            }
        });
        source
    }

    fn person_at(&self, away_m: f64) {
        self.away_mm.store((away_m * 1e3) as u64, Relaxed);
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn cell(gateway: &Gateway) -> Value {
    gateway.status()["cells"][0].clone()
}

async fn becomes(gateway: &Gateway, state: &str) {
    for _ in 0..1500 {
        if cell(gateway)["state"] == state {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not {state}: {} {}", cell(gateway), gateway.log());
}

async fn is_permitted(plant: &Plant, permitted: bool) {
    eventually("the permit at the robot", || {
        plant.permitted.load(Relaxed) == permitted
    })
    .await;
}

fn axes(gateway: &Gateway) -> Value {
    gateway.machine(MACHINE)["records"]["axes"]["fields"]["axis_1_deg"].clone()
}

/// The axis that the robot works with moves, or doesn't, over a while in which it would.
async fn moves(gateway: &Gateway, moving: bool) {
    // It stands between two boxes too, and ramps down first.
    eventually(&format!("moving {moving}"), || {
        let before = axes(gateway);
        std::thread::sleep(Duration::from_millis(700));
        let same = before == axes(gateway);
        same != moving
    })
    .await;
}

fn parsed(entries: &[String]) -> Vec<Value> {
    entries
        .iter()
        .map(|entry| serde_json::from_str(entry).expect("JSON"))
        .collect()
}

fn transitions(records: &[Value]) -> Vec<&Value> {
    records
        .iter()
        .filter(|record| record["record"] == "separation_state")
        .collect()
}

fn t_ns(record: &Value) -> i64 {
    parse_rfc3339(record["t"].as_str().expect("a time")).expect("a time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_stops_the_robot_and_a_recording_makes_the_same_states() {
    let plant = Plant::new();
    let subscriber =
        Subscriber::start(plant.broker.port(), None, "retrotap/1/aachen/cell-3/#").await;
    let mut gateway = plant.gateway();
    assert_eq!(cell(&gateway)["state"], "unknown", "it begins with that");

    // Nobody says where people are.
    gateway.reaches(MACHINE, "running").await;
    eventually("why it is unknown", || {
        cell(&gateway)["cause"] == "stale_obstacle"
    })
    .await;
    assert!(!plant.permitted.load(Relaxed));

    let source = Source::start(plant.broker.port(), FAR_M);
    becomes(&gateway, "clear").await;
    is_permitted(&plant, true).await;
    moves(&gateway, true).await;

    source.person_at(NEAR_M);
    becomes(&gateway, "stop").await;
    is_permitted(&plant, false).await;
    moves(&gateway, false).await;
    let stopped = cell(&gateway);
    assert_eq!(stopped["permit"], "withheld");
    assert!(
        stopped["separation"]["margin_m"]
            .as_f64()
            .expect("a margin")
            < 0.0
    );
    eventually("the alarm", || {
        let alarms = subscriber.messages();
        alarms.iter().any(|message| {
            message.topic == "retrotap/1/aachen/cell-3/alarms"
                && message.payload.contains("separation_stop")
        })
    })
    .await;

    source.person_at(FAR_M);
    becomes(&gateway, "clear").await;
    is_permitted(&plant, true).await;
    moves(&gateway, true).await;
    assert_eq!(cell(&gateway)["permit"], "sent");

    // The source falls silent with nobody near: that is no clear cell.
    drop(source);
    becomes(&gateway, "unknown").await;
    assert_eq!(cell(&gateway)["cause"], "stale_obstacle");
    is_permitted(&plant, false).await;

    // And so does the machine.
    let source = Source::start(plant.broker.port(), FAR_M);
    becomes(&gateway, "clear").await;
    plant.robot.cancel();
    becomes(&gateway, "unknown").await;
    assert_eq!(cell(&gateway)["cause"], "silent");
    drop(source);
    assert_eq!(gateway.terminate(), Some(0));

    eventually("all records", || {
        let records = parsed(&subscriber.entries("records"));
        let last = transitions(&records)
            .last()
            .map(|last| last["fields"]["cause"].clone());
        last.is_some_and(|cause| cause == "silent")
    })
    .await;
    let records = parsed(&subscriber.entries("records"));
    let live = transitions(&records);
    for one in live.windows(2) {
        assert_eq!(one[0]["fields"]["state"], one[1]["fields"]["was"]);
    }
    let stop = live.iter().find(|one| one["fields"]["state"] == "stop");
    let stop = &stop.expect("it stopped")["fields"];
    let sum: f64 = [
        "human_m",
        "robot_m",
        "stopping_m",
        "intrusion_m",
        "person_uncertainty_m",
        "robot_uncertainty_m",
    ]
    .iter()
    .map(|term| stop[term].as_f64().expect("each term"))
    .sum();
    let protective_m = stop["protective_m"].as_f64().expect("S_p");
    assert!((sum - protective_m).abs() < 1e-6, "{stop}");
    // The last frame that brought a separation, and the adapter's stale time later, to the nanosecond.
    let silent = live.last().expect("the last");
    let last = records
        .iter()
        .rev()
        .find(|record| record["record"] == "separation");
    assert_eq!(t_ns(silent) - t_ns(last.expect("one")), 200_000_001);

    let capture = plant
        .path()
        .join("captures")
        .join(format!("{MACHINE}.pcapng"));
    let replayed = binary::run(&[
        "replay",
        capture.to_str().expect("UTF-8"),
        "--adapter",
        "kuka-krc2",
    ]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.err);
    let replayed: Vec<String> = replayed.out.lines().map(str::to_owned).collect();
    let again = parsed(&replayed);
    let again = transitions(&again);
    let whole =
        |record: &Value| ["t", "frame", "module", "fields"].map(|key| record[key].to_string());
    let (live, again): (Vec<_>, Vec<_>) = (
        live.iter().map(|one| whole(one)).collect(),
        again.iter().map(|one| whole(one)).collect(),
    );
    assert_eq!(live, again);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_takes_its_permit_with_it_and_the_robot_stops() {
    let plant = Plant::new();
    let gateway = plant.gateway();
    let _source = Source::start(plant.broker.port(), FAR_M);
    becomes(&gateway, "clear").await;
    is_permitted(&plant, true).await;
    moves(&gateway, true).await;

    // SIGKILL: nothing of it runs any more, so nothing can have said goodbye.
    drop(gateway);
    is_permitted(&plant, false).await;

    let settings = SerialSettings {
        baud: 9600,
        data_bits: 8,
        parity: Parity::None,
        stop_bits: 1,
    };
    let spec = PortSpec::Serial(plant.path().join(MACHINE));
    let clock = LineClock::start();
    let mut port = Port::open(&spec, settings, 0, clock)
        .await
        .expect("it is free again");
    // A second to slow down in, and two in which it would have moved.
    let mut bytes: Vec<u8> = Vec::new();
    let mut chunk = Chunk::default();
    while bytes.len() < 45 * CYCLE_BYTES {
        port.read(&mut chunk).await.expect("the robot talks on");
        bytes.extend(&chunk.bytes);
    }
    let last = &bytes[bytes.len() - 30 * CYCLE_BYTES..];
    assert!(
        last.windows(CYCLE_BYTES + 1)
            .all(|two| two[0] == two[CYCLE_BYTES]),
        "each cycle says what the one before said"
    );
}

/// A gateway whose cell has somebody where the robot is, so that it is `stop` with the second cycle, and
/// what it does then.
fn crowded(folder: &Path, port: &Path, written: &str) -> String {
    let person = r#"[{"id":"p","kind":"sphere","center":[1.5,0,1.2],"radius":1.0}]"#;
    std::fs::write(folder.join("obstacles.json"), person).expect("written");
    format!(
        "site: a\ngateway: b\nallow_unsigned: true\nspool: {{path: spool}}\n\
         machines:\n  - {{id: {MACHINE}, adapter: kuka-krc2, port: {port}}}\n\
         cells:\n  - id: cell\n    robots:\n      - machine: {MACHINE}\n        \
         base_pose: {{xyz: [0m, 0m, 0m], rpy: [0deg, 0deg, 0deg]}}\n        tool_capsules: none\n    \
         separation:\n      human_speed: 1.6m/s\n      robot: {{speed: 2m/s}}\n      \
         stopping: {{time: 0.3s, distance: 0.2m}}\n      \
         latency: {{sensor: 20ms, stop_signal: 20ms, gateway: 2s}}\n      intrusion: 0.1m\n      \
         uncertainty: {{person: 0.05m, robot: 0.02m}}\n      warn_margin: 0.5m\n      \
         hysteresis: 0.1m\n      hold: 300ms\n    obstacles: {{file: obstacles.json}}\n{written}",
        port = port.display(),
    )
}

/// Cycles enough to be judged.
async fn say_six_cycles(pty: &Pty) {
    for sent in Krc2::new(1, Faults::default()).cycles(6) {
        if let What::Byte(byte) = sent.what {
            pty.send_all(&[byte]).await.expect("it works");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_posted_when_it_is_entered_and_what_fails_is_counted_and_holds_nothing_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let pty = Pty::open().expect("a pseudo-terminal");
    let posted = Arc::<Mutex<Vec<Value>>>::default();
    let heard = Arc::clone(&posted);
    let hook = axum::routing::post(move |axum::Json(body): axum::Json<Value>| async move {
        heard.lock().expect("not poisoned").push(body);
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let server = listener.local_addr().expect("bound");
    let router = axum::Router::new().route("/hook", hook);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let post = format!("{{webhook: {{url: \"http://{server}/hook\"}}}}");
    let nobody = format!(
        "{{webhook: {{url: \"http://127.0.0.1:{}/\"}}}}",
        free_port()
    );
    let no_chip = "{gpio: {chip: /dev/retrotap-has-no-such-chip, line: 17, value: 1}}";
    let written = format!("    on_unknown: [{post}]\n    on_stop: [{nobody}, {no_chip}, {post}]\n");
    let settings = crowded(folder.path(), pty.path(), &written);
    let gateway = Gateway::start(folder.path(), &settings, &[]);
    gateway.reaches(MACHINE, "silent").await;
    let states = || -> Vec<Value> {
        let posted = posted.lock().expect("not poisoned");
        posted.iter().map(|body| body["state"].clone()).collect()
    };
    eventually("the state that it begins with", || states() == ["unknown"]).await;
    say_six_cycles(&pty).await;
    eventually("stop, and silence again", || {
        states() == ["unknown", "stop", "unknown"]
    })
    .await;
    eventually("two that failed", || cell(&gateway)["actions_failed"] == 2).await;
    let log = gateway.log();
    assert!(
        log.contains("/dev/retrotap-has-no-such-chip line 17"),
        "{log}"
    );
    assert_eq!(posted.lock().expect("not poisoned")[1]["cell"], "cell");
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_bytes_go_out_once_and_nothing_is_written_where_nothing_is_declared() {
    let folder = tempfile::tempdir().expect("a folder");
    let pty = Pty::open().expect("a pseudo-terminal");
    for (written, expected) in [
        (
            format!(
                "    permit: {{serial_write: {{machine: {MACHINE}, bytes: \"55\", every: 50ms}}}}\n    \
                 on_stop: [{{serial_write: {{machine: {MACHINE}, bytes: \"53544F50\"}}}}]\n"
            ),
            &STOP[..],
        ),
        (String::new(), &STOP[..0]),
    ] {
        let gateway = Gateway::start(
            folder.path(),
            &crowded(folder.path(), pty.path(), &written),
            &[],
        );
        gateway.reaches(MACHINE, "silent").await;
        say_six_cycles(&pty).await;
        eventually(&format!("a state: {}", gateway.log()), || {
            let cell = cell(&gateway);
            cell["state"] == "unknown" && cell["cause"] == "silent"
        })
        .await;
        let mut heard = [0; 64];
        let got = tokio::time::timeout(Duration::from_millis(300), pty.receive(&mut heard)).await;
        let got = got.map_or(0, |got| got.expect("it works"));
        assert_eq!(&heard[..got], expected, "{}", gateway.log());
    }
}

/// Who has claimed a gateway with the code in its log.
struct Admin {
    page: u16,
    headers: String,
}

impl Admin {
    fn of(gateway: &Gateway) -> Self {
        let page = gateway.page();
        let log = gateway.log();
        let (_, code) = log
            .split_once("with the code ")
            .expect("nobody is an admin yet");
        let code = code.split(',').next().expect("the code");
        let claim = json!({"code": code, "user": "ann", "password": "three long words"});
        let claimed = request_with(page, "POST", "/api/v1/claim", "", &claim.to_string());
        let claimed = claimed.expect("an answer");
        assert_eq!(claimed.status, 200, "{}", claimed.body);
        let cookie = claimed.head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("set-cookie").then_some(value)
        });
        let cookie = cookie.and_then(|cookie| cookie.split(';').next());
        let session: Value = serde_json::from_str(&claimed.body).expect("JSON");
        let headers = format!(
            "Cookie: {}\r\nX-CSRF-Token: {}\r\n",
            cookie.expect("a session"),
            session["csrf"].as_str().expect("a token")
        );
        Self { page, headers }
    }

    /// The cell, which nobody else may look at once the gateway is claimed.
    fn cell(&self) -> Value {
        let answer = request_with(self.page, "GET", "/api/v1/status", &self.headers, "");
        let status: Value = serde_json::from_str(&answer.expect("an answer").body).expect("JSON");
        status["cells"][0].clone()
    }

    async fn sees(&self, state: &str) {
        eventually(state, || self.cell()["state"] == state).await;
    }

    /// Status and body of a change of the cell's parameters.
    fn parameters(&self, values: &Value) -> (u16, Value) {
        let path = "/api/v1/cells/cell/parameters";
        let answer = request_with(self.page, "PUT", path, &self.headers, &values.to_string());
        let answer = answer.expect("an answer");
        (
            answer.status,
            serde_json::from_str(&answer.body).expect("JSON"),
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_changes_what_a_cell_is_judged_with_and_what_is_refused_changes_nothing() {
    let plant = Plant::new();
    let subscriber =
        Subscriber::start(plant.broker.port(), None, "retrotap/1/aachen/cell-3/#").await;
    let gateway = plant.gateway();
    let _source = Source::start(plant.broker.port(), FAR_M);
    becomes(&gateway, "clear").await;
    let admin = Admin::of(&gateway);

    // Nobody without a session, and nothing that isn't one of them, out of its range, or no number.
    let nobody = Admin {
        page: gateway.page(),
        headers: String::new(),
    };
    assert_eq!(nobody.parameters(&json!({"intrusion_m": 60.0})).0, 401);
    for wrong in [
        json!({"intrusion_m": 60.0, "no_such": 1.0}),
        json!({"intrusion_m": 60.0, "human_speed_m_per_s": -3.0}),
        json!({"intrusion_m": 60.0, "hold_s": 0.0}),
        json!({"intrusion_m": "far"}),
        json!({"rule": "off"}),
    ] {
        let (status, problem) = admin.parameters(&wrong);
        assert_eq!(status, 422, "{wrong}: {problem}");
    }
    assert_eq!(admin.cell()["state"], "clear");

    // A robot that reaches 60 m farther is too near at 40 m.
    let (status, changed) = admin.parameters(&json!({"intrusion_m": 60.0, "warn_margin_m": 0.7}));
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        changed["was"],
        json!({"intrusion_m": 0.1, "warn_margin_m": 0.5})
    );
    admin.sees("stop").await;
    assert_eq!(admin.cell()["warn_margin_m"], 0.7);
    eventually("the next cycle's separation", || {
        admin.cell()["separation"]["intrusion_m"] == 60.0
    })
    .await;
    is_permitted(&plant, false).await;

    let (status, _) = admin.parameters(&json!({"intrusion_m": 0.1}));
    assert_eq!(status, 200);
    admin.sees("clear").await;

    // What decided is in the lake's inputs, and who did it in the audit log.
    eventually("the changes as inputs", || {
        let inputs = subscriber.entries("inputs");
        let of = |value| {
            inputs
                .iter()
                .any(|input| input.contains("intrusion_m") && input.contains(value))
        };
        of("60") && of("0.1")
    })
    .await;
    let audit = request_with(gateway.page(), "GET", "/api/v1/audit", &admin.headers, "");
    let audit = audit.expect("an answer").body;
    assert!(
        audit.contains("parameters_changed") && audit.contains("ann"),
        "{audit}"
    );
}

/// A line whose robot is judged, as `separation` of the settings makes it.
fn judged_line() -> Line {
    let catalog = Catalog::default();
    let adapter = catalog.adapter("kuka-krc2").expect("shipped");
    let number = |value| ParamValue::Number { value, unit: None };
    let own = [
        ("human_speed_m_per_s", 1.6),
        ("robot_speed_m_per_s", 0.0),
        ("max_acceleration_m_per_s2", 2.0),
        ("stopping_time_s", 0.3),
        ("stopping_distance_m", 0.2),
        ("sensor_latency_s", 0.02),
        ("stop_signal_latency_s", 0.02),
        ("gateway_latency_s", 0.005),
        ("intrusion_m", 0.1),
        ("person_uncertainty_m", 0.05),
        ("robot_uncertainty_m", 0.02),
    ];
    let mut own: BTreeMap<String, ParamValue> = own
        .into_iter()
        .map(|(name, value)| (name.to_owned(), number(value)))
        .collect();
    own.insert(
        "rule".to_owned(),
        ParamValue::Choice("iso_ts_15066".to_owned()),
    );
    let params = Params::from([("arm-distance".to_owned(), own)]);
    let engine = catalog.engine().expect("Wasmtime");
    let assembled = assemble(&engine, &catalog, &adapter, &params).expect("it fits");
    let gauge = Line::gauge_for(&assembled);
    Line::new(assembled, gauge).expect("a checked framing")
}

fn rules() -> Rules {
    Rules {
        cell: "cell".to_owned(),
        warn_margin_m: 0.5,
        hysteresis_m: 0.1,
        hold_ns: 300_000_000,
        watched: true,
        gateway_latency_ns: 5_000_000,
    }
}

fn person(x_m: f64, seen_ns: u64) -> Input {
    let person = format!(r#"[{{"id":"p","kind":"sphere","center":[{x_m},0,1],"radius":0.3}}]"#);
    let sighting = Sighting {
        obstacles: Snapshot::parse(&person).expect("a person"),
        seen_ns,
        time_to_live_ns: 250_000_000,
    };
    Input::Obstacles(Room::new(Snapshot::default(), Some(sighting)).expect("one"))
}

/// When, what, and why, of all that a line judged.
type Told = Vec<(u64, State, Cause)>;

/// A way of the robot with a pause in it, and a person who comes, goes, and is not seen for a while; asked
/// in between at these times, in nanoseconds.
fn judged(asked_ns: &[u64]) -> Told {
    let (mut line, mut told) = (judged_line(), Told::new());
    let mut chunks: Vec<(u64, Event)> = Vec::new();
    let line_bytes = unbroken(&bytes(&way(3, 0, 60)));
    for (index, chunk) in one_by_one(&line_bytes).enumerate() {
        // Half a second of silence in the middle.
        let late_ns = if index < 30 * CYCLE_BYTES {
            0
        } else {
            500_000_000
        };
        let line_ns = chunk.at.line_ns + late_ns;
        let at = Stamp {
            line_ns,
            ..chunk.at
        };
        chunks.push((line_ns, Event::Chunk(Chunk { at, ..chunk })));
    }
    for ms in (0..5_000)
        .step_by(100)
        .filter(|ms| !(3_000..3_400).contains(ms))
    {
        let x_m = if (1_000..1_300).contains(&ms) {
            2.0
        } else {
            9.0
        };
        chunks.push((ms * 1_000_000, Event::Input(person(x_m, ms * 1_000_000))));
    }
    let end_ns = 5_000_000_000;
    let asked_ns = asked_ns.iter().copied().chain([end_ns]);
    chunks.extend(asked_ns.map(|ns| (ns, Event::Asked)));
    chunks.sort_by_key(|(line_ns, _)| *line_ns);
    let mut sink = |output: Output<'_>| {
        if let Output::Judged(judged) = output {
            told.push((judged.at.line_ns, judged.state, judged.cause));
        }
    };
    line.apply(&Input::Rules(rules()), Stamp::default(), &mut sink)
        .expect("it has a separation");
    for (line_ns, event) in chunks {
        let at = Stamp {
            line_ns,
            wall_ns: 0,
        };
        match event {
            Event::Chunk(chunk) => line.receive(&chunk, &mut sink),
            Event::Input(input) => line.apply(&input, at, &mut sink).expect("possible"),
            Event::Asked => line.idle(at, &mut sink),
        }
    }
    told
}

enum Event {
    Chunk(Chunk),
    Input(Input),
    Asked,
}

#[test]
fn a_line_judges_at_the_same_instants_however_often_it_is_asked() {
    let seldom = judged(&[]);
    let often: Vec<u64> = (0..4_500).map(|ms| ms * 1_000_000 + 7).collect();
    assert_eq!(judged(&often), seldom);

    // Every 20 ms at least while it is fresh; states and causes in their order.
    for two in seldom.windows(2) {
        assert!(two[1].0 >= two[0].0);
        let waits = matches!(two[0].2, Cause::Silent | Cause::Starting);
        assert!(waits || two[1].0 - two[0].0 <= 20_000_000, "{two:?}");
    }
    let mut states: Vec<(State, Cause)> = seldom.iter().map(|told| (told.1, told.2)).collect();
    states.dedup();
    assert_eq!(
        states,
        [
            (State::Unknown, Cause::Starting),
            (State::Clear, Cause::Margin),
            (State::Stop, Cause::Margin),
            (State::Clear, Cause::Margin),
            (State::Unknown, Cause::Silent),
            (State::Unknown, Cause::Starting),
            (State::Clear, Cause::Margin),
            (State::Unknown, Cause::StaleObstacle),
            (State::Clear, Cause::Margin),
            (State::Unknown, Cause::Silent),
        ]
    );
}
