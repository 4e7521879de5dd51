//! The page and the HTTP API.
//!
//! [`serve`] answers at a [`Door`] until it is told to stop. It knows no other room of the gateway:
//! a watched [`Status`] comes in, the past is read through [`History`], and what a client asks of a
//! cell goes out through a channel to whoever runs it. Nothing that a client sends or doesn't read
//! makes a line wait. What is refused is refused as a [`Problem`].
//!
//! Reading order: `door` (connections), `guard` (which host, which headers), `access` (who may do
//! what), then the routes.

pub mod access;
mod answer;
pub mod cells;
mod door;
pub mod events;
mod guard;
pub mod history;
mod live;
pub mod modules;
mod openapi;
mod page;
mod problem;
pub mod status;
pub mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, FromRef, Path, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Router, middleware};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

pub use access::Access;
pub use door::{Door, Listen, WebError};
pub use events::{Event, Journal};
pub use history::History;
pub use problem::Problem;
pub use status::Status;

use access::{Need, Pass, routes};
use cells::{Cells, Scene};
use door::Names;
use modules::Modules;
use status::RecordText;

use crate::config::limits::{MODULE_BYTES_MAX, REQUEST_BYTES_MAX};

/// Live streams at once: panels, desks and a few curious phones. One more is told to come back.
pub const LIVE_CLIENTS_MAX: usize = 64;

/// What the page shows and where it asks: all that it knows of the gateway.
#[derive(Clone)]
pub struct Handed {
    /// The gateway as it stands, newest wins.
    pub state: watch::Receiver<Arc<Status>>,
    /// What was.
    pub history: Arc<dyn History>,
    /// What happened of late.
    pub journal: Journal,
    /// The settings as they run, without secrets.
    pub settings: RecordText,
    /// What doesn't change, by cell.
    pub scenes: Arc<BTreeMap<String, Scene>>,
    /// Whoever runs the cells.
    pub cells: Cells,
    /// Whoever changes the modules.
    pub modules: Modules,
    /// Who may do what.
    pub access: Arc<Access>,
}

/// What the handlers share.
#[derive(Clone)]
struct Room {
    state: watch::Receiver<Arc<Status>>,
    history: Arc<dyn History>,
    history_places: Arc<Semaphore>,
    journal: Journal,
    settings: RecordText,
    scenes: Arc<BTreeMap<String, Scene>>,
    cells: Cells,
    modules: Modules,
    access: Arc<Access>,
    shutdown: CancellationToken,
    live_places: Arc<Semaphore>,
}

impl Room {
    fn knows_machine(&self, name: &str) -> bool {
        let state = self.state.borrow();
        state.machines.iter().any(|machine| machine.id == name)
    }
}

impl FromRef<Room> for Arc<Access> {
    fn from_ref(room: &Room) -> Self {
        Arc::clone(&room.access)
    }
}

/// Serves page and API at that door until `shutdown` is cancelled; live streams end with it. A
/// connection's fault ends that connection alone.
pub async fn serve(door: Door, handed: Handed, shutdown: CancellationToken) {
    let access = Arc::clone(&handed.access);
    let room = Room {
        state: handed.state,
        history: handed.history,
        history_places: history::places(),
        journal: handed.journal,
        settings: handed.settings,
        scenes: handed.scenes,
        cells: handed.cells,
        modules: handed.modules,
        access: handed.access,
        shutdown: shutdown.clone(),
        live_places: Arc::new(Semaphore::new(LIVE_CLIENTS_MAX)),
    };
    door.serve(&access, |names| router(room.clone(), names), shutdown)
        .await;
}

/// All routes. Each stands under what it needs; who isn't named here is the page's files.
fn router(room: Room, names: Names) -> Router {
    let under = |need: Need, routes: Router<Room>| {
        let state = (Arc::clone(&room.access), need);
        routes.route_layer(middleware::from_fn_with_state(state, access::require))
    };
    let open = Router::new()
        .route("/api/v1/session", get(routes::session).post(routes::log_in))
        .route("/api/v1/claim", post(routes::claim))
        .route("/api/v1/openapi.json", get(openapi::document));
    let look = Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/live", get(live_stream))
        .route("/api/v1/history", get(history::history))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/settings", get(settings))
        .route("/api/v1/cells/{id}/scene", get(scene))
        .route("/api/v1/machines/{id}/modules", get(modules::list));
    let login = Router::new().route("/api/v1/session", delete(routes::log_out));
    let obstacles = Router::new().route("/api/v1/cells/{id}/obstacles", post(cells::put_obstacles));
    let administer = Router::new()
        .route("/api/v1/cells/{id}/parameters", put(cells::put_parameters))
        .route(
            "/api/v1/machines/{id}/modules/{stage}",
            post(modules::deploy).layer(DefaultBodyLimit::max(MODULE_BYTES_MAX as usize)),
        )
        .route(
            "/api/v1/machines/{id}/modules/{stage}/promote",
            post(modules::promote),
        )
        .route(
            "/api/v1/machines/{id}/modules/{stage}/rollback",
            post(modules::roll_back),
        )
        .route("/api/v1/users", get(routes::users).post(routes::add_user))
        .route("/api/v1/users/{name}", delete(routes::remove_user))
        .route(
            "/api/v1/tokens",
            get(routes::tokens).post(routes::add_token),
        )
        .route("/api/v1/tokens/{id}", delete(routes::remove_token))
        .route("/api/v1/audit", get(routes::audit_log));
    open.merge(under(Need::Look, look))
        .merge(under(Need::Login, login))
        .merge(under(Need::Obstacles, obstacles))
        .merge(under(Need::Administer, administer))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(page::file)
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .layer(middleware::from_fn_with_state(names, guard::guard))
        .with_state(room)
}

/// The gateway as it stands.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "gateway",
    responses((status = 200, description = "All machines and the uplink, as they stand.", body = Status))
)]
async fn status(State(room): State<Room>) -> Response {
    answer::json(&room.state.borrow().at(Instant::now()))
}

/// The settings as they run, without secrets.
#[utoipa::path(
    get,
    path = "/api/v1/settings",
    tag = "gateway",
    responses((status = 200, description = "Keys as in the settings' file, all layers laid over each other, defaults written out. No secret is in them.", body = Object))
)]
async fn settings(State(room): State<Room>) -> Response {
    answer::json(&room.settings)
}

/// What doesn't change in a cell.
#[utoipa::path(
    get,
    path = "/api/v1/cells/{id}/scene",
    tag = "cells",
    params(("id" = String, Path, description = "The cell's name.")),
    responses(
        (status = 200, description = "Its robots' chains and shapes, and what stands in it for good.", body = Scene),
        (status = 404, description = "There is no such cell.", body = Problem, content_type = "application/problem+json")
    )
)]
async fn scene(State(room): State<Room>, Path(cell): Path<String>) -> Result<Response, Problem> {
    match room.scenes.get(&cell) {
        Some(scene) => Ok(answer::json(scene)),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("There is no cell \"{cell}\" here."),
        )),
    }
}

/// The gateway as it changes: server-sent events, each a whole status, the newest one winning.
#[utoipa::path(
    get,
    path = "/api/v1/live",
    tag = "gateway",
    responses(
        (status = 200, description = "An event for each change, at most 30 a second and at least one every half second. The data of each is a Status.", body = Status, content_type = "text/event-stream"),
        (status = 503, description = "All places are taken; come back later.", body = Problem, content_type = "application/problem+json")
    )
)]
async fn live_stream(State(room): State<Room>, Extension(pass): Extension<Pass>) -> Response {
    match room.live_places.try_acquire_owned() {
        Ok(place) => live::live(room.state, room.shutdown, pass, place).into_response(),
        Err(_) => {
            let refused = Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "All {LIVE_CLIENTS_MAX} live streams are in use; close one that nobody looks at."
                ),
            );
            ([(header::RETRY_AFTER, "5")], refused).into_response()
        }
    }
}

async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!(
            "{method} is not possible at {}; the header Allow says what is.",
            uri.path()
        ),
    )
    .into_response()
}

#[cfg(test)]
mod access_tests;
#[cfg(test)]
mod door_tests;
#[cfg(test)]
mod history_tests;
#[cfg(test)]
mod modules_tests;
#[cfg(test)]
mod tests;
