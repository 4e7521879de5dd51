//! What the tests of all framings share: framers from specs, and events as owned values.

use retrotap_adapters::framing::{
    Event, Framer, FramingKind, FramingSpec, LineErrors, Parity, Received, SerialSettings,
    SkipCause,
};

/// 9600 8N1.
pub const SERIAL: SerialSettings = SerialSettings {
    baud: 9600,
    data_bits: 8,
    parity: Parity::None,
    stop_bits: 1,
};

/// An event that outlives its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Frame {
        bytes: Vec<u8>,
        t_ns: u64,
        line_errors: LineErrors,
        number: u64,
        wire_bytes: usize,
    },
    Skipped {
        bytes: usize,
        cause: SkipCause,
    },
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Frame(frame) => Self::Frame {
                bytes: frame.bytes.to_vec(),
                t_ns: frame.t_ns,
                line_errors: frame.line_errors,
                number: frame.number,
                wire_bytes: frame.wire_bytes,
            },
            Event::Skipped { bytes, cause } => Self::Skipped { bytes, cause },
        }
    }
}

impl Seen {
    pub fn wire_bytes(&self) -> usize {
        match self {
            Self::Frame { wire_bytes, .. } => *wire_bytes,
            Self::Skipped { bytes, .. } => *bytes,
        }
    }
}

pub fn framer(kind: FramingKind) -> Framer {
    Framer::new(&FramingSpec::new(kind)).unwrap()
}

/// The bytes at the pace of 9600 8N1, the first one complete after one character.
pub fn paced(bytes: &[u8]) -> Vec<Received> {
    let times = (1..).map(|nth| nth * SERIAL.character_ns());
    bytes
        .iter()
        .zip(times)
        .map(|(byte, t_ns)| Received {
            byte: *byte,
            errors: LineErrors::NONE,
            t_ns,
        })
        .collect()
}

pub fn push_all(framer: &mut Framer, bytes: &[Received]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for received in bytes {
        framer.push(*received, &mut |event| seen.push(Seen::from(event)));
    }
    seen
}

/// What comes of the bytes at the pace of 9600 8N1.
pub fn run(framer: &mut Framer, bytes: &[u8]) -> Vec<Seen> {
    push_all(framer, &paced(bytes))
}

pub fn frames(seen: &[Seen]) -> Vec<Vec<u8>> {
    seen.iter()
        .filter_map(|event| match event {
            Seen::Frame { bytes, .. } => Some(bytes.clone()),
            Seen::Skipped { .. } => None,
        })
        .collect()
}

/// How many bytes were skipped for this cause.
pub fn skipped(seen: &[Seen], wanted: SkipCause) -> usize {
    seen.iter()
        .map(|event| match event {
            Seen::Skipped { bytes, cause } if *cause == wanted => *bytes,
            _ => 0,
        })
        .sum()
}
