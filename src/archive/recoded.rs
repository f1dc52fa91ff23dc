//! Whole files in another transfer syntax: the data set as it is scanned, the pixels frame by frame.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};

use super::Archive;
use super::frames::Frames;
use super::guard::Pace;
use super::retrieve::{ByteStream, length};
use crate::auth::Access;
use crate::dicom::codec::{self, PixelFormat};
use crate::dicom::frames::{FramePlace, FrameTable};
use crate::dicom::transcode::{
    self, Around, Edits, Side, ToExplicitLittle, fragment_header, fragments_end, fragments_header,
    native_header,
};
use crate::error::{Error, Kind, Result};
use crate::index::catalog::{Instance, Visible};
use crate::model::TransferSyntax;
use crate::storage::spool::Spool;

/// The longest native value: what is longer stays as it is stored (N51).
const MAX_VALUE_BYTES: u64 = 0xFFFF_FFFE;

impl Archive {
    /// The file with its pixels in `target`, with its length in bytes. Frames are made one at a time; those that are encoded
    /// are put aside, because the length stands before the bytes (F25).
    ///
    /// # Errors
    /// `Kind::NotAcceptable` if its pixels cannot be brought into `target`, `Kind::Full` if there is no room to put frames aside,
    /// `Kind::Internal` if what was stored cannot be read any more.
    pub async fn file_recoded(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
        target: &'static TransferSyntax,
        pace: &Pace,
    ) -> Result<(u64, ByteStream)> {
        let table = self.frame_table(instance).await?;
        let table = table.filter(|table| table.frames() > 0);
        let table = Arc::new(table.ok_or_else(|| stays("it has no frames"))?);
        let frames = {
            let places = (0..table.frames()).filter_map(|index| table.frame(index));
            self.frames(Arc::clone(access), Arc::clone(instance), places)
        };
        let recoding = Recoding {
            format: frames.pixel_format().await?,
            frames,
            table,
            target,
        };
        let encoded = recoding.encoded().await?;
        let ratio = encoded.as_ref().map_or(1.0, |encoded| encoded.ratio);
        let first = recoding.frames.decoded(&recoding.place(0)?).await?;
        let edits = transcode::edits(&recoding.format, &first.format, target, ratio);
        let side = |side, edits: &Edits| {
            let writer =
                ToExplicitLittle::new(instance.sop_class.clone(), instance.instance.clone());
            self.produce(instance, Around::new(writer, target, side, edits.clone()))
        };
        let around = length(side(Side::Before, &edits)).await?;
        let behind = length(side(Side::Behind, &Edits::new())).await?;
        let before = side(Side::Before, &edits);
        let (pixel_len, pixels) = match encoded {
            Some(encoded) => encoded.value(),
            None => recoding.native_value()?,
        };
        let rest = if behind == 0 {
            stream::empty().boxed()
        } else {
            side(Side::Behind, &Edits::new())
        };
        let bytes = before.chain(pixels).chain(rest).boxed();
        let len = around + pixel_len + behind;
        Ok((len, self.guarded(access, instance, pace, bytes)))
    }
}

/// Frames on their way into another transfer syntax.
#[derive(Clone, Debug)]
struct Recoding {
    frames: Frames,
    table: Arc<FrameTable>,
    format: PixelFormat,
    target: &'static TransferSyntax,
}

impl Recoding {
    fn place(&self, index: u32) -> Result<FramePlace> {
        let place = self.table.frame(index);
        place.ok_or_else(|| stays("a frame is missing"))
    }

    /// All frames in the target, for one that encodes them.
    async fn encoded(&self) -> Result<Option<Encoded>> {
        if !self.target.is_encapsulated() {
            return Ok(None);
        }
        if !codec::can_encode(self.target, &self.format) {
            return Err(stays("there is no encoder for such pixels"));
        }
        let (mut lens, mut spool) = (Vec::new(), Spool::default());
        for index in 0..self.table.frames() {
            let frame = self.made(index).await?;
            lens.push(u32::try_from(frame.len()).map_err(|e| stays("too long").with_source(e))?);
            spool.write(&frame).await?;
        }
        let whole = self.format.frame_bytes().saturating_mul(lens.len() as u64);
        #[expect(clippy::cast_precision_loss, reason = "two digits of it are written")]
        let ratio = whole as f64 / spool.byte_count().max(1) as f64;
        Ok(Some(Encoded { lens, spool, ratio }))
    }

    /// One frame in the target, even in length if it is a fragment.
    async fn made(&self, index: u32) -> Result<Vec<u8>> {
        let place = self.place(index)?;
        if !self.target.is_encapsulated() {
            return self.frames.octets(&place).await;
        }
        let mut frame = self.frames.encoded(&place, self.target).await?;
        frame.resize(frame.len().next_multiple_of(2), 0);
        Ok(frame)
    }

    /// The element of native pixel data, header included, and its length.
    fn native_value(self) -> Result<(u64, ByteStream)> {
        let frame_bits = self.format.frame_bytes().saturating_mul(8);
        let count = u64::from(self.table.frames());
        let is_packed = self.format.bits_allocated == 1 && !self.format.pixels().is_multiple_of(8);
        if is_packed && count > 1 {
            return Err(stays("its frames begin inside of octets"));
        }
        let len = (frame_bits / 8).saturating_mul(count);
        let even = len.next_multiple_of(2);
        let declared = u32::try_from(even).ok().filter(|_| even <= MAX_VALUE_BYTES);
        let declared = declared.ok_or_else(|| {
            let detail = "the pixels are longer than one value may be when they are expanded";
            Error::new(Kind::TooLarge, detail)
        })?;
        let header = native_header(&self.format, declared);
        let all = header.len() as u64 + even;
        let pad = (even > len).then(|| Bytes::from_static(&[0]));
        let value = stream::iter([Ok(Bytes::from(header))])
            .chain(self.each())
            .chain(stream::iter(pad.map(Ok)));
        Ok((all, value.boxed()))
    }

    /// The frames, one after the other.
    fn each(self) -> ByteStream {
        let frames = stream::iter(0..self.table.frames()).then(move |index| {
            let recoding = self.clone();
            async move { Ok::<_, Error>(recoding.made(index).await?.into()) }
        });
        frames.boxed()
    }
}

/// Encoded frames that wait to be sent.
struct Encoded {
    /// The length of each.
    lens: Vec<u32>,
    spool: Spool,
    /// How much smaller they are together.
    ratio: f64,
}

impl Encoded {
    /// The element of the pixel data, header included, and its length: a frame is a fragment.
    fn value(self) -> (u64, ByteStream) {
        let (header, end) = (fragments_header(), fragments_end());
        let fragments: u64 = self.lens.iter().map(|len| u64::from(*len) + 8).sum();
        let all = (header.len() + end.len()) as u64 + fragments;
        let state = (self.spool, self.lens.into_iter(), 0..0);
        let pieces = stream::try_unfold(state, async |(mut spool, mut lens, mut left)| {
            if !Range::is_empty(&left) {
                let piece = spool.read(&mut left).await?;
                return Ok(Some((piece, (spool, lens, left))));
            }
            let Some(len) = lens.next() else {
                return Ok(None);
            };
            left = left.end..left.end + u64::from(len);
            let header = Bytes::from(fragment_header(len));
            Ok::<_, Error>(Some((header, (spool, lens, left))))
        });
        let value = stream::iter([Ok(Bytes::from(header))])
            .chain(pieces)
            .chain(stream::iter([Ok(Bytes::from(end))]));
        (all, value.boxed())
    }
}

/// Pixels that stay as they are stored.
fn stays(why: &'static str) -> Error {
    let detail = format!("the pixels cannot be brought into the transfer syntax asked for: {why}");
    Error::new(Kind::NotAcceptable, detail)
}
