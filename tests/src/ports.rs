//! TCP ports for servers that are started, killed and started again by a test.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// Below the ports that Linux gives to outgoing connections (32768 and up). From among those the
/// kernel could give a killed server's port to a client that looks for that very server, and then
/// the client is connected to itself and the server doesn't come up again.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A TCP port on 127.0.0.1 on which nothing listens at present. It is given to nobody else in this
/// process.
///
/// # Panics
///
/// None is left.
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| {
        // Test programs run beside each other: each begins elsewhere.
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.subsec_nanos());
        let lot = now.wrapping_mul(2_654_435_761) ^ std::process::id().wrapping_mul(40_503);
        AtomicU16::new((lot % u32::from(COUNT)) as u16)
    });
    for _ in 0..COUNT {
        let port = FIRST + next.fetch_add(1, Relaxed) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
