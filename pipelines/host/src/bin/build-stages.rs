//! Builds and packs the stages of this repository: `pipelines/stages/<name>` becomes
//! `target/stages/<name>.wasm`.
//!
//! A stage is a folder with a `manifest.yaml` and a source; see [`retrotap_host::build`]. A module is only
//! written where it differs from the one that is there, so that what embeds them isn't built again for
//! nothing. The stages in Rust are members of the workspace and built by one run of cargo.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use retrotap_abi::manifest::Manifest;
use retrotap_host::build::{self, Language, TARGET, write_if_changed};
use retrotap_host::pack;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

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
    language: Language,
    manifest: Manifest,
}

fn build() -> Result<()> {
    let root = workspace()?;
    let target = root.join("target");
    let stages = stages(&root.join("pipelines/stages"))?;
    let modules = target.join("stages");
    fs::create_dir_all(&modules)?;

    let build_folder = target.join("stages-build");
    let rust = |stage: &&Stage| stage.language == Language::Rust;
    cargo(&root, &build_folder, stages.iter().filter(rust))?;
    for stage in stages.iter().filter(rust) {
        let file = format!("{}.wasm", package(stage).replace('-', "_"));
        let compiled = build_folder.join(TARGET).join("stage").join(file);
        finish(stage, &compiled, &modules)?;
    }
    for stage in stages.iter().filter(|stage| !rust(stage)) {
        let (folder, manifest) = (&stage.folder, &stage.manifest);
        let compiled = match stage.language {
            Language::AssemblyScript => {
                build::assembly_script(folder, manifest, &build_folder.join("assembly-script"))?
            }
            _ => build::c(folder, manifest, &build_folder.join("c"))?,
        };
        finish(stage, &compiled, &modules)?;
    }
    forget_others(&modules, &stages)
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

/// All stages by name. What isn't in order is said of all of them at once.
fn stages(folder: &Path) -> Result<Vec<Stage>> {
    let mut folders: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    folders.sort();
    let (mut stages, mut problems) = (Vec::new(), Vec::new());
    for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
        match stage(folder) {
            Ok(stage) => stages.push(stage),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if problems.is_empty() {
        Ok(stages)
    } else {
        Err(problems.join("\n").into())
    }
}

fn stage(folder: PathBuf) -> Result<Stage> {
    let manifest = build::manifest(&folder)?;
    let language = Language::of(&folder)?;
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if manifest.stage != name {
        let (path, stage) = (folder.display(), &manifest.stage);
        return Err(format!("{path}: `stage` is `{stage}`, but the folder is `{name}`").into());
    }
    Ok(Stage {
        name,
        folder,
        language,
        manifest,
    })
}

fn package(stage: &Stage) -> String {
    format!("retrotap-stage-{}", stage.name)
}

/// One run of cargo for all stages in Rust.
fn cargo<'a>(
    root: &Path,
    build_folder: &Path,
    stages: impl Iterator<Item = &'a Stage>,
) -> Result<()> {
    let (mut cargo, mut flags) = build::rust()?;
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
    Ok(build::run(&mut cargo)?)
}

/// Packs what the compiler left and says what came of it.
fn finish(stage: &Stage, compiled: &Path, modules: &Path) -> Result<()> {
    let wasm = build::read(compiled)?;
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

/// Removes modules of stages that aren't there any more: every module in the folder ships.
fn forget_others(modules: &Path, stages: &[Stage]) -> Result<()> {
    let names: BTreeSet<String> = stages
        .iter()
        .map(|stage| format!("{}.wasm", stage.name))
        .collect();
    for entry in fs::read_dir(modules)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".wasm") && !names.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
