//! A real listener, and clients that write HTTP by hand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::access::USERS_FILE;
use super::access::accounts::{Accounts, Role};
use super::cells::{CellRequest, Changed, Refusal};
use super::status::{
    CellState, CellStatus, LineStatus, MachineStatus, ObstaclesSource, PermitState, RecordText,
    UplinkState, UplinkStatus,
};
use super::tls::CertFiles;
use super::*;
use crate::words::LineState;

/// Long enough for a busy machine; only ever waited for when something is broken.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const LIVE_REQUEST: &str = "GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/// Numbers as a record has them: `84.00` must not come out as `84.0`.
const RECORD: &str =
    r#"{"v":1,"record":"axes","seq":7,"fields":{"axis_3_deg":84.00,"axis_1_deg":-1e-2}}"#;

fn a_status(frames: u64) -> Status {
    Status {
        t: "2026-11-20T10:55:00.123456789Z".into(),
        uptime_s: 12.5,
        gateway: "cell-3".into(),
        simulated: true,
        machines: vec![MachineStatus {
            id: "robot-1".into(),
            adapter: "kuka-krc2".into(),
            title: "KUKA KR C2".into(),
            line: LineStatus {
                state: LineState::Running,
                since: "2026-11-20T10:54:00Z".into(),
                detail: String::new(),
            },
            stale_after_s: 0.2,
            frame_age_s: Some(0.012),
            frames,
            frames_per_s: 106.4,
            rejected: BTreeMap::from([("axis-limits/out_of_range".into(), 3)]),
            skipped_bytes: BTreeMap::from([("no_match".into(), 9)]),
            line_errors: BTreeMap::new(),
            dropped_records: 0,
            ranges: BTreeMap::from([("axis_1_deg".into(), [-185.0, 185.0])]),
            records: BTreeMap::from([("axes".into(), RecordText::new(RECORD.into()))]),
            record_ages_s: BTreeMap::from([("axes".into(), 0.012)]),
        }],
        cells: vec![CellStatus {
            id: "cell-3".into(),
            state: CellState::Warn,
            since: "2026-11-20T10:54:30Z".into(),
            cause: "margin".into(),
            detail: "0.31 m of margin between link_3 and p1".into(),
            permit: PermitState::Sent,
            permit_every_s: Some(0.05),
            machines: vec!["robot-1".into()],
            deciding_machine: Some("robot-1".into()),
            separation: Some(RecordText::new(r#"{"margin_m":0.310}"#.into())),
            separation_age_s: Some(0.02),
            warn_margin_m: 0.5,
            obstacles: RecordText::new("[]".into()),
            obstacles_age_s: None,
            obstacles_source: ObstaclesSource::Api,
            actions_failed: 0,
            snapshots_refused: 0,
        }],
        uplink: UplinkStatus {
            state: UplinkState::Connected,
            url: "mqtt://127.0.0.1:1883".into(),
            detail: String::new(),
            unreleased_records: 3,
            oldest_unreleased_age_s: Some(0.01),
        },
        taken_at: Instant::now(),
    }
}

/// What the machine said: [`RECORD`] once a second, a hundred times.
pub(super) struct Recorded;

impl History for Recorded {
    fn read(&self, asked: &history::Asked) -> Result<history::Past, String> {
        if asked.record == "broken" {
            return Err("the disk is gone".to_owned());
        }
        let all = (0..100_i64).filter(|second| {
            (asked.from_unix_ns..=asked.to_unix_ns).contains(&(second * 1_000_000_000))
        });
        let seconds: Vec<i64> = all.collect();
        let found = &seconds[seconds.len().saturating_sub(asked.limit)..];
        let more = found.len() < seconds.len();
        Ok(history::Past {
            records: found
                .iter()
                .map(|second| RECORD.replace("84.00", &format!("{second}.00")).into())
                .collect(),
            more,
            reached_unix_ns: match found.first() {
                Some(first) if more => first * 1_000_000_000,
                _ => asked.from_unix_ns,
            },
        })
    }
}

/// What a test needs otherwise than most.
pub(super) struct Setup<'a> {
    pub history: Arc<dyn History>,
    /// Who there is; all have [`PASSWORD`].
    pub users: &'a [(&'a str, Role)],
    pub sessions_last: Option<Duration>,
    pub listen: &'a str,
    pub tls: bool,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            history: Arc::new(Recorded),
            users: &[],
            sessions_last: None,
            listen: "127.0.0.1:0",
            tls: false,
        }
    }
}

pub(super) const PASSWORD: &str = "correct horse";

pub(super) struct Gateway {
    pub journal: Journal,
    pub access: Arc<Access>,
    pub folder: tempfile::TempDir,
    pub address: SocketAddr,
    pub code: Option<String>,
    /// What cells were asked; there is one, `cell-3`.
    pub asked: mpsc::UnboundedReceiver<String>,
    state: watch::Sender<Arc<Status>>,
    pub shutdown: CancellationToken,
    served: JoinHandle<()>,
}

impl Gateway {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(folder.path().join(USERS_FILE)).unwrap();
        for (name, role) in setup.users {
            accounts
                .change(|book| book.add_user(name, *role, PASSWORD, String::new()))
                .unwrap();
        }
        let mut access = Access::open(folder.path()).unwrap();
        if let Some(lasts) = setup.sessions_last {
            access = access.lasting(lasts);
        }
        let access = Arc::new(access);
        let code = access.claim_code().unwrap();
        let listen = Listen {
            address: setup.listen.parse().unwrap(),
            cert: setup.tls.then(|| {
                tls::own(folder.path()).unwrap();
                CertFiles {
                    cert: folder.path().join("own-cert.pem"),
                    key: folder.path().join("own-key.pem"),
                }
            }),
            folder: folder.path().to_owned(),
        };
        let door = Door::open(&listen, &access).await.unwrap();
        let address = door.address();
        let (state, watched) = watch::channel(Arc::new(a_status(0)));
        let shutdown = CancellationToken::new();
        let journal = Journal::default();
        let (cells, requests) = mpsc::channel(4);
        let (asking, asked) = mpsc::unbounded_channel();
        tokio::spawn(a_cell(requests, asking));
        let (modules, requests) = mpsc::channel(4);
        tokio::spawn(super::modules_tests::a_changer(requests));
        let handed = Handed {
            state: watched,
            history: setup.history,
            journal: journal.clone(),
            settings: RecordText::new(r#"{"site":"aachen"}"#.into()),
            scenes: Arc::new(BTreeMap::from([(
                "cell-3".to_owned(),
                Scene {
                    robots: Vec::new(),
                    fixtures: RecordText::new("[]".into()),
                },
            )])),
            cells,
            modules,
            access: Arc::clone(&access),
        };
        let served = tokio::spawn(serve(door, handed, shutdown.clone()));
        Self {
            journal,
            access,
            folder,
            address,
            code,
            asked,
            state,
            shutdown,
            served,
        }
    }

    /// A JSON body, with other headers before it.
    pub async fn say(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        read_answer(self.send(&request).await).await
    }

    /// The headers of somebody who has just logged in.
    pub async fn logged_in(&self, user: &str) -> LoggedIn {
        let body = format!(r#"{{"user":"{user}","password":"{PASSWORD}"}}"#);
        let answer = self.say("POST", "/api/v1/session", "", &body).await;
        assert_eq!(answer.status, 200);
        LoggedIn::of(&answer)
    }

    fn show(&self, frames: u64) {
        self.state.send_replace(Arc::new(a_status(frames)));
    }

    pub async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// One request, the connection closed after it, the whole answer.
    pub async fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        read_answer(self.send(&request).await).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "Host: localhost\r\n").await
    }

    pub async fn live(&self) -> LiveClient {
        LiveClient::new(self.send(LIVE_REQUEST).await)
    }
}

/// The one cell that there is. It takes numbers above 10 and parameters that aren't negative.
async fn a_cell(mut requests: mpsc::Receiver<CellRequest>, asking: mpsc::UnboundedSender<String>) {
    while let Some(request) = requests.recv().await {
        match request {
            CellRequest::Obstacles {
                cell,
                snapshot,
                answer,
            } => {
                let number = serde_json::from_str::<Value>(&snapshot)
                    .map_err(|error| Refusal::Invalid(format!("{error}.")))
                    .map(|snapshot| snapshot["number"].as_u64());
                let said = match number {
                    _ if cell != "cell-3" => Err(Refusal::UnknownCell),
                    Err(refusal) => Err(refusal),
                    Ok(None) => Err(Refusal::Invalid("There is no number.".to_owned())),
                    Ok(Some(0)) => Err(Refusal::TooOften(Duration::from_millis(20))),
                    Ok(Some(..=10)) => Err(Refusal::Outdated("10 is in use.".to_owned())),
                    Ok(Some(_)) => asking.send(snapshot).map_err(|_| Refusal::UnknownCell),
                };
                let _ = answer.send(said);
            }
            CellRequest::Parameters {
                cell,
                values,
                answer,
            } => {
                let is_negative =
                    |value: &cells::Value| matches!(value, cells::Value::Number(..0.0));
                let said = if cell != "cell-3" {
                    Err(Refusal::UnknownCell)
                } else if values.values().any(is_negative) {
                    Err(Refusal::Invalid("Less than nothing.".to_owned()))
                } else {
                    let _ = asking.send(format!("{values:?}"));
                    let was = values
                        .keys()
                        .map(|name| (name.clone(), cells::Value::Number(0.5)))
                        .collect();
                    Ok(Changed { was, now: values })
                };
                let _ = answer.send(said);
            }
        }
    }
}

pub(super) async fn read_answer(mut stream: impl AsyncRead + Unpin) -> Answer {
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    Answer::parse(&bytes)
}

/// Somebody's cookie and token, as headers.
pub(super) struct LoggedIn {
    pub cookie: String,
    pub csrf: String,
}

impl LoggedIn {
    pub fn of(answer: &Answer) -> Self {
        let set = answer.header("set-cookie");
        let pair = set.split(';').next().unwrap();
        Self {
            cookie: format!("Cookie: {pair}\r\n"),
            csrf: format!(
                "X-CSRF-Token: {}\r\n",
                answer.json()["csrf"].as_str().unwrap()
            ),
        }
    }

    pub fn both(&self) -> String {
        format!("{}{}", self.cookie, self.csrf)
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let (first, rest) = head.split_once("\r\n").unwrap_or((head, ""));
        Self {
            status: first.split(' ').nth(1).unwrap().parse().unwrap(),
            headers: rest
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn assert_problem(&self, status: u16) {
        assert_eq!(self.status, status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], "about:blank");
        assert!(!body["title"].as_str().unwrap().is_empty());
        assert!(body["detail"].as_str().unwrap().ends_with('.'));
    }
}

pub(super) struct LiveClient {
    reader: BufReader<TcpStream>,
}

impl LiveClient {
    pub fn new(stream: TcpStream) -> Self {
        Self {
            reader: BufReader::new(stream),
        }
    }

    /// The data of the next event, as it was sent; `None` at the end of the stream.
    pub async fn next_text(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            let read = timeout(PATIENCE, self.reader.read_line(&mut line));
            if read.await.unwrap().unwrap() == 0 {
                return None;
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(data.trim_end().to_owned());
            }
        }
    }

    pub async fn next_frames(&mut self) -> u64 {
        let event: Value = serde_json::from_str(&self.next_text().await.unwrap()).unwrap();
        event["machines"][0]["frames"].as_u64().unwrap()
    }
}

#[tokio::test]
async fn a_status_is_the_documented_json() {
    let gateway = Gateway::start().await;
    let answer = gateway.get("/api/v1/status").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let status = answer.json();
    assert_eq!(status["gateway"], "cell-3");
    let machine = &status["machines"][0];
    assert_eq!(machine["line"]["state"], "running");
    assert_eq!(machine["rejected"]["axis-limits/out_of_range"], 3);
    assert_eq!(machine["ranges"]["axis_1_deg"][1], 185.0);
    assert_eq!(status["cells"][0]["state"], "warn");
    assert_eq!(status["cells"][0]["permit"], "sent");
    assert!(status["cells"][0].get("obstacles_age_s").is_none());
    assert_eq!(status["uplink"]["state"], "connected");
    assert!(status.get("taken_at").is_none());
}

#[tokio::test]
async fn a_record_is_shown_byte_for_byte_as_it_leaves() {
    let gateway = Gateway::start().await;
    let event = gateway.live().await.next_text().await.unwrap();
    assert!(
        event.contains(&format!(r#""records":{{"axes":{RECORD}}}"#)),
        "{event}"
    );
}

#[test]
fn a_record_that_is_not_json_is_an_error_and_not_a_hole_in_the_event() {
    let mut status = a_status(1);
    let broken = RecordText::new(r#"{"v":1"#.into());
    status.machines[0].records.insert("axes".into(), broken);
    assert!(serde_json::to_string(&status).is_err());
}

#[test]
fn a_status_that_nobody_renews_ages() {
    let status = a_status(1);
    let later = status.at(status.taken_at + Duration::from_secs(3));
    let machine = &later.machines[0];
    assert!((machine.frame_age_s.unwrap() - 3.012).abs() < 1e-9);
    assert!((machine.record_ages_s["axes"] - 3.012).abs() < 1e-9);
    assert!((later.uplink.oldest_unreleased_age_s.unwrap() - 3.01).abs() < 1e-9);
    assert!((later.cells[0].separation_age_s.unwrap() - 3.02).abs() < 1e-9);
    assert_eq!(later.cells[0].obstacles_age_s, None);
    assert!((later.uptime_s - 15.5).abs() < 1e-9);
    // A look into the past changes nothing, and looking twice counts the time once.
    let twice = later.at(status.taken_at).at(later.taken_at);
    assert!((twice.uptime_s - 15.5).abs() < 1e-9);
}

#[tokio::test]
async fn every_change_reaches_a_client_that_keeps_up() {
    let gateway = Gateway::start().await;
    let mut client = gateway.live().await;
    assert_eq!(client.next_frames().await, 0);
    for frames in 1..5 {
        gateway.show(frames);
        while client.next_frames().await < frames {}
    }
}

#[tokio::test]
async fn events_go_on_while_nothing_changes_and_say_how_old_it_is() {
    let gateway = Gateway::start().await;
    let mut client = gateway.live().await;
    let mut age_s = 0.0;
    for _ in 0..3 {
        let event: Value = serde_json::from_str(&client.next_text().await.unwrap()).unwrap();
        let newer = event["machines"][0]["frame_age_s"].as_f64().unwrap();
        assert!(newer > age_s);
        age_s = newer;
    }
}

/// Counts against the time that really passed, so a slow machine can't fail it.
#[tokio::test]
async fn changes_that_come_faster_than_eyes_are_thinned_out() {
    let gateway = Gateway::start().await;
    let mut client = gateway.live().await;
    client.next_frames().await;
    let began = Instant::now();
    let state = gateway.state.clone();
    let changes = tokio::spawn(async move {
        for frames in 1..=300 {
            state.send_replace(Arc::new(a_status(frames)));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let mut events = 0;
    while client.next_frames().await < 300 {
        events += 1;
    }
    changes.await.unwrap();
    let allowed = began.elapsed().as_secs_f64() * f64::from(live::EVENTS_PER_S_MAX) + 2.0;
    assert!(
        f64::from(events) <= allowed,
        "{events} events, {allowed} allowed"
    );
}

#[tokio::test]
async fn the_newest_value_wins() {
    let gateway = Gateway::start().await;
    let mut client = gateway.live().await;
    client.next_frames().await;
    // Far more changes than events may go out: nearly all are never seen, the last one always.
    let mut events = 0;
    for frames in 1..=1000 {
        gateway.show(frames);
    }
    while client.next_frames().await < 1000 {
        events += 1;
        assert!(events < 10, "old values are queued");
    }
}

/// Two megabytes of events wait for the frozen client, far more than all buffers hold; and when it
/// reads at last, it skips what it missed.
#[tokio::test]
async fn a_client_that_does_not_read_holds_nothing_up_and_skips_what_it_missed() {
    const EVENTS: u64 = 30;
    let gateway = Gateway::start().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(gateway.address).await.unwrap();
    stream.write_all(LIVE_REQUEST.as_bytes()).await.unwrap();
    let mut frozen = LiveClient::new(stream);
    frozen.next_frames().await;

    let mut reading = gateway.live().await;
    reading.next_frames().await;
    for frames in 1..=EVENTS {
        let mut status = a_status(frames);
        status.machines[0].title = "x".repeat(64 * 1024);
        gateway.state.send_replace(Arc::new(status));
        while reading.next_frames().await < frames {}
    }
    assert_eq!(gateway.get("/api/v1/status").await.status, 200);

    let mut events = 0;
    while frozen.next_frames().await < EVENTS {
        events += 1;
    }
    assert!(
        events < EVENTS / 2,
        "{events} events were kept for a client that did not read"
    );
}

#[tokio::test]
async fn the_stream_has_a_last_place_and_a_client_that_leaves_frees_its_own() {
    let gateway = Gateway::start().await;
    let mut clients = Vec::new();
    for _ in 0..LIVE_CLIENTS_MAX {
        let mut client = gateway.live().await;
        client.next_frames().await;
        clients.push(client);
    }
    let refused = gateway.get("/api/v1/live").await;
    refused.assert_problem(503);
    assert_eq!(refused.header("retry-after"), "5");
    clients.pop();
    timeout(PATIENCE, async {
        while gateway
            .live()
            .await
            .next_text()
            .await
            .is_none_or(|text| !text.starts_with('{'))
        {}
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_live_streams_and_the_server() {
    let gateway = Gateway::start().await;
    let mut client = gateway.live().await;
    client.next_frames().await;
    gateway.shutdown.cancel();
    timeout(PATIENCE, async {
        while client.next_text().await.is_some() {}
    })
    .await
    .unwrap();
    timeout(PATIENCE, gateway.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_document() {
    let gateway = Gateway::start().await;
    for path in [
        "/api/v1/nothing",
        "/nothing",
        "/assets/nothing.js",
        "/../Cargo.toml",
        "/index.html.gz",
        "/assets/",
    ] {
        let answer = gateway.get(path).await;
        answer.assert_problem(404);
        assert!(String::from_utf8_lossy(&answer.body).contains("/api/v1/openapi.json"));
    }
}

#[tokio::test]
async fn nothing_can_be_written() {
    let gateway = Gateway::start().await;
    for (method, path) in [
        ("POST", "/api/v1/status"),
        ("DELETE", "/api/v1/live"),
        ("PUT", "/"),
    ] {
        let answer = gateway.ask(method, path, "Host: localhost\r\n").await;
        answer.assert_problem(405);
        assert!(answer.header("allow").contains("GET"), "{path}");
    }
}

#[tokio::test]
async fn a_host_name_of_somebody_else_is_refused_with_what_to_do() {
    let gateway = Gateway::start().await;
    for path in ["/", "/api/v1/status", "/api/v1/live"] {
        let answer = gateway
            .ask("GET", path, "Host: evil.example:8080\r\n")
            .await;
        answer.assert_problem(421);
        let body = answer.json();
        assert!(
            body["detail"]
                .as_str()
                .unwrap()
                .contains("\"evil.example\"")
        );
        assert!(body["detail"].as_str().unwrap().contains("localhost"));
    }
    let absolute = gateway
        .ask(
            "GET",
            "http://evil.example/api/v1/status",
            "Host: localhost\r\n",
        )
        .await;
    absolute.assert_problem(421);
}

#[tokio::test]
async fn a_request_without_one_clear_host_is_refused() {
    let gateway = Gateway::start().await;
    for headers in [
        "",
        "Host: localhost\r\nHost: evil.example\r\n",
        "Host: a b\r\n",
        "Host: \r\n",
    ] {
        let answer = gateway.ask("GET", "/api/v1/status", headers).await;
        assert!(
            [400, 421].contains(&answer.status),
            "{headers:?}: {}",
            answer.status
        );
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let gateway = Gateway::start().await;
    for path in ["/", "/api/v1/status", "/nothing"] {
        let answer = gateway
            .ask(
                "GET",
                path,
                "Host: [::1]:8080\r\nOrigin: https://evil.example\r\n",
            )
            .await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'self'"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn the_page_is_asked_for_each_time_and_sent_only_when_it_changed() {
    let gateway = Gateway::start().await;
    let first = gateway.get("/").await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(first.header("cache-control"), "no-cache");
    let known = format!(
        "Host: localhost\r\nIf-None-Match: {}\r\n",
        first.header("etag")
    );
    let again = gateway.ask("GET", "/", &known).await;
    assert_eq!(again.status, 304);
    assert!(again.body.is_empty());
    let other = "Host: localhost\r\nIf-None-Match: \"another\"\r\n";
    assert_eq!(gateway.ask("GET", "/", other).await.status, 200);
}

#[tokio::test]
async fn every_file_that_the_page_names_is_there_packed_for_those_who_accept_it() {
    let gateway = Gateway::start().await;
    let page = String::from_utf8(gateway.get("/").await.body).unwrap();
    let mut files = 0;
    for path in page.split('"').filter(|text| text.starts_with("/assets/")) {
        files += 1;
        let plain = gateway.get(path).await;
        assert_eq!(plain.status, 200, "{path}");
        assert!(plain.header("cache-control").contains("immutable"));
        assert_eq!(plain.header("content-encoding"), "");
        let accepting = "Host: localhost\r\nAccept-Encoding: br, gzip;q=0.8\r\n";
        let packed = gateway.ask("GET", path, accepting).await;
        if path.ends_with(".js") || path.ends_with(".css") {
            assert_eq!(packed.header("content-encoding"), "gzip", "{path}");
            assert_eq!(packed.body[..2], [0x1f, 0x8b]);
            assert!(packed.body.len() < plain.body.len());
            assert_ne!(packed.header("etag"), plain.header("etag"));
        }
        let refusing = "Host: localhost\r\nAccept-Encoding: gzip;q=0\r\n";
        let answer = gateway.ask("GET", path, refusing).await;
        assert_eq!(answer.body, plain.body);
    }
    assert!(files >= 2, "a script and a style sheet at least");
}

/// `RETROTAP_UPDATE_GOLDEN=1 cargo test` writes the file again.
#[test]
fn the_api_is_described_as_the_golden_file_says() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/openapi.golden.json");
    let described = openapi::text();
    if std::env::var_os("RETROTAP_UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &described).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap_or_default();
    assert!(
        described == expected,
        "the API differs from {golden}; look at the difference, then update it"
    );
}

#[tokio::test]
async fn the_description_can_be_fetched() {
    let gateway = Gateway::start().await;
    let answer = gateway.get("/api/v1/openapi.json").await;
    assert_eq!(answer.status, 200);
    let api = answer.json();
    assert!(api["paths"]["/api/v1/live"]["get"].is_object());
    assert!(api["components"]["schemas"]["MachineStatus"].is_object());
}
