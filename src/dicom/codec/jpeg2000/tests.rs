use proptest::prelude::*;

use super::*;

fn format(
    rows: u16,
    columns: u16,
    bits: u16,
    samples_per_pixel: u16,
    is_signed: bool,
) -> PixelFormat {
    PixelFormat {
        rows,
        columns,
        samples_per_pixel,
        bits_allocated: if bits > 8 { 16 } else { 8 },
        bits_stored: bits,
        high_bit: bits - 1,
        is_signed,
        photometric: if samples_per_pixel == 3 {
            Photometric::Rgb
        } else {
            Photometric::Monochrome2
        },
        planar_configuration: 0,
    }
}

/// Samples of a kind: noise, the two extremes, a slope with noise, nothing but a few dots.
fn samples(format: PixelFormat, kind: u8, seed: u64) -> Samples {
    let mut noise = seed;
    let mut next = || {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        noise >> 33
    };
    let top = (1_u64 << format.bits_stored) - 1;
    let count = format.pixels() * u64::from(format.samples_per_pixel);
    let mut bytes = Vec::new();
    for at in 0..count {
        let value = match kind % 4 {
            0 => next(),
            1 => top * (next() & 1),
            2 => at * 3 + next() % 5,
            _ => top * u64::from(next() % 97 == 0),
        };
        let unused = 64 - u32::from(format.bits_stored);
        let value = value << unused;
        let value = if format.is_signed {
            (value.cast_signed() >> unused).cast_unsigned()
        } else {
            value >> unused
        };
        bytes.extend(&value.to_le_bytes()[..format.sample_bytes()]);
    }
    Samples { format, bytes }
}

fn check(samples: &Samples) {
    let format = &samples.format;
    let stream = encode(samples).unwrap();
    let again = decode(format, &stream).unwrap_or_else(|e| panic!("{format:?}: {e}"));
    assert!(again.bytes == samples.bytes, "{format:?}");
    // Another reader, which has nothing of OpenJPEG, and takes samples without signs only.
    if !format.is_signed {
        let settings = dicom_toolkit_jpeg2000::DecodeSettings::default();
        let image = dicom_toolkit_jpeg2000::Image::new(&stream, &settings).unwrap();
        let again = image.decode_native().unwrap();
        assert!(again.data == samples.bytes, "{format:?}");
    }
}

#[test]
fn pictures_of_every_small_size_are_read_back_by_others() {
    for (rows, columns) in (1..=9).flat_map(|rows| (1..=9).map(move |columns| (rows, columns))) {
        check(&samples(format(rows, columns, 8, 1, false), 0, 7));
    }
    for (rows, columns) in [
        (1, 300),
        (300, 1),
        (64, 64),
        (65, 127),
        (128, 129),
        (2, 255),
    ] {
        check(&samples(format(rows, columns, 12, 1, true), 2, 7));
    }
}

#[test]
fn every_depth_is_read_back_by_others() {
    for bits in 1..=16 {
        for (samples_per_pixel, is_signed) in [(1, false), (1, true), (3, false)] {
            for kind in 0..4 {
                let format = format(19, 23, bits, samples_per_pixel, is_signed && bits > 1);
                check(&samples(format, kind, u64::from(bits)));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_written_is_read_back_by_others(
        rows in 1_u16..=200,
        columns in 1_u16..=200,
        bits in 2_u16..=16,
        samples_per_pixel in prop::sample::select(vec![1_u16, 3]),
        is_signed: bool,
        kind: u8,
        seed: u64,
    ) {
        check(&samples(format(rows, columns, bits, samples_per_pixel, is_signed), kind, seed));
    }
}
