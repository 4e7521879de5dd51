//! `retrotap spool`: what a spool holds, all of it as lines, and whether it is whole. Changes nothing,
//! and works beside a gateway that runs.

use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::spool::look::{Filter, Held, Look, Part};
use crate::time::{parse_utc, rfc3339};
use crate::words::Stream;

/// What a spool holds, all of it as lines, and whether it is whole.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap spool status /var/lib/retrotap/spool
  retrotap spool export /var/lib/retrotap/spool --machine robot-1 --record distance --since 2026-11-20
  retrotap spool export /var/lib/retrotap/spool --stream frames --unreleased | gzip > frames.jsonl.gz
  retrotap spool verify /var/lib/retrotap/spool")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Status(StatusArgs),
    Export(ExportArgs),
    Verify(VerifyArgs),
}

/// What it holds of each machine, and for how many hours there is room.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap spool status /var/lib/retrotap/spool
  retrotap spool status /var/lib/retrotap/spool --json | jq .unreleased")]
struct StatusArgs {
    /// The spool's folder, or a database that was put aside.
    path: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Its entries as JSON lines, stream by stream in the order of their numbers.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap spool export spool --machine robot-1 --record distance --since 2026-11-20T10:00Z
  retrotap spool export spool --unreleased                  what nobody took yet
  retrotap spool export spool/spool.db.damaged-1795186221   what can still be read of it")]
struct ExportArgs {
    /// The spool's folder, or a database that was put aside.
    path: PathBuf,
    /// Only of this machine.
    #[arg(long)]
    machine: Option<String>,
    /// Only records of this name.
    #[arg(long)]
    record: Option<String>,
    /// Only this stream.
    #[arg(long, value_parser = ["records", "frames", "inputs"])]
    stream: Option<String>,
    /// Not older: a date, or a time in UTC such as 2026-11-20T10:55Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<i64>,
    /// Not younger.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
    /// Only what nobody took yet.
    #[arg(long)]
    unreleased: bool,
}

/// Reads all of it, with checksums and numbers. Exit code 1: something is wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap spool verify /var/lib/retrotap/spool
  retrotap spool verify /var/lib/retrotap/spool --json | jq -r '.wrong[]'")]
struct VerifyArgs {
    /// The spool's folder, or a database that was put aside.
    path: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<i64, String> {
    parse_utc(text).ok_or_else(|| {
        "expected a date such as 2026-11-20, or a time in UTC such as 2026-11-20T10:55:00Z"
            .to_owned()
    })
}

/// Runs the command: exit code 0, 1 where something is wrong, 2 where there is no spool.
///
/// # Errors
///
/// The spool can't be read, or standard output can't be written.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    // Reads a disk: not on the runtime's threads.
    tokio::task::spawn_blocking(move || match args.command {
        Command::Status(args) => on_spool(&args.path, |look| status(look, args.json)),
        Command::Export(args) => on_spool(&args.path, |look| export(look, &args)),
        Command::Verify(args) => on_spool(&args.path, |look| verify(look, args.json)),
    })
    .await?
}

fn on_spool(
    path: &Path,
    command: impl FnOnce(&Look) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    if !path.exists() {
        eprintln!("error: there is no spool {}", path.display());
        return Ok(ExitCode::from(2));
    }
    command(&Look::open(path)?)
}

fn status(look: &Look, json: bool) -> anyhow::Result<ExitCode> {
    let held = look.held();
    if json {
        println!("{}", serde_json::to_string_pretty(&held)?);
    } else {
        print!("{}", describe(&held, SystemTime::now()));
    }
    Ok(ExitCode::SUCCESS)
}

/// A table, and what it comes to.
fn describe(held: &Held, now: SystemTime) -> String {
    let mut text = format!(
        "{:<20} {:<8} {:>11} {:>12} {:>12} {:>10}  {}\n",
        "machine", "stream", "epoch", "entries", "unreleased", "size", "from – to"
    );
    for part in &held.parts {
        let Part {
            machine,
            stream,
            epoch,
            entries,
            unreleased,
            packed_bytes,
            ..
        } = part;
        text += &format!(
            "{machine:<20} {:<8} {epoch:>11} {entries:>12} {unreleased:>12} {:>10}  {} – {}\n",
            stream.name(),
            size(*packed_bytes),
            seconds(part.since_unix_ns),
            seconds(part.until_unix_ns),
        );
    }
    text += &format!(
        "\n{} of {} on disk, {}\n",
        size(held.disk_bytes),
        size(held.max_bytes),
        if held.clean {
            "cleanly stopped"
        } else {
            "in use, or not cleanly stopped"
        }
    );
    match held.oldest_unreleased_unix_ns {
        Some(oldest_ns) => {
            let now_ns = now
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_nanos();
            let age_ns = i64::try_from(now_ns)
                .unwrap_or(i64::MAX)
                .saturating_sub(oldest_ns);
            text += &format!(
                "{} entries that nobody took yet, the oldest {} old\n",
                held.unreleased,
                age(Duration::from_nanos(age_ns.max(0).unsigned_abs()))
            );
        }
        None => text += "everything was taken\n",
    }
    if let Some(hours) = held.hours {
        text += &format!(
            "room for {} at the rate that it has seen\n",
            hours_text(hours)
        );
    }
    text
}

/// `3 h`, or days where there are many.
pub(super) fn hours_text(hours: f64) -> String {
    if hours < 72.0 {
        format!("{hours:.1} hours")
    } else {
        format!("{:.0} days", hours / 24.0)
    }
}

fn seconds(unix_ns: i64) -> String {
    let mut text = rfc3339(unix_ns);
    text.truncate("2026-11-20T10:55:00".len());
    text + "Z"
}

fn age(age: Duration) -> String {
    let seconds = age.as_secs_f64();
    if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else if seconds < 7200.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        hours_text(seconds / 3600.0)
    }
}

fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        ..1024.0 => format!("{bytes} B"),
        ..1_048_576.0 => format!("{:.1} KiB", bytes / 1024.0),
        ..1_073_741_824.0 => format!("{:.1} MiB", bytes / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes / 1_073_741_824.0),
    }
}

fn export(look: &Look, args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let filter = Filter {
        machine: args.machine.clone(),
        stream: args.stream.as_deref().and_then(Stream::from_name),
        record: args.record.clone(),
        since_unix_ns: args.since,
        until_unix_ns: args.until,
        unreleased: args.unreleased,
    };
    let mut broken = 0;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let written = look
        .entries(
            &filter,
            |entry| writeln!(out, "{}", entry.json),
            |error| {
                broken += 1;
                eprintln!("left out: {error}");
            },
        )
        .and_then(|()| out.flush());
    match written {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn verify(look: &Look, json: bool) -> anyhow::Result<ExitCode> {
    #[derive(Serialize)]
    struct Verified {
        entries: u64,
        wrong: Vec<String>,
    }
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new(0)
    } else {
        ProgressBar::hidden()
    };
    bar.set_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} blocks  {eta}",
    )?);
    let wrong = look.verify(|done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let entries = look.held().parts.iter().map(|part| part.entries).sum();
    let verified = Verified { entries, wrong };
    if json {
        println!("{}", serde_json::to_string_pretty(&verified)?);
    } else {
        for what in &verified.wrong {
            println!("{what}");
        }
        match verified.wrong.len() {
            0 => println!("{entries} entries, all is well"),
            count => println!("{entries} entries, {count} things are wrong"),
        }
    }
    Ok(if verified.wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_read_at_a_glance() {
        assert_eq!(size(1000), "1000 B");
        assert_eq!(size(16 << 20), "16.0 MiB");
        assert_eq!(age(Duration::from_millis(1500)), "1.5 s");
        assert_eq!(age(Duration::from_secs(7200)), "2.0 hours");
        assert_eq!(hours_text(240.0), "10 days");
        assert_eq!(seconds(0), "1970-01-01T00:00:00Z");
    }
}
