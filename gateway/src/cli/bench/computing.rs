//! Stages as modules in Wasmtime beside the same stages as ordinary Rust, in turns.
//!
//! Both go through the same host: the same writing of inputs, the same reading and checking of
//! records. What a stage costs is the difference between the pipeline that ends with it and the one
//! that ends before it.

use std::time::Instant;

use anyhow::ensure;
use retrotap_host::{Engine, NativeStages, Pipeline};

use super::report::{Bound, Figure};
use super::workload::{ADAPTER, FRAME_NS, Way, obstacles, separation};
use super::{Effort, median};
use crate::cell::obstacles::Room;
use crate::modules::assemble::{OBSTACLES, Params, assemble};
use crate::modules::catalog::{Catalog, LoadedAdapter};
use crate::simulate::krc2::FRAME_BYTES;

/// A cycle of the published prototype, at the median; its average over the first hundred; its first.
/// All measured on a machine of the kind that the project is built on, and not in this run.
const PROTOTYPE_NS: f64 = 19_100.0;
const PROTOTYPE_FIRST_100_NS: f64 = 14_900.0;
const PROTOTYPE_FIRST_NS: f64 = 241_000.0;

/// The paper's own table for its laptop (Nakakaze et al. 2024): the average of the first hundred
/// messages, and the first.
const PAPER_FIRST_100_NS: f64 = 230_000.0;
const PAPER_FIRST_NS: f64 = 1_450_000.0;

pub(super) fn measure(effort: &Effort) -> anyhow::Result<Vec<Figure>> {
    let catalog = Catalog::default();
    let adapter = catalog.adapter(ADAPTER)?;
    let stages: Vec<&str> = adapter
        .adapter
        .pipeline
        .iter()
        .map(|stage| stage.stage.as_str())
        .collect();
    let engines = [native()?, catalog.engine()?];

    // Per engine, and per number of stages that take part.
    let mut tracks = Vec::new();
    for engine in &engines {
        for count in 1..=stages.len() {
            tracks.push(Track::new(pipeline(engine, &catalog, &adapter, count)?));
        }
    }
    // One round more, which counts for nothing: caches and the branch predictor learn the way.
    for round in 0..=effort.rounds {
        for track in &mut tracks {
            let ns = track.cycles(effort.cycles_per_round)?;
            if round > 0 {
                track.ns.push(ns);
            }
        }
    }
    let (ordinary, compiled) = tracks.split_at_mut(stages.len());
    let samples = effort.rounds * effort.cycles_per_round;
    let mut figures = Vec::new();
    for (count, stage) in stages.iter().enumerate() {
        let mut seen = [0.0; 2];
        for (seen, (engine, tracks)) in seen
            .iter_mut()
            .zip([("native", &*ordinary), ("Wasmtime", &*compiled)])
        {
            let before = count.checked_sub(1).map(|before| &tracks[before].ns);
            let mut own: Vec<f64> = tracks[count]
                .ns
                .iter()
                .enumerate()
                .map(|(round, ns)| ns - before.map_or(0.0, |before| before[round]))
                .collect();
            *seen = median(&mut own);
            let name = format!("{stage}, a cycle's share, {engine}");
            figures.push(Figure::new(name, *seen, "ns", samples));
        }
        let name = format!("{stage}, Wasmtime to native");
        figures.push(Figure::new(name, seen[1] / seen[0], "times", samples));
    }
    let last = stages.len() - 1;
    let mut ratios: Vec<f64> = compiled[last]
        .ns
        .iter()
        .zip(&ordinary[last].ns)
        .map(|(ours, theirs)| ours / theirs)
        .collect();
    let cycle_ns = median(&mut compiled[last].ns);
    figures.push(
        Figure::new(
            "cycle of 7 frames, native",
            median(&mut ordinary[last].ns),
            "ns",
            samples,
        )
        .note(
            "all stages in the same host: 6 axes, 6 moving capsules, 4 spheres, 3 capsules, 1 box, S_p",
        ),
    );
    figures.push(Figure::new(
        "cycle of 7 frames, Wasmtime",
        cycle_ns,
        "ns",
        samples,
    ));
    figures.push(
        Figure::new(
            "cycle, Wasmtime to native",
            median(&mut ratios),
            "times",
            samples,
        )
        .budget(Bound::AtMost(2.5))
        .note("median of the rounds' ratios"),
    );
    figures.push(
        Figure::new(
            "cycle, faster than the prototype's",
            PROTOTYPE_NS / cycle_ns,
            "times",
            samples,
        )
        .budget(Bound::AtLeast(20.0))
        .note("19.1 µs, one point against one point; from the baseline, not this run"),
    );
    figures.extend(first_calls(effort, &engines[1], &catalog, &adapter)?);
    Ok(figures)
}

/// Pipelines begun anew: their first cycle, and their first hundred.
fn first_calls(
    effort: &Effort,
    engine: &Engine,
    catalog: &Catalog,
    adapter: &LoadedAdapter,
) -> anyhow::Result<Vec<Figure>> {
    const CYCLES: usize = 100;
    let (mut firsts, mut averages) = (Vec::new(), Vec::new());
    for _ in 0..effort.first_calls {
        let mut track = Track::new(pipeline(engine, catalog, adapter, usize::MAX)?);
        let first = track.cycles(1)?;
        let others = track.cycles(CYCLES - 1)?;
        firsts.push(first);
        averages.push((first + others * (CYCLES - 1) as f64) / CYCLES as f64);
    }
    let (first, average) = (median(&mut firsts), median(&mut averages));
    let samples = effort.first_calls;
    let from_paper = "the paper's own table, its laptop; not this run";
    let from_baseline = "the prototype on a machine of our kind; from the baseline, not this run";
    Ok(vec![
        Figure::new(
            "first cycle of a new pipeline, Wasmtime",
            first,
            "ns",
            samples,
        ),
        Figure::new(
            "first cycle, faster than the paper's",
            PAPER_FIRST_NS / first,
            "times",
            samples,
        )
        .budget(Bound::AtLeast(100.0))
        .note(from_paper),
        Figure::new(
            "first cycle, faster than the prototype's",
            PROTOTYPE_FIRST_NS / first,
            "times",
            samples,
        )
        .note(from_baseline),
        Figure::new(
            "average of the first 100 cycles, Wasmtime",
            average,
            "ns",
            samples,
        ),
        Figure::new(
            "first 100 cycles, faster than the paper's",
            PAPER_FIRST_100_NS / average,
            "times",
            samples,
        )
        .budget(Bound::AtLeast(100.0))
        .note(from_paper),
        Figure::new(
            "first 100 cycles, faster than the prototype's",
            PROTOTYPE_FIRST_100_NS / average,
            "times",
            samples,
        )
        .note(from_baseline),
    ])
}

/// The stages of the adapter as ordinary Rust.
fn native() -> anyhow::Result<Engine> {
    let mut stages = NativeStages::new();
    stages.add::<retrotap_stage_krc2_decode::Decode>()?;
    stages.add::<retrotap_stage_axis_limits::AxisLimits>()?;
    stages.add::<retrotap_stage_arm_distance::stage::ArmDistance>()?;
    Ok(Engine::native(stages))
}

/// The adapter's first `count` stages, with obstacles where they take any.
fn pipeline(
    engine: &Engine,
    catalog: &Catalog,
    adapter: &LoadedAdapter,
    count: usize,
) -> anyhow::Result<Pipeline> {
    let mut adapter = adapter.clone();
    adapter.adapter.pipeline.truncate(count);
    let assembled = assemble(engine, catalog, &adapter, &Params::new())?;
    let mut pipeline = assembled.pipeline;
    if let Some(stage) = assembled.obstacles_stage {
        pipeline.set_table(&stage, OBSTACLES, &Room::from(obstacles()?).table())?;
        for (name, value) in separation() {
            pipeline.set_param(&stage, name, &value)?;
        }
    }
    Ok(pipeline)
}

/// A pipeline on the robot's way.
struct Track {
    pipeline: Pipeline,
    way: Way,
    t_ns: i64,
    cycles: u64,
    /// Per cycle, one entry a round.
    ns: Vec<f64>,
}

impl Track {
    fn new(pipeline: Pipeline) -> Self {
        Self {
            pipeline,
            way: Way::new(),
            t_ns: 0,
            cycles: 0,
            ns: Vec::new(),
        }
    }

    /// Runs so many cycles and gives the nanoseconds of one.
    fn cycles(&mut self, count: usize) -> anyhow::Result<f64> {
        let began = Instant::now();
        for _ in 0..count {
            for frame in self.way.cycle().as_chunks::<FRAME_BYTES>().0 {
                self.t_ns += FRAME_NS;
                let _ = std::hint::black_box(self.pipeline.process(frame, self.t_ns).verdict());
            }
        }
        let ns = began.elapsed().as_nanos() as f64 / count as f64;
        self.cycles += count as u64;
        for (stage, counts) in self.pipeline.counts() {
            ensure!(
                counts.rejected == 0 && counts.strikes == 0 && counts.calls >= self.cycles,
                "{stage} did not take the workload: {counts:?} in {} cycles",
                self.cycles
            );
        }
        Ok(ns)
    }
}
