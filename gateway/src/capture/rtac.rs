//! What stands inside a packet of link type 250, LINKTYPE_RTAC_SERIAL.
//!
//! Twelve bytes, then the line's: seconds and microseconds since 1970 (4 bytes each, most
//! significant first), the event, the control lines, and two bytes of zero. Byte order and event
//! numbers are those of Wireshark's dissector (`epan/dissectors/packet-rtacser.c`), and a test has
//! tshark dissect what is written here. The header's microseconds are for people: the exact time
//! is that of the pcapng packet around it.
//!
//! One chunk is one or more packets with one and the same time:
//! - a chunk without line errors is one packet, `DATA_RX_END`;
//! - a byte with an error is a packet of its own, with the error as its event. Where a byte has
//!   several errors, all but the last are packets without a byte in front of it;
//! - bytes between errors are `DATA_RX_START`, and `DATA_RX_END` ends the chunk, empty if need be.
//!
//! So chunks, bytes and marks all come back as they were, and Wireshark shows each error as a line
//! of its own.

use retrotap_adapters::framing::LineErrors;

/// The link type's number.
pub const LINK_TYPE: u16 = 250;

/// What stands before the line's bytes.
pub const HEADER_BYTES: usize = 12;

/// The events that are written, and understood when read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Event {
    /// Received bytes, and more of the same read follow.
    ReceiveStart = 0x02,
    /// Received bytes, the last of a read.
    ReceiveEnd = 0x04,
    /// A byte without its stop bit.
    FramingError = 0x07,
    /// A byte with the wrong parity.
    ParityError = 0x08,
    /// The line was held at break.
    Break = 0x09,
    /// The receiver lost bytes before this one.
    Overflow = 0x0A,
}

/// Errors and their events, in the order in which they are written.
const ERRORS: [(LineErrors, Event); 4] = [
    (LineErrors::OVERRUN, Event::Overflow),
    (LineErrors::BREAK, Event::Break),
    (LineErrors::FRAMING, Event::FramingError),
    (LineErrors::PARITY, Event::ParityError),
];

impl Event {
    /// The event of a number, `None` for those that say nothing about received bytes:
    /// transmission, status, and the capturing program's own.
    pub fn from_number(number: u8) -> Option<Event> {
        [Event::ReceiveStart, Event::ReceiveEnd]
            .into_iter()
            .chain(ERRORS.map(|(_, event)| event))
            .find(|event| *event as u8 == number)
    }

    /// What the event says of its bytes; nothing for plain data.
    pub fn errors(self) -> LineErrors {
        ERRORS
            .into_iter()
            .find(|(_, event)| *event == self)
            .map_or(LineErrors::NONE, |(errors, _)| errors)
    }

    /// The events of a byte's errors, in the order in which they are written.
    pub fn of(errors: LineErrors) -> impl Iterator<Item = Event> {
        ERRORS
            .into_iter()
            .filter(move |(error, _)| errors.contains(*error))
            .map(|(_, event)| event)
    }
}

/// The twelve bytes.
pub fn header(unix_ns: u64, event: Event) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    // Four bytes of seconds end in 2106; the exact time stands around them.
    header[..4].copy_from_slice(&((unix_ns / 1_000_000_000) as u32).to_be_bytes());
    header[4..8].copy_from_slice(&((unix_ns / 1_000 % 1_000_000) as u32).to_be_bytes());
    header[8] = event as u8;
    header
}
