//! A peer as a process of its own, heard by what it logs.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running peer; killed when dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    log: PathBuf,
}

impl Peer {
    /// Starts it; what it says goes to the file `log`.
    ///
    /// # Panics
    ///
    /// It can't be started.
    pub fn start(command: &mut Command, log: PathBuf) -> Self {
        let output = File::create(&log).expect("the folder is there");
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file"))
            .stderr(output)
            .spawn()
            .expect("it starts");
        Self { child, log }
    }

    /// Waits until its log says this.
    ///
    /// # Panics
    ///
    /// It doesn't within a minute.
    pub fn says(&self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.log().contains(what) {
            assert!(Instant::now() < deadline, "no {what:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a service manager does.
    ///
    /// # Panics
    ///
    /// There is no `kill`.
    pub fn terminate(&mut self) {
        let process = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &process]).status();
        assert!(sent.expect("kill").success());
        let _ = self.child.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
