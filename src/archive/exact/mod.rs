//! The stored objects of a study as one content (MINT 16.6): in viewing order, by their rows alone until a byte is wanted.
//!
//! A study is walked over more than once for one answer, and nothing is held in between but a digest a page: so memory does
//! not grow with it, and what changes meanwhile is noticed before a byte of it leaves. What comes to the study meanwhile is
//! not part of the content; what leaves it ends the answer (W12).

mod upload;

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::Archive;
use super::guard::Pace;
use super::retrieve::ByteStream;
use super::stamp::Stamp;
use crate::auth::Access;
use crate::error::{Error, Kind, Result};
use crate::index::catalog::{Cursor, StoredObject, StudyHead, Visible};
use crate::model::{SopInstanceUid, StudyId};
use crate::storage::Run;
use crate::storage::digest::Digester;

/// Objects whose rows are fetched at once.
const PAGE: u64 = 1_000;

/// The objects of a study at one version, or those of them that were named, as one caller may see them. A clone is the same.
#[derive(Clone, Debug)]
pub struct Contents {
    archive: Archive,
    access: Arc<Access>,
    study: StudyHead,
    named: Option<Arc<HashSet<SopInstanceUid>>>,
    /// The digest of each page of rows.
    marks: Arc<[[u8; 32]]>,
}

impl Archive {
    /// The objects of a study, or of them those that are `named`. Each is shown to `visit` once, in viewing order.
    ///
    /// # Errors
    /// `Kind::NotFound` if nothing of it is visible, or something that is named is not; `Kind::Gone` if it was erased and the
    /// caller may know it; `Kind::Forbidden` if all of it is of classes that the scopes do not read (SH-3.4).
    pub async fn contents(
        &self,
        access: &Arc<Access>,
        study: StudyId,
        named: Option<HashSet<SopInstanceUid>>,
        mut visit: impl FnMut(&StoredObject),
    ) -> Result<Contents> {
        let catalog = self.catalog(access);
        let found = catalog.mint_study(study).await?;
        let mut contents = Contents {
            archive: self.clone(),
            access: Arc::clone(access),
            study: StudyHead {
                id: study,
                study: found.uid,
                version: found.at.version,
            },
            named: named.map(Arc::new),
            marks: Arc::new([]),
        };
        let (mut marks, mut after, mut found) = (Vec::new(), None, 0);
        loop {
            let page = catalog
                .objects(&contents.study, after.as_ref(), PAGE)
                .await?;
            marks.push(mark(&page));
            after = behind(&page);
            for object in page.iter().filter(|object| contents.has(object)) {
                visit(object);
                found += 1;
            }
            if after.is_none() {
                break;
            }
        }
        if contents
            .named
            .as_ref()
            .is_some_and(|named| named.len() > found)
        {
            return Err(Error::not_found());
        }
        contents.marks = marks.into();
        Ok(contents)
    }
}

impl Contents {
    /// The study.
    pub fn study(&self) -> &StudyHead {
        &self.study
    }

    /// What tells this content apart from any other of the study.
    pub fn stamp(&self) -> Stamp {
        let mut digest = Digester::default();
        digest.update(self.study.id.0.as_bytes());
        digest.update(&self.study.version.to_be_bytes());
        for mark in &*self.marks {
            digest.update(mark);
        }
        Stamp::of_digest(digest.finish())
    }

    /// Begins a walk over it. Nothing is asked before its first step.
    pub fn walk(&self) -> Walk {
        Walk {
            contents: self.clone(),
            page: VecDeque::new(),
            runs: HashMap::new(),
            taken: 0,
            after: None,
        }
    }

    fn has(&self, object: &StoredObject) -> bool {
        let named = self.named.as_ref();
        named.is_none_or(|named| named.contains(&object.instance))
    }
}

/// A walk over a content.
#[derive(Debug)]
pub struct Walk {
    contents: Contents,
    page: VecDeque<Arc<Visible<StoredObject>>>,
    /// How the objects of the page are read, by the name of their pack: neighbours are one read.
    runs: HashMap<String, Run>,
    /// Pages that were taken.
    taken: usize,
    after: Option<Cursor>,
}

impl Walk {
    /// The next object; `None` at the end.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer, and if the content is not what it was.
    pub async fn next(&mut self) -> Result<Option<Arc<Visible<StoredObject>>>> {
        while self.page.is_empty() {
            let Some(expected) = self.contents.marks.get(self.taken).copied() else {
                return Ok(None);
            };
            self.taken += 1;
            let contents = &self.contents;
            let catalog = contents.archive.catalog(&contents.access);
            let page = catalog
                .objects(&contents.study, self.after.as_ref(), PAGE)
                .await?;
            if mark(&page) != expected {
                let detail = "objects of the study were deleted or replaced while it was read";
                return Err(Error::new(Kind::Unavailable, detail));
            }
            self.after = behind(&page);
            self.page = page.into_iter().map(Arc::new).collect();
            self.page.retain(|object| self.contents.has(object));
            self.announce();
        }
        Ok(self.page.pop_front())
    }

    /// Says of the objects of the page in which order they will be read.
    fn announce(&mut self) {
        let mut ranges: HashMap<String, Vec<Range<u64>>> = HashMap::new();
        for object in &self.page {
            let blob = object.blob();
            ranges.entry(blob.object).or_default().push(blob.range);
        }
        let vault = self.contents.archive.vault();
        self.runs = ranges
            .into_iter()
            .map(|(pack, ranges)| {
                let run = vault.run(&pack, ranges);
                (pack, run)
            })
            .collect();
    }

    /// The bytes `part` of an object of the page, cut off as soon as the caller may no longer see it. What stands before them
    /// is not read.
    pub fn read(
        &self,
        object: &Arc<Visible<StoredObject>>,
        part: &Range<u64>,
        pace: &Pace,
    ) -> ByteStream {
        let mut blob = object.blob();
        let at = |offset: u64| blob.range.start.saturating_add(offset).min(blob.range.end);
        blob.range = at(part.start)..at(part.end);
        let Contents {
            archive, access, ..
        } = &self.contents;
        let bytes = match self.runs.get(&blob.object) {
            Some(run) => run.read(blob.range),
            None => archive.vault().read(&blob),
        };
        archive.guarded(access, object, pace, bytes)
    }
}

/// Where a full page ends.
fn behind(page: &[Visible<StoredObject>]) -> Option<Cursor> {
    let is_full = u64::try_from(page.len()).is_ok_and(|len| len == PAGE);
    page.last()
        .filter(|_| is_full)
        .map(Visible::<StoredObject>::cursor)
}

/// What tells a page apart: its objects, and the order of them.
fn mark(page: &[Visible<StoredObject>]) -> [u8; 32] {
    let mut digest = Digester::default();
    for object in page {
        digest.update(object.series.as_str().as_bytes());
        digest.update(b"/");
        digest.update(object.instance.as_str().as_bytes());
        digest.update(&object.byte_count.to_be_bytes());
        digest.update(&object.digest);
    }
    digest.finish()
}
