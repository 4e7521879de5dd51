//! Builds and packs the stages of this repository: `pipelines/stages/<name>` becomes
//! `target/stages/<name>.wasm`.
//!
//! A stage is a folder with a `manifest.yaml` and either a `Cargo.toml` (Rust) or a `package.json`
//! (AssemblyScript). A module is only written where it differs from the one that is there, so that what
//! embeds them isn't built again for nothing.
//!
//! The Rust stages are built by the toolchain that runs this if it has the target `wasm32v1-none`, and
//! else by Debian's, which builds `core` from its source. Where neither is there, the line to run is
//! printed.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use retrotap_abi::manifest::Manifest;
use retrotap_host::pack;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TARGET: &str = "wasm32v1-none";

/// Flags of the AssemblyScript compiler: no runtime, no import, WebAssembly 1.0.
const ASC_FLAGS: [&str; 17] = [
    "--runtime",
    "stub",
    "--use",
    "abort=",
    "--initialMemory",
    "1",
    "--maximumMemory",
    "1",
    "--disable",
    "bulk-memory",
    "--disable",
    "sign-extension",
    "--disable",
    "nontrapping-f2i",
    "--optimizeLevel",
    "3",
    "--converge",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("build-stages: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Stage {
    name: String,
    folder: PathBuf,
    manifest: Manifest,
}

fn build() -> Result<()> {
    let root = workspace()?;
    let target = root.join("target");
    let (rust, assembly_script) = stages(&root.join("pipelines/stages"))?;
    let modules = target.join("stages");
    fs::create_dir_all(&modules)?;

    let build_folder = target.join("stages-build");
    cargo(&root, &build_folder, &rust)?;
    for stage in &rust {
        let file = format!("{}.wasm", package(stage).replace('-', "_"));
        finish(
            stage,
            &build_folder.join(TARGET).join("stage").join(file),
            &modules,
        )?;
    }
    for stage in &assembly_script {
        let compiled = build_folder
            .join("assembly-script")
            .join(format!("{}.wasm", stage.name));
        asc(stage, &compiled)?;
        finish(stage, &compiled, &modules)?;
    }
    forget_others(&modules, rust.iter().chain(&assembly_script))
}

/// The folder of the workspace: cargo says where this crate is.
fn workspace() -> Result<PathBuf> {
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .ok_or("run it as `cargo run -p retrotap-host --features build`")?;
    let root = Path::new(&here)
        .ancestors()
        .nth(2)
        .ok_or("the crate isn't where it belongs")?;
    Ok(root.to_path_buf())
}

/// The stages in Rust and those in AssemblyScript, by name. All manifests that aren't in order at once.
fn stages(folder: &Path) -> Result<(Vec<Stage>, Vec<Stage>)> {
    let mut folders: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    folders.sort();
    let (mut rust, mut assembly_script, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
        match stage(folder) {
            Ok(stage) if stage.folder.join("package.json").exists() => assembly_script.push(stage),
            Ok(stage) => rust.push(stage),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if problems.is_empty() {
        Ok((rust, assembly_script))
    } else {
        Err(problems.join("\n").into())
    }
}

fn stage(folder: PathBuf) -> Result<Stage> {
    let path = folder.join("manifest.yaml");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let manifest =
        Manifest::from_yaml(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if manifest.stage != name {
        return Err(format!(
            "{}: `stage` is `{}`, but the folder is `{name}`",
            path.display(),
            manifest.stage
        )
        .into());
    }
    Ok(Stage {
        name,
        folder,
        manifest,
    })
}

fn package(stage: &Stage) -> String {
    format!("retrotap-stage-{}", stage.name)
}

/// One run of cargo for all stages in Rust.
fn cargo(root: &Path, build_folder: &Path, stages: &[Stage]) -> Result<()> {
    if stages.is_empty() {
        return Ok(());
    }
    let (mut cargo, mut flags) = toolchain()?;
    // A module is shipped: where it was built is nobody's business.
    for (folder, name) in [(root, "retrotap"), (build_folder, "stages-build")] {
        flags.push(format!("--remap-path-prefix={}={name}", folder.display()));
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    cargo.current_dir(root);
    cargo.args([
        "build",
        "--locked",
        "--quiet",
        "--lib",
        "--profile",
        "stage",
        "--target",
        TARGET,
        "--target-dir",
    ]);
    cargo.arg(build_folder);
    for stage in stages {
        cargo.args(["-p", &package(stage)]);
    }
    run(&mut cargo)
}

/// A cargo that can build for [`TARGET`], and what its compiler has to be told.
fn toolchain() -> Result<(Command, Vec<String>)> {
    // The cargo that runs this, and the compiler beside it: rustup's proxies would ask the environment.
    let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let rustc = cargo.with_file_name("rustc");
    if has_target(&rustc) {
        let mut command = clean(&cargo);
        command.env("RUSTC", rustc);
        return Ok((command, Vec::new()));
    }
    let debian = Path::new("/usr/bin/cargo");
    let linker = linker();
    if debian.exists()
        && Path::new("/usr/lib/rustlib/src/rust/library/core").exists()
        && let Some(linker) = linker
    {
        let mut command = clean(debian);
        command.args(["-Zbuild-std=core,alloc,panic_abort"]);
        command
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1");
        return Ok((command, vec![format!("-Clinker={}", linker.display())]));
    }
    Err(format!("no toolchain for {TARGET}: run `rustup target add {TARGET}`, or on Debian `apt-get install rustc-web cargo-web rust-web-src lld-22`").into())
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

/// Debian's linker for WebAssembly: the newest `lld`, whose name has its version in it.
fn linker() -> Option<PathBuf> {
    (20..40)
        .rev()
        .map(|version| PathBuf::from(format!("/usr/bin/lld-{version}")))
        .find(|path| path.exists())
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

/// Compiles a stage in AssemblyScript.
fn asc(stage: &Stage, compiled: &Path) -> Result<()> {
    let source = stage.folder.join("assembly/manifest.ts");
    write_if_changed(
        &source,
        retrotap_abi::codegen::assembly_script(&stage.manifest).as_bytes(),
    )?;
    let compiler = stage.folder.join("node_modules/assemblyscript/bin/asc.js");
    if !compiler.exists() {
        run(Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--silent"])
            .current_dir(&stage.folder))?;
    }
    if let Some(folder) = compiled.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut node = Command::new("node");
    node.current_dir(&stage.folder)
        .arg(compiler)
        .arg("assembly/index.ts");
    run(node.args(ASC_FLAGS).arg("--outFile").arg(compiled))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} failed: {status}", command.get_program().display()).into())
    }
}

/// Packs what the compiler left and says what came of it.
fn finish(stage: &Stage, compiled: &Path, modules: &Path) -> Result<()> {
    let wasm = fs::read(compiled).map_err(|error| format!("{}: {error}", compiled.display()))?;
    let module =
        pack(&wasm, &stage.manifest).map_err(|error| format!("{}: {error}", stage.name))?;
    let written = write_if_changed(&modules.join(format!("{}.wasm", stage.name)), &module)?;
    println!(
        "{:<28} {:>7} bytes, {:>6} of memory{}",
        stage.manifest.id(),
        module.len(),
        stage.manifest.sizes.memory_bytes,
        if written { "" } else { ", unchanged" },
    );
    Ok(())
}

fn write_if_changed(path: &Path, content: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(false);
    }
    fs::write(path, content).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(true)
}

/// Removes modules of stages that aren't there any more: every module in the folder ships.
fn forget_others<'a>(modules: &Path, stages: impl Iterator<Item = &'a Stage>) -> Result<()> {
    let names: BTreeSet<String> = stages.map(|stage| format!("{}.wasm", stage.name)).collect();
    for entry in fs::read_dir(modules)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".wasm") && !names.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
