//! The API's description, made from the code that it describes.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;

use super::problem::Problem;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Retrotap gateway",
        version = "1",
        description = "What the gateway's page is made of. Distances are advisory: this is not a safety function. Units stand at the end of each name.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(super::status, super::live_stream, document),
    components(schemas(Problem))
)]
struct Api;

/// This description.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "gateway",
    responses((status = 200, description = "The OpenAPI 3.1 description of this API.", body = Object))
)]
pub async fn document() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text()).into_response()
}

/// The description as indented JSON.
pub fn text() -> String {
    // Only maps, lists and texts: there is nothing in it that JSON can't say.
    let mut text = Api::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
