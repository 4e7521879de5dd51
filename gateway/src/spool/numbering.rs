//! Numbers and times of one machine's stream: what makes a record nameable for ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::json::{self, Place};
use crate::words::{Identity, Record};

/// Gives numbers without gaps, and to each record name times that strictly increase.
#[derive(Debug)]
pub struct Numbering {
    identity: Identity,
    epoch: u64,
    /// Of the last entry in this epoch.
    seq: u64,
    /// Time of the last entry, by record name.
    last_t: BTreeMap<Arc<str>, i64>,
}

impl Numbering {
    /// Numbers from 1 in that epoch.
    pub fn new(identity: Identity, epoch: u64) -> Self {
        Self {
            identity,
            epoch,
            seq: 0,
            last_t: BTreeMap::new(),
        }
    }

    /// Whose entries are numbered.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Begins again with 1 in another epoch.
    pub(super) fn restart(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.seq = 0;
        self.last_t.clear();
    }

    /// Time of the last entry of that name in this epoch.
    pub(super) fn last_t(&self, name: &str) -> Option<i64> {
        self.last_t.get(name).copied()
    }

    /// The place of the next entry of that name.
    pub(super) fn next(&mut self, name: &Arc<str>, wall_ns: i64) -> Place {
        self.seq += 1;
        let t_unix_ns = match self.last_t(name) {
            Some(last) if wall_ns <= last => last.saturating_add(1),
            _ => wall_ns,
        };
        self.last_t.insert(Arc::clone(name), t_unix_ns);
        Place {
            epoch: self.epoch,
            seq: self.seq,
            t_unix_ns,
        }
    }

    /// A record as it is sent, with the next number.
    pub fn record(&mut self, record: &Record) -> String {
        let place = self.next(&record.name, record.at.wall_ns);
        json::record(&self.identity, place, record)
    }
}
