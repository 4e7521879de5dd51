//! Records, frames, inputs and gaps as JSON, byte for byte as they are stored and sent.
//!
//! Written by hand because the order of the keys is part of the format: an entry that is sent
//! again has to be the same bytes, and a person who looks at a topic finds things where they were.
//! Strings and numbers are serde_json's: escaped, and the shortest digits that read back as the
//! same f64. What isn't a number isn't there.

use std::fmt::Write as _;

use crate::time;
use crate::words::{ClockState, Identity, RawFrame, RawInput, Record};

/// Version of the payload, the first key of each object.
const PAYLOAD_VERSION: u32 = 1;

/// Builds the `fields` object of a record, in the order of the calls.
#[derive(Debug)]
pub struct Fields {
    json: String,
}

impl Default for Fields {
    fn default() -> Self {
        Self::new()
    }
}

impl Fields {
    /// An empty object.
    pub fn new() -> Self {
        let mut json = String::with_capacity(256);
        json.push('{');
        Self { json }
    }

    /// A number. One that is infinite or not a number is left out.
    pub fn number(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            self.name(name);
            write_number(&mut self.json, value);
        }
    }

    /// A whole number.
    pub fn integer(&mut self, name: &str, value: i64) {
        self.name(name);
        write_integer(&mut self.json, value);
    }

    /// True or false.
    pub fn boolean(&mut self, name: &str, value: bool) {
        self.name(name);
        self.json.push_str(if value { "true" } else { "false" });
    }

    /// Text, and the names of choices and rows.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_text(&mut self.json, value);
    }

    /// The finished object.
    pub fn finish(mut self) -> String {
        self.json.push('}');
        self.json
    }

    fn name(&mut self, name: &str) {
        if self.json.len() > 1 {
            self.json.push(',');
        }
        write_text(&mut self.json, name);
        self.json.push(':');
    }
}

/// Where an entry stands: what the spool adds to a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub epoch: u64,
    pub seq: u64,
    /// Unix nanoseconds, already made strictly increasing.
    pub t_unix_ns: i64,
}

/// A record as it is sent.
pub(super) fn record(identity: &Identity, place: Place, record: &Record) -> String {
    let mut json = String::with_capacity(320 + record.fields.len());
    head(&mut json, identity);
    key_text(&mut json, ",\"record\":", &record.name);
    tail(&mut json, place, record.clock);
    key_text(&mut json, ",\"module\":", &record.module);
    json.push_str(",\"frame\":");
    write_integer(&mut json, record.frame);
    json.push_str(",\"fields\":");
    json.push_str(&record.fields);
    json.push('}');
    json
}

/// A raw frame as it is sent: its bytes as lower-case hexadecimal digits, two each.
pub(super) fn frame(identity: &Identity, place: Place, frame: &RawFrame) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut json = String::with_capacity(256 + 2 * frame.bytes.len());
    head(&mut json, identity);
    tail(&mut json, place, frame.clock);
    json.push_str(",\"line_ns\":");
    write_integer(&mut json, frame.at.line_ns);
    json.push_str(",\"port\":");
    write_integer(&mut json, frame.port);
    json.push_str(",\"frame\":");
    write_integer(&mut json, frame.number);
    json.push_str(",\"bytes\":\"");
    for byte in &frame.bytes {
        json.push(char::from(DIGITS[usize::from(byte >> 4)]));
        json.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    json.push_str("\",\"errors\":[");
    for (index, error) in frame.errors.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        write_text(&mut json, error);
    }
    json.push_str("]}");
    json
}

/// An input as it is sent, with its data as the line had it.
pub(super) fn input(identity: &Identity, place: Place, input: &RawInput) -> String {
    let mut json = String::with_capacity(256 + input.data.len());
    head(&mut json, identity);
    tail(&mut json, place, input.clock);
    json.push_str(",\"line_ns\":");
    write_integer(&mut json, input.at.line_ns);
    key_text(&mut json, ",\"input\":", &input.kind);
    json.push_str(",\"data\":");
    // A message that is no JSON would be refused with all that is in it.
    match serde_json::from_str::<serde::de::IgnoredAny>(&input.data) {
        Ok(_) => json.push_str(&input.data),
        Err(_) => write_text(&mut json, &input.data),
    }
    json.push('}');
    json
}

fn head(json: &mut String, identity: &Identity) {
    json.push_str("{\"v\":");
    write_integer(json, PAYLOAD_VERSION);
    key_text(json, ",\"site\":", &identity.site);
    key_text(json, ",\"gateway\":", &identity.gateway);
    key_text(json, ",\"machine\":", &identity.machine);
}

fn tail(json: &mut String, place: Place, clock: ClockState) {
    json.push_str(",\"epoch\":");
    write_integer(json, place.epoch);
    json.push_str(",\"seq\":");
    write_integer(json, place.seq);
    json.push_str(",\"t\":\"");
    time::write_rfc3339(json, place.t_unix_ns);
    json.push_str("\",\"clock\":\"");
    json.push_str(match clock {
        ClockState::Synced => "synced",
        ClockState::Unsynced => "unsynced",
        ClockState::Capture => "capture",
    });
    json.push('"');
}

fn key_text(json: &mut String, key: &str, value: &str) {
    json.push_str(key);
    write_text(json, value);
}

fn write_integer(json: &mut String, value: impl std::fmt::Display) {
    // Writing to a String can't fail.
    let _ = write!(json, "{value}");
}

fn write_number(json: &mut String, value: f64) {
    // Serialising a finite f64 or a &str to memory can't fail; serde_json's signature has to
    // allow for writers and maps that can.
    if let Ok(text) = serde_json::to_string(&value) {
        json.push_str(&text);
    }
}

fn write_text(json: &mut String, value: &str) {
    if value
        .bytes()
        .all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\')
    {
        json.push('"');
        json.push_str(value);
        json.push('"');
    } else if let Ok(text) = serde_json::to_string(value) {
        json.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::words::Stamp;

    fn identity() -> Identity {
        Identity {
            site: "aachen".into(),
            gateway: "cell-3".into(),
            machine: "robot-1".into(),
        }
    }

    fn a_record(fields: String) -> Record {
        Record {
            name: "distance".into(),
            module: "arm-distance@1.2.0".into(),
            at: Stamp {
                line_ns: 5,
                wall_ns: 0,
            },
            clock: ClockState::Synced,
            frame: 1_268_631,
            fields,
        }
    }

    const PLACE: Place = Place {
        epoch: 12,
        seq: 181_233,
        t_unix_ns: 1_795_172_100_123_456_789,
    };

    #[test]
    fn a_record_is_written_as_the_design_shows_it() {
        let mut fields = Fields::new();
        fields.number("distance_m", 1.732);
        fields.number("protective_m", 1.42);
        fields.number("margin_m", 0.312);
        fields.text("nearest_link", "link_3");
        fields.text("nearest_obstacle", "p1");
        assert_eq!(
            record(&identity(), PLACE, &a_record(fields.finish())),
            concat!(
                r#"{"v":1,"site":"aachen","gateway":"cell-3","machine":"robot-1","#,
                r#""record":"distance","epoch":12,"seq":181233,"#,
                r#""t":"2026-11-20T10:55:00.123456789Z","clock":"synced","#,
                r#""module":"arm-distance@1.2.0","frame":1268631,"#,
                r#""fields":{"distance_m":1.732,"protective_m":1.42,"margin_m":0.312,"#,
                r#""nearest_link":"link_3","nearest_obstacle":"p1"}}"#
            )
        );
    }

    #[test]
    fn a_frame_carries_its_bytes_as_hex_and_the_names_of_its_errors() {
        let raw = RawFrame {
            at: Stamp {
                line_ns: 1_250_000_000,
                wall_ns: 0,
            },
            clock: ClockState::Unsynced,
            number: 7,
            port: 1,
            bytes: vec![0x03, 0x00, 0x20, 0xfe],
            errors: vec!["parity", "overrun"],
        };
        assert_eq!(
            frame(&identity(), PLACE, &raw),
            concat!(
                r#"{"v":1,"site":"aachen","gateway":"cell-3","machine":"robot-1","#,
                r#""epoch":12,"seq":181233,"t":"2026-11-20T10:55:00.123456789Z","#,
                r#""clock":"unsynced","line_ns":1250000000,"port":1,"frame":7,"bytes":"030020fe","#,
                r#""errors":["parity","overrun"]}"#
            )
        );
    }

    #[test]
    fn an_input_carries_its_data_as_the_line_had_it() {
        let raw = RawInput {
            at: Stamp {
                line_ns: 1_250_000_000,
                wall_ns: 0,
            },
            clock: ClockState::Synced,
            kind: "obstacles".into(),
            data: r#"[{"id":"p1", "center":[1,0,1.0]}]"#.to_owned(),
        };
        assert_eq!(
            input(&identity(), PLACE, &raw),
            concat!(
                r#"{"v":1,"site":"aachen","gateway":"cell-3","machine":"robot-1","#,
                r#""epoch":12,"seq":181233,"t":"2026-11-20T10:55:00.123456789Z","#,
                r#""clock":"synced","line_ns":1250000000,"input":"obstacles","#,
                r#""data":[{"id":"p1", "center":[1,0,1.0]}]}"#
            )
        );
    }

    #[test]
    fn what_is_not_a_number_is_left_out() {
        let mut fields = Fields::new();
        fields.number("a", f64::NAN);
        fields.number("b", f64::INFINITY);
        fields.boolean("c", true);
        fields.number("d", f64::NEG_INFINITY);
        fields.integer("e", i64::MIN);
        assert_eq!(fields.finish(), r#"{"c":true,"e":-9223372036854775808}"#);
        assert_eq!(Fields::new().finish(), "{}");
    }

    proptest! {
        #[test]
        fn every_number_reads_back_as_the_same_bits(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let mut fields = Fields::new();
            fields.number("x", value);
            let json = fields.finish();
            // Rust's own parser: serde_json's default one is allowed to be off by the last bit.
            match json.strip_prefix("{\"x\":").and_then(|rest| rest.strip_suffix('}')) {
                Some(digits) => prop_assert_eq!(digits.parse::<f64>()?.to_bits(), value.to_bits()),
                None => prop_assert!(!value.is_finite()),
            }
        }

        #[test]
        fn every_text_reads_back_as_itself(name in any::<String>(), text in any::<String>()) {
            let mut fields = Fields::new();
            fields.text(&name, &text);
            let read: serde_json::Value = serde_json::from_str(&fields.finish())?;
            prop_assert_eq!(read.get(&name).and_then(|value| value.as_str()), Some(&*text));
        }
    }
}
