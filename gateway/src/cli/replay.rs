//! `retrotap replay`: the records of a recording, byte for byte the same at any speed.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::ValueEnum;
use retrotap_host::{Engine, Successor};

use crate::capture::{InputKind, Item, Start};
use crate::cell::obstacles::Snapshot;
use crate::line::{Input, Line, Output, Parameter, Swap, adapter_of, params_of};
use crate::modules::assemble::{Params, assemble, hex, successor_spec};
use crate::modules::catalog::{Catalog, LoadedAdapter};
use crate::port::replay::{Replay, Speed};
use crate::spool::Numbering;
use crate::words::{ClockState, Identity, Stamp};

/// The records of a recording, as JSON lines.
///
/// Times, obstacles and parameters come from the recording, so the same file gives the same bytes at
/// any speed and on any machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap replay line.pcapng --adapter kuka-krc2
  retrotap replay line.pcapng --adapter kuka-krc2 --obstacles people.json | jq .fields.distance_m
  retrotap replay line.pcapng --adapter kuka-krc2 --expect expected.jsonl
  retrotap replay line.bin --raw --baud 9600 --adapter kuka-krc2")]
pub struct Args {
    /// A pcapng file made by `retrotap record`, or raw bytes with --raw.
    capture: PathBuf,
    /// What made the bytes, such as `kuka-krc2`; a wrong name is answered with all there are.
    #[arg(long)]
    adapter: String,
    /// Obstacles from the beginning on, as the JSON of the API; those in the capture come on top.
    #[arg(long, value_name = "FILE")]
    obstacles: Option<PathBuf>,
    /// As fast as it was recorded, or as fast as possible.
    #[arg(long, value_enum, default_value = "max")]
    speed: SpeedArg,
    /// Compare with these JSON lines; exit code 1 where they differ.
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// The file is nothing but bytes of the line.
    #[arg(long, requires = "baud")]
    raw: bool,
    /// Bits per second of a raw file, ten a byte: what its times are made of.
    #[arg(long, requires = "raw", value_parser = clap::value_parser!(u32).range(50..=4_000_000))]
    baud: Option<u32>,
    /// A folder of adapters of your own.
    #[arg(long, value_name = "DIR")]
    adapters_dir: Option<PathBuf>,
    /// A folder of stages of your own; they take the place of shipped ones of the same name.
    #[arg(long, value_name = "DIR")]
    stage_dir: Option<PathBuf>,
    /// Say on standard error what was counted.
    #[arg(long)]
    summary: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SpeedArg {
    #[value(name = "1")]
    Recorded,
    Max,
}

/// Runs the command.
///
/// # Errors
///
/// The capture, the adapter or the obstacles can't be used; each says why.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let catalog = Catalog {
        adapters_dir: args.adapters_dir.clone(),
        stages_dir: args.stage_dir.clone(),
        ..Catalog::default()
    };
    let speed = match args.speed {
        SpeedArg::Recorded => Speed::Recorded,
        SpeedArg::Max => Speed::Max,
    };
    let mut recording = match args.baud {
        Some(baud) => Replay::open_raw(&args.capture, baud, speed)?,
        None => Replay::open(&args.capture, speed)?,
    };

    let engine = catalog.engine()?;
    // What stands before the first byte is what the line began with.
    let mut params = Params::new();
    let mut early = Vec::new();
    let mut adapter = catalog.adapter(&args.adapter)?;
    let mut item = recording.next_item().await?;
    while let Some(Item::Input(captured)) = &item {
        if captured.kind == InputKind::Start {
            match serde_json::from_str::<Start>(&captured.data) {
                Ok(start) => {
                    adapter = adapter_of(&adapter, &start);
                    warn_of_other_modules(&catalog, start);
                }
                Err(_) => tracing::warn!(
                    "the capture's start can't be read: it was made by another version"
                ),
            }
        }
        match Input::from_captured(captured)? {
            Some(Input::Parameter(Parameter { stage, name, value })) => {
                params.entry(stage).or_default().insert(name, value);
            }
            Some(mut other) => {
                ready(&mut other, &engine, &catalog, &adapter)?;
                early.push((other, captured.line_ns));
            }
            None => {}
        }
        item = recording.next_item().await?;
    }
    if let Some(path) = &args.obstacles {
        let json = std::fs::read_to_string(path)
            .with_context(|| format!("can't read {}", path.display()))?;
        let snapshot = Snapshot::parse(&json).with_context(|| path.display().to_string())?;
        early.insert(0, (Input::Obstacles(snapshot.into()), 0));
    }

    let params = params_of(&adapter, params);
    let assembled = assemble(&engine, &catalog, &adapter, &params)?;
    let gauge = Line::gauge_for(&assembled);
    let mut line = Line::new(assembled, gauge.clone())?;

    let mut printer = Printer::new(&args)?;
    for (input, line_ns) in &early {
        line.apply_recorded(
            input,
            Stamp {
                line_ns: *line_ns,
                wall_ns: 0,
            },
            &mut |_| {},
        )?;
    }
    let mut last = Stamp::default();
    let cut = loop {
        match &item {
            Some(Item::Chunk(chunk)) => {
                last = chunk.at;
                line.receive(chunk, &mut |output| printer.take(output));
            }
            Some(Item::Input(captured)) => {
                let at = recording.stamp(captured);
                if captured.kind == InputKind::Reset {
                    line.disconnected(at, &mut |output| printer.take(output));
                } else if let Some(mut input) = Input::from_captured(captured)? {
                    ready(&mut input, &engine, &catalog, &adapter)?;
                    line.apply_recorded(&input, at, &mut |output| printer.take(output))?;
                }
            }
            None => break None,
        }
        if printer.broken_pipe {
            return Ok(ExitCode::SUCCESS);
        }
        match recording.next_item().await {
            Ok(next) => item = next,
            // What is whole has been given; the end of it is said, and is not a success.
            Err(error) => break Some(error),
        }
    };
    line.finish(last, &mut |output| printer.take(output));
    let same = printer.finish()?;
    if args.summary {
        summarise(&gauge.read());
    }
    if let Some(error) = cut {
        bail!(error);
    }
    Ok(if same {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A module that took another's place while it was recorded takes it again: it must be among the stages
/// that there are, whichever file it is in.
fn ready(
    input: &mut Input,
    engine: &Engine,
    catalog: &Catalog,
    adapter: &LoadedAdapter,
) -> anyhow::Result<()> {
    let Input::Module(swap) = input else {
        return Ok(());
    };
    let module = catalog.by_hash(&swap.sha256).with_context(|| {
        format!(
            "{} with SHA-256 {} took its place while this was recorded; name a folder with it by \
             --stage-dir, such as `files` in the gateway's `modules.path`",
            swap.module, swap.sha256
        )
    })?;
    let spec = successor_spec(adapter, &module);
    *swap = Swap::to(Successor::new(engine, &spec)?);
    Ok(())
}

/// The same bytes need the same modules: where the capture was made with others, that is said.
fn warn_of_other_modules(catalog: &Catalog, start: Start) {
    for used in start.modules {
        let name = used.module.split('@').next().unwrap_or_default();
        match catalog.module(name) {
            Ok(module) if hex(module.sha256()) == used.sha256 => {}
            Ok(module) => tracing::warn!(
                recorded_with = used.module,
                replayed_with = module.id(),
                "another build of this stage: records may differ from what was sent then"
            ),
            Err(error) => tracing::warn!(%error, "a stage of the recording is not here"),
        }
    }
}

fn summarise(reading: &crate::gauge::Reading) {
    eprintln!("{} frames, {} records", reading.frames, reading.records);
    for (counters, what) in [
        (&reading.rejected, "frames rejected by"),
        (&reading.skipped_bytes, "bytes skipped for"),
        (&reading.line_errors, "bytes with"),
    ] {
        for (name, count) in counters {
            eprintln!("{count} {what} {name}");
        }
    }
}

/// Numbers records as a spool would, and prints or compares them.
struct Printer {
    numbering: Numbering,
    out: BufWriter<std::io::Stdout>,
    expected: Option<Expected>,
    broken_pipe: bool,
}

struct Expected {
    path: PathBuf,
    lines: std::vec::IntoIter<String>,
    line: usize,
    difference: Option<String>,
}

impl Printer {
    fn new(args: &Args) -> anyhow::Result<Self> {
        let identity = Identity {
            site: Arc::from("replay"),
            gateway: Arc::from("replay"),
            machine: Arc::from(args.adapter.as_str()),
        };
        let expected = match &args.expect {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("can't read {}", path.display()))?;
                let lines: Vec<String> = text.lines().map(str::to_owned).collect();
                Some(Expected {
                    path: path.clone(),
                    lines: lines.into_iter(),
                    line: 0,
                    difference: None,
                })
            }
        };
        Ok(Self {
            numbering: Numbering::new(identity, 0),
            out: BufWriter::new(std::io::stdout()),
            expected,
            broken_pipe: false,
        })
    }

    fn take(&mut self, output: Output<'_>) {
        let record = match output {
            Output::Record(record) => Some(record.to_record(ClockState::Capture)),
            Output::Judged(judged) => judged.to_record(ClockState::Capture),
            Output::Frame(_) => None,
        };
        let Some(record) = record else { return };
        let json = self.numbering.record(&record);
        match &mut self.expected {
            Some(expected) => expected.compare(Some(&json)),
            None => self.broken_pipe |= writeln!(self.out, "{json}").is_err(),
        }
    }

    /// Whether all was as expected.
    fn finish(mut self) -> anyhow::Result<bool> {
        if !self.broken_pipe {
            self.out.flush()?;
        }
        let Some(mut expected) = self.expected else {
            return Ok(true);
        };
        expected.compare(None);
        match expected.difference {
            None => Ok(true),
            Some(difference) => {
                eprintln!("{}: {difference}", expected.path.display());
                Ok(false)
            }
        }
    }
}

impl Expected {
    /// Compares the next record, or with `None` the end; keeps the first difference.
    fn compare(&mut self, got: Option<&str>) {
        if self.difference.is_some() {
            return;
        }
        self.line += 1;
        let wanted = self.lines.next();
        if wanted.as_deref() == got {
            return;
        }
        let number = self.line;
        self.difference = Some(match (wanted, got) {
            (Some(wanted), Some(got)) => {
                let at = wanted
                    .bytes()
                    .zip(got.bytes())
                    .take_while(|(a, b)| a == b)
                    .count();
                format!(
                    "line {number} differs from byte {at} on\n  expected {wanted}\n  got      {got}"
                )
            }
            (Some(wanted), None) => {
                format!("line {number} is missing in the replay\n  expected {wanted}")
            }
            (None, got) => format!(
                "the replay goes on after the last expected line\n  got      {}",
                got.unwrap_or_default()
            ),
        });
    }
}
