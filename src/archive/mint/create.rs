//! A study that comes as a document and its items (MINT 9.1, 9.3): the document is read and checked when it is there, items wait
//! in a spool, and when all have come each instance is composed into a file that goes the way of all files. In memory are the
//! document, one instance and one piece of an item.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read as _};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use crate::archive::ingest::{Ingest, Input, Options};
use crate::archive::{Archive, Place};
use crate::auth::StoreGrant;
use crate::dicom::mint::Form;
use crate::dicom::mint::check::{Check, Purpose};
use crate::dicom::mint::compose::{Piece, compose};
use crate::dicom::mint::document::{Attribute, Instance, MAX_NUMBER, Series, Study};
use crate::dicom::store_response::StoreOutcome;
use crate::error::{Error, Kind, Result, causes};
use crate::index::mint::{Ended, Existing, NewStudy};
use crate::model::{JobId, SopInstanceUid, StudyId, StudyUid};
use crate::storage::spool::Spool;

/// The longest document, in bytes, as it comes and expanded.
const MOST_DOCUMENT_BYTES: usize = 64 << 20;

/// How often a job says that it goes on.
const HOLD_EVERY: Duration = Duration::from_secs(10);

/// How the document of a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its form.
    pub form: Form,
    /// Whether it is packed with gzip.
    pub is_packed: bool,
}

/// What a part of the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arriving {
    Nothing,
    Document(Written),
    /// An item, whose bytes start here in the spool.
    Item(u32, u64),
}

/// A study on its way in.
#[derive(Debug)]
pub struct Creation {
    archive: Archive,
    grant: StoreGrant,
    base_url: String,
    job: JobId,
    arriving: Arriving,
    document: Vec<u8>,
    read: Option<(Study, Check)>,
    spool: Spool,
    items: BTreeMap<u32, Range<u64>>,
    /// Why it will not be stored, from the first thing on that was wrong.
    failed: Option<Error>,
}

impl Archive {
    /// Begins a job that makes a study.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn create_study(&self, grant: StoreGrant, base_url: String) -> Result<Creation> {
        let job = JobId(self.clock.new_id());
        let study = StudyId(self.clock.new_id());
        self.index.begin_creation(&grant, job, study).await?;
        Ok(Creation {
            archive: self.clone(),
            grant,
            base_url,
            job,
            arriving: Arriving::Nothing,
            document: Vec::new(),
            read: None,
            spool: Spool::default(),
            items: BTreeMap::new(),
            failed: None,
        })
    }

    /// Says again and again that a job goes on; ends when it was given up.
    pub async fn hold_creation(&self, job: JobId) -> Error {
        loop {
            tokio::time::sleep(HOLD_EVERY).await;
            match self.index.hold_creation(job).await {
                Ok(true) => {}
                Ok(false) => return Error::new(Kind::Conflict, "the job was given up"),
                Err(error) => tracing::warn!(%job, %error, "a job cannot be held"),
            }
        }
    }
}

impl Creation {
    /// The key of the job.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// Notes why it will not be stored. What still comes is passed over.
    pub fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// The document begins.
    pub fn start_document(&mut self, written: Written) {
        self.arriving = Arriving::Document(written);
    }

    /// An item begins (MINT U02).
    ///
    /// # Errors
    /// `Kind::Invalid` for a number that came before (MINT X16).
    pub fn start_item(&mut self, number: u32) -> Result<()> {
        if self.items.contains_key(&number) {
            return Err(Error::invalid(format!("binary item {number} came twice")));
        }
        if number > MAX_NUMBER {
            self.fail(unprocessable("the number of a binary item is beyond 2^31"));
        }
        self.arriving = Arriving::Item(number, self.spool.byte_count());
        Ok(())
    }

    /// Bytes of what has begun.
    pub async fn data(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        match self.arriving {
            Arriving::Nothing => {}
            Arriving::Document(_) => {
                if self.document.len().saturating_add(bytes.len()) > MOST_DOCUMENT_BYTES {
                    self.fail(unprocessable("the document is longer than 64 MiB"));
                    return;
                }
                self.document.extend_from_slice(bytes);
            }
            Arriving::Item(..) => {
                if let Err(error) = self.spool.write(bytes).await {
                    self.fail(error);
                }
            }
        }
    }

    /// What has begun is complete.
    pub async fn end(&mut self) {
        let arrived = std::mem::replace(&mut self.arriving, Arriving::Nothing);
        match arrived {
            Arriving::Document(written) if self.failed.is_none() => {
                let document = std::mem::take(&mut self.document);
                let reading = self.archive.compute(move || read(written, &document));
                match reading.await.flatten() {
                    Ok(read) => self.read = Some(read),
                    Err(error) => self.fail(error),
                }
            }
            Arriving::Nothing | Arriving::Document(_) => {}
            Arriving::Item(number, start) => {
                self.items.insert(number, start..self.spool.byte_count());
            }
        }
    }

    /// Everything has come: stores the study and ends the job.
    ///
    /// # Errors
    /// `Kind::Unavailable` if how the job ended cannot be written.
    pub async fn finish(mut self, place: Place) -> Result<()> {
        let (index, job) = (self.archive.index.clone(), self.job);
        let ended = match self.store(place).await {
            Ok(existing) => Ended::Made {
                study: existing.study,
                change: existing.version,
            },
            Err(error) => {
                tracing::info!(%job, causes = causes(&error), "a study was not made");
                Ended::Failed {
                    reason: reason(&error),
                }
            }
        };
        // Of a study that was recorded the job has ended already, and this changes nothing.
        index.end_creation(job, &ended).await
    }

    /// Stores the study; gives what it is from now on.
    async fn store(&mut self, place: Place) -> Result<Existing> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let (study, check) = self
            .read
            .take()
            .ok_or_else(|| unprocessable("there is no document"))?;
        let lens: BTreeMap<u32, u64> = self
            .items
            .iter()
            .map(|(number, range)| (*number, range.end.saturating_sub(range.start)))
            .collect();
        check.finish(&lens)?;
        let uid = StudyUid::parse(&study.facts.study_instance_uid)
            .map_err(|_| unprocessable("the studyInstanceUID is no UID"))?;
        let next_item = lens
            .last_key_value()
            .map_or(0, |(last, _)| last.saturating_add(1));
        let new = NewStudy {
            job: self.job,
            next_item,
        };
        let options = Options {
            study: Some(uid.clone()),
            base_url: self.base_url.clone(),
        };
        let whole = (new, first_items(&study));
        let grant = self.grant.clone();
        let mut ingest = self.archive.ingest_whole(place, grant, options, whole);
        let sent = self
            .send(Arc::new(study), Arc::new(lens), &mut ingest)
            .await;
        let outcomes = ingest.finish().await;
        let count = sent?;
        let existing = self.archive.index.existing(&self.grant, &uid).await?;
        let outcomes = outcomes.map_err(|error| beside(existing, error))?;
        match (judge(&outcomes, count), existing) {
            (Ok(()), Some(existing)) if existing.instances == count => Ok(existing),
            (Ok(()), _) => Err(beside(existing, unprocessable("it is another"))),
            (Err(error), _) => Err(beside(existing, error)),
        }
    }

    /// Hands the file of each instance on; gives how many there are.
    async fn send(
        &mut self,
        study: Arc<Study>,
        lens: Arc<BTreeMap<u32, u64>>,
        ingest: &mut Ingest,
    ) -> Result<u64> {
        let mut count = 0;
        for (at, series) in study.series.iter().enumerate() {
            for of_series in 0..series.instances.len() {
                let (study, lens) = (Arc::clone(&study), Arc::clone(&lens));
                let composing = self
                    .archive
                    .compute(move || file(&study, at, of_series, &lens));
                let pieces = composing.await??;
                count += 1;
                if !self.send_file(pieces, ingest).await? {
                    return Ok(count);
                }
            }
        }
        ingest.send(Input::Complete).await;
        Ok(count)
    }

    /// Hands one file on; `false` when nobody takes it.
    async fn send_file(&mut self, pieces: Vec<Piece>, ingest: &mut Ingest) -> Result<bool> {
        ingest.send(Input::Start).await;
        for piece in pieces {
            let mut range = match piece {
                Piece::Bytes(bytes) => {
                    ingest.send(Input::Data(Bytes::from(bytes))).await;
                    continue;
                }
                Piece::Item { item, range } => {
                    let at = self.items.get(&item).map_or(0, |at| at.start);
                    at.saturating_add(range.start)..at.saturating_add(range.end)
                }
            };
            while !range.is_empty() {
                let bytes = self.spool.read(&mut range).await?;
                ingest.send(Input::Data(bytes)).await;
            }
        }
        Ok(ingest.send(Input::End).await)
    }
}

/// Reads and checks a document.
fn read(written: Written, document: &[u8]) -> Result<(Study, Check)> {
    let most = u64::try_from(MOST_DOCUMENT_BYTES).unwrap_or(u64::MAX);
    let plain: Box<dyn BufRead> = if written.is_packed {
        Box::new(BufReader::new(MultiGzDecoder::new(document).take(most)))
    } else {
        Box::new(document)
    };
    let (mut study, mut check) = (Study::default(), Check::new(Purpose::Create));
    written.form.read(plain, |part| {
        check.part(&part)?;
        study.add(part);
        Ok(())
    })?;
    Ok((study, check))
}

/// The file of an instance.
fn file(
    study: &Study,
    series: usize,
    instance: usize,
    lens: &BTreeMap<u32, u64>,
) -> Result<Vec<Piece>> {
    let found = |series: &Series| series.instances.get(instance).cloned();
    let of = study.series.get(series);
    let (Some(series), Some(instance)) = (of, of.and_then(found)) else {
        return Err(Error::new(
            Kind::Internal,
            "an instance is not in its study",
        ));
    };
    let above = [
        study.attributes.as_slice(),
        series.attributes.as_slice(),
        series.normalized.as_slice(),
    ];
    let composed = compose(&above, &instance, &|number| lens.get(&number).copied())?;
    Ok(composed.pieces)
}

/// The number of the first item of each instance, where all of its items follow each other in the order of its attributes: the
/// others get other numbers (MINT U24).
fn first_items(study: &Study) -> HashMap<SopInstanceUid, u32> {
    let instances = study.series.iter().flat_map(|series| &series.instances);
    let numbered = instances.filter_map(|instance| {
        let uid = SopInstanceUid::parse(&instance.sop_instance_uid).ok()?;
        Some((uid, first_item(instance)?))
    });
    numbered.collect()
}

fn first_item(instance: &Instance) -> Option<u32> {
    let mut attributes: Vec<_> = instance.attributes.iter().collect();
    attributes.sort_by_key(|attribute| (attribute.tag.0, attribute.tag.1));
    let mut bulks = attributes.into_iter().flat_map(Attribute::bulks);
    let first = bulks.next()?;
    let mut next = first.item.checked_add(first.frames)?;
    for bulk in bulks {
        if bulk.item != next {
            return None;
        }
        next = next.checked_add(bulk.frames)?;
    }
    Some(first.item)
}

/// Whether all of `count` instances are stored, now or before.
fn judge(outcomes: &[StoreOutcome], count: u64) -> Result<()> {
    for outcome in outcomes {
        if let StoreOutcome::Refused {
            text, sop_instance, ..
        } = outcome
        {
            let uid = sop_instance.as_ref().map_or("", |uid| uid.as_str());
            return Err(unprocessable(format!(
                "instance {uid} is not taken: {text}"
            )));
        }
    }
    if u64::try_from(outcomes.len()) != Ok(count) {
        return Err(unprocessable("instances are there twice or already"));
    }
    Ok(())
}

/// Why a study is not made; beside one that is there, that is why (MINT U20).
fn beside(existing: Option<Existing>, error: Error) -> Error {
    match existing {
        Some(Existing { study, .. }) => {
            let detail = format!("the study is there already as {study} with other content");
            Error::new(Kind::Conflict, detail).with_source(error)
        }
        None => error,
    }
}

/// What a job says about why it failed: what is wrong with the request, and nothing about the server.
fn reason(error: &Error) -> String {
    if matches!(error.kind(), Kind::Internal | Kind::Unavailable) {
        return "the server could not store it; send it again later".to_owned();
    }
    error.detail().to_owned()
}

fn unprocessable(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(Kind::Unprocessable, detail)
}
