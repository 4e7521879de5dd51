//! Node-RED as a peer of the gateway, and as its uplink: a serial server's bytes, cut into frames, decoded,
//! and out by MQTT with TLS and QoS 1, as its own nodes do it.
//!
//! Each frame is one message with an axis and its value. There is no spool, no check of rates, no
//! kinematics and no distance: it does less with a frame than we do.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::peer::Peer;
use super::plant::Plant;
use crate::binary::repository;
use crate::ports::free_port;

/// Its topic.
pub const TOPIC: &str = "node-red/robot-1";

/// Nine bytes are a frame; what is left over waits for the next ones.
const DECODE: &str = "\
let bytes = Buffer.concat([context.get('rest') || Buffer.alloc(0), msg.payload]);
let out = [];
let at = 0;
for (; at + 9 <= bytes.length; at += 9) {
  const size = bytes.readUInt32LE(at + 5) / 1e5;
  out.push({topic: 'node-red/robot-1', payload: JSON.stringify({
    machine: 'robot-1', axis: bytes.readUInt32LE(at), t: new Date().toISOString(),
    value_deg: bytes[at + 4] === 0x2d ? -size : size})});
}
context.set('rest', bytes.subarray(at));
return [out];";

/// Where `tests/support/peers.sh` puts the program; `None`: it was not installed.
pub fn program() -> Option<PathBuf> {
    let program = repository().join("target/tools/peers/node-red/node_modules/node-red/red.js");
    program.exists().then_some(program)
}

/// Starts it with these flows in this folder, and waits until its log says that it is up.
///
/// # Panics
///
/// It can't be started.
pub fn start(program: &Path, folder: &Path, flows: &Value, is_up: &str) -> Peer {
    let folder = folder.join("node-red");
    std::fs::create_dir_all(&folder).expect("the folder is there");
    std::fs::write(folder.join("flows.json"), flows.to_string()).expect("the folder is there");
    let settings = format!(
        "module.exports = {{flowFile: 'flows.json', uiHost: '127.0.0.1', uiPort: {}, \
         httpAdminRoot: false, httpNodeRoot: false, credentialSecret: false, \
         telemetry: {{enabled: false}}, logging: {{console: {{level: 'info'}}}}}};",
        free_port()
    );
    let file = folder.join("settings.js");
    std::fs::write(&file, settings).expect("the folder is there");
    let log = folder.join("log");
    let node_red = Peer::start(
        Command::new("node")
            .arg(program)
            .arg("--userDir")
            .arg(&folder)
            .arg("--settings")
            .arg(&file),
        log,
    );
    node_red.says(is_up);
    node_red
}

/// From a serial server on this port to the broker.
pub fn flows(plant: &Plant, server: u16) -> Value {
    json!([
        {"id": "tab", "type": "tab", "label": "robot-1"},
        {"id": "tls", "type": "tls-config", "cert": plant.client.cert, "key": plant.client.key,
            "ca": plant.ca, "verifyservercert": true, "servername": "localhost"},
        {"id": "broker", "type": "mqtt-broker", "broker": "localhost",
            "port": plant.broker.port().to_string(), "usetls": true, "tls": "tls",
            "clientid": "node-red", "autoConnect": true, "protocolVersion": "5",
            "keepalive": "60", "cleansession": true},
        {"id": "in", "type": "tcp in", "z": "tab", "server": "client", "host": "127.0.0.1",
            "port": server.to_string(), "datamode": "stream", "datatype": "buffer",
            "newline": "", "topic": "", "wires": [["decode"]]},
        {"id": "decode", "type": "function", "z": "tab", "func": DECODE, "outputs": 1,
            "initialize": "", "finalize": "", "libs": [], "wires": [["out"]]},
        {"id": "out", "type": "mqtt out", "z": "tab", "topic": TOPIC, "qos": "1",
            "retain": "false", "broker": "broker", "wires": []}
    ])
}
