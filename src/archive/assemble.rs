//! Data sets and the bulk values that came beside them → files, which go the way of all files (T06).
//!
//! A request brings data sets first and then bulk values in any order, so the values are put aside ([`Spool`]) and each file is
//! written into the ingest when all are there, element by element: in memory are the documents, one data set and one piece of a
//! value.

use std::ops::Range;

use bytes::Bytes;

use super::ingest::{Ingest, Input};
use crate::dicom::compose::{self, Composed, Composer, ENCAPSULATED_END, Piece, pixels};
use crate::dicom::conformance::ELEMENTS_DROPPED;
use crate::dicom::visit::MOST_LEVELS;
use crate::dicom::{head, json, xml};
use crate::error::{Error, Kind, Result};
use crate::model::{Tag, TransferSyntax, VR};
use crate::storage::spool::Spool;

/// The documents of one request, in bytes.
const MOST_DOCUMENT_BYTES: usize = 32 << 20;

/// How data sets are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// An array of data sets in DICOM JSON, or one.
    Json,
    /// One data set in the Native DICOM Model.
    Xml,
}

/// What a part of the request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Data sets.
    Document(Document),
    /// A bulk value.
    Bulk {
        /// What data sets call it.
        location: String,
        /// Its media type, without parameters and in lower case.
        media_type: String,
        /// The transfer syntax that is named beside it.
        transfer_syntax: Option<String>,
    },
}

/// What one request has brought.
#[derive(Debug, Default)]
pub struct Assembly {
    documents: Vec<(Document, Vec<u8>)>,
    document_bytes: usize,
    bulk: Vec<Bulk>,
    spool: Spool,
    /// The part that is arriving.
    arriving: Option<(Role, u64)>,
}

#[derive(Debug)]
struct Bulk {
    location: String,
    media_type: String,
    transfer_syntax: Option<String>,
    range: Range<u64>,
}

impl Assembly {
    /// A part begins.
    pub fn start(&mut self, role: Role) {
        if let Role::Document(kind) = role {
            self.documents.push((kind, Vec::new()));
        }
        self.arriving = Some((role, self.spool.byte_count()));
    }

    /// Bytes of the part.
    ///
    /// # Errors
    /// `Kind::TooLarge` for documents beyond 32 MiB, `Kind::Full` if there is no room to put values aside.
    pub async fn data(&mut self, bytes: &[u8]) -> Result<()> {
        match &self.arriving {
            None => Ok(()),
            Some((Role::Bulk { .. }, _)) => self.spool.write(bytes).await,
            Some((Role::Document(_), _)) => {
                self.document_bytes += bytes.len();
                if self.document_bytes > MOST_DOCUMENT_BYTES {
                    let detail = "the metadata of one request may be 32 MiB long";
                    return Err(Error::new(Kind::TooLarge, detail));
                }
                if let Some((_, document)) = self.documents.last_mut() {
                    document.extend_from_slice(bytes);
                }
                Ok(())
            }
        }
    }

    /// The part is complete.
    pub fn end(&mut self) {
        let arrived = self.arriving.take();
        if let Some((
            Role::Bulk {
                location,
                media_type,
                transfer_syntax,
            },
            start,
        )) = arrived
        {
            self.bulk.push(Bulk {
                location,
                media_type,
                transfer_syntax,
                range: start..self.spool.byte_count(),
            });
        }
    }

    /// Stores what is complete: one part of the ingest for each data set.
    ///
    /// # Errors
    /// If values that were put aside cannot be read again.
    pub async fn deliver(mut self, ingest: &mut Ingest) -> Result<()> {
        if let Some((Role::Document(_), _)) = self.arriving.take() {
            // The part in flight leaves nothing behind (T52).
            self.documents.pop();
        }
        for (kind, document) in std::mem::take(&mut self.documents) {
            let made = tokio::task::spawn_blocking(move || data_sets(kind, document));
            let mut made = made
                .await
                .map_err(|cause| Error::internal("metadata cannot be read", cause))?;
            while let Some((composed, rest)) = next(made).await? {
                made = rest;
                ingest.send(Input::Start).await;
                match composed {
                    Ok(composed) => self.file(composed, ingest).await?,
                    Err(error) => broken(ingest, error.detail()).await,
                }
            }
        }
        Ok(())
    }

    async fn file(&mut self, composed: Composed, ingest: &mut Ingest) -> Result<()> {
        let syntax = match self.syntax(&composed).await? {
            Ok(syntax) => syntax,
            Err(text) => {
                broken(ingest, &text).await;
                return Ok(());
            }
        };
        let is_encapsulated =
            TransferSyntax::of(&syntax).is_some_and(TransferSyntax::is_encapsulated);
        if !composed.dropped.is_empty() {
            let names: Vec<String> = composed
                .dropped
                .iter()
                .map(|tag| head::name(*tag))
                .collect();
            let text = format!("left out: {}", names.join(", "));
            ingest.send(Input::Odd(ELEMENTS_DROPPED, text)).await;
        }
        for piece in composed.pieces(&syntax) {
            match piece {
                Piece::Bytes(bytes) => send(ingest, bytes.into()).await,
                Piece::Bulk {
                    uri,
                    tag,
                    vr,
                    is_pixels,
                } => {
                    let ranges = self.ranges(&uri);
                    let has_sent = if ranges.is_empty() {
                        false
                    } else if is_pixels && is_encapsulated {
                        self.fragments(ranges, ingest).await?
                    } else {
                        self.value((tag, vr), ranges, ingest).await?
                    };
                    if !has_sent {
                        let name = head::name(tag);
                        let text = format!("{name} has bulk data that are not in the request");
                        broken(ingest, &text).await;
                        return Ok(());
                    }
                }
            }
        }
        ingest.send(Input::End).await;
        Ok(())
    }

    /// Where the values called `uri` lie, in the order in which they came.
    fn ranges(&self, uri: &str) -> Vec<Range<u64>> {
        let named = self.bulk.iter().filter(|bulk| is_same(&bulk.location, uri));
        named.map(|bulk| bulk.range.clone()).collect()
    }

    /// The transfer syntax of the file, by its pixel data; or why there is none.
    async fn syntax(&mut self, composed: &Composed) -> Result<Result<String, String>> {
        let found = composed.pixels().and_then(|uri| {
            let mut bulk = self.bulk.iter();
            bulk.find(|bulk| is_same(&bulk.location, uri))
        });
        let Some(bulk) = found else {
            return Ok(Ok(pixels::EXPLICIT_LITTLE.to_owned()));
        };
        let first = self.spool.read(&mut bulk.range.clone()).await?;
        let syntax = pixels::syntax(&bulk.media_type, bulk.transfer_syntax.as_deref(), &first);
        Ok(syntax.map(str::to_owned).ok_or_else(|| {
            "(7FE0,0010) PixelData is of a media type or transfer syntax that is not taken here"
                .to_owned()
        }))
    }

    /// A value, parts of one name one behind the other; whether it could be sent.
    async fn value(
        &mut self,
        (tag, vr): (Tag, VR),
        ranges: Vec<Range<u64>>,
        ingest: &mut Ingest,
    ) -> Result<bool> {
        let len = ranges.iter().map(|range| range.end - range.start).sum();
        let Some((header, padding)) = compose::around(tag, vr, len) else {
            return Ok(false);
        };
        send(ingest, header.into()).await;
        for range in ranges {
            self.range(range, ingest).await?;
        }
        send(ingest, Bytes::from_static(padding)).await;
        Ok(true)
    }

    /// Encapsulated pixel data, one fragment a part.
    async fn fragments(&mut self, ranges: Vec<Range<u64>>, ingest: &mut Ingest) -> Result<bool> {
        send(ingest, compose::encapsulated().into()).await;
        for range in ranges {
            let len = range.end - range.start;
            let Ok(even) = u32::try_from(len.next_multiple_of(2)) else {
                return Ok(false);
            };
            send(ingest, Bytes::copy_from_slice(&compose::fragment(even))).await;
            self.range(range, ingest).await?;
            if u64::from(even) > len {
                send(ingest, Bytes::from_static(&[0])).await;
            }
        }
        send(ingest, Bytes::from_static(&ENCAPSULATED_END)).await;
        Ok(true)
    }

    async fn range(&mut self, mut range: Range<u64>, ingest: &mut Ingest) -> Result<()> {
        while !range.is_empty() {
            let bytes = self.spool.read(&mut range).await?;
            send(ingest, bytes).await;
        }
        Ok(())
    }
}

async fn send(ingest: &mut Ingest, bytes: Bytes) {
    if !bytes.is_empty() {
        ingest.send(Input::Data(bytes)).await;
    }
}

async fn broken(ingest: &mut Ingest, text: &str) {
    ingest.send(Input::Broken(text.to_owned())).await;
}

/// Whether a part is the one that a data set means.
fn is_same(location: &str, uri: &str) -> bool {
    location.trim_start_matches("./") == uri.trim_start_matches("./")
}

/// The data sets of a document, still to be read.
struct DataSets {
    kind: Document,
    text: String,
    ranges: std::vec::IntoIter<Range<usize>>,
    /// Why the document is none.
    error: Option<Error>,
}

fn data_sets(kind: Document, document: Vec<u8>) -> DataSets {
    let no_text = |_| Error::invalid("the metadata is not UTF-8");
    let found = String::from_utf8(document)
        .map_err(no_text)
        .and_then(|text| {
            let ranges = match kind {
                Document::Json => json::data_sets(&text)?,
                Document::Xml => std::iter::once(0..text.len()).collect(),
            };
            Ok((text, ranges))
        });
    let (text, ranges, error) = match found {
        Ok((text, ranges)) => (text, ranges, None),
        Err(error) => (String::new(), Vec::new(), Some(error)),
    };
    DataSets {
        kind,
        text,
        ranges: ranges.into_iter(),
        error,
    }
}

/// The next data set of a document. A large one takes its time, so it is read where nobody waits for the thread.
async fn next(mut sets: DataSets) -> Result<Option<(Result<Composed>, DataSets)>> {
    if let Some(error) = sets.error.take() {
        return Ok(Some((Err(error), sets)));
    }
    let Some(range) = sets.ranges.next() else {
        return Ok(None);
    };
    let composed = tokio::task::spawn_blocking(move || {
        let text = sets.text.get(range).unwrap_or_default();
        let mut composer = Composer::default();
        let read = match sets.kind {
            Document::Json => json::walk(text, MOST_LEVELS, &mut composer),
            Document::Xml => xml::read(text, MOST_LEVELS, &mut composer),
        };
        (read.map(|()| composer.finish()), sets)
    });
    composed
        .await
        .map(Some)
        .map_err(|cause| Error::internal("metadata cannot be read", cause))
}
