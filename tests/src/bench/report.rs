//! Figures with their samples, budgets and conditions, printed as they are seen.

use std::process::Command;

use crate::binary::repository;

/// What a budget asks for.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    /// There is none.
    None,
    /// The figure may not be above it.
    AtMost(f64),
    /// The figure may not be below it.
    AtLeast(f64),
}

/// Says what is measured where: the first lines of a run.
pub fn head(quick: bool) {
    let commit = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(repository())
        .output()
        .map_or_else(
            |_| "unknown".to_owned(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        );
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(1).collect();
    println!(
        "commit {commit}, {}, {cores} cores, load before {}",
        model(),
        load.concat()
    );
    if quick {
        println!("QUICK: too few samples to believe");
    }
    if cfg!(debug_assertions) {
        println!("NOT OPTIMISED: says nothing about speed; build with --release");
    }
}

/// What the kernel calls the processor; a Raspberry Pi's has `Model` and no `model name`.
fn model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    value("model name")
        .or_else(|| value("Model"))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// A new group of figures.
pub fn title(text: &str) {
    println!("\n{text}");
}

/// One figure.
pub fn figure(name: &str, value: f64, unit: &str, samples: u64, budget: Budget) {
    let verdict = |met: bool| if met { "met" } else { "MISSED" };
    let judged = match budget {
        Budget::None => String::new(),
        Budget::AtMost(most) => format!("at most {}, {}", digits(most), verdict(value <= most)),
        Budget::AtLeast(least) => {
            format!("at least {}, {}", digits(least), verdict(value >= least))
        }
    };
    let seen = format!("{} {unit}", digits(value));
    println!("  {name:<62} {seen:>18}  {judged:<26} {samples:>8}");
}

/// What a figure has to be read with.
pub fn note(text: &str) {
    println!("    {text}");
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
