//! TLS, where the page listens, and clients that are slow or many, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::access::accounts::Role;
use super::tests::{Answer, Gateway, LIVE_REQUEST, PATIENCE, Setup};
use crate::config::limits::CONNECTIONS_OF_ADDRESS_MAX;

const STATUS: &str = "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

async fn ask_by_tls(gateway: &Gateway, address: SocketAddr, request: &str) -> Answer {
    let pem = std::fs::read(gateway.folder.path().join("own-cert.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // Its end may come without the farewell of TLS; the answer says by itself that it is whole.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    Answer::parse(&bytes)
}

#[tokio::test]
async fn by_tls_the_page_is_served_to_whoever_trusts_its_certificate() {
    let gateway = Gateway::with(Setup {
        tls: true,
        ..Setup::default()
    })
    .await;
    let answer = ask_by_tls(&gateway, gateway.address, STATUS).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["gateway"], "cell-3");
}

#[tokio::test]
async fn who_speaks_no_tls_gets_nothing() {
    let gateway = Gateway::with(Setup {
        tls: true,
        ..Setup::default()
    })
    .await;
    let mut stream = gateway.send(STATUS).await;
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&bytes);
    assert!(!said.contains("HTTP") && !said.contains("cell-3"), "{said}");
    assert_eq!(
        ask_by_tls(&gateway, gateway.address, STATUS).await.status,
        200
    );
}

#[tokio::test]
async fn off_loopback_it_listens_only_once_there_is_an_admin_and_then_by_tls() {
    let gateway = Gateway::with(Setup {
        listen: "0.0.0.0:0",
        ..Setup::default()
    })
    .await;
    assert!(gateway.address.ip().is_loopback());
    assert_eq!(
        ask_by_tls(&gateway, gateway.address, STATUS).await.status,
        200
    );
    // All of 127.0.0.0/8 is this computer; a listener on 127.0.0.1 has one address of it.
    let elsewhere = SocketAddr::from(([127, 0, 0, 2], gateway.address.port()));
    assert!(TcpStream::connect(elsewhere).await.is_err());

    let body = format!(
        r#"{{"code":"{}","user":"ann","password":"correct horse"}}"#,
        gateway.code.clone().unwrap()
    );
    let claim = format!(
        "POST /api/v1/claim HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let claimed = ask_by_tls(&gateway, gateway.address, &claim).await;
    assert_eq!(claimed.status, 200);
    timeout(PATIENCE, async {
        while TcpStream::connect(elsewhere).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    ask_by_tls(&gateway, elsewhere, STATUS)
        .await
        .assert_problem(401);
}

#[tokio::test]
async fn a_claimed_gateway_listens_where_it_is_told_at_once() {
    let gateway = Gateway::with(Setup {
        listen: "0.0.0.0:0",
        users: &[("ann", Role::Admin)],
        ..Setup::default()
    })
    .await;
    assert!(gateway.address.ip().is_unspecified());
    let here = SocketAddr::from(([127, 0, 0, 1], gateway.address.port()));
    ask_by_tls(&gateway, here, STATUS).await.assert_problem(401);
}

#[tokio::test]
async fn who_never_ends_a_request_is_let_go_and_holds_nobody_up() {
    let gateway = Gateway::start().await;
    let mut slow = Vec::new();
    for begin in [
        "",
        "GET /api/v1/status HTTP/1.1\r\nHost: local",
        "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"user\":",
    ] {
        slow.push(gateway.send(begin).await);
    }
    assert_eq!(gateway.get("/api/v1/status").await.status, 200);
    let mut said = Vec::new();
    for mut stream in slow {
        let mut bytes = Vec::new();
        // More than the longest that each of them is given, on a busy machine too.
        let _ = timeout(PATIENCE * 3, stream.read_to_end(&mut bytes))
            .await
            .unwrap();
        said.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    assert_eq!(said[0], "");
    assert!(
        said[1].is_empty() || said[1].starts_with("HTTP/1.1 408"),
        "{}",
        said[1]
    );
    assert!(said[2].starts_with("HTTP/1.1 408"), "{}", said[2]);
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    let gateway = Gateway::start().await;
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_OF_ADDRESS_MAX {
        held.push(gateway.send("").await);
    }
    let mut refused = gateway.send(STATUS).await;
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, refused.read_to_end(&mut bytes))
        .await
        .unwrap();
    assert!(bytes.is_empty());
    // A place is free when somebody leaves.
    drop(held);
    timeout(PATIENCE, async {
        loop {
            let mut stream = gateway.send(STATUS).await;
            let mut bytes = Vec::new();
            let read = stream.read_to_end(&mut bytes).await;
            if read.is_ok() && !bytes.is_empty() {
                break;
            }
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let gateway = Gateway::start().await;
    let long = format!("Host: localhost\r\nX-Long: {}\r\n", "x".repeat(64 * 1024));
    assert_eq!(
        gateway.ask("GET", "/api/v1/status", &long).await.status,
        431
    );
    let many: String = (0..100)
        .map(|number| format!("X-{number}: x\r\n"))
        .collect();
    let many = format!("Host: localhost\r\n{many}");
    assert_eq!(
        gateway.ask("GET", "/api/v1/status", &many).await.status,
        431
    );
}

#[tokio::test]
async fn paths_lead_nowhere_but_to_what_is_there() {
    let gateway = Gateway::start().await;
    for path in [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/assets/../../users.json",
        "/assets/..%2f..%2fusers.json",
        "/users.json",
        "/own-key.pem",
        "/audit.jsonl",
        "//etc/passwd",
        "/index.html/../../x.txt",
        "/.git/config",
    ] {
        gateway.get(path).await.assert_problem(404);
    }
}

/// A connection that is there when the gateway stops must not hold up its end.
#[tokio::test]
async fn idle_connections_end_with_the_gateway() {
    let gateway = Gateway::start().await;
    let mut idle = gateway.send("").await;
    let mut live = gateway.send(LIVE_REQUEST).await;
    gateway.shutdown.cancel();
    for stream in [&mut idle, &mut live] {
        let mut bytes = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
            .await
            .unwrap();
    }
    let refused = timeout(PATIENCE, async {
        while TcpStream::connect(gateway.address).await.is_ok() {}
    });
    refused.await.unwrap();
}
