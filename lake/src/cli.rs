//! The command line: a command for each role, and what they share.
//!
//! Each option can be given as an environment variable too, `RETROTAP_LAKE_` and its name, which is
//! what containers do; the command line wins. Exit codes: 0 it went well, 1 it failed, 2 it was used
//! wrongly.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use reqwest::Url;
use retrotap::cli::log;
use retrotap::cli::signals::interrupted;
use retrotap::time::parse_utc;
use retrotap::uplink::{BrokerUrl, ClientFiles, TlsFiles};
use tokio_util::sync::CancellationToken;

use crate::buckets::Retention;
use crate::health::{self, Health};
use crate::influx::{self, Influx};
use crate::ingest::{self, Filters};
use crate::limits::{
    BATCH_BYTES, BATCH_BYTES_MAX, BATCH_POINTS, BATCH_POINTS_MAX, REPROCESS_BYTES_MAX,
};
use crate::reprocess::{self, Machine, Target};
use crate::topics::Making;
use crate::{kafka, metrics, sink};

/// The data lake behind the gateways: MQTT to Kafka to InfluxDB, and frames computed again.
#[derive(Debug, Parser)]
#[command(name = "retrotap-lake", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  retrotap-lake ingest --mqtt-url mqtts://broker:8883 --ca ca.pem --client-cert me.pem \\
      --client-key me.key --kafka kafka-1:9092,kafka-2:9092
  retrotap-lake sink --kafka kafka-1:9092 --influx-url http://influxdb:8086 --org plant \\
      --bucket records --token-file token --create-buckets
  retrotap-lake reprocess --kafka kafka-1:9092 --machine aachen/cell-3/robot-1 --adapter kuka-krc2 \\
      --from 2026-11-01 --to 2026-11-02 --stage-dir new-stages --stdout

Each option is also an environment variable: --mqtt-url is RETROTAP_LAKE_MQTT_URL.";

#[derive(Debug, Subcommand)]
enum Command {
    Ingest(IngestArgs),
    Sink(SinkArgs),
    Reprocess(ReprocessArgs),
}

/// Where Kafka is.
#[derive(Debug, clap::Args)]
struct KafkaArgs {
    /// Brokers of Kafka to begin with, separated by commas.
    #[arg(
        long = "kafka",
        env = "RETROTAP_LAKE_KAFKA",
        value_name = "HOST:PORT,…"
    )]
    brokers: String,
    /// CAs that may have signed the certificates of Kafka's brokers; turns TLS on.
    #[arg(long, env = "RETROTAP_LAKE_KAFKA_CA", value_name = "FILE")]
    kafka_ca: Option<PathBuf>,
    /// Our certificate for Kafka.
    #[arg(long, env = "RETROTAP_LAKE_KAFKA_CERT", value_name = "FILE", requires_all = ["kafka_key", "kafka_ca"])]
    kafka_cert: Option<PathBuf>,
    /// Its key.
    #[arg(
        long,
        env = "RETROTAP_LAKE_KAFKA_KEY",
        value_name = "FILE",
        requires = "kafka_cert"
    )]
    kafka_key: Option<PathBuf>,
    /// A setting of librdkafka, such as `sasl.username=lake`; may be given several times.
    #[arg(long, env = "RETROTAP_LAKE_KAFKA_OPTION", value_name = "NAME=VALUE", value_delimiter = ' ', value_parser = name_value)]
    kafka_option: Vec<(String, String)>,
}

/// How Kafka's topics are made where they are missing.
#[derive(Debug, clap::Args)]
struct MakingArgs {
    /// Partitions of topics that are made: as many sinks can share the work.
    #[arg(long, env = "RETROTAP_LAKE_PARTITIONS", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=1000))]
    partitions: u16,
    /// Copies of each partition of topics that are made. 3 where there are 3 brokers.
    #[arg(long, env = "RETROTAP_LAKE_REPLICATION", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    replication: u16,
}

/// What a role shows of itself.
#[derive(Debug, clap::Args)]
struct HttpArgs {
    /// Serve /metrics, /healthz and /readyz there.
    #[arg(long, env = "RETROTAP_LAKE_HTTP", value_name = "ADDRESS:PORT")]
    http: Option<SocketAddr>,
}

/// Carries entries from MQTT to Kafka, and tells gateways what Kafka has.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap-lake ingest --mqtt-url mqtt://127.0.0.1:1883 --kafka 127.0.0.1:9092
  retrotap-lake ingest --mqtt-url mqtts://broker:8883 --ca ca.pem --client-cert me.pem --client-key me.key \\
      --kafka kafka-1:9092,kafka-2:9092 --http 0.0.0.0:9464
  retrotap-lake ingest … --site aachen --gateway cell-3 --gateway cell-4

Ingests of one --share divide all messages between them. To keep a machine's entries in their order also
in Kafka, divide the gateways: each ingest with some --gateway of its own.")]
struct IngestArgs {
    /// The broker: mqtts://HOST:PORT with TLS, mqtt://HOST:PORT without.
    #[arg(long, env = "RETROTAP_LAKE_MQTT_URL", value_name = "URL", value_parser = broker_url)]
    mqtt_url: BrokerUrl,
    /// CAs that may have signed the broker's certificate; needed for mqtts.
    #[arg(long, env = "RETROTAP_LAKE_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Our certificate for the broker.
    #[arg(long, env = "RETROTAP_LAKE_CLIENT_CERT", value_name = "FILE", requires_all = ["client_key", "ca"])]
    client_cert: Option<PathBuf>,
    /// Its key.
    #[arg(
        long,
        env = "RETROTAP_LAKE_CLIENT_KEY",
        value_name = "FILE",
        requires = "client_cert"
    )]
    client_key: Option<PathBuf>,
    #[command(flatten)]
    kafka: KafkaArgs,
    /// The group that divides the messages between its members.
    #[arg(long, env = "RETROTAP_LAKE_SHARE", value_name = "GROUP", default_value = "retrotap-lake", value_parser = level)]
    share: String,
    /// Only this plant.
    #[arg(long, env = "RETROTAP_LAKE_SITE", value_parser = level)]
    site: Option<String>,
    /// Only these gateways; may be given several times, in the environment separated by commas.
    #[arg(long, env = "RETROTAP_LAKE_GATEWAY", value_delimiter = ',', value_parser = level)]
    gateway: Vec<String>,
    /// As whom the broker knows this ingest; each needs a name of its own. [default: host and process]
    #[arg(long, env = "RETROTAP_LAKE_CLIENT_ID", value_name = "ID")]
    client_id: Option<String>,
    #[command(flatten)]
    making: MakingArgs,
    #[command(flatten)]
    http: HttpArgs,
}

/// Where the database is. The first four are needed wherever points are written.
#[derive(Debug, clap::Args)]
struct InfluxArgs {
    /// InfluxDB: http://HOST:PORT or https://HOST:PORT.
    #[arg(long, env = "RETROTAP_LAKE_INFLUX_URL", value_name = "URL", value_parser = influx_url)]
    influx_url: Option<Url>,
    /// The organisation.
    #[arg(long, env = "RETROTAP_LAKE_ORG")]
    org: Option<String>,
    /// The bucket that records go to.
    #[arg(long, env = "RETROTAP_LAKE_BUCKET")]
    bucket: Option<String>,
    /// A file that holds the token.
    #[arg(long, env = "RETROTAP_LAKE_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// CAs that may have signed its certificate; needed for https.
    #[arg(long, env = "RETROTAP_LAKE_INFLUX_CA", value_name = "FILE")]
    influx_ca: Option<PathBuf>,
    /// Send writes as they are: spends network and spares a processor.
    #[arg(long, env = "RETROTAP_LAKE_NO_GZIP")]
    no_gzip: bool,
}

/// Writes records from Kafka to InfluxDB.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap-lake sink --kafka 127.0.0.1:9092 --influx-url http://127.0.0.1:8086 --org plant \\
      --bucket records --token-file token --create-buckets --retention 90d
  retrotap-lake sink … --batch-points 20000 --batch-wait 1s --http 0.0.0.0:9465

Sinks of one --group divide the partitions between them.")]
struct SinkArgs {
    #[command(flatten)]
    kafka: KafkaArgs,
    /// As whom Kafka knows the sinks that share the work.
    #[arg(
        long,
        env = "RETROTAP_LAKE_GROUP",
        default_value = "retrotap-lake-sink"
    )]
    group: String,
    #[command(flatten)]
    influx: InfluxArgs,
    /// Make the bucket, one for a point a minute (its name with _1m) and the tasks that fill it, where
    /// they are missing and the token allows it.
    #[arg(long, env = "RETROTAP_LAKE_CREATE_BUCKETS")]
    create_buckets: bool,
    /// How long points are kept in a bucket that is made; an hour at least. [default: for ever]
    #[arg(long, env = "RETROTAP_LAKE_RETENTION", value_name = "DURATION", value_parser = retention)]
    retention: Option<Duration>,
    /// How long one point a minute is kept in a bucket that is made. [default: for ever]
    #[arg(long, env = "RETROTAP_LAKE_RETENTION_1M", value_name = "DURATION", value_parser = retention)]
    retention_1m: Option<Duration>,
    /// Points in one write at most.
    #[arg(long, env = "RETROTAP_LAKE_BATCH_POINTS", default_value_t = BATCH_POINTS)]
    batch_points: usize,
    /// Bytes in one write at most, before compression.
    #[arg(long, env = "RETROTAP_LAKE_BATCH_BYTES", default_value_t = BATCH_BYTES)]
    batch_bytes: usize,
    /// How long a record waits for others to share its write.
    #[arg(long, env = "RETROTAP_LAKE_BATCH_WAIT", value_name = "DURATION", default_value = "100ms", value_parser = duration)]
    batch_wait: Duration,
    #[command(flatten)]
    making: MakingArgs,
    #[command(flatten)]
    http: HttpArgs,
}

/// Computes records again from frames and inputs that Kafka kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap-lake reprocess --kafka 127.0.0.1:9092 --machine aachen/cell-3/robot-1 --adapter kuka-krc2 \\
      --from 2026-11-01 --to 2026-11-02T12:00:00Z --stage-dir new-stages --stdout > records.jsonl
  retrotap-lake reprocess … --suffix _v2 --influx-url http://127.0.0.1:8086 --org plant \\
      --bucket records --token-file token

With --suffix _v2 the records `distance` become points of the measurement `distance_v2`, beside those
that the gateway made.")]
struct ReprocessArgs {
    #[command(flatten)]
    kafka: KafkaArgs,
    /// Which machine; may be given several times where they have one adapter.
    #[arg(long, env = "RETROTAP_LAKE_MACHINE", value_name = "SITE/GATEWAY/MACHINE", required = true, value_delimiter = ',', value_parser = machine)]
    machine: Vec<Machine>,
    /// What the machine is, such as `kuka-krc2`; a wrong name is answered with all there are.
    #[arg(long, env = "RETROTAP_LAKE_ADAPTER")]
    adapter: String,
    /// From this time on (UTC): 2026-11-01 or 2026-11-01T12:00:00Z.
    #[arg(long, env = "RETROTAP_LAKE_FROM", value_name = "TIME", value_parser = time)]
    from: i64,
    /// Up to this time, which is not in it.
    #[arg(long, env = "RETROTAP_LAKE_TO", value_name = "TIME", value_parser = time)]
    to: i64,
    /// How much before that is computed and thrown away, for stages that remember.
    #[arg(long, env = "RETROTAP_LAKE_LEAD", value_name = "DURATION", default_value = "10m", value_parser = duration)]
    lead: Duration,
    /// A folder of adapters of your own.
    #[arg(long, env = "RETROTAP_LAKE_ADAPTERS_DIR", value_name = "DIR")]
    adapters_dir: Option<PathBuf>,
    /// A folder of stages of your own; they take the place of shipped ones of the same name.
    #[arg(long, env = "RETROTAP_LAKE_STAGE_DIR", value_name = "DIR")]
    stage_dir: Option<PathBuf>,
    /// Bytes of memory that frames and inputs may take; a frame of 9 bytes takes some 150.
    #[arg(long, env = "RETROTAP_LAKE_MEMORY_MAX", value_name = "BYTES", default_value_t = REPROCESS_BYTES_MAX)]
    memory_max: usize,
    /// Write records to standard output, as JSON lines.
    #[arg(long, env = "RETROTAP_LAKE_STDOUT", conflicts_with = "suffix")]
    stdout: bool,
    /// Write points, and put this behind the names of their measurements.
    #[arg(long, env = "RETROTAP_LAKE_SUFFIX", value_parser = suffix, required_unless_present = "stdout")]
    suffix: Option<String>,
    #[command(flatten)]
    influx: InfluxArgs,
}

/// Parses the arguments and runs the role.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log("RETROTAP_LAKE_LOG", "warn,retrotap_lake=info");
    // reqwest brings no cryptography of its own; this is the one that all of Retrotap uses.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("the cryptography was chosen already");
    }
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
        let shutdown = CancellationToken::new();
        tokio::spawn({
            let shutdown = shutdown.clone();
            async move {
                interrupted().await;
                tracing::info!("stopping");
                shutdown.cancel();
                // Who asks twice doesn't want to wait.
                interrupted().await;
                std::process::exit(1);
            }
        });
        match cli.command {
            Command::Ingest(args) => ingest(args, shutdown).await,
            Command::Sink(args) => sink(args, shutdown).await,
            Command::Reprocess(args) => reprocess(args, shutdown).await,
        }
    });
    // A thread that waits for a server must not hold up the end.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            match error.downcast_ref::<UsedWrongly>() {
                Some(_) => ExitCode::from(2),
                None => ExitCode::FAILURE,
            }
        }
    }
}

/// Options that don't go together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UsedWrongly(&'static str);

async fn ingest(args: IngestArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let tls = match (args.mqtt_url.tls, args.ca) {
        (true, Some(ca)) => Some(TlsFiles {
            ca,
            client: args
                .client_cert
                .zip(args.client_key)
                .map(|(cert, key)| ClientFiles { cert, key }),
        }),
        (true, None) => {
            return Err(UsedWrongly("--mqtt-url is mqtts: give the broker's CA with --ca").into());
        }
        (false, Some(_)) => {
            return Err(UsedWrongly("--ca is for TLS: write mqtts:// in --mqtt-url").into());
        }
        (false, None) => None,
    };
    let settings = ingest::Settings {
        url: args.mqtt_url,
        tls,
        client_id: args.client_id.unwrap_or_else(own_client_id),
        filters: Filters {
            share: args.share,
            site: args.site,
            gateways: args.gateway,
        },
        kafka: kafka_settings(args.kafka),
        making: making(&args.making),
    };
    let (metrics, page) = metrics::Ingest::new();
    let health = Health::default();
    serve(&args.http, &health, page, &shutdown).await?;
    ingest::run(settings, Arc::new(metrics), health, shutdown).await?;
    Ok(())
}

async fn sink(args: SinkArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    if !(1..=BATCH_POINTS_MAX).contains(&args.batch_points) {
        return Err(UsedWrongly("--batch-points is from 1 to 100000").into());
    }
    if !(1..=BATCH_BYTES_MAX).contains(&args.batch_bytes) {
        return Err(UsedWrongly("--batch-bytes is from 1 to 268435456").into());
    }
    let influx = influx_client(args.influx)?;
    let settings = sink::Settings {
        kafka: kafka_settings(args.kafka),
        group: args.group,
        making: making(&args.making),
        limits: sink::Limits {
            points: args.batch_points,
            bytes: args.batch_bytes,
        },
        wait: args.batch_wait,
        buckets: args.create_buckets.then_some(Retention {
            points: args.retention,
            minutes: args.retention_1m,
        }),
    };
    let (metrics, page) = metrics::Sink::new();
    let health = Health::default();
    serve(&args.http, &health, page, &shutdown).await?;
    sink::run(settings, influx, Arc::new(metrics), health, shutdown).await?;
    Ok(())
}

async fn reprocess(args: ReprocessArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    if args.from >= args.to {
        return Err(UsedWrongly("--from must be before --to").into());
    }
    let target = match args.suffix {
        Some(suffix) => Target::Points {
            influx: Box::new(influx_client(args.influx)?),
            suffix,
        },
        None => Target::Lines(Box::new(std::io::BufWriter::new(std::io::stdout()))),
    };
    let settings = reprocess::Settings {
        kafka: kafka_settings(args.kafka),
        machines: args.machine,
        adapter: args.adapter,
        adapters_dir: args.adapters_dir,
        stage_dir: args.stage_dir,
        from_ns: args.from,
        to_ns: args.to,
        lead: args.lead,
        memory_bytes_max: args.memory_max,
    };
    let done = reprocess::run(settings, target, shutdown).await?;
    eprintln!("{} frames, {} records", done.frames, done.records);
    if done.missing > 0 {
        eprintln!(
            "{} frames are missing in between: what depends on them is missing too",
            done.missing
        );
    }
    if done.unusable > 0 {
        eprintln!(
            "{} entries can't be used: they have no line time, or are none",
            done.unusable
        );
    }
    Ok(())
}

async fn serve(
    args: &HttpArgs,
    health: &Health,
    page: metrics::Page,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let Some(address) = args.http else {
        return Ok(());
    };
    health::serve(address, health.clone(), page, shutdown.clone())
        .await
        .with_context(|| format!("--http {address}"))
}

fn kafka_settings(args: KafkaArgs) -> kafka::Settings {
    kafka::Settings {
        brokers: args.brokers,
        ca: args.kafka_ca,
        client: args.kafka_cert.zip(args.kafka_key),
        more: args.kafka_option,
    }
}

fn making(args: &MakingArgs) -> Making {
    Making {
        partitions: args.partitions,
        replication: args.replication,
    }
}

fn influx_client(args: InfluxArgs) -> anyhow::Result<Influx> {
    let (Some(url), Some(org), Some(bucket), Some(token_file)) =
        (args.influx_url, args.org, args.bucket, args.token_file)
    else {
        let needed = "--influx-url, --org, --bucket and --token-file are needed";
        return Err(UsedWrongly(needed).into());
    };
    Ok(Influx::new(influx::Settings {
        url,
        ca: args.influx_ca,
        org,
        bucket,
        token_file,
        gzip: !args.no_gzip,
    })?)
}

/// A name that no other ingest has: two of one name would put each other out.
fn own_client_id() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("retrotap-lake-{}-{}", host.trim(), std::process::id())
}

fn broker_url(text: &str) -> Result<BrokerUrl, &'static str> {
    BrokerUrl::parse(text)
}

fn influx_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("it begins with http:// or https:// and a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("user and password don't belong here; use --token-file".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("only the address of the server, without ? and #".to_owned());
    }
    Ok(url)
}

/// One level of a topic.
fn level(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.contains(['/', '+', '#', '\0', '$']) {
        return Err("one name, without / + # and $");
    }
    Ok(text.to_owned())
}

fn machine(text: &str) -> Result<Machine, &'static str> {
    let names: Vec<&str> = text.split('/').collect();
    match names[..] {
        [site, gateway, machine] if names.iter().all(|name| !name.is_empty()) => Ok(Machine {
            site: site.to_owned(),
            gateway: gateway.to_owned(),
            machine: machine.to_owned(),
        }),
        _ => Err("three names, as in aachen/cell-3/robot-1"),
    }
}

/// A date, or a time in UTC.
fn time(text: &str) -> Result<i64, &'static str> {
    parse_utc(text).ok_or("a date or a time in UTC: 2026-11-01 or 2026-11-01T12:00:00Z")
}

fn suffix(text: &str) -> Result<String, &'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if text.is_empty() || !text.chars().all(allowed) {
        return Err("letters, digits, and _ - .");
    }
    Ok(text.to_owned())
}

fn name_value(text: &str) -> Result<(String, String), &'static str> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or("a name, an equals sign, and a value")
}

/// A duration with its unit: `100ms`, `2s`, `5m`, `12h`, `30d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a whole number with its unit: ms, s, m, h or d, as in 30d".to_owned();
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(unit_ms)
        .filter(|&ms| ms <= 100 * 365 * 86_400_000)
        .map(Duration::from_millis)
        .ok_or_else(|| "at most a hundred years".to_owned())
}

/// A duration that InfluxDB takes as a bucket's retention.
fn retention(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time < Duration::from_secs(3600) {
        return Err("InfluxDB keeps points for an hour at least".to_owned());
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_made() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_is_an_environment_variable_of_its_name() {
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                let Some(long) = argument.get_long() else {
                    continue;
                };
                if matches!(long, "help" | "version") {
                    continue;
                }
                let expected = format!("RETROTAP_LAKE_{}", long.to_uppercase().replace('-', "_"));
                let found = argument
                    .get_env()
                    .map(|name| name.to_string_lossy().into_owned());
                assert_eq!(found, Some(expected), "--{long} of {}", command.get_name());
            }
        }
    }

    #[test]
    fn the_handbook_has_every_option() {
        let page = include_str!("../../docs/lake.md");
        for command in Cli::command().get_subcommands() {
            for long in command.get_arguments().filter_map(clap::Arg::get_long) {
                let known = page.contains(&format!("`--{long}`")) || long == "help";
                assert!(known, "--{long} of {}", command.get_name());
            }
        }
    }

    #[test]
    fn durations_have_units() {
        for (text, ms) in [
            ("0ms", 0),
            ("100ms", 100),
            ("2s", 2000),
            ("5m", 300_000),
            ("30d", 2_592_000_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(
            duration("100ms"),
            Ok(crate::limits::BATCH_WAIT),
            "the default of --batch-wait"
        );
        for text in [
            "",
            "1",
            "s",
            "1.5s",
            "-1s",
            "1 s",
            "1w",
            "99999999999999999999s",
            "36501d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn retention_is_an_hour_at_least() {
        assert_eq!(retention("1h"), Ok(Duration::from_secs(3600)));
        assert!(retention("59m").is_err() && retention("1").is_err());
    }

    #[test]
    fn times_and_machines_are_checked() {
        assert_eq!(time("1970-01-02"), Ok(86_400_000_000_000));
        assert_eq!(time("1970-01-01T00:00:01Z"), Ok(1_000_000_000));
        assert!(time("yesterday").is_err() && time("1970-02-30").is_err());
        assert!(machine("a/b/c").is_ok());
        for text in ["a/b", "a/b/c/d", "a//c", ""] {
            assert!(machine(text).is_err(), "{text}");
        }
        assert!(suffix("_v2").is_ok() && suffix("").is_err() && suffix("a b").is_err());
    }

    #[test]
    fn levels_and_addresses_are_checked() {
        for text in ["", "a/b", "+", "#", "$share"] {
            assert!(level(text).is_err(), "{text}");
        }
        for text in [
            "x",
            "ftp://a",
            "http://",
            "http://u:p@a",
            "http://a?b",
            "http://a#b",
        ] {
            assert!(influx_url(text).is_err(), "{text}");
        }
        assert!(influx_url("https://db.plant.example:8086/influx").is_ok());
        assert!(name_value("=x").is_err() && name_value("x").is_err());
        assert_eq!(name_value("a=b=c"), Ok(("a".into(), "b=c".into())));
    }
}
