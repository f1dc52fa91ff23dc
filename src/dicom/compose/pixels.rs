//! In which transfer syntax pixel data are that came beside a data set (PS3.18 8.7.3.3 to 8.7.3.5, dicomweb.md T06).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use crate::model::TransferSyntax;
use crate::model::transfer_syntax::Encoding;

/// Explicit VR Little Endian.
pub const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";

/// What a media type means where no transfer syntax stands beside it.
const DEFAULTS: [(&str, &str); 12] = [
    ("application/octet-stream", EXPLICIT_LITTLE),
    ("", EXPLICIT_LITTLE),
    ("image/dicom-rle", "1.2.840.10008.1.2.5"),
    ("image/jls", "1.2.840.10008.1.2.4.80"),
    ("image/jp2", "1.2.840.10008.1.2.4.90"),
    ("image/jpx", "1.2.840.10008.1.2.4.92"),
    ("image/jphc", "1.2.840.10008.1.2.4.201"),
    ("image/jxl", "1.2.840.10008.1.2.4.110"),
    ("image/jpg", ""),
    ("video/mpeg", "1.2.840.10008.1.2.4.100"),
    ("video/mp4", "1.2.840.10008.1.2.4.102"),
    ("video/h265", "1.2.840.10008.1.2.4.107"),
];

/// The transfer syntax that pixel data give a file; `None` if they cannot stand in one that is written here. `first` is how they
/// begin.
pub fn syntax<'a>(media_type: &str, named: Option<&'a str>, first: &[u8]) -> Option<&'a str> {
    if let Some(named) = named.filter(|named| *named != "*") {
        let known = TransferSyntax::of(named)?;
        // Native pixel data are the same in both of these.
        if named == IMPLICIT_LITTLE {
            return Some(EXPLICIT_LITTLE);
        }
        return (known.encoding == Encoding::ExplicitLittle).then_some(named);
    }
    if matches!(media_type, "image/jpeg" | "image/jpg") {
        return jpeg(first);
    }
    let found = DEFAULTS.iter().find(|(known, _)| *known == media_type);
    found.map(|(_, syntax)| *syntax)
}

/// What kind of JPEG it is, by its first frame header and scan header (ITU-T T.81 B.1).
fn jpeg(bytes: &[u8]) -> Option<&'static str> {
    let mut rest = bytes.strip_prefix(&[0xFF, 0xD8])?;
    let mut is_lossless = false;
    loop {
        let [0xFF, marker, high, low, ..] = *rest else {
            return None;
        };
        let len = usize::from(u16::from_be_bytes([high, low])).checked_add(2)?;
        let segment = rest.get(..len)?;
        match marker {
            0xC0 => return Some("1.2.840.10008.1.2.4.50"),
            0xC1 => return Some("1.2.840.10008.1.2.4.51"),
            0xC3 => is_lossless = true,
            // The predictor stands behind the components.
            0xDA if is_lossless => {
                let components = usize::from(*segment.get(4)?);
                let predictor = segment.get(components.checked_mul(2)?.checked_add(5)?)?;
                return Some(match predictor {
                    1 => "1.2.840.10008.1.2.4.70",
                    _ => "1.2.840.10008.1.2.4.57",
                });
            }
            0xC2 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xDA => return None,
            _ => {}
        }
        rest = rest.get(len..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t06_the_media_type_or_what_stands_beside_it_names_the_transfer_syntax() {
        let check = |media_type, named, first: &[u8], expected| {
            assert_eq!(
                syntax(media_type, named, first),
                expected,
                "{media_type} {named:?}"
            );
        };
        let octets = "application/octet-stream";
        check(octets, None, &[], Some(EXPLICIT_LITTLE));
        check(octets, Some("*"), &[], Some(EXPLICIT_LITTLE));
        check(
            octets,
            Some("1.2.840.10008.1.2"),
            &[],
            Some(EXPLICIT_LITTLE),
        );
        check(
            octets,
            Some("1.2.840.10008.1.2.5"),
            &[],
            Some("1.2.840.10008.1.2.5"),
        );
        check(octets, Some("1.2.840.10008.1.2.2"), &[], None);
        check(octets, Some("9.9"), &[], None);
        check("video/mp4", None, &[], Some("1.2.840.10008.1.2.4.102"));
        check("text/plain", None, &[], None);
        let app = [0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2];
        let frame = |kind: u8| [&app[..], &[0xFF, kind, 0, 3, 8]].concat();
        check(
            "image/jpeg",
            None,
            &frame(0xC0),
            Some("1.2.840.10008.1.2.4.50"),
        );
        check(
            "image/jpg",
            None,
            &frame(0xC1),
            Some("1.2.840.10008.1.2.4.51"),
        );
        check("image/jpeg", None, &frame(0xC2), None);
        let scan = |predictor| {
            [
                &frame(0xC3)[..],
                &[0xFF, 0xDA, 0, 8, 1, 1, 0, predictor, 0, 0],
            ]
            .concat()
        };
        check("image/jpeg", None, &scan(1), Some("1.2.840.10008.1.2.4.70"));
        check("image/jpeg", None, &scan(6), Some("1.2.840.10008.1.2.4.57"));
        check("image/jpeg", None, &app, None);
        check("image/jpeg", None, &[], None);
        check(
            "image/jpeg",
            None,
            &[0xFF, 0xD8, 0xFF, 0xE0, 0xFF, 0xFF],
            None,
        );
    }
}
