//! When the permit's bytes are due.
//!
//! The permit is the safe direction: it is sent at a fixed pace only while the cell permits it, and
//! whoever receives it stops when it is missing, for whatever reason. Nothing has to work for it to be
//! missing.

use serde::{Deserialize, Serialize};

use super::separation::State;

/// The permit as the settings say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// What is sent.
    pub bytes: Vec<u8>,
    /// How often, in nanoseconds.
    pub every_ns: u64,
}

/// The permit's pace.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    /// When it is due next; `None` while it is withheld.
    next_ns: Option<u64>,
}

impl Pace {
    /// Whether the bytes are to be sent now. Late ones are not made up for: a burst says no more than
    /// one.
    pub fn is_due(&mut self, permit: &Permit, state: State, now_ns: u64) -> bool {
        if !state.permits() {
            self.next_ns = None;
            return false;
        }
        let due_ns = self.next_ns.unwrap_or(now_ns);
        if due_ns > now_ns {
            return false;
        }
        let next_ns = due_ns.saturating_add(permit.every_ns);
        self.next_ns = Some(if next_ns > now_ns {
            next_ns
        } else {
            now_ns.saturating_add(permit.every_ns)
        });
        true
    }

    /// When to ask again; `None` while it is withheld.
    pub fn next_ns(&self) -> Option<u64> {
        self.next_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sent_at_its_pace_only_in_clear_and_warn() {
        let permit = Permit {
            bytes: vec![0x55],
            every_ns: 50,
        };
        let mut pace = Pace::default();
        let mut sent = |state, times: &[u64]| -> Vec<u64> {
            let due = times.iter().filter(|at| pace.is_due(&permit, state, **at));
            due.copied().collect()
        };
        assert!(sent(State::Unknown, &[0, 100, 200]).is_empty());
        assert_eq!(
            sent(State::Clear, &[210, 220, 259, 260, 309, 310]),
            [210, 260, 310]
        );
        assert_eq!(sent(State::Warn, &[320, 361]), [361], "the pace goes on");
        assert!(sent(State::Stop, &[410, 460, 1000]).is_empty());
        assert_eq!(
            sent(State::Clear, &[1001]),
            [1001],
            "at once when it may again"
        );
        assert_eq!(
            sent(State::Clear, &[1500, 1501, 1549, 1550]),
            [1500, 1550],
            "no burst"
        );
    }
}
