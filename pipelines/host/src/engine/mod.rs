//! What runs a module: compiled, interpreted, or as ordinary Rust.
//!
//! Everything else here sees an engine through two small traits. [`Code`] is a module made ready to run,
//! shared by all its instances; [`Instance`] is one of them with its memory. Neither knows what a record
//! is.

#[cfg(feature = "wasmtime")]
mod cache;
#[cfg(feature = "native")]
mod native;
#[cfg(feature = "spacewasm")]
mod spacewasm;
#[cfg(feature = "wasmtime")]
mod wasmtime;

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "native")]
pub use self::native::NativeStages;
#[cfg(feature = "wasmtime")]
pub use self::wasmtime::WasmtimeOptions;
use crate::module::Module;

/// What runs modules. Clones share what is behind it.
#[derive(Clone)]
pub struct Engine(Arc<dyn Runner>);

/// Why an engine can't be had, or can't take a module.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine itself can't start.
    #[error("the engine can't start: {0}")]
    Start(String),
    /// A module that passed all checks isn't one for this engine.
    #[error("the engine refuses the module: {0}")]
    Module(String),
    /// The stage isn't among those that run natively.
    #[error("`{stage}` isn't among the native stages")]
    NotNative {
        /// Its name.
        stage: String,
    },
}

/// Why a call ended before its function did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trap {
    /// It ran longer than its time budget.
    #[error("it ran longer than its time budget")]
    Deadline,
    /// It called itself too deeply.
    #[error("it ran out of stack")]
    StackOverflow,
    /// It reached outside of its memory.
    #[error("it reached outside of its memory")]
    MemoryOutOfBounds,
    /// It gave up: a panic, an assertion, an `unreachable`.
    #[error("it gave up (unreachable)")]
    Unreachable,
    /// It divided by zero, or a number didn't fit.
    #[error("an integer was divided by zero or didn't fit")]
    Arithmetic,
    /// It called a function through a pointer that isn't one.
    #[error("it called something that isn't a function")]
    BadCall,
    /// Anything else.
    #[error("it trapped")]
    Other,
}

/// An engine.
pub(crate) trait Runner: Send + Sync {
    fn name(&self) -> &'static str;
    fn prepare(&self, module: &Module) -> Result<Arc<dyn Code>, EngineError>;
}

/// A module made ready to run.
pub(crate) trait Code: Send + Sync {
    fn instantiate(&self) -> Result<Box<dyn Instance>, EngineError>;
}

/// The exports that answer a question and take nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Abi,
    Input,
    Config,
    Output,
}

impl Question {
    #[cfg(any(feature = "wasmtime", feature = "spacewasm"))]
    pub(crate) const ALL: [Self; 4] = [Self::Abi, Self::Input, Self::Config, Self::Output];

    pub(crate) fn export(self) -> &'static str {
        match self {
            Self::Abi => "rt_abi",
            Self::Input => "rt_input",
            Self::Config => "rt_config",
            Self::Output => "rt_output",
        }
    }
}

/// A module that runs. After a trap it must not be called again.
pub(crate) trait Instance: Send {
    fn memory(&self) -> &[u8];
    /// Writes into the memory; false, and nothing written, where it doesn't fit.
    fn write(&mut self, address: usize, bytes: &[u8]) -> bool;
    fn ask(&mut self, question: Question) -> Result<i32, Trap>;
    /// Has it write the block that a swap carries over, and say where it begins; `None` where the module
    /// has no `rt_state`.
    fn ask_state(&mut self) -> Result<Option<i32>, Trap>;
    fn configure(&mut self) -> Result<i32, Trap>;
    fn process(&mut self, input_bytes: i32, t_ns: i64) -> Result<i32, Trap>;
    fn has_tick(&self) -> bool;
    /// No records where the module has no `rt_tick`.
    fn tick(&mut self, t_ns: i64) -> Result<i32, Trap>;
}

impl Engine {
    /// Compiled code. The engine has one thread of its own, which lets calls see their deadlines.
    #[cfg(feature = "wasmtime")]
    pub fn wasmtime(options: WasmtimeOptions) -> Result<Self, EngineError> {
        Ok(Self(Arc::new(self::wasmtime::Wasmtime::new(options)?)))
    }

    /// An interpreter: the one of the tap, and the second opinion of the tests.
    #[cfg(feature = "spacewasm")]
    pub fn spacewasm() -> Self {
        Self(Arc::new(self::spacewasm::Spacewasm))
    }

    /// Stages as ordinary Rust.
    #[cfg(feature = "native")]
    pub fn native(stages: NativeStages) -> Self {
        Self(Arc::new(stages))
    }

    /// Which it is.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    pub(crate) fn prepare(&self, module: &Module) -> Result<Arc<dyn Code>, EngineError> {
        self.0.prepare(module)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Engine({})", self.name())
    }
}

/// Writes into a memory that is a plain slice.
#[cfg(any(feature = "wasmtime", feature = "native"))]
fn write_into(memory: &mut [u8], address: usize, bytes: &[u8]) -> bool {
    let place = memory
        .get_mut(address..)
        .and_then(|memory| memory.get_mut(..bytes.len()));
    place.map(|place| place.copy_from_slice(bytes)).is_some()
}
