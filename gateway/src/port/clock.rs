//! The two clocks of a live line.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::words::{ClockState, Stamp};

/// Line time and wall clock that are farther apart than this: the wall clock was set. Reading one
/// after the other takes less than a microsecond; a step that matters is larger.
const WALL_CLOCK_SET_NS: u64 = 1_000_000;

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
    ///
    /// Linux lets both run at the same rate, also while time synchronisation corrects it, so the wall
    /// clock is line time after its origin, to the nanosecond, and a replay of a capture gives the
    /// same times. They part only when somebody sets the wall clock; from then on it is asked.
    pub fn now(&self) -> Stamp {
        // A u64 of nanoseconds holds 584 years.
        let ask = || {
            let line_ns = self.origin.elapsed().as_nanos() as u64;
            let wall_ns = self.origin_wall_ns.saturating_add_unsigned(line_ns);
            (line_ns, wall_ns, self::wall_ns())
        };
        // Other work may have come between the two answers: that can't happen each time, while a
        // clock that was set stays apart.
        for _ in 0..3 {
            let (line_ns, wall_ns, asked_ns) = ask();
            if asked_ns.abs_diff(wall_ns) <= WALL_CLOCK_SET_NS {
                return Stamp { line_ns, wall_ns };
            }
        }
        let (line_ns, _, wall_ns) = ask();
        Stamp { line_ns, wall_ns }
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

    #[test]
    fn the_wall_clock_is_line_time_after_its_origin() {
        let clock = LineClock::start();
        for _ in 0..1000 {
            let now = clock.now();
            assert_eq!(now.wall_ns - clock.origin_wall_ns(), now.line_ns as i64);
        }
    }

    #[test]
    fn a_wall_clock_that_was_set_is_asked() {
        let origin_wall_ns = wall_ns() - 5_000_000_000;
        let clock = LineClock {
            origin: Instant::now(),
            origin_wall_ns,
        };
        let now = clock.now();
        assert!(now.wall_ns - origin_wall_ns >= 5_000_000_000);
    }
}
