//! Running a stage natively, through the same memory and the same calls as its module.
//!
//! It is for tests and benches: what comes out of a module can be compared with it byte by byte, and a
//! stage can be debugged with an ordinary debugger.

use alloc::boxed::Box;

use crate::guest::{Contract, Guest, Stage};

/// A stage that runs natively. Addresses count from the start of [`NativeStage::memory`].
pub struct Native<S: Stage>(Box<Guest<S>>);

/// What a host needs of a native stage, whichever it is. The methods mirror the exports of a module.
pub trait NativeStage: Send {
    /// The manifest.
    fn manifest_json(&self) -> &'static str;
    /// The whole memory.
    fn memory(&self) -> &[u8];
    /// The whole memory, to be changed.
    fn memory_mut(&mut self) -> &mut [u8];
    /// Where the input area begins.
    fn input(&self) -> usize;
    /// Where the configuration begins.
    fn config(&self) -> usize;
    /// Where the output area begins.
    fn output(&self) -> usize;
    /// Writes the block that a swap carries over, and says where it begins.
    fn state(&mut self) -> usize;
    /// 0, or −k for the manifest's k-th reason.
    fn configure(&mut self) -> i32;
    /// The number of records, or −k for the manifest's k-th reason.
    ///
    /// # Panics
    /// Where a module would trap.
    fn process(&mut self, input_bytes: usize, t_ns: i64) -> i32;
    /// The same without input.
    ///
    /// # Panics
    /// Where a module would trap.
    fn tick(&mut self, t_ns: i64) -> i32;
}

impl<S: Stage> Native<S> {
    /// A stage that nothing has been written to.
    pub fn new() -> Self {
        Self(Box::default())
    }
}

impl<S: Stage> Default for Native<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> NativeStage for Native<S>
where
    S: Stage + Send,
    <S::Contract as Contract>::Memory: Send,
{
    fn manifest_json(&self) -> &'static str {
        S::Contract::MANIFEST_JSON
    }

    fn memory(&self) -> &[u8] {
        self.0.memory()
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        self.0.memory_mut()
    }

    fn input(&self) -> usize {
        Guest::<S>::INPUT
    }

    fn config(&self) -> usize {
        Guest::<S>::CONFIG
    }

    fn output(&self) -> usize {
        Guest::<S>::OUTPUT
    }

    fn state(&mut self) -> usize {
        self.0.save();
        Guest::<S>::STATE
    }

    fn configure(&mut self) -> i32 {
        self.0.configure()
    }

    fn process(&mut self, input_bytes: usize, t_ns: i64) -> i32 {
        self.0.process(0, input_bytes, t_ns)
    }

    fn tick(&mut self, t_ns: i64) -> i32 {
        self.0.tick(0, t_ns)
    }
}
