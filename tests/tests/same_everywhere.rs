//! Every shipped module over every shipped capture: compiled and interpreted, each frame gives the same
//! verdict and records, and leaves the same bits in the output area of every stage.
//!
//! `pipelines/host/tests/same_bits` does that over ten thousand generated cycles of a robot; this is what
//! machines send, with the settings that ship.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use retrotap::capture::{Item, Reader};
use retrotap::line::{Line, Output};
use retrotap::modules::assemble::{Assembled, assemble};
use retrotap::modules::catalog::Catalog;
use retrotap_host::{Engine, Strike, Trap, Verdict};
use retrotap_tests::binary::repository;

/// A frame and the line time of its last byte.
type Frame = (Vec<u8>, i64);

fn assembled(engine: &Engine, adapter: &str) -> Assembled {
    let catalog = Catalog::default();
    let adapter = catalog.adapter(adapter).expect("it ships");
    assemble(engine, &catalog, &adapter, &BTreeMap::new()).expect("its stages fit")
}

/// The captures of an adapter's test cases.
fn captures(machine: &Path) -> Vec<PathBuf> {
    let cases = std::fs::read_dir(machine.join("testcases")).expect("test cases");
    let files = cases.map(|case| case.expect("an entry").path().join("capture.pcapng"));
    files.collect()
}

/// What framing finds in a capture.
fn frames(engine: &Engine, adapter: &str, capture: &Path) -> Vec<Frame> {
    let assembled = assembled(engine, adapter);
    let gauge = Line::gauge_for(&assembled);
    let mut line = Line::new(assembled, gauge).expect("a checked framing");
    let mut frames = Vec::new();
    let mut reader = Reader::open(capture).expect("a capture");
    while let Some(item) = reader.next_item().expect("a whole capture") {
        if let Item::Chunk(chunk) = item {
            line.receive(&chunk, &mut |output: Output<'_>| {
                if let Output::Frame(frame) = output {
                    let t_ns = i64::try_from(frame.at.line_ns).expect("hours");
                    frames.push((frame.bytes.to_vec(), t_ns));
                }
            });
        }
    }
    frames
}

/// What comes of every frame, and of a tick behind it. Nothing where an engine was held up past a deadline,
/// which is real time.
fn outcomes(engine: &Engine, adapter: &str, frames: &[Frame]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut pipeline = assembled(engine, adapter).pipeline;
    let stages: Vec<String> = pipeline
        .manifests()
        .map(|manifest| manifest.stage.clone())
        .collect();
    let mut outcomes = Vec::new();
    for (bytes, t_ns) in frames {
        for frame in [Some(bytes), None] {
            let outcome = match frame {
                Some(bytes) => pipeline.process(bytes, *t_ns),
                None => pipeline.tick(t_ns + 1_000_000),
            };
            match outcome.verdict() {
                Verdict::Struck {
                    strike: Strike::Trap(Trap::Deadline),
                    ..
                } => return None,
                Verdict::Struck { .. } => panic!("{adapter}, {}: {outcome:?}", engine.name()),
                Verdict::Accepted | Verdict::Rejected { .. } => {}
            }
            let said = format!("{outcome:?}");
            let areas = stages.iter().flat_map(|stage| pipeline.output_area(stage));
            outcomes.push((said, areas.flatten().copied().collect()));
        }
    }
    Some(outcomes)
}

#[test]
fn every_shipped_capture_leaves_the_same_bits_compiled_and_interpreted() {
    let wasmtime = Catalog::default().engine().expect("an engine");
    let interpreter = Engine::spacewasm();
    let mut used = BTreeSet::new();
    for machine in std::fs::read_dir(repository().join("adapters/machines")).expect("there") {
        let machine = machine.expect("an entry").path();
        let adapter = machine.file_name().expect("a name").to_string_lossy();
        let known = Catalog::default().adapter(&adapter).expect("it ships");
        used.extend(known.adapter.pipeline.into_iter().map(|stage| stage.stage));
        for capture in captures(&machine) {
            let frames = frames(&wasmtime, &adapter, &capture);
            assert!(frames.len() > 8, "{}: hardly a frame", capture.display());
            let both = (0..10).find_map(|_| {
                let compiled = outcomes(&wasmtime, &adapter, &frames)?;
                Some((compiled, outcomes(&interpreter, &adapter, &frames)?))
            });
            let (compiled, interpreted) = both.expect("held up past a deadline ten times");
            for (at, (one, other)) in compiled.iter().zip(&interpreted).enumerate() {
                assert_eq!(one.0, other.0, "{}, call {at}", capture.display());
                assert!(one.1 == other.1, "{}, call {at}", capture.display());
            }
            assert!(
                compiled
                    .iter()
                    .any(|(said, _)| said.starts_with("Accepted ["))
            );
        }
    }
    // What no machine that ships uses is tried by its test cases alone.
    let shipped: BTreeSet<String> = Catalog::default().stage_names().into_iter().collect();
    let unused: Vec<&String> = shipped.difference(&used).collect();
    assert_eq!(unused, ["peak-hold", "smooth"]);
}
