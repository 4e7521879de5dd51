//! What is missing, and the `gap` records that tell of it.
//!
//! A gap stands in the stream whose numbers it explains, and its JSON is the only note of the loss
//! that is kept: when a gap is dropped itself, what it told is read from there and told again.

use serde::Deserialize;

use super::json::Fields;
use super::ranges::Span;
use crate::config::limits::GAPS_PENDING_MAX;
use crate::time;
use crate::words::{ClockState, Entry, Record, Stamp};

/// The record that stands for what is missing.
pub(super) const GAP: &str = "gap";
/// Who makes `gap` records.
const GAP_MODULE: &str = concat!("retrotap@", env!("CARGO_PKG_VERSION"));

/// Why entries are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropCause {
    /// The spool didn't take them in time; they never had a number.
    IntakeFull,
    /// They were the oldest when the spool was full.
    SpoolFull,
    /// They were older than the settings let the spool keep anything.
    SpoolAge,
    /// They were the oldest that were not on disk yet when the disk was full.
    DiskFull,
    /// They can't be read from the disk any more.
    Damaged,
    /// Nobody will ever take them: larger than the broker accepts, or a payload that it refuses.
    Refused,
    /// The gateway was not stopped cleanly. What was younger than the last write never had a place
    /// to be counted in.
    Restart,
}

impl DropCause {
    const ALL: [Self; 7] = [
        Self::IntakeFull,
        Self::SpoolFull,
        Self::SpoolAge,
        Self::DiskFull,
        Self::Damaged,
        Self::Refused,
        Self::Restart,
    ];

    /// As it stands in the `gap` record and in counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::IntakeFull => "intake_full",
            Self::SpoolFull => "spool_full",
            Self::SpoolAge => "spool_age",
            Self::DiskFull => "disk_full",
            Self::Damaged => "damaged",
            Self::Refused => "refused",
            Self::Restart => "restart",
        }
    }
}

/// Missing entries that no `gap` record tells of yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    pub cause: DropCause,
    /// None where nobody can know.
    pub count: Option<u64>,
    /// Unix nanoseconds of the first and the last of them.
    pub since_ns: i64,
    pub until_ns: i64,
    pub clock: ClockState,
    /// Their numbers, where they had some.
    pub numbers: Option<Span>,
}

impl Lost {
    /// `other` came after `self`, or tells of what came before.
    fn join(&mut self, other: &Self) {
        self.count = match (self.count, other.count) {
            (Some(one), Some(two)) => Some(one + two),
            _ => None,
        };
        self.since_ns = self.since_ns.min(other.since_ns);
        self.until_ns = self.until_ns.max(other.until_ns);
        self.clock = other.clock;
        self.numbers = match (self.numbers, other.numbers) {
            (Some(one), Some(two)) if one.epoch == two.epoch => Some(Span {
                epoch: one.epoch,
                first: one.first.min(two.first),
                last: one.last.max(two.last),
            }),
            _ => None,
        };
    }

    /// Whether both together are one loss, with numbers that have no hole.
    fn continues(&self, other: &Self) -> bool {
        self.cause == other.cause
            && match (self.numbers, other.numbers) {
                (None, None) => true,
                (Some(one), Some(two)) => {
                    one.epoch == two.epoch
                        && (one.last.checked_add(1) == Some(two.first)
                            || two.last.checked_add(1) == Some(one.first))
                }
                _ => false,
            }
    }

    /// The record that tells of it.
    pub fn record(&self) -> Record {
        let mut fields = Fields::new();
        fields.text("reason", self.cause.name());
        let mut whole = |name: &str, value: u64| {
            fields.integer(name, i64::try_from(value).unwrap_or(i64::MAX));
        };
        if let Some(count) = self.count {
            whole("count", count);
        }
        if let Some(Span { epoch, first, last }) = self.numbers {
            whole("of_epoch", epoch);
            whole("first", first);
            whole("last", last);
        }
        fields.text("since", &time::rfc3339(self.since_ns));
        fields.text("until", &time::rfc3339(self.until_ns));
        Record {
            name: GAP.into(),
            module: GAP_MODULE.into(),
            at: Stamp {
                line_ns: 0,
                wall_ns: self.until_ns,
            },
            clock: self.clock,
            frame: 0,
            fields: fields.finish(),
        }
    }

    /// What an entry tells of; `None` if it isn't a gap.
    pub fn told_by_entry(entry: &Entry) -> Option<Self> {
        if &*entry.record == GAP {
            Self::told_by(&entry.json)
        } else {
            None
        }
    }

    fn told_by(json: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Gap<'a> {
            record: Option<&'a str>,
            clock: Clock,
            fields: Option<Told>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Clock {
            Synced,
            Unsynced,
            Capture,
        }
        #[derive(Deserialize)]
        struct Told {
            reason: String,
            count: Option<u64>,
            of_epoch: Option<u64>,
            first: Option<u64>,
            last: Option<u64>,
            since: String,
            until: String,
        }
        let gap: Gap<'_> = serde_json::from_str(json).ok()?;
        if gap.record != Some(GAP) {
            return None;
        }
        let told = gap.fields?;
        let cause = DropCause::ALL
            .into_iter()
            .find(|cause| cause.name() == told.reason)?;
        let numbers = match (told.of_epoch, told.first, told.last) {
            (Some(epoch), Some(first), Some(last)) if first <= last => {
                Some(Span { epoch, first, last })
            }
            _ => None,
        };
        Some(Self {
            cause,
            count: told.count,
            since_ns: time::parse_rfc3339(&told.since)?,
            until_ns: time::parse_rfc3339(&told.until)?,
            clock: match gap.clock {
                Clock::Synced => ClockState::Synced,
                Clock::Unsynced => ClockState::Unsynced,
                Clock::Capture => ClockState::Capture,
            },
            numbers,
        })
    }
}

/// The losses of one stream that are to be told. Few, whatever happens: what continues another is
/// joined with it, and when there are too many the oldest two of one cause and epoch are, and then
/// the numbers in between are no longer all missing, but the count is right.
#[derive(Debug, Default)]
pub(super) struct Losses(Vec<Lost>);

impl Losses {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them has numbers, which nothing else explains.
    pub fn has_numbers(&self) -> bool {
        self.0.iter().any(|lost| lost.numbers.is_some())
    }

    pub fn take(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.0)
    }

    pub fn add(&mut self, lost: Lost) {
        if let Some(index) = self.0.iter().position(|held| held.continues(&lost)) {
            let mut whole = self.0.remove(index);
            whole.join(&lost);
            // It may close the hole between two.
            return self.add(whole);
        }
        self.0.push(lost);
        if self.0.len() > GAPS_PENDING_MAX {
            let oldest = self.0.remove(0);
            let alike = |held: &&mut Lost| {
                held.cause == oldest.cause
                    && held.numbers.map(|span| span.epoch) == oldest.numbers.map(|span| span.epoch)
            };
            if let Some(held) = self.0.iter_mut().find(alike) {
                held.join(&oldest);
            } else if let Some(held) = self.0.first_mut() {
                held.numbers = None;
                held.join(&Lost {
                    numbers: None,
                    ..oldest
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(cause: DropCause, numbers: Option<(u64, u64, u64)>) -> Lost {
        let numbers = numbers.map(|(epoch, first, last)| Span { epoch, first, last });
        Lost {
            cause,
            count: Some(numbers.map_or(1, |span| span.count())),
            since_ns: 5,
            until_ns: 1_795_172_100_123_456_789,
            clock: ClockState::Unsynced,
            numbers,
        }
    }

    #[test]
    fn a_gap_tells_what_it_was_made_of() {
        let identity = crate::words::Identity {
            site: "s".into(),
            gateway: "g".into(),
            machine: "m".into(),
        };
        let mut numbering = super::super::Numbering::new(identity, 7);
        for cause in DropCause::ALL {
            for numbers in [None, Some((7, 3, 9))] {
                let mut lost = lost(cause, numbers);
                if cause == DropCause::Restart {
                    lost.count = None;
                }
                let json = numbering.record(&lost.record());
                assert_eq!(Lost::told_by(&json), Some(lost));
            }
        }
        assert_eq!(Lost::told_by("{}"), None);
        assert_eq!(Lost::told_by("not JSON"), None);
    }

    #[test]
    fn neighbours_are_one_loss_and_others_stay_apart() {
        let mut losses = Losses::default();
        for (first, last) in [(1, 4), (8, 9), (5, 7), (20, 20)] {
            losses.add(lost(DropCause::SpoolFull, Some((1, first, last))));
        }
        losses.add(lost(DropCause::Refused, Some((1, 10, 10))));
        losses.add(lost(DropCause::SpoolFull, Some((2, 21, 21))));
        let told: Vec<_> = losses
            .take()
            .iter()
            .map(|lost| (lost.cause, lost.numbers, lost.count))
            .collect();
        let span = |epoch, first, last| Some(Span { epoch, first, last });
        assert_eq!(told.len(), 4);
        assert!(told.contains(&(DropCause::SpoolFull, span(1, 1, 9), Some(9))));
        assert!(told.contains(&(DropCause::SpoolFull, span(1, 20, 20), Some(1))));
        assert!(told.contains(&(DropCause::SpoolFull, span(2, 21, 21), Some(1))));
        assert!(told.contains(&(DropCause::Refused, span(1, 10, 10), Some(1))));
    }

    #[test]
    fn gaps_stay_few_and_their_counts_right() {
        for epochs in [1, 1000] {
            let mut losses = Losses::default();
            for index in 0..1000 {
                losses.add(lost(
                    DropCause::SpoolFull,
                    Some((index % epochs, 2 * index + 1, 2 * index + 1)),
                ));
            }
            let told = losses.take();
            assert!(told.len() <= GAPS_PENDING_MAX);
            assert_eq!(told.iter().filter_map(|lost| lost.count).sum::<u64>(), 1000);
            if epochs == 1 {
                assert!(told.iter().all(|lost| lost.numbers.is_some()));
            }
        }
    }
}
