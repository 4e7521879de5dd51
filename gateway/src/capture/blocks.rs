//! The pcapng block layer: the three kinds of block that a capture needs, written and read.
//!
//! Format: draft-ietf-opsawg-pcapng, sections 3.1 (general block structure), 3.5 (options), 4.1
//! (section header), 4.2 (interface description) and 4.3 (enhanced packet). Blocks of any other
//! kind are stepped over, as the draft asks of a reader.
//!
//! Both directions are our own rather than the `pcap-file` crate's. What a reader here has to say
//! is the byte at which a capture was cut and whether what stands before it is whole;
//! `pcap-file` 3.0.0-rc.3 reads through a fixed buffer of 8 MB and reports a cut file, a block
//! longer than that buffer and an early end alike as `UnexpectedEof`, without a position. With
//! the reader ours, a second description of the same 40 bytes for the writer would only be a
//! second thing to keep right.
//!
//! Keeps true: no input makes it panic, none makes it hold more than [`BLOCK_BYTES_MAX`] and
//! [`INTERFACES_MAX`] descriptions, and what is written reads back the same.
//!
//! Doesn't do: know what stands inside a packet (that is [`super::rtac`] and [`super::inputs`]).

use std::io::{self, Read, Write};

use super::reader::ReadError;

/// The longest block that is read. A chunk is at most 4 KiB and an input at most
/// [`super::inputs::INPUT_BYTES_MAX`]; the rest is room for other programs' comments.
pub const BLOCK_BYTES_MAX: usize = 4 << 20;

/// How many interfaces a section may describe. Two ports and the inputs make three.
pub const INTERFACES_MAX: usize = 64;

/// The block kinds that are understood (section 10.1's table).
const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

/// Tells the byte order of a section: it reads as this in the writer's order.
const BYTE_ORDER_MAGIC: u32 = 0x1A2B_3C4D;

/// Options: end of the list, and those that are used, by block.
const OPTION_END: u16 = 0;
const SECTION_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_TEXT: u16 = 3;
const INTERFACE_RESOLUTION: u16 = 9;
const INTERFACE_OFFSET: u16 = 14;

/// Kind and length before the body, length again behind it.
const FRAME_BYTES: usize = 12;

/// What a section says of one of its interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The registered number of the packets' format.
    pub link_type: u16,
    /// `if_name`, empty where none stands.
    pub name: String,
    /// `if_description`, empty where none stands.
    pub description: String,
    /// `if_tsresol`: units per second as a power of ten, or of two where the top bit is set.
    resolution: u8,
    /// `if_tsoffset`: seconds to add to every timestamp.
    offset_s: i64,
}

impl Interface {
    /// An interface whose timestamps are nanoseconds.
    pub fn new(link_type: u16, name: &str, description: &str) -> Interface {
        Interface {
            link_type,
            name: name.to_owned(),
            description: description.to_owned(),
            resolution: 9,
            offset_s: 0,
        }
    }

    /// The same with timestamps as another program might write them.
    #[cfg(test)]
    pub fn with_clock(self, resolution: u8, offset_s: i64) -> Interface {
        Interface {
            resolution,
            offset_s,
            ..self
        }
    }

    /// A timestamp in this interface's units as Unix time in nanoseconds, held at the ends of the
    /// range where a damaged one lies outside.
    fn unix_ns(&self, units: u64) -> i64 {
        let units = i128::from(units);
        let power = u32::from(self.resolution & 0x7F);
        let ns = if self.resolution & 0x80 != 0 {
            (units * 1_000_000_000) >> power
        } else if power <= 9 {
            units * 10_i128.pow(9 - power)
        } else {
            // Beyond 10^-28 s a u64 of units is less than a nanosecond.
            units / 10_i128.pow((power - 9).min(20))
        };
        let ns = ns + i128::from(self.offset_s) * 1_000_000_000;
        ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }
}

/// Begins a section: the first block of every file.
pub fn write_section(out: &mut impl Write, application: &str) -> io::Result<()> {
    let mut body = Vec::with_capacity(64);
    body.extend(BYTE_ORDER_MAGIC.to_le_bytes());
    body.extend(1u16.to_le_bytes());
    body.extend(0u16.to_le_bytes());
    body.extend((-1i64).to_le_bytes()); // the section's length isn't known while it is recorded
    option(&mut body, SECTION_APPLICATION, application.as_bytes());
    option(&mut body, OPTION_END, &[]);
    write_block(out, SECTION_HEADER, &[&body])
}

/// Describes the next interface; interfaces are numbered from 0 in the order of description.
pub fn write_interface(out: &mut impl Write, interface: &Interface) -> io::Result<()> {
    let mut body = Vec::with_capacity(128);
    body.extend(interface.link_type.to_le_bytes());
    body.extend([0; 2]);
    body.extend(0u32.to_le_bytes()); // packets of any length
    option(&mut body, INTERFACE_NAME, interface.name.as_bytes());
    option(&mut body, INTERFACE_TEXT, interface.description.as_bytes());
    option(&mut body, INTERFACE_RESOLUTION, &[interface.resolution]);
    if interface.offset_s != 0 {
        option(
            &mut body,
            INTERFACE_OFFSET,
            &interface.offset_s.to_le_bytes(),
        );
    }
    option(&mut body, OPTION_END, &[]);
    write_block(out, INTERFACE_DESCRIPTION, &[&body])
}

/// Writes one packet, its data in pieces, at a Unix time in nanoseconds.
pub fn write_packet(
    out: &mut impl Write,
    interface: u32,
    unix_ns: u64,
    data: &[&[u8]],
) -> io::Result<()> {
    let data_bytes = data.iter().map(|piece| piece.len()).sum::<usize>() as u32;
    let mut head = [0; 20];
    head[..4].copy_from_slice(&interface.to_le_bytes());
    head[4..8].copy_from_slice(&((unix_ns >> 32) as u32).to_le_bytes());
    head[8..12].copy_from_slice(&(unix_ns as u32).to_le_bytes());
    head[12..16].copy_from_slice(&data_bytes.to_le_bytes());
    head[16..].copy_from_slice(&data_bytes.to_le_bytes());
    let mut pieces: Vec<&[u8]> = Vec::with_capacity(data.len() + 2);
    pieces.push(&head);
    pieces.extend(data);
    pieces.push(&[0; 3][..padding(data_bytes as usize)]);
    write_block(out, ENHANCED_PACKET, &pieces)
}

/// Writes a block around a body whose length is a multiple of four.
fn write_block(out: &mut impl Write, kind: u32, body: &[&[u8]]) -> io::Result<()> {
    let body_bytes: usize = body.iter().map(|piece| piece.len()).sum();
    let total = (body_bytes + FRAME_BYTES) as u32;
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&total.to_le_bytes())?;
    for piece in body {
        out.write_all(piece)?;
    }
    out.write_all(&total.to_le_bytes())
}

/// Appends an option: code, length, value, padding. A value that is too long is cut at what an
/// option can hold, which only a comment could ever reach.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX) & !3)];
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    body.extend(&[0; 3][..padding(value.len())]);
}

/// How many bytes bring a length to a multiple of four.
fn padding(bytes: usize) -> usize {
    bytes.wrapping_neg() & 3
}

/// A packet as it stands in the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Where its block begins in the file.
    pub at: u64,
    /// Which interface, an index into [`BlockReader::interfaces`]; always one that exists.
    pub interface: usize,
    /// Unix time in nanoseconds.
    pub unix_ns: i64,
    /// What was captured.
    pub data: &'a [u8],
}

/// Reads the blocks of a file, one after the other.
#[derive(Debug)]
pub struct BlockReader<R> {
    input: R,
    /// Bytes taken from `input` so far.
    at: u64,
    order: Order,
    interfaces: Vec<Interface>,
    /// The block's body and trailer; reused.
    body: Vec<u8>,
}

/// A section's byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Order::Little => u16::from_le_bytes(bytes),
            Order::Big => u16::from_be_bytes(bytes),
        }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Order::Little => u32::from_le_bytes(bytes),
            Order::Big => u32::from_be_bytes(bytes),
        }
    }
}

impl<R: Read> BlockReader<R> {
    /// Reads the section header, so that what isn't a capture is refused before anything else.
    ///
    /// # Errors
    /// [`ReadError::Empty`], [`ReadError::ClassicPcap`], [`ReadError::NotACapture`], a cut, a
    /// damaged header, or the input's own error.
    pub fn new(input: R) -> Result<BlockReader<R>, ReadError> {
        let mut reader = BlockReader {
            input,
            at: 0,
            order: Order::Little,
            interfaces: Vec::new(),
            body: Vec::new(),
        };
        let mut kind = [0; 4];
        let got = reader.fill(&mut kind)?;
        if got == 0 {
            return Err(ReadError::Empty);
        }
        let section = SECTION_HEADER.to_le_bytes();
        if kind[..got] != section[..got] {
            return Err(match u32::from_le_bytes(kind) {
                0xA1B2_C3D4 | 0xD4C3_B2A1 | 0xA1B2_3C4D | 0x4D3C_B2A1 => ReadError::ClassicPcap,
                _ => ReadError::NotACapture {
                    begins: kind[..got].to_vec(),
                },
            });
        }
        if got < 4 {
            return Err(ReadError::Cut { at: reader.at });
        }
        reader.section(0)?;
        Ok(reader)
    }

    /// The interfaces of the section that is being read.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// The next packet, `None` at the end of a whole file. Interfaces that are described on the
    /// way are in [`BlockReader::interfaces`] by then.
    ///
    /// # Errors
    /// A cut, a damaged or overlong block, or the input's own error. Reading can't go on after one.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, ReadError> {
        loop {
            let at = self.at;
            let mut kind = [0; 4];
            match self.fill(&mut kind)? {
                0 => return Ok(None),
                4 => {}
                _ => return Err(ReadError::Cut { at: self.at }),
            }
            // The same in both byte orders, on purpose of the format.
            if kind == SECTION_HEADER.to_le_bytes() {
                self.section(at)?;
                continue;
            }
            let total = self.exactly()?;
            self.block(at, self.order.u32(total))?;
            match self.order.u32(kind) {
                INTERFACE_DESCRIPTION => self.interface(at)?,
                ENHANCED_PACKET => return self.packet(at).map(Some),
                _ => {}
            }
        }
    }

    /// Reads a section header from behind its kind: it says the byte order of all that follows.
    fn section(&mut self, at: u64) -> Result<(), ReadError> {
        let total = self.exactly()?;
        let magic = self.exactly()?;
        self.order = if magic == BYTE_ORDER_MAGIC.to_le_bytes() {
            Order::Little
        } else if magic == BYTE_ORDER_MAGIC.to_be_bytes() {
            Order::Big
        } else {
            return Err(damaged(at, "a section without the byte-order magic"));
        };
        let total = self.order.u32(total);
        if total < 28 {
            return Err(damaged(at, "a section header that is too short"));
        }
        // The magic is read already: the rest of the block is four bytes less.
        self.block_rest(at, total, 12)?;
        if self.order.u16([self.body[0], self.body[1]]) != 1 {
            return Err(damaged(at, "a section of another major version than 1"));
        }
        self.interfaces.clear();
        Ok(())
    }

    /// Reads a block's body from behind its length, and checks the length behind it.
    fn block(&mut self, at: u64, total: u32) -> Result<(), ReadError> {
        self.block_rest(at, total, 8)
    }

    /// Reads what is left of a block of `total` bytes after `taken` of them.
    fn block_rest(&mut self, at: u64, total: u32, taken: usize) -> Result<(), ReadError> {
        let bytes = total as usize;
        if bytes > BLOCK_BYTES_MAX {
            return Err(ReadError::BlockTooLong { at, bytes });
        }
        if bytes < FRAME_BYTES || !bytes.is_multiple_of(4) {
            return Err(damaged(at, "a block whose length can't be"));
        }
        let rest = bytes - taken;
        self.body.clear();
        // Grows with what is really there, and not with what a length claims.
        let got = (&mut self.input)
            .take(rest as u64)
            .read_to_end(&mut self.body)?;
        self.at += got as u64;
        if got < rest {
            return Err(ReadError::Cut { at: self.at });
        }
        let trailer = self.body.split_off(rest - 4);
        if trailer != total_bytes(self.order, total) {
            return Err(damaged(at, "a block whose two lengths differ"));
        }
        Ok(())
    }

    /// Takes an interface description out of the block that was read.
    fn interface(&mut self, at: u64) -> Result<(), ReadError> {
        if self.interfaces.len() == INTERFACES_MAX {
            return Err(damaged(
                at,
                "more interfaces than a capture of a line can have",
            ));
        }
        let order = self.order;
        let [a, b, _, _, _, _, _, _, options @ ..] = self.body.as_slice() else {
            return Err(damaged(at, "an interface description that is too short"));
        };
        let mut interface = Interface::new(order.u16([*a, *b]), "", "");
        interface.resolution = 6; // microseconds, unless it says otherwise
        let mut options = options;
        while let [a, b, c, d, rest @ ..] = options {
            let code = order.u16([*a, *b]);
            let bytes = usize::from(order.u16([*c, *d]));
            if code == OPTION_END {
                break;
            }
            let Some((value, rest)) = rest.split_at_checked(bytes) else {
                return Err(damaged(at, "an option that is longer than its block"));
            };
            match code {
                INTERFACE_NAME => interface.name = String::from_utf8_lossy(value).into_owned(),
                INTERFACE_TEXT => {
                    interface.description = String::from_utf8_lossy(value).into_owned();
                }
                INTERFACE_RESOLUTION if !value.is_empty() => interface.resolution = value[0],
                INTERFACE_OFFSET => {
                    if let Ok(bytes) = <[u8; 8]>::try_from(value) {
                        interface.offset_s = match order {
                            Order::Little => i64::from_le_bytes(bytes),
                            Order::Big => i64::from_be_bytes(bytes),
                        };
                    }
                }
                _ => {}
            }
            options = rest.get(padding(bytes)..).unwrap_or_default();
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// Takes a packet out of the block that was read.
    fn packet(&self, at: u64) -> Result<Packet<'_>, ReadError> {
        let Some((head, data)) = self.body.split_first_chunk::<20>() else {
            return Err(damaged(at, "a packet that is too short"));
        };
        let field = |i: usize| {
            self.order
                .u32([head[i], head[i + 1], head[i + 2], head[i + 3]])
        };
        let interface = field(0) as usize;
        let Some(description) = self.interfaces.get(interface) else {
            return Err(damaged(
                at,
                "a packet of an interface that wasn't described",
            ));
        };
        let Some(data) = data.get(..field(12) as usize) else {
            return Err(damaged(at, "a packet that is longer than its block"));
        };
        let units = u64::from(field(4)) << 32 | u64::from(field(8));
        Ok(Packet {
            at,
            interface,
            unix_ns: description.unix_ns(units),
            data,
        })
    }

    /// Four bytes, or a cut.
    fn exactly(&mut self) -> Result<[u8; 4], ReadError> {
        let mut bytes = [0; 4];
        match self.fill(&mut bytes)? {
            4 => Ok(bytes),
            _ => Err(ReadError::Cut { at: self.at }),
        }
    }

    /// Fills as much of `buffer` as there is.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let mut got = 0;
        while got < buffer.len() {
            match self.input.read(&mut buffer[got..]) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.at += got as u64;
        Ok(got)
    }
}

/// A length in the section's order.
fn total_bytes(order: Order, total: u32) -> [u8; 4] {
    match order {
        Order::Little => total.to_le_bytes(),
        Order::Big => total.to_be_bytes(),
    }
}

fn damaged(at: u64, what: &'static str) -> ReadError {
    ReadError::Damaged { at, what }
}
