//! The binary as a user has it, started with arguments and looked at from outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The gateway's binary of this working copy, or the one that `RETROTAP_BINARY` names.
///
/// # Panics
///
/// It can't be built.
pub fn retrotap() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| given_or_built("RETROTAP_BINARY", "retrotap"))
}

/// The lake's binary of this working copy, or the one that `RETROTAP_LAKE_BINARY` names.
///
/// # Panics
///
/// It can't be built.
pub fn retrotap_lake() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| given_or_built("RETROTAP_LAKE_BINARY", "retrotap-lake"))
}

/// The first call of a test program builds it, because Cargo gives a package only its own binaries.
fn given_or_built(variable: &str, name: &str) -> PathBuf {
    if let Some(given) = std::env::var_os(variable) {
        return PathBuf::from(given);
    }
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", name, "--bin", name])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(repository())
        .stderr(Stdio::inherit())
        .output()
        .expect("Cargo runs");
    assert!(built.status.success(), "{name} can't be built");
    let messages = String::from_utf8(built.stdout).expect("JSON");
    let executable = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    executable.expect("Cargo names what it built")
}

/// The root of the working copy.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A command of the gateway that doesn't see the settings of whoever runs the tests.
pub fn command(arguments: &[&str]) -> Command {
    command_of(retrotap(), arguments)
}

/// The same of the lake.
pub fn lake_command(arguments: &[&str]) -> Command {
    command_of(retrotap_lake(), arguments)
}

fn command_of(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_remove("RETROTAP_LOG")
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RETROTAP_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs it to its end.
///
/// # Panics
///
/// It can't be started.
pub fn run(arguments: &[&str]) -> Ended {
    Ended::from(command(arguments).output().expect("it starts"))
}

/// How a run ended and what it said.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
