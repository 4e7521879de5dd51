//! `retrotap bench`: what this machine can carry, each figure beside its budget.
//!
//! Budgets are those of `docs/figures.md`. A figure is a ratio, or two things measured in turns in
//! one run, wherever that can be had; an absolute time is a note about this machine on this day. A
//! budget that is missed is said and is no failure: the exit code tells only whether everything
//! could be measured.
//!
//! This is the one place of the gateway that knows stages as ordinary Rust: they are what the
//! modules are compared with.
//!
//! What it doesn't do: TLS, a broker of a plant, a real serial adapter. Peers run elsewhere; their
//! figures are named as what they are, measured at another time.

mod child;
mod computing;
mod latency;
mod report;
mod spool;
pub mod stop;
mod subscriber;
mod workload;

use std::io::IsTerminal;
use std::process::ExitCode;

use report::Report;

/// Measures what this machine can carry.
///
/// Takes about two minutes. Nothing is sent anywhere: ports are pseudo-terminals, the broker is inside.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap bench
  retrotap bench --json > figures.json
  retrotap bench --quick     a look at whether it runs, with too few samples to believe")]
pub struct Args {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Take few samples.
    #[arg(long)]
    quick: bool,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Rounds in which native stages and modules take turns, and cycles in each.
    rounds: usize,
    cycles_per_round: usize,
    /// Pipelines that are begun anew.
    first_calls: usize,
    /// Cycles that are timed from their last byte to their record.
    cycles_timed: usize,
    /// Cycles that stop a robot.
    stops_timed: usize,
    /// Starts of the whole program, with and without compiled modules.
    starts: usize,
    /// Machines on one gateway, and for how long they send.
    machines: usize,
    load_s: f64,
    /// For how long one machine's pace is kept, to see what is written.
    spool_s: f64,
}

const FULL: Effort = Effort {
    rounds: 400,
    cycles_per_round: 200,
    first_calls: 40,
    cycles_timed: 2_000,
    stops_timed: 20_000,
    starts: 7,
    machines: 16,
    load_s: 6.0,
    spool_s: 40.0,
};

const QUICK: Effort = Effort {
    rounds: 5,
    cycles_per_round: 20,
    first_calls: 2,
    cycles_timed: 20,
    stops_timed: 20,
    starts: 1,
    machines: 2,
    load_s: 0.5,
    spool_s: 2.0,
};

/// Runs the command.
///
/// # Errors
///
/// Something can't be measured: no pseudo-terminals, a record that doesn't come.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let effort = if args.quick { QUICK } else { FULL };
    let mut report = Report::new(args.quick);
    say("stages, native and in Wasmtime");
    report.add(tokio::task::spawn_blocking(move || computing::measure(&effort)).await??);
    say("from a byte on a pseudo-terminal to its record");
    report.add(latency::to_the_sink(&effort).await?);
    say("from a byte on a pseudo-terminal to stop bytes");
    report.add(stop::to_the_stop(&effort).await?);
    say("from a byte on a pseudo-terminal to a subscriber");
    report.add(latency::to_a_subscriber(&effort).await?);
    say("the spool by itself");
    report.add(tokio::task::spawn_blocking(move || spool::measure(&effort)).await??);
    say("start to first record");
    report.add(child::starts(&effort).await?);
    say("many machines on one gateway");
    report.add(child::load(&effort).await?);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What is being measured, for whoever watches.
fn say(what: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("measuring: {what}");
    }
}

/// The value below which this share of the samples lies, 0 to 1; sorts them.
fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    samples
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

fn median(samples: &mut [f64]) -> f64 {
    quantile(samples, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples_and_need_no_order() {
        let mut samples = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(median(&mut samples).to_bits(), 3.0_f64.to_bits());
        assert_eq!(quantile(&mut samples, 0.0).to_bits(), 1.0_f64.to_bits());
        assert_eq!(quantile(&mut samples, 1.0).to_bits(), 5.0_f64.to_bits());
        assert!(median(&mut []).is_nan());
    }
}
