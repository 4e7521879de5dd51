//! `retrotap user`: who may use the page. Works beside a gateway that runs, which sees it at once.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::plan;
use crate::web::access::accounts::{Accounts, Role};
use crate::web::access::audit::{self, Audit, Entry};
use crate::web::access::{AUDIT_FILE, USERS_FILE};

/// Who may use the page and its API.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap user add ann --role admin                        asks for the password
  retrotap user list
  retrotap user password ann
  pass show retrotap/ben | retrotap user add ben --role operator --settings retrotap.yaml
  retrotap user remove ben")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// The settings, of which `web.state_dir` says where the users are.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/retrotap/retrotap.yaml"
    )]
    settings: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Adds a user; the first admin claims the gateway.
    #[command(after_help = "Example:\n  retrotap user add ann --role admin")]
    Add {
        /// Their name.
        name: String,
        /// What they may do: `viewer` looks, `operator` says which obstacles there are, `admin`
        /// changes parameters and users.
        #[arg(long)]
        role: Role,
    },
    /// Lists the users.
    #[command(after_help = "Example:\n  retrotap user list --json | jq -r '.[].user'")]
    List {
        /// Print a JSON list.
        #[arg(long)]
        json: bool,
    },
    /// Removes a user and ends their sessions.
    #[command(after_help = "Example:\n  retrotap user remove ben")]
    Remove {
        /// Their name.
        name: String,
    },
    /// Gives a user another password and ends their sessions.
    #[command(after_help = "Example:\n  retrotap user password ann")]
    Password {
        /// Their name.
        name: String,
    },
}

/// Runs the command.
///
/// # Errors
///
/// The settings don't hold, the users can't be read or written, or what is asked isn't possible.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if !args.settings.exists() {
        eprintln!("error: there is no file {}", args.settings.display());
        return Ok(ExitCode::from(2));
    }
    // Waits for a person and for the disk.
    tokio::task::spawn_blocking(move || command(&args.settings, args.command)).await?
}

fn command(file: &Path, command: Command) -> anyhow::Result<ExitCode> {
    let settings = match plan::settings(file) {
        Ok(settings) => settings,
        Err(problems) => {
            for problem in &problems {
                eprintln!("{problem}");
            }
            bail!("the settings don't hold");
        }
    };
    let Some(web) = settings.web else {
        bail!(
            "{} has no `web`, so there is no page to log in to",
            file.display()
        );
    };
    let accounts = Accounts::open(web.state_dir.join(USERS_FILE))?;
    let log = Audit::at(web.state_dir.join(AUDIT_FILE));
    let note = |action: &str, name: &str, was, now| {
        log.put(&Entry {
            t: audit::now(),
            who: "terminal".to_owned(),
            from: String::new(),
            action: action.to_owned(),
            what: name.to_owned(),
            was,
            now,
        })
        .context("it is done, but can't be written to the audit log")
    };
    let none = serde_json::Value::Null;
    match command {
        Command::Add { name, role } => {
            let password = new_password()?;
            accounts.change(|book| book.add_user(&name, role, &password, audit::now()))?;
            note("user_added", &name, none, serde_json::json!({"role": role}))?;
        }
        Command::List { json } => list(&accounts, json)?,
        Command::Remove { name } => {
            let gone = accounts.change(|book| book.remove_user(&name))?;
            let was = serde_json::json!({"role": gone.role});
            note("user_removed", &name, was, none)?;
        }
        Command::Password { name } => {
            let password = new_password()?;
            accounts.change(|book| book.set_password(&name, &password))?;
            note("password_changed", &name, none.clone(), none)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(accounts: &Accounts, json: bool) -> anyhow::Result<()> {
    let book = accounts.book();
    if json {
        let users: Vec<_> = book
            .users
            .iter()
            .map(|user| {
                serde_json::json!({"user": user.name, "role": user.role, "since": user.since})
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&users)?);
        return Ok(());
    }
    for user in &book.users {
        println!("{:<20} {:<8} since {}", user.name, user.role, user.since);
    }
    if !book.is_claimed() {
        println!("nobody is an admin: the page can be seen on this computer by everybody");
    }
    Ok(())
}

/// A new password: typed twice without being shown, or the first line of what isn't a terminal.
fn new_password() -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        return line();
    }
    let password = hidden("password: ")?;
    if hidden("once more: ")? != password {
        bail!("the two are not the same");
    }
    Ok(password)
}

fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("no password")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Reads a line while the terminal doesn't show what is typed.
fn hidden(prompt: &str) -> anyhow::Result<String> {
    eprint!("{prompt}");
    std::io::stderr().flush()?;
    let terminal = std::io::stdin();
    let shown = tcgetattr(&terminal)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Now, &hidden)?;
    let line = line();
    tcsetattr(&terminal, OptionalActions::Now, &shown)?;
    eprintln!();
    line
}
