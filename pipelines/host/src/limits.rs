//! Every maximum of the host that isn't the ABI's already (see `retrotap_abi::limits`), with its
//! reason.

use std::time::Duration;

/// Entries of a module's table of functions. Rust and AssemblyScript make a few for `dyn` calls.
pub const FUNCTION_TABLE_ENTRIES_MAX: u64 = 1024;

/// Local variables of all functions of a module. The largest that ships has 1,100; ten bytes can declare
/// fifty thousand, for each of which the compiler works.
pub const LOCALS_MAX: u64 = 50_000;

/// How often compiled code may look at the time it takes: the thread that advances the epochs wakes this
/// often. A call is stopped at most three epochs after its time budget.
pub const EPOCH: Duration = Duration::from_millis(1);

/// Bytes of the stack that the engine itself needs for a stage, besides the one in the stage's memory.
pub const STACK_BYTES_MAX: usize = 64 * 1024;

/// Instructions that the interpreter counts as one microsecond of a time budget. A fast machine runs
/// about 200 of them in that time; a slow one takes longer, but gives the same answer.
pub const INSTRUCTIONS_PER_US: usize = 200;

/// Pages of 512 bytes for the interpreter's code: eight times the largest module.
pub const CODE_PAGES_MAX: usize = 8 * retrotap_abi::limits::MODULE_BYTES_MAX / 512;

/// Strikes that put a stage aside.
pub const STRIKES_MAX: u32 = 5;

/// Calls without a strike after which earlier strikes are forgiven: a day of a KR C2 is nine million, and
/// a stage that fails a few times a day should not fall silent, one that fails each minute should.
pub const STRIKES_FORGIVEN_AFTER_CALLS: u32 = 10_000;

/// Stages of one pipeline.
pub const STAGES_MAX: usize = 32;
