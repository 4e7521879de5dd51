//! A stage with its memory: what a module's exports and the native runner both are.

use core::cell::UnsafeCell;

use crate::area::Memory;
use crate::output::Output;

/// What a stage computes. One instance serves one machine, and is called by one thread.
pub trait Stage: Sized {
    /// What the build script made of the manifest.
    type Contract: Contract;

    /// A stage that has seen nothing yet. [`Stage::configure`] follows before any input.
    fn new() -> Self;

    /// Takes over parameters and tables, at start and after every change, between two inputs. What was
    /// learnt from inputs so far should survive it.
    ///
    /// # Errors
    /// A reason to refuse this configuration. The host then calls again with the one before.
    fn configure(
        &mut self,
        config: &<Self::Contract as Contract>::Config<'_>,
    ) -> Result<(), ReasonOf<Self>>;

    /// Takes one input and emits what comes of it. `t_ns` is line time in nanoseconds, never
    /// decreasing, that of the last byte of the frame from which the input stems.
    ///
    /// # Errors
    /// A reason to reject it. No record of that frame leaves the gateway then.
    fn process(
        &mut self,
        input: <Self::Contract as Contract>::Input<'_>,
        t_ns: i64,
        out: &mut Output<'_>,
    ) -> Result<(), ReasonOf<Self>>;

    /// Writes down what another version of this stage goes on with when it takes its place: words of the
    /// block that the manifest's `state` describes, all but the first, which is the SDK's. Called right
    /// before the swap. What is not written is 0.
    fn save(&self, state: &mut StateWords<'_>) {
        let _ = state;
    }

    /// Goes on with what [`Stage::save`] of a version with the same layout wrote, after `configure` and
    /// before the first input.
    fn restore(&mut self, state: &StateWords<'_>) {
        let _ = state;
    }

    /// The same without input, for what changes with time alone.
    ///
    /// # Errors
    /// As [`Stage::process`].
    fn tick(&mut self, t_ns: i64, out: &mut Output<'_>) -> Result<(), ReasonOf<Self>> {
        let _ = (t_ns, out);
        Ok(())
    }
}

type ReasonOf<S> = <<S as Stage>::Contract as Contract>::Reason;

/// What the build script makes of a manifest: sizes, types, and how areas become values.
pub trait Contract {
    /// The manifest.
    const MANIFEST_JSON: &'static str;
    /// Bytes of the input area.
    const INPUT_BYTES: usize;
    /// Bytes of the configuration.
    const CONFIG_BYTES: usize;
    /// Bytes of the output area.
    const OUTPUT_BYTES: usize;
    /// Bytes of the block that a swap carries over; 0 where there is none.
    const STATE_BYTES: usize;

    /// The areas, one after the other.
    type Memory: Memory;
    /// What one call gets.
    type Input<'a>;
    /// Parameters and tables.
    type Config<'a>;
    /// Why something is rejected.
    type Reason: Reason;

    /// Reads an input; nothing where the host broke the contract.
    fn input(area: &[u8]) -> Option<Self::Input<'_>>;
    /// Looks at a configuration; nothing where it hasn't the right size.
    fn config(area: &[u8]) -> Option<Self::Config<'_>>;
}

/// Why an input or a configuration is rejected.
pub trait Reason {
    /// Its place in the manifest, from 1.
    fn number(self) -> i32;
}

/// A stage and its memory, which comes first: a module's exports give addresses that count from where
/// the guest begins.
#[repr(C)]
pub struct Guest<S: Stage> {
    memory: <S::Contract as Contract>::Memory,
    /// Made on the first call rather than in place: a stage's constructor need not be `const`. In a cell
    /// because that has no values to spare: `None` is then all zeros, and a module carries no copy of a
    /// memory of which only one byte isn't.
    stage: Option<UnsafeCell<S>>,
}

impl<S: Stage> Guest<S> {
    /// Where the input area begins in its memory.
    pub const INPUT: usize = 0;
    /// Where the configuration begins.
    pub const CONFIG: usize = Self::INPUT + S::Contract::INPUT_BYTES;
    /// Where the output area begins.
    pub const OUTPUT: usize = Self::CONFIG + S::Contract::CONFIG_BYTES;
    /// Where the block begins that a swap carries over.
    pub const STATE: usize = Self::OUTPUT + S::Contract::OUTPUT_BYTES;

    /// A guest that nothing has been written to.
    pub const fn new() -> Self {
        Self {
            memory: Memory::ZERO,
            stage: None,
        }
    }

    /// Its memory.
    pub fn memory(&self) -> &[u8] {
        self.memory.bytes()
    }

    /// Its memory, for the host to write to.
    pub fn memory_mut(&mut self) -> &mut [u8] {
        self.memory.bytes_mut()
    }

    /// What `rt_configure` does: 0, or −k for the manifest's k-th reason.
    #[inline]
    pub fn configure(&mut self) -> i32 {
        let config = &self.memory.bytes()[Self::CONFIG..Self::OUTPUT];
        let Some(config) = S::Contract::config(config) else {
            unreachable!()
        };
        match made(&mut self.stage).configure(&config) {
            Ok(()) => 0,
            Err(reason) => -reason.number(),
        }
    }

    /// What `rt_state` does: writes the block anew. Where it is written over before the next call, that
    /// call goes on with it.
    #[inline]
    pub fn save(&mut self) {
        if S::Contract::STATE_BYTES == 0 {
            return;
        }
        // What another version left may not have been looked at yet.
        self.take_over();
        let state = &mut self.memory.bytes_mut()[Self::STATE..];
        state.fill(0);
        // A stage that has seen nothing, not even its configuration, has nothing to say.
        let Some(stage) = &mut self.stage else { return };
        let mut words = StateWords(state);
        stage.get_mut().save(&mut words);
        words.set(0, SAVED);
    }

    /// Goes on with a block that holds something.
    #[inline]
    fn take_over(&mut self) {
        if S::Contract::STATE_BYTES == 0 {
            return;
        }
        let mut words = StateWords(&mut self.memory.bytes_mut()[Self::STATE..]);
        if words.get(0) == SAVED {
            made(&mut self.stage).restore(&words);
            words.set(0, 0);
        }
    }

    /// What `rt_process` does: the number of records, or −k for the manifest's k-th reason. `base` is
    /// the address of the memory, as the host counts.
    ///
    /// # Panics
    /// Where the input isn't one, or the stage itself panics; a trap in a module.
    #[inline]
    pub fn process(&mut self, base: u32, input_bytes: usize, t_ns: i64) -> i32 {
        self.take_over();
        let memory = &mut self.memory.bytes_mut()[..Self::STATE];
        let (input, output) = memory.split_at_mut(Self::OUTPUT);
        let Some(input) = S::Contract::input(&input[..S::Contract::INPUT_BYTES][..input_bytes])
        else {
            unreachable!()
        };
        let mut output = Output::new(output, base + Self::OUTPUT as u32);
        let done = made(&mut self.stage).process(input, t_ns, &mut output);
        answer(done, &output)
    }

    /// What `rt_tick` does.
    ///
    /// # Panics
    /// Where the stage itself panics; a trap in a module.
    #[inline]
    pub fn tick(&mut self, base: u32, t_ns: i64) -> i32 {
        self.take_over();
        let output = &mut self.memory.bytes_mut()[Self::OUTPUT..Self::STATE];
        let mut output = Output::new(output, base + Self::OUTPUT as u32);
        let done = made(&mut self.stage).tick(t_ns, &mut output);
        answer(done, &output)
    }
}

/// What the first word of a block says that [`Stage::save`] has written.
const SAVED: u64 = 1;

/// The block that a swap carries over, as words of 64 bits. The first is the SDK's.
#[derive(Debug)]
pub struct StateWords<'a>(&'a mut [u8]);

impl StateWords<'_> {
    /// A word; 0 beyond the end.
    #[inline]
    pub fn get(&self, place: usize) -> u64 {
        let word = self.0.get(place * 8..).and_then(<[u8]>::first_chunk);
        word.map_or(0, |word| u64::from_le_bytes(*word))
    }

    /// Writes a word; beyond the end nothing happens.
    #[inline]
    pub fn set(&mut self, place: usize, word: u64) {
        if let Some(slot) = self.0.get_mut(place * 8..place * 8 + 8) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
    }

    /// Words from a place on as numbers.
    #[inline]
    pub fn numbers<const COUNT: usize>(&self, place: usize) -> [f64; COUNT] {
        core::array::from_fn(|index| f64::from_bits(self.get(place + index)))
    }

    /// Writes numbers from a place on.
    #[inline]
    pub fn set_numbers(&mut self, place: usize, numbers: &[f64]) {
        for (index, number) in numbers.iter().enumerate() {
            self.set(place + index, number.to_bits());
        }
    }
}

impl<S: Stage> Default for Guest<S> {
    fn default() -> Self {
        Self::new()
    }
}

#[inline]
fn made<S: Stage>(stage: &mut Option<UnsafeCell<S>>) -> &mut S {
    stage
        .get_or_insert_with(|| UnsafeCell::new(S::new()))
        .get_mut()
}

#[inline]
fn answer<R: Reason>(done: Result<(), R>, output: &Output<'_>) -> i32 {
    match done {
        Ok(()) => output.records(),
        Err(reason) => -reason.number(),
    }
}
