//! A module that comes in numbered chunks, for ways that lose, double and reorder messages.
//!
//! Each chunk says of which file it is (by its hash), which one it is, and of how many. They may come in
//! any order and more than once, today and tomorrow; what is missing can be asked for at any time. Only a
//! whole file of the right hash is one: half of a module is nothing.
//!
//! What it doesn't do: look into the file, or remember it over a restart; who sends sends again what is
//! missing.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::assemble::hex;
use crate::config::limits::{
    CHUNK_MISSING_TOLD_MAX, MODULE_BYTES_MAX, MODULE_CHUNKS_MAX, MODULES_RECEIVED_MAX,
};

/// Whose module: machine and stage.
type Place = (String, String);

/// A chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// SHA-256 of the whole file, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Which it is, from 1.
    pub number: usize,
    /// How many there are.
    pub count: usize,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What became of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// These are missing still, the first of them at least, and so many are there.
    Missing {
        /// Numbers of chunks.
        numbers: Vec<usize>,
        /// How many are there.
        have: usize,
    },
    /// The file is whole.
    Whole(Vec<u8>),
}

/// Why a chunk is dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// No such number, or no such hash.
    #[error(
        "a chunk is number 1 to {MODULE_CHUNKS_MAX} of as many at most, of a SHA-256 in hexadecimal digits"
    )]
    Name,
    /// It says another count than those before.
    #[error("the file was said to have {before} chunks, and now {now}")]
    Count {
        /// What was said before.
        before: usize,
        /// What is said now.
        now: usize,
    },
    /// More than a module may have.
    #[error("the chunks have more than {MODULE_BYTES_MAX} bytes together")]
    TooLarge,
    /// Another module's chunk with that number was there already.
    #[error("chunk {0} came twice with other bytes")]
    Contradiction(usize),
    /// All are there, and they are another file.
    #[error("the chunks together have SHA-256 {0}: begin again")]
    Hash(String),
}

/// A file of which something is there.
#[derive(Debug)]
struct Half {
    sha256: String,
    chunks: Vec<Option<Vec<u8>>>,
    bytes: usize,
    /// When a chunk of it came last, as the order of chunks.
    touched: u64,
}

/// All files that are on their way.
#[derive(Debug, Default)]
pub struct Receiver {
    halves: BTreeMap<Place, Half>,
    received: u64,
}

impl Receiver {
    /// Takes a chunk. One of another file for the same place begins that file; where too many files are on
    /// their way, the one that was touched least lately is forgotten.
    ///
    /// # Errors
    ///
    /// The chunk is dropped; what was there is there, unless the whole was another file.
    pub fn take(
        &mut self,
        machine: &str,
        stage: &str,
        chunk: Chunk,
    ) -> Result<Received, ChunkError> {
        let is_hash = chunk.sha256.len() == 64
            && chunk
                .sha256
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let is_number =
            (1..=chunk.count).contains(&chunk.number) && chunk.count <= MODULE_CHUNKS_MAX;
        if !is_hash || !is_number {
            return Err(ChunkError::Name);
        }
        let place = (machine.to_owned(), stage.to_owned());
        if self
            .halves
            .get(&place)
            .is_some_and(|half| half.sha256 != chunk.sha256)
        {
            self.halves.remove(&place);
        }
        self.received += 1;
        let touched = self.received;
        let half = self.halves.entry(place.clone()).or_insert_with(|| Half {
            sha256: chunk.sha256.clone(),
            chunks: vec![None; chunk.count],
            bytes: 0,
            touched,
        });
        half.touched = touched;
        let received = half.take(chunk);
        let ended = matches!(
            received,
            Ok(Received::Whole(_)) | Err(ChunkError::Hash(_) | ChunkError::TooLarge)
        );
        if ended {
            self.halves.remove(&place);
        }
        self.forget();
        received
    }

    fn forget(&mut self) {
        while self.halves.len() > MODULES_RECEIVED_MAX {
            let oldest = self.halves.iter().min_by_key(|(_, half)| half.touched);
            let Some(place) = oldest.map(|(place, _)| place.clone()) else {
                return;
            };
            self.halves.remove(&place);
        }
    }
}

impl Half {
    fn take(&mut self, chunk: Chunk) -> Result<Received, ChunkError> {
        if chunk.count != self.chunks.len() {
            return Err(ChunkError::Count {
                before: self.chunks.len(),
                now: chunk.count,
            });
        }
        let Some(slot) = self.chunks.get_mut(chunk.number - 1) else {
            return Err(ChunkError::Name);
        };
        match slot {
            Some(known) if *known != chunk.bytes => {
                return Err(ChunkError::Contradiction(chunk.number));
            }
            Some(_) => {}
            None => {
                self.bytes += chunk.bytes.len();
                if self.bytes as u64 > MODULE_BYTES_MAX {
                    return Err(ChunkError::TooLarge);
                }
                *slot = Some(chunk.bytes);
            }
        }
        let missing = (1..).zip(&self.chunks).filter(|(_, chunk)| chunk.is_none());
        let numbers: Vec<usize> = missing
            .map(|(number, _)| number)
            .take(CHUNK_MISSING_TOLD_MAX)
            .collect();
        if !numbers.is_empty() {
            let have = self.chunks.iter().flatten().count();
            return Ok(Received::Missing { numbers, have });
        }
        let whole: Vec<u8> = self.chunks.drain(..).flatten().flatten().collect();
        match hex(&Sha256::digest(&whole)) {
            found if found == self.sha256 => Ok(Received::Whole(whole)),
            found => Err(ChunkError::Hash(found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(bytes: usize) -> Vec<u8> {
        (0..bytes)
            .map(|index| (index * 7 + index / 251) as u8)
            .collect()
    }

    fn chunks(file: &[u8], size: usize) -> Vec<Chunk> {
        let parts: Vec<&[u8]> = file.chunks(size).collect();
        let sha256 = hex(&Sha256::digest(file));
        (1..)
            .zip(&parts)
            .map(|(number, part)| Chunk {
                sha256: sha256.clone(),
                number,
                count: parts.len(),
                bytes: part.to_vec(),
            })
            .collect()
    }

    fn take(receiver: &mut Receiver, chunk: &Chunk) -> Result<Received, ChunkError> {
        receiver.take("robot-1", "smooth", chunk.clone())
    }

    proptest! {
        #[test]
        fn in_any_order_and_however_often_the_file_comes_whole_once(
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..200),
        ) {
            let (file, mut receiver) = (file(1000), Receiver::default());
            let all = chunks(&file, 100);
            let mut seen = std::collections::BTreeSet::new();
            for chunk in order.iter().map(|index| index.get(&all)).chain(&all) {
                match take(&mut receiver, chunk).unwrap() {
                    Received::Whole(whole) => {
                        prop_assert_eq!(whole, file);
                        return Ok(());
                    }
                    Received::Missing { numbers, have } => {
                        seen.insert(chunk.number);
                        prop_assert_eq!(have, seen.len());
                        let missing: Vec<usize> = (1..=10).filter(|n| !seen.contains(n)).collect();
                        prop_assert_eq!(numbers, missing);
                    }
                }
            }
            prop_assert!(false, "never whole");
        }

        #[test]
        fn nothing_that_a_chunk_says_makes_it_panic(
            number in any::<usize>(), count in any::<usize>(), sha256 in ".{0,70}",
        ) {
            let chunk = Chunk { sha256, number, count, bytes: vec![0] };
            prop_assert_eq!(take(&mut Receiver::default(), &chunk), Err(ChunkError::Name));
        }
    }

    #[test]
    fn a_chunk_of_another_file_begins_that_one_anew() {
        let mut receiver = Receiver::default();
        let (one, two) = (chunks(&file(300), 100), chunks(&file(301), 100));
        take(&mut receiver, &one[0]).unwrap();
        take(&mut receiver, &two[0]).unwrap();
        let missing = take(&mut receiver, &one[1]).unwrap();
        let numbers = vec![1, 3];
        assert_eq!(missing, Received::Missing { numbers, have: 1 });
    }

    #[test]
    fn what_contradicts_itself_is_dropped_and_what_is_another_file_begins_again() {
        let mut receiver = Receiver::default();
        let all = chunks(&file(300), 100);
        take(&mut receiver, &all[0]).unwrap();
        let mut other = all[0].clone();
        other.bytes[0] ^= 1;
        assert_eq!(
            take(&mut receiver, &other),
            Err(ChunkError::Contradiction(1))
        );
        let mut more = all[1].clone();
        more.count = 4;
        assert_eq!(
            take(&mut receiver, &more),
            Err(ChunkError::Count { before: 3, now: 4 })
        );
        let mut wrong = all[2].clone();
        wrong.bytes[0] ^= 1;
        take(&mut receiver, &wrong).unwrap();
        assert!(matches!(
            take(&mut receiver, &all[1]),
            Err(ChunkError::Hash(_))
        ));
        for chunk in &all[..2] {
            take(&mut receiver, chunk).unwrap();
        }
        assert_eq!(take(&mut receiver, &all[2]), Ok(Received::Whole(file(300))));
    }

    #[test]
    fn memory_is_bounded_whatever_is_sent() {
        let mut receiver = Receiver::default();
        let sha256 = "0".repeat(64);
        let large = |number| Chunk {
            sha256: sha256.clone(),
            number,
            count: MODULE_CHUNKS_MAX,
            bytes: vec![0; MODULE_BYTES_MAX as usize / 2 + 1],
        };
        take(&mut receiver, &large(1)).unwrap();
        assert_eq!(take(&mut receiver, &large(2)), Err(ChunkError::TooLarge));
        assert!(receiver.halves.is_empty());
        for stage in 0..MODULES_RECEIVED_MAX + 5 {
            let chunk = chunks(&file(300), 100).remove(0);
            receiver.take("robot-1", &stage.to_string(), chunk).unwrap();
        }
        assert_eq!(receiver.halves.len(), MODULES_RECEIVED_MAX);
        let first = ("robot-1".to_owned(), "0".to_owned());
        assert!(!receiver.halves.contains_key(&first), "the oldest went");
    }
}
