//! Pictures as files: PNG, JPEG, and GIF for those that move.

use std::borrow::Cow;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use jpeg_encoder::{ColorType, Encoder};

use super::picture::Picture;
use crate::error::{Error, Kind, Result};

/// A type of picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureType {
    /// JPEG of this quality, 1 to 100.
    Jpeg(u8),
    /// PNG.
    Png,
    /// GIF of one picture.
    Gif,
}

impl PictureType {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg(_) => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
        }
    }
}

/// The picture as a file, with its colour profile where there is one and the type has room for it.
///
/// # Errors
/// `Kind::NotAcceptable` for a picture that the type has no room for.
pub fn encode(picture: &Picture, profile: Option<&[u8]>, kind: PictureType) -> Result<Vec<u8>> {
    match kind {
        PictureType::Jpeg(quality) => jpeg(picture, profile, quality),
        PictureType::Png => png(picture, profile),
        PictureType::Gif => {
            let mut film = Film::new(picture.width, picture.height, 10.0)?;
            film.add(picture)?;
            Ok(film.end())
        }
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        Kind::NotAcceptable,
        "the picture cannot be written as this type",
    )
    .with_source(error)
}

fn jpeg(picture: &Picture, profile: Option<&[u8]>, quality: u8) -> Result<Vec<u8>> {
    let side = |side: u32| u16::try_from(side).map_err(failed);
    let (width, height) = (side(picture.width)?, side(picture.height)?);
    let color = if picture.is_color {
        ColorType::Rgb
    } else {
        ColorType::Luma
    };
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality);
    if let Some(profile) = profile {
        encoder.add_icc_profile(profile).map_err(failed)?;
    }
    encoder
        .encode(&picture.samples, width, height, color)
        .map_err(failed)?;
    Ok(file)
}

fn png(picture: &Picture, profile: Option<&[u8]>) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let mut info = png::Info::with_size(picture.width, picture.height);
    info.icc_profile = profile.map(Cow::Borrowed);
    let mut encoder = png::Encoder::with_info(&mut file, info).map_err(failed)?;
    encoder.set_color(if picture.is_color {
        png::ColorType::Rgb
    } else {
        png::ColorType::Grayscale
    });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&picture.samples).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}

/// Pictures that follow each other, as GIF; the bytes can be taken as they come, so that no more than one picture is held.
pub struct Film {
    encoder: Option<gif::Encoder<Shared>>,
    written: Shared,
    /// Hundredths of a second.
    delay: u16,
}

impl std::fmt::Debug for Film {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Film")
    }
}

/// A buffer that the encoder writes to and the film takes from.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Film {
    /// A film of pictures of this size, each standing for so many milliseconds, over and over.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn new(width: u32, height: u32, frame_ms: f64) -> Result<Self> {
        let side = |side: u32| u16::try_from(side).map_err(failed);
        let written = Shared::default();
        let mut encoder =
            gif::Encoder::new(written.clone(), side(width)?, side(height)?, &[]).map_err(failed)?;
        encoder.set_repeat(gif::Repeat::Infinite).map_err(failed)?;
        let delay = super::real::index(frame_ms / 10.0).max(2);
        Ok(Self {
            encoder: Some(encoder),
            written,
            delay: u16::try_from(delay).unwrap_or(u16::MAX),
        })
    }

    /// Adds a picture.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn add(&mut self, picture: &Picture) -> Result<()> {
        let side = |side: u32| u16::try_from(side).map_err(failed);
        let (width, height) = (side(picture.width)?, side(picture.height)?);
        let mut frame = if picture.is_color {
            gif::Frame::from_rgb_speed(width, height, &picture.samples, 10)
        } else {
            let greys: Vec<u8> = (0..=255).flat_map(|grey| [grey; 3]).collect();
            gif::Frame::from_palette_pixels(width, height, &*picture.samples, greys, None)
        };
        frame.delay = self.delay;
        if let Some(encoder) = &mut self.encoder {
            encoder.write_frame(&frame).map_err(failed)?;
        }
        Ok(())
    }

    /// What has been written since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        self.written.take()
    }

    /// The rest.
    pub fn end(mut self) -> Vec<u8> {
        self.encoder = None;
        self.written.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r15_pictures_are_files_of_their_type() {
        let grey = Picture {
            width: 3,
            height: 2,
            is_color: false,
            samples: vec![0, 50, 100, 150, 200, 255],
        };
        for picture in [grey.clone(), grey.in_color()] {
            let file = encode(&picture, None, PictureType::Png).unwrap();
            let mut reader = png::Decoder::new(io::Cursor::new(&file))
                .read_info()
                .unwrap();
            let mut samples = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut samples).unwrap();
            assert_eq!(samples, picture.samples);
            let file = encode(&picture, None, PictureType::Jpeg(90)).unwrap();
            assert!(file.starts_with(&[0xFF, 0xD8]) && file.ends_with(&[0xFF, 0xD9]));
            let file = encode(&picture, None, PictureType::Gif).unwrap();
            assert!(file.starts_with(b"GIF89a") && file.ends_with(b";"));
        }
    }

    #[test]
    fn a_film_comes_in_pieces() {
        let mut film = Film::new(2, 2, 40.0).unwrap();
        let mut pieces = Vec::new();
        for level in [0, 255] {
            film.add(&Picture::filled(2, 2, [level; 3])).unwrap();
            pieces.push(film.take());
        }
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        assert_eq!(film.end(), b";");
    }

    #[test]
    fn a_picture_too_large_for_its_type_is_refused() {
        let picture = Picture::filled(70_000, 1, [0; 3]);
        let kind = |kind| encode(&picture, None, kind).map_err(|error| error.kind());
        assert_eq!(kind(PictureType::Jpeg(90)), Err(Kind::NotAcceptable));
        assert_eq!(kind(PictureType::Gif), Err(Kind::NotAcceptable));
    }
}
