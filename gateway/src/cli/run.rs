//! `retrotap run`: the gateway.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{gateway, plan, service, signals};
use crate::port::{PortSpec, store};

/// Runs the gateway until Ctrl-C or SIGTERM.
///
/// Ports and brokers that are not there yet are looked for; mistakes in the settings are shown all at
/// once, and nothing is started.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap run retrotap.yaml
  retrotap run retrotap.yaml --record captures     and a capture of each machine
  RETROTAP__UPLINK__MQTT__URL=mqtts://other:8883 retrotap run retrotap.yaml")]
pub struct Args {
    /// The settings.
    #[arg(default_value = "/etc/retrotap/retrotap.yaml")]
    file: PathBuf,
    /// Write a capture of each machine's line into this folder.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// For tests: write each record into this folder before the spool sees it.
    #[arg(long, value_name = "DIR", hide = true)]
    oracle: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
///
/// The settings don't hold, or an adapter, a module or an address can't be used.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if !args.file.exists() {
        eprintln!("error: there is no file {}", args.file.display());
        return Ok(ExitCode::from(2));
    }
    let settings = match plan::settings(&args.file) {
        Ok(settings) => settings,
        Err(problems) => {
            for problem in &problems {
                eprintln!("{problem}");
            }
            eprintln!(
                "{}: {} errors; nothing was started",
                args.file.display(),
                problems.len()
            );
            return Ok(ExitCode::FAILURE);
        }
    };
    let plan = plan::plan(&settings, args.record, args.oracle)?;
    let ports = plan.machines.iter().flat_map(|machine| &machine.ports);
    store::begin(ports.filter_map(|port| match port {
        PortSpec::Serial(path) => Some(path.as_path()),
        PortSpec::Tcp(_) => None,
    }));
    let gateway = gateway::start(plan).await?;
    tracing::info!(
        site = %settings.site,
        gateway = %settings.gateway,
        machines = settings.machines.len(),
        page = gateway.page,
        "running; distances are advisory, this is not a safety function"
    );
    tokio::select! {
        () = signals::interrupted() => {}
        () = service::attend(gateway.pulses.clone(), gateway.status.clone()) => {}
    }
    tracing::info!("stopping");
    service::stopping();
    gateway.stop().await;
    Ok(ExitCode::SUCCESS)
}
