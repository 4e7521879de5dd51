use super::*;

const EPOCH: u64 = 1000;
const ROOMY: usize = 1 << 20;

fn queues() -> (Queues, usize) {
    let mut queues = Queues::default();
    let index = queues.queue(&"m".into(), Stream::Records);
    (queues, index)
}

fn push(queues: &mut Queues, index: usize, (epoch, seq): Name, now: Instant) -> Entry {
    let queue = queues.get(index).expect("there");
    let entry = Entry {
        machine: Arc::clone(&queue.machine),
        stream: queue.stream,
        record: "a".into(),
        epoch,
        seq,
        line_ns: 0,
        t_unix_ns: seq.cast_signed(),
        json: format!(r#"{{"epoch":{epoch},"seq":{seq:05}}}"#).into(),
    };
    queues.push(index, entry.clone(), now);
    entry
}

fn numbers(batch: &Batch) -> Vec<u64> {
    batch.entries.iter().map(|entry| entry.seq).collect()
}

fn live(queues: &mut Queues, bytes_max: usize, now: Instant) -> Option<Batch> {
    match queues.live_due(bytes_max, Duration::ZERO, now) {
        Due::Now(index) => queues.read_live(index, bytes_max),
        _ => None,
    }
}

fn backlog(queues: &mut Queues, bytes_max: usize) -> Option<Batch> {
    match queues.next_backlog(bytes_max)? {
        Next::Batch(batch) => Some(batch),
        Next::Stored(wanted) => panic!("not in memory: {wanted:?}"),
    }
}

fn span(first: u64, last: u64) -> Span {
    Span {
        epoch: EPOCH,
        first,
        last,
    }
}

#[test]
fn what_was_sent_is_read_again_after_a_rewind_as_backlog_and_what_comes_is_live() {
    let (mut queues, index) = queues();
    let now = Instant::now();
    for seq in 1..=5 {
        push(&mut queues, index, (EPOCH, seq), now);
    }
    let first = live(&mut queues, ROOMY, now).expect("five wait");
    assert_eq!(
        (numbers(&first), first.lane),
        (vec![1, 2, 3, 4, 5], Lane::Live)
    );
    assert_eq!((first.epoch(), first.first(), first.last()), (EPOCH, 1, 5));
    assert_eq!(live(&mut queues, ROOMY, now), None);
    assert_eq!(queues.release("m", Stream::Records, span(1, 2)), 2);
    queues.rewind();
    push(&mut queues, index, (EPOCH, 6), now);
    let fresh = live(&mut queues, ROOMY, now).expect("one is live");
    assert_eq!(numbers(&fresh), [6]);
    let again = backlog(&mut queues, ROOMY).expect("three wait");
    assert_eq!(again.entries, first.entries[2..]);
    assert_eq!(again.lane, Lane::Backlog);
    assert!(backlog(&mut queues, ROOMY).is_none());
    assert_eq!(queues.release("m", Stream::Records, span(3, 6)), 4);
    assert_eq!(queues.backlog(), Backlog::default());
    assert_eq!(queues.counts.released, 6);
}

#[test]
fn release_takes_what_was_given_out_and_ignores_what_it_does_not_know() {
    let (mut queues, index) = queues();
    let now = Instant::now();
    push(&mut queues, index, (EPOCH, 1), now);
    assert_eq!(
        queues.release("m", Stream::Records, span(1, 1)),
        0,
        "never given out"
    );
    live(&mut queues, ROOMY, now).expect("one");
    let other_epoch = Span {
        epoch: EPOCH - 1,
        first: 1,
        last: 99,
    };
    assert_eq!(queues.release("nobody", Stream::Records, span(1, 1)), 0);
    assert_eq!(queues.release("m", Stream::Frames, span(1, 1)), 0);
    assert_eq!(queues.release("m", Stream::Records, other_epoch), 0);
    assert_eq!(queues.backlog().entries, 1);
    queues.rewind();
    assert_eq!(
        queues.release("m", Stream::Records, span(0, u64::MAX - 1)),
        1,
        "an answer that came late"
    );
    assert_eq!(queues.release("m", Stream::Records, span(1, 1)), 0, "twice");
}

#[test]
fn what_was_released_in_the_middle_is_not_sent_again() {
    let (mut queues, index) = queues();
    let now = Instant::now();
    for seq in 1..=9 {
        push(&mut queues, index, (EPOCH, seq), now);
    }
    live(&mut queues, ROOMY, now).expect("all");
    assert_eq!(queues.release("m", Stream::Records, span(4, 6)), 3);
    queues.rewind();
    let order: Vec<_> = std::iter::from_fn(|| backlog(&mut queues, ROOMY))
        .map(|batch| numbers(&batch))
        .collect();
    assert_eq!(order, [vec![1, 2, 3], vec![7, 8, 9]]);
}

#[test]
fn batches_keep_to_their_size_and_machines_take_turns_in_both_lanes() {
    let (mut queues, one) = queues();
    let two = queues.queue(&"n".into(), Stream::Records);
    let now = Instant::now();
    let mut entry_bytes = 0;
    for seq in 1..=4 {
        entry_bytes = push(&mut queues, one, (EPOCH, seq), now).json.len();
    }
    push(&mut queues, two, (EPOCH, 1), now);
    let room_for_two = 2 * entry_bytes + "[,]".len();
    let expect = [("m", vec![1, 2]), ("n", vec![1]), ("m", vec![3, 4])];
    let expect = expect.map(|(machine, seq)| (machine.to_owned(), seq));
    let named = |batch: Batch| {
        assert!(batch.payload().len() <= room_for_two);
        (batch.machine.to_string(), numbers(&batch))
    };
    let order: Vec<_> = std::iter::from_fn(|| live(&mut queues, room_for_two, now))
        .map(named)
        .collect();
    assert_eq!(order, expect);
    queues.rewind();
    let order: Vec<_> = std::iter::from_fn(|| backlog(&mut queues, room_for_two))
        .map(named)
        .collect();
    assert_eq!(order, expect);
}

#[test]
fn an_entry_larger_than_the_batch_comes_alone() {
    let (mut queues, index) = queues();
    let now = Instant::now();
    push(&mut queues, index, (EPOCH, 1), now);
    push(&mut queues, index, (EPOCH, 2), now);
    let alone: Vec<_> = std::iter::from_fn(|| live(&mut queues, 1, now))
        .map(|batch| numbers(&batch))
        .collect();
    assert_eq!(alone, [vec![1], vec![2]]);
}

#[test]
fn batches_never_hold_two_epochs() {
    let (mut queues, index) = queues();
    let now = Instant::now();
    for name in [(EPOCH, 1), (EPOCH, 2), (EPOCH + 1, 1), (EPOCH + 1, 2)] {
        push(&mut queues, index, name, now);
    }
    let epochs: Vec<_> = std::iter::from_fn(|| live(&mut queues, ROOMY, now))
        .map(|batch| (batch.epoch(), numbers(&batch)))
        .collect();
    assert_eq!(epochs, [(EPOCH, vec![1, 2]), (EPOCH + 1, vec![1, 2])]);
}

#[test]
fn a_live_entry_is_due_when_it_has_lingered_or_the_batch_is_full() {
    let (mut queues, index) = queues();
    let start = Instant::now();
    let linger = Duration::from_millis(5);
    assert_eq!(queues.live_due(ROOMY, linger, start), Due::WhenTaken);
    push(&mut queues, index, (EPOCH, 1), start);
    assert_eq!(
        queues.live_due(ROOMY, linger, start),
        Due::At(start + linger)
    );
    assert_eq!(
        queues.live_due(ROOMY, linger, start + linger),
        Due::Now(index)
    );
    assert_eq!(queues.live_due(10, linger, start), Due::Now(index));
}

#[test]
fn what_nobody_reads_in_time_becomes_backlog_and_live_begins_at_the_newest() {
    let (mut queues, index) = queues();
    let start = Instant::now();
    push(&mut queues, index, (EPOCH, 1), start);
    push(&mut queues, index, (EPOCH, 2), start + LIVE_LAG_MAX / 2);
    queues.age_live(start + LIVE_LAG_MAX - Duration::from_millis(1));
    assert!(backlog(&mut queues, ROOMY).is_none());
    queues.age_live(start + LIVE_LAG_MAX);
    push(&mut queues, index, (EPOCH, 3), start + LIVE_LAG_MAX);
    let late = backlog(&mut queues, ROOMY).expect("two were late");
    assert_eq!(numbers(&late), [1, 2]);
    let fresh = live(&mut queues, ROOMY, start + LIVE_LAG_MAX).expect("one is live");
    assert_eq!(numbers(&fresh), [3]);
}

#[test]
fn memory_holds_what_is_not_stored_and_what_is_live_and_nothing_else() {
    let (mut queues, index) = queues();
    let now = Instant::now();
    for seq in 1..=6 {
        push(&mut queues, index, (EPOCH, seq), now);
    }
    queues.stored(index, Some((EPOCH, 4)), Some(1));
    assert_eq!(
        queues.recent("m", "a", 0, 100).len(),
        6,
        "nobody read them yet"
    );
    live(&mut queues, ROOMY, now).expect("all");
    assert_eq!(
        queues.recent("m", "a", 0, 100).len(),
        2,
        "two are not stored"
    );
    queues.rewind();
    let Some(Next::Stored(wanted)) = queues.next_backlog(ROOMY) else {
        panic!("the first four are in the store alone");
    };
    assert_eq!((wanted.span.first, &*wanted.machine), (1, "m"));
    assert_eq!(queues.backlog().oldest_unix_ns, Some(1));
}

#[test]
fn live_entries_that_are_stored_take_bounded_memory() {
    let (mut queues, index) = queues();
    let now = Instant::now();
    let mut seq = 0;
    let mut bytes = 0;
    while bytes <= LIVE_BYTES_MAX {
        seq += 1;
        bytes += push(&mut queues, index, (EPOCH, seq), now).json.len();
    }
    queues.stored(index, Some((EPOCH, seq)), None);
    queues.bound_live();
    assert!(queues.recent("m", "a", 0, i64::MAX).is_empty());
    assert!(live(&mut queues, ROOMY, now).is_none());
    assert_eq!(queues.backlog().entries, seq);
}

#[test]
fn what_is_dropped_is_told_and_what_is_on_its_way_is_left_alone() {
    let (mut queues, index) = queues();
    let now = Instant::now();
    let entry_bytes = push(&mut queues, index, (EPOCH, 1), now).json.len();
    for seq in 2..=9 {
        push(&mut queues, index, (EPOCH, seq), now);
    }
    let room_for_two = 2 * entry_bytes + "[,]".len();
    live(&mut queues, room_for_two, now).expect("two");
    let told = Lost {
        cause: DropCause::SpoolFull,
        count: Some(4),
        since_ns: 1,
        until_ns: 2,
        clock: crate::words::ClockState::Synced,
        numbers: Some(Span {
            epoch: EPOCH - 1,
            first: 1,
            last: 4,
        }),
    };
    let drop = Dropping {
        queue: index,
        span: span(1, 5),
        cause: Some(DropCause::SpoolFull),
        even_sent: false,
        since_ns: 1,
        until_ns: 5,
        gaps: vec![(1, told.clone()), (4, told.clone())],
    };
    let lost = queues.take_out(&drop);
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert_eq!(lost[0], told, "one gap was sent, the other is told again");
    assert_eq!(
        (lost[1].numbers, lost[1].count),
        (Some(span(3, 5)), Some(3))
    );
    assert_eq!(queues.counts.dropped["spool_full"], 3);
    assert_eq!(queues.backlog().entries, 6);
    assert_eq!(queues.take_out(&drop), [], "what is gone is not lost twice");
    assert_eq!(
        numbers(&live(&mut queues, ROOMY, now).expect("the rest")),
        [6, 7, 8, 9]
    );
}

#[test]
fn releases_that_would_shred_a_stream_are_not_taken() {
    let (mut queues, index) = queues();
    let now = Instant::now();
    let count = 2 * UNRELEASED_RANGES_MAX as u64 + 100;
    for seq in 1..=count {
        push(&mut queues, index, (EPOCH, seq), now);
    }
    while live(&mut queues, ROOMY, now).is_some() {}
    for seq in (2..=count).step_by(2) {
        queues.release("m", Stream::Records, span(seq, seq));
    }
    let (_, states, _) = queues.states();
    assert!(states[0].unreleased.len() <= UNRELEASED_RANGES_MAX + 1);
    assert_eq!(queues.backlog().entries, count - queues.counts.released);
    queues.release("m", Stream::Records, span(1, count));
    assert_eq!(queues.backlog().entries, 0, "all at once is few ranges");
}
