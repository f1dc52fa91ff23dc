//! What the head of an image says about its pixels (PS3.3 C.7.6.3, C.7.6.16, C.11).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::head::{Head, Set};
use super::lut::Lut;
use super::overlay::Overlay;
use super::palette::Palette;
use super::window::{Function, Window};
use crate::model::Tag;

const PHOTOMETRIC_INTERPRETATION: Tag = Tag(0x0028, 0x0004);
const PIXEL_SPACING: Tag = Tag(0x0028, 0x0030);
const PIXEL_ASPECT_RATIO: Tag = Tag(0x0028, 0x0034);
const PIXEL_PADDING_VALUE: Tag = Tag(0x0028, 0x0120);
const PIXEL_PADDING_RANGE_LIMIT: Tag = Tag(0x0028, 0x0121);
const WINDOW_CENTER: Tag = Tag(0x0028, 0x1050);
const WINDOW_WIDTH: Tag = Tag(0x0028, 0x1051);
const VOI_LUT_FUNCTION: Tag = Tag(0x0028, 0x1056);
const RESCALE_INTERCEPT: Tag = Tag(0x0028, 0x1052);
const RESCALE_SLOPE: Tag = Tag(0x0028, 0x1053);
const MODALITY_LUT_SEQUENCE: Tag = Tag(0x0028, 0x3000);
const VOI_LUT_SEQUENCE: Tag = Tag(0x0028, 0x3010);
const REPRESENTATIVE_FRAME_NUMBER: Tag = Tag(0x0028, 0x6010);
const IMAGER_PIXEL_SPACING: Tag = Tag(0x0018, 0x1164);
const FRAME_TIME: Tag = Tag(0x0018, 0x1063);
const CINE_RATE: Tag = Tag(0x0018, 0x0040);
const RECOMMENDED_RATE: Tag = Tag(0x0008, 0x2144);
const PRESENTATION_LUT_SHAPE: Tag = Tag(0x2050, 0x0020);

/// Functional groups.
const PIXEL_MEASURES: Tag = Tag(0x0028, 0x9110);
const PIXEL_VALUE_TRANSFORMATION: Tag = Tag(0x0028, 0x9145);
const FRAME_VOI_LUT: Tag = Tag(0x0028, 0x9132);

/// Pixels may not be longer than so many times their width: a header that says more is no picture.
const MAX_ASPECT: f64 = 16.0;

/// From stored values to modality values.
#[derive(Clone, Debug)]
pub(super) enum Modality {
    /// `slope * value + intercept`.
    Line { slope: f64, intercept: f64 },
    /// By a table.
    Table(Lut),
}

impl Modality {
    /// That of a data set, if it has one.
    pub(super) fn of(set: &Set<'_>) -> Option<Self> {
        if let Some(table) = set.items(MODALITY_LUT_SEQUENCE).find_map(|it| Lut::of(&it)) {
            return Some(Self::Table(table));
        }
        let slope = set.number(RESCALE_SLOPE);
        let intercept = set.number(RESCALE_INTERCEPT);
        if slope.is_none() && intercept.is_none() {
            return None;
        }
        // A slope of 0 makes one value of everything; such files mean that there is none.
        let slope = slope.filter(|slope| *slope != 0.0).unwrap_or(1.0);
        Some(Self::Line {
            slope,
            intercept: intercept.unwrap_or(0.0),
        })
    }

    /// The modality value of a stored one.
    pub(super) fn value(&self, stored: f64) -> f64 {
        match self {
            Self::Line { slope, intercept } => slope * stored + intercept,
            Self::Table(table) => table.at(stored),
        }
    }
}

/// The first window of a data set that is one.
pub(super) fn window_of(set: &Set<'_>) -> Option<Window> {
    let function = set.text(VOI_LUT_FUNCTION).and_then(Function::parse);
    let window = Window {
        center: set.number(WINDOW_CENTER)?,
        width: set.number(WINDOW_WIDTH)?,
        function: function.unwrap_or(Function::Linear),
    };
    window.is_allowed().then_some(window)
}

/// The first VOI LUT of a data set.
pub(super) fn voi_lut_of(set: &Set<'_>) -> Option<Lut> {
    set.items(VOI_LUT_SEQUENCE).find_map(|item| Lut::of(&item))
}

/// What becomes of a shade at the end.
#[derive(Clone, Debug)]
pub(super) enum Finish {
    /// It is a grey level.
    Level,
    /// A Presentation LUT makes another shade of it (PS3.3 C.11.6).
    Table(Lut),
    /// A palette makes a colour of it (PS3.4 N.2.2).
    Palette(Palette),
}

/// What a frame is shown with.
#[derive(Clone, Debug)]
pub struct Image {
    pub(super) modality: Modality,
    pub(super) window: Option<Window>,
    pub(super) voi_lut: Option<Lut>,
    pub(super) palette: Option<Palette>,
    pub(super) finish: Finish,
    pub(super) overlays: Vec<Overlay>,
    /// Stored values that are no part of the picture.
    pub(super) padding: Option<(f64, f64)>,
    /// Whether low values are white.
    pub(super) is_inverse: bool,
    /// Height of a pixel by its width.
    pub(super) aspect: f64,
}

impl Image {
    /// Reads it off a head whose large values are there; `frame_index` is that of the head's functional groups.
    pub fn of(head: &Head, frame_index: u32) -> Self {
        let set = head.set();
        let transformation = head.group(PIXEL_VALUE_TRANSFORMATION);
        let modality = Modality::of(&transformation).or_else(|| Modality::of(&set));
        let voi = head.group(FRAME_VOI_LUT);
        let padding = set.number(PIXEL_PADDING_VALUE).map(|value| {
            let limit = set.number(PIXEL_PADDING_RANGE_LIMIT).unwrap_or(value);
            (value.min(limit), value.max(limit))
        });
        let text = |tag| set.text(tag).map(str::trim);
        // DX and the like say both; it is one inversion all the same.
        let is_inverse = text(PRESENTATION_LUT_SHAPE) == Some("INVERSE")
            || text(PHOTOMETRIC_INTERPRETATION) == Some("MONOCHROME1");
        Self {
            modality: modality.unwrap_or(Modality::Line {
                slope: 1.0,
                intercept: 0.0,
            }),
            window: window_of(&voi).or_else(|| window_of(&set)),
            voi_lut: voi_lut_of(&voi).or_else(|| voi_lut_of(&set)),
            palette: Palette::of(&set),
            finish: Finish::Level,
            overlays: Overlay::all(&set, frame_index),
            padding,
            is_inverse,
            aspect: aspect(head),
        }
    }
}

/// The frame that stands for a whole instance, from 0: the one it names, else the middle one (G02).
pub fn representative_frame(head: &Head, frames: u32) -> u32 {
    let named = head.set().count(REPRESENTATIVE_FRAME_NUMBER);
    let named = named.and_then(|number| number.checked_sub(1));
    named
        .filter(|index| *index < frames)
        .unwrap_or(frames.checked_div(2).unwrap_or(0))
}

/// How long a frame of a film stands, in milliseconds.
pub fn frame_ms(head: &Head) -> f64 {
    let set = head.set();
    let rate = || {
        let rate = set
            .number(RECOMMENDED_RATE)
            .or_else(|| set.number(CINE_RATE))?;
        (rate > 0.0).then_some(1000.0 / rate)
    };
    let time = set.number(FRAME_TIME).filter(|time| *time > 0.0);
    time.or_else(rate).unwrap_or(100.0).clamp(20.0, 10_000.0)
}

/// The height of a pixel by its width (G12): the ratio of the image, else that of its spacing.
fn aspect(head: &Head) -> f64 {
    let set = head.set();
    let measures = head.group(PIXEL_MEASURES);
    let pairs = [
        set.numbers(PIXEL_ASPECT_RATIO),
        measures.numbers(PIXEL_SPACING),
        set.numbers(PIXEL_SPACING),
        set.numbers(IMAGER_PIXEL_SPACING),
    ];
    let ratio = pairs.iter().find_map(|pair| match pair.as_slice() {
        [down, across] if *down > 0.0 && *across > 0.0 => Some(down / across),
        _ => None,
    });
    // Rounding of spacings is no ratio.
    ratio
        .filter(|ratio| (ratio - 1.0).abs() > 0.001)
        .map_or(1.0, |ratio| ratio.clamp(1.0 / MAX_ASPECT, MAX_ASPECT))
}
