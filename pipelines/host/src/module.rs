//! A stage's file, looked through before anything of it runs.

use core::fmt;

use retrotap_abi::limits;
use retrotap_abi::manifest::{Manifest, ManifestError};
use sha2::{Digest, Sha256};
use wasmparser::{
    CompositeInnerType, ExternalKind, FuncType, MemoryType, Operator, Parser, Payload, TypeRef,
    ValType, Validator, WasmFeatures,
};

use crate::limits::{FUNCTION_TABLE_ENTRIES_MAX, LOCALS_MAX};

/// What a module may use: WebAssembly 1.0 and memory in pages of one byte.
const FEATURES: WasmFeatures = WasmFeatures::WASM1.union(WasmFeatures::CUSTOM_PAGE_SIZES);

/// A module that keeps ABI 1, as far as can be seen without running it.
#[derive(Clone)]
pub struct Module {
    manifest: Manifest,
    id: String,
    sha256: [u8; 32],
    cases: Option<String>,
    wasm: Vec<u8>,
}

/// Why bytes are not a module. The first reason found, in the order of the checks.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// It is too large.
    #[error(
        "the module has {bytes} bytes, at most {} are allowed",
        limits::MODULE_BYTES_MAX
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is not WebAssembly 1.0 (with custom page sizes): broken, or it uses a later feature.
    #[error("not valid WebAssembly 1.0: {0}")]
    Invalid(String),
    /// It wants something from the host. A stage gets nothing but its input.
    #[error("the module imports `{module}.{name}`: a stage may import nothing")]
    Import {
        /// From where.
        module: String,
        /// What.
        name: String,
    },
    /// It would run before anybody calls it.
    #[error("the module has a start function: a stage may only run when it is called")]
    StartFunction,
    /// It looks at or changes the size of its memory.
    #[error("the module uses `{instruction}`: a stage's memory has one size for ever")]
    MemorySize {
        /// The instruction.
        instruction: &'static str,
    },
    /// It has no memory of its own.
    #[error("the module has no memory")]
    NoMemory,
    /// Its memory may grow, or is larger than its manifest says.
    #[error(
        "the module's memory is {found}, but its manifest says {wanted} bytes, no more and no less: pack it again"
    )]
    Memory {
        /// In words.
        found: String,
        /// What the manifest says.
        wanted: usize,
    },
    /// Its data doesn't fit into its memory.
    #[error("the module's data ends at byte {end} of a memory of {bytes}")]
    DataOutside {
        /// Where it ends.
        end: u64,
        /// Bytes of the memory.
        bytes: usize,
    },
    /// Its table of functions is too large.
    #[error(
        "the module's function table has {entries} entries, at most {FUNCTION_TABLE_ENTRIES_MAX} are allowed"
    )]
    FunctionTable {
        /// How many.
        entries: u64,
    },
    /// Its functions have too many local variables: a few bytes can ask for millions, and the compiler
    /// works for each.
    #[error(
        "the module's functions have {locals} local variables, at most {LOCALS_MAX} are allowed"
    )]
    Locals {
        /// How many, in all functions.
        locals: u64,
    },
    /// Something that the ABI asks for isn't exported.
    #[error("the module does not export `{name}`")]
    MissingExport {
        /// Its name.
        name: &'static str,
    },
    /// Something is exported as something else.
    #[error("the module exports `{name}` as {found}, expected {expected}")]
    ExportType {
        /// Its name.
        name: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// It holds no manifest.
    #[error("the module has no section `retrotap`: pack it with its manifest")]
    NoManifest,
    /// It holds two manifests, and nobody could say which one is true.
    #[error("the module has more than one section `retrotap`")]
    TwoManifests,
    /// It carries test cases twice, too many of them, or they aren't text.
    #[error(
        "the section `{}` must be there once at most, as text of at most {} bytes",
        retrotap_abi::CASES_SECTION,
        limits::CASES_BYTES_MAX
    )]
    Cases,
    /// Its manifest is too large.
    #[error(
        "the manifest has {bytes} bytes, at most {} are allowed",
        limits::MANIFEST_BYTES_MAX
    )]
    ManifestTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Its manifest is not in order; another ABI is among what this can say.
    #[error("the manifest is not in order: {0}")]
    Manifest(#[from] ManifestError),
}

impl Module {
    /// Looks through a packed module.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModuleError> {
        if bytes.len() > limits::MODULE_BYTES_MAX {
            return Err(ModuleError::TooLarge { bytes: bytes.len() });
        }
        let outline = Outline::read(bytes)?;
        let manifest = outline.manifest()?;
        outline.check_exports(&manifest)?;
        outline.check_code()?;
        outline.check_sizes(&manifest)?;
        Ok(Self {
            id: manifest.id(),
            manifest,
            sha256: Sha256::digest(bytes).into(),
            cases: outline.cases()?,
            wasm: bytes.to_vec(),
        })
    }

    /// A stage that exists natively only.
    #[cfg(feature = "native")]
    pub fn native(manifest_json: &str) -> Result<Self, ModuleError> {
        let manifest = Manifest::from_json(manifest_json.as_bytes())?;
        let sha256 = Sha256::digest(manifest_json).into();
        Ok(Self {
            id: manifest.id(),
            manifest,
            sha256,
            cases: None,
            wasm: Vec::new(),
        })
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// `name@1.0.0`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The hash of the file.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// The test cases that it carries, as JSON that nobody has looked at yet.
    pub fn cases(&self) -> Option<&str> {
        self.cases.as_deref()
    }

    /// The file.
    pub fn wasm(&self) -> &[u8] {
        &self.wasm
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Module")
            .field("id", &self.id)
            .field("bytes", &self.wasm.len())
            .finish_non_exhaustive()
    }
}

/// Whether bytes are WebAssembly 1.0, so that every length in them is within them. Nothing is said of a
/// manifest.
///
/// # Errors
///
/// They are too many, or not that.
pub fn check_sections(bytes: &[u8]) -> Result<(), ModuleError> {
    if bytes.len() > limits::MODULE_BYTES_MAX {
        return Err(ModuleError::TooLarge { bytes: bytes.len() });
    }
    Outline::read(bytes).map(drop)
}

/// What the checks look at, gathered in one pass over a module that the validator accepted.
pub(crate) struct Outline<'a> {
    pub(crate) memory: Option<MemoryType>,
    /// Where the last data segment ends.
    pub(crate) data_bytes: u64,
    import: Option<(&'a str, &'a str)>,
    start: bool,
    memory_instruction: Option<&'static str>,
    table_entries: u64,
    locals: u64,
    types: Vec<FuncType>,
    functions: Vec<u32>,
    exports: Vec<(&'a str, ExternalKind, u32)>,
    manifests: Vec<&'a [u8]>,
    cases: Vec<&'a [u8]>,
}

impl<'a> Outline<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, ModuleError> {
        Validator::new_with_features(FEATURES)
            .validate_all(bytes)
            .map_err(invalid)?;
        let mut outline = Self {
            memory: None,
            data_bytes: 0,
            import: None,
            start: false,
            memory_instruction: None,
            table_entries: 0,
            locals: 0,
            types: Vec::new(),
            functions: Vec::new(),
            exports: Vec::new(),
            manifests: Vec::new(),
            cases: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(bytes) {
            outline.note(payload.map_err(invalid)?).map_err(invalid)?;
        }
        Ok(outline)
    }

    fn note(&mut self, payload: Payload<'a>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    for ty in group?.into_types() {
                        if let CompositeInnerType::Func(function) = ty.composite_type.inner {
                            self.types.push(function);
                        }
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    self.import.get_or_insert((import.module, import.name));
                    if let TypeRef::Func(ty) = import.ty {
                        self.functions.push(ty);
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for function in section {
                    self.functions.push(function?);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let limits = table?.ty;
                    self.table_entries = self
                        .table_entries
                        .max(limits.maximum.unwrap_or(limits.initial))
                        .max(limits.initial);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memory = Some(memory?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exports.push((export.name, export.kind, export.index));
                }
            }
            Payload::StartSection { .. } => self.start = true,
            Payload::DataSection(section) => {
                for data in section {
                    let data = data?;
                    if let wasmparser::DataKind::Active { offset_expr, .. } = data.kind
                        && let Operator::I32Const { value } =
                            offset_expr.get_operators_reader().read()?
                    {
                        let end = u64::from(value.cast_unsigned()) + data.data.len() as u64;
                        self.data_bytes = self.data_bytes.max(end);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                for locals in body.get_locals_reader()? {
                    let (count, _) = locals?;
                    self.locals = self.locals.saturating_add(count.into());
                }
                for operator in body.get_operators_reader()? {
                    match operator? {
                        Operator::MemoryGrow { .. } => {
                            self.memory_instruction = Some("memory.grow");
                        }
                        Operator::MemorySize { .. } => {
                            self.memory_instruction.get_or_insert("memory.size");
                        }
                        _ => {}
                    }
                }
            }
            Payload::CustomSection(section) if section.name() == retrotap_abi::SECTION => {
                self.manifests.push(section.data());
            }
            Payload::CustomSection(section) if section.name() == retrotap_abi::CASES_SECTION => {
                self.cases.push(section.data());
            }
            _ => {}
        }
        Ok(())
    }

    fn check_code(&self) -> Result<(), ModuleError> {
        if let Some((module, name)) = self.import {
            return Err(ModuleError::Import {
                module: module.into(),
                name: name.into(),
            });
        }
        if self.start {
            return Err(ModuleError::StartFunction);
        }
        if let Some(instruction) = self.memory_instruction {
            return Err(ModuleError::MemorySize { instruction });
        }
        Ok(())
    }

    fn check_sizes(&self, manifest: &Manifest) -> Result<(), ModuleError> {
        if self.table_entries > FUNCTION_TABLE_ENTRIES_MAX {
            return Err(ModuleError::FunctionTable {
                entries: self.table_entries,
            });
        }
        if self.locals > LOCALS_MAX {
            return Err(ModuleError::Locals {
                locals: self.locals,
            });
        }
        self.check_memory(manifest)
    }

    fn manifest(&self) -> Result<Manifest, ModuleError> {
        match self.manifests[..] {
            [] => Err(ModuleError::NoManifest),
            [json] if json.len() > limits::MANIFEST_BYTES_MAX => {
                Err(ModuleError::ManifestTooLarge { bytes: json.len() })
            }
            [json] => Ok(Manifest::from_json(json)?),
            _ => Err(ModuleError::TwoManifests),
        }
    }

    fn cases(&self) -> Result<Option<String>, ModuleError> {
        match self.cases[..] {
            [] => Ok(None),
            [json] if json.len() <= limits::CASES_BYTES_MAX => str::from_utf8(json)
                .map(|text| Some(text.to_owned()))
                .map_err(|_| ModuleError::Cases),
            _ => Err(ModuleError::Cases),
        }
    }

    fn check_memory(&self, manifest: &Manifest) -> Result<(), ModuleError> {
        let memory = self.memory.ok_or(ModuleError::NoMemory)?;
        let page_bytes = page_bytes(&memory);
        let bytes = |pages: u64| pages.saturating_mul(page_bytes);
        let wanted = manifest.sizes.memory_bytes;
        let found = match memory.maximum {
            None => format!("{} bytes and may grow", bytes(memory.initial)),
            Some(most) if most != memory.initial => {
                format!(
                    "{} bytes and may grow to {}",
                    bytes(memory.initial),
                    bytes(most)
                )
            }
            Some(_) if bytes(memory.initial) != wanted as u64 => {
                format!("{} bytes", bytes(memory.initial))
            }
            Some(_) if self.data_bytes > wanted as u64 => {
                return Err(ModuleError::DataOutside {
                    end: self.data_bytes,
                    bytes: wanted,
                });
            }
            Some(_) => return Ok(()),
        };
        Err(ModuleError::Memory { found, wanted })
    }

    fn check_exports(&self, manifest: &Manifest) -> Result<(), ModuleError> {
        match self.exports.iter().find(|(name, ..)| *name == "memory") {
            Some((_, ExternalKind::Memory, _)) => {}
            Some((_, kind, _)) => {
                let found = format!("a {kind:?}").to_lowercase();
                return Err(ModuleError::ExportType {
                    name: "memory",
                    found,
                    expected: "a memory".into(),
                });
            }
            None => return Err(ModuleError::MissingExport { name: "memory" }),
        }
        for function in &FUNCTIONS {
            self.check_function(function)?;
        }
        let has_state = self.exports.iter().any(|(name, ..)| *name == "rt_state");
        if manifest.state.is_some() && !has_state {
            return Err(ModuleError::MissingExport { name: "rt_state" });
        }
        Ok(())
    }

    fn check_function(&self, wanted: &Function) -> Result<(), ModuleError> {
        let name = wanted.name;
        let Some((_, kind, index)) = self.exports.iter().find(|(exported, ..)| *exported == name)
        else {
            return if wanted.required {
                Err(ModuleError::MissingExport { name })
            } else {
                Ok(())
            };
        };
        let ty = (*kind == ExternalKind::Func)
            .then(|| {
                self.functions
                    .get(*index as usize)
                    .and_then(|ty| self.types.get(*ty as usize))
            })
            .flatten();
        match ty {
            Some(ty) if ty.params() == wanted.parameters && ty.results() == [ValType::I32] => {
                Ok(())
            }
            Some(ty) => Err(ModuleError::ExportType {
                name,
                found: signature(ty.params(), ty.results()),
                expected: signature(wanted.parameters, &[ValType::I32]),
            }),
            None => Err(ModuleError::ExportType {
                name,
                found: format!("a {kind:?}").to_lowercase(),
                expected: signature(wanted.parameters, &[ValType::I32]),
            }),
        }
    }
}

/// A function of the ABI. All of them return an i32.
struct Function {
    name: &'static str,
    parameters: &'static [ValType],
    required: bool,
}

const FUNCTIONS: [Function; 8] = [
    Function {
        name: "rt_abi",
        parameters: &[],
        required: true,
    },
    Function {
        name: "rt_input",
        parameters: &[],
        required: true,
    },
    Function {
        name: "rt_config",
        parameters: &[],
        required: true,
    },
    Function {
        name: "rt_output",
        parameters: &[],
        required: true,
    },
    Function {
        name: "rt_configure",
        parameters: &[],
        required: true,
    },
    Function {
        name: "rt_process",
        parameters: &[ValType::I32, ValType::I64],
        required: true,
    },
    Function {
        name: "rt_tick",
        parameters: &[ValType::I64],
        required: false,
    },
    Function {
        name: "rt_state",
        parameters: &[],
        required: false,
    },
];

/// Bytes of one page of a memory.
pub(crate) fn page_bytes(memory: &MemoryType) -> u64 {
    1 << memory.page_size_log2.unwrap_or(16)
}

fn signature(parameters: &[ValType], results: &[ValType]) -> String {
    let words = |types: &[ValType]| {
        types
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!("({}) -> ({})", words(parameters), words(results))
}

// By value because `map_err` hands it over so.
#[allow(clippy::needless_pass_by_value)]
fn invalid(error: wasmparser::BinaryReaderError) -> ModuleError {
    ModuleError::Invalid(error.to_string())
}
