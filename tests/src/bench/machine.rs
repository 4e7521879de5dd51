//! A KR C2 at any pace, on a serial server of the network or on a pseudo-terminal.

use std::time::{Duration, Instant};

use retrotap::port::pty::Pty;
use retrotap::simulate::ValueEncoding;
use retrotap::simulate::krc2::{AXES, FRAME_BYTES, frame as encode};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

/// From one frame to the next at 9600 baud.
pub const FRAME_EVERY: Duration = Duration::from_nanos(9_375_000);

/// Where the axes begin, in hundred-thousandths of a degree.
const BEGIN: [i32; AXES] = [
    -4_500_000, -7_800_000, 9_400_000, 1_000_000, 7_400_000, -4_500_000, 0,
];

/// Cycles from one end of the way to the other, and what each axis moves in one of them: so little
/// that no check of rates minds, whatever the pace.
const WAY: u64 = 600;
const STEP: i32 = 1000;

/// The frame of this number, from 1 as the line counts them.
pub fn frame(number: u64) -> [u8; FRAME_BYTES] {
    let (cycle, axis) = ((number - 1) / AXES as u64, (number - 1) as usize % AXES);
    let place = cycle % (2 * WAY);
    let place = i32::try_from(place.min(2 * WAY - place)).expect("small");
    let value = BEGIN[axis] + place * STEP;
    let axis = u32::try_from(axis + 1).expect("1 to 7");
    encode(axis, value, ValueEncoding::SignMagnitude)
}

/// The machine's end.
#[derive(Debug)]
pub enum End {
    /// A pseudo-terminal.
    Pty(Pty),
    /// A connection of whoever reads the serial server.
    Tcp(TcpStream),
}

/// A machine, and when the last byte of each of its frames was handed over.
#[derive(Debug)]
pub struct Machine {
    end: End,
    sent: Vec<Instant>,
}

impl Machine {
    /// A machine that has not sent anything yet.
    pub fn new(end: End) -> Self {
        Self {
            end,
            sent: Vec::new(),
        }
    }

    /// Waits for the one who reads.
    ///
    /// # Panics
    ///
    /// Nobody comes within a minute.
    pub async fn on(server: &TcpListener) -> Self {
        let came = tokio::time::timeout(Duration::from_secs(60), server.accept()).await;
        let (stream, _) = came.expect("somebody comes").expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self::new(End::Tcp(stream))
    }

    /// Frames so far.
    pub fn frames(&self) -> u64 {
        self.sent.len() as u64
    }

    /// When the last byte of this frame was handed over, from 1; `None`: it was not.
    pub fn sent_at(&self, number: u64) -> Option<Instant> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.sent.get(index).copied()
    }

    /// Sends frames with this long from one to the next; when they are due sooner than a millisecond
    /// after each other, several at once. Late ones are sent at once.
    ///
    /// # Panics
    ///
    /// The other end is gone.
    pub async fn send(&mut self, count: u64, every: Duration) {
        let (began, first) = (Instant::now(), self.frames() + 1);
        let mut done = 0;
        while done < count {
            let due = (began.elapsed().as_nanos() / every.as_nanos().max(1)) as u64 + 1;
            let due = due.min(count);
            if due > done {
                let bytes: Vec<u8> = (done..due).flat_map(|index| frame(first + index)).collect();
                match &mut self.end {
                    End::Pty(pty) => pty.send_all(&bytes).await,
                    End::Tcp(stream) => stream.write_all(&bytes).await,
                }
                .expect("somebody reads");
                let now = Instant::now();
                self.sent.extend((done..due).map(|_| now));
                done = due;
            }
            let next = began + every * u32::try_from(done).expect("some hours");
            let pause = next.saturating_duration_since(Instant::now());
            tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_come_in_order_and_move_a_little() {
        for number in 1..=3 * 2 * WAY * AXES as u64 {
            let bytes = frame(number);
            assert_eq!(u64::from(bytes[0]), (number - 1) % AXES as u64 + 1);
            let value = |number| {
                let bytes = frame(number);
                let size = i64::from(u32::from_le_bytes(bytes[5..].try_into().expect("four")));
                if bytes[4] == b'-' { -size } else { size }
            };
            let moved = value(number + AXES as u64) - value(number);
            assert_eq!(moved.abs(), i64::from(STEP), "{number}");
        }
    }
}
