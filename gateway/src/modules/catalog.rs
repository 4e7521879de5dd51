//! What ships inside the binary, and what a folder of the user's adds to it.
//!
//! An adapter is a folder `<name>/` with `adapter.yaml` and the tables that it names; a module is a
//! packed `<name>.wasm`. The user's folders are looked into first, so a stage under development
//! takes the place of the shipped one of that name, and [`Catalog::origin`] says which it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retrotap_adapters::schema::{self, Adapter};
use retrotap_adapters::tables;
use retrotap_adapters::yaml::Problem;
use retrotap_host::{Engine, EngineError, Module, ModuleError, Table, TableRow, WasmtimeOptions};
use rust_embed::RustEmbed;

use super::assemble::hex;
use super::signature::{Trust, Untrusted};
use crate::config::limits::{ADAPTER_FILE_BYTES_MAX, MODULE_BYTES_MAX};
use crate::time::unix_now_ns;

#[derive(RustEmbed)]
#[folder = "../adapters/machines"]
#[exclude = "*/testcases/*"]
struct ShippedAdapters;

#[derive(RustEmbed)]
#[folder = "../target/stages"]
#[include = "*.wasm"]
struct ShippedModules;

/// Where adapters and modules are looked for.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The user's adapters, a folder each.
    pub adapters_dir: Option<PathBuf>,
    /// The user's modules, a `.wasm` file each.
    pub stages_dir: Option<PathBuf>,
    /// Where compiled modules are kept between two starts; nowhere if not given.
    pub cache_dir: Option<PathBuf>,
    /// Who must have signed the user's modules; nobody if not given. What ships is trusted as the binary.
    pub trust: Option<Trust>,
    /// Modules by stage that take the place of all others.
    pub chosen: BTreeMap<String, Arc<Module>>,
}

/// Why an adapter or a module could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No such name, neither in the binary nor in the user's folder.
    #[error("there is no {what} `{name}`{}; there are: {}", suggestion(.name, .known), .known.join(", "))]
    Unknown {
        /// `adapter` or `stage`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The adapter's YAML or one of its tables has faults: all of them.
    #[error("{}", problems(.0))]
    Adapter(Vec<Problem>),
    /// A file that can't be read.
    #[error("can't read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file larger than any honest one.
    #[error("{path} has {bytes} bytes, at most {bytes_max} are allowed")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The file is no module.
    #[error("stage `{name}`: {source}")]
    Module {
        /// Which stage.
        name: String,
        /// What is wrong with it.
        source: ModuleError,
    },
    /// Nobody who is trusted signed it.
    #[error("stage `{name}`: {source}")]
    Untrusted {
        /// Which stage.
        name: String,
        /// Why not.
        source: Untrusted,
    },
}

fn suggestion(name: &str, known: &[String]) -> String {
    retrotap_adapters::yaml::did_you_mean(name, known.iter().map(String::as_str))
        .map(|close| format!(", did you mean `{close}`?"))
        .unwrap_or_default()
}

fn problems(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// An adapter with the tables that its YAML names, ready to become a pipeline.
#[derive(Debug, Clone)]
pub struct LoadedAdapter {
    /// The checked YAML.
    pub adapter: Adapter,
    /// The tables by file name.
    pub tables: Vec<(String, Table)>,
}

impl LoadedAdapter {
    /// The same with another table for a stage that has it; others are left alone.
    #[must_use]
    pub fn with_table(mut self, stage: &str, name: &str, table: Table) -> Self {
        let pipeline = &mut self.adapter.pipeline;
        if let Some(known) = pipeline.iter_mut().find(|known| known.stage == stage) {
            // No file in an adapter's folder can have this name.
            let file = format!("/{stage}/{name}");
            known.tables.retain(|(known, _)| known != name);
            known.tables.push((name.to_owned(), file.clone()));
            self.tables.retain(|(known, _)| *known != file);
            self.tables.push((file, table));
        }
        self
    }

    /// A table of a stage, if its adapter names one.
    pub fn table(&self, stage: &str, name: &str) -> Option<&Table> {
        let stage = self
            .adapter
            .pipeline
            .iter()
            .find(|known| known.stage == stage)?;
        let (_, file) = stage.tables.iter().find(|(known, _)| known == name)?;
        let (_, table) = self.tables.iter().find(|(known, _)| known == file)?;
        Some(table)
    }
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Inside the binary.
    Shipped,
    /// In the user's folder.
    User(PathBuf),
}

impl Catalog {
    /// The names of all adapters.
    pub fn adapter_names(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = ShippedAdapters::iter()
            .filter_map(|path| path.strip_suffix("/adapter.yaml").map(str::to_owned))
            .collect();
        names.extend(folder_names(self.adapters_dir.as_deref(), |path| {
            path.join("adapter.yaml").is_file().then_some(())?;
            Some(path.file_name()?.to_str()?.to_owned())
        }));
        names.into_iter().collect()
    }

    /// The names of all stages.
    pub fn stage_names(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = ShippedModules::iter()
            .filter_map(|path| path.strip_suffix(".wasm").map(str::to_owned))
            .collect();
        names.extend(folder_names(self.stages_dir.as_deref(), |path| {
            (path.extension()? == "wasm").then_some(())?;
            Some(path.file_stem()?.to_str()?.to_owned())
        }));
        names.into_iter().collect()
    }

    /// An adapter with its tables.
    pub fn adapter(&self, name: &str) -> Result<LoadedAdapter, CatalogError> {
        // Only a listed name is looked up, so that a name can't climb out of the folder.
        if !self.adapter_names().iter().any(|known| known == name) {
            return Err(CatalogError::Unknown {
                what: "adapter",
                name: name.to_owned(),
                known: self.adapter_names(),
            });
        }
        let (text, place) = self.adapter_file(name, "adapter.yaml")?;
        let adapter = schema::parse(&text, &place).map_err(CatalogError::Adapter)?;
        let mut loaded = Vec::new();
        for file in adapter.table_files() {
            let (text, place) = self.adapter_file(name, file)?;
            let table = tables::parse_csv(&text, &place).map_err(CatalogError::Adapter)?;
            loaded.push((file.to_owned(), host_table(&table)));
        }
        Ok(LoadedAdapter {
            adapter,
            tables: loaded,
        })
    }

    /// A stage's module.
    pub fn module(&self, name: &str) -> Result<Arc<Module>, CatalogError> {
        if let Some(module) = self.chosen.get(name) {
            return Ok(Arc::clone(module));
        }
        let unknown = || CatalogError::Unknown {
            what: "stage",
            name: name.to_owned(),
            known: self.stage_names(),
        };
        if !self.stage_names().iter().any(|known| known == name) {
            return Err(unknown());
        }
        let bytes = match self.origin(name) {
            Origin::User(path) => self.trusted(name, read_limited(&path, MODULE_BYTES_MAX)?)?,
            Origin::Shipped => ShippedModules::get(&format!("{name}.wasm"))
                .ok_or_else(unknown)?
                .data
                .into_owned(),
        };
        Module::parse(&bytes)
            .map(Arc::new)
            .map_err(|source| CatalogError::Module {
                name: name.to_owned(),
                source,
            })
    }

    /// The module with that hash, if there is one, whatever its file is called.
    pub fn by_hash(&self, sha256: &str) -> Option<Arc<Module>> {
        let chosen = self.chosen.values().cloned();
        let others = self.stage_names().into_iter().filter_map(|name| {
            // A file that is none is not the one that is looked for.
            self.module(&name).ok()
        });
        let shipped = ShippedModules::iter().filter_map(|path| {
            let file = ShippedModules::get(&path)?;
            Module::parse(&file.data).ok().map(Arc::new)
        });
        chosen
            .chain(others)
            .chain(shipped)
            .find(|module| hex(module.sha256()) == sha256)
    }

    /// A module's bytes, if they are signed as they have to be.
    fn trusted(&self, name: &str, bytes: Vec<u8>) -> Result<Vec<u8>, CatalogError> {
        if let Some(trust) = &self.trust {
            trust
                .check(&bytes, unix_now_ns())
                .map_err(|source| CatalogError::Untrusted {
                    name: name.to_owned(),
                    source,
                })?;
        }
        Ok(bytes)
    }

    /// The engine that all lines of this process share.
    ///
    /// # Errors
    ///
    /// This machine can't run compiled modules.
    pub fn engine(&self) -> Result<Engine, EngineError> {
        Engine::wasmtime(WasmtimeOptions {
            cache_dir: self.cache_dir.clone(),
        })
    }

    /// Where a stage comes from.
    pub fn origin(&self, stage: &str) -> Origin {
        self.stages_dir
            .as_ref()
            .map(|dir| dir.join(format!("{stage}.wasm")))
            .filter(|path| path.is_file())
            .map_or(Origin::Shipped, Origin::User)
    }

    /// One file of an adapter's folder, and the name under which its faults are reported.
    fn adapter_file(&self, adapter: &str, file: &str) -> Result<(String, String), CatalogError> {
        let user = self.adapters_dir.as_ref().map(|dir| dir.join(adapter));
        if let Some(folder) = user.filter(|folder| folder.join("adapter.yaml").is_file()) {
            let path = folder.join(file);
            let bytes = read_limited(&path, ADAPTER_FILE_BYTES_MAX)?;
            let text = String::from_utf8(bytes).map_err(|_| CatalogError::Read {
                path: path.clone(),
                source: std::io::Error::new(std::io::ErrorKind::InvalidData, "not UTF-8"),
            })?;
            return Ok((text, path.display().to_string()));
        }
        let place = format!("{adapter}/{file}");
        let shipped = ShippedAdapters::get(&place).ok_or_else(|| CatalogError::Read {
            path: place.clone().into(),
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        Ok((String::from_utf8_lossy(&shipped.data).into_owned(), place))
    }
}

fn host_table(table: &tables::Table) -> Table {
    Table {
        columns: table.columns.clone(),
        rows: table
            .rows
            .iter()
            .map(|row| TableRow {
                name: row.name.clone(),
                values: row.values.clone(),
            })
            .collect(),
    }
}

fn folder_names(
    folder: Option<&Path>,
    name: impl Fn(&Path) -> Option<String>,
) -> impl Iterator<Item = String> {
    folder
        .and_then(|folder| std::fs::read_dir(folder).ok())
        .into_iter()
        .flatten()
        .filter_map(move |entry| name(&entry.ok()?.path()))
}

/// A file's bytes, if they aren't more than it may have.
///
/// # Errors
///
/// It can't be read, or has more.
pub fn read_limited(path: &Path, bytes_max: u64) -> Result<Vec<u8>, CatalogError> {
    let read = |source| CatalogError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::metadata(path).map_err(read)?.len();
    if bytes > bytes_max {
        return Err(CatalogError::TooLarge {
            path: path.to_owned(),
            bytes,
            bytes_max,
        });
    }
    std::fs::read(path).map_err(read)
}
