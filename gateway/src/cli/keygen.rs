//! `retrotap keygen`: the two keys of somebody who signs modules.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::modules::signature::SecretKey;

/// Makes a pair of keys for signing modules: NAME.key, which signs and is nobody else's business, and
/// NAME.pub, which gateways trust.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap keygen plant
  retrotap keygen plant --dir keys")]
pub struct Args {
    /// What the key is called: letters, digits, `-`, `_` and `.`.
    #[arg(value_parser = name)]
    name: String,
    /// Where the two files are made; neither may be there yet.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

fn name(text: &str) -> Result<String, String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match text.bytes().all(is_allowed) && !text.starts_with('.') && !text.is_empty() {
        true => Ok(text.to_owned()),
        false => Err("expected letters, digits, -, _ and .".to_owned()),
    }
}

/// Runs the command.
///
/// # Errors
///
/// A file of that name is there, or can't be made.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let path = |ending: &str| args.dir.join(format!("{}.{ending}", args.name));
    let (secret, public) = SecretKey::generate();
    let (secret_path, public_path) = (path("key"), path("pub"));
    // The public one first: a secret one without it would be of no use, and nobody would know.
    write(&public_path, &public.to_pem(), 0o644)?;
    write(&secret_path, &secret.to_pem(), 0o600)?;
    eprintln!(
        "{} signs: keep it to yourself\n{} is key {}; gateways trust it by\n",
        secret_path.display(),
        public_path.display(),
        public.id()
    );
    println!(
        "modules:\n  trusted_keys:\n    - {{name: {}, key: {}, expires: never}}",
        args.name,
        public_path.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("can't make {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}
