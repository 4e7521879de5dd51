//! The YAML reader on its own: limits, units, positions, and what it refuses to guess.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use retrotap_adapters::yaml::{DEPTH_MAX, Document, FILE_BYTES_MAX, Node, PROBLEMS_MAX};

fn read<T>(text: &str, read: impl Fn(Node<'_>) -> Option<T>) -> Result<T, Vec<String>> {
    let document = match Document::parse(text, "f") {
        Ok(document) => document,
        Err(problems) => return Err(problems.iter().map(ToString::to_string).collect()),
    };
    let value = read(document.root());
    document
        .finish(value)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn first_line<T: std::fmt::Debug>(result: Result<T, Vec<String>>) -> String {
    result.unwrap_err()[0].lines().next().unwrap().to_owned()
}

#[test]
fn durations_and_sizes_need_their_units_and_keep_their_limits() {
    let duration = |text| read(text, |node| node.duration_ns(1_000..=60_000_000_000));
    assert_eq!(duration("200ms"), Ok(200_000_000));
    assert_eq!(duration("0.6s"), Ok(600_000_000));
    assert_eq!(duration("1 min"), Ok(60_000_000_000));
    assert_eq!(first_line(duration("200")), "f:1:1: 200 has no unit");
    assert_eq!(first_line(duration("2h")), "f:1:1: 2h is out of range");
    assert_eq!(first_line(duration("-1s")), "f:1:1: -1s is out of range");
    assert_eq!(
        first_line(duration("soon")),
        "f:1:1: `soon` is not a number with a unit"
    );
    let size = |text| read(text, |node| node.size_bytes(1..=2 << 30));
    assert_eq!(size("2GiB"), Ok(2 << 30));
    assert_eq!(size("1.5 kB"), Ok(1_500));
    let wrong_case = size("2gib").unwrap_err();
    assert_eq!(
        wrong_case,
        [
            "f:1:1: unknown unit `gib`\n  expected: a size with its unit (B, kB, MB, GB, KiB, MiB, GiB), 1B to 2GiB\n  did you mean `2GiB`?"
        ]
    );
}

#[test]
fn text_stays_what_stands_in_the_file() {
    for text in ["1e3", "yes", "0x10", "00", "1_000"] {
        assert_eq!(
            read(text, |node| node.text().map(str::to_owned)),
            Ok(text.to_owned())
        );
    }
    assert_eq!(
        first_line(read("~", |node| node.text().map(str::to_owned))),
        "f:1:1: left empty"
    );
    assert_eq!(
        first_line(read("''", |node| node.text().map(str::to_owned))),
        "f:1:1: empty text"
    );
}

#[test]
fn numbers_are_whole_or_not_and_never_in_quotes() {
    assert_eq!(read("-3", |node| node.signed(-5..=5)), Ok(-3));
    assert_eq!(read("2.5e1", |node| node.number(0.0..=100.0)), Ok(25.0));
    assert_eq!(read("true", |node| node.boolean()), Ok(true));
    assert_eq!(
        first_line(read("'5'", |node| node.whole(0..=9))),
        "f:1:1: \"5\" is text, because of the quotes"
    );
    assert_eq!(
        first_line(read("5.0", |node| node.whole(0..=9))),
        "f:1:1: `5.0` is not a whole number of 0 or more"
    );
    assert_eq!(
        first_line(read("0x5", |node| node.whole(0..=9))),
        "f:1:1: `0x5` is not a whole number of 0 or more"
    );
    assert_eq!(
        first_line(read(".nan", |node| node.number(0.0..=1.0))),
        "f:1:1: `.nan` is not a plain number"
    );
    assert_eq!(
        first_line(read("6", |node| node.signed(-5..=5))),
        "f:1:1: 6 is out of range"
    );
}

#[test]
fn names_of_the_users_own_come_with_their_values() {
    let entries = |node: Node<'_>| -> Option<Vec<(String, u64)>> {
        node.entries()?
            .map(|(name, node)| Some((name.to_owned(), node.whole(0..=9)?)))
            .collect()
    };
    assert_eq!(
        read("{b: 1, a: 2}", entries),
        Ok(vec![("b".to_owned(), 1), ("a".to_owned(), 2)])
    );
}

#[test]
fn an_optional_key_is_absent_or_right_or_a_problem() {
    let value = |node: Node<'_>| node.map(&["a"])?.optional("a", |node| node.whole(0..=9));
    assert_eq!(read("{}", value), Ok(None));
    assert_eq!(read("{a: 3}", value), Ok(Some(3)));
    assert_eq!(
        first_line(read("{a: x}", value)),
        "f:1:5: a: `x` is not a whole number of 0 or more"
    );
    assert_eq!(first_line(read("{a: }", value)), "f:1:2: a: left empty");
}

#[test]
fn positions_count_characters_and_survive_carriage_returns() {
    let problems = Document::parse("é: {\r\n  a: 1, ü: 2, ü: 3}\r\n", "f")
        .unwrap()
        .finish(None::<()>)
        .unwrap_err();
    let problem = &problems[0];
    assert_eq!(
        (problem.line, problem.column, problem.path.as_str()),
        (2, 15, "é")
    );
    assert_eq!(
        &"é: {\r\n  a: 1, ü: 2, ü: 3}\r\n"[problem.offset..][..problem.length],
        "ü"
    );
}

#[test]
fn what_is_no_plain_tree_is_refused() {
    let anything = |text: &str| read(text, |_| Some(()));
    assert_eq!(
        first_line(anything("a: &x 1\nb: *x\n")),
        "f:1:7: a: anchors and aliases are not used here; write the value out"
    );
    assert_eq!(anything("a: &x 1\nb: *x\n").unwrap_err().len(), 2);
    assert_eq!(
        first_line(anything("a: 1\n---\nb: 1\n")),
        "f:3:1: a second document; one file is one document"
    );
    assert_eq!(
        first_line(anything("[a]: 1\n")),
        "f:1:1: a key is a single word"
    );
    let deep = "[".repeat(DEPTH_MAX + 2) + &"]".repeat(DEPTH_MAX + 2);
    assert!(first_line(anything(&deep)).ends_with("nested deeper than 32 levels"));
    assert!(anything(&"a".repeat(FILE_BYTES_MAX + 1)).is_err());
    let doubled = "a: 1\n".repeat(PROBLEMS_MAX + 50);
    assert_eq!(anything(&doubled).unwrap_err().len(), PROBLEMS_MAX);
}

#[test]
fn a_document_laid_over_another_changes_what_it_names_and_keeps_its_own_place() {
    let mut document = Document::parse("a: {b: 1, c: 2}\nlist: [{d: 3}]\n", "base").unwrap();
    document.overlay(Document::parse("a: {c: x}\n", "over").unwrap());
    document.overlay_at(
        &["list", "0", "d"],
        Document::parse("y", "environment").unwrap(),
    );
    document.overlay_at(
        &["list", "7", "d"],
        Document::parse("z", "environment").unwrap(),
    );
    let root = document.root().map(&["a", "list"]).unwrap();
    let pair = root.required("a", |node| {
        let map = node.map(&["b", "c"])?;
        let (b, c) = (
            map.required("b", |node| node.whole(0..=9)),
            map.required("c", |node| node.whole(0..=9)),
        );
        assert_eq!(b, Some(1));
        c
    });
    root.required("list", |node| {
        node.list(1..=1, |node| {
            node.map(&["d"])?.required("d", |node| node.whole(0..=9))
        })
    });
    let problems = document.finish(pair).unwrap_err();
    let places: Vec<String> = problems
        .iter()
        .map(|problem| format!("{} {}", problem.file, problem.path))
        .collect();
    assert_eq!(
        places,
        ["over a.c", "environment list.7.d", "environment list[0].d"]
    );
}
