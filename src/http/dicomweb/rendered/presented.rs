//! Images as a presentation state wants them: the state itself is shown as the first image that it is made for, and WADO-URI
//! names a state beside an image (G11, U06).

use std::sync::Arc;

use actix_web::HttpResponse;

use super::resource::Resource;
use super::shown::Shown;
use crate::dicom::render::presentation::{Reference, first_reference, is_for};
use crate::dicom::render::{Head, Wish};
use crate::error::{Error, Kind, Result};
use crate::http::accept::Accept;
use crate::http::problem;
use crate::index::catalog::{Instance, Visible};
use crate::model::{FrameList, InstancePath, SeriesUid, SopInstanceUid};

impl Resource<'_> {
    /// The first image that a state is made for.
    pub(super) async fn presentation(
        &self,
        accept: &Accept,
        state: Arc<Visible<Instance>>,
        wish: &Wish,
    ) -> Result<HttpResponse> {
        let head = self.archive().render_head(self.access, &state).await?;
        let reference = first_reference(&head).ok_or_else(without_image)?;
        let path = path_of(&state, &reference).ok_or_else(without_image)?;
        let frames = reference
            .frame
            .map(|frame| FrameList::parse(&frame.to_string()));
        let found = self.archive().catalog(self.access).instance(&path).await;
        let image = match found {
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Gone) => {
                return Err(without_image());
            }
            found => found?,
        };
        let frames = frames.transpose()?;
        self.under(
            accept,
            (Arc::new(image), &state, head),
            frames.as_ref(),
            wish,
        )
        .await
    }

    /// An image under a state that is named beside it.
    pub(in crate::http::dicomweb) async fn presented(
        &self,
        accept: &Accept,
        (image, state): (Arc<Visible<Instance>>, Visible<Instance>),
        frames: Option<&FrameList>,
        wish: &Wish,
    ) -> Result<HttpResponse> {
        let state = Arc::new(state);
        let shown = Shown::of(self.archive(), self.access, &state).await?;
        let head = self.archive().render_head(self.access, &state).await?;
        if !matches!(shown, Shown::Presentation) || !is_for(&head, image.instance.as_str()) {
            let detail = "presentationUID names no presentation state of this image";
            return Err(Error::invalid(detail));
        }
        self.under(accept, (image, &state, head), frames, wish)
            .await
    }

    async fn under(
        &self,
        accept: &Accept,
        (image, state, head): (Arc<Visible<Instance>>, &Instance, Head),
        frames: Option<&FrameList>,
        wish: &Wish,
    ) -> Result<HttpResponse> {
        match Shown::of(self.archive(), self.access, &image).await? {
            Shown::Image(rendering) => {
                let rendering = rendering.presented(head, state.digest);
                self.pictures(accept, rendering, frames, wish).await
            }
            Shown::Video(_)
            | Shown::Report
            | Shown::Document
            | Shown::Drawing(_)
            | Shown::Symbol(_)
            | Shown::Presentation
            | Shown::Nothing(..) => Err(without_image()),
        }
    }
}

/// The image that a state names, in its own study.
fn path_of(state: &Instance, reference: &Reference) -> Option<InstancePath> {
    Some(InstancePath {
        study: state.study.clone(),
        series: SeriesUid::parse(&reference.series).ok()?,
        instance: SopInstanceUid::parse(&reference.instance).ok()?,
    })
}

fn without_image() -> Error {
    let detail = "the image that the presentation state is made for is not here";
    problem::not_acceptable(detail, vec!["application/dicom".to_owned()])
}
