//! Reads frames and inputs of some machines from Kafka, into memory.
//!
//! All of a range is held at once: a backlog goes out beside what is live, so what comes first by its
//! number may come last by hours. A range that is too long for the memory is said, with what was found.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use retrotap::capture::InputKind;
use retrotap::time::parse_rfc3339;
use retrotap::words::{ClockState, RawFrame, Stamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::order::{KeptFrame, KeptInput, once};
use super::{Settings, progress_bar};
use crate::kafka::{self, Quiet};
use crate::limits::{CLOCK_SKEW_MAX, KAFKA_ANSWER_MAX};
use crate::topics;

/// One machine's part.
#[derive(Debug, Default)]
pub struct Kept {
    /// By number, each once.
    pub frames: Vec<KeptFrame>,
    /// By number, each once. Those before the range are the ones that its beginning depends on.
    pub inputs: Vec<KeptInput>,
    /// Entries that can't be used.
    pub unusable: u64,
}

/// A frame's JSON.
#[derive(Deserialize)]
struct FrameJson<'a> {
    epoch: u64,
    seq: u64,
    #[serde(borrow)]
    t: Cow<'a, str>,
    clock: ClockJson,
    line_ns: u64,
    port: u8,
    frame: u64,
    #[serde(borrow)]
    bytes: Cow<'a, str>,
    #[serde(borrow)]
    errors: Vec<Cow<'a, str>>,
}

/// An input's JSON.
#[derive(Deserialize)]
struct InputJson<'a> {
    epoch: u64,
    seq: u64,
    #[serde(borrow)]
    t: Cow<'a, str>,
    line_ns: u64,
    input: InputKind,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Gaps stand in the stream whose numbers they explain.
#[derive(Deserialize)]
struct GapJson<'a> {
    #[serde(borrow)]
    record: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ClockJson {
    Synced,
    Unsynced,
    Capture,
}

/// Everything of these machines in the range, in the order of `settings.machines`.
///
/// # Errors
///
/// Kafka doesn't answer, or it is more than the memory may hold.
pub fn collect(settings: &Settings, shutdown: &CancellationToken) -> anyhow::Result<Vec<Kept>> {
    let index: HashMap<String, usize> = settings
        .machines
        .iter()
        .enumerate()
        .map(|(at, machine)| (machine.key(), at))
        .collect();
    let lead_ns = i64::try_from(settings.lead.as_nanos()).unwrap_or(i64::MAX);
    let begin_ns = settings.from_ns.saturating_sub(lead_ns);
    let in_range = begin_ns..settings.to_ns;
    let mut kept: Vec<Kept> = settings.machines.iter().map(|_| Kept::default()).collect();
    let mut before: Vec<Before> = settings
        .machines
        .iter()
        .map(|_| Before::default())
        .collect();
    let mut held_bytes = 0;
    let mut hold = |bytes: usize| {
        held_bytes += bytes;
        if held_bytes > settings.memory_bytes_max {
            bail!(
                "frames and inputs of this range take more than {} bytes: give fewer --machine, a \
                 shorter range, or more --memory-max",
                settings.memory_bytes_max
            );
        }
        Ok(())
    };

    // A frame can't have come to Kafka before its time, but a gateway's clock may be ahead.
    let skew_ns = i64::try_from(CLOCK_SKEW_MAX.as_nanos()).unwrap_or(i64::MAX);
    let since_ms = begin_ns.saturating_sub(skew_ns).max(0) / 1_000_000;
    read(
        settings,
        topics::FRAMES,
        Some(since_ms),
        shutdown,
        |key, json| {
            let Some(kept) = index.get(key).and_then(|&at| kept.get_mut(at)) else {
                return Ok(());
            };
            match frame(json) {
                Some(frame) if in_range.contains(&frame.raw.at.wall_ns) => {
                    hold(size_of::<KeptFrame>() + frame.raw.bytes.len())?;
                    kept.frames.push(frame);
                }
                Some(_) => {}
                None if is_gap(json) => {}
                None => kept.unusable += 1,
            }
            Ok(())
        },
    )?;
    // What was set long ago may still hold: inputs are read from the first one on.
    read(settings, topics::INPUTS, None, shutdown, |key, json| {
        let Some(&at) = index.get(key) else {
            return Ok(());
        };
        let (Some(kept), Some(before)) = (kept.get_mut(at), before.get_mut(at)) else {
            return Ok(());
        };
        match input(json) {
            Some(input) if in_range.contains(&input.wall_ns) => {
                hold(size_of::<KeptInput>() + input.data.len())?;
                kept.inputs.push(input);
            }
            Some(input) if input.wall_ns < begin_ns => before.put(input),
            Some(_) => {}
            None if is_gap(json) => {}
            None => kept.unusable += 1,
        }
        Ok(())
    })?;
    for (kept, before) in kept.iter_mut().zip(before) {
        kept.inputs.extend(before.inputs());
        once(&mut kept.inputs, |input| (input.epoch, input.seq));
        once(&mut kept.frames, |frame| (frame.epoch, frame.seq));
    }
    Ok(kept)
}

/// Of what came before the range: the newest of each that its beginning depends on.
#[derive(Debug, Default)]
struct Before {
    start: Option<KeptInput>,
    newest: BTreeMap<String, KeptInput>,
}

impl Before {
    fn put(&mut self, input: KeptInput) {
        let slot = match input.kind {
            InputKind::Start => {
                if self
                    .start
                    .as_ref()
                    .is_none_or(|known| name(known) < name(&input))
                {
                    self.start = Some(input);
                }
                return;
            }
            InputKind::Obstacles => "obstacles".to_owned(),
            InputKind::Parameter => match serde_json::from_str::<ParameterJson<'_>>(&input.data) {
                Ok(parameter) => format!("{}/{}", parameter.stage, parameter.name),
                // It will be said where it is used.
                Err(_) => "parameter".to_owned(),
            },
            InputKind::Rules => "rules".to_owned(),
            // Frames are computed with the modules that are asked for, whichever ran then.
            InputKind::Module => return,
            InputKind::Late | InputKind::Tick | InputKind::Reset => return,
        };
        match self.newest.get(&slot) {
            Some(known) if name(known) >= name(&input) => {}
            _ => {
                self.newest.insert(slot, input);
            }
        }
    }

    /// The last beginning and what came after it.
    fn inputs(self) -> impl Iterator<Item = KeptInput> {
        let since = self.start.as_ref().map(name);
        let newest = self.newest.into_values();
        self.start
            .into_iter()
            .chain(newest.filter(move |input| since.is_none_or(|since| name(input) > since)))
    }
}

#[derive(Deserialize)]
struct ParameterJson<'a> {
    #[serde(borrow)]
    stage: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

fn name(input: &KeptInput) -> (u64, u64) {
    (input.epoch, input.seq)
}

fn frame(json: &[u8]) -> Option<KeptFrame> {
    let frame: FrameJson<'_> = serde_json::from_slice(json).ok()?;
    let errors = frame.errors.iter().filter_map(|error| {
        ["parity", "framing", "break", "overrun"]
            .into_iter()
            .find(|known| known == error)
    });
    Some(KeptFrame {
        epoch: frame.epoch,
        seq: frame.seq,
        raw: RawFrame {
            at: Stamp {
                line_ns: frame.line_ns,
                wall_ns: parse_rfc3339(&frame.t)?,
            },
            clock: match frame.clock {
                ClockJson::Synced => ClockState::Synced,
                ClockJson::Unsynced => ClockState::Unsynced,
                ClockJson::Capture => ClockState::Capture,
            },
            number: frame.frame,
            port: frame.port,
            bytes: unhex(&frame.bytes)?,
            errors: errors.collect(),
        },
    })
}

fn input(json: &[u8]) -> Option<KeptInput> {
    let input: InputJson<'_> = serde_json::from_slice(json).ok()?;
    Some(KeptInput {
        epoch: input.epoch,
        seq: input.seq,
        line_ns: input.line_ns,
        wall_ns: parse_rfc3339(&input.t)?,
        kind: input.input,
        data: input.data.get().to_owned(),
    })
}

fn is_gap(json: &[u8]) -> bool {
    serde_json::from_slice::<GapJson<'_>>(json).is_ok_and(|gap| gap.record == "gap")
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    pairs
        .iter()
        .map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?))
        .collect()
}

/// Reads a topic up to the end that it has now.
fn read(
    settings: &Settings,
    topic: &str,
    since_ms: Option<i64>,
    shutdown: &CancellationToken,
    mut take: impl FnMut(&str, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let consumer: BaseConsumer<Quiet> = kafka::consumer(&settings.kafka, None, Quiet)?;
    let metadata = consumer
        .fetch_metadata(Some(topic), KAFKA_ANSWER_MAX)
        .with_context(|| format!("Kafka topic {topic}"))?;
    let partitions: Vec<i32> = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions())
        .map(rdkafka::metadata::MetadataPartition::id)
        .collect();
    if partitions.is_empty() {
        bail!("there is no Kafka topic {topic}");
    }
    let mut begin = TopicPartitionList::new();
    for &partition in &partitions {
        let offset = since_ms.map_or(Offset::Beginning, Offset::Offset);
        begin.add_partition_offset(topic, partition, offset)?;
    }
    if since_ms.is_some() {
        begin = consumer.offsets_for_times(begin, KAFKA_ANSWER_MAX)?;
    }
    let mut total = 0;
    let mut ends = BTreeMap::new();
    for element in begin.elements() {
        let partition = element.partition();
        let (low, high) = consumer.fetch_watermarks(topic, partition, KAFKA_ANSWER_MAX)?;
        let from = match element.offset() {
            Offset::Offset(offset) => offset,
            Offset::Beginning => low,
            _ => high,
        };
        total += u64::try_from(high - from).unwrap_or(0);
        ends.insert(partition, high);
    }
    consumer.assign(&begin)?;
    let bar = progress_bar(total, "reading", topic);
    let mut unread: BTreeSet<i32> = partitions.into_iter().collect();
    while !unread.is_empty() {
        if shutdown.is_cancelled() {
            bail!("stopped while reading");
        }
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(message)) => {
                bar.inc(1);
                let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
                if let (Some(key), Some(json)) = (key, message.payload()) {
                    take(key, json)?;
                }
                // What comes while this runs is not part of it: it would never end.
                let last = ends.get(&message.partition()).copied().unwrap_or(0);
                if message.offset() + 1 >= last {
                    unread.remove(&message.partition());
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                unread.remove(&partition);
            }
            Some(Err(error)) => tracing::warn!(%error, topic, "Kafka"),
        }
    }
    bar.finish_and_clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = r#"{"v":1,"site":"aachen","gateway":"cell-3","machine":"robot-1","epoch":1795186221,"seq":320,"t":"2026-11-20T14:50:24.830211232Z","clock":"synced","line_ns":1250000000,"port":1,"frame":320,"bytes":"05fe00","errors":["parity"]}"#;

    #[test]
    fn a_frame_is_read_as_the_gateway_had_it() {
        let read = frame(FRAME.as_bytes()).expect("a frame");
        assert_eq!((read.epoch, read.seq), (1_795_186_221, 320));
        assert_eq!(read.raw.bytes, [0x05, 0xfe, 0x00]);
        assert_eq!(read.raw.errors, ["parity"]);
        assert_eq!((read.raw.port, read.raw.number), (1, 320));
        assert_eq!(read.raw.at.line_ns, 1_250_000_000);
        assert_eq!(
            retrotap::time::rfc3339(read.raw.at.wall_ns),
            "2026-11-20T14:50:24.830211232Z"
        );
    }

    #[test]
    fn a_frame_without_line_time_or_with_half_a_byte_is_none() {
        for (from, to) in [
            (r#""line_ns":1250000000,"#, ""),
            ("05fe00", "05fe0"),
            ("05fe00", "05fg00"),
            ("synced", "perhaps"),
            ("14:50:24", "14:50:61"),
        ] {
            let bad = FRAME.replace(from, to);
            assert_ne!(bad, FRAME);
            assert_eq!(frame(bad.as_bytes()), None, "{bad}");
        }
        for end in 0..FRAME.len() {
            assert_eq!(frame(&FRAME.as_bytes()[..end]), None);
        }
    }

    #[test]
    fn a_gap_is_told_from_what_is_wrong() {
        assert!(is_gap(
            br#"{"v":1,"record":"gap","fields":{"reason":"spool_full"}}"#
        ));
        assert!(!is_gap(FRAME.as_bytes()));
        assert!(!is_gap(b"{"));
    }

    fn an_input(epoch: u64, seq: u64, kind: InputKind, data: &str) -> KeptInput {
        KeptInput {
            epoch,
            seq,
            line_ns: 0,
            wall_ns: 0,
            kind,
            data: data.to_owned(),
        }
    }

    #[test]
    fn of_what_was_before_only_what_still_holds_is_kept() {
        let parameter = |name: &str| format!(r#"{{"stage":"s","name":"{name}","value":1.0}}"#);
        let mut before = Before::default();
        for input in [
            an_input(1, 1, InputKind::Start, "{}"),
            an_input(1, 2, InputKind::Parameter, &parameter("old")),
            an_input(2, 2, InputKind::Parameter, &parameter("a")),
            an_input(2, 1, InputKind::Start, "{}"),
            an_input(2, 4, InputKind::Parameter, &parameter("a")),
            an_input(2, 3, InputKind::Parameter, &parameter("b")),
            an_input(2, 6, InputKind::Obstacles, "[]"),
            an_input(2, 5, InputKind::Obstacles, "[1]"),
            an_input(2, 7, InputKind::Reset, "\"gone\""),
        ] {
            before.put(input);
        }
        let mut names: Vec<_> = before.inputs().map(|input| name(&input)).collect();
        names.sort_unstable();
        assert_eq!(names, [(2, 1), (2, 3), (2, 4), (2, 6)]);
    }
}
