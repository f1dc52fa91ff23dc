//! What a rendering gives: 8 bits a sample, grey or RGB, rows from the top.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::real::size;

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Whether three samples make a pixel: red, green, blue.
    pub is_color: bool,
    /// The samples, those of a pixel together.
    pub samples: Vec<u8>,
}

impl Picture {
    /// A picture of one colour.
    pub fn filled(width: u32, height: u32, color: [u8; 3]) -> Self {
        let pixels = size(width).saturating_mul(size(height));
        Self {
            width,
            height,
            is_color: true,
            samples: color.repeat(pixels),
        }
    }

    /// Samples of a pixel.
    pub fn channels(&self) -> usize {
        if self.is_color { 3 } else { 1 }
    }

    /// The same in colour.
    #[must_use]
    pub fn in_color(self) -> Self {
        if self.is_color {
            return self;
        }
        let samples = self.samples.iter().flat_map(|grey| [*grey; 3]).collect();
        Self {
            is_color: true,
            samples,
            ..self
        }
    }

    /// Paints the pixel in column `x` of row `y`; nothing outside of the picture.
    pub fn paint(&mut self, x: i64, y: i64, color: [u8; 3]) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
            return;
        };
        if x >= self.width || y >= self.height {
            return;
        }
        let channels = self.channels();
        let at = size(y)
            .saturating_mul(size(self.width))
            .saturating_add(size(x))
            .saturating_mul(channels);
        let pixel = self.samples.get_mut(at..at.saturating_add(channels));
        let color = if channels == 3 {
            &color[..]
        } else {
            &color[..1]
        };
        if let Some(pixel) = pixel {
            pixel.copy_from_slice(color);
        }
    }
}
