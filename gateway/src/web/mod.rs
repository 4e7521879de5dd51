//! The page and the HTTP API.
//!
//! [`serve`] answers on a listener until it is told to stop. It only reads: a watched [`Status`]
//! comes in, and nothing that a client sends changes anything or waits for a line. It knows no
//! other room of the gateway. What it refuses, it refuses as [`problem::Problem`].
//!
//! Not here: users, TLS and changes of any kind. Until they exist, the gateway listens on loopback.

mod guard;
mod live;
mod openapi;
mod page;
mod problem;
pub mod status;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt as _;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

pub use problem::Problem;
pub use status::Status;

/// Live streams at once: panels, desks and a few curious phones. One more is told to come back.
pub const LIVE_CLIENTS_MAX: usize = 64;

/// Bytes of live events that may wait in the kernel for a slow client: a few dozen events, so that
/// what it reads after a pause is at most a second or two old.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Why the page could not be served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The listener's socket has a fault.
    #[error("the web page's listener failed: {0}")]
    Listener(#[from] std::io::Error),
}

/// What the handlers share.
#[derive(Clone)]
struct Room {
    state: watch::Receiver<Arc<Status>>,
    shutdown: CancellationToken,
    live_places: Arc<Semaphore>,
}

/// Serves page and API on that listener until `shutdown` is cancelled; live streams end with it.
///
/// # Errors
/// When the listener has no local address. A connection's fault ends that connection alone.
pub async fn serve(
    listener: TcpListener,
    state: watch::Receiver<Arc<Status>>,
    shutdown: CancellationToken,
) -> Result<(), WebError> {
    let listens_on = listener.local_addr()?.ip();
    let room = Room {
        state,
        shutdown: shutdown.clone(),
        live_places: Arc::new(Semaphore::new(LIVE_CLIENTS_MAX)),
    };
    let routes = Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/live", get(live_stream))
        .route("/api/v1/openapi.json", get(openapi::document))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(page::file)
        .layer(middleware::from_fn_with_state(listens_on, guard::guard))
        .with_state(room);
    let listener = listener.tap_io(|stream| {
        // Without it an event waits for the acknowledgement of the one before. Failing means that
        // the client is gone already, which reading from it will say.
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&*stream, SEND_BUFFER_BYTES);
    });
    axum::serve(listener, routes)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await?;
    Ok(())
}

/// The gateway as it stands.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "gateway",
    responses((status = 200, description = "All machines and the uplink, as they stand.", body = Status))
)]
async fn status(State(room): State<Room>) -> Response {
    let status = room.state.borrow().at(Instant::now());
    match serde_json::to_string(&status) {
        Ok(text) => {
            let headers = [
                (header::CONTENT_TYPE, "application/json"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (headers, text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a status could not be written as JSON");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The status could not be written as JSON; the gateway's log says why.",
            )
            .into_response()
        }
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
async fn live_stream(State(room): State<Room>) -> Response {
    match room.live_places.try_acquire_owned() {
        Ok(place) => live::live(room.state, room.shutdown, place).into_response(),
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
            "{method} is not possible at {}; it can only be read.",
            uri.path()
        ),
    )
    .into_response()
}

#[cfg(test)]
mod tests;
