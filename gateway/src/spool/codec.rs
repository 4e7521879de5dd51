//! How entries stand on disk: in the tail with all that names them, in a block without what the
//! whole block has in common. Little-endian; a text is its length and its bytes.
//!
//! Reading is total: bytes that are no entry give `None`, never a panic and never half an entry.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ranges::Span;
use crate::words::{Entry, Stream};

/// Bytes that are read from the front.
#[derive(Debug, Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn text(&mut self, length: usize) -> Option<&'a str> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(taken).ok()
    }

    fn short_text(&mut self) -> Option<&'a str> {
        let length = u16::from_le_bytes(self.take()?);
        self.text(usize::from(length))
    }

    fn long_text(&mut self) -> Option<&'a str> {
        let length = u32::from_le_bytes(self.take()?);
        self.text(usize::try_from(length).ok()?)
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take()?))
    }
}

/// Machine and record names repeat in every entry: each is kept once.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<Arc<str>>);

impl Names {
    pub fn get(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}

fn put_short(into: &mut Vec<u8>, text: &str) {
    // Names have at most 64 bytes; settings and manifests hold that.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(text.as_bytes());
}

/// What a block holds of an entry: times, record name, JSON.
pub(super) fn put_body(into: &mut Vec<u8>, entry: &Entry) {
    into.extend_from_slice(&entry.t_unix_ns.to_le_bytes());
    into.extend_from_slice(&entry.line_ns.to_le_bytes());
    put_short(into, &entry.record);
    let length = u32::try_from(entry.json.len()).unwrap_or(u32::MAX);
    into.extend_from_slice(&length.to_le_bytes());
    into.extend_from_slice(entry.json.as_bytes());
}

fn body(
    bytes: &mut Bytes<'_>,
    names: &mut Names,
    machine: &Arc<str>,
    stream: Stream,
    (epoch, seq): (u64, u64),
) -> Option<Entry> {
    Some(Entry {
        machine: Arc::clone(machine),
        stream,
        epoch,
        seq,
        t_unix_ns: i64::from_le_bytes(bytes.take()?),
        line_ns: bytes.u64()?,
        record: names.get(bytes.short_text()?),
        json: bytes.long_text()?.into(),
    })
}

/// What the tail holds of an entry: the names that a block has in common, then the body.
pub(super) fn put_entry(into: &mut Vec<u8>, entry: &Entry) {
    into.push(entry.stream as u8);
    into.extend_from_slice(&entry.epoch.to_le_bytes());
    into.extend_from_slice(&entry.seq.to_le_bytes());
    put_short(into, &entry.machine);
    put_body(into, entry);
}

/// The entry of one record of the tail.
pub(super) fn entry(record: &[u8], names: &mut Names) -> Option<Entry> {
    let mut bytes = Bytes(record);
    let [stream] = bytes.take()?;
    let stream = Stream::ALL
        .into_iter()
        .find(|known| *known as u8 == stream)?;
    let name = (bytes.u64()?, bytes.u64()?);
    let machine = names.get(bytes.short_text()?);
    let entry = body(&mut bytes, names, &machine, stream, name)?;
    bytes.0.is_empty().then_some(entry)
}

/// The entries of a block that holds exactly these numbers.
pub(super) fn block(
    content: &[u8],
    names: &mut Names,
    machine: &Arc<str>,
    stream: Stream,
    span: Span,
) -> Option<Vec<Entry>> {
    let mut bytes = Bytes(content);
    let mut entries = Vec::new();
    for seq in span.first..=span.last {
        entries.push(body(&mut bytes, names, machine, stream, (span.epoch, seq))?);
    }
    bytes.0.is_empty().then_some(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn an_entry() -> impl Strategy<Value = Entry> {
        (
            ("[a-z0-9-]{1,20}", 0..3_usize, any::<u64>(), any::<u64>()),
            ("[a-z_]{0,20}", any::<i64>(), any::<u64>(), any::<String>()),
        )
            .prop_map(
                |((machine, stream, epoch, seq), (record, t, line_ns, json))| Entry {
                    machine: machine.into(),
                    stream: Stream::ALL[stream],
                    epoch,
                    seq,
                    record: record.into(),
                    t_unix_ns: t,
                    line_ns,
                    json: json.into(),
                },
            )
    }

    proptest! {
        #[test]
        fn an_entry_reads_back_as_itself_and_part_of_it_as_nothing(written in an_entry()) {
            let mut bytes = Vec::new();
            put_entry(&mut bytes, &written);
            let mut names = Names::default();
            prop_assert_eq!(entry(&bytes, &mut names), Some(written));
            for length in 0..bytes.len() {
                prop_assert_eq!(entry(&bytes[..length], &mut names), None);
            }
            bytes.push(0);
            prop_assert_eq!(entry(&bytes, &mut names), None);
        }

        #[test]
        fn any_bytes_are_an_entry_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut names = Names::default();
            let _ = entry(&bytes, &mut names);
            let span = Span { epoch: 1, first: 1, last: u64::MAX - 1 };
            prop_assert_eq!(block(&bytes, &mut names, &"m".into(), Stream::Records, span), None);
        }
    }
}
