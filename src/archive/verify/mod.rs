//! Rows against bytes and bytes against rows, for `kura verify`: what is missing, torn, damaged, orphaned or counted wrongly.
//!
//! Packs are taken one by one in their order, and nothing is held but the footer of one of them, so memory does not grow with
//! the archive. It runs beside a server: whatever looks wrong is looked at again before it is told, since a pack may have
//! been swept or a study have grown in between; an object without rows is an orphan only if it is older than the newest
//! recorded pack by [`Options::grace_us`].

mod finding;
mod objects;
mod packs;

use std::collections::BTreeMap;

use super::Archive;
use crate::auth::InspectGrant;
use crate::error::{Error, Kind, Result};

pub use finding::{Finding, What};

/// Wrong counts that are named; where there are more, the first say enough.
const MISCOUNTS: usize = 1_000;

/// How thoroughly, and how patiently.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether every stored byte is read and its digest compared.
    pub digests: bool,
    /// An object without rows is left alone while it may still be about to get them: for so long, in microseconds, before
    /// the newest pack that has rows.
    pub grace_us: i64,
}

/// What was looked at, so far.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Packs with rows.
    pub packs: u64,
    /// Instances with rows.
    pub instances: u64,
    /// Objects in the store.
    pub objects: u64,
    /// Bytes that were read and digested.
    pub bytes: u64,
    /// What was found, by kind.
    pub findings: BTreeMap<What, u64>,
}

impl Counts {
    /// How many things are wrong.
    pub fn wrong(&self) -> u64 {
        let wrong = self.findings.iter().filter(|(what, _)| what.is_wrong());
        wrong.map(|(_, count)| count).sum()
    }
}

/// What is told on the way.
#[derive(Debug)]
pub enum Told<'a> {
    /// Something was found.
    Finding(&'a Finding),
    /// Some more was looked at.
    Progress(&'a Counts),
}

/// Hears what is told.
pub type Listener<'a> = dyn FnMut(Told<'_>) + Send + 'a;

impl Archive {
    /// Compares all rows and objects of the facilities of `grants`, and looks for objects of nobody.
    ///
    /// # Errors
    /// `Kind::Unavailable` if database or store do not answer; what is damaged is a finding and no error.
    pub async fn verify(
        &self,
        grants: &[InspectGrant],
        options: Options,
        listener: &mut Listener<'_>,
    ) -> Result<Counts> {
        let mut verify = Verify {
            archive: self,
            options,
            listener,
            counts: Counts::default(),
        };
        for grant in grants {
            verify.packs(grant).await?;
        }
        verify.kept_columns().await?;
        verify.objects().await?;
        Ok(verify.counts)
    }
}

/// One run.
struct Verify<'a, 'l> {
    archive: &'a Archive,
    options: Options,
    listener: &'a mut Listener<'l>,
    counts: Counts,
}

impl Verify<'_, '_> {
    fn tell(&mut self, finding: &Finding) {
        *self.counts.findings.entry(finding.what).or_default() += 1;
        (self.listener)(Told::Finding(finding));
    }

    fn progress(&mut self) {
        (self.listener)(Told::Progress(&self.counts));
    }

    /// What the store says, if it is something about the one object: then the run goes on. A store that is away ends it.
    async fn damage<T>(&self, read: Result<T>) -> Result<Result<T, Error>> {
        match read {
            Ok(read) => Ok(Ok(read)),
            Err(error) => {
                if error.kind() == Kind::Unavailable {
                    // A bad sector fails like a store that is away.
                    self.archive.vault.health().await?;
                }
                Ok(Err(error))
            }
        }
    }

    async fn kept_columns(&mut self) -> Result<()> {
        for wrong in self.archive.index.recount_mismatches(MISCOUNTS).await? {
            let text = format!(
                "the {} {} keeps {}, and {} was counted",
                wrong.table, wrong.which, wrong.kept, wrong.counted
            );
            let mut finding = Finding::new(What::Count, "", text);
            match wrong.table {
                "facility" => finding.owner = wrong.which,
                "study" => finding.study = Some(wrong.which),
                "series" => finding.series = Some(wrong.which),
                _ => {}
            }
            self.tell(&finding);
        }
        self.progress();
        Ok(())
    }
}
