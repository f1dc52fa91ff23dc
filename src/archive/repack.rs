//! Repacking: the instances of a quiet study are copied into as few packs as they need, one series each, and then the
//! addresses are swapped (architecture.md 7.5).
//!
//! ```text
//! before   [A1] [B1] [A2] [A3 ····hole····] [A4 B2]      packs as the requests came
//! after    [A1 A2 A3 A4] [B1 B2]                         live ones; what is binned lies in packs of its own
//! ```
//!
//! Only packs that pay are touched: small ones that share a series, and those of which more than half is dead. What is large
//! stays, so a study that grows for long is not copied again and again. Until the swap readers see the old addresses; the old
//! objects stay for a grace period. Whatever happens on the way, a row never points at nothing, and what is left over is an
//! orphan that the sweep finds.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use bytes::Bytes;
use futures::TryStreamExt;

use super::Archive;
use super::metadata::MAX_BLOCK_BYTES;
use super::shown::rebase;
use crate::auth::Access;
use crate::error::{Error, Kind, Result};
use crate::index::relocate::{Held, Movable, NewPlace, PackFill, StudyPacks, is_half_dead};
use crate::model::{InstanceId, PackId, SeriesId, StudyId, Timestamp};
use crate::storage::pack::{FULL_BYTES, FULL_ENTRIES, FULL_METADATA_BYTES};
use crate::storage::{Entry, PackWriter, Sealed, frame_table, inflate};

/// Rows that are read at a time; each may carry a frame table of 64 KiB.
const PAGE: u64 = 100;

/// What one swap moves at most: its transaction keeps other writers away for some tenths of a second, and what waits for
/// it is held in memory. A study beyond it moves in several swaps, each whole in itself.
const SWAP_PACKS: usize = 16;
const SWAP_INSTANCES: usize = 4_000;

/// What came of a repack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repacked {
    /// Packs that were read and given up.
    pub from: usize,
    /// Packs that were written.
    pub into: usize,
    /// Instances that moved.
    pub instances: usize,
    /// Bytes of their files.
    pub bytes: u64,
}

impl Archive {
    /// Writes the packs of a study of the duty's facility anew where that pays. Running it again changes nothing.
    ///
    /// # Errors
    /// `Kind::Unprocessable` if a stored file is not what was stored: nothing is changed then, and nothing will help but a
    /// person. `Kind::Unavailable`, `Kind::Full` or `Kind::Internal` as database and store say; what was swapped by then is
    /// swapped, the rest is as before.
    pub async fn repack(&self, access: &Access, study: StudyId) -> Result<Repacked> {
        let Some(found) = self.catalog(access).packs_of(study).await? else {
            return Ok(Repacked::default());
        };
        let old = worth_it(&found.packs);
        if old.is_empty() {
            return Ok(Repacked::default());
        }
        let groups = groups(&found.packs, &old);
        let mut copy = Copying {
            archive: self,
            access,
            study: &found,
            packs: old.iter().copied().collect(),
            old,
            open: None,
            sealed: Vec::new(),
            waiting: 0,
            block: None,
            total: Repacked::default(),
        };
        let copied = copy.all(&groups).await;
        if copied.is_err() {
            copy.give_up().await;
        }
        copied.map(|()| copy.total)
    }
}

/// Of what series, live or not.
type Group = (SeriesId, bool);

/// The packs that are better written anew: those of which something was erased or more than half is dead, and small ones that
/// share a series with each other. One that holds earlier versions alone cannot be helped.
fn worth_it(packs: &[PackFill]) -> Vec<PackId> {
    let mut small: HashMap<Group, usize> = HashMap::new();
    for pack in packs.iter().filter(|pack| is_small(pack)) {
        for held in &pack.held {
            *small.entry(group(held)).or_default() += 1;
        }
    }
    let is_shared = |held: &Held| small.get(&group(held)).is_some_and(|packs| *packs > 1);
    let pays = |pack: &&PackFill| {
        let can_go = !pack.held.is_empty() || pack.earlier.0 == 0;
        let is_split = is_small(pack) && pack.held.iter().any(is_shared);
        can_go && (was_erased(pack) || is_dead(pack) || is_split)
    };
    packs.iter().filter(pays).map(|pack| pack.id).collect()
}

/// Whether something that the pack was written with is pointed at no more.
fn was_erased(pack: &PackFill) -> bool {
    sum(pack, |held| held.instances) + pack.earlier.0 < pack.written
}

fn group(held: &Held) -> Group {
    (held.series, held.live)
}

fn sum(pack: &PackFill, of: impl Fn(&Held) -> u64) -> u64 {
    pack.held.iter().map(of).sum()
}

fn is_dead(pack: &PackFill) -> bool {
    let kept = sum(pack, |held| held.bytes) + pack.earlier.1;
    let tables = sum(pack, |held| held.table_bytes);
    let instances = sum(pack, |held| held.instances) + pack.earlier.0;
    is_half_dead(pack.byte_count, kept, tables, instances)
}

/// Whether a pack holds less than half of what makes one full.
fn is_small(pack: &PackFill) -> bool {
    sum(pack, |held| held.bytes) < FULL_BYTES / 2
        && sum(pack, |held| held.instances) < FULL_ENTRIES as u64 / 2
        && pack.metadata_bytes < FULL_METADATA_BYTES as u64 / 2
}

/// What lies in the packs `old`, each series once, the live ones before the others.
fn groups(packs: &[PackFill], old: &[PackId]) -> Vec<Group> {
    let old: HashSet<&PackId> = old.iter().collect();
    let of_old = packs.iter().filter(|pack| old.contains(&pack.id));
    let mut groups: Vec<Group> = of_old.flat_map(|pack| &pack.held).map(group).collect();
    groups.sort_unstable_by_key(|(series, live)| (!live, *series));
    groups.dedup();
    groups
}

/// A pack being filled.
struct Open {
    writer: PackWriter,
    from: Vec<(InstanceId, PackId, u64)>,
    /// The earliest of what it holds.
    stored_at: Timestamp,
}

/// A repack under way.
struct Copying<'a> {
    archive: &'a Archive,
    access: &'a Access,
    study: &'a StudyPacks,
    old: Vec<PackId>,
    /// The same, to look up.
    packs: HashSet<PackId>,
    open: Option<Open>,
    /// Durable packs that wait for their swap.
    sealed: Vec<NewPlace>,
    /// Instances in them.
    waiting: usize,
    /// The block of heads that was read last: instances of a series share one.
    block: Option<(String, Range<u64>, Bytes)>,
    total: Repacked,
}

impl Copying<'_> {
    async fn all(&mut self, groups: &[Group]) -> Result<()> {
        for group in groups {
            self.group(*group).await?;
        }
        // Also where nothing is left to move: packs that hold nothing are replaced by nothing.
        self.swap().await?;
        self.total.from = self.old.len();
        Ok(())
    }

    /// Copies what the old packs hold of one series.
    async fn group(&mut self, group: Group) -> Result<()> {
        let catalog = self.archive.catalog(self.access);
        let mut after: Option<Movable> = None;
        loop {
            let study = self.study.study_id;
            let page = catalog.movable(study, group, after.as_ref(), PAGE).await?;
            for it in &page {
                if self.packs.contains(&it.pack) {
                    self.copy(it, group.0).await?;
                }
            }
            let Some(last) = page.into_iter().last() else {
                return self.seal(group.0).await;
            };
            after = Some(last);
        }
    }

    /// Copies one instance, and looks at every byte on the way.
    async fn copy(&mut self, it: &Movable, series: SeriesId) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| open.writer.is_full()) {
            self.seal(series).await?;
        }
        let head = self.head(it).await?;
        let vault = &self.archive.vault;
        let table = match &it.frame_table {
            Some(column) => Some(frame_table::frame_table(vault, column, &it.blob.object).await?),
            None => None,
        };
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(begin(self.archive, self.access, self.study).await?),
        };
        open.writer.start_part();
        let mut file = vault.read(&it.blob);
        while let Some(bytes) = file.try_next().await? {
            open.writer.write(bytes).await?;
        }
        if open.writer.part_digest() != Some(it.digest) {
            return Err(not_what_was_stored(it));
        }
        let entry = Entry {
            series: it.series.clone(),
            instance: it.instance.clone(),
            sop_class: it.sop_class.clone(),
            transfer_syntax_uid: it.transfer_syntax_uid.clone(),
            frame_table: table,
        };
        open.writer.keep(entry, &head).await?;
        open.from.push((it.id, it.pack, it.blob.range.start));
        open.stored_at = open.stored_at.min(it.stored_at);
        self.total.instances += 1;
        self.total.bytes += it.blob.range.end.saturating_sub(it.blob.range.start);
        Ok(())
    }

    /// The head of an instance, its links under the base of the new pack.
    async fn head(&mut self, it: &Movable) -> Result<Vec<u8>> {
        let is_held = self.block.as_ref().is_some_and(|(object, range, _)| {
            *object == it.metadata_object && *range == it.meta.block
        });
        if !is_held {
            let (object, range) = (it.metadata_object.clone(), it.meta.block.clone());
            let vault = &self.archive.vault;
            let bytes = vault
                .read_small(&object, range.clone(), MAX_BLOCK_BYTES)
                .await?;
            self.block = Some((object, range, bytes));
        }
        let block = self.block.as_ref().map(|(_, _, bytes)| bytes);
        let block = block.ok_or_else(|| Error::new(Kind::Internal, "no block was read"))?;
        let stored = inflate::inflate_block(block, &it.meta.json)?;
        if it.base_url == self.study.base_url {
            return Ok(stored);
        }
        let mut head = Vec::with_capacity(stored.len() + 64);
        let (from, to) = (&it.base_url, &self.study.base_url);
        rebase(&stored, &format!("{from}/"), &format!("{to}/"), &mut head);
        Ok(head)
    }

    /// Makes the open pack durable; swaps when enough of them wait.
    async fn seal(&mut self, series: SeriesId) -> Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let Some(sealed) = open.writer.seal(open.stored_at).await? else {
            return Ok(());
        };
        self.waiting += open.from.len();
        self.sealed.push(NewPlace {
            sealed,
            base_url: self.study.base_url.clone(),
            series,
            from: open.from,
        });
        if self.sealed.len() >= SWAP_PACKS || self.waiting >= SWAP_INSTANCES {
            self.swap().await?;
        }
        Ok(())
    }

    /// Swaps the addresses of what waits.
    async fn swap(&mut self) -> Result<()> {
        let catalog = self.archive.catalog(self.access);
        let taken = catalog
            .relocate(self.study.study_id, &self.sealed, &self.old)
            .await?;
        self.waiting = 0;
        for (place, taken) in std::mem::take(&mut self.sealed).iter().zip(taken) {
            if taken {
                self.total.into += 1;
            } else {
                drop_objects(self.archive, &place.sealed).await;
            }
        }
        Ok(())
    }

    /// After a failure: what waits is dropped, if it can be. What cannot is an orphan.
    async fn give_up(&mut self) {
        if let Some(open) = self.open.take() {
            open.writer.abort().await;
        }
        // A swap that broke off may have been recorded all the same: whoever is not sure leaves it to the sweep.
        let packs: Vec<PackId> = self.sealed.iter().map(|it| it.sealed.pack_id).collect();
        let owner = &self.access.facility().code;
        let Ok(orphans) = self.archive.index.claim_orphans(owner, &packs).await else {
            return;
        };
        for place in &self.sealed {
            if orphans.contains(&place.sealed.pack_id) {
                drop_objects(self.archive, &place.sealed).await;
            }
        }
    }
}

async fn begin(archive: &Archive, access: &Access, study: &StudyPacks) -> Result<Open> {
    let now = archive.clock.now();
    let writer = PackWriter::begin(
        &archive.vault,
        &access.facility().code,
        &study.study,
        PackId(archive.clock.new_id()),
        now,
        &study.base_url,
    )
    .await?;
    Ok(Open {
        writer,
        from: Vec::new(),
        stored_at: now,
    })
}

async fn drop_objects(archive: &Archive, sealed: &Sealed) {
    for object in [&sealed.object, &sealed.metadata_object] {
        if let Err(error) = archive.vault.delete(object).await {
            tracing::warn!(object, error = %error, "orphan left behind");
        }
    }
}

/// No path and no UID: what the reason of a dead job says, everybody sees who may see jobs.
fn not_what_was_stored(it: &Movable) -> Error {
    Error::new(
        Kind::Unprocessable,
        format!(
            "the {} bytes at {} of pack {} are not what was stored; nothing was moved: find the damage with `kura verify` and bring the pack back from a copy",
            it.blob.range.end.saturating_sub(it.blob.range.start),
            it.blob.range.start,
            it.pack
        ),
    )
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn series(number: u128) -> SeriesId {
        SeriesId(Uuid::from_u128(number))
    }

    /// A pack of `mib` MiB that holds (series, live, MiB, instances).
    fn pack(id: u128, mib: u64, held: &[(u128, bool, u64, u64)]) -> PackFill {
        let held = held.iter().map(|(number, live, mib, instances)| Held {
            series: series(*number),
            live: *live,
            instances: *instances,
            bytes: mib * MIB,
            table_bytes: 0,
        });
        let held: Vec<Held> = held.collect();
        PackFill {
            id: PackId(Uuid::from_u128(id)),
            byte_count: mib * MIB + 900,
            metadata_bytes: 5_000,
            written: held.iter().map(|held| held.instances).sum(),
            held,
            earlier: (0, 0),
        }
    }

    #[track_caller]
    fn check(packs: &[PackFill], expected: &[u128]) {
        let found: Vec<u128> = worth_it(packs).iter().map(|id| id.0.as_u128()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn small_packs_of_one_series_are_joined() {
        check(&[], &[]);
        check(&[pack(1, 1, &[(7, true, 1, 1)])], &[]);
        let one = pack(1, 1, &[(7, true, 1, 1)]);
        check(&[one.clone(), pack(2, 1, &[(7, true, 1, 1)])], &[1, 2]);
        check(&[one.clone(), pack(2, 1, &[(8, true, 1, 1)])], &[]);
        check(&[one.clone(), pack(2, 1, &[(7, false, 1, 1)])], &[]);
        // With the pack goes all that is in it.
        let both = pack(2, 2, &[(7, true, 1, 1), (8, true, 1, 1)]);
        check(&[one, both.clone()], &[1, 2]);
        let packs = [pack(1, 1, &[(7, true, 1, 1)]), both];
        let ids: Vec<PackId> = packs.iter().map(|pack| pack.id).collect();
        assert_eq!(groups(&packs, &ids), [(series(7), true), (series(8), true)]);
        assert_eq!(groups(&packs, &ids[..1]), [(series(7), true)]);
    }

    #[test]
    fn what_is_large_stays_so_that_a_study_is_not_copied_again_and_again() {
        let large = pack(1, 64, &[(7, true, 64, 128)]);
        check(&[large.clone(), pack(2, 1, &[(7, true, 1, 1)])], &[]);
        let late = [2, 3].map(|id| pack(id, 1, &[(7, true, 1, 1)]));
        check(&[large, late[0].clone(), late[1].clone()], &[2, 3]);
        let many = [1, 2].map(|id| pack(id, 1, &[(7, true, 1, 500)]));
        check(&many, &[]);
        let mut heads = [1, 2].map(|id| pack(id, 1, &[(7, true, 1, 2)]));
        heads[0].metadata_bytes = 4 * MIB;
        check(&heads, &[]);
    }

    #[test]
    fn packs_more_than_half_dead_are_written_anew() {
        check(&[pack(1, 100, &[(7, true, 50, 9)])], &[]);
        check(&[pack(1, 100, &[(7, true, 49, 9)])], &[1]);
        check(&[pack(1, 100, &[(7, true, 1, 9), (7, false, 49, 9)])], &[]);
        check(&[pack(1, 1, &[])], &[1]);
        let mut erased = pack(1, 100, &[(7, true, 99, 9)]);
        erased.written = 10;
        check(&[erased.clone()], &[1]);
        erased.earlier = (1, MIB);
        check(&[erased], &[]);
        let mut earlier = pack(1, 1, &[]);
        (earlier.written, earlier.earlier) = (2, (1, 10));
        check(&[earlier], &[]);
        // A footer is not dead.
        let mut tiny = pack(1, 0, &[(7, true, 0, 1)]);
        tiny.byte_count = 1_500;
        check(&[tiny], &[]);
    }
}
