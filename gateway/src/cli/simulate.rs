//! `retrotap simulate`: a machine to test against, on a port or a pseudo-terminal.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, bail};
use retrotap_adapters::framing::{Parity, SerialSettings};

use super::signals::interrupted;
use crate::simulate::krc2::BAUD;
use crate::simulate::{Faults, Krc2, PermitWatch, ValueEncoding, Wire, drive_watching};

/// A simulated machine that talks at its real pace, until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap simulate --adapter kuka-krc2 --port pty:/tmp/robot
  retrotap simulate --adapter kuka-krc2 --port /dev/ttyUSB1 --seed 7
  retrotap simulate --adapter kuka-krc2 --port pty --faults lost=0.001,silence=0.01
  retrotap simulate --adapter kuka-krc2 --port pty:/tmp/robot --permit 55

Faults are rates from 0 to 1. Per byte: lost, doubled, flipped (one bit). Per cycle of seven frames:
out_of_range (an axis claims to be beyond its limit), silence (a second of nothing), unplug (the
port is gone for two seconds and comes back under another number; needs --port pty:LINK).")]
pub struct Args {
    /// Which machine.
    #[arg(long, value_enum)]
    adapter: Machine,
    /// A serial device, or `pty` for a pseudo-terminal, or `pty:LINK` for one that also has a name
    /// of your choice.
    #[arg(long)]
    port: String,
    /// The same number gives the same way and the same faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the sign of a value is written.
    #[arg(long, value_enum, default_value = "sign_magnitude")]
    value_encoding: EncodingArg,
    /// What goes wrong, and how often: `lost=0.001,silence=0.01`.
    #[arg(long, value_name = "FAULT=RATE,…", default_value = "")]
    faults: Faults,
    /// Move only while these bytes come in, in hexadecimal digits, such as 55.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    permit: Option<Permit>,
    /// How long the permit may stay away before the robot stops, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 200, requires = "permit")]
    permit_within_ms: u64,
    /// End after so many cycles of seven frames.
    #[arg(long)]
    cycles: Option<u64>,
    /// End three seconds after standard input does: whoever started it is gone then.
    #[arg(long)]
    until_eof: bool,
}

/// How long the machine goes on alone: time to see what it does then.
const ALONE: Duration = Duration::from_secs(3);

/// How often is looked whether the permit is there.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The bytes of a permit.
#[derive(Debug, Clone)]
struct Permit(Vec<u8>);

fn bytes(text: &str) -> Result<Permit, String> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let digits = str::from_utf8(pair)
            .ok()
            .filter(|digits| digits.len() == 2)?;
        u8::from_str_radix(digits, 16).ok()
    };
    let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
    bytes
        .filter(|bytes| !bytes.is_empty())
        .map(Permit)
        .ok_or_else(|| "expected pairs of hexadecimal digits, such as 55".to_owned())
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Machine {
    #[value(name = "kuka-krc2")]
    KukaKrc2,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum EncodingArg {
    SignMagnitude,
    TwosComplement,
}

/// Runs the command.
///
/// # Errors
///
/// The port can't be opened or doesn't take bytes any more.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Machine::KukaKrc2 = args.adapter;
    let settings = SerialSettings {
        baud: BAUD,
        data_bits: 8,
        parity: Parity::None,
        stop_bits: 1,
    };
    let link = args.port.strip_prefix("pty:").map(PathBuf::from);
    if args.faults.unplug > 0.0 && link.is_none() {
        bail!(
            "`unplug` needs --port pty:LINK: a real adapter can't be pulled out from here, and a \
             pseudo-terminal without a link isn't found again"
        );
    }
    let mut wire = if args.port == "pty" || link.is_some() {
        Wire::pty(link.as_deref()).with_context(|| format!("can't make {}", args.port))?
    } else {
        Wire::serial(Path::new(&args.port), settings)?
    };
    let within = Duration::from_millis(args.permit_within_ms);
    let watch = args
        .permit
        .map(|Permit(bytes)| PermitWatch::new(bytes, within));
    let mut machine = Krc2::new(args.seed, args.faults)
        .encoding(match args.value_encoding {
            EncodingArg::SignMagnitude => ValueEncoding::SignMagnitude,
            EncodingArg::TwosComplement => ValueEncoding::TwosComplement,
        })
        .cycles(args.cycles.unwrap_or(u64::MAX));
    if let Some(watch) = &watch {
        machine = machine.permit(watch.is_there());
    }
    let place = match wire.line_end() {
        Some(path) => format!("listen at {}", path.display()),
        None => format!("it talks into {}", args.port),
    };
    eprintln!("A KUKA KR C2 sends its axes, {BAUD} baud 8N1; {place}. Ctrl-C ends it.");
    let teller = watch
        .as_ref()
        .map(|watch| tokio::spawn(tell_of(watch.is_there(), within)));
    let until_eof = args.until_eof;
    let over = async {
        tokio::select! {
            () = interrupted() => {}
            () = left_alone(), if until_eof => {}
        }
    };
    let summary = drive_watching(&mut wire, machine, watch, over).await?;
    if let Some(teller) = teller {
        teller.abort();
    }
    eprintln!(
        "{} bytes sent, {} more that nobody fetched",
        summary.bytes_sent, summary.bytes_dropped
    );
    Ok(ExitCode::SUCCESS)
}

/// Says when the permit comes and when it stays away.
async fn tell_of(permit: Arc<AtomicBool>, within: Duration) {
    let mut was = false;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let is = permit.load(Relaxed);
        match (was, is) {
            (false, true) => eprintln!("robot: the permit is there, I may move"),
            (true, false) => eprintln!("robot: no permit for {} ms, I stop", within.as_millis()),
            _ => {}
        }
        was = is;
    }
}

/// Ends some time after standard input.
async fn left_alone() {
    let mut nobody = tokio::io::stdin();
    // An error is as much an end.
    let _ = tokio::io::copy(&mut nobody, &mut tokio::io::sink()).await;
    eprintln!("robot: whoever started me is gone");
    tokio::time::sleep(ALONE).await;
}
