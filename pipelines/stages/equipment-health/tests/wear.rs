//! How far, how fast, how long.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use retrotap_stage_equipment_health::wear::{Lags, Scale, Wear};

const SECOND_NS: i64 = 1_000_000_000;

/// Zone boundaries A/B and C/D of ISO 10816-1 for machines of 15 to 75 kW, mm/s.
const VIBRATION: Scale = Scale {
    healthy: 1.12,
    failed: 7.1,
};

const LAGS: Lags = Lags {
    smoothing_s: 10.0,
    trend_s: 100.0,
};

/// A value that rises by that much each second, looked at every `step_s` seconds for so many.
fn ramp(start: f64, per_second: f64, step_s: i64, seconds: i64) -> Wear {
    let mut wear = Wear::UNKNOWN;
    for second in (0..=seconds).step_by(step_s as usize) {
        let value = start + per_second * second as f64;
        wear.push(value, second * SECOND_NS, &VIBRATION, &LAGS);
    }
    wear
}

#[test]
fn a_value_is_between_healthy_and_failed_and_beyond() {
    for (value, level) in [
        (1.12, 0.0),
        (7.1, 1.0),
        (4.11, 0.5),
        (0.0, -0.187_290_969_899_665_5),
    ] {
        let seen = ramp(value, 0.0, 1, 0).level().unwrap();
        assert!((seen - level).abs() < 1e-12, "{value}: {seen}");
    }
    // Where less is worse, as with the pressure of oil.
    let pressure = Scale {
        healthy: 4.0,
        failed: 1.0,
    };
    let mut wear = Wear::UNKNOWN;
    wear.push(2.5, 0, &pressure, &LAGS);
    assert_eq!(wear.level(), Some(0.5));
}

#[test]
fn nothing_is_told_before_there_is_anything_to_tell() {
    assert_eq!(Wear::UNKNOWN.level(), None);
    assert_eq!(Wear::UNKNOWN.per_second(&LAGS), None);
    assert_eq!(ramp(2.0, 0.01, 1, 99).per_second(&LAGS), None);
    assert!(ramp(2.0, 0.01, 1, 100).per_second(&LAGS).is_some());
}

#[test]
fn the_trend_of_a_ramp_is_its_slope_however_often_it_is_looked_at() {
    let slope = 0.001 / (VIBRATION.failed - VIBRATION.healthy);
    for step_s in [1, 5, 50] {
        let seen = ramp(2.0, 0.001, step_s, 2000).per_second(&LAGS).unwrap();
        assert!(
            (seen / slope - 1.0).abs() < 1e-3,
            "every {step_s} s: {seen}"
        );
    }
}

#[test]
fn what_is_left_is_the_rest_of_the_way_at_this_pace() {
    let wear = ramp(2.0, 0.001, 1, 2000);
    // 7.1 is reached at 5100 s; the score lags by 10 s.
    let left_s = wear.left_s(&LAGS).unwrap();
    assert!((left_s - 3110.0).abs() < 5.0, "{left_s}");
    assert_eq!(ramp(4.0, -0.001, 1, 2000).left_s(&LAGS), None);
    assert_eq!(ramp(8.0, 0.001, 1, 2000).left_s(&LAGS), Some(0.0));
}

#[test]
fn after_a_long_pause_it_begins_anew() {
    let mut wear = ramp(2.0, 0.001, 1, 2000);
    wear.push(1.12, 2101 * SECOND_NS, &VIBRATION, &LAGS);
    assert_eq!(wear.level(), Some(0.0));
    assert_eq!(wear.per_second(&LAGS), None);
}

proptest! {
    #[test]
    fn the_level_stays_between_the_least_and_the_greatest_that_was_seen(
        steps in prop::collection::vec((0.0..20.0_f64, 0..200_i64), 1..60),
    ) {
        let mut wear = Wear::UNKNOWN;
        let mut t_ns = 0;
        let (mut least, mut most) = (f64::MAX, f64::MIN);
        for (value, seconds) in steps {
            t_ns += seconds * SECOND_NS;
            wear.push(value, t_ns, &VIBRATION, &LAGS);
            let raw = (value - 1.12) / 5.98;
            (least, most) = (least.min(raw), most.max(raw));
            let level = wear.level().unwrap();
            prop_assert!(level >= least - 1e-9 && level <= most + 1e-9);
        }
    }
}
