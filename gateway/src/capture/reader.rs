//! Reads a capture.
//!
//! Line time is a packet's timestamp minus the line's origin. The first packet decides where the
//! origin is: an input says its own line time beside its timestamp, so a capture of ours (whose
//! first packet is the input `start`) gives exactly the line time that the live line had; a
//! capture of another program, or a piece cut out of one, begins at 0 with its first packet. Line
//! time never decreases: a packet that stands in the file after a later one takes the later one's.
//!
//! Keeps true: no input panics; items come in the file's order; what stands whole before a cut or a
//! damage comes out before the error does, and nothing after.
//!
//! Doesn't do: read what the machine was sent. Events of transmission, status, and those of the
//! capturing program are stepped over and counted.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use retrotap_adapters::framing::LineErrors;
use thiserror::Error;

use crate::words::{Chunk, Mark, Stamp};

use super::blocks::{BLOCK_BYTES_MAX, BlockReader, Interface, Packet};
use super::inputs::{INPUT_BYTES_MAX, Input};
use super::rtac::{self, Event};
use super::{INPUTS_LINK_TYPE, INPUTS_NAME};

/// The longest chunk that pieces of one time are joined to, in bytes. Reads of a port give at most
/// 4 KiB; a foreign capture may say anything.
pub const CHUNK_BYTES_MAX: usize = 64 << 10;

/// What a capture holds, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// What one read of a port gave.
    Chunk(Chunk),
    /// Something else that decisions depended on.
    Input(Input),
}

/// Why a capture can't be read, or not further.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is nothing in it.
    #[error("the file is empty: not even the header of a capture stands in it")]
    Empty,
    /// The older format, without interfaces and nanoseconds.
    #[error("this is a classic pcap file; `editcap -F pcapng OLD NEW` makes a pcapng file of it")]
    ClassicPcap,
    /// Something else altogether.
    #[error(
        "this is not a capture: a pcapng file begins with 0A 0D 0D 0A, this one with {}; \
         for a file of plain bytes say `--raw --baud RATE`",
        hex(begins)
    )]
    NotACapture {
        /// The first bytes of the file, at most four.
        begins: Vec<u8>,
    },
    /// The file ends inside a packet, as it does after a crash or a full disk.
    #[error("cut at byte {at}: the last packet is incomplete; what stands before it is whole")]
    Cut {
        /// Where the file ends.
        at: u64,
    },
    /// A block longer than any capture of a line has.
    #[error(
        "the block at byte {at} says that it is {bytes} bytes long; the longest that is read is \
         {BLOCK_BYTES_MAX}: the file is damaged, or no capture of a serial line"
    )]
    BlockTooLong {
        /// Where it begins.
        at: u64,
        /// How long it claims to be.
        bytes: usize,
    },
    /// The bytes contradict the format.
    #[error("the file is damaged at byte {at}: {what}")]
    Damaged {
        /// Where the block begins.
        at: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The packets are of another kind of line.
    #[error(
        "interface {interface} was recorded on another kind of line: link type {link_type} ({}); \
         a serial line is {} (RTAC Serial)", link_type_name(*link_type), rtac::LINK_TYPE
    )]
    LinkType {
        /// The interface's number in the file.
        interface: usize,
        /// Its link type.
        link_type: u16,
    },
    /// A packet on the interface of the inputs that isn't one.
    #[error("the input at byte {at} can't be read: {message}")]
    BadInput {
        /// Where its block begins.
        at: u64,
        /// What was expected.
        message: String,
    },
}

/// Reads a capture, item by item.
#[derive(Debug)]
pub struct Reader<R> {
    blocks: BlockReader<R>,
    /// The pieces of a chunk that isn't over.
    open: Option<Chunk>,
    /// Errors of the open chunk's next byte.
    errors: LineErrors,
    /// What is complete; never more than two.
    ready: VecDeque<Item>,
    clock: Clock,
    ignored: u64,
    end: Option<End>,
}

/// How reading ended.
#[derive(Debug)]
enum End {
    /// With the file, or with an error that has been told.
    Told,
    /// With an error that is still to be told.
    Failed(ReadError),
}

/// From timestamps to line time.
#[derive(Debug, Default)]
struct Clock {
    origin_unix_ns: Option<i64>,
    latest_ns: u64,
}

impl Clock {
    /// The line time of a chunk.
    fn chunk(&mut self, unix_ns: i64) -> u64 {
        self.since(unix_ns, unix_ns)
    }

    /// The line time of an input that says itself which it was.
    fn input(&mut self, unix_ns: i64, line_ns: u64) -> u64 {
        self.since(unix_ns, unix_ns.saturating_sub_unsigned(line_ns))
    }

    /// Time since the origin, which is `first` where nothing was before.
    fn since(&mut self, unix_ns: i64, first: i64) -> u64 {
        let origin = *self.origin_unix_ns.get_or_insert(first);
        let line_ns = u64::try_from(i128::from(unix_ns) - i128::from(origin)).unwrap_or(0);
        self.latest_ns = self.latest_ns.max(line_ns);
        self.latest_ns
    }
}

impl Reader<BufReader<File>> {
    /// Opens a file and checks that it is a capture.
    ///
    /// # Errors
    /// Those of [`Reader::new`], and the file's own.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Reader::new(BufReader::new(File::open(path)?))
    }
}

impl<R: Read> Reader<R> {
    /// Checks that `input` begins as a capture does.
    ///
    /// # Errors
    /// Says what it is where it isn't a capture.
    pub fn new(input: R) -> Result<Reader<R>, ReadError> {
        Ok(Reader {
            blocks: BlockReader::new(input)?,
            open: None,
            errors: LineErrors::NONE,
            ready: VecDeque::with_capacity(2),
            clock: Clock::default(),
            ignored: 0,
            end: None,
        })
    }

    /// The next item, `None` after the last.
    ///
    /// # Errors
    /// Once, after the last item that is whole; from then on `None`.
    pub fn next_item(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            match self.end.take() {
                None => {}
                Some(End::Told) => {
                    self.end = Some(End::Told);
                    return Ok(None);
                }
                Some(End::Failed(error)) => {
                    self.end = Some(End::Told);
                    return Err(error);
                }
            }
            match self.step() {
                Ok(true) => {}
                Ok(false) => {
                    self.close();
                    self.end = Some(End::Told);
                }
                Err(error) => {
                    self.close();
                    self.end = Some(End::Failed(error));
                }
            }
        }
    }

    /// The wall clock at line time 0, in nanoseconds; once an item was read.
    pub fn origin_wall_ns(&self) -> Option<i64> {
        self.clock.origin_unix_ns
    }

    /// How many packets said nothing about received bytes.
    pub fn ignored_packets(&self) -> u64 {
        self.ignored
    }

    /// The names and descriptions of the interfaces that were met so far.
    pub fn interfaces(&self) -> &[Interface] {
        self.blocks.interfaces()
    }

    /// Reads one packet; false at the end of the file.
    fn step(&mut self) -> Result<bool, ReadError> {
        let Some(Packet {
            at,
            interface,
            unix_ns,
            data,
        }) = self.blocks.next_packet()?
        else {
            return Ok(false);
        };
        let data = data.to_vec();
        let interfaces = self.blocks.interfaces();
        let kind = &interfaces[interface];
        if kind.link_type == INPUTS_LINK_TYPE && kind.name == INPUTS_NAME {
            self.input(at, unix_ns, &data)?;
            return Ok(true);
        }
        if kind.link_type != rtac::LINK_TYPE {
            return Err(ReadError::LinkType {
                interface,
                link_type: kind.link_type,
            });
        }
        let serial_before = interfaces[..interface]
            .iter()
            .filter(|other| other.link_type == rtac::LINK_TYPE)
            .count();
        let Some((header, bytes)) = data.split_first_chunk::<{ rtac::HEADER_BYTES }>() else {
            return Err(ReadError::Damaged {
                at,
                what: "a serial packet without its twelve bytes",
            });
        };
        match Event::from_number(header[8]) {
            // The number of a port fits: there are at most INTERFACES_MAX interfaces.
            Some(event) => self.piece(serial_before as u8, unix_ns, event, bytes),
            None => self.ignored += 1,
        }
        Ok(true)
    }

    /// Adds a packet's bytes to the chunk they belong to.
    fn piece(&mut self, port: u8, unix_ns: i64, event: Event, bytes: &[u8]) {
        if self.open.as_ref().is_some_and(|open| {
            open.port != port
                || open.at.wall_ns != unix_ns
                || open.bytes.len() + bytes.len() > CHUNK_BYTES_MAX
        }) {
            self.close();
        }
        let line_ns = self.clock.chunk(unix_ns);
        let open = self.open.get_or_insert_with(|| Chunk {
            port,
            at: Stamp {
                line_ns,
                wall_ns: unix_ns,
            },
            ..Chunk::default()
        });
        if event.errors().is_none() {
            // An error without a byte belongs to a byte with one; another program's may not.
            self.errors = LineErrors::NONE;
            open.bytes.extend(bytes);
        } else {
            self.errors |= event.errors();
            for byte in bytes {
                open.marks.push(Mark {
                    index: open.bytes.len(),
                    errors: self.errors,
                });
                open.bytes.push(*byte);
                self.errors = event.errors();
            }
            if !bytes.is_empty() {
                self.errors = LineErrors::NONE;
            }
        }
        if event == Event::ReceiveEnd {
            self.close();
        }
    }

    /// Takes an input; the chunk before it is over.
    fn input(&mut self, at: u64, unix_ns: i64, json: &[u8]) -> Result<(), ReadError> {
        let bad = |message: String| ReadError::BadInput { at, message };
        if json.len() > INPUT_BYTES_MAX {
            return Err(bad(format!(
                "{} bytes, at most {INPUT_BYTES_MAX} are read",
                json.len()
            )));
        }
        let mut input = Input::from_json(json).map_err(|error| bad(error.to_string()))?;
        self.close();
        input.line_ns = self.clock.input(unix_ns, input.line_ns);
        self.ready.push_back(Item::Input(input));
        Ok(())
    }

    /// Ends the open chunk.
    fn close(&mut self) {
        self.errors = LineErrors::NONE;
        if let Some(chunk) = self.open.take().filter(|chunk| !chunk.bytes.is_empty()) {
            self.ready.push_back(Item::Chunk(chunk));
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    digits.join(" ")
}

/// Names of the link types that people are likely to have at hand.
fn link_type_name(link_type: u16) -> &'static str {
    match link_type {
        1 => "Ethernet",
        101 => "raw IP",
        105 | 127 => "Wi-Fi",
        113 | 276 => "Linux cooked capture",
        147..=162 => "a user's own format",
        189 | 220 | 249 => "USB",
        227 => "CAN",
        _ => "see tcpdump.org/linktypes.html",
    }
}
