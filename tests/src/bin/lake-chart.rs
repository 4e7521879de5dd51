//! Runs the lake on real servers for some minutes, with an outage in the middle, asks InfluxDB the very
//! queries of the Grafana dashboard, and writes down what they answered: `make lake-chart` draws it.
//!
//! Needs `RETROTAP_INFLUXD`, `RETROTAP_BINARY` and `RETROTAP_LAKE_BINARY`. Ends with 1 where a panel of
//! the dashboard or the downsampling task fails in InfluxDB.

use std::path::Path;
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};

use retrotap::time::rfc3339;
use retrotap_tests::binary;
use retrotap_tests::gateway::Gateway;
use retrotap_tests::http::request;
use retrotap_tests::influx::Settings;
use retrotap_tests::influxd::{self, Influxd};
use retrotap_tests::kafka::Kafka;
use retrotap_tests::lake::Lake;
use retrotap_tests::mosquitto::{Listener, Mosquitto};
use retrotap_tests::ports::free_port;
use serde_json::{Value, json};

/// Before the broker is killed, while it is away, and after. The task runs each minute.
const PHASES: [Duration; 3] = [
    Duration::from_secs(70),
    Duration::from_secs(30),
    Duration::from_secs(80),
];

const MACHINES: usize = 2;

/// A window of the chart.
const WINDOW: &str = "1s";

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(program), Some(into)) = (influxd::program(), arguments.next()) else {
        eprintln!("usage: RETROTAP_INFLUXD=PROGRAM lake-chart FILE.json");
        return ExitCode::from(2);
    };
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let influxd = Influxd::set_up(&program, folder.path(), port);
    let mut server = Running(influxd.command().spawn().expect("it starts"));
    influxd.comes_up(&mut server.0);

    let (from, outage) = arrive(folder.path(), port);
    let failed = task(port).err();
    let to = now_ns();
    let panels = panels(&influxd, from, to);
    let errors: Vec<String> = panels
        .iter()
        .filter_map(|(title, rows)| Some(format!("{title}: {}", rows.as_ref().err()?)))
        .chain(failed)
        .collect();
    for error in &errors {
        eprintln!("{error}");
    }
    let shown: serde_json::Map<String, Value> = panels
        .into_iter()
        .map(|(title, rows)| (title, json!(rows.unwrap_or_default())))
        .collect();
    let answered = json!({"from": rfc3339(from), "to": rfc3339(to), "outage": outage.map(rfc3339), "panels": shown});
    std::fs::write(into, answered.to_string()).expect("written");
    ExitCode::from(u8::from(!errors.is_empty()))
}

/// Robots, gateway, broker, ingest, Kafka and sink, until all has arrived that was said. Gives when it
/// began, and when the broker was away.
fn arrive(folder: &Path, influx: u16) -> (i64, [i64; 2]) {
    let mut broker = Mosquitto::start(folder, &Listener::Plain, "persistence false");
    let kafka = Kafka::start(folder);
    let mut ingest = Lake::ingest(folder, "ingest", broker.port(), &kafka.address(), &[]);
    ingest.becomes_ready();
    let url = format!("http://127.0.0.1:{influx}");
    let mut sink = Lake::sink(
        folder,
        "sink",
        &kafka.address(),
        &url,
        &["--create-buckets"],
    );
    sink.becomes_ready();
    let robots: Vec<Running> = (1..=MACHINES)
        .map(|index| {
            let link = format!("pty:{}", folder.join(format!("robot-{index}")).display());
            let seed = index.to_string();
            let arguments = [
                "simulate",
                "--adapter",
                "kuka-krc2",
                "--port",
                &link,
                "--seed",
                &seed,
            ];
            let mut robot = binary::command(&arguments);
            Running(
                robot
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .expect("it starts"),
            )
        })
        .collect();
    let mut gateway = Gateway::start(folder, &settings(folder, broker.port()), &[]);
    let from = now_ns();
    std::thread::sleep(PHASES[0]);
    broker.kill();
    let away = now_ns();
    std::thread::sleep(PHASES[1]);
    broker.start_again();
    let back = now_ns();
    std::thread::sleep(PHASES[2]);
    drop(robots);
    // A stopped gateway has sent what it had.
    assert_eq!(gateway.terminate(), Some(0), "{}", gateway.log());
    let began = Instant::now();
    while sink.metric("retrotap_lake_sink_lag") > 0.0 && began.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(200));
    }
    (from, [away, back])
}

fn settings(folder: &Path, broker: u16) -> String {
    let person =
        r#"[{"id":"person","kind":"capsule","a":[3.6,0.4,0.35],"b":[3.6,0.4,1.45],"radius":0.35}]"#;
    std::fs::write(folder.join("obstacles.json"), person).expect("the folder is there");
    let mut text = format!(
        "site: plant\ngateway: cell-3\nallow_unsigned: true\nspool: {{path: spool}}\n\
         uplink:\n  mqtt: {{url: \"mqtt://127.0.0.1:{broker}\"}}\n  release_on: lake\nmachines:\n"
    );
    let mut cell =
        "cells:\n  - id: cell-3\n    obstacles: {file: obstacles.json}\n    robots:\n".to_owned();
    for index in 1..=MACHINES {
        let port = folder.join(format!("robot-{index}"));
        text += &format!(
            "  - {{id: robot-{index}, adapter: kuka-krc2, port: {}}}\n",
            port.display()
        );
        cell += &format!(
            "      - {{machine: robot-{index}, base_pose: {{xyz: [0m, {}m, 0m], rpy: [0deg, 0deg, 0deg]}}}}\n",
            index - 1
        );
    }
    text + &cell
}

/// Whether the task that thins out points ran in InfluxDB, and didn't fail.
fn task(port: u16) -> Result<(), String> {
    let token = Settings::default().token;
    let get = |path: &str| -> Result<Value, String> {
        let (_, answer) = request(port, "GET", path, &token, "").ok_or("no answer")?;
        serde_json::from_str(&answer).map_err(|error| error.to_string())
    };
    let tasks = get("/api/v2/tasks")?;
    let Some(id) = tasks["tasks"][0]["id"].as_str() else {
        return Err(format!("no downsampling task: {tasks}"));
    };
    let runs = get(&format!("/api/v2/tasks/{id}/runs"))?;
    let states: Vec<&str> = runs["runs"]
        .as_array()
        .map(|runs| {
            runs.iter()
                .filter_map(|run| run["status"].as_str())
                .collect()
        })
        .unwrap_or_default();
    println!("runs of the downsampling task: {states:?}");
    if states.contains(&"success") && !states.contains(&"failed") {
        Ok(())
    } else {
        Err(format!("the downsampling task: {runs}"))
    }
}

type Rows = Vec<std::collections::BTreeMap<String, String>>;

/// What each panel of the dashboard shows, as InfluxDB answers it.
fn panels(influxd: &Influxd, from: i64, to: i64) -> Vec<(String, Result<Rows, String>)> {
    let path = binary::repository().join("docker/grafana/dashboards/retrotap.json");
    let text = std::fs::read_to_string(path).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let mut panels = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let title = panel["title"].as_str().unwrap_or_default();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let flux = target["query"].as_str().unwrap_or_default();
            // Those ask the lake's programs by their names in the compose file.
            if flux.contains("http://") {
                continue;
            }
            let mut flux = flux.to_owned();
            for name in ["site", "gateway", "machine"] {
                flux = flux.replace(&format!("${{{name}:regex}}"), ".*");
            }
            let flux = flux
                .replace("v.timeRangeStart", &rfc3339(from))
                .replace("v.timeRangeStop", &rfc3339(to))
                .replace("v.windowPeriod", WINDOW);
            let rows = influxd.query(&flux);
            println!(
                "{title}: {}",
                match &rows {
                    Ok(rows) => format!("{} rows", rows.len()),
                    Err(error) => error.clone(),
                }
            );
            panels.push((title.to_owned(), rows));
        }
    }
    panels
}

fn now_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}
