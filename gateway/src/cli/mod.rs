//! The command line: one file a command, each with its arguments and one function.
//!
//! Exit codes: 0 it went well, 1 it failed, 2 it was used wrongly.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod actions;
pub mod bench;
pub mod cells;
pub mod check;
pub mod demo;
pub mod gateway;
pub mod keygen;
pub mod module;
mod module_chunks;
mod module_folder;
pub mod modules;
mod page;
mod parameters;
mod plan;
pub mod ports;
pub mod record;
pub mod replay;
pub mod robot;
pub mod robots;
pub mod run;
mod scenes;
pub mod service;
pub mod signals;
pub mod simulate;
pub mod spool;
pub mod stage;
pub mod user;

/// Taps old machines: serial frames through WebAssembly pipelines to MQTT.
#[derive(Debug, Parser)]
#[command(name = "retrotap", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  retrotap demo                                      a simulated robot, a broker and the dashboard
  retrotap ports                                     which serial ports are there
  retrotap record /dev/ttyUSB0 -o line.pcapng        listen, and write what came
  retrotap replay line.pcapng --adapter kuka-krc2    the records of a recording
  retrotap check retrotap.yaml                       every mistake in the settings at once
  retrotap run retrotap.yaml                         the gateway

Distances are advisory: this is not a safety function.";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Run(run::Args),
    Check(check::Args),
    Keygen(keygen::Args),
    Module(module::Args),
    Bench(bench::Args),
    Ports(ports::Args),
    Record(record::Args),
    Replay(replay::Args),
    Robot(robot::Args),
    Simulate(simulate::Args),
    Spool(spool::Args),
    Stage(stage::Args),
    User(user::Args),
}

/// What is worth knowing goes to standard error; standard output belongs to the command. How much that
/// is, says an environment variable.
pub fn log(variable: &str, otherwise: &str) {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env(variable)
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(otherwise)),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .init();
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log("RETROTAP_LOG", "warn,retrotap=info");
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Run(args) => run::run(args).await,
            Command::Check(args) => check::run(args).await,
            Command::Keygen(args) => keygen::run(&args),
            Command::Module(args) => module::run(args).await,
            Command::Bench(args) => bench::run(args).await,
            Command::Ports(args) => ports::run(args).await,
            Command::Record(args) => record::run(args).await,
            Command::Replay(args) => replay::run(args).await,
            Command::Robot(args) => robot::run(args).await,
            Command::Simulate(args) => simulate::run(args).await,
            Command::Spool(args) => spool::run(args).await,
            Command::Stage(args) => stage::run(args).await,
            Command::User(args) => user::run(args).await,
        }
    });
    // A thread that waits for a terminal or a disk must not hold up the end.
    runtime.shutdown_background();
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
