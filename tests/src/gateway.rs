//! `retrotap run` as a process of its own, asked through its page.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary;
use crate::http::get_json;
use crate::ports::free_port;

/// A running gateway; killed when dropped.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    page: u16,
    log: PathBuf,
}

impl Gateway {
    /// Starts it with these settings, to which the page's address is added, and waits for the page.
    /// Files that settings name relatively stand in `folder`.
    ///
    /// # Panics
    ///
    /// It isn't up within ten seconds.
    pub fn start(folder: &Path, settings: &str, more: &[&str]) -> Self {
        Self::start_as(folder, settings, more, |command| command)
    }

    /// The same by another command that is made of the usual one, such as a service manager's.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub fn start_as(
        folder: &Path,
        settings: &str,
        more: &[&str],
        make: impl FnOnce(Command) -> Command,
    ) -> Self {
        let page = free_port();
        let (file, log) = (folder.join("retrotap.yaml"), folder.join("retrotap.log"));
        let settings = format!("{settings}\nweb: {{listen: \"127.0.0.1:{page}\"}}\n");
        std::fs::write(&file, settings).expect("the folder is there");
        let mut arguments = vec!["run", file.to_str().expect("UTF-8")];
        arguments.extend(more);
        let mut command = binary::command(&arguments);
        command.env("XDG_CACHE_HOME", folder);
        let child = make(command)
            .stdout(File::create(folder.join("retrotap.out")).expect("the folder is there"))
            .stderr(File::create(&log).expect("the folder is there"))
            .spawn()
            .expect("it starts");
        let mut gateway = Self { child, page, log };
        let deadline = Instant::now() + Duration::from_secs(10);
        while gateway.try_status().is_none() {
            let ended = gateway.child.try_wait().expect("a child");
            let up_in_time = ended.is_none() && Instant::now() < deadline;
            assert!(up_in_time, "not up, {ended:?}: {}", gateway.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        gateway
    }

    /// What `GET /api/v1/status` answers.
    ///
    /// # Panics
    ///
    /// It doesn't answer.
    pub fn status(&self) -> Value {
        self.try_status()
            .unwrap_or_else(|| panic!("no status: {}", self.log()))
    }

    /// One machine of [`Self::status`], `Null` if there is none.
    pub fn machine(&self, id: &str) -> Value {
        let status = self.status();
        let machines = status["machines"].as_array().into_iter().flatten();
        machines
            .into_iter()
            .find(|machine| machine["id"] == id)
            .cloned()
            .unwrap_or_default()
    }

    /// The port of its page.
    pub fn page(&self) -> u16 {
        self.page
    }

    /// The state of a machine's line, in the page's word.
    pub fn state(&self, id: &str) -> String {
        self.machine(id)["line"]["state"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Waits until the line is in that state, and says how long that took.
    ///
    /// # Panics
    ///
    /// It isn't within half a minute.
    pub async fn reaches(&self, id: &str, state: &str) -> Duration {
        let began = Instant::now();
        while self.state(id) != state {
            let in_time = began.elapsed() < Duration::from_secs(30);
            assert!(
                in_time,
                "never {state}: {} {}",
                self.machine(id),
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    }

    /// What it wrote on standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in kilobytes.
    ///
    /// # Panics
    ///
    /// It doesn't run any more.
    pub fn resident_kb(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("Linux");
        line.trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("a number")
    }

    /// Ends it as a service manager does, and gives its exit code.
    ///
    /// # Panics
    ///
    /// It doesn't end within ten seconds.
    pub fn terminate(&mut self) -> Option<i32> {
        let process = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-TERM", &process])
            .status()
            .expect("kill");
        assert!(sent.success());
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it doesn't end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn try_status(&self) -> Option<Value> {
        get_json(self.page, "/api/v1/status")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
