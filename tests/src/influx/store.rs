//! What the stand-in database keeps: every write of every point, by series and nanosecond.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use super::line_protocol::{Point, Series, Value, parse};

/// A point and how often it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its fields as they were written first.
    pub fields: BTreeMap<String, Value>,
    /// How often it was written with these very fields.
    pub writes: u64,
    /// Every write of other fields under the same name and time. A database shows the last one and
    /// says nothing; here each is a finding.
    pub conflicts: Vec<BTreeMap<String, Value>>,
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Points with a name and time of their own.
    pub points: u64,
    /// Writes that changed nothing.
    pub rewrites: u64,
    /// Writes of other fields to a point that was there.
    pub conflicts: u64,
}

/// A bucket's content.
#[derive(Debug, Clone, Default)]
pub struct Store {
    series: BTreeMap<Series, BTreeMap<i64, Kept>>,
    kinds: BTreeMap<String, BTreeMap<String, &'static str>>,
    counts: Counts,
}

impl Store {
    /// Writes points, times in nanoseconds. As the database does it, a point whose field has another
    /// type than before is left out and the others are written; what is left out is told.
    pub fn write(&mut self, points: Vec<Point>) -> Result<(), String> {
        let (mut left_out, mut first) = (0, None);
        for point in points {
            if let Err(why) = self.write_one(point) {
                left_out += 1;
                first.get_or_insert(why);
            }
        }
        match first {
            None => Ok(()),
            Some(why) => Err(format!("partial write: {why} dropped={left_out}")),
        }
    }

    fn write_one(&mut self, point: Point) -> Result<(), String> {
        let Point {
            series,
            fields,
            timestamp,
        } = point;
        let kinds = self.kinds.entry(series.measurement.clone()).or_default();
        for (name, value) in &fields {
            match kinds.get(name) {
                Some(kind) if *kind != value.kind() => {
                    return Err(format!(
                        "field type conflict: input field \"{name}\" on measurement \"{}\" is type \
                         {}, already exists as type {kind}",
                        series.measurement,
                        value.kind()
                    ));
                }
                _ => {}
            }
        }
        for (name, value) in &fields {
            kinds.entry(name.clone()).or_insert(value.kind());
        }
        match self.series.entry(series).or_default().entry(timestamp) {
            std::collections::btree_map::Entry::Vacant(place) => {
                self.counts.points += 1;
                place.insert(Kept {
                    fields,
                    writes: 1,
                    conflicts: Vec::new(),
                });
            }
            std::collections::btree_map::Entry::Occupied(mut place) => {
                let kept = place.get_mut();
                let same = kept.fields.len() == fields.len()
                    && kept
                        .fields
                        .iter()
                        .zip(&fields)
                        .all(|((one, a), (other, b))| one == other && a.same(b));
                if same {
                    self.counts.rewrites += 1;
                    kept.writes += 1;
                } else {
                    self.counts.conflicts += 1;
                    kept.conflicts.push(fields);
                }
            }
        }
        Ok(())
    }

    /// How many there are.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// All points, by series and time.
    pub fn points(&self) -> impl Iterator<Item = (&Series, i64, &Kept)> {
        self.series
            .iter()
            .flat_map(|(series, points)| points.iter().map(move |(at, kept)| (series, *at, kept)))
    }
}

/// A file to which each accepted write is appended before it is answered, so that a killed stand-in
/// has after its restart what it had answered for. One write is a line `bytes bucket` and the body.
#[derive(Debug)]
pub struct Journal(File);

impl Journal {
    /// Opens or makes the file, and gives what stands in it: bucket and body of each write.
    ///
    /// A last write that isn't whole was never answered; it is cut off.
    ///
    /// # Errors
    ///
    /// The file can't be read or written.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<(String, String)>)> {
        let content = match std::fs::read(path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let (writes, whole) = whole_writes(&content);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        file.set_len(whole as u64)?;
        drop(file);
        let file = File::options().append(true).open(path)?;
        Ok((Self(file), writes))
    }

    /// Appends a write, in the kernel's hands when this returns.
    ///
    /// # Errors
    ///
    /// The disk is full.
    pub fn append(&mut self, bucket: &str, body: &str) -> io::Result<()> {
        let whole = format!("{} {bucket}\n{body}", body.len());
        self.0.write_all(whole.as_bytes())
    }

    /// The content of a bucket from its file, for a judge that comes when all is over.
    ///
    /// # Errors
    ///
    /// The file can't be read, or something that isn't line protocol stands in it.
    pub fn store(path: &Path, bucket: &str) -> io::Result<Store> {
        let (writes, _) = whole_writes(&std::fs::read(path)?);
        let mut store = Store::default();
        for (_, body) in writes.iter().filter(|(of, _)| of == bucket) {
            let points = parse(body).map_err(|error| io::Error::other(error.to_string()))?;
            // What the types didn't allow was answered so, and isn't there.
            let _ = store.write(points);
        }
        Ok(store)
    }
}

fn whole_writes(content: &[u8]) -> (Vec<(String, String)>, usize) {
    let (mut writes, mut whole) = (Vec::new(), 0);
    loop {
        let rest = &content[whole..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return (writes, whole);
        };
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let Some((bytes, bucket)) = head.split_once(' ') else {
            return (writes, whole);
        };
        let body = bytes
            .parse::<usize>()
            .ok()
            .and_then(|bytes| rest.get(end + 1..end + 1 + bytes));
        let Some(body) = body else {
            return (writes, whole);
        };
        writes.push((
            bucket.to_owned(),
            String::from_utf8_lossy(body).into_owned(),
        ));
        whole += end + 1 + body.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(store: &mut Store, lines: &str) -> Result<(), String> {
        store.write(parse(lines).expect("line protocol"))
    }

    #[test]
    fn the_same_again_is_one_point_and_counted() {
        let mut store = Store::default();
        assert_eq!(
            write(&mut store, "m,a=b x=1,y=2i 1\nm,a=b x=1,y=2i 2"),
            Ok(())
        );
        assert_eq!(write(&mut store, "m,a=b y=2i,x=1 1"), Ok(()));
        let expect = Counts {
            points: 2,
            rewrites: 1,
            conflicts: 0,
        };
        assert_eq!(store.counts(), expect);
        assert_eq!(
            store.points().map(|(_, _, kept)| kept.writes).sum::<u64>(),
            3
        );
    }

    #[test]
    fn other_fields_at_the_same_place_are_a_finding() {
        for other in [
            "m,a=b x=2 1",
            "m,a=b x=1,y=1 1",
            "m,a=b y=1 1",
            "m,a=b x=-0.0 1",
        ] {
            let mut store = Store::default();
            let first = if other.contains("-0.0") {
                "m,a=b x=0.0 1"
            } else {
                "m,a=b x=1 1"
            };
            assert_eq!(write(&mut store, first), Ok(()));
            assert_eq!(write(&mut store, other), Ok(()));
            assert_eq!(store.counts().conflicts, 1, "{other}");
            assert_eq!(store.counts().points, 1);
        }
        let mut store = Store::default();
        assert_eq!(
            write(&mut store, "m,a=b x=1 1\nm,a=c x=2 1\nm x=3 1\nm,a=b x=4 2"),
            Ok(())
        );
        assert_eq!(store.counts().points, 4);
    }

    #[test]
    fn a_type_that_changes_is_left_out_and_the_rest_written() {
        let mut store = Store::default();
        assert_eq!(write(&mut store, "m x=1 1"), Ok(()));
        let said = write(&mut store, "m x=2 2\nm x=3i 3\nm x=\"4\" 4\nm x=5 5");
        let said = said.expect_err("a conflict");
        assert!(said.contains("input field \"x\" on measurement \"m\" is type integer, already exists as type float dropped=2"), "{said}");
        assert_eq!(store.counts().points, 3);
        assert_eq!(write(&mut store, "other x=3i 3"), Ok(()));
    }

    #[test]
    fn a_journal_gives_back_what_was_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let (mut journal, before) = Journal::open(&path).expect("opens");
        assert_eq!(before, Vec::new());
        journal.append("b", "m x=1 1\n").expect("written");
        journal.append("other", "m x=2 2").expect("written");
        let whole = std::fs::read(&path).expect("there");
        let writes = vec![
            ("b".to_owned(), "m x=1 1\n".to_owned()),
            ("other".to_owned(), "m x=2 2".to_owned()),
        ];
        for torn in [&b""[..], b"1", b"12 ", b"12 b\n", b"12 b\nm x=3"] {
            std::fs::write(&path, [&whole, torn].concat()).expect("written");
            let (mut journal, found) = Journal::open(&path).expect("opens");
            assert_eq!(found, writes);
            journal.append("b", "m x=4 4").expect("written");
            drop(journal);
            assert_eq!(
                Journal::store(&path, "b").expect("opens").counts().points,
                2
            );
        }
    }
}
