//! From Kafka to batches, and from written batches to committed offsets.
//!
//! A thread of its own polls: rebalances are answered there, also while the database takes nothing. A
//! sink that can't go on tells Kafka to send nothing more and goes on polling, so that it stays in its
//! group and others can still take partitions from it.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Message as _, Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, Limits, Source};
use super::events;
use super::offsets::Offsets;
use super::schema_reader::Known;
use super::schemas::Schemas;
use crate::health::Health;
use crate::kafka;
use crate::limits::{COMMIT_EVERY, DRAIN_MAX, PAUSE_AFTER, REVOKE_WAIT, WRITES_MAX};
use crate::metrics::{Partition, Sink as Metrics};
use crate::topics;

/// How long one poll waits where nothing else is due: how soon a stop is noticed.
const POLL_MAX: Duration = Duration::from_millis(50);

/// Records taken before the loop looks at anything else: 200 are taken in a millisecond.
const BURST_MAX: usize = 200;

/// What the poll loop and the callbacks that it runs share.
pub struct Context {
    state: Mutex<State>,
    metrics: Arc<Metrics>,
    health: Health,
}

struct State {
    offsets: Offsets,
    written: Receiver<Batch>,
    spare: Vec<Batch>,
    in_flight: usize,
}

impl Context {
    /// `written` gives back batches in the order in which they were handed over.
    pub fn new(written: Receiver<Batch>, metrics: Arc<Metrics>, health: Health) -> Self {
        health.waits("kafka", "it joins its group");
        Self {
            state: Mutex::new(State {
                offsets: Offsets::default(),
                written,
                spare: Vec::new(),
                in_flight: 0,
            }),
            metrics,
            health,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what is written; waits for that up to `wait`, or not at all where nothing is under way.
    fn collect(&self, wait: Duration) {
        let mut state = self.state();
        let mut wait = wait;
        while state.in_flight > 0 {
            match state.written.recv_timeout(wait) {
                Ok(mut batch) => {
                    state.offsets.written(&batch.progress);
                    state.in_flight -= 1;
                    batch.clear();
                    state.spare.push(batch);
                    wait = Duration::ZERO;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        self.metrics
            .in_flight
            .set(i64::try_from(state.in_flight).unwrap_or(i64::MAX));
    }

    /// Waits until nothing is under way, or for as long as it may.
    fn settle(&self, wait: Duration) {
        let until = Instant::now() + wait;
        while self.state().in_flight > 0 && Instant::now() < until {
            self.collect(Duration::from_millis(20));
            self.health.beat();
        }
    }

    fn commit(&self, consumer: &BaseConsumer<Self>, mode: CommitMode) {
        let due = self.state().offsets.due();
        if due.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for &(partition, next) in &due {
            if let Err(error) =
                list.add_partition_offset(topics::RECORDS, partition, Offset::Offset(next))
            {
                tracing::warn!(%error, partition, next, "can't be committed");
            }
        }
        match consumer.commit(&list, mode) {
            Ok(()) => self.state().offsets.committed(&due),
            Err(error) => tracing::warn!(%error, "not committed; it will be written again"),
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        kafka::log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        kafka::said(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let up = |broker: &rdkafka::statistics::Broker| broker.nodeid >= 0 && broker.state == "UP";
        if statistics.brokers.values().any(up) {
            self.health.ready("kafka");
        } else {
            self.health
                .waits("kafka", "no broker of Kafka can be reached");
        }
        let ours: Vec<i32> = self.state().offsets.partitions().collect();
        let Some(topic) = statistics.topics.get(topics::RECORDS) else {
            return;
        };
        for (&partition, found) in &topic.partitions {
            if ours.contains(&partition) && found.consumer_lag >= 0 {
                let lag = self.metrics.lag.get_or_create(&Partition { partition });
                lag.set(found.consumer_lag);
            }
        }
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let ours = |list: &TopicPartitionList| -> Vec<i32> {
            list.elements()
                .iter()
                .map(|element| element.partition())
                .collect()
        };
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = ours(list);
                events::Rebalanced {
                    what: "assigned",
                    partitions: &partitions,
                }
                .tell(&self.metrics);
                self.state().offsets.assigned(partitions);
                self.health.ready("kafka");
            }
            Rebalance::Revoke(list) => {
                let partitions = ours(list);
                // What is written and committed now, the next owner needn't write again.
                self.settle(REVOKE_WAIT);
                self.commit(consumer, CommitMode::Sync);
                self.state().offsets.revoked(partitions.iter().copied());
                events::Rebalanced {
                    what: "revoked",
                    partitions: &partitions,
                }
                .tell(&self.metrics);
            }
            Rebalance::Error(error) => tracing::error!(%error, "rebalance"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::warn!(%error, "not committed; it is tried again");
            self.state().offsets.forget_commits();
        }
    }
}

/// Reads until `shutdown`, then waits for what is under way.
pub struct Reader {
    /// The consumer; its context gets what is written.
    pub consumer: BaseConsumer<Context>,
    /// Where batches go.
    pub batches: mpsc::Sender<Batch>,
    /// How much goes into one.
    pub limits: Limits,
    /// How long the first record of a batch waits for others.
    pub wait: Duration,
    /// Kinds of fields.
    pub known: Known,
}

impl Reader {
    /// The loop.
    ///
    /// # Errors
    ///
    /// Kafka says that nothing more will come of it.
    pub fn run(mut self, shutdown: &CancellationToken) -> KafkaResult<()> {
        let mut open = Batch::default();
        let mut schemas = self.known.get();
        let mut committed = Instant::now();
        let mut blocked: Option<Instant> = None;
        let mut paused = false;
        let result = loop {
            let context = Arc::clone(self.consumer.context());
            context.health.beat();
            context.collect(Duration::ZERO);
            if committed.elapsed() >= COMMIT_EVERY {
                committed = Instant::now();
                context.commit(&self.consumer, CommitMode::Async);
            }
            if shutdown.is_cancelled() {
                break Ok(());
            }
            let full = open.is_full(self.limits);
            let age = open.began().map(|began| began.elapsed());
            if (full || age.is_some_and(|age| age >= self.wait))
                && context.state().in_flight < WRITES_MAX
            {
                open = self.hand_over(open, &context);
                schemas = self.known.get();
                blocked = None;
                continue;
            }
            if full {
                let since = *blocked.get_or_insert_with(Instant::now);
                if since.elapsed() < PAUSE_AFTER {
                    context.collect(Duration::from_millis(20));
                    continue;
                }
                if !paused {
                    paused = self.pause(true);
                }
            } else if paused {
                paused = !self.pause(false);
            }
            let wait = age.map_or(POLL_MAX, |age| self.wait.saturating_sub(age).min(POLL_MAX));
            if open.is_empty() {
                schemas = self.known.get();
            }
            match self.fill(&mut open, wait, &schemas, &context) {
                // From a partition that came while the others were told to be quiet.
                Ok(taken) if taken > 0 && paused => paused = self.pause(true),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        self.drain(open);
        result
    }

    /// Takes what comes within `wait`, and then what is there already; says how many.
    fn fill(
        &self,
        open: &mut Batch,
        wait: Duration,
        schemas: &Schemas,
        context: &Context,
    ) -> KafkaResult<usize> {
        let mut taken = 0;
        let mut wait = wait;
        // Once at least, also where there is no room: rebalances are answered while polling.
        while taken == 0 || (taken < BURST_MAX && !open.is_full(self.limits)) {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => take(&message, open, schemas, context),
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
                Some(Err(error)) => {
                    tracing::warn!(%error, "Kafka");
                    std::thread::sleep(POLL_MAX);
                    break;
                }
            }
            taken += 1;
            wait = Duration::ZERO;
        }
        context.metrics.records.inc_by(taken as u64);
        Ok(taken)
    }

    /// Gives a batch to the writer, and an empty one back.
    fn hand_over(&mut self, batch: Batch, context: &Context) -> Batch {
        if batch.is_empty() {
            return batch;
        }
        let mut state = context.state();
        let next = state.spare.pop().unwrap_or_default();
        // There is room: no more than that many are under way.
        match self.batches.try_send(batch) {
            Ok(()) => {
                state.in_flight += 1;
                next
            }
            Err(
                mpsc::error::TrySendError::Full(batch) | mpsc::error::TrySendError::Closed(batch),
            ) => batch,
        }
    }

    /// Whether it was done.
    fn pause(&self, pause: bool) -> bool {
        let done = self.consumer.assignment().and_then(|assignment| {
            if pause {
                self.consumer.pause(&assignment)
            } else {
                self.consumer.resume(&assignment)
            }
        });
        if let Err(error) = &done {
            tracing::warn!(%error, pause, "Kafka");
        }
        done.is_ok()
    }

    /// What was read is still written and committed, if the database is there.
    fn drain(mut self, mut open: Batch) {
        let context = Arc::clone(self.consumer.context());
        let until = Instant::now() + DRAIN_MAX;
        while !open.is_empty() && Instant::now() < until {
            if context.state().in_flight < WRITES_MAX {
                open = self.hand_over(open, &context);
            }
            context.collect(Duration::from_millis(20));
        }
        context.settle(until.saturating_duration_since(Instant::now()));
        context.commit(&self.consumer, CommitMode::Sync);
        let left = context.state().in_flight;
        if left > 0 {
            tracing::warn!(
                batches = left,
                "stopped before they were written; they will be read again"
            );
        }
        // Whoever takes over needn't wait for this one to be missed.
        drop(self.consumer);
    }
}

fn take(message: &BorrowedMessage<'_>, open: &mut Batch, schemas: &Schemas, context: &Context) {
    let source = Source {
        key: message.key().unwrap_or_default(),
        json: message.payload().unwrap_or_default(),
        partition: message.partition(),
        offset: message.offset(),
    };
    open.add(source, schemas);
    context
        .state()
        .offsets
        .read(source.partition, source.offset, &mut open.progress);
}
