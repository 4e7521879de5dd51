//! Ports: where a machine's bytes come from.
//!
//! | written as | is |
//! |---|---|
//! | `/dev/serial/by-id/…`, any other path | a serial device ([`serial`]) |
//! | `tcp://host:port` | a serial server that sends bytes as they are ([`tcp`]) |
//!
//! A capture is a port too where a command opens it as one ([`replay`]).
//!
//! Keeps true: a chunk's bytes are in the order of the line, none twice and none left out but those
//! the driver lost; line time never decreases; [`Port::read`] may be dropped at any await and loses
//! nothing; a port that goes away is an error within one read, never an endless silence.
//!
//! Tapping is passive: a serial device is opened for reading only, so that nothing can be written to
//! it, unless its [`Access`] says that the settings declare something. Then the port gives an
//! [`Outlet`], and that is the only way to write.

mod clock;
mod driver;
mod keeper;
pub mod list;
mod outlet;
mod parmrk;
pub mod pty;
pub mod replay;
pub mod serial;
pub mod store;
pub mod tcp;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use retrotap_adapters::framing::SerialSettings;
use thiserror::Error;

pub use clock::{LineClock, clock_state};
pub use keeper::{Happened, Keeper, first};
pub use outlet::Outlet;
use serial::Serial;
use tcp::Tcp;

use crate::capture::ReadError;
use crate::words::Chunk;

/// How often a port that went away is looked for. Four looks fit into the second that a line may
/// take to notice, and eight into the two that it may take to run again.
pub const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The most bytes that one read gives. The kernel's own buffer holds as many.
pub const CHUNK_BYTES_MAX: usize = 4096;

/// What a port is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Listening.
    #[default]
    Read,
    /// Listening, and writing what the settings declare.
    ReadWrite,
}

/// Which port, as the settings name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PortSpec {
    /// A serial device's path; a link such as those in `/dev/serial/by-id` is followed at each
    /// opening.
    Serial(PathBuf),
    /// A serial server's host and TCP port, as `host:port`.
    Tcp(String),
}

impl FromStr for PortSpec {
    type Err = PortError;

    fn from_str(text: &str) -> Result<PortSpec, PortError> {
        let bad = |message: &str| PortError::BadSpec {
            text: text.to_owned(),
            message: message.to_owned(),
        };
        match text.split_once("://") {
            Some(("tcp", address)) => {
                let (host, port) = address
                    .rsplit_once(':')
                    .ok_or_else(|| bad("expected tcp://HOST:PORT, the port is missing"))?;
                if host.is_empty() || port.parse::<u16>().is_ok_and(|port| port == 0) {
                    return Err(bad("expected tcp://HOST:PORT"));
                }
                port.parse::<u16>()
                    .map_err(|_| bad("the port must be a number from 1 to 65535"))?;
                Ok(PortSpec::Tcp(address.to_owned()))
            }
            Some((scheme, _)) => Err(bad(&format!(
                "`{scheme}://` isn't known; expected a device's path or tcp://HOST:PORT"
            ))),
            None if text.is_empty() => Err(bad("expected a device's path or tcp://HOST:PORT")),
            None => Ok(PortSpec::Serial(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortSpec::Serial(path) => write!(f, "{}", path.display()),
            PortSpec::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// Why a port can't be opened, or not be read further; each says what to do.
#[derive(Debug, Error)]
pub enum PortError {
    /// Nothing has this name.
    #[error("there is no {0}: is the adapter plugged in? `retrotap ports` lists what is there")]
    NotThere(PathBuf),
    /// Another program has it.
    #[error("{} is in use{}", path.display(), in_use_by(by))]
    InUse {
        /// The device.
        path: PathBuf,
        /// The programs that have it open, as far as this user may see them.
        by: Vec<String>,
    },
    /// It exists and isn't a terminal.
    #[error(
        "{0} is not a serial port: `retrotap ports` lists those; a recorded file is read by \
         `retrotap replay`"
    )]
    NotATty(PathBuf),
    /// This user may not open it.
    #[error(
        "this user may not open {0}: serial ports belong to the group `dialout`; \
         `sudo usermod -aG dialout $USER`, then log in again"
    )]
    Denied(PathBuf),
    /// The device doesn't take the settings.
    #[error("{} doesn't take the settings: {message}", path.display())]
    Refused {
        /// The device.
        path: PathBuf,
        /// What it said.
        message: String,
    },
    /// A serial server can't be reached.
    #[error("the serial server {address} can't be reached: {error}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The network's.
        error: io::Error,
    },
    /// It was there and went away. The line looks for it and goes on by itself.
    #[error("{name} went away ({message}); it is looked for until it is back")]
    Gone {
        /// The port.
        name: String,
        /// How it showed.
        message: String,
    },
    /// The capture that is replayed can't be read further.
    #[error("{}: {error}", path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ReadError,
    },
    /// The settings name no port.
    #[error("`{text}` names no port: {message}")]
    BadSpec {
        /// What was written.
        text: String,
        /// What was expected.
        message: String,
    },
}

fn in_use_by(by: &[String]) -> String {
    if by.is_empty() {
        ": another program has it open; `sudo fuser -v PORT` says which".to_owned()
    } else {
        format!(" by {}: stop that first", by.join(" and "))
    }
}

/// An open port.
#[derive(Debug)]
pub struct Port {
    /// Which of the machine's ports.
    index: u8,
    clock: LineClock,
    source: Source,
    access: Access,
}

#[derive(Debug)]
enum Source {
    Serial(Serial),
    Tcp(Tcp),
}

impl Port {
    /// Opens a machine's `index`-th port for listening. Bytes that wait there from before are thrown
    /// away: nobody knows when they came. Only those of a device that was held open ([`store`]) are
    /// read, because nobody else had it in between.
    ///
    /// # Errors
    /// Everything but [`PortError::Capture`] and [`PortError::BadSpec`].
    pub async fn open(
        spec: &PortSpec,
        settings: SerialSettings,
        index: u8,
        clock: LineClock,
    ) -> Result<Port, PortError> {
        Port::open_for(spec, settings, index, clock, Access::Read).await
    }

    /// The same for listening, or for writing too.
    ///
    /// # Errors
    /// As [`Port::open`].
    pub async fn open_for(
        spec: &PortSpec,
        settings: SerialSettings,
        index: u8,
        clock: LineClock,
        access: Access,
    ) -> Result<Port, PortError> {
        let source = match spec {
            PortSpec::Serial(path) => Source::Serial(Serial::open(path, settings, access)?),
            PortSpec::Tcp(address) => Source::Tcp(Tcp::connect(address).await?),
        };
        Ok(Port {
            index,
            clock,
            source,
            access,
        })
    }

    /// A way to write to the machine; `None` where the port was opened for reading, or the system has no
    /// descriptor left.
    pub fn outlet(&self) -> Option<Outlet> {
        match (self.access, &self.source) {
            (Access::Read, _) => None,
            (Access::ReadWrite, Source::Serial(serial)) => Outlet::of(serial.descriptor()).ok(),
            (Access::ReadWrite, Source::Tcp(tcp)) => Outlet::of(tcp.descriptor()).ok(),
        }
    }

    /// Waits for bytes and replaces the chunk's content with them; at least one byte.
    ///
    /// May be dropped at any time without losing a byte.
    ///
    /// # Errors
    /// [`PortError::Gone`] when the port went away; it must be opened again then.
    pub async fn read(&mut self, chunk: &mut Chunk) -> Result<(), PortError> {
        chunk.bytes.clear();
        chunk.marks.clear();
        match &mut self.source {
            Source::Serial(serial) => serial.read(chunk, &self.clock).await?,
            Source::Tcp(tcp) => tcp.read(chunk, &self.clock).await?,
        }
        chunk.port = self.index;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
