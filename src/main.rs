//! The `kura` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    kura::app::install_providers();
    kura::cli::run()
}
