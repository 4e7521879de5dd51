//! `retrotap record`: listens to a port and writes what came, with line errors, into a capture.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use retrotap_adapters::framing::{LineErrors, Parity, SerialSettings};
use retrotap_adapters::yaml::{NANOSECONDS, Quantity};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::signals::interrupted;
use crate::capture::{Input, InputKind, PortLabel, Start, Writer};
use crate::modules::catalog::Catalog;
use crate::port::{Happened, Keeper, LineClock, Port, PortError, PortSpec};
use crate::words::Chunk;

/// How often what was recorded is handed to the operating system: after that, not even kill -9
/// loses it.
const FLUSH_EVERY: Duration = Duration::from_millis(250);

/// Listens to a port and writes what comes into a pcapng file, until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap record /dev/ttyUSB0 -o line.pcapng --adapter kuka-krc2
  retrotap record /dev/ttyUSB0 -o line.pcapng --baud 9600 --parity even --duration 60s
  retrotap record tcp://serial-server:4001 -o line.pcapng --baud 19200

Wireshark opens the file; `retrotap replay` turns it into records.")]
pub struct Args {
    /// A serial device, or tcp://HOST:PORT for a serial server.
    port: PortSpec,
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The adapter whose line settings apply.
    #[arg(long, required_unless_present = "baud", conflicts_with_all = ["baud", "data_bits", "parity", "stop_bits"])]
    adapter: Option<String>,
    /// A folder of adapters of your own.
    #[arg(long, value_name = "DIR", requires = "adapter")]
    adapters_dir: Option<PathBuf>,
    /// Bits per second.
    #[arg(long, value_parser = clap::value_parser!(u32).range(50..=4_000_000))]
    baud: Option<u32>,
    /// Data bits in a character.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(5..=8))]
    data_bits: u8,
    /// The parity bit.
    #[arg(long, value_enum, default_value = "none")]
    parity: ParityArg,
    /// Stop bits.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    stop_bits: u8,
    /// End after so long: 60s, 5min, 2h.
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ParityArg {
    None,
    Even,
    Odd,
}

/// Runs the command.
///
/// # Errors
///
/// The port can't be opened, or the file can't be written.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = settings(&args)?;
    // A file that must not be lost is told before the port is disturbed, and one that can't be
    // filled isn't made.
    if !args.force && args.output.exists() {
        bail!(
            "{} is already there; --force writes over it",
            args.output.display()
        );
    }
    let clock = LineClock::start();
    let port = Port::open(&args.port, settings, 0, clock).await?;
    let mut port = Keeper::of(port, args.port.clone(), settings);
    let mut recording = Recording::create(&args, settings, clock)?;

    let mut flush = interval(FLUSH_EVERY);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = async {
        match args.duration {
            Some(duration) => tokio::select! {
                () = sleep(duration) => {}
                () = interrupted() => {}
            },
            None => interrupted().await,
        }
    };
    tokio::pin!(end);
    loop {
        tokio::select! {
            happened = port.next() => match happened {
                Happened::Read(chunk) => recording.chunk(chunk)?,
                Happened::Opened => recording.say(&format!("{} is back", args.port)),
                Happened::Away(error @ PortError::Gone { .. }) => recording.gone(&error, clock)?,
                // Still not there: said once is enough.
                Happened::Away(_) => {}
            },
            _ = flush.tick() => recording.flush(clock)?,
            () = &mut end => break,
        }
    }
    recording.finish(clock)?;
    Ok(ExitCode::SUCCESS)
}

/// The file that is being written, and what is told about it.
struct Recording {
    name: String,
    writer: Writer<BufWriter<File>>,
    progress: ProgressBar,
    bytes: u64,
    interruptions: u64,
    /// Bytes with parity error, framing error, break, overrun.
    errors: [u64; 4],
}

impl Recording {
    fn create(
        args: &Args,
        settings: SerialSettings,
        clock: LineClock,
    ) -> anyhow::Result<Recording> {
        let name = args.output.display().to_string();
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(args.force)
            .create_new(!args.force)
            .open(&args.output)
            .with_context(|| format!("can't write {name}"))?;
        let label = PortLabel {
            name: args.port.to_string(),
            description: match &args.adapter {
                Some(adapter) => format!("{adapter}, {}", format_of(settings)),
                None => format_of(settings),
            },
        };
        let mut writer = Writer::new(BufWriter::new(file), clock.origin_wall_ns(), &[label])?;
        let start = Start {
            machine: args.port.to_string(),
            adapter: args.adapter.clone(),
            modules: Vec::new(),
            tables: Vec::new(),
        };
        writer.input(&Input::new(0, InputKind::Start, &start)?)?;
        writer.flush()?;
        // Hides itself where standard error isn't a terminal.
        let progress = ProgressBar::new_spinner();
        progress.set_style(ProgressStyle::with_template("{elapsed} {msg}")?);
        let recording = Recording {
            name,
            writer,
            progress,
            bytes: 0,
            interruptions: 0,
            errors: [0; 4],
        };
        recording.say(&format!(
            "Listening to {} ({}), writing {}. Ctrl-C ends it.",
            args.port,
            format_of(settings),
            recording.name
        ));
        Ok(recording)
    }

    fn chunk(&mut self, chunk: &Chunk) -> anyhow::Result<()> {
        self.bytes += chunk.bytes.len() as u64;
        for mark in &chunk.marks {
            for (count, (error, _)) in self.errors.iter_mut().zip(LineErrors::NAMED) {
                *count += u64::from(mark.errors.contains(error));
            }
        }
        let result = self.writer.chunk(chunk);
        self.written(result)
    }

    /// The port went away: what comes after doesn't continue what came before.
    fn gone(&mut self, error: &PortError, clock: LineClock) -> anyhow::Result<()> {
        self.interruptions += 1;
        self.say(&error.to_string());
        let reason = error.to_string();
        let input = Input::new(clock.now().line_ns, InputKind::Reset, &reason)?;
        let result = self.writer.input(&input);
        self.written(result)?;
        self.flush(clock)
    }

    fn flush(&mut self, clock: LineClock) -> anyhow::Result<()> {
        self.progress.set_message(self.summary(clock));
        let result = self.writer.flush();
        self.written(result)
    }

    fn finish(mut self, clock: LineClock) -> anyhow::Result<()> {
        self.flush(clock)?;
        self.progress.finish_and_clear();
        eprintln!("{}: {}", self.name, self.summary(clock));
        let framing: u64 = self.errors[0] + self.errors[1] + self.errors[2];
        if self.bytes == 0 {
            eprintln!(
                "Nothing came. Does the machine send? Are its TX and the adapter's RX connected, \
                 and both grounds?"
            );
        } else if framing * 10 > self.bytes {
            eprintln!(
                "More than one byte in ten was damaged: rate, parity or stop bits are likely to be \
                 others than these."
            );
        }
        Ok(())
    }

    /// Tells something above the line of progress.
    fn say(&self, text: &str) {
        self.progress.suspend(|| eprintln!("{text}"));
    }

    fn written(&self, result: io::Result<()>) -> anyhow::Result<()> {
        result.with_context(|| format!("can't write {}", self.name))
    }

    fn summary(&self, clock: LineClock) -> String {
        let seconds = clock.now().line_ns as f64 / 1e9;
        let mut text = format!("{} bytes in {seconds:.1} s", self.bytes);
        let errors: Vec<String> = self
            .errors
            .iter()
            .zip(LineErrors::NAMED)
            .filter(|(count, _)| **count > 0)
            .map(|(count, (_, name))| format!("{count} {name}"))
            .collect();
        match errors.as_slice() {
            [] => text.push_str(", no line errors"),
            errors => text.push_str(&format!(", line errors: {}", errors.join(", "))),
        }
        if self.interruptions > 0 {
            text.push_str(&format!(", interruptions: {}", self.interruptions));
        }
        text
    }
}

/// The settings of the adapter, or those of the arguments.
fn settings(args: &Args) -> anyhow::Result<SerialSettings> {
    if let Some(name) = &args.adapter {
        let catalog = Catalog {
            adapters_dir: args.adapters_dir.clone(),
            ..Catalog::default()
        };
        return Ok(catalog.adapter(name)?.adapter.serial);
    }
    Ok(SerialSettings {
        baud: args.baud.context("either --adapter or --baud is needed")?,
        data_bits: args.data_bits,
        parity: match args.parity {
            ParityArg::None => Parity::None,
            ParityArg::Even => Parity::Even,
            ParityArg::Odd => Parity::Odd,
        },
        stop_bits: args.stop_bits,
    })
}

/// Such as `9600 8N1`.
fn format_of(settings: SerialSettings) -> String {
    let parity = match settings.parity {
        Parity::None => 'N',
        Parity::Even => 'E',
        Parity::Odd => 'O',
    };
    format!(
        "{} {}{parity}{}",
        settings.baud, settings.data_bits, settings.stop_bits
    )
}

/// Reads a duration with its unit.
fn duration(text: &str) -> Result<Duration, String> {
    let expected =
        || format!("`{text}` is no duration; expected a number and its unit: 60s, 5min, 2h");
    let Quantity { value, unit } = Quantity::parse(text).ok_or_else(expected)?;
    let (_, unit_ns) = NANOSECONDS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(expected)?;
    Duration::try_from_secs_f64(value * unit_ns / 1e9).map_err(|_| expected())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::capture::{Item, Reader};
    use crate::port::pty::Pty;
    use crate::simulate::{Faults, Krc2, Wire, drive};

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn args(arguments: &[&str]) -> Result<Args, clap::Error> {
        let line = ["record"].iter().chain(arguments);
        Command::try_parse_from(line).map(|command| command.args)
    }

    #[test]
    fn durations_need_their_unit() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("1.5min"), Ok(Duration::from_secs(90)));
        for wrong in ["60", "s", "-1s", "1e300h", "1 parsec", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_settings_of_the_line_must_be_said_and_only_once() {
        assert!(args(&["/dev/x", "-o", "f"]).is_err());
        assert!(args(&["/dev/x", "-o", "f", "--adapter", "a", "--baud", "9600"]).is_err());
        assert!(args(&["ftp://x", "-o", "f", "--baud", "9600"]).is_err());
        let said = [
            "/dev/x",
            "-o",
            "f",
            "--baud",
            "4800",
            "--data-bits",
            "7",
            "--parity",
            "even",
        ];
        assert_eq!(
            format_of(settings(&args(&said).unwrap()).unwrap()),
            "4800 7E1"
        );
    }

    #[tokio::test]
    async fn what_a_machine_sends_stands_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("line.pcapng");
        let mut wire = Wire::pty(None).unwrap();
        let port = wire.line_end().unwrap().display().to_string();
        let machine = Krc2::new(1, Faults::default()).cycles(40);
        let recording = tokio::spawn(run(args(&[
            &port,
            "-o",
            file.to_str().unwrap(),
            "--baud",
            "9600",
            "--duration",
            "1s",
        ])
        .unwrap()));
        // The machine goes on sending for longer than is recorded.
        drive(&mut wire, machine.clone(), sleep(Duration::from_secs(2)))
            .await
            .unwrap();
        assert_eq!(recording.await.unwrap().unwrap(), ExitCode::SUCCESS);

        let mut reader = Reader::open(&file).unwrap();
        let Some(Item::Input(start)) = reader.next_item().unwrap() else {
            panic!("a recording begins with the input `start`");
        };
        assert_eq!(start.kind, InputKind::Start);
        let mut recorded: Vec<u8> = Vec::new();
        let mut latest_ns = 0;
        while let Some(Item::Chunk(chunk)) = reader.next_item().unwrap() {
            assert!(chunk.at.line_ns > latest_ns);
            latest_ns = chunk.at.line_ns;
            recorded.extend(&chunk.bytes);
        }
        let sent: Vec<u8> = machine
            .filter_map(|sent| match sent.what {
                crate::simulate::What::Byte(byte) => Some(byte),
                _ => None,
            })
            .collect();
        assert!(
            recorded.len() > 300,
            "about 960 bytes in a second: {}",
            recorded.len()
        );
        // What was sent before the port was open isn't there.
        assert!(
            sent.windows(recorded.len())
                .any(|window| window == recorded)
        );
    }

    #[tokio::test]
    async fn a_file_that_is_there_is_kept_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("line.pcapng");
        std::fs::write(&file, "precious").unwrap();
        let pty = Pty::open().unwrap();
        let port = pty.path().display().to_string();
        let arguments = [
            &port,
            "-o",
            file.to_str().unwrap(),
            "--baud",
            "9600",
            "--duration",
            "10ms",
            "--force",
        ];
        let error = run(args(&arguments[..7]).unwrap()).await.unwrap_err();
        assert!(
            error.to_string().contains("--force writes over it"),
            "{error}"
        );
        assert_eq!(std::fs::read(&file).unwrap(), b"precious");
        run(args(&arguments).unwrap()).await.unwrap();
        Reader::open(&file).unwrap();
    }

    #[tokio::test]
    async fn a_port_that_is_not_there_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("line.pcapng");
        let missing = folder.path().join("ttyUSB0");
        let arguments = [
            missing.to_str().unwrap(),
            "-o",
            file.to_str().unwrap(),
            "--baud",
            "9600",
        ];
        let error = run(args(&arguments).unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("there is no"), "{error}");
        assert!(!file.exists());
    }
}
