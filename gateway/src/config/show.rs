//! The settings as they run, to be looked at: keys and units as in the file, defaults written out.
//!
//! What it leaves out: keys. Not even where they are is anybody's business who looks at a page.

use std::time::Duration;

use retrotap_adapters::schema::ParamValue;
use serde_json::{Value, json};

use super::broker::{ReleaseOn, TlsFiles};
use super::{Cell, Machine, Mqtt, Pose, Robot, ServerFiles, Settings, Spool, Web};

/// All of them. Each setting is named here, so that a new one can't be forgotten.
pub fn json(settings: &Settings) -> Value {
    let Settings {
        site,
        gateway,
        machines,
        cells,
        uplink,
        web,
        spool,
        adapters_dir,
        stages_dir,
    } = settings;
    json!({
        "site": &**site,
        "gateway": &**gateway,
        "machines": machines.iter().map(machine).collect::<Vec<_>>(),
        "cells": cells.iter().map(cell).collect::<Vec<_>>(),
        "uplink": uplink.as_ref().map(mqtt),
        "web": web.as_ref().map(page),
        "spool": self::spool(spool),
        "adapters_dir": adapters_dir,
        "stages_dir": stages_dir,
        "allow_unsigned": true,
    })
}

fn machine(machine: &Machine) -> Value {
    let Machine {
        id,
        adapter,
        ports,
        params,
        frames,
    } = machine;
    let params: serde_json::Map<String, Value> = params
        .iter()
        .map(|(stage, own)| {
            let own: serde_json::Map<String, Value> = own
                .iter()
                .map(|(name, value)| (name.clone(), param(value)))
                .collect();
            (stage.clone(), own.into())
        })
        .collect();
    json!({"id": &**id, "adapter": adapter, "ports": ports, "params": params, "frames": frames})
}

fn param(value: &ParamValue) -> Value {
    match value {
        ParamValue::Number { value, unit } => match unit {
            Some(unit) => json!(format!("{value}{unit}")),
            None => json!(value),
        },
        ParamValue::Choice(name) => json!(name),
    }
}

fn cell(cell: &Cell) -> Value {
    let Cell {
        id,
        robots,
        obstacles,
    } = cell;
    let robot = |robot: &Robot| {
        let Robot { machine, base_pose } = robot;
        json!({"machine": &**machine, "base_pose": pose(base_pose)})
    };
    json!({
        "id": &**id,
        "robots": robots.iter().map(robot).collect::<Vec<_>>(),
        "obstacles": obstacles,
    })
}

fn pose(pose: &Pose) -> Value {
    let Pose { xyz_m, rpy_rad } = pose;
    json!({
        "xyz": xyz_m.map(|length_m| format!("{length_m}m")),
        "rpy": rpy_rad.map(|angle_rad| format!("{angle_rad}rad")),
    })
}

fn mqtt(uplink: &Mqtt) -> Value {
    let Mqtt {
        url,
        tls,
        client_id,
        release_on,
    } = uplink;
    let release_on = match release_on {
        ReleaseOn::Lake => "lake",
        ReleaseOn::Broker => "broker",
    };
    let (ca, client_cert) = match tls {
        Some(TlsFiles { ca, client }) => (
            Some(ca),
            // Its key is left out.
            client.as_ref().map(|client| &client.cert),
        ),
        None => (None, None),
    };
    json!({
        "mqtt": {
            "url": url.to_string(),
            "ca": ca,
            "client_cert": client_cert,
            "client_id": client_id,
        },
        "release_on": release_on,
    })
}

fn page(web: &Web) -> Value {
    let Web {
        listen,
        tls,
        state_dir,
    } = web;
    // Its key is left out.
    let tls = tls
        .as_ref()
        .map(|ServerFiles { cert, key: _ }| json!({"cert": cert}));
    json!({"listen": listen, "tls": tls, "state_dir": state_dir})
}

fn spool(spool: &Spool) -> Value {
    let Spool {
        path,
        max_bytes,
        max_age,
        sync_every,
    } = spool;
    json!({
        "path": path,
        "max_bytes": format!("{max_bytes}B"),
        "max_age": max_age.map(duration),
        "sync_every": duration(*sync_every),
    })
}

fn duration(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_secs_f64() * 1e3)
    }
}
