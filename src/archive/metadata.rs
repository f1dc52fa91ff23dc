//! Metadata: the stored heads, sent as they lie where that is possible (architecture.md 7.5).
//!
//! A series lies in its metadata objects as deflated pieces that a gzip answer takes untouched. Where the caller wants plain
//! JSON or only a part of it, where links must name another address than the one they were stored under or none, or where a
//! piece holds heads of instances that are no more, the heads are taken out one by one instead.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::Archive;
use super::retrieve::ByteStream;
use super::shown::{Shown, before, rebase};
use super::walk::Walk;
use crate::auth::Access;
use crate::error::{Error, Result};
use crate::index::catalog::{Instance, PieceRef, Scope, Visible};
use crate::model::{BulkForm, SeriesUid};
use crate::storage::gzip::GzipArray;
use crate::storage::metadata::MAX_HEAD_BYTES;
use crate::storage::{BlobRef, Piece, inflate};

/// A block is small, or one head; deflated it is smaller still.
pub(super) const MAX_BLOCK_BYTES: usize = MAX_HEAD_BYTES;

/// Instances, each with its metadata as a JSON object.
pub type HeadStream = BoxStream<'static, Result<(Arc<Visible<Instance>>, Vec<u8>)>>;

/// How metadata leave.
pub enum Metadata {
    /// As one gzip member of so many bytes.
    Gzip(u64, ByteStream),
    /// As JSON.
    Plain(ByteStream),
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip(..) => "Gzip",
            Self::Plain(_) => "Plain",
        })
    }
}

impl Archive {
    /// The metadata of what `scope` names, as an array (J01); `gzip` says whether the caller takes that.
    ///
    /// # Errors
    /// `Kind::NotFound`, `Kind::Forbidden` as the catalog decides.
    pub async fn metadata(
        &self,
        access: &Arc<Access>,
        scope: Scope,
        shown: &Shown,
        gzip: bool,
    ) -> Result<Metadata> {
        if let Some(base_url) = shown.as_stored().filter(|_| gzip)
            && scope.instance.is_none()
        {
            let series = self.catalog(access).pieces(&scope).await?;
            let is_current = series.iter().all(|series| {
                series.is_whole() && series.pieces.iter().all(|piece| piece.base_url == base_url)
            });
            if is_current {
                let pieces = series.iter().flat_map(|series| {
                    series
                        .pieces
                        .iter()
                        .map(|piece| piece_of(&series.series, piece))
                });
                return Ok(self.untouched(pieces.collect()));
            }
        }
        let heads = self.heads(access, scope, shown).await?;
        let (archive, access, form) = (self.clone(), Arc::clone(access), shown.bulk);
        let objects = heads.enumerate().map(move |(at, head)| {
            let (instance, mut object) = head?;
            object.insert(0, if at == 0 { b'[' } else { b',' });
            Ok::<ByteStream, Error>(match form {
                BulkForm::Uri => stream::iter([Ok(Bytes::from(object))]).boxed(),
                BulkForm::Inline => archive.with_values(&access, &instance, object),
            })
        });
        let end = stream::iter([Ok(Bytes::from_static(b"]"))]);
        Ok(Metadata::Plain(objects.try_flatten().chain(end).boxed()))
    }

    /// The metadata of what `scope` names one by one, each an object; values that are links stay links. There is at least one.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata).
    pub async fn heads(
        &self,
        access: &Arc<Access>,
        scope: Scope,
        shown: &Shown,
    ) -> Result<HeadStream> {
        let heads = Heads {
            archive: self.clone(),
            instances: self.walk(access, scope.clone()).await?,
            scope,
            shown: shown.clone(),
            block: None,
        };
        let heads = stream::try_unfold(heads, |mut heads| async move {
            let next = heads.next().await?;
            Ok(next.map(|head| (head, heads)))
        });
        Ok(heads.boxed())
    }

    /// Stored pieces as one gzip member.
    fn untouched(&self, pieces: Vec<(String, Piece)>) -> Metadata {
        let len = GzipArray::byte_count(pieces.iter().map(|(_, piece)| piece));
        let (array, head) = GzipArray::begin();
        let vault = self.vault.clone();
        let middle = stream::unfold(
            (Some(array), pieces.into_iter()),
            move |(array, mut left)| {
                let next = array.map(|mut array| match left.next() {
                    Some((object, piece)) => {
                        let before = stream::iter([Ok(array.before(&piece))]);
                        let bytes = vault.read(&BlobRef {
                            object,
                            range: piece.range,
                        });
                        (before.chain(bytes).boxed(), (Some(array), left))
                    }
                    None => (stream::iter([Ok(array.end())]).boxed(), (None, left)),
                });
                std::future::ready(next)
            },
        );
        Metadata::Gzip(
            len,
            stream::iter([Ok(head)]).chain(middle.flatten()).boxed(),
        )
    }
}

/// A piece as the index keeps it, as the gzip member counts it.
fn piece_of(series: &SeriesUid, piece: &PieceRef) -> (String, Piece) {
    let counted = Piece {
        series: series.clone(),
        range: piece.range.clone(),
        inflated_len: piece.inflated_len,
        crc32: piece.crc32,
        instance_count: piece.instance_count,
    };
    (piece.object.clone(), counted)
}

/// Heads on their way out, one by one.
struct Heads {
    archive: Archive,
    instances: Walk,
    scope: Scope,
    shown: Shown,
    /// The block that was read last: instances of a series share one.
    block: Option<(String, Range<u64>, Bytes)>,
}

impl Heads {
    async fn next(&mut self) -> Result<Option<(Arc<Visible<Instance>>, Vec<u8>)>> {
        let Some(instance) = self.instances.next().await? else {
            return Ok(None);
        };
        let head = self.head(&instance).await?;
        let mut out = Vec::with_capacity(head.len() + 64);
        let from = before(&instance.base_url, &instance);
        let to = self.shown.before(&self.scope, &instance);
        rebase(&head, &from, &to, &mut out);
        Ok(Some((Arc::new(instance), self.shown.of_head(out)?)))
    }

    /// The stored head of an instance.
    async fn head(&mut self, instance: &Visible<Instance>) -> Result<Vec<u8>> {
        let (object, place) = instance.head();
        let is_held = self
            .block
            .as_ref()
            .is_some_and(|(name, range, _)| name == object && *range == place.block);
        if !is_held {
            let vault = &self.archive.vault;
            let bytes = vault
                .read_small(object, place.block.clone(), MAX_BLOCK_BYTES)
                .await?;
            self.block = Some((object.to_owned(), place.block.clone(), bytes));
        }
        let block = self.block.as_ref().map(|(_, _, bytes)| bytes);
        let block = block.ok_or_else(Error::not_found)?;
        inflate::inflate_block(block, &place.json)
    }
}
