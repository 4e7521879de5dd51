//! The stage through the areas of its memory, as a host calls it.
#![allow(clippy::unwrap_used)]

use retrotap_sdk::native::{Native, NativeStage};
use retrotap_stage_krc2_decode::Decode;

const FRAME_NS: i64 = 9_375_000;

/// Parameters in the manifest's order: encoding, frame time, longest gap.
fn configured(parameters: [f64; 3]) -> (Native<Decode>, i32) {
    let mut stage = Native::<Decode>::new();
    let start = stage.config();
    for (at, parameter) in parameters.into_iter().enumerate() {
        stage.memory_mut()[start + at * 8..][..8].copy_from_slice(&parameter.to_le_bytes());
    }
    let answer = stage.configure();
    (stage, answer)
}

fn push(stage: &mut Native<Decode>, frame: &[u8], t_ns: i64) -> i32 {
    let start = stage.input();
    stage.memory_mut()[start..][..frame.len()].copy_from_slice(frame);
    stage.process(frame.len(), t_ns)
}

/// Slots of the record in the output area.
fn slots(stage: &Native<Decode>) -> Vec<f64> {
    let record = &stage.memory()[stage.output()..][..72];
    assert_eq!(
        record[..8],
        [0, 0, 0, 0, 0xFF, 0, 0, 0],
        "record 0 with all of its eight fields"
    );
    record[8..]
        .chunks_exact(8)
        .map(|slot| f64::from_le_bytes(slot.try_into().unwrap()))
        .collect()
}

#[test]
fn a_cycle_becomes_one_record_in_degrees_and_millimetres() {
    let (mut stage, answer) = configured([0.0, 0.009_375, 0.05]);
    assert_eq!(answer, 0);
    for axis in 1..=7_u8 {
        let sign = if axis % 2 == 0 { 0x2D } else { 0x20 };
        let value = u32::from(axis) * 1_234_567;
        let mut frame = [axis, 0, 0, 0, sign, 0, 0, 0, 0];
        frame[5..].copy_from_slice(&value.to_le_bytes());
        assert_eq!(
            push(&mut stage, &frame, i64::from(axis) * FRAME_NS),
            i32::from(axis == 7)
        );
    }
    let expected = [
        12.34567, -24.69134, 37.03701, -49.38268, 61.72835, -74.07402, 86.41969, 0.065_625,
    ];
    assert_eq!(slots(&stage), expected);
}

#[test]
fn rejections_carry_the_numbers_of_the_manifests_reasons() {
    let (mut magnitude, _) = configured([0.0, 0.009_375, 0.05]);
    let (mut complement, _) = configured([1.0, 0.009_375, 0.05]);
    let one = [1, 0, 0, 0, 0x20, 0, 0, 0, 0];
    assert_eq!(push(&mut magnitude, &one[..8], 1), -1);
    assert_eq!(push(&mut magnitude, &[8, 0, 0, 0, 0x20, 0, 0, 0, 0], 2), -2);
    assert_eq!(push(&mut magnitude, &[1, 0, 0, 0, 0x7F, 0, 0, 0, 0], 3), -3);
    assert_eq!(
        push(
            &mut magnitude,
            &[1, 0, 0, 0, 0x20, 0xFF, 0xFF, 0xFF, 0xFF],
            4
        ),
        -4
    );
    assert_eq!(
        push(&mut complement, &[1, 0, 0, 0, 0x2D, 1, 0, 0, 0], 5),
        -5
    );
    assert_eq!(push(&mut magnitude, &one, 6), 0);
    assert_eq!(push(&mut magnitude, &one, 7), -6);
    assert_eq!(
        push(&mut magnitude, &[2, 0, 0, 0, 0x20, 0, 0, 0, 0], 60_000_000),
        -7
    );
    assert_eq!(configured([0.0, 0.009_375, 0.075]).1, -8);
}
