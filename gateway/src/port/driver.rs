//! What a serial driver offers beyond termios: low latency, and counters of lost bytes.
//!
//! Both are ioctls that `rustix` doesn't wrap, from Linux's `<linux/serial.h>`. Neither is there on
//! every driver (a pseudo-terminal has none), and that is never an error.

use std::os::fd::BorrowedFd;

use rustix::io::Result;
use rustix::ioctl::{Getter, Setter, ioctl};

/// `TIOCGSERIAL`, `TIOCSSERIAL` and `TIOCGICOUNT` of `<asm-generic/ioctls.h>`, which x86, Arm and
/// RISC-V share.
const GET_SERIAL: u32 = 0x541E;
const SET_SERIAL: u32 = 0x541F;
const GET_COUNTERS: u32 = 0x545D;

/// `ASYNC_LOW_LATENCY`: hand bytes over at once. An FTDI adapter else holds them for 16 ms.
const LOW_LATENCY: i32 = 1 << 13;

/// `struct serial_struct`.
#[repr(C)]
#[derive(Clone, Copy)]
struct SerialStruct {
    kind: i32,
    line: i32,
    port: u32,
    irq: i32,
    flags: i32,
    xmit_fifo_bytes: i32,
    custom_divisor: i32,
    baud_base: i32,
    close_delay: u16,
    io_type: u8,
    reserved: u8,
    hub6: i32,
    closing_wait: u16,
    closing_wait_2: u16,
    iomem_base: usize,
    iomem_reg_shift: u16,
    port_high: u32,
    iomap_base: usize,
}

/// `struct serial_icounter_struct`.
#[repr(C)]
#[derive(Clone, Copy)]
struct CounterStruct {
    modem_lines: [i32; 4],
    received: i32,
    sent: i32,
    framing: i32,
    overrun: i32,
    parity: i32,
    breaks: i32,
    buffer_overrun: i32,
    reserved: [i32; 9],
}

/// Asks the driver to hand over bytes at once. False where it can't.
#[allow(unsafe_code)]
pub fn set_low_latency(tty: BorrowedFd<'_>) -> bool {
    let result: Result<()> = (|| {
        // SAFETY: the opcode writes one `struct serial_struct`, whose layout is `SerialStruct`'s.
        let mut serial = unsafe { ioctl(tty, Getter::<GET_SERIAL, SerialStruct>::new()) }?;
        if serial.flags & LOW_LATENCY != 0 {
            return Ok(());
        }
        serial.flags |= LOW_LATENCY;
        // SAFETY: the opcode reads one `struct serial_struct`, and this is the one that it gave.
        unsafe { ioctl(tty, Setter::<SET_SERIAL, SerialStruct>::new(serial)) }
    })();
    result.is_ok()
}

/// Counts the bytes that the receiver lost because nobody fetched them in time.
#[derive(Debug)]
pub struct Overruns {
    /// `None` where the driver doesn't count.
    seen: Option<u32>,
}

impl Overruns {
    /// Begins to count.
    pub fn new(tty: BorrowedFd<'_>) -> Overruns {
        Overruns {
            seen: overruns(tty),
        }
    }

    /// Whether bytes were lost since the last call.
    pub fn more(&mut self, tty: BorrowedFd<'_>) -> bool {
        let Some(seen) = self.seen else { return false };
        self.seen = overruns(tty).or(self.seen);
        self.seen != Some(seen)
    }
}

/// The driver's counters of lost bytes, which wrap.
#[allow(unsafe_code)]
fn overruns(tty: BorrowedFd<'_>) -> Option<u32> {
    // SAFETY: the opcode writes one `struct serial_icounter_struct`, whose layout is
    // `CounterStruct`'s.
    let counters = unsafe { ioctl(tty, Getter::<GET_COUNTERS, CounterStruct>::new()) }.ok()?;
    Some((counters.overrun as u32).wrapping_add(counters.buffer_overrun as u32))
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;

    #[test]
    fn the_structures_are_laid_out_as_in_the_kernels_header() {
        // As gcc computes them from <linux/serial.h> for 64 bits; for 32, pointers are half as wide.
        let wide = size_of::<usize>() == 8;
        assert_eq!(size_of::<SerialStruct>(), if wide { 72 } else { 60 });
        assert_eq!(offset_of!(SerialStruct, flags), 16);
        assert_eq!(
            offset_of!(SerialStruct, iomem_base),
            if wide { 48 } else { 44 }
        );
        assert_eq!(size_of::<CounterStruct>(), 80);
        assert_eq!(offset_of!(CounterStruct, overrun), 28);
        assert_eq!(offset_of!(CounterStruct, buffer_overrun), 40);
    }
}
