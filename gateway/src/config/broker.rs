//! Where the broker is, and with which files it is talked to.

use std::fmt;
use std::path::PathBuf;

/// Where the broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// `mqtts` rather than `mqtt`.
    pub tls: bool,
    /// Name or IPv4 address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl BrokerUrl {
    /// Reads `mqtts://host:port` or `mqtt://host:port`; without a port it is 8883 or 1883.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (tls, rest) = match text.split_once("://") {
            Some(("mqtts", rest)) => (true, rest),
            Some(("mqtt", rest)) => (false, rest),
            Some(_) => return Err("the scheme is mqtts (with TLS) or mqtt (without)"),
            None => return Err("it begins with mqtts:// (with TLS) or mqtt:// (without)"),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err("user and password don't belong here; use a client certificate");
        }
        if rest.starts_with('[') {
            return Err("IPv6 addresses can't be used here; write the broker's name");
        }
        let (host, port) = match rest.split_once(':') {
            None => (rest, if tls { 8883 } else { 1883 }),
            Some((host, port)) => (
                host,
                port.parse()
                    .map_err(|_| "the port is a number from 1 to 65535")?,
            ),
        };
        let is_name = |host: &str| {
            host.chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        };
        if host.is_empty() || port == 0 || !is_name(host) {
            return Err(
                "there has to be a host's name or IPv4 address, and nothing behind the port",
            );
        }
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
        })
    }

    /// Whether it is on this very machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse()
                .is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback())
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// Whose word releases an entry from the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseOn {
    /// The lake's `taken`: it stands in Kafka.
    Lake,
    /// The broker's PUBACK, the weaker promise: what lies behind the broker may still lose it.
    Broker,
}

/// Where certificates and key stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM with the certificates of the CAs that may have signed the broker's.
    pub ca: PathBuf,
    /// Our certificate (chain) and its key, where the broker asks for one.
    pub client: Option<ClientFiles>,
}

/// Our side of mutual TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// PEM, our certificate first, then those between it and the CA.
    pub cert: PathBuf,
    /// PEM, the private key of the first certificate.
    pub key: PathBuf,
}
