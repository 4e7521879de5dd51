//! `length_prefixed`: header, length field, checksum.

use crate::damage::Damage;
use crate::support::{frames, run, skipped};
use retrotap_adapters::framing::{
    BytePredicate, ChecksumKind, ChecksumSpec, Endianness, Framer, FramingError, FramingKind,
    FramingSpec, LengthPrefixed, SkipCause,
};

/// `68`, the length of the payload, the payload, and a sum over all of it.
fn summed() -> FramingSpec {
    let kind = FramingKind::LengthPrefixed(LengthPrefixed {
        header: vec![BytePredicate::only(0x68)],
        offset: 1,
        width: 1,
        endianness: Endianness::Big,
        correction: 3,
        frame_bytes_max: 32,
    });
    let checksum = Some(ChecksumSpec::whole_frame(ChecksumKind::Sum8));
    FramingSpec {
        checksum,
        ..FramingSpec::new(kind)
    }
}

fn message(payload: &[u8]) -> Vec<u8> {
    let covered = [&[0x68, u8::try_from(payload.len()).unwrap()], payload].concat();
    let sum = covered
        .iter()
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    [covered, vec![sum]].concat()
}

#[test]
fn messages_of_any_length_come_out_and_noise_between_them_does_not() {
    let sent = [message(&[]), message(&[1, 2, 3]), message(&[0x68; 29])];
    let bytes = [
        &[9],
        sent[0].as_slice(),
        &[8, 8],
        sent[1].as_slice(),
        sent[2].as_slice(),
    ]
    .concat();
    let seen = run(&mut Framer::new(&summed()).unwrap(), &bytes);
    assert_eq!(frames(&seen), sent);
    assert_eq!(skipped(&seen, SkipCause::NoMatch), 3);
}

#[test]
fn a_length_that_cannot_be_is_skipped_by_its_cause() {
    let seen = run(
        &mut Framer::new(&summed()).unwrap(),
        &[&[0x68, 30], message(&[7]).as_slice()].concat(),
    );
    assert_eq!(frames(&seen), [message(&[7])]);
    assert_eq!(skipped(&seen, SkipCause::TooLong), 2);
}

#[test]
fn widths_and_byte_orders_read_the_length_that_was_meant() {
    for (width, endianness, field) in [
        (2, Endianness::Big, vec![0, 5]),
        (2, Endianness::Little, vec![5, 0]),
        (4, Endianness::Big, vec![0, 0, 0, 5]),
        (4, Endianness::Little, vec![5, 0, 0, 0]),
    ] {
        let kind = FramingKind::LengthPrefixed(LengthPrefixed {
            header: vec![BytePredicate::only(0x7E)],
            offset: 2,
            width,
            endianness,
            correction: -2,
            frame_bytes_max: 64,
        });
        let sent = [&[0x7E, 0x00], field.as_slice()].concat();
        let length_of_5_less_2_is_too_short = run(
            &mut Framer::new(&FramingSpec::new(kind.clone())).unwrap(),
            &sent,
        );
        assert_eq!(
            skipped(&length_of_5_less_2_is_too_short, SkipCause::TooShort),
            sent.len()
        );
        let FramingKind::LengthPrefixed(mut prefixed) = kind else {
            panic!()
        };
        prefixed.correction = 2 + i64::try_from(width).unwrap();
        let spec = FramingSpec::new(FramingKind::LengthPrefixed(prefixed));
        let sent = [sent, b"hello".to_vec()].concat();
        assert_eq!(
            frames(&run(&mut Framer::new(&spec).unwrap(), &sent)),
            [sent]
        );
    }
}

#[test]
fn a_length_field_of_the_highest_value_does_not_overflow() {
    let kind = FramingKind::LengthPrefixed(LengthPrefixed {
        header: vec![],
        offset: 0,
        width: 4,
        endianness: Endianness::Big,
        correction: i64::from(i32::MAX),
        frame_bytes_max: 64,
    });
    let spec = FramingSpec {
        timeout_ns: Some(1_000_000_000),
        ..FramingSpec::new(kind)
    };
    let seen = run(&mut Framer::new(&spec).unwrap(), &[0xFF; 8]);
    assert_eq!(skipped(&seen, SkipCause::TooLong), 5);
}

#[test]
fn a_length_alone_is_refused_since_nothing_would_lead_back_into_step() {
    let FramingKind::LengthPrefixed(prefixed) = summed().kind else {
        panic!()
    };
    let alone = LengthPrefixed {
        header: Vec::new(),
        ..prefixed
    };
    let errors_of = |prefixed| FramingSpec::new(FramingKind::LengthPrefixed(prefixed)).check();
    assert_eq!(errors_of(alone.clone()), [FramingError::NothingToMatch]);
    let errors = [
        FramingError::LengthWidth,
        FramingError::LengthOffset,
        FramingError::FrameLength {
            frame_bytes_max: 4096,
        },
        FramingError::NothingToMatch,
    ];
    assert_eq!(
        errors_of(LengthPrefixed {
            width: 3,
            frame_bytes_max: 4097,
            offset: 65,
            ..alone
        }),
        errors
    );
}

#[test]
fn after_a_single_damage_every_other_frame_comes_out_unchanged_if_late() {
    let FramingSpec { kind, .. } = summed();
    let FramingKind::LengthPrefixed(prefixed) = kind else {
        panic!()
    };
    let kind = FramingKind::LengthPrefixed(LengthPrefixed {
        correction: 4,
        ..prefixed
    });
    let checksum = Some(ChecksumSpec::whole_frame(ChecksumKind::Crc16Modbus));
    let spec = FramingSpec {
        checksum,
        ..FramingSpec::new(kind)
    };
    let message = |payload: &[u8]| {
        let covered = [&[0x68, u8::try_from(payload.len()).unwrap()], payload].concat();
        let crc = ChecksumKind::Crc16Modbus.of(&covered).to_le_bytes();
        [covered, crc.to_vec()].concat()
    };
    // Payloads of 1 to 11 bytes that hold the header byte and small lengths.
    let payload_of = |number: usize| -> Vec<u8> {
        (0..=number % 11)
            .map(|at| {
                if (at + number).is_multiple_of(5) {
                    0x68
                } else {
                    (at * 7 + number * 3) as u8 % 40
                }
            })
            .collect()
    };
    let sent: Vec<Vec<u8>> = (0..30).map(|number| message(&payload_of(number))).collect();
    // Enough behind it for the longest wrong length to run out.
    let bytes = [sent.concat(), message(&[0; 28]), message(&[0; 28])].concat();
    for damage in Damage::every(sent.concat().len()) {
        let mut begins = 0;
        let ends_before = |frame: &&Vec<u8>| {
            begins += frame.len();
            begins <= damage.at()
        };
        let hit = sent.iter().take_while(ends_before).count();
        let out = frames(&run(
            &mut Framer::new(&spec).unwrap(),
            &damage.apply(&bytes),
        ));
        assert!(out.starts_with(&sent[..hit]), "{damage:?}");
        assert!(
            sent[hit + 1..].iter().all(|frame| out.contains(frame)),
            "{damage:?}"
        );
        assert!(
            out[..out.len() - 1]
                .iter()
                .all(|frame| sent.contains(frame) || frame.len() == 32),
            "{damage:?}"
        );
    }
}
