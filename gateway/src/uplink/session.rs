//! One MQTT session, from connecting to its end.
//!
//! Two futures side by side: the client's event loop, which moves packets and hands over what the
//! lake says, and the publisher, which reads the spool, publishes, and releases by whatever the
//! settings say releases. When either ends, both end.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant as Monotonic, SystemTime};

use futures_util::stream::{FuturesOrdered, StreamExt as _};
use rumqttc::{
    AsyncClient, Broker, ConnAckProperties, ConnectionError, Event, EventLoop, LastWill,
    MqttOptions, NetworkOptions, Packet, PublishNoticeError, PublishOptions, PublishResult, QoS,
    SessionMode, SubscribeReasonCode, TlsConfiguration, Transport,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::board::{Board, Documents};
use super::flight::{Flight, Untaken};
use super::refusal::{Answer, Class, Refusal, answer, explain};
use super::taken::Taken;
use super::topics::{Topics, status_payload};
use super::{Heard, ModuleChunk, ReleaseOn, Settings, tls};
use crate::config::limits::{
    ACKNOWLEDGE_TIMEOUT, BATCH_BYTES_MAX, BROKER_PACKET_BYTES_MIN, CONNECT_TIMEOUT,
    IN_FLIGHT_MESSAGES_MAX, KEEP_ALIVE, SHUTDOWN_FLUSH, TAKEN_PENDING_MAX, TOPIC_BYTES_MAX,
};
use crate::spool::{Batch, Lanes, Reader};

/// How a session ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It was stopped and said goodbye.
    Stopped,
    /// It failed.
    Refused(Refusal),
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What the broker granted in its CONNACK.
#[derive(Debug, Clone, Copy)]
struct Granted {
    /// Payload of one message.
    payload_bytes_max: usize,
    in_flight_max: usize,
    retain: bool,
}

/// Connects, empties the spool until something ends it, and says why. `connected` is called once
/// the broker has let us in.
pub(super) async fn run(
    settings: &Settings,
    reader: &mut Reader,
    board: &Board,
    batch_bytes_max: usize,
    connected: impl Fn(),
    shutdown: &CancellationToken,
) -> Ended {
    let topics = Topics::new(&settings.site, &settings.gateway);
    let (client, mut events) = match client(settings, &topics) {
        Ok(made) => made,
        Err(refusal) => return refusal.into(),
    };
    let granted = tokio::select! {
        result = connect(&mut events, settings) => result,
        () = shutdown.cancelled() => return Ended::Stopped,
    };
    let mut granted = match granted {
        Ok(granted) => granted,
        Err(refusal) => return refusal.into(),
    };
    if batch_bytes_max < BATCH_BYTES_MAX {
        // Something was too large: one message at a time, so that it is known which.
        granted.in_flight_max = 1;
    }
    let (said, taken) = mpsc::channel(TAKEN_PENDING_MAX);
    let hearing = Hearing::new(settings, topics.root(), said);
    let mut filters: Vec<(String, &str)> = Vec::new();
    if settings.release_on == ReleaseOn::Lake {
        let why =
            "the lake says what it has: change the broker's permissions, or set release_on: broker";
        filters.push((topics.taken_filter(), why));
    }
    let why = "a source says where people are: change the broker's permissions";
    filters.extend(hearing.cells.keys().map(|topic| (topic.clone(), why)));
    if settings.modules.is_some() {
        let why = "modules come in chunks: change the broker's permissions, or modules.mqtt";
        filters.push((topics.modules_filter(), why));
    }
    for (filter, why) in filters {
        if let Err(refusal) =
            subscribe(&client, &mut events, settings, &hearing, &filter, why).await
        {
            return refusal.into();
        }
    }
    connected();

    let mut publisher = Publisher {
        settings,
        topics,
        client,
        reader,
        granted,
        batch_bytes_max,
        due: FuturesOrdered::new(),
        flight: Flight::new(granted.in_flight_max),
        taken,
        untaken: Untaken::default(),
        documents: board.watch(),
        sent: Documents::new(),
        alone: None,
    };
    let ended = {
        let publish = publisher.run(shutdown);
        tokio::pin!(publish);
        tokio::select! {
            ended = &mut publish => ended,
            error = drive(&mut events, &hearing) => Ended::Refused(explain(&error, settings)),
        }
    };
    match &ended {
        Ended::Stopped => {
            // The event loop still has the DISCONNECT to send; it ends itself after it.
            let _ = timeout(Duration::from_secs(1), drive(&mut events, &hearing)).await;
        }
        Ended::Refused(Refusal {
            class: Class::TooLarge,
            ..
        }) => publisher.refuse_alone(),
        Ended::Refused(_) => {}
    }
    ended
}

fn client(settings: &Settings, topics: &Topics) -> Result<(AsyncClient, EventLoop), Refusal> {
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
        .set_outgoing_inflight_upper_limit(IN_FLIGHT_MESSAGES_MAX)
        .set_last_will(LastWill::new(
            topics.status(),
            status_payload(false, "connection lost", None),
            QoS::AtLeastOnce,
            true,
            None,
        ));
    if let Some(files) = &settings.tls {
        let config =
            tls::client_config(files).map_err(|error| Refusal::person(error.to_string()))?;
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
    }
    AsyncClient::builder(options)
        .capacity(usize::from(IN_FLIGHT_MESSAGES_MAX))
        .try_build()
        .map_err(|error| Refusal::person(format!("{}: {error}", settings.url)))
}

async fn connect(events: &mut EventLoop, settings: &Settings) -> Result<Granted, Refusal> {
    let acknowledgement = async {
        loop {
            if let Event::Incoming(Packet::ConnAck(connack)) = events.poll().await? {
                return Ok::<_, ConnectionError>(connack);
            }
        }
    };
    let connack = match timeout(CONNECT_TIMEOUT, acknowledgement).await {
        Ok(result) => result.map_err(|error| explain(&error, settings))?,
        Err(elapsed) => return Err(explain(&ConnectionError::Timeout(elapsed), settings)),
    };
    granted(connack.properties.as_ref(), settings)
}

/// MQTT 5, section 3.2.2.3: what isn't said has no limit, or is available.
fn granted(
    properties: Option<&ConnAckProperties>,
    settings: &Settings,
) -> Result<Granted, Refusal> {
    let mut granted = Granted {
        payload_bytes_max: usize::MAX,
        in_flight_max: usize::from(IN_FLIGHT_MESSAGES_MAX),
        retain: true,
    };
    let Some(properties) = properties else {
        return Ok(granted);
    };
    let broker = &settings.url;
    if properties.max_qos == Some(0) {
        return Err(Refusal::person(format!(
            "{broker} grants no QoS 1, without which nothing can be known to have arrived: change \
             its maximum QoS"
        )));
    }
    if let Some(packet) = properties.max_packet_size {
        let packet = usize::try_from(packet).unwrap_or(usize::MAX);
        if packet < BROKER_PACKET_BYTES_MIN {
            return Err(Refusal::person(format!(
                "{broker} takes packets of at most {packet} bytes, less than the \
                 {BROKER_PACKET_BYTES_MIN} that a record may need: raise its maximum packet size"
            )));
        }
        granted.payload_bytes_max = packet - TOPIC_BYTES_MAX;
    }
    if let Some(receive) = properties.receive_max {
        granted.in_flight_max = granted.in_flight_max.min(usize::from(receive).max(1));
    }
    granted.retain = properties.retain_available != Some(0);
    Ok(granted)
}

/// Asks for what others say. Nothing is published before the broker has agreed: a word of the lake that
/// is missed costs ten seconds.
async fn subscribe(
    client: &AsyncClient,
    events: &mut EventLoop,
    settings: &Settings,
    hearing: &Hearing,
    filter: &str,
    why: &str,
) -> Result<(), Refusal> {
    let later =
        |error: &dyn std::fmt::Display| Refusal::later(format!("{}: {error}", settings.url));
    client
        .subscribe(filter, QoS::AtLeastOnce)
        .await
        .map_err(|error| later(&error))?;
    let agreed = async {
        loop {
            match events.poll().await? {
                Event::Incoming(Packet::SubAck(suback)) => return Ok::<_, ConnectionError>(suback),
                // On what was asked for before.
                Event::Incoming(Packet::Publish(publish)) => {
                    hearing.publish(&publish.topic, &publish.payload);
                }
                _ => {}
            }
        }
    };
    let suback = match timeout(CONNECT_TIMEOUT, agreed).await {
        Ok(result) => result.map_err(|error| explain(&error, settings))?,
        Err(elapsed) => return Err(explain(&ConnectionError::Timeout(elapsed), settings)),
    };
    let is_granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
    if suback.return_codes.iter().all(is_granted) {
        return Ok(());
    }
    Err(Refusal::person(format!(
        "{} doesn't allow client {} to subscribe to {filter} ({:?}), where {why}",
        settings.url, settings.client_id, suback.return_codes
    )))
}

/// Where the event loop puts what others say.
struct Hearing {
    root: String,
    said: mpsc::Sender<Taken>,
    /// Cells by topic.
    cells: BTreeMap<String, Arc<str>>,
    heard: Option<mpsc::Sender<Heard>>,
    modules: Option<mpsc::Sender<ModuleChunk>>,
}

impl Hearing {
    fn new(settings: &Settings, root: &str, said: mpsc::Sender<Taken>) -> Self {
        let hear = settings.hear.as_ref();
        let cells = hear.into_iter().flat_map(|hear| &hear.cells);
        let topic = |cell: &Arc<str>| (Topics::obstacles(&settings.site, cell), Arc::clone(cell));
        Self {
            root: root.to_owned(),
            said,
            cells: cells.map(topic).collect(),
            heard: hear.map(|hear| hear.to.clone()),
            modules: settings.modules.clone(),
        }
    }

    // The event loop can't wait for those who are told, who may be waiting for it.
    fn publish(&self, topic: &[u8], payload: &[u8]) {
        let cell = str::from_utf8(topic)
            .ok()
            .and_then(|topic| self.cells.get(topic));
        if let (Some(cell), Some(heard)) = (cell, &self.heard) {
            let said = Heard {
                name: Arc::clone(cell),
                payload: payload.to_vec(),
            };
            if heard.try_send(said).is_err() {
                tracing::debug!(cell = &**cell, "a snapshot found no place");
            }
            return;
        }
        let chunk = str::from_utf8(topic)
            .ok()
            .and_then(|topic| Topics::chunk(&self.root, topic));
        if let (Some(chunk), Some(modules)) = (chunk, &self.modules) {
            let chunk = ModuleChunk {
                bytes: payload.to_vec(),
                ..chunk
            };
            if modules.try_send(chunk).is_err() {
                tracing::debug!("a chunk of a module found no place");
            }
            return;
        }
        match Taken::parse(&self.root, topic, payload) {
            // What is not heard here is said again when the batch is sent again.
            Ok(taken) => {
                if self.said.try_send(taken).is_err() {
                    tracing::debug!("a word of the lake found no place");
                }
            }
            Err(error) => tracing::warn!(
                topic = %String::from_utf8_lossy(topic),
                %error,
                "not what the lake says: ignored"
            ),
        }
    }
}

/// Moves packets until the connection ends; says how.
async fn drive(events: &mut EventLoop, hearing: &Hearing) -> ConnectionError {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                hearing.publish(&publish.topic, &publish.payload);
            }
            Ok(event) => tracing::trace!(?event, "mqtt"),
            Err(error) => return error,
        }
    }
}

/// What a message carried, to be remembered until it is acknowledged.
#[derive(Debug)]
enum Carried {
    Batch {
        batch: Batch,
        bytes: usize,
        at: Monotonic,
    },
    Document {
        topic: String,
    },
}

type Notice =
    Pin<Box<dyn Future<Output = (Carried, Result<PublishResult, PublishNoticeError>)> + Send>>;

struct Publisher<'a> {
    settings: &'a Settings,
    topics: Topics,
    client: AsyncClient,
    reader: &'a mut Reader,
    granted: Granted,
    batch_bytes_max: usize,
    /// Messages that wait for their PUBACK, in the order in which they were sent.
    due: FuturesOrdered<Notice>,
    flight: Flight,
    /// What the lake says; nothing comes where the broker's word is enough.
    taken: mpsc::Receiver<Taken>,
    untaken: Untaken,
    documents: watch::Receiver<Documents>,
    sent: Documents,
    /// The entry that is in flight by itself, if what is in flight is one entry.
    alone: Option<Batch>,
}

impl Publisher<'_> {
    async fn run(&mut self, shutdown: &CancellationToken) -> Ended {
        match self.publish_until(shutdown).await {
            Ok(()) => match self.say_goodbye().await {
                Ok(()) => Ended::Stopped,
                Err(refusal) => refusal.into(),
            },
            Err(refusal) => refusal.into(),
        }
    }

    async fn publish_until(&mut self, shutdown: &CancellationToken) -> Result<(), Refusal> {
        self.put_status(true, "connected").await?;
        self.documents.mark_changed();
        let batch_bytes_max = self.batch_bytes_max.min(self.granted.payload_bytes_max);
        let mut progress = Instant::now();
        let mut stop_at: Option<Instant> = None;
        loop {
            let stopping = stop_at.is_some();
            if stopping && self.reader.backlog().entries == 0 && self.due.is_empty() {
                return Ok(());
            }
            let room = self.due.len() < self.granted.in_flight_max;
            let lanes = self.lanes();
            let again_at = self.untaken.again_at().filter(|_| room);
            let linger = if stopping {
                Duration::ZERO
            } else {
                self.settings.linger
            };
            if self.due.is_empty() {
                progress = Instant::now();
            }
            tokio::select! {
                biased;
                Some((carried, result)) = self.due.next(), if !self.due.is_empty() => {
                    progress = Instant::now();
                    self.acknowledged(carried, result)?;
                }
                Some(taken) = self.taken.recv() => self.release(&taken),
                () = sleep_until(progress + ACKNOWLEDGE_TIMEOUT), if !self.due.is_empty() => {
                    return Err(Refusal::later(format!(
                        "{} doesn't acknowledge what is sent; beginning a new session",
                        self.settings.url
                    )));
                }
                () = shutdown.cancelled(), if !stopping => {
                    stop_at = Some(Instant::now() + SHUTDOWN_FLUSH);
                }
                () = sleep_until(stop_at.unwrap_or_else(Instant::now)), if stopping => {
                    return Ok(());
                }
                Ok(()) = self.documents.changed(), if room => self.put_documents().await?,
                () = sleep_until(again_at.map_or_else(Instant::now, Instant::from_std)), if again_at.is_some() => {
                    if let Some(batch) = self.untaken.again(Monotonic::now()) {
                        self.send_again(batch).await?;
                    }
                }
                batch = self.reader.next(batch_bytes_max, linger, lanes), if lanes.any() => {
                    self.send(batch).await?;
                }
            }
        }
    }

    /// The lanes that both ways leave open: that to the broker, and that to the lake.
    fn lanes(&self) -> Lanes {
        let (way, lake) = (self.flight.lanes(), self.untaken.lanes());
        // Documents take places too.
        let room = self.due.len() < self.granted.in_flight_max;
        Lanes {
            live: room && way.live && lake.live,
            backlog: room && way.backlog && lake.backlog,
        }
    }

    async fn send(&mut self, batch: Batch) -> Result<(), Refusal> {
        let payload = batch.payload();
        if payload.len() > self.granted.payload_bytes_max {
            // A batch keeps to the limit, so this is a single entry, which no smaller message carries.
            self.drop_refused(&batch, "larger than the broker takes");
            return Ok(());
        }
        if self.settings.release_on == ReleaseOn::Lake {
            self.untaken
                .sent(batch.clone(), payload.len(), Monotonic::now());
        }
        self.put_batch(batch, payload).await
    }

    /// The same bytes once more: the lake has not said that it has them.
    async fn send_again(&mut self, batch: Batch) -> Result<(), Refusal> {
        tracing::warn!(
            broker = %self.settings.url, machine = %batch.machine, stream = batch.stream.name(),
            epoch = batch.epoch(), first = batch.first(), last = batch.last(),
            "the lake is silent about these entries; sending them again",
        );
        let payload = batch.payload();
        self.put_batch(batch, payload).await
    }

    async fn put_batch(&mut self, batch: Batch, payload: String) -> Result<(), Refusal> {
        let topic = self.topics.stream(&batch.machine, batch.stream);
        self.alone = (batch.entries.len() == 1).then(|| batch.clone());
        let bytes = payload.len();
        self.flight.sent(batch.lane, bytes);
        let at = Monotonic::now();
        let options = PublishOptions::new(QoS::AtLeastOnce);
        let carried = Carried::Batch { batch, bytes, at };
        self.publish(topic, payload, options, carried).await
    }

    /// The lake has these entries: they leave the spool.
    fn release(&mut self, taken: &Taken) {
        for range in &taken.ranges {
            self.reader.release(
                &taken.machine,
                range.stream,
                range.epoch,
                range.first,
                range.last,
            );
        }
        self.untaken.taken(taken);
    }

    async fn put_documents(&mut self) -> Result<(), Refusal> {
        let documents = self.documents.borrow_and_update().clone();
        for (path, json) in &documents {
            if self.sent.get(path) != Some(json) {
                self.put_document(self.topics.below(path), json.to_string())
                    .await?;
            }
        }
        self.sent = documents;
        Ok(())
    }

    async fn put_status(&mut self, online: bool, reason: &str) -> Result<(), Refusal> {
        let payload = status_payload(online, reason, Some(SystemTime::now()));
        self.put_document(self.topics.status(), payload).await
    }

    async fn put_document(&mut self, topic: String, payload: String) -> Result<(), Refusal> {
        let options = PublishOptions::new(QoS::AtLeastOnce).retain(self.granted.retain);
        let carried = Carried::Document {
            topic: topic.clone(),
        };
        self.publish(topic, payload, options, carried).await
    }

    async fn publish(
        &mut self,
        topic: String,
        payload: String,
        options: PublishOptions,
        carried: Carried,
    ) -> Result<(), Refusal> {
        let notice = self
            .client
            .publish_tracked(topic, payload, options)
            .await
            .map_err(|error| Refusal::later(format!("{}: {error}", self.settings.url)))?;
        self.due.push_back(Box::pin(
            async move { (carried, notice.wait_async().await) },
        ));
        Ok(())
    }

    /// Releases, or says what the broker has against it.
    fn acknowledged(
        &mut self,
        carried: Carried,
        result: Result<PublishResult, PublishNoticeError>,
    ) -> Result<(), Refusal> {
        let broker = &self.settings.url;
        let puback = match result {
            Ok(PublishResult::Qos1(puback)) => puback,
            Ok(other) => {
                return Err(Refusal::later(format!(
                    "{broker} answered a QoS 1 publish by {other:?}"
                )));
            }
            Err(error) => return Err(Refusal::later(format!("{broker}: {error}"))),
        };
        let said = puback
            .properties
            .and_then(|properties| properties.reason_string)
            .map(|reason| format!(" (\"{reason}\")"))
            .unwrap_or_default();
        let reason = puback.reason;
        match carried {
            Carried::Batch { batch, bytes, at } => match answer(reason) {
                Answer::Taken => {
                    self.flight.acknowledged(batch.lane, bytes, at.elapsed());
                    if self.settings.release_on == ReleaseOn::Broker {
                        self.reader.release(
                            &batch.machine,
                            batch.stream,
                            batch.epoch(),
                            batch.first(),
                            batch.last(),
                        );
                    }
                }
                Answer::Later => {
                    return Err(Refusal::later(format!(
                        "{broker} can't take {} of {} at present: {reason:?}{said}",
                        batch.stream.name(),
                        batch.machine,
                    )));
                }
                Answer::NotAllowed => {
                    return Err(Refusal::person(format!(
                        "{broker} doesn't allow client {} to publish on {}: {reason:?}{said}; \
                         change the broker's permissions",
                        self.settings.client_id,
                        self.topics.stream(&batch.machine, batch.stream),
                    )));
                }
                Answer::Never => {
                    self.flight.acknowledged(batch.lane, bytes, at.elapsed());
                    self.drop_refused(&batch, &format!("the broker says {reason:?}{said}"));
                }
            },
            // Status and schema are for people: records go out without them.
            Carried::Document { topic } => {
                if answer(reason) != Answer::Taken {
                    tracing::warn!(broker = %broker, topic, "not taken: {reason:?}{said}");
                }
            }
        }
        Ok(())
    }

    async fn say_goodbye(&mut self) -> Result<(), Refusal> {
        self.put_status(false, "stopped").await?;
        let acknowledged = async {
            while let Some((carried, result)) = self.due.next().await {
                self.acknowledged(carried, result)?;
            }
            Ok::<_, Refusal>(())
        };
        // A broker that doesn't answer any more sends the last will instead.
        if let Ok(result) = timeout(Duration::from_secs(1), acknowledged).await {
            result?;
        }
        self.client
            .disconnect()
            .await
            .map_err(|error| Refusal::later(format!("{}: {error}", self.settings.url)))
    }

    /// The broker ended the session over a message that was too large. If that was a single entry,
    /// no smaller message can carry it.
    fn refuse_alone(&mut self) {
        if self.granted.in_flight_max == 1
            && let Some(batch) = self.alone.take()
        {
            self.drop_refused(&batch, "larger than the broker takes");
        }
    }

    fn drop_refused(&mut self, batch: &Batch, why: &str) {
        tracing::error!(
            broker = %self.settings.url, machine = %batch.machine, stream = batch.stream.name(),
            epoch = batch.epoch(), first = batch.first(), last = batch.last(), "dropped: {why}",
        );
        self.untaken.refused(batch);
        self.reader.refuse(batch);
    }
}
