//! What a gateway is to the lake, and no more: entries that are sent, and sent again until they are
//! told as taken. Made for tests of the lake alone; the real gateway has tests with it of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Broker, Event, MqttOptions, Packet, PublishOptions, QoS, SessionMode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// How long it waits for `taken` before it sends again; a gateway waits ten seconds.
const AGAIN_AFTER: Duration = Duration::from_millis(1500);

/// The epoch of all its entries.
pub const EPOCH: u64 = 1_795_186_221;

/// A gateway's end of the line; it ends when dropped.
#[derive(Debug)]
pub struct Feeder {
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    machines: BTreeMap<String, Machine>,
    sent_again: u64,
}

#[derive(Debug)]
struct Machine {
    /// Entries that nobody has taken.
    held: BTreeMap<u64, String>,
    last: u64,
    sent: u64,
    taken: u64,
    progress: Instant,
}

/// A record with this number, as a gateway writes it: `x` is half of it, `n` the number itself.
pub fn record(machine: &str, seq: u64) -> String {
    let t = format!(
        "2026-11-20T{:02}:{:02}:{:02}.{:03}456789Z",
        seq / 3_600_000 % 24,
        seq / 60_000 % 60,
        seq / 1000 % 60,
        seq % 1000
    );
    format!(
        concat!(
            r#"{{"v":1,"site":"aachen","gateway":"cell-3","machine":"{machine}","record":"counted","#,
            r#""epoch":{epoch},"seq":{seq},"t":"{t}","clock":"synced","module":"counter@1.0.0","#,
            r#""frame":{seq},"fields":{{"x":{x:?},"n":{seq},"odd":{odd},"name":"no. {seq}"}}}}"#
        ),
        machine = machine,
        epoch = EPOCH,
        seq = seq,
        t = t,
        x = seq as f64 / 2.0,
        odd = seq % 2 == 1,
    )
}

impl Feeder {
    /// Sends to the broker on this port.
    pub fn start(port: u16) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let task = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                let mut session = 0;
                loop {
                    session += 1;
                    run(port, session, &state).await;
                    for machine in lock(&state).machines.values_mut() {
                        machine.sent = 0;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        });
        Self { state, task }
    }

    /// The next entries of a machine.
    pub fn put(&self, machine: &str, count: u64) {
        let mut state = lock(&self.state);
        let of = state
            .machines
            .entry(machine.to_owned())
            .or_insert_with(|| Machine {
                held: BTreeMap::new(),
                last: 0,
                sent: 0,
                taken: 0,
                progress: Instant::now(),
            });
        if of.held.is_empty() {
            of.progress = Instant::now();
        }
        for seq in of.last + 1..=of.last + count {
            of.held.insert(seq, record(machine, seq));
        }
        of.last += count;
    }

    /// How many entries nobody has taken.
    pub fn held(&self) -> usize {
        lock(&self.state)
            .machines
            .values()
            .map(|machine| machine.held.len())
            .sum()
    }

    /// How many were taken.
    pub fn taken(&self) -> u64 {
        lock(&self.state)
            .machines
            .values()
            .map(|machine| machine.taken)
            .sum()
    }

    /// How many entries were sent a further time.
    pub fn sent_again(&self) -> u64 {
        lock(&self.state).sent_again
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(port: u16, session: u64, state: &Mutex<State>) {
    let mut options = MqttOptions::new(
        format!("feeder-{port}-{session}"),
        Broker::tcp("127.0.0.1", port),
    );
    options
        .set_session_mode(SessionMode::Clean)
        .set_keep_alive(5);
    let (client, mut events) = AsyncClient::builder(options).capacity(100).build();
    let subscribed = client.subscribe("retrotap/1/aachen/cell-3/+/taken", QoS::AtLeastOnce);
    subscribed.await.expect("a valid filter");
    tokio::select! {
        () = publish(&client, state) => {}
        () = async {
            while let Ok(event) = events.poll().await {
                if let Event::Incoming(Packet::Publish(message)) = event {
                    let topic = String::from_utf8_lossy(&message.topic).into_owned();
                    let machine = topic.split('/').nth(4).expect("a machine").to_owned();
                    let told = serde_json::from_slice(&message.payload).expect("JSON");
                    release(&mut lock(state), &machine, &told);
                }
            }
        } => {}
    }
}

/// A few entries a message, so that there are many messages in flight.
async fn publish(client: &AsyncClient, state: &Mutex<State>) {
    loop {
        let mut messages = Vec::new();
        {
            let state = &mut *lock(state);
            for (name, machine) in &mut state.machines {
                let due: Vec<_> = machine.held.range(machine.sent + 1..).take(20).collect();
                // What was taken in between makes two runs of it.
                let run = due.iter().zip(due.first().map_or(0, |(seq, _)| **seq)..);
                let run: Vec<&str> = run
                    .take_while(|((seq, _), expected)| **seq == *expected)
                    .map(|((_, json), _)| json.as_str())
                    .collect();
                if let Some((first, _)) = due.first() {
                    machine.sent = *first + run.len() as u64 - 1;
                    messages.push((name.clone(), format!("[{}]", run.join(","))));
                } else if machine.progress.elapsed() > AGAIN_AFTER && !machine.held.is_empty() {
                    state.sent_again += machine.held.len() as u64;
                    machine.sent = 0;
                    machine.progress = Instant::now();
                }
            }
        }
        if messages.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for (machine, payload) in messages {
            let topic = format!("retrotap/1/aachen/cell-3/{machine}/records");
            let options = PublishOptions::new(QoS::AtLeastOnce);
            if client.publish(topic, payload, options).await.is_err() {
                return;
            }
        }
    }
}

fn release(state: &mut State, machine: &str, told: &Value) {
    assert_eq!(told["v"], json!(1), "{told}");
    let machine = state
        .machines
        .get_mut(machine)
        .expect("one of its machines");
    for range in told["taken"].as_array().expect("ranges") {
        assert_eq!(
            (&range["stream"], &range["epoch"]),
            (&json!("records"), &json!(EPOCH))
        );
        let number = |key: &str| range[key].as_u64().expect("a number");
        for seq in number("first")..=number("last") {
            assert!(seq >= 1 && seq <= machine.last, "{seq} was never sent");
            machine.taken += u64::from(machine.held.remove(&seq).is_some());
        }
    }
    machine.progress = Instant::now();
}
