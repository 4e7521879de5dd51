//! Which lines fit, and which value stands in them.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use retrotap_stage_line_fields::number::{Decimal, Wrong as WrongNumber};
use retrotap_stage_line_fields::pattern::{Pattern, Value, Wrong};

fn fit<'l>(pattern: &str, value: Value, line: &'l str) -> Option<&'l str> {
    let found = Pattern::new(pattern.as_bytes(), value)
        .unwrap()
        .fit(line.as_bytes());
    found.map(|bytes| std::str::from_utf8(bytes).unwrap())
}

#[test]
fn a_number_is_found_between_what_stands_around_it() {
    for (pattern, line, value) in [
        ("S S # g", "S S     100.00 g", "100.00"),
        ("S S # g", "S S -0.5   g", "-0.5"),
        ("ST,GS,#kg", "ST,GS,+  12.345kg", "+  12.345"),
        ("ST,GS,#kg", "ST,GS,   12.345kg", "12.345"),
        ("*#g", "net 7g", "7"),
        ("#", "1.5E-3", "1.5E-3"),
        ("# V*", "5 V DC", "5"),
        ("?? #", "XY 4", "4"),
        (r"\##\*", "#8*", "8"),
        (
            "1-0:1.8.0\\*255(#\\*kWh)",
            "1-0:1.8.0*255(012345.678*kWh)",
            "012345.678",
        ),
    ] {
        assert_eq!(fit(pattern, Value::Number, line), Some(value), "{pattern}");
    }
}

#[test]
fn a_line_that_does_not_fit_as_a_whole_fits_not_at_all() {
    for (pattern, line) in [
        ("S S # g", "S D     100.00 g"),
        ("S S # g", "S S     100.00 kg"),
        ("S S # g", "S S     100.00 g X"),
        ("S S # g", "S S g"),
        ("S S # g", "SS 1 g"),
        ("#", ""),
        ("#", "-"),
        ("#", "."),
        ("??#", "X4"),
        ("*#g", "net 7"),
    ] {
        assert_eq!(fit(pattern, Value::Number, line), None, "{pattern}: {line}");
    }
}

#[test]
fn a_text_is_as_short_as_what_follows_allows() {
    for (pattern, line, value) in [
        ("No #, *", "No A-17, 4.5 kg, ok", "A-17"),
        ("# *", "left right", "left"),
        ("Id: #", "Id: all of it", "all of it"),
    ] {
        assert_eq!(fit(pattern, Value::Text, line), Some(value), "{pattern}");
    }
    assert_eq!(fit("S ? *", Value::None, "S D 4 g"), Some(""));
    assert_eq!(fit("S D *", Value::None, "S S 4 g"), None);
}

#[test]
fn a_pattern_that_is_not_in_order_is_refused() {
    for (pattern, value, wrong) in [
        ("S S g", Value::Number, Wrong::Values),
        ("# #", Value::Number, Wrong::Values),
        ("#", Value::None, Wrong::Values),
        (" #", Value::Number, Wrong::BlankAtAnEnd),
        ("# ", Value::Text, Wrong::BlankAtAnEnd),
        ("", Value::None, Wrong::BlankAtAnEnd),
        (r"#\", Value::Number, Wrong::NothingEscaped),
    ] {
        let refused = Pattern::new(pattern.as_bytes(), value).err();
        assert_eq!(refused, Some(wrong), "{pattern}");
    }
    assert!(Pattern::new(br"#\\", Value::Number).is_ok());
}

#[test]
fn a_number_is_the_nearest_there_is() {
    for text in [
        "0.1",
        "-12.50",
        "9007199254740992",
        "123456789012345e-22",
        "1e22",
        "0.000001",
        "5.e1",
        ".5",
    ] {
        let number = Decimal::read(text.as_bytes(), b'.').unwrap().number();
        assert_eq!(number, Ok(text.parse().unwrap()), "{text}");
    }
    let comma = Decimal::read(b"+ 3,25", b',').unwrap();
    assert_eq!(comma.number(), Ok(3.25));
    let minus = Decimal::read(b"-0.00", b'.').unwrap().number().unwrap();
    assert!(minus == 0.0 && minus.is_sign_negative());
}

#[test]
fn a_number_that_would_have_to_be_guessed_at_is_refused() {
    let read = |text: &str| Decimal::read(text.as_bytes(), b'.').and_then(Decimal::number);
    for text in [
        "9007199254740993",
        "1e23",
        "1e-23",
        "1e99999999999",
        "99999999999999999999",
    ] {
        assert_eq!(read(text), Err(WrongNumber::TooLong), "{text}");
    }
    assert_eq!(read("0e999"), Ok(0.0));
    assert_eq!(read("3,25"), Err(WrongNumber::NoNumber));
}

#[test]
fn a_whole_number_has_no_decimals() {
    let whole = |text: &str| Decimal::read(text.as_bytes(), b'.').and_then(Decimal::whole);
    assert_eq!(whole("-042"), Ok(-42));
    assert_eq!(whole("9223372036854775807"), Ok(i64::MAX));
    assert_eq!(whole("-9223372036854775808"), Ok(i64::MIN));
    assert_eq!(whole("9223372036854775808"), Err(WrongNumber::TooLong));
    for text in ["4.0", "4e1", "4."] {
        assert_eq!(whole(text), Err(WrongNumber::NotWhole), "{text}");
    }
}

proptest! {
    #[test]
    fn what_a_machine_prints_comes_back(
        number in -1e9..1e9_f64, decimals in 0..6_usize, width in 0..16_usize,
    ) {
        let printed = format!("{number:width$.decimals$}");
        let line = format!("S S {printed} g");
        let found = fit("S S # g", Value::Number, &line).unwrap();
        let read = Decimal::read(found.as_bytes(), b'.').unwrap().number().unwrap();
        prop_assert_eq!(read.to_bits(), printed.trim().parse::<f64>().unwrap().to_bits());
    }

    #[test]
    fn no_line_and_no_pattern_make_it_panic_and_a_value_is_a_part_of_its_line(
        pattern in prop::collection::vec(prop::sample::select(b"S# ?*\\1.".to_vec()), 0..24),
        line in prop::collection::vec(prop::sample::select(b"S# 1.-+eE,\x80".to_vec()), 0..64),
    ) {
        for value in [Value::Number, Value::Text, Value::None] {
            if let Ok(pattern) = Pattern::new(&pattern, value)
                && let Some(found) = pattern.fit(&line)
            {
                prop_assert!(found.is_empty() || line.windows(found.len()).any(|part| part == found));
                if value == Value::Number {
                    let _ = Decimal::read(found, b'.').map(|decimal| (decimal.number(), decimal.whole()));
                }
            }
        }
    }
}
