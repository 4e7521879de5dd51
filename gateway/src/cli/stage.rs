//! `retrotap stage`: from nothing to a tested stage.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::{Subcommand, ValueEnum};
use retrotap_host::build::{self, template};
use retrotap_host::testcase::TestCase;
use retrotap_host::{Engine, Module, WasmtimeOptions};

use crate::config::limits::ADAPTER_FILE_BYTES_MAX;

/// Begins, builds and tests a stage of your own.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  retrotap stage new level-peaks --lang rust
  retrotap stage build level-peaks
  retrotap stage test level-peaks";

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a small stage with its manifest and a test case into a new folder.
    #[command(after_help = "Example:\n  retrotap stage new level-peaks --lang c")]
    New {
        /// The stage's name, and that of its folder: lower-case words and digits joined by hyphens.
        name: String,
        /// What it is written in.
        #[arg(long, value_enum)]
        lang: Language,
    },
    /// Compiles a stage and packs it with its manifest: NAME.wasm in its folder.
    #[command(after_help = "Example:\n  retrotap stage build level-peaks")]
    Build {
        /// The stage's folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Builds a stage and runs its test cases, compiled and interpreted: both must give the same bits.
    #[command(after_help = "Example:\n  retrotap stage test level-peaks")]
    Test {
        /// The stage's folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
}

/// What a stage is written in.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Language {
    /// Needs Rust with the target wasm32v1-none.
    Rust,
    /// AssemblyScript; needs Node and npm.
    As,
    /// Needs clang and lld.
    C,
}

/// Runs the command: exit code 0 when everything was written, built or passed.
///
/// # Errors
///
/// The folder is there already, the stage is not in order, or a test case is not passed.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    // Compilers take seconds, and nothing else runs meanwhile.
    match args.command {
        Command::New { name, lang } => new(&name, lang),
        Command::Build { folder } => {
            let (module, file) = built(&folder)?;
            let (bytes, memory) = (module.wasm().len(), module.manifest().sizes.memory_bytes);
            println!("{}: {bytes} bytes, {memory} of memory", file.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Test { folder } => test(&folder),
    }
}

fn new(name: &str, language: Language) -> anyhow::Result<ExitCode> {
    let word = |word: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        !word.is_empty() && word.chars().all(plain)
    };
    let starts = name.starts_with(|first: char| first.is_ascii_lowercase());
    ensure!(
        starts && name.split('-').all(word),
        "`{name}` is not a stage's name: lower-case words and digits joined by hyphens, such as level-peaks"
    );
    let folder = Path::new(name);
    if folder.exists() {
        bail!("{name} is there already");
    }
    let language = match language {
        Language::Rust => build::Language::Rust,
        Language::As => build::Language::AssemblyScript,
        Language::C => build::Language::C,
    };
    for file in template::write(folder, name, language)? {
        // What comes along is not for reading first.
        if !file.starts_with(".retrotap") {
            println!("{}", folder.join(file).display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the stage in a folder, writes its module there, and says where.
fn built(folder: &Path) -> anyhow::Result<(Arc<Module>, PathBuf)> {
    let (manifest, wasm) = build::stage(folder, &folder.join("target"))?;
    let file = folder.join(format!("{}.wasm", manifest.stage));
    build::write_if_changed(&file, &wasm)?;
    Ok((Arc::new(Module::parse(&wasm)?), file))
}

fn test(folder: &Path) -> anyhow::Result<ExitCode> {
    let files = case_files(&folder.join("testcases"))?;
    ensure!(
        !files.is_empty(),
        "there is no test case in {}",
        folder.join("testcases").display()
    );
    let (module, _) = built(folder)?;
    let engines = [
        Engine::wasmtime(WasmtimeOptions::default())?,
        Engine::spacewasm(),
    ];
    let mut failed = 0;
    for file in &files {
        match passes(file, &engines, &module) {
            Ok(name) => println!("ok      {name}"),
            Err(error) => {
                failed += 1;
                println!("FAILED  {}: {error:#}", file.display());
            }
        }
    }
    println!("{} passed, {failed} failed", files.len() - failed);
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn case_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let shown = || folder.display().to_string();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(shown)? {
        let path = entry.with_context(shown)?.path();
        if path.extension().is_some_and(|kind| kind == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Runs a test case in every engine, and says its name.
fn passes(file: &Path, engines: &[Engine], module: &Arc<Module>) -> anyhow::Result<String> {
    let bytes = fs::metadata(file)?.len();
    ensure!(
        bytes <= ADAPTER_FILE_BYTES_MAX,
        "has {bytes} bytes, at most {ADAPTER_FILE_BYTES_MAX} are allowed"
    );
    let case = TestCase::from_yaml(&fs::read_to_string(file)?)?;
    let mut first = None;
    for engine in engines {
        let run = case.run(engine, module).context(engine.name())?;
        ensure!(
            *first.get_or_insert_with(|| run.clone()) == run,
            "{} left other bits in the output area than {}",
            engine.name(),
            engines[0].name()
        );
    }
    Ok(case.name)
}
