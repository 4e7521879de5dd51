//! Frames in every order that a line can bring them in.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use retrotap_stage_krc2_decode::cycle::{Assembler, Broken, Cycle, CycleLimits};
use retrotap_stage_krc2_decode::frame::AxisValue;

const FRAME_NS: i64 = 9_375_000;

fn limits() -> CycleLimits {
    CycleLimits::new(0.009_375, 0.05).unwrap()
}

fn assembler() -> Assembler {
    let mut assembler = Assembler::new();
    assembler.set_limits(limits());
    assembler
}

/// Axis `axis` (from 1) of cycle `cycle`: the value says both.
fn frame(cycle: i32, axis: usize) -> AxisValue {
    AxisValue {
        index: axis - 1,
        value_1e5: cycle * 10 + axis as i32,
    }
}

fn cycle(number: i32) -> impl Iterator<Item = AxisValue> {
    (1..=7).map(move |axis| frame(number, axis))
}

/// What comes of frames at the line's pace: numbers of the whole cycles, and what was broken.
fn run(frames: impl IntoIterator<Item = AxisValue>) -> (Vec<i32>, Vec<Broken>) {
    let mut assembler = assembler();
    let (mut whole, mut broken) = (Vec::new(), Vec::new());
    for (frame, t_ns) in frames
        .into_iter()
        .zip((FRAME_NS..).step_by(FRAME_NS as usize))
    {
        match assembler.push(frame, t_ns) {
            Ok(Some(cycle)) => whole.push(number(&cycle)),
            Ok(None) => {}
            Err(why) => broken.push(why),
        }
    }
    (whole, broken)
}

/// The number of a cycle, of which every value must be.
fn number(cycle: &Cycle) -> i32 {
    let number = cycle.values_1e5[0] / 10;
    let expected: Vec<i32> = self::cycle(number).map(|frame| frame.value_1e5).collect();
    assert_eq!(cycle.values_1e5[..], expected, "values of two cycles");
    number
}

#[test]
fn seven_frames_are_a_cycle() {
    let frames = (1..=5).flat_map(cycle);
    assert_eq!(run(frames), (vec![1, 2, 3, 4, 5], vec![]));
}

#[test]
fn a_lost_frame_costs_its_cycle_and_one_rejection() {
    for lost in 7..14 {
        let frames: Vec<_> = (1..=4)
            .flat_map(cycle)
            .enumerate()
            .filter(|(at, _)| *at != lost)
            .map(|(_, frame)| frame)
            .collect();
        assert_eq!(
            run(frames),
            (vec![1, 3, 4], vec![Broken::Order]),
            "frame {lost}"
        );
    }
}

#[test]
fn a_doubled_frame_costs_its_cycle_and_one_rejection() {
    for doubled in 8..14 {
        let frames: Vec<_> = (1..=4)
            .flat_map(cycle)
            .enumerate()
            .flat_map(|(at, frame)| core::iter::repeat_n(frame, if at == doubled { 2 } else { 1 }))
            .collect();
        let (whole, broken) = run(frames);
        // Doubling the last frame leaves the cycle before it whole: the second one belongs to none.
        let expected = if doubled == 13 {
            vec![1, 2, 3, 4]
        } else {
            vec![1, 3, 4]
        };
        assert_eq!(
            (whole, broken),
            (expected, vec![Broken::Order]),
            "frame {doubled}"
        );
    }
}

#[test]
fn a_doubled_first_frame_begins_its_cycle_again() {
    let frames = cycle(1)
        .chain([frame(2, 1)])
        .chain(cycle(2))
        .chain(cycle(3));
    assert_eq!(run(frames), (vec![1, 2, 3], vec![Broken::Order]));
}

#[test]
fn two_frames_in_exchanged_order_cost_their_cycle() {
    for first in 7..13 {
        let mut frames: Vec<_> = (1..=4).flat_map(cycle).collect();
        frames.swap(first, first + 1);
        let (whole, broken) = run(frames);
        assert_eq!(whole, [1, 3, 4], "frames {first} and the next");
        assert!(!broken.is_empty());
    }
}

#[test]
fn a_line_that_starts_in_the_middle_of_a_cycle_is_not_at_fault() {
    for start in 1..7 {
        let frames = cycle(1).skip(start).chain(cycle(2));
        assert_eq!(run(frames), (vec![2], vec![]), "from frame {start}");
    }
}

#[test]
fn a_cycle_that_begins_again_in_the_middle_is_taken_from_there() {
    for broken_at in 1..7 {
        let frames = cycle(1).take(broken_at).chain(cycle(2));
        assert_eq!(run(frames), (vec![2], vec![Broken::Order]));
    }
}

#[test]
fn seven_frames_of_one_axis_are_no_cycle() {
    assert_eq!(
        run(core::iter::repeat_n(frame(1, 4), 7)).0,
        Vec::<i32>::new()
    );
    assert_eq!(
        run(core::iter::repeat_n(frame(1, 1), 7)).0,
        Vec::<i32>::new()
    );
}

#[test]
fn a_damaged_frame_costs_its_cycle_only() {
    let mut assembler = assembler();
    let mut whole = Vec::new();
    for (at, frame) in (1..=3).flat_map(cycle).enumerate() {
        let t_ns = at as i64 * FRAME_NS;
        if at == 9 {
            assembler.discard();
        } else if let Some(cycle) = assembler.push(frame, t_ns).unwrap() {
            whole.push(number(&cycle));
        }
    }
    assert_eq!(whole, [1, 3]);
}

#[test]
fn a_whole_cycle_lost_within_two_is_seen_by_the_time() {
    // Axes 1 to k of one cycle, then k+1 to 7 of the next: the numbers fit.
    for kept in 1..7 {
        let mut assembler = assembler();
        let both = cycle(1)
            .take(kept)
            .chain(cycle(2).skip(kept))
            .chain(cycle(3));
        let (mut whole, mut broken) = (Vec::new(), Vec::new());
        for (at, frame) in both.enumerate() {
            let sent = at + if at < kept { 0 } else { 7 };
            match assembler.push(frame, sent as i64 * FRAME_NS) {
                Ok(Some(cycle)) => whole.push(number(&cycle)),
                Ok(None) => {}
                Err(why) => broken.push(why),
            }
        }
        assert_eq!(
            (whole, broken),
            (vec![3], vec![Broken::Gap]),
            "{kept} frames kept"
        );
    }
}

#[test]
fn a_pause_between_cycles_is_nobodys_fault() {
    let mut assembler = assembler();
    let mut whole = 0;
    for (at, frame) in (1..=3).flat_map(cycle).enumerate() {
        let pause_ns = (at as i64 / 7) * 3_600_000_000_000;
        whole += usize::from(
            assembler
                .push(frame, at as i64 * FRAME_NS + pause_ns)
                .unwrap()
                .is_some(),
        );
    }
    assert_eq!(whole, 3);
}

#[test]
fn a_gap_limit_that_cannot_tell_cycles_apart_is_refused() {
    assert!(CycleLimits::new(0.01, 0.08).is_none());
    assert!(CycleLimits::new(0.01, 0.079).is_some());
}

fn age_s(times_ns: [i64; 7]) -> f64 {
    let mut assembler = assembler();
    let mut done = None;
    for (frame, t_ns) in cycle(1).zip(times_ns) {
        done = assembler.push(frame, t_ns).unwrap();
    }
    done.unwrap().age_s
}

#[test]
fn the_age_counts_from_the_first_bit_of_the_first_frame() {
    let paced = core::array::from_fn(|at| (at as i64 + 1) * FRAME_NS);
    assert!((age_s(paced) - 7.0 * 0.009_375).abs() < 1e-12);
    let slow = core::array::from_fn(|at| at as i64 * 20_000_000);
    assert!((age_s(slow) - (0.12 + 0.009_375)).abs() < 1e-12);
}

#[test]
fn frames_in_a_bundle_look_no_younger_than_the_wire_allows() {
    assert!((age_s([5; 7]) - 7.0 * 0.009_375).abs() < 1e-12);
}

proptest! {
    #[test]
    fn no_sequence_of_frames_gives_a_mixed_cycle(kept in prop::collection::vec(any::<bool>(), 70)) {
        // Any frames lost, at the line's pace: `number` checks every cycle that comes out.
        let mut assembler = assembler();
        let mut whole = Vec::new();
        for (at, frame) in (1..=10).flat_map(cycle).enumerate().filter(|(at, _)| kept[*at]) {
            if let Ok(Some(cycle)) = assembler.push(frame, at as i64 * FRAME_NS) {
                whole.push(number(&cycle));
            }
        }
        let complete: Vec<i32> = kept.chunks(7).zip(1..).filter(|(frames, _)| frames.iter().all(|kept| *kept)).map(|(_, number)| number).collect();
        prop_assert_eq!(whole, complete);
    }
}
