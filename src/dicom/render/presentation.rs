//! Softcopy presentation states: how an image was meant to be looked at (PS3.3 A.33, C.10.4 to C.11.15, PS3.4 annex N).
//!
//! Taken over are LUTs and windows, presentation LUTs and their shape, palettes, overlays and which of the image's are active,
//! displayed area, shutters, graphics, texts, rotation and flip; where the state says nothing, the image's own count.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::graphics::Units;
use super::head::{Head, Set};
use super::image::{Finish, Image, Modality, voi_lut_of, window_of};
use super::lut::Lut;
use super::overlay::Overlay;
use super::palette::Palette;
use super::picture::Picture;
use super::raster::Raster;
use super::real::size;
use super::{graphics, scale, shutter};
use crate::model::Tag;

const REFERENCED_SERIES: Tag = Tag(0x0008, 0x1115);
const SERIES_UID: Tag = Tag(0x0020, 0x000E);
const REFERENCED_IMAGE: Tag = Tag(0x0008, 0x1140);
const INSTANCE_UID: Tag = Tag(0x0008, 0x1155);
const FRAME_NUMBERS: Tag = Tag(0x0008, 0x1160);
const SOFTCOPY_VOI: Tag = Tag(0x0028, 0x3110);
const PRESENTATION_LUT_SHAPE: Tag = Tag(0x2050, 0x0020);
const DISPLAYED_AREA: Tag = Tag(0x0070, 0x005A);
const TOP_LEFT: Tag = Tag(0x0070, 0x0052);
const BOTTOM_RIGHT: Tag = Tag(0x0070, 0x0053);
const ROTATION: Tag = Tag(0x0070, 0x0042);
const FLIP: Tag = Tag(0x0070, 0x0041);
const GRAPHIC_ANNOTATION: Tag = Tag(0x0070, 0x0001);
const PRESENTATION_LUT: Tag = Tag(0x2050, 0x0010);
/// Overlay Activation Layer, in the group of the overlay.
const ACTIVATION_LAYER: u16 = 0x1001;

/// The image that a state is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Series Instance UID.
    pub series: String,
    /// SOP Instance UID.
    pub instance: String,
    /// The first frame, from 1, where the state names any.
    pub frame: Option<u32>,
}

/// A presentation state for one frame of one image.
#[derive(Clone, Debug)]
pub struct Presentation {
    head: Head,
    instance: String,
    frame: u32,
}

/// The first image that the state in `head` is made for.
pub fn first_reference(head: &Head) -> Option<Reference> {
    let set = head.set();
    set.items(REFERENCED_SERIES).find_map(|series| {
        let image = series.items(REFERENCED_IMAGE).next()?;
        Some(Reference {
            series: series.text(SERIES_UID)?.trim().to_owned(),
            instance: image.text(INSTANCE_UID)?.trim().to_owned(),
            frame: image.count(FRAME_NUMBERS).filter(|frame| *frame > 0),
        })
    })
}

/// Whether the state in `head` is made for frames of an image.
pub fn is_for(head: &Head, instance: &str) -> bool {
    let images = images(head);
    images
        .iter()
        .any(|image| image.text(INSTANCE_UID).map(str::trim) == Some(instance))
}

/// The images of a state.
fn images(head: &Head) -> Vec<Set<'_>> {
    let series = head.set().items(REFERENCED_SERIES);
    series
        .flat_map(|series| series.items(REFERENCED_IMAGE))
        .collect()
}

impl Presentation {
    /// The state in `head`, for frame `frame_index` (from 0) of an image; `None` if it is not made for that image.
    pub fn of(head: Head, instance: &str, frame_index: u32) -> Option<Self> {
        let frame = frame_index.saturating_add(1);
        let is_named = images(&head)
            .iter()
            .any(|image| names(image, instance, frame));
        is_named.then(|| Self {
            head,
            instance: instance.to_owned(),
            frame,
        })
    }

    /// The items of a sequence that are for this frame: those that name it, and those that name none.
    fn items(&self, sequence: Tag) -> impl Iterator<Item = Set<'_>> {
        self.head.set().items(sequence).filter(|item| {
            let mut images = item.items(REFERENCED_IMAGE).peekable();
            images.peek().is_none() || images.any(|it| names(&it, &self.instance, self.frame))
        })
    }

    /// Puts what the state says in the place of what the image says.
    pub(super) fn apply(&self, image: &mut Image) {
        let set = self.head.set();
        if let Some(modality) = Modality::of(&set) {
            image.modality = modality;
        }
        let voi = self.items(SOFTCOPY_VOI).next();
        if let Some(voi) = voi {
            (image.window, image.voi_lut) = (window_of(&voi), voi_lut_of(&voi));
        }
        let shape = set.text(PRESENTATION_LUT_SHAPE).map(str::trim);
        image.is_inverse = match shape {
            // A state knows no MONOCHROME1: its LUT does what the photometric interpretation did.
            Some("INVERSE") => true,
            Some("IDENTITY") => false,
            Some(_) | None => image.is_inverse,
        };
        let table = set.items(PRESENTATION_LUT).find_map(|item| Lut::of(&item));
        let palette = Palette::of(&set).map(Finish::Palette);
        if let Some(finish) = palette.or(table.map(Finish::Table)) {
            image.finish = finish;
            image.is_inverse = false;
        }
        self.activate(image);
    }

    /// The overlays that are shown: of the image those that the state activates, of the state all but those that it does not,
    /// and that which is a shutter.
    fn activate(&self, image: &mut Image) {
        let set = self.head.set();
        let layer = |overlay: &Overlay| {
            let layer = set.text(Tag(overlay.group(), ACTIVATION_LAYER));
            layer.is_some_and(|layer| !layer.trim().is_empty())
        };
        image.overlays.retain(layer);
        let shutter = shutter::overlay_group(&set);
        let own = Overlay::all(&set, self.frame_index()).into_iter();
        let is_shown = |overlay: &Overlay| {
            Some(overlay.group()) != shutter
                && (layer(overlay) || !set.has(Tag(overlay.group(), ACTIVATION_LAYER)))
        };
        image.overlays.extend(own.filter(is_shown));
    }

    /// The frame that the state is for, from 0.
    fn frame_index(&self) -> u32 {
        self.frame.saturating_sub(1)
    }

    /// Covers what lies outside of its shutters on the picture of a frame.
    pub(super) fn shut(&self, raster: &Raster, picture: &mut Picture) {
        shutter::close(&self.head.set(), raster, self.frame_index(), picture);
    }

    /// Draws the figures that are measured in `units`.
    pub(super) fn draw(&self, units: Units, mut picture: Picture) -> Picture {
        let set = self.head.set();
        for annotation in self.items(GRAPHIC_ANNOTATION) {
            let color = graphics::color(&set, &annotation);
            if color != [color[0]; 3] {
                picture = picture.in_color();
            }
            graphics::draw(&annotation, units, &mut picture, color);
        }
        picture
    }

    /// Writes the texts on the picture as it is displayed, which was so wide and so high before it was cut and turned.
    pub(super) fn write(&self, (width, height): (u32, u32), mut picture: Picture) -> Picture {
        let set = self.head.set();
        let (left, top) = self
            .area()
            .map_or((0.0, 0.0), |[left, top, ..]| (left, top));
        // What is cut is cut at the edges of the image.
        let corner = (left.clamp(0.0, width.into()), top.clamp(0.0, height.into()));
        let size = (picture.width, picture.height);
        let displayed = |point| self.displayed(corner, size, point);
        for annotation in self.items(GRAPHIC_ANNOTATION) {
            let color = graphics::color(&set, &annotation);
            if color != [color[0]; 3] {
                picture = picture.in_color();
            }
            graphics::write(&annotation, &displayed, &mut picture, color);
        }
        picture
    }

    /// Where a point of the image came to lie, once it was cut at `corner` and turned; `size` is that of what is displayed.
    fn displayed(
        &self,
        (left, top): (f64, f64),
        size: (u32, u32),
        (x, y): (f64, f64),
    ) -> (f64, f64) {
        let (width, height) = (f64::from(size.0), f64::from(size.1));
        let (x, y) = (x - left.floor(), y - top.floor());
        let (x, y) = match self.quarters() {
            0 => (x, y),
            1 => (width - 1.0 - y, x),
            2 => (width - 1.0 - x, height - 1.0 - y),
            _ => (y, height - 1.0 - x),
        };
        if self.is_flipped() {
            (width - 1.0 - x, y)
        } else {
            (x, y)
        }
    }

    fn is_flipped(&self) -> bool {
        self.head.set().text(FLIP).map(str::trim) == Some("Y")
    }

    /// The part that is displayed: left, top, width and height in pixels of the image.
    pub(super) fn area(&self) -> Option<[f64; 4]> {
        let area = self.items(DISPLAYED_AREA).next()?;
        let pair = |tag| match area.numbers(tag).as_slice() {
            [x, y] => Some((*x, *y)),
            _ => None,
        };
        let ((left, top), (right, bottom)) = (pair(TOP_LEFT)?, pair(BOTTOM_RIGHT)?);
        // From 1, corners included; one that is turned over is an area all the same.
        let (left, right) = (left.min(right), left.max(right));
        let (top, bottom) = (top.min(bottom), top.max(bottom));
        Some([
            left - 1.0,
            top - 1.0,
            right - left + 1.0,
            bottom - top + 1.0,
        ])
    }

    /// Quarters of a turn, clockwise.
    pub(super) fn quarters(&self) -> u32 {
        let degrees = self.head.set().count(ROTATION).unwrap_or(0);
        degrees.checked_div(90).unwrap_or(0) % 4
    }

    /// The picture turned as the state wants it: clockwise, then across.
    pub(super) fn turn(&self, mut picture: Picture) -> Picture {
        for _ in 0..self.quarters() {
            picture = quarter(&picture);
        }
        if self.is_flipped() {
            scale::flip(&mut picture, (true, false));
        }
        picture
    }
}

/// Whether an item of Referenced Image Sequence names this frame.
fn names(image: &Set<'_>, instance: &str, frame: u32) -> bool {
    let frames = image.numbers(FRAME_NUMBERS);
    let is_frame = |number: &f64| super::real::whole(*number) == frame;
    image.text(INSTANCE_UID).map(str::trim) == Some(instance)
        && (frames.is_empty() || frames.iter().any(is_frame))
}

/// A quarter turn clockwise.
fn quarter(picture: &Picture) -> Picture {
    let (channels, width, height) = (
        picture.channels(),
        size(picture.width),
        size(picture.height),
    );
    let mut samples = Vec::with_capacity(picture.samples.len());
    for x in 0..width {
        for y in (0..height).rev() {
            let at = y
                .saturating_mul(width)
                .saturating_add(x)
                .saturating_mul(channels);
            let pixel = picture.samples.get(at..at.saturating_add(channels));
            samples.extend_from_slice(pixel.unwrap_or_default());
        }
    }
    Picture {
        width: picture.height,
        height: picture.width,
        is_color: picture.is_color,
        samples,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dicom::codec::{PixelFormat, Samples};

    fn state(more: &serde_json::Value) -> Presentation {
        let mut json = json!({"00081115": {"vr": "SQ", "Value": [{
            "0020000E": {"vr": "UI", "Value": ["1.2"]},
            "00081140": {"vr": "SQ", "Value": [
                {"00081155": {"vr": "UI", "Value": ["1.2.3"]}, "00081160": {"vr": "IS", "Value": [2, 4]}}]}}]}});
        for (key, value) in more.as_object().unwrap() {
            json[key] = value.clone();
        }
        let head = Head::read(json.to_string().as_bytes(), 0).unwrap();
        let first = first_reference(&head).unwrap();
        assert_eq!(
            (first.series.as_str(), first.instance.as_str(), first.frame),
            ("1.2", "1.2.3", Some(2))
        );
        assert!(
            Presentation::of(head.clone(), "1.2.3", 0).is_none(),
            "another frame"
        );
        assert!(
            Presentation::of(head.clone(), "1.2", 1).is_none(),
            "another image"
        );
        Presentation::of(head, "1.2.3", 3).unwrap()
    }

    fn grey(width: u32, height: u32, samples: &[u8]) -> Picture {
        Picture {
            width,
            height,
            is_color: false,
            samples: samples.to_vec(),
        }
    }

    #[test]
    fn g11_a_state_turns_clockwise_and_then_over() {
        let picture = grey(3, 2, &[1, 2, 3, 4, 5, 6]);
        let turned = |more: serde_json::Value| state(&more).turn(picture.clone());
        let degrees = |degrees: u32| json!({"00700042": {"vr": "US", "Value": [degrees]}});
        assert_eq!(turned(degrees(0)), picture);
        assert_eq!(turned(degrees(90)), grey(2, 3, &[4, 1, 5, 2, 6, 3]));
        assert_eq!(turned(degrees(180)), grey(3, 2, &[6, 5, 4, 3, 2, 1]));
        assert_eq!(turned(degrees(270)), grey(2, 3, &[3, 6, 2, 5, 1, 4]));
        let mut both = degrees(90);
        both["00700041"] = json!({"vr": "CS", "Value": ["Y"]});
        assert_eq!(turned(both), grey(2, 3, &[1, 4, 2, 5, 3, 6]));
    }

    #[test]
    fn g11_shutters_cover_and_graphics_are_drawn() {
        let flat = grey(5, 5, &[9; 25]);
        let shutter = json!({
            "00181600": {"vr": "CS", "Value": ["RECTANGULAR"]},
            "00181602": {"vr": "IS", "Value": [1]}, "00181604": {"vr": "IS", "Value": [5]},
            "00181606": {"vr": "IS", "Value": [2]}, "00181608": {"vr": "IS", "Value": [4]}
        });
        let format = PixelFormat {
            rows: 5,
            columns: 5,
            samples_per_pixel: 1,
            bits_allocated: 8,
            bits_stored: 8,
            high_bit: 7,
            ..PixelFormat::default()
        };
        let bytes = vec![9; 25];
        let raster = Raster::new(Samples { format, bytes }, false).unwrap();
        let mut shut = flat.clone();
        state(&shutter).shut(&raster, &mut shut);
        assert_eq!(shut.samples[10..15], [0, 9, 9, 9, 0]);
        assert_eq!(shut.samples[..10], [0; 10]);
        let line = |points: serde_json::Value| {
            json!({"00700001": {"vr": "SQ", "Value": [{"00700009": {"vr": "SQ", "Value": [{
            "00700005": {"vr": "CS", "Value": ["PIXEL"]},
            "00700022": {"vr": "FL", "Value": points},
            "00700023": {"vr": "CS", "Value": ["POLYLINE"]}}]}}]}})
        };
        let drawn = state(&line(json!([1, 1, 5, 1]))).draw(Units::Pixel, flat.clone());
        assert_eq!(drawn.samples[..6], [255, 255, 255, 255, 255, 9]);
        // What lies far outside harms nobody.
        state(&line(json!([1e30, -1e30, -1e30, 1e30]))).draw(Units::Pixel, flat);
    }

    #[test]
    fn g11_points_go_where_their_pixels_go() {
        let picture = grey(4, 3, &[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0]);
        for degrees in [0, 90, 180, 270] {
            for flip in ["N", "Y"] {
                let state = state(&json!({
                    "00700042": {"vr": "US", "Value": [degrees]}, "00700041": {"vr": "CS", "Value": [flip]}
                }));
                let turned = state.turn(picture.clone());
                let size = (turned.width, turned.height);
                let (x, y) = state.displayed((0.0, 0.0), size, (3.0, 1.0));
                let at = super::super::real::index(y * f64::from(turned.width) + x);
                assert_eq!(turned.samples[at], 7, "{degrees} {flip}");
            }
        }
    }
}
