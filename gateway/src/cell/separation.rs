//! One robot's separation: a state out of margins, in line time.
//!
//! A margin is distance less protective separation distance, as the stage computed it for the pair
//! that decides. Below zero is `stop`, below the warning margin `warn`, else `clear`. Whatever is
//! missing makes `unknown`.
//!
//! Keeps true:
//! - A worse state holds at once, with the first margin that asks for it.
//! - A better one holds only after `hold`, in which every margin was above its threshold by the
//!   hysteresis and nothing was missing. That goes for `unknown` too, so a start takes `hold`.
//! - The same words at the same times give the same states, live and in a replay.

use serde::{Deserialize, Serialize};

/// How a robot, or a cell, stands; from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Everybody is farther away than the protective distance and the warning margin.
    Clear,
    /// Somebody is within the warning margin.
    Warn,
    /// Somebody is nearer than the protective distance.
    Stop,
    /// Nobody can say. Never safe.
    Unknown,
}

impl State {
    /// All of them, from the best to the worst.
    pub const ALL: [Self; 4] = [Self::Clear, Self::Warn, Self::Stop, Self::Unknown];

    /// As it stands in records and on the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Warn => "warn",
            Self::Stop => "stop",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the permit is sent in it.
    pub fn permits(self) -> bool {
        matches!(self, Self::Clear | Self::Warn)
    }
}

/// Why a state is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The margin of the deciding pair.
    Margin,
    /// Nobody and nothing is in the cell, and its source says so.
    NoObstacles,
    /// Nothing that a separation could be computed from came for longer than the adapter's
    /// `stale_after`.
    Silent,
    /// Stages rejected one frame after the other.
    Rejected,
    /// An obstacle, or the word of their source, is older than its time to live.
    StaleObstacle,
    /// A stage misbehaved and was put aside.
    ModuleSetAside,
    /// The stage has what it needs from the line and still computes none: the robot is faster than
    /// the last row of its stopping table, or something was never stated.
    MissingParameter,
    /// The gateway took longer than the settings declare.
    Latency,
    /// The port went away.
    Disconnected,
    /// Nothing has been computed yet.
    Starting,
}

impl Cause {
    /// As it stands in records and on the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Margin => "margin",
            Self::NoObstacles => "no_obstacles",
            Self::Silent => "silent",
            Self::Rejected => "rejected",
            Self::StaleObstacle => "stale_obstacle",
            Self::ModuleSetAside => "module_set_aside",
            Self::MissingParameter => "missing_parameter",
            Self::Latency => "latency",
            Self::Disconnected => "disconnected",
            Self::Starting => "starting",
        }
    }

    /// What a person should know or do; empty where the state says it all.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Margin => "",
            Self::NoObstacles => "nobody and nothing is in the cell",
            Self::Silent => "no axis values come in: check the cable and that the machine sends",
            Self::Rejected => "frame after frame is rejected: look at the line's counters",
            Self::StaleObstacle => "where people are is not known any more: check their source",
            Self::ModuleSetAside => "a stage misbehaved and was put aside: mend it and start again",
            Self::MissingParameter => {
                "no separation can be computed: is the robot faster than its stopping table?"
            }
            Self::Latency => "the gateway took longer than `latency.gateway` declares",
            Self::Disconnected => "the port is gone; the line looks for it",
            Self::Starting => "no separation has been computed yet",
        }
    }
}

/// What a state is made by, as the settings say it. A capture and the lake keep it as an input, so that
/// a replay makes the same states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The cell's name.
    pub cell: String,
    /// Below this margin, in metres, it is `warn`.
    pub warn_margin_m: f64,
    /// By how much a margin must be above a threshold before the better state may hold, in metres.
    pub hysteresis_m: f64,
    /// For how long, in nanoseconds.
    pub hold_ns: u64,
    /// Whether a source says who is in the cell; without its word it is `unknown`.
    pub watched: bool,
    /// The gateway's own time that the settings declare, in nanoseconds; it is checked live.
    pub gateway_latency_ns: u64,
}

/// What was found out at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Word {
    /// The margin of the pair that decides, in metres.
    Margin(f64),
    /// There is no pair, because nobody is there.
    NoObstacles,
    /// Nothing, and why.
    Nothing(Cause),
}

/// One robot's state.
#[derive(Debug, Clone)]
pub struct Separation {
    state: State,
    cause: Cause,
    /// Since when every word allowed `Clear`; at least `Warn`; at least `Stop`, that is: said something.
    allowed_since_ns: [Option<u64>; 3],
}

impl Default for Separation {
    fn default() -> Self {
        Self::new()
    }
}

impl Separation {
    /// Before the first word.
    pub fn new() -> Self {
        Self {
            state: State::Unknown,
            cause: Cause::Starting,
            allowed_since_ns: [None; 3],
        }
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why it is so.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Takes a word; times never go back. The state before, if it is another one now.
    pub fn hear(&mut self, word: Word, rules: &Rules, at_ns: u64) -> Option<State> {
        let was = self.state;
        let (asked, allowed, cause) = match word {
            Word::Margin(margin_m) if margin_m.is_finite() => (
                state_of(margin_m, rules),
                state_of(margin_m - rules.hysteresis_m, rules),
                Cause::Margin,
            ),
            Word::Margin(_) => return self.nothing(Cause::MissingParameter, was),
            Word::NoObstacles => (State::Clear, State::Clear, Cause::NoObstacles),
            Word::Nothing(cause) => return self.nothing(cause, was),
        };
        let mut best = State::Unknown;
        for (state, since_ns) in State::ALL.into_iter().zip(&mut self.allowed_since_ns) {
            if allowed > state {
                *since_ns = None;
                continue;
            }
            let held_ns = at_ns.saturating_sub(*since_ns.get_or_insert(at_ns));
            if held_ns >= rules.hold_ns {
                best = best.min(state);
            }
        }
        // No better than what was allowed for long enough, and at once what is asked for; that goes for
        // `stop` also where nothing was known.
        self.state = match asked {
            State::Stop => State::Stop,
            asked => best.min(self.state).max(asked),
        };
        if self.state != State::Unknown {
            self.cause = cause;
        }
        (self.state != was).then_some(was)
    }

    fn nothing(&mut self, cause: Cause, was: State) -> Option<State> {
        self.state = State::Unknown;
        self.cause = cause;
        self.allowed_since_ns = [None; 3];
        (self.state != was).then_some(was)
    }
}

/// What a margin asks for by itself.
fn state_of(margin_m: f64, rules: &Rules) -> State {
    if margin_m < 0.0 {
        State::Stop
    } else if margin_m < rules.warn_margin_m {
        State::Warn
    } else {
        State::Clear
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    fn rules() -> Rules {
        Rules {
            cell: "cell-3".into(),
            warn_margin_m: 0.5,
            hysteresis_m: 0.1,
            hold_ns: 300 * MS,
            watched: false,
            gateway_latency_ns: 5 * MS,
        }
    }

    /// Says the same margin each 20 ms from one time to before another; the states that it went through.
    fn say(separation: &mut Separation, margin_m: f64, ms: std::ops::Range<u64>) -> Vec<State> {
        let mut states = vec![separation.state()];
        for at_ms in ms.step_by(20) {
            separation.hear(Word::Margin(margin_m), &rules(), at_ms * MS);
            if states.last() != Some(&separation.state()) {
                states.push(separation.state());
            }
        }
        states
    }

    /// One that has been clear for a while, at one second.
    fn clear() -> Separation {
        let mut separation = Separation::new();
        say(&mut separation, 2.0, 0..1000);
        assert_eq!(separation.state(), State::Clear);
        separation
    }

    #[test]
    fn it_begins_unknown_and_becomes_clear_only_after_the_hold() {
        let mut separation = Separation::new();
        assert_eq!(separation.cause(), Cause::Starting);
        say(&mut separation, 2.0, 0..300);
        assert_eq!(
            (separation.state(), separation.cause()),
            (State::Unknown, Cause::Starting)
        );
        let was = separation.hear(Word::Margin(2.0), &rules(), 300 * MS);
        assert_eq!(was, Some(State::Unknown));
        assert_eq!(
            (separation.state(), separation.cause()),
            (State::Clear, Cause::Margin)
        );
    }

    #[test]
    fn a_worse_state_holds_at_once() {
        for (margin_m, state) in [
            (0.49, State::Warn),
            (0.0, State::Warn),
            (-0.001, State::Stop),
        ] {
            let mut separation = clear();
            separation.hear(Word::Margin(margin_m), &rules(), 1000 * MS);
            assert_eq!(separation.state(), state, "{margin_m}");
        }
        let mut separation = clear();
        let was = separation.hear(Word::Nothing(Cause::Silent), &rules(), 1000 * MS);
        assert_eq!(was, Some(State::Clear));
        assert_eq!(separation.cause(), Cause::Silent);
    }

    #[test]
    fn out_of_stop_leads_a_margin_that_is_above_the_hysteresis_for_the_hold() {
        let stopped = || {
            let mut separation = clear();
            separation.hear(Word::Margin(-0.2), &rules(), 1000 * MS);
            separation
        };
        assert_eq!(say(&mut stopped(), 0.09, 1020..9000), [State::Stop]);
        assert_eq!(say(&mut stopped(), 0.11, 1020..1320), [State::Stop]);
        assert_eq!(
            say(&mut stopped(), 0.11, 1020..9000),
            [State::Stop, State::Warn]
        );
        assert_eq!(
            say(&mut stopped(), 0.55, 1020..9000),
            [State::Stop, State::Warn],
            "clear begins at 0.5 and 0.1 above it"
        );
        assert_eq!(
            say(&mut stopped(), 0.61, 1020..9000),
            [State::Stop, State::Clear]
        );
    }

    #[test]
    fn one_bad_margin_or_silence_begins_the_hold_anew() {
        for word in [
            Word::Margin(0.05),
            Word::Nothing(Cause::StaleObstacle),
            Word::Margin(f64::NAN),
        ] {
            let mut separation = clear();
            separation.hear(Word::Margin(-0.2), &rules(), 1000 * MS);
            say(&mut separation, 2.0, 1020..1300);
            separation.hear(word, &rules(), 1300 * MS);
            say(&mut separation, 2.0, 1320..1620);
            assert!(separation.state() >= State::Stop, "{word:?}");
            say(&mut separation, 2.0, 1620..1640);
            assert_eq!(separation.state(), State::Clear, "{word:?}");
        }
    }

    #[test]
    fn somebody_too_near_is_stop_also_where_nothing_was_known() {
        let mut separation = Separation::new();
        let was = separation.hear(Word::Margin(-0.001), &rules(), 0);
        assert_eq!(
            (was, separation.state()),
            (Some(State::Unknown), State::Stop)
        );
        let mut separation = Separation::new();
        assert_eq!(
            say(&mut separation, 0.05, 0..1000),
            [State::Unknown, State::Stop],
            "within the hysteresis it is known, and not released"
        );
    }

    #[test]
    fn nobody_there_is_clear_and_says_so() {
        let mut separation = Separation::new();
        for at_ms in [0, 150, 300] {
            separation.hear(Word::NoObstacles, &rules(), at_ms * MS);
        }
        assert_eq!(
            (separation.state(), separation.cause()),
            (State::Clear, Cause::NoObstacles)
        );
    }

    #[test]
    fn what_is_no_number_is_unknown() {
        for margin_m in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut separation = clear();
            separation.hear(Word::Margin(margin_m), &rules(), 1000 * MS);
            assert_eq!(separation.state(), State::Unknown, "{margin_m}");
        }
    }

    fn words() -> impl Strategy<Value = Vec<(u64, Option<f64>)>> {
        let word = prop_oneof![
            6 => (-0.3..1.0f64).prop_map(Some),
            1 => Just(None),
        ];
        // Each word holds for some time, so that holds come about.
        prop::collection::vec((1..200u64, word, 1..30usize), 1..40).prop_map(|parts| {
            let (mut at_ms, mut words) = (0, Vec::new());
            for (step_ms, word, times) in parts {
                for _ in 0..times {
                    at_ms += step_ms.min(50);
                    words.push((at_ms, word));
                }
            }
            words
        })
    }

    proptest! {
        /// Judged from the whole history, by the sentences above and not by the code.
        #[test]
        fn no_state_is_better_than_its_history_allows(words in words()) {
            let (mut separation, rules) = (Separation::new(), rules());
            for (index, (at_ms, margin)) in words.iter().enumerate() {
                let before = separation.state();
                let word = margin.map_or(Word::Nothing(Cause::Silent), Word::Margin);
                separation.hear(word, &rules, at_ms * MS);
                let now = separation.state();
                let Some(margin_m) = margin else {
                    prop_assert_eq!(now, State::Unknown);
                    continue;
                };
                prop_assert!(*margin_m >= 0.0 || now >= State::Stop);
                prop_assert!(*margin_m >= 0.5 || now >= State::Warn);
                if now < before && *margin_m >= 0.0 {
                    let least_m = match now {
                        State::Clear => 0.6,
                        State::Warn => 0.1,
                        State::Stop | State::Unknown => f64::NEG_INFINITY,
                    };
                    let held = words[..=index].iter().rev().take_while(|(_, margin)| {
                        margin.is_some_and(|margin_m| margin_m >= least_m - 1e-12)
                    });
                    let since_ms = held.last().map_or(*at_ms, |(at_ms, _)| *at_ms);
                    prop_assert!(at_ms - since_ms >= 300, "{} since {}", at_ms, since_ms);
                }
            }
        }

        #[test]
        fn a_state_worsens_only_for_a_reason(words in words()) {
            let (mut separation, rules) = (Separation::new(), rules());
            for (at_ms, margin) in words {
                let before = separation.state();
                let word = margin.map_or(Word::Nothing(Cause::Silent), Word::Margin);
                separation.hear(word, &rules, at_ms * MS);
                if separation.state() > before {
                    let asked = match margin {
                        None => State::Unknown,
                        Some(margin_m) if margin_m < 0.0 => State::Stop,
                        Some(margin_m) if margin_m < 0.5 => State::Warn,
                        Some(_) => State::Clear,
                    };
                    prop_assert_eq!(separation.state(), asked);
                }
            }
        }
    }
}
