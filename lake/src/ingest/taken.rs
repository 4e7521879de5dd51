//! What a gateway is told that Kafka has.

use std::fmt::Write as _;

use retrotap::words::Stream;

use crate::limits::TAKEN_RANGES_MAX;

/// Entries of one machine, stream and epoch, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Which stream.
    pub stream: Stream,
    /// Which epoch.
    pub epoch: u64,
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// Ranges by the topic on which they are to be told, in the order in which they came.
#[derive(Debug, Default)]
pub struct Taken {
    by_topic: Vec<(String, Vec<Range>)>,
}

impl Taken {
    /// Adds a range; one that goes on where the last one ended makes that one longer.
    pub fn add(&mut self, topic: String, range: Range) {
        let ranges = match self
            .by_topic
            .iter_mut()
            .rev()
            .find(|(known, ranges)| *known == topic && ranges.len() < TAKEN_RANGES_MAX)
        {
            Some((_, ranges)) => ranges,
            None => {
                self.by_topic.push((topic, Vec::new()));
                match self.by_topic.last_mut() {
                    Some((_, ranges)) => ranges,
                    None => return,
                }
            }
        };
        let before = ranges.iter_mut().rev().find(|r| r.stream == range.stream);
        match before {
            Some(before)
                if before.epoch == range.epoch
                    && before.last.checked_add(1) == Some(range.first) =>
            {
                before.last = range.last;
            }
            _ => ranges.push(range),
        }
    }

    /// The messages: topic and payload.
    pub fn messages(self) -> impl Iterator<Item = (String, String)> {
        self.by_topic
            .into_iter()
            .map(|(topic, ranges)| (topic, payload(&ranges)))
    }
}

fn payload(ranges: &[Range]) -> String {
    let mut json = String::with_capacity(24 + 96 * ranges.len());
    json.push_str(r#"{"v":1,"taken":["#);
    for (index, range) in ranges.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        // Writing to a String can't fail.
        let _ = write!(
            json,
            r#"{comma}{{"stream":"{}","epoch":{},"first":{},"last":{}}}"#,
            range.stream.name(),
            range.epoch,
            range.first,
            range.last
        );
    }
    json.push_str("]}");
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(stream: Stream, epoch: u64, first: u64, last: u64) -> Range {
        Range {
            stream,
            epoch,
            first,
            last,
        }
    }

    fn told(ranges: &[(&str, Range)]) -> Vec<(String, String)> {
        let mut taken = Taken::default();
        for (topic, range) in ranges {
            taken.add((*topic).to_owned(), *range);
        }
        taken.messages().collect()
    }

    #[test]
    fn the_payload_is_the_one_that_gateways_read() {
        assert_eq!(
            told(&[("t", range(Stream::Records, 1_795_186_221, 174, 201))]),
            [(
                "t".to_owned(),
                r#"{"v":1,"taken":[{"stream":"records","epoch":1795186221,"first":174,"last":201}]}"#
                    .to_owned()
            )]
        );
    }

    #[test]
    fn ranges_that_touch_become_one_and_others_do_not() {
        let messages = told(&[
            ("t", range(Stream::Records, 1, 1, 5)),
            ("t", range(Stream::Frames, 1, 6, 9)),
            ("t", range(Stream::Records, 1, 6, 9)),
            ("t", range(Stream::Records, 1, 11, 12)),
            ("t", range(Stream::Records, 2, 13, 13)),
            ("u", range(Stream::Records, 2, 14, 14)),
        ]);
        let json: Vec<serde_json::Value> = messages
            .iter()
            .map(|(_, payload)| serde_json::from_str(payload).expect("JSON"))
            .collect();
        assert_eq!(messages.len(), 2);
        assert_eq!(
            json[0]["taken"],
            serde_json::json!([
                {"stream": "records", "epoch": 1, "first": 1, "last": 9},
                {"stream": "frames", "epoch": 1, "first": 6, "last": 9},
                {"stream": "records", "epoch": 1, "first": 11, "last": 12},
                {"stream": "records", "epoch": 2, "first": 13, "last": 13},
            ])
        );
    }

    #[test]
    fn a_message_has_a_bounded_number_of_ranges() {
        let many: Vec<_> = (0..1000)
            .map(|n| ("t", range(Stream::Records, 1, 10 * n + 1, 10 * n + 2)))
            .collect();
        let messages = told(&many);
        assert_eq!(messages.len(), 1000_usize.div_ceil(TAKEN_RANGES_MAX));
    }
}
