//! Who is logged in. In memory: a gateway that is started again asks everybody for the password.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::accounts::{Book, Role, User};
use super::secrets::{self, Hash};
use crate::config::limits::SESSIONS_MAX;

/// One login.
#[derive(Debug, Clone)]
pub struct Session {
    /// Whose.
    pub user: String,
    /// What a change has to be asked with besides the cookie.
    pub csrf: String,
    /// What was kept of the password then: another password ends the session.
    password: String,
    until: Instant,
}

/// All sessions, by the hash of their cookie.
#[derive(Debug, Default)]
pub struct Sessions {
    held: Mutex<HashMap<Hash, Session>>,
}

impl Sessions {
    fn held(&self) -> MutexGuard<'_, HashMap<Hash, Session>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session; gives its cookie's value.
    ///
    /// # Errors
    ///
    /// The system has no random bytes.
    pub fn begin(
        &self,
        user: &User,
        now: Instant,
        lasts: Duration,
    ) -> io::Result<(String, Session)> {
        let cookie = secrets::secret()?;
        let session = Session {
            user: user.name.clone(),
            csrf: secrets::secret()?,
            password: user.password.clone(),
            until: now + lasts,
        };
        let mut held = self.held();
        held.retain(|_, session| session.until > now);
        if held.len() >= SESSIONS_MAX
            && let Some(first) = held
                .iter()
                .min_by_key(|(_, session)| session.until)
                .map(|(hash, _)| *hash)
        {
            held.remove(&first);
        }
        held.insert(secrets::hash(&cookie), session.clone());
        Ok((cookie, session))
    }

    /// The session of a cookie with its user's role, as long as both hold.
    pub fn find(&self, cookie: Hash, book: &Book, now: Instant) -> Option<(Session, Role)> {
        let mut held = self.held();
        let session = held.get(&cookie)?;
        let user = book
            .user(&session.user)
            .filter(|user| user.password == session.password && session.until > now);
        match user {
            Some(user) => Some((session.clone(), user.role)),
            None => {
                held.remove(&cookie);
                None
            }
        }
    }

    /// Ends a session.
    pub fn end(&self, cookie: Hash) {
        self.held().remove(&cookie);
    }
}
