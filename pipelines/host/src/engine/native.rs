//! Stages as ordinary Rust: what modules are compared with, in tests and in benches.
//!
//! Nothing contains a native stage but the compiler's checks. A panic counts as a trap; an endless loop
//! is endless.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use retrotap_sdk::native::{Native, NativeStage};
use retrotap_sdk::{Contract, Stage};

use super::{Code, EngineError, Instance, Question, Runner, Trap, write_into};
use crate::module::{Module, ModuleError};

type Constructor = fn() -> Box<dyn NativeStage>;

/// The stages that can run natively, by name.
#[derive(Clone, Debug, Default)]
pub struct NativeStages {
    constructors: BTreeMap<String, Constructor>,
}

impl NativeStages {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stage and gives the module that stands for it.
    pub fn add<S>(&mut self) -> Result<Module, ModuleError>
    where
        S: Stage + Send + 'static,
        <S::Contract as Contract>::Memory: Send,
    {
        let module = Module::native(S::Contract::MANIFEST_JSON)?;
        self.constructors
            .insert(module.manifest().stage.clone(), || {
                Box::new(Native::<S>::new())
            });
        Ok(module)
    }
}

impl Runner for NativeStages {
    fn name(&self) -> &'static str {
        "native"
    }

    fn prepare(&self, module: &Module) -> Result<Arc<dyn Code>, EngineError> {
        let stage = &module.manifest().stage;
        match self.constructors.get(stage) {
            Some(constructor) => Ok(Arc::new(NativeCode(*constructor))),
            None => Err(EngineError::NotNative {
                stage: stage.clone(),
            }),
        }
    }
}

struct NativeCode(Constructor);

impl Code for NativeCode {
    fn instantiate(&self) -> Result<Box<dyn Instance>, EngineError> {
        Ok(Box::new(NativeInstance(self.0())))
    }
}

struct NativeInstance(Box<dyn NativeStage>);

impl NativeInstance {
    fn guarded(&mut self, call: impl FnOnce(&mut dyn NativeStage) -> i32) -> Result<i32, Trap> {
        // After a panic the instance is thrown away, so nobody sees what it left behind.
        catch_unwind(AssertUnwindSafe(|| call(self.0.as_mut()))).map_err(|_| Trap::Unreachable)
    }
}

impl Instance for NativeInstance {
    fn memory(&self) -> &[u8] {
        self.0.memory()
    }

    fn write(&mut self, address: usize, bytes: &[u8]) -> bool {
        write_into(self.0.memory_mut(), address, bytes)
    }

    fn ask(&mut self, question: Question) -> Result<i32, Trap> {
        Ok(match question {
            Question::Abi => retrotap_abi::ABI as i32,
            Question::Input => self.0.input() as i32,
            Question::Config => self.0.config() as i32,
            Question::Output => self.0.output() as i32,
        })
    }

    fn ask_state(&mut self) -> Result<Option<i32>, Trap> {
        Ok(Some(self.0.state() as i32))
    }

    fn configure(&mut self) -> Result<i32, Trap> {
        self.guarded(|stage| stage.configure())
    }

    fn process(&mut self, input_bytes: i32, t_ns: i64) -> Result<i32, Trap> {
        self.guarded(|stage| stage.process(input_bytes as usize, t_ns))
    }

    fn has_tick(&self) -> bool {
        true
    }

    fn tick(&mut self, t_ns: i64) -> Result<i32, Trap> {
        self.guarded(|stage| stage.tick(t_ns))
    }
}
