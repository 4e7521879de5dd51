//! One field out of the registers of an answer.

/// Bytes of a register, the high one first.
pub type Register = [u8; 2];

/// What one or two registers hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 0 to 65535.
    U16,
    /// −32768 to 32767, two's complement.
    I16,
    /// 0 to 2³² − 1, in two registers.
    U32,
    /// −2³¹ to 2³¹ − 1, in two registers.
    I32,
    /// IEEE 754 single precision, in two registers.
    F32,
    /// One bit of a register, 0 the lowest.
    Bit(u8),
}

/// A field that is read: where it stands, as what, and how it becomes a number with its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Its first register.
    pub register: u16,
    /// What stands there.
    pub format: Format,
    /// Whether the lower of two registers comes first.
    pub low_first: bool,
    /// What the number is multiplied by,
    pub factor: f64,
    /// then divided by,
    pub divisor: f64,
    /// and what is then added.
    pub offset: f64,
}

/// What stood in the registers, before any scaling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Raw {
    /// A whole number; a bit is 0 or 1.
    Whole(i64),
    /// A number, perhaps not finite.
    Real(f64),
}

impl Format {
    /// How many registers it takes.
    #[must_use]
    pub const fn registers(self) -> usize {
        match self {
            Self::U16 | Self::I16 | Self::Bit(_) => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
        }
    }
}

impl Reading {
    /// Of an unsigned register that is taken as it stands.
    pub const PLAIN: Self = Self {
        register: 0,
        format: Format::U16,
        low_first: false,
        factor: 1.0,
        divisor: 1.0,
        offset: 0.0,
    };

    /// Reads it out of registers of which the first is number `first`; nothing where it isn't among them.
    #[must_use]
    pub fn read(&self, first: u16, registers: &[Register]) -> Option<Raw> {
        let place = usize::from(self.register.checked_sub(first)?);
        let own = registers.get(place..place + self.format.registers())?;
        let one = u16::from_be_bytes(*own.first()?);
        Some(match self.format {
            Format::U16 => Raw::Whole(one.into()),
            Format::I16 => Raw::Whole(one.cast_signed().into()),
            Format::Bit(bit) => Raw::Whole((one >> bit & 1).into()),
            Format::U32 => Raw::Whole(self.two(own)?.into()),
            Format::I32 => Raw::Whole(self.two(own)?.cast_signed().into()),
            Format::F32 => Raw::Real(f32::from_bits(self.two(own)?).into()),
        })
    }

    fn two(&self, own: &[Register]) -> Option<u32> {
        let &[first, second] = own else { return None };
        let (high, low) = if self.low_first {
            (second, first)
        } else {
            (first, second)
        };
        Some(u32::from(u16::from_be_bytes(high)) << 16 | u32::from(u16::from_be_bytes(low)))
    }

    /// The number in the field's unit. Each step rounds once, in this order, so that all engines agree.
    #[must_use]
    pub fn scaled(&self, raw: Raw) -> f64 {
        let number = match raw {
            // Two registers are exact in an f64.
            Raw::Whole(whole) => whole as f64,
            Raw::Real(real) => real,
        };
        number * self.factor / self.divisor + self.offset
    }
}
