//! Every single damage that a line can do to a stream of bytes: one byte lost, one byte doubled, one
//! bit flipped, at every position.

/// One damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The byte at this position never arrives.
    Lost { at: usize },
    /// The byte at this position arrives twice.
    Doubled { at: usize },
    /// One bit of the byte at this position is turned over.
    Flipped { at: usize, bit: u8 },
}

impl Damage {
    /// Every damage to a stream of so many bytes: ten for each byte.
    pub fn every(stream_bytes: usize) -> impl Iterator<Item = Self> {
        (0..stream_bytes).flat_map(|at| {
            let flips = (0..8).map(move |bit| Self::Flipped { at, bit });
            [Self::Lost { at }, Self::Doubled { at }]
                .into_iter()
                .chain(flips)
        })
    }

    /// The position of the byte that is damaged.
    pub fn at(self) -> usize {
        match self {
            Self::Lost { at } | Self::Doubled { at } | Self::Flipped { at, .. } => at,
        }
    }

    /// The stream as it arrives.
    pub fn apply(self, stream: &[u8]) -> Vec<u8> {
        let mut damaged = stream.to_vec();
        match self {
            Self::Lost { at } => {
                damaged.remove(at);
            }
            Self::Doubled { at } => damaged.insert(at, stream[at]),
            Self::Flipped { at, bit } => damaged[at] ^= 1 << bit,
        }
        damaged
    }
}

#[test]
fn the_damages_to_a_stream_are_all_there_and_all_different() {
    let stream = [1, 2, 3];
    let damaged: std::collections::BTreeSet<Vec<u8>> = Damage::every(3)
        .map(|damage| damage.apply(&stream))
        .collect();
    assert_eq!(Damage::every(3).count(), 30);
    assert_eq!(damaged.len(), 30);
}
