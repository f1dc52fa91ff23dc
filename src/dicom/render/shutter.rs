//! Display shutters: what lies outside of them is covered (PS3.3 C.7.6.11, C.7.6.15).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::color::from_lab;
use super::head::Set;
use super::overlay::Overlay;
use super::picture::Picture;
use super::raster::Raster;
use super::real::byte;
use crate::model::Tag;

const SHAPE: Tag = Tag(0x0018, 0x1600);
/// Left, right, upper and lower edge.
const EDGES: [Tag; 4] = [
    Tag(0x0018, 0x1602),
    Tag(0x0018, 0x1604),
    Tag(0x0018, 0x1606),
    Tag(0x0018, 0x1608),
];
const CENTER: Tag = Tag(0x0018, 0x1610);
const RADIUS: Tag = Tag(0x0018, 0x1612);
const VERTICES: Tag = Tag(0x0018, 0x1620);
const VALUE: Tag = Tag(0x0018, 0x1622);
const OVERLAY_GROUP: Tag = Tag(0x0018, 0x1623);
const COLOR: Tag = Tag(0x0018, 0x1624);

/// Corners of a polygon that count.
const MAX_CORNERS: usize = 1000;

/// The group of the overlay of `set` that is a shutter, and no overlay.
pub(super) fn overlay_group(set: &Set<'_>) -> Option<u16> {
    let is_bitmap = shapes(set).contains(&"BITMAP");
    is_bitmap.then(|| set.short(OVERLAY_GROUP)).flatten()
}

fn shapes<'a>(set: &Set<'a>) -> Vec<&'a str> {
    let values = set.values(SHAPE).iter().filter_map(|it| it.as_str());
    values.map(str::trim).collect()
}

/// Covers what lies outside of the shutters of `set`; `raster` is the frame behind the picture, `frame_index` its number from 0.
pub(super) fn close(set: &Set<'_>, raster: &Raster, frame_index: u32, picture: &mut Picture) {
    let shapes = shapes(set);
    if shapes.is_empty() {
        return;
    }
    // A P-value of 16 bits, or a colour.
    let color = from_lab(&set.numbers(COLOR));
    let color = color.unwrap_or_else(|| [byte(set.number(VALUE).unwrap_or(0.0) / 257.0); 3]);
    let edges = EDGES.map(|tag| set.number(tag));
    let center = set.numbers(CENTER);
    let radius = set.number(RADIUS);
    let polygon = Polygon::of_rows(&set.numbers(VERTICES));
    for row in 0..picture.height {
        let y = f64::from(row) + 1.0;
        let crossings = polygon.crossings(y);
        for column in 0..picture.width {
            let x = f64::from(column) + 1.0;
            let is_open = |shape: &&str| match (*shape, edges, center.as_slice()) {
                ("RECTANGULAR", [Some(left), Some(right), Some(top), Some(bottom)], _) => {
                    x > left && x < right && y > top && y < bottom
                }
                ("CIRCULAR", _, [row, column]) => {
                    (x - column).hypot(y - row) <= radius.unwrap_or(f64::MAX)
                }
                ("POLYGONAL", _, _) => is_between(&crossings, x),
                _ => true,
            };
            if !shapes.iter().all(is_open) {
                picture.paint(column.into(), row.into(), color);
            }
        }
    }
    if let Some(group) = overlay_group(set)
        && let Some(overlay) = Overlay::of(set, group, frame_index)
    {
        overlay.burn(raster, picture, color);
    }
}

/// A closed line, corner by corner.
#[derive(Clone, Debug, Default)]
pub(super) struct Polygon(Vec<(f64, f64)>);

impl Polygon {
    /// Of corners given across and down.
    pub(super) fn new(mut corners: Vec<(f64, f64)>) -> Self {
        corners.truncate(MAX_CORNERS);
        Self(corners)
    }

    /// Of rows and columns.
    fn of_rows(numbers: &[f64]) -> Self {
        let corner = |pair: &[f64]| match pair {
            [row, column] => Some((*column, *row)),
            _ => None,
        };
        Self::new(numbers.chunks_exact(2).filter_map(corner).collect())
    }

    /// Where a row crosses it, from the left.
    pub(super) fn crossings(&self, y: f64) -> Vec<f64> {
        let next = self.0.iter().cycle().skip(1);
        let crossing = |((ax, ay), (bx, by)): (&(f64, f64), &(f64, f64))| {
            ((*ay > y) != (*by > y)).then(|| (bx - ax) * (y - ay) / (by - ay) + ax)
        };
        let mut crossings: Vec<f64> = self.0.iter().zip(next).filter_map(crossing).collect();
        crossings.sort_by(f64::total_cmp);
        crossings
    }
}

/// Whether a point of a row lies inside, by where the row crosses (even-odd rule).
pub(super) fn is_between(crossings: &[f64], x: f64) -> bool {
    crossings.iter().filter(|crossing| x < **crossing).count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polygon_has_an_inside() {
        let square = Polygon::of_rows(&[1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0, 1.0]);
        let is_inside = |x, y| is_between(&square.crossings(y), x);
        assert!(is_inside(5.0, 5.0));
        assert!(!is_inside(10.0, 5.0) && !is_inside(5.0, 10.0));
        assert!(Polygon::default().crossings(5.0).is_empty());
    }
}
