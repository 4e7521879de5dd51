//! A role of `retrotap-lake` as a process of its own, asked through its pages.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::binary;
use crate::http::request;
use crate::ports::free_port;

/// A running role; killed when dropped.
#[derive(Debug)]
pub struct Lake {
    child: Child,
    pages: u16,
    log: PathBuf,
}

impl Lake {
    /// Starts it; what it says goes to `<name>.log` in the folder, after what stands there.
    ///
    /// # Panics
    ///
    /// It can't be started.
    pub fn start(folder: &Path, name: &str, arguments: &[&str]) -> Self {
        let (pages, log) = (free_port(), folder.join(format!("{name}.log")));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("the folder is there");
        let mut command = Command::new(binary::retrotap_lake());
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("RETROTAP_LAKE") {
                command.env_remove(variable);
            }
        }
        let child = command
            .args(arguments)
            .args(["--http", &format!("127.0.0.1:{pages}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("it starts");
        Self { child, pages, log }
    }

    /// An ingest between these ports and addresses.
    pub fn ingest(folder: &Path, name: &str, mqtt: u16, kafka: &str, more: &[&str]) -> Self {
        let url = format!("mqtt://127.0.0.1:{mqtt}");
        let mut arguments = vec!["ingest", "--mqtt-url", &url, "--kafka", kafka];
        arguments.extend(more);
        Self::start(folder, name, &arguments)
    }

    /// A sink to a database as [`crate::influx`] sets it up by default.
    ///
    /// # Panics
    ///
    /// The folder isn't there.
    pub fn sink(folder: &Path, name: &str, kafka: &str, influx: &str, more: &[&str]) -> Self {
        let token = folder.join("token");
        let settings = crate::influx::Settings::default();
        std::fs::write(&token, format!("{}\n", settings.token)).expect("the folder is there");
        let token = token.to_str().expect("UTF-8").to_owned();
        let mut arguments = vec!["sink", "--kafka", kafka, "--influx-url", influx];
        arguments.extend([
            "--org",
            "plant",
            "--bucket",
            "retrotap",
            "--token-file",
            &token,
        ]);
        arguments.extend(more);
        Self::start(folder, name, &arguments)
    }

    /// Whether it says that it can work; its reason otherwise.
    ///
    /// # Errors
    ///
    /// Why it can't.
    pub fn ready(&self) -> Result<(), String> {
        match self.get("/readyz") {
            Some((200, _)) => Ok(()),
            Some((_, why)) => Err(why),
            None => Err("nobody answers".to_owned()),
        }
    }

    /// Waits until it can work.
    ///
    /// # Panics
    ///
    /// It ended, or can't within a minute.
    pub fn becomes_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(why) = self.ready() {
            let ended = self.child.try_wait().expect("a child");
            let in_time = ended.is_none() && Instant::now() < deadline;
            assert!(in_time, "not ready, {ended:?}, {why}: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The sum of all lines of a metric that begin so; 0 where there is none.
    ///
    /// # Panics
    ///
    /// It doesn't answer.
    pub fn metric(&self, beginning: &str) -> f64 {
        let (_, page) = self
            .get("/metrics")
            .unwrap_or_else(|| panic!("no metrics: {}", self.log()));
        page.lines()
            .filter(|line| line.starts_with(beginning))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// What it wrote on standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a power cut of its process would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends it as a service manager does, and gives its exit code.
    ///
    /// # Panics
    ///
    /// It doesn't end within half a minute.
    pub fn terminate(&mut self) -> Option<i32> {
        let process = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &process]).status();
        assert!(sent.expect("kill").success());
        self.ends()
    }

    /// Waits for its end, and gives its exit code.
    ///
    /// # Panics
    ///
    /// It doesn't end within half a minute.
    pub fn ends(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it doesn't end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn get(&self, path: &str) -> Option<(u16, String)> {
        request(self.pages, "GET", path, "", "")
    }
}

impl Drop for Lake {
    fn drop(&mut self) {
        self.kill();
    }
}
