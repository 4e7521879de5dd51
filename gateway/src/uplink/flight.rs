//! How much may be on its way at once, as plain values: no clock, no socket.
//!
//! Two bounds, because two things are waited for. A PUBACK says that the way is free again:
//! [`Flight`] counts those that are missing, and keeps the backlog's share small enough that a live
//! record never queues behind it for long. The lake's `taken` says that an entry has arrived:
//! [`Untaken`] remembers what was sent until then, and says what to send again when it doesn't come.
//!
//! What holds: both are bounded, and live entries always have a place that the backlog can't take.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::taken::Taken;
use crate::config::limits::{
    BACKLOG_IN_FLIGHT_BYTES_MAX, BACKLOG_QUEUEING_MAX, BATCH_BYTES_MAX, TAKEN_TIMEOUT,
    UNTAKEN_BACKLOG_BYTES_MAX, UNTAKEN_LIVE_BYTES_MAX,
};
use crate::spool::{Batch, Lane, Lanes};

/// Batches that wait for their PUBACK.
#[derive(Debug)]
pub(super) struct Flight {
    messages_max: usize,
    live: usize,
    backlog: usize,
    backlog_bytes: usize,
    /// Grows while the backlog's PUBACKs come quickly, halves when they don't: with one TCP
    /// connection for both lanes, what is in flight of the backlog is what a live record waits for.
    backlog_bytes_max: usize,
}

impl Flight {
    pub fn new(messages_max: usize) -> Self {
        Self {
            messages_max,
            live: 0,
            backlog: 0,
            backlog_bytes: 0,
            backlog_bytes_max: BATCH_BYTES_MAX,
        }
    }

    /// Which lanes may send a batch now.
    pub fn lanes(&self) -> Lanes {
        let free = self.live + self.backlog < self.messages_max;
        // A broker that takes one message at a time leaves no place to keep for live ones.
        let backlog_max = (self.messages_max / 2).max(1);
        Lanes {
            live: free,
            backlog: free
                && self.backlog < backlog_max
                && (self.backlog == 0
                    || self.backlog_bytes + BATCH_BYTES_MAX <= self.backlog_bytes_max),
        }
    }

    pub fn sent(&mut self, lane: Lane, bytes: usize) {
        match lane {
            Lane::Live => self.live += 1,
            Lane::Backlog => {
                self.backlog += 1;
                self.backlog_bytes += bytes;
            }
        }
    }

    /// The PUBACK came, so long after the publish.
    pub fn acknowledged(&mut self, lane: Lane, bytes: usize, after: Duration) {
        match lane {
            Lane::Live => self.live = self.live.saturating_sub(1),
            Lane::Backlog => {
                self.backlog = self.backlog.saturating_sub(1);
                self.backlog_bytes = self.backlog_bytes.saturating_sub(bytes);
                self.backlog_bytes_max = if after > BACKLOG_QUEUEING_MAX {
                    (self.backlog_bytes_max / 2).max(BATCH_BYTES_MAX)
                } else {
                    (self.backlog_bytes_max + BATCH_BYTES_MAX).min(BACKLOG_IN_FLIGHT_BYTES_MAX)
                };
            }
        }
    }
}

/// A batch that was sent and isn't known to be taken.
#[derive(Debug)]
struct Sent {
    batch: Batch,
    bytes: usize,
    at: Instant,
}

/// What was sent in this session and the lake has not said it has.
#[derive(Debug, Default)]
pub(super) struct Untaken {
    /// In the order of `at`.
    sent: VecDeque<Sent>,
    live_bytes: usize,
    backlog_bytes: usize,
    /// Since when the lake is asked whether it is back: with one batch, and nothing else is sent.
    probing_since: Option<Instant>,
}

impl Untaken {
    /// Which lanes may send.
    pub fn lanes(&self) -> Lanes {
        let answers = self.probing_since.is_none();
        Lanes {
            live: answers && self.live_bytes < UNTAKEN_LIVE_BYTES_MAX,
            backlog: answers && self.backlog_bytes < UNTAKEN_BACKLOG_BYTES_MAX,
        }
    }

    pub fn sent(&mut self, batch: Batch, bytes: usize, now: Instant) {
        *self.bytes_of(batch.lane) += bytes;
        let at = now;
        self.sent.push_back(Sent { batch, bytes, at });
    }

    /// The lake has these. A batch of which it has only a part is kept whole: sending all of it
    /// again costs less than keeping account of parts, and changes nothing there.
    pub fn taken(&mut self, taken: &Taken) {
        for range in &taken.ranges {
            let is_taken = |batch: &Batch| {
                *batch.machine == *taken.machine
                    && batch.stream == range.stream
                    && batch.epoch() == range.epoch
                    && range.first <= batch.first()
                    && batch.last() <= range.last
            };
            for index in (0..self.sent.len()).rev() {
                if self
                    .sent
                    .get(index)
                    .is_some_and(|sent| is_taken(&sent.batch))
                {
                    self.probing_since = None;
                    self.forget(index);
                }
            }
        }
    }

    /// A batch that will never be taken.
    pub fn refused(&mut self, batch: &Batch) {
        if let Some(index) = self.sent.iter().position(|sent| sent.batch == *batch) {
            self.forget(index);
        }
    }

    /// When [`Untaken::again`] has something to send.
    pub fn again_at(&self) -> Option<Instant> {
        let oldest = self.sent.front()?;
        Some(self.probing_since.unwrap_or(oldest.at) + TAKEN_TIMEOUT)
    }

    /// The oldest batch, if the lake was silent about it for too long; it counts as sent once more.
    /// Until the lake says that it has any, nothing but this one goes out.
    pub fn again(&mut self, now: Instant) -> Option<Batch> {
        if self.again_at()? > now {
            return None;
        }
        let mut sent = self.sent.pop_front()?;
        sent.at = now;
        self.probing_since = Some(now);
        let batch = sent.batch.clone();
        self.sent.push_back(sent);
        Some(batch)
    }

    fn forget(&mut self, index: usize) {
        if let Some(sent) = self.sent.remove(index) {
            *self.bytes_of(sent.batch.lane) -= sent.bytes;
        }
    }

    fn bytes_of(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Live => &mut self.live_bytes,
            Lane::Backlog => &mut self.backlog_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::taken::Range;
    use super::*;
    use crate::words::{Entry, Stream};

    fn batch(lane: Lane, first: u64, last: u64) -> Batch {
        let entries = (first..=last)
            .map(|seq| Entry {
                machine: "robot-1".into(),
                stream: Stream::Records,
                record: "pose".into(),
                epoch: 7,
                seq,
                line_ns: 0,
                t_unix_ns: 0,
                json: "{}".into(),
            })
            .collect();
        Batch {
            machine: "robot-1".into(),
            stream: Stream::Records,
            lane,
            entries,
        }
    }

    fn taken(epoch: u64, first: u64, last: u64) -> Taken {
        let stream = Stream::Records;
        Taken {
            machine: "robot-1".into(),
            ranges: vec![Range {
                stream,
                epoch,
                first,
                last,
            }],
        }
    }

    #[test]
    fn live_batches_have_a_place_however_much_of_the_backlog_is_on_its_way() {
        let mut flight = Flight::new(16);
        while flight.lanes().backlog {
            flight.sent(Lane::Backlog, BATCH_BYTES_MAX);
            flight.acknowledged(Lane::Backlog, BATCH_BYTES_MAX, Duration::from_millis(1));
            flight.sent(Lane::Backlog, BATCH_BYTES_MAX);
        }
        assert!(flight.lanes().live);
        assert!(flight.backlog <= 8);
    }

    #[test]
    fn on_a_slow_way_the_backlog_keeps_one_batch_in_flight_and_grows_when_it_is_quick_again() {
        let mut flight = Flight::new(16);
        let round = |flight: &mut Flight, after: Duration| {
            let mut count = 0;
            while flight.lanes().backlog {
                flight.sent(Lane::Backlog, BATCH_BYTES_MAX);
                count += 1;
            }
            for _ in 0..count {
                flight.acknowledged(Lane::Backlog, BATCH_BYTES_MAX, after);
            }
            count
        };
        for _ in 0..8 {
            round(&mut flight, Duration::from_millis(1));
        }
        assert_eq!(round(&mut flight, Duration::from_secs(2)), 8);
        for _ in 0..4 {
            round(&mut flight, Duration::from_secs(2));
        }
        assert_eq!(round(&mut flight, Duration::from_millis(1)), 1);
        assert!(round(&mut flight, Duration::from_millis(1)) > 1);
    }

    #[test]
    fn a_broker_that_takes_one_message_at_a_time_gets_both_lanes() {
        let mut flight = Flight::new(1);
        assert!(flight.lanes().live && flight.lanes().backlog);
        flight.sent(Lane::Backlog, 10);
        assert!(!flight.lanes().live && !flight.lanes().backlog);
    }

    #[test]
    fn what_the_lake_does_not_say_it_has_is_sent_again_one_at_a_time_until_it_answers() {
        let began = Instant::now();
        let mut untaken = Untaken::default();
        untaken.sent(batch(Lane::Backlog, 1, 10), 100, began);
        untaken.sent(batch(Lane::Live, 11, 20), 100, began);
        assert_eq!(untaken.again(began), None);
        let late = began + TAKEN_TIMEOUT;
        assert_eq!(untaken.again(late), Some(batch(Lane::Backlog, 1, 10)));
        assert_eq!(untaken.again(late), None, "one is enough to ask");
        assert!(!untaken.lanes().live && !untaken.lanes().backlog);
        let later = late + TAKEN_TIMEOUT;
        assert_eq!(untaken.again(later), Some(batch(Lane::Live, 11, 20)));
        untaken.taken(&taken(7, 1, 10));
        assert!(untaken.lanes().live && untaken.lanes().backlog);
        untaken.taken(&taken(7, 11, 20));
        assert_eq!(untaken.again_at(), None);
        assert_eq!((untaken.live_bytes, untaken.backlog_bytes), (0, 0));
    }

    #[test]
    fn only_the_whole_batch_by_its_own_name_is_taken() {
        let mut untaken = Untaken::default();
        untaken.sent(batch(Lane::Live, 11, 20), 100, Instant::now());
        for other in [
            taken(6, 11, 20),
            taken(7, 11, 19),
            taken(7, 12, 20),
            taken(7, 1, 10),
        ] {
            untaken.taken(&other);
            assert!(untaken.again_at().is_some(), "{other:?}");
        }
        untaken.taken(&taken(7, 1, 100));
        assert_eq!(untaken.again_at(), None);
    }

    #[test]
    fn what_is_sent_and_not_taken_is_bounded_and_leaves_room_for_live_batches() {
        let (mut untaken, now) = (Untaken::default(), Instant::now());
        while untaken.lanes().backlog {
            untaken.sent(batch(Lane::Backlog, 1, 1), BATCH_BYTES_MAX, now);
        }
        assert!(untaken.lanes().live);
        while untaken.lanes().live {
            untaken.sent(batch(Lane::Live, 1, 1), BATCH_BYTES_MAX, now);
        }
        let bytes = untaken.live_bytes + untaken.backlog_bytes;
        assert!(bytes <= UNTAKEN_LIVE_BYTES_MAX + UNTAKEN_BACKLOG_BYTES_MAX + 2 * BATCH_BYTES_MAX);
    }
}
