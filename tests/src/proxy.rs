//! A TCP proxy between any two parts: what a network does to them on a bad day.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::apart::Apart;
use crate::ports::free_port;

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All goes through.
    Pass,
    /// Nobody listens, and there are no connections: what was there is reset.
    Refuse,
    /// Connections are accepted and what is sent there disappears. A connection that lost something
    /// so is reset when the mode changes: TCP never goes on with a hole.
    BlackHole(Ways),
    /// Each way carries at most so many bytes a second.
    Slow {
        /// The rate, at least 1.
        bytes_per_s: u64,
    },
}

impl Mode {
    /// Whether bytes on that way (0 up, 1 down) disappear.
    fn swallows(self, way: usize) -> bool {
        match self {
            Self::BlackHole(Ways::Both) => true,
            Self::BlackHole(Ways::Up) => way == 0,
            Self::BlackHole(Ways::Down) => way == 1,
            Self::Pass | Self::Refuse | Self::Slow { .. } => false,
        }
    }
}

/// Which ways of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// From client to server.
    Up,
    /// From server to client: requests arrive, answers don't.
    Down,
    /// Both.
    Both,
}

/// How connections end at a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Both sides get a reset; what was under way is lost.
    Reset,
    /// Both sides see the end of the stream.
    Close,
}

/// What came through so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections that were accepted.
    pub connections: u64,
    /// Bytes that went from clients to the server.
    pub bytes_up: u64,
    /// Bytes that went from the server to clients.
    pub bytes_down: u64,
    /// Bytes that disappeared.
    pub bytes_swallowed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    bytes: [AtomicU64; 2],
    swallowed: AtomicU64,
}

/// A proxy; its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
    cuts: watch::Sender<(u64, Cut)>,
    counters: Arc<Counters>,
    _apart: Apart,
}

/// What every connection looks at.
#[derive(Debug, Clone)]
struct Seen {
    target: SocketAddr,
    mode: watch::Receiver<Mode>,
    cuts: watch::Receiver<(u64, Cut)>,
    counters: Arc<Counters>,
}

impl Proxy {
    /// A proxy before `port` on 127.0.0.1, which needn't listen yet.
    pub fn start(port: u16) -> Self {
        Self::start_at(free_port(), port)
    }

    /// The same on a port of one's choice.
    pub fn start_at(port: u16, target: u16) -> Self {
        let apart = Apart::new();
        let (mode, mode_seen) = watch::channel(Mode::Pass);
        let (cuts, cuts_seen) = watch::channel((0, Cut::Reset));
        let counters = Arc::<Counters>::default();
        let seen = Seen {
            target: SocketAddr::from((Ipv4Addr::LOCALHOST, target)),
            mode: mode_seen,
            cuts: cuts_seen,
            counters: Arc::clone(&counters),
        };
        let listener = apart.enter(|| listen(port)).expect("a free port");
        apart.spawn(accept(port, listener, seen));
        Self {
            port,
            mode,
            cuts,
            counters,
            _apart: apart,
        }
    }

    /// Where clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what happens to connections, those that are there too.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// What happens at present.
    pub fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    /// Ends all connections that are there; new ones are welcome.
    pub fn cut(&self, how: Cut) {
        self.cuts.send_modify(|(count, last)| {
            *count += 1;
            *last = how;
        });
    }

    /// What came through.
    pub fn counts(&self) -> Counts {
        let Counters {
            connections,
            bytes: [up, down],
            swallowed,
        } = &*self.counters;
        Counts {
            connections: connections.load(Relaxed),
            bytes_up: up.load(Relaxed),
            bytes_down: down.load(Relaxed),
            bytes_swallowed: swallowed.load(Relaxed),
        }
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(128)
}

async fn accept(port: u16, first: TcpListener, mut seen: Seen) {
    let mut listener = Some(first);
    loop {
        let refuse = *seen.mode.borrow_and_update() == Mode::Refuse;
        match &listener {
            Some(_) if refuse => listener = None,
            None if !refuse => match listen(port) {
                Ok(again) => listener = Some(again),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(listener) => tokio::select! {
                accepted = listener.accept() => if let Ok((client, _)) = accepted {
                    seen.counters.connections.fetch_add(1, Relaxed);
                    tokio::spawn(serve(client, seen.clone()));
                },
                changed = seen.mode.changed() => if changed.is_err() { return },
            },
            None => {
                if seen.mode.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

/// One connection from its beginning to its end.
async fn serve(mut client: TcpStream, mut seen: Seen) {
    let _ = seen.cuts.borrow_and_update();
    let Ok(mut server) = TcpStream::connect(seen.target).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let (mut cuts, mut mode) = (seen.cuts.clone(), seen.mode.clone());
        let both = async {
            tokio::try_join!(
                pump(from_client, to_server, 0, seen.clone()),
                pump(from_server, to_client, 1, seen.clone()),
            )
        };
        tokio::select! {
            ended = both => match ended {
                Ok(_) => Cut::Close,
                Err(how) => how,
            },
            _ = cuts.changed() => cuts.borrow().1,
            _ = mode.wait_for(|mode| *mode == Mode::Refuse) => Cut::Reset,
        }
    };
    if ended == Cut::Reset {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Carries one way until its end; an error says how the whole connection is to end.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: usize,
    mut seen: Seen,
) -> Result<(), Cut> {
    let mut buffer = vec![0; 64 * 1024];
    let mut lost_some = false;
    loop {
        let mode = *seen.mode.borrow_and_update();
        if lost_some && !mode.swallows(way) {
            return Err(Cut::Reset);
        }
        let part = match mode {
            // Small enough that a change of the mode is seen within a tenth of a second.
            Mode::Slow { bytes_per_s } => usize::try_from(bytes_per_s / 10)
                .unwrap_or(usize::MAX)
                .clamp(1, buffer.len()),
            _ => buffer.len(),
        };
        let count = tokio::select! {
            read = from.read(&mut buffer[..part]) => read.map_err(|_| Cut::Reset)?,
            changed = seen.mode.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return Err(Cut::Reset),
            },
        };
        // The mode may have changed while this was read.
        let mode = *seen.mode.borrow();
        if mode.swallows(way) {
            lost_some = true;
            seen.counters.swallowed.fetch_add(count as u64, Relaxed);
            if count == 0 {
                // The end isn't told either: nobody hears it through a black hole.
                let _ = seen.mode.changed().await;
                return Err(Cut::Reset);
            }
            continue;
        }
        if count == 0 {
            let _ = to.shutdown().await;
            return Ok(());
        }
        to.write_all(&buffer[..count])
            .await
            .map_err(|_| Cut::Reset)?;
        seen.counters.bytes[way].fetch_add(count as u64, Relaxed);
        if let Mode::Slow { bytes_per_s } = mode {
            let pause = Duration::from_secs_f64(count as f64 / bytes_per_s.max(1) as f64);
            tokio::time::sleep(pause).await;
        }
    }
}
