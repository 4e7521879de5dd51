//! How the API says no: `application/problem+json` (RFC 9457), with a sentence for people.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A refusal. The body's `type` is always `about:blank`: the status code says all that a program
/// needs, the detail is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem; `about:blank` means that `status` says it.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status code's words.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The status code again, for those who only see the body.
    #[schema(example = 404)]
    status: u16,
    /// What is wrong, and what to do about it.
    detail: String,
}

impl Problem {
    /// A refusal with this status code and sentence.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        // Four plain fields: this can't fail, and an empty body would still carry the status.
        let body = serde_json::to_string(&self).unwrap_or_default();
        (status, headers, body).into_response()
    }
}
