//! Cells out of the tree of the YAML.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use retrotap_adapters::tables;
use retrotap_adapters::yaml::{Map, Node, Unit, did_you_mean};

use super::cell::{
    Action, Capsule, Cell, Gpio, LinearAxis, Pose, Robot, RobotSpeed, Rule, Separation,
    SerialPermit, Source, SourceWay, Stopping, Webhook,
};
use super::limits::{
    ACTION_BYTES_MAX, ACTIONS_MAX, HOLD_MAX, HOLD_MIN, LATENCY_MAX, MACHINES_MAX, NAME_BYTES_MAX,
    PERMIT_EVERY_MAX, PERMIT_EVERY_MIN, STOPPING_ROWS_MAX, STOPPING_TIME_MAX, TIME_TO_LIVE_MAX,
    TIME_TO_LIVE_MIN, TOOL_CAPSULES_MAX,
};
use super::read::{existing_file, name};
use crate::cell::obstacles::Snapshot;
use crate::cell::separation::State;

const METRES: &[Unit] = &[("m", 1.0), ("cm", 0.01), ("mm", 0.001)];
const RADIANS: &[Unit] = &[("rad", 1.0), ("deg", std::f64::consts::PI / 180.0)];
const SPEEDS: &[Unit] = &[("m/s", 1.0), ("mm/s", 0.001)];
const ACCELERATIONS: &[Unit] = &[("m/s2", 1.0), ("mm/s2", 0.001)];

/// The states and the keys of what is done on entering them.
const ENTERING: [(State, &str); 4] = [
    (State::Clear, "on_clear"),
    (State::Warn, "on_warn"),
    (State::Stop, "on_stop"),
    (State::Unknown, "on_unknown"),
];

/// The machines that cells may name.
#[derive(Debug, Default)]
pub(super) struct Machines<'a> {
    ids: Vec<&'a str>,
    /// Those with two ports, onto which nothing is written.
    two_ports: Vec<&'a str>,
    /// Those that are a robot of some cell already.
    robots: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Machines<'a> {
    pub fn add(&mut self, id: &'a str, two_ports: bool) {
        if !self.ids.contains(&id) {
            self.ids.push(id);
        }
        if two_ports {
            self.two_ports.push(id);
        }
    }

    fn known(&self, node: Node<'a>) -> Option<&'a str> {
        let text = node.text()?;
        if self.ids.contains(&text) {
            return Some(text);
        }
        let meant = did_you_mean(text, self.ids.iter().copied());
        node.problem(format!("there is no machine `{text}`"))
            .expected(format!("one of {}", self.ids.join(", ")))
            .suggest(meant.map(|meant| format!("did you mean `{meant}`?")));
        None
    }

    /// A machine that is a robot of this cell and of no other.
    fn robot(&self, node: Node<'a>) -> Option<Arc<str>> {
        let id = self.known(node)?;
        if !self.robots.borrow_mut().insert(id) {
            node.problem(format!("`{id}` is a robot of another cell already"))
                .expected("each robot in one cell");
            return None;
        }
        Some(id.into())
    }

    /// A machine that can be written to.
    fn written_to(&self, node: Node<'a>) -> Option<Arc<str>> {
        let id = self.known(node)?;
        if self.two_ports.contains(&id) {
            node.problem(format!("`{id}` listens to both sides of a dialogue"))
                .expected("a machine with one `port`");
            return None;
        }
        Some(id.into())
    }
}

pub(super) fn cell<'a>(node: Node<'a>, folder: &Path, machines: &Machines<'a>) -> Option<Cell> {
    let map = node.map(&[
        "id",
        "robots",
        "separation",
        "obstacles",
        "permit",
        "on_clear",
        "on_warn",
        "on_stop",
        "on_unknown",
    ])?;
    let id = map.required("id", name);
    let is_judged = map.get("separation").is_some();
    let robots = map.required("robots", |node| {
        node.distinct(|robot| robot.peek("machine")?.scalar());
        node.list(1..=MACHINES_MAX, |node| robot(node, machines, is_judged))
    });
    let separation = map.optional("separation", |node| separation(node, folder));
    let obstacles = if is_judged {
        map.required("obstacles", |node| obstacles(node, folder))
            .map(Some)
    } else {
        map.optional("obstacles", |node| obstacles(node, folder))
    };
    let permit = map.optional("permit", |node| permit(node, machines));
    let (mut actions, mut whole) = (Vec::new(), true);
    for (state, key) in ENTERING {
        let found = map.optional(key, |node| {
            node.list(1..=ACTIONS_MAX, |node| action(node, folder, machines))
        });
        match found {
            Some(found) => actions.extend(found.into_iter().flatten().map(|it| (state, it))),
            None => whole = false,
        }
    }
    if !is_judged {
        let keys = ENTERING.iter().map(|(_, key)| *key).chain(["permit"]);
        for (key, node) in keys.filter_map(|key| Some((key, map.get(key)?))) {
            node.problem(format!("`{key}` is of no use without `separation`"))
                .expected("both");
            whole = false;
        }
    }
    let (fixtures, source) = obstacles?.unwrap_or_default();
    let cell = Cell {
        id: id?,
        robots: robots?,
        separation: separation?,
        fixtures,
        source,
        permit: permit?,
        actions,
    };
    whole.then_some(cell)
}

fn robot<'a>(node: Node<'a>, machines: &Machines<'a>, is_judged: bool) -> Option<Robot> {
    let map = node.map(&["machine", "base_pose", "linear_axis", "tool_capsules"])?;
    let machine = map.required("machine", |node| machines.robot(node));
    let base_pose = map.required("base_pose", |node| {
        let map = node.map(&["xyz", "rpy"])?;
        let xyz_m = map.required("xyz", |node| point(node, METRES, 1000.0, "a length"));
        let turn = std::f64::consts::TAU;
        let rpy_rad = map.required("rpy", |node| point(node, RADIANS, turn, "an angle"));
        Some(Pose {
            xyz_m: xyz_m?,
            rpy_rad: rpy_rad?,
        })
    });
    let linear_axis = map.optional("linear_axis", |node| {
        let map = node.map(&["axis", "direction"])?;
        let axis = map.required("axis", |node| node.whole(7..=7));
        let direction = map.required("direction", |node| {
            let numbers = node.list(3..=3, |node| node.number(-1000.0..=1000.0))?;
            let direction: [f64; 3] = numbers.try_into().ok()?;
            if direction == [0.0; 3] {
                node.problem("it has no direction")
                    .expected("where the axis goes as its value rises, such as [0, 1, 0]");
                return None;
            }
            Some(direction)
        });
        Some(LinearAxis {
            axis: u32::try_from(axis?).ok()?,
            direction: direction?,
        })
    });
    // It must be said, also when there is none: a tool that is forgotten is nearer than anybody knows.
    let tool_capsules = if is_judged {
        map.required("tool_capsules", tool_capsules).map(Some)
    } else {
        map.optional("tool_capsules", tool_capsules)
    };
    Some(Robot {
        machine: machine?,
        base_pose: base_pose?,
        linear_axis: linear_axis?,
        tool_capsules: tool_capsules?.unwrap_or_default(),
    })
}

fn point(node: Node<'_>, units: &[Unit], most: f64, what: &str) -> Option<[f64; 3]> {
    let what = format!("{what} with its unit");
    node.list(3..=3, |node| node.in_unit(units, -most..=most, &what))?
        .try_into()
        .ok()
}

fn tool_capsules(node: Node<'_>) -> Option<Vec<Capsule>> {
    if !node.is_list() {
        return node.choice(&[("none", Vec::new())]);
    }
    node.distinct(|capsule| capsule.peek("name")?.scalar());
    node.list(1..=TOOL_CAPSULES_MAX, |node| {
        let map = node.map(&["name", "a", "b", "radius"])?;
        let name = map.required("name", |node| {
            let allowed = |text: &str| {
                text.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            };
            node.name(NAME_BYTES_MAX, "letters, digits and _", allowed)
        });
        let end =
            |key: &'static str| map.required(key, |node| point(node, METRES, 10.0, "a length"));
        let (a_m, b_m) = (end("a"), end("b"));
        let radius_m = map.required("radius", |node| {
            node.in_unit(METRES, 0.001..=10.0, "a length with its unit")
        });
        Some(Capsule {
            name: name?.to_owned(),
            a_m: a_m?,
            b_m: b_m?,
            radius_m: radius_m?,
        })
    })
}

fn length(map: &Map<'_>, key: &'static str, most_m: f64) -> Option<f64> {
    map.required(key, |node| {
        node.in_unit(METRES, 0.0..=most_m, "a length with its unit")
    })
}

fn duration(map: &Map<'_>, key: &'static str, least: Duration, most: Duration) -> Option<Duration> {
    let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let found_ns = map.required(key, |node| node.duration_ns(ns(least)..=ns(most)))?;
    Some(Duration::from_nanos(found_ns))
}

fn separation(node: Node<'_>, folder: &Path) -> Option<Separation> {
    let map = node.map(&[
        "rule",
        "human_speed",
        "robot",
        "stopping",
        "latency",
        "intrusion",
        "uncertainty",
        "warn_margin",
        "hysteresis",
        "hold",
    ])?;
    let rule = map.optional("rule", |node| {
        node.choice(&[
            ("iso_ts_15066", Rule::IsoTs15066),
            ("showcase", Rule::Showcase),
        ])
    });
    let human_speed_m_per_s = map.required("human_speed", |node| {
        node.in_unit(SPEEDS, 0.0..=10.0, "a speed with its unit")
    });
    let robot = map.required("robot", robot_speed);
    let stopping = map.required("stopping", |node| stopping(node, folder));
    let latency = map.required("latency", |node| {
        let map = node.map(&["sensor", "stop_signal", "gateway"])?;
        let one = |key| duration(&map, key, Duration::ZERO, LATENCY_MAX);
        let (sensor, stop_signal) = (one("sensor"), one("stop_signal"));
        let gateway = duration(&map, "gateway", Duration::from_millis(1), LATENCY_MAX);
        Some((sensor?, stop_signal?, gateway?))
    });
    let intrusion_m = length(&map, "intrusion", 100.0);
    let uncertainty = map.required("uncertainty", |node| {
        let map = node.map(&["person", "robot"])?;
        let (person, robot) = (length(&map, "person", 100.0), length(&map, "robot", 100.0));
        Some((person?, robot?))
    });
    let warn_margin_m = length(&map, "warn_margin", 100.0);
    let hysteresis_m = length(&map, "hysteresis", 100.0);
    let hold = duration(&map, "hold", HOLD_MIN, HOLD_MAX);
    let rule = rule?.unwrap_or(Rule::IsoTs15066);
    let (sensor_latency, stop_signal_latency, gateway_latency) = latency?;
    let (person_uncertainty_m, robot_uncertainty_m) = uncertainty?;
    Some(Separation {
        rule,
        human_speed_m_per_s: human_speed_m_per_s?,
        robot: robot?,
        stopping: stopping?,
        sensor_latency,
        stop_signal_latency,
        gateway_latency,
        intrusion_m: intrusion_m?,
        person_uncertainty_m,
        robot_uncertainty_m,
        warn_margin_m: warn_margin_m?,
        hysteresis_m: hysteresis_m?,
        hold: hold?,
    })
}

fn robot_speed(node: Node<'_>) -> Option<RobotSpeed> {
    let map = node.map(&["speed", "max_acceleration"])?;
    let is_measured = map.get("speed").and_then(|node| node.scalar()) == Some("measured");
    if !is_measured {
        if let Some(node) = map.get("max_acceleration") {
            node.problem("a stated maximum of the speed holds whatever the acceleration")
                .expected("`speed: measured` with it, or `speed` alone");
            return None;
        }
        let speed = map.required("speed", |node| {
            node.in_unit(SPEEDS, 0.001..=20.0, "`measured`, or a speed with its unit")
        });
        return speed.map(RobotSpeed::Stated);
    }
    let max_acceleration_m_per_s2 = map.required("max_acceleration", |node| {
        node.in_unit(ACCELERATIONS, 0.0..=1000.0, "an acceleration with its unit")
    })?;
    Some(RobotSpeed::Measured {
        max_acceleration_m_per_s2,
    })
}

fn stopping(node: Node<'_>, folder: &Path) -> Option<Stopping> {
    let map = node.map(&["time", "distance", "table"])?;
    let Some(table) = map.get("table") else {
        let time = duration(&map, "time", Duration::ZERO, STOPPING_TIME_MAX);
        let distance_m = length(&map, "distance", 100.0);
        return Some(Stopping::One {
            time: time?,
            distance_m: distance_m?,
        });
    };
    for key in ["time", "distance"] {
        if let Some(node) = map.get(key) {
            node.problem(format!("`{key}` stands in the table"))
                .expected("`table`, or `time` and `distance`");
            return None;
        }
    }
    let rows = stopping_rows(&existing_file(table, folder)?);
    rows.map_err(|why| {
        table.problem(why).expected(format!(
            "a CSV with the columns name, speed_m_per_s, time_s, distance_m and 1 to \
             {STOPPING_ROWS_MAX} rows that rise"
        ));
    })
    .ok()
    .map(Stopping::BySpeed)
}

fn stopping_rows(path: &Path) -> Result<Vec<[f64; 3]>, String> {
    let place = path.display().to_string();
    let text = super::text_of(path).map_err(|error| format!("{place}: {error}"))?;
    let table = tables::parse_csv(&text, &place).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        problems.join("\n")
    })?;
    let column = |name: &str| {
        let at = table.columns.iter().position(|known| known == name);
        at.ok_or_else(|| format!("{place}: there is no column {name}"))
    };
    let columns = [
        column("speed_m_per_s")?,
        column("time_s")?,
        column("distance_m")?,
    ];
    let rows: Vec<[f64; 3]> = table
        .rows
        .iter()
        .map(|row| columns.map(|at| row.values.get(at).copied().unwrap_or(f64::NAN)))
        .collect();
    let positive = rows.iter().flatten().all(|value| *value >= 0.0);
    let rising = rows
        .windows(2)
        .all(|two| two[0][0] < two[1][0] && two[0][1] <= two[1][1] && two[0][2] <= two[1][2]);
    if rows.is_empty() || rows.len() > STOPPING_ROWS_MAX || !positive || !rising {
        return Err(format!("{place}: that is no table of stopping"));
    }
    Ok(rows)
}

/// What stands there, and who says where people are.
type Obstacles = (Option<Snapshot>, Option<Source>);

fn obstacles(node: Node<'_>, folder: &Path) -> Option<Obstacles> {
    let map = node.map(&["file", "source", "time_to_live"])?;
    let fixtures = map.optional("file", |node| {
        let path = existing_file(node, folder)?;
        let text = super::text_of(&path).map_err(|error| error.to_string());
        match text.and_then(|text| Snapshot::parse(&text).map_err(|error| error.to_string())) {
            Ok(snapshot) => Some(snapshot),
            Err(error) => {
                node.problem(format!("{}: {error}", path.display()))
                    .expected("a JSON list of spheres, capsules and boxes, in metres");
                None
            }
        }
    });
    if map.get("source").is_none() {
        if let Some(node) = map.get("time_to_live") {
            node.problem("what a file says never gets old")
                .expected("`time_to_live` beside a `source`");
            return None;
        }
        if map.get("file").is_none() {
            node.problem("nothing says what is there")
                .expected("`file`, `source` with `time_to_live`, or both");
            return None;
        }
        return Some((fixtures?, None));
    }
    let by = map.required("source", |node| {
        node.choice(&[("mqtt", SourceWay::Mqtt), ("api", SourceWay::Api)])
    });
    let time_to_live = duration(&map, "time_to_live", TIME_TO_LIVE_MIN, TIME_TO_LIVE_MAX);
    Some((
        fixtures?,
        Some(Source {
            by: by?,
            time_to_live: time_to_live?,
        }),
    ))
}

fn permit<'a>(node: Node<'a>, machines: &Machines<'a>) -> Option<SerialPermit> {
    let map = node.map(&["serial_write"])?;
    map.required("serial_write", |node| {
        let map = node.map(&["machine", "bytes", "every"])?;
        let machine = map.required("machine", |node| machines.written_to(node));
        let bytes = map.required("bytes", bytes);
        let every = duration(&map, "every", PERMIT_EVERY_MIN, PERMIT_EVERY_MAX);
        Some(SerialPermit {
            machine: machine?,
            bytes: bytes?,
            every: every?,
        })
    })
}

/// Bytes as pairs of hexadecimal digits, with spaces between them or without.
fn bytes(node: Node<'_>) -> Option<Vec<u8>> {
    let text = node.text()?;
    let digits: String = text.split_whitespace().collect();
    let bytes: Option<Vec<u8>> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => {
                let digit = |digit: u8| char::from(digit).to_digit(16);
                u8::try_from(16 * digit(*high)? + digit(*low)?).ok()
            }
            _ => None,
        })
        .collect();
    let bytes = bytes.filter(|bytes| (1..=ACTION_BYTES_MAX).contains(&bytes.len()));
    if bytes.is_none() {
        node.problem(format!("`{text}` are no bytes"))
            .expected(format!(
                "1 to {ACTION_BYTES_MAX} pairs of hexadecimal digits, such as \"53 54 4F 50\""
            ));
    }
    bytes
}

fn action<'a>(node: Node<'a>, folder: &Path, machines: &Machines<'a>) -> Option<Action> {
    let map = node.map(&["serial_write", "gpio", "mqtt_alarm", "webhook"])?;
    let serial_write = map.optional("serial_write", |node| {
        let map = node.map(&["machine", "bytes"])?;
        let machine = map.required("machine", |node| machines.written_to(node));
        let bytes = map.required("bytes", bytes);
        Some(Action::SerialWrite {
            machine: machine?,
            bytes: bytes?,
        })
    });
    let gpio = map.optional("gpio", |node| {
        let map = node.map(&["chip", "line", "value"])?;
        let chip = map.required("chip", |node| {
            let text = node.text()?;
            if text.starts_with("/dev/") {
                return Some(PathBuf::from(text));
            }
            node.problem(format!("`{text}` is no chip"))
                .expected("its device, such as /dev/gpiochip0");
            None
        });
        let line = map.required("line", |node| node.whole(0..=1023));
        let value = map.required("value", |node| node.whole(0..=1));
        Some(Action::Gpio(Gpio {
            chip: chip?,
            line: u32::try_from(line?).ok()?,
            value: value? == 1,
        }))
    });
    let mqtt_alarm = map.optional("mqtt_alarm", |node| {
        node.map(&[]).map(|_| Action::MqttAlarm)
    });
    let webhook = map.optional("webhook", |node| webhook(node, folder));
    let mut found = [serial_write?, gpio?, mqtt_alarm?, webhook?]
        .into_iter()
        .flatten();
    match (found.next(), found.next()) {
        (Some(action), None) => Some(action),
        _ => {
            node.problem("an action is one thing")
                .expected("one of serial_write, gpio, mqtt_alarm and webhook in each entry");
            None
        }
    }
}

fn webhook(node: Node<'_>, folder: &Path) -> Option<Action> {
    let map = node.map(&["url", "ca"])?;
    let url = map.required("url", |node| {
        let text = node.text()?;
        let host = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .and_then(|rest| rest.split('/').next());
        if host.is_none_or(|host| host.is_empty() || host.contains('@')) {
            node.problem(format!("`{text}` can't be posted to"))
                .expected("http://HOST… or https://HOST…, without user and password");
            return None;
        }
        Some(text.to_owned())
    });
    let ca = map.optional("ca", |node| existing_file(node, folder));
    let url = url?;
    let ca = ca?;
    if url.starts_with("https://") != ca.is_some() {
        node.problem("`https://` and `ca` belong together")
            .expected("https:// with the PEM file of the authority, or http:// without");
        return None;
    }
    Some(Action::Webhook(Webhook { url, ca }))
}
