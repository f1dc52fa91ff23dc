//! Pictures of stored instances: head and frame are read, then decoded, shown and written on a thread that may compute.

use std::sync::Arc;

use futures::TryStreamExt;
use tokio::sync::OnceCell;

use super::Archive;
use super::frames::Frames;
use super::metadata::MAX_BLOCK_BYTES;
use crate::auth::Access;
use crate::dicom::bulk::BulkPath;
use crate::dicom::frames::{FramePlace, FrameTable};
use crate::dicom::render::head::Bulk;
use crate::dicom::render::image::{frame_ms, representative_frame};
use crate::dicom::render::{
    self, Colors, Head, Image, Picture, PictureType, Presentation, Raster, Wish,
};
use crate::error::{Error, Kind, Result};
use crate::index::catalog::{Instance, Visible};
use crate::model::SopInstanceUid;
use crate::storage::inflate;

/// The longest table, overlay or palette that is fetched for a picture: a plane of one bit of 16,384 by 16,384.
const MAX_BULK_BYTES: u64 = 32 << 20;

/// So many of them are.
const MAX_BULKS: usize = 64;

/// Pictures of one instance, for one answer.
#[derive(Clone, Debug)]
pub struct Rendering {
    archive: Archive,
    access: Arc<Access>,
    instance: Arc<Visible<Instance>>,
    head: Arc<Vec<u8>>,
    table: Arc<FrameTable>,
    frames: Frames,
    /// Tables, overlays and palettes; fetched once.
    bulk: Arc<OnceCell<Bulk>>,
    /// The head and the digest of a presentation state that is applied.
    state: Option<(Arc<Head>, [u8; 32])>,
}

impl Archive {
    /// The stored head of an instance, DICOM JSON.
    ///
    /// # Errors
    /// `Kind::Internal` if what was stored cannot be read any more.
    pub async fn head(&self, instance: &Visible<Instance>) -> Result<Vec<u8>> {
        let (object, place) = instance.head();
        let block = self
            .vault
            .read_small(object, place.block.clone(), MAX_BLOCK_BYTES)
            .await?;
        inflate::inflate_block(&block, &place.json)
    }

    /// Begins to make pictures of the frames in `table`.
    ///
    /// # Errors
    /// As [`Archive::head`].
    pub async fn rendering(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
        table: FrameTable,
    ) -> Result<Rendering> {
        let places = std::iter::empty::<FramePlace>();
        Ok(Rendering {
            head: Arc::new(self.head(instance).await?),
            frames: self.frames(Arc::clone(access), Arc::clone(instance), places),
            archive: self.clone(),
            access: Arc::clone(access),
            instance: Arc::clone(instance),
            table: Arc::new(table),
            bulk: Arc::default(),
            state: None,
        })
    }

    /// What a drawing needs of the head of an instance, its large values included.
    ///
    /// # Errors
    /// As [`Archive::head`]; `Kind::NotAcceptable` if it nests too deeply.
    pub async fn render_head(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
    ) -> Result<Head> {
        let json = self.head(instance).await?;
        let mut head = self.compute(move || Head::read(&json, 0)).await??;
        head.bulk = self.render_bulk(access, instance, &head).await?;
        Ok(head)
    }

    /// The values of a head that lie in its file.
    async fn render_bulk(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
        head: &Head,
    ) -> Result<Bulk> {
        let mut bulk = Bulk::new();
        for path in head.missing().iter().take(MAX_BULKS) {
            let value = self.small_bulk(access, instance, path).await?;
            if let Some(value) = value {
                bulk.insert(path.to_string(), value);
            }
        }
        Ok(bulk)
    }

    /// A bulk value in one piece; `None` if it is not there or too long.
    ///
    /// # Errors
    /// As [`Archive::bulk`].
    async fn small_bulk(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
        path: &BulkPath,
    ) -> Result<Option<Vec<u8>>> {
        let value = self.bulk(access, instance, path).await?;
        let Some(mut value) = value.filter(|value| value.len <= MAX_BULK_BYTES) else {
            return Ok(None);
        };
        let mut whole = Vec::new();
        while let Some(bytes) = value.bytes.try_next().await? {
            whole.extend_from_slice(&bytes);
        }
        Ok(Some(whole))
    }
}

impl Rendering {
    /// The instance.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The same as a presentation state wants it, by its head and the digest of its file.
    #[must_use]
    pub fn presented(mut self, state: Head, digest: [u8; 32]) -> Self {
        self.state = Some((Arc::new(state), digest));
        self
    }

    /// The digest of the presentation state that is applied.
    pub fn state(&self) -> Option<[u8; 32]> {
        self.state.as_ref().map(|(_, digest)| *digest)
    }

    /// The archive that it comes from.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The number of frames.
    pub fn frames(&self) -> u32 {
        self.table.frames()
    }

    /// The frame that stands for all of them, from 0, and how long each stands in a film, in milliseconds.
    ///
    /// # Errors
    /// `Kind::NotAcceptable` if the head nests too deeply.
    pub fn overview(&self) -> Result<(u32, f64)> {
        let head = Head::read(&self.head, 0)?;
        Ok((representative_frame(&head, self.frames()), frame_ms(&head)))
    }

    /// The picture of frame `frame_index`.
    ///
    /// # Errors
    /// `Kind::NotAcceptable` if there is no decoder for it or no picture in it, `Kind::NotFound` beyond the last frame, and
    /// what reading fails with.
    pub async fn picture(&self, frame_index: u32, wish: &Wish) -> Result<Picture> {
        self.shown(frame_index, wish, |picture, _| Ok(picture))
            .await
    }

    /// The picture of frame `frame_index` as a file.
    ///
    /// # Errors
    /// As [`Rendering::picture`].
    pub async fn file(&self, frame_index: u32, wish: &Wish, kind: PictureType) -> Result<Vec<u8>> {
        let profile = wish.profile;
        let write = move |picture, colors: &Colors| render::file(picture, colors, profile, kind);
        self.shown(frame_index, wish, write).await
    }

    async fn shown<T: Send + 'static>(
        &self,
        frame_index: u32,
        wish: &Wish,
        then: impl FnOnce(Picture, &Colors) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.table.frame(frame_index).ok_or_else(Error::not_found)?;
        let mut head = self.head_of(frame_index).await?;
        if wish.profile.is_none() {
            head.forget_colors();
        }
        head.bulk = self.bulk(&head).await?;
        let (wish, state) = (wish.clone(), self.state.clone());
        let instance = self.instance.instance.clone();
        let shown = self.frames.decoded_then(&place, move |samples| {
            let raster = Raster::new(samples, head.has_float_pixels)?;
            let image = Image::of(&head, frame_index);
            let state = state.as_ref().map(|(head, _)| &**head);
            let colors = match wish.profile {
                Some(_) => Colors::of(&head, state),
                None => Colors::default(),
            };
            let state = match state {
                Some(head) => Some(presented(head, &instance, frame_index)?),
                None => None,
            };
            let picture = render::picture(image, &raster, &wish, state.as_ref());
            then(picture, &colors)
        });
        shown.await?
    }

    /// The head with the functional groups of a frame; some have thousands of them.
    async fn head_of(&self, frame_index: u32) -> Result<Head> {
        let json = Arc::clone(&self.head);
        let reading = move || Head::read(&json, frame_index);
        self.archive.compute(reading).await?
    }

    /// The values of a head that lie in its file.
    async fn bulk(&self, head: &Head) -> Result<Bulk> {
        let (access, instance) = (&self.access, &self.instance);
        let fetch = || self.archive.render_bulk(access, instance, head);
        self.bulk.get_or_try_init(fetch).await.cloned()
    }
}

/// The state in `head` for a frame.
fn presented(head: &Head, instance: &SopInstanceUid, frame_index: u32) -> Result<Presentation> {
    let state = Presentation::of(head.clone(), instance.as_str(), frame_index);
    state.ok_or_else(|| {
        let detail = "the presentation state is not made for this frame";
        Error::new(Kind::NotAcceptable, detail)
    })
}
