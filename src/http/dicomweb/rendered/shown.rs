//! What an instance is, for somebody who looks.

use std::sync::Arc;

use crate::archive::Archive;
use crate::archive::render::Rendering;
use crate::auth::Access;
use crate::dicom::frames::Cut;
use crate::error::Result;
use crate::index::catalog::{Instance, Visible};

/// How an instance is shown (G01, G13).
pub(super) enum Shown {
    /// As pictures of its frames.
    Image(Box<Rendering>),
    /// Not at all, and why.
    Nothing(&'static str),
}

impl Shown {
    /// How this one is.
    pub(super) async fn of(
        archive: &Archive,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
    ) -> Result<Self> {
        let Some(table) = archive.frame_table(instance).await? else {
            return Ok(Self::Nothing(
                "there is nothing to be shown of this kind of object",
            ));
        };
        Ok(match table.cut() {
            Cut::Frames if table.frames() > 0 => {
                Self::Image(Box::new(archive.rendering(access, instance, table).await?))
            }
            Cut::Frames => Self::Nothing("the pixel data hold no whole frame"),
            Cut::WholeStream => Self::Nothing("a video is one stream without frames"),
            Cut::Unresolved(obstacle) => Self::Nothing(obstacle.detail()),
        })
    }

    /// Whether there are pictures of its frames.
    pub(super) fn is_image(&self) -> bool {
        matches!(self, Self::Image(_))
    }
}
