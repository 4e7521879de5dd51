//! A real Apache Kafka (KRaft, one node) on ports of its own, to be killed and started again by a
//! test, and the few things that a test asks of it.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::binary::repository;
use crate::ports::free_port;

/// Two cores that compile at the same time need this long for a JVM at worst.
const UP_WITHIN: Duration = Duration::from_secs(90);

/// How long an answer of a server that is up may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// A server; killed when dropped.
#[derive(Debug)]
pub struct Kafka {
    child: Option<Child>,
    port: u16,
    behind: Vec<u16>,
    settings: PathBuf,
    log: PathBuf,
}

/// One message of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its partition.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Its key, empty where it has none.
    pub key: String,
    /// Its payload; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
}

impl Message {
    /// The payload as text.
    ///
    /// # Panics
    ///
    /// There is none, or it isn't UTF-8.
    pub fn text(&self) -> &str {
        let payload = self.payload.as_deref().expect("a payload");
        std::str::from_utf8(payload).expect("UTF-8")
    }
}

impl Kafka {
    /// Starts a server whose files stand in `folder`, and returns once it answers.
    ///
    /// # Panics
    ///
    /// Java or Kafka's jars aren't there, or it doesn't come up.
    pub fn start(folder: &Path) -> Self {
        Self::start_behind(folder, &[])
    }

    /// The same with a further listener for each port of `proxies`. Kafka tells its clients where to
    /// go on: who comes through the listener [`Self::behind`] number *i* is told `proxies[i]`, so that
    /// a proxy there stays in between.
    pub fn start_behind(folder: &Path, proxies: &[u16]) -> Self {
        let (port, controller) = (free_port(), free_port());
        let behind: Vec<u16> = proxies.iter().map(|_| free_port()).collect();
        let data = folder.join("kafka-data");
        std::fs::create_dir_all(&data).expect("the folder is there");
        let mut listeners = format!("DIRECT://127.0.0.1:{port}");
        let mut advertised = listeners.clone();
        let mut protocols = "DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
        for (index, (own, proxy)) in behind.iter().zip(proxies).enumerate() {
            let _ = write!(listeners, ",BEHIND{index}://127.0.0.1:{own}");
            let _ = write!(advertised, ",BEHIND{index}://127.0.0.1:{proxy}");
            let _ = write!(protocols, ",BEHIND{index}:PLAINTEXT");
        }
        let text = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners={listeners},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners={advertised}\n\
             listener.security.protocol.map={protocols}\n\
             inter.broker.listener.name=DIRECT\n\
             controller.listener.names=CONTROLLER\n\
             log.dirs={}\n\
             auto.create.topics.enable=false\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             share.coordinator.state.topic.num.partitions=1\n\
             group.initial.rebalance.delay.ms=0\n\
             group.min.session.timeout.ms=1000\n",
            data.display()
        );
        // What `kafka-storage format` would write, without another JVM's seconds.
        let identity = "version=1\ncluster.id=cmV0cm90YXAtdGVzdHMtMA\nnode.id=1\n";
        let settings = folder.join("kafka.properties");
        std::fs::write(&settings, text).expect("the folder is there");
        std::fs::write(data.join("meta.properties"), identity).expect("the folder is there");
        let mut kafka = Self {
            child: None,
            port,
            behind,
            settings,
            log: folder.join("kafka.log"),
        };
        kafka.restart();
        kafka
    }

    /// `HOST:PORT` for clients without a proxy.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port of the further listener number `index`, where its proxy connects to.
    ///
    /// # Panics
    ///
    /// There is no such listener.
    pub fn behind(&self, index: usize) -> u16 {
        self.behind[index]
    }

    /// Its process.
    ///
    /// # Panics
    ///
    /// It doesn't run.
    pub fn process(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Kills it as a power cut of its process would: what the kernel has stays.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again with the same ports and data, after [`Self::kill`], and returns once it
    /// answers.
    ///
    /// # Panics
    ///
    /// It runs, or doesn't come up.
    pub fn restart(&mut self) {
        self.restart_without_waiting();
        let deadline = Instant::now() + UP_WITHIN;
        while !self.answers() {
            let ended = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().expect("a child"));
            let in_time = ended.is_none() && Instant::now() < deadline;
            assert!(in_time, "Kafka doesn't come up, {ended:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Starts it again and doesn't wait for it.
    ///
    /// # Panics
    ///
    /// It runs, or Java or its jars aren't there.
    pub fn restart_without_waiting(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let jars = jars();
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("the folder is there");
        let child = Command::new("java")
            // Small and soon there; what it does here is never worth a second compiler.
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
            .arg("-cp")
            .arg(jars.join("*"))
            .arg("kafka.Kafka")
            .arg(&self.settings)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("Java 17 is installed (Debian package default-jre-headless)");
        self.child = Some(child);
    }

    /// Whether it answers within a second.
    pub fn answers(&self) -> bool {
        self.client::<BaseConsumer>(&[])
            .fetch_metadata(None, Duration::from_secs(1))
            .is_ok_and(|metadata| !metadata.brokers().is_empty())
    }

    /// What it wrote into its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Makes a topic.
    ///
    /// # Panics
    ///
    /// It is there already, or Kafka doesn't answer.
    pub async fn create_topic(&self, topic: &str, partitions: i32) {
        let admin: AdminClient<_> = self.client(&[]);
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(ANSWERS_WITHIN));
        let made = admin.create_topics([&new], &options).await;
        for topic in made.expect("Kafka answers") {
            topic.expect("a new topic");
        }
    }

    /// Publishes messages (key, payload) in order, and returns when Kafka has them.
    ///
    /// # Panics
    ///
    /// It doesn't take them.
    pub fn publish<'a>(
        &self,
        topic: &str,
        messages: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) {
        let producer: BaseProducer = self.client(&[("acks", "all"), ("linger.ms", "0")]);
        for (key, payload) in messages {
            let mut record = BaseRecord::to(topic).key(key).payload(payload);
            while let Err((error, again)) = producer.send(record) {
                let full = rdkafka::types::RDKafkaErrorCode::QueueFull;
                assert_eq!(error.rdkafka_error_code(), Some(full), "{error}");
                producer.poll(Duration::from_millis(10));
                record = again;
            }
        }
        producer.flush(ANSWERS_WITHIN).expect("Kafka takes them");
    }

    /// Everything in a topic up to its present end, by partition in order; nothing where there is no
    /// such topic.
    ///
    /// # Panics
    ///
    /// Kafka doesn't answer.
    pub fn read(&self, topic: &str) -> Vec<Message> {
        let consumer: BaseConsumer = self.client(&[
            ("group.id", "reads-to-the-end"),
            ("enable.auto.commit", "false"),
            ("fetch.wait.max.ms", "50"),
        ]);
        let metadata = consumer
            .fetch_metadata(Some(topic), ANSWERS_WITHIN)
            .expect("Kafka answers");
        let partitions = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions());
        let mut ends = std::collections::BTreeMap::new();
        let mut assignment = TopicPartitionList::new();
        for partition in partitions.map(rdkafka::metadata::MetadataPartition::id) {
            let (first, end) = consumer
                .fetch_watermarks(topic, partition, ANSWERS_WITHIN)
                .expect("Kafka answers");
            if end > first {
                ends.insert(partition, end);
                assignment
                    .add_partition_offset(topic, partition, Offset::Beginning)
                    .expect("an offset");
            }
        }
        consumer.assign(&assignment).expect("partitions that exist");
        let mut messages = Vec::new();
        let mut deadline = Instant::now() + ANSWERS_WITHIN;
        while !ends.is_empty() {
            // Positions and not messages say where the end is: compaction and transactions leave
            // offsets without any.
            for position in consumer.position().expect("positions").elements() {
                let reached = ends.get(&position.partition()).is_some_and(
                    |end| matches!(position.offset(), Offset::Offset(at) if at >= *end),
                );
                if reached {
                    ends.remove(&position.partition());
                }
            }
            match consumer.poll(Duration::from_millis(50)) {
                Some(Ok(message)) => {
                    deadline = Instant::now() + ANSWERS_WITHIN;
                    messages.push(Message {
                        partition: message.partition(),
                        offset: message.offset(),
                        key: String::from_utf8_lossy(message.key().unwrap_or_default())
                            .into_owned(),
                        payload: message.payload().map(<[u8]>::to_vec),
                    });
                }
                Some(Err(error)) => assert!(Instant::now() < deadline, "{error}"),
                None => assert!(Instant::now() < deadline, "{topic} doesn't end: {ends:?}"),
            }
        }
        messages.sort_by_key(|message| (message.partition, message.offset));
        messages
    }

    /// A client of the listener without proxy.
    ///
    /// # Panics
    ///
    /// The settings are wrong.
    pub fn client<T: rdkafka::config::FromClientConfig>(&self, more: &[(&str, &str)]) -> T {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.address())
            // While it is down that is what is tested, and not worth a line each time.
            .set("log_level", "0")
            .set("reconnect.backoff.max.ms", "500");
        for (name, value) in more {
            config.set(*name, *value);
        }
        config.create().expect("valid settings")
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.kill();
    }
}

fn jars() -> PathBuf {
    let folder = std::env::var_os("RETROTAP_KAFKA")
        .map_or_else(|| repository().join("target/tools/kafka"), PathBuf::from);
    assert!(
        folder.is_dir(),
        "Kafka's jars are not there; fetch them once with: tests/support/setup.sh test"
    );
    folder
}
