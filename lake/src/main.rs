//! The binary. What it does stands in [`retrotap_lake::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    retrotap_lake::cli::main()
}
