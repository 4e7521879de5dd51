//! Loads, binds and runs stages: the only place that knows a WebAssembly engine.
