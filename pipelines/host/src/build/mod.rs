//! Building a stage from its folder: constants out of the manifest, a compiler, packing.
//!
//! A stage is a folder with a `manifest.yaml` and a source in one of three [`Language`]s, which is told by
//! what lies beside it. What the build makes of the manifest, and the SDK where it isn't a library, is
//! written into the folder first, so that the author's editor sees it too.
//!
//! What it doesn't do: install compilers. Where one is missing, the line to run is said.

pub mod template;
mod toolchain;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use retrotap_abi::Manifest;
use retrotap_abi::codegen;
use retrotap_abi::manifest::ManifestError;

pub use toolchain::{TARGET, rust};
use toolchain::{clang, linker};

use crate::pack::{PackError, pack};

/// What a stage is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `Cargo.toml`.
    Rust,
    /// `package.json` and `assembly/index.ts`.
    AssemblyScript,
    /// `stage.c`.
    C,
}

/// Why a stage can't be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file can't be read or written.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The manifest is not in order.
    #[error("{path}: {cause}")]
    Manifest {
        /// Where it is.
        path: PathBuf,
        /// All that is wrong.
        cause: ManifestError,
    },
    /// Two names of the manifest would become one, or the package is called otherwise.
    #[error("{path}: {message}")]
    Names {
        /// Where it is.
        path: PathBuf,
        /// Which.
        message: String,
    },
    /// Nothing says what it is written in.
    #[error("{path}: no Cargo.toml, no package.json and no stage.c: not a stage's folder")]
    NoSource {
        /// The folder.
        path: PathBuf,
    },
    /// A compiler is missing.
    #[error("{0}")]
    Toolchain(String),
    /// A compiler failed, and has said why.
    #[error("{program} failed: {how}")]
    Compiler {
        /// Which.
        program: String,
        /// How.
        how: String,
    },
    /// Code and manifest can't be put together.
    #[error("{stage}: {cause}")]
    Pack {
        /// The stage.
        stage: String,
        /// Why.
        cause: PackError,
    },
}

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

/// Flags of clang: WebAssembly 1.0, and no library.
const CLANG_FLAGS: [&str; 9] = [
    "--target=wasm32",
    "-mcpu=mvp",
    "-std=c11",
    "-O3",
    "-ffreestanding",
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-c",
];

/// The SDK for AssemblyScript, which is copied beside a stage.
const AS_SDK: &str = include_str!("../../../sdk/as/retrotap.ts");

/// The SDK for C, which is copied beside a stage.
const C_SDK: &str = include_str!("../../../sdk/c/retrotap.h");

impl Language {
    /// All of them, with the names that the command line has for them.
    pub const ALL: [(&'static str, Self); 3] = [
        ("rust", Self::Rust),
        ("as", Self::AssemblyScript),
        ("c", Self::C),
    ];

    /// What the stage in a folder is written in.
    ///
    /// # Errors
    /// There is no source that we know.
    pub fn of(folder: &Path) -> Result<Self, BuildError> {
        let known = [
            ("Cargo.toml", Self::Rust),
            ("package.json", Self::AssemblyScript),
            ("stage.c", Self::C),
        ];
        let found = known.iter().find(|(file, _)| folder.join(file).is_file());
        let no_source = || BuildError::NoSource {
            path: folder.to_owned(),
        };
        found.map(|(_, language)| *language).ok_or_else(no_source)
    }
}

/// The manifest of the stage in a folder.
///
/// # Errors
/// It can't be read, or is not in order.
pub fn manifest(folder: &Path) -> Result<Manifest, BuildError> {
    let path = folder.join("manifest.yaml");
    let text = fs::read_to_string(&path).map_err(|cause| BuildError::File {
        path: path.clone(),
        cause,
    })?;
    Manifest::from_yaml(&text).map_err(|cause| BuildError::Manifest { path, cause })
}

/// Builds the stage in a folder that stands for itself, and packs it. `scratch` is for what compilers
/// leave.
///
/// # Errors
/// The manifest or the source is not in order, or a compiler is missing.
pub fn stage(folder: &Path, scratch: &Path) -> Result<(Manifest, Vec<u8>), BuildError> {
    let manifest = manifest(folder)?;
    let language = Language::of(folder)?;
    // Compilers run in the stage's folder: the way to theirs must not depend on where one stands.
    let scratch = fs::create_dir_all(scratch).and_then(|()| fs::canonicalize(scratch));
    let scratch = scratch.map_err(|cause| BuildError::File {
        path: folder.to_owned(),
        cause,
    })?;
    let compiled = match language {
        Language::Rust => cargo(folder, &manifest, &scratch)?,
        Language::AssemblyScript => assembly_script(folder, &manifest, &scratch)?,
        Language::C => c(folder, &manifest, &scratch)?,
    };
    let wasm = read(&compiled)?;
    let packed = pack(&wasm, &manifest).map_err(|cause| BuildError::Pack {
        stage: manifest.stage.clone(),
        cause,
    })?;
    Ok((manifest, packed))
}

/// Compiles a stage in Rust that is a crate of its own.
fn cargo(folder: &Path, manifest: &Manifest, scratch: &Path) -> Result<PathBuf, BuildError> {
    // Cargo names what it makes after the package. The stages of a workspace are called otherwise.
    let package = folder.join("Cargo.toml");
    let named = format!("name = \"{}\"", manifest.stage);
    if !String::from_utf8_lossy(&read(&package)?).contains(&named) {
        return Err(BuildError::Names {
            path: package,
            message: format!("expected {named}, as the manifest says"),
        });
    }
    let path = folder.join("src/manifest.rs");
    let types = codegen::rust(manifest).map_err(|message| BuildError::Names {
        path: folder.join("manifest.yaml"),
        message,
    })?;
    let source = format!("//! Made from manifest.yaml. Change that instead.\n\n{types}");
    write_if_changed(&path, source.as_bytes())?;
    let (mut cargo, mut flags) = rust()?;
    flags.extend(codegen::link_args().map(|argument| format!("-Clink-arg={argument}")));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    cargo.current_dir(folder);
    cargo.args(["build", "--quiet", "--release", "--lib", "--target", TARGET]);
    run(cargo.arg("--target-dir").arg(scratch))?;
    let file = format!("{}.wasm", manifest.stage.replace('-', "_"));
    Ok(scratch.join(TARGET).join("release").join(file))
}

/// Compiles a stage in AssemblyScript, and gives back where it is. `scratch` is absolute.
///
/// # Errors
/// The compiler is missing or fails.
pub fn assembly_script(
    folder: &Path,
    manifest: &Manifest,
    scratch: &Path,
) -> Result<PathBuf, BuildError> {
    let sources = folder.join("assembly");
    let constants = codegen::assembly_script(manifest);
    write_if_changed(&sources.join("manifest.ts"), constants.as_bytes())?;
    write_if_changed(&sources.join("retrotap.ts"), AS_SDK.as_bytes())?;
    let compiler = Path::new("node_modules/assemblyscript/bin/asc.js");
    if !folder.join(compiler).exists() {
        run(Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--silent"])
            .current_dir(folder))?;
    }
    let compiled = compiled(scratch, manifest)?;
    let mut node = Command::new("node");
    node.current_dir(folder).arg(compiler);
    run(node
        .arg("assembly/index.ts")
        .args(ASC_FLAGS)
        .arg("--outFile")
        .arg(&compiled))?;
    Ok(compiled)
}

/// Compiles a stage in C, and gives back where it is. `scratch` is absolute.
///
/// # Errors
/// The compiler is missing or fails.
pub fn c(folder: &Path, manifest: &Manifest, scratch: &Path) -> Result<PathBuf, BuildError> {
    let constants = codegen::c(manifest);
    write_if_changed(&folder.join("manifest.h"), constants.as_bytes())?;
    write_if_changed(&folder.join("retrotap.h"), C_SDK.as_bytes())?;
    let compiled = compiled(scratch, manifest)?;
    let object = compiled.with_extension("o");
    let mut clang = Command::new(clang()?);
    clang.current_dir(folder).args(CLANG_FLAGS);
    run(clang.arg("stage.c").arg("-o").arg(&object))?;
    let mut lld = Command::new(linker()?);
    lld.args(["-flavor", "wasm", "--no-entry", "--strip-all"]);
    lld.args(codegen::link_args()).arg(&object);
    run(lld.arg("-o").arg(&compiled))?;
    Ok(compiled)
}

/// Where the module of a stage comes to lie before it is packed.
fn compiled(scratch: &Path, manifest: &Manifest) -> Result<PathBuf, BuildError> {
    fs::create_dir_all(scratch).map_err(|cause| BuildError::File {
        path: scratch.to_owned(),
        cause,
    })?;
    Ok(scratch.join(format!("{}.wasm", manifest.stage)))
}

/// Runs a compiler, which says itself what it doesn't like.
///
/// # Errors
/// It isn't there, or fails.
pub fn run(command: &mut Command) -> Result<(), BuildError> {
    let program = command.get_program().display().to_string();
    let failed = |how: String| BuildError::Compiler { program, how };
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(status.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Reads a file.
///
/// # Errors
/// It can't be read.
pub fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path).map_err(|cause| BuildError::File {
        path: path.to_owned(),
        cause,
    })
}

/// Writes a file unless it has that content already, so that what depends on it isn't built for nothing.
/// Says whether it did.
///
/// # Errors
/// It can't be written.
pub fn write_if_changed(path: &Path, content: &[u8]) -> Result<bool, BuildError> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(false);
    }
    let written = match path.parent() {
        Some(folder) if folder.as_os_str() != OsStr::new("") => fs::create_dir_all(folder),
        _ => Ok(()),
    }
    .and_then(|()| fs::write(path, content));
    written.map_err(|cause| BuildError::File {
        path: path.to_owned(),
        cause,
    })?;
    Ok(true)
}
