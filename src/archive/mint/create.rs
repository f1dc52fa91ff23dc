//! A study that comes as a document and its items (MINT 9.3): when all have come each instance is composed into a file that goes
//! the way of all files. In memory are the document, one instance and one piece of an item.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::arrival::{Arrival, Arrived, ItemsOfRequest, unprocessable};
use crate::archive::ingest::{Ingest, Input, Options};
use crate::archive::ingest_whole::Becomes;
use crate::archive::{Archive, Place};
use crate::auth::StoreGrant;
use crate::dicom::mint::check::Purpose;
use crate::dicom::mint::compose::{Composed, Piece, compose};
use crate::dicom::mint::document::{Attribute, Instance, Series, Study};
use crate::dicom::store_response::StoreOutcome;
use crate::error::{Error, Kind, Result, causes};
use crate::index::mint::{Ended, Existing, Finale, NewStudy};
use crate::model::{JobId, OnConflict, SopInstanceUid, StudyId, StudyUid};

/// How often a job says that it goes on.
const HOLD_EVERY: Duration = Duration::from_secs(10);

/// A study on its way in.
#[derive(Debug)]
pub struct Creation {
    archive: Archive,
    grant: StoreGrant,
    base_url: String,
    job: JobId,
    /// What has come of it.
    pub arrival: Arrival,
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
            arrival: self.arrival(Purpose::Create),
        })
    }

    /// Says again and again that a job goes on; ends when it was given up.
    pub async fn hold_job(&self, job: JobId) -> Error {
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
                is_recoded: false,
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
        let Arrived {
            document,
            mut items,
        } = self.arrival.finish()?;
        let uid = StudyUid::parse(&document.facts.study_instance_uid)
            .map_err(|_| unprocessable("the studyInstanceUID is no UID"))?;
        let options = Options {
            study: Some(uid.clone()),
            base_url: self.base_url.clone(),
        };
        let becomes = Becomes {
            first_items: first_items(&document),
            may_be_there: self.may_merge(),
        };
        let grant = self.grant.clone();
        let mut ingest = self.archive.ingest_whole(place, grant, options, becomes);
        let sent = self.send(Arc::new(document), &mut items, &mut ingest).await;
        let outcomes = ingest.finish().await;
        let count = sent?;
        let existing = self.archive.index.existing(&self.grant, &uid).await?;
        let outcomes = outcomes.map_err(|error| beside(existing, error))?;
        match (judge(&outcomes, count), existing) {
            (Ok(()), Some(existing)) if existing.instances == count || self.may_merge() => {
                Ok(existing)
            }
            (Ok(()), _) => Err(beside(existing, unprocessable("it is another"))),
            (Err(error), _) => Err(beside(existing, error)),
        }
    }

    /// Whether a study that is there is changed: where stores replace what is there (MINT U20).
    fn may_merge(&self) -> bool {
        self.grant.facility().policy.on_conflict != OnConflict::Reject
    }

    /// Hands the file of each instance on; gives how many there are.
    async fn send(
        &self,
        study: Arc<Study>,
        items: &mut ItemsOfRequest,
        ingest: &mut Ingest,
    ) -> Result<u64> {
        let (mut count, mut is_recoded) = (0, false);
        let lens = Arc::new(items.lens());
        for (at, series) in study.series.iter().enumerate() {
            for of_series in 0..series.instances.len() {
                let (study, lens) = (Arc::clone(&study), Arc::clone(&lens));
                let composing = self
                    .archive
                    .compute(move || file(&study, at, of_series, &lens));
                let composed = composing.await??;
                count += 1;
                is_recoded |= composed.is_recoded;
                if !send_file(composed.pieces, items, ingest).await? {
                    return Ok(count);
                }
            }
        }
        let new = NewStudy {
            job: self.job,
            next_item: items.next(),
            may_be_there: self.may_merge(),
            is_recoded,
        };
        ingest.send(Input::Complete(Finale::New(new))).await;
        Ok(count)
    }
}

/// Hands one file on; `false` when nobody takes it.
async fn send_file(
    pieces: Vec<Piece>,
    items: &mut ItemsOfRequest,
    ingest: &mut Ingest,
) -> Result<bool> {
    ingest.send(Input::Start).await;
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => drop(ingest.send(Input::Data(Bytes::from(bytes))).await),
            Piece::Item { item, mut range } => {
                while !range.is_empty() {
                    let bytes = items.read(item, &mut range).await?;
                    ingest.send(Input::Data(bytes)).await;
                }
            }
        }
    }
    Ok(ingest.send(Input::End).await)
}

/// The file of an instance.
fn file(
    study: &Study,
    series: usize,
    instance: usize,
    lens: &BTreeMap<u32, u64>,
) -> Result<Composed> {
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
    compose(&above, &instance, &|number| lens.get(&number).copied())
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
pub(super) fn judge(outcomes: &[StoreOutcome], count: u64) -> Result<()> {
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
pub(super) fn reason(error: &Error) -> String {
    if matches!(error.kind(), Kind::Internal | Kind::Unavailable) {
        return "the server could not store it; send it again later".to_owned();
    }
    error.detail().to_owned()
}
