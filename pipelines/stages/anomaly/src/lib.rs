//! Values that differ from what they were, by z-score and rate of change.
//!
//! [`usual`] knows one field; this page ties up to 32 of them to the manifest. The stage is generic: which
//! fields, of which record, stands in the adapter's YAML.
//!
//! What it keeps true: a value is judged by what came before it, never by itself. Nothing is said while
//! nothing is known.
//!
//! What it doesn't do: judge fields together, or know seasons.
#![cfg_attr(target_arch = "wasm32", no_std)]

pub mod manifest {
    //! What `manifest.yaml` declares.
    retrotap_sdk::manifest!();
}
pub mod usual;

use manifest::{
    Anomaly as Record, AnomalyCause as Cause, Config, Contract, FIELDS_MAX, Input, Reason,
};
use usual::{Bounds, Judgement, Rule, Usual};

/// The stage.
#[derive(Debug)]
pub struct Anomaly {
    rule: Rule,
    fields: [(Bounds, Usual); FIELDS_MAX],
}

/// All zeros: 32 of them are made in place, and not on a stack that has no room for them.
const UNSET: Bounds = Bounds {
    rate_max: 0.0,
    deviation_min: 0.0,
};

impl retrotap_sdk::Stage for Anomaly {
    type Contract = Contract;

    fn new() -> Self {
        Self {
            rule: Rule {
                alpha: 0.5,
                z_max: 1.0,
                warm_up: 2,
                forget_after_s: 0.0,
            },
            fields: [(UNSET, Usual::UNKNOWN); FIELDS_MAX],
        }
    }

    fn configure(&mut self, config: &Config<'_>) -> Result<(), Reason> {
        self.rule = Rule {
            alpha: config.alpha(),
            z_max: config.z_max(),
            warm_up: config.warm_up() as u32,
            forget_after_s: config.forget_after_s(),
        };
        for ((bounds, _), field) in self.fields.iter_mut().zip(config.fields()) {
            *bounds = Bounds {
                rate_max: field.rate_max,
                deviation_min: field.deviation_min,
            };
        }
        Ok(())
    }

    fn process(
        &mut self,
        input: Input<'_>,
        t_ns: i64,
        out: &mut retrotap_sdk::Output<'_>,
    ) -> Result<(), Reason> {
        let fields = self.fields.iter_mut().take(input.len());
        for (place, (bounds, usual)) in fields.enumerate() {
            let Some(value) = input.f64(place) else {
                continue;
            };
            let judgement = usual.judge(value, t_ns, &self.rule, bounds);
            if let Some(cause) = cause(&judgement, self.rule.z_max) {
                out.push(&Record {
                    field: place as u32,
                    cause,
                    z: judgement.z,
                    rate_share: judgement.rate_share,
                });
            }
        }
        Ok(())
    }
}

fn cause(judgement: &Judgement, z_max: f64) -> Option<Cause> {
    match (judgement.z, judgement.rate_share) {
        (Some(z), _) if z > z_max => Some(Cause::High),
        (Some(z), _) if z < -z_max => Some(Cause::Low),
        (_, Some(share)) if share > 1.0 => Some(Cause::Rising),
        (_, Some(share)) if share < -1.0 => Some(Cause::Falling),
        _ => None,
    }
}

retrotap_sdk::export!(Anomaly);
