//! Takes the marks out of what a terminal driver gives with INPCK and PARMRK set.
//!
//! termios(3): a byte with a parity or framing error reads as `FF 00 x`, and a true `FF` as
//! `FF FF`. The driver doesn't say which of the two errors it was; where the line has no parity
//! bit it can only be framing, else it is called parity, which one flipped bit makes.
//! `FF 00 00` is a break. A NUL with an error reads the same, and is called a break too: a line
//! held low is by far the commoner cause of eight zero bits without a stop bit.
//!
//! Keeps true: any split of the same bytes into reads gives the same bytes and errors.

use retrotap_adapters::framing::{LineErrors, Parity};

use crate::words::{Chunk, Mark};

/// The state between two reads.
#[derive(Debug, Clone)]
pub struct Decoder {
    state: State,
    /// What a marked byte that isn't a break is called.
    error: LineErrors,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    /// An `FF` came.
    Escape,
    /// `FF 00` came: the next byte is the damaged one.
    Damaged,
}

impl Decoder {
    /// A decoder for a line with this parity.
    pub fn new(parity: Parity) -> Decoder {
        let error = match parity {
            Parity::None => LineErrors::FRAMING,
            Parity::Even | Parity::Odd => LineErrors::PARITY,
        };
        Decoder {
            state: State::Plain,
            error,
        }
    }

    /// Appends what the driver gave to a chunk, without the marks.
    pub fn decode(&mut self, raw: &[u8], chunk: &mut Chunk) {
        for &byte in raw {
            self.state = match (self.state, byte) {
                (State::Plain, 0xFF) => State::Escape,
                (State::Escape, 0x00) => State::Damaged,
                (State::Damaged, _) => {
                    let errors = if byte == 0 {
                        LineErrors::BREAK
                    } else {
                        self.error
                    };
                    chunk.marks.push(Mark {
                        index: chunk.bytes.len(),
                        errors,
                    });
                    chunk.bytes.push(byte);
                    State::Plain
                }
                // `FF FF`; and `FF x`, which no driver sends: the byte stands for itself.
                (State::Plain | State::Escape, _) => {
                    chunk.bytes.push(byte);
                    State::Plain
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(parity: Parity, reads: &[&[u8]]) -> (Vec<u8>, Vec<(usize, LineErrors)>) {
        let mut decoder = Decoder::new(parity);
        let mut chunk = Chunk::default();
        for read in reads {
            decoder.decode(read, &mut chunk);
        }
        let marks = chunk
            .marks
            .iter()
            .map(|mark| (mark.index, mark.errors))
            .collect();
        (chunk.bytes, marks)
    }

    #[test]
    fn each_mark_becomes_its_byte_and_its_error() {
        let raw = [1, 0xFF, 0xFF, 0xFF, 0, 0x41, 0xFF, 0, 0, 0, 0xFF, 0, 0xFF];
        let (bytes, marks) = decode(Parity::Even, &[&raw]);
        assert_eq!(bytes, [1, 0xFF, 0x41, 0, 0, 0xFF]);
        let expected = [
            (2, LineErrors::PARITY),
            (3, LineErrors::BREAK),
            (5, LineErrors::PARITY),
        ];
        assert_eq!(marks, expected);
    }

    #[test]
    fn without_a_parity_bit_a_damaged_byte_lost_its_stop_bit() {
        assert_eq!(
            decode(Parity::None, &[&[0xFF, 0, 7]]).1,
            [(0, LineErrors::FRAMING)]
        );
        assert_eq!(
            decode(Parity::Odd, &[&[0xFF, 0, 7]]).1,
            [(0, LineErrors::PARITY)]
        );
    }

    /// What a driver would give for bytes, some of them damaged.
    fn marked(bytes: &[(u8, bool)]) -> Vec<u8> {
        let mut raw = Vec::new();
        for &(byte, damaged) in bytes {
            match (byte, damaged) {
                (byte, true) => raw.extend([0xFF, 0, byte]),
                (0xFF, false) => raw.extend([0xFF, 0xFF]),
                (byte, false) => raw.push(byte),
            }
        }
        raw
    }

    proptest! {
        #[test]
        fn any_split_gives_the_bytes_that_were_on_the_line(
            bytes in prop::collection::vec(
                (prop_oneof![Just(0xFFu8), Just(0), any::<u8>()], any::<bool>()), 0..60),
            splits in prop::collection::vec(0usize..180, 0..8),
        ) {
            let raw = marked(&bytes);
            let mut splits: Vec<usize> =
                splits.into_iter().map(|split| split.min(raw.len())).collect();
            splits.extend([0, raw.len()]);
            splits.sort_unstable();
            let reads: Vec<&[u8]> =
                splits.windows(2).map(|ends| &raw[ends[0]..ends[1]]).collect();
            let (got, marks) = decode(Parity::Even, &reads);
            prop_assert_eq!(got, bytes.iter().map(|(byte, _)| *byte).collect::<Vec<u8>>());
            let damaged: Vec<(usize, LineErrors)> = bytes
                .iter()
                .enumerate()
                .filter(|(_, (_, damaged))| *damaged)
                .map(|(index, (byte, _))| {
                    (index, if *byte == 0 { LineErrors::BREAK } else { LineErrors::PARITY })
                })
                .collect();
            prop_assert_eq!(marks, damaged);
        }

        #[test]
        fn random_bytes_never_give_more_than_they_are(
            raw in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let (bytes, marks) = decode(Parity::None, &[&raw]);
            prop_assert!(bytes.len() <= raw.len());
            prop_assert!(marks.len() <= bytes.len());
        }
    }
}
