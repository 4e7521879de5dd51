//! Writes man pages and shell completions where a package has them:
//!
//! `cargo run -p retrotap --example help-files -- FOLDER`
//!
//! An example and not a command, because who installs the program has no use for it.

use std::path::Path;
use std::{env, fs, io};

use clap::CommandFactory as _;
use clap_complete::{Shell, generate_to};
use retrotap::cli::Cli;

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1) else {
        return Err(io::Error::other("which folder?"));
    };
    let share = Path::new(&folder).join("usr/share");
    let pages = share.join("man/man1");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(Cli::command(), pages)?;
    for (shell, place) in [
        (Shell::Bash, "bash-completion/completions"),
        (Shell::Fish, "fish/vendor_completions.d"),
        (Shell::Zsh, "zsh/vendor-completions"),
    ] {
        let place = share.join(place);
        fs::create_dir_all(&place)?;
        let written = generate_to(shell, &mut Cli::command(), "retrotap", &place)?;
        if shell == Shell::Bash {
            // It is looked for by the command's very name.
            fs::rename(written, place.join("retrotap"))?;
        }
    }
    Ok(())
}
