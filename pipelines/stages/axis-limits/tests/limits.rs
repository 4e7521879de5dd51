//! What is accepted, what is not, and how a line gets back in.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use retrotap_stage_axis_limits::limits::{AXES, AxisBounds, Checker, Limits, Rejection, Speeds};

const CYCLE_NS: i64 = 65_625_000;
const SECOND_NS: i64 = 1_000_000_000;

/// ±100 at up to 50 per second, a quarter tolerance, resync after one second.
fn limits() -> Limits {
    Limits {
        axes: [AxisBounds {
            least: -100.0,
            greatest: 100.0,
            speed_max: 50.0,
        }; AXES],
        cycle_time_min_s: 0.05,
        speed_tolerance: 0.25,
        resync_after_s: 1.0,
    }
}

fn checker() -> Checker {
    let mut checker = Checker::default();
    checker.set_limits(limits()).unwrap();
    checker
}

fn only(axis: usize, value: f64) -> [f64; AXES] {
    let mut values = [0.0; AXES];
    values[axis] = value;
    values
}

fn check(checker: &mut Checker, value: f64, t_ns: i64) -> Result<Option<Speeds>, Rejection> {
    checker.check(&only(2, value), t_ns)
}

#[test]
fn the_first_cycle_is_accepted_without_speeds() {
    assert_eq!(check(&mut checker(), 80.0, 0), Ok(None));
}

#[test]
fn the_ends_of_a_range_belong_to_it() {
    for axis in 0..AXES {
        for (value, expected) in [
            (100.0, Ok(None)),
            (-100.0, Ok(None)),
            (100.001, Err(Rejection::OutOfRange(axis))),
            (-100.001, Err(Rejection::OutOfRange(axis))),
            (f64::NAN, Err(Rejection::OutOfRange(axis))),
        ] {
            assert_eq!(checker().check(&only(axis, value), 0), expected);
        }
    }
}

#[test]
fn speeds_are_the_mean_since_the_last_accepted_cycle() {
    let mut checker = checker();
    check(&mut checker, 0.0, 0).unwrap();
    let speeds = check(&mut checker, -2.0, CYCLE_NS).unwrap().unwrap();
    assert!((speeds[2] + 2.0 / 0.065_625).abs() < 1e-9);
    assert_eq!(speeds[0], 0.0);
}

#[test]
fn an_axis_may_be_as_fast_as_its_top_speed_and_the_tolerance() {
    let reach = 50.0 * 1.25 * 0.065_625;
    for (way, accepted) in [
        (reach - 1e-9, true),
        (reach + 1e-9, false),
        (-reach + 1e-9, true),
        (-reach - 1e-9, false),
    ] {
        let mut checker = checker();
        check(&mut checker, 0.0, 0).unwrap();
        let seen = check(&mut checker, way, CYCLE_NS);
        assert_eq!(seen.is_ok(), accepted, "{way}");
        assert!(accepted || seen == Err(Rejection::TooFast(2)));
    }
}

#[test]
fn one_wrong_cycle_is_passed_over() {
    for wrong in [60.0, 200.0] {
        let mut checker = checker();
        check(&mut checker, 0.0, 0).unwrap();
        assert!(check(&mut checker, wrong, CYCLE_NS).is_err());
        let speeds = check(&mut checker, 2.0, 2 * CYCLE_NS).unwrap().unwrap();
        assert!(
            (speeds[2] - 2.0 / 0.131_25).abs() < 1e-9,
            "measured from the last accepted one"
        );
    }
}

#[test]
fn cycles_in_a_bundle_count_as_the_lines_shortest_time_apart() {
    let mut checker = checker();
    check(&mut checker, 0.0, 0).unwrap();
    let speeds = check(&mut checker, 2.0, 0).unwrap().unwrap();
    assert!((speeds[2] - 40.0).abs() < 1e-9);
    assert_eq!(check(&mut checker, 6.0, 1), Err(Rejection::TooFast(2)));
}

#[test]
fn a_wrong_cycle_that_was_accepted_shuts_the_line_out_for_as_long_as_resync_says_at_most() {
    let mut checker = checker();
    check(&mut checker, 99.0, 0).unwrap();
    let mut t_ns = 0;
    let mut rejected = 0;
    loop {
        t_ns += CYCLE_NS;
        match check(&mut checker, -99.0, t_ns) {
            Ok(_) => break,
            Err(reason) => {
                assert_eq!(reason, Rejection::TooFast(2));
                rejected += 1;
            }
        }
    }
    assert!(
        t_ns > SECOND_NS && t_ns <= SECOND_NS + CYCLE_NS,
        "{t_ns} after {rejected}"
    );
}

#[test]
fn after_silence_two_cycles_in_a_row_must_agree() {
    let mut checker = checker();
    check(&mut checker, 0.0, 0).unwrap();
    let t_ns = 5 * SECOND_NS;
    assert_eq!(check(&mut checker, 90.0, t_ns), Err(Rejection::Unconfirmed));
    assert_eq!(
        check(&mut checker, -90.0, t_ns + CYCLE_NS),
        Err(Rejection::TooFast(2))
    );
    let speeds = check(&mut checker, -91.0, t_ns + 2 * CYCLE_NS)
        .unwrap()
        .unwrap();
    assert!(
        (speeds[2] + 1.0 / 0.065_625).abs() < 1e-9,
        "against the one that it confirms"
    );
}

#[test]
fn a_cycle_out_of_range_confirms_nothing_and_needs_a_new_start() {
    let mut checker = checker();
    check(&mut checker, 0.0, 0).unwrap();
    let t_ns = 5 * SECOND_NS;
    assert_eq!(check(&mut checker, 0.0, t_ns), Err(Rejection::Unconfirmed));
    assert_eq!(
        check(&mut checker, 200.0, t_ns + CYCLE_NS),
        Err(Rejection::OutOfRange(2))
    );
    assert_eq!(
        check(&mut checker, 0.0, t_ns + 2 * CYCLE_NS),
        Err(Rejection::Unconfirmed)
    );
    assert!(check(&mut checker, 0.0, t_ns + 3 * CYCLE_NS).is_ok());
}

#[test]
fn two_cycles_far_apart_do_not_confirm_each_other() {
    let mut checker = checker();
    check(&mut checker, 0.0, 0).unwrap();
    assert_eq!(
        check(&mut checker, 0.0, 5 * SECOND_NS),
        Err(Rejection::Unconfirmed)
    );
    assert_eq!(
        check(&mut checker, 0.0, 10 * SECOND_NS),
        Err(Rejection::Unconfirmed)
    );
}

#[test]
fn an_empty_range_is_refused_and_the_limits_before_stay() {
    let mut checker = checker();
    let mut wrong = limits();
    wrong.axes[4].least = 101.0;
    assert_eq!(checker.set_limits(wrong), Err(4));
    assert_eq!(check(&mut checker, 100.0, 0), Ok(None));
}

proptest! {
    #[test]
    fn what_is_accepted_is_in_range_and_within_reach(
        cycles in prop::collection::vec((prop::array::uniform7(-120.0..120.0_f64), 0..200_000_000_i64), 1..60),
    ) {
        let mut checker = checker();
        let mut t_ns = 0;
        for (values, pause_ns) in cycles {
            t_ns += pause_ns;
            if let Ok(speeds) = checker.check(&values, t_ns) {
                prop_assert!(values.iter().all(|value| value.abs() <= 100.0));
                prop_assert!(speeds.is_none_or(|speeds| speeds.iter().all(|speed| speed.abs() <= 62.5001)));
            }
        }
    }

    #[test]
    fn after_any_history_a_machine_at_rest_is_accepted_again(
        cycles in prop::collection::vec((prop::array::uniform7(-120.0..120.0_f64), 0..2_000_000_000_i64), 0..20),
        rest in prop::array::uniform7(-100.0..100.0_f64),
    ) {
        let mut checker = checker();
        let mut t_ns = 0;
        for (values, pause_ns) in cycles {
            t_ns += pause_ns;
            let _ = checker.check(&values, t_ns);
        }
        let mut accepted = false;
        for _ in 0..18 {
            t_ns += CYCLE_NS;
            accepted = checker.check(&rest, t_ns).is_ok();
        }
        prop_assert!(accepted);
    }
}
