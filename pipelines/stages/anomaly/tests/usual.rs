//! What is usual, and what is not.

use proptest::prelude::*;
use retrotap_stage_anomaly::usual::{Bounds, Judgement, Rule, Usual};

const SECOND_NS: i64 = 1_000_000_000;

const RULE: Rule = Rule {
    alpha: 0.05,
    z_max: 4.0,
    warm_up: 20,
    forget_after_s: 60.0,
};

const ANY: Bounds = Bounds {
    rate_max: 0.0,
    deviation_min: 0.0,
};

/// A field that swung between 9 and 11 for a while, and the time at which it ended.
fn swung() -> (Usual, i64) {
    let mut usual = Usual::UNKNOWN;
    for second in 0..200 {
        let value = if second % 2 == 0 { 9.0 } else { 11.0 };
        let seen = usual.judge(value, second * SECOND_NS, &RULE, &ANY);
        assert_eq!(seen.z.is_some(), second >= 20, "judged at {second}");
        assert!(seen.z.is_none_or(|z| z.abs() < 2.0));
    }
    (usual, 200 * SECOND_NS)
}

#[test]
fn a_value_is_told_by_how_far_it_is_from_the_mean() {
    let (mut usual, t_ns) = swung();
    assert!((usual.mean() - 10.0).abs() < 0.1);
    assert!((usual.variance() - 1.0).abs() < 0.05);
    let seen = usual.judge(16.0, t_ns, &RULE, &ANY);
    assert!(seen.z.is_some_and(|z| (5.5..6.5).contains(&z)), "{seen:?}");
    assert_eq!(seen.rate_share, None);
}

#[test]
fn one_spike_does_not_hide_the_next_and_what_lasts_becomes_usual() {
    let (mut usual, mut t_ns) = swung();
    let mut judge = |value| {
        t_ns += SECOND_NS;
        usual.judge(value, t_ns, &RULE, &ANY).z.unwrap_or_default()
    };
    assert!(judge(1e9) > 4.0);
    assert!(judge(1e9) > 4.0);
    assert!(judge(10.0).abs() < 4.0);
    let anomalous = (0..200).filter(|_| judge(20.0) > 4.0).count();
    assert!((2..50).contains(&anomalous), "{anomalous}");
}

#[test]
fn a_rate_is_told_in_shares_of_the_fastest_usual_one() {
    let bounds = Bounds {
        rate_max: 2.0,
        ..ANY
    };
    let mut usual = Usual::UNKNOWN;
    assert_eq!(usual.judge(0.0, 0, &RULE, &bounds), Judgement::default());
    let up = usual.judge(3.0, SECOND_NS / 2, &RULE, &bounds);
    assert_eq!(up.rate_share, Some(3.0));
    let down = usual.judge(-1.0, 2 * SECOND_NS + SECOND_NS / 2, &RULE, &bounds);
    assert_eq!(down.rate_share, Some(-1.0));
    let at_once = usual.judge(9.0, 2 * SECOND_NS + SECOND_NS / 2, &RULE, &bounds);
    assert_eq!(at_once.rate_share, None, "no time passed");
}

#[test]
fn what_never_varied_is_judged_only_where_the_least_deviation_is_known() {
    let mut usual = Usual::UNKNOWN;
    for second in 0..50 {
        let seen = usual.judge(5.0, second * SECOND_NS, &RULE, &ANY);
        assert_eq!(seen.z, None);
    }
    let bounds = Bounds {
        deviation_min: 0.1,
        ..ANY
    };
    let seen = usual.judge(5.3, 50 * SECOND_NS, &RULE, &bounds);
    assert!(seen.z.is_some_and(|z| (z - 3.0).abs() < 1e-9), "{seen:?}");
}

#[test]
fn after_a_pause_nothing_is_known() {
    let (mut usual, t_ns) = swung();
    let later = t_ns + 60 * SECOND_NS;
    assert_eq!(usual.judge(1e6, later, &RULE, &ANY), Judgement::default());
}

proptest! {
    #[test]
    fn mean_and_variance_of_the_first_values_are_the_plain_ones(
        values in prop::collection::vec(-1e3..1e3_f64, 2..20),
    ) {
        let mut usual = Usual::UNKNOWN;
        for value in &values {
            usual.judge(*value, 0, &RULE, &ANY);
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        prop_assert!((usual.mean() - mean).abs() < 1e-9 * (1.0 + mean.abs()));
        prop_assert!((usual.variance() - variance).abs() < 1e-7 * (1.0 + variance));
    }

    #[test]
    fn a_variance_is_never_negative_and_a_judgement_does_not_depend_on_the_zero_point(
        values in prop::collection::vec(-1e3..1e3_f64, 2..200), shift in -1e3..1e3_f64,
    ) {
        let (mut here, mut there) = (Usual::UNKNOWN, Usual::UNKNOWN);
        for value in values {
            let one = here.judge(value, 0, &RULE, &ANY);
            let other = there.judge(value + shift, 0, &RULE, &ANY);
            prop_assert!(here.variance() >= 0.0);
            let (one, other) = (one.z.unwrap_or_default(), other.z.unwrap_or_default());
            prop_assert!((one - other).abs() < 1e-5 * (1.0 + one.abs()), "{one} and {other}");
        }
    }
}
