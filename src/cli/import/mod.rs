//! `kura import`: the DICOM files below folders, stored as a request would store them.
//!
//! The order is that of names, so that a journal tells a second run what the first one came to (docs/decisions/0010). Files
//! go through in batches: while one is made durable the next is read. A file is never held in whole.

mod journal;
mod report;
mod run;
mod walk;

use std::path::PathBuf;
use std::process::ExitCode;

use super::progress::Progress;
use crate::app::App;
use crate::auth::Access;
use crate::auth::access::Duty;
use crate::error::{Error, Result};
use report::Report;

/// What to import.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders; what lies below is read in the order of names, links are not followed
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Code of the facility that will own the studies
    #[arg(long, value_name = "CODE")]
    facility: String,
    /// Where to write what was refused and what was odd, a JSON object a line; without it, refused files are printed
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Read files again that an earlier run has stored
    #[arg(long)]
    again: bool,
}

/// Runs the command: 1 if a file was refused or could not be read.
#[expect(
    clippy::print_stdout,
    reason = "the counts are the result of the command"
)]
pub(super) async fn run(app: &App, arguments: Args) -> Result<ExitCode> {
    let facility = super::facility_of(app, &arguments.facility).await?;
    let grant = Access::on_duty(Duty::Import, facility).may_store_into_own()?;
    let mut roots = Vec::new();
    for folder in &arguments.folders {
        roots.push(folder.canonicalize().map_err(|error| {
            let detail = format!("{}: {}", folder.display(), error.kind());
            Error::invalid(detail).with_source(error)
        })?);
    }
    let mut report = Report::open(arguments.report.as_deref())?;
    let progress = Progress::start(true);
    if let Some(bar) = progress.bar() {
        let roots = roots.clone();
        tokio::task::spawn_blocking(move || {
            let bytes = roots.iter().map(|root| walk::bytes_below(root)).sum();
            bar.set_length(bytes);
        });
    }
    let mut import = run::Import::new(app, grant, &mut report, progress);
    let mut ended = Ok(());
    for root in roots {
        ended = import.folder(root, arguments.again).await;
        if ended.is_err() {
            break;
        }
    }
    let counts = import.end();
    report.close()?;
    println!("{counts}");
    ended?;
    Ok(super::found(counts.refused > 0 || counts.unreadable > 0))
}
