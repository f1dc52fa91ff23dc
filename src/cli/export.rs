//! `kura export`: the way out. The files of one facility as they were stored, in a tree by UID, with a list of their digests
//! that `sha256sum -c` reads.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tracing::info;

use super::progress::{Progress, size};
use crate::app::App;
use crate::archive::Archive;
use crate::archive::export::{Exported, Tree};
use crate::auth::Access;
use crate::auth::access::Duty;
use crate::dicom::query::Query;
use crate::dicom::query::decode::pairs;
use crate::error::{Error, Kind, Result};
use crate::index::catalog::Scope;
use crate::model::{FacilityState, Level, StudyUid};

/// Studies that are asked for at once.
const PAGE: u32 = 1_000;

/// What to export, and where to.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Code of the facility that owns the studies
    #[arg(long, value_name = "CODE")]
    facility: String,
    /// Which studies, as a search of DICOMweb says it: PatientID=123&StudyDate=20240101-; an empty text for all
    query: String,
    /// The folder, made if it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// How many files went which way.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    studies: u64,
    written: u64,
    there: u64,
    bytes: u64,
    damaged: u64,
}

/// Runs the command: 1 if a file could not be read back.
#[expect(
    clippy::print_stdout,
    reason = "the counts are the result of the command"
)]
pub(super) async fn run(app: &App, arguments: Args) -> Result<ExitCode> {
    let facility = super::facility_of(app, &arguments.facility).await?;
    if facility.state != FacilityState::Active {
        let detail = "the facility is not active, so nothing of it is shown";
        return Err(Error::new(Kind::Conflict, detail));
    }
    let query = query(&arguments.query)?;
    let access = Arc::new(Access::on_duty(Duty::Export, facility));
    let archive = app.archive();
    let studies = studies(archive, &access, query).await?;
    let tree = Tree::open(&arguments.folder, &studies).await?;
    let mut progress = Progress::start(false);
    if let Some(bar) = progress.bar() {
        bar.set_length(studies.len() as u64);
    }
    let mut export = Export {
        archive,
        access: &access,
        tree,
        progress: &mut progress,
        counts: Counts::default(),
    };
    let ended = export.studies(&studies).await;
    let (tree, counts) = (export.tree, export.counts);
    progress.end();
    ended?;
    tree.close().await?;
    println!(
        "exported {} studies: {} files written ({}), {} there already, {} damaged",
        counts.studies,
        counts.written,
        size(counts.bytes),
        counts.there,
        counts.damaged
    );
    Ok(super::found(counts.damaged > 0))
}

/// The checked query. What a search would leave out with a warning is an error here: it would export too much.
fn query(text: &str) -> Result<Query> {
    let paging = |(name, _): (&str, &str)| matches!(name, "limit" | "offset" | "cursor");
    if pairs(text).any(paging) {
        return Err(Error::invalid(
            "an export takes all that matches: leave limit, offset and cursor out",
        ));
    }
    let mut query = Query::parse(Level::Study, None, None, text)?;
    if let Some(warning) = query.warnings.first() {
        return Err(Error::invalid(format!(
            "the query would take too much: {warning}"
        )));
    }
    query.limit = PAGE;
    Ok(query)
}

/// The studies that match, before the first is written: what is stored meanwhile does not shift the pages.
async fn studies(archive: &Archive, access: &Arc<Access>, query: Query) -> Result<Vec<StudyUid>> {
    let catalog = archive.catalog(access);
    let mut studies = Vec::new();
    let mut place = None;
    loop {
        let page = catalog.search(&query, place.as_ref()).await?;
        studies.extend(page.rows.into_iter().map(|row| row.study));
        place = page.next;
        if place.is_none() {
            // Looking is no handing out: the trail is written study by study.
            access.take_trail();
            return Ok(studies);
        }
    }
}

/// An export under way.
struct Export<'a> {
    archive: &'a Archive,
    access: &'a Arc<Access>,
    tree: Tree,
    progress: &'a mut Progress,
    counts: Counts,
}

impl Export<'_> {
    async fn studies(&mut self, studies: &[StudyUid]) -> Result<()> {
        for study in studies {
            match self.study(study).await {
                // Deleted since it was found.
                Err(error) if error.kind() == Kind::NotFound => {}
                done => done?,
            }
            self.trail();
            self.counts.studies += 1;
            let counts = self.counts;
            self.progress.at(counts.studies, || {
                format!(
                    "{} studies, {} files",
                    counts.studies,
                    counts.written + counts.there
                )
            });
        }
        Ok(())
    }

    async fn study(&mut self, study: &StudyUid) -> Result<()> {
        let scope = Scope {
            study: study.clone(),
            series: None,
            instance: None,
        };
        let (counts, progress) = (&mut self.counts, &mut *self.progress);
        let mut told = |exported| match exported {
            Exported::There => counts.there += 1,
            Exported::Written(bytes) => {
                counts.written += 1;
                counts.bytes += bytes;
            }
            Exported::Damaged { place, why } => {
                counts.damaged += 1;
                progress.print(&format!("damaged\t{place}\t{why}; kura verify says more"));
            }
        };
        let tree = &mut self.tree;
        self.archive
            .export(self.access, scope, tree, &mut told)
            .await
    }

    /// Writes down who was handed what, as the log of requests does.
    fn trail(&self) {
        for touched in self.access.take_trail() {
            info!(
                subject = self.access.subject(),
                facility = %self.access.facility().code,
                study = touched.study,
                basis = ?touched.basis,
                "handed out"
            );
        }
    }
}
