//! A body as one zstd frame (MINT 16.6, Z32), made as it is sent.

use std::io;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation as _, OutBuffer};

use crate::archive::retrieve::ByteStream;
use crate::error::{Error, Result};

/// The window, as a power of two: the 8 MiB that RFC 9659 lets a receiver be asked for.
const WINDOW: u32 = 23;
/// What native pixel data shrink at.
const LEVEL: i32 = 1;
/// What is packed already passes at the speed of memory, most of it in raw blocks; heads shrink all the same.
const CHEAP: i32 = -7;
/// Output of one step.
const STEP: usize = 128 << 10;

/// `bytes`, which are `len` long, as one frame; `packed` of them do not shrink.
///
/// # Errors
/// `Kind::Internal` if there is no memory for it.
pub(super) fn frame(bytes: ByteStream, len: u64, packed: u64) -> Result<ByteStream> {
    let level = if packed > len / 2 { CHEAP } else { LEVEL };
    let encoder =
        encoder(level, len).map_err(|cause| Error::internal("no memory to pack", cause))?;
    let packing = Packing {
        bytes: Some(bytes),
        encoder,
        input: Bytes::new(),
        is_whole: false,
    };
    let steps = stream::try_unfold(packing, async |mut packing| {
        let step = packing.next().await?;
        Ok(step.map(|step| (step, packing)))
    });
    Ok(steps.boxed())
}

fn encoder(level: i32, len: u64) -> io::Result<Encoder<'static>> {
    let mut encoder = Encoder::new(level)?;
    encoder.set_parameter(CParameter::WindowLog(WINDOW))?;
    encoder.set_parameter(CParameter::ChecksumFlag(true))?;
    encoder.set_pledged_src_size(Some(len))?;
    Ok(encoder)
}

struct Packing {
    /// `None` once it has ended.
    bytes: Option<ByteStream>,
    encoder: Encoder<'static>,
    input: Bytes,
    is_whole: bool,
}

impl Packing {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while !self.is_whole {
            if self.input.is_empty()
                && let Some(bytes) = &mut self.bytes
            {
                match bytes.try_next().await? {
                    Some(piece) => self.input = piece,
                    None => self.bytes = None,
                }
            }
            let made = self.step();
            let made = made.map_err(|cause| Error::internal("a body cannot be packed", cause))?;
            if !made.is_empty() {
                return Ok(Some(made));
            }
        }
        Ok(None)
    }

    /// Packs what is there, and ends the frame when all of it has come.
    fn step(&mut self) -> io::Result<Bytes> {
        let mut made = Vec::with_capacity(STEP);
        let mut output = OutBuffer::around(&mut made);
        if self.bytes.is_some() || !self.input.is_empty() {
            let mut input = InBuffer::around(&self.input);
            self.encoder.run(&mut input, &mut output)?;
            let taken = input.pos();
            drop(self.input.split_to(taken));
        } else {
            self.is_whole = self.encoder.finish(&mut output, true)? == 0;
        }
        Ok(made.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(text: &[u8], packed: u64) -> usize {
        let pieces: Vec<_> = text
            .chunks(100_000)
            .map(Bytes::copy_from_slice)
            .map(Ok)
            .collect();
        let len = text.len() as u64;
        let framed = frame(stream::iter(pieces).boxed(), len, packed).unwrap();
        let framed: Vec<Bytes> = framed.try_collect().await.unwrap();
        let framed = framed.concat();
        assert!(zstd::stream::decode_all(&framed[..]).unwrap() == text);
        let told = zstd::zstd_safe::get_frame_content_size(&framed);
        assert!(told.is_ok_and(|told| told == Some(len)));
        // One frame, which ends where the body does.
        assert_eq!(
            zstd::zstd_safe::find_frame_compressed_size(&framed),
            Ok(framed.len())
        );
        framed.len()
    }

    #[tokio::test]
    async fn mint_z32_a_body_is_one_frame_and_shrinks_where_it_pays() {
        let flat: Vec<u8> = (0..2_000_000_u32)
            .flat_map(|at| (at / 50).to_le_bytes())
            .collect();
        assert!(check(&flat, 0).await < flat.len() / 3);
        let mut noise = 1_u64;
        let noise: Vec<u8> = (0..400_000)
            .flat_map(|_| {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                noise.to_le_bytes()
            })
            .collect();
        let len = check(&noise, noise.len() as u64).await;
        assert!(len < noise.len() + noise.len() / 1000, "{len}");
        check(b"", 0).await;
    }
}
