//! A pair of pseudo-terminals: the machine's end of a cable, for the simulator, the demo and tests.
//!
//! The other end is a path that a line opens like any serial device. It is kept open here too, so
//! that it stays raw and what is written isn't an error while nobody listens.
//!
//! Keeps true: like a wire, [`Pty::send`] never waits for a listener. What doesn't fit into the
//! kernel's buffer is lost.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use tokio::io::unix::AsyncFd;

/// The machine's end.
#[derive(Debug)]
pub struct Pty {
    machine_end: AsyncFd<OwnedFd>,
    /// Kept open, see above.
    _line_end: OwnedFd,
    path: PathBuf,
    link: Option<PathBuf>,
}

impl Pty {
    /// Makes a pair in raw mode. Needs a running tokio runtime.
    ///
    /// # Errors
    /// Where the system has no more pseudo-terminals or file descriptors.
    pub fn open() -> io::Result<Pty> {
        let master =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&master)?;
        rustix::pty::unlockpt(&master)?;
        let path = rustix::pty::ptsname(&master, Vec::new())?;
        let path = PathBuf::from(std::ffi::OsString::from_vec(path.into_bytes()));
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let line_end = rustix::fs::open(&path, flags, Mode::empty())?;
        let mut modes = rustix::termios::tcgetattr(&line_end)?;
        modes.make_raw();
        rustix::termios::tcsetattr(&line_end, OptionalActions::Now, &modes)?;
        rustix::fs::fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
        let machine_end = register(master)?;
        Ok(Pty {
            machine_end,
            _line_end: line_end,
            path,
            link: None,
        })
    }

    /// The same, with a link that has a name of one's own choice. The link is removed with the pair.
    ///
    /// # Errors
    /// As [`Pty::open`], and [`io::ErrorKind::AlreadyExists`] where the link's name belongs to
    /// something that isn't a link; a link is replaced.
    pub fn open_linked(link: &Path) -> io::Result<Pty> {
        let mut pty = Pty::open()?;
        if fs::symlink_metadata(link).is_ok_and(|found| found.is_symlink()) {
            fs::remove_file(link)?;
        }
        symlink(&pty.path, link)?;
        pty.link = Some(link.to_owned());
        Ok(pty)
    }

    /// What a line opens, such as `/dev/pts/7`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sends bytes to the line at once, and gives back how many the kernel's buffer took.
    ///
    /// # Errors
    /// The system's.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match rustix::io::write(&self.machine_end, bytes) {
            Ok(taken) => Ok(taken),
            Err(rustix::io::Errno::AGAIN) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends bytes to the line and waits until the kernel's buffer has taken all of them.
    ///
    /// # Errors
    /// The system's.
    pub async fn send_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.machine_end.writable().await?;
            if let Ok(taken) = ready.try_io(|end| Ok(rustix::io::write(end, bytes)?)) {
                bytes = &bytes[taken?..];
            }
        }
        Ok(())
    }

    /// The bytes that the line has sent to the machine, none of them waited for.
    ///
    /// # Errors
    /// The system's.
    pub fn receive_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match rustix::io::read(&self.machine_end, buffer) {
            Err(rustix::io::Errno::AGAIN) => Ok(0),
            got => Ok(got?),
        }
    }

    /// Waits for bytes that the line sent to the machine.
    ///
    /// # Errors
    /// The system's.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.machine_end.readable().await?;
            if let Ok(got) = ready.try_io(|end| Ok(rustix::io::read(end, &mut *buffer)?)) {
                return got;
            }
        }
    }
}

/// Has tokio tell when the machine's end can be read and written.
#[allow(unsafe_code)]
fn register(master: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor stays open, and stays the same, for as long as its owner lives,
    // and the `AsyncFd` becomes its owner.
    Ok(unsafe { AsyncFd::register(master) }?)
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Another pair may have taken the link over.
        if let Some(link) = self.link.take()
            && fs::read_link(&link).is_ok_and(|target| target == self.path)
        {
            // Nobody is there to hear of a failure, and a link to nowhere does no harm.
            let _ = fs::remove_file(link);
        }
    }
}
