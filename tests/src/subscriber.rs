//! An MQTT client that remembers all it gets, through any number of broken connections.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rumqttc::{
    AsyncClient, Broker, BrokerSessionResumePolicy, Event, MqttOptions, Packet, QoS, SessionMode,
    TlsConfiguration, Transport,
};
use tokio::task::JoinHandle;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub topic: String,
    /// Its payload.
    pub payload: String,
    /// Whether the broker had kept it.
    pub retain: bool,
    /// When it came.
    pub at: Instant,
}

/// A subscriber; it ends when dropped.
#[derive(Debug)]
pub struct Subscriber {
    messages: Arc<Mutex<Vec<Message>>>,
    task: JoinHandle<()>,
}

impl Subscriber {
    /// Subscribes to `filter` and returns once the broker has confirmed it.
    ///
    /// With QoS 0, so that it never writes to the broker by itself: a broker that is killed with
    /// unread bytes in its buffer resets the connection, and what it had sent just before would be
    /// lost on the subscriber's side.
    pub async fn start(
        port: u16,
        tls: Option<Arc<rumqttc::tokio_rustls::rustls::ClientConfig>>,
        filter: &str,
    ) -> Self {
        let mut options = MqttOptions::new(
            format!("subscriber-{filter}"),
            Broker::tcp("localhost", port),
        );
        options
            .set_session_mode(SessionMode::Persistent)
            .set_broker_session_resume_policy(BrokerSessionResumePolicy::AllowBrokerOnly)
            .set_unlimited_incoming_packet_size()
            .set_keep_alive(5);
        if let Some(config) = tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
        }
        let (client, mut events) = AsyncClient::builder(options).capacity(10).build();
        client
            .subscribe(filter, QoS::AtMostOnce)
            .await
            .expect("a valid filter");
        let messages = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&messages);
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let mut ready = Some(ready);
        let task = tokio::spawn(async move {
            // The client lives as long as its event loop.
            let _client = client;
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        if let Some(ready) = ready.take() {
                            let _ = ready.send(());
                        }
                    }
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        let message = Message {
                            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                            payload: String::from_utf8_lossy(&publish.payload).into_owned(),
                            retain: publish.retain,
                            at: Instant::now(),
                        };
                        kept.lock().expect("not poisoned").push(message);
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        tokio::time::timeout(Duration::from_secs(10), is_ready)
            .await
            .expect("the broker confirms within ten seconds")
            .expect("the task runs");
        Self { messages, task }
    }

    /// All that came so far.
    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().expect("not poisoned").clone()
    }

    /// The objects of all arrays that came on topics that end in `last_level`.
    pub fn entries(&self, last_level: &str) -> Vec<String> {
        self.messages()
            .iter()
            .filter(|message| message.topic.rsplit('/').next() == Some(last_level))
            .flat_map(|message| {
                serde_json::from_str::<Vec<Box<serde_json::value::RawValue>>>(&message.payload)
                    .expect("a JSON array")
            })
            .map(|entry| entry.get().to_owned())
            .collect()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until `done` says so; fails with `what` after half a minute.
pub async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 30 s: {what}");
}
