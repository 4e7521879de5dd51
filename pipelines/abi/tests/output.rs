//! No memory of a guest makes the reader panic, and what it lets through keeps the manifest.
#![cfg(feature = "yaml")]
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use retrotap_abi::manifest::Manifest;
use retrotap_abi::output::{OutputError, RawValue, decode_output};

fn manifest() -> Manifest {
    Manifest::from_yaml(
        "{stage: any, version: 1.0.0, abi: 1, title: any, input: frame, records: [
          {record: one, fields: [{name: number}, {name: whole, kind: i64}, {name: open, kind: bool}]},
          {record: two, fields: [{name: mode, kind: choice, choices: [slow, fast]}, {name: note, kind: text}]}],
         sizes: {frame_bytes_max: 8, output_bytes_max: 96, records_max: 8, memory_bytes: 4096}, time_budget_us: 1000}",
    )
    .unwrap()
}

/// A record as a guest writes it.
fn record(number: u32, present: u32, slots: &[u64]) -> Vec<u8> {
    let mut bytes = [number.to_le_bytes(), present.to_le_bytes()].concat();
    slots
        .iter()
        .for_each(|slot| bytes.extend(slot.to_le_bytes()));
    bytes
}

#[test]
fn records_are_read_back_to_back() {
    let mut memory = record(0, 0b111, &[1.5_f64.to_bits(), (-1_i64).cast_unsigned(), 1]);
    memory.extend(record(1, 0b11, &[1, 90 | 2 << 32]));
    memory.resize(96, b'x');
    let manifest = manifest();
    let read: Vec<_> = decode_output(&manifest, &memory, 0, 2)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read[0].value(0), Some(RawValue::F64(1.5)));
    assert_eq!(read[0].value(1), Some(RawValue::I64(-1)));
    assert_eq!(read[0].value(2), Some(RawValue::Bool(true)));
    assert_eq!(read[0].value(3), None);
    assert_eq!(
        (read[1].value(0), read[1].value(1)),
        (Some(RawValue::Choice(1)), Some(RawValue::Text("xx")))
    );
}

#[test]
fn what_is_not_finite_is_absent() {
    let manifest = manifest();
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut memory = record(0, 0b1, &[number.to_bits(), 0, 0]);
        memory.resize(96, 0);
        let read = decode_output(&manifest, &memory, 0, 1)
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        assert_eq!((read.present, read.value(0)), (0, None));
    }
}

#[test]
fn an_error_ends_the_records() {
    let mut memory = record(9, 0, &[]);
    memory.resize(96, 0);
    let manifest = manifest();
    let mut records = decode_output(&manifest, &memory, 0, 8).unwrap();
    assert_eq!(
        records.next().unwrap().unwrap_err(),
        OutputError::UnknownRecord { number: 9 }
    );
    assert!(records.next().is_none());
}

proptest! {
    #[test]
    fn no_memory_makes_the_reader_panic(
        mut memory in prop::collection::vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..256),
        numbers in prop::collection::vec(0..3_u8, 12),
        address in any::<u16>(),
        count in any::<u32>(),
        small in any::<bool>(),
    ) {
        // Record numbers that exist now and then, so that the reader gets further than the first.
        for (place, number) in numbers.iter().enumerate() {
            if let Some(head) = memory.get_mut(place * 16..place * 16 + 4) {
                head.copy_from_slice(&u32::from(*number).to_le_bytes());
            }
        }
        let manifest = manifest();
        let (address, count) = if small { (usize::from(address % 64), count % 9) } else { (usize::from(address), count) };
        if let Ok(records) = decode_output(&manifest, &memory, address, count) {
            let mut read = 0;
            for record in records.map_while(Result::ok) {
                read += 1;
                prop_assert!(record.present >> record.record.fields.len() == 0);
                for field in 0..32 {
                    if let Some(RawValue::F64(number)) = record.value(field) {
                        prop_assert!(number.is_finite());
                    }
                }
            }
            prop_assert!(read <= manifest.sizes.records_max);
        }
    }
}
