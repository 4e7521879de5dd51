//! The gateway's settings: YAML in, checked values out, or every mistake at once.
//!
//! Three layers, each over the one before, key by key: the file; the files `*.yaml` of the folder
//! `<file>.d` in the order of their names; environment variables such as
//! `RETROTAP__UPLINK__MQTT__URL`, whose value stands where their name says (a number is an index
//! into a list). A mistake is reported where it stands: file, line and column, or the variable.
//!
//! The layers are laid by `retrotap_adapters::yaml` and not by the `config` crate: that one has
//! no places to report, and turns values into numbers before they are read (`host: 1e3` becomes
//! `1000`).
//!
//! Secrets are never values here: a key is a file's path, or `credential:<name>`, which is a file
//! that systemd put into `$CREDENTIALS_DIRECTORY`. Relative paths begin at the settings file.
//!
//! What it doesn't do: open a port, connect anywhere, or read an adapter; `retrotap check` does.

pub mod broker;
pub mod cell;
pub mod limits;
mod read;
mod read_cell;
pub mod show;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use retrotap_adapters::schema::ParamValue;
use retrotap_adapters::yaml::{Document, Problem};

use crate::modules::signature::Trust;
use broker::{BrokerUrl, ReleaseOn, TlsFiles};
use cell::Cell;
use limits::{SETTINGS_FILE_BYTES_MAX, SPOOL_BYTES_DEFAULT, SYNC_EVERY_DEFAULT};

/// Prefix of environment variables that are settings.
const VARIABLE_PREFIX: &str = "RETROTAP__";

/// All settings; they keep every rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The plant.
    pub site: Arc<str>,
    /// This gateway's name in it.
    pub gateway: Arc<str>,
    /// At least one, with distinct names and ports.
    pub machines: Vec<Machine>,
    /// The cells; each robot is one of `machines`.
    pub cells: Vec<Cell>,
    /// The way out, if there is one.
    pub uplink: Option<Mqtt>,
    /// The page, if there is one.
    pub web: Option<Web>,
    /// Where what was taken is kept.
    pub spool: Spool,
    /// Modules that change while lines run.
    pub modules: Modules,
    /// The user's adapters.
    pub adapters_dir: Option<PathBuf>,
    /// The user's stages.
    pub stages_dir: Option<PathBuf>,
}

/// One machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Its name on this gateway.
    pub id: Arc<str>,
    /// Name of an adapter that is there.
    pub adapter: String,
    /// One port or two, each the absolute path of a device or `tcp://host:port`.
    pub ports: Vec<String>,
    /// Parameters that win over the adapter's, by stage and name.
    pub params: BTreeMap<String, BTreeMap<String, ParamValue>>,
    /// Whether raw frames leave too.
    pub frames: bool,
}

/// The uplink by MQTT.
#[derive(Debug, Clone, PartialEq)]
pub struct Mqtt {
    /// The broker.
    pub url: BrokerUrl,
    /// Certificates; there exactly when `url.tls`.
    pub tls: Option<TlsFiles>,
    /// As whom the broker knows this gateway.
    pub client_id: String,
    /// Whose word releases an entry; there is no default.
    pub release_on: ReleaseOn,
}

/// The page and its API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Where it listens once somebody has claimed the gateway; until then on loopback.
    pub listen: SocketAddr,
    /// The user's certificate; without it the gateway makes its own where it needs one.
    pub tls: Option<ServerFiles>,
    /// The folder of users and audit log; it need not be there yet.
    pub state_dir: PathBuf,
}

/// The page's side of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFiles {
    /// PEM, our certificate first, then those between it and the authority.
    pub cert: PathBuf,
    /// PEM, the private key of the first certificate.
    pub key: PathBuf,
}

/// Where modules that were deployed are kept, and whose are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modules {
    /// A folder of this gateway's own; it need not be there yet.
    pub path: PathBuf,
    /// A folder into which modules are put to be deployed, if there is one.
    pub folder: Option<PathBuf>,
    /// Whether modules are taken over the broker.
    pub mqtt: bool,
    /// Who must have signed them.
    pub trust: Trust,
}

impl Modules {
    /// The defaults, in that folder: modules run that nobody signed.
    pub fn at(path: PathBuf) -> Self {
        Self {
            path,
            folder: None,
            mqtt: false,
            trust: Trust {
                keys: Vec::new(),
                allow_unsigned: true,
            },
        }
    }
}

/// Where what was taken is kept, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    /// A folder of this gateway's own; it need not be there yet.
    pub path: PathBuf,
    /// Disk that it may take.
    pub max_bytes: u64,
    /// What is older is not kept, taken or not.
    pub max_age: Option<Duration>,
    /// How often what was taken is made to survive a power cut.
    pub sync_every: Duration,
}

impl Spool {
    /// The defaults, in that folder.
    pub fn at(path: PathBuf) -> Self {
        Self {
            path,
            max_bytes: SPOOL_BYTES_DEFAULT,
            max_age: None,
            sync_every: SYNC_EVERY_DEFAULT,
        }
    }
}

/// What settings depend on besides the file: handed in, so that tests own it.
pub struct Surroundings<'a> {
    /// Names and values of environment variables; those without our prefix are ignored.
    pub environment: Vec<(String, String)>,
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials_dir: Option<PathBuf>,
    /// The adapters that there are, given the user's folder.
    pub adapter_names: &'a dyn Fn(Option<&Path>) -> Vec<String>,
}

impl<'a> Surroundings<'a> {
    /// Those of this process.
    pub fn of_process(adapter_names: &'a dyn Fn(Option<&Path>) -> Vec<String>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((
                name.into_string().ok()?,
                value.to_string_lossy().into_owned(),
            ))
        };
        Self {
            environment: std::env::vars_os().filter_map(text).collect(),
            credentials_dir: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            adapter_names,
        }
    }
}

/// Reads the settings of `path`, its drop-ins and the environment.
///
/// # Errors
///
/// Every mistake in them, in the order of the layers and places.
pub fn load(path: &Path, surroundings: &Surroundings<'_>) -> Result<Settings, Vec<Problem>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut problems = Vec::new();
    let mut documents = Vec::new();
    let mut parse = |text: &str, name: &str| match Document::parse(text, name) {
        Ok(document) => Some(document),
        Err(found) => {
            problems.extend(found);
            None
        }
    };
    let mut unreadable = Vec::new();
    for file in std::iter::once(path.to_path_buf()).chain(drop_ins(path)) {
        let name = file.display().to_string();
        match text_of(&file) {
            Ok(text) => documents.extend(parse(&text, &name).map(|document| (None, document))),
            Err(error) => unreadable.push(whole_file(&name, &error.to_string())),
        }
    }
    let mut variables: Vec<_> = surroundings
        .environment
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(VARIABLE_PREFIX)?, value)))
        .collect();
    variables.sort();
    for (name, value) in variables {
        let place = format!("environment variable {VARIABLE_PREFIX}{name}");
        let path: Vec<String> = name.split("__").map(str::to_lowercase).collect();
        documents.extend(parse(value, &place).map(|document| (Some(path), document)));
    }
    problems.extend(unreadable);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut layers = documents.into_iter();
    let Some((_, mut document)) = layers.next() else {
        return Err(problems);
    };
    for (path, layer) in layers {
        match path {
            None => document.overlay(layer),
            Some(path) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                document.overlay_at(&path, layer);
            }
        }
    }
    let settings = read::settings(document.root(), folder, surroundings);
    document.finish(settings)
}

/// The files of `<path>.d`, by name.
fn drop_ins(path: &Path) -> Vec<PathBuf> {
    let mut folder = path.as_os_str().to_owned();
    folder.push(".d");
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let is_yaml = |file: &PathBuf| {
        file.extension()
            .is_some_and(|extension| extension == "yaml")
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_yaml)
        .collect();
    files.sort();
    files
}

fn text_of(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    // One byte more than may be, so that the parser sees that it is too much.
    std::fs::File::open(path)?
        .take(SETTINGS_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    Ok(text)
}

fn whole_file(name: &str, message: &str) -> Problem {
    Problem {
        file: name.to_owned(),
        line: 1,
        column: 1,
        offset: 0,
        length: 0,
        path: String::new(),
        message: format!("can't be read: {message}"),
        expected: None,
        suggestion: None,
    }
}
