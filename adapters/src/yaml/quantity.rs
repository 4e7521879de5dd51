//! Numbers with units: `200ms`, `0.6s`, `2GiB`, `1.6m/s`.

/// A unit and how many of the base unit it is.
pub type Unit = (&'static str, f64);

/// Units of time, in nanoseconds.
pub const NANOSECONDS: &[Unit] = &[
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("min", 60e9),
    ("h", 3_600e9),
    ("d", 86_400e9),
];

/// Units of size, in bytes.
pub const BYTES: &[Unit] = &[
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
];

/// A number and the text behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantity<'a> {
    /// The number; finite.
    pub value: f64,
    /// The unit as written; empty where there is none.
    pub unit: &'a str,
}

impl<'a> Quantity<'a> {
    /// Reads a decimal number with or without a unit behind it. `None` where `text` doesn't begin
    /// with a number, or with one that no `f64` holds.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let number_bytes = number_prefix(text.as_bytes());
        let (number, unit) = text.split_at_checked(number_bytes)?;
        let value: f64 = number.parse().ok()?;
        let unit = unit.trim_start();
        let is_unit =
            !unit.starts_with(|first: char| first.is_ascii_digit() || "+-._".contains(first));
        (value.is_finite() && is_unit).then_some(Self { value, unit })
    }
}

/// How many bytes at the beginning are a number: digits, one point, and an exponent that has digits.
fn number_prefix(text: &[u8]) -> usize {
    let digits = |from: usize| {
        text[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut end = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    end += digits(end);
    if text.get(end) == Some(&b'.') {
        end += 1;
        end += digits(end);
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let exponent = text
            .get(end + 1 + sign..)
            .map_or(0, |_| digits(end + 1 + sign));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_and_units_are_told_apart() {
        for (text, value, unit) in [
            ("200ms", 200.0, "ms"),
            ("0.6 s", 0.6, "s"),
            ("-146deg", -146.0, "deg"),
            ("110deg/s", 110.0, "deg/s"),
            ("4m/s2", 4.0, "m/s2"),
            ("1e3", 1000.0, ""),
            ("1e3us", 1000.0, "us"),
            ("2e", 2.0, "e"),
            (".5", 0.5, ""),
            ("5 %", 5.0, "%"),
        ] {
            assert_eq!(
                Quantity::parse(text),
                Some(Quantity { value, unit }),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "", "ms", "-", ".", "e3", "inf", "nan", "1e999", "1.2.3", "1_000", "--1", "1-2",
        ] {
            assert_eq!(Quantity::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,12}|[-+0-9.eE]{0,8}[a-zµ]{0,3}") {
            let _ = Quantity::parse(&text);
        }
    }
}
