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
        } else if inside
            && let Some(name) = line.split(['.', ' ', '=']).next()
            && name.starts_with("retrotap")
        {
            found.insert(name.to_owned());
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
        (
            "gateway",
            &[
                "retrotap-abi",
                "retrotap-adapters",
                "retrotap-host",
                // Only `retrotap bench` may name them, which a test below holds.
                "retrotap-stage-arm-distance",
                "retrotap-stage-axis-limits",
                "retrotap-stage-krc2-decode",
            ],
        ),
        // The gateway's library for the broker's address and TLS, and for its lines: frames are
        // computed again by the very code that computed them.
        ("lake", &["retrotap", "retrotap-abi", "retrotap-host"]),
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

/// The paths below `crate` that a source file names: a room and, where it is named, a part of it.
fn rooms_used(source: &str) -> BTreeSet<String> {
    // Tests inside a file may look further than the room itself.
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .filter_map(|rest| {
            let word = |text: &str| -> String {
                let letters = text
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_');
                letters.collect()
            };
            let room = word(rest);
            let part = rest[room.len()..]
                .strip_prefix("::")
                .map(word)
                .unwrap_or_default();
            match (
                room.is_empty(),
                part.starts_with(|c: char| c.is_lowercase()),
            ) {
                (true, _) => None,
                (false, true) => Some(format!("{room}::{part}")),
                (false, false) => Some(room),
            }
        })
        .collect()
}

fn sources(room: &Path) -> Vec<PathBuf> {
    if room.is_file() {
        return vec![room.to_owned()];
    }
    let mut found = Vec::new();
    let entries =
        std::fs::read_dir(room).unwrap_or_else(|error| panic!("{}: {error}", room.display()));
    for entry in entries {
        let path = entry
            .unwrap_or_else(|error| panic!("{}: {error}", room.display()))
            .path();
        let is_test = path
            .file_stem()
            .is_some_and(|name| name.to_string_lossy().ends_with("tests"));
        if path.is_dir() || (!is_test && path.extension().is_some_and(|kind| kind == "rs")) {
            found.extend(sources(&path));
        }
    }
    found
}

#[test]
fn rooms_of_the_gateway_know_the_words_and_not_each_other() {
    // What a room may name besides itself, the words, the time and the limits.
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("port", &["capture"][..]),
        ("capture", &[]),
        ("spool", &[]),
        ("uplink", &["spool", "config::broker"]),
        ("web", &[]),
        ("cell", &[]),
        ("modules", &[]),
        ("robot", &[]),
        ("config", &["cell"]),
        ("gauge", &["cell"]),
        ("simulate", &["port", "cell"]),
        ("demo_broker", &[]),
        (
            "line",
            &["port", "capture", "spool", "modules", "cell", "gauge"],
        ),
    ]);
    let everybody = ["words", "time", "config::limits"];
    let source = root().join("gateway/src");
    let mut rooms = BTreeSet::new();
    for entry in std::fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let room = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if ["lib", "main", "cli", "words", "time"].contains(&room.as_str()) {
            continue;
        }
        let Some(allowed) = allowed.get(room.as_str()) else {
            panic!("gateway/src/{room} is in no rule of this test");
        };
        for file in sources(&path) {
            for used in rooms_used(&read(&file)) {
                let inside = used == room || used.starts_with(&format!("{room}::"));
                let may = |list: &[&str]| {
                    list.iter()
                        .any(|rule| used == *rule || used.starts_with(&format!("{rule}::")))
                };
                assert!(
                    inside || may(allowed) || may(&everybody),
                    "{} must not know {used}",
                    file.display()
                );
            }
        }
        rooms.insert(room);
    }
    assert!(rooms.contains("line"), "the tour must be there");
}

#[test]
fn what_a_crate_is_for_stays_in_its_room() {
    // Names of crates, and where in the workspace's sources they may stand.
    let rules: &[(&str, &[&str])] = &[
        ("wasmtime::", &["pipelines/host/"]),
        ("spacewasm::", &["pipelines/host/"]),
        (
            "rumqttc::",
            &[
                "gateway/src/uplink/",
                "gateway/src/cli/bench",
                "gateway/src/bench",
                "lake/src/ingest/",
            ],
        ),
        ("rdkafka::", &["lake/src/"]),
        (
            "reqwest::",
            &[
                "gateway/src/cli/actions.rs",
                "lake/src/influx.rs",
                "lake/src/buckets.rs",
                "lake/src/cli.rs",
            ],
        ),
        (
            "sd_notify::",
            &["gateway/src/cli/service.rs", "gateway/src/port/store.rs"],
        ),
        ("mqtt5::", &["gateway/src/demo_broker.rs"]),
        ("gpiocdev::", &["gateway/src/cli/actions.rs"]),
        ("rusqlite::", &["gateway/src/spool/"]),
        ("urdf_rs::", &["gateway/src/robot/"]),
        ("axum::", &["gateway/src/web/", "lake/src/health.rs"]),
        (
            "retrotap_stage_",
            &["gateway/src/cli/bench", "gateway/src/bench"],
        ),
    ];
    for room in [
        "gateway/src",
        "lake/src",
        "adapters/src",
        "pipelines/abi/src",
        "pipelines/sdk/src",
    ] {
        for file in sources(&root().join(room)) {
            let text = read(&file);
            let name = file.to_string_lossy().replace('\\', "/");
            for &(what, places) in rules {
                let used = text
                    .lines()
                    .any(|line| !line.trim_start().starts_with("//") && line.contains(what));
                let allowed = places.iter().any(|place| name.contains(place));
                assert!(!used || allowed, "{name} must not know {what}");
            }
        }
    }
}

#[test]
fn the_top_level_is_the_one_of_the_design() {
    let expected: BTreeSet<&str> = [
        ".ci",
        ".dockerignore",
        ".git",
        ".gitignore",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "Makefile",
        "README.md",
        "adapters",
        "clippy.toml",
        "deny.toml",
        "docker",
        "docs",
        "gateway",
        "k8s",
        "lake",
        "pipelines",
        "target",
        "tests",
        "ui",
    ]
    .into();
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            expected.contains(name.as_str()),
            "`{name}` has no place at the top level"
        );
    }
}
