//! The one static of a module, and the only code here that needs `unsafe`.

use core::cell::UnsafeCell;

/// The number that `rt_abi` returns.
pub const ABI: i32 = retrotap_abi::ABI as i32;

/// A value that only ever one thread sees: a module of ABI 1 has no threads.
#[derive(Debug)]
pub struct OneThread<T>(UnsafeCell<T>);

// SAFETY: this type exists for wasm32 without atomics only, where there is one thread.
#[allow(unsafe_code)]
unsafe impl<T> Sync for OneThread<T> {}

impl<T> OneThread<T> {
    /// Holds a value.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Where it stands.
    #[inline]
    pub fn address(&self) -> i32 {
        self.0.get().expose_provenance() as i32
    }

    /// The value, for the length of one exported call.
    ///
    /// # Safety
    /// No other reference from an earlier `enter` may be alive.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    #[inline]
    pub unsafe fn enter(&self) -> &mut T {
        // SAFETY: the caller holds no other reference, and there is one thread.
        unsafe { &mut *self.0.get() }
    }
}
