//! The rules of `framing`.

use crate::framing::limits::{
    FIXED_BYTES_MAX, FRAME_BYTES_MAX, LENGTH_OFFSET_MAX, MARK_BYTES_MAX, SILENCE_NS_MAX,
};
use crate::framing::{
    BytePredicate, ChecksumForm, ChecksumKind, ChecksumSpec, Delimited, Endianness, Fixed,
    FramingError, FramingKind, FramingSpec, IdleGap, LengthPrefixed, OnLineError, SerialSettings,
};
use crate::yaml::{Map, Node};

const KINDS: [&str; 4] = ["fixed", "delimited", "length_prefixed", "idle_gap"];

/// Largest number that may be added to a length field: that of a frame of nothing but header.
const CORRECTION_MAX: i64 = FRAME_BYTES_MAX as i64;

const SILENCE_NS: std::ops::RangeInclusive<u64> = 1_000..=SILENCE_NS_MAX;

pub(super) fn spec(node: Node<'_>, serial: SerialSettings) -> Option<FramingSpec> {
    let map = node.map(&[
        "fixed",
        "delimited",
        "length_prefixed",
        "idle_gap",
        "checksum",
        "timeout",
    ])?;
    let given: Vec<&str> = KINDS
        .into_iter()
        .filter(|kind| map.get(kind).is_some())
        .collect();
    // All are read, so that the mistakes in all of them are found.
    let checksum = map.optional("checksum", checksum);
    let timeout_ns = map.optional("timeout", |node| node.duration_ns(SILENCE_NS));
    let mut kinds: Vec<Option<FramingKind>> = given
        .iter()
        .map(|kind| read_kind(&map, kind, serial))
        .collect();
    let [key] = given.as_slice() else {
        let expected = format!("one of {}", KINDS.join(", "));
        if given.is_empty() {
            node.problem("says nothing about how frames are told apart")
                .expected(expected);
        } else {
            node.problem(format!("{} can't go together", given.join(" and ")))
                .expected(expected);
        }
        return None;
    };
    let after_end = checksum
        .flatten()
        .is_some_and(|checksum| checksum.after_end);
    if *key != "delimited" && after_end {
        report(&map, "checksum", FramingError::ChecksumAfterEnd);
    }
    if *key == "idle_gap" && map.get("timeout").is_some() {
        report(&map, "timeout", FramingError::TimeoutWithIdleGap);
    }
    let spec = FramingSpec {
        kind: kinds.pop()??,
        checksum: checksum?,
        timeout_ns: timeout_ns?,
        on_line_error: OnLineError::Reject,
    };
    let errors = spec.check();
    for error in &errors {
        match error {
            // Said above, where they don't depend on the rest being right.
            FramingError::ChecksumAfterEnd | FramingError::TimeoutWithIdleGap => {}
            FramingError::ChecksumCoversNothing | FramingError::ChecksumEscaped => {
                report(&map, "checksum", *error);
            }
            _ => report(&map, key, *error),
        }
    }
    errors.is_empty().then_some(spec)
}

fn read_kind(map: &Map<'_>, kind: &str, serial: SerialSettings) -> Option<FramingKind> {
    let node = map.get(kind)?;
    match kind {
        "fixed" => fixed(node),
        "delimited" => delimited(node),
        "length_prefixed" => length_prefixed(node),
        _ => idle_gap(node, serial),
    }
}

fn report(map: &Map<'_>, key: &str, error: FramingError) {
    map.get(key)
        .unwrap_or(map.node())
        .problem(error.to_string());
}

fn fixed(node: Node<'_>) -> Option<FramingKind> {
    let map = node.map(&["length", "match"])?;
    let length = map.required("length", |node| node.whole(1..=FIXED_BYTES_MAX as u64));
    let positions = map.required("match", |node| node.list(1..=FIXED_BYTES_MAX, predicate));
    let (length, positions) = (length?, positions?);
    if positions.len() as u64 != length {
        let message = format!(
            "{} positions for a frame of {length} bytes",
            positions.len()
        );
        map.get("match")?
            .problem(message)
            .expected("one for each byte, \"*\" where any byte may stand");
        return None;
    }
    Some(FramingKind::Fixed(Fixed { positions }))
}

fn delimited(node: Node<'_>) -> Option<FramingKind> {
    let map = node.map(&["start", "end", "escape", "frame_bytes_max"])?;
    let start = map.optional("start", mark);
    let end = map.required("end", mark);
    let escape = map.optional("escape", |node| {
        bytes(node, 1..=1, "one byte in hexadecimal, such as \"10\"")
    });
    let frame_bytes_max = map.required("frame_bytes_max", frame_bytes);
    Some(FramingKind::Delimited(Delimited {
        start: start?.unwrap_or_default(),
        end: end?,
        escape: escape?.and_then(|bytes| bytes.first().copied()),
        frame_bytes_max: frame_bytes_max?,
    }))
}

fn length_prefixed(node: Node<'_>) -> Option<FramingKind> {
    let map = node.map(&[
        "match",
        "offset",
        "width",
        "endianness",
        "correction",
        "frame_bytes_max",
    ])?;
    let header = map.optional("match", |node| node.list(1..=LENGTH_OFFSET_MAX, predicate));
    let offset = map.required("offset", |node| node.whole(0..=LENGTH_OFFSET_MAX as u64));
    let width = map.required("width", |node| node.choice(&[("1", 1), ("2", 2), ("4", 4)]));
    let orders = [("big", Endianness::Big), ("little", Endianness::Little)];
    let endianness = match width {
        // A single byte has no order.
        Some(1) => map
            .optional("endianness", |node| node.choice(&orders))
            .map(|order| order.unwrap_or(Endianness::Big)),
        _ => map.required("endianness", |node| node.choice(&orders)),
    };
    let correction = map.required("correction", |node| {
        node.signed(-CORRECTION_MAX..=CORRECTION_MAX)
    });
    let frame_bytes_max = map.required("frame_bytes_max", frame_bytes);
    Some(FramingKind::LengthPrefixed(LengthPrefixed {
        header: header?.unwrap_or_default(),
        offset: usize::try_from(offset?).ok()?,
        width: width?,
        endianness: endianness?,
        correction: correction?,
        frame_bytes_max: frame_bytes_max?,
    }))
}

fn idle_gap(node: Node<'_>, serial: SerialSettings) -> Option<FramingKind> {
    let map = node.map(&["gap", "frame_bytes_max"])?;
    let gap = map.required("gap", |node| silence(node, serial));
    let frame_bytes_max = map.required("frame_bytes_max", frame_bytes);
    Some(FramingKind::IdleGap(IdleGap::silence(
        gap?,
        serial,
        frame_bytes_max?,
    )))
}

/// `1.75ms`, or `3.5 characters`.
fn silence(node: Node<'_>, serial: SerialSettings) -> Option<u64> {
    let character_ns = serial.character_ns() as f64;
    let units = [
        ("characters", character_ns),
        ("ns", 1.0),
        ("us", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
    ];
    let limits = *SILENCE_NS.start() as f64..=(*SILENCE_NS.end() - serial.character_ns()) as f64;
    let silence_ns = node.in_unit(&units, limits, "a silence with its unit")?;
    Some(silence_ns.round() as u64)
}

fn frame_bytes(node: Node<'_>) -> Option<usize> {
    usize::try_from(node.whole(1..=FRAME_BYTES_MAX as u64)?).ok()
}

fn predicate(node: Node<'_>) -> Option<BytePredicate> {
    let expected = "two hexadecimal digits, a range of such (01-07), several (00|20), or \"*\"";
    let text = node.text()?;
    match text.parse() {
        Ok(predicate) => Some(predicate),
        Err(error) => {
            let digits = text
                .strip_prefix("0x")
                .filter(|digits| digits.parse::<BytePredicate>().is_ok());
            node.problem(format!("`{text}` is no set of bytes: {error}"))
                .expected(expected)
                .suggest(digits.map(|digits| format!("write \"{digits}\"")));
            None
        }
    }
}

fn mark(node: Node<'_>) -> Option<Vec<u8>> {
    bytes(
        node,
        1..=MARK_BYTES_MAX,
        &format!("1 to {MARK_BYTES_MAX} bytes in hexadecimal, such as \"0D 0A\""),
    )
}

fn bytes(
    node: Node<'_>,
    count: std::ops::RangeInclusive<usize>,
    expected: &str,
) -> Option<Vec<u8>> {
    let text = node.text()?;
    let digits: Vec<&str> = text.split_whitespace().collect();
    let byte = |digits: &&str| {
        let fits = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        fits.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
    };
    match digits.iter().map(byte).collect::<Option<Vec<u8>>>() {
        Some(bytes) if count.contains(&bytes.len()) => Some(bytes),
        _ => {
            node.problem(format!("`{text}` can't be used here"))
                .expected(expected);
            None
        }
    }
}

/// `crc16_modbus`, or a mapping that also says how and where it stands.
fn checksum(node: Node<'_>) -> Option<ChecksumSpec> {
    let kind = |node: Node<'_>| {
        node.choice(&[
            ("crc16_modbus", ChecksumKind::Crc16Modbus),
            ("xor", ChecksumKind::Xor),
            ("sum8", ChecksumKind::Sum8),
            ("lrc", ChecksumKind::Lrc),
        ])
    };
    if !node.is_map() {
        return kind(node).map(ChecksumSpec::whole_frame);
    }
    let map = node.map(&["kind", "form", "skip", "after_end"])?;
    let kind = map.required("kind", kind);
    let forms = [("binary", ChecksumForm::Binary), ("hex", ChecksumForm::Hex)];
    let form = map.optional("form", |node| node.choice(&forms));
    let skip = map.optional("skip", |node| node.whole(0..=LENGTH_OFFSET_MAX as u64));
    let after_end = map.optional("after_end", Node::boolean);
    Some(ChecksumSpec {
        kind: kind?,
        form: form?.unwrap_or_default(),
        skip: usize::try_from(skip?.unwrap_or(0)).ok()?,
        after_end: after_end?.unwrap_or(false),
    })
}
