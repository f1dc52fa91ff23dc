//! Frames of an instance, as streams of their bytes.

use std::borrow::Borrow;
use std::sync::Arc;

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::Archive;
use super::guard::Pace;
use super::retrieve::ByteStream;
use crate::auth::Access;
use crate::dicom::codec::PixelFormat;
use crate::dicom::frames::{Cutter, FramePlace, FrameTable};
use crate::dicom::window::Window;
use crate::error::{Error, Kind, Result};
use crate::index::catalog::{Instance, Visible};
use crate::model::TransferSyntax;
use crate::model::transfer_syntax::Encoding;
use crate::storage::{Run, frame_table};

/// The longest frame that is inflated (dicomweb.md section 17).
const MAX_FRAME_BYTES: usize = 512 << 20;

/// Frames of one instance for one answer. A clone reads the same bytes.
#[derive(Clone, Debug)]
pub struct Frames {
    archive: Archive,
    access: Arc<Access>,
    instance: Arc<Visible<Instance>>,
    pace: Pace,
    run: Run,
    /// Read once, when a frame is to be decoded.
    pub(super) format: Arc<OnceCell<PixelFormat>>,
}

impl Archive {
    /// Where the frames of an instance lie; `None` for an instance without pixel data.
    ///
    /// # Errors
    /// `Kind::Internal` if the stored table cannot be read.
    pub async fn frame_table(&self, instance: &Visible<Instance>) -> Result<Option<FrameTable>> {
        let Some(column) = &instance.frame_table else {
            return Ok(None);
        };
        let table = frame_table::frame_table(&self.vault, column, &instance.blob().object).await?;
        FrameTable::decode(&table).map(Some)
    }

    /// Begins an answer of the frames at `places`, which are best asked for in this order.
    pub fn frames(
        &self,
        access: Arc<Access>,
        instance: Arc<Visible<Instance>>,
        places: impl IntoIterator<Item = impl Borrow<FramePlace>>,
    ) -> Frames {
        let file = instance.blob();
        let at = file.range.start;
        let ranges = places.into_iter().flat_map(|it| it.borrow().ranges.clone());
        let ranges = ranges.map(|it| at + it.start..at + it.end);
        Frames {
            run: self.vault.run(&file.object, ranges),
            archive: self.clone(),
            access,
            instance,
            pace: Pace::default(),
            format: Arc::default(),
        }
    }
}

impl Frames {
    pub(super) fn archive(&self) -> &Archive {
        &self.archive
    }

    pub(super) fn visible(&self) -> &Visible<Instance> {
        &self.instance
    }

    /// The instance.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The bytes of one frame: native ones in little endian from bit 0 on, compressed ones as their fragments.
    pub fn frame(&self, place: &FramePlace) -> ByteStream {
        let stored = if is_deflated(&self.instance) {
            let window = Window::new(place.ranges.clone());
            self.archive.produce(&self.instance, window)
        } else {
            self.ranges(place)
        };
        let bytes = if place.is_verbatim() {
            stored
        } else {
            cut(stored, Cutter::new(place))
        };
        self.archive
            .guarded(&self.access, &self.instance, &self.pace, bytes)
    }

    /// A frame that is a deflate stream of its own (PS3.5 A.4.13), inflated, with its length in bytes.
    ///
    /// # Errors
    /// `Kind::Internal` if it cannot be inflated, `Kind::TooLarge` beyond 512 MiB.
    pub async fn inflated(&self, place: &FramePlace) -> Result<(u64, ByteStream)> {
        let mut stored = self.frame(place);
        let mut inflater = Decompress::new(false);
        let mut frame = Vec::new();
        while let Some(bytes) = stored.try_next().await? {
            inflate(&mut inflater, &bytes, &mut frame)?;
        }
        let len = frame.len() as u64;
        Ok((len, stream::iter([Ok(Bytes::from(frame))]).boxed()))
    }

    /// The ranges of a place, one behind the other, as they lie in the store.
    fn ranges(&self, place: &FramePlace) -> ByteStream {
        let (run, at) = (self.run.clone(), self.instance.blob().range.start);
        let ranges = stream::iter(place.ranges.clone())
            .map(move |range| run.read(at + range.start..at + range.end));
        ranges.flatten().boxed()
    }
}

/// Inflates the next bytes of a frame; what follows the end of its stream is padding.
fn inflate(inflater: &mut Decompress, mut bytes: &[u8], frame: &mut Vec<u8>) -> Result<()> {
    loop {
        frame.reserve(64 << 10);
        let (before_in, before_out) = (inflater.total_in(), frame.len());
        let status = inflater
            .decompress_vec(bytes, frame, FlushDecompress::None)
            .map_err(|e| Error::internal("a stored frame cannot be inflated", e))?;
        let used = usize::try_from(inflater.total_in() - before_in).unwrap_or(usize::MAX);
        bytes = bytes.get(used..).unwrap_or_default();
        if frame.len() > MAX_FRAME_BYTES {
            return Err(Error::new(
                Kind::TooLarge,
                "a frame inflates to more than 512 MiB",
            ));
        }
        if status == Status::StreamEnd || used == 0 && frame.len() == before_out {
            return Ok(());
        }
    }
}

/// Stored bytes of a frame made a frame that starts at bit 0, in little endian.
fn cut(stored: ByteStream, cutter: Cutter) -> ByteStream {
    let pieces = stream::try_unfold(Some((stored, cutter)), |state| async move {
        let Some((mut stored, mut cutter)) = state else {
            return Ok(None);
        };
        let mut out = Vec::new();
        if let Some(bytes) = stored.try_next().await? {
            cutter.push(&bytes, &mut out);
            return Ok(Some((Bytes::from(out), Some((stored, cutter)))));
        }
        cutter.finish(&mut out);
        Ok::<_, Error>(Some((Bytes::from(out), None)))
    });
    pieces.boxed()
}

/// Whether the data set is deflated, so that no range of it can be read in place.
fn is_deflated(instance: &Instance) -> bool {
    TransferSyntax::of(&instance.transfer_syntax_uid)
        .is_some_and(|syntax| syntax.encoding == Encoding::Deflated)
}
