//! How often an address may try a password or a code.
//!
//! A bucket for each address: so many attempts at once, then one every so often. An attempt is taken
//! before it is judged, so that trying in parallel gains nothing, and given back when it was right.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::limits::{ATTEMPT_ADDRESSES_MAX, ATTEMPT_EVERY, ATTEMPTS_MAX};

/// Attempts of all addresses.
#[derive(Debug, Default)]
pub struct Attempts {
    /// By address: when its bucket is full again.
    full_at: Mutex<HashMap<IpAddr, Instant>>,
}

impl Attempts {
    /// Takes an attempt.
    ///
    /// # Errors
    ///
    /// There is none left; how long until there is.
    pub fn take(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let most = ATTEMPT_EVERY * ATTEMPTS_MAX;
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let from = counted(from);
        if full_at.len() >= ATTEMPT_ADDRESSES_MAX && !full_at.contains_key(&from) {
            full_at.retain(|_, at| *at > now);
            if full_at.len() >= ATTEMPT_ADDRESSES_MAX {
                return Err(ATTEMPT_EVERY);
            }
        }
        let at = full_at.entry(from).or_insert(now);
        let after = (*at).max(now) + ATTEMPT_EVERY;
        let over = after.duration_since(now).saturating_sub(most);
        if over.is_zero() {
            *at = after;
            Ok(())
        } else {
            Err(over)
        }
    }

    /// The attempt was right: all are given back.
    pub fn forgive(&self, from: IpAddr) {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        full_at.remove(&counted(from));
    }
}

/// What counts as one address: of IPv6 the network, since a client chooses the rest as it likes.
fn counted(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn so_many_at_once_and_then_one_at_a_time() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..ATTEMPTS_MAX {
            assert_eq!(attempts.take(ip("10.0.0.7"), now), Ok(()));
        }
        assert_eq!(attempts.take(ip("10.0.0.7"), now), Err(ATTEMPT_EVERY));
        assert_eq!(
            attempts.take(ip("::ffff:10.0.0.7"), now),
            Err(ATTEMPT_EVERY)
        );
        assert_eq!(attempts.take(ip("10.0.0.8"), now), Ok(()));
        let later = now + ATTEMPT_EVERY;
        assert_eq!(attempts.take(ip("10.0.0.7"), later), Ok(()));
        assert_eq!(attempts.take(ip("10.0.0.7"), later), Err(ATTEMPT_EVERY));
        attempts.forgive(ip("10.0.0.7"));
        assert_eq!(attempts.take(ip("10.0.0.7"), later), Ok(()));
    }

    #[test]
    fn a_network_is_one_address_and_memory_is_bounded() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for host in 0..ATTEMPTS_MAX {
            let from = ip(&format!("2001:db8::{host:x}"));
            assert_eq!(attempts.take(from, now), Ok(()));
        }
        assert!(attempts.take(ip("2001:db8::ffff"), now).is_err());
        for number in 0..u32::try_from(ATTEMPT_ADDRESSES_MAX).unwrap() {
            let _ = attempts.take(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(attempts.take(ip("192.0.2.1"), now).is_err());
        let later = now + 2 * ATTEMPT_EVERY * ATTEMPTS_MAX;
        assert_eq!(attempts.take(ip("192.0.2.1"), later), Ok(()));
    }
}
