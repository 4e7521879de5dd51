//! `retrotap demo`: everything on one machine with nothing to set up.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::gateway::{self, Gateway, MachinePlan, Plan};
use super::signals;
use crate::config::Spool;
use crate::config::limits::BATCH_LINGER;
use crate::demo_broker;
use crate::line::Input;
use crate::modules::assemble::Params;
use crate::modules::catalog::Catalog;
use crate::port::PortSpec;
use crate::simulate::{Faults, Krc2, Wire, drive, people};
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
    #[arg(long, default_value = "", value_name = "RATES")]
    faults: Faults,
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

const MACHINE: &str = "robot-1";

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
    let mut wire = Wire::pty(Some(&port)).context("this system gives no pseudo-terminal")?;
    let gateway = gateway::start(Plan {
        site: Arc::from("demo"),
        gateway: Arc::from("demo"),
        simulated: true,
        machines: vec![MachinePlan {
            id: Arc::from(MACHINE),
            adapter: "kuka-krc2".to_owned(),
            ports: vec![PortSpec::Serial(port)],
            params: Params::new(),
            inputs: vec![Input::Obstacles(people::at(0.0)?)],
            send_frames: true,
        }],
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
        }),
        listen: Some(Listen {
            address: args.listen,
            cert: None,
            folder: folder.path().join("web"),
        }),
        // The demo has none: everything is made up.
        shown_settings: serde_json::json!({}),
        spool: Spool::at(folder.path().join("spool")),
        catalog: Catalog::default(),
        record_dir: args.record.clone(),
        oracle_dir: None,
    })
    .await?;

    let stop = CancellationToken::new();
    let robot = tokio::spawn({
        let (stop, source) = (stop.clone(), Krc2::new(args.seed, args.faults));
        async move { drive(&mut wire, source, stop.cancelled()).await }
    });
    let page = gateway.page.clone().unwrap_or_default();
    greet(&page, broker.address());
    if !args.no_browser {
        open_browser(&page);
    }
    tokio::select! {
        () = walk(&gateway) => {}
        () = signals::interrupted() => {}
        () = after(args.seconds) => {}
    }
    println!("\nstopping");
    gateway.stop().await;
    stop.cancel();
    robot.await?.context("the simulated robot")?;
    Ok(ExitCode::SUCCESS)
}

/// People walk for as long as the demo runs.
async fn walk(gateway: &Gateway) {
    let began = Instant::now();
    let mut every = tokio::time::interval(PEOPLE_EVERY);
    loop {
        every.tick().await;
        match people::at(began.elapsed().as_secs_f64()) {
            Ok(snapshot) => {
                if !gateway.input(MACHINE, Input::Obstacles(snapshot)) {
                    tracing::warn!("the line takes no obstacles at the moment");
                }
            }
            Err(error) => tracing::error!(%error, "the demo's people"),
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
Retrotap demo: a simulated KUKA KR C2 at 9600 baud on a pseudo-terminal, and two people

  dashboard   {page}
  MQTT        mosquitto_sub -h {} -p {} -t 'retrotap/#' -v

The broker and the page are for this machine only, without passwords, and modules run unsigned.
Distances are advisory: this is not a safety function.
Ctrl-C stops everything.",
        mqtt.ip(),
        mqtt.port()
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
