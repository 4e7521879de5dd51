//! The settings as they run, to be looked at: keys and units as in the file, defaults written out.
//!
//! What it leaves out: keys. Not even where they are is anybody's business who looks at a page.

use std::time::Duration;

use retrotap_adapters::schema::ParamValue;
use serde_json::{Value, json};

use super::broker::{ReleaseOn, TlsFiles};
use super::cell::{
    Action, Capsule, Cell, Gpio, LinearAxis, Pose, Robot, RobotSpeed, Rule, Separation,
    SerialPermit, Source, SourceWay, Stopping, Webhook,
};
use super::{Machine, Modules, Mqtt, ServerFiles, Settings, Spool, Web};

use crate::time::rfc3339;

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
        modules,
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
        "modules": self::modules(modules),
        "allow_unsigned": modules.trust.allow_unsigned,
    })
}

/// Public keys are for everybody to see.
fn modules(modules: &Modules) -> Value {
    let Modules {
        path,
        folder,
        mqtt,
        trust,
    } = modules;
    let keys: Vec<Value> = trust
        .keys
        .iter()
        .map(|known| {
            let expires = known.expires_unix_ns.map(rfc3339);
            json!({"name": known.name, "key": known.key.id().to_string(), "expires": expires})
        })
        .collect();
    json!({"path": path, "folder": folder, "mqtt": mqtt, "trusted_keys": keys})
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
        separation,
        fixtures,
        source,
        permit,
        actions,
    } = cell;
    let actions: Vec<_> = actions
        .iter()
        .map(|(state, done)| json!({"on": state.name(), "do": action(done)}))
        .collect();
    json!({
        "id": &**id,
        "robots": robots.iter().map(robot).collect::<Vec<_>>(),
        "separation": separation.as_ref().map(self::separation),
        "fixtures": fixtures,
        "obstacles": source.map(self::source),
        "permit": permit.as_ref().map(self::permit),
        "actions": actions,
    })
}

fn robot(robot: &Robot) -> Value {
    let Robot {
        machine,
        base_pose,
        linear_axis,
        tool_capsules,
    } = robot;
    let linear_axis = linear_axis
        .map(|LinearAxis { axis, direction }| json!({"axis": axis, "direction": direction}));
    let capsule = |capsule: &Capsule| {
        let Capsule {
            name,
            a_m,
            b_m,
            radius_m,
        } = capsule;
        json!({"name": name, "a": a_m.map(metres), "b": b_m.map(metres), "radius": metres(*radius_m)})
    };
    json!({
        "machine": &**machine,
        "base_pose": pose(base_pose),
        "linear_axis": linear_axis,
        "tool_capsules": tool_capsules.iter().map(capsule).collect::<Vec<_>>(),
    })
}

fn separation(separation: &Separation) -> Value {
    let Separation {
        rule,
        human_speed_m_per_s,
        robot,
        stopping,
        sensor_latency,
        stop_signal_latency,
        gateway_latency,
        intrusion_m,
        person_uncertainty_m,
        robot_uncertainty_m,
        warn_margin_m,
        hysteresis_m,
        hold,
    } = separation;
    let rule = match rule {
        Rule::IsoTs15066 => "iso_ts_15066",
        Rule::Showcase => "showcase",
    };
    let robot = match robot {
        RobotSpeed::Measured {
            max_acceleration_m_per_s2,
        } => {
            json!({"speed": "measured", "max_acceleration": format!("{max_acceleration_m_per_s2}m/s2")})
        }
        RobotSpeed::Stated(speed_m_per_s) => json!({"speed": format!("{speed_m_per_s}m/s")}),
    };
    let stopping = match stopping {
        Stopping::One { time, distance_m } => {
            json!({"time": duration(*time), "distance": metres(*distance_m)})
        }
        Stopping::BySpeed(rows) => {
            let row = |[speed, time, distance]: &[f64; 3]| {
                json!({
                    "speed": format!("{speed}m/s"),
                    "time": format!("{time}s"),
                    "distance": metres(*distance),
                })
            };
            json!(rows.iter().map(row).collect::<Vec<_>>())
        }
    };
    json!({
        "rule": rule,
        "human_speed": format!("{human_speed_m_per_s}m/s"),
        "robot": robot,
        "stopping": stopping,
        "latency": {
            "sensor": duration(*sensor_latency),
            "stop_signal": duration(*stop_signal_latency),
            "gateway": duration(*gateway_latency),
        },
        "intrusion": metres(*intrusion_m),
        "uncertainty": {
            "person": metres(*person_uncertainty_m),
            "robot": metres(*robot_uncertainty_m),
        },
        "warn_margin": metres(*warn_margin_m),
        "hysteresis": metres(*hysteresis_m),
        "hold": duration(*hold),
    })
}

fn source(source: Source) -> Value {
    let Source { by, time_to_live } = source;
    let by = match by {
        SourceWay::Mqtt => "mqtt",
        SourceWay::Api => "api",
    };
    json!({"source": by, "time_to_live": duration(time_to_live)})
}

fn permit(permit: &SerialPermit) -> Value {
    let SerialPermit {
        machine,
        bytes,
        every,
    } = permit;
    json!({"serial_write": {"machine": &**machine, "bytes": hex(bytes), "every": duration(*every)}})
}

fn action(action: &Action) -> Value {
    match action {
        Action::SerialWrite { machine, bytes } => {
            json!({"serial_write": {"machine": &**machine, "bytes": hex(bytes)}})
        }
        Action::Gpio(Gpio { chip, line, value }) => {
            json!({"gpio": {"chip": chip, "line": line, "value": u8::from(*value)}})
        }
        Action::MqttAlarm => json!({"mqtt_alarm": {}}),
        // Its path and query may be a secret.
        Action::Webhook(Webhook { url, ca }) => {
            let end = url.find("://").map_or(0, |at| at + 3);
            let host = url[end..]
                .find(['/', '?', '#'])
                .map_or(url.as_str(), |at| &url[..end + at]);
            json!({"webhook": {"url": host, "ca": ca}})
        }
    }
}

fn metres(length_m: f64) -> String {
    format!("{length_m}m")
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(" ")
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
