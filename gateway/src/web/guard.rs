//! Who may ask, and what every answer carries.
//!
//! A page of a stranger can point its own host name at this gateway's address (DNS rebinding) and
//! then read the API as if it were its own. Such a request names the stranger's host, so only
//! requests that name this gateway by address, or by `localhost`, are answered. There are no CORS
//! headers: other origins get nothing.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// What every answer carries, errors included.
const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// Refuses requests that name another host, and adds the security headers to every answer.
pub async fn guard(State(listens_on): State<IpAddr>, request: Request, next: Next) -> Response {
    let mut response = match named_host(&request) {
        Ok(host) if answers_to(listens_on, &host) => next.run(request).await,
        Ok(host) => Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "This gateway does not answer to the host name \"{host}\". Open it as localhost \
                 or by the IP address that it listens on."
            ),
        )
        .into_response(),
        Err(detail) => Problem::new(StatusCode::BAD_REQUEST, detail).into_response(),
    };
    for (name, value) in SECURITY_HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The host that a request names, without its port. A target in absolute form counts before the
/// header (RFC 9112, 3.2.2).
fn named_host(request: &Request) -> Result<String, &'static str> {
    if let Some(host) = request.uri().host() {
        return Ok(host.to_owned());
    }
    let mut named = request.headers().get_all(header::HOST).iter();
    let (Some(value), None) = (named.next(), named.next()) else {
        return Err("A request needs exactly one Host header.");
    };
    value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Authority>().ok())
        .map(|authority| authority.host().to_owned())
        .ok_or("The Host header is not a host name with an optional port.")
}

/// Whether a gateway that listens there goes by that name. An address that is written out can't be
/// rebound, so a listener on all addresses answers to any; the port may be a forwarded one.
fn answers_to(listens_on: IpAddr, host: &str) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse::<IpAddr>().is_ok_and(|address| {
        let address = address.to_canonical();
        address.is_loopback() || listens_on.is_unspecified() || address == listens_on.to_canonical()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(listens_on: &str, host: &str) -> bool {
        answers_to(listens_on.parse().unwrap(), host)
    }

    #[test]
    fn a_gateway_answers_to_loopback_and_its_own_address_alone() {
        for host in [
            "localhost",
            "LocalHost",
            "127.0.0.1",
            "127.1.2.3",
            "[::1]",
            "192.168.7.4",
        ] {
            assert!(answers("192.168.7.4", host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "192.168.7.5",
            "",
            "[::2]",
            "2130706433",
        ] {
            assert!(!answers("192.168.7.4", host), "{host}");
        }
    }

    #[test]
    fn a_gateway_on_all_addresses_answers_to_addresses_but_not_to_names() {
        assert!(answers("0.0.0.0", "10.0.0.9"));
        assert!(answers("::", "[fe80::1]"));
        assert!(!answers("0.0.0.0", "cell-3.plant.example"));
    }
}
