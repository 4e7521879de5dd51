//! What a cell's robots are judged with, changed by an admin while their lines run.
//!
//! All robots of the cell take all values, or none takes any: where one refuses, those before it get back what
//! they had. It holds until the gateway starts again; then the settings file rules.
//!
//! Doesn't do: the rule itself, where robots stand, and what they carry. Those are the settings'.

use std::collections::BTreeMap;
use std::time::Duration;

use retrotap_host::ParamValue;
use tokio::sync::oneshot;

use super::cells::{Cells, Running, lock};
use crate::cell::separation::Rules;
use crate::config::limits::{CELL_ANSWERS_WITHIN, HOLD_MAX, HOLD_MIN, LATENCY_MAX};
use crate::line::{Asked, Values};
use crate::web::cells::{Changed, Refusal, Value};

/// What the stage computes with, whose manifest has the limits.
const OF_STAGE: [&str; 10] = [
    "human_speed_m_per_s",
    "robot_speed_m_per_s",
    "max_acceleration_m_per_s2",
    "stopping_time_s",
    "stopping_distance_m",
    "sensor_latency_s",
    "stop_signal_latency_s",
    "intrusion_m",
    "person_uncertainty_m",
    "robot_uncertainty_m",
];

/// What the line judges by.
const WARN_MARGIN: &str = "warn_margin_m";
const HYSTERESIS: &str = "hysteresis_m";
const HOLD: &str = "hold_s";
/// Computed with, and checked live.
const GATEWAY_LATENCY: &str = "gateway_latency_s";

/// The greatest margin and hysteresis in metres, as in the settings.
const MARGIN_M_MAX: f64 = 100.0;

/// Shorter than whoever asks waits, so that the answer still finds somebody.
const LINE_ANSWERS_WITHIN: Duration =
    Duration::from_millis(CELL_ANSWERS_WITHIN.as_millis() as u64 / 2);

/// Lets a cell be judged with these values from now on.
///
/// # Errors
///
/// There is no such cell, one of the values can't be used, or a line doesn't answer; nothing has changed
/// then.
pub async fn change(
    cells: &Cells,
    cell: &str,
    values: &BTreeMap<String, Value>,
) -> Result<Changed, Refusal> {
    let mut running = cells.running().iter();
    let running = running.find(|running| *running.plan.id == *cell);
    let running = running.ok_or(Refusal::UnknownCell)?;
    let rules = lock(&running.rules).clone();
    let rules = rules
        .ok_or_else(|| Refusal::Invalid("No separation is computed in this cell.".to_owned()))?;
    let with = understood(values, &rules)?;

    let mut done: Vec<(&str, Values)> = Vec::new();
    for robot in &running.plan.robots {
        match ask(cells, &robot.machine, with.clone()).await {
            Ok(before) => done.push((&robot.machine, before)),
            Err(refusal) => {
                give_back(cells, done).await;
                return Err(refusal);
            }
        }
    }
    Ok(changed(running, values, &rules, &with, &done))
}

/// The request in the line's words, checked as far as the line's stage doesn't.
fn understood(values: &BTreeMap<String, Value>, rules: &Rules) -> Result<Values, Refusal> {
    let (mut with, mut next) = (Values::default(), rules.clone());
    for (name, value) in values {
        let &Value::Number(number) = value else {
            return Err(Refusal::Invalid(format!("\"{name}\" is a number.")));
        };
        let within = |least: f64, most: f64, unit: &str| match (least..=most).contains(&number) {
            true => Ok(number),
            false => Err(Refusal::Invalid(format!(
                "\"{name}\" is {least} to {most} {unit}, not {number}."
            ))),
        };
        match name.as_str() {
            WARN_MARGIN => next.warn_margin_m = within(0.0, MARGIN_M_MAX, "m")?,
            HYSTERESIS => next.hysteresis_m = within(0.0, MARGIN_M_MAX, "m")?,
            HOLD => {
                let (least, most) = (HOLD_MIN.as_secs_f64(), HOLD_MAX.as_secs_f64());
                next.hold_ns = ns(within(least, most, "s")?);
            }
            GATEWAY_LATENCY => {
                let latency_s = within(0.001, LATENCY_MAX.as_secs_f64(), "s")?;
                next.gateway_latency_ns = ns(latency_s);
            }
            _ => {}
        }
        let of_stage = OF_STAGE.contains(&name.as_str()) || name == GATEWAY_LATENCY;
        let of_rules = [WARN_MARGIN, HYSTERESIS, HOLD].contains(&name.as_str());
        if of_stage {
            let value = ParamValue::Number {
                value: number,
                unit: None,
            };
            with.parameters.push((name.clone(), value));
        } else if !of_rules {
            return Err(Refusal::Invalid(format!(
                "\"{name}\" is nothing that can be changed here. These can: {}, {GATEWAY_LATENCY}, \
                 {WARN_MARGIN}, {HYSTERESIS}, {HOLD}.",
                OF_STAGE.join(", ")
            )));
        }
    }
    with.rules = (next != *rules).then_some(next);
    Ok(with)
}

/// A time of at most a minute.
fn ns(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

async fn ask(cells: &Cells, machine: &str, with: Values) -> Result<Values, Refusal> {
    let silent = || Refusal::Unavailable(format!("The line of {machine} does not answer."));
    let line = cells.line(machine).ok_or_else(silent)?;
    let (answer, answered) = oneshot::channel();
    let asked = Asked::Separation { with, answer };
    line.try_send(asked).map_err(|_| silent())?;
    match tokio::time::timeout(LINE_ANSWERS_WITHIN, answered).await {
        Ok(Ok(Ok(before))) => Ok(before),
        Ok(Ok(Err(error))) => Err(Refusal::Invalid(format!("{machine}: {error}"))),
        Ok(Err(_)) | Err(_) => Err(silent()),
    }
}

async fn give_back(cells: &Cells, done: Vec<(&str, Values)>) {
    for (machine, before) in done {
        if let Err(refusal) = ask(cells, machine, before).await {
            tracing::error!(machine, %refusal, "it does not take back what it had");
        }
    }
}

/// What is told of it. The robots of a cell begin with the same values and change them together.
fn changed(
    running: &Running,
    values: &BTreeMap<String, Value>,
    rules: &Rules,
    with: &Values,
    done: &[(&str, Values)],
) -> Changed {
    if let Some(rules) = &with.rules {
        *lock(&running.rules) = Some(rules.clone());
    }
    let of_rules = [
        (WARN_MARGIN, rules.warn_margin_m),
        (HYSTERESIS, rules.hysteresis_m),
        (HOLD, rules.hold_ns as f64 / 1e9),
    ];
    let mut was: BTreeMap<String, Value> = of_rules
        .into_iter()
        .filter(|(name, _)| values.contains_key(*name))
        .map(|(name, value)| (name.to_owned(), Value::Number(value)))
        .collect();
    let first = done
        .first()
        .into_iter()
        .flat_map(|(_, before)| &before.parameters);
    was.extend(first.map(|(name, value)| {
        let value = match value {
            ParamValue::Number { value, .. } => Value::Number(*value),
            ParamValue::Choice(choice) => Value::Choice(choice.clone()),
        };
        (name.clone(), value)
    }));
    Changed {
        was,
        now: values.clone(),
    }
}
