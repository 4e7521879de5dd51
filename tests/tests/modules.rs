//! Modules change while lines run: what is refused, what is put in without a frame lost, what goes back
//! by itself, and what a restart and a replay make of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use retrotap::cli::gateway::{self, Gateway, MachinePlan, Plan};
use retrotap::config::broker::{BrokerUrl, ReleaseOn};
use retrotap::config::limits::BATCH_LINGER;
use retrotap::config::{Modules as ModuleSettings, Spool};
use retrotap::line::{Input, Line, Output, Swap};
use retrotap::modules::assemble::{Params, assemble, hex, successor_spec};
use retrotap::modules::catalog::Catalog;
use retrotap::modules::signature::{SecretKey, Trust, TrustedKey, sign};
use retrotap::port::PortSpec;
use retrotap::simulate::{Faults, Krc2, Wire, drive};
use retrotap::uplink;
use retrotap::web::modules::{Deployed, Place, Refusal, StageModules};
use retrotap::words::Stamp;
use retrotap_host::{Manifest, Module, Successor, pack, pack_with_cases};
use retrotap_tests::binary;
use retrotap_tests::mosquitto::{Listener, Mosquitto};
use retrotap_tests::robot::{CYCLE_BYTES, bytes, one_by_one, unbroken, way};
use retrotap_tests::subscriber::{Subscriber, eventually};
use rumqttc::{AsyncClient, Broker, MqttOptions, PublishOptions, QoS};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

const MACHINE: &str = "robot-1";
const STAGE: &str = "arm-distance";

/// The shipped stage.
fn shipped(stage: &str) -> Arc<Module> {
    Catalog::default().module(stage).expect("it ships")
}

/// The same code with another version number, and with test cases if some are given.
fn versioned(stage: &str, version: &str, cases: Option<&str>) -> Vec<u8> {
    let module = shipped(stage);
    let manifest = changed(&module, |json| json["version"] = version.into());
    pack_with_cases(module.wasm(), &manifest, cases).expect("it was packed before")
}

fn changed(module: &Module, change: impl FnOnce(&mut Value)) -> Manifest {
    let mut json = serde_json::from_str(&module.manifest().to_json()).expect("JSON");
    change(&mut json);
    Manifest::from_json(json.to_string().as_bytes()).expect("a manifest")
}

/// What says to be the shipped stage in a later version, and does this at each input.
fn misbehaving(version: &str, body: &str) -> Vec<u8> {
    let manifest = changed(&shipped(STAGE), |json| {
        json["version"] = version.into();
        json["sizes"]["memory_bytes"] = (512 * 1024).into();
    });
    let code = wat::parse_str(format!(
        r#"(module
          (memory (export "memory") 524288 524288 (pagesize 1))
          (func (export "rt_abi") (result i32) i32.const 1)
          (func (export "rt_input") (result i32) i32.const 0)
          (func (export "rt_config") (result i32) i32.const 4096)
          (func (export "rt_output") (result i32) i32.const 400000)
          (func (export "rt_state") (result i32) i32.const 450000)
          (func (export "rt_configure") (result i32) i32.const 0)
          (func (export "rt_process") (param i32 i64) (result i32) {body}))"#
    ))
    .expect("a module");
    pack(&code, &manifest).expect("it keeps the ABI")
}

/// A gateway with one robot, whose bytes come as fast as they are fetched.
struct Plant {
    folder: tempfile::TempDir,
    trust: Trust,
    secret: SecretKey,
    stop: CancellationToken,
    inbox: Option<std::path::PathBuf>,
    robot: Option<tokio::task::JoinHandle<()>>,
}

impl Plant {
    /// `allow_unsigned` as given; the key `plant` is trusted.
    fn new(allow_unsigned: bool) -> Self {
        let (secret, key) = SecretKey::generate();
        let plant = TrustedKey {
            name: "plant".to_owned(),
            key,
            expires_unix_ns: None,
        };
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            trust: Trust {
                keys: vec![plant],
                allow_unsigned,
            },
            secret,
            stop: CancellationToken::new(),
            inbox: None,
            robot: None,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A robot that runs at its pace until the plant is dropped.
    fn robot(&mut self) {
        let mut wire = Wire::pty(Some(&self.path().join(MACHINE))).expect("a pseudo-terminal");
        let stop = self.stop.clone();
        self.robot = Some(tokio::spawn(async move {
            let robot = Krc2::new(7, Faults::default());
            drive(&mut wire, robot, stop.cancelled())
                .await
                .expect("the pseudo-terminal works");
        }));
    }

    async fn gateway(&self, record: bool) -> Gateway {
        self.gateway_with(record, None).await
    }

    /// A gateway that takes modules over the broker on that port.
    async fn gateway_with(&self, record: bool, broker: Option<u16>) -> Gateway {
        let uplink = broker.map(|port| uplink::Settings {
            site: Arc::from("aachen"),
            gateway: Arc::from("cell-3"),
            url: BrokerUrl {
                tls: false,
                host: "localhost".to_owned(),
                port,
            },
            tls: None,
            client_id: "retrotap-aachen-cell-3".to_owned(),
            release_on: ReleaseOn::Broker,
            linger: BATCH_LINGER,
            hear: None,
            modules: None,
        });
        gateway::start(Plan {
            site: Arc::from("aachen"),
            gateway: Arc::from("cell-3"),
            simulated: false,
            machines: vec![MachinePlan {
                id: Arc::from(MACHINE),
                adapter: "kuka-krc2".to_owned(),
                ports: vec![PortSpec::Serial(self.path().join(MACHINE))],
                params: Params::new(),
                send_frames: false,
            }],
            cells: Vec::new(),
            uplink,
            listen: None,
            shown_settings: json!({}),
            spool: Spool::at(self.path().join("spool")),
            modules: ModuleSettings {
                mqtt: broker.is_some(),
                folder: self.inbox.clone(),
                trust: self.trust.clone(),
                ..ModuleSettings::at(self.path().join("modules"))
            },
            catalog: Catalog::default(),
            record_dir: record.then(|| self.path().join("captures")),
            oracle_dir: None,
        })
        .await
        .expect("it starts")
    }

    fn signed(&self, module: &[u8]) -> Vec<u8> {
        sign(module, &self.secret).expect("a module")
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn place(stage: &str) -> Place {
    Place {
        machine: MACHINE.to_owned(),
        stage: stage.to_owned(),
        by: "ann".to_owned(),
        from: String::new(),
    }
}

async fn deploy(gateway: &Gateway, module: Vec<u8>) -> Result<Deployed, Refusal> {
    let modules = &gateway.modules;
    modules.deploy(place(STAGE), module, None, None).await
}

async fn stage(gateway: &Gateway) -> StageModules {
    let stages = gateway.modules.list(MACHINE).await.expect("it runs");
    let found = stages.into_iter().find(|known| known.stage == STAGE);
    found.expect("the stage")
}

fn frames(gateway: &Gateway) -> u64 {
    gateway.status.borrow().machines[0].frames
}

/// Frames that a stage refused. Where this computer is too busy to send at the robot's pace, `krc2-decode`
/// refuses frames for time, which no module that is put in later can help.
fn refused_by(gateway: &Gateway, stage: &str) -> u64 {
    let status = gateway.status.borrow();
    let refused = status.machines[0].rejected.iter();
    refused
        .filter(|(name, _)| name.starts_with(stage))
        .map(|(_, count)| count)
        .sum()
}

/// Waits until so many frames more have come.
async fn more_frames(gateway: &Gateway, count: u64) {
    let until = frames(gateway) + count;
    eventually("frames come", || frames(gateway) >= until).await;
}

/// The module of the newest record of that name.
fn module_of(gateway: &Gateway, record: &str) -> Option<String> {
    let status = gateway.status.borrow();
    let json = serde_json::to_value(status.machines[0].records.get(record)?).ok()?;
    Some(json["module"].as_str()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_put_in_rolled_back_and_there_again_after_a_restart() {
    let mut plant = Plant::new(true);
    plant.robot();
    let gateway = plant.gateway(false).await;
    more_frames(&gateway, 20).await;
    let shipped = stage(&gateway).await.running.module;
    for version in ["90.0.0", "90.1.0"] {
        let deployed = deploy(&gateway, versioned(STAGE, version, None))
            .await
            .expect("newer");
        assert_eq!(deployed.module, format!("{STAGE}@{version}"));
        let pose = || module_of(&gateway, "pose");
        let wanted = deployed.module.clone();
        eventually("records of it come", || pose() == Some(wanted.clone())).await;
    }
    let shown = stage(&gateway).await;
    assert_eq!(shown.running.by.as_deref(), Some("ann"));
    assert!(shown.running.on_probation);
    assert_eq!(
        shown.before.expect("there is one").module,
        "arm-distance@90.0.0"
    );
    // No frame was refused by any of the three.
    assert_eq!(refused_by(&gateway, STAGE), 0);
    gateway.stop().await;

    let gateway = plant.gateway(false).await;
    assert_eq!(stage(&gateway).await.running.module, "arm-distance@90.1.0");
    more_frames(&gateway, 20).await;
    let modules = &gateway.modules;
    for wanted in ["arm-distance@90.0.0", shipped.as_str()] {
        let back = modules.roll_back(place(STAGE)).await.expect("there is one");
        assert_eq!(back.module, wanted);
        assert_eq!(stage(&gateway).await.running.module, wanted);
    }
    let nothing = modules.roll_back(place(STAGE)).await;
    assert!(matches!(nothing, Err(Refusal::Nothing(_))), "{nothing:?}");
    let what: Vec<String> = stage(&gateway)
        .await
        .changes
        .into_iter()
        .map(|c| c.what)
        .collect();
    assert_eq!(what, ["deployed", "deployed", "rolled_back", "rolled_back"]);
    gateway.stop().await;
}

/// A million local variables in a few bytes of code.
fn many_locals() -> Vec<u8> {
    let function = "(func (local i64 i64))".replacen("i64 i64", &"i64 ".repeat(20_000), 1);
    let manifest = changed(&shipped(STAGE), |json| {
        json["version"] = "91.0.0".into();
        json["sizes"]["memory_bytes"] = (512 * 1024).into();
    });
    let code = wat::parse_str(format!(
        r#"(module
          (memory (export "memory") 524288 524288 (pagesize 1))
          (func (export "rt_abi") (result i32) i32.const 1)
          (func (export "rt_input") (result i32) i32.const 0)
          (func (export "rt_config") (result i32) i32.const 4096)
          (func (export "rt_output") (result i32) i32.const 400000)
          (func (export "rt_state") (result i32) i32.const 450000)
          (func (export "rt_configure") (result i32) i32.const 0)
          (func (export "rt_process") (param i32 i64) (result i32) i32.const 0)
          {})"#,
        function.repeat(50)
    ))
    .expect("a module");
    with_manifest(&code, &manifest)
}

/// Without packing, which would refuse it.
fn with_manifest(code: &[u8], manifest: &Manifest) -> Vec<u8> {
    section(code, "retrotap", manifest.to_json().as_bytes())
}

fn section(code: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    let mut body = vec![name.len() as u8];
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(data);
    let mut bytes = code.to_vec();
    bytes.push(0);
    let mut length = body.len();
    while length > 0x7F {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(body);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attack_is_refused_by_its_check_and_nothing_changes() {
    let mut plant = Plant::new(false);
    plant.robot();
    let good = versioned(STAGE, "91.0.0", None);
    let (stranger, old) = (SecretKey::generate(), SecretKey::generate());
    plant.trust.keys.push(TrustedKey {
        name: "old".to_owned(),
        key: old.1,
        expires_unix_ns: Some(1),
    });
    let gateway = plant.gateway(false).await;
    let before = serde_json::to_value(stage(&gateway).await).expect("JSON");
    let signed = plant.signed(&good);
    let mut touched = signed.clone();
    *touched.last_mut().expect("bytes") ^= 1;
    let importing = wat::parse_str(r#"(module (import "env" "now" (func)))"#).expect("a module");
    let unfit = changed(&shipped(STAGE), |json| {
        json["version"] = "91.0.0".into();
        json["input"]["record"] = "nothing".into();
    });
    let unfit = pack(shipped(STAGE).wasm(), &unfit).expect("it was packed before");
    let wrong_case = r#"{"cases":[{"name":"never","steps":[{"t_s":0,"rejected":"nothing"}]}]}"#;
    let attacks = [
        ("size", vec![0; 1024 * 1024 + 1]),
        ("signature", good.clone()),
        ("signature", sign(&good, &stranger.0).expect("a module")),
        ("signature", sign(&good, &old.0).expect("a module")),
        ("signature", touched),
        ("signature", signed[..signed.len() - 10].to_vec()),
        // A second manifest behind what was signed.
        ("signature", section(&signed, "retrotap", b"{}")),
        ("abi", plant.signed(&section(&good, "retrotap", b"{}"))),
        ("abi", plant.signed(&importing)),
        ("budgets", plant.signed(&many_locals())),
        // Renamed: the file of another stage.
        (
            "binding",
            plant.signed(&versioned("smooth", "91.0.0", None)),
        ),
        ("binding", plant.signed(&unfit)),
        (
            "cases",
            plant.signed(&versioned(STAGE, "91.0.0", Some(wrong_case))),
        ),
        ("version", plant.signed(&versioned(STAGE, "0.1.0", None))),
        ("version", plant.signed(shipped(STAGE).wasm())),
    ];
    for (number, (check, bytes)) in attacks.into_iter().enumerate() {
        match deploy(&gateway, bytes).await {
            Err(Refusal::Check { check: found, why }) => {
                assert_eq!(found, check, "attack {number}: {why}");
            }
            other => panic!("attack {number}: {other:?}"),
        }
    }
    let stated = Some("00".repeat(32));
    let lost = gateway
        .modules
        .deploy(place(STAGE), signed.clone(), stated, None)
        .await;
    assert!(
        matches!(lost, Err(Refusal::Check { check: "hash", .. })),
        "{lost:?}"
    );
    let nobody = gateway
        .modules
        .deploy(place("nothing"), signed.clone(), None, None)
        .await;
    assert!(
        matches!(nobody, Err(Refusal::UnknownStage(_))),
        "{nobody:?}"
    );
    assert_eq!(
        serde_json::to_value(stage(&gateway).await).expect("JSON"),
        before
    );
    assert!(!plant.path().join("modules").exists(), "nothing was stored");
    // And what is right is taken.
    let deployed = deploy(&gateway, signed).await.expect("signed and newer");
    assert_eq!(deployed.state, "running");
    assert_eq!(
        stage(&gateway).await.running.signed_by.as_deref(),
        Some("plant")
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_module_that_misbehaves_goes_back_by_itself() {
    for (body, why) in [
        ("unreachable", "gave up"),
        ("(loop (br 0)) i32.const 0", "time budget"),
        ("i32.const 1000", "output"),
    ] {
        let mut plant = Plant::new(false);
        plant.robot();
        let gateway = plant.gateway(false).await;
        more_frames(&gateway, 20).await;
        let shipped = stage(&gateway).await.running.module;
        let bad = plant.signed(&misbehaving("92.0.0", body));
        let deployed = deploy(&gateway, bad).await.expect("it passes all checks");
        assert_eq!(deployed.module, "arm-distance@92.0.0");
        let mut shown = stage(&gateway).await;
        for _ in 0..300 {
            if shown.running.module == shipped {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            shown = stage(&gateway).await;
        }
        assert_eq!(shown.running.module, shipped, "{body}");
        let last = shown.changes.last().expect("it came and went");
        assert_eq!(last.what, "returned");
        assert!(last.why.contains(why), "{}", last.why);
        // Records of the shipped one come again.
        let before = gateway.status.borrow().machines[0].records.len();
        assert!(before > 0);
        more_frames(&gateway, 40).await;
        assert_eq!(module_of(&gateway, "pose"), Some(shipped.clone()));
        gateway.stop().await;
        // A restart doesn't bring it back either.
        let gateway = plant.gateway(false).await;
        assert_eq!(stage(&gateway).await.running.module, shipped);
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_run_finds_what_differs_and_the_line_does_not_notice() {
    let mut plant = Plant::new(true);
    plant.robot();
    let gateway = plant.gateway(false).await;
    more_frames(&gateway, 20).await;
    for (module, differs) in [
        (versioned(STAGE, "93.0.0", None), false),
        (misbehaving("94.0.0", "i32.const 0"), true),
        (misbehaving("95.0.0", "(loop (br 0)) i32.const 0"), true),
    ] {
        let shadow = Some(Duration::from_secs(2));
        let begun = gateway
            .modules
            .deploy(place(STAGE), module, None, shadow)
            .await;
        assert_eq!(begun.expect("it fits").state, "shadow");
        let mut candidate = None;
        for _ in 0..300 {
            candidate = stage(&gateway).await.candidate;
            if candidate
                .as_ref()
                .is_some_and(|candidate| candidate.finished)
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let report = serde_json::to_value(candidate.expect("it ran").report).expect("JSON");
        assert!(report["frames"].as_u64() > Some(50), "{report}");
        assert_eq!(report["missed"], 0, "{report}");
        assert_eq!(
            report["frames_that_differ"].as_u64() > Some(0),
            differs,
            "{report}"
        );
    }
    // What runs was never another one, and refused nothing.
    assert_eq!(refused_by(&gateway, STAGE), 0);
    assert_eq!(stage(&gateway).await.changes.len(), 0);
    // The last candidate loops: promoted all the same, it goes back.
    gateway
        .modules
        .promote(place(STAGE))
        .await
        .expect("it fits");
    assert!(stage(&gateway).await.candidate.is_none());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_changes_modules_where_the_line_did() {
    let mut plant = Plant::new(true);
    plant.robot();
    let gateway = plant.gateway(true).await;
    more_frames(&gateway, 50).await;
    let deployed = deploy(&gateway, versioned(STAGE, "96.0.0", None)).await;
    let frame = deployed
        .expect("newer")
        .last_frame_before
        .expect("it was swapped");
    more_frames(&gateway, 50).await;
    gateway.stop().await;

    let capture = plant
        .path()
        .join("captures/robot-1.pcapng")
        .display()
        .to_string();
    let files = plant.path().join("modules/files").display().to_string();
    let replay = ["replay", &capture, "--adapter", "kuka-krc2"];
    let without = binary::run(&replay);
    assert_eq!(without.code, Some(1));
    assert!(without.err.contains("--stage-dir"), "{}", without.err);
    let done = binary::run(&[&replay[..], &["--stage-dir", &files]].concat());
    assert_eq!(done.code, Some(0), "{}", done.err);
    let records: Vec<Value> = done
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|record: &Value| record["record"] == "pose")
        .collect();
    assert!(records.len() > 10);
    for record in &records {
        let is_new = record["module"] == "arm-distance@96.0.0";
        assert_eq!(
            is_new,
            record["frame"].as_u64() > Some(frame),
            "{record} {frame}"
        );
    }
}

/// The newest answer of the gateway on that topic.
fn answered(answers: &Subscriber) -> Value {
    let messages = answers.messages();
    let newest = messages.last().map(|message| message.payload.as_str());
    newest.map_or(Value::Null, |json| {
        serde_json::from_str(json).expect("JSON")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_broker_a_module_comes_in_chunks_however_they_come() {
    let mut plant = Plant::new(true);
    plant.robot();
    let broker = Mosquitto::start(plant.path(), &Listener::Plain, "");
    let root = format!("retrotap/1/aachen/cell-3/{MACHINE}/modules/{STAGE}");
    let answers = Subscriber::start(broker.port(), None, &format!("{root}/answer")).await;
    let gateway = plant.gateway_with(false, Some(broker.port())).await;
    let options = MqttOptions::new("engineer", Broker::tcp("localhost", broker.port()));
    let (client, mut events) = AsyncClient::builder(options).capacity(100).build();
    tokio::spawn(async move { while events.poll().await.is_ok() {} });
    eventually("the uplink is there", || {
        let status = gateway.status.borrow();
        serde_json::to_value(&status.uplink).expect("JSON")["state"] == "connected"
    })
    .await;
    let send = async |file: &[u8], numbers: &[usize]| {
        let sha256 = hex(&Sha256::digest(file));
        let parts: Vec<&[u8]> = file.chunks(8000).collect();
        for number in numbers {
            let topic = format!("{root}/put/{sha256}/{number}/{}", parts.len());
            let options = PublishOptions::new(QoS::AtLeastOnce);
            let bytes = parts[number - 1].to_vec();
            client.publish(topic, bytes, options).await.expect("room");
        }
        parts.len()
    };
    let file = plant.signed(&versioned(STAGE, "98.0.0", None));
    let all: Vec<usize> = (1..=file.chunks(8000).count()).rev().collect();
    // Backwards, twice, and one is lost.
    let some: Vec<usize> = all
        .iter()
        .flat_map(|n| [*n, *n])
        .filter(|n| *n != 3)
        .collect();
    let of = send(&file, &some).await;
    eventually("it says what is missing", || {
        answered(&answers)["missing"] == json!([3])
    })
    .await;
    assert_eq!(answered(&answers)["have"], of - 1);
    assert_ne!(stage(&gateway).await.running.module, "arm-distance@98.0.0");
    send(&file, &[3, 3, 1]).await;
    eventually("it runs", || answered(&answers)["state"] == "running").await;
    assert_eq!(stage(&gateway).await.running.module, "arm-distance@98.0.0");
    // Unsigned it isn't taken this way, though the settings allow it otherwise.
    let unsigned = versioned(STAGE, "98.1.0", None);
    let all: Vec<usize> = (1..=unsigned.chunks(8000).count()).collect();
    send(&unsigned, &all).await;
    eventually("it is refused", || answered(&answers)["state"] == "refused").await;
    assert_eq!(answered(&answers)["check"], "signature");
    assert_eq!(stage(&gateway).await.running.module, "arm-distance@98.0.0");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_the_folder_is_taken_or_refused_with_its_reason() {
    let mut plant = Plant::new(false);
    plant.robot();
    let inbox = plant.path().join("inbox");
    std::fs::create_dir_all(inbox.join(MACHINE)).expect("a folder");
    plant.inbox = Some(inbox.clone());
    let gateway = plant.gateway(false).await;
    let file = inbox.join(MACHINE).join(format!("{STAGE}.wasm"));
    std::fs::write(&file, versioned(STAGE, "99.0.0", None)).expect("written");
    eventually("it is refused", || {
        file.with_extension("wasm.refused").exists()
    })
    .await;
    let why = std::fs::read_to_string(file.with_extension("wasm.why")).expect("a reason");
    assert!(why.contains("not signed"), "{why}");
    std::fs::write(&file, plant.signed(&versioned(STAGE, "99.0.0", None))).expect("written");
    eventually("it is taken", || !file.exists()).await;
    assert_eq!(stage(&gateway).await.running.module, "arm-distance@99.0.0");
    gateway.stop().await;
}

/// What a line gives away: frames by number, and records with all their values, but without the version
/// that made them.
type Given = (Vec<u64>, Vec<String>);

fn given(swaps: &[(usize, Input)], cycles: usize) -> Given {
    let catalog = Catalog::default();
    let adapter = catalog.adapter("kuka-krc2").expect("shipped");
    let engine = catalog.engine().expect("Wasmtime");
    let assembled = assemble(&engine, &catalog, &adapter, &Params::new()).expect("it fits");
    let gauge = Line::gauge_for(&assembled);
    let mut line = Line::new(assembled, gauge).expect("a checked framing");
    let (mut frames, mut records) = (Vec::new(), Vec::new());
    let mut sink = |output: Output<'_>| match output {
        Output::Frame(frame) => frames.push(frame.number),
        Output::Record(seen) => records.push(format!("{} {:?}", seen.frame, seen.record)),
        Output::Judged(_) => {}
    };
    let line_bytes = unbroken(&bytes(&way(3, 0, cycles)));
    let mut swaps = swaps.iter().peekable();
    for (index, chunk) in one_by_one(&line_bytes).enumerate() {
        let at = Stamp {
            line_ns: chunk.at.line_ns,
            wall_ns: 0,
        };
        line.receive(&chunk, &mut sink);
        while let Some((_, swap)) = swaps.next_if(|(place, _)| *place == index) {
            line.apply(swap, at, &mut sink).expect("it fits");
        }
    }
    assert!(swaps.peek().is_none(), "all were made");
    (frames, records)
}

#[test]
fn a_thousand_swaps_at_any_byte_lose_no_frame_and_no_record() {
    const SWAPS: usize = 1000;
    let (catalog, engine) = (Catalog::default(), Catalog::default().engine());
    let (adapter, engine) = (
        catalog.adapter("kuka-krc2").expect("shipped"),
        engine.expect("Wasmtime"),
    );
    let stages = ["krc2-decode", "axis-limits", STAGE];
    let modules: Vec<Arc<Module>> = stages
        .iter()
        .flat_map(|stage| ["97.0.0", "97.0.1"].map(|version| versioned(stage, version, None)))
        .map(|bytes| Arc::new(Module::parse(&bytes).expect("a module")))
        .collect();
    // Each at another byte, so that frames and cycles are cut everywhere.
    let swaps: Vec<(usize, Input)> = (0..SWAPS)
        .map(|number| {
            let module = &modules[number % modules.len()];
            let next =
                Successor::new(&engine, &successor_spec(&adapter, module)).expect("it compiles");
            (number * 13 + 40, Input::Module(Swap::to(next)))
        })
        .collect();
    let cycles = (SWAPS * 13 + 40) / CYCLE_BYTES + 10;
    let undisturbed = given(&[], cycles);
    assert_eq!(undisturbed.0.len(), cycles * 7);
    let swapped = given(&swaps, cycles);
    assert_eq!(swapped.0, undisturbed.0);
    for (got, expected) in swapped.1.iter().zip(&undisturbed.1) {
        assert_eq!(got, expected);
    }
    assert_eq!(swapped.1.len(), undisturbed.1.len());
}
