//! The least of HTTP, for looking at a server from outside.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// The JSON that `path` on this port of 127.0.0.1 answers, `None` where it doesn't within seconds.
pub fn get_json(port: u16, path: &str) -> Option<Value> {
    let (_, body) = request(port, "GET", path, "", "")?;
    serde_json::from_str(&body).ok()
}

/// Status and body of what a request is answered, `None` where it isn't within seconds. The token goes
/// the way that InfluxDB wants it; an empty one isn't sent.
pub fn request(
    port: u16,
    method: &str,
    path: &str,
    token: &str,
    body: &str,
) -> Option<(u16, String)> {
    let authorization = match token {
        "" => String::new(),
        token => format!("Authorization: Token {token}\r\n"),
    };
    let answer = request_with(port, method, path, &authorization, body)?;
    Some((answer.status, answer.body))
}

/// What a server answers.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Its header lines.
    pub head: String,
    /// Its body.
    pub body: String,
}

/// The answer to a request with these header lines, each with its end; `None` where there is none within
/// seconds.
pub fn request_with(
    port: u16,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Option<Answer> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    // The version that has no chunks.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\n{headers}Content-Type: \
         application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Answer {
        status: head.get(9..12)?.parse().ok()?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
