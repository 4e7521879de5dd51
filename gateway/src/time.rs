//! Wall-clock times as every room writes them.

use std::fmt::Write as _;

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

    proptest! {
        #[test]
        fn later_times_are_greater_texts(a in 0..i64::MAX, b in 0..i64::MAX) {
            prop_assert_eq!(a.cmp(&b), rfc3339(a).cmp(&rfc3339(b)));
        }
    }
}
