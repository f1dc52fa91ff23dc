//! JPEG (ISO/IEC 10918-1): a crate for eight bits and for lossless frames, a decoder of ours for twelve (PS3.5 8.2.1).

mod header;
mod huffman;
pub(super) mod lossless;
mod scan;
mod twelve;

use jpeg_decoder::{ColorTransform, Decoder};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use self::header::{Header, Process};
use super::{CodecError, Photometric, PixelFormat, Result, Samples, extend_signs, widen};

/// Decodes a frame: lossy colour becomes RGB, a lossless frame stays in the colours of its data set (F51).
pub(super) fn decode(format: &PixelFormat, stored: &[u8]) -> Result<Samples> {
    let header = Header::parse(stored)?;
    let expected = (format.rows, format.columns, format.samples_per_pixel);
    let found = (header.rows, header.columns, header.components);
    if found != expected {
        return Err(CodecError::damaged(format!(
            "rows, columns and samples are {found:?}, the data set says {expected:?}"
        )));
    }
    if u16::from(header.precision) > format.bits_allocated {
        return Err(CodecError::damaged(
            "it has more bits than the data set allocates",
        ));
    }
    if header.precision > 8 && header.process != Process::Lossless {
        let (transform, photometric) = colours(format, &header);
        let is_ybr = transform == Some(ColorTransform::YCbCr);
        return twelve::decode(format, &header, stored, (is_ybr, photometric));
    }
    let (transform, photometric) = colours(format, &header);
    let mut decoder = Decoder::new(stored);
    decoder.set_max_decoding_buffer_size(
        usize::try_from(format.interleaved_bytes()).unwrap_or(usize::MAX),
    );
    if let Some(transform) = transform {
        decoder.set_color_transform(transform);
    }
    let failed = |e: jpeg_decoder::Error| CodecError::damaged(e.to_string());
    let mut bytes = decoder.decode().map_err(failed)?;
    // Without loss all but eight bits come as words of the machine, whatever the library's own description says.
    if header.process == Process::Lossless && header.precision != 8 {
        bytes = from_words(&bytes, format);
    } else {
        bytes = widen(bytes, format);
    }
    extend_signs(&mut bytes, format, header.precision.into());
    Ok(Samples {
        format: format.interleaved(photometric),
        bytes,
    })
}

/// Words of the machine with the bytes that the data set allocates.
fn from_words(words: &[u8], format: &PixelFormat) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(words.len());
    for word in words.chunks_exact(2) {
        if let [a, b] = *word {
            let [low, high] = u16::from_ne_bytes([a, b]).to_le_bytes();
            let sample = [low, high, 0, 0, 0, 0, 0, 0];
            bytes.extend(sample.iter().take(format.sample_bytes()));
        }
    }
    bytes
}

/// What is to be done to the colours of a frame, and what they are afterwards.
fn colours(format: &PixelFormat, header: &Header) -> (Option<ColorTransform>, Photometric) {
    if header.components != 3 {
        return (None, format.photometric);
    }
    if header.process == Process::Lossless {
        return (Some(ColorTransform::None), format.photometric);
    }
    let is_ybr = header
        .is_ybr()
        .unwrap_or(format.photometric != Photometric::Rgb);
    let transform = if is_ybr {
        ColorTransform::YCbCr
    } else {
        ColorTransform::RGB
    };
    (Some(transform), Photometric::Rgb)
}

/// How good JPEG Baseline is that is made here, of 100.
const QUALITY: u8 = 90;

/// Encodes a frame of eight bits in JPEG Baseline, colour as YBR with whole chroma.
pub(super) fn encode(samples: &Samples) -> Result<Vec<u8>> {
    let format = &samples.format;
    let colours = match (format.samples_per_pixel, format.photometric) {
        (1, _) => ColorType::Luma,
        (_, Photometric::YbrFull | Photometric::YbrFull422) => ColorType::Ycbcr,
        _ => ColorType::Rgb,
    };
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    encoder
        .encode(&samples.bytes, format.columns, format.rows, colours)
        .map_err(|e| CodecError::unsupported(format!("these samples in JPEG: {e}")))?;
    Ok(out)
}
