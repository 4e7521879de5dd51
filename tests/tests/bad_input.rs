//! What people, disks and plants get wrong, through the binary: it says what is wrong and what would
//! be right, and what is right goes on.

use std::fs;
use std::path::Path;
use std::time::Duration;

use retrotap::port::Access;
use retrotap::port::serial::Serial;
use retrotap::simulate::{Faults, Krc2, Wire, drive};
use retrotap_abi::Manifest;
use retrotap_adapters::framing::{Parity, SerialSettings};
use retrotap_tests::binary::{Ended, repository, run};
use retrotap_tests::gateway::Gateway;

/// Ten mistakes of ten kinds.
const TEN_MISTAKES: &str = "\
site: aachen/west
gateway: cell-3
allow_unsigned: perhaps
machines:
  - {id: robot-1, adapter: kuka-krc3, port: /dev/ttyUSB0}
  - {id: robot-2, adapter: kuka-krc2, port: ttyUSB1}
  - {id: robot-2, adapter: kuka-krc2, port: /dev/ttyUSB2}
  - {id: robot-3, adapter: kuka-krc2, port: /dev/ttyUSB2}
  - {id: robot-4, adapter: kuka-krc2, prot: /dev/ttyUSB3, port: /dev/ttyUSB4}
stages_dir: nowhere
web: {listen: \"0.0.0.0\"}
spool: {path: spool, max_bytes: 64}
";

/// Where each stands, and a word of what is said.
const FOUND: [(&str, &str); 10] = [
    ("1:", "aachen/west"),
    ("3:", "perhaps"),
    ("5:", "kuka-krc3"),
    ("6:", "/dev/ttyUSB1"),
    ("7:", "twice"),
    ("8:", "in use"),
    ("9:", "prot"),
    ("10:", "nowhere"),
    ("11:", "no address"),
    ("12:", "unit"),
];

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn failed(ended: &Ended, code: i32) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    assert!(
        !format!("{}{}", ended.out, ended.err).trim().is_empty(),
        "it says nothing"
    );
}

#[test]
fn settings_with_ten_mistakes_show_ten_and_nothing_is_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("retrotap.yaml");
    fs::write(&file, TEN_MISTAKES).expect("written");
    for command in ["run", "check"] {
        let ended = run(&[command, text(&file)]);
        failed(&ended, 1);
        let said = format!("{}{}", ended.out, ended.err);
        let mut places: Vec<&str> = said
            .split(&format!("{}:", text(&file)))
            .skip(1)
            .filter(|place| place.starts_with(|c: char| c.is_ascii_digit()))
            .collect();
        places.sort_by_key(|place| {
            place
                .split(':')
                .next()
                .and_then(|line| line.parse::<u32>().ok())
        });
        assert_eq!(places.len(), FOUND.len(), "{command}: {said}");
        for (place, (line, word)) in places.iter().zip(FOUND) {
            assert!(
                place.starts_with(line) && place.contains(word),
                "{word}: {place}"
            );
        }
    }
}

#[test]
fn settings_that_are_not_there_end_with_2() {
    for command in ["run", "check"] {
        let ended = run(&[command, "/nowhere/retrotap.yaml"]);
        failed(&ended, 2);
        assert!(
            ended.err.contains("/nowhere/retrotap.yaml"),
            "{}",
            ended.err
        );
    }
}

fn replay(capture: &Path) -> Ended {
    run(&["replay", text(capture), "--adapter", "kuka-krc2"])
}

#[test]
fn a_capture_that_is_cut_gives_what_is_whole_and_then_says_where_it_ends() {
    let case = repository().join("adapters/machines/kuka-krc2/testcases/negative_angles");
    let whole = fs::read(case.join("capture.pcapng")).expect("a test case");
    let expected = fs::read_to_string(case.join("expected.jsonl")).expect("a test case");
    let folder = tempfile::tempdir().expect("a folder");
    let cut = folder.path().join("cut.pcapng");
    let mut records = Vec::new();
    // Blocks are multiples of four bytes: none of these lengths ends with one.
    for part in [1, 2, 4, 6, 7] {
        let length = (whole.len() * part / 8) / 4 * 4 + 2;
        fs::write(&cut, &whole[..length]).expect("written");
        let ended = replay(&cut);
        failed(&ended, 1);
        assert!(ended.err.contains("error:"), "{}", ended.err);
        assert!(expected.starts_with(&ended.out), "cut at {length}");
        assert!(ended.out.is_empty() || ended.out.ends_with('\n'));
        records.push(ended.out.lines().count());
    }
    assert!(
        records.is_sorted() && records[4] > 20,
        "what is whole comes: {records:?}"
    );
}

#[test]
fn what_is_no_capture_is_refused_with_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("robot.pcapng");
    let picture = b"\x89PNG\r\n\x1a\n and so on, for long enough to be read as a block";
    let old = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 40]].concat();
    for bytes in [&b""[..], b"records", picture, &old, &[0; 4096]] {
        fs::write(&file, bytes).expect("written");
        let ended = replay(&file);
        failed(&ended, 1);
        assert_eq!(ended.out, "");
        assert!(ended.err.contains("robot.pcapng"), "{}", ended.err);
    }
    failed(&replay(folder.path()), 1);
    let gone = replay(&folder.path().join("gone.pcapng"));
    failed(&gone, 1);
    assert!(gone.err.contains("gone.pcapng"), "{}", gone.err);
    let capture = repository().join("adapters/machines/kuka-krc2/testcases/clean/capture.pcapng");
    let ended = run(&["replay", text(&capture), "--adapter", "kuka-krc3"]);
    failed(&ended, 1);
    assert!(
        ended.err.contains("did you mean `kuka-krc2`?"),
        "{}",
        ended.err
    );
}

/// A robot on a pseudo-terminal of this name, until the test ends.
fn robot(link: &Path) -> tokio::task::JoinHandle<()> {
    let mut wire = Wire::pty(Some(link)).expect("a pseudo-terminal");
    tokio::spawn(async move {
        let robot = Krc2::new(1, Faults::default());
        drive(&mut wire, robot, std::future::pending())
            .await
            .expect("it works");
    })
}

fn settings(more: &str, machines: &[(&str, &str, &Path)]) -> String {
    let machines: Vec<String> = machines
        .iter()
        .map(|(id, adapter, port)| {
            format!(
                "  - {{id: {id}, adapter: {adapter}, port: {}}}",
                port.display()
            )
        })
        .collect();
    format!(
        "site: aachen\ngateway: cell-3\nallow_unsigned: true\nspool: {{path: spool}}\n{more}machines:\n{}\n",
        machines.join("\n")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_cant_be_had_are_named_while_the_next_machine_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let [good, used, file, gone] =
        ["good", "used", "file", "gone"].map(|name| folder.path().join(name));
    let _good = robot(&good);
    let _used = robot(&used);
    let serial = SerialSettings {
        baud: 9600,
        data_bits: 8,
        parity: Parity::None,
        stop_bits: 1,
    };
    let _user = Serial::open(&used, serial, Access::Read).expect("it is free");
    fs::write(&file, "not a terminal").expect("written");
    let gateway = Gateway::start(
        folder.path(),
        &settings(
            "",
            &[
                ("gone", "kuka-krc2", &gone),
                ("used", "kuka-krc2", &used),
                ("file", "kuka-krc2", &file),
                ("sink", "kuka-krc2", Path::new("/dev/null")),
                ("good", "kuka-krc2", &good),
            ],
        ),
        &[],
    );
    gateway.reaches("good", "running").await;
    for (machine, said) in [
        ("gone", "there is no"),
        ("used", "is in use"),
        ("file", "not a serial port"),
        ("sink", "not a serial port"),
    ] {
        gateway.reaches(machine, "disconnected").await;
        let detail = gateway.machine(machine)["line"]["detail"].to_string();
        assert!(detail.contains(said), "{machine}: {detail}");
    }
    // What was not there comes to life by itself.
    let _gone = robot(&gone);
    gateway.reaches("gone", "running").await;
}

/// An adapter of one stage, with the frames of a KR C2.
fn adapter_of(stage: &str) -> String {
    format!(
        "adapter: {stage}\ntitle: A stage that misbehaves\n\
         serial: {{baud: 9600, data_bits: 8, parity: none, stop_bits: 1}}\n\
         framing:\n  fixed: {{length: 9, match: [\"01-07\", \"00\", \"00\", \"00\", \"20|2D\", \"*\", \"*\", \"*\", \"*\"]}}\n\
         \x20 timeout: 100ms\nstale_after: 200ms\npipeline:\n  - stage: {stage}\npublish: [reading]\n"
    )
}

/// A user's folders with these wrong guests of the host's tests, each a stage and an adapter.
fn guests(folder: &Path, names: &[&str]) -> String {
    let wrong = repository().join("pipelines/host/tests/wrong");
    let manifest = fs::read_to_string(wrong.join("manifest.yaml")).expect("there");
    fs::create_dir(folder.join("stages")).expect("made");
    for name in names {
        let stage = name.replace('_', "-");
        let manifest = manifest.replace("stage: guest", &format!("stage: {stage}"));
        let manifest = Manifest::from_yaml(&manifest).expect("a good manifest");
        let code = wat::parse_file(wrong.join(name).with_extension("wat")).expect("WebAssembly");
        // What can't be packed is put there as a compiler left it.
        let module = retrotap_host::pack(&code, &manifest).unwrap_or(code);
        fs::write(folder.join("stages").join(format!("{stage}.wasm")), module).expect("written");
        let adapter = folder.join("adapters").join(&stage);
        fs::create_dir_all(&adapter).expect("made");
        fs::write(adapter.join("adapter.yaml"), adapter_of(&stage)).expect("written");
    }
    "stages_dir: stages\nadapters_dir: adapters\n".to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_that_misbehave_are_put_aside_while_the_next_machine_runs() {
    const GUESTS: [(&str, &str); 5] = [
        ("loops-for-ever", "trap"),
        ("traps", "trap"),
        ("recurses", "trap"),
        ("divides-by-zero", "trap"),
        ("records-overrun", "wrong_output"),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let more = guests(
        folder.path(),
        &GUESTS
            .map(|(name, _)| name.replace('-', "_"))
            .each_ref()
            .map(String::as_str),
    );
    let ports = GUESTS.map(|(name, _)| folder.path().join(format!("port-of-{name}")));
    let good = folder.path().join("good");
    let mut robots: Vec<_> = ports.iter().map(|port| robot(port)).collect();
    robots.push(robot(&good));
    let mut machines: Vec<(&str, &str, &Path)> = GUESTS
        .iter()
        .zip(&ports)
        .map(|((name, _), port)| (*name, *name, port.as_path()))
        .collect();
    machines.push(("good", "kuka-krc2", &good));
    let gateway = Gateway::start(folder.path(), &settings(&more, &machines), &[]);
    for (name, why) in GUESTS {
        gateway.reaches(name, "failed").await;
        let machine = gateway.machine(name);
        let strikes = machine["rejected"][format!("{name}/{why}")].as_u64();
        assert_eq!(strikes, Some(5), "{machine}");
        assert_eq!(
            machine["records"],
            serde_json::json!({}),
            "nothing leaves it"
        );
    }
    gateway.reaches("good", "running").await;
    let frames = gateway.machine("good")["frames"].as_u64();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(gateway.machine("good")["frames"].as_u64() > frames);
    assert!(gateway.machine("good")["records"]["axes"].is_object());
}

#[test]
fn a_gateway_without_a_machine_that_can_run_does_not_start_and_says_why() {
    for (name, said) in [
        ("imports", "import"),
        ("wrong_abi", "ABI"),
        ("loops_while_configured", "time budget"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let stage = name.replace('_', "-");
        let more = guests(folder.path(), &[name]);
        let file = folder.path().join("retrotap.yaml");
        fs::write(
            &file,
            settings(&more, &[("robot-1", &stage, Path::new("/dev/ttyUSB0"))]),
        )
        .expect("written");
        let ended = run(&["run", text(&file)]);
        failed(&ended, 1);
        assert!(
            ended.err.contains(&stage) && ended.err.contains(said),
            "{name}: {}",
            ended.err
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_whose_module_is_refused_fails_alone() {
    const GUESTS: [(&str, &str); 3] = [
        ("imports", "import"),
        ("wrong-abi", "ABI"),
        ("loops-while-configured", "time budget"),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let files = GUESTS.map(|(name, _)| name.replace('-', "_"));
    let more = guests(folder.path(), &files.each_ref().map(String::as_str));
    let ports = GUESTS.map(|(name, _)| folder.path().join(format!("port-of-{name}")));
    let good = folder.path().join("good");
    let _robot = robot(&good);
    let mut machines: Vec<(&str, &str, &Path)> = GUESTS
        .iter()
        .zip(&ports)
        .map(|((name, _), port)| (*name, *name, port.as_path()))
        .collect();
    machines.push(("good", "kuka-krc2", &good));
    let gateway = Gateway::start(folder.path(), &settings(&more, &machines), &[]);
    gateway.reaches("good", "running").await;
    for (name, said) in GUESTS {
        let machine = gateway.machine(name);
        assert_eq!(machine["line"]["state"], "failed", "{machine}");
        let detail = machine["line"]["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(said), "{detail}");
    }
}
