//! What a byte at one position of a frame may be: `"01-07"`, `"00|01|20|2B|2D"`, `"*"`.

use core::str::FromStr;

/// A set of byte values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BytePredicate {
    values: [u64; 4],
}

/// Why a predicate can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PredicateError {
    /// A value that is not two hexadecimal digits.
    #[error("each value is two hexadecimal digits")]
    NotTwoHexDigits,
    /// A range whose first value is above its last.
    #[error("a range goes from the lower to the higher value")]
    Backwards,
}

impl BytePredicate {
    /// Every byte fits.
    pub const ANY: Self = Self {
        values: [u64::MAX; 4],
    };

    /// Only `byte` fits.
    #[must_use]
    pub const fn only(byte: u8) -> Self {
        let mut values = [0; 4];
        values[(byte >> 6) as usize] = 1 << (byte & 63);
        Self { values }
    }

    /// Whether `byte` fits.
    #[must_use]
    pub const fn fits(&self, byte: u8) -> bool {
        self.values[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }
}

impl FromStr for BytePredicate {
    type Err = PredicateError;

    fn from_str(text: &str) -> Result<Self, PredicateError> {
        if text.trim() == "*" {
            return Ok(Self::ANY);
        }
        let mut values = [0; 4];
        for choice in text.split('|') {
            let (first, last) = match choice.split_once('-') {
                Some((first, last)) => (hex(first)?, hex(last)?),
                None => (hex(choice)?, hex(choice)?),
            };
            if first > last {
                return Err(PredicateError::Backwards);
            }
            for byte in first..=last {
                values[usize::from(byte >> 6)] |= 1 << (byte & 63);
            }
        }
        Ok(Self { values })
    }
}

fn hex(text: &str) -> Result<u8, PredicateError> {
    let text = text.trim();
    if text.len() != 2 || !text.bytes().all(|character| character.is_ascii_hexdigit()) {
        return Err(PredicateError::NotTwoHexDigits);
    }
    u8::from_str_radix(text, 16).map_err(|_| PredicateError::NotTwoHexDigits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn values(text: &str) -> Vec<u8> {
        let predicate: BytePredicate = text.parse().unwrap();
        (0..=255).filter(|byte| predicate.fits(*byte)).collect()
    }

    #[test]
    fn a_predicate_holds_what_it_says_and_nothing_else() {
        assert_eq!(values("00"), [0]);
        assert_eq!(values("01-07"), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(values("00|01|20|2B|2d"), [0x00, 0x01, 0x20, 0x2B, 0x2D]);
        assert_eq!(values("fe-ff|00"), [0x00, 0xFE, 0xFF]);
        assert_eq!(values("*").len(), 256);
        assert_eq!(values("00-ff").len(), 256);
        assert_eq!(
            (0..=255)
                .filter(|byte| BytePredicate::only(0x41).fits(*byte))
                .count(),
            1
        );
    }

    #[test]
    fn what_is_not_two_digits_or_runs_backwards_is_refused() {
        for text in [
            "", "1", "001", "0x01", "+1", "|", "01|", "g0", "*|01", "01-", "é",
        ] {
            assert_eq!(
                text.parse::<BytePredicate>(),
                Err(PredicateError::NotTwoHexDigits),
                "{text:?}"
            );
        }
        assert_eq!(
            "07-01".parse::<BytePredicate>(),
            Err(PredicateError::Backwards)
        );
    }
}
