//! Which packs, in which order.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{Reindex, Told};
use crate::error::Result;
use crate::model::{PackId, Timestamp};
use crate::storage::{PackName, is_of_the_object, read_footer};

/// Objects that are looked up in one go.
const CHUNK: usize = 500;

/// Footers that are read at the same time.
const READS: usize = 8;

/// A pack that is to be recorded.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Planned {
    stored_at: Timestamp,
    pack_id: PackId,
    pub(super) object: String,
}

impl Reindex<'_, '_> {
    /// The packs of the owner without rows, first stored first.
    pub(super) async fn plan(&mut self) -> Result<Vec<Planned>> {
        let prefix = format!("{}/", self.grant.facility().code);
        let mut plan = Vec::new();
        let mut listed = self.archive.vault.list(&prefix).try_chunks(CHUNK).boxed();
        while let Some(chunk) = listed.next().await {
            let chunk = chunk.map_err(|error| error.1)?;
            let packs: Vec<(PackId, String)> = chunk
                .into_iter()
                .filter_map(|it| {
                    let name = PackName::parse(&it.object).filter(|name| !name.is_metadata)?;
                    Some((name.pack_id, it.object))
                })
                .collect();
            let ids: Vec<PackId> = packs.iter().map(|(id, _)| *id).collect();
            let known = self.archive.index.objects_of(&ids).await?;
            let count = packs.len() as u64;
            let mut fresh = packs;
            fresh.retain(|(id, _)| !known.contains_key(id));
            self.counts.skipped += count - fresh.len() as u64;
            self.read(fresh, &mut plan).await?;
            (self.listener)(Told::Progress(&self.counts));
        }
        plan.sort_unstable();
        Ok(plan)
    }

    async fn read(&mut self, packs: Vec<(PackId, String)>, plan: &mut Vec<Planned>) -> Result<()> {
        let vault = &self.archive.vault;
        let footers = stream::iter(packs).map(|(pack_id, object)| async move {
            let read = read_footer(vault, &object).await;
            (pack_id, object, read)
        });
        let mut footers = footers.buffer_unordered(READS).boxed();
        while let Some((pack_id, object, read)) = footers.next().await {
            match read {
                Ok((footer, _)) if footer.owner == self.grant.facility().code => {
                    plan.push(Planned {
                        stored_at: footer.stored_at,
                        pack_id,
                        object,
                    });
                }
                Ok((footer, _)) => {
                    let text = format!("it says of itself that it is of {}", footer.owner);
                    self.lose(&object, Some(footer.study.to_string()), None, &text);
                }
                Err(error) if is_of_the_object(&error) => {
                    self.lose(&object, None, None, error.detail());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
