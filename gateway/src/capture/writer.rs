//! Writes a capture.
//!
//! Keeps true: a timestamp is the wall clock at the line's origin plus line time, so that captures
//! never step with the clock and a reader gets line time back to the nanosecond.

use std::io::{self, Write};

use crate::words::Chunk;

use super::blocks::{self, Interface};
use super::inputs::Input;
use super::rtac::{self, Event};
use super::{INPUTS_LINK_TYPE, INPUTS_NAME};

/// Writes one line's capture: a serial interface per port, and the inputs.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    origin_wall_ns: i64,
    ports: u8,
}

/// What a capture says about one of the machine's ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortLabel {
    /// The machine's or port's name, `if_name`.
    pub name: String,
    /// Settings and whatever else helps a reader, `if_description`.
    pub description: String,
}

impl<W: Write> Writer<W> {
    /// Begins a capture of a line whose line time 0 was at `origin_wall_ns` of Unix time, with a
    /// label for each of its ports.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(mut out: W, origin_wall_ns: i64, ports: &[PortLabel]) -> io::Result<Writer<W>> {
        blocks::write_section(&mut out, concat!("retrotap ", env!("CARGO_PKG_VERSION")))?;
        for port in ports {
            let interface = Interface::new(rtac::LINK_TYPE, &port.name, &port.description);
            blocks::write_interface(&mut out, &interface)?;
        }
        let inputs = Interface::new(
            INPUTS_LINK_TYPE,
            INPUTS_NAME,
            "what decisions depended on besides bytes: JSON, with its line time",
        );
        blocks::write_interface(&mut out, &inputs)?;
        let ports = u8::try_from(ports.len()).map_err(|_| too_many_ports())?;
        Ok(Writer {
            out,
            origin_wall_ns,
            ports,
        })
    }

    /// Writes what one read of a port gave. Nothing where it has no bytes.
    ///
    /// # Errors
    /// Those of `out`, and [`io::ErrorKind::InvalidInput`] for a port that has no label.
    pub fn chunk(&mut self, chunk: &Chunk) -> io::Result<()> {
        if chunk.port >= self.ports {
            return Err(too_many_ports());
        }
        if chunk.bytes.is_empty() {
            return Ok(());
        }
        let mut rest = 0;
        for mark in &chunk.marks {
            let Some(plain) = chunk.bytes.get(rest..mark.index) else {
                continue; // marks ascend and point into the bytes; one that doesn't marks nothing
            };
            let Some(byte) = chunk.bytes.get(mark.index..=mark.index) else {
                continue;
            };
            let events: Vec<Event> = Event::of(mark.errors).collect();
            let Some((last, first)) = events.split_last() else {
                continue;
            };
            if !plain.is_empty() {
                self.piece(chunk, Event::ReceiveStart, plain)?;
            }
            for event in first {
                self.piece(chunk, *event, &[])?;
            }
            self.piece(chunk, *last, byte)?;
            rest = mark.index + 1;
        }
        self.piece(chunk, Event::ReceiveEnd, &chunk.bytes[rest..])
    }

    /// Writes one thing that decisions depended on.
    ///
    /// # Errors
    /// Those of `out`, and [`io::ErrorKind::InvalidInput`] where its data isn't JSON.
    pub fn input(&mut self, input: &Input) -> io::Result<()> {
        let json = input.to_json()?;
        let unix_ns = self.unix_ns(input.line_ns);
        blocks::write_packet(
            &mut self.out,
            u32::from(self.ports),
            unix_ns,
            &[json.as_bytes()],
        )
    }

    /// Hands what is buffered to the operating system.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Gives back what was written to, unflushed.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn piece(&mut self, chunk: &Chunk, event: Event, bytes: &[u8]) -> io::Result<()> {
        let unix_ns = self.unix_ns(chunk.at.line_ns);
        let header = rtac::header(unix_ns, event);
        blocks::write_packet(
            &mut self.out,
            u32::from(chunk.port),
            unix_ns,
            &[&header, bytes],
        )
    }

    /// Line time as it stands in the file. A clock before 1970 counts as 1970: pcapng knows no
    /// earlier time, and line time is what must come back.
    fn unix_ns(&self, line_ns: u64) -> u64 {
        (self.origin_wall_ns.max(0) as u64).saturating_add(line_ns)
    }
}

fn too_many_ports() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "a chunk of a port that the capture doesn't know",
    )
}
