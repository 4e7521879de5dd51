//! From parameters and the table `stopping` to the rule by which distances are judged. What only the
//! user can know and hasn't stated is refused by name.

use crate::manifest::{self, Config, Reason, StoppingRow};
use crate::separation::{Bounds, RobotSpeed, Rule, Stop, StopError, Stopping};

/// The greatest speed, time or distance in the table `stopping`.
const GREATEST: f64 = 1000.0;

/// The rule that a configuration states.
///
/// # Errors
/// What the rule needs and isn't stated; a table that isn't in order, whatever the rule.
pub fn rule(config: &Config<'_>) -> Result<Rule, Reason> {
    let mut stopping = Stopping::UNKNOWN;
    for row in config.stopping().rows() {
        stopping.push(stop(&row)?)?;
    }
    Ok(match config.rule() {
        manifest::Rule::Off => Rule::Off,
        manifest::Rule::IsoTs15066 => Rule::Iso(bounds(config, stopping)?),
        manifest::Rule::Showcase => {
            let speed = stated(config.robot_speed_m_per_s(), Reason::RobotSpeedNotStated)?;
            // This rule adds nothing to a measured speed.
            let max_acceleration_m_per_s2 = 0.0;
            Rule::Showcase(match speed {
                0.0 => RobotSpeed::Measured {
                    max_acceleration_m_per_s2,
                },
                most => RobotSpeed::Stated(most),
            })
        }
    })
}

fn bounds(config: &Config<'_>, mut stopping: Stopping) -> Result<Bounds, Reason> {
    let human_speed_m_per_s = stated(config.human_speed_m_per_s(), Reason::HumanSpeedNotStated)?;
    let robot_speed = match stated(config.robot_speed_m_per_s(), Reason::RobotSpeedNotStated)? {
        0.0 => RobotSpeed::Measured {
            max_acceleration_m_per_s2: stated(
                config.max_acceleration_m_per_s2(),
                Reason::MaxAccelerationNotStated,
            )?,
        },
        most => RobotSpeed::Stated(most),
    };
    if stopping.is_unknown() {
        stopping = Stopping::always(
            stated(config.stopping_time_s(), Reason::StoppingTimeNotStated)?,
            stated(
                config.stopping_distance_m(),
                Reason::StoppingDistanceNotStated,
            )?,
        );
    }
    let sensor_s = stated(config.sensor_latency_s(), Reason::SensorLatencyNotStated)?;
    let gateway_s = stated(config.gateway_latency_s(), Reason::GatewayLatencyNotStated)?;
    let stop_signal_s = stated(
        config.stop_signal_latency_s(),
        Reason::StopSignalLatencyNotStated,
    )?;
    Ok(Bounds {
        human_speed_m_per_s,
        robot_speed,
        latency_s: sensor_s + gateway_s + stop_signal_s,
        stopping,
        intrusion_m: stated(config.intrusion_m(), Reason::IntrusionNotStated)?,
        person_uncertainty_m: stated(
            config.person_uncertainty_m(),
            Reason::PersonUncertaintyNotStated,
        )?,
        robot_uncertainty_m: stated(
            config.robot_uncertainty_m(),
            Reason::RobotUncertaintyNotStated,
        )?,
    })
}

/// A parameter, unless its value says that nobody stated it.
fn stated(value: f64, otherwise: Reason) -> Result<f64, Reason> {
    if value >= 0.0 {
        Ok(value)
    } else {
        Err(otherwise)
    }
}

fn stop(row: &StoppingRow) -> Result<Stop, Reason> {
    let cells = [row.speed_m_per_s, row.time_s, row.distance_m];
    if cells.iter().any(|cell| *cell > GREATEST) {
        return Err(Reason::StoppingNotRising);
    }
    let [speed_m_per_s, time_s, distance_m] = cells;
    Ok(Stop {
        speed_m_per_s,
        time_s,
        distance_m,
    })
}

impl From<StopError> for Reason {
    fn from(error: StopError) -> Self {
        match error {
            StopError::NotRising => Self::StoppingNotRising,
            StopError::TooMany => Self::TooManyRows,
        }
    }
}
