//! What happened: transitions of cells and alarms, the newest of them, in memory.
//!
//! Whoever puts the gateway together writes into the [`Journal`]; what it forgets stands in the
//! history still.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::status::RecordText;
use super::{Room, answer};
use crate::config::limits::{EVENTS_DEFAULT, EVENTS_MAX};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A cell changed its state.
    SeparationState {
        /// When, by the gateway's wall clock.
        #[schema(format = DateTime)]
        t: String,
        /// Whose record it is.
        machine: String,
        /// The record `separation_state` with all terms of the decision, byte for byte as it left.
        #[schema(value_type = Object)]
        record: RecordText,
    },
    /// Something needs somebody, or doesn't any more.
    Alarm {
        /// When, by the gateway's wall clock.
        #[schema(format = DateTime)]
        t: String,
        /// Whose alarm; absent for the gateway's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        machine: Option<String>,
        /// Its name.
        #[schema(example = "line_silent")]
        alarm: String,
        /// Whether it began or ended.
        active: bool,
        /// What a person should know or do.
        detail: String,
    },
}

/// The newest events. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    events: Arc<Mutex<VecDeque<Event>>>,
}

impl Journal {
    /// Adds an event; the oldest one goes where there are too many.
    pub fn put(&self, event: Event) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == EVENTS_MAX {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// The newest ones, oldest first, and whether there are more.
    pub fn newest(&self, limit: usize) -> (Vec<Event>, bool) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = events.len().saturating_sub(limit);
        (
            events.iter().skip(left_out).cloned().collect(),
            left_out > 0,
        )
    }
}

/// What the journal is asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Question {
    /// So many events at most; 100 unless said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// What happened of late.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventsAnswer {
    /// Oldest first: the newest ones.
    events: Vec<Event>,
    /// Whether there are older ones that `limit` left out.
    more: bool,
}

/// What happened of late: transitions of cells and alarms.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "gateway",
    params(Question),
    responses(
        (status = 200, description = "The newest events of all machines. Older transitions are records `separation_state` of the history.", body = EventsAnswer),
        (status = 400, description = "The question isn't understood.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn events(State(room): State<Room>, uri: Uri) -> Result<Response, Problem> {
    let limit = answer::query::<Question>(&uri)?
        .limit
        .unwrap_or(EVENTS_DEFAULT);
    if !(1..=EVENTS_MAX).contains(&limit) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            format!("`limit` is {limit}, possible is 1 to {EVENTS_MAX}."),
        ));
    }
    let (events, more) = room.journal.newest(limit);
    Ok(answer::json(&EventsAnswer { events, more }))
}
