//! Who there is: users and tokens in one file.
//!
//! What holds: the file is replaced as a whole or not at all, readable for its owner alone; whoever
//! changes it holds a lock, so that the command line may do so beside a gateway that runs; a change
//! from elsewhere is seen at the next question. A file that can't be read is an error and never "no
//! users": an attacker who damages it must not find the gateway unclaimed.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::secrets::{self, Hash};
use crate::config::limits::{ACCOUNTS_FILE_BYTES_MAX, NAME_BYTES_MAX, TOKENS_MAX, USERS_MAX};

/// What a user may do; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Viewer,
    /// Say which obstacles there are.
    Operator,
    /// Change parameters, users and tokens, and read the audit log.
    Admin,
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "operator" => Ok(Self::Operator),
            "admin" => Ok(Self::Admin),
            _ => Err("the roles are viewer, operator and admin".to_owned()),
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        })
    }
}

/// What a program with a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Look, as a viewer.
    Read,
    /// Say which obstacles there are.
    Obstacles,
}

/// A user as the file has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// What is kept of the password.
    pub(super) password: String,
    /// When they were added, RFC 3339.
    pub since: String,
}

/// A token as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The part of it that may be shown.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Hash of the part that may not be shown, in hexadecimal.
    pub(super) sha256: String,
    /// Who made it.
    pub made_by: String,
    /// When, RFC 3339.
    pub since: String,
}

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    v: u32,
    /// All users.
    pub users: Vec<User>,
    /// All tokens.
    pub tokens: Vec<Token>,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            v: VERSION,
            users: Vec::new(),
            tokens: Vec::new(),
        }
    }
}

const VERSION: u32 = 1;

/// Why an account can't be had or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The file can't be read or written.
    #[error("the users' file {path}: {source}")]
    Io {
        /// Its path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It isn't what we wrote.
    #[error(
        "the users' file {path} is not one, or of a newer version: {reason}. Put it aside to begin anew"
    )]
    Damaged {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What is asked for isn't possible.
    #[error("{0}")]
    Invalid(String),
    /// It is there already.
    #[error("There is a user \"{0}\" already.")]
    Exists(String),
    /// It isn't there.
    #[error("There is no {what} \"{name}\".")]
    Unknown {
        /// User or token.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Nobody could administer any more.
    #[error("\"{0}\" is the last admin; make another one first.")]
    LastAdmin(String),
}

impl Book {
    /// Whether there is somebody who can administer: from then on nobody looks without a login.
    pub fn is_claimed(&self) -> bool {
        self.users.iter().any(|user| user.role == Role::Admin)
    }

    /// The user of that name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// The token that a program shows, `retrotap_<id>_<secret>`.
    pub(super) fn token(&self, shown: &str) -> Option<&Token> {
        let (id, secret) = shown.strip_prefix("retrotap_")?.split_once('_')?;
        let token = self.tokens.iter().find(|token| token.id == id)?;
        (token.sha256 == secrets::hex(&secrets::hash(secret))).then_some(token)
    }

    /// Adds a user.
    ///
    /// # Errors
    ///
    /// The name or password can't be used, or there are too many.
    pub fn add_user(
        &mut self,
        name: &str,
        role: Role,
        password: &str,
        now: String,
    ) -> Result<(), AccountsError> {
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_allowed) {
            return Err(AccountsError::Invalid(format!(
                "A user's name has 1 to {NAME_BYTES_MAX} letters, digits, -, _, . and @."
            )));
        }
        if self.user(name).is_some() {
            return Err(AccountsError::Exists(name.to_owned()));
        }
        if self.users.len() >= USERS_MAX {
            return Err(AccountsError::Invalid(format!(
                "There are {USERS_MAX} users, the most that can be."
            )));
        }
        let password = kept(name, password)?;
        self.users.push(User {
            name: name.to_owned(),
            role,
            password,
            since: now,
        });
        Ok(())
    }

    /// Removes a user, and with them all their sessions.
    ///
    /// # Errors
    ///
    /// There is none of that name, or it is the last admin.
    pub fn remove_user(&mut self, name: &str) -> Result<User, AccountsError> {
        let Some(index) = self.users.iter().position(|user| user.name == name) else {
            return Err(unknown_user(name));
        };
        let admins = self.users.iter().filter(|user| user.role == Role::Admin);
        if admins.count() == 1 && self.users.get(index).map(|user| user.role) == Some(Role::Admin) {
            return Err(AccountsError::LastAdmin(name.to_owned()));
        }
        Ok(self.users.remove(index))
    }

    /// Gives a user another password, which ends all their sessions.
    ///
    /// # Errors
    ///
    /// There is none of that name, or the password can't be used.
    pub fn set_password(&mut self, name: &str, password: &str) -> Result<(), AccountsError> {
        let password = kept(name, password)?;
        match self.users.iter_mut().find(|user| user.name == name) {
            Some(user) => {
                user.password = password;
                Ok(())
            }
            None => Err(unknown_user(name)),
        }
    }

    /// Makes a token; what it gives is shown once and never again.
    ///
    /// # Errors
    ///
    /// The name or the scopes can't be used, or there are too many.
    pub fn add_token(
        &mut self,
        name: &str,
        scopes: &[Scope],
        made_by: &str,
        now: String,
    ) -> Result<(Token, String), AccountsError> {
        let invalid = |said: String| Err(AccountsError::Invalid(said));
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return invalid(format!(
                "A token's name says what it is for, in 1 to {NAME_BYTES_MAX} bytes."
            ));
        }
        if scopes.is_empty() || scopes.len() > 2 {
            return invalid("A token has the scope read or obstacles, or both.".to_owned());
        }
        if self.tokens.len() >= TOKENS_MAX {
            return invalid(format!(
                "There are {TOKENS_MAX} tokens, the most that can be."
            ));
        }
        let (id, secret) = secrets::random::<8>()
            .and_then(|id| Ok((secrets::hex(&id), secrets::secret()?)))
            .map_err(|error| no_random(&error))?;
        let hash: Hash = secrets::hash(&secret);
        let token = Token {
            name: name.to_owned(),
            scopes: scopes.to_vec(),
            sha256: secrets::hex(&hash),
            made_by: made_by.to_owned(),
            since: now,
            id,
        };
        let shown = format!("retrotap_{}_{secret}", token.id);
        self.tokens.push(token.clone());
        Ok((token, shown))
    }

    /// Removes a token.
    ///
    /// # Errors
    ///
    /// There is none of that id.
    pub fn remove_token(&mut self, id: &str) -> Result<Token, AccountsError> {
        match self.tokens.iter().position(|token| token.id == id) {
            Some(index) => Ok(self.tokens.remove(index)),
            None => Err(AccountsError::Unknown {
                what: "token",
                name: id.to_owned(),
            }),
        }
    }
}

fn unknown_user(name: &str) -> AccountsError {
    AccountsError::Unknown {
        what: "user",
        name: name.to_owned(),
    }
}

fn kept(user: &str, password: &str) -> Result<String, AccountsError> {
    secrets::check_password(user, password).map_err(AccountsError::Invalid)?;
    secrets::hash_password(password).map_err(|error| no_random(&error))
}

fn no_random(error: &io::Error) -> AccountsError {
    AccountsError::Invalid(format!("This computer has no random numbers: {error}."))
}

/// By what a file that was replaced is known: inode, size, time of change in nanoseconds.
type Seen = (u64, u64, i64, i64);

/// The file, and what was read of it last.
#[derive(Debug)]
pub struct Accounts {
    path: PathBuf,
    held: Mutex<(Option<Seen>, Arc<Book>)>,
}

impl Accounts {
    /// Opens the file, which need not be there yet.
    ///
    /// # Errors
    ///
    /// It is there and can't be read.
    pub fn open(path: PathBuf) -> Result<Self, AccountsError> {
        let read = read(&path)?;
        Ok(Self {
            path,
            held: Mutex::new(read),
        })
    }

    /// Users and tokens as they are now. A file that has become unreadable changes nothing.
    pub fn book(&self) -> Arc<Book> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = std::fs::metadata(&self.path).ok().map(|found| seen(&found));
        if seen != held.0 {
            match read(&self.path) {
                // A claimed gateway whose file is gone stays claimed until it is started again.
                Ok((None, _)) => {}
                Ok(read) => *held = read,
                Err(error) => tracing::error!("{error}; who was known is known still"),
            }
        }
        Arc::clone(&held.1)
    }

    /// Changes users or tokens as a whole, or not at all. Waits for the disk, and a password for the
    /// processor: not for an async task.
    ///
    /// # Errors
    ///
    /// What the change fails with, or the file can't be written.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Book) -> Result<T, AccountsError>,
    ) -> Result<T, AccountsError> {
        let fails = |source| AccountsError::Io {
            path: self.path.clone(),
            source,
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        make_private(folder).map_err(fails)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path.with_extension("lock"))
            .map_err(fails)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|error| fails(error.into()))?;
        let (_, book) = read(&self.path)?;
        let mut book = Arc::unwrap_or_clone(book);
        let done = change(&mut book)?;
        write(folder, &self.path, &book).map_err(fails)?;
        drop(lock);
        self.book();
        Ok(done)
    }
}

/// Makes a folder that is its owner's alone.
///
/// # Errors
///
/// The system says why not.
pub fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if folder.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

fn seen(found: &std::fs::Metadata) -> Seen {
    (found.ino(), found.len(), found.mtime(), found.mtime_nsec())
}

fn read(path: &Path) -> Result<(Option<Seen>, Arc<Book>), AccountsError> {
    let fails = |source| AccountsError::Io {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, Arc::default())),
        Err(error) => return Err(fails(error)),
    };
    let found = file.metadata().map_err(fails)?;
    let mut text = String::new();
    file.take(ACCOUNTS_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(fails)?;
    let damaged = |reason: String| AccountsError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let book: Book = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    if book.v != VERSION {
        return Err(damaged(format!("version {}", book.v)));
    }
    Ok((Some(seen(&found)), Arc::new(book)))
}

fn write(folder: &Path, path: &Path, book: &Book) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(book)?;
    text.push('\n');
    // Made for its owner alone.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const PASSWORD: &str = "correct horse";

    fn now() -> String {
        "2026-11-20T10:55:00.000000000Z".to_owned()
    }

    fn add(accounts: &Accounts, name: &str, role: Role) -> Result<(), AccountsError> {
        accounts.change(|book| book.add_user(name, role, PASSWORD, now()))
    }

    #[test]
    fn what_one_process_changes_the_other_sees() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/users.json");
        let gateway = Accounts::open(path.clone()).unwrap();
        assert!(!gateway.book().is_claimed());
        let command_line = Accounts::open(path.clone()).unwrap();
        add(&command_line, "ann", Role::Admin).unwrap();
        assert!(gateway.book().is_claimed());
        add(&gateway, "ben", Role::Viewer).unwrap();
        assert_eq!(command_line.book().users.len(), 2);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(PASSWORD));
    }

    #[test]
    fn a_damaged_file_is_never_taken_for_no_users() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.json");
        let accounts = Accounts::open(path.clone()).unwrap();
        add(&accounts, "ann", Role::Admin).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        for text in [
            "",
            "{}",
            &whole[..whole.len() / 2],
            &whole.replace("\"v\": 1", "\"v\": 2"),
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(
                Accounts::open(path.clone()),
                Err(AccountsError::Damaged { .. })
            ));
            assert!(accounts.book().is_claimed(), "who was known is known still");
            assert!(add(&accounts, "eve", Role::Admin).is_err());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(accounts.book().is_claimed());
    }

    #[test]
    fn the_last_admin_stays() {
        let mut book = Book::default();
        book.add_user("ann", Role::Admin, PASSWORD, now()).unwrap();
        book.add_user("ben", Role::Operator, PASSWORD, now())
            .unwrap();
        assert!(matches!(
            book.remove_user("ann"),
            Err(AccountsError::LastAdmin(_))
        ));
        book.remove_user("ben").unwrap();
        book.add_user("eve", Role::Admin, PASSWORD, now()).unwrap();
        book.remove_user("ann").unwrap();
        assert!(book.is_claimed());
    }

    #[test]
    fn names_that_could_be_taken_for_something_else_are_refused() {
        let mut book = Book::default();
        for name in ["", "a b", "ann\n", "ä", "../ann", &"a".repeat(65)] {
            let refused = book.add_user(name, Role::Viewer, PASSWORD, now());
            assert!(matches!(refused, Err(AccountsError::Invalid(_))), "{name}");
        }
        book.add_user("ann", Role::Viewer, PASSWORD, now()).unwrap();
        let twice = book.add_user("ann", Role::Admin, PASSWORD, now());
        assert!(matches!(twice, Err(AccountsError::Exists(_))));
    }

    #[test]
    fn a_token_is_known_by_all_of_it() {
        let mut book = Book::default();
        let (token, shown) = book
            .add_token("lidar", &[Scope::Obstacles], "ann", now())
            .unwrap();
        assert_eq!(book.token(&shown), Some(&token));
        for other in [
            shown.to_uppercase(),
            shown[..shown.len() - 1].to_owned(),
            format!("retrotap_{}_", token.id),
            format!("retrotap_{}_{}", token.id, token.sha256),
            token.id.clone(),
            String::new(),
        ] {
            assert_eq!(book.token(&other), None, "{other}");
        }
        book.remove_token(&token.id).unwrap();
        assert_eq!(book.token(&shown), None);
    }
}
