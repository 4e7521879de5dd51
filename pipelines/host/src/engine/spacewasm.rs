//! An interpreter: spacewasm, which runs on the tap in a few kilobytes.
//!
//! A call is stopped after a number of instructions, which makes even the end of an endless loop the same
//! on every machine.

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use spacewasm::{
    AllocError, CodeBuilder, CompilerOptions, ExportDesc, InnerVec, Interpreter, InterpreterResult,
    InterpreterRunner, ModuleRef, Rc, Ref, TrapReason, Value, WasmMemoryAllocator, WasmRef,
    WasmStream,
};

use super::{Code, EngineError, Instance, Question, Runner, Trap};
use crate::limits::{CODE_PAGES_MAX, INSTRUCTIONS_PER_US, STACK_BYTES_MAX};
use crate::module::Module;

/// Blocks nested in one function.
const CONTROL_FRAMES_MAX: usize = 256;

/// Values on the operand stack of one function.
const OPERANDS_MAX: usize = 1024;

pub(super) struct Spacewasm;

impl Runner for Spacewasm {
    fn name(&self) -> &'static str {
        "spacewasm"
    }

    fn prepare(&self, module: &Module) -> Result<Arc<dyn Code>, EngineError> {
        let instructions = module.manifest().time_budget_us as usize * INSTRUCTIONS_PER_US;
        Ok(Arc::new(Interpreted {
            wasm: module.wasm().into(),
            instructions,
        }))
    }
}

struct Interpreted {
    wasm: Arc<[u8]>,
    instructions: usize,
}

impl Code for Interpreted {
    fn instantiate(&self) -> Result<Box<dyn Instance>, EngineError> {
        Ok(Box::new(InterpretedInstance::new(
            &self.wasm,
            self.instructions,
        )?))
    }
}

/// One engine, one module, one memory. All its reference counts point into itself.
struct InterpretedInstance {
    engine: spacewasm::Engine,
    code: CodeBuilder,
    module: ModuleRef,
    instructions: usize,
    questions: [WasmRef; 4],
    configure: WasmRef,
    process: WasmRef,
    tick: Option<WasmRef>,
    state: Option<WasmRef>,
}

// SAFETY: what makes it stay on one thread is the reference counts and the raw pointers of its engine.
// They are private to this instance, none is ever handed out, and the allocator behind them is the
// process's own: moving the whole instance moves all of them.
#[allow(unsafe_code)]
unsafe impl Send for InterpretedInstance {}

impl InterpretedInstance {
    fn new(wasm: &[u8], instructions: usize) -> Result<Self, EngineError> {
        let options = CompilerOptions {
            allow_memory_grow: false,
            max_backpatch_iterations: None,
            max_code_pages: CODE_PAGES_MAX,
        };
        let mut code = CodeBuilder::new(options).map_err(refused)?;
        let mut engine = spacewasm::Engine::new(STACK_BYTES_MAX / 4, 1, spacewasm::Vec::zero())
            .map_err(refused)?;
        let memory = Rc::new(ProcessMemory)
            .map_err(refused)?
            .into_wasm_memory_allocator();
        let mut stream = Whole {
            bytes: wasm.to_vec(),
            given: false,
        };
        let module = spacewasm::Module::new::<CONTROL_FRAMES_MAX, OPERANDS_MAX>(
            "",
            &mut stream,
            &mut engine.store,
            &mut code,
            memory,
        )
        .map_err(refused)?;
        let find = |name: &str| {
            let export = module.exports.iter().find(|export| &*export.name == name)?;
            let ExportDesc::Func(function) = export.desc else {
                return None;
            };
            let Some(Ref::Module(index)) = module.get_func_ref(function) else {
                return None;
            };
            Some(WasmRef {
                module: ModuleRef(0),
                index,
            })
        };
        let need = |name: &str| {
            find(name).ok_or_else(|| EngineError::Module(format!("no function `{name}`")))
        };
        let [abi, input, config, output] = Question::ALL.map(|question| need(question.export()));
        let questions = [abi?, input?, config?, output?];
        let (configure, process) = (need("rt_configure")?, need("rt_process")?);
        let (tick, state) = (find("rt_tick"), find("rt_state"));
        let module = engine.push_module(module).map_err(refused)?;
        Ok(Self {
            engine,
            code,
            module,
            instructions,
            questions,
            configure,
            process,
            tick,
            state,
        })
    }

    fn call(&mut self, function: WasmRef, parameters: &[Value]) -> Result<i32, Trap> {
        self.engine
            .invoke(function, parameters)
            .map_err(|error| match error {
                spacewasm::InvokeError::StackOverflow => Trap::StackOverflow,
                _ => Trap::Other,
            })?;
        match Interpreter.run(self.code.pages(), &mut self.engine, self.instructions) {
            InterpreterResult::Finished => self
                .engine
                .result
                .map(|result| result.read_i32())
                .ok_or(Trap::Other),
            InterpreterResult::OutOfFuel => Err(Trap::Deadline),
            InterpreterResult::Pause => Err(Trap::Other),
            InterpreterResult::Trap(reason) => Err(trap(reason)),
        }
    }
}

impl Instance for InterpretedInstance {
    fn memory(&self) -> &[u8] {
        self.engine.store.get_memory(self.module).get_slice()
    }

    fn write(&mut self, address: usize, bytes: &[u8]) -> bool {
        self.engine
            .store
            .get_memory(self.module)
            .store(address, bytes)
            .is_ok()
    }

    fn ask(&mut self, question: Question) -> Result<i32, Trap> {
        self.call(self.questions[question as usize], &[])
    }

    fn ask_state(&mut self) -> Result<Option<i32>, Trap> {
        self.state.map(|state| self.call(state, &[])).transpose()
    }

    fn configure(&mut self) -> Result<i32, Trap> {
        self.call(self.configure, &[])
    }

    fn process(&mut self, input_bytes: i32, t_ns: i64) -> Result<i32, Trap> {
        self.call(self.process, &[Value::I32(input_bytes), Value::I64(t_ns)])
    }

    fn has_tick(&self) -> bool {
        self.tick.is_some()
    }

    fn tick(&mut self, t_ns: i64) -> Result<i32, Trap> {
        self.tick
            .map_or(Ok(0), |tick| self.call(tick, &[Value::I64(t_ns)]))
    }
}

fn refused(error: impl std::fmt::Debug) -> EngineError {
    EngineError::Module(format!("{error:?}"))
}

fn trap(reason: TrapReason) -> Trap {
    match reason {
        TrapReason::Unreachable => Trap::Unreachable,
        TrapReason::StackOverflow => Trap::StackOverflow,
        TrapReason::MemoryOutOfBounds | TrapReason::OutOfMemory => Trap::MemoryOutOfBounds,
        TrapReason::DivideByZero
        | TrapReason::IntegerOverflow
        | TrapReason::UnrepresentableResult
        | TrapReason::BadConversionToInteger => Trap::Arithmetic,
        TrapReason::InvalidTableIndex
        | TrapReason::InvalidTableFunctionType
        | TrapReason::UninitializedTableElement => Trap::BadCall,
        _ => Trap::Other,
    }
}

/// A whole module in one chunk.
struct Whole {
    bytes: Vec<u8>,
    given: bool,
}

impl WasmStream for Whole {
    fn read(&mut self) -> Result<Option<InnerVec<u8>>, u8> {
        if std::mem::replace(&mut self.given, true) {
            return Ok(None);
        }
        let (start, length) = (self.bytes.as_mut_ptr(), self.bytes.len());
        // SAFETY: the bytes are initialised, are not touched while the reader has them, and live as long
        // as this stream, which the reader borrows.
        #[allow(unsafe_code)]
        let chunk = unsafe { InnerVec::from_raw_parts(start, length, length) };
        Ok(Some(chunk))
    }

    fn return_(&mut self, _chunk: InnerVec<u8>) {}
}

/// The process's own allocator, for a module's memory.
struct ProcessMemory;

#[allow(unsafe_code)]
impl WasmMemoryAllocator for ProcessMemory {
    fn allocate(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        if layout.size() == 0 {
            return Err(AllocError::AllocationFailed);
        }
        // SAFETY: the size is not zero.
        NonNull::new(unsafe { alloc(layout) }).ok_or(AllocError::OutOfMemory)
    }

    fn reallocate(
        &self,
        place: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        if new.size() == 0 || new.align() != old.align() {
            return Err(AllocError::AllocationFailed);
        }
        // SAFETY: the interpreter got `place` from `allocate` with the layout `old`; size and alignment
        // of the new layout were looked at above. On failure `realloc` leaves the old block alone.
        NonNull::new(unsafe { realloc(place.as_ptr(), old, new.size()) })
            .ok_or(AllocError::OutOfMemory)
    }

    fn deallocate(&self, place: NonNull<u8>, layout: Layout) {
        // SAFETY: the interpreter got `place` from `allocate` or `reallocate` with this layout.
        unsafe { dealloc(place.as_ptr(), layout) }
    }
}

/// The interpreter's own allocations. It leaves these two functions to whoever links it; its macro for
/// them keeps a `static mut`, which threads must not share, and the process's allocator needs none.
///
/// # Safety
/// `error` points to a u32 to be written.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
unsafe extern "C" fn __spacewasm_alloc(size: usize, align: usize, error: *mut u32) -> *mut u8 {
    let place = match Layout::from_size_align(size, align) {
        // SAFETY: the size is not zero.
        Ok(layout) if size > 0 => unsafe { alloc(layout) },
        _ => ptr::null_mut(),
    };
    if place.is_null() {
        // SAFETY: the caller promises that it may be written.
        unsafe { *error = AllocError::AllocationFailed.into() };
    }
    place
}

/// Gives back what [`__spacewasm_alloc`] gave.
///
/// # Safety
/// `place` came from there with the same size and alignment.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
unsafe extern "C" fn __spacewasm_dealloc(place: *mut u8, size: usize, align: usize) {
    if let Ok(layout) = Layout::from_size_align(size, align)
        && size > 0
        && !place.is_null()
    {
        // SAFETY: the caller promises that it was allocated with this layout.
        unsafe { dealloc(place, layout) }
    }
}
