//! multipart/related written and read by hand, strictly as dicomweb.md 7.2 promises it.

/// One part of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Part {
    /// A header, by its exact spelling (F22).
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

/// A STOW body: media type and bytes.
pub fn write<B: AsRef<[u8]>>(files: &[B]) -> (String, Vec<u8>) {
    let boundary = "kura-test-boundary-7d1f0a";
    let mut body = Vec::new();
    for file in files {
        body.extend_from_slice(
            format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(file.as_ref());
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (
        format!("multipart/related; type=\"application/dicom\"; boundary={boundary}"),
        body,
    )
}

/// The parts of a body, walked by Content-Length; anything that is not as promised panics.
pub fn read(content_type: &str, body: &[u8]) -> Vec<Part> {
    assert!(
        content_type.starts_with("multipart/related; type=\""),
        "{content_type}"
    );
    let boundary = content_type.split("boundary=").nth(1).expect("a boundary");
    let (delimiter, end) = (format!("--{boundary}\r\n"), format!("--{boundary}--\r\n"));
    let mut parts = Vec::new();
    let mut rest = body;
    while !rest.starts_with(end.as_bytes()) {
        rest = rest
            .strip_prefix(delimiter.as_bytes())
            .expect("a delimiter");
        let head_len = rest
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("an end of headers");
        assert!(
            head_len < 900,
            "F23: all part headers together under 900 bytes"
        );
        let headers: Vec<(String, String)> = std::str::from_utf8(&rest[..head_len])
            .unwrap()
            .split("\r\n")
            .map(|line| line.split_once(": ").expect("a header"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(
            headers[0].0, "Content-Type",
            "F23: Content-Type comes first"
        );
        let part = Part {
            headers,
            body: Vec::new(),
        };
        let len: usize = part
            .header("Content-Length")
            .parse()
            .expect("F25: a length");
        rest = &rest[head_len + 4..];
        parts.push(Part {
            body: rest[..len].to_vec(),
            ..part
        });
        rest = rest[len..]
            .strip_prefix(b"\r\n")
            .expect("CRLF after a part");
    }
    assert_eq!(rest.len(), end.len(), "nothing follows the last boundary");
    parts
}
