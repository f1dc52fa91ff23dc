//! A study that comes as a document and its items (MINT 9.3): each instance is composed into a file that goes the way of all files,
//! and when all have come they are recorded together. In memory are the document, one instance and one piece of an item.

use std::collections::HashMap;
use std::time::Duration;

use super::arrival::{Arrival, unprocessable};
use super::composing::{Begun, Composing};
use crate::archive::ingest::Input;
use crate::archive::{Archive, Place};
use crate::auth::StoreGrant;
use crate::dicom::mint::check::Purpose;
use crate::dicom::mint::document::{Attribute, Instance, Study};
use crate::dicom::store_response::StoreOutcome;
use crate::error::{Error, Kind, Result, causes};
use crate::index::mint::{Ended, Existing, Finale, NewStudy};
use crate::model::{JobId, OnConflict, SopInstanceUid, StudyId};

/// How often a job says that it goes on.
const HOLD_EVERY: Duration = Duration::from_secs(10);

/// A study on its way in.
#[derive(Debug)]
pub struct Creation {
    archive: Archive,
    grant: StoreGrant,
    job: JobId,
    /// What has come of it.
    pub arrival: Arrival,
}

impl Archive {
    /// Begins a job that makes a study.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn create_study(
        &self,
        (grant, place): (StoreGrant, Place),
        base_url: String,
    ) -> Result<Creation> {
        let job = JobId(self.clock.new_id());
        let study = StudyId(self.clock.new_id());
        self.index.begin_creation(&grant, job, study).await?;
        let composing = Composing {
            archive: self.clone(),
            grant: grant.clone(),
            base_url,
            place: Some(place),
            begun: None,
        };
        Ok(Creation {
            archive: self.clone(),
            grant,
            job,
            arrival: self.arrival(Purpose::Create).composing(composing),
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
    pub async fn finish(mut self) -> Result<()> {
        let (index, job) = (self.archive.index.clone(), self.job);
        let ended = match self.store().await {
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
    async fn store(&mut self) -> Result<Existing> {
        let composed = self.arrival.composed();
        let begun = composed.and_then(|composing| composing.begun);
        let arrived = self.arrival.finish();
        let Some(Begun {
            uid,
            mut ingest,
            count,
            is_recoded,
            ..
        }) = begun
        else {
            return Err(arrived
                .err()
                .unwrap_or_else(|| unprocessable("there is no document")));
        };
        // Without it nothing is recorded.
        if let Ok(arrived) = &arrived {
            let new = NewStudy {
                job: self.job,
                next_item: arrived.items.next(),
                may_be_there: may_merge(&self.grant),
                is_recoded,
            };
            ingest.send(Input::Complete(Finale::New(new))).await;
        }
        let outcomes = ingest.finish().await;
        arrived?;
        let existing = self.archive.index.existing(&self.grant, &uid).await?;
        let outcomes = outcomes.map_err(|error| beside(existing, error))?;
        match (judge(&outcomes, count), existing) {
            (Ok(()), Some(existing)) if existing.instances == count || may_merge(&self.grant) => {
                Ok(existing)
            }
            (Ok(()), _) => Err(beside(existing, unprocessable("it is another"))),
            (Err(error), _) => Err(beside(existing, error)),
        }
    }
}

/// Whether a study that is there is changed: where stores replace what is there (MINT U20).
pub(super) fn may_merge(grant: &StoreGrant) -> bool {
    grant.facility().policy.on_conflict != OnConflict::Reject
}

/// The number of the first item of each instance, where all of its items follow each other in the order of its attributes: the
/// others get other numbers (MINT U24).
pub(super) fn first_items(study: &Study) -> HashMap<SopInstanceUid, u32> {
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
