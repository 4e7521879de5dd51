//! `/healthz`, `/readyz` and `/metrics`: is it alive, can it work, what did it do.
//!
//! Alive is a loop that gives signs of life; restart it where it isn't. Ready is one that can do its
//! work at present; a sink that waits for its database isn't, and restarting it would not help.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use crate::limits::HEARTBEAT_MAX;
use crate::metrics::Page;

/// What a role says of itself. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Health {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    began: Instant,
    beat_ms: AtomicU64,
    /// What it waits for, by who says so; ready is who waits for nothing.
    waits: Mutex<Vec<(&'static str, String)>>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            inner: Arc::new(Inner {
                began: Instant::now(),
                beat_ms: AtomicU64::new(0),
                waits: Mutex::new(vec![("start", "it starts".to_owned())]),
            }),
        }
    }
}

impl Health {
    /// The loop goes round.
    pub fn beat(&self) {
        let ms = self.inner.began.elapsed().as_millis();
        self.inner
            .beat_ms
            .store(u64::try_from(ms).unwrap_or(u64::MAX), Relaxed);
    }

    /// `who` can't work at present, and why.
    pub fn waits(&self, who: &'static str, why: &str) {
        let mut waits = self.lock();
        waits.retain(|(known, _)| *known != who && *known != "start");
        waits.push((who, why.to_owned()));
    }

    /// `who` can work.
    pub fn ready(&self, who: &'static str) {
        self.lock()
            .retain(|(known, _)| *known != who && *known != "start");
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, String)>> {
        self.inner
            .waits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> Result<(), String> {
        let now_ms = u64::try_from(self.inner.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let since_ms = now_ms.saturating_sub(self.inner.beat_ms.load(Relaxed));
        if u128::from(since_ms) > HEARTBEAT_MAX.as_millis() {
            return Err(format!("no sign of life for {} s", since_ms / 1000));
        }
        Ok(())
    }

    fn is_ready(&self) -> Result<(), String> {
        let waits = self.lock();
        if waits.is_empty() {
            return Ok(());
        }
        let why: Vec<&str> = waits.iter().map(|(_, why)| why.as_str()).collect();
        Err(why.join("; "))
    }
}

#[derive(Clone)]
struct Pages {
    health: Health,
    page: Arc<Page>,
}

/// Binds the address at once, so that a wrong one is known at the start, and serves until `shutdown`.
///
/// # Errors
///
/// The address can't be had.
pub async fn serve(
    address: SocketAddr,
    health: Health,
    page: Page,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving /metrics, /healthz and /readyz");
    let pages = Pages {
        health,
        page: Arc::new(page),
    };
    let router = Router::new()
        .route(
            "/healthz",
            get(async |State(p): State<Pages>| said(p.health.alive())),
        )
        .route(
            "/readyz",
            get(async |State(p): State<Pages>| said(p.health.is_ready())),
        )
        .route("/metrics", get(metrics))
        .with_state(pages);
    tokio::spawn(async move {
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(async move { shutdown.cancelled().await });
        if let Err(error) = served.await {
            tracing::error!(%error, "the pages are served no more");
        }
    });
    Ok(())
}

fn said(result: Result<(), String>) -> (StatusCode, String) {
    match result {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], pages.page.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_who_waits_for_nothing() {
        let health = Health::default();
        assert_eq!(health.is_ready(), Err("it starts".into()));
        health.waits("database", "it is away");
        health.waits("database", "it is still away");
        health.waits("kafka", "nobody there");
        assert_eq!(
            health.is_ready(),
            Err("it is still away; nobody there".into())
        );
        health.ready("kafka");
        health.ready("database");
        assert_eq!(health.is_ready(), Ok(()));
        assert_eq!(health.alive(), Ok(()));
    }
}
