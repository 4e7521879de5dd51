//! Moving average or exponential average of the numbers that the adapter names.
//!
//! [`average`] holds one field; this page ties up to 32 of them to the manifest. The stage is generic:
//! which fields, of which record, with which units stands in the adapter's YAML, and the records that it
//! emits have the same fields in the same order.
//!
//! What it keeps true: a field that is absent in the input is absent in the output and doesn't count; a
//! pause makes averages begin anew instead of mixing old values with new ones.
//!
//! What it doesn't do: fields of any other kind than `f64`, or angles that wrap at 360°.
#![cfg_attr(target_arch = "wasm32", no_std)]

pub mod average;
pub mod manifest {
    //! What `manifest.yaml` declares.
    retrotap_sdk::manifest!();
}

use average::Average;
use manifest::{Config, Contract, FIELDS_MAX, Input, Method, Reason, SMOOTHED};

/// The stage.
#[derive(Debug)]
pub struct Smooth {
    fields: [Average; FIELDS_MAX],
    method: Method,
    window: usize,
    alpha: f64,
    forget_after_s: f64,
    last_t_ns: i64,
}

impl retrotap_sdk::Stage for Smooth {
    type Contract = Contract;

    fn new() -> Self {
        Self {
            fields: [Average::EMPTY; FIELDS_MAX],
            method: Method::MovingAverage,
            window: 1,
            alpha: 1.0,
            forget_after_s: 0.0,
            last_t_ns: 0,
        }
    }

    fn configure(&mut self, config: &Config<'_>) -> Result<(), Reason> {
        let window = config.window() as usize;
        if window as f64 != config.window() {
            return Err(Reason::WindowNotWhole);
        }
        self.method = config.method();
        self.window = window;
        self.alpha = config.alpha();
        self.forget_after_s = config.forget_after_s();
        Ok(())
    }

    fn process(
        &mut self,
        input: Input<'_>,
        t_ns: i64,
        out: &mut retrotap_sdk::Output<'_>,
    ) -> Result<(), Reason> {
        let pause_s = t_ns.saturating_sub(self.last_t_ns) as f64 * 1e-9;
        if pause_s > self.forget_after_s {
            self.fields.fill(Average::EMPTY);
        }
        self.last_t_ns = t_ns;
        out.write(SMOOTHED, input.len(), |slots| {
            for (field, average) in self.fields.iter_mut().enumerate().take(input.len()) {
                let Some(value) = input.f64(field) else {
                    continue;
                };
                average.push(value, self.alpha);
                let smoothed = match self.method {
                    Method::MovingAverage => average.moving(self.window),
                    Method::Exponential => average.exponential(),
                };
                slots.f64(field, smoothed);
            }
        });
        Ok(())
    }
}

retrotap_sdk::export!(Smooth);
