//! `kura verify`: one line for each thing that is wrong, the counts last, and 1 if there was anything.

use std::process::ExitCode;

use super::progress::{Progress, size};
use crate::app::App;
use crate::archive::verify::{Counts, Options, Told};
use crate::auth::Access;
use crate::auth::access::Duty;
use crate::error::Result;

/// How to verify.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Compare existence, lengths and what packs say of themselves; read no stored file
    #[arg(long)]
    quick: bool,
    /// Minutes before the newest recorded pack from which on an object without rows is no orphan yet
    #[arg(long, value_name = "MINUTES", default_value_t = 15)]
    grace: u32,
}

/// Runs the command.
pub(super) async fn run(app: &App, arguments: &Args) -> Result<ExitCode> {
    let mut grants = Vec::new();
    for facility in app.archive().index().facilities().await? {
        grants.push(Access::on_duty(Duty::Verify, facility).may_inspect_own()?);
    }
    let options = Options {
        digests: !arguments.quick,
        grace_us: i64::from(arguments.grace) * 60_000_000,
    };
    let mut progress = Progress::start(false);
    let verified = app
        .archive()
        .verify(&grants, options, &mut |told| match told {
            Told::Finding(finding) => progress.print(&finding.to_string()),
            Told::Progress(counts) => progress.at(counts.packs, || so_far(counts)),
        })
        .await;
    progress.end();
    let counts = verified?;
    say(&counts, arguments.quick);
    Ok(super::found(counts.wrong() > 0))
}

fn so_far(counts: &Counts) -> String {
    format!(
        "{} packs, {} instances, {} objects, {}, {} wrong",
        counts.packs,
        counts.instances,
        counts.objects,
        size(counts.bytes),
        counts.wrong()
    )
}

#[expect(
    clippy::print_stdout,
    reason = "the counts are the result of the command"
)]
fn say(counts: &Counts, is_quick: bool) {
    let how = if is_quick {
        "no digests".to_owned()
    } else {
        format!("{} digested", size(counts.bytes))
    };
    let found: Vec<String> = counts
        .findings
        .iter()
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    println!(
        "verified {} packs, {} instances, {} objects, {how}: {}",
        counts.packs,
        counts.instances,
        counts.objects,
        if found.is_empty() {
            "nothing is wrong".to_owned()
        } else {
            found.join(", ")
        }
    );
}
