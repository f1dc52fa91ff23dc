//! Octets of a native frame brought to the form that the oracle hashes: samples interleaved by pixel, a byte for a bit.

use crate::harness::corpus::Entry;

/// The samples of a frame as the oracle counts them (README of the corpus, "Oracles").
pub fn samples(entry: &Entry, frame: &[u8], is_packed: bool) -> Vec<u8> {
    let pixels = entry.number("rows").unwrap() * entry.number("columns").unwrap();
    let per_pixel = entry.number("samples").unwrap();
    let bits = entry.number("bits_allocated").unwrap();
    if bits == 1 {
        assert_eq!(frame.len(), pixels.div_ceil(8), "F41: {}", entry.file);
        return if is_packed {
            frame.to_vec()
        } else {
            unpacked(frame, pixels)
        };
    }
    let bytes = bits / 8;
    if entry.field("photometric") == "YBR_FULL_422" && frame.len() == pixels * 2 {
        return whole_chroma(frame);
    }
    assert_eq!(
        frame.len(),
        pixels * per_pixel * bytes,
        "F40: {}",
        entry.file
    );
    if per_pixel > 1 && entry.field("planar") == "1" {
        return interleaved(frame, per_pixel, bytes);
    }
    frame.to_vec()
}

/// The samples of two octets with nothing above Bits Stored.
pub fn without_unused_bits(entry: &Entry, samples: &[u8]) -> Option<Vec<u8>> {
    let stored = u32::try_from(entry.number("bits_stored")?).unwrap();
    let is_plain =
        entry.field("pixel_representation") == "0" && entry.field("bits_allocated") == "16";
    let mask = |word: &[u8]| u16::from_le_bytes([word[0], word[1]]) & !(!0 << stored);
    (is_plain && stored < 16).then(|| {
        samples
            .chunks_exact(2)
            .flat_map(|word| mask(word).to_le_bytes())
            .collect()
    })
}

/// A byte a pixel: the first pixel is the lowest bit (PS3.5 8.1.1).
fn unpacked(frame: &[u8], pixels: usize) -> Vec<u8> {
    (0..pixels)
        .map(|at| (frame[at / 8] >> (at % 8)) & 1)
        .collect()
}

/// Planes one after another → the samples of a pixel side by side.
fn interleaved(frame: &[u8], planes: usize, bytes: usize) -> Vec<u8> {
    let plane = frame.len() / planes;
    let starts = (0..plane).step_by(bytes);
    starts
        .flat_map(|at| {
            (0..planes).flat_map(move |p| frame[p * plane + at..][..bytes].iter().copied())
        })
        .collect()
}

/// Two pixels share a pair of color values: Y Y Cb Cr → Y Cb Cr, Y Cb Cr (PS3.3 C.7.6.3.1.2).
fn whole_chroma(frame: &[u8]) -> Vec<u8> {
    frame
        .chunks_exact(4)
        .flat_map(|c| [c[0], c[2], c[3], c[1], c[2], c[3]])
        .collect()
}

#[test]
fn samples_are_brought_side_by_side() {
    assert_eq!(unpacked(&[0b0000_0101, 1], 9), [1, 0, 1, 0, 0, 0, 0, 0, 1]);
    assert_eq!(interleaved(&[1, 1, 2, 2, 3, 3], 3, 1), [1, 2, 3, 1, 2, 3]);
    assert_eq!(interleaved(&[1, 2, 3, 4], 2, 2), [1, 2, 3, 4]);
    assert_eq!(whole_chroma(&[1, 2, 8, 9]), [1, 8, 9, 2, 8, 9]);
}
