//! How the API says yes, and how it reads what it is asked.
//!
//! A question that isn't understood whole is refused: an unknown name in it may be a slip that
//! would change what is meant.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Query, Request};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::config::limits::{REQUEST_BODY_WITHIN, REQUEST_BYTES_MAX};

/// The value as JSON, which nobody may keep.
pub fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => json_text(text),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The answer could not be written as JSON; the gateway's log says why.",
            )
            .into_response()
        }
    }
}

/// A JSON text as it is.
pub fn json_text(text: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text.into()).into_response()
}

/// What stands behind the question mark.
///
/// # Errors
///
/// A name is unknown or missing, or a value isn't what it should be.
pub fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    match Query::try_from_uri(uri) {
        Ok(Query(asked)) => Ok(asked),
        Err(refused) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            format!("{}.", refused.body_text().trim_end_matches('.')),
        )),
    }
}

/// A JSON body, all of it, and in time.
///
/// # Errors
///
/// It says that it isn't JSON, is too large, comes too slowly, or isn't what it should be.
pub async fn body<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    let bytes = text(request).await?;
    serde_json::from_str(&bytes).map_err(|error| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("The body is not what is expected here: {error}."),
        )
    })
}

/// A JSON body as text; whether it is JSON sees whoever reads it.
///
/// # Errors
///
/// It says that it isn't JSON, is too large, comes too slowly, or isn't UTF-8.
pub async fn text(request: Request) -> Result<String, Problem> {
    let bytes = bytes(request, "application/json", REQUEST_BYTES_MAX).await?;
    String::from_utf8(bytes.to_vec())
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "The body is not UTF-8."))
}

/// A body that says to be of that type, all of it, and in time.
///
/// # Errors
///
/// It doesn't say so, is too large, or comes too slowly.
pub async fn bytes(request: Request, kind: &str, bytes_max: usize) -> Result<Bytes, Problem> {
    // A form of a stranger's page can send other types to here, but not this one.
    if !is_of(kind, request.headers()) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("The body has to say what it is: Content-Type: {kind}."),
        ));
    }
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("The body has more than {bytes_max} bytes."),
        )
    };
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large());
    }
    let whole = tokio::time::timeout(REQUEST_BODY_WITHIN, Bytes::from_request(request, &()));
    match whole.await {
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!(
                "The body did not come within {} s.",
                REQUEST_BODY_WITHIN.as_secs()
            ),
        )),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(refused)) if refused.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "The body did not come whole.",
        )),
    }
}

fn is_of(kind: &str, headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|said| said.trim().eq_ignore_ascii_case(kind))
}
