//! Holds what the lines said against what the database has.
//!
//! Red is: an entry that is missing without a `gap` record that tells of it; one that is there twice
//! or with another content; one that no line ever said; an order that is not the lines'; a hole in
//! the numbers that nothing explains; a `gap` whose count is wrong; a kill of the gateway without its
//! `gap`, or the other way round.
//!
//! What a killed gateway may take with it: the last lines of each machine, younger than
//! [`TAIL_MAX`], and only where a `gap` with the reason `restart` says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::history::{Found, Run, Said, same_fields};
use crate::influx::line_protocol::Value;

/// Line time between the first and the last line that a kill took. An entry is in the kernel's hands
/// within 5 ms; the rest is for a computer on which a dozen servers start at the same time, and in
/// which a machine says some twenty records.
pub const TAIL_MAX: Duration = Duration::from_millis(200);

/// A time that would not increase is moved by nanoseconds; a step back of more than this begins a new
/// epoch instead.
const TIME_MOVED_MAX_NS: i64 = 1_000_000_000 + 1_000_000;

/// What kind of wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// A line said it, and it is nowhere.
    Lost,
    /// One name stands twice.
    Doubled,
    /// It is there with another content.
    Altered,
    /// No line ever said it, or not at this place in the order.
    Invented,
    /// A number is missing and no `gap` record says why.
    Unexplained,
    /// A `gap` record tells of another number of entries than are missing.
    Miscounted,
    /// The gateway was killed and no `gap` says so, or one says so and it wasn't.
    Restart,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub wrong: Wrong,
    /// Where.
    pub place: String,
}

/// What was counted on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Records that the lines said.
    pub said: u64,
    /// Of them, those that are in the database.
    pub arrived: u64,
    /// `gap` records, by reason.
    pub gaps: BTreeMap<String, u64>,
    /// Records missing with numbers that a `gap` names.
    pub missing_with_numbers: u64,
    /// Records missing that a `gap` counts, before they had numbers.
    pub missing_without_numbers: u64,
    /// Records that kills of the gateway took.
    pub missing_after_kills: u64,
    /// The most that one kill took from one machine, and over which line time.
    pub tail_max: (u64, Duration),
    /// Epochs of all machines.
    pub epochs: u64,
}

/// What the judge says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// Nothing here is green.
    pub findings: Vec<Finding>,
    /// What was counted.
    pub figures: Figures,
}

impl Verdict {
    fn find(&mut self, wrong: Wrong, place: impl Into<String>) {
        self.findings.push(Finding {
            wrong,
            place: place.into(),
        });
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        for finding in self.findings.iter().take(SHOWN) {
            writeln!(f, "  {:?}: {}", finding.wrong, finding.place)?;
        }
        let more = self.findings.len().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(f, "  and {more} more")?;
        }
        let Figures {
            said,
            arrived,
            gaps,
            missing_with_numbers,
            missing_without_numbers,
            missing_after_kills,
            tail_max: (tail, over),
            epochs,
        } = &self.figures;
        writeln!(
            f,
            "  {said} records said, {arrived} arrived, {epochs} epochs"
        )?;
        writeln!(
            f,
            "  missing and told: {missing_with_numbers} with numbers, {missing_without_numbers} \
             without; gaps {gaps:?}"
        )?;
        write!(
            f,
            "  {missing_after_kills} taken by kills of the gateway, at most {tail} at once, said \
             within {} ms (allowed {} ms)",
            over.as_millis(),
            TAIL_MAX.as_millis()
        )
    }
}

/// A `gap` record.
#[derive(Debug, Clone)]
struct Gap {
    epoch: u64,
    seq: u64,
    reason: String,
    count: Option<u64>,
    numbers: Option<(u64, u64, u64)>,
    since_until: Option<(i64, i64)>,
    /// Missing lines that were put down to it.
    used: u64,
}

impl Gap {
    fn of(found: &Found) -> Option<Self> {
        let text = |name: &str| match found.fields.get(name) {
            Some(Value::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let integer = |name: &str| match found.fields.get(name) {
            Some(Value::Integer(value)) => u64::try_from(*value).ok(),
            _ => None,
        };
        let numbers = [integer("of_epoch"), integer("first"), integer("last")];
        Some(Self {
            epoch: found.epoch,
            seq: found.seq,
            reason: text("reason")?.to_owned(),
            count: integer("count"),
            numbers: match numbers {
                [Some(epoch), Some(first), Some(last)] => Some((epoch, first, last)),
                _ => None,
            },
            since_until: text("since")
                .and_then(unix_ns)
                .zip(text("until").and_then(unix_ns)),
            used: 0,
        })
    }

    fn place(&self) -> String {
        let Self {
            epoch, seq, reason, ..
        } = self;
        format!("gap {epoch}/{seq} ({reason})")
    }
}

/// Nanoseconds of a time as entries write it, `2026-11-20T14:50:24.718817385Z`.
pub fn unix_ns(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let fraction = text.get(19..)?.strip_suffix('Z')?;
    let fraction_ns = match fraction.strip_prefix('.') {
        None if fraction.is_empty() => 0,
        Some(digits) if (1..=9).contains(&digits.len()) => {
            digits.parse::<i64>().ok()? * 10_i64.pow(9 - digits.len() as u32)
        }
        _ => return None,
    };
    // Days of the Gregorian calendar, counted from March, so that a leap day is a year's last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000 + fraction_ns)
}

/// The verdict on a whole history: the gateway's processes in the order of their starts, and the
/// database's entries.
pub fn judge(runs: &[Run], found: &[Found]) -> Verdict {
    let mut verdict = Verdict::default();
    let said = runs.iter().flat_map(|run| run.said.keys());
    let machines: BTreeSet<&String> = said
        .chain(found.iter().map(|found| &found.machine))
        .collect();
    for machine in machines {
        let mut entries: Vec<&Found> = found
            .iter()
            .filter(|found| found.machine == *machine)
            .collect();
        entries.sort_by_key(|found| (found.epoch, found.seq));
        of_machine(machine, runs, &entries, &mut verdict);
    }
    verdict
}

fn of_machine(machine: &str, runs: &[Run], entries: &[&Found], verdict: &mut Verdict) {
    let mut seqs: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    let (mut records, mut gaps) = (Vec::new(), Vec::new());
    for entry in entries {
        let name = format!("{machine} {}/{}", entry.epoch, entry.seq);
        if entry.conflicts > 0 {
            verdict.find(
                Wrong::Altered,
                format!(
                    "{name}: written {} times with other fields",
                    entry.conflicts
                ),
            );
        }
        if entry.seq == 0 || !seqs.entry(entry.epoch).or_default().insert(entry.seq) {
            verdict.find(Wrong::Doubled, format!("{name} as {}", entry.record));
            continue;
        }
        if entry.record != "gap" {
            records.push(*entry);
            continue;
        }
        match Gap::of(entry) {
            Some(gap) => {
                *verdict.figures.gaps.entry(gap.reason.clone()).or_default() += 1;
                gaps.push(gap);
            }
            None => verdict.find(Wrong::Altered, format!("{name}: a gap without a reason")),
        }
    }
    verdict.figures.epochs += seqs.len() as u64;
    let holes = holes(machine, &seqs, &gaps, verdict);
    align(machine, runs, &records, &mut gaps, holes, verdict);
}

/// The numbers that are missing in each epoch, up to the last that is there or that a gap names. Each
/// must be named by a gap, and each gap must count what it names.
fn holes(
    machine: &str,
    seqs: &BTreeMap<u64, BTreeSet<u64>>,
    gaps: &[Gap],
    verdict: &mut Verdict,
) -> BTreeSet<(u64, u64)> {
    let mut named = BTreeSet::new();
    for gap in gaps {
        let Some((epoch, first, last)) = gap.numbers else {
            continue;
        };
        let place = format!("{machine} {}: {first} to {last} of {epoch}", gap.place());
        let numbers = last.checked_sub(first).map_or(0, |more| more + 1);
        let empty = BTreeSet::new();
        let there = seqs.get(&epoch).unwrap_or(&empty);
        let missing = numbers - there.range(first..=last.max(first)).count() as u64;
        // What was dropped may have arrived all the same, when only its `taken` was late; what is
        // missing was certainly dropped.
        match gap.count {
            Some(count) if first > 0 && numbers > 0 && (missing..=numbers).contains(&count) => {}
            count => verdict.find(
                Wrong::Miscounted,
                format!("{place}: counted {count:?}, missing {missing} of {numbers}"),
            ),
        }
        named.extend((first..=last).map(|seq| (epoch, seq)));
    }
    let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
    let there = seqs
        .iter()
        .flat_map(|(epoch, seqs)| seqs.last().map(|last| (*epoch, *last)));
    for (epoch, seq) in there.chain(named.iter().copied()) {
        let end = ends.entry(epoch).or_default();
        *end = seq.max(*end);
    }
    let mut holes = BTreeSet::new();
    for (epoch, end) in ends {
        let there = seqs.get(&epoch);
        for seq in (1..=end).filter(|seq| there.is_none_or(|there| !there.contains(seq))) {
            holes.insert((epoch, seq));
            if !named.contains(&(epoch, seq)) {
                verdict.find(
                    Wrong::Unexplained,
                    format!("{machine} {epoch}/{seq} is missing"),
                );
            }
        }
    }
    holes
}

/// Whether this entry is what the line said, but for its fields.
fn same_place(said: &Said, entry: &Found) -> bool {
    let moved_ns = entry.t_ns.saturating_sub(said.wall_ns);
    said.record == entry.record
        && said.frame == entry.frame
        && (0..=TIME_MOVED_MAX_NS).contains(&moved_ns)
}

fn same(said: &Said, entry: &Found) -> bool {
    same_place(said, entry)
        && said.module == entry.module
        && same_fields(&said.fields, &entry.fields)
}

/// A `restart` is the first entry of its epoch, and no line says it. Where it was dropped itself with
/// what came after it, it is told again further on, and takes one number of that hole.
fn forgive_told_again(restart: &Gap, gaps: &[Gap], holes: &mut BTreeSet<(u64, u64)>) {
    let epoch = restart.epoch;
    let from_the_first = gaps
        .iter()
        .filter_map(|gap| gap.numbers)
        .find(|(of, first, last)| (*of, *first) == (epoch, 1) && *last < restart.seq);
    if let Some((_, first, last)) = from_the_first {
        let left = holes.range((epoch, first)..=(epoch, last)).next().copied();
        left.map(|hole| holes.remove(&hole));
    }
}

/// Lays both orders beside each other and accounts for every line that has no entry.
fn align(
    machine: &str,
    runs: &[Run],
    records: &[&Found],
    gaps: &mut [Gap],
    mut holes: BTreeSet<(u64, u64)>,
    verdict: &mut Verdict,
) {
    let nothing = Vec::new();
    let lines: Vec<(usize, &Said)> = runs
        .iter()
        .enumerate()
        .flat_map(|(run, of)| {
            let said = of.said.get(machine).unwrap_or(&nothing);
            said.iter().map(move |said| (run, said))
        })
        .collect();
    verdict.figures.said += lines.len() as u64;

    // Which entry each line has.
    let mut entry_of: Vec<Option<&Found>> = vec![None; lines.len()];
    let mut next = 0;
    for entry in records {
        let name = format!("{machine} {}/{} {}", entry.epoch, entry.seq, entry.record);
        let ahead = || lines[next..].iter().map(|(_, said)| said);
        let found = ahead().position(|said| same(said, entry));
        let found = found.or_else(|| {
            let altered = ahead().position(|said| same_place(said, entry))?;
            verdict.find(
                Wrong::Altered,
                format!(
                    "{name}: said {:?}, found {:?}",
                    lines[next + altered].1,
                    entry
                ),
            );
            Some(altered)
        });
        match found {
            Some(ahead) => {
                entry_of[next + ahead] = Some(entry);
                next += ahead + 1;
            }
            None => {
                let before = lines[..next].iter().any(|(_, said)| same(said, entry));
                let why = if before {
                    "out of the lines' order"
                } else {
                    "no line said it"
                };
                verdict.find(Wrong::Invented, format!("{name}: {why}"));
            }
        }
    }
    verdict.figures.arrived += entry_of.iter().flatten().count() as u64;

    // Stretches of lines without an entry, each within one run.
    let mut at = 0;
    while at < lines.len() {
        if entry_of[at].is_some() {
            at += 1;
            continue;
        }
        let run = lines[at].0;
        let end = (at..lines.len())
            .find(|&index| entry_of[index].is_some() || lines[index].0 != run)
            .unwrap_or(lines.len());
        let named = |index: usize| entry_of[index].map(|entry| (lines[index].0, entry));
        let before = (0..at).rev().find_map(named);
        let after = (end..lines.len()).find_map(named);
        // The holes that may be this stretch's: two runs have no epoch in common.
        let from = before.map_or((0, 0), |(of, entry)| match of == run {
            true => (entry.epoch, entry.seq),
            false => (entry.epoch + 1, 0),
        });
        let to = after.map_or((u64::MAX, u64::MAX), |(of, entry)| match of == run {
            true => (entry.epoch, entry.seq),
            false => (entry.epoch, 0),
        });
        let tail = end == lines.len() || lines[end].0 != run;
        let mut taken_by_kill = Vec::new();
        for (_, said) in &lines[at..end] {
            let told = gaps.iter_mut().find(|gap| {
                gap.numbers.is_none()
                    && gap.count.is_some_and(|count| gap.used < count)
                    && gap
                        .since_until
                        .is_some_and(|(since, until)| (since..=until).contains(&said.wall_ns))
            });
            if let Some(gap) = told {
                gap.used += 1;
                verdict.figures.missing_without_numbers += 1;
                continue;
            }
            // Runs that share an epoch are found elsewhere.
            let within = (from < to).then(|| holes.range(from..to));
            let hole = within.and_then(|mut within| within.next()).copied();
            if let Some(hole) = hole {
                holes.remove(&hole);
                verdict.figures.missing_with_numbers += 1;
            } else if tail && runs[run].killed {
                taken_by_kill.push(*said);
            } else {
                verdict.find(Wrong::Lost, format!("{machine} run {run}: {said:?}"));
            }
        }
        if let (Some(first), Some(last)) = (taken_by_kill.first(), taken_by_kill.last()) {
            let over = Duration::from_nanos(last.line_ns.saturating_sub(first.line_ns));
            let count = taken_by_kill.len() as u64;
            if over > TAIL_MAX {
                verdict.find(
                    Wrong::Lost,
                    format!(
                        "{machine} run {run}: a kill took {count} lines of {over:?}, from {first:?}"
                    ),
                );
            }
            verdict.figures.missing_after_kills += count;
            verdict.figures.tail_max = verdict.figures.tail_max.max((count, over));
        }
        at = end;
    }
    for gap in gaps.iter().filter(|gap| gap.reason == "restart") {
        forgive_told_again(gap, gaps, &mut holes);
    }
    for hole in holes {
        verdict.find(
            Wrong::Miscounted,
            format!(
                "{machine} {}/{}: named as missing, but no line lacks it",
                hole.0, hole.1
            ),
        );
    }
    for gap in gaps
        .iter()
        .filter(|gap| gap.numbers.is_none() && gap.reason != "restart")
    {
        if gap.count != Some(gap.used) {
            let (counted, missing) = (gap.count, gap.used);
            verdict.find(
                Wrong::Miscounted,
                format!(
                    "{machine} {}: counted {counted:?}, missing {missing}",
                    gap.place()
                ),
            );
        }
    }
    restarts(machine, runs, &lines, &entry_of, gaps, verdict);
}

/// Between two processes that both left entries there is a `restart` gap exactly if one of them, or
/// one between, was killed.
fn restarts(
    machine: &str,
    runs: &[Run],
    lines: &[(usize, &Said)],
    entry_of: &[Option<&Found>],
    gaps: &[Gap],
    verdict: &mut Verdict,
) {
    // First and last epoch of each run that left any.
    let mut epochs: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    for ((run, _), entry) in lines.iter().zip(entry_of) {
        if let Some(entry) = entry {
            let (first, last) = epochs.entry(*run).or_insert((entry.epoch, entry.epoch));
            *first = entry.epoch.min(*first);
            *last = entry.epoch.max(*last);
        }
    }
    let of_restart = || gaps.iter().filter(|gap| gap.reason == "restart");
    let mut told = BTreeSet::new();
    let in_order: Vec<(usize, (u64, u64))> = epochs.into_iter().collect();
    for pair in in_order.windows(2) {
        let [(run, (_, last)), (later, (first, _))] = pair else {
            continue;
        };
        if last >= first {
            verdict.find(
                Wrong::Restart,
                format!("{machine}: run {later} goes on in epoch {first} of run {run}"),
            );
        }
        let between = of_restart().filter(|gap| gap.epoch > *last && gap.epoch <= *first);
        let between: Vec<_> = between.map(|gap| (gap.epoch, gap.seq)).collect();
        let killed = runs[*run..*later].iter().any(|run| run.killed);
        if killed && between.is_empty() {
            verdict.find(
                Wrong::Restart,
                format!("{machine}: run {run} was killed, and epoch {first} has no gap for it"),
            );
        }
        if killed {
            told.extend(between);
        }
    }
    // A process that was killed before its first line may have told of the kill before it, and the
    // first and the last have nobody on their other side.
    let (first, last) = match (in_order.first(), in_order.last()) {
        (Some((first, (begin, _))), Some((last, (_, end)))) => ((*first, *begin), (*last, *end)),
        _ => return,
    };
    for gap in of_restart().filter(|gap| !told.contains(&(gap.epoch, gap.seq))) {
        let before = gap.epoch <= first.1 && runs[..first.0].iter().any(|run| run.killed);
        let after = gap.epoch > last.1 && runs[last.0..].iter().any(|run| run.killed);
        if !before && !after {
            verdict.find(
                Wrong::Restart,
                format!("{machine} {}: nobody was killed then", gap.place()),
            );
        }
    }
}

#[cfg(test)]
mod tests;
