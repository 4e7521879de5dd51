//! What the author of a stage imports.
//!
//! A stage is a folder with a `manifest.yaml`, a build script of one line
//! (`fn main() -> std::process::ExitCode { retrotap_abi::codegen::build() }`), and a library:
//!
//! ```text
//! #![cfg_attr(target_arch = "wasm32", no_std)]
//!
//! pub mod manifest {
//!     retrotap_sdk::manifest!();
//! }
//! use manifest::{Config, Contract, Input, Output, Reason};
//!
//! pub struct Doubler { factor: f64 }
//!
//! impl retrotap_sdk::Stage for Doubler {
//!     type Contract = Contract;
//!     fn new() -> Self { Self { factor: 2.0 } }
//!     fn configure(&mut self, config: &Config<'_>) -> Result<(), Reason> { … }
//!     fn process(&mut self, input: Input<'_>, t_ns: i64, out: &mut Output<'_>) -> Result<(), Reason> { … }
//! }
//!
//! retrotap_sdk::export!(Doubler);
//! ```
//!
//! What it keeps true: the same code runs as a module and natively ([`native::Native`]), over areas of
//! the same layout, so that both can be compared byte by byte. Nothing allocates, and a slot that holds
//! no value is zero. A number that isn't finite is absent.
//!
//! What it doesn't do: input and output of any other kind. A stage has no clock, no log and no
//! randomness; time is an argument, and what it has to say it says in records and reasons.
#![cfg_attr(not(test), no_std)]

#[cfg(not(target_arch = "wasm32"))]
extern crate alloc;

mod area;
mod guest;
mod input;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;
mod output;
#[cfg(target_arch = "wasm32")]
pub mod wasm;

pub use area::{Area, Memory};
pub use guest::{Contract, Guest, Reason, Stage, StateWords};
pub use input::{Cells, Row, Slots, parameter};
pub use output::{Output, Record, SlotWriter};
pub use retrotap_abi::layout::Kind;

/// Everything that the build script made from `manifest.yaml`: `Input`, `Output`, `Config`, `Reason`,
/// `Contract`, a struct per record and an enum per choice.
#[macro_export]
macro_rules! manifest {
    () => {
        include!(concat!(env!("OUT_DIR"), "/manifest.rs"));
    };
}

/// Makes a module of a stage: its memory and the functions that the host calls. Natively it does
/// nothing, so that a stage is an ordinary library there.
#[macro_export]
macro_rules! export {
    ($stage:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        mod retrotap_exports {
            use super::*;

            static GUEST: $crate::wasm::OneThread<$crate::Guest<$stage>> =
                $crate::wasm::OneThread::new($crate::Guest::new());

            #[unsafe(no_mangle)]
            extern "C" fn rt_abi() -> i32 {
                $crate::wasm::ABI
            }

            #[unsafe(no_mangle)]
            extern "C" fn rt_input() -> i32 {
                GUEST.address() + $crate::Guest::<$stage>::INPUT as i32
            }

            #[unsafe(no_mangle)]
            extern "C" fn rt_config() -> i32 {
                GUEST.address() + $crate::Guest::<$stage>::CONFIG as i32
            }

            #[unsafe(no_mangle)]
            extern "C" fn rt_output() -> i32 {
                GUEST.address() + $crate::Guest::<$stage>::OUTPUT as i32
            }

            #[unsafe(no_mangle)]
            extern "C" fn rt_configure() -> i32 {
                // SAFETY: a module imports nothing, so nothing that runs in here can call an export.
                unsafe { GUEST.enter() }.configure()
            }

            #[unsafe(no_mangle)]
            extern "C" fn rt_process(input_bytes: i32, t_ns: i64) -> i32 {
                let base = GUEST.address() as u32;
                // SAFETY: a module imports nothing, so nothing that runs in here can call an export.
                unsafe { GUEST.enter() }.process(base, input_bytes as usize, t_ns)
            }

            #[unsafe(no_mangle)]
            extern "C" fn rt_tick(t_ns: i64) -> i32 {
                let base = GUEST.address() as u32;
                // SAFETY: a module imports nothing, so nothing that runs in here can call an export.
                unsafe { GUEST.enter() }.tick(base, t_ns)
            }

            #[unsafe(no_mangle)]
            extern "C" fn rt_state() -> i32 {
                // SAFETY: a module imports nothing, so nothing that runs in here can call an export.
                unsafe { GUEST.enter() }.save();
                GUEST.address() + $crate::Guest::<$stage>::STATE as i32
            }

            #[panic_handler]
            fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
                core::arch::wasm32::unreachable()
            }
        }
    };
}
