use super::*;

fn gray(rows: u16, columns: u16, bits: u16) -> PixelFormat {
    PixelFormat {
        rows,
        columns,
        samples_per_pixel: 1,
        bits_allocated: bits,
        bits_stored: bits,
        high_bit: bits - 1,
        photometric: Photometric::Monochrome2,
        ..PixelFormat::default()
    }
}

fn syntax(uid: &str) -> &'static TransferSyntax {
    TransferSyntax::of(uid).unwrap()
}

fn native(format: &PixelFormat, stored: &[u8]) -> Result<Samples> {
    decode(TransferSyntax::explicit_little(), format, stored)
}

#[test]
fn native_samples_come_to_lie_side_by_side_and_go_back() {
    let format = PixelFormat {
        samples_per_pixel: 3,
        planar_configuration: 1,
        photometric: Photometric::Rgb,
        ..gray(1, 2, 8)
    };
    let samples = native(&format, &[1, 2, 3, 4, 5, 6, 0]).unwrap();
    assert_eq!(samples.bytes, [1, 3, 5, 2, 4, 6]);
    assert_eq!(samples.format.planar_configuration, 0);
    assert_eq!(octets(samples, &format), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn single_bits_have_a_byte_each_and_are_packed_again() {
    let format = gray(3, 3, 1);
    let samples = native(&format, &[0b0000_0101, 1]).unwrap();
    assert_eq!(samples.bytes, [1, 0, 1, 0, 0, 0, 0, 0, 1]);
    assert_eq!(
        (samples.format.bits_allocated, samples.format.bits_stored),
        (8, 1)
    );
    assert_eq!(octets(samples, &format), [0b0000_0101, 1]);
}

#[test]
fn halved_chroma_is_made_whole() {
    let format = PixelFormat {
        samples_per_pixel: 3,
        photometric: Photometric::YbrFull422,
        ..gray(1, 2, 8)
    };
    let samples = native(&format, &[1, 2, 8, 9]).unwrap();
    assert_eq!(samples.bytes, [1, 8, 9, 2, 8, 9]);
    assert_eq!(samples.format.photometric, Photometric::YbrFull);
}

#[test]
fn what_is_too_short_too_long_or_no_picture_is_an_error() {
    assert!(matches!(
        native(&gray(2, 2, 16), &[0; 7]),
        Err(CodecError::Damaged(_))
    ));
    assert!(matches!(
        native(&gray(0, 2, 16), &[]),
        Err(CodecError::Damaged(_))
    ));
    assert!(matches!(
        native(&gray(2, 2, 12), &[0; 8]),
        Err(CodecError::Unsupported(_))
    ));
    assert_eq!(
        native(&gray(65_535, 65_535, 16), &[]),
        Err(CodecError::TooLarge)
    );
    let video = syntax("1.2.840.10008.1.2.4.102");
    assert!(!can_decode(video));
    assert!(matches!(
        decode(video, &gray(1, 1, 8), &[]),
        Err(CodecError::Unsupported(_))
    ));
}

fn rle(segments: &[&[u8]]) -> Vec<u8> {
    let mut numbers = vec![u32::try_from(segments.len()).unwrap()];
    let mut at = 64;
    for segment in segments {
        numbers.push(at);
        at += u32::try_from(segment.len()).unwrap();
    }
    numbers.resize(16, 0);
    let mut file: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    file.extend(segments.concat());
    file
}

#[test]
fn rle_of_32_bits_puts_the_highest_byte_first() {
    let segments: [&[u8]; 4] = [&[255, 1], &[1, 2, 3], &[128, 255, 4], &[0, 5, 0, 6]];
    let syntax = syntax("1.2.840.10008.1.2.5");
    let samples = decode(syntax, &gray(1, 2, 32), &rle(&segments)).unwrap();
    assert_eq!(samples.bytes, [5, 4, 2, 1, 6, 4, 3, 1]);
}

#[test]
fn hostile_rle_is_an_error() {
    let syntax = syntax("1.2.840.10008.1.2.5");
    let mut beyond = rle(&[&[0, 5]]);
    beyond[4] = 200;
    let mut many = rle(&[]);
    many[..4].copy_from_slice(&[255; 4]);
    for bytes in [
        vec![],
        vec![0; 63],
        rle(&[]),
        rle(&[&[]]),
        rle(&[&[5, 1]]),
        beyond,
        many,
    ] {
        let found = decode(syntax, &gray(1, 2, 8), &bytes);
        assert!(matches!(found, Err(CodecError::Damaged(_))), "{bytes:?}");
    }
}

/// Something like a picture: a slope with a little noise.
fn picture(format: &PixelFormat) -> Samples {
    let count = format.pixels() * u64::from(format.samples_per_pixel);
    let unused = 64 - u32::from(format.bits_stored);
    let mut noise = 12_345_u64;
    let mut bytes = Vec::new();
    for at in 0..count {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let value = (at * 7 + (noise >> 60)) << unused;
        let value = if format.is_signed {
            (value.cast_signed() >> unused).cast_unsigned()
        } else {
            value >> unused
        };
        bytes.extend(&value.to_le_bytes()[..format.sample_bytes()]);
    }
    Samples {
        format: *format,
        bytes,
    }
}

#[test]
fn what_is_encoded_without_loss_decodes_to_the_same() {
    let colour = PixelFormat {
        samples_per_pixel: 3,
        photometric: Photometric::Rgb,
        ..gray(37, 53, 8)
    };
    let twelve = PixelFormat {
        bits_stored: 12,
        high_bit: 11,
        ..gray(37, 53, 16)
    };
    let formats = [
        gray(37, 53, 8),
        gray(1, 1, 8),
        gray(37, 53, 16),
        twelve,
        PixelFormat {
            is_signed: true,
            ..twelve
        },
        PixelFormat {
            is_signed: true,
            ..gray(37, 53, 16)
        },
        colour,
        // Depths that libraries have rows of their own for.
        PixelFormat {
            bits_stored: 1,
            high_bit: 0,
            ..gray(37, 53, 8)
        },
        PixelFormat {
            bits_stored: 5,
            high_bit: 4,
            is_signed: true,
            ..gray(37, 53, 8)
        },
        PixelFormat {
            bits_stored: 7,
            high_bit: 6,
            ..gray(37, 53, 16)
        },
        PixelFormat {
            samples_per_pixel: 3,
            photometric: Photometric::Rgb,
            ..gray(37, 53, 16)
        },
    ];
    let mut made = 0;
    for format in formats {
        for syntax in encodable().filter(|syntax| !syntax.lossy) {
            let samples = picture(&format);
            if !can_encode(syntax, &format) {
                assert_eq!(format.samples_per_pixel, 3, "{}", syntax.name);
                continue;
            }
            let stored = encode(syntax, &samples)
                .unwrap_or_else(|e| panic!("{format:?} {}: {e}", syntax.name));
            let again = decode(syntax, &format, &stored)
                .unwrap_or_else(|e| panic!("{format:?} {}: {e}", syntax.name));
            assert!(again.bytes == samples.bytes, "{format:?} {}", syntax.name);
            made += 1;
        }
    }
    assert_eq!(made, 11 * 5 - 2);
}

#[test]
fn baseline_is_close_to_what_it_was_made_of() {
    let colour = PixelFormat {
        samples_per_pixel: 3,
        photometric: Photometric::Rgb,
        ..gray(40, 56, 8)
    };
    let baseline = syntax("1.2.840.10008.1.2.4.50");
    for format in [gray(40, 56, 8), colour] {
        let ramp = (0..format.interleaved_bytes()).map(|at| u8::try_from(at / 56 % 200).unwrap());
        let samples = Samples {
            format,
            bytes: ramp.collect(),
        };
        let again = decode(baseline, &format, &encode(baseline, &samples).unwrap()).unwrap();
        let worst = again
            .bytes
            .iter()
            .zip(&samples.bytes)
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(worst < Some(25), "{worst:?}");
    }
    assert!(!can_encode(baseline, &gray(4, 4, 16)));
}

/// Frames with a few wrong bytes, and frames that end too early, give some picture or an error.
#[test]
fn hostile_frames_end_in_an_error_or_a_picture_of_the_right_size() {
    let format = gray(37, 53, 8);
    let samples = picture(&format);
    let mut noise = 99_u64;
    let mut next = |below: usize| {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(noise >> 33).unwrap() % below
    };
    for syntax in encodable() {
        let whole = encode(syntax, &samples).unwrap();
        for round in 0..60 {
            let mut frame = whole.clone();
            if round % 3 == 0 {
                frame.truncate(next(whole.len()));
            } else {
                for _ in 0..=next(6) {
                    let at = next(frame.len());
                    frame[at] = u8::try_from(next(256)).unwrap();
                }
            }
            if let Ok(found) = decode(syntax, &format, &frame) {
                assert_eq!(found.bytes.len(), samples.bytes.len(), "{}", syntax.name);
            }
        }
    }
}
