//! Compiled code: Wasmtime with Cranelift.
//!
//! A call is stopped by epochs: compiled code looks at a counter at every loop and function entry, and a
//! thread of the engine advances it. What counts against a stage's time budget is the processor's time
//! and not the clock's: on a busy machine a thread may have to wait longer than any budget, and no stage
//! must be put aside for that. Reading the processor's time costs more than most calls take, so it is
//! only read once a call has been seen by two epochs.
//!
//! Each instance has a store of its own, so nothing is shared between stages but code.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{
    Config, Engine, Memory, Module as Compiled, OptLevel, Store, TypedFunc, UpdateDeadline,
};

use super::cache::Cache;
use super::{Code, EngineError, Instance, Question, Runner, Trap, write_into};
use crate::limits::{EPOCH, STACK_BYTES_MAX};
use crate::module::Module;

/// How the compiled engine is set up.
#[derive(Clone, Debug, Default)]
pub struct WasmtimeOptions {
    /// Where compiled modules are kept between two starts; nowhere if not given. Whoever can write to
    /// this folder can run code as this process: it must be as well guarded as the program itself.
    pub cache_dir: Option<PathBuf>,
}

pub(super) struct Wasmtime {
    engine: Engine,
    cache: Option<Cache>,
    /// Code by the hash of its module, for as long as somebody has it: sixteen machines with the same
    /// stage run the same code. Locked while a module is compiled, since whoever waits mostly wants that
    /// one.
    codes: Mutex<BTreeMap<[u8; 32], Weak<CompiledCode>>>,
}

impl Wasmtime {
    pub(super) fn new(options: WasmtimeOptions) -> Result<Self, EngineError> {
        let mut config = Config::new();
        config
            .wasm_custom_page_sizes(true)
            .wasm_simd(false)
            .wasm_relaxed_simd(false)
            .wasm_multi_memory(false)
            .wasm_tail_call(false)
            .cranelift_opt_level(OptLevel::Speed)
            .epoch_interruption(true)
            .max_wasm_stack(STACK_BYTES_MAX)
            // A stage has a few kilobytes that never grow. The default reserves 4 GiB of addresses for
            // each, which a Raspberry Pi doesn't have; with one-byte pages bounds are checked anyway.
            .memory_reservation(0)
            .memory_reservation_for_growth(0)
            .memory_guard_size(0)
            .memory_init_cow(false);
        let engine =
            Engine::new(&config).map_err(|error| EngineError::Start(format!("{error:#}")))?;
        let ticker = engine.weak();
        thread::Builder::new()
            .name("retrotap-epochs".into())
            .spawn(move || {
                while let Some(engine) = ticker.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    thread::sleep(EPOCH);
                }
            })
            .map_err(|error| EngineError::Start(error.to_string()))?;
        let cache = options.cache_dir.map(|folder| Cache::new(folder, &engine));
        Ok(Self {
            engine,
            cache,
            codes: Mutex::default(),
        })
    }

    fn compile(&self, module: &Module) -> Result<Compiled, wasmtime::Error> {
        let Some(cache) = &self.cache else {
            return Compiled::new(&self.engine, module.wasm());
        };
        if let Some(compiled) = cache.load(&self.engine, module.sha256()) {
            return Ok(compiled);
        }
        let compiled = Compiled::new(&self.engine, module.wasm())?;
        cache.store(module.sha256(), &compiled.serialize()?);
        Ok(compiled)
    }
}

impl Runner for Wasmtime {
    fn name(&self) -> &'static str {
        "wasmtime"
    }

    fn prepare(&self, module: &Module) -> Result<Arc<dyn Code>, EngineError> {
        // A panic while something was compiled leaves the list as it was.
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = codes.get(module.sha256()).and_then(Weak::upgrade) {
            return Ok(code);
        }
        let compiled = self
            .compile(module)
            .map_err(|error| EngineError::Module(format!("{error:#}")))?;
        let budget = Duration::from_micros(module.manifest().time_budget_us.into());
        let code = Arc::new(CompiledCode { compiled, budget });
        codes.retain(|_, code| code.strong_count() > 0);
        codes.insert(*module.sha256(), Arc::downgrade(&code));
        Ok(code)
    }
}

struct CompiledCode {
    compiled: Compiled,
    budget: Duration,
}

/// Epochs that a call may see before anybody looks at the time it took: the first may end right after
/// the call began.
const EPOCHS_UNSEEN: u64 = 2;

/// The time that one call takes.
struct Watch {
    budget: Duration,
    /// The processor's time when the call was first seen to take long.
    seen: Option<Duration>,
}

impl Watch {
    /// Called by compiled code when the epochs that it had are over.
    fn look(&mut self) -> Result<UpdateDeadline, wasmtime::Error> {
        let now = processor_time();
        let seen = *self.seen.get_or_insert(now);
        if now.saturating_sub(seen) >= self.budget {
            return Err(wasmtime::Trap::Interrupt.into());
        }
        Ok(UpdateDeadline::Continue(1))
    }
}

/// What this thread has had of the processor so far.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

impl Code for CompiledCode {
    fn instantiate(&self) -> Result<Box<dyn Instance>, EngineError> {
        let instance = CompiledInstance::new(self)
            .map_err(|error| EngineError::Module(format!("{error:#}")))?;
        Ok(Box::new(instance))
    }
}

struct CompiledInstance {
    store: Store<Watch>,
    memory: Memory,
    questions: [TypedFunc<(), i32>; 4],
    configure: TypedFunc<(), i32>,
    process: TypedFunc<(i32, i64), i32>,
    tick: Option<TypedFunc<i64, i32>>,
    state: Option<TypedFunc<(), i32>>,
}

impl CompiledInstance {
    fn new(code: &CompiledCode) -> Result<Self, wasmtime::Error> {
        let mut store = Store::new(
            code.compiled.engine(),
            Watch {
                budget: code.budget,
                seen: None,
            },
        );
        store.epoch_deadline_callback(|mut store| store.data_mut().look());
        // Before anything else: a new store's deadline has already passed.
        store.set_epoch_deadline(EPOCHS_UNSEEN);
        let instance = wasmtime::Instance::new(&mut store, &code.compiled, &[])?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| wasmtime::Error::msg("the module does not export its memory"))?;
        let [abi, input, config, output] = Question::ALL
            .map(|question| instance.get_typed_func::<(), i32>(&mut store, question.export()));
        let tick = match instance.get_func(&mut store, "rt_tick") {
            Some(tick) => Some(tick.typed(&store)?),
            None => None,
        };
        let state = match instance.get_func(&mut store, "rt_state") {
            Some(state) => Some(state.typed(&store)?),
            None => None,
        };
        Ok(Self {
            memory,
            state,
            questions: [abi?, input?, config?, output?],
            configure: instance.get_typed_func(&mut store, "rt_configure")?,
            process: instance.get_typed_func(&mut store, "rt_process")?,
            tick,
            store,
        })
    }

    /// Starts the watch for one call.
    fn begin(&mut self) {
        self.store.data_mut().seen = None;
        self.store.set_epoch_deadline(EPOCHS_UNSEEN);
    }
}

impl Instance for CompiledInstance {
    fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    fn write(&mut self, address: usize, bytes: &[u8]) -> bool {
        write_into(self.memory.data_mut(&mut self.store), address, bytes)
    }

    fn ask(&mut self, question: Question) -> Result<i32, Trap> {
        self.begin();
        self.questions[question as usize]
            .call(&mut self.store, ())
            .map_err(trap)
    }

    fn ask_state(&mut self) -> Result<Option<i32>, Trap> {
        self.begin();
        let Some(state) = &self.state else {
            return Ok(None);
        };
        state.call(&mut self.store, ()).map(Some).map_err(trap)
    }

    fn configure(&mut self) -> Result<i32, Trap> {
        self.begin();
        self.configure.call(&mut self.store, ()).map_err(trap)
    }

    fn process(&mut self, input_bytes: i32, t_ns: i64) -> Result<i32, Trap> {
        self.begin();
        self.process
            .call(&mut self.store, (input_bytes, t_ns))
            .map_err(trap)
    }

    fn has_tick(&self) -> bool {
        self.tick.is_some()
    }

    fn tick(&mut self, t_ns: i64) -> Result<i32, Trap> {
        self.begin();
        let Some(tick) = &self.tick else { return Ok(0) };
        tick.call(&mut self.store, t_ns).map_err(trap)
    }
}

// By value because `map_err` hands it over so.
#[allow(clippy::needless_pass_by_value)]
fn trap(error: wasmtime::Error) -> Trap {
    use wasmtime::Trap as Cause;
    match error.downcast_ref::<Cause>() {
        Some(Cause::Interrupt) => Trap::Deadline,
        Some(Cause::StackOverflow) => Trap::StackOverflow,
        Some(Cause::MemoryOutOfBounds) => Trap::MemoryOutOfBounds,
        Some(Cause::UnreachableCodeReached) => Trap::Unreachable,
        Some(
            Cause::IntegerOverflow | Cause::IntegerDivisionByZero | Cause::BadConversionToInteger,
        ) => Trap::Arithmetic,
        Some(Cause::TableOutOfBounds | Cause::IndirectCallToNull | Cause::BadSignature) => {
            Trap::BadCall
        }
        _ => Trap::Other,
    }
}
