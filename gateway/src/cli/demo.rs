//! `retrotap demo`: everything on one machine with nothing to set up.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::process::{self, Child, ChildStdin};

use super::gateway::{self, Gateway, MachinePlan, Plan};
use super::signals;
use crate::cell::separation::State;
use crate::config::cell::{
    Action, Cell, Pose, Robot, RobotSpeed, Rule, Separation, SerialPermit, Source, SourceWay,
    Stopping,
};
use crate::config::limits::BATCH_LINGER;
use crate::config::{Modules, Spool};
use crate::demo_broker;
use crate::modules::assemble::{Params, hex};
use crate::modules::catalog::Catalog;
use crate::port::PortSpec;
use crate::simulate::{Faults, FaultsError, people};
use crate::uplink::{self, BrokerUrl, ReleaseOn};
use crate::web::Listen;

/// A simulated robot, people who walk around it, a broker and the dashboard: nothing to configure.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap demo
  retrotap demo --listen 127.0.0.1:9090 --mqtt 127.0.0.1:2883
  retrotap demo --faults lost=0.001,unplug=0.002     a bad cable
  retrotap demo --record .                           and a capture, for `retrotap replay`")]
pub struct Args {
    /// Where the page is.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the broker listens.
    #[arg(long, default_value = "127.0.0.1:1883", value_name = "ADDRESS")]
    mqtt: SocketAddr,
    /// Another robot programme for each number, the same for the same one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What goes wrong on the line, such as `lost=0.001`; `retrotap simulate --help` lists them.
    #[arg(long, default_value = "", value_name = "RATES", value_parser = faults)]
    faults: String,
    /// Write a capture of the line into this folder.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Stop by itself after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Don't open a browser.
    #[arg(long)]
    no_browser: bool,
}

/// What the robot is told, once it is known that it will be understood.
fn faults(text: &str) -> Result<String, FaultsError> {
    text.parse::<Faults>().map(|_| text.to_owned())
}

const MACHINE: &str = "robot-1";
const CELL: &str = "cell-1";

/// What lets the simulated robot move, and how long it goes on without.
const PERMIT: &[u8] = &[0x55];
const PERMIT_WITHIN: Duration = Duration::from_millis(200);

/// How often the demo says where its people are.
const PEOPLE_EVERY: Duration = Duration::from_millis(100);

/// Runs the command.
///
/// # Errors
///
/// An address is taken, or this machine has no pseudo-terminals.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let broker = demo_broker::start(args.mqtt).await?;
    // A name that stays, because a pulled cable comes back as another pseudo-terminal.
    let folder = tempfile::tempdir().context("no folder for temporary files")?;
    let port = folder.path().join(MACHINE);
    let mut robot = Controller::start(&port, &args)?;
    let gateway = gateway::start(Plan {
        site: Arc::from("demo"),
        gateway: Arc::from("demo"),
        simulated: true,
        machines: vec![MachinePlan {
            id: Arc::from(MACHINE),
            adapter: "kuka-krc2".to_owned(),
            ports: vec![PortSpec::Serial(port)],
            params: Params::new(),
            send_frames: true,
        }],
        cells: vec![cell()?],
        uplink: Some(uplink::Settings {
            site: Arc::from("demo"),
            gateway: Arc::from("demo"),
            url: BrokerUrl {
                tls: false,
                host: broker.address().ip().to_string(),
                port: broker.address().port(),
            },
            tls: None,
            client_id: "retrotap-demo".to_owned(),
            release_on: ReleaseOn::Broker,
            linger: BATCH_LINGER,
            hear: None,
            modules: None,
        }),
        listen: Some(Listen {
            address: args.listen,
            cert: None,
            folder: folder.path().join("web"),
        }),
        // The demo has none: everything is made up.
        shown_settings: serde_json::json!({}),
        spool: Spool::at(folder.path().join("spool")),
        modules: Modules::at(folder.path().join("modules")),
        catalog: Catalog::default(),
        record_dir: args.record.clone(),
        oracle_dir: None,
    })
    .await?;

    let page = gateway.page.clone().unwrap_or_default();
    greet(&page, broker.address());
    if !args.no_browser {
        open_browser(&page);
    }
    tokio::select! {
        () = walk(&gateway) => {}
        () = signals::interrupted() => {}
        () = after(args.seconds) => {}
        ended = robot.process.wait() => bail!("the simulated robot ended: {}", ended?),
    }
    println!("\nstopping");
    gateway.stop().await;
    robot.process.kill().await.context("the simulated robot")?;
    Ok(ExitCode::SUCCESS)
}

/// The simulated robot: a process of its own, as a robot has a controller of its own. It outlives a gateway
/// that is killed by a few seconds, and is seen to stop.
struct Controller {
    process: Child,
    /// What it sees the end of when this process is gone.
    _stdin: Option<ChildStdin>,
}

impl Controller {
    fn start(port: &Path, args: &Args) -> anyhow::Result<Self> {
        let mut command = process::Command::new(std::env::current_exe()?);
        command
            .args([
                "simulate",
                "--adapter",
                "kuka-krc2",
                "--until-eof",
                "--permit",
            ])
            .args([hex(PERMIT), "--permit-within-ms".to_owned()])
            .args([PERMIT_WITHIN.as_millis().to_string(), "--seed".to_owned()])
            .args([
                args.seed.to_string(),
                "--faults".to_owned(),
                args.faults.clone(),
            ])
            .arg("--port")
            .arg(format!("pty:{}", port.display()))
            .stdin(Stdio::piped())
            // Ctrl-C is for the gateway, which then ends the robot.
            .process_group(0)
            .kill_on_drop(true);
        let spawned = command.spawn();
        let mut process = spawned.context("the simulated robot can't be started")?;
        Ok(Self {
            _stdin: process.stdin.take(),
            process,
        })
    }
}

/// The demo's cell. Its figures are invented so that all states are seen in a minute; those of a real
/// robot come from its maker, and those of a real cell from whoever answers for it.
fn cell() -> anyhow::Result<Cell> {
    Ok(Cell {
        id: Arc::from(CELL),
        robots: vec![Robot {
            machine: Arc::from(MACHINE),
            base_pose: Pose::default(),
            linear_axis: None,
            tool_capsules: Vec::new(),
        }],
        separation: Some(Separation {
            rule: Rule::IsoTs15066,
            human_speed_m_per_s: 1.6,
            robot: RobotSpeed::Measured {
                max_acceleration_m_per_s2: 2.0,
            },
            stopping: Stopping::One {
                time: Duration::from_millis(300),
                distance_m: 0.15,
            },
            sensor_latency: Duration::from_millis(20),
            stop_signal_latency: Duration::from_millis(20),
            // A laptop that does other things as well.
            gateway_latency: Duration::from_millis(50),
            intrusion_m: 0.1,
            person_uncertainty_m: 0.05,
            robot_uncertainty_m: 0.02,
            warn_margin_m: 0.5,
            hysteresis_m: 0.1,
            hold: Duration::from_millis(500),
        }),
        fixtures: Some(people::fence()?),
        source: Some(Source {
            by: SourceWay::Api,
            time_to_live: 5 * PEOPLE_EVERY,
        }),
        permit: Some(SerialPermit {
            machine: Arc::from(MACHINE),
            bytes: PERMIT.to_vec(),
            every: Duration::from_millis(50),
        }),
        actions: vec![
            (State::Stop, Action::MqttAlarm),
            (State::Unknown, Action::MqttAlarm),
        ],
    })
}

/// People walk for as long as the demo runs.
async fn walk(gateway: &Gateway) {
    let began = Instant::now();
    let mut every = tokio::time::interval(PEOPLE_EVERY);
    loop {
        every.tick().await;
        let people = people::at(began.elapsed().as_secs_f64()).map_err(anyhow::Error::from);
        let seen = people.and_then(|people| Ok(gateway.simulate(CELL, people)?));
        if let Err(error) = seen {
            tracing::warn!(%error, "the demo's people");
        }
    }
}

async fn after(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}

fn greet(page: &str, mqtt: SocketAddr) {
    println!(
        "\
Retrotap demo: a simulated KUKA KR C2 at 9600 baud on a pseudo-terminal, and two people. The robot moves
only while the gateway's permit comes: when somebody is too near it stops, and when the gateway is killed.

  dashboard   {page}
  MQTT        mosquitto_sub -h {} -p {} -t 'retrotap/#' -v
  kill it     kill -9 {}, and see what the robot does

The broker and the page are for this machine only, without passwords, and modules run unsigned.
Distances are advisory: this is not a safety function.
Ctrl-C stops everything.",
        mqtt.ip(),
        mqtt.port(),
        std::process::id()
    );
}

/// Opens the page where there is a desktop to open it on.
fn open_browser(page: &str) {
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    if desktop && std::io::stdout().is_terminal() {
        // Whether a browser came up is seen on the screen; the address stands above.
        let _ = Command::new("xdg-open")
            .arg(page)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
    }
}
