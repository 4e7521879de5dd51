//! Modules, pipelines and engines from outside. One program, since each links two engines.
#![cfg(all(feature = "wasmtime", feature = "spacewasm"))]
#![allow(clippy::unwrap_used)]

mod binding;
mod cache;
mod modules;
mod running;
mod settings;
mod support;
mod swapping;
mod wrong_guests;
