//! The packs of one owner: rows, footer, files, heads.

use std::collections::HashMap;
use std::ops::Range;

use bytes::{Buf as _, Bytes};
use futures::TryStreamExt as _;

use super::{Finding, Verify, What};
use crate::auth::InspectGrant;
use crate::error::{Error, Result};
use crate::index::inspect::{InstanceRow, PackRow};
use crate::model::SopInstanceUid;
use crate::storage::digest::Digester;
use crate::storage::inflate::inflate_piece;
use crate::storage::metadata::read_pieces;
use crate::storage::{BlobRef, Footer, Piece, SealedEntry, frame_table, read_footer};

/// Packs whose rows are read at once.
const PAGE: u64 = 100;

/// What was found at one pack; told when a second look at its row says that it still stands.
struct AtPack<'a> {
    grant: &'a InspectGrant,
    pack: &'a PackRow,
    found: Vec<Finding>,
}

impl AtPack<'_> {
    fn add(&mut self, what: What, object: &str, text: impl Into<String>) {
        let finding = self.finding(what, object, text);
        self.found.push(finding);
    }

    fn add_entry(&mut self, what: What, entry: &SealedEntry, text: impl Into<String>) {
        let finding = Finding {
            series: Some(entry.series.to_string()),
            instance: Some(entry.instance.to_string()),
            ..self.finding(what, &self.pack.object, text)
        };
        self.found.push(finding);
    }

    fn add_row(&mut self, what: What, row: &InstanceRow, text: impl Into<String>) {
        let finding = Finding {
            series: Some(row.series.to_string()),
            instance: Some(row.instance.to_string()),
            ..self.finding(what, &self.pack.object, text)
        };
        self.found.push(finding);
    }

    /// Whether files of the pack cannot be had: its object is gone, or its end is.
    fn is_missing(&self) -> bool {
        let is_it = |finding: &&Finding| {
            matches!(finding.what, What::Missing | What::Torn) && finding.object == self.pack.object
        };
        self.found
            .iter()
            .any(|finding| is_it(&finding) && finding.instance.is_none())
    }

    fn finding(&self, what: What, object: &str, text: impl Into<String>) -> Finding {
        Finding {
            owner: self.grant.facility().code.to_string(),
            study: Some(self.pack.study.to_string()),
            ..Finding::new(what, object, text)
        }
    }
}

impl Verify<'_, '_> {
    pub(super) async fn packs(&mut self, grant: &InspectGrant) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.archive.index.packs_of(grant, after, PAGE).await?;
            for pack in page.iter().filter(|pack| !pack.is_replaced) {
                self.pack(grant, pack).await?;
                self.progress();
            }
            match page.last() {
                Some(last) => after = Some(last.pack_id),
                None => return Ok(()),
            }
        }
    }

    async fn pack(&mut self, grant: &InspectGrant, pack: &PackRow) -> Result<()> {
        let mut at = AtPack {
            grant,
            pack,
            found: Vec::new(),
        };
        self.compare(&mut at).await?;
        if at.found.is_empty() && !pack.is_missing {
            return Ok(());
        }
        // Repacked, or swept, in the meantime?
        let now = self.archive.index.pack_of(grant, pack.pack_id).await?;
        if now.as_ref() == Some(pack) {
            for finding in &at.found {
                self.tell(finding);
            }
            if at.is_missing() != pack.is_missing {
                let since = at.is_missing().then(|| self.archive.clock.now());
                self.archive.index.note_missing(grant, pack, since).await?;
            }
        }
        Ok(())
    }

    async fn compare(&mut self, at: &mut AtPack<'_>) -> Result<()> {
        let pack = at.pack;
        let rows = self.archive.index.instances_in(at.grant, pack).await?;
        self.counts.packs += 1;
        self.counts.instances += rows.len() as u64;
        let Some(footer) = self.footer(at).await? else {
            return Ok(());
        };
        self.rows_and_entries(at, &rows, &footer).await?;
        if self.options.digests {
            self.files(at, &footer).await?;
        }
        self.heads(at, &footer).await
    }

    /// The footer of a pack that is there in its full length.
    async fn footer(&mut self, at: &mut AtPack<'_>) -> Result<Option<Footer>> {
        let (vault, pack) = (&self.archive.vault, at.pack);
        let Some(len) = self.length(at, &pack.object).await? else {
            return Ok(None);
        };
        if len != pack.byte_count {
            let text = format!("it has {len} bytes, its row says {}", pack.byte_count);
            at.add(What::Torn, &pack.object, text);
            return Ok(None);
        }
        let (footer, digest) = match self.damage(read_footer(vault, &pack.object).await).await? {
            Ok(read) => read,
            Err(error) => {
                at.add(What::Torn, &pack.object, error.detail());
                return Ok(None);
            }
        };
        if digest != pack.digest {
            let text = "the digest of its footer is not that of its row";
            at.add(What::Corrupt, &pack.object, text);
        }
        if footer.owner != at.grant.facility().code
            || footer.study != pack.study
            || footer.pack_id != pack.pack_id
        {
            let text = format!(
                "it says of itself that it is pack {} of study {} of {}",
                footer.pack_id, footer.study, footer.owner
            );
            at.add(What::Mismatch, &pack.object, text);
        }
        Ok(Some(footer))
    }

    /// The length of an object; told where it is not there.
    async fn length(&self, at: &mut AtPack<'_>, object: &str) -> Result<Option<u64>> {
        match self.damage(self.archive.vault.find(object).await).await? {
            Ok(Some(len)) => return Ok(Some(len)),
            Ok(None) => at.add(
                What::Missing,
                object,
                "rows lead to it, and it is not there",
            ),
            Err(error) => at.add(What::Corrupt, object, error.detail()),
        }
        Ok(None)
    }

    async fn rows_and_entries(
        &self,
        at: &mut AtPack<'_>,
        rows: &[InstanceRow],
        footer: &Footer,
    ) -> Result<()> {
        let entries: HashMap<u64, &SealedEntry> = footer
            .entries
            .iter()
            .map(|entry| (entry.range.start, entry))
            .collect();
        let mut recorded: Vec<u64> = Vec::with_capacity(rows.len());
        for row in rows {
            recorded.push(row.range.start);
            if !row.has_key {
                let text = "the row of the instance is not found by its SOP Instance UID";
                at.add_row(What::Mismatch, row, text);
            }
            match entries.get(&row.range.start) {
                Some(entry) if is_same(row, entry) => {}
                Some(_) => {
                    let text = "row and pack disagree about UIDs, place or digest";
                    at.add_row(What::Mismatch, row, text);
                }
                None => at.add_row(
                    What::Mismatch,
                    row,
                    "the pack has no file where the row says",
                ),
            }
        }
        recorded.sort_unstable();
        let without: Vec<&SealedEntry> = footer
            .entries
            .iter()
            .filter(|entry| recorded.binary_search(&entry.range.start).is_err())
            .collect();
        if without.is_empty() {
            return Ok(());
        }
        // A hole is known if the owner has the UID elsewhere: stored twice at once, or repacked.
        let uids: Vec<&SopInstanceUid> = without.iter().map(|entry| &entry.instance).collect();
        let held = self.archive.index.knows(at.grant, &uids).await?;
        for entry in without
            .iter()
            .filter(|entry| !held.contains(&entry.instance))
        {
            at.add_entry(What::Orphan, entry, "a file in the pack that no row knows");
        }
        Ok(())
    }

    /// Reads all files, front to back, and compares their digests.
    async fn files(&mut self, at: &mut AtPack<'_>, footer: &Footer) -> Result<()> {
        let range = match (footer.entries.first(), footer.entries.last()) {
            (Some(first), Some(last)) => first.range.start..last.range.end,
            _ => return Ok(()),
        };
        let read = self.digests(&at.pack.object, range, &footer.entries).await;
        match self.damage(read).await? {
            Ok(wrong) => {
                for entry in wrong {
                    at.add_entry(What::Corrupt, entry, "the digest of the file is another");
                }
            }
            Err(error) => at.add(What::Corrupt, &at.pack.object, error.detail()),
        }
        let vault = &self.archive.vault;
        for entry in &footer.entries {
            if let Some(column) = &entry.frame_table {
                let read = frame_table::frame_table(vault, column, &at.pack.object).await;
                if let Err(error) = self.damage(read).await? {
                    at.add_entry(What::Corrupt, entry, error.detail());
                }
            }
        }
        Ok(())
    }

    /// The entries whose files have another digest.
    async fn digests<'e>(
        &mut self,
        object: &str,
        range: Range<u64>,
        entries: &'e [SealedEntry],
    ) -> Result<Vec<&'e SealedEntry>> {
        let mut check = Check {
            at: range.start,
            entries: entries.iter(),
            file: None,
            wrong: Vec::new(),
        };
        check.next_file();
        let blob = BlobRef {
            object: object.to_owned(),
            range,
        };
        let mut bytes = self.archive.vault.read(&blob);
        while let Some(bytes) = bytes.try_next().await? {
            self.counts.bytes += bytes.len() as u64;
            check.take(bytes);
        }
        Ok(check.wrong)
    }

    /// The metadata object: there, whole, and with the pieces that rows and footer name.
    async fn heads(&mut self, at: &mut AtPack<'_>, footer: &Footer) -> Result<()> {
        let object = &at.pack.metadata_object;
        let Some(len) = self.length(at, object).await? else {
            return Ok(());
        };
        if len != at.pack.metadata_bytes || len != footer.metadata_bytes {
            let text = format!(
                "it has {len} bytes, its row says {}",
                at.pack.metadata_bytes
            );
            at.add(What::Torn, object, text);
            return Ok(());
        }
        let pieces = read_pieces(&self.archive.vault, object).await;
        let pieces = match self.damage(pieces).await? {
            Ok(pieces) => pieces,
            Err(error) => {
                at.add(What::Torn, object, error.detail());
                return Ok(());
            }
        };
        for row in self.archive.index.pieces_in(at.grant, at.pack).await? {
            if !pieces.contains(&row) {
                let finding = Finding {
                    series: Some(row.series.to_string()),
                    ..at.finding(
                        What::Mismatch,
                        object,
                        "it has no such piece as the row says",
                    )
                };
                at.found.push(finding);
            }
        }
        if self.options.digests {
            self.pieces(at, footer, &pieces).await?;
        }
        Ok(())
    }

    /// Compares the digest of the metadata object; where it is another, says which series it is about.
    async fn pieces(
        &mut self,
        at: &mut AtPack<'_>,
        footer: &Footer,
        pieces: &[Piece],
    ) -> Result<()> {
        let object = &at.pack.metadata_object;
        let read = self.digest(object, footer.metadata_bytes).await;
        match self.damage(read).await? {
            Ok(digest) if digest == footer.metadata_digest => return Ok(()),
            Ok(_) => at.add(What::Corrupt, object, "its digest is not that of its pack"),
            Err(error) => at.add(What::Corrupt, object, error.detail()),
        }
        for piece in pieces {
            let bytes = self.archive.vault.read(&BlobRef {
                object: object.clone(),
                range: piece.range.clone(),
            });
            let inflated = inflate_piece(bytes, piece)
                .try_for_each(async |_| Ok(()))
                .await;
            if let Err(error) = self.damage(inflated).await? {
                let finding = Finding {
                    series: Some(piece.series.to_string()),
                    ..at.finding(What::Corrupt, object, error.detail())
                };
                at.found.push(finding);
            }
        }
        Ok(())
    }

    async fn digest(&mut self, object: &str, len: u64) -> Result<[u8; 32]> {
        let mut bytes = self.archive.vault.read(&BlobRef {
            object: object.to_owned(),
            range: 0..len,
        });
        let mut digester = Digester::default();
        while let Some(bytes) = bytes.try_next().await? {
            self.counts.bytes += bytes.len() as u64;
            digester.update(&bytes);
        }
        Ok::<_, Error>(digester.finish())
    }
}

fn is_same(row: &InstanceRow, entry: &SealedEntry) -> bool {
    row.series == entry.series
        && row.instance == entry.instance
        && row.digest == entry.digest
        && row.range == entry.range
        && row.meta == entry.meta
        && row.frame_table == entry.frame_table
}

/// The files of a pack as their bytes pass by, holes in between.
struct Check<'e> {
    at: u64,
    entries: std::slice::Iter<'e, SealedEntry>,
    file: Option<(&'e SealedEntry, Digester)>,
    wrong: Vec<&'e SealedEntry>,
}

impl Check<'_> {
    fn take(&mut self, mut bytes: Bytes) {
        while !bytes.is_empty() {
            let Some((entry, digester)) = &mut self.file else {
                return;
            };
            let (start, end) = (entry.range.start, entry.range.end);
            let until = if self.at < start { start } else { end };
            let left = usize::try_from(until.saturating_sub(self.at)).unwrap_or(usize::MAX);
            let len = left.min(bytes.len());
            if self.at >= start {
                digester.update(&bytes[..len]);
            }
            bytes.advance(len);
            self.at += len as u64;
            if self.at == end {
                self.next_file();
            }
        }
    }

    /// Judges the file that has passed and goes on to the next that is not empty.
    fn next_file(&mut self) {
        if let Some((entry, digester)) = self.file.take()
            && digester.finish() != entry.digest
        {
            self.wrong.push(entry);
        }
        let mut rest = self
            .entries
            .by_ref()
            .filter(|entry| !entry.range.is_empty());
        self.file = rest.next().map(|entry| (entry, Digester::default()));
    }
}
