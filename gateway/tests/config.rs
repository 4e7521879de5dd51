//! Settings, right and wrong: each `invalid/*.yaml` beside the `.err` that it gives.
//! `UPDATE_EXPECT=1` writes the `.err` files anew.

use std::path::{Path, PathBuf};
use std::time::Duration;

use retrotap::cell::separation::State;
use retrotap::config::cell::{Action, Cell, RobotSpeed, Rule, Source, SourceWay};
use retrotap::config::{self, ServerFiles, Settings, Spool, Surroundings, Web};
use retrotap_adapters::schema::ParamValue;
use retrotap_adapters::yaml::Problem;

fn adapter_names(_: Option<&Path>) -> Vec<String> {
    vec!["kuka-krc2".to_owned(), "scale-ascii".to_owned()]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

fn load(
    path: &Path,
    environment: &[(&str, &str)],
    credentials_dir: Option<PathBuf>,
) -> Result<Settings, Vec<Problem>> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let adapter_names = &adapter_names;
    config::load(
        path,
        &Surroundings {
            environment,
            credentials_dir,
            adapter_names,
        },
    )
}

fn texts(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_mistake_of_a_file_is_told_with_its_place() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder().join("invalid")).expect("the folder is there") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        seen += 1;
        let problems = load(&path, &[], None).expect_err("it is invalid");
        let here = path.parent().expect("a folder").display().to_string();
        let said = texts(&problems).join("\n").replace(&format!("{here}/"), "") + "\n";
        let expected = path.with_extension("err");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&expected, said).expect("written");
        } else {
            let expected = std::fs::read_to_string(&expected).unwrap_or_default();
            assert_eq!(said, expected, "{} (UPDATE_EXPECT=1)", path.display());
        }
    }
    assert!(seen >= 5);
}

#[test]
fn ten_mistakes_are_ten_and_more_problems() {
    let problems = load(&folder().join("invalid/ten-mistakes.yaml"), &[], None);
    assert!(problems.expect_err("it is invalid").len() >= 10);
}

#[test]
fn a_whole_file_is_read_as_it_stands() {
    let valid = folder().join("valid");
    let settings = load(
        &valid.join("whole.yaml"),
        &[],
        Some(valid.join("credentials")),
    )
    .unwrap_or_else(|problems| panic!("{}", texts(&problems).join("\n")));
    assert_eq!(&*settings.site, "aachen");
    assert_eq!(settings.machines.len(), 2);
    assert_eq!(
        settings.machines[0].params["axis-limits"]["axis_1_max_deg"],
        ParamValue::Number {
            value: 90.0,
            unit: Some("deg".to_owned())
        }
    );
    assert!(settings.machines[0].frames && !settings.machines[1].frames);
    let pose = settings.cells[0].robots[0].base_pose;
    assert!((pose.xyz_m[1] - 1.5).abs() < 1e-12);
    assert!((pose.rpy_rad[2] - std::f64::consts::PI).abs() < 1e-12);
    let fixtures = settings.cells[0].fixtures.as_ref();
    assert_eq!(fixtures.map(|all| all.obstacles().len()), Some(1));
    a_whole_cell_is_read_as_it_stands(&settings.cells[0]);
    let shown = config::show::json(&settings).to_string();
    let uplink = settings.uplink.expect("an uplink");
    assert_eq!(uplink.url.to_string(), "mqtts://broker.plant.example:8883");
    assert_eq!(uplink.client_id, "retrotap-aachen-cell-3");
    let tls = uplink.tls.expect("certificates");
    assert_eq!(tls.client.expect("ours").key, valid.join("credentials/key"));
    let tls = ServerFiles {
        cert: valid.join("gateway.pem"),
        key: valid.join("credentials/key"),
    };
    assert_eq!(
        settings.web,
        Some(Web {
            listen: ([0, 0, 0, 0], 8443).into(),
            tls: Some(tls),
            state_dir: valid.join("state"),
        })
    );
    // What the page shows of it has units, and no word of where keys are.
    for part in [
        r#""sync_every":"500ms""#,
        r#""max_age":"2592000s""#,
        r#""axis_1_max_deg":"90deg""#,
        r#""release_on":"broker""#,
        "gateway.pem",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("credentials/key"), "{shown}");
    assert_eq!(
        settings.spool,
        Spool {
            path: valid.join("spool"),
            max_bytes: 64 * 1024 * 1024,
            max_age: Some(Duration::from_secs(30 * 86_400)),
            sync_every: Duration::from_millis(500),
        }
    );
}

fn a_whole_cell_is_read_as_it_stands(cell: &Cell) {
    let separation = cell.separation.as_ref().expect("it is judged");
    assert_eq!(separation.rule, Rule::IsoTs15066);
    assert!((separation.human_speed_m_per_s - 1.6).abs() < 1e-12);
    assert_eq!(
        separation.robot,
        RobotSpeed::Measured {
            max_acceleration_m_per_s2: 4.0
        }
    );
    assert_eq!(separation.gateway_latency, Duration::from_millis(5));
    assert_eq!(separation.hold, Duration::from_millis(500));
    assert_eq!(
        cell.source,
        Some(Source {
            by: SourceWay::Mqtt,
            time_to_live: Duration::from_millis(300)
        })
    );
    let permit = cell.permit.as_ref().expect("a permit");
    assert_eq!(
        (&*permit.machine, &permit.bytes[..]),
        ("robot-1", &b"U"[..])
    );
    let on = |state| cell.actions.iter().filter(move |(on, _)| *on == state);
    assert_eq!(on(State::Stop).count(), 2);
    assert_eq!(
        on(State::Stop).next().map(|(_, action)| action),
        Some(&Action::SerialWrite {
            machine: "robot-1".into(),
            bytes: b"STOP".to_vec()
        })
    );
    assert_eq!(on(State::Unknown).count(), 2);
    assert_eq!(on(State::Warn).count(), 0);
    let robot = &cell.robots[0];
    assert_eq!(robot.linear_axis.map(|axis| axis.axis), Some(7));
    assert!((robot.tool_capsules[0].b_m[2] - 0.2).abs() < 1e-12);
}

#[test]
fn drop_ins_and_environment_lie_over_the_file_and_name_their_own_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("retrotap.yaml");
    let text = "site: a\ngateway: b\nallow_unsigned: true\nspool: {path: spool}\nmachines: [{id: m, adapter: kuka-krc2, port: /dev/ttyS0}]\n";
    std::fs::write(&file, text).expect("written");
    let drop_ins = folder.path().join("retrotap.yaml.d");
    std::fs::create_dir(&drop_ins).expect("made");
    std::fs::write(
        drop_ins.join("10-names.yaml"),
        "site: from-drop-in\ngateway: c\n",
    )
    .expect("written");
    std::fs::write(drop_ins.join("20-names.yaml"), "gateway: later\n").expect("written");
    std::fs::write(drop_ins.join("ignored.txt"), "site: [").expect("written");

    let settings = load(
        &file,
        &[
            ("RETROTAP__MACHINES__0__PORT", "/dev/ttyS1"),
            ("RETROTAP__UPLINK__MQTT__URL", "mqtt://localhost:1e3"),
            ("PATH", "/bin"),
        ],
        None,
    );
    let said = texts(&settings.expect_err("the port is no number"));
    assert!(
        said[0]
            .starts_with("environment variable RETROTAP__UPLINK__MQTT__URL:1:1: uplink.mqtt.url: "),
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|text| text.contains("`release_on` is missing")),
        "{said:?}"
    );

    let settings = load(
        &file,
        &[("RETROTAP__MACHINES__0__PORT", "/dev/ttyS1")],
        None,
    );
    let settings = settings.unwrap_or_else(|problems| panic!("{}", texts(&problems).join("\n")));
    assert_eq!(&*settings.site, "from-drop-in");
    assert_eq!(&*settings.gateway, "later");
    assert_eq!(settings.machines[0].ports, ["/dev/ttyS1"]);

    assert_eq!(settings.spool, Spool::at(folder.path().join("spool")));

    std::fs::write(drop_ins.join("10-names.yaml"), "sitte: x\n").expect("written");
    let said = texts(
        &load(
            &file,
            &[("RETROTAP__MACHINES__3__PORT", "/dev/ttyS1")],
            None,
        )
        .expect_err("two"),
    );
    assert!(
        said.iter()
            .any(|text| text.contains("10-names.yaml:1:1: unknown key `sitte`")),
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|text| text.contains("RETROTAP__MACHINES__3__PORT")
                && text.contains("no entry `3`")),
        "{said:?}"
    );
}

#[test]
fn a_file_that_is_not_there_is_one_problem() {
    let said = texts(&load(Path::new("nowhere.yaml"), &[], None).expect_err("it isn't there"));
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("nowhere.yaml:1:1: can't be read"));
}
