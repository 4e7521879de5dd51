//! `fixed`, on the stream of a KUKA KR C2: seven frames a cycle, no start, no length, no checksum.

use crate::damage::Damage;
use crate::support::{Seen, framer, frames, paced, push_all, run, skipped};
use proptest::prelude::*;
use retrotap_adapters::framing::{
    BytePredicate, ChecksumKind, ChecksumSpec, Event, Fixed, Framer, FramingError, FramingKind,
    FramingSpec, LineErrors, OnLineError, Received, SkipCause,
};

const FRAME: usize = 9;

fn positions(texts: &[&str]) -> FramingKind {
    FramingKind::Fixed(Fixed {
        positions: texts.iter().map(|text| text.parse().unwrap()).collect(),
    })
}

fn krc2() -> FramingKind {
    positions(&[
        "01-07",
        "00",
        "00",
        "00",
        "00|01|20|2B|2D",
        "*",
        "*",
        "*",
        "*",
    ])
}

fn frame(axis: u8, sign: u8, magnitude: u32) -> Vec<u8> {
    [&[axis, 0, 0, 0, sign], magnitude.to_le_bytes().as_slice()].concat()
}

/// `values` one after the other as axes 1 to 7, over and over.
fn stream(values: &[(u8, u32)]) -> Vec<Vec<u8>> {
    values
        .iter()
        .zip((1..=7).cycle())
        .map(|((sign, magnitude), axis)| frame(axis, *sign, *magnitude))
        .collect()
}

/// Values as a robot sends them: magnitudes up to 350 degrees, and often those whose bytes look like
/// the beginning of a frame. Left out is what two frames in a row can't tell from a frame that begins
/// with the sign: a negative zero, or -167.77216, with 01 as the sign, on two axes in a row. No
/// controller sends the first, and axis order refutes both.
fn values(count: usize) -> impl Strategy<Value = Vec<(u8, u32)>> {
    let magnitude = prop_oneof![
        4 => 0u32..=35_000_000,
        2 => 0u32..=7,
        1 => (0u32..=7).prop_map(|byte| byte << 8),
        1 => (0u32..=7).prop_map(|byte| byte << 16),
        1 => Just(1 << 24),
    ];
    let value = (
        prop::sample::select(vec![0x00, 0x01, 0x20, 0x2B, 0x2D]),
        magnitude,
    )
        .prop_map(|(sign, magnitude)| {
            if magnitude % (1 << 24) == 0 {
                (0x20, magnitude)
            } else {
                (sign, magnitude)
            }
        });
    prop::collection::vec(value, count)
}

fn plain_cycle() -> Vec<Vec<u8>> {
    stream(&[
        (0x20, 8_400_000),
        (0x2D, 9_000_000),
        (0x20, 9_000_001),
        (0, 0),
        (0x20, 1),
        (0x2D, 35_000_000),
        (0, 0),
    ])
}

#[test]
fn the_first_two_frames_come_out_together_and_later_ones_with_their_own_last_byte() {
    let sent = [plain_cycle(), plain_cycle()].concat();
    let mut framer = framer(krc2());
    let mut out_after_bytes = Vec::new();
    for (index, received) in paced(&sent.concat()).into_iter().enumerate() {
        framer.push(received, &mut |event| {
            out_after_bytes.push((index + 1, Seen::from(event)));
        });
    }
    let when: Vec<usize> = out_after_bytes.iter().map(|(bytes, _)| *bytes).collect();
    let whole: Vec<usize> = (1..=14).map(|nth| nth * FRAME).collect();
    assert_eq!(when[..2], [2 * FRAME, 2 * FRAME]);
    assert_eq!(when[2..], whole[2..]);
    let seen: Vec<Seen> = out_after_bytes
        .into_iter()
        .map(|(_, event)| event)
        .collect();
    assert_eq!(frames(&seen), sent);
    let own_times: Vec<u64> = paced(&sent.concat())
        .chunks(FRAME)
        .map(|bytes| bytes[FRAME - 1].t_ns)
        .collect();
    for (nth, event) in seen.iter().enumerate() {
        let Seen::Frame { t_ns, number, .. } = event else {
            panic!("{event:?}")
        };
        assert_eq!((*t_ns, *number), (own_times[nth], nth as u64));
    }
}

#[test]
fn one_frame_alone_is_not_believed() {
    let mut framer = framer(krc2());
    assert_eq!(run(&mut framer, &frame(3, 0x20, 8_400_000)), []);
    assert_eq!(framer.held_bytes(), FRAME);
}

#[test]
fn value_bytes_that_look_like_a_header_do_not_carry_the_reader_away() {
    // Axis 7 at 0.00001 mm reads 01 00 00 00 and is followed by the 01 of axis 1, a sign.
    let sent = [plain_cycle(), plain_cycle(), plain_cycle()].concat();
    let sent: Vec<Vec<u8>> = sent
        .into_iter()
        .map(|bytes| frame(bytes[0], 0x20, 1))
        .collect();
    let mut bytes = sent.concat();
    bytes.drain(..6 * FRAME + 5);
    let seen = run(&mut framer(krc2()), &bytes);
    assert_eq!(frames(&seen), sent[7..]);
    assert_eq!(skipped(&seen, SkipCause::NoMatch), 4);
}

proptest! {
    #[test]
    fn started_anywhere_it_gives_every_whole_frame_and_nothing_else(values in values(21), start in 0usize..63) {
        let sent = stream(&values);
        let seen = run(&mut framer(krc2()), &sent.concat()[start..]);
        let first_whole = start.div_ceil(FRAME);
        prop_assert_eq!(frames(&seen), sent[first_whole..].to_vec());
        prop_assert_eq!(skipped(&seen, SkipCause::NoMatch), first_whole * FRAME - start);
    }

}

proptest! {
    // Each case is some seven hundred damaged streams.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn damage_before_it_is_in_step_makes_at_most_one_frame_and_costs_at_most_three(values in values(9)) {
        let sent = stream(&values);
        let bytes = sent.concat();
        for damage in Damage::every(2 * FRAME) {
            let hit = damage.at() / FRAME;
            let out = frames(&run(&mut framer(krc2()), &damage.apply(&bytes)));
            prop_assert!(out.ends_with(&sent[hit + 2..]), "{damage:?}: {out:02X?}");
            let made_by_damage = out.iter().filter(|frame| !sent.contains(frame)).count();
            prop_assert!(made_by_damage <= 1, "{damage:?}: {out:02X?}");
            prop_assert!(out.len() >= sent.len() - 3, "{damage:?}: {out:02X?}");
        }
    }

    #[test]
    fn after_any_single_damage_it_is_back_in_step_within_two_frames(values in values(14)) {
        let sent = stream(&values);
        let bytes = sent.concat();
        // The first two frames confirm each other and the last two see the reader back.
        for damage in Damage::every(bytes.len()).filter(|damage| (2..11).contains(&(damage.at() / FRAME))) {
            let hit = damage.at() / FRAME;
            let mut framer = framer(krc2());
            let seen = run(&mut framer, &damage.apply(&bytes));
            let out = frames(&seen);
            // All before the damage and all from the second frame after it, unchanged; in between at
            // most what was sent, and one that the damage made and that nothing can tell from a good one.
            prop_assert!(out.starts_with(&sent[..hit]), "{damage:?}");
            prop_assert!(out.ends_with(&sent[hit + 2..]), "{damage:?}: {out:02X?}");
            let between = &out[hit..out.len() - (sent.len() - hit - 2)];
            prop_assert!(between.len() <= 2, "{damage:?}: {between:02X?}");
            let made_by_damage = between.iter().filter(|frame| !sent[hit..hit + 2].contains(frame)).count();
            prop_assert!(made_by_damage <= 1, "{damage:?}: {between:02X?}");
            if !matches!(damage, Damage::Lost { .. }) {
                prop_assert!(between.last() == Some(&sent[hit + 1]), "{damage:?}: a frame that was not hit is missing");
            }
            let accounted: usize = seen.iter().map(Seen::wire_bytes).sum();
            prop_assert_eq!(accounted + framer.held_bytes(), damage.apply(&bytes).len());
        }
    }
}

#[test]
fn with_a_checksum_no_single_damage_makes_a_frame_that_was_not_sent() {
    let checksum = ChecksumSpec::whole_frame(ChecksumKind::Crc16Modbus);
    let kind = positions(&["A5", "*", "*", "*", "*", "*", "*"]);
    let spec = FramingSpec {
        checksum: Some(checksum),
        ..FramingSpec::new(kind)
    };
    let frame_of = |number: u32| {
        let covered = [
            [0xA5].as_slice(),
            &number.wrapping_mul(2_654_435_761).to_le_bytes(),
        ]
        .concat();
        let crc = ChecksumKind::Crc16Modbus.of(&covered).to_le_bytes();
        [covered, crc.to_vec()].concat()
    };
    let sent: Vec<Vec<u8>> = (0..40).map(frame_of).collect();
    let bytes = sent.concat();
    for damage in Damage::every(bytes.len()).filter(|damage| (2..37).contains(&(damage.at() / 7))) {
        let hit = damage.at() / 7;
        let out = frames(&run(
            &mut Framer::new(&spec).unwrap(),
            &damage.apply(&bytes),
        ));
        assert!(out.starts_with(&sent[..hit]), "{damage:?}");
        assert!(out.ends_with(&sent[hit + 1..]), "{damage:?}: {out:02X?}");
        assert!(
            out.iter().all(|frame| sent.contains(frame)),
            "{damage:?}: {out:02X?}"
        );
    }
}

#[test]
fn a_frame_with_a_damaged_byte_does_not_come_out_and_costs_no_other() {
    let sent = [plain_cycle(), plain_cycle()].concat();
    for (errors, at) in [
        (LineErrors::PARITY, 4 * FRAME + 7),
        (LineErrors::FRAMING, 4 * FRAME),
        (LineErrors::OVERRUN, 9),
    ] {
        let mut bytes = paced(&sent.concat());
        bytes[at].errors = errors;
        let seen = push_all(&mut framer(krc2()), &bytes);
        let mut good = sent.clone();
        good.remove(at / FRAME);
        assert_eq!(frames(&seen), good);
        assert_eq!(skipped(&seen, SkipCause::LineError), FRAME);
    }
}

#[test]
fn a_damaged_byte_that_fits_nowhere_is_counted_as_a_line_error_and_not_as_no_match() {
    let sent = [plain_cycle(), plain_cycle()].concat();
    let mut bytes = paced(&sent.concat());
    bytes[4 * FRAME + 1].errors = LineErrors::BREAK;
    bytes[4 * FRAME + 1].byte = 0xFF;
    let seen = push_all(&mut framer(krc2()), &bytes);
    assert_eq!(frames(&seen), [&sent[..4], &sent[5..]].concat());
    assert_eq!(skipped(&seen, SkipCause::LineError), 2);
    assert_eq!(skipped(&seen, SkipCause::NoMatch), FRAME - 2);
}

#[test]
fn who_keeps_raw_frames_gets_the_damaged_one_marked() {
    let spec = FramingSpec {
        on_line_error: OnLineError::Mark,
        ..FramingSpec::new(krc2())
    };
    let mut bytes = paced(&plain_cycle().concat());
    bytes[30].errors = LineErrors::PARITY;
    bytes[31].errors = LineErrors::OVERRUN;
    let seen = push_all(&mut Framer::new(&spec).unwrap(), &bytes);
    let marks: Vec<LineErrors> = seen
        .iter()
        .map(|event| match event {
            Seen::Frame { line_errors, .. } => *line_errors,
            Seen::Skipped { .. } => panic!("{event:?}"),
        })
        .collect();
    let none = LineErrors::NONE;
    assert_eq!(
        marks,
        [
            none,
            none,
            none,
            LineErrors::PARITY | LineErrors::OVERRUN,
            none,
            none,
            none
        ]
    );
}

#[test]
fn half_a_frame_from_before_a_silence_is_not_continued_after_it() {
    let spec = FramingSpec {
        timeout_ns: Some(100_000_000),
        ..FramingSpec::new(krc2())
    };
    let sent = [plain_cycle(), plain_cycle()].concat();
    let mut bytes = paced(&sent.concat());
    for received in &mut bytes[3 * FRAME + 4..] {
        received.t_ns += 1_000_000_000;
    }
    let seen = push_all(&mut Framer::new(&spec).unwrap(), &bytes);
    assert_eq!(frames(&seen), [&sent[..3], &sent[4..]].concat());
    assert_eq!(skipped(&seen, SkipCause::Timeout), 4);
    assert_eq!(skipped(&seen, SkipCause::NoMatch), FRAME - 4);
}

#[test]
fn a_machine_that_pauses_between_frames_is_not_timed_out() {
    let spec = FramingSpec {
        timeout_ns: Some(100_000_000),
        ..FramingSpec::new(krc2())
    };
    let sent = plain_cycle();
    let mut bytes = paced(&sent.concat());
    for (index, received) in bytes.iter_mut().enumerate() {
        received.t_ns += 1_000_000_000 * (index / FRAME) as u64;
    }
    assert_eq!(
        frames(&push_all(&mut Framer::new(&spec).unwrap(), &bytes)),
        sent
    );
}

#[test]
fn after_a_reset_two_frames_confirm_each_other_anew() {
    let sent = plain_cycle();
    let mut framer = framer(krc2());
    let bytes = sent.concat();
    let mut seen = run(&mut framer, &bytes[..3 * FRAME + 2]);
    framer.reset(SkipCause::Disconnected, &mut |event| {
        seen.push(event.into());
    });
    assert_eq!(
        seen.last(),
        Some(&Seen::Skipped {
            bytes: 2,
            cause: SkipCause::Disconnected
        })
    );
    assert_eq!(
        frames(&run(&mut framer, &bytes[..FRAME])),
        Vec::<Vec<u8>>::new()
    );
    assert_eq!(
        frames(&run(&mut framer, &bytes[FRAME..2 * FRAME])),
        sent[..2]
    );
}

#[test]
fn long_frames_are_told_by_more_than_one_word_of_bits() {
    let mut texts = vec!["*"; 200];
    (texts[0], texts[199]) = ("55", "AA");
    let mut one = vec![0x55; 200];
    one[199] = 0xAA;
    let sent = vec![one; 5];
    let seen = run(&mut framer(positions(&texts)), &sent.concat()[150..]);
    assert_eq!(frames(&seen), sent[1..]);
}

#[test]
fn a_fixed_framing_that_could_never_find_back_is_refused() {
    let refused = |kind| Framer::new(&FramingSpec::new(kind)).err();
    assert_eq!(
        refused(positions(&["*", "*"])),
        Some(FramingError::NothingToMatch)
    );
    assert_eq!(
        refused(positions(&[])),
        Some(FramingError::FrameLength {
            frame_bytes_max: 512
        })
    );
    let long = FramingKind::Fixed(Fixed {
        positions: vec![BytePredicate::only(1); 513],
    });
    assert_eq!(
        refused(long),
        Some(FramingError::FrameLength {
            frame_bytes_max: 512
        })
    );
    let checksum = Some(ChecksumSpec {
        after_end: true,
        ..ChecksumSpec::whole_frame(ChecksumKind::Xor)
    });
    let spec = FramingSpec {
        checksum,
        ..FramingSpec::new(krc2())
    };
    assert_eq!(spec.check(), [FramingError::ChecksumAfterEnd]);
}

#[test]
fn an_hour_of_noise_at_9600_baud_makes_no_frame_and_holds_no_more_than_two() {
    let mut framer = framer(krc2());
    let (mut noise, mut skipped_bytes) = (1u64, 0);
    for index in 0..3_456_000u64 {
        // Knuth's MMIX generator, whose upper bits are good enough for noise.
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let received = Received {
            byte: (noise >> 56) as u8,
            errors: LineErrors::NONE,
            t_ns: index * 1_041_666,
        };
        framer.push(received, &mut |event| match event {
            Event::Skipped { bytes, .. } => skipped_bytes += bytes,
            Event::Frame(frame) => panic!("{frame:?}"),
        });
        assert!(framer.held_bytes() <= 2 * FRAME);
    }
    assert_eq!(skipped_bytes + framer.held_bytes(), 3_456_000);
}
