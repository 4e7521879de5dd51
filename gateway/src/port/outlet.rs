//! A way to write to a machine, beside its port that is being read.
//!
//! Keeps true: writing never waits. Bytes for which the kernel has no room are not written, and that is
//! an error for whoever wanted them written; half a telegram may have gone out then.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The same open device as the port's. Must be dropped with the port, or a device that was pulled out
/// keeps its number.
#[derive(Debug)]
pub struct Outlet(OwnedFd);

impl Outlet {
    /// Beside a descriptor that doesn't block.
    pub(super) fn of(port: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self(rustix::io::fcntl_dupfd_cloexec(port, 0)?))
    }

    /// Writes all of it, or says why not.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::WriteZero`] where there was room for a part.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let written = rustix::io::write(self.0.as_fd(), bytes)?;
        if written < bytes.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(())
    }
}
