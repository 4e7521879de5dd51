//! The two clocks of a live line.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::words::{ClockState, Stamp};

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

/// Whether something holds the wall clock, as the kernel knows it: chrony, systemd-timesyncd and
/// ntpd all tell it. A system call, for once in a while.
#[allow(unsafe_code)]
pub fn clock_state() -> ClockState {
    // SAFETY: `timex` is plain numbers, for all of which zero is a value; with `modes` at zero the
    // call changes nothing, and it writes only into the structure that it is given.
    let (result, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&mut timex), timex)
    };
    if result >= 0 && timex.status & libc::STA_UNSYNC == 0 {
        ClockState::Synced
    } else {
        ClockState::Unsynced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_run_and_line_time_begins_at_zero() {
        let clock = LineClock::start();
        let first = clock.now();
        let second = clock.now();
        assert!(first.line_ns <= second.line_ns);
        assert!(first.line_ns < 60_000_000_000);
        // After the year this was written in, before the end of an i64.
        assert!(clock.origin_wall_ns() > 1_767_225_600_000_000_000);
    }

    #[test]
    fn the_kernel_says_whether_the_clock_is_held() {
        assert_ne!(clock_state(), ClockState::Capture);
    }
}
