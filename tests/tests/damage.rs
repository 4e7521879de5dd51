//! Every loss, every doubling and every bit flip at every byte of a hundred cycles of a KR C2, through
//! framing, `krc2-decode` and `axis-limits` as a line has them, with the shipped adapter's settings.
//!
//! A record that comes out is what was sent, or is counted here as undetected, with its error: the
//! protocol has no checksum, so some damage can't be seen, and the table says how much.
//!
//! The line runs when the damage comes: [`BEFORE`] cycles are ahead of the hundred. A line's very first
//! cycle has none ahead that it could be held against, and has a test of its own.
//!
//! Not all hundred cycles are sent for each damage but those from [`BEFORE`] cycles ahead of it to
//! [`AFTER`] behind it, at the times that they have in the whole run. That gives the same records:
//! once one whole cycle has been accepted, framing holds no byte at a cycle's end, the decoder keeps
//! nothing of an earlier cycle, and the limits know the last accepted cycle alone. A test holds it
//! with the whole run for every [`WHOLE_RUN_EVERY`]th damage.

use std::ops::Range;
use std::sync::Arc;

use retrotap::line::{Line, Output};
use retrotap::modules::assemble::{Assembled, host_value};
use retrotap::modules::catalog::Catalog;
use retrotap::simulate::krc2::{AXES, FRAME_BYTES};
use retrotap_host::{Engine, Module, NativeStages, Pipeline, StageSpec, Value};
use retrotap_stage_axis_limits::AxisLimits;
use retrotap_stage_krc2_decode::Decode;
use retrotap_tests::robot::{
    CYCLE_BYTES, Timed, Values, byte_over_ns, bytes, one_by_one, unbroken, way,
};

const CYCLES: usize = 100;
const BEFORE: usize = 3;
const AFTER: usize = 5;
/// A prime, so that all kinds and all bytes of a frame have their turn.
const WHOLE_RUN_EVERY: usize = 1009;

/// What happens to one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Lost,
    Doubled,
    Flipped(u8),
}

impl Damage {
    const KINDS: [&str; 3] = ["lost", "doubled", "flipped"];

    fn all() -> impl Iterator<Item = Damage> {
        [Self::Lost, Self::Doubled]
            .into_iter()
            .chain((0..8).map(Self::Flipped))
    }

    /// Its row in the table.
    fn kind(self) -> usize {
        match self {
            Self::Lost => 0,
            Self::Doubled => 1,
            Self::Flipped(_) => 2,
        }
    }

    /// Damages the byte at `at` of a line; what comes behind a doubled one comes a byte later.
    fn apply(self, line: &mut Vec<Timed>, at: usize) {
        match self {
            Self::Lost => {
                line.remove(at);
            }
            Self::Doubled => {
                line.insert(at, line[at]);
                for late in &mut line[at + 1..] {
                    late.over_ns += byte_over_ns(0);
                }
            }
            Self::Flipped(bit) => line[at].byte ^= 1 << bit,
        }
    }
}

/// What a line gave: frames and records with their line times.
#[derive(Debug, Default, PartialEq)]
struct Given {
    frames: Vec<(u64, [u8; FRAME_BYTES])>,
    cycles: Vec<(u64, [f64; AXES])>,
}

/// Makes lines as the shipped adapter says, up to the stage that judges the axes.
struct Bench {
    engine: Engine,
    catalog: Catalog,
    modules: Vec<Arc<Module>>,
}

impl Bench {
    fn new() -> Self {
        let mut stages = NativeStages::new();
        let decode = stages.add::<Decode>().expect("a good manifest");
        let limits = stages.add::<AxisLimits>().expect("a good manifest");
        Self {
            engine: Engine::native(stages),
            catalog: Catalog::default(),
            modules: vec![Arc::new(decode), Arc::new(limits)],
        }
    }

    fn lines(&self) -> impl Fn() -> Line + '_ {
        let known = self.catalog.adapter("kuka-krc2").expect("it ships").adapter;
        move || {
            let specs = known
                .pipeline
                .iter()
                .zip(&self.modules)
                .map(|(stage, module)| {
                    assert_eq!(module.manifest().stage, stage.stage);
                    let params = stage.params.iter();
                    StageSpec {
                        module: Arc::clone(module),
                        params: params
                            .map(|(name, value)| (name.clone(), host_value(value)))
                            .collect(),
                        tables: std::collections::BTreeMap::new(),
                        fields: None,
                        record: None,
                    }
                });
            let assembled = Assembled {
                framings: known
                    .ports
                    .iter()
                    .map(|port| port.framing.clone())
                    .collect(),
                serial: known.serial,
                pipeline: Pipeline::load(&self.engine, specs.collect()).expect("they fit"),
                publish: vec!["axes".to_owned()],
                obstacles_stage: None,
                stale_after_ns: known.stale_after_ns,
                modules: Vec::new(),
                ranges: std::collections::BTreeMap::new(),
            };
            let gauge = Line::gauge_for(&assembled);
            Line::new(assembled, gauge).expect("a checked framing")
        }
    }
}

/// Everything that a line makes of these bytes.
fn through(mut line: Line, bytes: &[Timed]) -> Given {
    let mut given = Given::default();
    let mut take = |output: Output<'_>| match output {
        Output::Frame(frame) => {
            let bytes = frame.bytes.try_into().expect("nine bytes");
            given.frames.push((frame.at.line_ns, bytes));
        }
        Output::Record(seen) => {
            let mut values = [f64::NAN; AXES];
            for (value, (_, field)) in values.iter_mut().zip(seen.record.fields()) {
                let Value::F64(field) = field else {
                    panic!("axes are numbers")
                };
                *value = field;
            }
            given.cycles.push((seen.at.line_ns, values));
        }
        Output::Judged(judged) => panic!("no cell watches this line: {judged:?}"),
    };
    for chunk in one_by_one(bytes) {
        line.receive(&chunk, &mut take);
    }
    given
}

/// Whose last byte was over then, or the byte behind it, where one was lost or doubled.
fn cycle_at(over_ns: u64) -> usize {
    let byte = (over_ns + byte_over_ns(0) / 2) / byte_over_ns(0) - 1;
    (byte as usize - 1) / CYCLE_BYTES
}

fn in_degrees(values: &Values) -> [f64; AXES] {
    values.map(|value| f64::from(value) / 1e5)
}

/// What one kind of damage did.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    tried: usize,
    without_effect: usize,
    cycles_lost: usize,
    cycles_lost_at_once: usize,
    undetected: usize,
    worst: [f64; AXES],
}

/// One damaged byte: where it stands and what happened to it.
#[derive(Debug, Clone, Copy)]
struct Hurt {
    damage: Damage,
    /// Its index in the whole run.
    at: usize,
}

impl Hurt {
    fn cycle(self) -> usize {
        self.at / CYCLE_BYTES
    }

    fn axis(self) -> usize {
        self.at % CYCLE_BYTES / FRAME_BYTES
    }

    /// Holds what came of the cycles of `window` against what was sent, and counts it. What is
    /// lost are the damaged cycle and at most `more` behind it.
    fn judge(
        self,
        sent: &[Values],
        window: Range<usize>,
        more: usize,
        given: &Given,
        row: &mut Row,
    ) {
        let mut came = Vec::new();
        let mut undetected = 0;
        for (over_ns, values) in &given.cycles {
            let cycle = cycle_at(*over_ns);
            assert!(
                came.last().is_none_or(|before| *before < cycle),
                "{self:?}: one cycle twice"
            );
            came.push(cycle);
            let told = in_degrees(&sent[cycle]);
            let wrong: Vec<usize> = (0..AXES)
                .filter(|&axis| values[axis].to_bits() != told[axis].to_bits())
                .collect();
            if !wrong.is_empty() {
                // The damaged axis of the damaged cycle, or two cycles would be mixed.
                assert_eq!(
                    (cycle, wrong),
                    (self.cycle(), vec![self.axis()]),
                    "{self:?}: {values:?}"
                );
                let error = (values[self.axis()] - told[self.axis()]).abs();
                row.worst[self.axis()] = row.worst[self.axis()].max(error);
                undetected += 1;
            }
        }
        let lost: Vec<usize> = window.filter(|cycle| !came.contains(cycle)).collect();
        row.tried += 1;
        row.undetected += undetected;
        row.cycles_lost += lost.len();
        row.cycles_lost_at_once = row.cycles_lost_at_once.max(lost.len());
        row.without_effect += usize::from(lost.is_empty() && undetected == 0);
        // Damage reaches the next cycle in two ways: the byte stood in axis 7's frame, so that the
        // frame of axis 1 behind it goes too, or a wrong value was let through and the next, right
        // one is too far from it.
        let reach = self.cycle()..=self.cycle() + more;
        assert!(
            lost.iter().all(|cycle| reach.contains(cycle)),
            "{self:?} cost {lost:?}"
        );
    }

    /// From the second frame behind the damaged one on, all frames are there, each at its time.
    fn in_step_again(self, clean: &[Timed], given: &Given) {
        let late_ns = if self.damage == Damage::Doubled {
            byte_over_ns(0)
        } else {
            0
        };
        let from = (self.at / FRAME_BYTES + 2) * FRAME_BYTES;
        let must: Vec<(u64, [u8; FRAME_BYTES])> = clean
            .chunks_exact(FRAME_BYTES)
            .filter(|frame| frame[0].over_ns >= byte_over_ns(from))
            .map(|frame| {
                let over_ns = frame[FRAME_BYTES - 1].over_ns + late_ns;
                (over_ns, std::array::from_fn(|index| frame[index].byte))
            })
            .collect();
        let there = given.frames.len().checked_sub(must.len());
        let there = there.map(|from| &given.frames[from..]);
        assert_eq!(
            there,
            Some(&must[..]),
            "{self:?}: not in step after two frames"
        );
    }
}

/// The robot carries a box from the conveyor to the pallet and comes back: every axis that it has
/// moves, and it stands still at times.
fn sent() -> Vec<Values> {
    way(1, 30, BEFORE + CYCLES + AFTER)
}

#[test]
fn each_damaged_byte_costs_the_cycles_that_it_touches_and_what_comes_out_is_what_was_sent() {
    let sent = sent();
    let whole = unbroken(&bytes(&sent));
    let bench = Bench::new();
    let lines = bench.lines();
    let mut rows = [Row::default(); Damage::KINDS.len()];
    let mut tried = 0;
    for at in BEFORE * CYCLE_BYTES..(BEFORE + CYCLES) * CYCLE_BYTES {
        for damage in Damage::all() {
            let hurt = Hurt { damage, at };
            let first = hurt.cycle() - BEFORE;
            let last = hurt.cycle() + AFTER;
            let clean = &whole[first * CYCLE_BYTES..last * CYCLE_BYTES];
            let mut damaged = clean.to_vec();
            damage.apply(&mut damaged, at - first * CYCLE_BYTES);
            let given = through(lines(), &damaged);
            hurt.in_step_again(clean, &given);
            hurt.judge(&sent, first..last, 1, &given, &mut rows[damage.kind()]);
            tried += 1;
            if tried % WHOLE_RUN_EVERY == 0 {
                let mut damaged = whole.clone();
                damage.apply(&mut damaged, at);
                let in_whole_run = through(lines(), &damaged);
                let of_window = |(over_ns, _): &&(u64, [f64; AXES])| {
                    (byte_over_ns(first * CYCLE_BYTES)..byte_over_ns(last * CYCLE_BYTES))
                        .contains(over_ns)
                };
                let in_whole_run: Vec<_> = in_whole_run.cycles.iter().filter(of_window).collect();
                // The last cycle of the window ends a byte later where one is doubled.
                let window: Vec<_> = given.cycles.iter().filter(of_window).collect();
                assert_eq!(
                    window, in_whole_run,
                    "{hurt:?}: the window tells less than the whole"
                );
            }
        }
    }
    print_table(&format!("one byte of {CYCLES} cycles"), &rows);
    let [lost, doubled, flipped] = rows;
    assert_eq!(
        [lost.tried, doubled.tried, flipped.tried],
        [6_300, 6_300, 50_400]
    );
    // The frame behind a lost byte lends it one, as its value's highest, which no limit lets through.
    assert_eq!(lost.undetected, 0);
    // What the limits let through is at most what an axis can do in two cycles with a quarter on top.
    for row in rows {
        assert!(
            row.cycles_lost > 0 && row.cycles_lost_at_once <= 2,
            "{row:?}"
        );
        for (axis, most) in [110.0, 110.0, 100.0, 170.0, 170.0, 238.0, 1500.0]
            .into_iter()
            .enumerate()
        {
            let reach = most * 0.065_625 * 1.25;
            assert!(row.worst[axis] <= 2.0 * reach, "axis {}: {row:?}", axis + 1);
        }
    }
}

fn print_table(title: &str, rows: &[Row]) {
    println!(
        "{title:<24}    tried  no effect  cycles lost  undetected  worst error in a record: axes 1 \
         to 6 in deg, 7 in mm"
    );
    for (kind, row) in Damage::KINDS.iter().zip(rows) {
        let worst: Vec<String> = row
            .worst
            .iter()
            .map(|worst| format!("{worst:.5}"))
            .collect();
        println!(
            "{kind:<24} {:>8} {:>10} {:>12} {:>11}  {}",
            row.tried,
            row.without_effect,
            row.cycles_lost,
            row.undetected,
            worst.join(" ")
        );
    }
}

#[test]
fn an_undamaged_line_gives_every_cycle_and_nothing_else() {
    let sent = sent();
    let bench = Bench::new();
    let given = through(bench.lines()(), &unbroken(&bytes(&sent)));
    let values: Vec<_> = given.cycles.iter().map(|(_, values)| *values).collect();
    assert_eq!(values, sent.iter().map(in_degrees).collect::<Vec<_>>());
    assert_eq!(given.frames.len(), sent.len() * AXES);
}

/// The limits hold the very first cycle of a line against the ranges alone. A wrong one shuts right
/// ones out until it is a second old, and two agree, or until they are within reach of it.
#[test]
fn damage_in_the_very_first_cycle_of_a_line_costs_a_second_at_most() {
    const SECOND: usize = 17;
    let sent = way(1, 60, 2 * SECOND);
    let whole = unbroken(&bytes(&sent));
    let bench = Bench::new();
    let lines = bench.lines();
    let mut rows = [Row::default(); Damage::KINDS.len()];
    for at in 0..CYCLE_BYTES {
        for damage in Damage::all() {
            let mut damaged = whole.clone();
            damage.apply(&mut damaged, at);
            let given = through(lines(), &damaged);
            let hurt = Hurt { damage, at };
            hurt.in_step_again(&whole, &given);
            hurt.judge(
                &sent,
                0..sent.len(),
                SECOND,
                &given,
                &mut rows[damage.kind()],
            );
        }
    }
    print_table("of the first cycle", &rows);
}
