//! Which registers an answer holds: requests say it, answers don't.
//!
//! Modbus RTU, as in "MODBUS over serial line, specification and implementation guide" V1.02 and "MODBUS
//! application protocol specification" V1.1b3, sections 6.3 and 6.4:
//!
//! | frame | bytes |
//! |---|---|
//! | request | station, function (3 or 4), first register (2), how many (2, at most 125), CRC (2) |
//! | answer | station, function, bytes of data (1), data, CRC (2) |
//! | exception | station, function + 128, code (1), CRC (2) |
//!
//! A request has 8 bytes and an answer an odd number, so one is never taken for the other. The CRC is
//! the framing's matter.

use crate::reading::Register;

/// The most registers of one request, from the specification.
pub const COUNT_MAX: u16 = 125;

/// Bytes of a request.
const REQUEST_BYTES: usize = 8;

/// Marks the function of an exception.
const EXCEPTION: u8 = 0x80;

/// What is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The machine's address.
    pub station: u8,
    /// 3 or 4.
    pub function: u8,
    /// How the registers of an answer are known.
    pub requests: Requests,
}

/// How the registers of an answer are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests {
    /// By the request before it, in nanoseconds from its end to the answer's.
    Heard {
        /// How long the answer may take.
        within_ns: i64,
    },
    /// By what the adapter says.
    NotHeard {
        /// The first register.
        first: u16,
        /// How many there must be; 0 for any number.
        count: u16,
    },
}

/// An answer with what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The number of the first register.
    pub first: u16,
    /// The registers.
    pub registers: &'a [Register],
}

/// Why a frame can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Less than an exception's five bytes.
    TooShort,
    /// Neither a request nor as long as it says.
    BadLength,
    /// A request for no or for too many registers.
    BadCount,
    /// The machine answered with an exception.
    Exception,
    /// An answer without a request.
    NoRequest,
    /// An answer to another request.
    OtherRequest,
    /// More registers than there are behind the first.
    BeyondTheLast,
}

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    first: u16,
    count: u16,
    t_ns: i64,
}

/// Listens to one station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialogue {
    listening: Listening,
    request: Option<Request>,
}

impl Dialogue {
    /// One in which nothing was said yet.
    #[must_use]
    pub const fn new(listening: Listening) -> Self {
        Self {
            listening,
            request: None,
        }
    }

    /// Listens to something else from now on. A request that waits was for what was listened to before.
    pub fn listen(&mut self, listening: Listening) {
        if self.listening != listening {
            *self = Self::new(listening);
        }
    }

    /// Takes a frame. Nothing comes of requests, and of frames of other stations and functions.
    ///
    /// # Errors
    /// The frame breaks the protocol, or is an answer to something that wasn't asked.
    pub fn hear<'a>(&mut self, frame: &'a [u8], t_ns: i64) -> Result<Option<Answer<'a>>, Refusal> {
        let &[station, function, bytes, ref data @ .., _, _] = frame else {
            return Err(Refusal::TooShort);
        };
        if station != self.listening.station || function & !EXCEPTION != self.listening.function {
            return Ok(None);
        }
        if function & EXCEPTION != 0 {
            self.request = None;
            return Err(Refusal::Exception);
        }
        if frame.len() == REQUEST_BYTES {
            return self.ask([frame[2], frame[3], frame[4], frame[5]], t_ns);
        }
        let (registers, rest) = data.as_chunks();
        if usize::from(bytes) != data.len() || !rest.is_empty() || registers.is_empty() {
            self.request = None;
            return Err(Refusal::BadLength);
        }
        self.answer(registers, t_ns)
    }

    fn ask<'a>(&mut self, asked: [u8; 4], t_ns: i64) -> Result<Option<Answer<'a>>, Refusal> {
        let [first_high, first_low, count_high, count_low] = asked;
        let count = u16::from_be_bytes([count_high, count_low]);
        self.request = None;
        if count == 0 || count > COUNT_MAX {
            return Err(Refusal::BadCount);
        }
        self.request = Some(Request {
            first: u16::from_be_bytes([first_high, first_low]),
            count,
            t_ns,
        });
        Ok(None)
    }

    fn answer<'a>(
        &mut self,
        registers: &'a [Register],
        t_ns: i64,
    ) -> Result<Option<Answer<'a>>, Refusal> {
        // One answer for one request.
        let request = self.request.take();
        let first = match self.listening.requests {
            Requests::Heard { within_ns } => {
                let request = request.filter(|request| t_ns - request.t_ns <= within_ns);
                let request = request.ok_or(Refusal::NoRequest)?;
                if usize::from(request.count) != registers.len() {
                    return Err(Refusal::OtherRequest);
                }
                request.first
            }
            Requests::NotHeard { count, .. }
                if count != 0 && usize::from(count) != registers.len() =>
            {
                return Ok(None);
            }
            Requests::NotHeard { first, .. } => first,
        };
        if usize::from(first) + registers.len() > usize::from(u16::MAX) + 1 {
            return Err(Refusal::BeyondTheLast);
        }
        Ok(Some(Answer { first, registers }))
    }
}
