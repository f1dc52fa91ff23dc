//! Softcopy presentation states: how an image was meant to be looked at (PS3.3 A.33, C.10.4 to C.11.15, PS3.4 annex N).
//!
//! Taken over are LUTs and windows, presentation LUT shape, overlays, displayed area, shutters, graphics without text, rotation
//! and flip; where the state says nothing, the image's own count. Text needs letters, of which there are none here.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::head::{Head, Set};
use super::image::{Image, Modality, voi_lut_of, window_of};
use super::overlay::Overlay;
use super::picture::Picture;
use super::plot::line;
use super::real::{byte, index, size};
use super::scale;
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
const GRAPHIC_OBJECTS: Tag = Tag(0x0070, 0x0009);
const GRAPHIC_UNITS: Tag = Tag(0x0070, 0x0005);
const GRAPHIC_DATA: Tag = Tag(0x0070, 0x0022);
const GRAPHIC_TYPE: Tag = Tag(0x0070, 0x0023);
const SHUTTER_SHAPE: Tag = Tag(0x0018, 0x1600);
/// Left, right, upper and lower edge.
const SHUTTER_EDGES: [Tag; 4] = [
    Tag(0x0018, 0x1602),
    Tag(0x0018, 0x1604),
    Tag(0x0018, 0x1606),
    Tag(0x0018, 0x1608),
];
const SHUTTER_CENTER: Tag = Tag(0x0018, 0x1610);
const SHUTTER_RADIUS: Tag = Tag(0x0018, 0x1612);
const SHUTTER_VERTICES: Tag = Tag(0x0018, 0x1620);
const SHUTTER_VALUE: Tag = Tag(0x0018, 0x1622);

/// Graphics are drawn in white, as overlays are.
const WHITE: [u8; 3] = [255; 3];
/// Corners of a circle that is drawn.
const ROUND: u32 = 90;
/// Points of graphics that are drawn.
const MAX_POINTS: usize = 1 << 16;

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
        let frame_index = self.frame.saturating_sub(1);
        image.overlays.extend(Overlay::all(&set, frame_index));
    }

    /// Draws what belongs to the state on the picture of the whole frame: shutters, then graphics.
    pub(super) fn decorate(&self, mut picture: Picture) -> Picture {
        self.shut(&mut picture);
        for annotation in self.items(GRAPHIC_ANNOTATION) {
            for object in annotation.items(GRAPHIC_OBJECTS) {
                draw(&object, &mut picture);
            }
        }
        picture
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
        let set = self.head.set();
        for _ in 0..self.quarters() {
            picture = quarter(&picture);
        }
        if set.text(FLIP).map(str::trim) == Some("Y") {
            scale::flip(&mut picture, (true, false));
        }
        picture
    }

    /// Covers what lies outside of the shutters.
    fn shut(&self, picture: &mut Picture) {
        let set = self.head.set();
        let shapes: Vec<&str> = set
            .values(SHUTTER_SHAPE)
            .iter()
            .filter_map(|it| it.as_str())
            .collect();
        if shapes.is_empty() {
            return;
        }
        // A P-value of 16 bits.
        let grey = byte(set.number(SHUTTER_VALUE).unwrap_or(0.0) / 257.0);
        let edges = SHUTTER_EDGES.map(|tag| set.number(tag));
        let center = set.numbers(SHUTTER_CENTER);
        let radius = set.number(SHUTTER_RADIUS);
        let vertices = set.numbers(SHUTTER_VERTICES);
        let is_open = |x: f64, y: f64| {
            shapes
                .iter()
                .all(|shape| match (shape.trim(), edges, center.as_slice()) {
                    ("RECTANGULAR", [Some(left), Some(right), Some(top), Some(bottom)], _) => {
                        x > left && x < right && y > top && y < bottom
                    }
                    ("CIRCULAR", _, [row, column]) => {
                        let radius = radius.unwrap_or(f64::MAX);
                        (x - column).hypot(y - row) <= radius
                    }
                    ("POLYGONAL", _, _) => is_inside(&vertices, x, y),
                    _ => true,
                })
        };
        for y in 0..picture.height {
            for x in 0..picture.width {
                if !is_open(f64::from(x) + 1.0, f64::from(y) + 1.0) {
                    picture.paint(x.into(), y.into(), [grey; 3]);
                }
            }
        }
    }
}

/// Whether an item of Referenced Image Sequence names this frame.
fn names(image: &Set<'_>, instance: &str, frame: u32) -> bool {
    let frames = image.numbers(FRAME_NUMBERS);
    let is_frame = |number: &f64| super::real::whole(*number) == frame;
    image.text(INSTANCE_UID).map(str::trim) == Some(instance)
        && (frames.is_empty() || frames.iter().any(is_frame))
}

/// Whether a point lies inside of a polygon of rows and columns (even-odd rule).
fn is_inside(vertices: &[f64], x: f64, y: f64) -> bool {
    let points: Vec<(f64, f64)> = vertices
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [row, column] => Some((*column, *row)),
            _ => None,
        })
        .take(1000)
        .collect();
    let next = points.iter().cycle().skip(1);
    let crossings = points.iter().zip(next).filter(|((ax, ay), (bx, by))| {
        (*ay > y) != (*by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax
    });
    crossings.count() % 2 == 1
}

/// One graphic object.
fn draw(object: &Set<'_>, picture: &mut Picture) {
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    let is_relative = object.text(GRAPHIC_UNITS).map(str::trim) == Some("DISPLAY");
    let numbers = object.numbers(GRAPHIC_DATA);
    let points: Vec<(f64, f64)> = numbers
        .chunks_exact(2)
        .take(MAX_POINTS)
        .filter_map(|pair| match pair {
            [x, y] if is_relative => Some((x * width, y * height)),
            [x, y] => Some((x - 1.0, y - 1.0)),
            _ => None,
        })
        .collect();
    match (object.text(GRAPHIC_TYPE).map(str::trim), points.as_slice()) {
        (Some("POINT"), [(x, y), ..]) => {
            let arms = [((-3.0, 0.0), (3.0, 0.0)), ((0.0, -3.0), (0.0, 3.0))];
            for (from, to) in arms {
                path(picture, &[(x + from.0, y + from.1), (x + to.0, y + to.1)]);
            }
        }
        (Some("CIRCLE"), [(x, y), (edge_x, edge_y), ..]) => {
            let radius = (edge_x - x).hypot(edge_y - y);
            ellipse(picture, (*x, *y), (radius, 0.0), (0.0, radius));
        }
        (Some("ELLIPSE"), [(ax, ay), (bx, by), (cx, cy), (dx, dy), ..]) => {
            let major = ((bx - ax) / 2.0, (by - ay) / 2.0);
            let minor = ((dx - cx) / 2.0, (dy - cy) / 2.0);
            ellipse(picture, ((ax + bx) / 2.0, (ay + by) / 2.0), major, minor);
        }
        (Some("POLYLINE" | "INTERPOLATED"), points) => path(picture, points),
        _ => {}
    }
}

fn ellipse(picture: &mut Picture, (x, y): (f64, f64), major: (f64, f64), minor: (f64, f64)) {
    let corner = |step: u32| {
        let angle = f64::from(step) / f64::from(ROUND) * std::f64::consts::TAU;
        let (sin, cos) = angle.sin_cos();
        (
            x + major.0 * cos + minor.0 * sin,
            y + major.1 * cos + minor.1 * sin,
        )
    };
    let corners: Vec<(f64, f64)> = (0..=ROUND).map(corner).collect();
    path(picture, &corners);
}

fn path(picture: &mut Picture, points: &[(f64, f64)]) {
    let whole = |value: f64| {
        let count = i64::try_from(index(value.abs() + 0.5).min(1 << 20)).unwrap_or(0);
        if value < 0.0 {
            count.saturating_neg()
        } else {
            count
        }
    };
    let at = |(x, y): &(f64, f64)| (whole(*x), whole(*y));
    for (from, to) in points.iter().zip(points.iter().skip(1)) {
        line(picture, at(from), at(to), WHITE);
    }
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
        let shut = state(&shutter).decorate(flat.clone());
        assert_eq!(shut.samples[10..15], [0, 9, 9, 9, 0]);
        assert_eq!(shut.samples[..10], [0; 10]);
        let line = |points: serde_json::Value| {
            json!({"00700001": {"vr": "SQ", "Value": [{"00700009": {"vr": "SQ", "Value": [{
            "00700005": {"vr": "CS", "Value": ["PIXEL"]},
            "00700022": {"vr": "FL", "Value": points},
            "00700023": {"vr": "CS", "Value": ["POLYLINE"]}}]}}]}})
        };
        let drawn = state(&line(json!([1, 1, 5, 1]))).decorate(flat.clone());
        assert_eq!(drawn.samples[..6], [255, 255, 255, 255, 255, 9]);
        // What lies far outside harms nobody.
        state(&line(json!([1e30, -1e30, -1e30, 1e30]))).decorate(flat);
    }

    #[test]
    fn a_polygon_has_an_inside() {
        let square = [1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0, 1.0];
        assert!(is_inside(&square, 5.0, 5.0));
        assert!(!is_inside(&square, 10.0, 5.0));
        assert!(!is_inside(&[], 5.0, 5.0));
    }
}
