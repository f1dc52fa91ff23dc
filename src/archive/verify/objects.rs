//! Objects that no row leads to.

use futures::{StreamExt as _, TryStreamExt as _};

use super::{Finding, Verify, What};
use crate::error::Result;
use crate::model::{PackId, Timestamp};
use crate::storage::vault::Listed;
use crate::storage::{PackName, is_part, read_footer};

/// Objects that are looked up in one go.
const CHUNK: usize = 500;

impl Verify<'_, '_> {
    pub(super) async fn objects(&mut self) -> Result<()> {
        let newest = self.archive.index.newest_pack().await?;
        let now = self.archive.clock.now();
        let limit = newest.map_or(now, |newest| newest.min(now));
        let limit = Timestamp(limit.0.saturating_sub(self.options.grace_us));
        let mut listed = self.archive.vault.list("").try_chunks(CHUNK).boxed();
        while let Some(chunk) = listed.next().await {
            let chunk = chunk.map_err(|error| error.1)?;
            self.counts.objects += chunk.len() as u64;
            let names: Vec<_> = chunk.iter().map(|it| PackName::parse(&it.object)).collect();
            let ids: Vec<PackId> = names.iter().flatten().map(|name| name.pack_id).collect();
            let known = self.archive.index.objects_of(&ids).await?;
            for (object, name) in chunk.iter().zip(&names) {
                let of_pack = name.as_ref().and_then(|name| known.get(&name.pack_id));
                if of_pack.is_none_or(|objects| !objects.contains(&object.object)) {
                    self.orphan(object, name.as_ref(), limit).await?;
                }
            }
            self.progress();
        }
        Ok(())
    }

    async fn orphan(
        &mut self,
        object: &Listed,
        name: Option<&PackName>,
        limit: Timestamp,
    ) -> Result<()> {
        // Swept since it was listed?
        let read = self.archive.vault.find(&object.object).await;
        if let Ok(None) = self.damage(read).await? {
            return Ok(());
        }
        // An upload that is under way, or will be swept (MINT Z43).
        if is_part(&object.object) {
            return Ok(());
        }
        let Some(name) = name else {
            let text = "not a name that kura gives";
            self.tell(&Finding::new(What::Orphan, &object.object, text));
            return Ok(());
        };
        let (since, study) = self.since(object, name).await?;
        let (what, text) = if since <= limit {
            (What::Orphan, "no row knows it")
        } else {
            (
                What::Newer,
                "no row knows it, and it is newer than the index",
            )
        };
        self.tell(&Finding {
            owner: name.owner.to_string(),
            study,
            ..Finding::new(
                what,
                &object.object,
                format!("{text}; {} bytes", object.byte_count),
            )
        });
        Ok(())
    }

    /// Since when an object is there, as it says itself, and whose study it is.
    async fn since(&self, object: &Listed, name: &PackName) -> Result<(Timestamp, Option<String>)> {
        let pack = if name.is_metadata {
            object.object.replace(".meta", ".pack")
        } else {
            object.object.clone()
        };
        let read = read_footer(&self.archive.vault, &pack).await;
        Ok(match self.damage(read).await? {
            Ok((footer, _)) => (
                footer.stored_at.max(name.begun_at()),
                Some(footer.study.to_string()),
            ),
            Err(_) => (name.begun_at(), None),
        })
    }
}
