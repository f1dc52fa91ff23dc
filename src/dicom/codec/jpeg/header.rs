//! The marker segments before the first scan (ISO/IEC 10918-1 annex B).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use crate::dicom::codec::{CodecError, Result};

/// How a frame is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// Baseline and extended: each block in one go.
    Sequential,
    /// Spectral selection and successive approximation.
    Progressive,
    /// Lossless.
    Lossless,
}

/// What is said before the first scan.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) process: Process,
    pub(super) precision: u8,
    pub(super) rows: u16,
    pub(super) columns: u16,
    pub(super) components: u16,
    /// The identifiers of the components.
    ids: Vec<u8>,
    /// The colour transform of an Adobe segment.
    adobe: Option<u8>,
    is_jfif: bool,
}

impl Header {
    /// Reads the segments up to the frame header and those behind it up to the first scan.
    pub(super) fn parse(stored: &[u8]) -> Result<Self> {
        let mut header = None;
        let (mut adobe, mut is_jfif) = (None, false);
        for segment in Segments::of(stored) {
            let (marker, body) = segment?;
            match (marker, body) {
                (0xC0..=0xC3, _) => header = Some(Self::frame(marker, body)?),
                (0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF, _) => {
                    return Err(CodecError::unsupported("arithmetic or hierarchical JPEG"));
                }
                (0xE0, [b'J', b'F', b'I', b'F', 0, ..]) => is_jfif = true,
                (
                    0xEE,
                    [
                        b'A',
                        b'd',
                        b'o',
                        b'b',
                        b'e',
                        _,
                        _,
                        _,
                        _,
                        _,
                        _,
                        transform,
                        ..,
                    ],
                ) => {
                    adobe = Some(*transform);
                }
                (SCAN, _) => break,
                _ => {}
            }
        }
        let header = header.ok_or_else(|| CodecError::damaged("it has no frame header"))?;
        Ok(Self {
            adobe,
            is_jfif,
            ..header
        })
    }

    fn frame(marker: u8, body: &[u8]) -> Result<Self> {
        let [precision, r0, r1, c0, c1, count, components @ ..] = body else {
            return Err(CodecError::damaged("its frame header is cut off"));
        };
        Ok(Self {
            process: match marker {
                0xC2 => Process::Progressive,
                0xC3 => Process::Lossless,
                _ => Process::Sequential,
            },
            precision: *precision,
            rows: u16::from_be_bytes([*r0, *r1]),
            columns: u16::from_be_bytes([*c0, *c1]),
            components: u16::from(*count),
            ids: components.iter().step_by(3).copied().collect(),
            adobe: None,
            is_jfif: false,
        })
    }

    /// Whether the components are luminance and colour differences, as far as the frame says it.
    pub(super) fn is_ybr(&self) -> Option<bool> {
        match (self.adobe, &*self.ids) {
            (Some(transform), _) => Some(transform != 0),
            (None, [b'R', b'G', b'B']) => Some(false),
            (None, _) => self.is_jfif.then_some(true),
        }
    }
}

/// The marker of a scan.
pub(super) const SCAN: u8 = 0xDA;

/// Marker segments one after the other, entropy-coded data between them skipped.
pub(super) struct Segments<'a> {
    left: &'a [u8],
    has_failed: bool,
}

impl<'a> Segments<'a> {
    pub(super) fn of(stored: &'a [u8]) -> Self {
        Self {
            left: stored,
            has_failed: false,
        }
    }

    /// What follows the segment that was given last.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.left
    }

    /// To the next marker, which is not one of those inside of entropy-coded data.
    fn marker(&mut self) -> Option<u8> {
        loop {
            let at = memchr::memchr(0xFF, self.left)?;
            self.left = self.left.get(at.saturating_add(1)..)?;
            match self.left.first()? {
                0x00 | 0x01 | 0xD0..=0xD8 | 0xFF => {}
                marker => {
                    self.left = self.left.get(1..)?;
                    return Some(*marker);
                }
            }
        }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Result<(u8, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let marker = self.marker().filter(|marker| *marker != 0xD9)?;
        let body = match *self.left {
            [high, low, ..] => self
                .left
                .get(2..usize::from(u16::from_be_bytes([high, low]))),
            _ => None,
        };
        let Some(body) = body else {
            self.has_failed = true;
            return Some(Err(CodecError::damaged("a marker segment is cut off")));
        };
        self.left = self
            .left
            .get(body.len().saturating_add(2)..)
            .unwrap_or_default();
        Some(Ok((marker, body)))
    }
}
