//! A health score and its trend out of vibration, temperature and whatever else wears.
//!
//! [`wear`] knows one field; this page ties up to 32 of them to the manifest. The stage is generic: which
//! fields, and where each is healthy and failed, stands in the adapter's YAML.
//!
//! What it keeps true: the worst field decides; nothing good makes up for it. A trend is only told once
//! it was watched for long enough, and never carried on for long.
//!
//! What it doesn't do: know a machine, or diagnose. Where it fails is for its maker's limits, and the
//! prediction is a straight line.
#![cfg_attr(target_arch = "wasm32", no_std)]

pub mod manifest {
    //! What `manifest.yaml` declares.
    retrotap_sdk::manifest!();
}
pub mod wear;

use manifest::{Config, Contract, FIELDS_MAX, Health, Input, Reason};
use wear::{Lags, Scale, Wear};

/// How many times as far ahead as it looked back a trend is carried on.
const AHEAD_MAX: f64 = 10.0;

const SECONDS_PER_HOUR: f64 = 3600.0;

/// The stage.
#[derive(Debug)]
pub struct EquipmentHealth {
    fields: [(Scale, Wear); FIELDS_MAX],
    lags: Lags,
    every_s: f64,
    /// When the last record was emitted.
    emitted_t_ns: Option<i64>,
}

/// All zeros: 32 of them are made in place, and not on a stack that has no room for them.
const UNSET: Scale = Scale {
    healthy: 0.0,
    failed: 0.0,
};

impl retrotap_sdk::Stage for EquipmentHealth {
    type Contract = Contract;

    fn new() -> Self {
        Self {
            fields: [(UNSET, Wear::UNKNOWN); FIELDS_MAX],
            lags: Lags {
                smoothing_s: 1.0,
                trend_s: 2.0,
            },
            every_s: 0.0,
            emitted_t_ns: None,
        }
    }

    fn configure(&mut self, config: &Config<'_>) -> Result<(), Reason> {
        let lags = Lags {
            smoothing_s: config.smoothing_s(),
            trend_s: config.trend_s(),
        };
        if lags.trend_s <= lags.smoothing_s {
            return Err(Reason::TrendNotSlower);
        }
        if config.fields().any(|field| field.healthy == field.failed) {
            return Err(Reason::HealthyIsFailed);
        }
        for ((scale, _), field) in self.fields.iter_mut().zip(config.fields()) {
            *scale = Scale {
                healthy: field.healthy,
                failed: field.failed,
            };
        }
        (self.lags, self.every_s) = (lags, config.every_s());
        Ok(())
    }

    fn process(
        &mut self,
        input: Input<'_>,
        t_ns: i64,
        out: &mut retrotap_sdk::Output<'_>,
    ) -> Result<(), Reason> {
        let fields = self.fields.iter_mut().take(input.len());
        for (place, (scale, wear)) in fields.enumerate() {
            if let Some(value) = input.f64(place) {
                wear.push(value, t_ns, scale, &self.lags);
            }
        }
        let since = |emitted: i64| t_ns.saturating_sub(emitted) as f64 * 1e-9;
        let due = self
            .emitted_t_ns
            .is_none_or(|t_ns| since(t_ns) >= self.every_s);
        if let Some(health) = self.health(input.len()).filter(|_| due) {
            self.emitted_t_ns = Some(t_ns);
            out.push(&health);
        }
        Ok(())
    }
}

impl EquipmentHealth {
    fn health(&self, count: usize) -> Option<Health> {
        let wears = || {
            self.fields
                .iter()
                .take(count)
                .map(|(_, wear)| wear)
                .enumerate()
        };
        let levels = wears().filter_map(|(place, wear)| Some((place, wear, wear.level()?)));
        // The first of two that are alike, so that a tie is no flicker.
        let (place, wear, level) =
            levels.reduce(|worst, next| if next.2 > worst.2 { next } else { worst })?;
        let lefts = wears().filter_map(|(place, wear)| Some((place, wear.left_s(&self.lags)?)));
        let first = lefts
            .reduce(|first, next| if next.1 < first.1 { next } else { first })
            .filter(|(_, left_s)| *left_s <= AHEAD_MAX * self.lags.trend_s);
        Some(Health {
            health_percent: 100.0 - 100.0 * within_0_and_1(level),
            deciding_field: place as u32,
            trend_percent_per_h: wear
                .per_second(&self.lags)
                .map(|per_second| -100.0 * SECONDS_PER_HOUR * per_second),
            left_h: first.map(|(_, left_s)| left_s / SECONDS_PER_HOUR),
            first_to_fail: first.map(|(place, _)| place as u32),
        })
    }
}

fn within_0_and_1(level: f64) -> f64 {
    if level > 1.0 {
        1.0
    } else if level > 0.0 {
        level
    } else {
        0.0
    }
}

retrotap_sdk::export!(EquipmentHealth);
