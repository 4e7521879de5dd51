//! Wrong adapters beside what is said about them: `invalid/<name>.yaml` and `invalid/<name>.err`.
//! `UPDATE_EXPECT=1 cargo test -p retrotap-adapters` writes the `.err` files anew.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use retrotap_adapters::yaml::Problem;
use retrotap_adapters::{schema, tables};
use std::fs;
use std::path::{Path, PathBuf};

fn invalid_files(extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

fn problems_of(path: &Path) -> Vec<Problem> {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    match path.extension().unwrap().to_str() {
        Some("csv") => tables::parse_csv(&text, name).err(),
        _ => schema::parse(&text, name).err(),
    }
    .unwrap_or_default()
}

fn said(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect()
}

#[test]
fn every_wrong_file_is_told_what_stands_beside_it() {
    let files = [invalid_files("yaml"), invalid_files("csv")].concat();
    assert!(files.len() >= 12);
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut different = Vec::new();
    for path in files {
        let problems = problems_of(&path);
        assert!(!problems.is_empty(), "{} is taken as right", path.display());
        let expected_path = path.with_extension(if path.extension().unwrap() == "csv" {
            "csv.err"
        } else {
            "err"
        });
        if update {
            fs::write(&expected_path, said(&problems)).unwrap();
        }
        let expected = fs::read_to_string(&expected_path).unwrap_or_default();
        if expected != said(&problems) {
            different.push(format!("{}:\n{}", path.display(), said(&problems)));
        }
    }
    assert!(
        different.is_empty(),
        "not what is expected:\n{}",
        different.join("\n")
    );
}

#[test]
fn ten_mistakes_in_one_file_are_ten_problems() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid");
    let problems = problems_of(&folder.join("ten-mistakes.yaml"));
    assert_eq!(problems.len(), 10, "{}", said(&problems));
}

#[test]
fn a_problem_stands_where_its_text_stands() {
    for path in invalid_files("yaml") {
        let text = fs::read_to_string(&path).unwrap();
        for problem in problems_of(&path) {
            let line = text.lines().nth(problem.line - 1).unwrap_or_default();
            assert!(problem.column <= line.chars().count() + 1, "{problem}");
            assert!(
                text.get(problem.offset..problem.offset + problem.length)
                    .is_some(),
                "{problem}"
            );
            let before: usize = text
                .lines()
                .take(problem.line - 1)
                .map(|line| line.len() + 1)
                .sum();
            let column_bytes: usize = line
                .chars()
                .take(problem.column - 1)
                .map(char::len_utf8)
                .sum();
            assert_eq!(problem.offset, before + column_bytes, "{problem}");
        }
    }
}
