//! What the lake says it has: `<machine>/taken`, the only word that releases an entry where the
//! settings say `release_on: lake`.
//!
//! ```json
//! {"v":1,"taken":[{"stream":"records","epoch":1795186221,"first":174,"last":201}]}
//! ```
//!
//! Ranges and not a watermark: a broker may drop one message and deliver the next, and a watermark
//! would then release what nobody has. What isn't such a message is refused whole and releases
//! nothing; what it names in vain is ignored by the spool.

use serde::Deserialize;

use crate::config::limits::{TAKEN_BYTES_MAX, TAKEN_RANGES_MAX};
use crate::words::Stream;

/// Entries that the lake has, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub machine: String,
    pub ranges: Vec<Range>,
}

/// Numbers of one stream and epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    pub stream: Stream,
    pub epoch: u64,
    pub first: u64,
    pub last: u64,
}

/// Why a message on `taken` says nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TakenError {
    /// Not one of our topics.
    #[error("the topic is none of this gateway's machines")]
    Topic,
    /// Longer than any that the lake writes.
    #[error("{0} bytes, more than {TAKEN_BYTES_MAX}")]
    TooLarge(usize),
    /// Not the JSON described above.
    #[error("not the expected JSON: {0}")]
    Json(String),
    /// A version that this gateway doesn't know.
    #[error("version {0}, but this gateway knows version 1")]
    Version(u32),
    /// More ranges than a message has entries for.
    #[error("{0} ranges, more than {TAKEN_RANGES_MAX}")]
    TooMany(usize),
    /// Numbers begin at 1 and go up.
    #[error("the range {first} to {last} is none")]
    Range {
        /// As it was written.
        first: u64,
        /// As it was written.
        last: u64,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    v: u32,
    taken: Vec<Range>,
}

impl Taken {
    /// Reads a message that came on `topic`, which must be `<root>/<machine>/taken`.
    pub fn parse(root: &str, topic: &[u8], payload: &[u8]) -> Result<Self, TakenError> {
        let machine = std::str::from_utf8(topic)
            .ok()
            .and_then(|topic| {
                topic
                    .strip_prefix(root)?
                    .strip_prefix('/')?
                    .strip_suffix("/taken")
            })
            .filter(|machine| !machine.is_empty() && !machine.contains('/'))
            .ok_or(TakenError::Topic)?;
        if payload.len() > TAKEN_BYTES_MAX {
            return Err(TakenError::TooLarge(payload.len()));
        }
        let message: Message =
            serde_json::from_slice(payload).map_err(|error| TakenError::Json(error.to_string()))?;
        if message.v != 1 {
            return Err(TakenError::Version(message.v));
        }
        if message.taken.len() > TAKEN_RANGES_MAX {
            return Err(TakenError::TooMany(message.taken.len()));
        }
        for &Range { first, last, .. } in &message.taken {
            if first == 0 || last < first {
                return Err(TakenError::Range { first, last });
            }
        }
        Ok(Self {
            machine: machine.to_owned(),
            ranges: message.taken,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOT: &str = "retrotap/1/aachen/cell-3";
    const TOPIC: &[u8] = b"retrotap/1/aachen/cell-3/robot-1/taken";

    #[test]
    fn a_message_of_the_lake_is_read() {
        let payload = br#"{"v":1,"taken":[{"stream":"records","epoch":12,"first":1,"last":40},
            {"stream":"frames","epoch":12,"first":7,"last":7}]}"#;
        let taken = Taken::parse(ROOT, TOPIC, payload).unwrap();
        assert_eq!(taken.machine, "robot-1");
        let (stream, epoch) = (Stream::Records, 12);
        let first = Range {
            stream,
            epoch,
            first: 1,
            last: 40,
        };
        assert_eq!(taken.ranges[0], first);
        assert_eq!(taken.ranges[1].stream, Stream::Frames);
    }

    #[test]
    fn what_is_no_such_message_is_refused_whole() {
        let refused = |payload: &str| {
            Taken::parse(ROOT, TOPIC, payload.as_bytes())
                .unwrap_err()
                .to_string()
        };
        let one = |range: &str| format!(r#"{{"v":1,"taken":[{range}]}}"#);
        assert!(refused("").contains("expected JSON"));
        assert!(refused("[]").contains("expected JSON"));
        assert!(refused(r#"{"v":2,"taken":[]}"#).contains("version 2"));
        assert!(
            refused(&one(r#"{"stream":"alarms","epoch":1,"first":1,"last":1}"#)).contains("alarms")
        );
        assert!(
            refused(&one(r#"{"stream":"records","epoch":1,"first":0,"last":1}"#))
                .contains("0 to 1")
        );
        assert!(
            refused(&one(r#"{"stream":"records","epoch":1,"first":3,"last":2}"#))
                .contains("3 to 2")
        );
        assert!(
            refused(&one(
                r#"{"stream":"records","epoch":-1,"first":1,"last":2}"#
            ))
            .contains("JSON")
        );
        assert!(refused(&one(r#"{"stream":"records","epoch":1,"first":1}"#)).contains("last"));
        let many =
            vec![r#"{"stream":"records","epoch":1,"first":1,"last":1}"#; TAKEN_RANGES_MAX + 1];
        assert!(refused(&one(&many.join(","))).contains("ranges"));
        assert!(refused(&" ".repeat(TAKEN_BYTES_MAX + 1)).contains("bytes"));
    }

    #[test]
    fn only_a_machine_of_this_gateway_can_be_named() {
        for topic in [
            "retrotap/1/aachen/cell-4/robot-1/taken",
            "retrotap/1/aachen/cell-3/taken",
            "retrotap/1/aachen/cell-3//taken",
            "retrotap/1/aachen/cell-3/a/b/taken",
            "retrotap/1/aachen/cell-3/robot-1/records",
        ] {
            let parsed = Taken::parse(ROOT, topic.as_bytes(), br#"{"v":1,"taken":[]}"#);
            assert_eq!(parsed, Err(TakenError::Topic), "{topic}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(topic in any::<Vec<u8>>(), payload in any::<Vec<u8>>()) {
            let _ = Taken::parse(ROOT, &topic, &payload);
            let _ = Taken::parse(ROOT, TOPIC, &payload);
        }
    }
}
