//! The pieces of a `multipart/related` answer (dicomweb.md F20 to F28).
//!
//! ```text
//! --b CRLF                                      part_header
//! Content-Type: application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1 CRLF
//! Content-Length: 524288 CRLF
//! Content-Location: https://…/frames/1 CRLF
//! CRLF
//! (the bytes)
//! CRLF                                          PART_END
//! --b-- CRLF                                    end
//! ```

use bytes::Bytes;
use uuid::Uuid;

/// What follows the bytes of each part (F21).
pub const PART_END: Bytes = Bytes::from_static(b"\r\n");

/// dcmjs looks for the end of the headers in the first 1000 bytes (F23).
const LONGEST_HEADER: usize = 900;
/// The type of a part whose own type cannot stand in a header.
const OCTETS: &str = "application/octet-stream";

/// The boundary of one answer (F20, F24): random, 37 characters, nothing in it that needs quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// The boundary that `random`, a fresh version 4 UUID, makes.
    pub fn of(random: Uuid) -> Self {
        Self(format!("kura-{}", random.simple()))
    }

    /// The text, without the dashes in front.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `Content-Type` of the answer; `root_type` has no parameters (F20).
    pub fn content_type(&self, root_type: &str) -> String {
        let root_type = if is_header_text(root_type) && !root_type.contains(['"', '\\']) {
            root_type
        } else {
            OCTETS
        };
        format!(
            "multipart/related; type=\"{root_type}\"; boundary={}",
            self.0
        )
    }

    /// What stands before the bytes of a part.
    ///
    /// `content_type` may come from an object: what cannot stand in a header is named `application/octet-stream`. A
    /// location that cannot stand there, or makes the headers too long for dcmjs, is left out (F23, F28).
    pub fn part_header(
        &self,
        content_type: &str,
        content_length: u64,
        content_location: Option<&str>,
    ) -> Bytes {
        let content_type = if is_header_text(content_type) {
            content_type
        } else {
            OCTETS
        };
        // Cornerstone compares the 13 bytes `Content-Type:` literally, and takes the first header only (F22, F23).
        let mut header = format!(
            "--{}\r\nContent-Type: {content_type}\r\nContent-Length: {content_length}\r\n",
            self.0
        );
        if let Some(location) = content_location
            && is_header_text(location)
            && header.len() + location.len() + 24 < LONGEST_HEADER
        {
            header.push_str("Content-Location: ");
            header.push_str(location);
            header.push_str("\r\n");
        }
        header.push_str("\r\n");
        header.into()
    }

    /// The last line of the answer.
    pub fn end(&self) -> Bytes {
        format!("--{}--\r\n", self.0).into()
    }
}

/// Whether a text is visible ASCII with spaces, and short.
fn is_header_text(text: &str) -> bool {
    !text.is_empty() && text.len() < 700 && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary() -> Boundary {
        Boundary::of(Uuid::from_u128(0x0123_4567_89ab_cdef))
    }

    fn header(content_type: &str, location: Option<&str>) -> String {
        let bytes = boundary().part_header(content_type, 7, location);
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn f20_f24_the_message_type_has_a_quoted_root_type_and_a_plain_boundary() {
        assert_eq!(
            boundary().content_type("application/dicom"),
            "multipart/related; type=\"application/dicom\"; \
             boundary=kura-00000000000000000123456789abcdef"
        );
        let text = boundary().as_str().to_owned();
        assert!((30..=70).contains(&text.len()));
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        assert_ne!(boundary(), Boundary::of(Uuid::from_u128(1)));
    }

    #[test]
    fn f21_f22_f25_f28_a_part_starts_with_the_boundary_and_its_type() {
        let syntax = "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50";
        assert_eq!(
            header(syntax, Some("http://h/dicomweb/studies/1/frames/1")),
            "--kura-00000000000000000123456789abcdef\r\n\
             Content-Type: image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50\r\n\
             Content-Length: 7\r\n\
             Content-Location: http://h/dicomweb/studies/1/frames/1\r\n\r\n"
        );
        assert!(!header(syntax, None).contains("Location"));
        assert_eq!(
            boundary().end(),
            "--kura-00000000000000000123456789abcdef--\r\n"
        );
    }

    #[test]
    fn f23_part_headers_stay_under_900_bytes() {
        let location = format!("http://h/{}", "x".repeat(690));
        assert!(header(OCTETS, Some(&location)).len() < 900);
        let long_type = format!("application/{}", "x".repeat(600));
        assert!(header(&long_type, Some(&location)).len() < 900);
        assert!(!header(&long_type, Some(&location)).contains("Location"));
    }

    #[test]
    fn what_an_object_says_cannot_add_headers() {
        for hostile in ["a/b\r\nX: y", "", "a/b\n", "あ/い", &"x".repeat(1000)] {
            let lines = header(hostile, Some(hostile));
            assert!(lines.contains("Content-Type: application/octet-stream\r\n"));
            assert_eq!(lines.lines().count(), 4, "{lines}");
        }
        let message = boundary().content_type("a/b\"; boundary=x");
        assert!(message.contains("type=\"application/octet-stream\""));
    }
}
