//! The body of a store: as it came, or expanded from gzip or zstd while it arrives (T10), and never more of it than is
//! allowed (T12).
//!
//! A small body may expand to terabytes. What is held is bounded whatever comes: input is taken in pieces that make at most
//! 2 MiB, and the limit counts what was made.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::io::Write as _;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use actix_web::web;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures::StreamExt as _;
use zstd::stream::raw::{DParameter, Decoder, Operation as _};

use super::problem;
use crate::archive::StoreLimits;
use crate::archive::retrieve::ByteStream;
use crate::error::{Error, Kind, Result};

/// Input of one step of gzip, whose output is at most 1032 times as long (RFC 1951).
const GZIP_STEP: usize = 2 << 10;
/// Output of one step of zstd.
const ZSTD_STEP: usize = 128 << 10;
/// The largest window of zstd, as a power of two: the 8 MiB that RFC 8878 asks of every reader.
const ZSTD_WINDOW: u32 = 23;

/// How a body was encoded on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// The coding that `Content-Encoding` names.
    ///
    /// # Errors
    /// `Kind::UnsupportedType` for any other, and for more than one.
    pub fn of(headers: &HeaderMap) -> Result<Self> {
        let lines = headers.get_all(CONTENT_ENCODING);
        let named: Vec<String> = lines
            .flat_map(|line| line.to_str().unwrap_or("?").split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty() && name != "identity")
            .collect();
        match named.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Ok(Self::Identity),
            ["gzip" | "x-gzip"] => Ok(Self::Gzip),
            ["zstd"] => Ok(Self::Zstd),
            _ => Err(problem::unsupported_type(
                "the Content-Encoding is not gzip or zstd",
                ["gzip", "zstd"].map(str::to_owned).to_vec(),
            )),
        }
    }
}

/// `Kind::TooLarge` with the limit.
pub fn too_long(limit: u64) -> Error {
    let detail = format!("the body is longer than the {limit} bytes that are taken");
    Error::new(Kind::TooLarge, detail)
}

/// The longest body of a store, in bytes, expanded; `own` is the rule of its facility, which wins over that of the server.
///
/// # Errors
/// `Kind::TooLarge` where `Content-Length` tells that it is longer (T13).
pub fn limit(
    headers: &HeaderMap,
    coding: Coding,
    limits: &StoreLimits,
    own: Option<u64>,
) -> Result<Option<u64>> {
    let limit = own.or(limits.request_bytes);
    let length = headers.get(CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|v| v.to_str().ok()?.parse().ok());
    Ok(match coding {
        Coding::Identity => {
            if let (Some(length), Some(limit)) = (length, limit)
                && length > limit
            {
                return Err(too_long(limit));
            }
            limit
        }
        Coding::Gzip | Coding::Zstd => {
            Some(limit.map_or(limits.expanded_bytes, |l| l.min(limits.expanded_bytes)))
        }
    })
}

/// A body that is read.
pub struct Body {
    source: Source,
    expander: Expander,
    limit: Option<u64>,
    idle: Duration,
    given: u64,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("limit", &self.limit)
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

impl Body {
    /// Reads `payload`, which is encoded as `coding` says, up to `limit` bytes expanded, as long as something comes every
    /// `idle`.
    ///
    /// # Errors
    /// `Kind::Internal` if there is no memory for the expander.
    pub fn new(
        payload: web::Payload,
        coding: Coding,
        limit: Option<u64>,
        idle: Duration,
    ) -> Result<Self> {
        Ok(Self {
            source: Source::Request(payload),
            expander: Expander::new(coding)?,
            limit,
            idle,
            given: 0,
        })
    }

    /// Reads bytes that came before, over other requests.
    ///
    /// # Errors
    /// Never: they are not packed.
    pub fn of_stored(bytes: ByteStream) -> Result<Self> {
        Ok(Self {
            source: Source::Store(bytes),
            expander: Expander::new(Coding::Identity)?,
            limit: None,
            idle: Duration::MAX,
            given: 0,
        })
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// `Kind::TooLarge` beyond the limit; `Kind::Invalid` where the body breaks off or is not encoded as it says.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let bytes = self.expander.step()?;
            if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
                self.given = self.given.saturating_add(length(&bytes));
                return match self.limit.filter(|limit| self.given > *limit) {
                    Some(limit) => Err(too_long(limit)),
                    None => Ok(Some(bytes)),
                };
            }
            if !self.expander.is_hungry() {
                continue;
            }
            let silent = |_| {
                let seconds = self.idle.as_secs();
                Error::invalid(format!("nothing of the body came for {seconds} seconds"))
            };
            let next = match &mut self.source {
                Source::Request(payload) => {
                    let next = tokio::time::timeout(self.idle, payload.next()).await;
                    next.map_err(silent)?.map(|next| next.map_err(broken_off))
                }
                Source::Store(bytes) => bytes.next().await,
            };
            let Some(chunk) = next else {
                let rest = self.expander.finish()?;
                return Ok(Some(rest).filter(|rest| !rest.is_empty()));
            };
            self.expander.input = chunk?;
        }
    }
}

/// Where a body comes from.
enum Source {
    Request(web::Payload),
    Store(ByteStream),
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err has it")]
fn broken_off(error: PayloadError) -> Error {
    Error::invalid("the request body broke off").with_source(error.to_string())
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// What expands, and what waits to be expanded.
struct Expander {
    input: Bytes,
    kind: Kinds,
}

enum Kinds {
    Identity,
    Gzip {
        decoder: Box<MultiGzDecoder<Vec<u8>>>,
        has_begun: bool,
    },
    Zstd {
        decoder: Decoder<'static>,
        output: Vec<u8>,
        /// The last frame is whole.
        is_whole: bool,
        /// Output may still wait inside.
        is_full: bool,
    },
}

fn damaged(cause: impl Into<crate::error::BoxError>) -> Error {
    Error::invalid("the body is not encoded as its Content-Encoding says").with_source(cause)
}

impl Expander {
    fn new(coding: Coding) -> Result<Self> {
        let kind = match coding {
            Coding::Identity => Kinds::Identity,
            Coding::Gzip => Kinds::Gzip {
                decoder: Box::new(MultiGzDecoder::new(Vec::new())),
                has_begun: false,
            },
            Coding::Zstd => {
                let no_memory = |cause| Error::internal("no memory to expand a body", cause);
                let mut decoder = Decoder::new().map_err(no_memory)?;
                decoder
                    .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW))
                    .map_err(no_memory)?;
                Kinds::Zstd {
                    decoder,
                    output: vec![0; ZSTD_STEP],
                    is_whole: false,
                    is_full: false,
                }
            }
        };
        Ok(Self {
            input: Bytes::new(),
            kind,
        })
    }

    /// Whether nothing more can be made without more input.
    fn is_hungry(&self) -> bool {
        let is_full = matches!(self.kind, Kinds::Zstd { is_full: true, .. });
        self.input.is_empty() && !is_full
    }

    /// Takes some of the input and gives what it makes; `None` where there is nothing to do.
    fn step(&mut self) -> Result<Option<Bytes>> {
        if self.is_hungry() {
            return Ok(None);
        }
        match &mut self.kind {
            Kinds::Identity => Ok(Some(std::mem::take(&mut self.input))),
            Kinds::Gzip { decoder, has_begun } => {
                *has_begun = true;
                let piece = self.input.split_to(self.input.len().min(GZIP_STEP));
                decoder.write_all(&piece).map_err(damaged)?;
                Ok(Some(std::mem::take(decoder.get_mut()).into()))
            }
            Kinds::Zstd {
                decoder,
                output,
                is_whole,
                is_full,
            } => {
                if *is_whole && !self.input.is_empty() {
                    decoder.reinit().map_err(damaged)?;
                }
                let status = decoder.run_on_buffers(&self.input, output);
                let status = status.map_err(damaged)?;
                let taken = status.bytes_read.min(self.input.len());
                drop(self.input.split_to(taken));
                *is_whole = status.remaining == 0;
                *is_full = !*is_whole && status.bytes_written == output.len();
                let made = output.get(..status.bytes_written).unwrap_or_default();
                Ok(Some(Bytes::copy_from_slice(made)))
            }
        }
    }

    /// The last of the output; fails where the input ended before it may.
    fn finish(&mut self) -> Result<Bytes> {
        match &mut self.kind {
            Kinds::Identity => Ok(Bytes::new()),
            Kinds::Gzip { decoder, has_begun } => {
                if *has_begun {
                    decoder.try_finish().map_err(damaged)?;
                }
                Ok(std::mem::take(decoder.get_mut()).into())
            }
            Kinds::Zstd { is_whole, .. } if *is_whole => Ok(Bytes::new()),
            Kinds::Zstd { .. } => Err(damaged("the last frame is cut")),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(bytes, 1).unwrap()
    }

    /// Expands `body` that arrives in pieces; the longest step beside the result.
    fn expand(coding: Coding, body: &[u8], piece: usize) -> Result<(Vec<u8>, usize)> {
        let mut expander = Expander::new(coding)?;
        let (mut all, mut longest) = (Vec::new(), 0);
        for piece in body.chunks(piece) {
            expander.input = Bytes::copy_from_slice(piece);
            while !expander.is_hungry() {
                let made = expander.step()?.unwrap_or_default();
                longest = longest.max(made.len());
                all.extend_from_slice(&made);
            }
        }
        all.extend_from_slice(&expander.finish()?);
        Ok((all, longest))
    }

    #[test]
    fn t10_what_was_packed_comes_back_wherever_it_is_cut() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let two = |pack: fn(&[u8]) -> Vec<u8>| [pack(&text), pack(b"more")].concat();
        let expected = [&text[..], b"more"].concat();
        for (coding, packed) in [(Coding::Gzip, two(gzip)), (Coding::Zstd, two(zstd))] {
            for piece in [1, 7, 4096, packed.len()] {
                let (all, _) = expand(coding, &packed, piece).unwrap();
                assert!(all == expected, "{coding:?} in {piece}");
            }
            let cut = &packed[..packed.len() - 3];
            let error = expand(coding, cut, 4096).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{coding:?}");
            assert!(expand(coding, b"no such thing", 4).is_err());
        }
    }

    #[test]
    fn t10_a_bomb_is_expanded_in_small_steps() {
        let zeros = vec![0; 64 << 20];
        for (coding, packed) in [(Coding::Gzip, gzip(&zeros)), (Coding::Zstd, zstd(&zeros))] {
            let (all, longest) = expand(coding, &packed, packed.len()).unwrap();
            assert_eq!(all.len(), zeros.len());
            assert!(longest <= 4 << 20, "{coding:?}: {longest}");
        }
    }

    #[test]
    fn t10_other_codings_are_not_supported() {
        let coding = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(value));
            Coding::of(&headers).map_err(|error| error.kind())
        };
        assert_eq!(coding("GZIP"), Ok(Coding::Gzip));
        assert_eq!(coding("zstd"), Ok(Coding::Zstd));
        assert_eq!(coding("identity"), Ok(Coding::Identity));
        assert_eq!(coding(""), Ok(Coding::Identity));
        for other in ["br", "deflate", "gzip, zstd", "gzip,gzip"] {
            assert_eq!(coding(other), Err(Kind::UnsupportedType), "{other}");
        }
    }
}
