//! Where each byte of a study in the exact form stands, from rows alone (MINT Z33), and the bytes of any part of it.
//!
//! ```text
//! manifest.json | 1.2.3/1.2.3.4.dcm | 1.2.3/1.2.3.5.dcm | … | end
//! ```

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{MANIFEST, manifest};
use crate::archive::Archive;
use crate::archive::exact::{Contents, Walk};
use crate::archive::guard::Pace;
use crate::archive::retrieve::ByteStream;
use crate::auth::Access;
use crate::error::{Error, Kind, Result};
use crate::http::tar;
use crate::index::catalog::StoredObject;
use crate::model::{SopInstanceUid, StudyId, TransferSyntax};

/// How much of a manifest is written at once, in bytes.
const PIECE_BYTES: usize = 32 << 10;

/// A study in the exact form, measured. A clone is the same.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    contents: Contents,
    manifest_bytes: u64,
    /// Length of the whole, in bytes.
    pub(super) len: u64,
    /// Bytes of objects that do not shrink: their pixel data are compressed already.
    pub(super) packed_bytes: u64,
}

impl Layout {
    /// Measures a study, or of it the objects that are named.
    ///
    /// # Errors
    /// As [`Archive::contents`].
    pub(super) async fn measure(
        archive: &Archive,
        access: &Arc<Access>,
        study: StudyId,
        named: Option<HashSet<SopInstanceUid>>,
    ) -> Result<Self> {
        let (mut lines, mut objects, mut packed_bytes) = (0, 0, 0);
        let mut failure = None;
        let contents = archive.contents(access, study, named, |object| {
            match manifest::line(object) {
                Ok(line) => lines += (line.len() + manifest::BETWEEN.len()) as u64,
                Err(error) => failure = Some(error),
            }
            objects += tar::entry_bytes(object.byte_count);
            if !shrinks(object) {
                packed_bytes += object.byte_count;
            }
        });
        let contents = contents.await?;
        if let Some(error) = failure {
            return Err(error);
        }
        let ends = (manifest::head(contents.study())?.len() + manifest::END.len()) as u64;
        // Behind the last object nothing stands between.
        let lines: u64 = lines;
        let manifest_bytes = ends + lines.saturating_sub(manifest::BETWEEN.len() as u64);
        Ok(Self {
            contents,
            manifest_bytes,
            len: tar::entry_bytes(manifest_bytes) + objects + tar::END.len() as u64,
            packed_bytes,
        })
    }

    /// What it is made of.
    pub(super) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Its bytes `part`. What stands before them is not read.
    pub(super) fn bytes(&self, part: Range<u64>) -> ByteStream {
        let sending = Sending {
            layout: self.clone(),
            part,
            at: 0,
            stage: Stage::Begin,
            pace: Pace::default(),
        };
        stream::try_unfold(sending, async |mut sending| {
            let bytes = sending.next().await?;
            Ok(bytes.map(|bytes| (bytes, sending)))
        })
        .boxed()
    }
}

/// Whether an object is worth compressing (MINT Z32).
fn shrinks(object: &StoredObject) -> bool {
    let syntax = TransferSyntax::of(&object.transfer_syntax_uid);
    syntax.is_some_and(|syntax| !syntax.is_encapsulated())
}

/// A study on its way.
struct Sending {
    layout: Layout,
    part: Range<u64>,
    /// How far it is, in bytes of the whole.
    at: u64,
    stage: Stage,
    pace: Pace,
}

enum Stage {
    Begin,
    /// In the manifest; whether an object stands in it already.
    Manifest(Walk, bool),
    /// Between two objects.
    Objects(Walk),
    /// In an object that ends there.
    Within(Walk, ByteStream, u64),
    End,
}

impl Sending {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.at >= self.part.end {
                return Ok(None);
            }
            let stage = std::mem::replace(&mut self.stage, Stage::End);
            let bytes = match stage {
                Stage::Begin => self.begin()?,
                Stage::Manifest(walk, has_any) => self.manifest(walk, has_any).await?,
                Stage::Objects(walk) => self.object(walk).await?,
                Stage::Within(walk, bytes, end) => self.within(walk, bytes, end).await?,
                Stage::End if self.at + tar::END.len() as u64 == self.layout.len => {
                    Bytes::from_static(&tar::END)
                }
                Stage::End => return Err(changed()),
            };
            if let Some(bytes) = self.give(&bytes) {
                return Ok(Some(bytes));
            }
        }
    }

    /// What of the next bytes is wanted.
    fn give(&mut self, bytes: &Bytes) -> Option<Bytes> {
        let begin = self.at;
        self.at += bytes.len() as u64;
        let wanted = self.part.start.max(begin)..self.part.end.min(self.at);
        if wanted.is_empty() {
            return None;
        }
        let at = |place: u64| usize::try_from(place - begin).unwrap_or(usize::MAX);
        Some(bytes.slice(at(wanted.start)..at(wanted.end)))
    }

    fn begin(&mut self) -> Result<Bytes> {
        let len = self.layout.manifest_bytes;
        let contents = &self.layout.contents;
        let walk = contents.walk();
        let entry = tar::entry_bytes(len);
        if self.part.start >= entry {
            self.at = entry;
            self.stage = Stage::Objects(walk);
            return Ok(Bytes::new());
        }
        let mut begin = tar::header(MANIFEST, len)?.to_vec();
        begin.extend_from_slice(manifest::head(contents.study())?.as_bytes());
        self.stage = Stage::Manifest(walk, false);
        Ok(begin.into())
    }

    async fn manifest(&mut self, mut walk: Walk, mut has_any: bool) -> Result<Bytes> {
        let mut text = String::new();
        while let Some(object) = walk.next().await? {
            if has_any {
                text.push_str(manifest::BETWEEN);
            }
            text.push_str(&manifest::line(&object)?);
            has_any = true;
            if text.len() >= PIECE_BYTES {
                self.stage = Stage::Manifest(walk, has_any);
                return Ok(text.into());
            }
        }
        text.push_str(manifest::END);
        let len = self.layout.manifest_bytes;
        let mut end = text.into_bytes();
        end.extend(zeros(tar::padding(len)));
        if self.at + end.len() as u64 != tar::entry_bytes(len) {
            return Err(changed());
        }
        self.stage = Stage::Objects(self.layout.contents.walk());
        Ok(end.into())
    }

    async fn object(&mut self, mut walk: Walk) -> Result<Bytes> {
        let Some(object) = walk.next().await? else {
            return Ok(Bytes::new());
        };
        let len = object.byte_count;
        let end = self.at + tar::entry_bytes(len);
        if end <= self.part.start {
            self.at = end;
            self.stage = Stage::Objects(walk);
            return Ok(Bytes::new());
        }
        let mut header = tar::header(&manifest::name(&object.series, &object.instance), len)?;
        let begin = self.at + header.len() as u64;
        let skipped = self.part.start.saturating_sub(begin).min(len);
        let until = self.part.end.saturating_sub(begin).min(len);
        let data = walk.read(&object, &(skipped..until.max(skipped)), &self.pace);
        if skipped > 0 {
            self.at = begin + skipped;
            header = Bytes::new();
        }
        self.stage = Stage::Within(walk, data, end);
        Ok(header)
    }

    async fn within(&mut self, walk: Walk, mut data: ByteStream, end: u64) -> Result<Bytes> {
        if let Some(piece) = data.try_next().await? {
            self.stage = Stage::Within(walk, data, end);
            return Ok(piece);
        }
        self.stage = Stage::Objects(walk);
        Ok(zeros(end.saturating_sub(self.at)).collect())
    }
}

/// What fills a file up.
fn zeros(count: u64) -> impl Iterator<Item = u8> {
    std::iter::repeat_n(0, usize::try_from(count).unwrap_or(0))
}

fn changed() -> Error {
    Error::new(Kind::Unavailable, "the study changed while it was read")
}
