//! Whole files in another transfer syntax: the data set as it is scanned, the pixels frame by frame.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

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

/// The longest native value: what is longer stays as it is stored (N51).
const MAX_VALUE_BYTES: u64 = 0xFFFF_FFFE;

impl Archive {
    /// The file with its pixels in `target`, with its length in bytes. Frames are made one at a time; those that are encoded
    /// are made twice, because the length stands before the bytes (F25).
    ///
    /// # Errors
    /// `Kind::NotAcceptable` if its pixels cannot be brought into `target`, `Kind::Internal` if what was stored cannot be read
    /// any more.
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
        let (lens, ratio) = recoding.lens().await?;
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
        let (pixel_len, pixels) = recoding.value(lens)?;
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

    /// The length of each frame in the target, for those that are encoded, and how much smaller they are together.
    async fn lens(&self) -> Result<(Vec<u32>, f64)> {
        if !self.target.is_encapsulated() {
            return Ok((Vec::new(), 1.0));
        }
        if !codec::can_encode(self.target, &self.format) {
            return Err(stays("there is no encoder for such pixels"));
        }
        let mut lens = Vec::new();
        for index in 0..self.table.frames() {
            let frame = self.made(index).await?;
            lens.push(u32::try_from(frame.len()).map_err(|e| stays("too long").with_source(e))?);
        }
        let sum: u64 = lens.iter().map(|len| u64::from(*len)).sum();
        let whole = self.format.frame_bytes().saturating_mul(lens.len() as u64);
        #[expect(clippy::cast_precision_loss, reason = "two digits of it are written")]
        let ratio = whole as f64 / sum.max(1) as f64;
        Ok((lens, ratio))
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

    /// The element of the pixel data, header included, and its length. `lens` are those of the fragments.
    fn value(self, lens: Vec<u32>) -> Result<(u64, ByteStream)> {
        if self.target.is_encapsulated() {
            return Ok(self.fragments(lens));
        }
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
        let frames = self.each(|frame, _| vec![frame]);
        let value = stream::iter([Ok(Bytes::from(header))])
            .chain(frames)
            .chain(stream::iter(pad.map(Ok)));
        Ok((all, value.boxed()))
    }

    fn fragments(self, lens: Vec<u32>) -> (u64, ByteStream) {
        let (header, end) = (fragments_header(), fragments_end());
        let fragments: u64 = lens.iter().map(|len| u64::from(*len) + 8).sum();
        let all = (header.len() + end.len()) as u64 + fragments;
        let frames = self.each(move |frame, index| {
            // An encoder gives the same each time; were it not so, the lengths that were sent would be wrong.
            let len = lens.get(index as usize).copied().unwrap_or_default();
            vec![fragment_header(len), frame]
        });
        let value = stream::iter([Ok(Bytes::from(header))])
            .chain(frames)
            .chain(stream::iter([Ok(Bytes::from(end))]));
        (all, value.boxed())
    }

    /// The frames, one after the other, each as the pieces that `pieces` makes of it.
    fn each(
        self,
        pieces: impl Fn(Vec<u8>, u32) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> ByteStream {
        let count = self.table.frames();
        let frames = stream::iter(0..count).then(move |index| {
            let recoding = self.clone();
            async move { Ok::<_, Error>((recoding.made(index).await?, index)) }
        });
        let pieces = move |(frame, index)| {
            let pieces = pieces(frame, index).into_iter();
            stream::iter(pieces.map(|piece| Ok::<_, Error>(Bytes::from(piece))))
        };
        frames.map_ok(pieces).try_flatten().boxed()
    }
}

/// Pixels that stay as they are stored.
fn stays(why: &'static str) -> Error {
    let detail = format!("the pixels cannot be brought into the transfer syntax asked for: {why}");
    Error::new(Kind::NotAcceptable, detail)
}
