//! Averages of one field, and of several through the stage's memory.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use retrotap_sdk::native::{Native, NativeStage};
use retrotap_stage_smooth::Smooth;
use retrotap_stage_smooth::average::{Average, WINDOW_MAX};

const SECOND_NS: i64 = 1_000_000_000;

/// Method, window, alpha, and when to forget.
fn configured(parameters: [f64; 4]) -> (Native<Smooth>, i32) {
    let mut stage = Native::<Smooth>::new();
    let start = stage.config();
    for (at, parameter) in parameters.into_iter().enumerate() {
        stage.memory_mut()[start + at * 8..][..8].copy_from_slice(&parameter.to_le_bytes());
    }
    let answer = stage.configure();
    (stage, answer)
}

/// Puts a record in and gives back what came out of it.
fn pass(stage: &mut Native<Smooth>, t_ns: i64, fields: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut record = vec![0; 8 + fields.len() * 8];
    let mut present = 0_u32;
    for (at, value) in fields.iter().enumerate() {
        if let Some(value) = value {
            present |= 1 << at;
            record[8 + at * 8..][..8].copy_from_slice(&value.to_le_bytes());
        }
    }
    record[..4].copy_from_slice(&present.to_le_bytes());
    let start = stage.input();
    stage.memory_mut()[start..][..record.len()].copy_from_slice(&record);
    assert_eq!(stage.process(record.len(), t_ns), 1);
    let output = &stage.memory()[stage.output()..][..record.len()];
    let present = u32::from_le_bytes(output[4..8].try_into().unwrap());
    (0..fields.len())
        .map(|at| {
            let value = f64::from_le_bytes(output[8 + at * 8..][..8].try_into().unwrap());
            (present >> at & 1 == 1).then_some(value)
        })
        .collect()
}

#[test]
fn a_moving_average_is_the_mean_of_the_newest_values() {
    let (mut stage, _) = configured([0.0, 3.0, 0.5, 10.0]);
    let seen: Vec<_> = [3.0, 5.0, 10.0, 0.0, 2.0]
        .map(|value| pass(&mut stage, 0, &[Some(value)])[0])
        .into();
    assert_eq!(seen, [3.0, 4.0, 6.0, 5.0, 4.0].map(Some));
}

#[test]
fn an_exponential_average_begins_with_the_first_value() {
    let (mut stage, _) = configured([1.0, 3.0, 0.25, 10.0]);
    let seen: Vec<_> = [8.0, 0.0, 16.0]
        .map(|value| pass(&mut stage, 0, &[Some(value)])[0])
        .into();
    assert_eq!(seen, [8.0, 6.0, 8.5].map(Some));
}

#[test]
fn a_field_that_is_absent_stays_absent_and_does_not_count() {
    let (mut stage, _) = configured([0.0, 2.0, 0.5, 10.0]);
    assert_eq!(
        pass(&mut stage, 0, &[Some(1.0), Some(10.0)]),
        [Some(1.0), Some(10.0)]
    );
    assert_eq!(pass(&mut stage, 1, &[None, Some(20.0)]), [None, Some(15.0)]);
    assert_eq!(
        pass(&mut stage, 2, &[Some(3.0), Some(30.0)]),
        [Some(2.0), Some(25.0)]
    );
}

#[test]
fn after_a_pause_averages_begin_anew() {
    let (mut stage, _) = configured([0.0, 8.0, 0.5, 10.0]);
    pass(&mut stage, 0, &[Some(100.0)]);
    assert_eq!(pass(&mut stage, 10 * SECOND_NS, &[Some(0.0)]), [Some(50.0)]);
    assert_eq!(
        pass(&mut stage, 20 * SECOND_NS + 1, &[Some(0.0)]),
        [Some(0.0)]
    );
}

#[test]
fn a_window_that_grows_takes_in_what_was_seen_before() {
    let (mut stage, _) = configured([0.0, 1.0, 0.5, 10.0]);
    pass(&mut stage, 0, &[Some(1.0)]);
    let window = stage.config() + 8;
    stage.memory_mut()[window..][..8].copy_from_slice(&2.0_f64.to_le_bytes());
    assert_eq!(stage.configure(), 0);
    assert_eq!(pass(&mut stage, 1, &[Some(3.0)]), [Some(2.0)]);
}

#[test]
fn a_window_that_is_not_whole_is_refused() {
    assert_eq!(configured([0.0, 2.5, 0.5, 10.0]).1, -1);
}

#[test]
fn an_average_of_nothing_is_zero() {
    assert_eq!(
        (Average::EMPTY.moving(4), Average::EMPTY.exponential()),
        (0.0, 0.0)
    );
}

proptest! {
    #[test]
    fn averages_lie_between_the_least_and_the_greatest_value(
        values in prop::collection::vec(-1e6..1e6_f64, 1..100), window in 1..=WINDOW_MAX, alpha in 0.001..=1.0_f64,
    ) {
        let mut average = Average::EMPTY;
        for (count, value) in values.iter().enumerate() {
            average.push(*value, alpha);
            let seen = &values[..=count];
            let newest = &seen[seen.len().saturating_sub(window)..];
            let mean = newest.iter().sum::<f64>() / newest.len() as f64;
            prop_assert!((average.moving(window) - mean).abs() <= 1e-8);
            let (least, greatest) = seen.iter().fold((f64::MAX, f64::MIN), |(l, g), v| (l.min(*v), g.max(*v)));
            prop_assert!(average.exponential() >= least - 1e-8 && average.exponential() <= greatest + 1e-8);
        }
    }
}
