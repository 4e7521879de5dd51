//! The command line as somebody meets it who has read nothing.

use retrotap_tests::binary::{self, run};

/// The commands that `retrotap --help` lists.
fn commands() -> Vec<String> {
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    let (_, list) = help
        .out
        .split_once("Commands:\n")
        .expect("a list of commands");
    let list = list.lines().take_while(|line| !line.trim().is_empty());
    // What a command does may go on in the next line, which is indented further.
    let names = list.filter_map(|line| {
        line.strip_prefix("  ")?
            .split_whitespace()
            .next()
            .filter(|_| !line.starts_with("   "))
    });
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn all_commands_are_listed() {
    let commands = commands();
    for command in [
        "demo", "run", "check", "ports", "record", "replay", "simulate",
    ] {
        assert!(
            commands.iter().any(|listed| listed == command),
            "{command} isn't in {commands:?}"
        );
    }
}

#[test]
fn the_help_of_every_command_says_what_it_does_and_shows_an_example() {
    for command in commands() {
        let help = run(&[&command, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (Some(0), ""), "{command}");
        let (_, examples) = help
            .out
            .split_once("Example")
            .unwrap_or_else(|| panic!("{command} has no example"));
        assert!(
            examples.contains(&format!("\n  retrotap {command}")),
            "{examples}"
        );
        let first = help.out.lines().next().unwrap_or_default();
        assert!(
            first.len() > 10 && !first.starts_with("Usage"),
            "{command} says nothing: {first}"
        );
    }
}

#[test]
fn an_option_that_is_none_ends_every_command_with_2_and_its_name() {
    for command in commands() {
        let ended = run(&[&command, "--no-such-option"]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{command}");
        assert!(ended.err.contains("--no-such-option"), "{}", ended.err);
    }
}

#[test]
fn a_command_that_is_none_and_no_command_at_all_end_with_2() {
    let ended = run(&["replai"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.err.contains("replay"),
        "the close one is shown: {}",
        ended.err
    );
    let ended = run(&[]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("Usage"), "{}", ended.err);
}

#[test]
fn the_version_is_that_of_the_package() {
    let ended = run(&["--version"]);
    assert_eq!(
        ended.out,
        format!("retrotap {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn ports_are_a_json_array_for_programs() {
    let ended = run(&["ports", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let ports: Vec<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_str(&ended.out).expect("an array of objects");
    assert!(ports.iter().all(|port| port.contains_key("port")));
}

#[test]
fn a_new_stage_wants_a_name_and_a_place_that_are_free_and_a_build_wants_a_stage() {
    let folder = tempfile::tempdir().expect("a folder");
    let run_there = |arguments: &[&str]| {
        let output = std::process::Command::new(binary::retrotap())
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .expect("it runs");
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), err)
    };
    for name in [
        "", "Peaks", "../peaks", "4peaks", "peaks-", "a--b", "peaks_1",
    ] {
        let (code, err) = run_there(&["stage", "new", name, "--lang", "c"]);
        assert_eq!(code, Some(1), "{name}");
        assert!(err.contains("is not a stage's name"), "{err}");
    }
    let (code, err) = run_there(&["stage", "new", "peaks", "--lang", "cobol"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("rust, as, c"), "{err}");
    assert_eq!(
        run_there(&["stage", "new", "peaks", "--lang", "c"]).0,
        Some(0)
    );
    let (code, err) = run_there(&["stage", "new", "peaks", "--lang", "as"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("peaks is there already"), "{err}");
    assert!(!folder.path().join("peaks/package.json").exists());

    let (code, err) = run_there(&["stage", "build", "."]);
    assert_eq!(code, Some(1));
    assert!(err.contains("manifest.yaml"), "{err}");
    std::fs::remove_file(folder.path().join("peaks/stage.c")).expect("it was there");
    let (code, err) = run_there(&["stage", "build", "peaks"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("not a stage's folder"), "{err}");
    std::fs::write(folder.path().join("peaks/manifest.yaml"), "stage: Peaks").expect("written");
    let (code, err) = run_there(&["stage", "build", "peaks"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("missing field"), "{err}");
    let (code, err) = run_there(&["stage", "test", "nowhere"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("nowhere"), "{err}");
}
