//! One element of an `Accept` list, and how closely it describes an offer.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::Offer;
use crate::http::media_type::{MediaType, essence};

/// Older names of types, from the days before they were registered (N17).
#[rustfmt::skip]
static ALIASES: &[(&str, &str)] = &[
    ("image/dicom+jpeg", "image/jpeg"),
    ("image/jpg", "image/jpeg"),
    ("image/x-dicom-rle", "image/dicom-rle"),
    ("image/x-jls", "image/jls"),
    ("video/mpeg2", "video/mpeg"),
];

/// Digits of a weight that count: more are tolerated (N30).
const WEIGHT_DIGITS: usize = 6;
/// The weight of what has none: `q=1`.
const FULL_WEIGHT: u32 = 1_000_000;

/// How closely a range describes an offer: by type, then by transfer syntax; the higher, the closer (N31).
type Precision = (u8, u8);

/// A media range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    is_multipart: bool,
    /// `type/subtype` in lower case, of the parts for multipart; either may be `*`.
    media_type: String,
    /// The transfer syntax, `*` for any.
    transfer_syntax: Option<String>,
    /// In millionths.
    pub(super) weight: u32,
}

impl Range {
    /// Reads one element; `None` if it cannot be parsed (N12).
    pub(super) fn parse(element: &str) -> Option<Self> {
        let written = MediaType::parse(element)?;
        let weight = match written.parameter("q") {
            Some(q) => weight(q)?,
            None => FULL_WEIGHT,
        };
        let is_multipart = written.main == "multipart" && matches!(&*written.sub, "related" | "*");
        let media_type = if is_multipart {
            // Without a type the default of the resource is meant, which is the first that fits (N05).
            part_type(written.parameter("type").unwrap_or("*/*"))?
        } else {
            format!("{}/{}", written.main, written.sub)
        };
        if media_type.starts_with("*/") && media_type != "*/*" {
            return None;
        }
        let alias = ALIASES.iter().find(|(older, _)| *older == media_type);
        Some(Self {
            is_multipart,
            media_type: alias.map_or(media_type, |(_, name)| (*name).to_owned()),
            transfer_syntax: written.parameter("transfer-syntax").map(str::to_owned),
            weight,
        })
    }

    /// Whether it asks for nothing in particular.
    pub(super) fn is_everything(&self) -> bool {
        self.media_type == "*/*" && self.transfer_syntax.is_none()
    }

    /// Whether it is parts of `media_type` in any transfer syntax.
    pub(super) fn is_any_syntax_of(&self, media_type: &str) -> bool {
        self.is_multipart
            && self.media_type == media_type
            && self.transfer_syntax.as_deref() == Some("*")
            && self.weight > 0
    }

    /// How closely it describes `offer`; `None` if not at all.
    pub(super) fn precision(&self, offer: &Offer<'_>) -> Option<Precision> {
        Some((self.type_precision(offer)?, self.syntax_precision(offer)?))
    }

    fn type_precision(&self, offer: &Offer<'_>) -> Option<u8> {
        if !self.is_multipart && self.media_type == "*/*" {
            return Some(0);
        }
        if self.is_multipart != offer.is_multipart {
            return None;
        }
        if self.media_type == "*/*" {
            return Some(1);
        }
        let offered = offer.media_type.to_ascii_lowercase();
        if self.media_type == offered {
            return Some(3);
        }
        let family = self.media_type.strip_suffix('*')?;
        offered.starts_with(family).then_some(2)
    }

    fn syntax_precision(&self, offer: &Offer<'_>) -> Option<u8> {
        match (self.transfer_syntax.as_deref(), offer.transfer_syntax) {
            // What has no transfer syntax takes the parameter for one it does not know (N20).
            (_, None) | (Some("*"), Some(_)) => Some(0),
            // Who asks for nothing in particular takes the first of the offers, whatever that is (N61).
            (None, Some(_)) if self.is_everything() => Some(1),
            // Without the parameter the default of the type is meant, which is less than any (N51 to N53).
            (None, Some(_)) => offer.is_unnamed.then_some(1),
            (Some(asked), Some(sent)) => (asked == sent).then_some(2),
        }
    }
}

/// The type inside of multipart; spaces inside the quotes make it another one (N10).
fn part_type(text: &str) -> Option<String> {
    let is_padded = text.trim().len() != text.len();
    let (main, sub) = essence(text).filter(|_| !is_padded)?;
    Some(format!("{main}/{sub}"))
}

/// A weight from 0 to 1 in millionths; `None` if it is none.
fn weight(q: &str) -> Option<u32> {
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    let is_number = !q.is_empty()
        && q != "."
        && whole
            .bytes()
            .chain(fraction.bytes())
            .all(|b| b.is_ascii_digit());
    if !is_number {
        return None;
    }
    let digits: String = fraction.chars().take(WEIGHT_DIGITS).collect();
    let millionths: u32 = format!("{digits:0<WEIGHT_DIGITS$}").parse().ok()?;
    let whole: u32 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let weight = whole.checked_mul(FULL_WEIGHT)?.checked_add(millionths)?;
    (weight <= FULL_WEIGHT).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(q: &str, expected: Option<u32>) {
        assert_eq!(weight(q), expected, "q={q}");
    }

    #[test]
    fn n30_weights_are_numbers_from_0_to_1() {
        check("1", Some(FULL_WEIGHT));
        check("1.000", Some(FULL_WEIGHT));
        check("0", Some(0));
        check("0.000", Some(0));
        check("0.5", Some(500_000));
        check(".2", Some(200_000));
        check("0.12345678901234567890", Some(123_456));
        check("1.", Some(FULL_WEIGHT));
        for q in [
            "",
            ".",
            "x",
            "-1",
            "1.1",
            "2",
            "0,5",
            "0.5x",
            "１",
            "99999999999",
            "1e-1",
        ] {
            check(q, None);
        }
    }
}
