//! Every rule that an adapter's YAML has to keep, read from top to bottom.
//!
//! A mapping's keys are all read before any of them may fail, so that every mistake of a file is
//! found in one go.

mod framing;
mod pipeline;

use crate::framing::limits::{BAUD_MAX, BAUD_MIN};
use crate::framing::{FramingKind, FramingSpec, Parity, SerialSettings};
use crate::schema::{Adapter, Port, Role};
use crate::yaml::{Map, Node};

/// Longest name in characters: it stands in topics, in records and on small screens.
pub const NAME_CHARACTERS_MAX: usize = 64;

/// Longest title in characters: one line.
pub const TITLE_CHARACTERS_MAX: usize = 120;

/// Shortest and longest time until a machine's last frame is stale: the fastest line that we know
/// sends a frame each millisecond, and nothing that is an hour old is live.
pub const STALE_AFTER_NS: std::ops::RangeInclusive<u64> = 1_000_000..=3_600_000_000_000;

/// Most stages in a pipeline.
pub const STAGES_MAX: usize = 16;

/// Most records that an adapter publishes.
pub const PUBLISH_MAX: usize = 64;

pub(crate) fn adapter(root: Node<'_>) -> Option<Adapter> {
    let keys = &[
        "adapter",
        "title",
        "serial",
        "ports",
        "framing",
        "stale_after",
        "pipeline",
        "publish",
    ];
    let map = root.map(keys)?;
    let name = map.required("adapter", |node| kebab_name(node, "an adapter's name"));
    let title = map.required("title", title);
    let serial = map.required("serial", serial);
    // A gap in characters needs the line's settings. Where they are wrong, which is reported already,
    // any will do to find what else is.
    let any_serial = SerialSettings {
        baud: 9600,
        data_bits: 8,
        parity: Parity::None,
        stop_bits: 1,
    };
    let ports = ports(&map, serial.unwrap_or(any_serial));
    let stale_after_ns = map.required("stale_after", |node| node.duration_ns(STALE_AFTER_NS));
    let pipeline = map.required("pipeline", |node| {
        node.list(1..=STAGES_MAX, pipeline::stage)
    });
    let publish = map.required("publish", publish);
    if let (Some(serial), Some(ports), Some(stale_after_ns)) = (serial, &ports, stale_after_ns) {
        frames_before_stale(&map, serial, ports, stale_after_ns);
    }
    Some(Adapter {
        name: name?,
        title: title?,
        serial: serial?,
        ports: ports?,
        stale_after_ns: stale_after_ns?,
        pipeline: pipeline?,
        publish: publish?,
    })
}

/// Lower-case words joined by hyphens: names of adapters and stages, which become folders and files.
fn kebab_name(node: Node<'_>, what: &str) -> Option<String> {
    name_of(
        node,
        '-',
        &format!("{what}: lower-case words and digits joined by hyphens, such as kuka-krc2"),
    )
}

/// Lower-case words joined by underscores: names of parameters, tables, records and fields.
fn snake_name(node: Node<'_>, what: &str) -> Option<String> {
    name_of(
        node,
        '_',
        &format!("{what}: lower-case words and digits joined by underscores"),
    )
}

fn name_of(node: Node<'_>, joint: char, expected: &str) -> Option<String> {
    node.name(NAME_CHARACTERS_MAX, expected, |name| is_name(name, joint))
}

fn is_name(name: &str, joint: char) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
    };
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.split(joint).all(is_word)
}

fn title(node: Node<'_>) -> Option<String> {
    let expected = format!("one line of at most {TITLE_CHARACTERS_MAX} characters");
    node.name(TITLE_CHARACTERS_MAX, &expected, |title| {
        !title.trim().is_empty() && !title.chars().any(char::is_control)
    })
}

fn serial(node: Node<'_>) -> Option<SerialSettings> {
    let map = node.map(&["baud", "data_bits", "parity", "stop_bits"])?;
    let baud = map.required("baud", |node| {
        node.whole(u64::from(BAUD_MIN)..=u64::from(BAUD_MAX))
    });
    let data_bits = map.required("data_bits", |node| node.whole(5..=8));
    let parity = map.required("parity", |node| {
        node.choice(&[
            ("none", Parity::None),
            ("even", Parity::Even),
            ("odd", Parity::Odd),
        ])
    });
    let stop_bits = map.required("stop_bits", |node| node.whole(1..=2));
    Some(SerialSettings {
        baud: u32::try_from(baud?).ok()?,
        data_bits: u8::try_from(data_bits?).ok()?,
        parity: parity?,
        stop_bits: u8::try_from(stop_bits?).ok()?,
    })
}

/// One port that hears the machine, unless `ports` says otherwise; each with the adapter's framing,
/// unless it has its own.
fn ports(adapter: &Map<'_>, serial: SerialSettings) -> Option<Vec<Port>> {
    let shared = adapter
        .get("framing")
        .map(|node| framing::spec(node, serial));
    let Some(list) = adapter.get("ports") else {
        let framing = match shared {
            Some(framing) => framing,
            None => adapter.required("framing", |node| framing::spec(node, serial)),
        };
        return Some(vec![Port {
            role: Role::Machine,
            framing: framing?,
        }]);
    };
    let ports = list.list(1..=2, |node| port(node, serial))?;
    if !ports.iter().any(|(role, _)| *role == Role::Machine) {
        list.problem("no port hears the machine")
            .expected("one of the ports with `role: machine`");
    } else if let [(first, _), (second, _)] = ports.as_slice()
        && first == second
    {
        list.problem("both ports hear the machine")
            .expected("one port with `role: machine`, one with `role: peer`");
    }
    if shared.is_none() && ports.iter().any(|(_, own)| own.is_none()) {
        adapter.required("framing", |node| framing::spec(node, serial))?;
    }
    if shared.is_some() && ports.iter().all(|(_, own)| own.is_some()) {
        adapter
            .get("framing")?
            .problem("not used: every port has a framing of its own");
    }
    let shared = shared.flatten();
    ports
        .into_iter()
        .map(|(role, own)| {
            Some(Port {
                role,
                framing: own.or_else(|| shared.clone())?,
            })
        })
        .collect()
}

fn port(node: Node<'_>, serial: SerialSettings) -> Option<(Role, Option<FramingSpec>)> {
    let map = node.map(&["role", "framing"])?;
    let role = map.required("role", |node| {
        node.choice(&[("machine", Role::Machine), ("peer", Role::Peer)])
    });
    let framing = map.optional("framing", |node| framing::spec(node, serial));
    Some((role?, framing?))
}

fn publish(node: Node<'_>) -> Option<Vec<String>> {
    node.distinct(|record| record.scalar());
    node.list(1..=PUBLISH_MAX, |node| snake_name(node, "a record's name"))
}

/// A frame that takes longer on the wire than it is fresh would always be stale.
fn frames_before_stale(
    adapter: &Map<'_>,
    serial: SerialSettings,
    ports: &[Port],
    stale_after_ns: u64,
) {
    let frame_ns = |port: &Port| match &port.framing.kind {
        FramingKind::Fixed(fixed) => fixed.positions.len() as u64 * serial.character_ns(),
        _ => serial.character_ns(),
    };
    let longest_ns = ports.iter().map(frame_ns).max().unwrap_or_default();
    if let Some(node) = adapter.get("stale_after")
        && stale_after_ns <= longest_ns
    {
        let milliseconds = longest_ns as f64 / 1e6;
        node.problem(format!(
            "one frame alone takes {milliseconds:.1} ms at {} baud",
            serial.baud
        ))
        .expected("longer than the time between two frames");
    }
}
