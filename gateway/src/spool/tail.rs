//! The tail: two preallocated files that are filled in turns, so that what was taken a moment ago
//! is in the kernel's hands and survives `kill -9`.
//!
//! ```text
//! header, 4096 bytes, of which 32 are used
//!   0   "RTTAIL" and format version (u16)
//!   8   epoch in use (u64)
//!  16   crc32 of bytes 0 to 16 (u32)
//! record, one after another from 4096 on
//!   0   length of the content (u32)
//!   4   generation (u64)
//!  12   crc32 of bytes 0 to 12 and of the content (u32)
//!  16   content: one entry
//! ```
//!
//! A generation is one filling of one file, from its beginning. While the store commits one, the
//! next fills the other file; the same pages are dirtied again and again, and the kernel writes
//! them when it likes (every 30 s by default). Nothing is erased: what follows the last record of a
//! generation is of an older one, which its number says, or doesn't match its checksum.
//!
//! Both files are allocated when they are made, so that a full disk doesn't stop the tail.
//!
//! What it doesn't do: sync. What has to survive a power cut is the store's.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use super::OpenError;
use super::codec::{self, Names};
use crate::config::limits::ENTRY_BYTES_MAX;
use crate::words::Entry;

/// The names of the two files.
pub(super) const FILES: [&str; 2] = ["tail-a", "tail-b"];

const MAGIC: &[u8; 6] = b"RTTAIL";
const VERSION: u16 = 1;
const HEADER_BYTES: u64 = 4096;
const RECORD_HEAD_BYTES: usize = 16;

/// What one file holds: the records of its newest generation.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub generation: u64,
    pub entries: Vec<Entry>,
    /// The epoch of its header, 0 if it can't be read.
    pub epoch: u64,
    /// Where the last whole record ends.
    pub bytes: u64,
}

/// The two files, open for writing.
#[derive(Debug)]
pub(super) struct Tail {
    files: [File; 2],
    /// Which of them is being filled.
    current: usize,
    generation: u64,
    /// Where the next record goes.
    at: u64,
    file_bytes: u64,
}

impl Tail {
    /// Opens the files or makes them, and says what they hold.
    pub fn open(folder: &Path, file_bytes: u64) -> Result<(Self, [Found; 2]), OpenError> {
        let open = |name: &str| {
            let path = folder.join(name);
            let found = look(&path)?;
            let file = make(&path, file_bytes).map_err(|error| OpenError::io(&path, error))?;
            Ok((file, found))
        };
        let [(a, in_a), (b, in_b)] = [open(FILES[0])?, open(FILES[1])?];
        let tail = Self {
            files: [a, b],
            current: 0,
            generation: 0,
            at: HEADER_BYTES,
            file_bytes,
        };
        Ok((tail, [in_a, in_b]))
    }

    /// Begins a generation in the file that the last one wasn't in.
    pub fn rotate(&mut self, generation: u64) {
        self.current = 1 - self.current;
        self.generation = generation;
        self.at = HEADER_BYTES;
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Bytes of records in this generation.
    pub fn filled(&self) -> u64 {
        self.at - HEADER_BYTES
    }

    /// Whether that much more fits into this generation.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.at + bytes <= self.file_bytes
    }

    /// Adds an entry to `into` as a record of this generation.
    pub fn put(&self, into: &mut Vec<u8>, entry: &Entry) {
        put_record(into, self.generation, entry);
    }

    /// Writes records behind those that are there: one call of the kernel, whatever their number.
    pub fn write(&mut self, records: &[u8]) -> io::Result<()> {
        let Some(file) = self.files.get(self.current) else {
            return Ok(());
        };
        file.write_all_at(records, self.at)?;
        self.at += records.len() as u64;
        Ok(())
    }

    /// Makes an epoch durable in both headers, one after the other: a power cut in between leaves
    /// one of them whole.
    pub fn store_epoch(&self, epoch: u64) -> io::Result<()> {
        let header = header(epoch);
        for file in &self.files {
            file.write_all_at(&header, 0)?;
            file.sync_data()?;
        }
        Ok(())
    }
}

fn put_record(into: &mut Vec<u8>, generation: u64, entry: &Entry) {
    let begin = into.len();
    into.extend_from_slice(&[0; RECORD_HEAD_BYTES]);
    codec::put_entry(into, entry);
    let Some((head, content)) = into
        .get_mut(begin..)
        .and_then(|record| record.split_first_chunk_mut::<RECORD_HEAD_BYTES>())
    else {
        return;
    };
    *head = record_head(generation, content);
}

fn record_head(generation: u64, content: &[u8]) -> [u8; RECORD_HEAD_BYTES] {
    let mut head = [0; RECORD_HEAD_BYTES];
    let (rest, sum) = head.split_at_mut(12);
    let (length, number) = rest.split_at_mut(4);
    length.copy_from_slice(
        &u32::try_from(content.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    number.copy_from_slice(&generation.to_le_bytes());
    sum.copy_from_slice(&checksum(&[rest, content]).to_le_bytes());
    head
}

fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

fn header(epoch: u64) -> [u8; 20] {
    let mut header = [0; 20];
    let (named, sum) = header.split_at_mut(16);
    let (magic, rest) = named.split_at_mut(6);
    let (version, number) = rest.split_at_mut(2);
    magic.copy_from_slice(MAGIC);
    version.copy_from_slice(&VERSION.to_le_bytes());
    number.copy_from_slice(&epoch.to_le_bytes());
    sum.copy_from_slice(&checksum(&[named]).to_le_bytes());
    header
}

/// The file at its full size, with its header.
fn make(path: &Path, file_bytes: u64) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    if file.metadata()?.len() < file_bytes {
        allocate(&file, file_bytes)?;
    }
    Ok(file)
}

/// Space that is the file's from here on, whatever the file system.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::io::Errno;
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => return Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    let zeros = [0; 64 * 1024];
    let mut at = file.metadata()?.len();
    while at < bytes {
        let count = zeros
            .len()
            .min(usize::try_from(bytes - at).unwrap_or(usize::MAX));
        file.write_all_at(zeros.get(..count).unwrap_or_default(), at)?;
        at += count as u64;
    }
    Ok(())
}

/// Reads a file of the tail, which need not be there. Nothing is changed.
pub(super) fn look(path: &Path) -> Result<Found, OpenError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::default()),
        Err(error) => return Err(OpenError::io(path, error)),
    };
    found(&bytes).map_err(|wrong| match wrong {
        Wrong::Foreign => OpenError::Foreign {
            path: PathBuf::from(path),
        },
        Wrong::Newer(version) => OpenError::Newer {
            path: PathBuf::from(path),
            version: i64::from(version),
            known: i64::from(VERSION),
        },
    })
}

/// What keeps a file from being read as a tail.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Foreign,
    Newer(u16),
}

fn found(bytes: &[u8]) -> Result<Found, Wrong> {
    let Some((header, records)) = bytes.split_at_checked(HEADER_BYTES as usize) else {
        return if bytes.iter().all(|byte| *byte == 0) {
            Ok(Found::default())
        } else {
            Err(Wrong::Foreign)
        };
    };
    let mut found = Found::default();
    // A file that was allocated and not written yet is no one's.
    if header.iter().any(|byte| *byte != 0) {
        let Some((named, sum)) = header.split_first_chunk::<16>() else {
            return Err(Wrong::Foreign);
        };
        let [magic @ .., low, high, e0, e1, e2, e3, e4, e5, e6, e7] = *named;
        if magic != *MAGIC {
            return Err(Wrong::Foreign);
        }
        let version = u16::from_le_bytes([low, high]);
        if version > VERSION {
            return Err(Wrong::Newer(version));
        }
        // Torn while an epoch was written: the other file has it.
        if sum.first_chunk() == Some(&checksum(&[named]).to_le_bytes()) {
            found.epoch = u64::from_le_bytes([e0, e1, e2, e3, e4, e5, e6, e7]);
        }
    }
    let mut names = Names::default();
    let mut rest = records;
    while let Some((generation, content, after)) = record(rest) {
        if !found.entries.is_empty() && generation != found.generation {
            break;
        }
        let Some(entry) = codec::entry(content, &mut names) else {
            break;
        };
        found.generation = generation;
        found.entries.push(entry);
        rest = after;
    }
    found.bytes = (records.len() - rest.len()) as u64;
    Ok(found)
}

/// The whole record at the beginning, if there is one: generation, content, what follows.
fn record(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<RECORD_HEAD_BYTES>()?;
    let [l0, l1, l2, l3, g0, g1, g2, g3, g4, g5, g6, g7, ..] = *head;
    let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).ok()?;
    if length > ENTRY_BYTES_MAX {
        return None;
    }
    let generation = u64::from_le_bytes([g0, g1, g2, g3, g4, g5, g6, g7]);
    let (content, after) = rest.split_at_checked(length)?;
    (record_head(generation, content) == *head).then_some((generation, content, after))
}

#[cfg(test)]
#[path = "tail_tests.rs"]
mod tests;
