//! Encapsulated pixel data: a fragment a frame (MINT P08).

use super::data_set::{Writer, length, put};
use super::{Piece, unprocessable};
use crate::dicom::head::name;
use crate::dicom::mint::document::{Attribute, Value};
use crate::error::Result;
use crate::model::{Tag, VR};

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const END: Tag = Tag(0xFFFE, 0xE0DD);
/// Bytes of the header of a fragment.
const HEADER_BYTES: u64 = 8;

/// Whether an element is Pixel Data.
pub(super) fn is_pixel_data(tag: Tag) -> bool {
    tag == Tag(0x7FE0, 0x0010)
}

impl Writer<'_> {
    /// Pixel data of the top level, with an offset table where there is more than one frame and its offsets fit.
    pub(super) fn encapsulated(&self, attribute: &Attribute, to: &mut Vec<Piece>) -> Result<()> {
        let tag = attribute.tag;
        let mut frames = Vec::new();
        match &attribute.value {
            Value::Empty => {}
            Value::Bytes(bytes) if bytes.is_empty() => {}
            Value::Bytes(bytes) => {
                let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                frames.push((Piece::Bytes(bytes.clone()), len));
            }
            Value::Bulk(bulk) => {
                for (item, len) in self.items(tag, *bulk)? {
                    frames.push((
                        Piece::Item {
                            item,
                            range: 0..len,
                        },
                        len,
                    ));
                }
            }
            Value::Text(_) | Value::Number { .. } | Value::Items(_) => {
                return Err(unprocessable(format!(
                    "{} is neither bytes nor items",
                    name(tag)
                )));
            }
        }
        put(to, self.values.header(tag, attribute.vr, None));
        let table = if frames.len() > 1 {
            offsets(&frames)
        } else {
            None
        };
        let table = table.unwrap_or_default();
        put(
            to,
            self.values
                .header(ITEM, VR::OB, Some(length(tag, table.len())?)),
        );
        put(to, table);
        for (frame, len) in frames {
            let even = len.saturating_add(len % 2);
            put(
                to,
                self.values.header(ITEM, VR::OB, Some(length(tag, even)?)),
            );
            match frame {
                Piece::Bytes(bytes) => put(to, bytes),
                Piece::Item { .. } => to.push(frame),
            }
            if even > len {
                put(to, vec![0]);
            }
        }
        put(to, self.values.header(END, VR::OB, Some(0)));
        Ok(())
    }
}

/// The basic offset table; `None` if an offset needs more than 32 bits.
fn offsets(frames: &[(Piece, u64)]) -> Option<Vec<u8>> {
    let mut table = Vec::with_capacity(frames.len().checked_mul(4)?);
    let mut at = 0_u64;
    for (_, len) in frames {
        table.extend(u32::try_from(at).ok()?.to_le_bytes());
        at = at
            .checked_add(HEADER_BYTES)?
            .checked_add(*len)?
            .checked_add(len % 2)?;
    }
    Some(table)
}
