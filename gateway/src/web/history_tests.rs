//! What was, what happened, and what doesn't change, over a real socket.

use std::sync::Arc;
use std::sync::mpsc;

use serde_json::Value;

use super::history::{Asked, History, Past};
use super::tests::{Gateway, Setup};
use super::{Event, status::RecordText};
use crate::config::limits::{EVENTS_MAX, HISTORY_ANSWERS_MAX};

const AXES: &str = "/api/v1/history?machine=robot-1&record=axes";

#[tokio::test]
async fn the_history_is_the_newest_records_of_a_time_oldest_first() {
    let gateway = Gateway::start().await;
    let answer = gateway
        .get(&format!(
            "{AXES}&from=1970-01-01T00:00:10Z&to=1970-01-01T00:00:20Z&limit=3"
        ))
        .await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    let records = body["records"].as_array().unwrap();
    let degrees: Vec<f64> = records
        .iter()
        .map(|record| record["fields"]["axis_3_deg"].as_f64().unwrap())
        .collect();
    assert_eq!(degrees, [18.0, 19.0, 20.0]);
    assert_eq!(body["more"], true);
    assert_eq!(body["from"], "1970-01-01T00:00:18.000000000Z");
    // Digits as they left: 20.00 and not 20.0.
    assert!(String::from_utf8(answer.body).unwrap().contains("20.00"));

    let all = gateway.get(AXES).await.json();
    assert_eq!(all["records"].as_array().unwrap().len(), 100);
    assert_eq!(all["more"], false);
    assert!(all.get("from").is_none());
}

#[tokio::test]
async fn a_question_that_is_not_understood_whole_is_refused() {
    let gateway = Gateway::start().await;
    for (path, says) in [
        ("/api/v1/history?machine=robot-1", "record"),
        ("/api/v1/history", "machine"),
        (&format!("{AXES}&form=2026-11-20"), "form"),
        (&format!("{AXES}&from=yesterday"), "yesterday"),
        (
            &format!("{AXES}&from=2026-11-21&to=2026-11-20"),
            "later than",
        ),
        (&format!("{AXES}&limit=0"), "1 to 10000"),
        (&format!("{AXES}&limit=10001"), "1 to 10000"),
        (&format!("{AXES}&limit=many"), "limit"),
        ("/api/v1/events?limit=1001", "1 to 1000"),
        ("/api/v1/events?newest=3", "newest"),
    ] {
        let answer = gateway.get(path).await;
        answer.assert_problem(400);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(says), "{path}: {detail}");
    }
    let answer = gateway
        .get("/api/v1/history?machine=robot-7&record=axes")
        .await;
    answer.assert_problem(404);
}

#[tokio::test]
async fn a_history_that_cannot_be_read_says_why() {
    let gateway = Gateway::start().await;
    let answer = gateway
        .get("/api/v1/history?machine=robot-1&record=broken")
        .await;
    answer.assert_problem(503);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("the disk is gone"));
}

/// Reads until it is told to stop.
struct Slow(
    std::sync::Mutex<mpsc::Receiver<()>>,
    tokio::sync::mpsc::UnboundedSender<()>,
);

impl History for Slow {
    fn read(&self, _: &Asked) -> Result<Past, String> {
        let _ = self.1.send(());
        let _ = self.0.lock().unwrap().recv();
        Ok(Past::default())
    }
}

#[tokio::test]
async fn a_slow_disk_holds_up_so_many_questions_and_nothing_else() {
    let (release, wait) = mpsc::channel();
    let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let gateway = Gateway::with(Setup {
        history: Arc::new(Slow(wait.into(), began)),
        ..Setup::default()
    })
    .await;
    let gateway = Arc::new(gateway);
    let mut asking = Vec::new();
    for _ in 0..HISTORY_ANSWERS_MAX {
        let gateway = Arc::clone(&gateway);
        asking.push(tokio::spawn(async move { gateway.get(AXES).await.status }));
        begun.recv().await.unwrap();
    }
    let refused = gateway.get(AXES).await;
    refused.assert_problem(503);
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(gateway.get("/api/v1/status").await.status, 200);
    drop(release);
    for answer in asking {
        assert_eq!(answer.await.unwrap(), 200);
    }
    assert_eq!(gateway.get(AXES).await.status, 200);
}

fn alarm(number: usize) -> Event {
    Event::Alarm {
        t: "2026-11-20T10:55:00Z".to_owned(),
        machine: Some("robot-1".to_owned()),
        alarm: format!("alarm-{number}"),
        active: true,
        detail: String::new(),
    }
}

#[tokio::test]
async fn events_are_the_newest_ones_in_their_order() {
    let gateway = Gateway::start().await;
    assert_eq!(gateway.get("/api/v1/events").await.json()["more"], false);
    for number in 0..EVENTS_MAX + 5 {
        gateway.journal.put(alarm(number));
    }
    gateway.journal.put(Event::SeparationState {
        t: "2026-11-20T10:55:01Z".to_owned(),
        machine: "robot-1".to_owned(),
        record: RecordText::new(r#"{"fields":{"state":"stop","margin_m":0.310}}"#.into()),
    });
    let body = gateway.get("/api/v1/events?limit=2").await.json();
    assert_eq!(body["more"], true);
    assert_eq!(body["events"][0]["event"], "alarm");
    assert_eq!(
        body["events"][0]["alarm"],
        format!("alarm-{}", EVENTS_MAX + 4)
    );
    assert_eq!(body["events"][1]["event"], "separation_state");
    assert_eq!(body["events"][1]["record"]["fields"]["state"], "stop");
    let all = gateway
        .get(&format!("/api/v1/events?limit={EVENTS_MAX}"))
        .await
        .json();
    assert_eq!(all["events"][0]["alarm"], "alarm-6");
    assert_eq!(all["more"], false);
}

#[tokio::test]
async fn settings_and_scenes_are_handed_on() {
    let gateway = Gateway::start().await;
    let settings = gateway.get("/api/v1/settings").await;
    assert_eq!(settings.json()["site"], "aachen");
    let scene = gateway.get("/api/v1/cells/cell-3/scene").await;
    assert_eq!(scene.json()["robots"], Value::Array(Vec::new()));
    for path in [
        "/api/v1/cells/cell-4/scene",
        "/api/v1/cells/..%2F..%2Fetc/scene",
        "/api/v1/cells/../settings",
        "/api/v1/cells/cell-3",
    ] {
        gateway.get(path).await.assert_problem(404);
    }
}
