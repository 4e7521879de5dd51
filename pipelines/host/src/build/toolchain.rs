//! Compilers and linkers: where they are, and how they are installed where they aren't.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use super::BuildError;

/// What Rust calls WebAssembly 1.0 without an operating system.
pub const TARGET: &str = "wasm32v1-none";

/// A cargo that can build for [`TARGET`], and what its compiler has to be told: the toolchain that runs
/// this, if it has the target, and else Debian's, which builds `core` from its source.
///
/// # Errors
/// Neither is there; the line to run.
pub fn rust() -> Result<(Command, Vec<String>), BuildError> {
    // The cargo that runs this, and the compiler beside it: rustup's proxies would ask the environment.
    let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let rustc = cargo.with_file_name("rustc");
    if has_target(&rustc) {
        let mut command = clean(&cargo);
        command.env("RUSTC", rustc);
        return Ok((command, Vec::new()));
    }
    let debian = Path::new("/usr/bin/cargo");
    if debian.exists()
        && Path::new("/usr/lib/rustlib/src/rust/library/core").exists()
        && let Ok(linker) = linker()
    {
        let mut command = clean(debian);
        command.args(["-Zbuild-std=core,alloc,panic_abort"]);
        command
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1");
        return Ok((command, vec![format!("-Clinker={}", linker.display())]));
    }
    Err(BuildError::Toolchain(format!(
        "no toolchain for {TARGET}: run `rustup target add {TARGET}`, or on Debian `apt-get install rustc-web cargo-web rust-web-src lld-22`"
    )))
}

fn has_target(rustc: &Path) -> bool {
    let output = clean(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    output.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout);
        output.status.success()
            && Path::new(folder.trim())
                .read_dir()
                .is_ok_and(|mut files| files.next().is_some())
    })
}

/// A linker for WebAssembly that knows pages of one byte: Debian's newest `lld`, whose name has its
/// version in it, or the one of the path.
pub(super) fn linker() -> Result<PathBuf, BuildError> {
    let versioned = (20..40)
        .rev()
        .map(|version| PathBuf::from(format!("/usr/bin/lld-{version}")))
        .find(|path| path.exists());
    versioned.or_else(|| on_the_path("lld")).ok_or_else(|| {
        BuildError::Toolchain(
            "no linker for WebAssembly: on Debian run `apt-get install lld-22`".into(),
        )
    })
}

/// A clang that knows WebAssembly.
pub(super) fn clang() -> Result<PathBuf, BuildError> {
    on_the_path("clang").ok_or_else(|| {
        BuildError::Toolchain(
            "no C compiler for WebAssembly: on Debian run `apt-get install clang`".into(),
        )
    })
}

fn on_the_path(program: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    let found = env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(|path| fs::metadata(path).is_ok_and(|file| file.is_file()))?;
    let answers = Command::new(&found)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    answers.is_ok().then_some(found)
}

/// A command without what the cargo that runs this has put into the environment.
fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    let ours = |name: &OsString| {
        let name = name.to_string_lossy();
        let for_packages = name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        let flags =
            name.starts_with("RUST") && (name.contains("FLAGS") || name.starts_with("RUSTC"));
        for_packages
            || flags
            || name == "CARGO"
            || name == "CARGO_ENCODED_RUSTFLAGS"
            || name == "CARGO_TARGET_DIR"
    };
    for (name, _) in env::vars_os().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command
}
