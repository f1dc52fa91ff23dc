//! Overlay planes: one bit a pixel, in groups 6000 to 601E (PS3.3 C.9.2), drawn in white over what they cover.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::head::Set;
use super::picture::Picture;
use super::raster::Raster;
use super::real::size;
use crate::model::Tag;

/// Even groups that may hold a plane.
const GROUPS: std::ops::RangeInclusive<u16> = 0x6000..=0x601E;

/// What overlays are drawn in.
pub(super) const WHITE: [u8; 3] = [255; 3];

/// One plane of one frame.
#[derive(Clone, Debug)]
pub(super) struct Overlay {
    group: u16,
    rows: u32,
    columns: u32,
    /// Row and column of the image, from 1, at which it begins.
    origin: (i64, i64),
    bits: Bits,
}

/// Where the bits are.
#[derive(Clone, Debug)]
enum Bits {
    /// In Overlay Data, from this bit on.
    Packed(Vec<u8>, usize),
    /// In this bit of the cells of the image (retired).
    InCells(u32),
}

impl Overlay {
    /// The planes of frame `frame_index`.
    pub(super) fn all(set: &Set<'_>, frame_index: u32) -> Vec<Self> {
        let groups = GROUPS.filter(|group| group % 2 == 0);
        groups
            .filter_map(|group| Self::of(set, group, frame_index))
            .collect()
    }

    /// The plane of a group.
    pub(super) fn of(set: &Set<'_>, group: u16, frame_index: u32) -> Option<Self> {
        let tag = |element| Tag(group, element);
        let (rows, columns) = (set.count(tag(0x0010))?, set.count(tag(0x0011))?);
        let origin = set.numbers(tag(0x0050));
        let whole = |number: &f64| {
            let count = i64::from(super::real::whole(number.abs()));
            if *number < 0.0 {
                count.saturating_neg()
            } else {
                count
            }
        };
        let origin = match origin.as_slice() {
            [row, column, ..] => (whole(row), whole(column)),
            _ => (1, 1),
        };
        let pixels = size(rows).checked_mul(size(columns))?;
        let bits = if let Some(bytes) = set.bytes(tag(0x3000)) {
            // Its frames may begin at another frame of the image than the first.
            let frames = set.count(tag(0x0015)).unwrap_or(1).max(1);
            let first = set.count(tag(0x0051)).unwrap_or(1).max(1).saturating_sub(1);
            let at = frame_index.checked_sub(first)?;
            let at = if frames == 1 && set.count(tag(0x0051)).is_none() {
                0
            } else {
                at
            };
            if at >= frames {
                return None;
            }
            Bits::Packed(bytes, pixels.checked_mul(size(at))?)
        } else {
            let position = set.count(tag(0x0102)).filter(|position| *position > 0)?;
            Bits::InCells(position)
        };
        Some(Self {
            group,
            rows,
            columns,
            origin,
            bits,
        })
    }

    /// The group that it lies in.
    pub(super) fn group(&self) -> u16 {
        self.group
    }

    fn is_set(&self, raster: &Raster, at: usize) -> bool {
        match &self.bits {
            Bits::Packed(bytes, from) => {
                let bit = from.saturating_add(at);
                let byte = bytes.get(bit >> 3).copied().unwrap_or(0);
                byte >> (bit & 7) & 1 == 1
            }
            Bits::InCells(position) => {
                let cell = raster.cell(at).checked_shr(*position).unwrap_or(0);
                cell & 1 == 1
            }
        }
    }

    /// Draws the plane on the picture of its frame.
    pub(super) fn burn(&self, raster: &Raster, picture: &mut Picture, color: [u8; 3]) {
        let (top, left) = self.origin;
        // What lies below the picture is never looked at, whatever the header says.
        for row in 0..i64::from(self.rows) {
            let y = row.saturating_add(top).saturating_sub(1);
            if !(0..i64::from(picture.height)).contains(&y) {
                continue;
            }
            for column in 0..i64::from(self.columns) {
                let x = column.saturating_add(left).saturating_sub(1);
                if x >= i64::from(picture.width) {
                    break;
                }
                let at = row
                    .saturating_mul(i64::from(self.columns))
                    .saturating_add(column);
                if x >= 0 && self.is_set(raster, usize::try_from(at).unwrap_or(usize::MAX)) {
                    picture.paint(x, y, color);
                }
            }
        }
    }
}
