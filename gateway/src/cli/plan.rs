//! From checked settings to what runs: shared by `run`, which starts it, and `check`, which doesn't.

use std::path::{Path, PathBuf};

use anyhow::Context;
use retrotap_adapters::yaml::Problem;
use retrotap_host::ParamValue;

use super::gateway::{MachinePlan, Plan};
use crate::cell::obstacles::Snapshot;
use crate::config::limits::BATCH_LINGER;
use crate::config::{self, Machine, Pose, Settings, Surroundings, Web};
use crate::line::Input;
use crate::modules::assemble::{Params, host_value};
use crate::modules::catalog::{Catalog, CatalogError};
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
    }
}

/// Compiled modules are kept where systemd says (`CacheDirectory=`), else in the user's cache.
fn cache_dir() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    folder("CACHE_DIRECTORY")
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("retrotap")))
        .or_else(|| Some(folder("HOME")?.join(".cache/retrotap")))
}

/// The machine's own parameters, and where its base stands in its cell.
///
/// # Errors
///
/// The adapter or one of its modules can't be had.
pub fn params(
    settings: &Settings,
    catalog: &Catalog,
    machine: &Machine,
) -> Result<Params, CatalogError> {
    let mut params: Params = machine
        .params
        .iter()
        .map(|(stage, own)| {
            let own = own
                .iter()
                .map(|(name, value)| (name.clone(), host_value(value)));
            (stage.clone(), own.collect())
        })
        .collect();
    let robots = settings.cells.iter().flat_map(|cell| &cell.robots);
    for robot in robots.filter(|robot| robot.machine == machine.id) {
        for stage in &catalog.adapter(&machine.adapter)?.adapter.pipeline {
            let module = catalog.module(&stage.stage)?;
            let own = params.entry(stage.stage.clone()).or_default();
            for (name, value) in base_params(robot.base_pose) {
                if module
                    .manifest()
                    .parameters
                    .iter()
                    .any(|known| known.name == name)
                {
                    own.insert(name.to_owned(), ParamValue::Number { value, unit: None });
                }
            }
        }
    }
    Ok(params)
}

/// The parameters by which a stage knows where its robot stands.
fn base_params(pose: Pose) -> [(&'static str, f64); 6] {
    let ([x, y, z], [roll, pitch, yaw]) = (pose.xyz_m, pose.rpy_rad);
    [
        ("base_x_m", x),
        ("base_y_m", y),
        ("base_z_m", z),
        ("base_roll_rad", roll),
        ("base_pitch_rad", pitch),
        ("base_yaw_rad", yaw),
    ]
}

/// What stands in the machine's cell.
fn obstacles<'a>(settings: &'a Settings, machine: &Machine) -> Option<&'a Snapshot> {
    settings
        .cells
        .iter()
        .find(|cell| cell.robots.iter().any(|robot| robot.machine == machine.id))?
        .obstacles
        .as_ref()
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
/// A port's name means nothing, or an adapter can't be had.
pub fn plan(
    settings: &Settings,
    record_dir: Option<PathBuf>,
    oracle_dir: Option<PathBuf>,
) -> anyhow::Result<Plan> {
    let catalog = catalog(settings);
    let machines = settings
        .machines
        .iter()
        .map(|machine| {
            let ports: Result<Vec<PortSpec>, _> =
                machine.ports.iter().map(|port| port.parse()).collect();
            Ok(MachinePlan {
                id: machine.id.clone(),
                adapter: machine.adapter.clone(),
                ports: ports.with_context(|| format!("machine {}", machine.id))?,
                params: params(settings, &catalog, machine)?,
                inputs: obstacles(settings, machine)
                    .cloned()
                    .map(Input::Obstacles)
                    .into_iter()
                    .collect(),
                send_frames: machine.frames,
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let uplink = settings.uplink.as_ref().map(|mqtt| uplink::Settings {
        site: settings.site.clone(),
        gateway: settings.gateway.clone(),
        url: mqtt.url.clone(),
        tls: mqtt.tls.clone(),
        client_id: mqtt.client_id.clone(),
        release_on: mqtt.release_on,
        linger: BATCH_LINGER,
    });
    Ok(Plan {
        site: settings.site.clone(),
        gateway: settings.gateway.clone(),
        simulated: false,
        machines,
        uplink,
        listen: settings.web.as_ref().map(listen),
        shown_settings: config::show::json(settings),
        spool: settings.spool.clone(),
        catalog,
        record_dir,
        oracle_dir,
    })
}
