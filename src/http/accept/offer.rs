//! What a handler can make.

use std::fmt;

/// One representation of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer<'a> {
    /// Whether it is a `multipart/related` message; one part alone is another representation (N34).
    pub is_multipart: bool,
    /// The media type, of the parts if there are parts.
    pub media_type: &'a str,
    /// The UID of the transfer syntax in which it is sent, for what has one.
    pub transfer_syntax: Option<&'a str>,
    /// Whether it is sent in the transfer syntax in which it is stored.
    pub is_stored: bool,
    /// Whether it answers to its media type without a transfer syntax (N51 to N53).
    pub is_unnamed: bool,
}

impl<'a> Offer<'a> {
    /// A message of parts of `media_type`.
    pub fn multipart(media_type: &'a str) -> Self {
        Self {
            is_multipart: true,
            ..Self::single(media_type)
        }
    }

    /// A body of `media_type`.
    pub fn single(media_type: &'a str) -> Self {
        Self {
            is_multipart: false,
            media_type,
            transfer_syntax: None,
            is_stored: false,
            is_unnamed: true,
        }
    }

    /// The same, sent in the transfer syntax `uid`.
    #[must_use]
    pub fn in_syntax(self, uid: &'a str) -> Self {
        Self {
            transfer_syntax: Some(uid),
            ..self
        }
    }

    /// The same, which is how it is stored.
    #[must_use]
    pub fn stored(self) -> Self {
        Self {
            is_stored: true,
            ..self
        }
    }

    /// The same, but only for those who name its transfer syntax or take any (`transfer-syntax=*`, N50).
    #[must_use]
    pub fn if_named(self) -> Self {
        Self {
            is_unnamed: false,
            ..self
        }
    }

    /// The `Content-Type` of the body or of each part, transfer syntax unquoted (N45, N60).
    pub fn content_type(&self) -> String {
        match self.transfer_syntax {
            Some(uid) => format!("{}; transfer-syntax={uid}", self.media_type),
            None if self.media_type.starts_with("text/") => {
                format!("{}; charset=utf-8", self.media_type)
            }
            None => self.media_type.to_owned(),
        }
    }

    /// Whether its text has a character set of its own.
    pub(super) fn is_json_or_xml(&self) -> bool {
        self.media_type.ends_with("json") || self.media_type.ends_with("xml")
    }
}

/// As a client would ask for it.
impl fmt::Display for Offer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_multipart {
            write!(f, "multipart/related; type=\"{}\"", self.media_type)?;
        } else {
            f.write_str(self.media_type)?;
        }
        match self.transfer_syntax {
            Some(uid) => write!(f, "; transfer-syntax={uid}"),
            None => Ok(()),
        }
    }
}
