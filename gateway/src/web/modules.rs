//! Modules: what runs where, and another version in its place.
//!
//! A request goes through a channel to whoever changes modules, with the way back for its answer. Nothing
//! in here looks into a module, and nothing is written down here: whoever does it writes who did.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use utoipa::ToSchema;

use super::access::{Pass, Peer};
use super::problem::Problem;
use super::status::RecordText;
use super::{Room, answer};
use crate::config::limits::{MODULE_ANSWERS_WITHIN, MODULE_BYTES_MAX, SHADOW_MAX, SHADOW_MIN};

/// One stage of a machine and its module.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StageModules {
    /// The stage.
    #[schema(example = "arm-distance")]
    pub stage: String,
    /// What runs.
    pub running: ModuleShown,
    /// What a roll-back would bring.
    pub before: Option<ModuleShown>,
    /// What runs beside it, or has done so, and waits to be promoted.
    pub candidate: Option<CandidateShown>,
    /// What happened, oldest first.
    pub changes: Vec<ChangeShown>,
    /// The manifest of what runs: records, parameters with units and limits, tables, reasons.
    #[schema(value_type = Object)]
    pub manifest: RecordText,
}

/// A module.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModuleShown {
    /// Its stage and version.
    #[schema(example = "arm-distance@2.1.0")]
    pub module: String,
    /// SHA-256 of its file.
    pub sha256: String,
    /// Who signed it; absent for what ships.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// `shipped`, `folder` (the user's `stages_dir`) or `deployed`.
    pub origin: &'static str,
    /// Since when it runs; absent where it wasn't deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub since: Option<String>,
    /// Who put it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether it is still on probation, and goes back by itself if it misbehaves.
    pub on_probation: bool,
}

/// A module beside the one that runs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CandidateShown {
    /// Its stage and version.
    pub module: String,
    /// SHA-256 of its file.
    pub sha256: String,
    /// Who signed it.
    pub signed_by: String,
    /// Who brought it.
    pub by: String,
    /// How long it is to run beside the other, in seconds.
    pub shadow_s: f64,
    /// Whether that is over.
    pub finished: bool,
    /// What differs between the two, how often and by how much, and what both cost, in microseconds a frame.
    #[schema(value_type = Object)]
    pub report: RecordText,
}

/// Something that happened to a stage.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChangeShown {
    /// When.
    #[schema(format = DateTime)]
    pub t: String,
    /// `deployed`, `rolled_back` or `returned`.
    pub what: String,
    /// What runs from then on; absent: what ships.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Who did it.
    pub by: String,
    /// Why, where there is a reason.
    pub why: String,
}

/// A module was taken.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Deployed {
    /// Its stage and version.
    pub module: String,
    /// SHA-256 of its file.
    pub sha256: String,
    /// `running`, or `shadow` where it runs beside the one before.
    pub state: &'static str,
    /// What ran before it, or runs still.
    pub was: String,
    /// The number of the last frame that the one before computed; the next one is the new one's. Absent in
    /// a shadow run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_frame_before: Option<u64>,
    /// From its acceptance to its being in place, in milliseconds. Absent in a shadow run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap_ms: Option<f64>,
}

/// What a client wants of a machine's modules.
#[derive(Debug)]
pub enum ModuleRequest {
    /// What runs.
    List {
        /// The machine.
        machine: String,
        /// Its stages in order.
        answer: oneshot::Sender<Result<Vec<StageModules>, Refusal>>,
    },
    /// Run this in the place of what runs.
    Deploy {
        /// Whose.
        place: Place,
        /// The file.
        bytes: Vec<u8>,
        /// What its SHA-256 is to be.
        sha256: Option<String>,
        /// How long it is to run beside the other first, and then wait.
        shadow: Option<Duration>,
        /// What came of it.
        answer: oneshot::Sender<Result<Deployed, Refusal>>,
    },
    /// Run what ran beside.
    Promote {
        /// Whose.
        place: Place,
        /// What came of it.
        answer: oneshot::Sender<Result<Deployed, Refusal>>,
    },
    /// Run what ran before.
    RollBack {
        /// Whose.
        place: Place,
        /// What came of it.
        answer: oneshot::Sender<Result<Deployed, Refusal>>,
    },
}

/// A stage of a machine, and who wants something of it.
#[derive(Debug, Clone)]
pub struct Place {
    /// The machine.
    pub machine: String,
    /// The stage.
    pub stage: String,
    /// Who.
    pub by: String,
    /// From which address; empty where there is none.
    pub from: String,
}

/// Why modules stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such machine, or it doesn't run.
    #[error("There is no machine \"{0}\" here.")]
    UnknownMachine(String),
    /// It has no such stage.
    #[error("There is no stage \"{0}\" in that machine's pipeline.")]
    UnknownStage(String),
    /// The module fails a check.
    #[error("{why}")]
    Check {
        /// Its name.
        check: &'static str,
        /// Why.
        why: String,
    },
    /// There is nothing to do that with.
    #[error("{0}")]
    Nothing(String),
    /// It can't be done at the moment.
    #[error("{0}")]
    Unavailable(String),
}

/// The way to whoever changes modules.
pub type Modules = mpsc::Sender<ModuleRequest>;

/// What a machine's stages run.
#[utoipa::path(
    get,
    path = "/api/v1/machines/{id}/modules",
    tag = "modules",
    params(("id" = String, Path, description = "The machine's name.")),
    responses(
        (status = 200, description = "Its stages in order.", body = [StageModules]),
        (status = 404, description = "There is no such machine, or its line never began.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn list(
    State(room): State<Room>,
    Path(machine): Path<String>,
) -> Result<Response, Problem> {
    let (answer, answered) = oneshot::channel();
    let request = ModuleRequest::List { machine, answer };
    Ok(match ask(&room.modules, request, answered).await {
        Ok(stages) => answer::json(&stages),
        Err(refusal) => refused(&refusal),
    })
}

/// What stands behind the question mark of a deployment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    shadow_s: Option<f64>,
    sha256: Option<String>,
}

/// Runs a module in the place of what runs, at once or after a shadow run.
#[utoipa::path(
    post,
    path = "/api/v1/machines/{id}/modules/{stage}",
    tag = "modules",
    params(
        ("id" = String, Path, description = "The machine's name."),
        ("stage" = String, Path, description = "The stage's name."),
        ("shadow_s" = Option<f64>, Query, description = "Seconds for which it runs beside what runs, on the same frames; then it waits to be promoted. At once where not given."),
        ("sha256" = Option<String>, Query, description = "What its SHA-256 is to be, in hexadecimal digits.")
    ),
    request_body(content = Vec<u8>, description = "The module's file.", content_type = "application/wasm"),
    responses(
        (status = 200, description = "It runs, from the frame after `last_frame_before` on, and is on probation.", body = Deployed),
        (status = 202, description = "It runs beside what runs.", body = Deployed),
        (status = 403, description = "It takes an admin.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such machine or stage.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "It is larger than a module may be.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It fails a check, which is named; nothing has changed.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It can't be done at the moment; nothing has changed.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn deploy(
    State(room): State<Room>,
    Extension(pass): Extension<Pass>,
    Path((machine, stage)): Path<(String, String)>,
    uri: Uri,
    request: Request,
) -> Result<Response, Problem> {
    let wanted: Wanted = answer::query(&uri)?;
    let shadow = wanted.shadow_s.map(shadow).transpose()?;
    let place = place(&pass, &request, machine, stage);
    let bytes = answer::bytes(request, "application/wasm", MODULE_BYTES_MAX as usize).await?;
    let (answer, answered) = oneshot::channel();
    let request = ModuleRequest::Deploy {
        place,
        bytes: bytes.to_vec(),
        sha256: wanted.sha256,
        shadow,
        answer,
    };
    Ok(deployed(ask(&room.modules, request, answered).await))
}

/// Runs what ran beside what runs.
#[utoipa::path(
    post,
    path = "/api/v1/machines/{id}/modules/{stage}/promote",
    tag = "modules",
    params(
        ("id" = String, Path, description = "The machine's name."),
        ("stage" = String, Path, description = "The stage's name.")
    ),
    responses(
        (status = 200, description = "It runs, and is on probation.", body = Deployed),
        (status = 403, description = "It takes an admin.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such machine or stage.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is no candidate.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It fails a check by now; nothing has changed.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It can't be done at the moment; nothing has changed.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn promote(
    State(room): State<Room>,
    Extension(pass): Extension<Pass>,
    Path((machine, stage)): Path<(String, String)>,
    request: Request,
) -> Response {
    let place = place(&pass, &request, machine, stage);
    let (answer, answered) = oneshot::channel();
    deployed(
        ask(
            &room.modules,
            ModuleRequest::Promote { place, answer },
            answered,
        )
        .await,
    )
}

/// Runs what ran before.
#[utoipa::path(
    post,
    path = "/api/v1/machines/{id}/modules/{stage}/rollback",
    tag = "modules",
    params(
        ("id" = String, Path, description = "The machine's name."),
        ("stage" = String, Path, description = "The stage's name.")
    ),
    responses(
        (status = 200, description = "What ran before runs again.", body = Deployed),
        (status = 403, description = "It takes an admin.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such machine or stage.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nothing was deployed that could be taken back.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What ran before doesn't fit any more; nothing has changed.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It can't be done at the moment; nothing has changed.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn roll_back(
    State(room): State<Room>,
    Extension(pass): Extension<Pass>,
    Path((machine, stage)): Path<(String, String)>,
    request: Request,
) -> Response {
    let place = place(&pass, &request, machine, stage);
    let (answer, answered) = oneshot::channel();
    deployed(
        ask(
            &room.modules,
            ModuleRequest::RollBack { place, answer },
            answered,
        )
        .await,
    )
}

fn place(pass: &Pass, request: &Request, machine: String, stage: String) -> Place {
    Place {
        machine,
        stage,
        by: pass.who.named(),
        from: Peer::of(request).to_canonical().to_string(),
    }
}

fn shadow(seconds: f64) -> Result<Duration, Problem> {
    let wanted = Duration::try_from_secs_f64(seconds).ok();
    let is_possible = |wanted: &Duration| (SHADOW_MIN..=SHADOW_MAX).contains(wanted);
    wanted.filter(is_possible).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!(
                "A shadow run takes {} to {} seconds.",
                SHADOW_MIN.as_secs(),
                SHADOW_MAX.as_secs()
            ),
        )
    })
}

/// Hands a request over and waits for its answer: compiling takes its time.
async fn ask<T>(
    modules: &Modules,
    request: ModuleRequest,
    answered: oneshot::Receiver<Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let busy = || Refusal::Unavailable("Modules are being changed at the moment.".to_owned());
    modules.try_send(request).map_err(|_| busy())?;
    match tokio::time::timeout(MODULE_ANSWERS_WITHIN, answered).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => Err(busy()),
    }
}

fn deployed(answer: Result<Deployed, Refusal>) -> Response {
    match answer {
        Ok(deployed) => {
            let status = match deployed.state {
                "shadow" => StatusCode::ACCEPTED,
                _ => StatusCode::OK,
            };
            (status, answer::json(&deployed)).into_response()
        }
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::UnknownMachine(_) | Refusal::UnknownStage(_) => StatusCode::NOT_FOUND,
        Refusal::Check { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Nothing(_) => StatusCode::CONFLICT,
        Refusal::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = Problem::new(status, refusal.to_string()).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, 1.into());
    }
    response
}
