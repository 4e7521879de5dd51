//! The checksums that old protocols end their frames with.
//!
//! A checksum covers the bytes on the wire from `skip` on up to the checksum itself. It is checked
//! and never cut off: a frame keeps all bytes that its machine sent.

/// How the check value is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumKind {
    /// CRC-16 with the reflected polynomial 0xA001 and start value 0xFFFF, low byte first
    /// (MODBUS over Serial Line V1.02, 6.2.2).
    Crc16Modbus,
    /// Exclusive or of all bytes (3964R's block check, Omron's FCS).
    Xor,
    /// Sum of all bytes modulo 256 (Mitsubishi FX).
    Sum8,
    /// Two's complement of the sum modulo 256 (MODBUS over Serial Line V1.02, 6.2.1).
    Lrc,
}

/// How the check value stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChecksumForm {
    /// As bytes.
    #[default]
    Binary,
    /// As two hexadecimal digits for each byte.
    Hex,
}

/// A frame's checksum: the last thing in the frame, unless `after_end` says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChecksumSpec {
    /// How it is computed.
    pub kind: ChecksumKind,
    /// How it is written.
    pub form: ChecksumForm,
    /// Number of bytes at the beginning of the frame that it does not cover.
    pub skip: usize,
    /// For the framing `delimited` only: it follows the end mark (3964R) and covers that too,
    /// instead of standing before it (Omron Host Link).
    pub after_end: bool,
}

impl ChecksumSpec {
    /// A binary checksum over everything before it.
    #[must_use]
    pub const fn whole_frame(kind: ChecksumKind) -> Self {
        Self {
            kind,
            form: ChecksumForm::Binary,
            skip: 0,
            after_end: false,
        }
    }

    /// Bytes that it takes on the wire.
    #[must_use]
    pub const fn wire_bytes(&self) -> usize {
        let value_bytes = match self.kind {
            ChecksumKind::Crc16Modbus => 2,
            ChecksumKind::Xor | ChecksumKind::Sum8 | ChecksumKind::Lrc => 1,
        };
        match self.form {
            ChecksumForm::Binary => value_bytes,
            ChecksumForm::Hex => 2 * value_bytes,
        }
    }

    /// Whether `covered_and_checksum`, which ends with the checksum, holds.
    #[must_use]
    pub fn fits(&self, covered_and_checksum: &[u8]) -> bool {
        let Some(covered_end) = covered_and_checksum.len().checked_sub(self.wire_bytes()) else {
            return false;
        };
        let (covered, sent) = covered_and_checksum.split_at(covered_end);
        let Some(covered) = covered.get(self.skip..) else {
            return false;
        };
        let value = self.kind.of(covered).to_le_bytes();
        match self.form {
            ChecksumForm::Binary => sent.iter().eq(value.iter().take(sent.len())),
            ChecksumForm::Hex => sent
                .chunks(2)
                .zip(value)
                .all(|(digits, byte)| matches!(digits, [high, low] if hex_byte(*high, *low) == Some(byte))),
        }
    }
}

impl ChecksumKind {
    /// The check value over `bytes`; kinds of one byte leave the upper half zero.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> u16 {
        let sum = || bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        match self {
            Self::Crc16Modbus => bytes
                .iter()
                .fold(0xFFFF, |crc, byte| crc16_step(crc, *byte)),
            Self::Xor => u16::from(bytes.iter().fold(0, |xor, byte| xor ^ byte)),
            Self::Sum8 => u16::from(sum()),
            Self::Lrc => u16::from(sum().wrapping_neg()),
        }
    }
}

fn crc16_step(crc: u16, byte: u8) -> u16 {
    (0..8).fold(crc ^ u16::from(byte), |crc, _| {
        if crc & 1 == 1 {
            (crc >> 1) ^ 0xA001
        } else {
            crc >> 1
        }
    })
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |character: u8| char::from(character).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc16_agrees_with_the_modbus_example_of_a_slave_exception() {
        // MODBUS over Serial Line V1.02, 6.2.2: the CRC of 02 07 is 0x1241, sent as 41 12.
        assert!(
            ChecksumSpec::whole_frame(ChecksumKind::Crc16Modbus).fits(&[0x02, 0x07, 0x41, 0x12])
        );
        assert!(
            !ChecksumSpec::whole_frame(ChecksumKind::Crc16Modbus).fits(&[0x02, 0x07, 0x12, 0x41])
        );
    }

    #[test]
    fn the_sum_in_hex_digits_agrees_with_a_frame_of_a_mitsubishi_fx() {
        let frame = [
            0x02, 0x31, 0x31, 0x30, 0x32, 0x38, 0x30, 0x32, 0x30, 0x30, 0x31, 0x30, 0x03, 0x32,
            0x32,
        ];
        let sum = ChecksumSpec {
            kind: ChecksumKind::Sum8,
            form: ChecksumForm::Hex,
            skip: 1,
            after_end: true,
        };
        assert!(sum.fits(&frame));
        assert!(!ChecksumSpec { skip: 0, ..sum }.fits(&frame));
    }

    #[test]
    fn lrc_and_the_sum_of_what_it_covers_make_zero() {
        let lrc = ChecksumKind::Lrc.of(&[0xF7, 0x03, 0x13, 0x89, 0x00, 0x0A]);
        assert_eq!(lrc, 0x60);
        assert_eq!(
            ChecksumKind::Sum8.of(&[0xF7, 0x03, 0x13, 0x89, 0x00, 0x0A, 0x60]),
            0
        );
    }

    #[test]
    fn xor_of_a_doubled_byte_is_zero() {
        assert_eq!(ChecksumKind::Xor.of(&[0x10, 0x10]), 0);
    }

    #[test]
    fn what_is_shorter_than_its_checksum_does_not_fit() {
        assert!(!ChecksumSpec::whole_frame(ChecksumKind::Crc16Modbus).fits(&[0x41]));
        assert!(
            !ChecksumSpec {
                skip: 3,
                ..ChecksumSpec::whole_frame(ChecksumKind::Xor)
            }
            .fits(&[1, 1])
        );
    }
}
