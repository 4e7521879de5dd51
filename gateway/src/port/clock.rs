//! The two clocks of a live line.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::words::Stamp;

/// Gives the ports of a line their time; copied to each, so that all of them share one origin.
#[derive(Debug, Clone, Copy)]
pub struct LineClock {
    origin: Instant,
    origin_wall_ns: i64,
}

impl LineClock {
    /// Line time 0 is now.
    pub fn start() -> LineClock {
        LineClock {
            origin: Instant::now(),
            origin_wall_ns: wall_ns(),
        }
    }

    /// What both clocks say.
    pub fn now(&self) -> Stamp {
        // A u64 of nanoseconds holds 584 years.
        Stamp {
            line_ns: self.origin.elapsed().as_nanos() as u64,
            wall_ns: wall_ns(),
        }
    }

    /// What the wall clock said at line time 0: what a capture counts from.
    pub fn origin_wall_ns(&self) -> i64 {
        self.origin_wall_ns
    }
}

/// Unix time in nanoseconds; 0 for a clock that stands before 1970.
fn wall_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        })
}
