//! One decoded frame: samples of any depth, read one by one.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::real::sample;
use crate::dicom::codec::{PixelFormat, Samples};
use crate::error::{Error, Kind, Result};

/// One frame.
#[derive(Clone, Debug)]
pub struct Raster {
    samples: Samples,
    is_float: bool,
    /// Bits below the lowest one that counts.
    shift: u32,
}

impl Raster {
    /// Takes decoded samples; `is_float` says that they are floating point numbers.
    ///
    /// # Errors
    /// `Kind::NotAcceptable` if no picture can be made of such samples.
    pub fn new(samples: Samples, is_float: bool) -> Result<Self> {
        let format = &samples.format;
        let fits = format.pixels() > 0
            && matches!(format.samples_per_pixel, 1 | 3)
            && matches!(format.bits_allocated, 8 | 16 | 32 | 64)
            && (1..=format.bits_allocated).contains(&format.bits_stored)
            && format.high_bit < format.bits_allocated
            && (!is_float || format.bits_allocated >= 32)
            && u64::try_from(samples.bytes.len())
                .is_ok_and(|len| len >= format.interleaved_bytes());
        if !fits {
            let detail =
                "no picture can be made: the pixels are described in a way that is not understood";
            return Err(Error::new(Kind::NotAcceptable, detail));
        }
        let lowest = u32::from(format.high_bit).saturating_add(1);
        Ok(Self {
            shift: lowest.saturating_sub(format.bits_stored.into()),
            samples,
            is_float,
        })
    }

    /// What the samples are.
    pub fn format(&self) -> &PixelFormat {
        &self.samples.format
    }

    /// Pixels.
    pub(super) fn pixels(&self) -> usize {
        usize::try_from(self.format().pixels()).unwrap_or(0)
    }

    /// The cell at `at` as it is stored; 0 beyond the end.
    pub(super) fn cell(&self, at: usize) -> u64 {
        let bytes = &self.samples.bytes;
        let len = self.format().sample_bytes();
        if len == 1 {
            return bytes.get(at).copied().unwrap_or(0).into();
        }
        let start = at.saturating_mul(len);
        let mut word = [0; 8];
        let found = bytes.get(start..start.saturating_add(len));
        if let (Some(found), Some(to)) = (found, word.get_mut(..len)) {
            to.copy_from_slice(found);
        }
        u64::from_le_bytes(word)
    }

    /// What `make` makes of every cell in turn. Cells are told apart by their length once and not at each.
    pub(super) fn map<T>(&self, mut make: impl FnMut(u64) -> T) -> Vec<T> {
        let bytes = &self.samples.bytes;
        match self.format().sample_bytes() {
            1 => {
                let cells = bytes.iter().take(self.pixels());
                cells.map(|cell| make((*cell).into())).collect()
            }
            2 => {
                let (words, _) = bytes.as_chunks::<2>();
                let words = words.iter().take(self.pixels());
                let cells = words.map(|word| make(u16::from_le_bytes(*word).into()));
                cells.collect()
            }
            _ => (0..self.pixels()).map(|at| make(self.cell(at))).collect(),
        }
    }

    /// The cells that occur, each once, where none has more than 16 bits.
    pub(super) fn occurring(&self) -> impl Iterator<Item = u64> + use<> {
        let mut seen = vec![false; 1 << self.format().bits_allocated.min(16)];
        self.map(|cell| {
            if let Some(seen) = usize::try_from(cell).ok().and_then(|at| seen.get_mut(at)) {
                *seen = true;
            }
        });
        let cells = seen.into_iter().zip(0_u64..);
        cells.filter_map(|(is_seen, cell)| is_seen.then_some(cell))
    }

    /// What a cell stands for.
    pub(super) fn value_of(&self, cell: u64) -> f64 {
        match (self.is_float, self.format().bits_allocated) {
            (true, 32) => f32::from_bits(u32::try_from(cell).unwrap_or(0)).into(),
            (true, _) => f64::from_bits(cell),
            (false, _) => sample(self.whole(cell)),
        }
    }

    /// The bits of a cell that count.
    fn whole(&self, cell: u64) -> i64 {
        let left = 64_u32.saturating_sub(self.format().bits_stored.into());
        // To the top and back down: what lies above goes, and the sign comes along.
        let low = cell.checked_shr(self.shift).unwrap_or(0);
        let top = low.checked_shl(left).unwrap_or(0);
        if self.format().is_signed {
            let top = i64::from_le_bytes(top.to_le_bytes());
            return top.checked_shr(left).unwrap_or(0);
        }
        i64::try_from(top.checked_shr(left).unwrap_or(0)).unwrap_or(i64::MAX)
    }

    /// The largest value that the bits can hold.
    pub(super) fn top(&self) -> f64 {
        2_f64.powi(self.format().bits_stored.into()) - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::codec::Photometric;

    fn format(
        bits_allocated: u16,
        bits_stored: u16,
        high_bit: u16,
        is_signed: bool,
    ) -> PixelFormat {
        PixelFormat {
            columns: 2,
            rows: 1,
            samples_per_pixel: 1,
            bits_allocated,
            bits_stored,
            high_bit,
            is_signed,
            photometric: Photometric::Monochrome2,
            planar_configuration: 0,
        }
    }

    fn check(format: PixelFormat, is_float: bool, bytes: &[u8], expected: [f64; 2]) {
        let bytes = bytes.to_vec();
        let raster = Raster::new(Samples { format, bytes }, is_float).unwrap();
        for (at, expected) in expected.into_iter().enumerate() {
            let found = raster.value_of(raster.cell(at));
            assert!((found - expected).abs() < 1e-9, "{format:?}: {found}");
        }
    }

    #[test]
    fn samples_are_the_bits_that_count() {
        check(format(8, 1, 0, false), false, &[0, 1], [0.0, 1.0]);
        check(format(8, 8, 7, false), false, &[1, 255], [1.0, 255.0]);
        check(format(8, 8, 7, true), false, &[1, 255], [1.0, -1.0]);
        check(
            format(16, 12, 11, false),
            false,
            &[0xFF, 0xFF, 1, 0xF0],
            [4095.0, 1.0],
        );
        check(
            format(16, 12, 15, false),
            false,
            &[0xF0, 0xFF, 0x1F, 0],
            [4095.0, 1.0],
        );
        check(
            format(16, 12, 11, true),
            false,
            &[0xFF, 0x0F, 0xFF, 0x07],
            [-1.0, 2047.0],
        );
        check(
            format(32, 32, 31, true),
            false,
            &[0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0],
            [-1.0, 2.0],
        );
        check(
            format(32, 32, 31, false),
            true,
            &[0, 0, 0xC0, 0x3F, 0, 0, 0, 0],
            [1.5, 0.0],
        );
        let mut double = 0.25_f64.to_le_bytes().to_vec();
        double.extend([0; 8]);
        check(format(64, 64, 63, false), true, &double, [0.25, 0.0]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let good = format(16, 12, 11, false);
        let is_taken = |format, is_float, len| {
            let bytes = vec![0; len];
            Raster::new(Samples { format, bytes }, is_float).is_ok()
        };
        assert!(is_taken(good, false, 4));
        assert!(!is_taken(good, false, 3));
        assert!(!is_taken(good, true, 4));
        for bad in [
            PixelFormat { rows: 0, ..good },
            PixelFormat {
                bits_stored: 17,
                ..good
            },
            PixelFormat {
                bits_stored: 0,
                ..good
            },
            PixelFormat {
                bits_allocated: 12,
                ..good
            },
            PixelFormat {
                high_bit: 16,
                ..good
            },
            PixelFormat {
                samples_per_pixel: 2,
                ..good
            },
            PixelFormat {
                samples_per_pixel: 4,
                ..good
            },
        ] {
            assert!(!is_taken(bad, false, 64), "{bad:?}");
        }
    }
}
