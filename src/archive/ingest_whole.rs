//! A study that is stored as a whole or not at all (MINT 9.3): packs become durable as they fill, their rows come together in one
//! transaction once the door has said that everything was told. Packs without rows are swept (decision 0008).

use std::collections::HashMap;

use super::ingest::{Batch, Ingest, Options};
use super::ingest_part::Staged;
use super::{Archive, Place};
use crate::auth::StoreGrant;
use crate::error::Result;
use crate::index::mint::NewStudy;
use crate::index::record::NewPack;
use crate::model::SopInstanceUid;

/// A study on its way.
pub(super) struct Whole {
    pub(super) new: NewStudy,
    /// The number of the first item of each instance that has some.
    pub(super) first_items: HashMap<SopInstanceUid, u32>,
    /// Durable packs without rows.
    packs: Vec<NewPack>,
    staged: Vec<Vec<Staged>>,
    /// Whether the door has told everything.
    pub(super) is_complete: bool,
}

impl Whole {
    /// Keeps packs until all are there.
    pub(super) fn keep(&mut self, packs: Vec<NewPack>, staged: Vec<Vec<Staged>>) {
        self.packs.extend(packs);
        self.staged.extend(staged);
    }
}

impl Archive {
    /// Begins to store a study of which either everything is recorded or nothing: where a part is refused, repeats another or is
    /// there already, and where [`Input::Complete`](super::ingest::Input::Complete) does not come, nothing is. An outcome is
    /// missing then of each part that nothing is wrong with.
    pub fn ingest_whole(
        &self,
        place: Place,
        grant: StoreGrant,
        options: Options,
        (new, first_items): (NewStudy, HashMap<SopInstanceUid, u32>),
    ) -> Ingest {
        let whole = Whole {
            new,
            first_items,
            packs: Vec::new(),
            staged: Vec::new(),
            is_complete: false,
        };
        self.begin_ingest(Some(place), grant, options, (None, Some(whole)))
    }
}

impl Batch {
    /// Whether nothing of what was told may be recorded.
    pub(super) fn is_given_up(&self) -> bool {
        self.whole.as_ref().is_some_and(|whole| {
            !whole.is_complete || self.has_repeats() || self.outcomes.iter().any(Option::is_some)
        })
    }

    /// Leaves nothing behind of a study that is not recorded.
    pub(super) async fn abandon(&mut self) {
        for open in self.open.drain(..) {
            open.writer.abort().await;
        }
        let kept = self
            .whole
            .as_mut()
            .map(|whole| std::mem::take(&mut whole.packs));
        for pack in kept.unwrap_or_default() {
            self.drop_orphan(&pack).await;
        }
    }

    /// Makes the rows of what was kept durable.
    pub(super) async fn record_kept(&mut self) -> Result<()> {
        let Some(whole) = &mut self.whole else {
            return Ok(());
        };
        let (packs, staged) = (
            std::mem::take(&mut whole.packs),
            std::mem::take(&mut whole.staged),
        );
        if packs.is_empty() {
            return Ok(());
        }
        self.record(packs.into(), staged).await
    }
}
