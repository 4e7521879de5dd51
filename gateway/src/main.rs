//! The binary. What it does stands in [`retrotap::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    retrotap::cli::main()
}
