//! Guests that misbehave: each is refused or contained with the same words by every engine, while a
//! healthy one beside it runs on. `tests/wrong/<name>.wat` has what it says in `<name>.txt`.
use std::sync::Arc;

use crate::support::{code, engines, folder, guest, load, manifest, spec, with_section};
use retrotap_host::limits::STRIKES_MAX;
use retrotap_host::{Engine, Module, Pipeline, Strike, Verdict};

/// What becomes of a guest, in one line.
fn fate(engine: &Engine, name: &str, healthy: &mut Pipeline) -> String {
    let bytes = with_section(&code(name), manifest().to_json().as_bytes());
    let module = match Module::parse(&bytes) {
        Ok(module) => Arc::new(module),
        Err(error) => return format!("refused: {error}"),
    };
    let mut pipeline = match Pipeline::load(engine, vec![spec(&module)]) {
        Ok(pipeline) => pipeline,
        Err(errors) => return format!("not started: {}", errors[0]),
    };
    let fate = words(pipeline.process(b"frame", 0).verdict());
    let mut strikes = u32::from(fate.starts_with("struck"));
    for t_ns in 1..20 {
        strikes +=
            u32::from(words(pipeline.process(b"frame", t_ns).verdict()) == fate && strikes > 0);
        assert_eq!(
            healthy.process(b"frame", t_ns).verdict(),
            Verdict::Accepted,
            "beside {name}"
        );
    }
    let aside = Verdict::Struck {
        stage: "guest",
        strike: Strike::SetAside,
    };
    if strikes > 0 {
        assert_eq!(strikes, STRIKES_MAX, "{name}");
        assert_eq!(pipeline.process(b"frame", 99).verdict(), aside, "{name}");
        assert_eq!(pipeline.set_aside(), Some("guest"), "{name}");
    } else {
        assert_eq!(pipeline.set_aside(), None, "{name}");
    }
    fate
}

fn words(verdict: Verdict<'_>) -> String {
    match verdict {
        Verdict::Accepted => "accepted".into(),
        Verdict::Rejected { reason, .. } => format!("rejected: {reason}"),
        Verdict::Struck { strike, .. } => format!("struck: {strike}"),
    }
}

#[test]
fn every_wrong_guest_is_refused_or_contained_by_name_in_every_engine() {
    let mut names: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "wat"));
    names.sort();
    assert!(names.len() > 30);
    let mut wrong = Vec::new();
    for engine in engines() {
        let mut healthy = load(&engine, &guest("healthy"));
        for path in &names {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let fate = fate(&engine, name, &mut healthy) + "\n";
            let golden = path.with_extension("txt");
            if std::env::var_os("UPDATE_GOLDEN").is_some() && !golden.exists() {
                std::fs::write(&golden, &fate).unwrap();
            }
            let expected = std::fs::read_to_string(&golden).unwrap_or_default();
            if fate != expected {
                wrong.push(format!(
                    "{name} in {engine:?}: {fate}  expected: {expected}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_strike_gives_a_fresh_instance_with_the_same_configuration() {
    for engine in engines() {
        let mut pipeline = load(&engine, &guest("loops_for_ever"));
        assert!(matches!(
            pipeline.process(b"frame", 0).verdict(),
            Verdict::Struck { .. }
        ));
        assert_eq!(pipeline.set_aside(), None);
        assert_eq!(pipeline.counts().next().unwrap().1.strikes, 1);
    }
}

#[test]
fn a_frame_longer_than_the_stage_takes_is_rejected() {
    for engine in engines() {
        let mut pipeline = load(&engine, &guest("healthy"));
        let verdict = pipeline.process(&[0; 17], 0).verdict();
        assert_eq!(
            verdict,
            Verdict::Rejected {
                stage: "guest",
                reason: retrotap_host::FRAME_TOO_LONG
            }
        );
        assert_eq!(pipeline.process(&[0; 16], 0).verdict(), Verdict::Accepted);
    }
}
