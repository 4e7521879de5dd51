//! What the page is handed of a gateway: its door and who may do what, its history, and a journal
//! of what happens.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::cells::{Cells, HearError};
use super::gateway::alarm_of;
use super::modules::Modules;
use super::parameters;
use crate::cell::source::SourceError;
use crate::config::cell::SourceWay;
use crate::config::limits::EVENTS_DEFAULT;
use crate::spool::{Bounds, Health, Spool};
use crate::time::{parse_rfc3339, rfc3339};
use crate::web::cells::{CellRequest, Refusal};
use crate::web::history::{Asked, History, Past};
use crate::web::modules::ModuleRequest;
use crate::web::status::RecordText;
use crate::web::{Access, Door, Event, Journal, Listen, Status};

/// The record that a cell makes when its state changes.
const TRANSITION: &str = "separation_state";

impl History for Spool {
    fn read(&self, asked: &Asked) -> Result<Past, String> {
        let times = (asked.from_unix_ns, asked.to_unix_ns);
        let bounds = Bounds::of_a_question(asked.limit);
        let past = self
            .history(&asked.machine, &asked.record, times, bounds)
            .map_err(|error| error.to_string())?;
        Ok(Past {
            records: past.entries.into_iter().map(|entry| entry.json).collect(),
            more: past.more,
            reached_unix_ns: past.reached_unix_ns,
        })
    }
}

/// Opens the page's door and who may do what; says how a gateway without an admin gets one.
///
/// # Errors
///
/// The address is taken, or users or certificate can't be read.
pub async fn open(listen: Listen) -> anyhow::Result<(Door, Arc<Access>)> {
    let access = Access::open(&listen.folder)?;
    let door = Door::open(&listen, &access).await?;
    if let Some(code) = access.claim_code()? {
        let said = format!(
            "nobody is an admin of this gateway yet: claim it on {} with the code {code}, or by \
             `retrotap user add`",
            door.url()
        );
        tracing::warn!("{said}");
        // Also where the log is quiet or goes elsewhere.
        if std::io::stdout().is_terminal() {
            println!("{said}");
        }
    }
    Ok((door, Arc::new(access)))
}

/// Does what clients of the API ask of cells.
pub(super) async fn answer_for(
    cells: Arc<Cells>,
    mut requests: mpsc::Receiver<CellRequest>,
    stop: CancellationToken,
) {
    loop {
        let request = tokio::select! {
            request = requests.recv() => request,
            () = stop.cancelled() => return,
        };
        // Who asked may have gone.
        match request {
            Some(CellRequest::Obstacles {
                cell,
                snapshot,
                answer,
            }) => {
                let heard = cells.hear(&cell, SourceWay::Api, snapshot.as_bytes());
                let _ = answer.send(heard.map_err(|error| refusal(&error)));
            }
            Some(CellRequest::Parameters {
                cell,
                values,
                answer,
            }) => {
                let _ = answer.send(parameters::change(&cells, &cell, &values).await);
            }
            None => return,
        }
    }
}

/// Does what clients of the API ask of modules, each on its own: one machine's compiling is no reason for
/// another to wait.
pub(super) async fn answer_modules(
    modules: Arc<Modules>,
    mut requests: mpsc::Receiver<ModuleRequest>,
    stop: CancellationToken,
) {
    loop {
        let request = tokio::select! {
            request = requests.recv() => request,
            () = stop.cancelled() => return,
        };
        let Some(request) = request else { return };
        let modules = Arc::clone(&modules);
        tokio::spawn(async move {
            // Who asked may have gone.
            match request {
                ModuleRequest::List { machine, answer } => {
                    let _ = answer.send(modules.list(&machine).await);
                }
                ModuleRequest::Deploy {
                    place,
                    bytes,
                    sha256,
                    shadow,
                    answer,
                } => {
                    let _ = answer.send(modules.deploy(place, bytes, sha256, shadow).await);
                }
                ModuleRequest::Promote { place, answer } => {
                    let _ = answer.send(modules.promote(place).await);
                }
                ModuleRequest::RollBack { place, answer } => {
                    let _ = answer.send(modules.roll_back(place).await);
                }
            }
        });
    }
}

fn refusal(error: &HearError) -> Refusal {
    match error {
        HearError::UnknownCell(_) => Refusal::UnknownCell,
        HearError::Source(SourceError::Number { .. }) => Refusal::Outdated(error.to_string()),
        HearError::Source(SourceError::TooOften) => Refusal::TooOften(Duration::from_secs(1)),
        HearError::Full(_) => Refusal::Unavailable(error.to_string()),
        HearError::AnotherWay(_) | HearError::Source(_) | HearError::Room(_) => {
            Refusal::Invalid(error.to_string())
        }
    }
}

/// Writes down what happens until it is stopped, beginning with what the history has.
pub async fn keep(
    journal: Journal,
    mut seen: watch::Receiver<Arc<Status>>,
    spool: Spool,
    stop: CancellationToken,
) {
    let mut health = spool.health();
    let mut keeper = Keeper {
        journal,
        spool,
        alarms: BTreeMap::new(),
        transitions: BTreeMap::new(),
    };
    loop {
        let status = Arc::clone(&seen.borrow_and_update());
        let disk = health.borrow_and_update().clone();
        keeper.alarms(&status, &disk);
        for machine in &status.machines {
            let newest = machine.records.get(TRANSITION);
            keeper.transitions(&machine.id, newest).await;
        }
        let changed = async {
            tokio::select! {
                changed = seen.changed() => changed,
                changed = health.changed() => changed,
            }
        };
        tokio::select! {
            Ok(()) = changed => {}
            () = stop.cancelled() => return,
            else => return,
        }
    }
}

/// What was seen last.
struct Keeper {
    journal: Journal,
    spool: Spool,
    /// By machine, none for the gateway's own: the alarm that is active, and what was said of it.
    alarms: BTreeMap<Option<String>, (&'static str, String)>,
    /// By machine: the newest transition and its time.
    transitions: BTreeMap<String, (Option<RecordText>, i64)>,
}

impl Keeper {
    fn alarms(&mut self, status: &Status, disk: &Health) {
        for machine in &status.machines {
            let line = &machine.line;
            let now = alarm_of(line.state).map(|alarm| (alarm, line.detail.clone()));
            self.alarm(Some(machine.id.clone()), &line.since, now);
        }
        let now = match disk {
            Health::Ok => None,
            Health::DiskFull { detail, .. } => Some(("spool_disk_full", detail.clone())),
            Health::Failing { detail, .. } => Some(("spool_failing", detail.clone())),
        };
        let since = match disk {
            Health::Ok => status.t.clone(),
            Health::DiskFull { since_unix_ns, .. } | Health::Failing { since_unix_ns, .. } => {
                rfc3339(*since_unix_ns)
            }
        };
        self.alarm(None, &since, now);
    }

    fn alarm(&mut self, machine: Option<String>, t: &str, now: Option<(&'static str, String)>) {
        let was = self.alarms.get(&machine);
        if was.map(|(alarm, _)| alarm) == now.as_ref().map(|(alarm, _)| alarm) {
            return;
        }
        let put = |(alarm, detail): &(&'static str, String), active| {
            self.journal.put(Event::Alarm {
                t: t.to_owned(),
                machine: machine.clone(),
                alarm: (*alarm).to_owned(),
                active,
                detail: detail.clone(),
            });
        };
        if let Some(was) = was {
            put(was, false);
        }
        match now {
            Some(now) => {
                put(&now, true);
                self.alarms.insert(machine, now);
            }
            None => {
                self.alarms.remove(&machine);
            }
        }
    }

    /// Between two looks there can be more than one transition: the history has them all.
    async fn transitions(&mut self, machine: &str, newest: Option<&RecordText>) {
        let known = self.transitions.get(machine);
        if known.is_some_and(|(known, _)| known.as_ref() == newest) {
            return;
        }
        let asked = Asked {
            machine: machine.to_owned(),
            record: TRANSITION.to_owned(),
            from_unix_ns: known.map_or(i64::MIN, |(_, t_unix_ns)| t_unix_ns.saturating_add(1)),
            to_unix_ns: i64::MAX,
            limit: EVENTS_DEFAULT,
        };
        let mut last_ns = asked.from_unix_ns.saturating_sub(1);
        let spool = self.spool.clone();
        let found = tokio::task::spawn_blocking(move || History::read(&spool, &asked)).await;
        let records = match found {
            Ok(Ok(past)) => past.records,
            Ok(Err(why)) => {
                tracing::warn!("transitions of the past are left out of the events: {why}");
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        for json in records {
            let Some((t, t_unix_ns)) = time_of(&json) else {
                continue;
            };
            last_ns = last_ns.max(t_unix_ns);
            self.journal.put(Event::SeparationState {
                t,
                machine: machine.to_owned(),
                record: RecordText::new(json),
            });
        }
        self.transitions
            .insert(machine.to_owned(), (newest.cloned(), last_ns));
    }
}

/// The time of a record, as text and in Unix nanoseconds.
fn time_of(json: &str) -> Option<(String, i64)> {
    #[derive(Deserialize)]
    struct Timed {
        t: String,
    }
    let Timed { t } = serde_json::from_str(json).ok()?;
    let unix_ns = parse_rfc3339(&t)?;
    Some((t, unix_ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::limits::{SPOOL_BYTES_MIN, SYNC_EVERY_MIN};
    use crate::spool::Settings;
    use crate::words::{ClockState, Record, Stamp};

    const BEGAN_NS: i64 = 1_790_000_000_000_000_000;

    fn keeper(folder: &std::path::Path) -> Keeper {
        let settings = Settings {
            site: "s".into(),
            gateway: "g".into(),
            path: folder.to_owned(),
            max_bytes: SPOOL_BYTES_MIN,
            max_age: None,
            sync_every: SYNC_EVERY_MIN,
        };
        let (spool, _) = Spool::open(&settings).unwrap();
        Keeper {
            journal: Journal::default(),
            spool,
            alarms: BTreeMap::new(),
            transitions: BTreeMap::new(),
        }
    }

    fn transition(number: i64) -> Record {
        Record {
            name: TRANSITION.into(),
            module: "retrotap@0.1.0".into(),
            at: Stamp {
                line_ns: 0,
                wall_ns: BEGAN_NS + number,
            },
            clock: ClockState::Synced,
            frame: 1,
            fields: format!(r#"{{"number":{number}}}"#),
        }
    }

    fn numbers(journal: &Journal) -> Vec<i64> {
        let (events, _) = journal.newest(100);
        let numbers = events.iter().filter_map(|event| match event {
            Event::SeparationState { record, .. } => {
                let json = serde_json::to_value(record).ok()?;
                json["fields"]["number"].as_i64()
            }
            Event::Alarm { .. } => None,
        });
        numbers.collect()
    }

    #[tokio::test]
    async fn every_transition_is_an_event_once_also_those_between_two_looks() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = keeper(folder.path());
        let (spool, journal) = (keeper.spool.clone(), keeper.journal.clone());
        keeper.transitions("robot-1", None).await;
        assert!(numbers(&journal).is_empty());
        let intake = spool.intake("robot-1");
        let mut latest = spool.latest();
        for (given, expect) in [(1..=3, vec![1, 2, 3]), (4..=5, vec![1, 2, 3, 4, 5])] {
            let last = BEGAN_NS + given.end();
            for number in given {
                assert!(intake.record(transition(number)));
            }
            let seen = latest
                .wait_for(|latest| {
                    let newest = latest.get("robot-1").and_then(|all| all.get(TRANSITION));
                    newest.is_some_and(|entry| entry.t_unix_ns == last)
                })
                .await
                .unwrap();
            let newest = RecordText::new(seen["robot-1"][TRANSITION].json.clone());
            drop(seen);
            for _ in 0..2 {
                keeper.transitions("robot-1", Some(&newest)).await;
                assert_eq!(numbers(&journal), expect);
            }
        }
    }

    #[tokio::test]
    async fn an_alarm_is_an_event_when_it_begins_and_when_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = keeper(folder.path());
        let journal = keeper.journal.clone();
        let mut look = |alarm: Option<&'static str>| {
            let now = alarm.map(|alarm| (alarm, "the cable".to_owned()));
            keeper.alarm(Some("robot-1".to_owned()), "t", now);
        };
        for alarm in [
            None,
            Some("line_silent"),
            Some("line_silent"),
            Some("line_failed"),
            None,
        ] {
            look(alarm);
        }
        let said: Vec<_> = journal
            .newest(100)
            .0
            .into_iter()
            .filter_map(|event| match event {
                Event::Alarm { alarm, active, .. } => Some((alarm, active)),
                Event::SeparationState { .. } => None,
            })
            .collect();
        let expect = [
            ("line_silent", true),
            ("line_silent", false),
            ("line_failed", true),
            ("line_failed", false),
        ];
        assert_eq!(
            said,
            expect.map(|(alarm, active)| (alarm.to_owned(), active))
        );
    }
}
