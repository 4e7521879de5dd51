//! Sets of entries' names as ranges: what is unreleased, what was sent, what was given out.
//!
//! Entries are numbered without gaps, released in the order in which they were sent, and sent in
//! the order of their numbers, so a set of millions is a handful of ranges.

use std::collections::BTreeMap;

/// Epoch and number of an entry, in the order in which entries are taken.
pub type Name = (u64, u64);

/// Numbers of one epoch, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The epoch of all of them.
    pub epoch: u64,
    /// The first number.
    pub first: u64,
    /// The last number, not below the first.
    pub last: u64,
}

impl Span {
    /// How many numbers it has.
    pub fn count(&self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }

    /// Whether the name is one of them.
    pub fn contains(&self, (epoch, seq): Name) -> bool {
        self.epoch == epoch && (self.first..=self.last).contains(&seq)
    }

    /// What both have in common.
    fn common(&self, other: &Self) -> Option<Self> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (self.epoch == other.epoch && first <= last).then_some(Self {
            epoch: self.epoch,
            first,
            last,
        })
    }
}

/// A set of names. Neighbouring ranges are always joined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges {
    /// By epoch and first number: the last number.
    spans: BTreeMap<Name, u64>,
    count: u64,
}

impl Ranges {
    /// How many names are in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many ranges they make.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Nothing is in it from here on.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.count = 0;
    }

    /// All ranges in order.
    pub fn spans(&self) -> impl Iterator<Item = Span> {
        self.spans
            .iter()
            .map(|(&(epoch, first), &last)| Span { epoch, first, last })
    }

    /// The least name.
    pub fn first(&self) -> Option<Name> {
        self.spans.keys().next().copied()
    }

    /// Whether the name is in it.
    pub fn contains(&self, name: Name) -> bool {
        self.around(name).is_some()
    }

    /// The range that holds the name.
    fn around(&self, name: Name) -> Option<Span> {
        let (&(epoch, first), &last) = self.spans.range(..=name).next_back()?;
        (epoch == name.0 && last >= name.1).then_some(Span { epoch, first, last })
    }

    /// A range in it that has something in common with this one: the first such.
    pub fn touching(&self, span: Span) -> Option<Span> {
        let next = || {
            let (&(epoch, first), &last) = self
                .spans
                .range((span.epoch, span.first)..=(span.epoch, span.last))
                .next()?;
            Some(Span { epoch, first, last })
        };
        self.around((span.epoch, span.first)).or_else(next)
    }

    /// Adds a range, some of which may be in it.
    pub fn insert(&mut self, span: Span) {
        if span.count() == 0 {
            return;
        }
        let Span {
            epoch,
            mut first,
            mut last,
        } = span;
        // One to the left may touch or overlap, and any number to the right.
        if let Some(left) = self.around((epoch, first.saturating_sub(1))) {
            first = first.min(left.first);
        }
        loop {
            let next = self
                .spans
                .range((epoch, first)..=(epoch, last.saturating_add(1)))
                .next();
            let Some((&key, &end)) = next else { break };
            self.spans.remove(&key);
            self.count -= end - key.1 + 1;
            last = last.max(end);
        }
        self.spans.insert((epoch, first), last);
        self.count += last - first + 1;
    }

    /// Takes a range out, of which not all need be in it; says what was.
    pub fn remove(&mut self, span: Span) -> Vec<Span> {
        let removed = self.common(span);
        for gone in &removed {
            let Some(whole) = self.around((gone.epoch, gone.first)) else {
                continue;
            };
            self.spans.remove(&(whole.epoch, whole.first));
            if whole.first < gone.first {
                self.spans
                    .insert((whole.epoch, whole.first), gone.first - 1);
            }
            if gone.last < whole.last {
                self.spans.insert((whole.epoch, gone.last + 1), whole.last);
            }
            self.count -= gone.count();
        }
        removed
    }

    /// Whether taking this out would leave one range more than before.
    pub fn splits(&self, span: Span) -> bool {
        self.around((span.epoch, span.first))
            .is_some_and(|whole| whole.first < span.first && span.last < whole.last)
    }

    /// What of this range is in it.
    pub fn common(&self, span: Span) -> Vec<Span> {
        let begin = match self.around((span.epoch, span.first)) {
            Some(around) => (around.epoch, around.first),
            None => (span.epoch, span.first),
        };
        if span.count() == 0 {
            return Vec::new();
        }
        self.spans
            .range(begin..=(span.epoch, span.last))
            .filter_map(|(&(epoch, first), &last)| Span { epoch, first, last }.common(&span))
            .collect()
    }

    /// The first names in it from `from` on and below `below` that are not in `other`: as many as
    /// make one range.
    pub fn first_outside(&self, other: &Self, from: Name, below: Name) -> Option<Span> {
        let begin = match self.around(from) {
            Some(around) => (around.epoch, around.first),
            None => from,
        };
        for (&(epoch, first), &last) in self.spans.range(begin..) {
            if (epoch, first) >= below {
                return None;
            }
            let mut first = if epoch == from.0 {
                first.max(from.1)
            } else {
                first
            };
            let last = if epoch == below.0 {
                last.min(below.1.saturating_sub(1))
            } else {
                last
            };
            while first <= last {
                if let Some(covered) = other.around((epoch, first)) {
                    first = covered.last.saturating_add(1);
                    continue;
                }
                let next = other.spans.range((epoch, first)..=(epoch, last)).next();
                let last = next.map_or(last, |(&(_, covered), _)| covered - 1);
                return Some(Span { epoch, first, last });
            }
        }
        None
    }

    /// As it is stored: three numbers of eight bytes for each range, little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.spans()
            .flat_map(|span| [span.epoch, span.first, span.last])
            .flat_map(u64::to_le_bytes)
            .collect()
    }

    /// From what is stored; `None` if that is no set of ranges.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut ranges = Self::default();
        let (spans, rest) = bytes.as_chunks::<24>();
        for span in spans {
            let (numbers, _) = span.as_chunks::<8>();
            let [epoch, first, last] = numbers else {
                return None;
            };
            let [epoch, first, last] =
                [epoch, first, last].map(|number| u64::from_le_bytes(*number));
            if first > last || last == u64::MAX {
                return None;
            }
            ranges.insert(Span { epoch, first, last });
        }
        rest.is_empty().then_some(ranges)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn span() -> impl Strategy<Value = Span> {
        (1..4_u64, 1..40_u64, 0..12_u64).prop_map(|(epoch, first, more)| Span {
            epoch,
            first,
            last: first + more,
        })
    }

    fn names(span: Span) -> impl Iterator<Item = Name> {
        (span.first..=span.last).map(move |seq| (span.epoch, seq))
    }

    fn all(ranges: &Ranges) -> BTreeSet<Name> {
        ranges.spans().flat_map(names).collect()
    }

    proptest! {
        /// The model is a plain set of names.
        #[test]
        fn ranges_are_a_set(
            steps in proptest::collection::vec((any::<bool>(), span()), 0..40),
            others in proptest::collection::vec(span(), 0..10),
            asked in span(),
        ) {
            let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
            for (insert, span) in steps {
                if insert {
                    ranges.insert(span);
                    model.extend(names(span));
                } else {
                    let removed: BTreeSet<Name> =
                        ranges.remove(span).into_iter().flat_map(names).collect();
                    let expect: BTreeSet<Name> =
                        names(span).filter(|name| model.remove(name)).collect();
                    prop_assert_eq!(removed, expect);
                }
                prop_assert_eq!(all(&ranges), model.clone());
                prop_assert_eq!(ranges.count(), model.len() as u64);
                prop_assert_eq!(ranges.first(), model.first().copied());
            }
            let spans: Vec<Span> = ranges.spans().collect();
            prop_assert!(spans.windows(2).all(|pair|
                pair[0].epoch < pair[1].epoch || pair[0].last + 1 < pair[1].first));
            prop_assert_eq!(Ranges::from_bytes(&ranges.to_bytes()), Some(ranges.clone()));

            let common: BTreeSet<Name> = ranges.common(asked).into_iter().flat_map(names).collect();
            let expect: BTreeSet<Name> = names(asked).filter(|name| model.contains(name)).collect();
            prop_assert_eq!(common, expect);

            let mut other = Ranges::default();
            others.into_iter().for_each(|span| other.insert(span));
            let (from, below) = ((asked.epoch, asked.first), (asked.epoch + 1, asked.last));
            let found = ranges.first_outside(&other, from, below);
            let outside = |name: &Name| {
                *name >= from && *name < below && model.contains(name) && !other.contains(*name)
            };
            let first = model.iter().copied().find(outside);
            prop_assert_eq!(found.map(|span| (span.epoch, span.first)), first);
            if let Some(found) = found {
                prop_assert!(names(found).all(|name| outside(&name)));
                prop_assert!(!outside(&(found.epoch, found.last + 1)));
            }
        }
    }

    #[test]
    fn what_is_no_set_of_ranges_is_not_taken_for_one() {
        let bytes = |numbers: [u64; 3]| numbers.map(u64::to_le_bytes).concat();
        assert_eq!(Ranges::from_bytes(&bytes([1, 5, 4])), None);
        assert_eq!(Ranges::from_bytes(&bytes([1, 5, u64::MAX])), None);
        assert_eq!(Ranges::from_bytes(&bytes([1, 4, 5])[..23]), None);
        assert_eq!(Ranges::from_bytes(&[]), Some(Ranges::default()));
    }
}
