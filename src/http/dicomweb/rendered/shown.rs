//! What an instance is, for somebody who looks.

use std::sync::Arc;

use crate::archive::Archive;
use crate::archive::render::Rendering;
use crate::auth::Access;
use crate::dicom::frames::{Cut, FrameTable};
use crate::dicom::render::icon::Icon;
use crate::error::Result;
use crate::index::catalog::{Instance, Visible};

/// How an instance is shown (G01, G13).
pub(super) enum Shown {
    /// As pictures of its frames.
    Image(Box<Rendering>),
    /// As a video, which is one stream.
    Video(FrameTable),
    /// As text.
    Report,
    /// As the document that it holds.
    Document,
    /// As one drawing.
    Drawing(Drawing),
    /// By a symbol.
    Symbol(Icon),
    /// As the image that the presentation state is made for.
    Presentation,
    /// Not at all, and why; where there is little room, by a symbol.
    Nothing(Icon, &'static str),
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drawing {
    /// The curves of a waveform.
    Waveform,
    /// The contours of a structure set.
    Contours,
}

/// How something is shown, to be made when it is.
type Make = fn() -> Shown;

/// SOP classes without pixel data, or with a dot at the end families of them, and how their instances are shown (PS3.4 B.5).
#[rustfmt::skip]
static BY_CLASS: &[(&str, Make)] = &[
    ("1.2.840.10008.5.1.4.1.1.104.", || Shown::Document),
    ("1.2.840.10008.5.1.4.1.1.88.", || Shown::Report),
    ("1.2.840.10008.5.1.4.1.1.9.", || Shown::Drawing(Drawing::Waveform)),
    ("1.2.840.10008.5.1.4.1.1.481.3", || Shown::Drawing(Drawing::Contours)),
    ("1.2.840.10008.5.1.4.1.1.481.", || Shown::Symbol(Icon::Radiotherapy)),
    ("1.2.840.10008.5.1.4.34.", || Shown::Symbol(Icon::Radiotherapy)),
    ("1.2.840.10008.5.1.4.1.1.11.1", || Shown::Presentation),
    ("1.2.840.10008.5.1.4.1.1.11.2", || Shown::Presentation),
    ("1.2.840.10008.5.1.4.1.1.11.3", || Shown::Presentation),
    ("1.2.840.10008.5.1.4.1.1.11.", || Shown::Nothing(Icon::Presentation, "presentation states of this kind are not applied")),
];

/// Whether a row of the table is for a class.
fn fits(row: &str, class: &str) -> bool {
    class == row || row.ends_with('.') && class.starts_with(row)
}

impl Shown {
    /// How this one is.
    pub(super) async fn of(
        archive: &Archive,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
    ) -> Result<Self> {
        let Some(table) = archive.frame_table(instance).await? else {
            let class = instance.sop_class.as_str();
            let row = BY_CLASS.iter().find(|(row, _)| fits(row, class));
            let nothing = || {
                Self::Nothing(
                    Icon::Other,
                    "there is nothing to be shown of this kind of object",
                )
            };
            return Ok(row.map_or_else(nothing, |(_, shown)| shown()));
        };
        Ok(match table.cut() {
            Cut::Frames if table.frames() > 0 => {
                Self::Image(Box::new(archive.rendering(access, instance, table).await?))
            }
            Cut::Frames => Self::Nothing(Icon::Image, "the pixel data hold no whole frame"),
            Cut::WholeStream => Self::Video(table),
            Cut::Unresolved(obstacle) => Self::Nothing(Icon::Image, obstacle.detail()),
        })
    }

    /// The symbol for what it is.
    pub(super) fn icon(&self) -> Icon {
        match self {
            Self::Image(_) => Icon::Image,
            Self::Video(_) => Icon::Video,
            Self::Report => Icon::Report,
            Self::Document => Icon::Document,
            Self::Drawing(Drawing::Waveform) => Icon::Waveform,
            Self::Drawing(Drawing::Contours) => Icon::Radiotherapy,
            Self::Presentation => Icon::Presentation,
            Self::Symbol(icon) | Self::Nothing(icon, _) => *icon,
        }
    }

    /// Whether there are pictures of its frames.
    pub(super) fn is_image(&self) -> bool {
        matches!(self, Self::Image(_))
    }
}
