//! A spool seen from outside: what it holds, all of it as lines, and whether it is whole. Reads only,
//! also beside a gateway that writes, and then sees what was stored with the last sync and what the
//! tail has since.
//!
//! What it doesn't do: change anything, or take the lock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::open::{left, shares, states_left};
use super::ranges::{Ranges, Span};
use super::store::{Meta, Place, StoreError, View};
use super::{OpenError, store, tail};
use crate::words::{Entry, Stream};

/// A spool that is looked at.
#[derive(Debug)]
pub struct Look {
    view: View,
    max_bytes: u64,
    disk_bytes: u64,
    clean: bool,
    places: Vec<Place>,
    /// What the tail has and the database doesn't.
    tail: Vec<Entry>,
    unreleased: BTreeMap<(Arc<str>, Stream), Ranges>,
}

/// What a spool holds.
#[derive(Debug, Clone, Serialize)]
pub struct Held {
    /// What the settings let it take.
    pub max_bytes: u64,
    /// What its files take.
    pub disk_bytes: u64,
    /// Whether it was stopped cleanly and doesn't run.
    pub clean: bool,
    /// Entries that nobody took yet.
    pub unreleased: u64,
    /// Unix nanoseconds of the oldest of them.
    pub oldest_unreleased_unix_ns: Option<i64>,
    /// For how many hours there is room at the rate that it has seen; absent until it has seen
    /// something.
    pub hours: Option<f64>,
    /// By machine, stream and epoch.
    pub parts: Vec<Part>,
    /// Bytes of the database for an hour in which something came.
    #[serde(skip)]
    bytes_per_hour: Option<f64>,
}

impl Held {
    /// For how many hours there would be room with other settings.
    pub fn hours_in(&self, max_bytes: u64) -> Option<f64> {
        let (_, limits) = shares(max_bytes);
        let room = limits.bytes_max.saturating_sub(limits.spare_bytes);
        Some(room as f64 / self.bytes_per_hour?)
    }
}

/// What it holds of one machine, stream and epoch.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// The machine.
    pub machine: String,
    /// Its stream.
    pub stream: Stream,
    /// The epoch.
    pub epoch: u64,
    /// The least number held.
    pub first: u64,
    /// The greatest number held.
    pub last: u64,
    /// How many are held.
    pub entries: u64,
    /// How many of them nobody took yet.
    pub unreleased: u64,
    /// Unix nanoseconds of the oldest.
    pub since_unix_ns: i64,
    /// Unix nanoseconds of the newest.
    pub until_unix_ns: i64,
    /// Compressed bytes in the database.
    pub packed_bytes: u64,
    /// Nanoseconds in which something came.
    #[serde(skip)]
    active_ns: i64,
}

/// Which entries to look at; what isn't said is no matter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this machine.
    pub machine: Option<String>,
    /// Of this stream.
    pub stream: Option<Stream>,
    /// Records of this name; `frame` and `input` for those.
    pub record: Option<String>,
    /// Not older, Unix nanoseconds.
    pub since_unix_ns: Option<i64>,
    /// Not younger, Unix nanoseconds.
    pub until_unix_ns: Option<i64>,
    /// Only what nobody took yet.
    pub unreleased: bool,
}

impl Filter {
    fn may_hold(&self, place: &Place) -> bool {
        self.of_stream(&place.machine, place.stream)
            && self
                .since_unix_ns
                .is_none_or(|since| place.until_ns >= since)
            && self
                .until_unix_ns
                .is_none_or(|until| place.since_ns <= until)
    }

    fn of_stream(&self, machine: &str, stream: Stream) -> bool {
        self.machine.as_ref().is_none_or(|asked| asked == machine)
            && self.stream.is_none_or(|asked| asked == stream)
    }

    fn takes(&self, entry: &Entry) -> bool {
        self.of_stream(&entry.machine, entry.stream)
            && self
                .record
                .as_ref()
                .is_none_or(|asked| **asked == *entry.record)
            && self
                .since_unix_ns
                .is_none_or(|since| entry.t_unix_ns >= since)
            && self
                .until_unix_ns
                .is_none_or(|until| entry.t_unix_ns <= until)
    }
}

impl Look {
    /// Looks at the spool of a folder, or at a database that was put aside.
    ///
    /// # Errors
    ///
    /// There is none, or it can't be read.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let is_folder = path.is_dir();
        let database = if is_folder {
            path.join(store::FILE)
        } else {
            path.to_owned()
        };
        let fails = |error| OpenError::store(&database, error);
        // The tail first: what is stored in the meantime is then seen twice, and not missed.
        let found = if is_folder {
            let [a, b] = tail::FILES.map(|name| tail::look(&path.join(name)));
            [a?, b?]
        } else {
            Default::default()
        };
        let view = View::of_file(&database)?;
        view.hold().map_err(fails)?;
        let meta = view.meta().map_err(fails)?;
        let places = view.places().map_err(fails)?;
        let tail = left(&found, meta.generation);
        let Meta {
            clean, max_bytes, ..
        } = meta;
        let states = states_left(meta, &tail, true);
        Ok(Self {
            view,
            max_bytes,
            disk_bytes: disk_bytes(path, &database),
            clean: clean && tail.is_empty(),
            places,
            tail,
            unreleased: states
                .into_iter()
                .map(|state| ((state.machine, state.stream), state.unreleased))
                .collect(),
        })
    }

    /// What it holds.
    pub fn held(&self) -> Held {
        let mut parts: BTreeMap<(Arc<str>, Stream, u64), Part> = BTreeMap::new();
        let mut add = |machine: &Arc<str>, stream, span: Span, since_ns, until_ns, packed_bytes| {
            let part = parts
                .entry((Arc::clone(machine), stream, span.epoch))
                .or_insert_with(|| Part {
                    machine: machine.to_string(),
                    stream,
                    epoch: span.epoch,
                    first: span.first,
                    last: span.last,
                    entries: 0,
                    unreleased: 0,
                    since_unix_ns: since_ns,
                    until_unix_ns: until_ns,
                    packed_bytes: 0,
                    active_ns: 0,
                });
            part.first = part.first.min(span.first);
            part.last = part.last.max(span.last);
            part.entries += span.count();
            part.unreleased += self.unreleased_of(machine, stream, span);
            part.since_unix_ns = part.since_unix_ns.min(since_ns);
            part.until_unix_ns = part.until_unix_ns.max(until_ns);
            part.packed_bytes += packed_bytes;
            part.active_ns += until_ns.saturating_sub(since_ns).max(0);
        };
        for place in &self.places {
            let Place {
                machine,
                stream,
                span,
                ..
            } = place;
            add(
                machine,
                *stream,
                *span,
                place.since_ns,
                place.until_ns,
                place.packed_bytes,
            );
        }
        for entry in &self.tail {
            let span = Span {
                epoch: entry.epoch,
                first: entry.seq,
                last: entry.seq,
            };
            add(
                &entry.machine,
                entry.stream,
                span,
                entry.t_unix_ns,
                entry.t_unix_ns,
                0,
            );
        }
        let parts: Vec<Part> = parts.into_values().collect();
        let oldest = parts
            .iter()
            .filter_map(|part| self.oldest_unreleased(part))
            .min();
        let mut held = Held {
            max_bytes: self.max_bytes,
            disk_bytes: self.disk_bytes,
            clean: self.clean,
            unreleased: self.unreleased.values().map(Ranges::count).sum(),
            oldest_unreleased_unix_ns: oldest,
            hours: None,
            bytes_per_hour: self.bytes_per_hour(&parts),
            parts,
        };
        held.hours = held.hours_in(self.max_bytes);
        held
    }

    /// Hands over all entries that the filter takes, stream by stream in the order of their names.
    /// Blocks that can't be read are handed to `broken` instead.
    ///
    /// # Errors
    ///
    /// What `each` fails with.
    pub fn entries<E>(
        &self,
        filter: &Filter,
        mut each: impl FnMut(&Entry) -> Result<(), E>,
        mut broken: impl FnMut(&StoreError),
    ) -> Result<(), E> {
        let mut hand_over = |entry: &Entry| {
            let name = (entry.epoch, entry.seq);
            let held = || {
                let key = (Arc::clone(&entry.machine), entry.stream);
                self.unreleased
                    .get(&key)
                    .is_some_and(|ranges| ranges.contains(name))
            };
            if filter.takes(entry) && (!filter.unreleased || held()) {
                each(entry)
            } else {
                Ok(())
            }
        };
        let mut streams: Vec<(&Arc<str>, Stream)> = self
            .unreleased
            .keys()
            .map(|(machine, stream)| (machine, *stream))
            .collect();
        streams.sort_unstable();
        for (machine, stream) in streams {
            let of_stream = |place: &&Place| place.stream == stream && place.machine == *machine;
            for place in self
                .places
                .iter()
                .filter(of_stream)
                .filter(|place| filter.may_hold(place))
            {
                match self.view.entries(place) {
                    Ok(entries) => entries.iter().try_for_each(&mut hand_over)?,
                    Err(error) => broken(&error),
                }
            }
            let in_tail = |entry: &&Entry| entry.stream == stream && entry.machine == *machine;
            self.tail
                .iter()
                .filter(in_tail)
                .try_for_each(&mut hand_over)?;
        }
        Ok(())
    }

    /// Reads everything; says what is wrong and where, a sentence each. `progress` is told how many
    /// of how many blocks were read.
    pub fn verify(&self, mut progress: impl FnMut(usize, usize)) -> Vec<String> {
        let mut wrong = match self.view.check() {
            Ok(found) => found
                .into_iter()
                .map(|what| format!("database: {what}"))
                .collect(),
            Err(error) => vec![format!("database: {error}")],
        };
        let mut held: BTreeMap<(Arc<str>, Stream), Ranges> = BTreeMap::new();
        for (index, place) in self.places.iter().enumerate() {
            progress(index, self.places.len());
            let ranges = held
                .entry((Arc::clone(&place.machine), place.stream))
                .or_default();
            if !ranges.common(place.span).is_empty() {
                wrong.push(format!(
                    "{}: stands twice",
                    said(&place.machine, place.stream, place.span)
                ));
            }
            ranges.insert(place.span);
            match self.view.entries(place) {
                Ok(entries) => wrong.extend(entries.iter().filter_map(misnamed)),
                Err(error) => wrong.push(error.to_string()),
            }
        }
        for entry in &self.tail {
            let span = Span {
                epoch: entry.epoch,
                first: entry.seq,
                last: entry.seq,
            };
            wrong.extend(misnamed(entry));
            held.entry((Arc::clone(&entry.machine), entry.stream))
                .or_default()
                .insert(span);
        }
        for ((machine, stream), unreleased) in &self.unreleased {
            let mut missing = unreleased.clone();
            for span in held
                .get(&(Arc::clone(machine), *stream))
                .into_iter()
                .flat_map(Ranges::spans)
            {
                missing.remove(span);
            }
            wrong.extend(missing.spans().map(|span| {
                format!(
                    "{}: nobody took it, and it is gone",
                    said(machine, *stream, span)
                )
            }));
        }
        wrong
    }

    fn unreleased_of(&self, machine: &Arc<str>, stream: Stream, span: Span) -> u64 {
        let ranges = self.unreleased.get(&(Arc::clone(machine), stream));
        ranges.map_or(0, |ranges| {
            ranges.common(span).iter().map(Span::count).sum()
        })
    }

    /// Time of the block of the first unreleased entry of a part.
    fn oldest_unreleased(&self, part: &Part) -> Option<i64> {
        let first = self
            .unreleased
            .get(&(part.machine.as_str().into(), part.stream))?
            .first()?;
        let place = self.places.iter().find(|place| {
            *place.machine == *part.machine
                && place.stream == part.stream
                && place.span.contains(first)
        });
        let in_tail = || {
            let entry = self.tail.iter().find(|entry| {
                *entry.machine == *part.machine
                    && entry.stream == part.stream
                    && (entry.epoch, entry.seq) == first
            });
            entry.map(|entry| entry.t_unix_ns)
        };
        place.map(|place| place.since_ns).or_else(in_tail)
    }

    /// By the stream in which something came for longest.
    fn bytes_per_hour(&self, parts: &[Part]) -> Option<f64> {
        /// What a block takes in the database besides its content: its row, its place in the index,
        /// and what is left of its last page.
        const BLOCK_EXTRA_BYTES: u64 = 300;
        let mut active_ns: BTreeMap<(&str, Stream), i64> = BTreeMap::new();
        for part in parts {
            *active_ns.entry((&part.machine, part.stream)).or_default() += part.active_ns;
        }
        let active = Duration::from_nanos(active_ns.into_values().max()?.unsigned_abs());
        let packed: u64 = parts.iter().map(|part| part.packed_bytes).sum();
        let bytes = packed + BLOCK_EXTRA_BYTES * self.places.len() as u64;
        // A few seconds say nothing of a day.
        let enough = active >= Duration::from_secs(10) && bytes > 0;
        enough.then(|| bytes as f64 / active.as_secs_f64() * 3600.0)
    }
}

/// Bytes that the files take, or the one that is looked at.
fn disk_bytes(path: &Path, database: &Path) -> u64 {
    let files: Vec<PathBuf> = if path.is_dir() {
        let with = |more: &str| path.join(format!("{}{more}", store::FILE));
        let tail = tail::FILES.map(|name| path.join(name));
        tail.into_iter()
            .chain(["", "-wal", "-shm"].map(with))
            .collect()
    } else {
        vec![database.to_owned()]
    };
    let length = |file: &PathBuf| std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    files.iter().map(length).sum()
}

fn said(machine: &str, stream: Stream, Span { epoch, first, last }: Span) -> String {
    format!(
        "{machine}, {}, epoch {epoch}, {first} to {last}",
        stream.name()
    )
}

/// What is wrong with an entry whose JSON has another name than its place.
fn misnamed(entry: &Entry) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        machine: &'a str,
        epoch: u64,
        seq: u64,
    }
    let span = Span {
        epoch: entry.epoch,
        first: entry.seq,
        last: entry.seq,
    };
    match serde_json::from_str::<Named<'_>>(&entry.json) {
        Ok(named)
            if (named.machine, named.epoch, named.seq)
                == (&*entry.machine, entry.epoch, entry.seq) =>
        {
            None
        }
        Ok(named) => Some(format!(
            "{}: its JSON says {}, epoch {}, {}",
            said(&entry.machine, entry.stream, span),
            named.machine,
            named.epoch,
            named.seq
        )),
        Err(error) => Some(format!(
            "{}: its JSON: {error}",
            said(&entry.machine, entry.stream, span)
        )),
    }
}
