//! Graphic annotations of a presentation state: lines, figures and texts, in the colours of their layers (PS3.3 C.10.5, C.10.7).
//!
//! What is measured in pixels of the image turns with it, letters aside; what is measured in shares of the display does not.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::color::from_lab;
use super::head::Set;
use super::letters::{Justification, Text};
use super::picture::Picture;
use super::plot::line;
use super::real::{byte, index};
use super::shutter::{Polygon, is_between};
use crate::model::Tag;

const OBJECTS: Tag = Tag(0x0070, 0x0009);
const TEXTS: Tag = Tag(0x0070, 0x0008);
const LAYER: Tag = Tag(0x0070, 0x0002);
const LAYERS: Tag = Tag(0x0070, 0x0060);
const LAYER_GREY: Tag = Tag(0x0070, 0x0066);
const LAYER_COLOR: Tag = Tag(0x0070, 0x0401);
const UNITS: Tag = Tag(0x0070, 0x0005);
const DATA: Tag = Tag(0x0070, 0x0022);
const KIND: Tag = Tag(0x0070, 0x0023);
const IS_FILLED: Tag = Tag(0x0070, 0x0024);
const TEXT: Tag = Tag(0x0070, 0x0006);
const BOX_UNITS: Tag = Tag(0x0070, 0x0003);
const ANCHOR_UNITS: Tag = Tag(0x0070, 0x0004);
const BOX_TOP_LEFT: Tag = Tag(0x0070, 0x0010);
const BOX_BOTTOM_RIGHT: Tag = Tag(0x0070, 0x0011);
const JUSTIFICATION: Tag = Tag(0x0070, 0x0012);
const ANCHOR: Tag = Tag(0x0070, 0x0014);
const IS_ANCHOR_VISIBLE: Tag = Tag(0x0070, 0x0015);

/// Where no layer says otherwise.
const WHITE: [u8; 3] = [255; 3];
/// Corners of a circle that is drawn.
const ROUND: u32 = 90;
/// Points of a figure that are drawn.
const MAX_POINTS: usize = 1 << 16;

/// A point, across and down, in pixels from the upper left corner.
type Point = (f64, f64);

/// What a figure is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Units {
    /// Pixels of the image, from 1.
    Pixel,
    /// Shares of what is displayed.
    Display,
}

impl Units {
    fn of(set: &Set<'_>, tag: Tag) -> Self {
        match set.text(tag).map(str::trim) {
            Some("DISPLAY") => Self::Display,
            _ => Self::Pixel,
        }
    }
}

/// The colour of the layer that an annotation is in; `state` holds the layers.
pub(super) fn color(state: &Set<'_>, annotation: &Set<'_>) -> [u8; 3] {
    let name = annotation.text(LAYER).map(str::trim);
    let mut layers = state.items(LAYERS);
    let layer = layers.find(|layer| name.is_some() && layer.text(LAYER).map(str::trim) == name);
    let Some(layer) = layer else { return WHITE };
    let grey = || {
        layer
            .number(LAYER_GREY)
            .map(|value| [byte(value / 257.0); 3])
    };
    from_lab(&layer.numbers(LAYER_COLOR))
        .or_else(grey)
        .unwrap_or(WHITE)
}

/// Draws the figures of an annotation that are measured in `units`.
pub(super) fn draw(annotation: &Set<'_>, units: Units, picture: &mut Picture, color: [u8; 3]) {
    let figures = annotation.items(OBJECTS);
    for figure in figures.filter(|figure| Units::of(figure, UNITS) == units) {
        let numbers = figure.numbers(DATA);
        let pairs = numbers.chunks_exact(2).take(MAX_POINTS);
        let points: Vec<Point> = pairs
            .filter_map(|pair| match pair {
                [x, y] => Some(at(units, (*x, *y), picture)),
                _ => None,
            })
            .collect();
        let corners = corners(figure.text(KIND).map(str::trim), &points);
        let is_closed = corners.len() > 2 && corners.first() == corners.last();
        if is_closed && figure.text(IS_FILLED).map(str::trim) == Some("Y") {
            fill(picture, corners.clone(), color);
        }
        if let (Some("POINT"), [(x, y), ..]) = (figure.text(KIND).map(str::trim), &points[..]) {
            path(picture, &[(x - 3.0, *y), (x + 3.0, *y)], color);
            path(picture, &[(*x, y - 3.0), (*x, y + 3.0)], color);
        }
        path(picture, &corners, color);
    }
}

/// A point in pixels of the picture.
fn at(units: Units, (x, y): Point, picture: &Picture) -> Point {
    match units {
        Units::Pixel => (x - 1.0, y - 1.0),
        Units::Display => (x * f64::from(picture.width), y * f64::from(picture.height)),
    }
}

/// The line of a figure.
fn corners(kind: Option<&str>, points: &[Point]) -> Vec<Point> {
    match (kind, points) {
        (Some("CIRCLE"), [(x, y), (edge_x, edge_y), ..]) => {
            let radius = (edge_x - x).hypot(edge_y - y);
            ellipse((*x, *y), (radius, 0.0), (0.0, radius))
        }
        (Some("ELLIPSE"), [(ax, ay), (bx, by), (cx, cy), (dx, dy), ..]) => {
            let major = ((bx - ax) / 2.0, (by - ay) / 2.0);
            let minor = ((dx - cx) / 2.0, (dy - cy) / 2.0);
            ellipse(((ax + bx) / 2.0, (ay + by) / 2.0), major, minor)
        }
        (Some("POLYLINE" | "INTERPOLATED"), points) => points.to_vec(),
        _ => Vec::new(),
    }
}

fn ellipse((x, y): Point, major: Point, minor: Point) -> Vec<Point> {
    let corner = |step: u32| {
        // The last one is the first one.
        let angle = f64::from(step % ROUND) / f64::from(ROUND) * std::f64::consts::TAU;
        let (sin, cos) = angle.sin_cos();
        (
            x + major.0 * cos + minor.0 * sin,
            y + major.1 * cos + minor.1 * sin,
        )
    };
    (0..=ROUND).map(corner).collect()
}

/// A whole number near a value, far from the ends of what there is.
fn whole(value: f64) -> i64 {
    let count = i64::try_from(index(value.abs() + 0.5).min(1 << 20)).unwrap_or(0);
    if value < 0.0 {
        count.saturating_neg()
    } else {
        count
    }
}

fn path(picture: &mut Picture, points: &[Point], color: [u8; 3]) {
    let at = |(x, y): &Point| (whole(*x), whole(*y));
    for (from, to) in points.iter().zip(points.iter().skip(1)) {
        line(picture, at(from), at(to), color);
    }
}

fn fill(picture: &mut Picture, corners: Vec<Point>, color: [u8; 3]) {
    let polygon = Polygon::new(corners);
    for y in 0..picture.height {
        let crossings = polygon.crossings(y.into());
        if crossings.is_empty() {
            continue;
        }
        for x in (0..picture.width).filter(|x| is_between(&crossings, f64::from(*x))) {
            picture.paint(x.into(), y.into(), color);
        }
    }
}

/// Writes the texts of an annotation on the picture as it is displayed; `displayed` says where a point of the image came to lie.
pub(super) fn write(
    annotation: &Set<'_>,
    displayed: &dyn Fn(Point) -> Point,
    picture: &mut Picture,
    color: [u8; 3],
) {
    for object in annotation.items(TEXTS) {
        let point = |tag, units| {
            let units = Units::of(&object, units);
            let pair: [f64; 2] = object.numbers(tag).get(..2)?.try_into().ok()?;
            let point = at(units, pair.into(), picture);
            Some(if units == Units::Pixel {
                displayed(point)
            } else {
                point
            })
        };
        let corners = point(BOX_TOP_LEFT, BOX_UNITS).zip(point(BOX_BOTTOM_RIGHT, BOX_UNITS));
        let anchor = point(ANCHOR, ANCHOR_UNITS);
        let edges = corners
            .map(|((ax, ay), (bx, by))| ((ax.min(bx), ay.min(by)), (ax.max(bx), ay.max(by))));
        // Without a box it stands beside its anchor.
        let beside = anchor.map(|(x, y)| ((x + 4.0, y), (x + 4.0, y)));
        let Some(((left, top), (right, bottom))) = edges.or(beside) else {
            continue;
        };
        let is_shown = object.text(IS_ANCHOR_VISIBLE).map(str::trim) == Some("Y");
        if let Some(anchor) = anchor.filter(|_| is_shown && edges.is_some()) {
            let nearest = (anchor.0.max(left).min(right), anchor.1.max(top).min(bottom));
            path(picture, &[nearest, anchor], color);
        }
        let text = Text {
            lines: object.text(TEXT).unwrap_or_default(),
            left: whole(left),
            right: whole(right),
            top: whole(top),
            justification: match object.text(JUSTIFICATION).map(str::trim) {
                Some("RIGHT") => Justification::Right,
                Some("CENTER") => Justification::Center,
                _ => Justification::Left,
            },
        };
        text.write(picture, color);
    }
}
