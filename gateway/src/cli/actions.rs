//! What is done on entering a cell's state, besides bytes on a line's port: GPIO, alarms, webhooks.
//!
//! Looks at the cells every 20 ms; a state lasts longer than that before a better one takes its place. What
//! fails is counted, logged and an alarm until it is done again with success; it never holds up a line,
//! which knows nothing of it.
//!
//! A GPIO line keeps its value until another action sets it, also while the gateway hangs: it is not
//! fail-safe. The permit is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use anyhow::Context;
use gpiocdev::Request;
use gpiocdev::line::Value as Level;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::cells::{Cells, Running, sentence};
use crate::cell::separation::{Cause, State};
use crate::config::cell::{Action, Gpio, Webhook};
use crate::config::limits::{TICK_EVERY, WEBHOOK_TIMEOUT};
use crate::gauge::Gauge;
use crate::time::rfc3339;

/// A server that transitions are posted to, one after the other.
struct Hook {
    client: reqwest::Client,
    busy: Arc<AtomicBool>,
}

/// What actions need, made before the first of them is due.
pub struct Actions {
    cells: Arc<Cells>,
    gauges: BTreeMap<Arc<str>, Gauge>,
    hooks: BTreeMap<String, Hook>,
    /// Lines of chips, requested when they are first set.
    lines: BTreeMap<(std::path::PathBuf, u32), Request>,
}

/// A transition of a cell.
struct Entered<'a> {
    state: State,
    cause: Cause,
    at_wall_ns: i64,
    cell: &'a str,
}

impl Actions {
    /// # Errors
    ///
    /// A webhook's certificate can't be used.
    pub fn new(cells: Arc<Cells>, gauges: BTreeMap<Arc<str>, Gauge>) -> anyhow::Result<Self> {
        let mut hooks = BTreeMap::new();
        for (_, action) in cells.running().iter().flat_map(|cell| &cell.plan.actions) {
            if let Action::Webhook(webhook) = action {
                let client = client(webhook).with_context(|| webhook.url.clone())?;
                let busy = Arc::default();
                hooks.insert(webhook.url.clone(), Hook { client, busy });
            }
        }
        Ok(Self {
            cells,
            gauges,
            hooks,
            lines: BTreeMap::new(),
        })
    }

    /// Acts until `stop`. The state that a cell begins with is entered too.
    pub async fn run(mut self, stop: CancellationToken) {
        let cells = Arc::clone(&self.cells);
        for cell in cells.running() {
            let cause = cell.told().cause;
            self.enter(&cells, cell, State::Unknown, cause);
        }
        let mut every = tokio::time::interval(TICK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = stop.cancelled() => return,
            }
            for cell in cells.running() {
                let now = cells.clock().now();
                let (state, cause, _) = cell.now(now, &self.gauges);
                let mut told = cell.told();
                told.cause = cause;
                if told.state != state {
                    told.state = state;
                    told.since_wall_ns = now.wall_ns;
                    drop(told);
                    self.enter(&cells, cell, state, cause);
                }
            }
        }
    }

    fn enter(&mut self, cells: &Arc<Cells>, cell: &Running, state: State, cause: Cause) {
        if cell.plan.separation.is_none() {
            return;
        }
        tracing::info!(
            cell = %cell.plan.id, state = state.name(), cause = cause.name(),
            "{}", sentence(state, cause)
        );
        let entered = Entered {
            state,
            cause,
            at_wall_ns: cell.told().since_wall_ns,
            cell: &cell.plan.id,
        };
        for (on, action) in &cell.plan.actions {
            if *on != state {
                continue;
            }
            match action {
                // The line of that machine has done it already, and alarms are looked at by those who
                // put them out.
                Action::SerialWrite { .. } | Action::MqttAlarm => {}
                Action::Gpio(gpio) => {
                    let name = format!("gpio {} line {}", gpio.chip.display(), gpio.line);
                    let result = self.set(gpio);
                    cell.done(&name, result.map_err(|error| error.to_string()));
                }
                Action::Webhook(webhook) => self.post(cells, webhook, &entered),
            }
        }
    }

    fn set(&mut self, gpio: &Gpio) -> gpiocdev::Result<()> {
        let level = if gpio.value {
            Level::Active
        } else {
            Level::Inactive
        };
        let place = (gpio.chip.clone(), gpio.line);
        if let Some(request) = self.lines.get(&place) {
            return request.set_value(gpio.line, level);
        }
        let request = Request::builder()
            .on_chip(&gpio.chip)
            .with_consumer("retrotap")
            .with_line(gpio.line)
            .as_output(level)
            .request()?;
        self.lines.insert(place, request);
        Ok(())
    }

    /// Posts a transition, unless the one before is still under way: then the server is too slow for
    /// what it asks for.
    fn post(&self, cells: &Arc<Cells>, webhook: &Webhook, entered: &Entered<'_>) {
        let Some(hook) = self.hooks.get(&webhook.url) else {
            return;
        };
        let (busy, cells, url) = (
            Arc::clone(&hook.busy),
            Arc::clone(cells),
            webhook.url.clone(),
        );
        let cell_id = entered.cell.to_owned();
        let tell = move |result: Result<(), String>| {
            let cell = cells
                .running()
                .iter()
                .find(|cell| *cell.plan.id == *cell_id);
            if let Some(cell) = cell {
                cell.done(&format!("webhook {url}"), result);
            }
        };
        if busy.swap(true, SeqCst) {
            tell(Err("it has not answered to the last one yet".to_owned()));
            return;
        }
        let body = serde_json::json!({
            "v": 1,
            "cell": entered.cell,
            "t": rfc3339(entered.at_wall_ns),
            "state": entered.state.name(),
            "cause": entered.cause.name(),
            "detail": sentence(entered.state, entered.cause),
        });
        let request = hook
            .client
            .post(&webhook.url)
            .header("content-type", "application/json")
            .body(body.to_string());
        tokio::spawn(async move {
            let answered = request
                .send()
                .await
                .and_then(reqwest::Response::error_for_status);
            busy.store(false, SeqCst);
            tell(answered.map(|_| ()).map_err(|error| error.to_string()));
        });
    }
}

fn client(webhook: &Webhook) -> anyhow::Result<reqwest::Client> {
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
    // Once in a process; a second time changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .timeout(WEBHOOK_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let Some(ca) = &webhook.ca {
        let pem = std::fs::read(ca).with_context(|| ca.display().to_string())?;
        for certificate in reqwest::Certificate::from_pem_bundle(&pem)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    Ok(builder.build()?)
}
