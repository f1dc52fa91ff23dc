//! What is measured against a budget. One program: `cargo bench --bench main -- WHAT`, where WHAT is
//!
//! - `qido [STUDIES] [postgres://…]`: searching an archive of so many studies, 100,000 if it is not said, on SQLite or in an
//!   empty database of PostgreSQL;
//! - `names`: what it costs a store that its patient is new to the facility;
//! - `servers [WORK…] [studies=N] [rounds=N] [gigabytes=N]`: kura beside Orthanc and nginx; `scripts/bench` installs those and
//!   runs it where nobody else can reach them. WORK is of `store`, `metadata`, `retrieve`, `frames`, `mint`, `line` (what of
//!   `mint` needs a line), `enhanced`, `render`, `fair`, `search`;
//! - `servers-load upload|small|frames|rendered|study ADDRESS TOKEN`: load on a server that runs already, for a profiler;
//! - `sizes [STUDIES]`: bytes and depth of each table and index, on SQLite and on PostgreSQL;
//! - `requests`: requests to an object store, for studies of the usual kinds;
//! - `timing`: whether an answer of 404 tells what is there.
//!
//! `docs/performance.md` holds the figures, and on what they were taken.

use std::time::Duration;

mod fill;
mod growth;
mod made;
mod names;
mod qido;
mod servers;
mod timing;

#[path = "../tests/it/harness/mod.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "shared with the integration tests, which use all of it"
)]
mod harness;

#[expect(clippy::print_stderr, reason = "a program for the command line")]
fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Runtime::new().expect("threads can be made");
    let is_within = match words.as_slice() {
        ["qido", rest @ ..] => runtime.block_on(qido::run(rest)),
        ["names"] => runtime.block_on(names::run()),
        ["servers", rest @ ..] => runtime.block_on(servers::run(rest)),
        ["servers-load", what, address, token] => runtime.block_on(async {
            servers::without_end(what, address, token).await;
            true
        }),
        ["sizes", rest @ ..] => runtime.block_on(growth::sizes(rest)),
        ["requests"] => runtime.block_on(growth::requests()),
        ["timing"] => runtime.block_on(timing::run()),
        // Run with all other benches and tests: nothing that takes minutes.
        [] => true,
        _ => {
            eprintln!(
                "what there is: qido [STUDIES] [postgres://…], names, servers, sizes, requests, timing"
            );
            false
        }
    };
    std::process::ExitCode::from(u8::from(!is_within))
}

/// The sample below which `percent` of all lie. Sorts them.
fn percentile(samples: &mut [Duration], percent: usize) -> Duration {
    samples.sort_unstable();
    let at = (samples.len() * percent).div_ceil(100).max(1) - 1;
    samples[at]
}

/// A time in milliseconds.
fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
