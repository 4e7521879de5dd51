//! One frame: what its bytes say, and what is refused.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use retrotap_stage_krc2_decode::frame::{AxisValue, Encoding, FrameError};

/// The frame that the published prototype is tested with: axis 3, +84.00000°.
const PUBLISHED: [u8; 9] = [0x03, 0, 0, 0, 0x20, 0x80, 0x2C, 0x80, 0x00];

fn frame(axis: u32, sign: u8, value: u32) -> [u8; 9] {
    let mut frame = [0; 9];
    frame[..4].copy_from_slice(&axis.to_le_bytes());
    frame[4] = sign;
    frame[5..].copy_from_slice(&value.to_le_bytes());
    frame
}

fn magnitude(bytes: &[u8]) -> Result<AxisValue, FrameError> {
    AxisValue::read(bytes, Encoding::SignMagnitude)
}

fn twos_complement(bytes: &[u8]) -> Result<AxisValue, FrameError> {
    AxisValue::read(bytes, Encoding::TwosComplement)
}

#[test]
fn the_published_frame_is_84_degrees_on_axis_3_in_either_encoding() {
    let expected = Ok(AxisValue {
        index: 2,
        value_1e5: 8_400_000,
    });
    assert_eq!(magnitude(&PUBLISHED), expected);
    assert_eq!(twos_complement(&PUBLISHED), expected);
}

#[test]
fn three_signs_are_positive_two_are_negative_and_no_other_is_known() {
    for sign in 0..=u8::MAX {
        let expected = match sign {
            0x00 | 0x20 | 0x2B => Ok(AxisValue {
                index: 0,
                value_1e5: 1,
            }),
            0x01 | 0x2D => Ok(AxisValue {
                index: 0,
                value_1e5: -1,
            }),
            _ => Err(FrameError::Sign),
        };
        assert_eq!(magnitude(&frame(1, sign, 1)), expected, "sign {sign:02X}");
    }
}

#[test]
fn only_axes_1_to_7_are_known() {
    for axis in [0, 8, 0x20, 0x0100, 0x0001_0001, 0x0100_0001, u32::MAX] {
        assert_eq!(
            magnitude(&frame(axis, 0x20, 1)),
            Err(FrameError::AxisNumber),
            "axis {axis}"
        );
    }
    for axis in 1..=7 {
        assert_eq!(
            magnitude(&frame(axis, 0x20, 1)).unwrap().index,
            axis as usize - 1
        );
    }
}

#[test]
fn a_frame_of_another_length_is_none() {
    for bytes in [&[][..], &PUBLISHED[..8], &[0; 10]] {
        assert_eq!(magnitude(bytes), Err(FrameError::Length));
    }
}

#[test]
fn negative_zero_is_zero() {
    assert_eq!(magnitude(&frame(1, 0x2D, 0)).unwrap().value_1e5, 0);
    assert_eq!(twos_complement(&frame(1, 0x2D, 0)).unwrap().value_1e5, 0);
}

proptest! {
    #[test]
    fn a_negative_number_sent_in_the_wrong_encoding_never_passes_as_a_magnitude(value in i32::MIN..0, sign in prop::sample::select(&[0x00, 0x20, 0x2B, 0x01, 0x2D][..])) {
        let bytes = frame(4, sign, value as u32);
        prop_assert_eq!(magnitude(&bytes), Err(FrameError::Magnitude));
        prop_assert_eq!(twos_complement(&bytes).unwrap().value_1e5, value);
    }

    #[test]
    fn a_negative_magnitude_never_passes_as_twos_complement(value in 1..i32::MAX) {
        let bytes = frame(4, 0x2D, value as u32);
        prop_assert_eq!(twos_complement(&bytes), Err(FrameError::SignContradictsValue));
        prop_assert_eq!(magnitude(&bytes).unwrap().value_1e5, -value);
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        for encoding in [Encoding::SignMagnitude, Encoding::TwosComplement] {
            if let Ok(value) = AxisValue::read(&bytes, encoding) {
                prop_assert!(value.index < 7);
            }
        }
    }
}
