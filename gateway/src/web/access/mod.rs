//! Who may do what: users and their sessions, tokens of programs, and the log of what they change.
//!
//! What holds:
//! - Until there is an admin the gateway is unclaimed: everybody who reaches it may look, which is
//!   this computer alone ([`super::Door`]), and whoever has the code from its log or terminal may
//!   become the first admin. From then on nobody sees anything without a login.
//! - Every route of the API stands under a [`Need`]. What a session changes takes its CSRF token
//!   too; a token of a program is sent in a header, which no stranger's page can do.
//! - Passwords and codes can't be tried faster than `limits::ATTEMPT_EVERY` lets, and not more than
//!   two at once.
//! - Every change is in the audit log before its answer goes out.
//!
//! What the folder holds: `users.json`, `audit.jsonl` and the full one before it, and the
//! certificate that the gateway made for itself.

pub mod accounts;
mod attempts;
pub mod audit;
pub(super) mod routes;
pub mod secrets;
mod sessions;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::problem::Problem;
use crate::config::limits::{PASSWORDS_AT_ONCE, SESSION_LASTS, SESSION_VIEWER_LASTS};
use accounts::{Accounts, AccountsError, Book, Role, Scope};
use attempts::Attempts;
use audit::Audit;
use secrets::Hash;
use sessions::Sessions;

/// The cookie's name. The prefix makes browsers hold to what we say of it: secure, this host, `/`.
const COOKIE: &str = "__Host-retrotap";

/// What a change has to be asked with besides the cookie.
const CSRF_HEADER: &str = "x-csrf-token";

/// The users' file in the folder.
pub const USERS_FILE: &str = "users.json";
/// The audit log in the folder.
pub const AUDIT_FILE: &str = "audit.jsonl";

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

impl Peer {
    /// The address of a request, for counting and for the log.
    pub fn of(request: &Request) -> IpAddr {
        // Without one it is counted as the address that everybody without one has.
        request
            .extensions()
            .get::<Self>()
            .map_or(IpAddr::from([0; 4]), |peer| peer.0.ip())
    }
}

/// Users, sessions, tokens, attempts and the log.
#[derive(Debug)]
pub struct Access {
    accounts: Accounts,
    sessions: Sessions,
    attempts: Attempts,
    audit: Audit,
    /// The hash of the claim code, as long as one is out.
    code: Mutex<Option<Hash>>,
    /// Passwords that are tried at once: each takes 19 MiB and a core.
    passwords: Semaphore,
    /// What is kept of a password that nobody has: trying a user who isn't there takes as long.
    decoy: OnceLock<String>,
    lasts: Option<Duration>,
}

impl Access {
    /// Writes a change down that wasn't asked for through the API. Waits for the disk.
    ///
    /// # Errors
    ///
    /// It doesn't stand there.
    pub fn write_down(&self, entry: &audit::Entry) -> std::io::Result<()> {
        self.audit.put(entry)
    }

    /// Opens the folder, which need not be there yet.
    ///
    /// # Errors
    ///
    /// The users' file is there and can't be read.
    pub fn open(folder: &Path) -> Result<Self, AccountsError> {
        Ok(Self {
            accounts: Accounts::open(folder.join(USERS_FILE))?,
            sessions: Sessions::default(),
            attempts: Attempts::default(),
            audit: Audit::at(folder.join(AUDIT_FILE)),
            code: Mutex::new(None),
            passwords: Semaphore::new(PASSWORDS_AT_ONCE),
            decoy: OnceLock::new(),
            lasts: None,
        })
    }

    /// With sessions that last as long as a test has time for.
    #[cfg(test)]
    pub fn lasting(mut self, lasts: Duration) -> Self {
        self.lasts = Some(lasts);
        self
    }

    /// A new code for whoever becomes the first admin, if there is none yet.
    ///
    /// # Errors
    ///
    /// The system has no random bytes.
    pub fn claim_code(&self) -> std::io::Result<Option<String>> {
        if self.is_claimed() {
            return Ok(None);
        }
        let code = secrets::code()?;
        let hash = secrets::hash(&secrets::meant(&code));
        *self.code.lock().unwrap_or_else(PoisonError::into_inner) = Some(hash);
        Ok(Some(code))
    }

    /// Whether there is an admin.
    pub fn is_claimed(&self) -> bool {
        self.accounts.book().is_claimed()
    }

    fn is_code(&self, code: &str) -> bool {
        let hash = secrets::hash(&secrets::meant(code));
        *self.code.lock().unwrap_or_else(PoisonError::into_inner) == Some(hash)
    }

    /// What is kept of a password that nobody has; made when it is needed first. Without random
    /// numbers it is no hash, which fits no password either.
    fn decoy(&self) -> &str {
        self.decoy.get_or_init(|| {
            secrets::secret()
                .and_then(|password| secrets::hash_password(&password))
                .unwrap_or_default()
        })
    }

    fn lasts(&self, role: Role) -> Duration {
        self.lasts.unwrap_or(match role {
            Role::Viewer => SESSION_VIEWER_LASTS,
            Role::Operator | Role::Admin => SESSION_LASTS,
        })
    }

    /// Who asks with these headers, as far as that holds now.
    fn who(&self, headers: &HeaderMap) -> Who {
        let book = self.accounts.book();
        if let Some(shown) = bearer(headers) {
            return match book.token(shown) {
                Some(token) => Who::Program {
                    id: token.id.clone(),
                    scopes: token.scopes.clone(),
                },
                None => Who::Nobody {
                    expired: true,
                    unclaimed: false,
                },
            };
        }
        let cookie = cookie(headers).map(secrets::hash);
        match cookie.and_then(|cookie| self.user(cookie, &book)) {
            Some(user) => user,
            None => Who::Nobody {
                expired: cookie.is_some(),
                unclaimed: !book.is_claimed(),
            },
        }
    }

    fn user(&self, cookie: Hash, book: &Book) -> Option<Who> {
        let (session, role) = self.sessions.find(cookie, book, Instant::now())?;
        Some(Who::User {
            name: session.user,
            role,
            csrf: session.csrf,
            cookie,
        })
    }

    /// Whether who was let in would be let in now: for answers that take long.
    fn holds(&self, who: &Who) -> bool {
        let book = self.accounts.book();
        match who {
            Who::User { cookie, .. } => self.user(*cookie, &book).is_some(),
            Who::Program { id, .. } => book.tokens.iter().any(|token| token.id == *id),
            Who::Nobody { .. } => !book.is_claimed(),
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// Somebody who didn't say, or whose word doesn't hold.
    Nobody {
        /// They said something, and it doesn't hold or doesn't any more.
        expired: bool,
        /// Nobody has to say anything yet.
        unclaimed: bool,
    },
    /// A user with a session.
    User {
        name: String,
        role: Role,
        csrf: String,
        cookie: Hash,
    },
    /// A program with a token.
    Program { id: String, scopes: Vec<Scope> },
}

impl Who {
    /// As the audit log names them.
    pub fn named(&self) -> String {
        match self {
            Self::Nobody { .. } => String::new(),
            Self::User { name, .. } => name.clone(),
            Self::Program { id, .. } => format!("token:{id}"),
        }
    }
}

/// What a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// To look: a viewer, or a token with the scope `read`.
    Look,
    /// To say which obstacles there are: an operator, or a token with that scope.
    Obstacles,
    /// To have logged in.
    Login,
    /// An admin.
    Administer,
}

impl Need {
    fn role(self) -> Role {
        match self {
            Self::Look | Self::Login => Role::Viewer,
            Self::Obstacles => Role::Operator,
            Self::Administer => Role::Admin,
        }
    }

    fn scope(self) -> Option<Scope> {
        match self {
            Self::Look => Some(Scope::Read),
            Self::Obstacles => Some(Scope::Obstacles),
            Self::Login | Self::Administer => None,
        }
    }

    /// Whether they may.
    fn judge(self, who: &Who, changes: bool, csrf: Option<&str>) -> Result<(), Problem> {
        let forbidden = |detail: String| Err(Problem::new(StatusCode::FORBIDDEN, detail));
        match who {
            Who::Nobody {
                unclaimed: true, ..
            } if self == Self::Look => Ok(()),
            Who::Nobody { expired, .. } => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                if *expired {
                    "The login has ended, or the token is not one; log in again."
                } else {
                    "This needs a login."
                },
            )),
            Who::User { role, .. } if *role < self.role() => forbidden(format!(
                "This needs the role {}, you are {role}.",
                self.role()
            )),
            Who::User { csrf: own, .. } if changes => match csrf {
                // Hashes tell nothing of how much was right.
                Some(given) if secrets::hash(given) == secrets::hash(own) => Ok(()),
                _ => forbidden(
                    "A change needs the header X-CSRF-Token with what GET /api/v1/session gives."
                        .to_owned(),
                ),
            },
            Who::User { .. } => Ok(()),
            Who::Program { scopes, .. } => {
                if self.scope().is_some_and(|scope| scopes.contains(&scope)) {
                    Ok(())
                } else {
                    forbidden("The token has not the scope that this needs.".to_owned())
                }
            }
        }
    }
}

/// What a long answer keeps asking.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    access: Arc<Access>,
    pub who: Who,
}

impl Pass {
    /// Whether who was let in would be let in now.
    pub fn holds(&self) -> bool {
        self.access.holds(&self.who)
    }
}

/// Lets through who may, with a [`Pass`].
pub(super) async fn require(
    State((access, need)): State<(Arc<Access>, Need)>,
    mut request: Request,
    next: Next,
) -> Response {
    let who = access.who(request.headers());
    let changes = request.method() != Method::GET && request.method() != Method::HEAD;
    let csrf = request
        .headers()
        .get(CSRF_HEADER)
        .and_then(|value| value.to_str().ok());
    match need.judge(&who, changes, csrf) {
        Ok(()) => {
            request.extensions_mut().insert(Pass { access, who });
            next.run(request).await
        }
        Err(refused) => {
            let mut response = refused.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                response.headers_mut().insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"retrotap\""),
                );
            }
            response
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, shown) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| shown.trim_start())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

fn set_cookie(value: &str, lasts: Duration) -> String {
    format!(
        "{COOKIE}={value}; Path=/; Max-Age={}; Secure; HttpOnly; SameSite=Strict",
        lasts.as_secs()
    )
}
