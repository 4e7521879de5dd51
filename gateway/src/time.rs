//! Wall-clock times as every room writes them.

use std::fmt::Write as _;
use std::time::SystemTime;

/// The wall clock, in Unix nanoseconds.
pub fn unix_now_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

/// Unix time as RFC 3339 in UTC with nine digits after the point, such as
/// `2026-11-20T10:55:00.123456789Z`.
///
/// Days to dates by the era method of Howard Hinnant's "chrono-Compatible Low-Level Date
/// Algorithms" (`civil_from_days`); i64 nanoseconds end in 2262, so four digits of year are enough.
pub fn write_rfc3339(into: &mut String, unix_ns: i64) {
    const NS_PER_S: i64 = 1_000_000_000;
    const S_PER_DAY: i64 = 86_400;
    let (seconds, ns) = (unix_ns.div_euclid(NS_PER_S), unix_ns.rem_euclid(NS_PER_S));
    let (days, second) = (seconds.div_euclid(S_PER_DAY), seconds.rem_euclid(S_PER_DAY));

    // Eras of 400 years that begin on 1 March, so that the leap day is the last of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);

    let _ = write!(
        into,
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ns:09}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    );
}

/// [`write_rfc3339`] into a string of its own.
pub fn rfc3339(unix_ns: i64) -> String {
    let mut text = String::with_capacity(30);
    write_rfc3339(&mut text, unix_ns);
    text
}

/// Reads a time in UTC with up to nine digits after the point; `None` where it isn't one, or none
/// that has nanoseconds in an i64.
pub fn parse_instant(text: &str) -> Option<i64> {
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

/// Unix nanoseconds of a time as [`write_rfc3339`] writes it, and of nothing else.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    // With that many bytes there are nine digits after the point.
    (text.len() == "2026-11-20T10:55:00.123456789Z".len())
        .then(|| parse_instant(text))
        .flatten()
}

/// Unix nanoseconds of a time as people write it: a date, or date and time in UTC with up to nine
/// digits of a second, such as `2026-11-20`, `2026-11-20T10:55Z` or `2026-11-20T10:55:00.5Z`.
pub fn parse_utc(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00Z"));
    let time = time.strip_suffix('Z')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let seconds = if time.len() == "10:55".len() {
        ":00"
    } else {
        ""
    };
    if fraction.len() > 9 {
        return None;
    }
    parse_rfc3339(&format!("{date}T{time}{seconds}.{fraction:0<9}Z"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_have_nine_digits_and_leap_days() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(
            rfc3339(951_782_400_000_000_001),
            "2000-02-29T00:00:00.000000001Z"
        );
        assert_eq!(
            rfc3339(4_107_542_400_000_000_000),
            "2100-03-01T00:00:00.000000000Z"
        );
        assert_eq!(rfc3339(i64::MAX), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(rfc3339(i64::MIN), "1677-09-21T00:12:43.145224192Z");
    }

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
            assert_eq!(parse_instant(text), Some(ns), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_none() {
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
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }

    #[test]
    fn people_write_times_shorter() {
        let at = parse_rfc3339("2026-11-20T10:55:00.500000000Z");
        assert_eq!(parse_utc("2026-11-20T10:55:00.5Z"), at);
        let at = parse_rfc3339("2026-11-20T10:55:00.000000000Z");
        assert_eq!(parse_utc("2026-11-20T10:55Z"), at);
        let at = parse_rfc3339("2026-11-20T00:00:00.000000000Z");
        assert_eq!(parse_utc("2026-11-20"), at);
        for text in [
            "",
            "2026-11",
            "2026-11-20T",
            "2026-11-20T10:55",
            "2026-11-20T10Z",
            "yesterday",
        ] {
            assert_eq!(parse_utc(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_read_as_one() {
        for text in [
            "",
            "2026-11-20",
            "2026-11-20T10:55:00Z",
            "2026-02-30T10:55:00.000000000Z",
            "2026-11-20T24:55:00.000000000Z",
            "2026-11-20T10:55:00.000000000+",
            "9999-11-20T10:55:00.000000000Z",
            "+026-11-20T10:55:00.000000000Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_time_reads_back_as_itself(unix_ns in any::<i64>()) {
            prop_assert_eq!(parse_rfc3339(&rfc3339(unix_ns)), Some(unix_ns));
            prop_assert_eq!(parse_instant(&rfc3339(unix_ns)), Some(unix_ns));
        }

        #[test]
        fn any_text_is_read_or_not(text in ".{0,40}") {
            let _ = (parse_instant(&text), parse_rfc3339(&text), parse_utc(&text));
        }

        #[test]
        fn later_times_are_greater_texts(a in 0..i64::MAX, b in 0..i64::MAX) {
            prop_assert_eq!(a.cmp(&b), rfc3339(a).cmp(&rfc3339(b)));
        }
    }
}
