//! What `make bench-lake` measures: the way from a line to the database and to the stop of a robot, with
//! real servers, beside the same ways built of peers in the same run.
//!
//! Processor time is counted by process, so a figure "per core" says what a part needs and not what
//! else ran on the machine at that time. Who feeds, and who looks at what arrived, is this process
//! and is never counted.
//!
//! What it doesn't do: judge. A budget that is missed is said and is no failure.

pub mod catch_up;
pub mod cpu;
pub mod dashboards;
pub mod machine;
pub mod node_red;
pub mod peer;
pub mod plant;
pub mod report;
pub mod stop;
pub mod telegraf;
pub mod through_lake;
pub mod through_uplink;
pub mod visible;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Rounds in which we and a peer take turns.
    pub rounds: usize,
    /// Records that go through the lake in each.
    pub records: u64,
    /// Frames that wait in the spool for the uplink, and that a peer is sent.
    pub frames: u64,
    /// For how long the pace of one machine is kept, in seconds.
    pub pace_s: u64,
    /// Cycles that stop a robot.
    pub stops: usize,
    /// For how long the uplink was away, as the machine sees it, in seconds.
    pub outage_s: u64,
}

/// Enough to believe.
pub const FULL: Effort = Effort {
    rounds: 3,
    records: 200_000,
    frames: 100_000,
    pace_s: 120,
    stops: 100_000,
    outage_s: 3600,
};

/// A look at whether it runs.
pub const QUICK: Effort = Effort {
    rounds: 1,
    records: 20_000,
    frames: 10_000,
    pace_s: 10,
    stops: 2_000,
    outage_s: 300,
};

/// The value below which this share of the samples lies, 0 to 1; sorts them.
pub fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    samples
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// The middle one.
pub fn median(mut samples: Vec<f64>) -> f64 {
    quantile(&mut samples, 0.5)
}
