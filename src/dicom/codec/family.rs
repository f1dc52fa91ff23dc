//! The table of codecs.

use super::{
    Photometric, PixelFormat, Result, Samples, jpeg, jpeg2000, jpegls, jpegxl, native, rle,
};
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
    Family {
        decodes: &[
            "1.2.840.10008.1.2.4.50",
            "1.2.840.10008.1.2.4.51",
            "1.2.840.10008.1.2.4.53",
            "1.2.840.10008.1.2.4.55",
            "1.2.840.10008.1.2.4.57",
            "1.2.840.10008.1.2.4.70",
        ],
        decode: jpeg::decode,
    },
    Family {
        decodes: &["1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"],
        decode: jpegls::decode,
    },
    Family {
        decodes: &[
            "1.2.840.10008.1.2.4.90",
            "1.2.840.10008.1.2.4.91",
            "1.2.840.10008.1.2.4.201",
            "1.2.840.10008.1.2.4.202",
            "1.2.840.10008.1.2.4.203",
        ],
        decode: jpeg2000::decode,
    },
    Family {
        decodes: &[
            "1.2.840.10008.1.2.4.110",
            "1.2.840.10008.1.2.4.111",
            "1.2.840.10008.1.2.4.112",
        ],
        decode: jpegxl::decode,
    },
];

/// What makes frames of one transfer syntax.
pub(super) struct Encoder {
    /// Its UID.
    pub(super) uid: &'static str,
    /// Whether it takes pixels so described.
    pub(super) takes: fn(&PixelFormat) -> bool,
    /// The encoder.
    pub(super) encode: fn(&Samples) -> Result<Vec<u8>>,
}

/// Every encoder, those without loss first.
pub(super) static ENCODERS: &[Encoder] = &[
    Encoder {
        uid: "1.2.840.10008.1.2.4.70",
        takes: is_whole,
        encode: jpeg::lossless::encode,
    },
    Encoder {
        uid: "1.2.840.10008.1.2.4.80",
        takes: is_whole,
        encode: jpegls::encode,
    },
    Encoder {
        uid: "1.2.840.10008.1.2.4.90",
        takes: |format| is_whole(format) && jpeg2000::is_written(format),
        encode: jpeg2000::encode,
    },
    Encoder {
        uid: "1.2.840.10008.1.2.4.201",
        // The library gives up on some frames in colour.
        takes: |format| is_whole(format) && format.samples_per_pixel == 1,
        encode: jpeg2000::encode_high_throughput,
    },
    Encoder {
        uid: "1.2.840.10008.1.2.5",
        takes: |format| matches!(format.bits_allocated, 8 | 16 | 32),
        encode: rle::encode,
    },
    Encoder {
        uid: "1.2.840.10008.1.2.4.50",
        takes: is_for_baseline,
        encode: jpeg::encode,
    },
];

/// One sample or three of at most 16 bits each.
fn is_whole(format: &PixelFormat) -> bool {
    matches!(format.bits_allocated, 8 | 16) && matches!(format.samples_per_pixel, 1 | 3)
}

/// Grey or colour of eight bits; numbers of a palette mean nothing when they are nearly right.
fn is_for_baseline(format: &PixelFormat) -> bool {
    format.bits_allocated == 8
        && !format.is_signed
        && matches!(format.samples_per_pixel, 1 | 3)
        && format.photometric != Photometric::PaletteColor
}
