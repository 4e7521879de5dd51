//! Figures with their units, budgets and numbers of samples, as a table and as JSON.

use std::fmt;

use serde::Serialize;

/// All figures of one run, and where they were seen.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// What was built: set by `RETROTAP_COMMIT` when it was.
    commit: &'static str,
    machine: Machine,
    /// Too few samples to believe.
    quick: bool,
    /// Without optimisation nothing here says anything about speed.
    optimised: bool,
    figures: Vec<Figure>,
}

#[derive(Debug, Serialize)]
struct Machine {
    model: String,
    cores: usize,
}

/// One figure.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    samples: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Budget>,
    /// What it is compared with, or how it was measured.
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
}

#[derive(Debug, Serialize)]
struct Budget {
    #[serde(flatten)]
    bound: Bound,
    met: bool,
}

/// What a budget asks for.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    pub(super) fn new(
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        samples: usize,
    ) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            samples,
            budget: None,
            note: String::new(),
        }
    }

    pub(super) fn budget(mut self, bound: Bound) -> Self {
        let met = match bound {
            Bound::AtMost(most) => self.value <= most,
            Bound::AtLeast(least) => self.value >= least,
        };
        self.budget = Some(Budget { bound, met });
        self
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl Report {
    pub(super) fn new(quick: bool) -> Self {
        Self {
            commit: option_env!("RETROTAP_COMMIT").unwrap_or("unknown"),
            machine: Machine {
                model: model().unwrap_or_else(|| "unknown".to_owned()),
                cores: std::thread::available_parallelism().map_or(0, usize::from),
            },
            quick,
            optimised: !cfg!(debug_assertions),
            figures: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, figures: Vec<Figure>) {
        self.figures.extend(figures);
    }
}

/// What the kernel calls the processor; a Raspberry Pi's has `Model` and no `model name`.
fn model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    value("model name").or_else(|| value("Model"))
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { model, cores } = &self.machine;
        writeln!(formatter, "commit {}, {model}, {cores} cores", self.commit)?;
        if self.quick {
            writeln!(formatter, "QUICK: too few samples to believe")?;
        }
        if !self.optimised {
            writeln!(
                formatter,
                "NOT OPTIMISED: says nothing about speed; build with --release"
            )?;
        }
        writeln!(
            formatter,
            "\n{:<58} {:>12}  {:<24} {:>7}",
            "", "seen", "budget", "samples"
        )?;
        for figure in &self.figures {
            let seen = format!("{} {}", digits(figure.value), figure.unit);
            let budget = figure.budget.as_ref().map_or_else(String::new, |budget| {
                let (relation, value) = match budget.bound {
                    Bound::AtMost(value) => ("at most", value),
                    Bound::AtLeast(value) => ("at least", value),
                };
                let verdict = if budget.met { "met" } else { "MISSED" };
                format!("{relation} {}, {verdict}", digits(value))
            });
            writeln!(
                formatter,
                "{:<58} {seen:>12}  {budget:<24} {:>7}",
                figure.name, figure.samples
            )?;
            if !figure.note.is_empty() {
                writeln!(formatter, "    {}", figure.note)?;
            }
        }
        Ok(())
    }
}

/// Three digits that count, and no more of what is larger.
fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_met_on_its_side_of_the_bound() {
        let met = |figure: Figure| figure.budget.is_some_and(|budget| budget.met);
        let figure = || Figure::new("a", 2.5, "x", 1);
        assert!(met(figure().budget(Bound::AtMost(2.5))));
        assert!(!met(figure().budget(Bound::AtMost(2.4))));
        assert!(met(figure().budget(Bound::AtLeast(2.5))));
        assert!(!met(figure().budget(Bound::AtLeast(2.6))));
        assert!(!met(
            Figure::new("a", f64::NAN, "x", 0).budget(Bound::AtMost(1.0))
        ));
    }
}
