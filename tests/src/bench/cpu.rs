//! Processor time of processes, as the kernel counts it.

/// The clock ticks a hundred times a second on every Linux.
const TICKS_PER_S: f64 = 100.0;

/// Seconds of processor time that a process with all its threads has had, user and system.
///
/// # Panics
///
/// There is no such process.
pub fn seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    parse(&stat).expect("proc_pid_stat(5)")
}

/// The name stands in parentheses and may hold anything.
fn parse(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_S)
}

/// Parts of a chain with their processes, and what each has had since a moment.
#[derive(Debug)]
pub struct Watch(Vec<(&'static str, u32, f64)>);

impl Watch {
    /// Counts from now on.
    pub fn start(parts: &[(&'static str, u32)]) -> Self {
        let parts = parts.iter();
        Self(
            parts
                .map(|(name, process)| (*name, *process, seconds(*process)))
                .collect(),
        )
    }

    /// Seconds of each part until now.
    pub fn until_now(&self) -> Vec<(&'static str, f64)> {
        let parts = self.0.iter();
        parts
            .map(|(name, process, before)| (*name, seconds(*process) - before))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_read_behind_a_name_with_anything_in_it() {
        let stat = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1";
        assert_eq!(parse(stat), Some(2.0));
        assert_eq!(parse("42 (line) S 1"), None);
    }

    #[test]
    fn work_of_this_process_is_seen() {
        let before = seconds(std::process::id());
        let began = std::time::Instant::now();
        while seconds(std::process::id()) <= before {
            assert!(began.elapsed().as_secs() < 60, "nothing is counted");
        }
    }
}
