//! From the last byte of a cycle on a pseudo-terminal to the stop bytes at its other end, beside Node-RED in
//! the same run.
//!
//! Node-RED reads by its serial node, cuts every nine bytes, turns the axes of a cycle into the flange's
//! place and writes the stop bytes where that comes too near to one point. That is what the published
//! prototype computed; we keep 6 capsules from whoever is there, by the adapter's three stages, and judge.

use std::path::Path;
use std::process::Command;

use retrotap::cli::bench::stop::{stop_by_stop, swing, times_us};
use retrotap::port::pty::Pty;
use serde_json::{Value, json};

use super::node_red;
use super::report::{Budget, figure, note, title};
use super::{Effort, quantile};
use crate::binary::repository;

/// The flange's distance in metres to the place that `retrotap bench` puts somebody at, from axes in degrees.
const DISTANCE: &str = "\
function distance(chain, axes) {
  let m = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];
  for (const [x, y, z, ax, ay, az, input] of chain) {
    const a = axes[input - 1] * Math.PI / 180, c = Math.cos(a), s = Math.sin(a), k = 1 - c;
    const r = [c + ax * ax * k, ax * ay * k - az * s, ax * az * k + ay * s,
               ay * ax * k + az * s, c + ay * ay * k, ay * az * k - ax * s,
               az * ax * k - ay * s, az * ay * k + ax * s, c + az * az * k];
    const n = [];
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++)
        n[4 * i + j] = m[4 * i] * r[j] + m[4 * i + 1] * r[3 + j] + m[4 * i + 2] * r[6 + j];
      n[4 * i + 3] = m[4 * i] * x + m[4 * i + 1] * y + m[4 * i + 2] * z + m[4 * i + 3];
    }
    m = n;
  }
  return Math.hypot(m[3] - 1.5, m[7] - 2.5, m[11] - 1.0);
}
function value(frame) {
  const size = frame.readUInt32LE(5) / 1e5;
  return frame[4] === 0x2d ? -size : size;
}";

/// Takes one frame; with the seventh it decides.
const DECIDE: &str = "\
const axes = context.get('axes') || [];
const frame = msg.payload;
axes[frame[0] - 1] = value(frame);
context.set('axes', axes);
if (frame[0] !== 7) return null;
const near = distance(CHAIN, axes) < THRESHOLD, was = context.get('near');
context.set('near', near);
return near && !was ? {payload: Buffer.from('STOP')} : null;";

/// Prints the figures of both.
pub async fn measure(effort: &Effort) {
    title("last byte of a cycle in to stop bytes out, both on a pseudo-terminal");
    let ours = times_us(effort.stops).await.expect("the shipped stages");
    let ours_p99_us = told("Retrotap", ours);
    let Some(program) = node_red::program() else {
        note("Node-RED is not here: tests/support/peers.sh says why");
        return;
    };
    let stops = effort.stops;
    let theirs = tokio::task::spawn_blocking(move || by_node_red(&program, stops));
    let theirs_p99_us = told("Node-RED", theirs.await.expect("it runs"));
    figure(
        "our p99 as a share of Node-RED's",
        ours_p99_us / theirs_p99_us,
        "",
        effort.stops as u64,
        Budget::AtMost(0.1),
    );
}

/// Prints three figures; gives the second.
fn told(who: &str, mut us: Vec<f64>) -> f64 {
    let samples = us.len() as u64;
    let [p50, p99, longest] = [0.5, 0.99, 1.0].map(|share| quantile(&mut us, share));
    for (name, value) in [("p50", p50), ("p99", p99), ("longest", longest)] {
        figure(
            &format!("{who}, {name}"),
            value,
            "µs",
            samples,
            Budget::None,
        );
    }
    p99
}

fn by_node_red(program: &Path, stops: usize) -> Vec<f64> {
    let folder = tempfile::tempdir().expect("a folder");
    let pty = Pty::open().expect("a pseudo-terminal");
    let cycles = swing().expect("the shipped stages");
    let chain = chain();
    let threshold_m = threshold_m(&chain, &cycles);
    let decide = format!("{DISTANCE}\nconst CHAIN = {chain}, THRESHOLD = {threshold_m};\n{DECIDE}");
    let flows = json!([
        {"id": "tab", "type": "tab", "label": "robot-1"},
        {"id": "port", "type": "serial-port", "serialport": pty.path(), "serialbaud": "9600",
            "databits": "8", "parity": "none", "stopbits": "1", "waitfor": "", "newline": "9",
            "bin": "bin", "out": "count", "addchar": "", "responsetimeout": "10000"},
        {"id": "in", "type": "serial in", "z": "tab", "serial": "port", "wires": [["decide"]]},
        {"id": "decide", "type": "function", "z": "tab", "func": decide, "outputs": 1,
            "initialize": "", "finalize": "", "libs": [], "wires": [["out"]]},
        {"id": "out", "type": "serial out", "z": "tab", "serial": "port", "wires": []}
    ]);
    let _node_red = node_red::start(program, folder.path(), &flows, "opened at");
    stop_by_stop(&pty, &cycles, stops).expect("it stops every time")
}

/// The robot's joints as JSON: origin in metres, axis, and which axis value turns it.
fn chain() -> Value {
    let file = repository().join("adapters/machines/kuka-krc2/kr-150-2.chain.csv");
    let text = std::fs::read_to_string(file).expect("a shipped table");
    let rows = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(|row| {
        let cells: Vec<f64> = row
            .split(',')
            .skip(2)
            .map(|cell| cell.parse().expect("a number"))
            .collect();
        assert_eq!(cells[3..6], [0.0; 3], "no joint is turned in its link");
        json!([
            cells[0], cells[1], cells[2], cells[6], cells[7], cells[8], cells[9]
        ])
    })
    .collect()
}

/// In the middle between both ends, as that function sees them.
fn threshold_m(chain: &Value, cycles: &[Vec<u8>; 2]) -> f64 {
    let script = format!(
        "{DISTANCE}\nconst axes = (cycle) => cycle.match(/.{{18}}/g).map((hex) => value(Buffer.from(hex, 'hex')));\n\
         const both = process.argv.slice(1).map((cycle) => distance({chain}, axes(cycle)));\n\
         console.log(JSON.stringify(both));"
    );
    let hex = |cycle: &Vec<u8>| cycle.iter().map(|byte| format!("{byte:02x}")).collect();
    let hexed: Vec<String> = cycles.iter().map(hex).collect();
    let told = Command::new("node")
        .args(["-e", &script])
        .args(hexed)
        .output();
    let told = told.expect("node").stdout;
    let [far_m, near_m]: [f64; 2] = serde_json::from_slice(&told).expect("two numbers");
    assert!(near_m < far_m, "{near_m} m and {far_m} m");
    (near_m + far_m) / 2.0
}
