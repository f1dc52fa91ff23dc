//! Lines on pictures: waveforms as curves (PS3.3 C.10.9), structure sets as the outlines of their regions (PS3.3 C.8.8.6).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use serde_json::Value;

use super::head::{Bulk, Head, Set};
use super::picture::Picture;
use super::real::{index, real, sample, size};
use crate::error::{Error, Kind, Result};
use crate::model::Tag;

const WAVEFORM_SEQUENCE: Tag = Tag(0x5400, 0x0100);
const NUMBER_OF_CHANNELS: Tag = Tag(0x003A, 0x0005);
const NUMBER_OF_SAMPLES: Tag = Tag(0x003A, 0x0010);
const WAVEFORM_BITS: Tag = Tag(0x5400, 0x1004);
const WAVEFORM_DATA: Tag = Tag(0x5400, 0x1010);
const WAVEFORM_INTERPRETATION: Tag = Tag(0x5400, 0x1006);

const ROI_CONTOUR_SEQUENCE: Tag = Tag(0x3006, 0x0039);
const ROI_DISPLAY_COLOR: Tag = Tag(0x3006, 0x002A);
const CONTOUR_SEQUENCE: Tag = Tag(0x3006, 0x0040);
const CONTOUR_DATA: Tag = Tag(0x3006, 0x0050);

/// Pixels across, and down for each channel.
const WAVEFORM_WIDTH: u32 = 1000;
const CHANNEL_HEIGHT: u32 = 80;
/// Channels that are drawn: as many as the largest standard ECG has, twice.
const MAX_CHANNELS: usize = 24;

/// The side of a picture of contours.
const CONTOURS_SIDE: u32 = 512;
/// The longest head that is read for them, and the points that are drawn of it.
const MAX_HEAD_BYTES: usize = 16 << 20;
const MAX_POINTS: usize = 1 << 20;

const PAPER: [u8; 3] = [255, 255, 255];
const RULE: [u8; 3] = [240, 200, 200];
const INK: [u8; 3] = [20, 24, 40];
const DARK: [u8; 3] = [0, 0, 0];
const NO_COLOR: [u8; 3] = [255, 255, 0];

/// The first group of a waveform, its channels one below the other, each as high as its own values are wide.
///
/// # Errors
/// `Kind::NotAcceptable` if there is none that is understood.
pub fn waveform(head: &Head) -> Result<Picture> {
    let set = head.set();
    let group = set.items(WAVEFORM_SEQUENCE).next();
    let channels = group.and_then(|group| channels(&group)).ok_or_else(|| {
        Error::new(
            Kind::NotAcceptable,
            "no picture can be made: the waveform is described in a way that is not understood",
        )
    })?;
    let rows = u32::try_from(channels.len()).unwrap_or(1);
    let mut picture = Picture::filled(WAVEFORM_WIDTH, CHANNEL_HEIGHT.saturating_mul(rows), PAPER);
    let (width, height) = (i64::from(picture.width), i64::from(picture.height));
    for x in (0..width).step_by(40) {
        line(&mut picture, (x, 0), (x, height), RULE);
    }
    for (channel, top) in channels.iter().zip((0_i64..).step_by(size(CHANNEL_HEIGHT))) {
        curve(&mut picture, channel, top);
    }
    Ok(picture)
}

/// The values of each channel.
fn channels(group: &Set<'_>) -> Option<Vec<Vec<f64>>> {
    let count = size(group.count(NUMBER_OF_CHANNELS)?);
    let samples = size(group.count(NUMBER_OF_SAMPLES)?);
    let is_signed = group
        .text(WAVEFORM_INTERPRETATION)
        .is_none_or(|text| !text.starts_with('U'));
    let len = size(group.count(WAVEFORM_BITS)?).checked_div(8)?;
    let bytes = group.bytes(WAVEFORM_DATA)?;
    if count == 0 || samples == 0 || !matches!(len, 1 | 2 | 4) {
        return None;
    }
    let value = |at: usize| {
        let start = at.checked_mul(len)?;
        let found = bytes.get(start..start.checked_add(len)?)?;
        let fill = if is_signed && found.last().is_some_and(|byte| *byte >= 0x80) {
            0xFF
        } else {
            0
        };
        let mut word = [fill; 8];
        word.get_mut(..len)?.copy_from_slice(found);
        Some(sample(i64::from_le_bytes(word)))
    };
    // Samples stand together by instant, as many of them as are really there.
    let there = bytes
        .len()
        .checked_div(count.checked_mul(len)?)?
        .min(samples);
    let channel = |channel: usize| {
        let at = |sample: usize| value(sample.checked_mul(count)?.checked_add(channel)?);
        (0..there).map(at).collect::<Option<Vec<f64>>>()
    };
    (0..count.min(MAX_CHANNELS)).map(channel).collect()
}

/// One channel: for each column of pixels the span of its values.
fn curve(picture: &mut Picture, values: &[f64], top: i64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let span = if high > low { high - low } else { 1.0 };
    let height = f64::from(CHANNEL_HEIGHT) - 8.0;
    let y = |value: f64| {
        let down = index((high - value) / span * height + 4.0);
        top.saturating_add(i64::try_from(down).unwrap_or(0))
    };
    let step = real(values.len()) / f64::from(WAVEFORM_WIDTH);
    let mut before: Option<i64> = None;
    for x in 0..WAVEFORM_WIDTH {
        let from = index(f64::from(x) * step);
        let to = index((f64::from(x) + 1.0) * step).max(from.saturating_add(1));
        let part = values.get(from..to.min(values.len())).unwrap_or_default();
        let Some(last) = part.last() else { continue };
        let (mut upper, mut lower) = (y(*last), y(*last));
        for value in part {
            (upper, lower) = (upper.min(y(*value)), lower.max(y(*value)));
        }
        if let Some(before) = before {
            (upper, lower) = (upper.min(before), lower.max(before));
        }
        line(picture, (x.into(), upper), (x.into(), lower), INK);
        before = Some(y(*last));
    }
}

/// The colour of a region, and the points of one outline of it.
type Outline = ([u8; 3], Vec<(f64, f64)>);

/// The outlines of all regions of a structure set, seen along the body, in their own colours.
///
/// # Errors
/// `Kind::NotAcceptable` if there is none, or the head is too long.
pub fn contours(json: &[u8]) -> Result<Picture> {
    let refused = || {
        Error::new(
            Kind::NotAcceptable,
            "no picture can be made: the structure set has no contours, or too many",
        )
    };
    if json.len() > MAX_HEAD_BYTES {
        return Err(refused());
    }
    let value: Value = serde_json::from_slice(json).map_err(|e| refused().with_source(e))?;
    let bulk = Bulk::new();
    let set = Set::of(Some(&value), &bulk);
    let mut outlines: Vec<Outline> = Vec::new();
    let mut points = 0_usize;
    for region in set.items(ROI_CONTOUR_SEQUENCE) {
        let color = match region.numbers(ROI_DISPLAY_COLOR).as_slice() {
            [red, green, blue] => [*red, *green, *blue].map(super::real::byte),
            _ => NO_COLOR,
        };
        for contour in region.items(CONTOUR_SEQUENCE) {
            let numbers = contour.numbers(CONTOUR_DATA);
            let outline = numbers.chunks_exact(3).filter_map(|point| match point {
                [x, y, _] => Some((*x, *y)),
                _ => None,
            });
            let outline: Vec<(f64, f64)> = outline.collect();
            points = points.saturating_add(outline.len());
            if points > MAX_POINTS {
                return Err(refused());
            }
            outlines.push((color, outline));
        }
    }
    let all = || outlines.iter().flat_map(|(_, outline)| outline);
    let bound =
        |pick: fn(&(f64, f64)) -> f64, fold: fn(f64, f64) -> f64| all().map(pick).reduce(fold);
    let left = bound(|it| it.0, f64::min).ok_or_else(refused)?;
    let right = bound(|it| it.0, f64::max).ok_or_else(refused)?;
    let top = bound(|it| it.1, f64::min).ok_or_else(refused)?;
    let bottom = bound(|it| it.1, f64::max).ok_or_else(refused)?;
    let room = f64::from(CONTOURS_SIDE) - 32.0;
    let scale = room / (right - left).max(bottom - top).max(1e-6);
    let at = |(x, y): &(f64, f64)| {
        let pixel = |from: f64| i64::try_from(index(from * scale + 16.0)).unwrap_or(0);
        (pixel(x - left), pixel(y - top))
    };
    let mut picture = Picture::filled(CONTOURS_SIDE, CONTOURS_SIDE, DARK);
    for (color, outline) in &outlines {
        let next = outline.iter().skip(1).chain(outline.first());
        for (from, to) in outline.iter().zip(next) {
            line(&mut picture, at(from), at(to), *color);
        }
    }
    Ok(picture)
}

/// A straight line (Bresenham), ends included; what lies outside is not painted.
pub(super) fn line(picture: &mut Picture, from: (i64, i64), to: (i64, i64), color: [u8; 3]) {
    // Nothing is drawn from far outside: a line across a picture of any size is shorter than this.
    const FAR: i64 = 1 << 16;
    let clip = |(x, y): (i64, i64)| (x.clamp(-FAR, FAR), y.clamp(-FAR, FAR));
    let ((mut x, mut y), to) = (clip(from), clip(to));
    let (across, down) = (
        to.0.saturating_sub(x).abs(),
        to.1.saturating_sub(y).abs().saturating_neg(),
    );
    let (step_x, step_y) = (if x < to.0 { 1 } else { -1 }, if y < to.1 { 1 } else { -1 });
    let mut error = across.saturating_add(down);
    loop {
        picture.paint(x, y, color);
        if (x, y) == to {
            return;
        }
        let twice = error.saturating_mul(2);
        if twice >= down {
            error = error.saturating_add(down);
            x = x.saturating_add(step_x);
        }
        if twice <= across {
            error = error.saturating_add(across);
            y = y.saturating_add(step_y);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_waveform_has_a_band_for_each_channel() {
        let data: Vec<u8> = (0_i16..200)
            .flat_map(|n| [n, -n])
            .flat_map(i16::to_le_bytes)
            .collect();
        let group = json!({
            "003A0005": {"vr": "US", "Value": [2]},
            "003A0010": {"vr": "UL", "Value": [200]},
            "54001004": {"vr": "US", "Value": [16]},
            "54001006": {"vr": "CS", "Value": ["SS"]},
            "54001010": {"vr": "OW", "BulkDataURI": "http://h/x/bulkdata/54000100/1/54001010"}
        });
        let json = json!({"54000100": {"vr": "SQ", "Value": [group]}});
        let mut head = Head::read(json.to_string().as_bytes(), 0).unwrap();
        assert!(waveform(&head).is_err(), "without its values");
        head.bulk.insert("54000100/1/54001010".to_owned(), data);
        let picture = waveform(&head).unwrap();
        assert_eq!(
            (picture.width, picture.height),
            (WAVEFORM_WIDTH, 2 * CHANNEL_HEIGHT)
        );
        let ink = |x: usize, from: usize, to: usize| {
            let found = (from..to).find(|y| {
                let at = (y * size(WAVEFORM_WIDTH) + x) * 3;
                picture.samples[at..at + 3] == INK
            });
            found.expect("a curve")
        };
        // The first channel rises, the second one falls.
        assert!(ink(10, 0, 80) > ink(990, 0, 80));
        assert!(ink(10, 80, 160) < ink(990, 80, 160));
    }

    #[test]
    fn contours_are_drawn_in_their_colours() {
        let square = json!([0, 0, 5, 10, 0, 5, 10, 10, 5, 0, 10, 5]);
        let json = json!({"30060039": {"vr": "SQ", "Value": [{
            "3006002A": {"vr": "IS", "Value": [0, 255, 0]},
            "30060040": {"vr": "SQ", "Value": [{"30060050": {"vr": "DS", "Value": square}}]}
        }]}});
        let picture = contours(json.to_string().as_bytes()).unwrap();
        let painted = picture
            .samples
            .chunks_exact(3)
            .filter(|pixel| *pixel == [0, 255, 0]);
        assert_eq!(painted.count(), 4 * 480);
        assert!(contours(b"{}").is_err());
        assert!(contours(b"[").is_err());
    }
}
