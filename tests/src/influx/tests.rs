//! The stand-in over a socket, with requests as a stranger would write them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::*;

/// Status, head and body of an answer; `None` where the connection ended without one.
fn ask(port: u16, request: &[u8]) -> Option<(u16, String, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head.to_lowercase(), body.to_owned()))
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

const TOKEN: &str = "Authorization: Token secret-of-the-tests\r\n";
const PATH: &str = "/api/v2/write?org=plant&bucket=retrotap&precision=ns";

fn write(influx: &Influx, lines: &str) -> Option<(u16, String, String)> {
    ask(
        influx.port(),
        &request("POST", PATH, TOKEN, lines.as_bytes()),
    )
}

fn status(answer: Option<(u16, String, String)>) -> u16 {
    answer.expect("an answer").0
}

#[test]
fn a_write_is_kept_plain_or_packed() {
    let influx = Influx::start(Settings::default());
    assert_eq!(status(write(&influx, "m x=1 1\nm x=2 2")), 204);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(b"m x=2 2\nm x=3 3").expect("memory");
    let packed = packed.finish().expect("memory");
    let headers = format!("{TOKEN}Content-Encoding: gzip\r\n");
    let answer = ask(influx.port(), &request("POST", PATH, &headers, &packed));
    assert_eq!(status(answer), 204);
    let counts = influx.store("retrotap").counts();
    assert_eq!((counts.points, counts.rewrites), (3, 1));
    assert_eq!(influx.answers(), [204, 204]);
}

#[test]
fn units_of_time_are_made_nanoseconds() {
    let influx = Influx::start(Settings::default());
    for (precision, ns) in [
        ("&precision=s", 1_000_000_000),
        ("&precision=ms", 1_000_000),
        ("&precision=us", 1_000),
        ("&precision=ns", 1),
        ("", 1),
    ] {
        let path = format!("/api/v2/write?org=plant&bucket=retrotap{precision}");
        let answer = ask(influx.port(), &request("POST", &path, TOKEN, b"m x=1 7"));
        assert_eq!(status(answer), 204);
        let store = influx.store("retrotap");
        assert!(store.points().any(|(_, at, _)| at == 7 * ns), "{precision}");
    }
}

#[test]
fn wrong_requests_get_the_documented_answers() {
    let settings = Settings {
        body_bytes_max: 100,
        ..Settings::default()
    };
    let influx = Influx::start(settings);
    let good = &b"m x=1 1"[..];
    let long = "m x=1 1\n".repeat(100);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(long.as_bytes()).expect("memory");
    let packed = packed.finish().expect("memory");
    assert!(packed.len() < 100);
    let gzip = format!("{TOKEN}Content-Encoding: gzip\r\n");
    let brotli = format!("{TOKEN}Content-Encoding: br\r\n");
    let write = |rest: &str| format!("/api/v2/write?{rest}");
    let whole = write("org=plant&bucket=retrotap&precision=ns");
    for (path, headers, body, expect) in [
        (whole.clone(), "", good, 401),
        (whole.clone(), "Authorization: Token wrong\r\n", good, 401),
        (
            whole.clone(),
            "Authorization: secret-of-the-tests\r\n",
            good,
            401,
        ),
        (
            write("org=other&bucket=retrotap&precision=ns"),
            TOKEN,
            good,
            404,
        ),
        (
            write("org=plant&bucket=other&precision=ns"),
            TOKEN,
            good,
            404,
        ),
        (write("bucket=retrotap&precision=ns"), TOKEN, good, 400),
        (write("org=plant&precision=ns"), TOKEN, good, 400),
        (
            write("org=plant&bucket=retrotap&precision=h"),
            TOKEN,
            good,
            400,
        ),
        (whole.clone(), TOKEN, b"m x= 1", 400),
        (whole.clone(), TOKEN, b"m x=\"\xff\" 1", 400),
        (whole.clone(), TOKEN, long.as_bytes(), 413),
        (whole.clone(), gzip.as_str(), packed.as_slice(), 413),
        (whole.clone(), gzip.as_str(), good, 400),
        (whole.clone(), brotli.as_str(), good, 400),
    ] {
        let answer = ask(influx.port(), &request("POST", &path, headers, body));
        assert_eq!(status(answer), expect, "{path} {headers}");
    }
    assert_eq!(influx.store("retrotap").counts(), Counts::default());
    let answer = ask(
        influx.port(),
        &request("POST", &whole, TOKEN, b"m x=1 1\nm x=1"),
    );
    let (_, _, body) = answer.expect("an answer");
    assert!(
        body.contains("unable to parse 'm x=1': missing timestamp"),
        "{body}"
    );
}

#[test]
fn a_type_conflict_is_422_and_the_rest_is_written() {
    let influx = Influx::start(Settings::default());
    let answer = write(&influx, "m x=1 1\nm x=1i 2\nm x=3 3");
    let (status, _, body) = answer.expect("an answer");
    assert_eq!(status, 422);
    assert!(
        body.contains("partial write: field type conflict"),
        "{body}"
    );
    assert_eq!(influx.store("retrotap").counts().points, 2);
}

#[test]
fn failures_come_as_they_were_set() {
    let influx = Influx::start(Settings::default());
    let busy = |status, retry_after| Failure::Answer {
        status,
        retry_after,
    };
    influx.fail_next(1, busy(429, Some(2)));
    influx.fail_next(1, busy(503, Some(1)));
    influx.fail_next(2, busy(500, None));
    influx.fail_next(1, Failure::CutBefore);
    let (status_429, head, _) = write(&influx, "m x=1 1").expect("an answer");
    assert!(
        status_429 == 429 && head.contains("retry-after: 2"),
        "{head}"
    );
    assert_eq!(status(write(&influx, "m x=1 1")), 503);
    let (status_500, head, _) = write(&influx, "m x=1 1").expect("an answer");
    assert!(status_500 == 500 && !head.contains("retry-after"), "{head}");
    assert_eq!(status(write(&influx, "m x=1 1")), 500);
    assert_eq!(write(&influx, "m x=1 1"), None);
    assert_eq!(influx.store("retrotap").counts().points, 0);
    influx.fail_next(1, Failure::CutAfter);
    assert_eq!(write(&influx, "m x=1 1"), None);
    assert_eq!(influx.store("retrotap").counts().points, 1);
    assert_eq!(influx.failures_left(), 0);
    assert_eq!(status(write(&influx, "m x=1 1")), 204);
    assert_eq!(influx.store("retrotap").counts().rewrites, 1);
}

#[test]
fn killed_it_answers_nothing_and_restarted_it_has_what_it_kept() {
    let mut influx = Influx::start(Settings::default());
    assert_eq!(status(write(&influx, "m x=1 1")), 204);
    influx.delay(Duration::from_millis(400));
    let port = influx.port();
    for (kill_after, points) in [(100, 1), (300, 2)] {
        let asking =
            std::thread::spawn(move || ask(port, &request("POST", PATH, TOKEN, b"m x=2 2")));
        std::thread::sleep(Duration::from_millis(kill_after));
        influx.kill();
        assert_eq!(asking.join().expect("no panic"), None);
        assert_eq!(ask(port, &request("GET", "/health", "", b"")), None);
        influx.restart();
        assert_eq!(influx.store("retrotap").counts().points, points);
    }
}

#[test]
fn buckets_and_tasks_are_made_once() {
    let influx = Influx::start(Settings::default());
    let say = |method, path: &str, body: &str| {
        ask(
            influx.port(),
            &request(method, path, TOKEN, body.as_bytes()),
        )
        .expect("an answer")
    };
    assert_eq!(say("GET", "/api/v2/buckets?org=plant&name=new", "").0, 404);
    let new = r#"{"orgID":"0000000000000001","name":"new","retentionRules":[{"type":"expire","everySeconds":86400}]}"#;
    assert_eq!(say("POST", "/api/v2/buckets", new).0, 201);
    assert_eq!(say("POST", "/api/v2/buckets", new).0, 422);
    assert_eq!(say("POST", "/api/v2/buckets", "{").0, 400);
    assert_eq!(say("POST", "/api/v2/buckets", r#"{"name":"x"}"#).0, 400);
    assert_eq!(
        say("POST", "/api/v2/buckets", r#"{"orgID":"7","name":"x"}"#).0,
        404
    );
    assert_eq!(
        say(
            "POST",
            "/api/v2/buckets",
            &new.replace("86400", "60").replace("new", "x")
        )
        .0,
        422
    );
    assert_eq!(influx.buckets()[1].retention_s, 86400);
    let (status, _, body) = say("GET", "/api/v2/buckets?org=plant&name=new", "");
    assert!(
        status == 200 && body.contains(r#""everySeconds":86400"#),
        "{body}"
    );
    let (_, _, body) = say("GET", "/api/v2/orgs?org=plant", "");
    assert!(body.contains(r#""id":"0000000000000001""#), "{body}");
    assert_eq!(say("GET", "/api/v2/orgs?org=other", "").0, 404);
    let task = r#"{"orgID":"0000000000000001","flux":"option task = {name: \"minimum\", every: 1m}\nfrom(bucket: \"a\")"}"#;
    assert_eq!(say("POST", "/api/v2/tasks", task).0, 201);
    assert_eq!(influx.tasks()[0].name, "minimum");
    assert_eq!(
        say("POST", "/api/v2/tasks", &task.replace("every", "often")).0,
        400
    );
    let old = "/api/v2/write?org=plant&bucket=new&precision=s";
    let (status, _, body) = say("POST", old, "m x=1 1");
    assert!(
        status == 422 && body.contains("beyond retention policy dropped=1"),
        "{body}"
    );
}

#[test]
fn a_durable_one_has_after_its_death_what_it_answered_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("journal");
    let first = Influx::start_durable(Settings::default(), free_port(), &file);
    assert_eq!(status(write(&first, "m x=1 1")), 204);
    let port = first.port();
    drop(first);
    let second = Influx::start_durable(Settings::default(), port, &file);
    assert_eq!(status(write(&second, "m x=1 1\nm x=2 2")), 204);
    let counts = second.store("retrotap").counts();
    assert_eq!((counts.points, counts.rewrites), (2, 1));
    assert_eq!(
        store::Journal::store(&file, "retrotap")
            .expect("read")
            .counts(),
        counts
    );
    let (_, _, body) = ask(port, &request("GET", "/stand-in/counts", "", b"")).expect("an answer");
    assert!(body.contains(r#""points":2"#), "{body}");
}
