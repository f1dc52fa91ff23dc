//! The table of codecs.

use super::{PixelFormat, Result, Samples, native, rle};
use crate::model::TransferSyntax;

/// Transfer syntaxes that one codec reads.
pub(super) struct Family {
    /// The UIDs.
    decodes: &'static [&'static str],
    /// The decoder.
    pub(super) decode: fn(&PixelFormat, &[u8]) -> Result<Samples>,
}

impl Family {
    /// Whether it decodes `syntax`.
    pub(super) fn decodes(&self, syntax: &TransferSyntax) -> bool {
        self.decodes.contains(&syntax.uid)
    }
}

/// Every codec.
pub(super) static FAMILIES: &[Family] = &[
    Family {
        decodes: &[
            "1.2.840.10008.1.2",
            "1.2.840.10008.1.2.1",
            "1.2.840.10008.1.2.1.98",
            "1.2.840.10008.1.2.1.99",
            "1.2.840.10008.1.2.2",
        ],
        decode: native::decode,
    },
    Family {
        decodes: &["1.2.840.10008.1.2.8.1"],
        decode: native::inflate,
    },
    Family {
        decodes: &["1.2.840.10008.1.2.5"],
        decode: rle::decode,
    },
];
