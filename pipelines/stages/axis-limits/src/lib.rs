//! Rejects axis values that are out of range, or changed faster than the axis can move.
//!
//! [`limits`] decides; this page ties it to the manifest.
//!
//! What it keeps true: what it accepts lies within every axis's range and within reach of what was
//! accepted before. No fault, however long, shuts a machine out for ever.
//!
//! What it doesn't do: know a robot. Ranges and speeds have no defaults, the adapter gives them. Where
//! the line has no checksum, a wrong value within range and reach is not seen.
#![cfg_attr(target_arch = "wasm32", no_std)]

pub mod limits;
pub mod manifest {
    //! What `manifest.yaml` declares.
    retrotap_sdk::manifest!();
}

use limits::{AXES, AxisBounds, Checker, Cycle, Limits, Rejection, Speeds};
use manifest::{AxisSpeeds, Config, Contract, Input, Reason};

/// The stage.
#[derive(Debug, Default)]
pub struct AxisLimits(Checker);

/// Words of a cycle in the block that a swap carries over: whether it is there, its time, its values.
const CYCLE_WORDS: usize = 2 + AXES;

impl retrotap_sdk::Stage for AxisLimits {
    type Contract = Contract;

    fn new() -> Self {
        Self::default()
    }

    fn configure(&mut self, config: &Config<'_>) -> Result<(), Reason> {
        self.0
            .set_limits(Limits::from(config))
            .map_err(|_| Reason::EmptyRange)
    }

    fn save(&self, state: &mut retrotap_sdk::StateWords<'_>) {
        for (start, cycle) in [1, CYCLE_WORDS + 1].into_iter().zip(self.0.kept()) {
            let Some(cycle) = cycle else { continue };
            state.set(start, 1);
            state.set(start + 1, cycle.t_ns as u64);
            state.set_numbers(start + 2, &cycle.values);
        }
    }

    fn restore(&mut self, state: &retrotap_sdk::StateWords<'_>) {
        let cycle = |start| {
            (state.get(start) != 0).then(|| Cycle {
                t_ns: state.get(start + 1) as i64,
                values: state.numbers(start + 2),
            })
        };
        self.0.go_on([cycle(1), cycle(CYCLE_WORDS + 1)]);
    }

    fn process(
        &mut self,
        axes: Input,
        t_ns: i64,
        out: &mut retrotap_sdk::Output<'_>,
    ) -> Result<(), Reason> {
        let values = [
            axes.axis_1_deg,
            axes.axis_2_deg,
            axes.axis_3_deg,
            axes.axis_4_deg,
            axes.axis_5_deg,
            axes.axis_6_deg,
            axes.axis_7_mm,
        ];
        if let Some(speeds) = self.0.check(&values, t_ns)? {
            out.push(&AxisSpeeds::from(speeds));
        }
        Ok(())
    }
}

impl From<&Config<'_>> for Limits {
    fn from(config: &Config<'_>) -> Self {
        let bounds = |least, greatest, speed_max| AxisBounds {
            least,
            greatest,
            speed_max,
        };
        Self {
            axes: [
                bounds(
                    config.axis_1_min_deg(),
                    config.axis_1_max_deg(),
                    config.axis_1_speed_max_deg_per_s(),
                ),
                bounds(
                    config.axis_2_min_deg(),
                    config.axis_2_max_deg(),
                    config.axis_2_speed_max_deg_per_s(),
                ),
                bounds(
                    config.axis_3_min_deg(),
                    config.axis_3_max_deg(),
                    config.axis_3_speed_max_deg_per_s(),
                ),
                bounds(
                    config.axis_4_min_deg(),
                    config.axis_4_max_deg(),
                    config.axis_4_speed_max_deg_per_s(),
                ),
                bounds(
                    config.axis_5_min_deg(),
                    config.axis_5_max_deg(),
                    config.axis_5_speed_max_deg_per_s(),
                ),
                bounds(
                    config.axis_6_min_deg(),
                    config.axis_6_max_deg(),
                    config.axis_6_speed_max_deg_per_s(),
                ),
                bounds(
                    config.axis_7_min_mm(),
                    config.axis_7_max_mm(),
                    config.axis_7_speed_max_mm_per_s(),
                ),
            ],
            cycle_time_min_s: config.cycle_time_min_s(),
            speed_tolerance: config.speed_tolerance(),
            resync_after_s: config.resync_after_s(),
        }
    }
}

impl From<Speeds> for AxisSpeeds {
    fn from([one, two, three, four, five, six, seven]: Speeds) -> Self {
        Self {
            axis_1_speed_deg_per_s: one,
            axis_2_speed_deg_per_s: two,
            axis_3_speed_deg_per_s: three,
            axis_4_speed_deg_per_s: four,
            axis_5_speed_deg_per_s: five,
            axis_6_speed_deg_per_s: six,
            axis_7_speed_mm_per_s: seven,
        }
    }
}

impl From<Rejection> for Reason {
    fn from(rejection: Rejection) -> Self {
        const OUT_OF_RANGE: [Reason; AXES] = [
            Reason::Axis1OutOfRange,
            Reason::Axis2OutOfRange,
            Reason::Axis3OutOfRange,
            Reason::Axis4OutOfRange,
            Reason::Axis5OutOfRange,
            Reason::Axis6OutOfRange,
            Reason::Axis7OutOfRange,
        ];
        const TOO_FAST: [Reason; AXES] = [
            Reason::Axis1TooFast,
            Reason::Axis2TooFast,
            Reason::Axis3TooFast,
            Reason::Axis4TooFast,
            Reason::Axis5TooFast,
            Reason::Axis6TooFast,
            Reason::Axis7TooFast,
        ];
        match rejection {
            Rejection::OutOfRange(axis) => OUT_OF_RANGE[axis],
            Rejection::TooFast(axis) => TOO_FAST[axis],
            Rejection::Unconfirmed => Self::Unconfirmed,
        }
    }
}

retrotap_sdk::export!(AxisLimits);
