//! One MQTT message of entries: split into entries without touching a byte of them, and checked.
//!
//! Names decide. A message is taken if it is an array of objects of which each says the site, gateway
//! and machine of the topic, all say one epoch, and their numbers follow each other. Whatever else
//! stands in them is for those who read it later: an entry that can be named can be found, asked for
//! and computed again, and a gateway that couldn't get rid of it would hold up what comes after it.
//! What can't be named can't be taken, because there is no number to tell the gateway.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::address::Names;
use crate::limits::{ENTRY_BYTES_MAX, PAYLOAD_BYTES_MAX};

/// A message's entries, as they came.
#[derive(Debug, PartialEq, Eq)]
pub struct Entries<'a> {
    /// New for each opening of the spool.
    pub epoch: u64,
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// The JSON objects.
    pub json: Vec<&'a str>,
}

/// Why a message is refused; the name is what is counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody knows what to do with it.
    #[error("the topic is none of those that the lake reads")]
    Topic,
    /// More than any gateway sends.
    #[error(
        "{bytes} bytes; at most {PAYLOAD_BYTES_MAX} are taken, and {ENTRY_BYTES_MAX} of one entry"
    )]
    TooLarge {
        /// How much.
        bytes: usize,
    },
    /// Not UTF-8, not JSON, or no array.
    #[error("not a JSON array: {0}")]
    NotJson(String),
    /// There is nothing in it.
    #[error("an empty array")]
    Empty,
    /// An entry without names, or with names of another version's making.
    #[error("entry {index}: {why}")]
    NoName {
        /// Which, from 0.
        index: usize,
        /// What is missing.
        why: String,
    },
    /// The entry says another machine than its topic.
    #[error("entry {index} is one of {said}, but the topic is that of {topic}")]
    OtherMachine {
        /// Which, from 0.
        index: usize,
        /// What it says.
        said: String,
        /// What the topic says.
        topic: String,
    },
    /// Numbers don't follow each other.
    #[error("entry {index} has number {epoch}/{seq} where {expected} was due")]
    Numbers {
        /// Which, from 0.
        index: usize,
        /// Its epoch.
        epoch: u64,
        /// Its number.
        seq: u64,
        /// What would have been right.
        expected: String,
    },
    /// A retained document that isn't one.
    #[error("not the document that its topic promises: {0}")]
    Document(String),
    /// Sent with QoS 0, so that nobody waits for it.
    #[error("sent with QoS 0: it may be lost on any hop, and can't be acknowledged")]
    QosZero,
}

impl Refusal {
    /// What it is counted as.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::TooLarge { .. } => "too_large",
            Self::NotJson(_) => "not_json",
            Self::Empty => "empty",
            Self::NoName { .. } => "no_name",
            Self::OtherMachine { .. } => "other_machine",
            Self::Numbers { .. } => "numbers",
            Self::Document(_) => "document",
            Self::QosZero => "qos_0",
        }
    }
}

/// What an entry is called.
#[derive(Deserialize)]
struct Head<'a> {
    v: u64,
    #[serde(borrow)]
    site: Cow<'a, str>,
    #[serde(borrow)]
    gateway: Cow<'a, str>,
    #[serde(borrow)]
    machine: Cow<'a, str>,
    epoch: u64,
    seq: u64,
}

/// Splits a message and checks the names in it.
///
/// # Errors
///
/// [`Refusal`] says why it can't be taken.
pub fn read<'a>(payload: &'a [u8], names: &Names<'_>) -> Result<Entries<'a>, Refusal> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Refusal::TooLarge {
            bytes: payload.len(),
        });
    }
    let text = std::str::from_utf8(payload).map_err(|e| Refusal::NotJson(e.to_string()))?;
    let raw: Vec<&'a RawValue> =
        serde_json::from_str(text).map_err(|e| Refusal::NotJson(e.to_string()))?;
    let beginning = beginning(names);
    let mut json = Vec::with_capacity(raw.len());
    let mut first = None;
    let mut due = (0, 0);
    for (index, entry) in raw.into_iter().enumerate() {
        let entry = entry.get();
        if entry.len() > ENTRY_BYTES_MAX {
            return Err(Refusal::TooLarge { bytes: entry.len() });
        }
        let (epoch, seq) = match usual_head(entry, &beginning) {
            Some(numbers) => numbers,
            None => any_head(entry, names, index)?,
        };
        if first.is_none() {
            first = Some(seq);
            due = (epoch, seq);
        }
        if (epoch, seq) != due || seq == 0 {
            return Err(Refusal::Numbers {
                index,
                epoch,
                seq,
                expected: format!("{}/{}", due.0, due.1.max(1)),
            });
        }
        // The number after the last possible one is none; a gateway needs longer than its life for it.
        due.1 = seq.wrapping_add(1);
        json.push(entry);
    }
    let Some(first) = first else {
        return Err(Refusal::Empty);
    };
    Ok(Entries {
        epoch: due.0,
        first,
        last: due.1.wrapping_sub(1),
        json,
    })
}

/// How each entry of this machine begins, as gateways write it.
fn beginning(names: &Names<'_>) -> String {
    let text = |text: &str| serde_json::to_string(text).unwrap_or_default();
    format!(
        r#"{{"v":1,"site":{},"gateway":{},"machine":{}"#,
        text(names.site),
        text(names.gateway),
        text(names.machine)
    )
}

/// Epoch and number of an entry whose keys stand in the order in which gateways write them: saves
/// reading the whole entry a second time. What isn't so is no fault, only slower.
fn usual_head(entry: &str, beginning: &str) -> Option<(u64, u64)> {
    let mut rest = entry.strip_prefix(beginning)?;
    if let Some(named) = rest.strip_prefix(r#","record":""#) {
        let end = named
            .bytes()
            .position(|byte| matches!(byte, b'"' | b'\\'))?;
        rest = named.get(end..)?.strip_prefix('"')?;
    }
    let (epoch, rest) = digits(rest.strip_prefix(r#","epoch":"#)?)?;
    let (seq, rest) = digits(rest.strip_prefix(r#","seq":"#)?)?;
    rest.starts_with([',', '}']).then_some((epoch, seq))
}

fn digits(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit())?;
    Some((text.get(..end)?.parse().ok()?, text.get(end..)?))
}

fn any_head(entry: &str, names: &Names<'_>, index: usize) -> Result<(u64, u64), Refusal> {
    let head: Head<'_> = serde_json::from_str(entry).map_err(|error| Refusal::NoName {
        index,
        why: error.to_string(),
    })?;
    if head.v != 1 {
        return Err(Refusal::NoName {
            index,
            why: format!(
                "its version is {}; this lake knows 1: bring the lake up to date",
                head.v
            ),
        });
    }
    if (&*head.site, &*head.gateway, &*head.machine) != (names.site, names.gateway, names.machine) {
        return Err(Refusal::OtherMachine {
            index,
            said: format!("{}/{}/{}", head.site, head.gateway, head.machine),
            topic: names.key(),
        });
    }
    Ok((head.epoch, head.seq))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: Names<'_> = Names {
        site: "aachen",
        gateway: "cell-3",
        machine: "robot-1",
    };

    fn entry(epoch: u64, seq: u64) -> String {
        format!(
            r#"{{"v":1,"site":"aachen","gateway":"cell-3","machine":"robot-1","record":"pose","epoch":{epoch},"seq":{seq},"t":"2026-11-20T14:50:24.718817385Z","fields":{{"x_m":1.0,"y":[1, 2 ]}}}}"#
        )
    }

    fn refused(payload: &str) -> &'static str {
        read(payload.as_bytes(), &NAMES).expect_err(payload).cause()
    }

    #[test]
    fn entries_keep_every_byte() {
        let (a, b) = (entry(7, 1), entry(7, 2));
        let payload = format!(" [ {a} ,\n{b}]");
        let read = read(payload.as_bytes(), &NAMES).expect("good");
        assert_eq!((read.epoch, read.first, read.last), (7, 1, 2));
        assert_eq!(read.json, [a, b]);
    }

    #[test]
    fn the_order_of_keys_and_unknown_ones_do_not_matter() {
        let odd = r#"{"seq":5,"epoch":7,"new":{"a":[1]},"machine":"robot\u002d1","gateway":"cell-3","site":"aachen","v":1}"#;
        let payload = format!("[{odd},{}]", entry(7, 6));
        let read = read(payload.as_bytes(), &NAMES).expect("good");
        assert_eq!((read.first, read.last), (5, 6));
        assert_eq!(read.json[0], odd);
    }

    #[test]
    fn frames_have_no_record_and_are_read_at_once() {
        let frame = r#"{"v":1,"site":"aachen","gateway":"cell-3","machine":"robot-1","epoch":3,"seq":9,"t":"x"}"#;
        assert_eq!(usual_head(frame, &beginning(&NAMES)), Some((3, 9)));
        assert_eq!(usual_head(&entry(4, 8), &beginning(&NAMES)), Some((4, 8)));
    }

    #[test]
    fn what_is_no_array_of_objects_is_refused() {
        for (payload, cause) in [
            ("", "not_json"),
            ("[", "not_json"),
            ("{}", "not_json"),
            ("[{}] x", "not_json"),
            ("[]", "empty"),
            ("[1]", "no_name"),
            ("[{}]", "no_name"),
            ("[null]", "no_name"),
        ] {
            assert_eq!(refused(payload), cause, "{payload}");
        }
        assert_eq!(
            read(b"[\"\xff\"]", &NAMES).expect_err("not UTF-8").cause(),
            "not_json"
        );
    }

    #[test]
    fn every_cut_of_a_message_is_refused() {
        let payload = format!("[{},{}]", entry(7, 1), entry(7, 2));
        for end in 0..payload.len() {
            assert!(
                read(&payload.as_bytes()[..end], &NAMES).is_err(),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn names_that_are_missing_or_others_are_refused() {
        let good = entry(7, 1);
        for (from, to, cause) in [
            (r#""v":1"#, r#""v":2"#, "no_name"),
            (r#""v":1,"#, "", "no_name"),
            (r#""epoch":7,"#, "", "no_name"),
            (r#""seq":1"#, r#""seq":-1"#, "no_name"),
            (r#""seq":1"#, r#""seq":1.5"#, "no_name"),
            (r#""seq":1"#, r#""seq":"1""#, "no_name"),
            (r#""seq":1"#, r#""seq":18446744073709551616"#, "no_name"),
            (r#""seq":1"#, r#""seq":0"#, "numbers"),
            (
                r#""machine":"robot-1""#,
                r#""machine":"robot-2""#,
                "other_machine",
            ),
            (r#""site":"aachen""#, r#""site":"essen""#, "other_machine"),
            (r#""machine":"robot-1""#, r#""machine":null"#, "no_name"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good);
            assert_eq!(refused(&format!("[{bad}]")), cause, "{bad}");
        }
    }

    #[test]
    fn numbers_follow_each_other_in_one_epoch() {
        for (second, why) in [
            (entry(7, 3), "a gap"),
            (entry(7, 1), "the same again"),
            (entry(7, 0), "backwards"),
            (entry(8, 2), "another epoch"),
        ] {
            assert_eq!(
                refused(&format!("[{},{second}]", entry(7, 1))),
                "numbers",
                "{why}"
            );
        }
    }

    #[test]
    fn the_last_number_of_all_is_still_one() {
        let payload = format!("[{}]", entry(7, u64::MAX));
        let read = read(payload.as_bytes(), &NAMES).expect("good");
        assert_eq!((read.first, read.last), (u64::MAX, u64::MAX));
    }

    #[test]
    fn more_than_anybody_sends_is_refused() {
        let payload = vec![b' '; PAYLOAD_BYTES_MAX + 1];
        assert_eq!(
            read(&payload, &NAMES).expect_err("long").cause(),
            "too_large"
        );
    }

    proptest! {
        #[test]
        fn both_ways_of_reading_a_head_agree(
            site in "[ -~]{1,8}", gateway in ".{1,8}", machine in ".{1,8}",
            record in proptest::option::of(".{0,8}"), epoch in any::<u64>(), seq in any::<u64>(),
        ) {
            let names = Names { site: &site, gateway: &gateway, machine: &machine };
            let named = record
                .map(|record| format!(r#","record":{}"#, serde_json::to_string(&record).unwrap()))
                .unwrap_or_default();
            let entry = format!(r#"{}{named},"epoch":{epoch},"seq":{seq},"x":0}}"#, beginning(&names));
            prop_assert_eq!(any_head(&entry, &names, 0).unwrap(), (epoch, seq));
            if let Some(numbers) = usual_head(&entry, &beginning(&names)) {
                prop_assert_eq!(numbers, (epoch, seq));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(payload in any::<Vec<u8>>()) {
            let _ = read(&payload, &NAMES);
        }
    }
}
