//! The end of a batch: packs are made durable, then their rows, then each part has its outcome (architecture.md 7.1).

use std::sync::Arc;

use super::ingest::Batch;
use super::ingest_part::Staged;
use crate::dicom::conformance::OUT_OF_RESOURCES;
use crate::dicom::store_response::StoreOutcome;
use crate::error::{Error, Kind, Result};
use crate::index::record::{NewInstance, NewPack, is_in_use};
use crate::storage::{Sealed, seal_all};

impl Batch {
    /// Makes the packs from `first` on durable, then their rows, and settles the outcomes.
    pub(super) async fn seal_from(&mut self, first: usize) -> Result<()> {
        let packs = self.open.split_off(first);
        let (writers, staged): (Vec<_>, Vec<_>) = packs
            .into_iter()
            .map(|open| (open.writer, open.staged))
            .unzip();
        let mut failure = None;
        let (mut packs, mut in_packs) = (Vec::new(), Vec::new());
        let sealed = seal_all(writers, self.archive.clock.now()).await;
        for (sealed, staged) in sealed.into_iter().zip(staged) {
            match sealed {
                Ok(Some(sealed)) => {
                    packs.push(self.new_pack(sealed, &staged));
                    in_packs.push(staged);
                }
                Ok(None) => {}
                Err(error) => failure = Some(error),
            }
        }
        if let Some(whole) = &mut self.whole {
            whole.keep(packs, in_packs);
        } else if !packs.is_empty() {
            self.record(packs.into(), in_packs).await?;
        }
        failure.map_or(Ok(()), Err)
    }

    /// Makes everything that is left durable, and settles the outcomes.
    pub(super) async fn seal_all(&mut self) -> Result<()> {
        self.seal_from(0).await?;
        self.record_kept().await
    }

    /// Makes the rows of durable packs durable and settles the outcomes.
    pub(super) async fn record(
        &mut self,
        packs: Arc<[NewPack]>,
        staged: Vec<Vec<Staged>>,
    ) -> Result<()> {
        let (index, all) = (&self.archive.index, Arc::clone(&packs));
        let finale = self.whole.as_ref().and_then(|whole| whole.finale.clone());
        let recorded = match finale {
            Some(finale) => index.record_whole(&self.grant, all, finale).await?,
            None => index.record_batch(&self.grant, all).await?,
        };
        for (pack, (recorded, staged)) in packs.iter().zip(recorded.iter().zip(staged)) {
            tracing::debug!(study = %pack.study, instances = pack.instances.len(), bytes = pack.byte_count, "sealed");
            if !is_in_use(recorded) {
                self.drop_orphan(pack).await;
            }
            for (what, staged) in recorded.iter().zip(staged) {
                if !what.is_written() {
                    self.staged.remove(&staged.path.instance);
                }
                self.outcomes[staged.slot] = Some(staged.recorded(*what));
                self.tell(staged.slot);
            }
        }
        Ok(())
    }

    /// Removes a pack that another request made superfluous between look-up and record. A failure leaves an orphan, which
    /// `kura verify` names.
    pub(super) async fn drop_orphan(&self, pack: &NewPack) {
        for object in [&pack.object, &pack.metadata_object] {
            if let Err(error) = self.archive.vault.delete(object).await {
                tracing::warn!(object, error = %error, "orphan left behind");
            }
        }
    }

    /// After a failure of ours: nothing that is not recorded is promised.
    pub(super) async fn give_up(&mut self, error: &Error) -> Result<()> {
        for open in self.open.drain(..) {
            open.writer.abort().await;
        }
        if !self.outcomes.iter().flatten().any(StoreOutcome::is_stored) {
            return Err(Error::new(error.kind(), error.detail().to_owned()));
        }
        // 0110: processing failure (PS3.4 table B.2-1).
        let code = if error.kind() == Kind::Full {
            OUT_OF_RESOURCES
        } else {
            0x0110
        };
        for slot in 0..self.outcomes.len() {
            self.outcomes[slot].get_or_insert_with(|| StoreOutcome::Refused {
                code,
                text: "not stored for a reason of the server; send it again later".to_owned(),
                sop_class: None,
                sop_instance: None,
            });
            self.tell(slot);
        }
        Ok(())
    }

    /// What the index is told of a sealed pack.
    fn new_pack(&self, sealed: Sealed, staged: &[Staged]) -> NewPack {
        let becomes = self.whole.as_ref().map(|whole| &whole.becomes);
        let instances = sealed
            .entries
            .into_iter()
            .zip(staged)
            .map(|(entry, staged)| NewInstance {
                first_item: becomes.and_then(|it| it.first_items.get(&entry.instance).copied()),
                series: entry.series,
                instance: entry.instance,
                sop_class: staged.sop_class.clone(),
                transfer_syntax_uid: staged.transfer_syntax_uid.clone(),
                class: staged.class,
                attributes: staged.attributes.clone(),
                digest: entry.digest,
                range: entry.range,
                meta: entry.meta,
                frame_table: entry.frame_table,
            });
        NewPack {
            pack_id: sealed.pack_id,
            study: sealed.study,
            object: sealed.object,
            metadata_object: sealed.metadata_object,
            byte_count: sealed.byte_count,
            metadata_bytes: sealed.metadata_bytes,
            digest: sealed.digest,
            base_url: self.options.base_url.clone(),
            instances: instances.collect(),
            pieces: sealed.pieces,
        }
    }
}
