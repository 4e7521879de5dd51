//! Messages that wait for Kafka, in the order in which they came.
//!
//! Kafka reports on each entry by itself and in its own order; a message is done when its last entry
//! is, and is acknowledged when all messages before it are. MQTT 5 asks for that order (section
//! 4.6), and it makes what is unacknowledged at a crash one piece at the end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// What is left of a message until Kafka has all of it. Shared by its entries.
#[derive(Debug)]
pub struct Ticket {
    left: AtomicUsize,
    failed: AtomicBool,
    why: Mutex<Option<String>>,
    done: Arc<Notify>,
}

impl Ticket {
    /// One entry less; wakes who waits at the last one, and at the first that failed.
    pub fn delivered(&self, result: Result<(), &impl std::fmt::Display>) {
        if let Err(error) = result {
            let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
            why.get_or_insert_with(|| error.to_string());
            self.failed.store(true, Ordering::Release);
            self.done.notify_one();
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }

    fn state(&self) -> State {
        // `failed` is written before `left` falls.
        let left = self.left.load(Ordering::Acquire);
        if self.failed.load(Ordering::Acquire) {
            let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
            return State::Failed(why.clone().unwrap_or_default());
        }
        if left == 0 { State::Done } else { State::Waits }
    }
}

enum State {
    Waits,
    Done,
    Failed(String),
}

/// The messages; `T` is what is to be done once Kafka has one.
#[derive(Debug)]
pub struct Window<T> {
    waiting: VecDeque<(Arc<Ticket>, Instant, T)>,
    done: Arc<Notify>,
}

/// Kafka won't have an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Kafka didn't take an entry: {0}")]
pub struct NotDelivered(pub String);

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            done: Arc::new(Notify::new()),
        }
    }
}

impl<T> Window<T> {
    /// A message came: a ticket for each of its entries. With none it waits for those before it.
    pub fn push(&mut self, entries: usize, then: T) -> Arc<Ticket> {
        let ticket = Arc::new(Ticket {
            left: AtomicUsize::new(entries),
            failed: AtomicBool::new(false),
            why: Mutex::new(None),
            done: Arc::clone(&self.done),
        });
        self.waiting
            .push_back((Arc::clone(&ticket), Instant::now(), then));
        if entries == 0 {
            self.done.notify_one();
        }
        ticket
    }

    /// The next message that Kafka has, with the time when it came, if all before it were given out.
    ///
    /// # Errors
    ///
    /// The oldest has an entry that Kafka won't have.
    pub fn pop_done(&mut self) -> Result<Option<(Instant, T)>, NotDelivered> {
        let Some((ticket, _, _)) = self.waiting.front() else {
            return Ok(None);
        };
        match ticket.state() {
            State::Waits => Ok(None),
            State::Failed(why) => Err(NotDelivered(why)),
            State::Done => Ok(self
                .waiting
                .pop_front()
                .map(|(_, since, then)| (since, then))),
        }
    }

    /// Something may have changed for [`Window::pop_done`].
    pub fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.done)
    }

    /// Since when the oldest waits.
    pub fn oldest(&self) -> Option<Instant> {
        self.waiting.front().map(|(_, since, _)| *since)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OK: Result<(), &&str> = Ok(());

    fn popped(window: &mut Window<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| window.pop_done().expect("nothing failed"))
            .map(|(_, what)| what)
            .collect()
    }

    #[test]
    fn a_message_waits_for_all_of_its_entries_and_for_those_before_it() {
        let mut window = Window::default();
        let first = window.push(2, "first");
        let second = window.push(1, "second");
        window.push(0, "third");
        second.delivered(OK);
        first.delivered(OK);
        assert_eq!(popped(&mut window), [""; 0]);
        first.delivered(OK);
        assert_eq!(popped(&mut window), ["first", "second", "third"]);
        assert!(window.is_empty());
    }

    #[test]
    fn what_kafka_does_not_take_is_never_given_out() {
        let mut window = Window::default();
        let first = window.push(2, "first");
        first.delivered(Err(&"queue purged"));
        first.delivered(OK);
        let failed = window.pop_done().expect_err("it failed");
        assert_eq!(failed, NotDelivered("queue purged".into()));
        assert_eq!(window.len(), 1);
    }

    proptest! {
        #[test]
        fn in_whatever_order_reports_come_messages_go_in_theirs(
            sizes in proptest::collection::vec(0_usize..4, 1..20),
            seed in any::<u64>(),
        ) {
            let mut window = Window::default();
            let mut reports: Vec<_> = sizes.iter().enumerate().flat_map(|(index, &size)| {
                let ticket = window.push(size, index);
                std::iter::repeat_n(ticket, size)
            }).collect();
            let mut given = Vec::new();
            let mut seed = seed;
            while !reports.is_empty() {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = usize::try_from(seed >> 33).unwrap() % reports.len();
                reports.swap_remove(at).delivered(OK);
                while let Some((_, index)) = window.pop_done().unwrap() {
                    given.push(index);
                }
            }
            while let Some((_, index)) = window.pop_done().unwrap() {
                given.push(index);
            }
            prop_assert_eq!(given, (0..sizes.len()).collect::<Vec<_>>());
        }
    }
}
