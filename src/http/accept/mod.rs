//! Negotiation: what a request accepts, and which of the things a handler can make is the best answer (dicomweb.md 2.1 to
//! 2.4; PS3.18 8.7).
//!
//! A handler lists its [`Offer`]s, the default of the resource first, and asks [`Accept::choose`]:
//!
//! ```
//! use kura::http::accept::{Accept, Offer};
//!
//! let accept = Accept::parse("multipart/related; type=application/octet-stream; transfer-syntax=*", "");
//! let offers = [
//!     Offer::multipart("application/octet-stream").in_syntax("1.2.840.10008.1.2.1"),
//!     Offer::multipart("image/jls").in_syntax("1.2.840.10008.1.2.4.80").stored(),
//!     Offer::multipart("application/octet-stream").in_syntax("1.2.840.10008.1.2.4.80").stored().if_named(),
//! ];
//! assert_eq!(accept.choose(&offers).ok(), Some(&offers[2]));
//! ```

mod offer;
mod range;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{ACCEPT, HeaderMap};
use actix_web::{FromRequest, HttpRequest};

pub use self::offer::Offer;
use self::range::Range;
use super::media_type::split;
use super::problem;
use crate::dicom::query::decode::{Plus, decode, pairs};
use crate::error::{Error, Result};

/// What a request accepts: its `accept` parameter, then its `Accept` header.
#[derive(Clone, Debug)]
pub struct Accept {
    parameter: Vec<Range>,
    header: Vec<Range>,
    is_charset_served: bool,
}

impl FromRequest for Accept {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request.headers(), request.query_string())))
    }
}

impl Accept {
    /// What the head of a request accepts.
    pub fn of(headers: &HeaderMap, raw_query: &str) -> Self {
        let lines = headers.get_all(ACCEPT);
        let lines: Vec<Cow<'_, str>> = lines
            .map(|line| String::from_utf8_lossy(line.as_bytes()))
            .collect();
        Self::parse(&lines.join(","), raw_query)
    }

    /// Reads the lines of the header, joined by commas (N13), and the query string. Elements that cannot be parsed are
    /// ignored (N12); a header without elements accepts everything (N01, N02).
    pub fn parse(header: &str, raw_query: &str) -> Self {
        let header = match header.trim_matches([',', ' ', '\t']) {
            "" => "*/*",
            header => header,
        };
        Self {
            parameter: ranges(&parameter(raw_query, "accept", Plus::Itself)),
            header: ranges(header),
            is_charset_served: is_served(&parameter(raw_query, "charset", Plus::Space)),
        }
    }

    /// Whether parts of `media_type` are taken in whatever transfer syntax they are stored, and nothing else is asked: the
    /// choice is then the same for all of them (N50).
    pub fn is_any_syntax_of(&self, media_type: &str) -> bool {
        match (self.parameter.as_slice(), self.header.as_slice()) {
            ([], [only]) => only.is_any_syntax_of(media_type),
            _ => false,
        }
    }

    /// The best of `offers`, which stand in the order in which they are made for a client without wishes, the default of
    /// the resource first.
    ///
    /// The weight decides; at equal weight what is stored, then the default, then the order of the list (N32). For `*/*` the
    /// order of the offers decides, so that the handler says what it means (N61).
    ///
    /// # Errors
    /// `Kind::NotAcceptable` with what there is, if none is accepted (S13, N57); `Kind::Invalid` if JSON or XML is wanted in
    /// a character set that is not served (N44).
    pub fn choose<'o, 'a>(&self, offers: &'o [Offer<'a>]) -> Result<&'o Offer<'a>> {
        let offer = best(&self.parameter, offers)
            .or_else(|| best(&self.header, offers))
            .ok_or_else(|| not_acceptable(offers))?;
        if offer.is_json_or_xml() && !self.is_charset_served {
            return Err(Error::invalid("the only character set served is utf-8"));
        }
        Ok(offer)
    }
}

/// The values of a parameter, decoded and joined (N40, N43).
fn parameter(raw_query: &str, name: &str, plus: Plus) -> String {
    let values: Vec<String> = pairs(raw_query)
        .filter(|(other, _)| *other == name)
        .filter_map(|(_, value)| decode(value, plus).ok())
        .collect();
    values.join(",")
}

fn ranges(list: &str) -> Vec<Range> {
    split(list, ',')
        .into_iter()
        .filter_map(Range::parse)
        .collect()
}

/// Whether one of the character sets of a list is served, or the list is empty.
fn is_served(charsets: &str) -> bool {
    let mut names = charsets
        .split(',')
        .map(|element| element.split(';').next().unwrap_or_default().trim())
        .filter(|name| !name.is_empty())
        .peekable();
    names.peek().is_none()
        || names.any(|name| {
            matches!(
                name.to_ascii_lowercase().as_str(),
                "utf-8" | "iso_ir 192" | "*"
            )
        })
}

fn best<'o, 'a>(ranges: &[Range], offers: &'o [Offer<'a>]) -> Option<&'o Offer<'a>> {
    let ranked = offers.iter().enumerate().filter_map(|(at, offer)| {
        let (place, range) = closest(ranges, offer)?;
        let rank = (
            range.weight,
            offer.is_stored && !range.is_everything(),
            at == 0,
            Reverse(place),
            Reverse(at),
        );
        (range.weight > 0).then_some((rank, offer))
    });
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, offer)| offer)
}

/// The most specific range that an offer falls into, the first of equals (N31), and its place in the list.
fn closest<'r>(ranges: &'r [Range], offer: &Offer<'_>) -> Option<(usize, &'r Range)> {
    let fitting = ranges.iter().enumerate().filter_map(|(place, range)| {
        let precision = range.precision(offer)?;
        Some(((precision, Reverse(place)), (place, range)))
    });
    fitting.max_by_key(|(key, _)| *key).map(|(_, found)| found)
}

fn not_acceptable(offers: &[Offer<'_>]) -> Error {
    let forms: Vec<String> = offers.iter().map(ToString::to_string).collect();
    let detail = format!(
        "none of the accepted types can be made; acceptable: {}",
        forms.join(", ")
    );
    problem::not_acceptable(detail, forms)
}
