//! What was: records out of the gateway's history, for charts and for scrubbing back.
//!
//! What holds: a question reads and finds only so much, few of them are answered at once, and an
//! answer that its client doesn't fetch keeps its place, so that memory stays bounded. Nothing here
//! is waited for by whoever writes the history.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::status::RecordText;
use super::{Room, answer};
use crate::config::limits::{
    HISTORY_ANSWERS_MAX, HISTORY_RECORDS_DEFAULT, HISTORY_RECORDS_MAX, SENT_CHUNK_BYTES,
};
use crate::time::{parse_utc, rfc3339};

/// Where the past is read from.
pub trait History: Send + Sync {
    /// Reads it. May wait for a disk; is never called on a thread that others wait for.
    ///
    /// # Errors
    ///
    /// Why it can't be read, in a sentence.
    fn read(&self, asked: &Asked) -> Result<Past, String>;
}

/// Which records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The machine.
    pub machine: String,
    /// The record's name; `frame` and `input` for those.
    pub record: String,
    /// Not older than this, Unix nanoseconds.
    pub from_unix_ns: i64,
    /// Not younger than this, Unix nanoseconds.
    pub to_unix_ns: i64,
    /// So many at most.
    pub limit: usize,
}

/// What the history has of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// Each record's JSON as it left, oldest first; the newest ones of the time that was asked for.
    pub records: Vec<Arc<str>>,
    /// There may be older ones in that time.
    pub more: bool,
    /// From here on nothing is missing, Unix nanoseconds.
    pub reached_unix_ns: i64,
}

/// What the history is asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Question {
    /// The machine's name on this gateway.
    #[param(example = "robot-1")]
    machine: String,
    /// The record's name; `frame` and `input` for those.
    #[param(example = "separation")]
    record: String,
    /// Not older than this time, both included: RFC 3339 in UTC, or a date. Without it: from the
    /// beginning.
    #[param(example = "2026-11-20T10:55:00Z")]
    from: Option<String>,
    /// Not younger than this time. Without it: up to now.
    to: Option<String>,
    /// So many records at most, the newest ones; 1000 unless said.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<usize>,
}

impl Question {
    fn understood(self) -> Result<Asked, Problem> {
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
        let time = |name: &str, text: Option<String>, otherwise| {
            match text {
            None => Ok(otherwise),
            Some(text) => parse_utc(&text).ok_or_else(|| {
                bad(format!(
                    "`{name}` is no time in UTC such as 2026-11-20T10:55:00.5Z, and no date: {text}."
                ))
            }),
        }
        };
        let limit = self.limit.unwrap_or(HISTORY_RECORDS_DEFAULT);
        if !(1..=HISTORY_RECORDS_MAX).contains(&limit) {
            return Err(bad(format!(
                "`limit` is {limit}, possible is 1 to {HISTORY_RECORDS_MAX}."
            )));
        }
        let asked = Asked {
            from_unix_ns: time("from", self.from, i64::MIN)?,
            to_unix_ns: time("to", self.to, i64::MAX)?,
            machine: self.machine,
            record: self.record,
            limit,
        };
        if asked.from_unix_ns > asked.to_unix_ns {
            return Err(bad("`from` is later than `to`.".to_owned()));
        }
        Ok(asked)
    }
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryAnswer {
    /// Byte for byte as they left, oldest first: the newest ones of the time that was asked for.
    #[schema(value_type = Vec<Object>)]
    records: Vec<RecordText>,
    /// Whether there may be older ones in that time: ask again with `to` just before `from`.
    more: bool,
    /// From this time on nothing is missing; absent where that is the beginning.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

/// So many questions are answered at once.
pub(super) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(HISTORY_ANSWERS_MAX))
}

/// Records out of the history.
#[utoipa::path(
    get,
    path = "/api/v1/history",
    tag = "gateway",
    params(Question),
    responses(
        (status = 200, description = "The records of that name and time, at most as many as asked for, 8 MiB, or what stands in 4096 blocks of the spool.", body = HistoryAnswer),
        (status = 400, description = "The question isn't understood.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such machine.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Others are being answered, or the history can't be read.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn history(State(room): State<Room>, uri: Uri) -> Result<Response, Problem> {
    let asked = answer::query::<Question>(&uri)?.understood()?;
    if !room.knows_machine(&asked.machine) {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("There is no machine \"{}\" here.", asked.machine),
        ));
    }
    let Ok(place) = room.history_places.try_acquire_owned() else {
        let refused = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{HISTORY_ANSWERS_MAX} others are being answered; ask again in a second."),
        );
        return Ok(([(header::RETRY_AFTER, "1")], refused).into_response());
    };
    let source = room.history;
    let text = tokio::task::spawn_blocking(move || {
        let past = source.read(&asked)?;
        let found = HistoryAnswer {
            records: past.records.into_iter().map(RecordText::new).collect(),
            more: past.more,
            from: (past.reached_unix_ns != i64::MIN).then(|| rfc3339(past.reached_unix_ns)),
        };
        serde_json::to_vec(&found).map_err(|error| error.to_string())
    });
    let text = match text.await {
        Ok(Ok(text)) => text,
        Ok(Err(why)) => return Err(unreadable(&why)),
        Err(error) => return Err(unreadable(&error.to_string())),
    };
    let length = text.len();
    // In pieces that leave one after the other: the place is free when the last one is about to.
    let pieces =
        futures_util::stream::unfold((Bytes::from(text), place), |(mut rest, place)| async move {
            if rest.is_empty() {
                return None;
            }
            let piece = rest.split_to(SENT_CHUNK_BYTES.min(rest.len()));
            Some((Ok::<_, std::convert::Infallible>(piece), (rest, place)))
        });
    let mut response = answer::json_text(Body::from_stream(pieces));
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length.into());
    Ok(response)
}

fn unreadable(why: &str) -> Problem {
    tracing::warn!("the history can't be read: {why}");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("The history can't be read at the moment: {why}."),
    )
}
