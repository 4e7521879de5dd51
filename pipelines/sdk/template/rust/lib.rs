//! The highest of each number within a window of time.
#![cfg_attr(target_arch = "wasm32", no_std)]

pub mod manifest;

use manifest::{Config, Contract, FIELDS_MAX, Input, Output, PEAKS, Reason};

/// The stage.
#[derive(Debug)]
pub struct Peaks {
    /// The highest of each field, as far as it came.
    highest: [Option<f64>; FIELDS_MAX],
    fields: usize,
    window_ns: i64,
    /// When the window began, if one has.
    start_ns: Option<i64>,
}

impl retrotap_sdk::Stage for Peaks {
    type Contract = Contract;

    fn new() -> Self {
        Self {
            highest: [None; FIELDS_MAX],
            fields: 0,
            window_ns: 0,
            start_ns: None,
        }
    }

    fn configure(&mut self, config: &Config<'_>) -> Result<(), Reason> {
        self.window_ns = (config.window_s() * 1e9) as i64;
        Ok(())
    }

    fn process(&mut self, input: Input<'_>, t_ns: i64, out: &mut Output<'_>) -> Result<(), Reason> {
        self.start_ns.get_or_insert(t_ns);
        self.fields = input.len();
        for (field, highest) in self.highest.iter_mut().enumerate().take(input.len()) {
            if let Some(value) = input.f64(field)
                && highest.is_none_or(|highest| value > highest)
            {
                *highest = Some(value);
            }
        }
        self.tick(t_ns, out)
    }

    fn tick(&mut self, t_ns: i64, out: &mut Output<'_>) -> Result<(), Reason> {
        if self.start_ns.is_some_and(|start_ns| t_ns - start_ns >= self.window_ns) {
            out.write(PEAKS, self.fields, |slots| {
                for (field, highest) in self.highest.iter().enumerate() {
                    if let Some(highest) = highest {
                        slots.f64(field, *highest);
                    }
                }
            });
            self.highest.fill(None);
            self.start_ns = None;
        }
        Ok(())
    }
}

retrotap_sdk::export!(Peaks);
