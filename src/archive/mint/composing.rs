//! A new study whose instances are composed into files and stored as soon as their items are there (MINT U07): at the end of the
//! request nothing is left to do but to record it. Items that come in the order of the document do not wait in the spool.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::arrival::{ItemsOfRequest, unprocessable};
use super::create::{first_items, may_merge};
use crate::archive::ingest::{Ingest, Input, Options};
use crate::archive::ingest_whole::Becomes;
use crate::archive::{Archive, Place};
use crate::auth::StoreGrant;
use crate::dicom::mint::compose::{Composed, Piece, compose};
use crate::dicom::mint::document::{Attribute, Instance, Series, Study};
use crate::error::Result;
use crate::model::StudyUid;

/// What is needed to begin.
#[derive(Debug)]
pub(super) struct Composing {
    pub(super) archive: Archive,
    pub(super) grant: StoreGrant,
    pub(super) base_url: String,
    pub(super) place: Option<Place>,
    pub(super) begun: Option<Begun>,
}

/// A study that is being stored.
pub(super) struct Begun {
    pub(super) uid: StudyUid,
    pub(super) ingest: Ingest,
    /// Files that were handed on.
    pub(super) count: u64,
    /// Whether any of them is not byte for byte what its sender had.
    pub(super) is_recoded: bool,
    study: Arc<Study>,
    /// The instance that comes next: its series, and which it is of it.
    next: (usize, usize),
    /// Items that have to come before it, the nearest last.
    missing: Vec<Range<u32>>,
    is_taken: bool,
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Begun")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Composing {
    /// Stores the instances of which everything is there.
    ///
    /// # Errors
    /// `Kind::Unprocessable` for an instance that cannot be composed; `Kind::Internal` if spooled bytes cannot be read.
    pub(super) async fn advance(
        &mut self,
        study: &Arc<Study>,
        items: &mut ItemsOfRequest,
    ) -> Result<()> {
        self.begin(study)?;
        let Some(begun) = &mut self.begun else {
            return Ok(());
        };
        while begun.is_taken && begun.is_ready(items) {
            let (series, instance) = begun.next;
            let (study, lens) = (Arc::clone(study), begun.lens(items));
            let composing = self
                .archive
                .compute(move || file(&study, series, instance, &lens));
            let Some(composed) = composing.await?? else {
                break;
            };
            begun.count += 1;
            begun.is_recoded |= composed.is_recoded;
            begun.is_taken = send_file(composed.pieces, items, &mut begun.ingest).await?;
            begun.step(items).await;
        }
        Ok(())
    }

    /// Begins, where it has not.
    fn begin(&mut self, study: &Arc<Study>) -> Result<()> {
        let Some(place) = self.place.take() else {
            return Ok(());
        };
        let uid = StudyUid::parse(&study.facts.study_instance_uid)
            .map_err(|_| unprocessable("the studyInstanceUID is no UID"))?;
        let options = Options {
            study: Some(uid.clone()),
            base_url: self.base_url.clone(),
        };
        let becomes = Becomes {
            first_items: first_items(study),
            may_be_there: may_merge(&self.grant),
        };
        let ingest = self
            .archive
            .ingest_whole(place, self.grant.clone(), options, becomes);
        let mut begun = Begun {
            uid,
            ingest,
            count: 0,
            is_recoded: false,
            study: Arc::clone(study),
            next: (0, 0),
            missing: Vec::new(),
            is_taken: true,
        };
        begun.look();
        self.begun = Some(begun);
        Ok(())
    }
}

impl Begun {
    /// The instance that comes next, and its series.
    fn instance(&self) -> Option<(&Series, &Instance)> {
        let series = self.study.series.get(self.next.0)?;
        Some((series, series.instances.get(self.next.1)?))
    }

    /// Passes over series that have no more instances, and notes what the next one needs.
    fn look(&mut self) {
        let of = |at: usize| self.study.series.get(at).map(|it| it.instances.len());
        while of(self.next.0).is_some_and(|count| self.next.1 >= count) {
            self.next = (self.next.0.saturating_add(1), 0);
        }
        let Some((series, instance)) = self.instance() else {
            return;
        };
        let levels = [
            &self.study.attributes,
            &series.attributes,
            &series.normalized,
            &instance.attributes,
        ];
        let mut missing: Vec<_> = levels.into_iter().flat_map(|level| ranges(level)).collect();
        missing.reverse();
        self.missing = missing;
    }

    /// Whether there is a next instance and all of its items have come. What came is not looked for again.
    fn is_ready(&mut self, items: &ItemsOfRequest) -> bool {
        while let Some(range) = self.missing.last_mut() {
            while let Some(number) = range.next() {
                if !items.has(number) {
                    range.start = number;
                    return false;
                }
            }
            self.missing.pop();
        }
        self.instance().is_some()
    }

    /// The lengths of the items of the next instance.
    fn lens(&self, items: &ItemsOfRequest) -> BTreeMap<u32, u64> {
        let Some((series, instance)) = self.instance() else {
            return BTreeMap::new();
        };
        let levels = [
            &self.study.attributes,
            &series.attributes,
            &series.normalized,
            &instance.attributes,
        ];
        let numbers = levels.into_iter().flat_map(|level| ranges(level)).flatten();
        numbers
            .filter_map(|number| Some((number, items.len(number)?)))
            .collect()
    }

    /// Goes on to the next instance; the items of this one are no longer needed, for each is referred to once (MINT V02).
    async fn step(&mut self, items: &mut ItemsOfRequest) {
        if let Some((_, instance)) = self.instance() {
            for number in ranges(&instance.attributes).flatten() {
                items.forget(number);
            }
        }
        items.settle().await;
        self.next.1 = self.next.1.saturating_add(1);
        self.look();
    }
}

/// The numbers of the items that attributes refer to.
fn ranges(attributes: &[Attribute]) -> impl Iterator<Item = Range<u32>> {
    let stated = attributes.iter().filter(|attribute| !attribute.exclude);
    stated
        .flat_map(Attribute::bulks)
        .map(|bulk| bulk.item..bulk.item.saturating_add(bulk.frames))
}

/// The file of an instance.
fn file(
    study: &Study,
    series: usize,
    instance: usize,
    lens: &BTreeMap<u32, u64>,
) -> Result<Option<Composed>> {
    let Some(series) = study.series.get(series) else {
        return Ok(None);
    };
    let Some(instance) = series.instances.get(instance) else {
        return Ok(None);
    };
    let above = [
        study.attributes.as_slice(),
        series.attributes.as_slice(),
        series.normalized.as_slice(),
    ];
    compose(&above, instance, &|number| lens.get(&number).copied()).map(Some)
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
