//! Where the page listens, and each connection's way in.
//!
//! What holds: from other computers the page is reached by TLS alone, and only once there is an
//! admin; until then it listens on loopback at the same port. Whoever connects has so much time for
//! a handshake, for a request's head, and to take what is answered; connections are bounded, also
//! those of one address. A connection's fault ends that connection alone.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::{Access, Peer};
use super::tls::{self, CertError, CertFiles, Served};
use crate::config::limits::{
    ANSWERS_END_WITHIN, CONNECTIONS_MAX, CONNECTIONS_OF_ADDRESS_MAX, HANDSHAKE_WITHIN,
    REQUEST_HEAD_BYTES_MAX, REQUEST_HEAD_WITHIN, REQUEST_HEADERS_MAX, UNREAD_WITHIN,
};

/// Bytes of live events that may wait in the kernel for a slow client: a few dozen events, so that
/// what it reads after a pause is at most a second or two old.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// After the system had no file or memory left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// After the address that is wanted could not be had.
const BIND_PAUSE: Duration = Duration::from_secs(5);

/// How often an unclaimed gateway looks whether the command line has made an admin.
const CLAIM_EVERY: Duration = Duration::from_millis(500);

/// Where the page is to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The address; off loopback there is TLS in any case.
    pub address: SocketAddr,
    /// The user's certificate.
    pub cert: Option<CertFiles>,
    /// The folder of users, audit log and the gateway's own certificate.
    pub folder: PathBuf,
}

/// Why the page can't be served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address can't be listened at.
    #[error("the page can't listen at {address}: {source}; is something else running there?")]
    Listener {
        /// Which.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The certificate can't be used.
    #[error("the page's certificate: {0}")]
    Cert(#[from] CertError),
}

/// The page's listener.
#[derive(Debug)]
pub struct Door {
    /// Where it is to listen once it is claimed.
    wanted: SocketAddr,
    address: SocketAddr,
    listener: TcpListener,
    served: Option<Served>,
}

/// By what a gateway goes: who names another host is refused.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// Where it listens.
    pub address: IpAddr,
    /// The DNS names of its certificate.
    pub dns: Arc<[String]>,
}

impl Door {
    /// Listens, on loopback as long as there is no admin.
    ///
    /// # Errors
    ///
    /// The address is taken, or the certificate is no good.
    pub async fn open(listen: &Listen, access: &Access) -> Result<Self, WebError> {
        let wanted = listen.address;
        let served = match &listen.cert {
            Some(files) => Some(tls::of_files(files)?),
            None if wanted.ip().is_loopback() => None,
            None => Some(tls::own(&listen.folder)?),
        };
        let at = if access.is_claimed() {
            wanted
        } else {
            on_loopback(wanted)
        };
        let listener = bind(at).await?;
        let address = listener.local_addr().map_err(|source| WebError::Listener {
            address: at,
            source,
        })?;
        if let Some(served) = &served {
            tracing::info!(
                "the page's certificate has the SHA-256 fingerprint {}",
                served.fingerprint
            );
        }
        if at != wanted {
            tracing::warn!(
                "the page listens at {address} only, and at {wanted} once there is an admin"
            );
        }
        // A port that the system chose stays.
        let wanted = SocketAddr::new(wanted.ip(), address.port());
        Ok(Self {
            wanted,
            address,
            listener,
            served,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as a browser is told.
    pub fn url(&self) -> String {
        let scheme = if self.served.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}/", self.address)
    }

    pub(super) fn names(&self) -> Names {
        Names {
            address: self.address.ip(),
            dns: self
                .served
                .as_ref()
                .map(|served| served.names.clone())
                .unwrap_or_default()
                .into(),
        }
    }

    /// Answers until it is told to stop, first here and, once it is claimed, where it was wanted.
    pub(super) async fn serve(
        mut self,
        access: &Access,
        router: impl Fn(Names) -> Router,
        shutdown: CancellationToken,
    ) {
        let connections = TaskTracker::new();
        let places = Arc::new(Places::default());
        loop {
            let is_wanted = self.address == self.wanted;
            let claimed = async {
                while is_wanted || !access.is_claimed() {
                    tokio::time::sleep(CLAIM_EVERY).await;
                }
            };
            let acceptor = self.served.as_ref().map(|served| {
                let config = Arc::clone(&served.config);
                TlsAcceptor::from(config)
            });
            let way = Way {
                acceptor,
                router: router(self.names()),
                shutdown: shutdown.clone(),
            };
            tokio::select! {
                () = accept(&self.listener, &way, &places, &connections) => {}
                () = claimed => {}
                () = shutdown.cancelled() => break,
            }
            // The port has to be free before it can be had on all addresses.
            drop(self.listener);
            self.listener = loop {
                match bind(self.wanted).await {
                    Ok(listener) => break listener,
                    Err(error) => tracing::error!("{error}; it is tried again"),
                }
                tokio::select! {
                    () = tokio::time::sleep(BIND_PAUSE) => {}
                    () = shutdown.cancelled() => return,
                }
            };
            self.address = self.wanted;
            tracing::info!("there is an admin: the page listens at {}", self.address);
        }
        connections.close();
        if timeout(ANSWERS_END_WITHIN, connections.wait())
            .await
            .is_err()
        {
            tracing::debug!("some of the page's clients took too long to leave");
        }
    }
}

/// The same port of this computer alone.
fn on_loopback(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if ip.is_loopback() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, WebError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| WebError::Listener { address, source })
}

/// What each connection gets.
#[derive(Clone)]
struct Way {
    acceptor: Option<TlsAcceptor>,
    router: Router,
    shutdown: CancellationToken,
}

/// Connections by address.
#[derive(Debug, Default)]
struct Places {
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place, free when this goes.
struct Place {
    places: Arc<Places>,
    from: IpAddr,
}

impl Places {
    fn take(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.get(&from).copied().unwrap_or(0);
        if all >= CONNECTIONS_MAX || own >= CONNECTIONS_OF_ADDRESS_MAX {
            return None;
        }
        taken.insert(from, own + 1);
        Some(Place {
            places: Arc::clone(self),
            from,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self
            .places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.from) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.from);
            }
        }
    }
}

/// Takes connections for ever.
async fn accept(
    listener: &TcpListener,
    way: &Way,
    places: &Arc<Places>,
    connections: &TaskTracker,
) {
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "the page could not take a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = places.take(from.ip().to_canonical()) else {
            tracing::debug!(%from, "all of the page's connections are in use");
            continue;
        };
        let way = way.clone();
        connections.spawn(async move {
            let _place = place;
            talk(stream, from, way).await;
        });
    }
}

/// One connection, from its handshake to its end.
async fn talk(stream: TcpStream, from: SocketAddr, way: Way) {
    // Without it an event waits for the acknowledgement of the one before. Failing means that the
    // client is gone already, which reading from it will say.
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES);
    let unread_ms = u32::try_from(UNREAD_WITHIN.as_millis()).unwrap_or(u32::MAX);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, unread_ms);
    let Way {
        acceptor,
        router,
        shutdown,
    } = way;
    match acceptor {
        None => answer(stream, from, router, shutdown).await,
        Some(acceptor) => match timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => answer(stream, from, router, shutdown).await,
            Ok(Err(error)) => tracing::debug!(%from, %error, "no TLS with a client of the page"),
            Err(_) => tracing::debug!(%from, "a client of the page takes too long for TLS"),
        },
    }
}

/// Requests of one connection, one after the other.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    from: SocketAddr,
    router: Router,
    shutdown: CancellationToken,
) {
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(from));
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD_WITHIN)
        .max_buf_size(REQUEST_HEAD_BYTES_MAX)
        .max_headers(REQUEST_HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let done = tokio::select! {
        done = connection.as_mut() => done,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match timeout(ANSWERS_END_WITHIN, connection).await {
                Ok(done) => done,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = done {
        tracing::debug!(%from, %error, "a connection of the page ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_the_same_port() {
        for (wanted, expect) in [
            ("0.0.0.0:8443", "127.0.0.1:8443"),
            ("192.168.7.4:443", "127.0.0.1:443"),
            ("[::]:8443", "[::1]:8443"),
            ("127.0.0.2:8080", "127.0.0.2:8080"),
        ] {
            let wanted: SocketAddr = wanted.parse().unwrap();
            assert_eq!(on_loopback(wanted).to_string(), expect);
        }
    }

    #[test]
    fn one_address_does_not_take_the_places_of_all_others() {
        let places = Arc::new(Places::default());
        let one = IpAddr::from([10, 0, 0, 7]);
        let mut held: Vec<Place> = (0..CONNECTIONS_OF_ADDRESS_MAX)
            .map(|_| places.take(one).unwrap())
            .collect();
        assert!(places.take(one).is_none());
        let other = IpAddr::from([10, 0, 0, 8]);
        let others: Vec<Place> = (CONNECTIONS_OF_ADDRESS_MAX..CONNECTIONS_MAX)
            .map(|_| places.take(other).unwrap())
            .collect();
        let third = IpAddr::from([10, 0, 0, 9]);
        assert!(places.take(third).is_none());
        held.pop();
        assert!(places.take(third).is_some());
        drop((held, others));
        assert!(places.taken.lock().unwrap().is_empty());
    }
}
