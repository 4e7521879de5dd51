//! The page, out of the binary: every file of `ui/dist`, each with its hash as ETag.
//!
//! File names under `assets/` carry a hash of their content, so browsers may keep them for ever;
//! all others are asked for again each time and cost a 304. Where the build left a `.gz` beside a
//! file, it is sent to those who accept it.

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::problem::Problem;

#[derive(RustEmbed)]
#[folder = "../ui/dist"]
struct Dist;

/// Answers with the file that the path names, `index.html` for the root.
pub async fn file(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if uri.path().starts_with("/api/") {
        return not_found(&uri);
    }
    if method != Method::GET && method != Method::HEAD {
        let refused = Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{method} is not possible here; files can only be read."),
        );
        return ([(header::ALLOW, "GET, HEAD")], refused).into_response();
    }
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let Some(media_type) = media_type(path) else {
        return not_found(&uri);
    };
    let Some(plain) = Dist::get(path) else {
        return not_found(&uri);
    };
    let packed = accepts_gzip(&headers)
        .then(|| Dist::get(&format!("{path}.gz")))
        .flatten();
    let encoding = packed.is_some().then_some("gzip");
    respond(
        path,
        media_type,
        encoding,
        packed.unwrap_or(plain),
        &headers,
    )
}

fn respond(
    path: &str,
    media_type: &'static str,
    encoding: Option<&'static str>,
    file: EmbeddedFile,
    request: &HeaderMap,
) -> Response {
    let cache = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    // Plain and packed bytes differ, and so do their hashes: a strong ETag for each.
    let etag = etag(&file.metadata.sha256_hash());
    let unchanged = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag == etag);
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, media_type)], file.data.into_owned()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(value) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, value);
    }
    if let (Some(encoding), false) = (encoding, unchanged) {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

/// The kinds of file that a page is made of; no other is served, the `.gz` copies neither.
fn media_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|item| {
            let mut parts = item.split(';').map(str::trim);
            let names_gzip = parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            let refused = parts
                .filter_map(|part| part.strip_prefix("q="))
                .any(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0));
            names_gzip && !refused
        })
}

fn etag(hash: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    let mut tag = String::from("\"");
    for byte in &hash[..16] {
        // Writing to a string can't fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

fn not_found(uri: &Uri) -> Response {
    Problem::new(
        StatusCode::NOT_FOUND,
        format!(
            "There is nothing at {}. The page is at /, the API's description at /api/v1/openapi.json.",
            uri.path()
        ),
    )
    .into_response()
}
