//! A real mosquitto on a port of its own, to be stopped, killed and started again by a test.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::certificates::Pair;
pub use crate::ports::free_port;

/// How clients reach the broker.
#[derive(Debug, Clone)]
pub enum Listener {
    /// Without TLS.
    Plain,
    /// With TLS, and a certificate is asked of every client.
    MutualTls {
        /// The CA that signs clients.
        ca: PathBuf,
        /// The broker's own.
        broker: Pair,
    },
}

/// A broker; killed when dropped.
#[derive(Debug)]
pub struct Mosquitto {
    child: Option<Child>,
    port: u16,
    settings: PathBuf,
    log: PathBuf,
}

impl Mosquitto {
    /// Starts a broker whose files stand in `folder`; `more` are lines for its configuration.
    pub fn start(folder: &Path, listener: &Listener, more: &str) -> Self {
        let port = free_port();
        let log = folder.join("mosquitto.log");
        // Root gives its rights up for those of the user mosquitto, who can't read the folder.
        let mut text = format!(
            "user root\nlistener {port} 127.0.0.1\nlog_dest file {}\n",
            log.display()
        );
        if let Listener::MutualTls { ca, broker } = listener {
            let _ = write!(
                text,
                "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n",
                ca.display(),
                broker.cert.display(),
                broker.key.display()
            );
        }
        let _ = write!(text, "allow_anonymous true\nset_tcp_nodelay true\n{more}\n");
        let settings = folder.join("mosquitto.conf");
        std::fs::write(&settings, text).expect("the folder is there");
        let mut broker = Self {
            child: None,
            port,
            settings,
            log,
        };
        broker.start_again();
        broker
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it again on the same port, after [`Self::kill`] or [`Self::stop`].
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .unwrap_or("mosquitto");
        let child = Command::new(program)
            .arg("-c")
            .arg(&self.settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed (Debian package mosquitto)");
        self.child = Some(child);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            assert!(
                Instant::now() < deadline,
                "mosquitto doesn't come up: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its process.
    ///
    /// # Panics
    ///
    /// It doesn't run.
    pub fn process(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// What it wrote into its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}
