//! A stage to begin with, in each language the same: the highest of each number within a window of time.

use std::path::{Path, PathBuf};

use super::{BuildError, Language, write_if_changed};

/// A file of a new stage: where, and what. `NAME` stands for the stage's name.
type File = (&'static str, &'static str);

macro_rules! files {
    ($($to:literal: $from:literal),* $(,)?) => {
        &[$(($to, include_str!(concat!("../../../", $from)))),*]
    };
}

const COMMON: &[File] = files![
    "manifest.yaml": "sdk/template/manifest.yaml",
    "testcases/a-window.yaml": "sdk/template/testcases/a-window.yaml",
];

/// The SDK comes along: nothing has to be fetched.
const RUST: &[File] = files![
    "Cargo.toml": "sdk/template/rust/Cargo.toml.txt",
    "src/lib.rs": "sdk/template/rust/lib.rs",
    ".retrotap/sdk/Cargo.toml": "sdk/template/rust/sdk.toml.txt",
    ".retrotap/sdk/src/area.rs": "sdk/src/area.rs",
    ".retrotap/sdk/src/guest.rs": "sdk/src/guest.rs",
    ".retrotap/sdk/src/input.rs": "sdk/src/input.rs",
    ".retrotap/sdk/src/lib.rs": "sdk/src/lib.rs",
    ".retrotap/sdk/src/native.rs": "sdk/src/native.rs",
    ".retrotap/sdk/src/output.rs": "sdk/src/output.rs",
    ".retrotap/sdk/src/wasm.rs": "sdk/src/wasm.rs",
    ".retrotap/abi/Cargo.toml": "sdk/template/rust/abi.toml.txt",
    ".retrotap/abi/src/lib.rs": "abi/src/lib.rs",
    ".retrotap/abi/src/layout.rs": "abi/src/layout.rs",
    ".retrotap/abi/src/limits.rs": "abi/src/limits.rs",
];

const AS: &[File] = files![
    "package.json": "sdk/template/as/package.json.txt",
    "package-lock.json": "sdk/template/as/package-lock.json.txt",
    "assembly/tsconfig.json": "sdk/template/as/tsconfig.json",
    "assembly/index.ts": "sdk/template/as/index.ts",
];

const C: &[File] = files!["stage.c": "sdk/template/c/stage.c"];

/// What the build makes, and nobody keeps.
const fn ignored(language: Language) -> &'static str {
    match language {
        Language::Rust => "target/\nsrc/manifest.rs\n*.wasm\n",
        Language::AssemblyScript => {
            "target/\nnode_modules/\nassembly/manifest.ts\nassembly/retrotap.ts\n*.wasm\n"
        }
        Language::C => "target/\nmanifest.h\nretrotap.h\n*.wasm\n",
    }
}

/// Writes a new stage into a folder, and says which files it wrote.
///
/// # Errors
/// A file can't be written.
pub fn write(folder: &Path, name: &str, language: Language) -> Result<Vec<PathBuf>, BuildError> {
    let own = match language {
        Language::Rust => RUST,
        Language::AssemblyScript => AS,
        Language::C => C,
    };
    let mut written = Vec::new();
    for (to, text) in COMMON.iter().chain(own) {
        // The SDK knows nothing of a name.
        let text = if to.starts_with('.') {
            (*text).to_owned()
        } else {
            text.replace("NAME", name)
        };
        write_if_changed(&folder.join(to), text.as_bytes())?;
        written.push(PathBuf::from(to));
    }
    write_if_changed(&folder.join(".gitignore"), ignored(language).as_bytes())?;
    Ok(written)
}
