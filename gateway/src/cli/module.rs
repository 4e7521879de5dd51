//! `retrotap module`: what an author, a signer and a curious person do with a module's file.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use retrotap_host::inspect::Inspection;
use retrotap_host::{Manifest, Module, pack_with_cases};

use super::plan;
use crate::config::limits::{ADAPTER_FILE_BYTES_MAX, MODULE_BYTES_MAX, PEM_FILE_BYTES_MAX};
use crate::modules::assemble::hex;
use crate::modules::cases::Cases;
use crate::modules::catalog::{Catalog, read_limited};
use crate::modules::signature::{PublicKey, SecretKey, Signer, Trust, TrustedKey, sign, signed_by};
use crate::time::unix_now_ns;

/// Packs, signs, inspects, verifies and tests modules.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap module pack stage.wasm --manifest manifest.yaml -o my-stage.wasm
  retrotap module sign my-stage.wasm --key plant.key
  retrotap module inspect my-stage.wasm
  retrotap module verify my-stage.wasm --key plant.pub
  retrotap module test my-stage.wasm")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Puts compiled code and its manifest together.
    #[command(
        after_help = "Example:\n  retrotap module pack stage.wasm --manifest manifest.yaml --cases cases.json -o my-stage.wasm"
    )]
    Pack {
        /// What the compiler made.
        code: PathBuf,
        /// The manifest as its author writes it, in YAML.
        #[arg(long, value_name = "FILE")]
        manifest: PathBuf,
        /// Test cases that the module is to carry; they must hold.
        #[arg(long, value_name = "FILE")]
        cases: Option<PathBuf>,
        /// The module.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Writes a module that ships with Retrotap into a file.
    #[command(after_help = "Example:\n  retrotap module export smooth -o smooth.wasm")]
    Export {
        /// The stage's name; a wrong one is answered with all there are.
        stage: String,
        /// The module.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Signs a module with a secret key; a signature that it had is replaced.
    #[command(after_help = "Example:\n  retrotap module sign my-stage.wasm --key plant.key")]
    Sign {
        /// The module.
        module: PathBuf,
        /// The secret key of `retrotap keygen`.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where the signed one goes; over the other if not given.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Says what a module takes and gives, what can be set, and who signed it.
    #[command(
        after_help = "Example:\n  retrotap module inspect my-stage.wasm --json | jq .manifest.parameters"
    )]
    Inspect {
        /// The module.
        module: PathBuf,
        /// Keys by which to know who signed it.
        #[command(flatten)]
        known: Known,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Whether a gateway that trusts these keys would take the module; exit code 1 where not.
    #[command(
        after_help = "Examples:\n  retrotap module verify my-stage.wasm --key plant.pub\n  retrotap module verify my-stage.wasm --settings /etc/retrotap/retrotap.yaml"
    )]
    Verify {
        /// The module.
        module: PathBuf,
        /// Whose word counts.
        #[command(flatten)]
        known: Known,
    },
    /// Runs test cases against a module, those that it carries or those of a file.
    #[command(after_help = "Example:\n  retrotap module test my-stage.wasm --cases cases.json")]
    Test {
        /// The module.
        module: PathBuf,
        /// Test cases instead of those that it carries.
        #[arg(long, value_name = "FILE")]
        cases: Option<PathBuf>,
    },
}

/// Keys that are trusted.
#[derive(Debug, Default, clap::Args)]
struct Known {
    /// A public key; may be given more than once.
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The keys of a gateway's settings, and its `allow_unsigned`.
    #[arg(long, value_name = "FILE", conflicts_with = "keys")]
    settings: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
///
/// A file can't be read or written, or isn't what it should be.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    // Waits for the disk and compiles.
    tokio::task::spawn_blocking(move || command(args.command)).await?
}

fn command(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Pack {
            code,
            manifest,
            cases,
            output,
        } => pack(&code, &manifest, cases.as_deref(), &output)?,
        Command::Export { stage, output } => {
            write(&output, Catalog::default().module(&stage)?.wasm())?;
        }
        Command::Sign {
            module,
            key,
            output,
        } => {
            let bytes = read_limited(&module, MODULE_BYTES_MAX)?;
            // What isn't a module is better found by whoever signs it than by every gateway.
            Module::parse(&bytes).with_context(|| module.display().to_string())?;
            let key = SecretKey::from_pem(&text(&key, PEM_FILE_BYTES_MAX)?)
                .with_context(|| key.display().to_string())?;
            let signed = sign(&bytes, &key)?;
            // A signature is longer than none.
            Module::parse(&signed).with_context(|| "signed".to_owned())?;
            write(output.as_deref().unwrap_or(&module), &signed)?;
        }
        Command::Inspect {
            module,
            known,
            json,
        } => inspect(&module, &known, json)?,
        Command::Verify { module, known } => return verify(&module, &known),
        Command::Test { module, cases } => {
            let bytes = read_limited(&module, MODULE_BYTES_MAX)?;
            let parsed = Module::parse(&bytes).with_context(|| module.display().to_string())?;
            let json = match &cases {
                Some(path) => text(path, ADAPTER_FILE_BYTES_MAX)?,
                None => match parsed.cases() {
                    Some(json) => json.to_owned(),
                    None => bail!(
                        "{} carries no test cases; name some by --cases",
                        parsed.id()
                    ),
                },
            };
            let held = test(&Arc::new(parsed), &json)?;
            println!("{held} steps held");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn pack(code: &Path, manifest: &Path, cases: Option<&Path>, output: &Path) -> anyhow::Result<()> {
    let wasm = read_limited(code, MODULE_BYTES_MAX)?;
    let yaml = text(manifest, ADAPTER_FILE_BYTES_MAX)?;
    let parsed = Manifest::from_yaml(&yaml).with_context(|| manifest.display().to_string())?;
    let json = cases
        .map(|path| text(path, ADAPTER_FILE_BYTES_MAX))
        .transpose()?;
    let packed = pack_with_cases(&wasm, &parsed, json.as_deref())?;
    if let Some(json) = &json {
        test(&Arc::new(Module::parse(&packed)?), json)?;
    }
    write(output, &packed)?;
    eprintln!(
        "{}: {}, {} bytes",
        output.display(),
        parsed.id(),
        packed.len()
    );
    Ok(())
}

fn test(module: &Arc<Module>, json: &str) -> anyhow::Result<usize> {
    let cases = Cases::parse(json)?;
    let engine = Catalog::default().engine()?;
    Ok(cases.run(&engine, module)?)
}

fn inspect(path: &Path, known: &Known, json: bool) -> anyhow::Result<()> {
    let bytes = read_limited(path, MODULE_BYTES_MAX)?;
    let module = Module::parse(&bytes).with_context(|| path.display().to_string())?;
    let trust = Trust {
        // Only asked who it was.
        allow_unsigned: true,
        ..known.trust()?
    };
    let signer = trust.check(&bytes, unix_now_ns());
    if !json {
        print!("{}", Inspection(&module));
        match &signer {
            Ok(signer) => println!("  signed   by {signer}"),
            Err(untrusted) => println!("  signed   not so that it counts: {untrusted}"),
        }
        return Ok(());
    }
    let key = signed_by(&bytes).ok().flatten().map(|id| id.to_string());
    let (signed_by, why_not) = match signer {
        Ok(Signer::Trusted(name)) => (Some(name), None),
        Ok(Signer::Unknown(_) | Signer::Nobody) => (None, None),
        Err(untrusted) => (None, Some(untrusted.to_string())),
    };
    let all = serde_json::json!({
        "module": module.id(),
        "sha256": hex(module.sha256()),
        "bytes": bytes.len(),
        "key": key,
        "signed_by": signed_by,
        "signature_problem": why_not,
        "has_cases": module.cases().is_some(),
        "manifest": serde_json::from_str::<serde_json::Value>(&module.manifest().to_json())?,
    });
    println!("{}", serde_json::to_string_pretty(&all)?);
    Ok(())
}

fn verify(path: &Path, known: &Known) -> anyhow::Result<ExitCode> {
    if known.keys.is_empty() && known.settings.is_none() {
        eprintln!("error: by which keys? Name some by --key, or a gateway's --settings");
        return Ok(ExitCode::from(2));
    }
    let bytes = read_limited(path, MODULE_BYTES_MAX)?;
    let signer = known
        .trust()?
        .check(&bytes, unix_now_ns())
        .with_context(|| path.display().to_string())?;
    let module = Module::parse(&bytes).with_context(|| path.display().to_string())?;
    println!("{}: {}, signed by {signer}", path.display(), module.id());
    Ok(ExitCode::SUCCESS)
}

impl Known {
    fn trust(&self) -> anyhow::Result<Trust> {
        if let Some(file) = &self.settings {
            return match plan::settings(file) {
                Ok(settings) => Ok(settings.modules.trust),
                Err(problems) => {
                    for problem in &problems {
                        eprintln!("{problem}");
                    }
                    bail!("the settings don't hold");
                }
            };
        }
        let key = |path: &PathBuf| -> anyhow::Result<TrustedKey> {
            let key = PublicKey::from_pem(&text(path, PEM_FILE_BYTES_MAX)?)
                .with_context(|| path.display().to_string())?;
            let name = path.file_stem().unwrap_or(path.as_os_str());
            Ok(TrustedKey {
                name: name.to_string_lossy().into_owned(),
                key,
                expires_unix_ns: None,
            })
        };
        Ok(Trust {
            keys: self.keys.iter().map(key).collect::<anyhow::Result<_>>()?,
            allow_unsigned: false,
        })
    }
}

fn text(path: &Path, bytes_max: u64) -> anyhow::Result<String> {
    String::from_utf8(read_limited(path, bytes_max)?)
        .with_context(|| format!("{} is no text", path.display()))
}

/// Takes the place of what stood there, at once or not at all.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let written = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    written().with_context(|| format!("can't write {}", path.display()))
}
