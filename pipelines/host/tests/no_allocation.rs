//! Once warm, a frame allocates nothing.
#![cfg(feature = "wasmtime")]
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use retrotap_host::{Engine, Pipeline, Verdict, WasmtimeOptions};

#[path = "host/support.rs"]
#[allow(dead_code)]
mod support;

/// Counts this thread's allocations, so that other threads can't disturb the test.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_frame_allocates_nothing() {
    let taker = support::module_of(
        "{stage: taker, version: 1.0.0, abi: 1, title: takes, input: {record: reading, fields: [{name: value}]}, \
         records: [{record: taken, fields: [{name: value}]}], \
         sizes: {output_bytes_max: 128, records_max: 1, memory_bytes: 4096}, time_budget_us: 1000}",
    );
    let engine = Engine::wasmtime(WasmtimeOptions::default()).unwrap();
    let stages = vec![
        support::spec(&support::guest("emits_twice")),
        support::spec(&taker),
    ];
    let mut pipeline = Pipeline::load(&engine, stages).unwrap();
    for t_ns in 0..10 {
        assert_eq!(
            pipeline.process(b"frame", t_ns).verdict(),
            Verdict::Accepted
        );
    }
    let before = ALLOCATIONS.get();
    let mut fields = 0;
    for t_ns in 10..1000 {
        let outcome = pipeline.process(b"frame", t_ns);
        fields += outcome
            .records()
            .map(|record| record.fields().count())
            .sum::<usize>();
        pipeline.tick(t_ns);
    }
    assert_eq!(fields, 990 * 5);
    assert_eq!(ALLOCATIONS.get() - before, 0);
}
