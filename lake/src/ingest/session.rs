//! One MQTT session, from connecting to its end, with a Kafka producer of its own.
//!
//! Both clients are made anew for each session, so that nothing of an old one, no report, no
//! acknowledgement and no packet number, can be taken for the new one's.
//!
//! Two futures side by side: the MQTT client's event loop, which moves packets, and the carrier, which
//! takes messages, gives entries to Kafka, and acknowledges. When either ends, both end.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, ThreadedProducer};
use retrotap::uplink::refusal::{Keys, Peer, Refusal, explain};
use retrotap::uplink::tls;
use retrotap::words::Stream;
use rumqttc::{
    AckMode, AsyncClient, Broker, ConnAckProperties, ConnectionError, Event, EventLoop, ManualAck,
    MqttOptions, NetworkOptions, Packet, Publish, PublishOptions, QoS, SessionMode,
    SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Settings;
use super::address::{self, Address, Names};
use super::events;
use super::message;
use super::taken::{Range, Taken};
use super::window::{NotDelivered, Ticket, Window};
use crate::health::Health;
use crate::kafka::{self, Deliveries, Reports};
use crate::limits::{
    CONNECT_TIMEOUT, DRAIN_MAX, KAFKA_STUCK, KEEP_ALIVE, PACKET_BYTES_MAX, RECEIVE_MAX,
    REFUSED_REMEMBERED_MAX, REQUESTS_MAX, SCHEMA_BYTES_MAX,
};
use crate::metrics::Ingest as Metrics;
use crate::topics;

/// How the broker's settings are called on our command line.
const KEYS: Keys = Keys {
    url: "--mqtt-url",
    ca: "--ca",
    client: "--client-cert and --client-key",
    client_id: "--client-id",
};

/// How often a loop that has nothing to do gives a sign of life.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// How a session ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// What it is counted as.
    pub cause: &'static str,
    /// Messages that were not acknowledged.
    pub unacknowledged: usize,
    /// Why; nothing where it was stopped and said goodbye.
    pub refusal: Option<Refusal>,
}

/// What ends a session: as what it is counted, and why.
type Failure = (&'static str, Refusal);

/// Digests of what was refused lately.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    hasher: RandomState,
    digests: VecDeque<u64>,
}

impl Remembered {
    /// Whether it was there already; it is now.
    fn again(&mut self, topic: &str, payload: &[u8]) -> bool {
        let digest = self.hasher.hash_one((topic, payload));
        if self.digests.contains(&digest) {
            return true;
        }
        if self.digests.len() == REFUSED_REMEMBERED_MAX {
            self.digests.pop_front();
        }
        self.digests.push_back(digest);
        false
    }
}

/// Reports go to the ticket of the message.
struct Tickets;

impl Deliveries for Tickets {
    type Ticket = Arc<Ticket>;

    fn delivered(&self, ticket: Arc<Ticket>, result: Result<(), &KafkaError>) {
        ticket.delivered(result);
    }
}

type Producer = ThreadedProducer<Reports<Tickets>>;

/// What is to be done once Kafka has a message.
#[derive(Debug)]
struct Then {
    acknowledge: Option<ManualAck>,
    told: Told,
}

#[derive(Debug)]
enum Told {
    /// The gateway learns that the lake has these.
    Taken {
        topic: String,
        range: Range,
        bytes: usize,
    },
    /// A document was kept.
    Document { key: String },
    /// Nobody is told.
    Nothing,
}

/// Connects, carries messages until something ends it, and says what.
pub(super) async fn run(
    settings: &Settings,
    metrics: &Metrics,
    health: &Health,
    remembered: &mut Remembered,
    shutdown: &CancellationToken,
) -> Ended {
    let ended = |(cause, refusal): Failure| Ended {
        cause,
        unacknowledged: 0,
        refusal: Some(refusal),
    };
    let producer = match kafka::producer(&settings.kafka, Tickets) {
        Ok(producer) => producer,
        Err(error) => {
            return ended((
                "kafka",
                Refusal::person(format!("Kafka's settings: {error}")),
            ));
        }
    };
    let (client, mut events) = match client(settings) {
        Ok(made) => made,
        Err(failure) => return ended(failure),
    };
    let connected = tokio::select! {
        connected = connect(&mut events, settings) => connected,
        () = shutdown.cancelled() => {
            return Ended { cause: "stopped", unacknowledged: 0, refusal: None };
        }
    };
    if let Err(failure) = connected {
        return ended(failure);
    }

    let (handed, messages) = mpsc::channel(usize::from(RECEIVE_MAX) + 1);
    let mut carrier = Carrier {
        settings,
        metrics,
        health,
        client,
        producer,
        window: Window::default(),
        remembered,
    };
    let result = {
        let carry = carrier.run(messages, shutdown);
        tokio::pin!(carry);
        tokio::select! {
            result = &mut carry => result,
            failure = drive(&mut events, &handed, settings) => Err(failure),
        }
    };
    let unacknowledged = carrier.window.len();
    match result {
        Ok(()) => {
            // The event loop still has acknowledgements and the DISCONNECT to send.
            let goodbye = drive(&mut events, &handed, settings);
            let _ = timeout(Duration::from_secs(2), goodbye).await;
            Ended {
                cause: "stopped",
                unacknowledged,
                refusal: None,
            }
        }
        Err((cause, refusal)) => Ended {
            cause,
            unacknowledged,
            refusal: Some(refusal),
        },
    }
}

fn peer(settings: &Settings) -> Peer<'_> {
    Peer {
        url: &settings.url,
        tls: settings.tls.as_ref(),
        client_id: &settings.client_id,
        keys: &KEYS,
    }
}

/// A client without a session that outlives its connection: a member of the group that is gone must
/// not be given messages that others could carry.
fn client(settings: &Settings) -> Result<(AsyncClient, EventLoop), Failure> {
    let broker = Broker::tcp(settings.url.host.clone(), settings.url.port);
    let mut options = MqttOptions::new(settings.client_id.clone(), broker);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
    options
        .set_network_options(network)
        .set_connect_timeout(CONNECT_TIMEOUT)
        .set_keep_alive(u16::try_from(KEEP_ALIVE.as_secs()).unwrap_or(u16::MAX))
        .set_session_mode(SessionMode::Clean)
        .set_receive_maximum(Some(RECEIVE_MAX))
        .set_max_packet_size(Some(PACKET_BYTES_MAX))
        .set_ack_mode(AckMode::Manual);
    if let Some(files) = &settings.tls {
        let config = tls::client_config(files)
            .map_err(|error| ("tls", Refusal::person(error.to_string())))?;
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
    }
    AsyncClient::builder(options)
        .capacity(REQUESTS_MAX)
        .try_build()
        .map_err(|error| {
            (
                "mqtt",
                Refusal::person(format!("{}: {error}", settings.url)),
            )
        })
}

async fn connect(events: &mut EventLoop, settings: &Settings) -> Result<(), Failure> {
    let acknowledgement = async {
        loop {
            if let Event::Incoming(Packet::ConnAck(connack)) = events.poll().await? {
                return Ok::<_, ConnectionError>(connack);
            }
        }
    };
    let connack = match timeout(CONNECT_TIMEOUT, acknowledgement).await {
        Ok(result) => result,
        Err(elapsed) => Err(ConnectionError::Timeout(elapsed)),
    }
    .map_err(|error| ("mqtt", explain(&error, peer(settings))))?;
    fits(connack.properties.as_ref(), settings)
}

/// MQTT 5, section 3.2.2.3: what isn't said is available.
fn fits(properties: Option<&ConnAckProperties>, settings: &Settings) -> Result<(), Failure> {
    let Some(properties) = properties else {
        return Ok(());
    };
    let lacks = if properties.max_qos == Some(0) {
        "QoS 1, without which nothing can be known to have arrived"
    } else if properties.shared_subscription_available == Some(0) {
        "shared subscriptions, by which several ingests share the work"
    } else if properties.wildcard_subscription_available == Some(0) {
        "wildcards in subscriptions"
    } else {
        return Ok(());
    };
    let message = format!("{} grants no {lacks}: change its settings", settings.url);
    Err(("mqtt", Refusal::person(message)))
}

/// Moves packets until the connection ends, and says why it did.
async fn drive(
    events: &mut EventLoop,
    handed: &mpsc::Sender<Publish>,
    settings: &Settings,
) -> Failure {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) => match handed.try_send(publish) {
                Ok(()) => {}
                // Nobody listens any more: the session is being ended.
                Err(mpsc::error::TrySendError::Closed(_)) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    return (
                        "mqtt",
                        Refusal::later(format!(
                            "{} sends more than {RECEIVE_MAX} messages without waiting for their \
                             acknowledgement, which is against MQTT 5",
                            settings.url
                        )),
                    );
                }
            },
            Ok(event) => tracing::trace!(?event, "mqtt"),
            Err(error) => return ("mqtt", explain(&error, peer(settings))),
        }
    }
}

/// From a message to its acknowledgement.
struct Carrier<'a> {
    settings: &'a Settings,
    metrics: &'a Metrics,
    health: &'a Health,
    client: AsyncClient,
    producer: Producer,
    window: Window<Then>,
    remembered: &'a mut Remembered,
}

impl Carrier<'_> {
    async fn run(
        &mut self,
        mut messages: mpsc::Receiver<Publish>,
        shutdown: &CancellationToken,
    ) -> Result<(), Failure> {
        self.subscribe().await?;
        let changed = self.window.changed();
        let mut stop_at: Option<Instant> = None;
        loop {
            self.metrics
                .in_flight
                .set(i64::try_from(self.window.len()).unwrap_or(i64::MAX));
            self.health.beat();
            if stop_at.is_some() && self.window.is_empty() && messages.is_empty() {
                break;
            }
            let now = Instant::now();
            let stuck_at = self
                .window
                .oldest()
                .map(|since| Instant::from_std(since) + KAFKA_STUCK);
            tokio::select! {
                biased;
                () = changed.notified() => self.acknowledge().await?,
                () = sleep_until(stuck_at.unwrap_or(now)), if stuck_at.is_some() => {
                    return Err(("kafka", Refusal::later(format!(
                        "Kafka has not taken what came {} s ago; leaving the group, so that others \
                         get its share, until Kafka answers",
                        KAFKA_STUCK.as_secs()
                    ))));
                }
                () = sleep_until(stop_at.unwrap_or(now)), if stop_at.is_some() => {
                    tracing::warn!(
                        messages = self.window.len(),
                        "stopped while Kafka has not answered for these; they come again"
                    );
                    break;
                }
                Some(message) = messages.recv() => self.take(&message).await?,
                () = shutdown.cancelled(), if stop_at.is_none() => {
                    stop_at = Some(Instant::now() + DRAIN_MAX);
                    self.health.waits("ingest", "it stops");
                    self.unsubscribe().await?;
                }
                () = tokio::time::sleep(BEAT_EVERY) => {}
            }
        }
        self.client
            .disconnect()
            .await
            .map_err(|error| self.gone(&error))
    }

    fn gone(&self, error: &dyn std::fmt::Display) -> Failure {
        (
            "mqtt",
            Refusal::later(format!("{}: {error}", self.settings.url)),
        )
    }

    async fn subscribe(&self) -> Result<(), Failure> {
        let paths = self.settings.filters.paths();
        let asked = paths
            .iter()
            .map(|path| SubscribeFilter::new(path.clone(), QoS::AtLeastOnce));
        let notice = self
            .client
            .subscribe_many_tracked(asked)
            .await
            .map_err(|error| self.gone(&error))?;
        let answer = timeout(CONNECT_TIMEOUT, notice.wait_async())
            .await
            .map_err(|_| self.gone(&"the subscription isn't answered"))?
            .map_err(|error| self.gone(&error))?;
        let broker = &self.settings.url;
        for (path, code) in paths.iter().zip(&answer.return_codes) {
            match code {
                SubscribeReasonCode::Success(QoS::AtMostOnce) => {
                    return Err((
                        "mqtt",
                        Refusal::person(format!(
                            "{broker} grants {path} only with QoS 0: change its settings"
                        )),
                    ));
                }
                SubscribeReasonCode::Success(_) => {}
                SubscribeReasonCode::PkidInUse | SubscribeReasonCode::QuotaExceeded => {
                    return Err(self.gone(&format!("{path} can't be subscribed to: {code:?}")));
                }
                _ => {
                    return Err((
                        "mqtt",
                        Refusal::person(format!(
                            "{broker} doesn't let client {} subscribe to {path}: {code:?}; change its \
                         permissions",
                            self.settings.client_id
                        )),
                    ));
                }
            }
        }
        events::SessionBegan {
            broker: &broker.to_string(),
            filters: paths.len(),
        }
        .tell(self.metrics);
        self.health.ready("ingest");
        Ok(())
    }

    /// From its answer on the broker sends nothing more; what it sent before is still carried.
    async fn unsubscribe(&self) -> Result<(), Failure> {
        let paths = self.settings.filters.paths();
        let notice = self
            .client
            .unsubscribe_many_tracked(paths)
            .await
            .map_err(|error| self.gone(&error))?;
        // A broker that doesn't answer will not hear of the rest either.
        let _ = timeout(Duration::from_secs(2), notice.wait_async()).await;
        Ok(())
    }

    async fn take(&mut self, publish: &Publish) -> Result<(), Failure> {
        let topic = String::from_utf8_lossy(&publish.topic);
        let acknowledge = self.client.prepare_ack(publish);
        if acknowledge.is_none() {
            return self
                .refuse(&message::Refusal::QosZero, &topic, publish, None)
                .await;
        }
        match address::read(&topic) {
            Some(Address::Entries { names, stream }) => {
                match message::read(&publish.payload, &names) {
                    Ok(entries) => self.carry(&names, stream, &entries, acknowledge).await,
                    Err(refusal) => self.refuse(&refusal, &topic, publish, acknowledge).await,
                }
            }
            Some(Address::Schema(module)) => match schema(module, &publish.payload) {
                Ok(()) => {
                    self.keep(topics::SCHEMAS, module, publish, acknowledge)
                        .await
                }
                Err(refusal) => self.refuse(&refusal, &topic, publish, acknowledge).await,
            },
            Some(Address::State(key)) => self.keep(topics::ALARMS, key, publish, acknowledge).await,
            None => {
                self.refuse(&message::Refusal::Topic, &topic, publish, acknowledge)
                    .await
            }
        }
    }

    async fn carry(
        &mut self,
        names: &Names<'_>,
        stream: Stream,
        entries: &message::Entries<'_>,
        acknowledge: Option<ManualAck>,
    ) -> Result<(), Failure> {
        let key = names.key();
        let told = Told::Taken {
            topic: names.taken_topic(),
            range: Range {
                stream,
                epoch: entries.epoch,
                first: entries.first,
                last: entries.last,
            },
            bytes: entries.json.iter().map(|entry| entry.len()).sum(),
        };
        let ticket = self
            .window
            .push(entries.json.len(), Then { acknowledge, told });
        for entry in &entries.json {
            let record = BaseRecord::with_opaque_to(topics::of(stream), Arc::clone(&ticket))
                .key(key.as_str())
                .payload(*entry);
            self.produce(record).await?;
        }
        Ok(())
    }

    /// A retained document. An empty one says that there is none any more: what was made with that
    /// module stays, so the schema does too, and an alarm that is taken back is forgotten.
    async fn keep(
        &mut self,
        kafka_topic: &str,
        key: &str,
        publish: &Publish,
        acknowledge: Option<ManualAck>,
    ) -> Result<(), Failure> {
        let told = Told::Document {
            key: key.to_owned(),
        };
        let forgotten = publish.payload.is_empty();
        if forgotten && kafka_topic == topics::SCHEMAS {
            let told = Told::Nothing;
            self.window.push(0, Then { acknowledge, told });
            return Ok(());
        }
        let ticket = self.window.push(1, Then { acknowledge, told });
        let mut record = BaseRecord::with_opaque_to(kafka_topic, ticket).key(key);
        if !forgotten {
            record = record.payload(&publish.payload[..]);
        }
        self.produce(record).await
    }

    async fn refuse(
        &mut self,
        refusal: &message::Refusal,
        topic: &str,
        publish: &Publish,
        acknowledge: Option<ManualAck>,
    ) -> Result<(), Failure> {
        let again = self.remembered.again(topic, &publish.payload);
        let bytes = publish.payload.len();
        events::Refused {
            refusal,
            topic,
            bytes,
            again,
        }
        .tell(self.metrics);
        let told = Told::Nothing;
        let ticket = self
            .window
            .push(usize::from(!again), Then { acknowledge, told });
        if again {
            return Ok(());
        }
        // More than an entry may have doesn't fit there either: its beginning has to do.
        let kept = &publish.payload[..bytes.min(crate::limits::ENTRY_BYTES_MAX)];
        let headers =
            kafka::refused_headers("ingest", refusal.cause(), &refusal.to_string(), topic);
        let record = BaseRecord::with_opaque_to(topics::REFUSED, ticket)
            .key(topic)
            .payload(kept)
            .headers(headers);
        self.produce(record).await
    }

    /// Gives an entry to the producer; waits where its queue is full.
    async fn produce<P>(&self, record: BaseRecord<'_, str, P, Arc<Ticket>>) -> Result<(), Failure>
    where
        P: rdkafka::message::ToBytes + ?Sized,
    {
        let mut record = record;
        let give_up = Instant::now() + KAFKA_STUCK;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < give_up =>
                {
                    record = back;
                    self.health.beat();
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err((error, _)) => {
                    return Err((
                        "kafka",
                        Refusal::later(format!("Kafka doesn't take an entry: {error}")),
                    ));
                }
            }
        }
    }

    /// Tells and acknowledges what Kafka has, in order.
    async fn acknowledge(&mut self) -> Result<(), Failure> {
        let mut taken = Taken::default();
        let mut acknowledged = Vec::new();
        loop {
            match self.window.pop_done() {
                Ok(None) => break,
                Ok(Some((since, then))) => {
                    match then.told {
                        Told::Taken {
                            topic,
                            range,
                            bytes,
                        } => {
                            events::Taken {
                                stream: range.stream,
                                entries: range.last - range.first + 1,
                                bytes: bytes as u64,
                                after: since.elapsed(),
                            }
                            .tell(self.metrics);
                            taken.add(topic, range);
                        }
                        Told::Document { key } => {
                            events::DocumentKept { key: &key }.tell(self.metrics);
                        }
                        Told::Nothing => {}
                    }
                    acknowledged.extend(then.acknowledge);
                }
                Err(error @ NotDelivered(_)) => {
                    return Err(("kafka", Refusal::later(error.to_string())));
                }
            }
        }
        for (topic, payload) in taken.messages() {
            let options = PublishOptions::new(QoS::AtLeastOnce);
            self.client
                .publish(topic, payload, options)
                .await
                .map_err(|error| self.gone(&error))?;
        }
        for acknowledgement in acknowledged {
            self.client
                .manual_ack(acknowledgement)
                .await
                .map_err(|error| self.gone(&error))?;
        }
        Ok(())
    }
}

/// A manifest that says the module of its topic.
fn schema(module: &str, payload: &[u8]) -> Result<(), message::Refusal> {
    if payload.is_empty() {
        return Ok(());
    }
    if payload.len() > SCHEMA_BYTES_MAX {
        return Err(message::Refusal::TooLarge {
            bytes: payload.len(),
        });
    }
    let manifest = retrotap_abi::Manifest::from_json(payload)
        .map_err(|error| message::Refusal::Document(error.to_string()))?;
    if manifest.id() != module {
        return Err(message::Refusal::Document(format!(
            "it is the manifest of {}",
            manifest.id()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_again_is_known_up_to_a_limit() {
        let mut remembered = Remembered::default();
        assert!(!remembered.again("t", b"x"));
        assert!(remembered.again("t", b"x"));
        assert!(!remembered.again("u", b"x"));
        for n in 0..REFUSED_REMEMBERED_MAX {
            remembered.again("v", &n.to_le_bytes());
        }
        assert!(!remembered.again("t", b"x"));
        assert_eq!(remembered.digests.len(), REFUSED_REMEMBERED_MAX);
    }

    #[test]
    fn a_schema_is_the_manifest_of_its_topic() {
        let manifest = include_str!("../../../pipelines/stages/smooth/manifest.yaml");
        let manifest = retrotap_abi::Manifest::from_yaml(manifest).expect("a manifest");
        let json = manifest.to_json();
        assert_eq!(schema(&manifest.id(), json.as_bytes()), Ok(()));
        assert_eq!(schema(&manifest.id(), b""), Ok(()));
        for (module, payload) in [
            ("other@1.0.0", json.as_bytes()),
            (manifest.id().as_str(), &json.as_bytes()[..json.len() - 1]),
            (manifest.id().as_str(), b"{}"),
        ] {
            let refused = schema(module, payload).expect_err("refused");
            assert_eq!(refused.cause(), "document");
        }
    }
}
