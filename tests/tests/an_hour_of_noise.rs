//! An hour of a broken line: no byte sequence stops a line, and none makes it grow.
//!
//! The only test of its program, so that the bytes it counts are its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

use retrotap::line::{Line, Output};
use retrotap::modules::assemble::{Params, assemble};
use retrotap::modules::catalog::Catalog;
use retrotap::words::{Chunk, Stamp};
use retrotap_host::Value;
use retrotap_tests::robot::{byte_over_ns, bytes, way};

/// Bytes in use.
static IN_USE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[allow(unsafe_code)]
// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size() as isize, Relaxed);
        // SAFETY: the caller keeps the rules.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: the caller keeps the rules.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Bytes in an hour at 9600 baud 8N1.
const HOUR_BYTES: usize = 3600 * 960;

/// SplitMix64: the same bytes each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// A third of anything, a third of what frames are made of, a third of frames with a wrong byte in
/// every fortieth place.
fn noise(random: &mut Random) -> Vec<u8> {
    const PARTS: [u8; 16] = [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 0x20, 0x2D, 0xFF];
    let robot = bytes(&way(1, 0, 200));
    let third = HOUR_BYTES / 3;
    let mut noise: Vec<u8> = (0..third).map(|_| random.next() as u8).collect();
    noise.extend((0..third).map(|_| PARTS[random.below(PARTS.len())]));
    noise.extend(
        robot
            .iter()
            .cycle()
            .take(third)
            .map(|&byte| match random.below(40) {
                0 => random.next() as u8,
                _ => byte,
            }),
    );
    noise
}

#[test]
fn a_line_neither_stops_nor_grows_in_an_hour_of_noise_and_reads_on_behind_it() {
    let catalog = Catalog::default();
    let adapter = catalog.adapter("kuka-krc2").expect("it ships");
    let engine = catalog.engine().expect("compiled code runs here");
    let assembled = assemble(&engine, &catalog, &adapter, &Params::new()).expect("it fits");
    let gauge = Line::gauge_for(&assembled);
    let mut line = Line::new(assembled, gauge.clone()).expect("a checked framing");

    let mut random = Random(7);
    let noise = noise(&mut random);
    let mut chunk = Chunk::default();
    chunk.bytes.reserve(4096);
    let (mut sent, mut records) = (0, 0u64);
    let mut after_a_minute = None;
    while sent < noise.len() {
        let end = (sent + 1 + random.below(4096)).min(noise.len());
        chunk.bytes.clear();
        chunk.bytes.extend_from_slice(&noise[sent..end]);
        chunk.at = Stamp {
            line_ns: byte_over_ns(end - 1),
            wall_ns: 0,
        };
        line.receive(&chunk, &mut |output| {
            records += u64::from(matches!(output, Output::Record(_)));
        });
        sent = end;
        if sent > HOUR_BYTES / 60 && after_a_minute.is_none() {
            after_a_minute = Some(IN_USE.load(Relaxed));
        }
    }
    let grown = IN_USE.load(Relaxed) - after_a_minute.expect("more than a minute");
    assert!(grown <= 4096, "{grown} bytes more than after a minute");
    let reading = gauge.read();
    assert!(
        reading.frames > 10_000,
        "the noise reached the stages: {reading:?}"
    );
    assert!(
        reading.skipped_bytes["no_match"] > HOUR_BYTES as u64 / 3,
        "{reading:?}"
    );
    assert_eq!(line.set_aside(), None, "no stage failed over it");
    assert!(
        !reading.rejected.keys().any(|why| why.ends_with("/trap")),
        "{reading:?}"
    );

    // Two seconds later the robot is heard again, once two of its cycles agree.
    let cycles = way(1, 60, 5);
    let (mut came, began) = (Vec::new(), HOUR_BYTES + 2 * 960);
    for (index, byte) in bytes(&cycles).into_iter().enumerate() {
        chunk.bytes = vec![byte];
        chunk.at = Stamp {
            line_ns: byte_over_ns(began + index),
            wall_ns: 0,
        };
        line.receive(&chunk, &mut |output| {
            if let Output::Record(seen) = output
                && seen.record.name() == "axes"
            {
                let axis_1 = seen.record.fields().next().map(|(_, value)| value);
                let Some(Value::F64(axis_1)) = axis_1 else {
                    panic!("axis 1 is a number")
                };
                came.push(axis_1);
            }
        });
    }
    let told: Vec<f64> = cycles[1..]
        .iter()
        .map(|values| f64::from(values[0]) / 1e5)
        .collect();
    assert_eq!(came, told);
    println!(
        "{} frames and {records} records in {HOUR_BYTES} bytes of noise",
        reading.frames
    );
}
