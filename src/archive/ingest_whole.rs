//! A study that is made or changed as a whole or not at all (MINT 9.3, 9.4): packs become durable as they fill, their rows come
//! together in one transaction once the door has said that everything was told. Packs without rows are swept (decision 0008).

use std::collections::HashMap;
use std::sync::Arc;

use super::ingest::{Batch, Ingest, Options};
use super::ingest_part::Staged;
use super::{Archive, Place};
use crate::auth::StoreGrant;
use crate::error::Result;
use crate::index::mint::Finale;
use crate::index::record::NewPack;
use crate::model::SopInstanceUid;

/// What becomes of a study.
#[derive(Debug)]
pub(super) struct Becomes {
    /// Of each instance with items the number of the first, where the study is new.
    pub(super) first_items: HashMap<SopInstanceUid, u32>,
    /// Whether what comes takes the place of what is there, be it the same. Else nothing of it may be there.
    pub(super) may_be_there: bool,
}

/// A study on its way.
pub(super) struct Whole {
    pub(super) becomes: Becomes,
    /// Durable packs without rows.
    packs: Vec<NewPack>,
    staged: Vec<Vec<Staged>>,
    /// What ends it, once the door has told everything.
    pub(super) finale: Option<Arc<Finale>>,
}

impl Whole {
    /// Keeps packs until all are there.
    pub(super) fn keep(&mut self, packs: Vec<NewPack>, staged: Vec<Vec<Staged>>) {
        self.packs.extend(packs);
        self.staged.extend(staged);
    }
}

impl Archive {
    /// Begins to store what is to become of a study, of which either everything is recorded or nothing: where a part is refused,
    /// repeats another or, of a new study, is there already, and where [`Input::Complete`](super::ingest::Input::Complete) does
    /// not come, nothing is. An outcome is missing then of each part that nothing is wrong with.
    pub(super) fn ingest_whole(
        &self,
        place: Place,
        grant: StoreGrant,
        options: Options,
        becomes: Becomes,
    ) -> Ingest {
        let whole = Whole {
            becomes,
            packs: Vec::new(),
            staged: Vec::new(),
            finale: None,
        };
        self.begin_ingest(Some(place), grant, options, (None, Some(whole)))
    }
}

impl Batch {
    /// Whether nothing of what was told may be recorded.
    pub(super) fn is_given_up(&self) -> bool {
        self.whole.as_ref().is_some_and(|whole| {
            whole.finale.is_none()
                || self.has_repeats()
                || self.outcomes.iter().any(Option::is_some)
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
        // A change may be one of attributes that nothing has, or take out only.
        if packs.is_empty() && !whole.becomes.may_be_there {
            return Ok(());
        }
        self.record(packs.into(), staged).await
    }
}
