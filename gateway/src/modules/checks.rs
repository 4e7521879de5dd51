//! What a module must pass before a line sees it: ten checks, in this order, the first that fails told.
//!
//! | check | what it asks |
//! |---|---|
//! | size | is it no larger than a module may be |
//! | signature | does somebody stand behind it whose word counts now |
//! | hash | are these the bytes that the sender meant |
//! | wasm | is it WebAssembly 1.0 |
//! | abi | has it a manifest, and the exports of ABI 1 |
//! | imports | does it want nothing, and run only when it is called |
//! | budgets | are memory, function table and local variables within their limits |
//! | binding | is it the stage whose place it is to take, and does it fit neighbours and settings |
//! | cases | do the test cases hold that it carries |
//! | version | is it newer than what runs |
//!
//! What it doesn't do: change anything. Whoever asks does, if there is no refusal.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use retrotap_host::{Engine, Module, ModuleError};
use sha2::{Digest, Sha256};

use super::assemble::hex;
use super::cases::{CaseError, Cases};
use super::signature::{Signer, Trust, Untrusted};
use crate::config::limits::MODULE_BYTES_MAX;

/// One of the ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// How large it is.
    Size,
    /// Who signed it.
    Signature,
    /// Whether these are the bytes that were meant.
    Hash,
    /// Whether it is WebAssembly.
    Wasm,
    /// Whether it keeps the ABI.
    Abi,
    /// Whether it wants anything.
    Imports,
    /// What it needs.
    Budgets,
    /// Whether it fits where it is to go.
    Binding,
    /// Whether its own test cases hold.
    Cases,
    /// Whether it is newer.
    Version,
}

/// A module isn't taken; nothing has changed.
#[derive(Debug, thiserror::Error)]
#[error("refused by the check of its {check}: {why}")]
pub struct Refusal {
    /// The check that it failed.
    pub check: Check,
    /// Why.
    pub why: Why,
}

/// Why a module isn't taken.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// It is too large.
    #[error("it has {bytes} bytes, at most {MODULE_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Nobody whose word counts stands behind it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// Something was lost or changed on the way.
    #[error("its SHA-256 is {found}, but {stated} was stated")]
    Hash {
        /// What was stated.
        stated: String,
        /// What it is.
        found: String,
    },
    /// It isn't a module, or not one that may run.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// It is another stage.
    #[error("it is stage `{found}`, but was to take the place of `{wanted}`")]
    WrongStage {
        /// Whose place it was to take.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// It doesn't fit its neighbours or the machine's settings: why not.
    #[error("{0}")]
    Unfit(String),
    /// Its own test cases don't hold.
    #[error(transparent)]
    Cases(#[from] CaseError),
    /// It isn't newer.
    #[error("its version is {found}, but {running} runs; going back is a command of its own")]
    NotNewer {
        /// Its version.
        found: String,
        /// What runs.
        running: String,
    },
}

impl Check {
    /// In one word, as the API says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Signature => "signature",
            Self::Hash => "hash",
            Self::Wasm => "wasm",
            Self::Abi => "abi",
            Self::Imports => "imports",
            Self::Budgets => "budgets",
            Self::Binding => "binding",
            Self::Cases => "cases",
            Self::Version => "version",
        }
    }

    fn of(error: &ModuleError) -> Self {
        match error {
            ModuleError::TooLarge { .. } => Self::Size,
            ModuleError::Invalid(_) => Self::Wasm,
            ModuleError::NoManifest
            | ModuleError::TwoManifests
            | ModuleError::ManifestTooLarge { .. }
            | ModuleError::Manifest(_)
            | ModuleError::Cases
            | ModuleError::MissingExport { .. }
            | ModuleError::ExportType { .. } => Self::Abi,
            ModuleError::Import { .. }
            | ModuleError::StartFunction
            | ModuleError::MemorySize { .. } => Self::Imports,
            ModuleError::NoMemory
            | ModuleError::Memory { .. }
            | ModuleError::DataOutside { .. }
            | ModuleError::Locals { .. }
            | ModuleError::FunctionTable { .. } => Self::Budgets,
        }
    }

    fn refuses(self, why: impl Into<Why>) -> Refusal {
        Refusal {
            check: self,
            why: why.into(),
        }
    }
}

impl Display for Check {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The first seven: what can be said of bytes alone.
///
/// # Errors
///
/// The first check that they fail.
pub fn bytes(
    bytes: &[u8],
    stated_sha256: Option<&str>,
    trust: &Trust,
    now_unix_ns: i64,
) -> Result<(Arc<Module>, Signer), Refusal> {
    if bytes.len() as u64 > MODULE_BYTES_MAX {
        return Err(Check::Size.refuses(Why::TooLarge { bytes: bytes.len() }));
    }
    let signer = trust
        .check(bytes, now_unix_ns)
        .map_err(|untrusted| Check::Signature.refuses(untrusted))?;
    let found = hex(&Sha256::digest(bytes));
    if let Some(stated) = stated_sha256.filter(|stated| !stated.eq_ignore_ascii_case(&found)) {
        let stated = stated.to_owned();
        return Err(Check::Hash.refuses(Why::Hash { stated, found }));
    }
    let module = Module::parse(bytes).map_err(|error| Check::of(&error).refuses(error))?;
    Ok((Arc::new(module), signer))
}

/// The last three: whether it fits where it is to go. `assemble` puts the machine together with it,
/// `running` is what it is to replace.
///
/// # Errors
///
/// The first check that it fails.
pub fn place(
    module: &Arc<Module>,
    running: &Module,
    engine: &Engine,
    assemble: impl FnOnce() -> Result<(), String>,
) -> Result<(), Refusal> {
    let (manifest, known) = (module.manifest(), running.manifest());
    if manifest.stage != known.stage {
        return Err(Check::Binding.refuses(Why::WrongStage {
            wanted: known.stage.clone(),
            found: manifest.stage.clone(),
        }));
    }
    assemble().map_err(unfit)?;
    if let Some(json) = module.cases() {
        Cases::parse(json)
            .and_then(|cases| cases.run(engine, module))
            .map_err(|error| Check::Cases.refuses(error))?;
    }
    if manifest.version <= known.version {
        return Err(Check::Version.refuses(Why::NotNewer {
            found: manifest.version.to_string(),
            running: running.id().to_owned(),
        }));
    }
    Ok(())
}

/// It passed the checks, but where it is to go it doesn't fit after all.
pub fn unfit(why: String) -> Refusal {
    Check::Binding.refuses(Why::Unfit(why))
}
