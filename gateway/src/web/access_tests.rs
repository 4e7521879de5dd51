//! Logins, roles, tokens and what is written down of them, over a real socket.

use std::time::Duration;

use super::access::accounts::Role;
use super::tests::{Gateway, LoggedIn, PASSWORD, Setup};
use crate::config::limits::{ATTEMPTS_MAX, REQUEST_BYTES_MAX};

const ALL: &[(&str, Role)] = &[
    ("ann", Role::Admin),
    ("ben", Role::Operator),
    ("eve", Role::Viewer),
];
const SNAPSHOT: &str = r#"{"v":1,"source":"lidar-1","number":11,"obstacles":[]}"#;
const OBSTACLES: &str = "/api/v1/cells/cell-3/obstacles";
const PARAMETERS: &str = "/api/v1/cells/cell-3/parameters";

async fn claimed() -> Gateway {
    Gateway::with(Setup {
        users: ALL,
        ..Setup::default()
    })
    .await
}

/// A `GET` with these headers.
async fn get(gateway: &Gateway, path: &str, headers: &str) -> u16 {
    let headers = format!("Host: localhost\r\n{headers}");
    gateway.ask("GET", path, &headers).await.status
}

fn login(user: &str, password: &str) -> String {
    format!(r#"{{"user":"{user}","password":"{password}"}}"#)
}

#[tokio::test]
async fn until_it_is_claimed_everybody_here_may_look_and_nobody_may_change() {
    let gateway = Gateway::start().await;
    let session = gateway.get("/api/v1/session").await.json();
    assert_eq!(session, serde_json::json!({"claimed": false}));
    assert_eq!(get(&gateway, "/api/v1/status", "").await, 200);
    for (method, path) in [
        ("POST", OBSTACLES),
        ("PUT", PARAMETERS),
        ("POST", "/api/v1/users"),
        ("POST", "/api/v1/tokens"),
        ("DELETE", "/api/v1/session"),
    ] {
        let answer = gateway.say(method, path, "", "{}").await;
        answer.assert_problem(401);
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
    }
    for path in ["/api/v1/audit", "/api/v1/users", "/api/v1/tokens"] {
        assert_eq!(get(&gateway, path, "").await, 401, "{path}");
    }
}

#[tokio::test]
async fn who_has_the_code_becomes_admin_and_the_code_is_worth_nothing_then() {
    let gateway = Gateway::start().await;
    let claim = |code: &str, password: &str| {
        format!(r#"{{"code":"{code}","user":"ann","password":"{password}"}}"#)
    };
    let code = gateway.code.clone().unwrap();
    let wrong = claim("AAAA-AAAA-AAAA", PASSWORD);
    let refused = gateway.say("POST", "/api/v1/claim", "", &wrong).await;
    refused.assert_problem(403);
    let weak = claim(&code, "short");
    let refused = gateway.say("POST", "/api/v1/claim", "", &weak).await;
    refused.assert_problem(422);
    assert!(!gateway.access.is_claimed());

    let right = claim(&code.to_lowercase(), PASSWORD);
    let answer = gateway.say("POST", "/api/v1/claim", "", &right).await;
    assert_eq!(answer.status, 200);
    let ann = LoggedIn::of(&answer);
    let headers = format!("Host: localhost\r\n{}", ann.cookie);
    let session = gateway.ask("GET", "/api/v1/session", &headers).await.json();
    assert_eq!(session["user"], "ann");
    assert_eq!(session["role"], "admin");

    // From here on nobody looks without a login, and nobody claims again.
    gateway.get("/api/v1/status").await.assert_problem(401);
    let again = gateway.say("POST", "/api/v1/claim", "", &right).await;
    again.assert_problem(409);
    // The page itself is there still: it has the login in it.
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn a_cookie_is_for_the_browser_alone() {
    let gateway = claimed().await;
    let answer = gateway
        .say("POST", "/api/v1/session", "", &login("ann", PASSWORD))
        .await;
    let set = answer.header("set-cookie");
    assert!(set.starts_with("__Host-retrotap="));
    for attribute in ["; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(set.contains(attribute), "{attribute}: {set}");
    }
    assert!(!set.contains("Domain"));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    let gateway = claimed().await;
    let mut said = Vec::new();
    for body in [
        login("ann", "Correct horse"),
        login("ann", ""),
        login("nobody", PASSWORD),
        login("ANN", PASSWORD),
    ] {
        let answer = gateway.say("POST", "/api/v1/session", "", &body).await;
        answer.assert_problem(401);
        assert_eq!(answer.header("set-cookie"), "");
        said.push(answer.body);
    }
    said.dedup();
    assert_eq!(said.len(), 1);
}

#[tokio::test]
async fn trying_passwords_comes_to_an_end() {
    let gateway = claimed().await;
    let wrong = login("ann", "wrong password");
    for _ in 0..ATTEMPTS_MAX {
        let answer = gateway.say("POST", "/api/v1/session", "", &wrong).await;
        answer.assert_problem(401);
    }
    // Also the right one: else a guess would tell itself from the others.
    for body in [&wrong, &login("ann", PASSWORD), &login("eve", PASSWORD)] {
        let answer = gateway.say("POST", "/api/v1/session", "", body).await;
        answer.assert_problem(429);
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=31).contains(&wait));
    }
    let claim = r#"{"code":"x","user":"x","password":"x"}"#;
    let answer = gateway.say("POST", "/api/v1/claim", "", claim).await;
    answer.assert_problem(429);
}

#[tokio::test]
async fn a_session_ends_by_logging_out_and_its_cookie_can_not_be_used_again() {
    let gateway = claimed().await;
    let ann = gateway.logged_in("ann").await;
    let other = gateway.logged_in("ann").await;
    assert_eq!(get(&gateway, "/api/v1/status", &ann.cookie).await, 200);
    let out = gateway
        .say("DELETE", "/api/v1/session", &ann.both(), "")
        .await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(get(&gateway, "/api/v1/status", &ann.cookie).await, 401);
    let replayed = gateway.say("POST", OBSTACLES, &ann.both(), SNAPSHOT).await;
    replayed.assert_problem(401);
    assert_eq!(get(&gateway, "/api/v1/status", &other.cookie).await, 200);
    let made_up = "Cookie: __Host-retrotap=0000000000000000\r\n";
    assert_eq!(get(&gateway, "/api/v1/status", made_up).await, 401);
}

#[tokio::test]
async fn a_session_ends_by_its_time() {
    let lasts = Duration::from_millis(1);
    let gateway = Gateway::with(Setup {
        users: ALL,
        sessions_last: Some(lasts),
        ..Setup::default()
    })
    .await;
    let ann = gateway.logged_in("ann").await;
    tokio::time::sleep(lasts).await;
    let headers = format!("Host: localhost\r\n{}", ann.cookie);
    let answer = gateway.ask("GET", "/api/v1/status", &headers).await;
    answer.assert_problem(401);
    assert!(answer.json()["detail"].as_str().unwrap().contains("ended"));
}

#[tokio::test]
async fn who_is_removed_is_out_at_once_also_of_the_live_view() {
    let gateway = claimed().await;
    let (ann, eve) = (
        gateway.logged_in("ann").await,
        gateway.logged_in("eve").await,
    );
    let request = format!(
        "GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        eve.cookie
    );
    let mut live = super::tests::LiveClient::new(gateway.send(&request).await);
    live.next_frames().await;
    let removed = gateway
        .say("DELETE", "/api/v1/users/eve", &ann.both(), "")
        .await;
    assert_eq!(removed.status, 204);
    assert_eq!(get(&gateway, "/api/v1/status", &eve.cookie).await, 401);
    while live.next_text().await.is_some() {}
    let again = gateway
        .say("POST", "/api/v1/session", "", &login("eve", PASSWORD))
        .await;
    again.assert_problem(401);
}

#[tokio::test]
async fn each_role_may_do_its_own_and_no_more() {
    let mut gateway = claimed().await;
    let values = r#"{"warn_margin_m":0.6}"#;
    for (user, obstacles, parameters, audit) in [
        ("eve", 403, 403, 403),
        ("ben", 204, 403, 403),
        ("ann", 204, 200, 200),
    ] {
        let who = gateway.logged_in(user).await;
        let both = who.both();
        let said = gateway.say("POST", OBSTACLES, &both, SNAPSHOT).await;
        assert_eq!(said.status, obstacles, "{user}");
        let said = gateway.say("PUT", PARAMETERS, &both, values).await;
        assert_eq!(said.status, parameters, "{user}");
        for path in ["/api/v1/audit", "/api/v1/users", "/api/v1/tokens"] {
            assert_eq!(
                get(&gateway, path, &who.cookie).await,
                audit,
                "{user} {path}"
            );
        }
        for path in ["/api/v1/status", "/api/v1/settings", "/api/v1/events"] {
            assert_eq!(get(&gateway, path, &who.cookie).await, 200, "{user} {path}");
        }
    }
    // What was refused never reached the cell.
    let mut asked = Vec::new();
    while let Ok(text) = gateway.asked.try_recv() {
        asked.push(text);
    }
    assert_eq!(asked.len(), 3, "{asked:?}");
}

#[tokio::test]
async fn a_change_without_the_sessions_own_csrf_token_is_refused() {
    let mut gateway = claimed().await;
    let (ann, ben) = (
        gateway.logged_in("ann").await,
        gateway.logged_in("ben").await,
    );
    for headers in [
        ann.cookie.clone(),
        format!("{}{}", ann.cookie, ben.csrf),
        format!("{}X-CSRF-Token: \r\n", ann.cookie),
    ] {
        for (method, path, body) in [
            ("POST", OBSTACLES, SNAPSHOT),
            ("PUT", PARAMETERS, r#"{"a":1}"#),
            ("DELETE", "/api/v1/users/eve", ""),
            ("DELETE", "/api/v1/session", ""),
        ] {
            let refused = gateway.say(method, path, &headers, body).await;
            refused.assert_problem(403);
            assert!(refused.json()["detail"].as_str().unwrap().contains("CSRF"));
        }
    }
    assert!(gateway.asked.try_recv().is_err());
    assert_eq!(get(&gateway, "/api/v1/status", &ann.cookie).await, 200);
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    let gateway = claimed().await;
    let ann = gateway.logged_in("ann").await;
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost:1",
        "localhost",
    ] {
        let headers = format!("{}Origin: {origin}\r\n", ann.both());
        let refused = gateway.say("POST", OBSTACLES, &headers, SNAPSHOT).await;
        refused.assert_problem(403);
        let log_in = login("ann", PASSWORD);
        let headers = format!("Origin: {origin}\r\n");
        let refused = gateway
            .say("POST", "/api/v1/session", &headers, &log_in)
            .await;
        refused.assert_problem(403);
    }
    let headers = format!("{}Origin: http://localhost\r\n", ann.both());
    let taken = gateway.say("POST", OBSTACLES, &headers, SNAPSHOT).await;
    assert_eq!(taken.status, 204);
    // Nor does a form: it can't say that it sends JSON.
    let form = format!(
        "Host: localhost\r\n{}Content-Type: text/plain\r\nContent-Length: 0\r\n",
        ann.both()
    );
    let refused = gateway.ask("POST", OBSTACLES, &form).await;
    refused.assert_problem(415);
}

#[tokio::test]
async fn a_program_may_do_what_its_token_says() {
    let gateway = claimed().await;
    let ann = gateway.logged_in("ann").await;
    let made = gateway
        .say(
            "POST",
            "/api/v1/tokens",
            &ann.both(),
            r#"{"name":"lidar-1","scopes":["obstacles"]}"#,
        )
        .await;
    assert_eq!(made.status, 201);
    let (id, token) = (made.json()["id"].clone(), made.json()["token"].clone());
    let (id, token) = (id.as_str().unwrap(), token.as_str().unwrap());
    let bearer = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(
        gateway
            .say("POST", OBSTACLES, &bearer, SNAPSHOT)
            .await
            .status,
        204
    );
    for path in ["/api/v1/status", "/api/v1/audit", "/api/v1/tokens"] {
        assert_eq!(get(&gateway, path, &bearer).await, 403, "{path}");
    }
    let parameters = gateway.say("PUT", PARAMETERS, &bearer, r#"{"a":1}"#).await;
    parameters.assert_problem(403);

    let listed = format!("Host: localhost\r\n{}", ann.cookie);
    let listed = gateway.ask("GET", "/api/v1/tokens", &listed).await;
    assert_eq!(listed.json()["tokens"][0]["made_by"], "ann");
    let text = String::from_utf8(listed.body).unwrap();
    assert!(!text.contains(token.rsplit('_').next().unwrap()));

    for wrong in [&token[..token.len() - 1], "retrotap__", "", "Bearer"] {
        let bearer = format!("Authorization: Bearer {wrong}\r\n");
        let refused = gateway.say("POST", OBSTACLES, &bearer, SNAPSHOT).await;
        refused.assert_problem(401);
    }
    let path = format!("/api/v1/tokens/{id}");
    assert_eq!(
        gateway.say("DELETE", &path, &ann.both(), "").await.status,
        204
    );
    let refused = gateway.say("POST", OBSTACLES, &bearer, SNAPSHOT).await;
    refused.assert_problem(401);
    gateway
        .say("DELETE", &path, &ann.both(), "")
        .await
        .assert_problem(404);
}

#[tokio::test]
async fn what_cells_refuse_is_told_with_its_reason() {
    let gateway = claimed().await;
    let ann = gateway.logged_in("ann").await;
    for (method, path, body, status, says) in [
        (
            "POST",
            "/api/v1/cells/cell-4/obstacles",
            SNAPSHOT,
            404,
            "cell-4",
        ),
        ("POST", OBSTACLES, "{", 422, "EOF"),
        ("POST", OBSTACLES, r#"{"number":10}"#, 409, "10 is in use"),
        ("POST", OBSTACLES, r#"{"number":0}"#, 429, "0.02 s"),
        (
            "PUT",
            "/api/v1/cells/cell-4/parameters",
            r#"{"a":1}"#,
            404,
            "cell-4",
        ),
        ("PUT", PARAMETERS, r#"{"a":-1}"#, 422, "Less than nothing"),
        ("PUT", PARAMETERS, "{}", 422, "1 to 64"),
        (
            "PUT",
            PARAMETERS,
            r#"{"a":null}"#,
            422,
            "not what is expected",
        ),
        ("PUT", PARAMETERS, "[1]", 422, "not what is expected"),
        ("POST", "/api/v1/users", r#"{"user":"x"}"#, 422, "password"),
        (
            "POST",
            "/api/v1/users",
            r#"{"user":"x","password":"long enough","role":"root"}"#,
            422,
            "root",
        ),
        (
            "POST",
            "/api/v1/users",
            r#"{"user":"ben","password":"long enough","role":"viewer"}"#,
            409,
            "ben",
        ),
        ("DELETE", "/api/v1/users/ann", "", 409, "last admin"),
        ("DELETE", "/api/v1/users/nobody", "", 404, "nobody"),
    ] {
        let answer = gateway.say(method, path, &ann.both(), body).await;
        answer.assert_problem(status);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(says), "{path} {body}: {detail}");
    }
    let answer = gateway
        .say("POST", OBSTACLES, &ann.both(), r#"{"number":0}"#)
        .await;
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_however_it_comes() {
    let gateway = claimed().await;
    let ann = gateway.logged_in("ann").await;
    let large = format!("\"{}\"", "x".repeat(REQUEST_BYTES_MAX));
    let answer = gateway.say("POST", OBSTACLES, &ann.both(), &large).await;
    answer.assert_problem(413);
    // In pieces, without saying how much.
    let chunked = format!(
        "POST {OBSTACLES} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        ann.both(),
        large.len()
    );
    let answer = super::tests::read_answer(gateway.send(&chunked).await).await;
    answer.assert_problem(413);
}

#[tokio::test]
async fn what_was_changed_is_written_down_and_secrets_are_not() {
    let gateway = claimed().await;
    let ann = gateway.logged_in("ann").await;
    let refused = login("mallory", "wrong password");
    gateway.say("POST", "/api/v1/session", "", &refused).await;
    let values = r#"{"warn_margin_m":0.6}"#;
    gateway.say("PUT", PARAMETERS, &ann.both(), values).await;
    let user = r#"{"user":"dan","password":"battery staple","role":"operator"}"#;
    gateway
        .say("POST", "/api/v1/users", &ann.both(), user)
        .await;
    let headers = format!("Host: localhost\r\n{}", ann.cookie);
    let log = gateway.ask("GET", "/api/v1/audit", &headers).await;
    let entries = log.json()["entries"].as_array().unwrap().clone();
    let actions: Vec<&str> = entries
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "logged_in",
            "login_refused",
            "parameters_changed",
            "user_added"
        ]
    );
    let changed = &entries[2];
    assert_eq!(changed["who"], "ann");
    assert_eq!(changed["from"], "127.0.0.1");
    assert_eq!(changed["what"], "cell-3");
    assert_eq!(changed["was"]["warn_margin_m"], 0.5);
    assert_eq!(changed["now"]["warn_margin_m"], 0.6);
    let newest = gateway.ask("GET", "/api/v1/audit?limit=1", &headers).await;
    assert_eq!(newest.json()["entries"][0]["what"], "dan");
    gateway
        .ask("GET", "/api/v1/audit?limit=0", &headers)
        .await
        .assert_problem(400);
    for file in ["audit.jsonl", "users.json"] {
        let text = std::fs::read_to_string(gateway.folder.path().join(file)).unwrap();
        for secret in [PASSWORD, "wrong password", "battery staple"] {
            assert!(!text.contains(secret), "{file}");
        }
    }
}
