//! Points on their way to the database, with the records that they were made of: where one is
//! refused, it is the record as it came that goes to `retrotap.refused`.

use std::ops::Range;
use std::time::Instant;

use super::offsets::Progress;
use super::point::{self, NoPoint};
use super::schemas::Schemas;

/// How much goes into one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Points at most.
    pub points: usize,
    /// Bytes of line protocol at most, before compression.
    pub bytes: usize,
}

/// A record as Kafka has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its JSON.
    pub json: &'a [u8],
    /// Its partition.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
}

/// Points, their records, and what may be committed once they are written.
#[derive(Debug, Default)]
pub struct Batch {
    lines: Vec<u8>,
    points: Vec<Place>,
    sources: Vec<u8>,
    /// Records that are none, with the reason.
    hopeless: Vec<(Place, NoPoint)>,
    /// What is written once this batch is.
    pub progress: Progress,
    began: Option<Instant>,
}

/// Where a record and its line end, and where it came from.
#[derive(Debug, Clone, Copy)]
struct Place {
    line_end: u32,
    key_begin: u32,
    key_end: u32,
    json_end: u32,
    partition: i32,
    offset: i64,
}

impl Batch {
    /// Adds a record; as a point, or as one that can't be one.
    pub fn add(&mut self, source: Source<'_>, schemas: &Schemas) {
        self.began.get_or_insert_with(Instant::now);
        let end = |bytes: &Vec<u8>| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let key_begin = end(&self.sources);
        self.sources.extend_from_slice(source.key);
        let key_end = end(&self.sources);
        self.sources.extend_from_slice(source.json);
        let made = point::write(&mut self.lines, source.json, schemas, "");
        let place = Place {
            line_end: end(&self.lines),
            key_begin,
            key_end,
            json_end: end(&self.sources),
            partition: source.partition,
            offset: source.offset,
        };
        match made {
            Ok(()) => self.points.push(place),
            Err(why) => self.hopeless.push((place, why)),
        }
    }

    /// Whether it should be written.
    pub fn is_full(&self, limits: Limits) -> bool {
        self.points.len() + self.hopeless.len() >= limits.points
            || self.lines.len() >= limits.bytes
            // Where all is hopeless there are no lines to be counted.
            || self.sources.len() >= 8 * limits.bytes
    }

    /// Whether nothing came.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.hopeless.is_empty()
    }

    /// When the first record came.
    pub fn began(&self) -> Option<Instant> {
        self.began
    }

    /// How many points there are.
    pub fn points(&self) -> usize {
        self.points.len()
    }

    /// The lines of some points.
    pub fn lines(&self, points: &Range<usize>) -> &[u8] {
        let end = |at: usize| {
            self.points
                .get(at)
                .map_or(0, |place| place.line_end as usize)
        };
        let from = points.start.checked_sub(1).map_or(0, end);
        let to = points.end.checked_sub(1).map_or(0, end);
        self.lines.get(from..to).unwrap_or_default()
    }

    /// The record of a point.
    pub fn source(&self, point: usize) -> Option<Source<'_>> {
        self.points.get(point).and_then(|place| self.at(place))
    }

    /// Records that can't become points.
    pub fn hopeless(&self) -> impl Iterator<Item = (Source<'_>, &NoPoint)> {
        self.hopeless
            .iter()
            .filter_map(|(place, why)| Some((self.at(place)?, why)))
    }

    /// Empties it, and keeps its memory for the next.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.points.clear();
        self.sources.clear();
        self.hopeless.clear();
        self.progress.clear();
        self.began = None;
    }

    fn at(&self, place: &Place) -> Option<Source<'_>> {
        Some(Source {
            key: self
                .sources
                .get(place.key_begin as usize..place.key_end as usize)?,
            json: self
                .sources
                .get(place.key_end as usize..place.json_end as usize)?,
            partition: place.partition,
            offset: place.offset,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: u64) -> String {
        format!(
            r#"{{"v":1,"site":"a","gateway":"b","machine":"c","record":"r","epoch":1,"seq":{seq},"t":"2026-11-20T10:55:00.000000000Z","clock":"synced","module":"m@1.0.0","frame":1,"fields":{{"x":1.0}}}}"#
        )
    }

    fn batch(records: &[&str]) -> Batch {
        let mut batch = Batch::default();
        for (offset, json) in (100..).zip(records) {
            let source = Source {
                key: b"a/b/c",
                json: json.as_bytes(),
                partition: 2,
                offset,
            };
            batch.add(source, &Schemas::default());
        }
        batch
    }

    #[test]
    fn any_run_of_points_has_its_lines_and_records() {
        let (one, two, three) = (record(1), record(2), record(3));
        let batch = batch(&[&one, "no record", &two, &three]);
        assert_eq!(batch.points(), 3);
        let seqs = |range: Range<usize>| -> Vec<bool> {
            let text = String::from_utf8(batch.lines(&range).to_vec()).expect("UTF-8");
            (1..=3)
                .map(|seq| text.contains(&format!("seq={seq}i")))
                .collect()
        };
        assert_eq!(seqs(0..3), [true, true, true]);
        assert_eq!(seqs(0..1), [true, false, false]);
        assert_eq!(seqs(1..2), [false, true, false]);
        assert_eq!(seqs(1..3), [false, true, true]);
        assert_eq!(batch.lines(&(0..0)), b"");
        let source = batch.source(1).expect("a point");
        assert_eq!((source.json, source.offset), (two.as_bytes(), 102));
        assert_eq!((source.key, source.partition), (&b"a/b/c"[..], 2));
        let hopeless: Vec<_> = batch
            .hopeless()
            .map(|(source, _)| (source.json, source.offset))
            .collect();
        assert_eq!(hopeless, [(&b"no record"[..], 101)]);
    }

    #[test]
    fn a_batch_is_full_by_points_or_by_bytes() {
        let one = record(1);
        let two = batch(&[&one, &one]);
        for (points, bytes, full) in [(3, 10_000, false), (2, 10_000, true), (3, 10, true)] {
            assert_eq!(two.is_full(Limits { points, bytes }), full);
        }
    }

    #[test]
    fn an_emptied_batch_is_like_a_new_one() {
        let one = record(1);
        let mut batch = batch(&[&one, "no record"]);
        assert!(batch.began().is_some());
        batch.clear();
        assert!(batch.is_empty());
        assert_eq!(batch.began(), None);
        assert_eq!(batch.hopeless().count(), 0);
    }
}
