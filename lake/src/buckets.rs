//! Buckets of the database, and the tasks that make one point a minute of many.
//!
//! What is missing is made; a bucket that is there is left as it is, whatever its retention. A task's
//! text belongs to this program: where it differs it is put back, so that a new version of it arrives.
//!
//! Two tasks, because records may come late: one each minute for what came in time, and one each hour
//! that goes over the last day again, for what a gateway held while its network was away. What comes
//! later than that is in the bucket of single points only.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::influx::{Failure, Influx};

/// The text of both tasks, with names in braces where they differ.
const DOWNSAMPLE: &str = include_str!("downsample.flux");

/// How long points are kept; for ever where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Single points.
    pub points: Option<Duration>,
    /// One point a minute.
    pub minutes: Option<Duration>,
}

#[derive(Deserialize)]
struct Orgs {
    orgs: Vec<Named>,
}

#[derive(Deserialize)]
struct Buckets {
    buckets: Vec<Named>,
}

#[derive(Deserialize)]
struct Tasks {
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Task {
    id: String,
    name: String,
    flux: String,
}

/// A task as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    name: String,
    flux: String,
}

/// Makes what is missing, and puts back what was changed.
///
/// # Errors
///
/// The database can't be reached, or doesn't allow it.
pub async fn ensure(influx: &Influx, retention: Retention) -> Result<(), Failure> {
    let org = org_id(influx).await?;
    let minutes = format!("{}_1m", influx.bucket());
    bucket(influx, &org, influx.bucket(), retention.points).await?;
    bucket(influx, &org, &minutes, retention.minutes).await?;
    for wanted in wanted(influx.org(), influx.bucket()) {
        task(influx, &org, &wanted).await?;
    }
    Ok(())
}

async fn org_id(influx: &Influx) -> Result<String, Failure> {
    let answer = influx
        .call(Method::GET, "orgs", &[("org", influx.org())], None)
        .await?;
    let orgs: Orgs = read(&answer)?;
    orgs.orgs
        .into_iter()
        .find(|org| org.name == influx.org())
        .map(|org| org.id)
        .ok_or_else(|| Failure::Person {
            cause: "not_found",
            why: format!("there is no organisation {}: correct --org", influx.org()),
        })
}

async fn bucket(
    influx: &Influx,
    org: &str,
    name: &str,
    retention: Option<Duration>,
) -> Result<(), Failure> {
    let query = [("name", name), ("orgID", org)];
    match influx.call(Method::GET, "buckets", &query, None).await {
        Ok(answer) => {
            let buckets: Buckets = read(&answer)?;
            if buckets.buckets.iter().any(|bucket| bucket.name == name) {
                return Ok(());
            }
        }
        Err(Failure::Person {
            cause: "not_found", ..
        }) => {}
        Err(failure) => return Err(failure),
    }
    let rules = match retention {
        Some(time) => json!([{"type": "expire", "everySeconds": time.as_secs()}]),
        None => json!([]),
    };
    let body = json!({"orgID": org, "name": name, "retentionRules": rules}).to_string();
    match influx.call(Method::POST, "buckets", &[], Some(body)).await {
        Ok(_) => {
            tracing::info!(bucket = name, "made");
            Ok(())
        }
        // Another sink was faster.
        Err(Failure::Content { why, .. }) if why.contains("already exists") => Ok(()),
        Err(failure) => Err(failure),
    }
}

async fn task(influx: &Influx, org: &str, wanted: &Wanted) -> Result<(), Failure> {
    let query = [("name", wanted.name.as_str()), ("orgID", org)];
    let answer = influx.call(Method::GET, "tasks", &query, None).await?;
    let tasks: Tasks = read(&answer)?;
    let found = tasks
        .tasks
        .into_iter()
        .find(|task| task.name == wanted.name);
    match found {
        Some(task) if task.flux == wanted.flux => Ok(()),
        Some(task) => {
            let body = json!({"flux": wanted.flux, "status": "active"}).to_string();
            let path = format!("tasks/{}", task.id);
            influx.call(Method::PATCH, &path, &[], Some(body)).await?;
            tracing::info!(task = wanted.name, "put back");
            Ok(())
        }
        None => {
            let body = json!({"orgID": org, "flux": wanted.flux, "status": "active"}).to_string();
            influx.call(Method::POST, "tasks", &[], Some(body)).await?;
            tracing::info!(task = wanted.name, "made");
            Ok(())
        }
    }
}

fn read<'a, T: Deserialize<'a>>(answer: &'a str) -> Result<T, Failure> {
    serde_json::from_str(answer).map_err(|error| Failure::Person {
        cause: "answer",
        why: format!("the database's answer can't be read ({error}): is it InfluxDB 2?"),
    })
}

fn wanted(org: &str, bucket: &str) -> [Wanted; 2] {
    let task = |suffix: &str, every: &str, past: &str| {
        let name = format!("retrotap {bucket}_1m{suffix}");
        let flux = DOWNSAMPLE
            .replace("{name}", &flux_text(&name))
            .replace("{every}", every)
            .replace("{past}", past)
            .replace("{bucket}", &flux_text(bucket))
            .replace("{bucket_1m}", &flux_text(&format!("{bucket}_1m")))
            .replace("{org}", &flux_text(org));
        Wanted { name, flux }
    };
    [task("", "1m", "10m"), task(" late", "1h", "25h")]
}

/// A text in Flux: quoted, with what is special in it escaped.
fn flux_text(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace("${", "\\${");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_the_task_as_texts() {
        let [live, late] = wanted("my plant", "all \"records\"");
        for (task, every, past) in [
            (&live, "every: 1m,", "t: -10m,"),
            (&late, "every: 1h,", "t: -25h,"),
        ] {
            assert!(
                task.flux.contains(every) && task.flux.contains(past),
                "{}",
                task.flux
            );
            assert!(
                task.flux.contains(r#"from(bucket: "all \"records\"")"#),
                "{}",
                task.flux
            );
            assert_eq!(
                task.flux
                    .matches(r#"to(bucket: "all \"records\"_1m", org: "my plant")"#)
                    .count(),
                2
            );
        }
        assert_ne!(live.name, late.name);
        assert!(
            late.flux
                .contains(&format!("name: {}", flux_text(&late.name)))
        );
        assert_eq!(flux_text(r"a\${b}"), r#""a\\\${b}""#);
    }

    #[test]
    fn no_name_in_braces_is_left() {
        for task in wanted("o", "b") {
            for name in [
                "{name}",
                "{every}",
                "{past}",
                "{bucket}",
                "{bucket_1m}",
                "{org}",
            ] {
                assert!(!task.flux.contains(name), "{name}");
            }
        }
    }

    /// Each field is in one of the two halves, and it is the least of a distance that is kept.
    #[test]
    fn the_least_of_distances_and_the_mean_of_the_rest() {
        let halves: Vec<&str> = DOWNSAMPLE.split("\nnumbers\n").skip(1).collect();
        let [least, means] = halves[..] else {
            panic!("two halves: {DOWNSAMPLE}")
        };
        let pattern = |half: &str| {
            let (_, rest) = half.split_once("~ /").expect("a pattern");
            rest.split_once("/)").expect("its end").0.to_owned()
        };
        assert_eq!(pattern(least), pattern(means));
        assert!(
            least.contains("r._field =~ /") && least.contains("fn: min,"),
            "{least}"
        );
        assert!(
            means.contains("r._field !~ /") && means.contains("fn: mean,"),
            "{means}"
        );
        for half in [least, means] {
            assert!(
                half.contains("createEmpty: false") && half.contains("|> yield(name:"),
                "{half}"
            );
        }
        // The words of the pattern, as whole words of a field's name.
        assert_eq!(pattern(least), "(^|_)(distance|margin|separation)(_|$)");
        let words = ["distance", "margin", "separation"];
        let is_least = |field: &str| field.split('_').any(|word| words.contains(&word));
        assert!(
            is_least("distance_m") && is_least("margin_m") && is_least("protective_distance_m")
        );
        assert!(!is_least("flange_speed_m_per_s") && !is_least("distances"));
    }
}
