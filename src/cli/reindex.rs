//! `kura reindex`: the index from packs alone, into an index that holds nothing but facilities.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::progress::Progress;
use crate::app::App;
use crate::archive::reindex::{Counts, Note, Told};
use crate::auth::access::Duty;
use crate::auth::{Access, StoreGrant};
use crate::error::{Error, Result};
use crate::model::{FacilityCode, FacilityKind};

/// How to rebuild.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Go on with a rebuild that was broken off, or take in packs that a restored index does not know
    #[arg(long)]
    resume: bool,
    /// Make facilities that are missing, named by their code, which then is the namespace of their patient numbers too
    #[arg(long)]
    make_facilities: bool,
}

/// Runs the command.
pub(super) async fn run(app: &App, arguments: &Args) -> Result<ExitCode> {
    let archive = app.archive();
    if !arguments.resume && !archive.index().is_unused().await? {
        return Err(Error::invalid(
            "the index is not empty: a rebuild goes into a new database; --resume goes on with one that was broken off",
        ));
    }
    let owners = archive.owners_in_store().await?;
    let grants = grants(app, &owners, arguments.make_facilities).await?;
    let mut progress = Progress::start(false);
    if let Some(bar) = progress.bar() {
        bar.set_length(owners.values().sum());
    }
    let (mut all, base_url) = (Counts::default(), super::base_url(app));
    for grant in &grants {
        let before = all;
        let reindexed = archive
            .reindex(grant, &base_url, &mut |told| match told {
                Told::Note(note) => progress.print(&line(grant, note)),
                Told::Progress(counts) => {
                    let done = before.packs + before.skipped + counts.packs + counts.skipped;
                    progress.at(done, || format!("{done} packs, {}", grant.facility().code));
                }
            })
            .await?;
        add(&mut all, &reindexed);
    }
    progress.end();
    say(&all, grants.len());
    Ok(super::found(all.lost > 0))
}

/// Leave to record for every owner in the store.
async fn grants(
    app: &App,
    owners: &BTreeMap<FacilityCode, u64>,
    make: bool,
) -> Result<Vec<StoreGrant>> {
    let index = app.archive().index();
    let mut missing = Vec::new();
    for code in owners.keys() {
        if index.facility_by_code(code).await?.is_none() {
            missing.push(code);
        }
    }
    if let Some(first) = missing.first().filter(|_| !make) {
        let codes: Vec<&str> = missing.iter().map(|code| code.as_str()).collect();
        return Err(Error::invalid(format!(
            "no facility {}: `kura facility add {first} --name … --issuer …` first, since packs name no more than the code; \
             or give --make-facilities",
            codes.join(", ")
        )));
    }
    for code in missing {
        index
            .add_facility(code, code.as_str(), FacilityKind::Member, &[])
            .await?;
        eprintln!("added {code}, under its code for want of a name");
    }
    let mut grants = Vec::new();
    for code in owners.keys() {
        let facility = super::facility_of(app, code.as_str()).await?;
        grants.push(Access::on_duty(Duty::Reindex, facility).may_store_into_own()?);
    }
    Ok(grants)
}

/// Five columns with tabs in between.
fn line(grant: &StoreGrant, note: &Note) -> String {
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    format!(
        "{}\t{}\t{}\t{}\t{}",
        note.object,
        grant.facility().code,
        dash(&note.study),
        dash(&note.instance),
        note.text
    )
}

fn add(all: &mut Counts, some: &Counts) {
    all.packs += some.packs;
    all.skipped += some.skipped;
    all.instances += some.instances;
    all.already += some.already;
    all.replaced += some.replaced;
    all.deleted += some.deleted;
    all.conflicts += some.conflicts;
    all.again += some.again;
    all.lost += some.lost;
}

#[expect(
    clippy::print_stdout,
    reason = "the counts are the result of the command"
)]
fn say(counts: &Counts, facilities: usize) {
    println!(
        "reindexed {} packs of {facilities} facilities: {} instances recorded, {} replaced, {} there twice, {} deleted, {} conflicts, \
         {} packs known before, {} stored again, {} lost",
        counts.packs,
        counts.instances,
        counts.replaced,
        counts.already,
        counts.deleted,
        counts.conflicts,
        counts.skipped,
        counts.again,
        counts.lost
    );
}
