//! Colour samples to RGB of 8 bits: depths down to 8, luminance and differences to red, green and blue
//! (PS3.3 C.7.6.3.1.2).

use super::picture::Picture;
use super::raster::Raster;
use super::real::byte;
use crate::dicom::codec::Photometric;

/// The picture of three samples a pixel.
pub(super) fn picture(raster: &Raster) -> Picture {
    let format = raster.format();
    let scale = 255.0 / raster.top();
    let sample = |at: usize| raster.value_of(raster.cell(at)) * scale;
    let mut samples = Vec::with_capacity(raster.pixels().saturating_mul(3));
    for pixel in 0..raster.pixels() {
        let [a, b, c] = [3 * pixel, 3 * pixel + 1, 3 * pixel + 2].map(sample);
        samples.extend(match format.photometric {
            Photometric::YbrFull | Photometric::YbrFull422 => from_full(a, b, c),
            Photometric::YbrPartial => from_partial(a, b, c),
            // The transforms inside of JPEG 2000 and JPEG XL are undone by their decoders.
            Photometric::Rgb
            | Photometric::YbrIct
            | Photometric::YbrRct
            | Photometric::Xyb
            | Photometric::Monochrome1
            | Photometric::Monochrome2
            | Photometric::PaletteColor
            | Photometric::Unknown => [a, b, c].map(byte),
        });
    }
    Picture {
        width: format.columns.into(),
        height: format.rows.into(),
        is_color: true,
        samples,
    }
}

/// A colour that a presentation state names: `CIELab` in 16 bits a number (PS3.3 C.10.7.1.1), as sRGB.
pub(super) fn from_lab(numbers: &[f64]) -> Option<[u8; 3]> {
    let [lightness, green_red, blue_yellow]: [f64; 3] = numbers.get(..3)?.try_into().ok()?;
    let middle = (lightness * 100.0 / 65_535.0 + 16.0) / 116.0;
    let (green_red, blue_yellow) = (green_red / 257.0 - 128.0, blue_yellow / 257.0 - 128.0);
    let cube = |t: f64| {
        if t > 6.0 / 29.0 {
            t.powi(3)
        } else {
            3.0 * (6.0_f64 / 29.0).powi(2) * (t - 4.0 / 29.0)
        }
    };
    // The white of D50, then the matrix of sRGB as seen under it, and its curve.
    let (x, y, z) = (
        0.964_22 * cube(middle + green_red / 500.0),
        cube(middle),
        0.825_21 * cube(middle - blue_yellow / 200.0),
    );
    let linear = [
        3.133_86 * x - 1.616_87 * y - 0.490_61 * z,
        -0.978_77 * x + 1.916_14 * y + 0.033_45 * z,
        0.071_95 * x - 0.228_99 * y + 1.405_24 * z,
    ];
    Some(linear.map(|value| {
        let value = value.clamp(0.0, 1.0);
        let curved = if value <= 0.003_130_8 {
            12.92 * value
        } else {
            1.055 * value.powf(1.0 / 2.4) - 0.055
        };
        byte(curved * 255.0)
    }))
}

/// The inverse of the equations of C.7.6.3.1.2 for `YBR_FULL`.
fn from_full(y: f64, cb: f64, cr: f64) -> [u8; 3] {
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    [
        y + 1.402 * cr,
        y - 0.344_136 * cb - 0.714_136 * cr,
        y + 1.772 * cb,
    ]
    .map(byte)
}

/// The same for the narrow range of `YBR_PARTIAL_422`.
fn from_partial(y: f64, cb: f64, cr: f64) -> [u8; 3] {
    let spread = |value: f64, from: f64, span: f64| (value - from) * 255.0 / span;
    from_full(
        spread(y, 16.0, 219.0),
        spread(cb, 128.0, 224.0) + 128.0,
        spread(cr, 128.0, 224.0) + 128.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::codec::{PixelFormat, Samples};

    fn check(photometric: Photometric, bits: u16, bytes: &[u8], expected: &[u8]) {
        let format = PixelFormat {
            columns: 2,
            rows: 1,
            samples_per_pixel: 3,
            bits_allocated: bits,
            bits_stored: bits,
            high_bit: bits - 1,
            is_signed: false,
            planar_configuration: 0,
            photometric,
        };
        let bytes = bytes.to_vec();
        let raster = Raster::new(Samples { format, bytes }, false).unwrap();
        assert_eq!(picture(&raster).samples, expected, "{format:?}");
    }

    #[test]
    fn g11_colours_of_states_are_shown() {
        let lab = |l: f64, a: f64, b: f64| {
            from_lab(&[l * 655.35, (a + 128.0) * 257.0, (b + 128.0) * 257.0]).unwrap()
        };
        // The corners of sRGB in Lab under D50, from Bruce Lindbloom's tables.
        let near = |found: [u8; 3], wanted: [u8; 3]| {
            let is_near = |(a, b): (u8, u8)| a.abs_diff(b) <= 2;
            found.into_iter().zip(wanted).all(is_near)
        };
        assert!(near(lab(100.0, 0.0, 0.0), [255; 3]));
        assert!(near(lab(0.0, 0.0, 0.0), [0; 3]));
        assert!(near(lab(54.29, 80.81, 69.89), [255, 0, 0]));
        assert!(near(lab(29.57, 68.30, -112.03), [0, 0, 255]));
        assert_eq!(from_lab(&[1.0, 2.0]), None);
    }

    #[test]
    fn g11_colour_comes_out_as_rgb() {
        use Photometric::{Rgb, YbrFull, YbrPartial};
        check(Rgb, 8, &[1, 2, 3, 4, 5, 6], &[1, 2, 3, 4, 5, 6]);
        let deep: Vec<u8> = [0_u16, 257, 514, 771, 1028, 65535]
            .iter()
            .flat_map(|s| s.to_le_bytes())
            .collect();
        check(Rgb, 16, &deep, &[0, 1, 2, 3, 4, 255]);
        // Full red and green in BT.601 are (76, 85, 255) and (150, 44, 21).
        check(
            YbrFull,
            8,
            &[76, 85, 255, 150, 44, 21],
            &[254, 0, 0, 0, 255, 1],
        );
        check(
            YbrPartial,
            8,
            &[16, 128, 128, 235, 128, 128],
            &[0, 0, 0, 255, 255, 255],
        );
    }
}
