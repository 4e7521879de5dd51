//! Source code made from a manifest, so that no name of a record, field, parameter, table or reason is
//! ever written twice.
//!
//! A stage's build script is one call of [`build`]; the stage then says
//! `pub mod manifest { retrotap_sdk::manifest!(); }` and has everything typed. For AssemblyScript and C,
//! [`assembly_script`] and [`c`] give the same as constants.

mod constants;
mod names;
mod rust;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

pub use constants::{assembly_script, c};
pub use rust::rust;

use crate::Manifest;

/// Bytes of a stage's stack. It stands below its data, so that running over it traps at once.
const STACK_BYTES: usize = 2048;

/// What makes a module of a stage: memory in pages of one byte that can't grow, the stack first.
const LINK_ARGS: [&str; 3] = ["--page-size=1", "--no-growable-memory", "--stack-first"];

/// What a linker is told to make a module of a stage.
pub fn link_args() -> impl Iterator<Item = String> {
    let stack = format!("-zstack-size={STACK_BYTES}");
    LINK_ARGS.map(str::to_owned).into_iter().chain([stack])
}

/// For `main` of a stage's build script: makes `manifest.rs` from the `manifest.yaml` beside it, and
/// tells the linker what the ABI needs. Prints what is wrong and fails if the manifest isn't in order.
pub fn build() -> ExitCode {
    println!("cargo::rerun-if-changed=manifest.yaml");
    match generate(Path::new("manifest.yaml")) {
        Ok(()) => {
            if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
                for argument in link_args() {
                    println!("cargo::rustc-link-arg-cdylib={argument}");
                }
            }
            ExitCode::SUCCESS
        }
        Err(message) => {
            for line in message.lines() {
                println!("cargo::error=manifest.yaml: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn generate(path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let manifest = Manifest::from_yaml(&text).map_err(|error| error.to_string())?;
    let source = rust(&manifest)?;
    let folder = env::var("OUT_DIR").map_err(|error| error.to_string())?;
    fs::write(Path::new(&folder).join("manifest.rs"), source).map_err(|error| error.to_string())
}
