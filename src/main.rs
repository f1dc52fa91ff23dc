//! The `kura` command.

use std::process::ExitCode;

/// An answer takes some hundred small allocations, most of them given up on the same thread soon after: with the allocator of
/// glibc they are an eighth of what a frame costs (docs/decisions/0025).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kura::app::install_providers();
    kura::cli::run()
}
