//! The arrows between the rooms, and the top level of the house, as ARCHITECTURE.md draws them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The crates of ours that a manifest names under `[dependencies]`; tests may know more.
fn our_dependencies(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]";
        } else if inside && let Some(name) = line.split(['.', ' ', '=']).next() {
            if name.starts_with("retrotap") {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn crates_depend_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("adapters", &[][..]),
        ("pipelines/abi", &[]),
        ("pipelines/sdk", &["retrotap-abi"]),
        ("pipelines/host", &["retrotap-abi", "retrotap-sdk"]),
        ("gateway", &["retrotap-abi", "retrotap-adapters", "retrotap-host"]),
    ]);
    for (room, allowed) in &allowed {
        let found = our_dependencies(&read(&root().join(room).join("Cargo.toml")));
        for name in &found {
            assert!(
                allowed.contains(&name.as_str()),
                "{room} must not depend on {name}"
            );
        }
    }
    for stage in std::fs::read_dir(root().join("pipelines/stages")).unwrap() {
        let manifest = stage.unwrap().path().join("Cargo.toml");
        if manifest.is_file() {
            for name in our_dependencies(&read(&manifest)) {
                assert_eq!(name, "retrotap-sdk", "{}", manifest.display());
            }
        }
    }
}

/// Rooms of the gateway that a source file names as `crate::room`.
fn rooms_used(source: &str) -> BTreeSet<String> {
    // Tests inside a file may look further than the room itself.
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .filter_map(|rest| {
            let room: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            (!room.is_empty()).then_some(room)
        })
        .collect()
}

fn sources(room: &Path) -> Vec<PathBuf> {
    if room.is_file() {
        return vec![room.to_owned()];
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(room).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.extension().is_some_and(|kind| kind == "rs") {
            found.extend(sources(&path));
        }
    }
    found
}

#[test]
fn rooms_of_the_gateway_know_the_words_and_not_each_other() {
    // What a room may name besides itself, `words` and `config::limits` in all of them.
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("port", &["capture"][..]),
        ("capture", &[]),
        ("spool", &[]),
        ("uplink", &["spool", "config"]),
        ("web", &[]),
        ("cell", &[]),
        ("modules", &["config"]),
        ("config", &["modules", "cell"]),
        ("gauge", &[]),
        ("simulate", &["port"]),
        ("line", &["port", "capture", "spool", "modules", "cell", "gauge"]),
    ]);
    let source = root().join("gateway/src");
    let mut rooms = BTreeSet::new();
    for entry in std::fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let room = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if ["lib", "main", "cli", "words"].contains(&room.as_str()) {
            continue;
        }
        let Some(allowed) = allowed.get(room.as_str()) else {
            panic!("gateway/src/{room} is in no rule of this test");
        };
        for file in sources(&path) {
            for used in rooms_used(&read(&file)) {
                let fine = used == room || used == "words" || allowed.contains(&used.as_str());
                let limits = used == "config" && !read(&file).contains("crate::config::{");
                assert!(fine || limits, "{} must not know {used}", file.display());
            }
        }
        rooms.insert(room);
    }
    assert!(rooms.contains("line"), "the tour must be there");
}

#[test]
fn the_top_level_is_the_one_of_the_design() {
    let expected: BTreeSet<&str> = [
        ".ci", ".git", ".gitignore", "ARCHITECTURE.md", "CHANGELOG.md", "Cargo.lock", "Cargo.toml",
        "LICENSE", "Makefile", "README.md", "adapters", "clippy.toml", "deny.toml", "docs",
        "gateway", "pipelines", "target", "tests", "ui",
    ]
    .into();
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(expected.contains(name.as_str()), "`{name}` has no place at the top level");
    }
}
