//! Transfer syntaxes: how a stored file is written (PS3.5 section 10 and annex A, PS3.6 table A-1).

/// How the elements of a data set are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Implicit VR Little Endian.
    ImplicitLittle,
    /// Explicit VR Little Endian.
    ExplicitLittle,
    /// Explicit VR Big Endian (retired).
    ExplicitBig,
    /// Explicit VR Little Endian in a raw deflate stream (RFC 1951).
    Deflated,
}

/// What is inside the pixel data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// Native: not encapsulated.
    Native,
    /// Encapsulated but uncompressed: a fragment holds a native frame.
    EncapsulatedNative,
    /// Encapsulated: each fragment is a raw deflate stream of a native frame.
    DeflatedFrames,
    /// Encapsulated and compressed, cut into frames.
    Frames,
    /// Encapsulated video: one stream that cannot be cut.
    Video,
}

/// One transfer syntax. There is one static row for each; compare by `uid`.
#[derive(Debug)]
pub struct TransferSyntax {
    /// Its UID.
    pub uid: &'static str,
    /// Its name (PS3.6).
    pub name: &'static str,
    /// How elements are written.
    pub encoding: Encoding,
    /// What the pixel data hold.
    pub pixels: Pixels,
    /// The media type of its frames on the wire (dicomweb.md 2.5).
    pub media_type: &'static str,
    /// Whether pixels may have lost something.
    pub lossy: bool,
}

impl PartialEq for TransferSyntax {
    fn eq(&self, other: &Self) -> bool {
        self.uid == other.uid
    }
}

impl Eq for TransferSyntax {}

impl TransferSyntax {
    /// The row of `uid`; `None` for a syntax that is not known here, a private one for instance.
    pub fn of(uid: &str) -> Option<&'static Self> {
        TABLE.iter().find(|row| row.uid == uid)
    }

    /// Implicit VR Little Endian.
    pub fn implicit_little() -> &'static Self {
        &TABLE[0]
    }

    /// Explicit VR Little Endian.
    pub fn explicit_little() -> &'static Self {
        &TABLE[1]
    }

    /// Whether pixel data are a sequence of fragments.
    pub fn is_encapsulated(&self) -> bool {
        self.pixels != Pixels::Native
    }

    /// Every row.
    pub fn all() -> &'static [Self] {
        TABLE
    }
}

const fn row(
    uid: &'static str,
    name: &'static str,
    pixels: Pixels,
    media_type: &'static str,
    lossy: bool,
) -> TransferSyntax {
    TransferSyntax {
        uid,
        name,
        encoding: Encoding::ExplicitLittle,
        pixels,
        media_type,
        lossy,
    }
}

const fn native(uid: &'static str, name: &'static str, encoding: Encoding) -> TransferSyntax {
    TransferSyntax {
        uid,
        name,
        encoding,
        pixels: Pixels::Native,
        media_type: "application/octet-stream",
        lossy: false,
    }
}

const OCTETS: &str = "application/octet-stream";

#[rustfmt::skip]
static TABLE: &[TransferSyntax] = &[
    native("1.2.840.10008.1.2", "Implicit VR Little Endian", Encoding::ImplicitLittle),
    native("1.2.840.10008.1.2.1", "Explicit VR Little Endian", Encoding::ExplicitLittle),
    row("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian", Pixels::EncapsulatedNative, OCTETS, false),
    native("1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian", Encoding::Deflated),
    native("1.2.840.10008.1.2.2", "Explicit VR Big Endian", Encoding::ExplicitBig),
    row("1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)", Pixels::Frames, "image/jpeg", true),
    row("1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 and 4)", Pixels::Frames, "image/jpeg", true),
    row("1.2.840.10008.1.2.4.53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)", Pixels::Frames, "image/jpeg", true),
    row("1.2.840.10008.1.2.4.55", "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)", Pixels::Frames, "image/jpeg", true),
    row("1.2.840.10008.1.2.4.57", "JPEG Lossless, Non-Hierarchical (Process 14)", Pixels::Frames, "image/jpeg", false),
    row("1.2.840.10008.1.2.4.70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction", Pixels::Frames, "image/jpeg", false),
    row("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", Pixels::Frames, "image/jls", false),
    row("1.2.840.10008.1.2.4.81", "JPEG-LS Lossy (Near-Lossless)", Pixels::Frames, "image/jls", true),
    row("1.2.840.10008.1.2.4.90", "JPEG 2000 (Lossless Only)", Pixels::Frames, "image/jp2", false),
    row("1.2.840.10008.1.2.4.91", "JPEG 2000", Pixels::Frames, "image/jp2", true),
    row("1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 Multi-component (Lossless Only)", Pixels::Frames, "image/jpx", false),
    row("1.2.840.10008.1.2.4.93", "JPEG 2000 Part 2 Multi-component", Pixels::Frames, "image/jpx", true),
    row("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level", Pixels::Video, "video/mpeg", true),
    row("1.2.840.10008.1.2.4.100.1", "Fragmentable MPEG2 Main Profile / Main Level", Pixels::Video, "video/mpeg", true),
    row("1.2.840.10008.1.2.4.101", "MPEG2 Main Profile / High Level", Pixels::Video, "video/mpeg", true),
    row("1.2.840.10008.1.2.4.101.1", "Fragmentable MPEG2 Main Profile / High Level", Pixels::Video, "video/mpeg", true),
    row("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", Pixels::Video, "video/mp4", true),
    row("1.2.840.10008.1.2.4.102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", Pixels::Video, "video/mp4", true),
    row("1.2.840.10008.1.2.4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", Pixels::Video, "video/mp4", true),
    row("1.2.840.10008.1.2.4.103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", Pixels::Video, "video/mp4", true),
    row("1.2.840.10008.1.2.4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", Pixels::Video, "video/mp4", true),
    row("1.2.840.10008.1.2.4.104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", Pixels::Video, "video/mp4", true),
    row("1.2.840.10008.1.2.4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", Pixels::Video, "video/mp4", true),
    row("1.2.840.10008.1.2.4.105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", Pixels::Video, "video/mp4", true),
    row("1.2.840.10008.1.2.4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", Pixels::Video, "video/mp4", true),
    row("1.2.840.10008.1.2.4.106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", Pixels::Video, "video/mp4", true),
    row("1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile / Level 5.1", Pixels::Video, "video/H265", true),
    row("1.2.840.10008.1.2.4.108", "HEVC/H.265 Main 10 Profile / Level 5.1", Pixels::Video, "video/H265", true),
    row("1.2.840.10008.1.2.4.110", "JPEG XL Lossless", Pixels::Frames, "image/jxl", false),
    row("1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression", Pixels::Frames, "image/jxl", true),
    row("1.2.840.10008.1.2.4.112", "JPEG XL", Pixels::Frames, "image/jxl", true),
    row("1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 (Lossless Only)", Pixels::Frames, "image/jphc", false),
    row("1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)", Pixels::Frames, "image/jphc", false),
    row("1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000", Pixels::Frames, "image/jphc", true),
    row("1.2.840.10008.1.2.5", "RLE Lossless", Pixels::Frames, "image/dicom-rle", false),
    row("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression", Pixels::DeflatedFrames, OCTETS, false),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uid_stands_once_and_finds_its_row() {
        for (at, row) in TABLE.iter().enumerate() {
            assert!(
                std::ptr::eq(TransferSyntax::of(row.uid).unwrap(), &raw const TABLE[at]),
                "{}",
                row.uid
            );
        }
        assert_eq!(TransferSyntax::explicit_little().uid, "1.2.840.10008.1.2.1");
        assert_eq!(TransferSyntax::implicit_little().uid, "1.2.840.10008.1.2");
        assert!(TransferSyntax::of("1.2.840.113619.5.2").is_none());
    }
}
