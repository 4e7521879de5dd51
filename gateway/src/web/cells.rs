//! Cells: what doesn't change in them, and what a client may ask of one.
//!
//! A request goes through a channel to whoever runs the cells, with the way back for its answer.
//! Nothing in here judges obstacles or parameters: who computes with them does.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use utoipa::ToSchema;

use super::access::{self, Pass, Peer, Who};
use super::problem::Problem;
use super::status::RecordText;
use super::{Room, answer};
use crate::config::limits::{CELL_ANSWERS_WITHIN, CELL_PARAMETERS_MAX};

/// What doesn't change in a cell: enough to draw its robots from their axes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Scene {
    /// Its robots.
    pub robots: Vec<SceneRobot>,
    /// What stands in it for good: obstacles, in metres in the cell's frame.
    #[schema(value_type = Vec<Object>)]
    pub fixtures: RecordText,
}

/// A robot in a scene.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SceneRobot {
    /// The machine.
    pub machine: String,
    /// Where its base stands in the cell's frame.
    pub base_pose: ScenePose,
    /// Its joints from the base on, as its stage has them.
    pub chain: Vec<SceneJoint>,
    /// The shapes that the distance is computed to.
    pub capsules: Vec<SceneCapsule>,
}

/// A pose: rotated by roll about x, then pitch about y, then yaw about z, then moved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct ScenePose {
    /// Metres.
    pub xyz: [f64; 3],
    /// Radians.
    pub rpy: [f64; 3],
}

/// A joint of a robot.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SceneJoint {
    /// `revolute` or `prismatic`.
    #[schema(example = "revolute")]
    pub kind: String,
    /// Where it stands in the frame of the joint before it, metres.
    pub origin: [f64; 3],
    /// How it is turned there, radians.
    pub rpy: [f64; 3],
    /// About or along what it moves, a unit vector.
    pub axis: [f64; 3],
    /// Which axis of the machine moves it, from 1.
    pub input: u32,
}

/// A capsule on a link.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SceneCapsule {
    /// Its name in records, such as `link_3`.
    pub name: String,
    /// After which joint it stands, from 0 for the base.
    pub link: u32,
    /// One end of its segment in that link's frame, metres.
    pub a: [f64; 3],
    /// The other end.
    pub b: [f64; 3],
    /// Metres.
    pub radius: f64,
}

/// What a client wants of a cell.
#[derive(Debug)]
pub enum CellRequest {
    /// Take these obstacles for all that there are.
    Obstacles {
        /// Which cell.
        cell: String,
        /// The numbered snapshot as JSON text, as it comes by MQTT too.
        snapshot: String,
        /// Whether it was taken.
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    /// Compute with these values from now on.
    Parameters {
        /// Which cell.
        cell: String,
        /// Values by the parameter's name; all of them, or none, are taken.
        values: BTreeMap<String, Value>,
        /// What stood there before.
        answer: oneshot::Sender<Result<Changed, Refusal>>,
    },
}

/// The value of a parameter: a number in the unit that its name ends with, or a choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Value {
    /// A number; finite, since JSON has no other.
    Number(f64),
    /// One of the names that the stage offers.
    Choice(String),
}

/// What became of parameters.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Changed {
    /// Values before.
    pub was: BTreeMap<String, Value>,
    /// Values from now on.
    pub now: BTreeMap<String, Value>,
}

/// Why a cell doesn't do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is none of that name.
    #[error("There is no such cell.")]
    UnknownCell,
    /// It is understood and not right.
    #[error("{0}")]
    Invalid(String),
    /// Another is in use that isn't older.
    #[error("{0}")]
    Outdated(String),
    /// Faster than the cell takes them.
    #[error("They come faster than the cell takes them; the next one in {} s.", .0.as_secs_f64())]
    TooOften(Duration),
    /// It can't take any at the moment.
    #[error("{0}")]
    Unavailable(String),
}

/// The way to whoever runs the cells.
pub type Cells = mpsc::Sender<CellRequest>;

/// Takes a numbered snapshot for all obstacles that there are.
#[utoipa::path(
    post,
    path = "/api/v1/cells/{id}/obstacles",
    tag = "cells",
    params(("id" = String, Path, description = "The cell's name.")),
    request_body(content = Object, description = "As it comes by MQTT: `{\"v\":1,\"source\":\"lidar-1\",\"number\":4711,\"t\":\"…Z\",\"obstacles\":[{\"id\":\"p1\",\"kind\":\"capsule\",\"a\":[2,1,0],\"b\":[2,1,1.8],\"radius\":0.35,\"velocity\":[0.4,0,0]}]}`, in metres in the cell's frame. Complete: an empty list means that nobody is there. Numbers rise for each source."),
    responses(
        (status = 204, description = "The cell computes with it from now on."),
        (status = 403, description = "It takes an operator, or a token with the scope `obstacles`.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such cell.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A snapshot of that source with this number or a higher one is in use.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It isn't a snapshot.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "They come faster than the cell takes them; Retry-After says when the next one may.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The cell takes none at the moment.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn put_obstacles(
    State(room): State<Room>,
    Extension(pass): Extension<Pass>,
    Path(cell): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let from = Peer::of(&request);
    let snapshot = answer::text(request).await?;
    let by_hand = matches!(pass.who, Who::User { .. }).then(|| snapshot.clone());
    let (answer, answered) = oneshot::channel();
    let request = CellRequest::Obstacles {
        cell: cell.clone(),
        snapshot,
        answer,
    };
    if let Err(refused) = ask(&room.cells, request, answered).await {
        return Ok(refused_by(&cell, &refused));
    }
    // A program's snapshots are data and stand in the history; what a person says is a change.
    if let Some(text) = by_hand {
        let now = serde_json::from_str(&text).ok();
        let who = pass.who.named();
        access::routes::note(&room.access, &who, from, "obstacles_set", &cell, None, now).await?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Computes with these values from now on.
#[utoipa::path(
    put,
    path = "/api/v1/cells/{id}/parameters",
    tag = "cells",
    params(("id" = String, Path, description = "The cell's name.")),
    request_body(content = BTreeMap<String, Value>, description = "Values by the parameter's name, in the unit that the name ends with. All of them are taken, or none."),
    responses(
        (status = 200, description = "Values before and from now on.", body = Changed),
        (status = 403, description = "It takes an admin.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such cell.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "One of them can't be used; none was changed.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The cell takes none at the moment.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn put_parameters(
    State(room): State<Room>,
    Extension(pass): Extension<Pass>,
    Path(cell): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let from = Peer::of(&request);
    let values: BTreeMap<String, Value> = answer::body(request).await?;
    if !(1..=CELL_PARAMETERS_MAX).contains(&values.len()) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("There have to be 1 to {CELL_PARAMETERS_MAX} parameters."),
        ));
    }
    let (answer, answered) = oneshot::channel();
    let request = CellRequest::Parameters {
        cell: cell.clone(),
        values,
        answer,
    };
    let changed = match ask(&room.cells, request, answered).await {
        Ok(changed) => changed,
        Err(refused) => return Ok(refused_by(&cell, &refused)),
    };
    let (was, now) = (
        serde_json::to_value(&changed.was).ok(),
        serde_json::to_value(&changed.now).ok(),
    );
    let (who, action) = (pass.who.named(), "parameters_changed");
    access::routes::note(&room.access, &who, from, action, &cell, was, now).await?;
    Ok(answer::json(&changed))
}

/// Hands a request over and waits for its answer, neither for long.
async fn ask<T>(
    cells: &Cells,
    request: CellRequest,
    answered: oneshot::Receiver<Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let busy = || Refusal::Unavailable("The cell does not answer at the moment.".to_owned());
    cells.try_send(request).map_err(|_| busy())?;
    match tokio::time::timeout(CELL_ANSWERS_WITHIN, answered).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => Err(busy()),
    }
}

fn refused_by(cell: &str, refusal: &Refusal) -> Response {
    let (status, retry_after) = match refusal {
        Refusal::UnknownCell => {
            return Problem::new(
                StatusCode::NOT_FOUND,
                format!("There is no cell \"{cell}\" here."),
            )
            .into_response();
        }
        Refusal::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, None),
        Refusal::Outdated(_) => (StatusCode::CONFLICT, None),
        Refusal::TooOften(wait) => (StatusCode::TOO_MANY_REQUESTS, Some(wait.as_secs() + 1)),
        Refusal::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
    };
    let mut response = Problem::new(status, refusal.to_string()).into_response();
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
