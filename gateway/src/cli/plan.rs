//! From checked settings to what runs: shared by `run`, which starts it, and `check`, which doesn't.

use std::path::{Path, PathBuf};

use anyhow::Context;
use retrotap_adapters::yaml::Problem;

use super::gateway::{MachinePlan, Plan};
use crate::config::limits::BATCH_LINGER;
use crate::config::{self, Machine, Settings, Surroundings, Web};
use crate::modules::assemble::{Params, host_value};
use crate::modules::catalog::Catalog;
use crate::port::PortSpec;
use crate::uplink;
use crate::web::Listen;
use crate::web::tls::CertFiles;

/// The settings of `file` as this process sees them, with its environment and the adapters there are.
///
/// # Errors
///
/// Every mistake in them.
pub fn settings(file: &Path) -> Result<Settings, Vec<Problem>> {
    let names = |dir: Option<&Path>| {
        Catalog {
            adapters_dir: dir.map(Path::to_path_buf),
            ..Catalog::default()
        }
        .adapter_names()
    };
    config::load(file, &Surroundings::of_process(&names))
}

/// Where the adapters and stages of these settings come from.
pub fn catalog(settings: &Settings) -> Catalog {
    Catalog {
        adapters_dir: settings.adapters_dir.clone(),
        stages_dir: settings.stages_dir.clone(),
        cache_dir: cache_dir(),
        trust: Some(settings.modules.trust.clone()),
        ..Catalog::default()
    }
}

/// Compiled modules are kept where systemd says (`CacheDirectory=`), else in the user's cache.
fn cache_dir() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    folder("CACHE_DIRECTORY")
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("retrotap")))
        .or_else(|| Some(folder("HOME")?.join(".cache/retrotap")))
}

/// One machine.
///
/// # Errors
///
/// A port's name means nothing.
pub fn machine(machine: &Machine) -> anyhow::Result<MachinePlan> {
    let ports: Result<Vec<PortSpec>, _> = machine.ports.iter().map(|port| port.parse()).collect();
    Ok(MachinePlan {
        id: machine.id.clone(),
        adapter: machine.adapter.clone(),
        ports: ports.with_context(|| format!("machine {}", machine.id))?,
        params: params(machine),
        send_frames: machine.frames,
    })
}

fn params(machine: &Machine) -> Params {
    let stages = machine.params.iter();
    stages
        .map(|(stage, own)| {
            let own = own
                .iter()
                .map(|(name, value)| (name.clone(), host_value(value)));
            (stage.clone(), own.collect())
        })
        .collect()
}

/// Where the page listens.
pub fn listen(web: &Web) -> Listen {
    Listen {
        address: web.listen,
        cert: web.tls.as_ref().map(|files| CertFiles {
            cert: files.cert.clone(),
            key: files.key.clone(),
        }),
        folder: web.state_dir.clone(),
    }
}

/// The whole plan.
///
/// # Errors
///
/// A port's name means nothing.
pub fn plan(
    settings: &Settings,
    record_dir: Option<PathBuf>,
    oracle_dir: Option<PathBuf>,
) -> anyhow::Result<Plan> {
    let catalog = catalog(settings);
    let machines = settings.machines.iter().map(machine);
    let machines = machines.collect::<anyhow::Result<Vec<_>>>()?;
    let uplink = settings.uplink.as_ref().map(|mqtt| uplink::Settings {
        site: settings.site.clone(),
        gateway: settings.gateway.clone(),
        url: mqtt.url.clone(),
        tls: mqtt.tls.clone(),
        client_id: mqtt.client_id.clone(),
        release_on: mqtt.release_on,
        linger: BATCH_LINGER,
        hear: None,
        modules: None,
    });
    Ok(Plan {
        site: settings.site.clone(),
        gateway: settings.gateway.clone(),
        simulated: false,
        machines,
        cells: settings.cells.clone(),
        uplink,
        listen: settings.web.as_ref().map(listen),
        shown_settings: config::show::json(settings),
        spool: settings.spool.clone(),
        catalog,
        modules: settings.modules.clone(),
        record_dir,
        oracle_dir,
    })
}
