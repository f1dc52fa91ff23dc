//! The `kura` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    kura::cli::run()
}
