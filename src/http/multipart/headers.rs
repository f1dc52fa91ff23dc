//! What is said about a body and about its parts: the `Content-Type` of the message (T01, T02) and the headers of a part (T04).
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use crate::error::{Error, Kind, Result};
use crate::http::media_type::MediaType;

/// RFC 2046 ends at 70 characters; some senders do not.
const LONGEST_BOUNDARY: usize = 200;

/// The `Content-Type` of a `multipart/related` body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelatedType {
    /// The type of the root part in lower case; empty where it is not given.
    pub root_type: String,
    /// The boundary, without the dashes in front.
    pub boundary: String,
}

impl RelatedType {
    /// Reads a `Content-Type`, quoted or not, in any order, extra parameters ignored.
    ///
    /// # Errors
    /// `Kind::UnsupportedType` if it is not `multipart/related`, `Kind::Invalid` if it has no boundary.
    pub fn parse(content_type: &str) -> Result<Self> {
        let media_type = MediaType::parse(content_type)
            .filter(|media_type| media_type.is("multipart", "related"))
            .ok_or_else(|| {
                Error::new(
                    Kind::UnsupportedType,
                    "the body is not multipart/related with parameters that can be read",
                )
            })?;
        let boundary = media_type.parameter("boundary").unwrap_or_default();
        if boundary.is_empty() || boundary.len() > LONGEST_BOUNDARY {
            return Err(Error::invalid(
                "the Content-Type has no boundary of 1 to 200 characters",
            ));
        }
        let root_type = media_type.parameter("type").unwrap_or_default();
        Ok(Self {
            root_type: root_type.to_ascii_lowercase(),
            boundary: boundary.to_owned(),
        })
    }
}

/// The headers of one part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Reads a header block whose lines end in LF or CRLF; continued lines are joined. `None` if a line is no header.
    pub(super) fn parse(block: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(block);
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            if line.starts_with([' ', '\t']) {
                let (_, value) = headers.last_mut()?;
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        Some(Self(headers))
    }

    /// The value of a header, the first where it is given twice. `name` is in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(other, _)| other == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// `Content-Type`; absent where the part leaves it to the message (T04).
    pub fn content_type(&self) -> Option<&str> {
        self.get("content-type").filter(|value| !value.is_empty())
    }

    /// `Content-Location`, by which metadata names its bulk parts (T06).
    pub fn content_location(&self) -> Option<&str> {
        self.get("content-location")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content_type: &str, root_type: &str, boundary: &str) {
        let read = RelatedType::parse(content_type).expect(content_type);
        assert_eq!(
            (read.root_type.as_str(), read.boundary.as_str()),
            (root_type, boundary)
        );
    }

    fn refuse(content_type: &str, kind: Kind) {
        let error = RelatedType::parse(content_type).unwrap_err();
        assert_eq!(error.kind(), kind, "{content_type}");
    }

    #[test]
    fn t01_t02_the_type_of_the_message_is_read_as_senders_write_it() {
        check(
            "multipart/related; type=\"application/dicom\"; boundary=\"x y\"",
            "application/dicom",
            "x y",
        );
        check(
            "multipart/related; boundary=a=b; type=application/dicom",
            "application/dicom",
            "a=b",
        );
        check(
            "multipart/related;type=Application/DICOM;transfer-syntax=1.2;boundary=b",
            "application/dicom",
            "b",
        );
        check("multipart/related; boundary=b", "", "b");
    }

    #[test]
    fn t07_t08_another_type_is_not_read_here() {
        refuse("multipart/form-data; boundary=b", Kind::UnsupportedType);
        refuse("application/zip", Kind::UnsupportedType);
        refuse("", Kind::UnsupportedType);
        refuse("multipart/related; type=application/dicom", Kind::Invalid);
        refuse(
            &format!("multipart/related; boundary={}", "b".repeat(201)),
            Kind::Invalid,
        );
    }

    #[test]
    fn headers_are_found_in_any_case_and_over_several_lines() {
        let block = b"content-TYPE: application/dicom;\r\n transfer-syntax=1.2\nX:\r\nx: second";
        let headers = Headers::parse(block).unwrap();
        assert_eq!(
            headers.content_type(),
            Some("application/dicom; transfer-syntax=1.2")
        );
        assert_eq!(headers.get("x"), Some(""));
        assert_eq!(headers.content_location(), None);
        assert_eq!(Headers::parse(b"no header"), None);
        assert_eq!(Headers::parse(b" continued"), None);
        assert_eq!(Headers::parse(b""), Some(Headers::default()));
    }
}
