//! A study that a document changes (MINT 9.4): each instance that says something else from then on, or is new, is composed into a
//! file that takes its place; what the document takes out goes into the bin; and all of it is one transaction, one version.
//! In memory are the document, one instance and one piece of an item.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::TryStreamExt as _;

use super::arrival::{Arrival, Arrived, ItemsOfRequest, unprocessable};
use super::create::{judge, reason};
use super::read::StoredItem;
use crate::archive::ingest::{Ingest, Input, Options};
use crate::archive::ingest_whole::Becomes;
use crate::archive::remove::why_deleted;
use crate::archive::{Archive, Place};
use crate::auth::{Access, RemoveGrant, Scope as Right, StoreGrant};
use crate::dicom::mint::Form;
use crate::dicom::mint::compose::{Piece, compose};
use crate::dicom::mint::document::{Attribute, Instance};
use crate::dicom::mint::items::Items;
use crate::dicom::mint::numbers::Numbers;
use crate::dicom::mint::update::{Outcome, Update, keeps_its_name};
use crate::error::{Error, Kind, Result, causes};
use crate::index::catalog::{Brought, Instance as StoredInstance, Listed, Scope, Visible};
use crate::index::mint::{Ended, Finale, Levels, MintStudy, StudyUpdate, is_of_another};
use crate::model::{JobId, SeriesUid, SopInstanceUid};

/// Rows that are fetched at once.
const PAGE: u64 = 200;

/// A change of a study that has come.
#[derive(Debug)]
pub struct Updating {
    archive: Archive,
    access: Arc<Access>,
    grant: StoreGrant,
    study: MintStudy,
    /// The version that it is of; `None` for none.
    of: Option<u64>,
    base_url: String,
    job: JobId,
}

impl Archive {
    /// Begins a job that changes a study of the caller's own, whose document is of version `of`.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn update_study(
        &self,
        (access, grant): (Arc<Access>, StoreGrant),
        (study, of): (MintStudy, Option<u64>),
        base_url: String,
    ) -> Result<Updating> {
        let job = JobId(self.clock.new_id());
        self.index.begin_update(&grant, job, study.at.study).await?;
        Ok(Updating {
            archive: self.clone(),
            access,
            grant: grant.replacing(),
            study,
            of,
            base_url,
            job,
        })
    }
}

impl Updating {
    /// The key of the job.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// Everything has come: changes the study and ends the job.
    ///
    /// # Errors
    /// `Kind::Unavailable` if how the job ended cannot be written.
    pub async fn finish(self, mut arrival: Arrival, place: Place) -> Result<()> {
        let ended = match self.apply(&mut arrival, place).await {
            Ok(change) => Ended::Made {
                study: self.study.at.study,
                change,
                is_recoded: false,
            },
            Err(error) => {
                tracing::info!(job = %self.job, causes = causes(&error), "a study was not changed");
                Ended::Failed {
                    reason: reason(&error),
                }
            }
        };
        // Of a change that was recorded the job has ended already, and this changes nothing.
        self.archive.index.end_creation(self.job, &ended).await
    }

    /// Makes the next version of the study; gives its number.
    async fn apply(&self, arrival: &mut Arrival, place: Place) -> Result<u64> {
        let Arrived { document, items } = arrival.finish()?;
        if document.facts.study_instance_uid != self.study.uid.as_str() {
            let detail = "the document is of another study than the one to be updated";
            return Err(unprocessable(detail));
        }
        let is = self.study.at.version;
        if self.of != Some(is) {
            let of = self.of.map_or_else(|| "-1".to_owned(), |of| of.to_string());
            return Err(is_of_another(is, &of));
        }
        self.archive.number_items(&self.study).await?;
        let (numbered, live) = self.archive.index.numbered(&self.study).await?;
        let options = Options {
            study: Some(self.study.uid.clone()),
            base_url: self.base_url.clone(),
        };
        let grant = self.grant.clone();
        let becomes = Becomes {
            first_items: HashMap::new(),
            may_be_there: true,
        };
        let ingest = self.archive.ingest_whole(place, grant, options, becomes);
        let mut work = Work {
            of: self,
            update: Update::new(Arc::unwrap_or_clone(document), numbered.checked_sub(1))?,
            numbered,
            items,
            ingest,
            there: HashSet::new(),
            seen: 0,
            sent: 0,
            numbers: HashMap::new(),
            is_recoded: false,
            may_remove: None,
        };
        work.change_all().await?;
        if work.seen != live {
            let detail = "the token does not read all of the study";
            return Err(Error::new(Kind::Forbidden, detail));
        }
        work.add_all().await?;
        work.finish(is).await?;
        Ok(is.saturating_add(1))
    }
}

/// A change that is being made.
struct Work<'a> {
    of: &'a Updating,
    update: Update,
    /// The number behind the highest that an item of the study had before: those from there on came with the document.
    numbered: u32,
    items: ItemsOfRequest,
    ingest: Ingest,
    /// Of the instances that the document names, those that the study has.
    there: HashSet<(SeriesUid, SopInstanceUid)>,
    /// Instances of the study, and files that were handed on.
    seen: u64,
    sent: u64,
    numbers: HashMap<SopInstanceUid, Option<Numbers>>,
    is_recoded: bool,
    /// Leave to take out, once something is to be.
    may_remove: Option<RemoveGrant>,
}

/// An instance as it was, for the items that it keeps.
struct Before {
    instance: Arc<Visible<StoredInstance>>,
    items: Items,
    numbers: Option<Numbers>,
}

impl Before {
    fn item(&self, number: u32) -> Option<StoredItem> {
        let index = self.numbers.as_ref()?.index_of(number)?;
        let ranges = self.items.ranges(index)?;
        Some(StoredItem::new(number, &self.instance, ranges))
    }
}

impl Work<'_> {
    /// Looks at every instance that is there.
    async fn change_all(&mut self) -> Result<()> {
        let of = self.of;
        let catalog = of.archive.catalog(&of.access);
        let mut after: Option<(SeriesUid, SopInstanceUid)> = None;
        loop {
            let study = (of.study.at.study, Brought::Whole);
            let page = catalog.document_page(study, after.as_ref(), PAGE).await?;
            let is_last = (page.len() as u64) < PAGE;
            let key = |it: &Listed| (it.instance.series.clone(), it.instance.instance.clone());
            after = page.last().map(key);
            for listed in page {
                self.seen = self.seen.saturating_add(1);
                let (series, instance) = key(&listed);
                if self.update.removes(series.as_str(), instance.as_str()) {
                    self.remove()?;
                } else if self.update.concerns(series.as_str(), instance.as_str()) {
                    self.change(listed).await?;
                }
                if self.update.names(series.as_str(), instance.as_str()) {
                    self.there.insert((series, instance));
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Something is to be taken out (MINT F03).
    fn remove(&mut self) -> Result<()> {
        if self.may_remove.is_none() {
            let now = self.of.archive.clock.now();
            let grant = self.of.access.may_remove_own(Right::DicomDelete, now)?;
            self.may_remove = Some(grant);
        }
        Ok(())
    }

    /// An instance that is there, of which the document says something.
    async fn change(&mut self, listed: Listed) -> Result<()> {
        let archive = &self.of.archive;
        let stored = archive.stored_whole(&listed.instance).await?;
        let mut instance = stored.instance;
        listed.number(&mut instance)?;
        let series = listed.instance.series.clone();
        match self.update.apply(series.as_str(), &mut instance) {
            Outcome::Kept | Outcome::Removed => return Ok(()),
            Outcome::Extended => {}
            Outcome::Changed => {
                let now = archive.clock.now();
                self.of.access.may_remove_own(Right::DicomCorrect, now)?;
            }
        }
        let first = listed.first.unwrap_or(0);
        let consecutive = || Numbers::from(first, stored.items.count());
        let before = Before {
            numbers: listed.numbers.or_else(consecutive),
            instance: Arc::new(listed.instance),
            items: stored.items,
        };
        self.send(series.as_str(), instance, Some(&before)).await
    }

    /// Adds the instances that are not there.
    async fn add_all(&mut self) -> Result<()> {
        let of = self.of;
        let there = |series: &str, instance: &str| {
            let key = SeriesUid::parse(series)
                .ok()
                .zip(SopInstanceUid::parse(instance).ok());
            key.is_some_and(|key| self.there.contains(&key))
        };
        if !self.update.adds(there) {
            return Ok(());
        }
        let shape = of.archive.shape(&of.access, &of.study).await?;
        let added = self.update.added(&shape, there);
        let added: Vec<(String, Instance)> = added
            .map(|(series, instance)| (series.to_owned(), instance))
            .collect();
        for (series, instance) in added {
            self.send(&series, instance, None).await?;
        }
        Ok(())
    }

    /// Composes the file of an instance in whole and hands it on.
    async fn send(
        &mut self,
        series: &str,
        instance: Instance,
        before: Option<&Before>,
    ) -> Result<()> {
        let uid = instance.sop_instance_uid.clone();
        keeps_its_name(&instance, [self.of.study.uid.as_str(), series, &uid])?;
        let lens = self.lens(&instance, before);
        let composing = self.of.archive.compute(move || {
            let len_of = |number: u32| lens.get(&number).copied();
            let numbers = Numbers::of(&instance, len_of);
            compose(&[], &instance, &len_of).map(|composed| (composed, numbers))
        });
        let (composed, numbers) = composing.await??;
        self.is_recoded |= composed.is_recoded;
        let uid =
            SopInstanceUid::parse(&uid).map_err(|_| unprocessable("a sopInstanceUID is no UID"))?;
        self.numbers.insert(uid, numbers);
        self.sent = self.sent.saturating_add(1);
        self.ingest.send(Input::Start).await;
        for piece in composed.pieces {
            match piece {
                Piece::Bytes(bytes) => {
                    self.ingest.send(Input::Data(Bytes::from(bytes))).await;
                }
                Piece::Item { item, range } => self.send_item(item, range, before).await?,
            }
        }
        self.ingest.send(Input::End).await;
        Ok(())
    }

    async fn send_item(
        &mut self,
        number: u32,
        mut range: std::ops::Range<u64>,
        before: Option<&Before>,
    ) -> Result<()> {
        if let Some(came) = number.checked_sub(self.numbered) {
            while !range.is_empty() {
                let bytes = self.items.read(came, &mut range).await?;
                self.ingest.send(Input::Data(bytes)).await;
            }
            return Ok(());
        }
        let item = before.and_then(|before| before.item(number));
        let item = item.ok_or_else(|| Error::new(Kind::Internal, "an item has no place"))?;
        let of = self.of;
        let mut bytes = of.archive.item_bytes(&of.access, &item, &range);
        while let Some(piece) = bytes.try_next().await? {
            self.ingest.send(Input::Data(piece)).await;
        }
        Ok(())
    }

    /// The lengths of the items of an instance, by number.
    fn lens(&self, instance: &Instance, before: Option<&Before>) -> HashMap<u32, u64> {
        let came = self.items.lens();
        let bulks = instance.attributes.iter().flat_map(Attribute::bulks);
        let numbers = bulks.flat_map(|bulk| bulk.item..bulk.item.saturating_add(bulk.frames));
        let lens = numbers.filter_map(|number| {
            let len = match number.checked_sub(self.numbered) {
                Some(number) => came.get(&number).copied(),
                None => before.and_then(|before| Some(before.item(number)?.len)),
            };
            Some((number, len?))
        });
        lens.collect()
    }

    /// Records all of it.
    async fn finish(mut self, is: u64) -> Result<()> {
        let of = self.of;
        let scope = |(series, instance): (&str, Option<&str>)| {
            let instance = instance.map(SopInstanceUid::parse).transpose().ok()?;
            Some(Scope {
                study: of.study.uid.clone(),
                series: Some(SeriesUid::parse(series).ok()?),
                instance,
            })
        };
        let removed = self.may_remove.take().map(|grant| {
            let scopes = self.update.removed().filter_map(scope).collect();
            (grant, scopes, why_deleted(&of.archive))
        });
        let update = StudyUpdate {
            job: of.job,
            study: of.study.at.study,
            version: is,
            numbered: self.numbered,
            next_item: self.numbered.saturating_add(self.items.next()),
            numbers: self.numbers,
            levels: levels(&self.update),
            removed,
            is_recoded: self.is_recoded,
            document: packed(&self.update)?,
        };
        let finale = Finale::Update(Box::new(update));
        self.ingest.send(Input::Complete(finale)).await;
        let outcomes = self.ingest.finish().await?;
        judge(&outcomes, self.sent)
    }
}

/// Of what a document says something above its instances.
fn levels(update: &Update) -> Levels {
    let document = update.document();
    let series = document.series.iter();
    let series = series.filter(|it| !it.facts.exclude && !it.attributes.is_empty());
    Levels {
        study: !document.attributes.is_empty(),
        series: series
            .filter_map(|it| SeriesUid::parse(&it.facts.series_instance_uid).ok())
            .collect(),
    }
}

/// The document of an update, as it is kept.
fn packed(update: &Update) -> Result<Vec<u8>> {
    let failed = |error| Error::internal("a document could not be compressed", error);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let document = Form::Protobuf.document(update.document());
    encoder.write_all(&document).map_err(failed)?;
    encoder.finish().map_err(failed)
}
