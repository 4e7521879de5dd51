//! A serial server on the network that sends the line's bytes as they are.
//!
//! Rate and format are set on the server, and it doesn't tell line errors. A server that vanishes
//! without a word is noticed by keep-alive probes after ten seconds; until then, and for a machine
//! that is merely silent, the adapter's `stale_after` makes the line `silent`.
//!
//! Doesn't do: RFC 2217, which carries a server's settings and line errors inside telnet.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::{CHUNK_BYTES_MAX, LineClock, PortError};
use crate::words::Chunk;

/// How long a server may take to accept.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// When a silent connection is probed, how often, and how many probes may go unanswered.
const PROBE_AFTER: Duration = Duration::from_secs(4);
const PROBE_EVERY: Duration = Duration::from_secs(2);
const PROBES_MAX: u32 = 3;

/// A connection to a serial server.
#[derive(Debug)]
pub struct Tcp {
    stream: TcpStream,
    address: String,
    raw: Box<[u8; CHUNK_BYTES_MAX]>,
}

impl Tcp {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// [`PortError::Unreachable`].
    pub async fn connect(address: &str) -> Result<Tcp, PortError> {
        let unreachable = |error: io::Error| PortError::Unreachable {
            address: address.to_owned(),
            error,
        };
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(unreachable)?;
        notice_loss(&stream).map_err(unreachable)?;
        Ok(Tcp {
            stream,
            address: address.to_owned(),
            raw: Box::new([0; CHUNK_BYTES_MAX]),
        })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Waits for bytes and appends them to an empty chunk.
    pub(super) async fn read(
        &mut self,
        chunk: &mut Chunk,
        clock: &LineClock,
    ) -> Result<(), PortError> {
        let gone = |message: String| PortError::Gone {
            name: format!("tcp://{}", self.address),
            message,
        };
        match self.stream.read(self.raw.as_mut_slice()).await {
            Ok(0) => Err(gone("the server closed the connection".to_owned())),
            Ok(bytes) => {
                chunk.at = clock.now();
                chunk.bytes.extend(&self.raw[..bytes]);
                Ok(())
            }
            Err(error) => Err(gone(error.to_string())),
        }
    }
}

fn notice_loss(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_EVERY)?;
    sockopt::set_tcp_keepcnt(stream, PROBES_MAX)?;
    Ok(())
}
