//! What stands around the part that is measured: a broker with TLS, a gateway, and a lake.

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::{Authority, Pair, Validity};
use crate::gateway::Gateway;
use crate::http::get_json;
use crate::influx::{Influx, Settings};
use crate::kafka::Kafka;
use crate::lake::Lake;
use crate::mosquitto::{Listener, Mosquitto};
use crate::ports::free_port;

/// The plant's name in topics and tags.
pub const SITE: &str = "aachen";
/// The gateway's.
pub const GATEWAY: &str = "cell-3";
/// The machine's.
pub const MACHINE: &str = "robot-1";

/// A broker that asks for certificates, and one gateway's settings for it.
#[derive(Debug)]
pub struct Plant {
    /// The broker.
    pub broker: Mosquitto,
    /// A port of it without TLS, for those who look and are not measured.
    pub plain: u16,
    /// The CA.
    pub ca: std::path::PathBuf,
    /// The certificate of all clients.
    pub client: Pair,
    folder: TempDir,
}

impl Default for Plant {
    fn default() -> Self {
        Self::start()
    }
}

impl Plant {
    /// Starts the broker. It holds all that a slow subscriber hasn't taken, so that no part is
    /// measured by what another one lost.
    ///
    /// # Panics
    ///
    /// It can't be started.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new(folder.path(), "plant-ca");
        let listener = Listener::MutualTls {
            ca: authority.cert.clone(),
            broker: authority.broker("broker", &["localhost"], Validity::Valid),
        };
        let plain = free_port();
        let more = format!(
            "max_queued_messages 0\nmax_inflight_messages 256\nlistener {plain} 127.0.0.1\n\
             require_certificate false"
        );
        Self {
            broker: Mosquitto::start(folder.path(), &listener, &more),
            plain,
            ca: authority.cert.clone(),
            client: authority.client("client", Validity::Valid),
            folder,
        }
    }

    /// Where all files stand.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A gateway of one KR C2 with a person in its cell, reading this port.
    pub fn gateway(&self, port: &str, release_on: &str) -> Gateway {
        let obstacles = r#"[{"id":"person","kind":"sphere","center":[2.6,0.4,1.2],"radius":0.4}]"#;
        std::fs::write(self.path().join("obstacles.json"), obstacles).expect("the folder is there");
        let settings = format!(
            "site: {SITE}\ngateway: {GATEWAY}\nallow_unsigned: true\n\
             machines:\n  - {{id: {MACHINE}, adapter: kuka-krc2, port: \"{port}\"}}\n\
             cells:\n  - id: cell\n    robots:\n      - {{machine: {MACHINE}, base_pose: \
             {{xyz: [0m, 0m, 0m], rpy: [0deg, 0deg, 0deg]}}}}\n    obstacles: {{file: obstacles.json}}\n\
             uplink:\n  mqtt: {{url: \"mqtts://localhost:{broker}\", ca: {ca}, client_cert: {cert}, \
             client_key: {key}}}\n  release_on: {release_on}\n\
             spool: {{path: spool}}\n",
            broker = self.broker.port(),
            ca = self.ca.display(),
            cert = self.client.cert.display(),
            key = self.client.key.display(),
        );
        Gateway::start(self.path(), &settings, &[])
    }
}

/// Kafka, ingest, sink and database behind a [`Plant`].
#[derive(Debug)]
pub struct Chain {
    /// Everything before the lake.
    pub plant: Plant,
    /// The database.
    pub influx: Influx,
    /// From the broker to Kafka.
    pub ingest: Lake,
    /// From Kafka to the database.
    pub sink: Lake,
    /// Kafka.
    pub kafka: Kafka,
}

impl Default for Chain {
    fn default() -> Self {
        Self::start()
    }
}

impl Chain {
    /// Starts all of it, and returns when each part can work.
    ///
    /// # Panics
    ///
    /// Something can't be started.
    pub fn start() -> Self {
        let plant = Plant::start();
        let kafka = Kafka::start(plant.path());
        let influx = Influx::start(Settings::default());
        let mut ingest = ingest(&plant, &kafka);
        let mut sink = Lake::sink(plant.path(), "sink", &kafka.address(), &influx.url(), &[]);
        ingest.becomes_ready();
        sink.becomes_ready();
        Self {
            plant,
            influx,
            ingest,
            sink,
            kafka,
        }
    }
}

/// An ingest that comes to the broker with its certificate.
///
/// # Panics
///
/// It can't be started.
pub fn ingest(plant: &Plant, kafka: &Kafka) -> Lake {
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let url = format!("mqtts://localhost:{}", plant.broker.port());
    let (ca, cert, key) = (
        text(&plant.ca),
        text(&plant.client.cert),
        text(&plant.client.key),
    );
    let arguments = [
        "ingest",
        "--mqtt-url",
        &url,
        "--kafka",
        &kafka.address(),
        "--ca",
        &ca,
        "--client-cert",
        &cert,
        "--client-key",
        &key,
    ];
    Lake::start(plant.path(), "ingest", &arguments)
}

/// Points in the database.
///
/// # Panics
///
/// It doesn't answer.
pub fn points(influx: &Influx) -> u64 {
    let counts = get_json(influx.port(), "/stand-in/counts").expect("it answers");
    counts[&Settings::default().buckets[0]]["points"]
        .as_u64()
        .unwrap_or(0)
}

/// Waits until `done` says so.
///
/// # Panics
///
/// It doesn't within ten minutes.
pub async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(600), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
