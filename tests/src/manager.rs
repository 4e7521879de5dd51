//! A service manager's end of the wire, as systemd has it: a socket that hears the gateway, a time for its
//! watchdog, and the descriptors that one process leaves for the next.

use std::io::{ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};

/// What a process needs around it to be a service; `$$` is its number, since `exec` keeps that.
const AS_SERVICE: &str = r#"export WATCHDOG_PID=$$; exec "$@""#;
const AS_SERVICE_WITH_DESCRIPTOR: &str =
    r#"exec 3<&0 </dev/null; export WATCHDOG_PID=$$ LISTEN_PID=$$ LISTEN_FDS=1; exec "$@""#;

/// The service manager.
#[derive(Debug)]
pub struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    watchdog: Duration,
    kept: Vec<(String, OwnedFd)>,
}

impl Manager {
    /// Listens in this folder, and wants to be fed in this time.
    ///
    /// # Panics
    ///
    /// The folder isn't there.
    pub fn new(folder: &Path, watchdog: Duration) -> Self {
        let path = folder.join("notify");
        Self {
            socket: UnixDatagram::bind(&path).expect("the folder is there"),
            path,
            watchdog,
            kept: Vec::new(),
        }
    }

    /// The same command as a service. It gets what is kept; that may be one descriptor at most.
    ///
    /// # Panics
    ///
    /// More than one is kept.
    pub fn service(&self, command: &Command) -> Command {
        assert!(self.kept.len() <= 1, "{:?}", self.kept);
        let mut service = Command::new("sh");
        service.arg("-c");
        match self.kept.first() {
            None => service.arg(AS_SERVICE).stdin(Stdio::null()),
            Some((name, descriptor)) => service
                .arg(AS_SERVICE_WITH_DESCRIPTOR)
                .env("LISTEN_FDNAMES", name)
                .stdin(descriptor.try_clone().expect("a copy")),
        };
        service.arg("sh").arg(command.get_program());
        service.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => service.env(name, value),
                None => service.env_remove(name),
            };
        }
        service
            .env("NOTIFY_SOCKET", &self.path)
            .env("WATCHDOG_USEC", self.watchdog.as_micros().to_string());
        service
    }

    /// The next message, one assignment a line, if one comes in time. Descriptors are kept or let go as
    /// it says.
    ///
    /// # Panics
    ///
    /// A message is cut, or asks to keep nothing.
    pub fn hear(&mut self, within: Duration) -> Option<String> {
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut with = RecvAncillaryBuffer::new(&mut space);
        let within = within.max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(within)).expect("a time");
        let mut into = [IoSliceMut::new(&mut bytes)];
        let received = match recvmsg(&self.socket, &mut into, &mut with, RecvFlags::CMSG_CLOEXEC) {
            Ok(received) => received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("{error}"),
        };
        assert!(!received.flags.contains(ReturnFlags::TRUNC), "cut");
        let descriptors: Vec<OwnedFd> = with
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        let text = String::from_utf8(bytes[..received.bytes].to_vec()).expect("UTF-8");
        let name = || {
            let name = text.lines().find_map(|line| line.strip_prefix("FDNAME="));
            name.expect("a name").to_owned()
        };
        if text.contains("FDSTORE=1") {
            assert!(!descriptors.is_empty(), "nothing to keep: {text}");
            let named = descriptors.into_iter().map(|kept| (name(), kept));
            self.kept.extend(named);
        } else if text.contains("FDSTOREREMOVE=1") {
            let gone = name();
            self.kept.retain(|(name, _)| *name != gone);
        }
        Some(text)
    }

    /// Everything that comes for so long.
    pub fn hear_for(&mut self, time: Duration) -> Vec<String> {
        let until = Instant::now() + time;
        let mut heard = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.hear(left) {
                Some(message) => heard.push(message),
                None if left.is_zero() => return heard,
                None => {}
            }
        }
    }

    /// Waits for a message with this in it, and gives everything that came until then.
    ///
    /// # Panics
    ///
    /// None comes within half a minute.
    pub fn hear_until(&mut self, wanted: &str) -> Vec<String> {
        let until = Instant::now() + Duration::from_secs(30);
        let mut heard = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no `{wanted}` in {heard:?}");
            if let Some(message) = self.hear(left) {
                let found = message.contains(wanted);
                heard.push(message);
                if found {
                    return heard;
                }
            }
        }
    }

    /// The names of what is kept.
    pub fn kept(&self) -> Vec<&str> {
        self.kept.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Lets go of all that is kept, as when a service is stopped.
    pub fn forget(&mut self) {
        self.kept.clear();
    }
}
