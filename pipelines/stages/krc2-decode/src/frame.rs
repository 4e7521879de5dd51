//! One frame: axis number, sign and value.
//!
//! | byte | meaning |
//! |---|---|
//! | 0..4 | axis number, unsigned, little-endian, 1 to 7 |
//! | 4 | sign: 00, 20 (space) or 2B (`+`) positive, 01 or 2D (`-`) negative |
//! | 5..9 | value, little-endian, in 1e-5 degree, for axis 7 in 1e-5 mm |
//!
//! The frame is that of Nakakaze et al. 2024, section 4.1, which says that the value is a magnitude and
//! publishes code that reads it in two's complement without looking at the sign. Hence [`Encoding`].

/// Axes of one cycle.
pub const AXES: usize = 7;

/// Bytes of a frame.
pub const FRAME_BYTES: usize = 9;

/// What bytes 5 to 8 hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A magnitude; byte 4 alone has the sign.
    SignMagnitude,
    /// A signed number. A sign that says negative must not stand before a positive one; a sign that
    /// says positive stands before all of them where the sender leaves it at a space.
    TwosComplement,
}

/// What one frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisValue {
    /// 0 for axis 1 to 6 for axis 7.
    pub index: usize,
    /// In 1e-5 degree, or 1e-5 mm for axis 7.
    pub value_1e5: i32,
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Not [`FRAME_BYTES`] long.
    Length,
    /// No axis from 1 to 7.
    AxisNumber,
    /// No known sign.
    Sign,
    /// A magnitude that only a number in two's complement has: far out of every axis's range.
    Magnitude,
    /// A negative sign before a positive number in two's complement.
    SignContradictsValue,
}

impl AxisValue {
    /// Reads a frame.
    ///
    /// # Errors
    /// The first thing that is wrong, from front to back.
    pub fn read(frame: &[u8], encoding: Encoding) -> Result<Self, FrameError> {
        let &[n0, n1, n2, n3, sign, v0, v1, v2, v3] = frame else {
            return Err(FrameError::Length);
        };
        let index = match u32::from_le_bytes([n0, n1, n2, n3]) {
            number @ 1..=7 => number as usize - 1,
            _ => return Err(FrameError::AxisNumber),
        };
        let negative = match sign {
            0x00 | 0x20 | 0x2B => false,
            0x01 | 0x2D => true,
            _ => return Err(FrameError::Sign),
        };
        let bits = u32::from_le_bytes([v0, v1, v2, v3]);
        let value_1e5 = match encoding {
            Encoding::SignMagnitude => {
                let magnitude = i32::try_from(bits).map_err(|_| FrameError::Magnitude)?;
                if negative { -magnitude } else { magnitude }
            }
            Encoding::TwosComplement => {
                let value = bits.cast_signed();
                if negative && value > 0 {
                    return Err(FrameError::SignContradictsValue);
                }
                value
            }
        };
        Ok(Self { index, value_1e5 })
    }
}
