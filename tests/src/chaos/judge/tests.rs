//! Histories that are right, and the same with one thing wrong: the judge must see each.

use retrotap::time::rfc3339;
use serde_json::json;

use super::*;

const SECOND: i64 = 1_000_000_000;
const BEGAN: i64 = 1_795_186_221 * SECOND;

/// What a line says as its `number`-th record of a run that began at `epoch`, one each 10 ms.
fn line(epoch: u64, number: u64) -> Said {
    let line_ns = number * 10_000_000;
    Said {
        record: "axes".into(),
        frame: number,
        wall_ns: BEGAN + epoch as i64 * 1000 * SECOND + line_ns as i64,
        line_ns,
        module: "krc2-decode@1.0.0".into(),
        fields: json!({"a": number as f64 + 0.5, "n": number})
            .as_object()
            .expect("an object")
            .clone(),
    }
}

fn entry(epoch: u64, seq: u64, said: &Said) -> Found {
    let value = |name: &str| said.fields[name].clone();
    Found {
        machine: "robot-1".into(),
        epoch,
        seq,
        record: said.record.clone(),
        t_ns: said.wall_ns,
        frame: said.frame,
        module: said.module.clone(),
        fields: BTreeMap::from([
            (
                "a".to_owned(),
                Value::Float(value("a").as_f64().expect("a float")),
            ),
            (
                "n".to_owned(),
                Value::Integer(value("n").as_i64().expect("an integer")),
            ),
        ]),
        conflicts: 0,
    }
}

fn gap(
    epoch: u64,
    seq: u64,
    reason: &str,
    integers: &[(&str, i64)],
    times: Option<[&str; 2]>,
) -> Found {
    let mut fields = BTreeMap::from([("reason".to_owned(), Value::Text(reason.into()))]);
    for (name, value) in integers {
        fields.insert((*name).to_owned(), Value::Integer(*value));
    }
    for (name, time) in ["since", "until"]
        .into_iter()
        .zip(times.into_iter().flatten())
    {
        fields.insert(name.to_owned(), Value::Text(time.into()));
    }
    Found {
        machine: "robot-1".into(),
        epoch,
        seq,
        record: "gap".into(),
        t_ns: 0,
        frame: 0,
        module: "retrotap@0.1.0".into(),
        fields,
        conflicts: 0,
    }
}

/// Two processes: the first says 100 records and is killed, which takes the last two with it; the
/// second says 50 and stops.
fn two_runs() -> (Vec<Run>, Vec<Found>) {
    let said = |epoch, count| -> Vec<Said> { (1..=count).map(|n| line(epoch, n)).collect() };
    let run = |said: Vec<Said>, killed| Run {
        said: BTreeMap::from([("robot-1".to_owned(), said)]),
        killed,
    };
    let (first, second) = (said(1, 100), said(2, 50));
    let mut found: Vec<Found> = (1..)
        .zip(&first[..98])
        .map(|(seq, said)| entry(1, seq, said))
        .collect();
    found.push(gap(2, 1, "restart", &[], None));
    found.extend((2..).zip(&second).map(|(seq, said)| entry(2, seq, said)));
    (vec![run(first, true), run(second, false)], found)
}

fn wrongs(runs: &[Run], found: &[Found]) -> BTreeSet<Wrong> {
    let verdict = judge(runs, found);
    verdict
        .findings
        .iter()
        .map(|finding| finding.wrong)
        .collect()
}

fn only(wrong: Wrong) -> BTreeSet<Wrong> {
    BTreeSet::from([wrong])
}

#[test]
fn a_history_without_fault_is_green_and_counted() {
    let (runs, found) = two_runs();
    let verdict = judge(&runs, &found);
    assert_eq!(verdict.findings, Vec::new());
    let expect = Figures {
        said: 150,
        arrived: 148,
        gaps: BTreeMap::from([("restart".to_owned(), 1)]),
        missing_with_numbers: 0,
        missing_without_numbers: 0,
        missing_after_kills: 2,
        tail_max: (2, Duration::from_millis(10)),
        epochs: 2,
    };
    assert_eq!(verdict.figures, expect);
}

#[test]
fn a_lost_entry_is_red_wherever_it_was() {
    let (runs, found) = two_runs();
    for index in [0, 1, 50] {
        let mut found = found.clone();
        found.remove(index);
        assert!(
            wrongs(&runs, &found).contains(&Wrong::Unexplained),
            "{index}"
        );
    }
    // The last of a run that stopped by itself leaves no hole: only the oracle knows of it.
    let mut without_last = found.clone();
    without_last.pop();
    assert_eq!(wrongs(&runs, &without_last), only(Wrong::Lost));
    // Numbered anew, so that no hole shows.
    let mut closed = found.clone();
    closed.remove(120);
    for entry in &mut closed[120..] {
        entry.seq -= 1;
    }
    assert_eq!(wrongs(&runs, &closed), only(Wrong::Lost));
    assert_eq!(wrongs(&runs, &[]), only(Wrong::Lost));
}

#[test]
fn a_machine_that_left_nothing_is_red() {
    let (mut runs, found) = two_runs();
    runs[1].said.insert("robot-2".into(), vec![line(2, 1)]);
    assert_eq!(wrongs(&runs, &found), only(Wrong::Lost));
}

#[test]
fn a_doubled_entry_is_red() {
    let (runs, found) = two_runs();
    let mut same_name = found.clone();
    let mut again = found[10].clone();
    again.t_ns += 1;
    same_name.push(again.clone());
    assert_eq!(wrongs(&runs, &same_name), only(Wrong::Doubled));
    // The same line under two names: in its epoch, and as the last of another.
    for (epoch, seq) in [(1, 99), (2, 52)] {
        let mut two_names = found.clone();
        two_names.push(Found {
            epoch,
            seq,
            ..again.clone()
        });
        assert_eq!(wrongs(&runs, &two_names), only(Wrong::Invented));
    }
}

#[test]
fn an_altered_entry_is_red() {
    let (runs, found) = two_runs();
    type Change = fn(&mut Found);
    let changes: [Change; 8] = [
        |found| found.conflicts = 1,
        |found| found.module = "krc2-decode@1.0.1".into(),
        |found| drop(found.fields.insert("a".into(), Value::Float(0.5))),
        |found| drop(found.fields.insert("n".into(), Value::Float(1.0))),
        |found| drop(found.fields.remove("n")),
        |found| drop(found.fields.insert("m".into(), Value::Boolean(true))),
        |found| found.t_ns += 2 * SECOND,
        |found| found.t_ns -= 1,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut found = found.clone();
        change(&mut found[20]);
        let said = wrongs(&runs, &found);
        let red = said.contains(&Wrong::Altered) || said.contains(&Wrong::Invented);
        assert!(red, "{index}: {said:?}");
    }
    let mut moved = found.clone();
    moved[20].t_ns += 1;
    assert_eq!(
        wrongs(&runs, &moved),
        BTreeSet::new(),
        "times are made to increase"
    );
}

#[test]
fn another_order_or_an_invented_entry_is_red() {
    let (runs, found) = two_runs();
    let mut swapped = found.clone();
    (swapped[20].seq, swapped[21].seq) = (swapped[21].seq, swapped[20].seq);
    assert!(wrongs(&runs, &swapped).contains(&Wrong::Invented));
    let mut invented = found.clone();
    invented.push(entry(2, 52, &line(2, 51)));
    assert_eq!(wrongs(&runs, &invented), only(Wrong::Invented));
}

#[test]
fn a_hole_with_its_gap_is_green_and_counted() {
    let (runs, found) = two_runs();
    let (with_gap, at) = hole(&found, 20, 9, 20, 29);
    assert_eq!(at.len(), 10);
    assert_eq!(
        wrongs(&runs, &with_gap),
        only(Wrong::Miscounted),
        "ten are missing, nine counted"
    );
    let (with_gap, _) = hole(&found, 20, 10, 20, 29);
    let verdict = judge(&runs, &with_gap);
    assert_eq!(verdict.findings, Vec::new());
    assert_eq!(verdict.figures.missing_with_numbers, 10);
    // Dropped, and had arrived nevertheless.
    let (with_gap, _) = hole(&found, 20, 15, 15, 29);
    assert_eq!(wrongs(&runs, &with_gap), BTreeSet::new());
}

#[test]
fn a_restart_that_was_dropped_itself_must_be_told_again() {
    let (runs, found) = two_runs();
    // The first eleven of the second epoch: its `restart`, and ten of its lines.
    let is_gone = |entry: &Found| entry.epoch == 2 && entry.seq <= 11;
    let mut found: Vec<Found> = found.into_iter().filter(|entry| !is_gone(entry)).collect();
    let numbers = [("count", 11), ("of_epoch", 2), ("first", 1), ("last", 11)];
    found.push(gap(2, 52, "disk_full", &numbers, None));
    let expect = BTreeSet::from([Wrong::Miscounted, Wrong::Restart]);
    assert_eq!(wrongs(&runs, &found), expect, "nobody tells of the kill");
    found.push(gap(2, 53, "restart", &[], None));
    let verdict = judge(&runs, &found);
    assert_eq!(verdict.findings, Vec::new());
    assert_eq!(verdict.figures.missing_with_numbers, 10);
    // It takes one number of its hole, and no other.
    let mut one_line_more = runs;
    let said = one_line_more[1].said.get_mut("robot-1").expect("it said");
    said.remove(0);
    assert_eq!(wrongs(&one_line_more, &found), only(Wrong::Miscounted));
}

/// Takes ten entries of the first epoch away from index `from` on, and tells of numbers as given in a
/// gap at the end.
fn hole(
    found: &[Found],
    from: usize,
    count: i64,
    first: i64,
    last: i64,
) -> (Vec<Found>, Vec<Found>) {
    let mut found = found.to_vec();
    let gone = found.drain(from - 1..from + 9).collect();
    let numbers = [
        ("count", count),
        ("of_epoch", 1),
        ("first", first),
        ("last", last),
    ];
    found.push(gap(2, 52, "spool_full", &numbers, None));
    (found, gone)
}

#[test]
fn a_gap_that_counts_or_names_wrong_is_red() {
    let (runs, found) = two_runs();
    for (count, first, last) in [
        (11, 20, 29),
        (9, 20, 29),
        (9, 20, 28),
        (9, 21, 29),
        (0, 20, 29),
        (10, 29, 20),
    ] {
        let (with_gap, _) = hole(&found, 20, count, first, last);
        assert_ne!(
            wrongs(&runs, &with_gap),
            BTreeSet::new(),
            "{count} {first} {last}"
        );
    }
    // Numbers that never were.
    let mut never = found.clone();
    let numbers = [("count", 3), ("of_epoch", 2), ("first", 53), ("last", 55)];
    never.push(gap(2, 52, "spool_full", &numbers, None));
    assert_eq!(wrongs(&runs, &never), only(Wrong::Miscounted));
    let mut no_reason = found.clone();
    no_reason.push(gap(2, 52, "", &[], None));
    no_reason[149].fields.clear();
    assert!(wrongs(&runs, &no_reason).contains(&Wrong::Altered));
}

#[test]
fn what_was_lost_before_it_had_numbers_must_be_counted_rightly() {
    let (runs, mut found) = two_runs();
    // Lines 11 to 15 of the second run never got numbers.
    let gone: Vec<Found> = found.drain(109..114).collect();
    assert_eq!(gone[0].frame, 11);
    for entry in &mut found[109..] {
        entry.seq -= 5;
    }
    assert_eq!(wrongs(&runs, &found), only(Wrong::Lost));
    let (since, until) = (rfc3339(gone[0].t_ns), rfc3339(gone[4].t_ns));
    assert_eq!(unix_ns(&since), Some(gone[0].t_ns));
    for (count, expect) in [
        (5, BTreeSet::new()),
        (6, only(Wrong::Miscounted)),
        (4, only(Wrong::Lost)),
    ] {
        let mut found = found.clone();
        found.push(gap(
            2,
            47,
            "intake_full",
            &[("count", count)],
            Some([&since, &until]),
        ));
        assert_eq!(wrongs(&runs, &found), expect, "{count}");
    }
    // At another time.
    found.push(gap(
        2,
        47,
        "intake_full",
        &[("count", 5)],
        Some([&until, &until]),
    ));
    let both = BTreeSet::from([Wrong::Lost, Wrong::Miscounted]);
    assert_eq!(wrongs(&runs, &found), both);
}

#[test]
fn a_kill_may_take_only_the_youngest_and_must_be_told() {
    let (runs, found) = two_runs();
    let mut untold = found.clone();
    untold.remove(98);
    for entry in &mut untold[98..] {
        entry.seq -= 1;
    }
    assert_eq!(wrongs(&runs, &untold), only(Wrong::Restart));

    let mut stopped = runs.clone();
    stopped[0].killed = false;
    assert_eq!(
        wrongs(&stopped, &found),
        BTreeSet::from([Wrong::Lost, Wrong::Restart])
    );

    // 25 lines are 240 ms of line time.
    let mut too_many = found.clone();
    too_many.drain(75..98);
    assert_eq!(wrongs(&runs, &too_many), only(Wrong::Lost));

    // Not the youngest, but those before them, numbered without a hole.
    let mut middle = found.clone();
    middle.remove(90);
    for entry in &mut middle[90..97] {
        entry.seq -= 1;
    }
    assert_eq!(wrongs(&runs, &middle), only(Wrong::Lost));
}

#[test]
fn two_runs_in_one_epoch_are_red() {
    let (runs, mut found) = two_runs();
    found.remove(98);
    for (seq, entry) in (99..).zip(&mut found[98..]) {
        (entry.epoch, entry.seq) = (1, seq);
    }
    assert!(wrongs(&runs, &found).contains(&Wrong::Restart));
    // As numbers really collide: the second run's entries stand under the first one's names.
    let (runs, mut found) = two_runs();
    for entry in found.iter_mut().filter(|entry| entry.epoch == 2) {
        entry.epoch = 1;
    }
    assert!(wrongs(&runs, &found).contains(&Wrong::Doubled));
}

#[test]
fn a_step_of_the_clock_in_a_run_is_no_restart() {
    let (mut runs, mut found) = two_runs();
    // The second half of the second run says times of a day before, in the next epoch.
    let day = 86_400 * SECOND;
    for said in &mut runs[1].said.get_mut("robot-1").expect("there")[25..] {
        said.wall_ns -= day;
    }
    for (seq, entry) in (1..).zip(&mut found[124..]) {
        (entry.epoch, entry.seq) = (3, seq);
        entry.t_ns -= day;
    }
    assert_eq!(wrongs(&runs, &found), BTreeSet::new());
}

#[test]
fn times_are_read_as_entries_write_them() {
    assert_eq!(unix_ns("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(
        unix_ns("2000-02-29T12:00:00.5Z"),
        Some(951_825_600_500_000_000)
    );
    for ns in [
        BEGAN,
        BEGAN + 1,
        1_709_164_800 * SECOND,
        4_102_444_799 * SECOND + 999_999_999,
    ] {
        assert_eq!(unix_ns(&rfc3339(ns)), Some(ns));
    }
    for wrong in [
        "",
        "2026-11-20",
        "2026-11-20T14:50:24",
        "2026-11-20T14:50:24.Z",
        "2026-11-20T14:50:24.0000000001Z",
    ] {
        assert_eq!(unix_ns(wrong), None, "{wrong}");
    }
}
