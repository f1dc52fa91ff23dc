//! Frames as samples: read, then decoded on a thread that may compute.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::Archive;
use super::frames::Frames;
use super::retrieve::ByteStream;
use super::through::{Produce, Through};
use crate::dicom::codec::{self, CodecError, Describe, PixelFormat, Samples};
use crate::dicom::frames::FramePlace;
use crate::error::{Error, Kind, Result};
use crate::index::catalog::{Instance, Visible};
use crate::model::TransferSyntax;
use crate::storage::BlobRef;

/// The first read of the start of a file; each further one is twice as long.
const FIRST_READ_BYTES: u64 = 32 << 10;
/// Such a frame may be longer than its samples: profiles and comments stand in it.
const SPARE_BYTES: u64 = 4 << 20;

impl Archive {
    /// What the data set of an instance says of its pixels. Reads the start of its file, not more than is needed.
    ///
    /// # Errors
    /// `Kind::Internal` if what was stored cannot be read any more.
    pub async fn pixel_format(&self, instance: &Visible<Instance>) -> Result<PixelFormat> {
        let mut reading = Through::over(self.start(&instance.blob()), Describe::new());
        while reading.next().await?.is_some() {}
        Ok(reading.sink.format())
    }

    /// A stored file in reads that begin small, for those who give up early.
    fn start(&self, file: &BlobRef) -> ByteStream {
        let vault = self.vault().clone();
        let state = (file.clone(), FIRST_READ_BYTES);
        let reads = stream::unfold(state, move |(mut left, len)| {
            let end = left.range.end.min(left.range.start.saturating_add(len));
            let read = (left.range.start < end).then(|| BlobRef {
                object: left.object.clone(),
                range: left.range.start..end,
            });
            left.range.start = end;
            let next = read.map(|read| (vault.read(&read), (left, len.saturating_mul(2))));
            std::future::ready(next)
        });
        reads.flatten().boxed()
    }
}

impl Frames {
    /// What the data set says of the pixels of these frames.
    ///
    /// # Errors
    /// As [`Archive::pixel_format`].
    pub async fn pixel_format(&self) -> Result<PixelFormat> {
        let (archive, instance) = (self.archive(), self.visible());
        let format = self
            .format
            .get_or_try_init(|| archive.pixel_format(instance))
            .await?;
        Ok(*format)
    }

    /// The frame at `place`, decoded.
    ///
    /// # Errors
    /// `Kind::NotAcceptable` if there is no decoder for it or the stored frame is damaged, `Kind::TooLarge` beyond 512 MiB,
    /// and what reading fails with.
    pub async fn decoded(&self, place: &FramePlace) -> Result<Samples> {
        self.decoded_then(place, |samples| samples).await
    }

    /// What `then` makes of the frame at `place`, decoded, without giving its core to anybody else in between: samples are
    /// many times as long as what they are made of and what is made of them.
    ///
    /// # Errors
    /// As [`Frames::decoded`].
    pub async fn decoded_then<T: Send + 'static>(
        &self,
        place: &FramePlace,
        then: impl FnOnce(Samples) -> T + Send + 'static,
    ) -> Result<T> {
        self.made(place, |syntax, format, stored| {
            codec::decode(syntax, format, stored).map(then)
        })
        .await
    }

    /// The frame at `place` as octets laid out as its data set says (F40, N52).
    ///
    /// # Errors
    /// As [`Self::decoded`].
    pub async fn octets(&self, place: &FramePlace) -> Result<Vec<u8>> {
        let make = |syntax: &_, format: &_, stored: &[u8]| {
            Ok(codec::octets(
                codec::decode(syntax, format, stored)?,
                format,
            ))
        };
        self.made(place, make).await
    }

    /// The frame at `place` in the transfer syntax `target` (N55).
    ///
    /// # Errors
    /// As [`Self::decoded`]; `Kind::NotAcceptable` also if such pixels cannot be encoded so.
    pub async fn encoded(
        &self,
        place: &FramePlace,
        target: &'static TransferSyntax,
    ) -> Result<Vec<u8>> {
        let make = |syntax: &_, format: &_, stored: &[u8]| {
            let original = codec::original_jpeg(syntax, format, stored);
            match original.filter(|_| target.uid == codec::ORIGINAL_JPEG) {
                Some(jpeg) => jpeg,
                None => codec::encode(target, &codec::decode(syntax, format, stored)?),
            }
        };
        self.made(place, make).await
    }

    /// What `make` makes of the stored bytes of the frame at `place`.
    async fn made<T: Send + 'static>(
        &self,
        place: &FramePlace,
        make: impl FnOnce(&'static TransferSyntax, &PixelFormat, &[u8]) -> codec::Result<T>
        + Send
        + 'static,
    ) -> Result<T> {
        let name = &self.instance().transfer_syntax_uid;
        let syntax = TransferSyntax::of(name)
            .ok_or_else(|| undecodable(&CodecError::Unsupported("this transfer syntax".into())))?;
        let format = self.pixel_format().await?;
        let stored = self.stored(place, &format).await?;
        let work = move || make(syntax, &format, &stored);
        let result = self.archive().compute(work).await?;
        result.map_err(|e| undecodable(&e))
    }

    /// The stored bytes of the frame in one piece.
    async fn stored(&self, place: &FramePlace, format: &PixelFormat) -> Result<Vec<u8>> {
        let cap = format.frame_bytes().min(codec::MAX_FRAME_BYTES) * 2 + SPARE_BYTES;
        if place.stored_len() > cap {
            return Err(undecodable(&CodecError::Damaged(
                "it is much longer than what its data set describes".into(),
            )));
        }
        let mut stored = Vec::with_capacity(usize::try_from(place.len()).unwrap_or_default());
        let mut bytes = self.frame(place);
        while let Some(piece) = bytes.try_next().await? {
            stored.extend_from_slice(&piece);
        }
        Ok(stored)
    }
}

/// What a caller hears of a frame that cannot be decoded.
fn undecodable(error: &CodecError) -> Error {
    let kind = match error {
        CodecError::TooLarge => Kind::TooLarge,
        CodecError::Unsupported(_) | CodecError::Damaged(_) => Kind::NotAcceptable,
    };
    Error::new(kind, error.to_string())
}

impl Produce for Describe {
    fn made(&mut self) -> bytes::Bytes {
        bytes::Bytes::new()
    }

    fn is_done(&self) -> bool {
        Self::is_done(self)
    }
}
