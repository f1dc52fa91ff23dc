//! What a request of MINT brings (MINT 9.1): a document, which is read and checked when it is there, and items, which wait in a spool
//! until they are needed. In memory are the document, the first megabyte of what waits, and one piece of an item.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _};
use std::ops::Range;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::composing::Composing;
use crate::archive::Archive;
use crate::dicom::mint::Form;
use crate::dicom::mint::check::{Check, Purpose};
use crate::dicom::mint::document::{MAX_NUMBER, Study};
use crate::error::{Error, Kind, Result};
use crate::storage::spool::Spool;

/// The longest document, in bytes, as it comes and expanded.
const MOST_DOCUMENT_BYTES: usize = 64 << 20;

/// How the document of a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its form.
    pub form: Form,
    /// Whether it is packed with gzip.
    pub is_packed: bool,
}

/// What a part of the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arriving {
    Nothing,
    Document(Written),
    /// An item, whose bytes start here in the spool.
    Item(u32, u64),
}

/// A request on its way in.
#[derive(Debug)]
pub struct Arrival {
    archive: Archive,
    purpose: Purpose,
    arriving: Arriving,
    document: Vec<u8>,
    read: Option<(Arc<Study>, Check)>,
    items: ItemsOfRequest,
    /// What is done with items as they come; else they wait until all have come.
    composing: Option<Composing>,
    /// Why nothing will come of it, from the first thing on that was wrong.
    failed: Option<Error>,
}

/// What came of a request: a document that was checked, and its items.
pub(super) struct Arrived {
    pub(super) document: Arc<Study>,
    pub(super) items: ItemsOfRequest,
}

/// The items of a request.
#[derive(Debug, Default)]
pub(super) struct ItemsOfRequest {
    spool: Spool,
    /// Where in the spool they are that wait.
    places: BTreeMap<u32, Range<u64>>,
    /// The lengths in bytes of all that came.
    lens: BTreeMap<u32, u64>,
}

impl Archive {
    /// Before the first part of a request.
    pub fn arrival(&self, purpose: Purpose) -> Arrival {
        Arrival {
            archive: self.clone(),
            purpose,
            arriving: Arriving::Nothing,
            document: Vec::new(),
            read: None,
            items: ItemsOfRequest::default(),
            composing: None,
            failed: None,
        }
    }
}

impl Arrival {
    /// The same where something is done with items as they come.
    pub(super) fn composing(self, composing: Composing) -> Self {
        Self {
            composing: Some(composing),
            ..self
        }
    }

    /// Notes why nothing will come of it. What still arrives is passed over.
    pub fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// The document begins.
    pub fn start_document(&mut self, written: Written) {
        self.arriving = Arriving::Document(written);
    }

    /// An item begins (MINT U02).
    ///
    /// # Errors
    /// `Kind::Invalid` for a number that came before (MINT X16).
    pub fn start_item(&mut self, number: u32) -> Result<()> {
        if self.items.has(number) {
            return Err(Error::invalid(format!("binary item {number} came twice")));
        }
        if number > MAX_NUMBER {
            self.fail(unprocessable("the number of a binary item is beyond 2^31"));
        }
        self.arriving = Arriving::Item(number, self.items.spool.byte_count());
        Ok(())
    }

    /// Bytes of what has begun.
    pub async fn data(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        match self.arriving {
            Arriving::Nothing => {}
            Arriving::Document(_) => {
                if self.document.len().saturating_add(bytes.len()) > MOST_DOCUMENT_BYTES {
                    self.fail(unprocessable("the document is longer than 64 MiB"));
                    return;
                }
                self.document.extend_from_slice(bytes);
            }
            Arriving::Item(..) => {
                if let Err(error) = self.items.spool.write(bytes).await {
                    self.fail(error);
                }
            }
        }
    }

    /// What has begun is complete.
    pub async fn end(&mut self) {
        let arrived = std::mem::replace(&mut self.arriving, Arriving::Nothing);
        match arrived {
            Arriving::Document(written) if self.failed.is_none() => {
                let (document, purpose) = (std::mem::take(&mut self.document), self.purpose);
                let reading = self
                    .archive
                    .compute(move || read(written, purpose, &document));
                match reading.await.flatten() {
                    Ok((study, check)) => self.read = Some((Arc::new(study), check)),
                    Err(error) => self.fail(error),
                }
            }
            Arriving::Nothing | Arriving::Document(_) => {}
            Arriving::Item(number, start) => self.items.add(number, start),
        }
        self.advance().await;
    }

    /// Does what can be done with what is there.
    async fn advance(&mut self) {
        let (Some(composing), Some((study, _)), None) =
            (&mut self.composing, &self.read, &self.failed)
        else {
            return;
        };
        if let Err(error) = composing.advance(study, &mut self.items).await {
            self.fail(error);
        }
    }

    /// What was done with items as they came.
    pub(super) fn composed(&mut self) -> Option<Composing> {
        self.composing.take()
    }

    /// Everything has come.
    ///
    /// # Errors
    /// What was wrong first; `Kind::Unprocessable` where document and items do not belong together.
    pub(super) fn finish(&mut self) -> Result<Arrived> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let read = self.read.take();
        let (document, check) = read.ok_or_else(|| unprocessable("there is no document"))?;
        let items = std::mem::take(&mut self.items);
        check.finish(&items.lens)?;
        Ok(Arrived { document, items })
    }
}

impl ItemsOfRequest {
    /// One whose bytes are those of the spool from `start` on.
    fn add(&mut self, number: u32, start: u64) {
        let place = start..self.spool.byte_count();
        self.lens
            .insert(number, place.end.saturating_sub(place.start));
        self.places.insert(number, place);
    }

    /// Whether it came.
    pub(super) fn has(&self, number: u32) -> bool {
        self.lens.contains_key(&number)
    }

    /// The length of one in bytes.
    pub(super) fn len(&self, number: u32) -> Option<u64> {
        self.lens.get(&number).copied()
    }

    /// The lengths of all in bytes, by number.
    pub(super) fn lens(&self) -> &BTreeMap<u32, u64> {
        &self.lens
    }

    /// One is no longer needed.
    pub(super) fn forget(&mut self, number: u32) {
        self.places.remove(&number);
    }

    /// Empties the spool, where nothing waits in it.
    pub(super) async fn settle(&mut self) {
        if self.places.is_empty() {
            self.spool.clear().await;
        }
    }

    /// The number behind the last; 0 without any.
    pub(super) fn next(&self) -> u32 {
        let last = self.lens.last_key_value();
        last.map_or(0, |(last, _)| last.saturating_add(1))
    }

    /// A piece of the bytes of an item in `range`, from which it is taken.
    ///
    /// # Errors
    /// `Kind::Unprocessable` for one that is wanted again after it was no longer needed (MINT V02).
    pub(super) async fn read(
        &mut self,
        number: u32,
        range: &mut Range<u64>,
    ) -> Result<bytes::Bytes> {
        let place = self.places.get(&number);
        let place = place
            .ok_or_else(|| unprocessable(format!("binary item {number} is referred to twice")))?;
        let start = place.start;
        let mut place = start.saturating_add(range.start)..start.saturating_add(range.end);
        let bytes = self.spool.read(&mut place).await?;
        range.start = place.start.saturating_sub(start);
        Ok(bytes)
    }
}

/// Reads and checks a document.
fn read(written: Written, purpose: Purpose, document: &[u8]) -> Result<(Study, Check)> {
    let most = u64::try_from(MOST_DOCUMENT_BYTES).unwrap_or(u64::MAX);
    let plain: Box<dyn BufRead> = if written.is_packed {
        Box::new(BufReader::new(MultiGzDecoder::new(document).take(most)))
    } else {
        Box::new(document)
    };
    let (mut study, mut check) = (Study::default(), Check::new(purpose));
    written.form.read(plain, |part| {
        check.part(&part)?;
        study.add(part);
        Ok(())
    })?;
    Ok((study, check))
}

/// A refusal of what is well formed.
pub(super) fn unprocessable(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(Kind::Unprocessable, detail)
}
