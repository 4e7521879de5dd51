//! Modules over a real socket: who may change them, what is refused before anybody asks, and how a
//! refusal is told.

use tokio::sync::mpsc;

use super::access::accounts::Role;
use super::modules::{Deployed, ModuleRequest, Refusal};
use super::tests::{Answer, Gateway, Setup, read_answer};
use crate::config::limits::MODULE_BYTES_MAX;

const STAGE: &str = "/api/v1/machines/robot-1/modules/arm-distance";

/// Takes all modules but one that is `bad`, for the one machine that there is.
pub(super) async fn a_changer(mut requests: mpsc::Receiver<ModuleRequest>) {
    while let Some(request) = requests.recv().await {
        let deployed = |state| Deployed {
            module: "arm-distance@2.1.0".to_owned(),
            sha256: "00".repeat(32),
            state,
            was: "arm-distance@2.0.0".to_owned(),
            last_frame_before: None,
            swap_ms: None,
        };
        match request {
            ModuleRequest::List { machine, answer } => {
                let _ = answer.send(match machine.as_str() {
                    "robot-1" => Ok(Vec::new()),
                    _ => Err(Refusal::UnknownMachine(machine)),
                });
            }
            ModuleRequest::Deploy {
                place,
                bytes,
                shadow,
                answer,
                ..
            } => {
                let _ = answer.send(match (place.stage.as_str(), &bytes[..]) {
                    ("arm-distance", b"bad") => Err(Refusal::Check {
                        check: "wasm",
                        why: "refused by the check of its wasm: no.".to_owned(),
                    }),
                    ("arm-distance", _) => {
                        assert_eq!((&*place.machine, &*place.by), ("robot-1", "ann"));
                        Ok(deployed(if shadow.is_some() {
                            "shadow"
                        } else {
                            "running"
                        }))
                    }
                    _ => Err(Refusal::UnknownStage(place.stage)),
                });
            }
            ModuleRequest::Promote { answer, .. } => {
                let _ = answer.send(Err(Refusal::Nothing("There is no candidate.".to_owned())));
            }
            ModuleRequest::RollBack { answer, .. } => {
                let _ = answer.send(Ok(deployed("running")));
            }
        }
    }
}

async fn claimed() -> Gateway {
    let users = &[
        ("ann", Role::Admin),
        ("ben", Role::Operator),
        ("eve", Role::Viewer),
    ];
    Gateway::with(Setup {
        users,
        ..Setup::default()
    })
    .await
}

async fn post(gateway: &Gateway, path: &str, headers: &str, kind: &str, body: &str) -> Answer {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    read_answer(gateway.send(&request).await).await
}

#[tokio::test]
async fn an_admin_changes_modules_and_nobody_else_does() {
    let gateway = claimed().await;
    let wasm = "application/wasm";
    for path in [
        STAGE.to_owned(),
        format!("{STAGE}/promote"),
        format!("{STAGE}/rollback"),
    ] {
        post(&gateway, &path, "", wasm, "good")
            .await
            .assert_problem(401);
        for user in ["ben", "eve"] {
            let who = gateway.logged_in(user).await;
            let refused = post(&gateway, &path, &who.both(), wasm, "good").await;
            refused.assert_problem(403);
        }
        let ann = gateway.logged_in("ann").await;
        let without = post(&gateway, &path, &ann.cookie, wasm, "good").await;
        without.assert_problem(403);
    }
    let ann = gateway.logged_in("ann").await.both();
    let done = post(&gateway, STAGE, &ann, wasm, "good").await;
    assert_eq!(
        (done.status, &done.json()["state"]),
        (200, &"running".into())
    );
    let beside = format!("{STAGE}?shadow_s=10");
    let done = post(&gateway, &beside, &ann, wasm, "good").await;
    assert_eq!(
        (done.status, &done.json()["state"]),
        (202, &"shadow".into())
    );
    let back = post(&gateway, &format!("{STAGE}/rollback"), &ann, wasm, "").await;
    assert_eq!(back.status, 200);

    // Everybody who may look sees what runs.
    let eve = gateway.logged_in("eve").await;
    for (path, status) in [("robot-1", 200), ("robot-2", 404)] {
        let path = format!("/api/v1/machines/{path}/modules");
        let headers = format!("Host: localhost\r\n{}", eve.cookie);
        assert_eq!(gateway.ask("GET", &path, &headers).await.status, status);
    }
}

#[tokio::test]
async fn what_is_refused_is_told_with_its_reason() {
    let gateway = claimed().await;
    let ann = gateway.logged_in("ann").await.both();
    let other = "/api/v1/machines/robot-1/modules/other";
    let large = "x".repeat(MODULE_BYTES_MAX as usize + 1);
    for (path, kind, body, status, says) in [
        (STAGE, "application/wasm", "bad", 422, "check of its wasm"),
        (STAGE, "application/json", "good", 415, "application/wasm"),
        (STAGE, "application/wasm", large.as_str(), 413, "1048576"),
        (other, "application/wasm", "good", 404, "other"),
        (
            &format!("{STAGE}?shadow_s=0.5"),
            "application/wasm",
            "good",
            400,
            "1 to 28800 seconds",
        ),
        (
            &format!("{STAGE}?shadow_s=-1"),
            "application/wasm",
            "good",
            400,
            "1 to 28800 seconds",
        ),
        (
            &format!("{STAGE}?shadow=10s"),
            "application/wasm",
            "good",
            400,
            "shadow",
        ),
        (
            &format!("{STAGE}/promote"),
            "application/wasm",
            "",
            409,
            "no candidate",
        ),
    ] {
        let refused = post(&gateway, path, &ann, kind, body).await;
        refused.assert_problem(status);
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(says), "{path}: {detail}");
    }
}
