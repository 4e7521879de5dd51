//! A stage with one of everything, run natively.
#![allow(clippy::unwrap_used)]

use retrotap_abi::manifest::Manifest;
use retrotap_abi::output::{RawValue, decode_output};
use retrotap_sdk::native::{Native, NativeStage};
use retrotap_sdk::{Contract as _, Guest, Stage};

/// What the build script would make; tests/generated.rs keeps it so.
#[rustfmt::skip]
#[allow(missing_docs, dead_code, clippy::all)]
#[path = "smoke/manifest.rs"]
mod manifest;
use manifest::{
    Config, Contract, Input, InputMode, Level, LevelMode, Note, Output, Reason, Rounding,
};

#[derive(Default)]
struct Smoke {
    offset_m: f64,
    down: bool,
    marks: Vec<f64>,
}

impl Stage for Smoke {
    type Contract = Contract;

    fn new() -> Self {
        Self::default()
    }

    fn configure(&mut self, config: &Config<'_>) -> Result<(), Reason> {
        self.offset_m = config.offset_m();
        self.down = config.rounding() == Rounding::Down;
        self.marks = config.marks().rows().map(|row| row.at_m).collect();
        Ok(())
    }

    fn process(&mut self, input: Input, _: i64, out: &mut Output<'_>) -> Result<(), Reason> {
        let level_m = input.level_mm / 1000.0 + self.offset_m;
        if level_m > 10.0 {
            return Err(Reason::TooHigh);
        }
        let level_m = if self.down { level_m.floor() } else { level_m };
        let mode = match input.mode {
            InputMode::Manual => LevelMode::Manual,
            InputMode::Automatic => LevelMode::Automatic,
        };
        let nearest = self
            .marks
            .iter()
            .position(|mark| *mark >= level_m)
            .map(|row| row as u32);
        out.push(&Level {
            level_m,
            count: input.count,
            open: input.open,
            mode,
            nearest,
        });
        out.push(&Note { r#type: "größe" });
        Ok(())
    }
}

fn described() -> Manifest {
    Manifest::from_json(Contract::MANIFEST_JSON.as_bytes()).unwrap()
}

/// Writes a configuration: offset 0.5 m, rounding as said, marks at 1 m and 2 m.
fn configured(rounding: f64) -> Native<Smoke> {
    let mut native = Native::<Smoke>::new();
    let start = native.config();
    let words = [
        0.5_f64.to_bits(),
        rounding.to_bits(),
        2,
        1.0_f64.to_bits(),
        0,
        2.0_f64.to_bits(),
        0,
    ];
    for (place, word) in words.iter().enumerate() {
        native.memory_mut()[start + place * 8..][..8].copy_from_slice(&word.to_le_bytes());
    }
    assert_eq!(native.configure(), 0);
    native
}

/// Calls it with one record.
fn process(native: &mut Native<Smoke>, present: u32, slots: [u64; 4]) -> i32 {
    let words = [u64::from(present), slots[0], slots[1], slots[2], slots[3]];
    for (place, word) in words.iter().enumerate() {
        native.memory_mut()[place * 8..][..8].copy_from_slice(&word.to_le_bytes());
    }
    native.process(40, 0)
}

#[test]
fn every_kind_of_value_goes_in_and_comes_out() {
    let manifest = described();
    let mut native = configured(0.0);
    let records = process(
        &mut native,
        0b1111,
        [700.0_f64.to_bits(), (-7_i64) as u64, 1, 1],
    );
    assert_eq!(records, 2);
    let read: Vec<_> = decode_output(&manifest, native.memory(), native.output(), 2)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let values: Vec<_> = (0..5).map(|field| read[0].value(field)).collect();
    let expected = [
        RawValue::F64(1.2),
        RawValue::I64(-7),
        RawValue::Bool(true),
        RawValue::Choice(1),
        RawValue::Row(1),
    ];
    assert_eq!(values, expected.map(Some));
    assert_eq!(read[1].value(0), Some(RawValue::Text("größe")));
}

#[test]
fn what_is_absent_stays_absent() {
    let manifest = described();
    let mut native = configured(0.0);
    assert_eq!(
        process(&mut native, 0b1001, [9000.0_f64.to_bits(), 5, 1, 0]),
        2
    );
    let read = decode_output(&manifest, native.memory(), native.output(), 2)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(
        (read.value(1), read.value(2), read.value(4)),
        (None, None, None)
    );
    assert_eq!(&native.memory()[native.output() + 16..][..16], &[0; 16]);
}

#[test]
fn a_number_that_is_not_finite_is_absent() {
    let manifest = described();
    let mut native = configured(0.0);
    assert_eq!(
        process(&mut native, 0b1001, [f64::NAN.to_bits(), 0, 0, 0]),
        2
    );
    let read = decode_output(&manifest, native.memory(), native.output(), 2)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(read.value(0), None);
}

#[test]
fn a_choice_among_the_parameters_is_seen() {
    let manifest = described();
    let mut native = configured(1.0);
    assert_eq!(
        process(&mut native, 0b1001, [700.0_f64.to_bits(), 0, 0, 0]),
        2
    );
    let read = decode_output(&manifest, native.memory(), native.output(), 2)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(read.value(0), Some(RawValue::F64(1.0)));
}

#[test]
fn a_reason_is_its_number_below_zero() {
    let mut native = configured(0.0);
    assert_eq!(
        process(&mut native, 0b1001, [1e6_f64.to_bits(), 0, 0, 0]),
        -1
    );
}

#[test]
fn the_memory_comes_first_so_that_addresses_count_from_the_guest() {
    let guest = Guest::<Smoke>::new();
    assert_eq!(guest.memory().as_ptr().addr(), (&raw const guest).addr());
}
