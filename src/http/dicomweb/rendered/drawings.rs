//! Drawings of what has no pixels, and thumbnails of it.

use std::sync::Arc;

use actix_web::HttpResponse;

use super::resource::{JPEG, PNG, Resource, picture_type};
use super::shown::Drawing;
use crate::dicom::render::{self, Colors, Picture, PictureType, Wish, plot};
use crate::error::Result;
use crate::http::accept::{Accept, Offer};
use crate::index::catalog::{Instance, Visible};

impl Resource<'_> {
    /// A drawing as the caller wants it.
    pub(super) async fn drawing(
        &self,
        accept: &Accept,
        instance: Arc<Visible<Instance>>,
        drawing: Drawing,
        wish: &Wish,
    ) -> Result<HttpResponse> {
        match drawing {
            Drawing::Waveform => {
                let head = self.archive().render_head(self.access, &instance).await?;
                let making = move || plot::waveform(&head);
                self.drawn(accept, &instance, wish, making).await
            }
            Drawing::Contours => {
                let json = self.archive().head(&instance).await?;
                let making = move || plot::contours(&json);
                self.drawn(accept, &instance, wish, making).await
            }
        }
    }

    /// A picture that is made without frames.
    pub(super) async fn drawn(
        &self,
        accept: &Accept,
        instance: &Instance,
        wish: &Wish,
        making: impl FnOnce() -> Result<Picture> + Send + 'static,
    ) -> Result<HttpResponse> {
        let offer = *accept.choose(&[Offer::single(PNG), Offer::single(JPEG)])?;
        let tag = Self::tag(instance, &format!("drawn {offer} {wish:?}"));
        if let Some(answer) = self.not_modified(&tag, wish) {
            return Ok(answer);
        }
        let kind = picture_type(offer.media_type, wish);
        let viewport = wish.viewport.clone();
        let profile = wish.profile;
        let work = move || {
            let picture = render::fit(making()?, viewport.as_ref());
            render::file(picture, &Colors::default(), profile, kind)
        };
        let file: Result<Vec<u8>> = self.archive().compute(work).await?;
        self.file((&tag, wish), offer.content_type(), file?.into())
            .await
    }

    /// A drawing as a thumbnail.
    pub(super) async fn small_drawing(
        &self,
        instance: &Arc<Visible<Instance>>,
        drawing: Drawing,
        wish: &Wish,
        kind: PictureType,
    ) -> Result<Vec<u8>> {
        let viewport = wish.viewport.clone();
        let write =
            move |picture| render::encode(&render::fit(picture, viewport.as_ref()), None, kind);
        match drawing {
            Drawing::Waveform => {
                let head = self.archive().render_head(self.access, instance).await?;
                let work = move || write(plot::waveform(&head)?);
                self.archive().compute(work).await?
            }
            Drawing::Contours => {
                let json = self.archive().head(instance).await?;
                let work = move || write(plot::contours(&json)?);
                self.archive().compute(work).await?
            }
        }
    }
}
