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
        description = "What the gateway's page is made of. Distances are advisory: this is not a safety function. Units stand at the end of each name. Who has logged in sends the session's cookie, and with each change the header X-CSRF-Token; a program sends its token as Authorization: Bearer. Where nobody is an admin yet, the gateway can be looked at from its own computer without either.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        super::status,
        super::live_stream,
        super::history::history,
        super::events::events,
        super::settings,
        super::scene,
        super::cells::put_obstacles,
        super::cells::put_parameters,
        super::modules::list,
        super::modules::deploy,
        super::modules::promote,
        super::modules::roll_back,
        super::routes::session,
        super::routes::log_in,
        super::routes::log_out,
        super::routes::claim,
        super::routes::users,
        super::routes::add_user,
        super::routes::remove_user,
        super::routes::tokens,
        super::routes::add_token,
        super::routes::remove_token,
        super::routes::audit_log,
        document
    ),
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
