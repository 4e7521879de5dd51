//! Frames and inputs in the order in which the line had them.
//!
//! Each stream is in order by its numbers. Between the two only time tells: line time as long as both
//! count from the same beginning, which shows in the difference to their wall clock, and the wall
//! clock where they don't.

use retrotap::capture::InputKind;
use retrotap::words::RawFrame;

/// Wall and line time of one line differ by a constant, unless somebody sets the clock; two beginnings
/// of a line are farther apart than this.
const SAME_ORIGIN_NS: i64 = 500_000_000;

/// A frame with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFrame {
    /// Its epoch.
    pub epoch: u64,
    /// Its number in the stream.
    pub seq: u64,
    /// What the gateway had.
    pub raw: RawFrame,
}

/// An input with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptInput {
    /// Its epoch.
    pub epoch: u64,
    /// Its number in the stream.
    pub seq: u64,
    /// When, in line time.
    pub line_ns: u64,
    /// When, in Unix time.
    pub wall_ns: i64,
    /// What it is.
    pub kind: InputKind,
    /// What it says.
    pub data: String,
}

/// What happened next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A frame was computed.
    Frame(&'a KeptFrame),
    /// Something changed.
    Input(&'a KeptInput),
}

/// By number, each once. What was sent again is the same again.
pub fn once<T>(entries: &mut Vec<T>, name: impl Fn(&T) -> (u64, u64)) {
    entries.sort_unstable_by_key(&name);
    entries.dedup_by_key(|entry| name(entry));
}

/// Both streams as one. A frame is computed `silence_ns` after its last byte.
pub fn merge<'a>(
    frames: &'a [KeptFrame],
    inputs: &'a [KeptInput],
    silence_ns: u64,
) -> impl Iterator<Item = Step<'a>> {
    let mut frames = frames.iter().peekable();
    let mut inputs = inputs.iter().peekable();
    std::iter::from_fn(move || {
        let input_first = match (frames.peek(), inputs.peek()) {
            (Some(frame), Some(input)) => is_before(input, frame, silence_ns),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if input_first {
            inputs.next().map(Step::Input)
        } else {
            frames.next().map(Step::Frame)
        }
    })
}

fn is_before(input: &KeptInput, frame: &KeptFrame, silence_ns: u64) -> bool {
    let at = frame.raw.at;
    let origin = |wall_ns: i64, line_ns: u64| wall_ns.saturating_sub_unsigned(line_ns);
    let of_input = origin(input.wall_ns, input.line_ns);
    let of_frame = origin(at.wall_ns, at.line_ns);
    if of_input.abs_diff(of_frame) <= SAME_ORIGIN_NS.unsigned_abs() {
        input.line_ns <= at.line_ns.saturating_add(silence_ns)
    } else if input.epoch == frame.epoch {
        input.wall_ns <= at.wall_ns.saturating_add_unsigned(silence_ns)
    } else {
        input.epoch < frame.epoch
    }
}

#[cfg(test)]
mod tests {
    use retrotap::words::{ClockState, Stamp};

    use super::*;

    fn frame(epoch: u64, seq: u64, line_ns: u64, wall_ns: i64) -> KeptFrame {
        KeptFrame {
            epoch,
            seq,
            raw: RawFrame {
                at: Stamp { line_ns, wall_ns },
                clock: ClockState::Synced,
                number: seq,
                port: 0,
                bytes: vec![],
                errors: vec![],
            },
        }
    }

    fn input(epoch: u64, seq: u64, line_ns: u64, wall_ns: i64) -> KeptInput {
        KeptInput {
            epoch,
            seq,
            line_ns,
            wall_ns,
            kind: InputKind::Tick,
            data: String::new(),
        }
    }

    /// `f1` for a frame, `i1` for an input, by number.
    fn merged(frames: &[KeptFrame], inputs: &[KeptInput], silence_ns: u64) -> Vec<String> {
        merge(frames, inputs, silence_ns)
            .map(|step| match step {
                Step::Frame(frame) => format!("f{}", frame.seq),
                Step::Input(input) => format!("i{}", input.seq),
            })
            .collect()
    }

    const S: i64 = 1_000_000_000;

    #[test]
    fn line_time_decides_in_one_line() {
        let frames = [frame(1, 1, 100, S), frame(1, 2, 200, S + 100)];
        let inputs = [
            input(1, 1, 50, S),
            input(1, 2, 100, S),
            input(1, 3, 101, S + 1),
            input(1, 4, 900, S),
        ];
        assert_eq!(
            merged(&frames, &inputs, 0),
            ["i1", "i2", "f1", "i3", "f2", "i4"]
        );
    }

    #[test]
    fn a_frame_that_ends_with_silence_is_computed_after_it() {
        let frames = [frame(1, 1, 100, S)];
        let inputs = [input(1, 1, 105, S + 5), input(1, 2, 111, S + 11)];
        assert_eq!(merged(&frames, &inputs, 10), ["i1", "f1", "i2"]);
        assert_eq!(merged(&frames, &inputs, 0), ["f1", "i1", "i2"]);
    }

    #[test]
    fn a_line_that_began_anew_in_the_same_epoch_comes_after_the_old_one() {
        // The second line's clock began 10 s later, so its line time is small again.
        let frames = [
            frame(1, 1, 9_000_000_000, 9 * S),
            frame(1, 2, 1_000_000_000, 11 * S),
        ];
        let inputs = [input(1, 1, 500_000_000, 10 * S + S / 2)];
        assert_eq!(merged(&frames, &inputs, 0), ["f1", "i1", "f2"]);
    }

    #[test]
    fn a_new_epoch_comes_after_the_old_one_whatever_the_clock_says() {
        let frames = [frame(1, 1, 5, 100 * S), frame(2, 1, 5, 50 * S)];
        let inputs = [input(2, 1, 1, 50 * S)];
        assert_eq!(merged(&frames, &inputs, 0), ["f1", "i1", "f1"]);
    }

    #[test]
    fn what_was_sent_twice_is_there_once_and_in_order() {
        let mut frames = vec![
            frame(2, 1, 1, S),
            frame(1, 2, 2, S),
            frame(1, 1, 1, S),
            frame(1, 2, 2, S),
        ];
        once(&mut frames, |frame| (frame.epoch, frame.seq));
        let names: Vec<_> = frames
            .iter()
            .map(|frame| (frame.epoch, frame.seq))
            .collect();
        assert_eq!(names, [(1, 1), (1, 2), (2, 1)]);
    }
}
