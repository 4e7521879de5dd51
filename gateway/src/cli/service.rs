//! What the service manager hears of the gateway (`Type=notify`): that it is ready, what it is doing,
//! that it stops, and, where the manager keeps a watchdog, that every line still turns.
//!
//! Keeps true: the watchdog is fed only once each line's thread has come round since it was fed last. A
//! line whose machine says nothing, whose port is away, or which failed and is about to begin again comes
//! round all the same; a thread that hangs doesn't, and nothing inside the process could free it. The
//! manager then starts the gateway again.
//!
//! Doesn't do: anything where no manager listens (`NOTIFY_SOCKET`), as in a terminal.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio::sync::watch;

use crate::config::limits::{LINE_HANGS_AFTER, LINE_TURN_EVERY};
use crate::gauge::Gauge;
use crate::web::status::{Status, UplinkState};
use crate::words::LineState;

/// A line as the watchdog sees it.
#[derive(Debug, Clone)]
pub struct Pulse {
    /// The machine's name.
    pub machine: Arc<str>,
    /// Where its line counts how often it came round.
    pub gauge: Gauge,
}

/// Says that the gateway is ready, and from then on what it is doing, for as long as it is awaited.
pub async fn attend(lines: Vec<Pulse>, status: watch::Receiver<Arc<Status>>) {
    tell(&[NotifyState::Ready]);
    let turns = || lines.iter().map(|line| line.gauge.turns());
    let mut watchdog = watchdog_timeout().map(|timeout| Watchdog::new(timeout, turns()));
    let mut told = String::new();
    let every = watchdog
        .as_ref()
        .map_or(LINE_TURN_EVERY, |watchdog| watchdog.feed_every)
        .min(LINE_TURN_EVERY);
    let mut every = tokio::time::interval(every);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let mut hanging = Vec::new();
        if let Some(watchdog) = &mut watchdog {
            let look = watchdog.look(turns(), Instant::now());
            if look.feed {
                tell(&[NotifyState::Watchdog]);
            }
            for index in look.hang_now {
                let machine = &*lines[index].machine;
                let hangs_for = LINE_HANGS_AFTER;
                tracing::error!(
                    machine,
                    ?hangs_for,
                    "the line hangs; the watchdog isn't fed"
                );
            }
            hanging.extend(
                (watchdog.lines.iter().zip(&lines))
                    .filter(|(seen, _)| seen.hangs)
                    .map(|(_, line)| &*line.machine),
            );
        }
        let sentence = sentence(&status.borrow(), &hanging);
        if sentence != told {
            tell(&[NotifyState::Status(&sentence)]);
            told = sentence;
        }
    }
}

/// Says that the gateway stops because it was asked to.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

fn tell(what: &[NotifyState<'_>]) {
    // The variables stay set: no process is begun that could inherit them.
    if let Err(error) = sd_notify::notify(false, what) {
        tracing::warn!(%error, "the service manager can't be told");
    }
}

/// How long the manager waits to be fed, if it keeps a watchdog for this process.
fn watchdog_timeout() -> Option<Duration> {
    let mut timeout_us = 0;
    let kept = sd_notify::watchdog_enabled(false, &mut timeout_us) && timeout_us > 0;
    kept.then(|| Duration::from_micros(timeout_us))
}

/// Decides when to feed.
#[derive(Debug)]
struct Watchdog {
    feed_every: Duration,
    fed_at: Option<Instant>,
    lines: Vec<Seen>,
}

/// What was seen of one line.
#[derive(Debug)]
struct Seen {
    /// Its turns when the watchdog was fed last.
    fed: u64,
    /// Its turns at the last look, and since when there have been so many.
    turns: u64,
    since: Option<Instant>,
    hangs: bool,
}

/// What one look came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Look {
    feed: bool,
    /// The lines that were not known to hang before.
    hang_now: Vec<usize>,
}

impl Watchdog {
    fn new(timeout: Duration, turns: impl Iterator<Item = u64>) -> Self {
        let seen = |turns| Seen {
            fed: turns,
            turns,
            since: None,
            hangs: false,
        };
        Self {
            // Four tries in the time that the manager waits: a turn that is late is no reason to stop.
            feed_every: timeout / 4,
            fed_at: None,
            lines: turns.map(seen).collect(),
        }
    }

    fn look(&mut self, turns: impl Iterator<Item = u64>, now: Instant) -> Look {
        let mut look = Look::default();
        for (index, (line, turns)) in self.lines.iter_mut().zip(turns).enumerate() {
            if turns != line.turns || line.since.is_none() {
                line.since = Some(now);
            }
            line.turns = turns;
            let stood = line.since.map_or(Duration::ZERO, |since| now - since);
            let hangs = stood >= LINE_HANGS_AFTER;
            if hangs && !line.hangs {
                look.hang_now.push(index);
            }
            line.hangs = hangs;
        }
        let due = self.fed_at.is_none_or(|at| now - at >= self.feed_every);
        look.feed = due && self.lines.iter().all(|line| line.turns != line.fed);
        if look.feed {
            self.fed_at = Some(now);
            for line in &mut self.lines {
                line.fed = line.turns;
            }
        }
        look
    }
}

/// How many machines a sentence names; `systemctl status` has one line for it.
const NAMED_MAX: usize = 5;

/// One line for `systemctl status`: what is not as it should be, by name.
fn sentence(status: &Status, hanging: &[&str]) -> String {
    let mut troubles = Vec::new();
    let mut running = 0;
    for machine in &status.machines {
        let word = match machine.line.state {
            _ if hanging.contains(&machine.id.as_str()) => "hangs",
            LineState::Running => {
                running += 1;
                continue;
            }
            LineState::Starting => "starting",
            LineState::Silent => "silent",
            LineState::Disconnected => "disconnected",
            LineState::Failed => "failed",
        };
        troubles.push(format!("{} {word}", machine.id));
    }
    let mut sentence = format!("{running} of {} machines running", status.machines.len());
    let unnamed = troubles.len().saturating_sub(NAMED_MAX);
    troubles.truncate(NAMED_MAX);
    for trouble in &troubles {
        let _ = write!(sentence, ", {trouble}");
    }
    if unnamed > 0 {
        let _ = write!(sentence, ", {unnamed} more not");
    }
    sentence
        + match status.uplink.state {
            UplinkState::Connected => "; uplink connected",
            UplinkState::Connecting => "; uplink connecting",
            UplinkState::Refused => "; uplink refused",
            UplinkState::Off => "; no uplink",
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::status::{LineStatus, MachineStatus, UplinkStatus};

    const TIMEOUT: Duration = Duration::from_secs(20);

    /// Looks once a second at lines whose turns are a function of the second; when it was fed.
    fn fed_at_s(lines: usize, seconds: u64, turns: impl Fn(usize, u64) -> u64) -> Vec<u64> {
        let began = Instant::now();
        let at = |second| (0..lines).map(move |line| (line, second));
        let count = |(line, second)| turns(line, second);
        let mut watchdog = Watchdog::new(TIMEOUT, at(0).map(count));
        (1..seconds)
            .filter(|&second| {
                let now = began + Duration::from_secs(second);
                watchdog.look(at(second).map(count), now).feed
            })
            .collect()
    }

    #[test]
    fn it_is_fed_four_times_in_its_time_while_every_line_turns() {
        assert_eq!(fed_at_s(2, 18, |_, second| second), [1, 6, 11, 16]);
    }

    #[test]
    fn one_line_that_hangs_stops_the_feeding_whatever_the_others_do() {
        let turns = |line, second: u64| {
            if line == 1 {
                second.min(7)
            } else {
                second * 100
            }
        };
        assert_eq!(fed_at_s(3, 60, turns), [1, 6, 11]);
    }

    #[test]
    fn a_line_that_never_turned_never_counts() {
        let fed = fed_at_s(2, 60, |line, second| line as u64 * second);
        assert!(fed.is_empty(), "{fed:?}");
    }

    #[test]
    fn a_line_that_turns_again_is_fed_for_at_once() {
        let turns = |_, second: u64| if second < 14 { second.min(3) } else { second };
        assert_eq!(fed_at_s(1, 16, turns), [1, 6, 14]);
    }

    #[test]
    fn a_line_that_is_late_is_waited_for_and_not_given_up() {
        // A pause of eight seconds, once a look had found it turning.
        let turns = |_, second: u64| if (2..9).contains(&second) { 1 } else { second };
        assert_eq!(fed_at_s(1, 12, turns), [1, 9]);
    }

    #[test]
    fn a_line_that_hangs_is_told_once_and_again_after_it_turned() {
        let began = Instant::now();
        let mut watchdog = Watchdog::new(TIMEOUT, [0, 0].into_iter());
        let mut told = Vec::new();
        for second in 1..30_u64 {
            let turns = [second, if second == 15 { 1 } else { 0 }];
            let look = watchdog.look(turns.into_iter(), began + Duration::from_secs(second));
            told.extend(look.hang_now.into_iter().map(|line| (line, second)));
        }
        let first = 1 + LINE_HANGS_AFTER.as_secs();
        assert_eq!(told, [(1, first), (1, 16 + LINE_HANGS_AFTER.as_secs())]);
    }

    fn machine(id: &str, state: LineState) -> MachineStatus {
        MachineStatus {
            id: id.to_owned(),
            adapter: String::new(),
            title: String::new(),
            line: LineStatus {
                state,
                since: String::new(),
                detail: String::new(),
            },
            stale_after_s: 1.0,
            frame_age_s: None,
            frames: 0,
            frames_per_s: 0.0,
            rejected: Default::default(),
            skipped_bytes: Default::default(),
            line_errors: Default::default(),
            dropped_records: 0,
            ranges: Default::default(),
            records: Default::default(),
            record_ages_s: Default::default(),
        }
    }

    fn status(machines: Vec<MachineStatus>) -> Status {
        Status {
            t: String::new(),
            uptime_s: 0.0,
            gateway: String::new(),
            simulated: false,
            machines,
            cells: vec![],
            uplink: UplinkStatus {
                state: UplinkState::Off,
                url: String::new(),
                detail: String::new(),
                unreleased_records: 0,
                oldest_unreleased_age_s: None,
            },
            taken_at: Instant::now(),
        }
    }

    #[test]
    fn the_sentence_names_what_is_wrong_and_stays_one_line() {
        let two = status(vec![
            machine("press", LineState::Running),
            machine("robot", LineState::Running),
        ]);
        assert_eq!(sentence(&two, &[]), "2 of 2 machines running; no uplink");
        assert_eq!(
            sentence(&two, &["robot"]),
            "1 of 2 machines running, robot hangs; no uplink"
        );
        let many = (0..9).map(|n| machine(&format!("m{n}"), LineState::Silent));
        assert_eq!(
            sentence(&status(many.collect()), &[]),
            "0 of 9 machines running, m0 silent, m1 silent, m2 silent, m3 silent, m4 silent, \
             4 more not; no uplink"
        );
    }
}
