//! What may be committed: for each partition, up to where everything is written.
//!
//! Batches are written in the order in which they were read, so the end of a written batch is the end
//! of everything before it. A partition that was taken away and given back is read anew from what was
//! committed; a batch of the time before says nothing about it any more, and is told apart by the
//! number of the assignment.

use std::collections::BTreeMap;

/// Up to where a batch goes, by partition: the number of the assignment, and the next offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    ends: Vec<(i32, u64, i64)>,
}

impl Progress {
    /// The batch has this record.
    fn reaches(&mut self, partition: i32, assignment: u64, next: i64) {
        let known = self
            .ends
            .iter_mut()
            .find(|(known, of, _)| *known == partition && *of == assignment);
        match known {
            Some((_, _, end)) => *end = next,
            None => self.ends.push((partition, assignment, next)),
        }
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.ends.clear();
    }
}

/// The partitions that are ours.
#[derive(Debug, Default)]
pub struct Offsets {
    assignments: u64,
    partitions: BTreeMap<i32, Partition>,
}

#[derive(Debug)]
struct Partition {
    assignment: u64,
    /// The next offset after what is written, once something is.
    written: Option<i64>,
    committed: Option<i64>,
}

impl Offsets {
    /// These partitions are ours from now on.
    pub fn assigned(&mut self, partitions: impl IntoIterator<Item = i32>) {
        self.assignments += 1;
        for partition in partitions {
            let fresh = Partition {
                assignment: self.assignments,
                written: None,
                committed: None,
            };
            self.partitions.insert(partition, fresh);
        }
    }

    /// These are no longer.
    pub fn revoked(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            self.partitions.remove(&partition);
        }
    }

    /// A record was read into a batch.
    pub fn read(&self, partition: i32, offset: i64, progress: &mut Progress) {
        if let Some(ours) = self.partitions.get(&partition) {
            progress.reaches(partition, ours.assignment, offset + 1);
        }
    }

    /// A batch was written, and all before it.
    pub fn written(&mut self, progress: &Progress) {
        for &(partition, assignment, next) in &progress.ends {
            if let Some(ours) = self.partitions.get_mut(&partition)
                && ours.assignment == assignment
            {
                ours.written = Some(next);
            }
        }
    }

    /// What is written and not committed, by partition.
    pub fn due(&self) -> Vec<(i32, i64)> {
        self.partitions
            .iter()
            .filter(|(_, ours)| ours.written != ours.committed)
            .filter_map(|(&partition, ours)| Some((partition, ours.written?)))
            .collect()
    }

    /// This was committed.
    pub fn committed(&mut self, offsets: &[(i32, i64)]) {
        for &(partition, next) in offsets {
            if let Some(ours) = self.partitions.get_mut(&partition) {
                ours.committed = Some(next);
            }
        }
    }

    /// Kafka didn't keep a commit: all are to be made again.
    pub fn forget_commits(&mut self) {
        for ours in self.partitions.values_mut() {
            ours.committed = None;
        }
    }

    /// Which partitions are ours.
    pub fn partitions(&self) -> impl Iterator<Item = i32> {
        self.partitions.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(offsets: &Offsets, records: &[(i32, i64)]) -> Progress {
        let mut progress = Progress::default();
        for &(partition, offset) in records {
            offsets.read(partition, offset, &mut progress);
        }
        progress
    }

    #[test]
    fn what_was_only_read_is_never_due() {
        let mut offsets = Offsets::default();
        offsets.assigned([0, 1]);
        let first = progress(&offsets, &[(0, 7), (1, 3), (0, 8)]);
        let second = progress(&offsets, &[(1, 4)]);
        assert_eq!(offsets.due(), []);
        offsets.written(&first);
        assert_eq!(offsets.due(), [(0, 9), (1, 4)]);
        offsets.committed(&[(0, 9), (1, 4)]);
        assert_eq!(offsets.due(), []);
        offsets.written(&second);
        assert_eq!(offsets.due(), [(1, 5)]);
        offsets.forget_commits();
        assert_eq!(offsets.due(), [(0, 9), (1, 5)]);
    }

    #[test]
    fn a_partition_that_was_taken_away_is_not_committed() {
        let mut offsets = Offsets::default();
        offsets.assigned([0, 1]);
        let batch = progress(&offsets, &[(0, 7), (1, 3)]);
        offsets.revoked([0]);
        offsets.written(&batch);
        assert_eq!(offsets.due(), [(1, 4)]);
    }

    #[test]
    fn a_batch_from_before_says_nothing_of_a_partition_that_came_back() {
        let mut offsets = Offsets::default();
        offsets.assigned([0]);
        let old = progress(&offsets, &[(0, 100)]);
        offsets.revoked([0]);
        offsets.assigned([0]);
        // Somebody else had it, and it is read anew from 50.
        let new = progress(&offsets, &[(0, 50)]);
        offsets.written(&old);
        assert_eq!(offsets.due(), []);
        offsets.written(&new);
        assert_eq!(offsets.due(), [(0, 51)]);
    }

    #[test]
    fn others_partitions_are_not_counted() {
        let mut offsets = Offsets::default();
        offsets.assigned([0]);
        let batch = progress(&offsets, &[(5, 1)]);
        offsets.written(&batch);
        assert_eq!(offsets.due(), []);
        assert_eq!(offsets.partitions().collect::<Vec<_>>(), [0]);
    }
}
