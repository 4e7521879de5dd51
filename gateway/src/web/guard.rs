//! Who may ask, and what every answer carries.
//!
//! A page of a stranger can point its own host name at this gateway's address (DNS rebinding) and
//! then read the API as if it were its own. Such a request names the stranger's host, so only
//! requests that name this gateway by address, by `localhost`, or by a name in its certificate are
//! answered. There are no CORS headers: other origins get nothing, and change nothing.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::door::Names;
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
pub async fn guard(State(names): State<Names>, request: Request, next: Next) -> Response {
    let mut response = match named_host(&request) {
        Ok(named) if !answers_to(&names, named.host()) => Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "This gateway does not answer to the host name \"{}\". Open it as localhost, \
                 by the IP address that it listens on, or by a name in its certificate.",
                named.host()
            ),
        )
        .into_response(),
        Ok(named) if is_of_a_stranger(&request, &named) => Problem::new(
            StatusCode::FORBIDDEN,
            "A page of another origin can't change anything here.",
        )
        .into_response(),
        Ok(_) => next.run(request).await,
        Err(detail) => Problem::new(StatusCode::BAD_REQUEST, detail).into_response(),
    };
    for (name, value) in SECURITY_HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether it is a change that a page of somebody else asks for: browsers say whose page it is.
fn is_of_a_stranger(request: &Request, named: &Authority) -> bool {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return false;
    }
    request.headers().get(header::ORIGIN).is_some_and(|origin| {
        let own = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"))
            .is_some_and(|(_, own)| own.eq_ignore_ascii_case(named.as_str()));
        !own
    })
}

/// The host that a request names, with its port. A target in absolute form counts before the
/// header (RFC 9112, 3.2.2).
fn named_host(request: &Request) -> Result<Authority, &'static str> {
    if let Some(authority) = request.uri().authority() {
        return Ok(authority.clone());
    }
    let mut named = request.headers().get_all(header::HOST).iter();
    let (Some(value), None) = (named.next(), named.next()) else {
        return Err("A request needs exactly one Host header.");
    };
    value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Authority>().ok())
        .ok_or("The Host header is not a host name with an optional port.")
}

/// Whether a gateway goes by that name. An address that is written out can't be
/// rebound, so a listener on all addresses answers to any; the port may be a forwarded one.
fn answers_to(names: &Names, host: &str) -> bool {
    let listens_on = names.address;
    if host.eq_ignore_ascii_case("localhost") || names.dns.iter().any(|name| is_named(name, host)) {
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

/// Whether a certificate's name, of which the first label may be `*`, is that host's.
fn is_named(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        None => name.eq_ignore_ascii_case(host),
        Some(parent) => host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(listens_on: &str, host: &str) -> bool {
        let names = Names {
            address: listens_on.parse().unwrap(),
            dns: [
                "cell-9.plant.example".to_owned(),
                "*.wild.example".to_owned(),
            ]
            .into(),
        };
        answers_to(&names, host)
    }

    #[test]
    fn a_gateway_answers_to_the_names_in_its_certificate() {
        for host in [
            "cell-9.plant.example",
            "CELL-9.plant.example",
            "a.wild.example",
        ] {
            assert!(answers("192.168.7.4", host), "{host}");
        }
        for host in [
            "wild.example",
            ".wild.example",
            "a.b.wild.example",
            "plant.example",
        ] {
            assert!(!answers("192.168.7.4", host), "{host}");
        }
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
