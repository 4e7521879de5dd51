//! What holds for every framing, whatever comes.

use crate::support::{SERIAL, Seen, push_all};
use proptest::prelude::*;
use retrotap_adapters::framing::{
    BytePredicate, ChecksumForm, ChecksumKind, ChecksumSpec, Delimited, Endianness, Fixed, Framer,
    FramingKind, FramingSpec, IdleGap, LengthPrefixed, LineErrors, OnLineError, Received,
    SkipCause,
};

/// A few values that mean something in one framing or the other, so that random streams hold frames.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![6 => prop::sample::select(vec![0x00, 0x01, 0x02, 0x03, 0x10, 0x0D, b'@']), 1 => any::<u8>()]
}

fn predicate() -> impl Strategy<Value = BytePredicate> {
    let range = "01-07".parse().unwrap();
    prop_oneof![
        byte().prop_map(BytePredicate::only),
        Just(range),
        Just(BytePredicate::ANY)
    ]
}

fn kind() -> impl Strategy<Value = FramingKind> {
    let fixed = prop::collection::vec(predicate(), 1..70)
        .prop_map(|positions| FramingKind::Fixed(Fixed { positions }));
    let mark = |bytes| prop::collection::vec(byte(), bytes);
    let delimited = (mark(0..3), mark(1..3), prop::option::of(byte()), 4usize..40).prop_map(
        |(start, end, escape, frame_bytes_max)| {
            FramingKind::Delimited(Delimited {
                start,
                end,
                escape,
                frame_bytes_max,
            })
        },
    );
    let header = prop::collection::vec(predicate(), 0..3);
    let endianness = prop::sample::select(vec![Endianness::Big, Endianness::Little]);
    let width = prop::sample::select(vec![1usize, 2, 4]);
    let length_prefixed = (header, 0usize..4, width, endianness, -4i64..12, 4usize..40).prop_map(
        |(header, offset, width, endianness, correction, frame_bytes_max)| {
            let prefixed = LengthPrefixed {
                header,
                offset,
                width,
                endianness,
                correction,
                frame_bytes_max,
            };
            FramingKind::LengthPrefixed(prefixed)
        },
    );
    let idle_gap = (1u32..50, 1usize..40).prop_map(|(tenths, bytes_max)| {
        FramingKind::IdleGap(IdleGap::character_tenths(tenths, SERIAL, bytes_max))
    });
    prop_oneof![fixed, delimited, length_prefixed, idle_gap]
}

fn spec() -> impl Strategy<Value = FramingSpec> {
    let kinds = vec![
        ChecksumKind::Crc16Modbus,
        ChecksumKind::Xor,
        ChecksumKind::Sum8,
        ChecksumKind::Lrc,
    ];
    let forms = vec![ChecksumForm::Binary, ChecksumForm::Hex];
    let checksum = (
        prop::sample::select(kinds),
        prop::sample::select(forms),
        0usize..2,
        any::<bool>(),
    )
        .prop_map(|(kind, form, skip, after_end)| ChecksumSpec {
            kind,
            form,
            skip,
            after_end,
        });
    let on_line_error = prop::sample::select(vec![OnLineError::Reject, OnLineError::Mark]);
    let timeout_ns = prop::option::of(1u64..20_000_000);
    (
        kind(),
        prop::option::weighted(0.3, checksum),
        timeout_ns,
        on_line_error,
    )
        .prop_map(|(kind, checksum, timeout_ns, on_line_error)| FramingSpec {
            kind,
            checksum,
            timeout_ns,
            on_line_error,
        })
        .prop_filter("only possible framings", |spec| spec.check().is_empty())
}

/// Random bytes, now and then with a line error, back to back or after a silence.
fn received(bytes_max: usize) -> impl Strategy<Value = Vec<Received>> {
    let wait_ns = prop_oneof![8 => Just(1_041_666u64), 1 => 0u64..30_000_000];
    let errors = prop_oneof![30 => Just(0u8), 1 => any::<u8>()].prop_map(LineErrors::from_bits);
    prop::collection::vec((byte(), errors, wait_ns), 0..bytes_max).prop_map(|bytes| {
        let mut t_ns = 0;
        let stamp = |(byte, errors, wait_ns)| {
            t_ns += wait_ns;
            Received { byte, errors, t_ns }
        };
        bytes.into_iter().map(stamp).collect()
    })
}

proptest! {
    #[test]
    fn every_byte_is_in_a_frame_or_skipped_or_held(spec in spec(), bytes in received(600)) {
        let mut framer = Framer::new(&spec).unwrap();
        let mut accounted = 0;
        for (index, received) in bytes.iter().enumerate() {
            framer.push(*received, &mut |event| accounted += Seen::from(event).wire_bytes());
            prop_assert_eq!(accounted + framer.held_bytes(), index + 1);
            prop_assert!(framer.held_bytes() <= framer.held_bytes_max());
        }
        framer.reset(SkipCause::Disconnected, &mut |event| accounted += Seen::from(event).wire_bytes());
        prop_assert_eq!(accounted, bytes.len());
    }

    #[test]
    fn how_often_it_is_told_that_nothing_came_changes_nothing(
        spec in spec(), bytes in received(300), fractions in prop::collection::vec(0u64..=100, 300),
    ) {
        let told_nothing = push_all(&mut Framer::new(&spec).unwrap(), &bytes);
        let mut framer = Framer::new(&spec).unwrap();
        let mut seen = Vec::new();
        let mut before_ns = 0;
        for (received, percent) in bytes.iter().zip(fractions) {
            let between_ns = before_ns + (received.t_ns - before_ns) * percent / 100;
            framer.idle(between_ns, &mut |event| seen.push(Seen::from(event)));
            framer.push(*received, &mut |event| seen.push(Seen::from(event)));
            before_ns = received.t_ns;
        }
        prop_assert_eq!(seen, told_nothing);
    }

    #[test]
    fn after_the_time_that_it_asked_for_it_asks_for_none(spec in spec(), bytes in received(300)) {
        let mut framer = Framer::new(&spec).unwrap();
        for received in bytes {
            framer.push(received, &mut |_| {});
            let mut told = 0;
            if let Some(at_ns) = framer.idle_at_ns() {
                // Only now and then: a line that always falls silent holds nothing.
                if received.byte != 3 {
                    continue;
                }
                framer.idle(at_ns, &mut |_| told += 1);
                prop_assert!(told > 0);
                prop_assert_eq!(framer.idle_at_ns(), None);
            }
        }
    }

    #[test]
    fn without_silences_to_watch_the_times_change_nothing_but_the_times(spec in spec(), bytes in received(300)) {
        prop_assume!(!matches!(spec.kind, FramingKind::IdleGap(_)));
        let spec = FramingSpec { timeout_ns: None, ..spec };
        prop_assume!(spec.check().is_empty());
        let bundled: Vec<Received> = bytes.iter().map(|received| Received { t_ns: 5, ..*received }).collect();
        let mut one_by_one = push_all(&mut Framer::new(&spec).unwrap(), &bytes);
        for event in &mut one_by_one {
            if let Seen::Frame { t_ns, .. } = event {
                *t_ns = 5;
            }
        }
        prop_assert_eq!(push_all(&mut Framer::new(&spec).unwrap(), &bundled), one_by_one);
    }

    #[test]
    fn no_frame_with_a_damaged_byte_comes_out(spec in spec(), bytes in received(300)) {
        let spec = FramingSpec { on_line_error: OnLineError::Reject, ..spec };
        let mut taken = 0;
        for event in push_all(&mut Framer::new(&spec).unwrap(), &bytes) {
            let from = &bytes[taken..taken + event.wire_bytes()];
            taken += event.wire_bytes();
            if let Seen::Frame { line_errors, t_ns, .. } = event {
                prop_assert!(line_errors.is_none());
                prop_assert!(from.iter().all(|received| received.errors.is_none()));
                prop_assert_eq!(Some(t_ns), from.last().map(|received| received.t_ns));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn a_long_time_of_noise_leaves_it_bounded(spec in spec(), noise in prop::collection::vec(any::<u8>(), 100_000)) {
        let mut framer = Framer::new(&spec).unwrap();
        let mut accounted = 0;
        for (index, byte) in noise.iter().enumerate() {
            let received = Received { byte: *byte, errors: LineErrors::NONE, t_ns: index as u64 * 1_041_666 };
            framer.push(received, &mut |event| accounted += Seen::from(event).wire_bytes());
        }
        prop_assert_eq!(accounted + framer.held_bytes(), noise.len());
        prop_assert!(framer.held_bytes() <= framer.held_bytes_max());
    }
}
