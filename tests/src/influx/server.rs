//! The HTTP of the stand-in database.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::Shutdown;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path as Segment, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::serve::{IncomingStream, Listener};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::line_protocol::{Point, parse};
use super::store::{Journal, Store};
use super::{Bucket, Failure, Failures, Settings, Task};

/// The one organisation's id.
const ORG_ID: &str = "0000000000000001";

/// Everything that the server knows.
#[derive(Debug)]
pub(super) struct State {
    settings: Settings,
    pub(super) buckets: Vec<Bucket>,
    pub(super) tasks: Vec<Task>,
    pub(super) stores: BTreeMap<String, Store>,
    pub(super) failures: Failures,
    pub(super) delay: Duration,
    pub(super) answers: Vec<u16>,
    pub(super) watcher: Option<Sender<(Instant, String)>>,
    journal: Option<Journal>,
}

impl State {
    pub(super) fn new(settings: Settings, file: Option<&Path>) -> Self {
        let mut state = Self {
            buckets: Vec::new(),
            tasks: Vec::new(),
            stores: BTreeMap::new(),
            failures: Failures::new(),
            delay: Duration::ZERO,
            answers: Vec::new(),
            watcher: None,
            journal: None,
            settings,
        };
        for name in state.settings.buckets.clone() {
            state.make_bucket(&name, 0);
        }
        if let Some(file) = file {
            let (journal, writes) = Journal::open(file).expect("the journal can be used");
            for (bucket, body) in writes {
                let points = parse(&body).expect("only what was accepted stands there");
                let _ = state.stores.entry(bucket).or_default().write(points);
            }
            state.journal = Some(journal);
        }
        state
    }

    fn make_bucket(&mut self, name: &str, retention_s: u64) -> Bucket {
        let bucket = Bucket {
            id: format!("{:016x}", 0x100 + self.buckets.len()),
            name: name.to_owned(),
            retention_s,
        };
        self.buckets.push(bucket.clone());
        self.stores.entry(name.to_owned()).or_default();
        bucket
    }

    /// Keeps a body that was parsed; what types or retention leave out is told.
    fn keep(&mut self, bucket: &Bucket, body: &str, mut points: Vec<Point>) -> Result<(), String> {
        if let Some(journal) = &mut self.journal {
            journal
                .append(&bucket.name, body)
                .map_err(|error| format!("engine: {error}"))?;
        }
        let mut too_old = 0;
        if bucket.retention_s > 0 {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let oldest = now.map_or(0, |now| now.as_secs().saturating_sub(bucket.retention_s));
            let before = points.len();
            points.retain(|point| point.timestamp / 1_000_000_000 >= oldest as i64);
            too_old = before - points.len();
        }
        let store = self.stores.entry(bucket.name.clone()).or_default();
        store.write(points)?;
        match too_old {
            0 => Ok(()),
            _ => Err(format!(
                "partial write: points beyond retention policy dropped={too_old}"
            )),
        }
    }
}

type Database = Arc<Mutex<State>>;

fn lock(database: &Database) -> MutexGuard<'_, State> {
    database.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection's end, to be cut by a handler.
#[derive(Debug, Clone)]
struct Connection(Arc<std::net::TcpStream>);

struct Cutting(TcpListener);

impl Listener for Cutting {
    type Io = TcpStream;
    type Addr = Option<Connection>;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, _)) = self.0.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let both = stream.into_std().and_then(|stream| {
                let end = stream.try_clone()?;
                Ok((TcpStream::from_std(stream)?, end))
            });
            if let Ok((stream, end)) = both {
                return (stream, Some(Connection(Arc::new(end))));
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(None)
    }
}

impl Connected<IncomingStream<'_, Cutting>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Cutting>) -> Self {
        stream.remote_addr().clone().expect("accept gives it")
    }
}

impl Connection {
    /// Ends the connection without an answer.
    async fn cut(&self) -> Response {
        let _ = self.0.shutdown(Shutdown::Both);
        std::future::pending().await
    }
}

pub(super) async fn serve(listener: TcpListener, database: Database) {
    let app = Router::new()
        .route("/health", get(health))
        .route("/ready", get(|| async { Json(json!({"status": "ready"})) }))
        .route("/ping", get(ping))
        .route("/api/v2/write", post(write))
        .route("/api/v2/orgs", get(orgs))
        .route("/api/v2/buckets", get(buckets).post(make_bucket))
        .route("/api/v2/tasks", get(tasks).post(make_task))
        .route("/api/v2/tasks/{id}", patch(change_task))
        // Beside the database's own: for a test that runs it as a process.
        .route("/stand-in/counts", get(counts))
        .layer(DefaultBodyLimit::disable())
        .with_state(database);
    let app = app.into_make_service_with_connect_info::<Connection>();
    // It ends when its runtime does.
    let _ = axum::serve(Cutting(listener), app).await;
}

async fn health() -> Response {
    let body = json!({"name": "influxdb", "message": "ready for queries and writes",
        "status": "pass", "checks": [], "version": "v2.7.0"});
    Json(body).into_response()
}

async fn ping() -> Response {
    let headers = [
        ("x-influxdb-build", "OSS"),
        ("x-influxdb-version", "v2.7.0"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({"code": code, "message": message}))).into_response()
}

/// The state for a request whose token is right.
fn authorized<'a>(
    database: &'a Database,
    headers: &HeaderMap,
) -> Result<MutexGuard<'a, State>, Box<Response>> {
    let state = lock(database);
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if given.and_then(|given| given.strip_prefix("Token ")) == Some(&state.settings.token) {
        return Ok(state);
    }
    drop(state);
    Err(Box::new(error(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "unauthorized access",
    )))
}

type Parameters = Query<BTreeMap<String, String>>;

async fn write(
    Shared(database): Shared<Database>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Query(query): Parameters,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (failure, delay) = {
        let mut state = lock(&database);
        (state.failures.pop_front(), state.delay)
    };
    match failure {
        Some(Failure::Answer {
            status,
            retry_after,
        }) => {
            let status = StatusCode::from_u16(status).expect("a status");
            let mut response = error(status, "unavailable", "as the test wants it");
            if let Some(seconds) = retry_after {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, seconds.into());
            }
            lock(&database).answers.push(status.as_u16());
            return response;
        }
        Some(Failure::CutBefore) => return connection.cut().await,
        Some(Failure::Silence) => return std::future::pending().await,
        Some(Failure::CutAfter) | None => {}
    }
    tokio::time::sleep(delay / 2).await;
    let response = match written(&database, &query, &headers, &body) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refused) => *refused,
    };
    tokio::time::sleep(delay / 2).await;
    if failure == Some(Failure::CutAfter) {
        return connection.cut().await;
    }
    lock(&database).answers.push(response.status().as_u16());
    response
}

fn written(
    database: &Database,
    query: &BTreeMap<String, String>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), Box<Response>> {
    let invalid = |message: &str| Box::new(error(StatusCode::BAD_REQUEST, "invalid", message));
    let mut state = authorized(database, headers)?;
    let parameter = |name: &str| {
        let value = query.get(name).map(String::as_str).unwrap_or_default();
        match value {
            "" => Err(invalid(&format!("the parameter {name} is missing"))),
            value => Ok(value),
        }
    };
    let (org, bucket) = (parameter("org")?, parameter("bucket")?);
    // Nanoseconds where it isn't said.
    let precision = query.get("precision").map_or("ns", String::as_str);
    let factor = match precision {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        other => return Err(invalid(&format!("invalid precision {other:?}"))),
    };
    let not_found = |what: String| {
        Box::new(error(
            StatusCode::NOT_FOUND,
            "not found",
            &(what + " not found"),
        ))
    };
    if org != state.settings.org {
        return Err(not_found(format!("organization name {org:?}")));
    }
    let found = state.buckets.iter().find(|known| known.name == bucket);
    let Some(bucket) = found.cloned() else {
        return Err(not_found(format!("bucket {bucket:?}")));
    };
    let bytes_max = state.settings.body_bytes_max;
    let too_large = || {
        Box::new(error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request too large",
            "unable to read data: points batch is too large",
        ))
    };
    if body.len() > bytes_max {
        return Err(too_large());
    }
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .map(|value| value.to_str().unwrap_or("?"));
    let plain = match encoding {
        None | Some("identity") => body.to_vec(),
        Some("gzip") => {
            let mut plain = Vec::new();
            let unpacked = flate2::read::GzDecoder::new(body)
                .take(bytes_max as u64 + 1)
                .read_to_end(&mut plain);
            if unpacked.is_err() {
                return Err(invalid("the body isn't gzip"));
            }
            plain
        }
        Some(other) => return Err(invalid(&format!("unknown content encoding {other:?}"))),
    };
    if plain.len() > bytes_max {
        return Err(too_large());
    }
    let text = String::from_utf8(plain).map_err(|_| invalid("the body isn't UTF-8"))?;
    let mut points = parse(&text).map_err(|malformed| invalid(&malformed.to_string()))?;
    for point in &mut points {
        point.timestamp = match point.timestamp.checked_mul(factor) {
            Some(timestamp) => timestamp,
            None => return Err(invalid("timestamp out of range")),
        };
    }
    // The journal keeps bodies as they came, so only the unit that needs no other word.
    if factor != 1 && state.journal.is_some() {
        return Err(invalid("the durable stand-in takes nanoseconds only"));
    }
    state.keep(&bucket, &text, points).map_err(|left_out| {
        let message = format!("failure writing points to database: {left_out}");
        Box::new(error(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unprocessable entity",
            &message,
        ))
    })?;
    if let Some(watcher) = &state.watcher {
        // One that has gone has seen enough.
        let _ = watcher.send((Instant::now(), text));
    }
    Ok(())
}

async fn orgs(
    Shared(database): Shared<Database>,
    Query(query): Parameters,
    headers: HeaderMap,
) -> Response {
    let state = match authorized(&database, &headers) {
        Ok(state) => state,
        Err(refused) => return *refused,
    };
    let org = &state.settings.org;
    if query.get("org").is_some_and(|wanted| wanted != org) {
        return error(
            StatusCode::NOT_FOUND,
            "not found",
            "organization name not found",
        );
    }
    Json(json!({"orgs": [{"id": ORG_ID, "name": org}]})).into_response()
}

fn bucket_json(bucket: &Bucket) -> Value {
    let rules = match bucket.retention_s {
        0 => json!([]),
        seconds => json!([{"type": "expire", "everySeconds": seconds}]),
    };
    json!({"id": bucket.id, "orgID": ORG_ID, "type": "user", "name": bucket.name,
        "retentionRules": rules})
}

async fn buckets(
    Shared(database): Shared<Database>,
    Query(query): Parameters,
    headers: HeaderMap,
) -> Response {
    let state = match authorized(&database, &headers) {
        Ok(state) => state,
        Err(refused) => return *refused,
    };
    let name = query.get("name");
    let found: Vec<Value> = state
        .buckets
        .iter()
        .filter(|bucket| name.is_none_or(|name| *name == bucket.name))
        .map(bucket_json)
        .collect();
    if let (true, Some(name)) = (found.is_empty(), name) {
        let message = format!("bucket {name:?} not found");
        return error(StatusCode::NOT_FOUND, "not found", &message);
    }
    Json(json!({"buckets": found})).into_response()
}

/// A request's body as JSON whose organisation is ours.
fn ours(body: &[u8]) -> Result<Value, Box<Response>> {
    let value: Value = serde_json::from_slice(body).map_err(|problem| {
        let message = format!("failed decoding request body: {problem}");
        Box::new(error(StatusCode::BAD_REQUEST, "invalid", &message))
    })?;
    match value["orgID"].as_str() {
        Some(ORG_ID) => Ok(value),
        Some(_) => Err(Box::new(error(
            StatusCode::NOT_FOUND,
            "not found",
            "organization not found",
        ))),
        None => Err(Box::new(error(
            StatusCode::BAD_REQUEST,
            "invalid",
            "orgID is missing",
        ))),
    }
}

async fn make_bucket(
    Shared(database): Shared<Database>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut state = match authorized(&database, &headers) {
        Ok(state) => state,
        Err(refused) => return *refused,
    };
    let value = match ours(&body) {
        Ok(value) => value,
        Err(refused) => return *refused,
    };
    let name = value["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        return error(StatusCode::BAD_REQUEST, "invalid", "bucket name is missing");
    }
    if state.buckets.iter().any(|bucket| bucket.name == name) {
        let message = format!("bucket with name {name} already exists");
        return error(StatusCode::UNPROCESSABLE_ENTITY, "conflict", &message);
    }
    let mut retention_s = 0;
    for rule in value["retentionRules"].as_array().into_iter().flatten() {
        match (rule["type"].as_str(), rule["everySeconds"].as_u64()) {
            (None | Some("expire"), Some(seconds)) => retention_s = seconds,
            _ => return error(StatusCode::BAD_REQUEST, "invalid", "bad retention rule"),
        }
    }
    // The database wants an hour at least, or for ever.
    if (1..3600).contains(&retention_s) {
        let message = "retention policy duration must be at least 1h0m0s";
        return error(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unprocessable entity",
            message,
        );
    }
    let bucket = state.make_bucket(name, retention_s);
    (StatusCode::CREATED, Json(bucket_json(&bucket))).into_response()
}

fn task_json(task: &Task) -> Value {
    json!({"id": task.id, "orgID": ORG_ID, "name": task.name, "status": "active", "flux": task.flux})
}

async fn tasks(
    Shared(database): Shared<Database>,
    Query(query): Parameters,
    headers: HeaderMap,
) -> Response {
    let state = match authorized(&database, &headers) {
        Ok(state) => state,
        Err(refused) => return *refused,
    };
    let name = query.get("name");
    let found: Vec<Value> = state
        .tasks
        .iter()
        .filter(|task| name.is_none_or(|name| *name == task.name))
        .map(task_json)
        .collect();
    Json(json!({"tasks": found})).into_response()
}

async fn make_task(
    Shared(database): Shared<Database>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut state = match authorized(&database, &headers) {
        Ok(state) => state,
        Err(refused) => return *refused,
    };
    let value = match ours(&body) {
        Ok(value) => value,
        Err(refused) => return *refused,
    };
    let flux = value["flux"].as_str().unwrap_or_default();
    let Some(name) = task_name(flux) else {
        let message = "flux: a script with option task = {name: …, every: …} is needed";
        return error(StatusCode::BAD_REQUEST, "invalid", message);
    };
    let task = Task {
        id: format!("{:016x}", 0x200 + state.tasks.len()),
        name,
        flux: flux.to_owned(),
    };
    state.tasks.push(task.clone());
    (StatusCode::CREATED, Json(task_json(&task))).into_response()
}

async fn change_task(
    Shared(database): Shared<Database>,
    Segment(id): Segment<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut state = match authorized(&database, &headers) {
        Ok(state) => state,
        Err(refused) => return *refused,
    };
    let value: Value = match serde_json::from_slice(&body) {
        Ok(value) => value,
        Err(problem) => {
            let message = format!("failed decoding request body: {problem}");
            return error(StatusCode::BAD_REQUEST, "invalid", &message);
        }
    };
    let Some(task) = state.tasks.iter_mut().find(|task| task.id == id) else {
        return error(StatusCode::NOT_FOUND, "not found", "task not found");
    };
    if let Some(flux) = value["flux"].as_str() {
        let Some(name) = task_name(flux) else {
            let message = "flux: a script with option task = {name: …, every: …} is needed";
            return error(StatusCode::BAD_REQUEST, "invalid", message);
        };
        (task.name, task.flux) = (name, flux.to_owned());
    }
    Json(task_json(task)).into_response()
}

/// The name in `option task = {name: "…", every: …}`, where both are there.
fn task_name(flux: &str) -> Option<String> {
    let (_, options) = flux.split_once("option task")?;
    let (options, _) = options.split_once('{')?.1.split_once('}')?;
    let (_, name) = options.split_once("name:")?;
    let name = name.trim_start().strip_prefix('"')?.split('"').next()?;
    (options.contains("every:") || options.contains("cron:")).then(|| name.to_owned())
}

/// What is kept, bucket by bucket.
async fn counts(Shared(database): Shared<Database>) -> Response {
    let state = lock(&database);
    let all: BTreeMap<&String, Value> = state
        .stores
        .iter()
        .map(|(bucket, store)| {
            let counts = store.counts();
            let value = json!({"points": counts.points, "rewrites": counts.rewrites,
                "conflicts": counts.conflicts});
            (bucket, value)
        })
        .collect();
    Json(json!(all)).into_response()
}
