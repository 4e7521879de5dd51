//! Every maximum of the host that isn't the ABI's already (see `retrotap_abi::limits`), with its
//! reason.

/// Entries of a module's table of functions. Rust and AssemblyScript make a few for `dyn` calls.
pub const FUNCTION_TABLE_ENTRIES_MAX: u64 = 1024;
