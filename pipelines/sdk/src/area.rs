//! The block of memory that holds a stage's input, configuration and output, one after the other.

/// A block of bytes that begins at a multiple of 8.
#[derive(Debug)]
#[repr(C, align(8))]
pub struct Area<const BYTES: usize>([u8; BYTES]);

/// What a block of memory can do; [`Area`] of every size can. It lets generic code name the size.
pub trait Memory {
    /// Nothing in it yet.
    const ZERO: Self;

    /// All of it.
    fn bytes(&self) -> &[u8];

    /// All of it, to be changed.
    fn bytes_mut(&mut self) -> &mut [u8];
}

impl<const BYTES: usize> Memory for Area<BYTES> {
    const ZERO: Self = Self([0; BYTES]);

    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
