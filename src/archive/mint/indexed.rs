//! The items of a study at one version: how long each is and where it lies, found once and kept (MINT Z54).
//!
//! A version never has other items, so what was found is right for as long as the version is the last one. What can change under it
//! is who may see it, which the epoch of rights tells, and the packs that the bytes lie in, which the youngest pack tells; both come
//! with the one statement that finds the study visible.

use std::mem::size_of;
use std::ops::Range;
use std::sync::Arc;

use super::kept::Kept;
use super::layout::Layout;
use super::read::{Open, Places};
use crate::archive::Archive;
use crate::auth::Access;
use crate::error::Result;
use crate::index::catalog::{Instance, Narrowed, Visible};
use crate::index::mint::MintStudy;
use crate::model::{FacilityId, PackId, StudyId};

/// Rows that are fetched at once.
const PAGE: u64 = 250;

/// So many bytes of indexes are kept, and of one study at most a quarter of that: some ten thousand instances.
const MAX_BYTES: usize = 32 << 20;

/// What is taken for the memory of an instance beside that of its items, and of an item.
const INSTANCE_BYTES: usize = 2 * size_of::<Visible<Instance>>() + 512;
const ITEM_BYTES: usize = 16;

/// What an index is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::archive) struct Key {
    study: StudyId,
    version: u64,
    epoch: i64,
    youngest_pack: Option<PackId>,
    reader: (FacilityId, i32),
}

impl Key {
    fn of(study: &MintStudy, access: &Access) -> Self {
        Self {
            study: study.at.study,
            version: study.at.version,
            epoch: study.epoch,
            youngest_pack: study.youngest_pack,
            reader: (access.facility_id(), access.unread().0),
        }
    }
}

/// The items of a study that a caller sees.
#[derive(Clone, Debug)]
pub struct ItemIndex {
    /// Their numbers and lengths.
    pub layout: Arc<Layout>,
    /// Where they lie; of a study too large for that it is found on the way.
    pub places: Places,
}

/// Indexes that were made before. A clone is the same.
pub(in crate::archive) type Indexes = Kept<Key, ItemIndex>;

impl Default for Indexes {
    fn default() -> Self {
        Self::of(MAX_BYTES)
    }
}

impl Archive {
    /// The items of a study that the caller sees; they have their numbers already.
    ///
    /// # Errors
    /// `Kind::Unavailable` if database or store do not answer.
    pub async fn item_index(&self, access: &Access, study: &MintStudy) -> Result<ItemIndex> {
        let key = Key::of(study, access);
        if let Some(kept) = self.indexes.get(&key) {
            return Ok(kept);
        }
        let Some((opened, cost)) = self.opened(access, study).await? else {
            let all = Narrowed::default();
            return Ok(ItemIndex {
                layout: Arc::new(self.layout(access, study, &all).await?),
                places: Places::default(),
            });
        };
        let index = ItemIndex {
            layout: Arc::new(Layout::of_opened(&opened)),
            places: Places::of(opened),
        };
        self.indexes.put(key, &index, cost);
        Ok(index)
    }

    /// The same with items in a range of numbers that the study has no more, as far as their objects are kept (MINT I05): who
    /// holds an older document goes on with what it says.
    ///
    /// # Errors
    /// `Kind::Unavailable` if database or store do not answer.
    pub async fn with_replaced(
        &self,
        access: &Access,
        study: &MintStudy,
        index: ItemIndex,
        numbers: &Range<u64>,
    ) -> Result<ItemIndex> {
        let catalog = self.catalog(access);
        let replaced = catalog.items_replaced(study.at.study, numbers).await?;
        if replaced.is_empty() {
            return Ok(index);
        }
        let replaced = self.open(replaced).await?;
        Ok(ItemIndex {
            layout: Arc::new(index.layout.with(&replaced)),
            places: index.places.with(replaced),
        })
    }

    /// All instances that have items, and about how many bytes of memory they take; `None` of a study that takes too many.
    async fn opened(
        &self,
        access: &Access,
        study: &MintStudy,
    ) -> Result<Option<(Vec<Open>, usize)>> {
        let (mut opened, mut cost, mut next) = (Vec::new(), 0_usize, 0);
        loop {
            let catalog = self.catalog(access);
            let page = catalog.items_from(study.at.study, next, PAGE).await?;
            let page = self.open(page).await?;
            let is_last = (page.len() as u64) < PAGE;
            for open in page {
                // The first of a page may have been the last of the one before.
                if opened
                    .last()
                    .is_some_and(|last: &Open| last.first >= open.first)
                {
                    continue;
                }
                cost = cost.saturating_add(INSTANCE_BYTES);
                cost = cost.saturating_add(open.count as usize * ITEM_BYTES);
                opened.push(open);
            }
            if cost > MAX_BYTES / 4 {
                return Ok(None);
            }
            match opened.last() {
                Some(last) if !is_last => next = last.first.saturating_add(1),
                Some(_) | None => return Ok(Some((opened, cost))),
            }
        }
    }
}
