//! Serial devices that stay open while the gateway is started again.
//!
//! The service manager keeps a copy of each descriptor (systemd's `FileDescriptorStoreMax=`), so the
//! kernel goes on taking in what a machine says while no gateway runs, up to its buffer's 4 KiB; the next
//! process gets the copies and reads on. Within one process the copy kept here serves a line that begins
//! again.
//!
//! Keeps true: a device is held once, and only while it answers: one that was unplugged is let go at the
//! next look, because its number stays taken for as long as anybody has it open.
//!
//! Doesn't do: anything before [`begin`], which `retrotap run` alone calls. There is one store in a
//! process, as there is one environment and one table of descriptors.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::fs::OFlags;
use sd_notify::NotifyState;

use super::Access;

/// `None` where no service manager takes any.
static STORE: OnceLock<Option<Mutex<Vec<Held>>>> = OnceLock::new();

struct Held {
    /// Which device, as the kernel numbers it.
    device: u64,
    descriptor: OwnedFd,
    /// Whoever reads from it has the other one.
    lease: Lease,
}

/// The right to read from a device that is held; over when dropped.
pub(super) type Lease = Arc<()>;

/// Takes over what an earlier process left with the service manager, and from now on leaves with it what
/// is opened. What isn't one of `devices` any more is let go.
pub fn begin<'a>(devices: impl Iterator<Item = &'a Path>) {
    STORE.get_or_init(|| {
        std::env::var_os("NOTIFY_SOCKET")?;
        let wanted: Vec<u64> = devices.filter_map(device_at).collect();
        let mut held: Vec<Held> = Vec::new();
        for (descriptor, name) in inherited() {
            let device = rustix::fs::fstat(&descriptor).map(|found| found.st_rdev);
            match device {
                Ok(device)
                    if wanted.contains(&device)
                        && answers(descriptor.as_fd())
                        && held.iter().all(|one| one.device != device) =>
                {
                    let lease = Lease::default();
                    held.push(Held {
                        device,
                        descriptor,
                        lease,
                    });
                }
                _ => tell(
                    &[NotifyState::FdStoreRemove, NotifyState::FdName(&name)],
                    &[],
                ),
            }
        }
        Some(Mutex::new(held))
    });
}

/// The descriptors that the manager handed over, each once in a process.
#[allow(unsafe_code)]
fn inherited() -> Vec<(OwnedFd, String)> {
    match sd_notify::listen_fds_with_names(false) {
        Ok(handed) => handed
            .map(|(raw, name)| {
                // SAFETY: the manager opened it for this process, says `LISTEN_PID`, and this is called
                // once, from `begin`: nobody else owns it.
                (unsafe { OwnedFd::from_raw_fd(raw) }, name)
            })
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "what the service manager kept open can't be taken over");
            Vec::new()
        }
    }
}

/// A copy of the descriptor of that device, if it is held and nobody reads from it: it was never closed.
/// One that was opened for another access is let go, because the settings say now what may be done.
pub(super) fn take(path: &Path, access: Access) -> Option<(OwnedFd, Lease)> {
    let mut held = store()?.lock().unwrap_or_else(PoisonError::into_inner);
    // Before the device is looked for: while it is unplugged, nothing is there.
    let wanted = device_at(path);
    held.retain(|one| {
        let kept = answers(one.descriptor.as_fd())
            && (Some(one.device) != wanted || allows(one.descriptor.as_fd(), access));
        if !kept {
            let name = name(one.device);
            tell(
                &[NotifyState::FdStoreRemove, NotifyState::FdName(&name)],
                &[],
            );
        }
        kept
    });
    let free = |one: &&Held| Some(one.device) == wanted && Lease::strong_count(&one.lease) == 1;
    let one = held.iter().find(free)?;
    let descriptor = one.descriptor.try_clone().ok()?;
    Some((descriptor, Lease::clone(&one.lease)))
}

/// Holds a device that was just opened, here and at the service manager's.
pub(super) fn keep(path: &Path, descriptor: BorrowedFd<'_>) -> Option<Lease> {
    let store = store()?;
    let device = device_at(path)?;
    let own = descriptor.try_clone_to_owned().ok()?;
    let name = name(device);
    tell(
        &[NotifyState::FdStore, NotifyState::FdName(&name)],
        &[descriptor],
    );
    let mut held = store.lock().unwrap_or_else(PoisonError::into_inner);
    let lease = Lease::default();
    held.push(Held {
        device,
        descriptor: own,
        lease: Lease::clone(&lease),
    });
    Some(lease)
}

fn store() -> Option<&'static Mutex<Vec<Held>>> {
    STORE.get()?.as_ref()
}

fn device_at(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.rdev())
}

/// Whether the device is still there: one that hung up answers nothing any more.
fn answers(descriptor: BorrowedFd<'_>) -> bool {
    rustix::termios::tcgetattr(descriptor).is_ok()
}

/// Whether it was opened for this and nothing else.
fn allows(descriptor: BorrowedFd<'_>, access: Access) -> bool {
    let wanted = match access {
        Access::Read => OFlags::RDONLY,
        Access::ReadWrite => OFlags::RDWR,
    };
    rustix::fs::fcntl_getfl(descriptor).is_ok_and(|flags| flags & OFlags::RWMODE == wanted)
}

/// What the manager knows it by, such as `tty-188-0`; a path may have signs that such a name may not.
fn name(device: u64) -> String {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    format!("tty-{major}-{minor}")
}

fn tell(what: &[NotifyState<'_>], descriptors: &[BorrowedFd<'_>]) {
    // The line runs on either way; only a restart would lose what came meanwhile.
    if let Err(error) = sd_notify::notify_with_fds(false, what, descriptors) {
        tracing::warn!(%error, "the service manager doesn't keep the port open");
    }
}
