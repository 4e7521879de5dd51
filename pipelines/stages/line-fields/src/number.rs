//! Decimal numbers as machines write them: `-12.50`, `+   3,1`, `1.2E-3`.
//!
//! A number becomes the `f64` nearest to it: a whole number below 2⁵³ times or divided by a power of ten
//! up to 10²² is rounded once, since both are exact (Clinger, "How to read floating point numbers
//! accurately", 1990, the fast path). What has more digits isn't guessed at.

use crate::pattern::is_blank;

/// The greatest power of ten that an `f64` holds exactly.
const POWER_MAX: i32 = 22;

/// Whole numbers up to here are exact in an `f64`.
const EXACT_MAX: u64 = 1 << 53;

/// A number as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    digits: u64,
    exponent: i32,
    whole: bool,
}

/// Why a number can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// More digits, or a greater exponent, than come out right.
    TooLong,
    /// Decimals or an exponent where a whole number is wanted.
    NotWhole,
    /// Another mark than the one that is set, or none of its parts.
    NoNumber,
}

/// How many bytes at the start of a text are a number: a sign, blanks behind it, digits with a mark, an
/// exponent. Nothing where there is none.
pub(crate) fn length(text: &[u8]) -> Option<usize> {
    let count = |from: usize, wanted: fn(u8) -> bool| {
        let rest = text.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| wanted(**byte)).count()
    };
    let is_digit = |byte: u8| byte.is_ascii_digit();
    let mut end = 0;
    if let Some(b'+' | b'-') = text.first() {
        end = 1 + count(1, is_blank);
    }
    let before_mark = count(end, is_digit);
    end += before_mark;
    let mut digits = before_mark;
    if let Some(b'.' | b',') = text.get(end) {
        let decimals = count(end + 1, is_digit);
        if before_mark + decimals > 0 {
            end += 1 + decimals;
            digits += decimals;
        }
    }
    if digits == 0 {
        return None;
    }
    if let Some(b'e' | b'E') = text.get(end) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let exponent = count(end + 1 + sign, is_digit);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    Some(end)
}

impl Decimal {
    /// Reads what [`crate::pattern`] found, with that mark before the decimals.
    ///
    /// # Errors
    /// It has another mark, or too many digits.
    pub fn read(text: &[u8], mark: u8) -> Result<Self, Wrong> {
        let mut number = Self {
            negative: false,
            digits: 0,
            exponent: 0,
            whole: true,
        };
        let mut bytes = text.iter().copied().filter(|byte| !is_blank(*byte));
        while let Some(byte) = bytes.next() {
            match byte {
                b'-' => number.negative = true,
                b'+' => {}
                b'0'..=b'9' => {
                    let more = number.digits.checked_mul(10);
                    let more = more.and_then(|more| more.checked_add(u64::from(byte - b'0')));
                    number.digits = more.ok_or(Wrong::TooLong)?;
                    number.exponent -= i32::from(!number.whole);
                }
                b'e' | b'E' => {
                    number.whole = false;
                    number.exponent = number.exponent.saturating_add(exponent(&mut bytes));
                }
                byte if byte == mark => number.whole = false,
                _ => return Err(Wrong::NoNumber),
            }
        }
        Ok(number)
    }

    /// The nearest `f64`.
    ///
    /// # Errors
    /// It has more digits than come out right.
    pub fn number(self) -> Result<f64, Wrong> {
        if self.digits > EXACT_MAX {
            return Err(Wrong::TooLong);
        }
        // Exact: checked above.
        let digits = self.digits as f64;
        let magnitude = match self.exponent {
            _ if self.digits == 0 => 0.0,
            0..=POWER_MAX => digits * power(self.exponent),
            exponent if (-POWER_MAX..0).contains(&exponent) => digits / power(-exponent),
            _ => return Err(Wrong::TooLong),
        };
        Ok(if self.negative { -magnitude } else { magnitude })
    }

    /// A whole number.
    ///
    /// # Errors
    /// It is written as something else, or beyond 64 bits.
    pub fn whole(self) -> Result<i64, Wrong> {
        if !self.whole {
            return Err(Wrong::NotWhole);
        }
        let magnitude = i128::from(self.digits);
        let number = if self.negative { -magnitude } else { magnitude };
        i64::try_from(number).map_err(|_| Wrong::TooLong)
    }
}

/// What is left of an exponent; beyond any use where it is long.
fn exponent(bytes: &mut impl Iterator<Item = u8>) -> i32 {
    let (mut negative, mut exponent) = (false, 0_i32);
    for byte in bytes {
        match byte {
            b'-' => negative = true,
            b'0'..=b'9' => {
                let digit = i32::from(byte - b'0');
                exponent = exponent.saturating_mul(10).saturating_add(digit);
            }
            _ => {}
        }
    }
    if negative { -exponent } else { exponent }
}

/// A power of ten, exact up to [`POWER_MAX`].
fn power(exponent: i32) -> f64 {
    (0..exponent).fold(1.0, |power, _| power * 10.0)
}
