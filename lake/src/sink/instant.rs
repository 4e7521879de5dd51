//! Times as entries carry them, `2026-11-20T10:55:00.123456789Z`, in Unix nanoseconds.

/// Reads a time in UTC with up to nine digits after the point; `None` where it isn't one, or none
/// that has nanoseconds in an i64.
pub fn unix_ns(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (head, rest) = (bytes.get(..19)?, bytes.get(19..)?);
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| head[at] != mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        head[from..to].iter().try_fold(0_i64, |number, byte| {
            byte.is_ascii_digit()
                .then(|| 10 * number + i64::from(byte - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month)
        || !(1..=days_in(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let fraction = match rest.strip_suffix(b"Z")? {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            let mut fraction = 0_i64;
            for at in 0..9 {
                let digit = digits.get(at).copied().unwrap_or(b'0');
                fraction =
                    10 * fraction + digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
            }
            fraction
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    // Before 1970 the fraction counts upwards too, so i64::MIN needs the wider type on the way.
    i64::try_from(i128::from(seconds) * 1_000_000_000 + i128::from(fraction)).ok()
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01, by the era method of Howard Hinnant's "chrono-Compatible Low-Level Date
/// Algorithms" (`days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
    146_097 * era + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times_have_their_nanoseconds() {
        for (text, ns) in [
            ("1970-01-01T00:00:00.000000000Z", 0),
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("2000-02-29T00:00:00.000000001Z", 951_782_400_000_000_001),
            ("2000-02-29T00:00:00.5Z", 951_782_400_500_000_000),
            ("2262-04-11T23:47:16.854775807Z", i64::MAX),
            ("1677-09-21T00:12:43.145224192Z", i64::MIN),
        ] {
            assert_eq!(unix_ns(text), Some(ns), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "now",
            "2026-11-20",
            "2026-11-20T10:55:00",
            "2026-11-20 10:55:00Z",
            "2026-11-20T10:55:00+01:00",
            "2026-11-20T10:55:00.Z",
            "2026-11-20T10:55:00.1234567890Z",
            "2026-11-20T10:55:00.12345678xZ",
            "2026-13-20T10:55:00Z",
            "2026-02-29T10:55:00Z",
            "2026-11-31T10:55:00Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T10:60:00Z",
            "2026-11-20T10:55:60Z",
            "+026-11-20T10:55:00Z",
            "2262-04-11T23:47:16.854775808Z",
            "1677-09-21T00:12:43.145224191Z",
            "2026-11-20T10:55:0éZ",
        ] {
            assert_eq!(unix_ns(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_that_a_gateway_writes_is_read_back(ns in any::<i64>()) {
            prop_assert_eq!(unix_ns(&retrotap::time::rfc3339(ns)), Some(ns));
        }

        #[test]
        fn any_text_is_read_or_not(text in ".{0,40}") {
            let _ = unix_ns(&text);
        }
    }
}
