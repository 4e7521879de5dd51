//! A serial device in full raw mode.
//!
//! It is opened here, for reading only unless something is declared to be written; `tokio-serial` sets
//! rate and format and waits for bytes. Everything it leaves as it is, and a tap depends on, is set here:
//! the errors of single bytes ([`super::parmrk`]), all special characters off, low latency, and no flow
//! control.
//!
//! Opening raises DTR and RTS, which the kernel does before any program can ask it not to: a
//! passive tap wires receive and ground only.
//!
//! A device that the service manager held open over a restart ([`super::store`]) is taken over with
//! what the kernel took in meanwhile. The times of those bytes are those of reading them.
//!
//! Doesn't do: guess. A device that can't do the rate is refused.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use retrotap_adapters::framing::{LineErrors, Parity, SerialSettings};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector,
    SpecialCodeIndex,
};
use tokio::io::AsyncReadExt;
use tokio_serial::{SerialPort, SerialStream};

use super::driver::{self, Overruns};
use super::parmrk::Decoder;
use super::{Access, CHUNK_BYTES_MAX, LineClock, PortError, list, store};
use crate::words::{Chunk, Mark};

/// A serial device that is listened to.
#[derive(Debug)]
pub struct Serial {
    stream: SerialStream,
    path: PathBuf,
    decoder: Decoder,
    overruns: Overruns,
    raw: Box<[u8; CHUNK_BYTES_MAX]>,
    /// For as long as this reads, nobody else here does.
    _lease: Option<store::Lease>,
}

impl Serial {
    /// Opens a device for this process alone.
    ///
    /// # Errors
    /// [`PortError::NotThere`], [`PortError::NotATty`], [`PortError::Denied`],
    /// [`PortError::InUse`], [`PortError::Refused`].
    pub fn open(
        path: &Path,
        settings: SerialSettings,
        access: Access,
    ) -> Result<Serial, PortError> {
        let (stream, lease) = match store::take(path, access) {
            Some((held, lease)) => (take_over(held, path, settings)?, Some(lease)),
            None => {
                let stream = open_stream(path, settings, access)?;
                let lease = store::keep(path, tty(&stream));
                (stream, lease)
            }
        };
        let overruns = Overruns::new(tty(&stream));
        Ok(Serial {
            stream,
            path: path.to_owned(),
            decoder: Decoder::new(settings.parity),
            overruns,
            raw: Box::new([0; CHUNK_BYTES_MAX]),
            _lease: lease,
        })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        tty(&self.stream)
    }

    /// Waits for bytes and appends them to an empty chunk.
    pub(super) async fn read(
        &mut self,
        chunk: &mut Chunk,
        clock: &LineClock,
    ) -> Result<(), PortError> {
        // A read that gave nothing but the beginning of a mark is not a chunk yet.
        while chunk.bytes.is_empty() {
            let bytes = match self.stream.read(self.raw.as_mut_slice()).await {
                // Nobody ends a serial line: no bytes means that the device hung up, and it would
                // mean so for ever.
                Ok(0) => return Err(self.gone("it hung up")),
                Ok(bytes) => bytes,
                Err(error) => return Err(self.gone(&error.to_string())),
            };
            chunk.at = clock.now();
            self.decoder.decode(&self.raw[..bytes], chunk);
        }
        if self.overruns.more(tty(&self.stream)) {
            mark_overrun(chunk);
        }
        Ok(())
    }

    fn gone(&self, message: &str) -> PortError {
        PortError::Gone {
            name: self.path.display().to_string(),
            message: message.to_owned(),
        }
    }
}

/// The driver doesn't say between which bytes others were lost: the chunk's first one bears it.
fn mark_overrun(chunk: &mut Chunk) {
    match chunk.marks.first_mut() {
        Some(mark) if mark.index == 0 => mark.errors |= LineErrors::OVERRUN,
        _ => chunk.marks.insert(
            0,
            Mark {
                index: 0,
                errors: LineErrors::OVERRUN,
            },
        ),
    }
}

/// Opens a device for this process alone, raw, with these settings, and empty.
///
/// # Errors
/// As [`Serial::open`].
pub fn open_stream(
    path: &Path,
    settings: SerialSettings,
    access: Access,
) -> Result<SerialStream, PortError> {
    if !metadata_of(path)?.file_type().is_char_device() {
        return Err(PortError::NotATty(path.to_owned()));
    }
    let tty = open_alone(path, access).map_err(|error| opening(path, error))?;
    let stream = set_up(tty, path, settings)?;
    rustix::termios::tcflush(self::tty(&stream), QueueSelector::IFlush)
        .map_err(|error| refused(path, error.to_string()))?;
    Ok(stream)
}

/// Goes on with a device that was never closed. All is set again: the settings may be others now. What
/// waits in it is left there.
fn take_over(
    held: OwnedFd,
    path: &Path,
    settings: SerialSettings,
) -> Result<SerialStream, PortError> {
    let stream = set_up(held, path, settings)?;
    let waiting_bytes = rustix::io::ioctl_fionread(tty(&stream)).unwrap_or(0);
    tracing::info!(port = %path.display(), waiting_bytes, "taken over as it was left");
    Ok(stream)
}

/// Sets rate, format and all that a tap depends on.
fn set_up(tty: OwnedFd, path: &Path, settings: SerialSettings) -> Result<SerialStream, PortError> {
    let pseudo_terminal = is_pseudo_terminal(&metadata_of(path)?);
    let (data_bits, stop_bits) = format(settings).map_err(|message| refused(path, message))?;
    let parity = match settings.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    };
    let set = || -> tokio_serial::Result<SerialStream> {
        let mut stream = stream_of(tty)?;
        stream.set_data_bits(data_bits)?;
        stream.set_parity(parity)?;
        stream.set_stop_bits(stop_bits)?;
        stream.set_flow_control(tokio_serial::FlowControl::None)?;
        stream.set_baud_rate(settings.baud)?;
        Ok(stream)
    };
    let stream = set().map_err(|error| refused(path, error.to_string()))?;
    finish(&stream, settings, pseudo_terminal).map_err(|error| match error {
        Unfinished::System(error) => refused(path, error.to_string()),
        Unfinished::Baud(set) => refused(
            path,
            format!("it can't do {} baud, only {set}", settings.baud),
        ),
    })?;
    Ok(stream)
}

fn metadata_of(path: &Path) -> Result<fs::Metadata, PortError> {
    fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => PortError::Denied(path.to_owned()),
        _ => PortError::NotThere(path.to_owned()),
    })
}

fn refused(path: &Path, message: impl Into<String>) -> PortError {
    PortError::Refused {
        path: path.to_owned(),
        message: message.into(),
    }
}

/// Opens a terminal that nobody else has open, by TIOCEXCL and by the lock on the file that other
/// programs ask for.
fn open_alone(path: &Path, access: Access) -> Result<OwnedFd, Errno> {
    let access = match access {
        Access::Read => OFlags::RDONLY,
        Access::ReadWrite => OFlags::RDWR,
    };
    let flags = access | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let tty = rustix::fs::open(path, flags, Mode::empty())?;
    rustix::termios::ioctl_tiocexcl(&tty)?;
    rustix::fs::flock(&tty, FlockOperation::NonBlockingLockExclusive)?;
    Ok(tty)
}

/// Hands the terminal to `tokio-serial`.
#[allow(unsafe_code)]
fn stream_of(tty: OwnedFd) -> tokio_serial::Result<SerialStream> {
    // SAFETY: the descriptor is open and ours alone, and the port becomes its owner.
    let port = unsafe { serialport::TTYPort::from_raw_fd(tty.into_raw_fd()) };
    SerialStream::try_from(port)
}

enum Unfinished {
    System(rustix::io::Errno),
    Baud(u32),
}

impl From<rustix::io::Errno> for Unfinished {
    fn from(error: rustix::io::Errno) -> Unfinished {
        Unfinished::System(error)
    }
}

/// Sets what a tap depends on and `tokio-serial` leaves as it is.
fn finish(
    stream: &SerialStream,
    settings: SerialSettings,
    pseudo_terminal: bool,
) -> Result<(), Unfinished> {
    let tty = tty(stream);
    let mut modes = rustix::termios::tcgetattr(tty)?;
    // Not one bit may be left that eats, changes or answers a byte: no special characters, no
    // translation, no XON/XOFF, no echo. INPCK and PARMRK alone make errors visible.
    modes.input_modes = InputModes::INPCK | InputModes::PARMRK;
    modes.output_modes = OutputModes::empty();
    modes.local_modes = LocalModes::empty();
    modes.control_modes |= ControlModes::CREAD | ControlModes::CLOCAL;
    modes.control_modes -= ControlModes::CRTSCTS;
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    rustix::termios::tcsetattr(tty, OptionalActions::Now, &modes)?;
    // The call succeeds where any of the settings could be made, so look at what came of it. A
    // UART tolerates about 3 % between both ends.
    let set = rustix::termios::tcgetattr(tty)?.input_speed();
    if set.abs_diff(settings.baud) > settings.baud / 33 {
        return Err(Unfinished::Baud(set));
    }
    driver::set_low_latency(tty);
    if pseudo_terminal {
        // TIOCEXCL lasts until the last one closes. Whoever made a pseudo-terminal keeps it open,
        // so a process that was killed would lock its successor out; the lock on the file, which
        // `tokio-serial` holds too, is enough between programs that ask for it.
        rustix::termios::ioctl_tiocnxcl(tty)?;
    }
    Ok(())
}

/// The number of bits in `tokio-serial`'s words.
fn format(
    settings: SerialSettings,
) -> Result<(tokio_serial::DataBits, tokio_serial::StopBits), &'static str> {
    use tokio_serial::{DataBits, StopBits};
    let data_bits = match settings.data_bits {
        5 => DataBits::Five,
        6 => DataBits::Six,
        7 => DataBits::Seven,
        8 => DataBits::Eight,
        _ => return Err("a character has 5 to 8 data bits"),
    };
    let stop_bits = match settings.stop_bits {
        1 => StopBits::One,
        2 => StopBits::Two,
        _ => return Err("a character has 1 or 2 stop bits"),
    };
    if settings.baud == 0 {
        return Err("a rate of 0 baud hangs up");
    }
    Ok((data_bits, stop_bits))
}

/// What an error at opening means for whoever has to act.
fn opening(path: &Path, error: Errno) -> PortError {
    let path = path.to_owned();
    match error {
        // TIOCEXCL, or the lock on the file.
        Errno::BUSY | Errno::WOULDBLOCK => PortError::InUse {
            by: list::users_of(&path),
            path,
        },
        Errno::ACCESS | Errno::PERM => PortError::Denied(path),
        Errno::NOENT => PortError::NotThere(path),
        _ if !is_terminal(&path) => PortError::NotATty(path),
        error => PortError::Refused {
            path,
            message: error.to_string(),
        },
    }
}

/// Whether a device is a terminal at all; the error alone doesn't tell.
fn is_terminal(path: &Path) -> bool {
    rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK,
        Mode::empty(),
    )
    .is_ok_and(rustix::termios::isatty)
}

/// Whether a device is the user's end of a pseudo-terminal: Linux gives those majors 136 to 143.
fn is_pseudo_terminal(metadata: &fs::Metadata) -> bool {
    (136..=143).contains(&rustix::fs::major(metadata.rdev()))
}

/// The stream's descriptor, for as long as the stream is borrowed.
#[allow(unsafe_code)]
fn tty(stream: &SerialStream) -> BorrowedFd<'_> {
    // SAFETY: the stream owns the descriptor and closes it no earlier than its drop, which the
    // borrow of the stream in the result's lifetime rules out.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}
