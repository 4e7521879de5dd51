//! Gives what a simulated machine sends to a real port at its real pace.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use retrotap_adapters::framing::SerialSettings;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, sleep_until};
use tokio_serial::SerialStream;

use super::krc2::{Sent, What};
use super::watch::PermitWatch;
use crate::port::pty::Pty;
use crate::port::{Access, PortError, serial};

/// The machine's end of a cable.
#[derive(Debug)]
pub enum Wire {
    /// A pseudo-terminal, which a line opens by its path or link; `None` while it is unplugged.
    Pty {
        /// The pair.
        pty: Option<Pty>,
        /// The name that it keeps when it is plugged in again.
        link: Option<PathBuf>,
    },
    /// A serial device, at the other end of whose cable a line listens.
    Serial(SerialStream),
}

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Bytes that were given to the port.
    pub bytes_sent: u64,
    /// Bytes that the port didn't take, since nobody fetched those before them.
    pub bytes_dropped: u64,
}

impl Wire {
    /// A new pseudo-terminal, with a link where a name of one's own choice is wanted.
    ///
    /// # Errors
    /// As [`Pty::open_linked`].
    pub fn pty(link: Option<&Path>) -> io::Result<Wire> {
        let mut wire = Wire::Pty {
            pty: None,
            link: link.map(Path::to_owned),
        };
        wire.plug()?;
        Ok(wire)
    }

    /// A serial device.
    ///
    /// # Errors
    /// As [`serial::open_stream`].
    pub fn serial(path: &Path, settings: SerialSettings) -> Result<Wire, PortError> {
        serial::open_stream(path, settings, Access::ReadWrite).map(Wire::Serial)
    }

    /// What a line is to open: the link, or the path where there is none. `None` for a device, of
    /// which only the user knows where its cable ends, and while unplugged.
    pub fn line_end(&self) -> Option<&Path> {
        match self {
            Wire::Pty {
                pty: Some(pty),
                link,
            } => Some(link.as_deref().unwrap_or(pty.path())),
            Wire::Pty { pty: None, .. } | Wire::Serial(_) => None,
        }
    }

    fn unplug(&mut self) {
        if let Wire::Pty { pty, .. } = self {
            *pty = None;
        }
    }

    fn plug(&mut self) -> io::Result<()> {
        if let Wire::Pty { pty, link } = self {
            *pty = Some(match link {
                Some(link) => Pty::open_linked(link)?,
                None => Pty::open()?,
            });
        }
        Ok(())
    }

    /// Waits for what the machine is sent; for ever while it is unplugged.
    async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Pty { pty: Some(pty), .. } => pty.receive(buffer).await,
            Wire::Pty { pty: None, .. } => std::future::pending().await,
            Wire::Serial(stream) => match stream.read(buffer).await? {
                // Nobody ends a serial line: the device hung up.
                0 => Err(io::ErrorKind::BrokenPipe.into()),
                bytes => Ok(bytes),
            },
        }
    }

    /// Sends without waiting; gives back how many bytes were taken.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Pty { pty: Some(pty), .. } => pty.send(bytes),
            Wire::Pty { pty: None, .. } => Ok(0),
            Wire::Serial(stream) => match stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                result => result,
            },
        }
    }
}

/// Sends everything when it is due, until the source ends or `shutdown` completes. Bytes that are
/// due together go out together, as they do behind a USB adapter; late ones are never spread out.
///
/// # Errors
/// The port's.
pub async fn drive(
    wire: &mut Wire,
    source: impl IntoIterator<Item = Sent>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<Summary> {
    drive_watching(wire, source, None, shutdown).await
}

/// The same, watching in between for what the machine is sent.
///
/// # Errors
/// The port's.
pub async fn drive_watching(
    wire: &mut Wire,
    source: impl IntoIterator<Item = Sent>,
    mut watch: Option<PermitWatch>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<Summary> {
    let began = Instant::now();
    let mut summary = Summary::default();
    let mut due_now = Vec::new();
    let mut buffer = [0; 256];
    tokio::pin!(shutdown);
    let mut source = source.into_iter();
    while let Some(Sent { due_ns, what }) = {
        // A machine decides by it what it does next.
        if let Some(watch) = &watch {
            watch.look(Instant::now());
        }
        source.next()
    } {
        let due = began + Duration::from_nanos(due_ns);
        if due > Instant::now() {
            send(wire, &mut due_now, &mut summary)?;
            loop {
                tokio::select! {
                    () = sleep_until(due) => break,
                    () = &mut shutdown => return Ok(summary),
                    got = wire.receive(&mut buffer), if watch.is_some() => {
                        let heard = buffer.get(..got?).unwrap_or_default();
                        if let Some(watch) = &mut watch {
                            watch.heard(heard, Instant::now());
                        }
                    }
                }
            }
        }
        match what {
            What::Byte(byte) => due_now.push(byte),
            What::Unplug => {
                send(wire, &mut due_now, &mut summary)?;
                wire.unplug();
            }
            What::Plug => wire.plug()?,
        }
    }
    send(wire, &mut due_now, &mut summary)?;
    Ok(summary)
}

fn send(wire: &mut Wire, bytes: &mut Vec<u8>, summary: &mut Summary) -> io::Result<()> {
    if !bytes.is_empty() {
        let taken = wire.send(bytes)?;
        summary.bytes_sent += taken as u64;
        summary.bytes_dropped += (bytes.len() - taken) as u64;
        bytes.clear();
    }
    Ok(())
}
