//! The index rebuilt from packs alone, for `kura reindex` (architecture.md 7.5).
//!
//! The packs of an owner are recorded in the order in which their files were stored, by the same transaction that a store
//! uses: so the first instance of a study or a series says again what the row shows (Q72), and of two files with one UID the
//! first stays. What is held is a line a pack of one owner, about 120 bytes, and the heads of two packs.
//!
//! Deletions, rejections and the names of facilities are rows only: they are not in the packs and do not come back.

mod load;
mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::Archive;
use super::ingest::{Input, Options};
use super::ingest_part::DUPLICATE;
use crate::auth::StoreGrant;
use crate::dicom::store_response::StoreOutcome;
use crate::error::{Error, Result};
use crate::index::record::{NewPack, Recorded};
use crate::model::{FacilityCode, OnConflict};
use crate::storage::digest::Digester;
use crate::storage::{BlobRef, Footer, PackName, is_of_the_object};

use load::Loaded;
use plan::Planned;

/// Packs that are read ahead while others are recorded.
const AHEAD: usize = 2;

/// Packs and instances of one transaction.
const BATCH_PACKS: usize = 32;
const BATCH_INSTANCES: usize = 2_000;

const CONFLICT: &str = "another file was stored first under this SOP Instance UID";

/// What became of the packs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Packs that were read.
    pub packs: u64,
    /// Packs that had rows already.
    pub skipped: u64,
    /// Instances that are recorded now.
    pub instances: u64,
    /// Instances that another pack holds too, byte for byte.
    pub already: u64,
    /// Instances that took the place of an earlier version, as the facility's policy says.
    pub replaced: u64,
    /// Files whose UID is in the bin or was erased; they stay so.
    pub deleted: u64,
    /// Files under whose UID another file was stored before; they stay unrecorded, as on the day they came.
    pub conflicts: u64,
    /// Packs without whole heads, whose files were stored again.
    pub again: u64,
    /// Packs and files that could not be taken in.
    pub lost: u64,
}

/// Something that an operator should look at.
#[derive(Clone, Debug)]
pub struct Note {
    /// The pack.
    pub object: String,
    /// Study Instance UID, as far as it is known.
    pub study: Option<String>,
    /// SOP Instance UID, where it is about one.
    pub instance: Option<String>,
    /// A sentence for people, without patient data.
    pub text: String,
}

/// What is told on the way.
#[derive(Debug)]
pub enum Told<'a> {
    /// Something to look at.
    Note(&'a Note),
    /// Some more was done.
    Progress(&'a Counts),
}

/// Hears what is told.
pub type Listener<'a> = dyn FnMut(Told<'_>) + Send + 'a;

impl Archive {
    /// The owners of the packs that lie in the store, and how many packs each has.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the store does not answer.
    pub async fn owners_in_store(&self) -> Result<BTreeMap<FacilityCode, u64>> {
        let mut owners = BTreeMap::new();
        let mut listed = self.vault.list("");
        while let Some(object) = listed.try_next().await? {
            if let Some(name) = PackName::parse(&object.object).filter(|name| !name.is_metadata) {
                *owners.entry(name.owner).or_default() += 1;
            }
        }
        Ok(owners)
    }

    /// Records every pack of the facility of `grant` that has no rows yet. `base_url` is for files that have to be stored
    /// again although their pack does not say under which links its heads stood.
    ///
    /// # Errors
    /// `Kind::Unavailable`, `Kind::Full` if database or store do not answer; a damaged pack is a note and no error.
    pub async fn reindex(
        &self,
        grant: &StoreGrant,
        base_url: &str,
        listener: &mut Listener<'_>,
    ) -> Result<Counts> {
        let mut reindex = Reindex {
            archive: self,
            grant,
            base_url,
            listener,
            counts: Counts::default(),
        };
        let plan = reindex.plan().await?;
        reindex.record_all(plan).await?;
        Ok(reindex.counts)
    }
}

/// One owner's packs on their way into the index.
struct Reindex<'a, 'l> {
    archive: &'a Archive,
    grant: &'a StoreGrant,
    base_url: &'a str,
    listener: &'a mut Listener<'l>,
    counts: Counts,
}

impl Reindex<'_, '_> {
    async fn record_all(&mut self, plan: Vec<Planned>) -> Result<()> {
        let archive = self.archive;
        let packs = stream::iter(plan).map(|planned| load::load(archive, planned.object));
        let mut packs = packs.buffered(AHEAD).boxed();
        // Inside of a batch the first file of a UID stays; a later one takes its place only in a batch of its own.
        let most_packs = match self.grant.facility().policy.on_conflict {
            OnConflict::Reject => BATCH_PACKS,
            OnConflict::Replace | OnConflict::KeepBothVersions => 1,
        };
        let (mut batch, mut instances) = (Vec::new(), 0);
        while let Some((object, loaded)) = packs.next().await {
            match loaded? {
                Loaded::Whole(pack) => {
                    instances += pack.instances.len();
                    batch.push(*pack);
                    if batch.len() >= most_packs || instances >= BATCH_INSTANCES {
                        self.record(std::mem::take(&mut batch)).await?;
                        instances = 0;
                    }
                }
                Loaded::WithoutHeads(footer, why) => {
                    // In the order of the packs, for what came first counts.
                    self.record(std::mem::take(&mut batch)).await?;
                    instances = 0;
                    self.store_again(&object, &footer, &why).await?;
                }
                Loaded::Torn(why) => self.lose(&object, None, None, why.detail()),
            }
            self.counts.packs += 1;
            (self.listener)(Told::Progress(&self.counts));
        }
        self.record(batch).await
    }

    async fn record(&mut self, packs: Vec<NewPack>) -> Result<()> {
        if packs.is_empty() {
            return Ok(());
        }
        let packs: Arc<[NewPack]> = packs.into();
        let recording = self
            .archive
            .index
            .record_batch(self.grant, Arc::clone(&packs));
        let recorded = recording.await?;
        for (pack, recorded) in packs.iter().zip(recorded) {
            for (new, what) in pack.instances.iter().zip(recorded) {
                match what {
                    Recorded::New => self.counts.instances += 1,
                    Recorded::Replaced => self.counts.replaced += 1,
                    Recorded::AlreadyThere => self.counts.already += 1,
                    Recorded::InBin | Recorded::Erased => self.counts.deleted += 1,
                    Recorded::Conflict => {
                        self.counts.conflicts += 1;
                        let instance = Some(new.instance.to_string());
                        self.note(
                            &pack.object,
                            Some(pack.study.to_string()),
                            instance,
                            CONFLICT,
                        );
                    }
                }
            }
        }
        Ok(())
    }

    /// Stores the files of a pack anew, since rows would lead to heads that are not there. The old pack is an orphan then.
    async fn store_again(&mut self, object: &str, footer: &Footer, why: &Error) -> Result<()> {
        let study = Some(footer.study.to_string());
        let text = format!("its heads cannot be read ({why}); its files are stored again");
        self.note(object, study.clone(), None, &text);
        self.counts.again += 1;
        let options = Options {
            study: None,
            base_url: footer
                .base_url
                .clone()
                .unwrap_or_else(|| self.base_url.to_owned()),
        };
        let mut ingest = self.archive.ingest(self.grant.clone(), options);
        for entry in &footer.entries {
            ingest.send(Input::Start).await;
            let mut bytes = self.archive.vault.read(&BlobRef {
                object: object.to_owned(),
                range: entry.range.clone(),
            });
            let mut digester = Digester::default();
            let end = loop {
                match bytes.try_next().await {
                    Ok(Some(bytes)) => {
                        digester.update(&bytes);
                        ingest.send(Input::Data(bytes)).await;
                    }
                    Ok(None) if digester.clone().finish() == entry.digest => break Input::End,
                    Ok(None) => break Input::Broken("its digest is another".to_owned()),
                    Err(error) if is_of_the_object(&error) => {
                        break Input::Broken(error.detail().to_owned());
                    }
                    Err(error) => return Err(error),
                }
            };
            ingest.send(end).await;
        }
        for (entry, outcome) in footer.entries.iter().zip(ingest.finish().await?) {
            match outcome {
                StoreOutcome::Stored { is_new: true, .. } => self.counts.instances += 1,
                StoreOutcome::Stored { .. } => self.counts.already += 1,
                StoreOutcome::Refused { code, .. } if code == DUPLICATE => {
                    self.counts.conflicts += 1;
                    let instance = Some(entry.instance.to_string());
                    self.note(object, study.clone(), instance, CONFLICT);
                }
                StoreOutcome::Refused { text, .. } => {
                    let instance = Some(entry.instance.to_string());
                    self.lose(object, study.clone(), instance, &text);
                }
            }
        }
        Ok(())
    }

    fn lose(&mut self, object: &str, study: Option<String>, instance: Option<String>, text: &str) {
        self.counts.lost += 1;
        let text =
            format!("not taken in: {text}; bring it back from a backup and go on with --resume");
        self.note(object, study, instance, &text);
    }

    fn note(&mut self, object: &str, study: Option<String>, instance: Option<String>, text: &str) {
        (self.listener)(Told::Note(&Note {
            object: object.to_owned(),
            study,
            instance,
            text: text.to_owned(),
        }));
    }
}
