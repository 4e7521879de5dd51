//! Every machine that ships: its YAML keeps all rules, its tables are there and can be read.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use retrotap_adapters::framing::Framer;
use retrotap_adapters::yaml::Problem;
use retrotap_adapters::{schema, tables};
use std::fs;
use std::path::{Path, PathBuf};

fn machine_folders() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("machines");
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect()
}

fn read<T>(path: &Path, parse: impl Fn(&str, &str) -> Result<T, Vec<Problem>>) -> T {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&text, &path.display().to_string()).unwrap_or_else(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    })
}

#[test]
fn every_shipped_adapter_is_right_and_has_its_tables_and_a_readme() {
    let folders = machine_folders();
    assert!(!folders.is_empty());
    for folder in folders {
        let adapter = read(&folder.join("adapter.yaml"), schema::parse);
        assert_eq!(
            Some(adapter.name.as_str()),
            folder.file_name().unwrap().to_str()
        );
        for port in &adapter.ports {
            Framer::new(&port.framing).unwrap();
        }
        for file in adapter.table_files() {
            read(&folder.join(file), tables::parse_csv);
        }
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(
            readme.contains("RX and ground only"),
            "{}: the wiring must be said",
            folder.display()
        );
    }
}

#[test]
fn every_csv_file_of_a_machine_is_used() {
    for folder in machine_folders() {
        let adapter = read(&folder.join("adapter.yaml"), schema::parse);
        for path in fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(
                !name.ends_with(".csv") || adapter.table_files().contains(&name),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn the_chain_of_the_kr_150_2_reaches_its_flange_at_zero() {
    // With all axes at zero nothing is turned: the flange is the sum of the origins, 2.93, 0, 0.695.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("machines/kuka-krc2");
    let chain = read(&folder.join("kr-150-2.chain.csv"), tables::parse_csv);
    let sum = |name: &str| -> f64 {
        let column = chain
            .columns
            .iter()
            .position(|column| column == name)
            .unwrap();
        chain.rows.iter().map(|row| row.values[column]).sum()
    };
    assert!((sum("origin_x_m") - 2.93).abs() < 1e-9);
    assert!(sum("origin_y_m").abs() < 1e-9);
    assert!((sum("origin_z_m") - 0.695).abs() < 1e-9);
    assert_eq!(chain.rows.len(), 6);
    let capsules = read(&folder.join("kr-150-2.capsules.csv"), tables::parse_csv);
    let links: Vec<f64> = capsules.rows.iter().map(|row| row.values[0]).collect();
    assert_eq!(links, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

#[test]
fn every_robot_has_both_tables_and_says_where_they_come_from() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("robots");
    let mut robots = 0;
    for path in fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        let mut kinds = Vec::new();
        for file in fs::read_dir(&path).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let Some(stem) = name.strip_suffix(".csv") else {
                continue;
            };
            let table = read(&path.join(&name), tables::parse_csv);
            let columns = if stem.ends_with(".chain") { 11 } else { 8 };
            assert_eq!(table.columns.len(), columns, "{name}");
            kinds.push(stem.split('.').next_back().unwrap().to_owned());
        }
        kinds.sort();
        assert_eq!(kinds, ["capsules", "chain"], "{}", path.display());
        let readme = fs::read_to_string(path.join("README.md")).unwrap();
        assert!(readme.contains("| source |"), "{}", path.display());
        robots += 1;
    }
    assert!(robots >= 2);
}
