//! The rule for what becomes a BulkDataURI (dicomweb.md 5.2).

use super::{DOUBLE_FLOAT_PIXEL_DATA, FLOAT_PIXEL_DATA, PIXEL_DATA};
use crate::model::{Tag, VR};

/// Binary values above this many bytes are bulk, where nothing else is said (J31).
pub const BINARY_INLINE_MAX: u32 = 1024;
/// Long texts above this many bytes are bulk (J33).
pub const TEXT_INLINE_MAX: u32 = 64 * 1024;
/// The pixels of an icon above this many bytes are bulk (J35).
pub const ICON_INLINE_MAX: u32 = 32 * 1024;

/// Where an element stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// In no sequence.
    Top,
    /// In an item of Icon Image Sequence (0088,0200).
    Icon,
    /// In an item of another sequence.
    Item,
}

/// Where the line is drawn between what stands in a head and what is bulk.
#[derive(Clone, Copy, Debug)]
pub struct BulkRule {
    /// The longest binary value in a head, in bytes (J31).
    pub binary_max: u32,
    /// The longest text in a head, in bytes (J33).
    pub text_max: u32,
}

impl Default for BulkRule {
    fn default() -> Self {
        Self {
            binary_max: BINARY_INLINE_MAX,
            text_max: TEXT_INLINE_MAX,
        }
    }
}

impl BulkRule {
    /// Whether a value of `len` bytes becomes a BulkDataURI instead of part of the head (dicomweb.md 5.2, J30 to J35).
    pub fn is_bulk(self, tag: Tag, vr: VR, len: u32, nesting: Nesting) -> bool {
        use VR::{LT, OB, OD, OF, OL, OV, OW, ST, UC, UN, UT};
        match (tag, nesting) {
            (PIXEL_DATA | FLOAT_PIXEL_DATA | DOUBLE_FLOAT_PIXEL_DATA, Nesting::Top) => true,
            (PIXEL_DATA, Nesting::Icon) => len > ICON_INLINE_MAX,
            _ if matches!(vr, OB | OD | OF | OL | OV | OW | UN) => len > self.binary_max,
            _ => matches!(vr, UT | LT | ST | UC) && len > self.text_max,
        }
    }
}
