//! One sample a pixel: through modality and values of interest to a grey level, or through a palette to a colour.

use std::collections::HashMap;

use super::image::{Finish, Image};
use super::picture::Picture;
use super::raster::Raster;
use super::real::level;
use super::window::{Voi, Window};
use crate::dicom::codec::Photometric;

/// Cells of so many bits go through a table of all of them.
const TABLE_BITS: u16 = 16;

/// The picture of one sample a pixel; `wanted` is the window that the caller asks for.
pub(super) fn picture(image: &Image, raster: &Raster, wanted: Option<Window>) -> Picture {
    if raster.format().photometric == Photometric::PaletteColor
        && let Some(palette) = &image.palette
    {
        return mapped(raster, true, |value| palette.color(value));
    }
    let voi = voi(image, raster, wanted);
    let shade = |stored: f64| voi.shade(image.modality.value(stored));
    if let Finish::Palette(palette) = &image.finish {
        return mapped(raster, true, |stored| palette.color_of(shade(stored)));
    }
    let grey = |stored: f64| {
        let shade = match &image.finish {
            Finish::Table(table) => table.share(shade(stored)),
            Finish::Level | Finish::Palette(_) => shade(stored),
        };
        level(if image.is_inverse { 1.0 - shade } else { shade })
    };
    match &image.palette {
        // A supplemental palette colours the values from its first one on (PS3.3 C.8.16.2.1.1.1).
        Some(palette) => mapped(raster, true, |stored| {
            if stored >= palette.first() {
                palette.color(stored)
            } else {
                [grey(stored); 3]
            }
        }),
        None => mapped(raster, false, |stored| [grey(stored); 3]),
    }
}

/// What makes shades: what the caller wants, else the first window, else the VOI LUT, else the range of the frame (G07).
fn voi(image: &Image, raster: &Raster, wanted: Option<Window>) -> Voi {
    if let Some(window) = wanted.or(image.window) {
        return Voi::Window(window);
    }
    if let Some(table) = &image.voi_lut {
        return Voi::Table(table.clone());
    }
    if raster.format().bits_stored == 1 {
        return Voi::Range(0.0, 1.0);
    }
    let (low, high) = range(image, raster);
    Voi::Range(low, high)
}

/// The least and the largest modality value of a frame, padding left out.
fn range(image: &Image, raster: &Raster) -> (f64, f64) {
    let is_padding = |stored: f64| {
        image
            .padding
            .is_some_and(|(low, high)| (low..=high).contains(&stored))
    };
    let mut range: Option<(f64, f64)> = None;
    let mut note = |stored: f64| {
        if stored.is_finite() && !is_padding(stored) {
            let value = image.modality.value(stored);
            let (low, high) = range.unwrap_or((value, value));
            range = Some((low.min(value), high.max(value)));
        }
    };
    if raster.format().bits_allocated <= TABLE_BITS {
        raster
            .occurring()
            .for_each(|cell| note(raster.value_of(cell)));
    } else {
        raster.map(|cell| note(raster.value_of(cell)));
    }
    range.unwrap_or((0.0, 1.0))
}

/// Every pixel through `shade`, which is asked once for each cell that occurs where cells are short.
fn mapped(raster: &Raster, is_color: bool, shade: impl Fn(f64) -> [u8; 3]) -> Picture {
    let format = raster.format();
    let shade = |cell| shade(raster.value_of(cell));
    let samples = if format.bits_allocated > TABLE_BITS {
        let mut known: HashMap<u64, [u8; 3]> = HashMap::new();
        let colors = raster.map(|cell| {
            // Floating point values hardly repeat: no more are kept than a table would hold.
            if known.len() > 1 << TABLE_BITS {
                known.clear();
            }
            *known.entry(cell).or_insert_with(|| shade(cell))
        });
        if is_color {
            colors.into_flattened()
        } else {
            colors.into_iter().map(|color| color[0]).collect()
        }
    } else if is_color {
        looked_up(raster, shade).into_flattened()
    } else {
        looked_up(raster, |cell| shade(cell)[0])
    };
    Picture {
        width: format.columns.into(),
        height: format.rows.into(),
        is_color,
        samples,
    }
}

/// Every short cell in a table of what `shade` makes of those that occur.
fn looked_up<T: Copy + Default>(raster: &Raster, shade: impl Fn(u64) -> T) -> Vec<T> {
    let place = |cell: u64| usize::try_from(cell).unwrap_or(0);
    let mut table = vec![T::default(); 1 << raster.format().bits_allocated];
    raster
        .occurring()
        .for_each(|cell| table[place(cell)] = shade(cell));
    raster.map(|cell| table[place(cell)])
}
