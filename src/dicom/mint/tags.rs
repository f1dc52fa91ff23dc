//! The marks of an XML document, written to the end of a buffer.

use super::NAMESPACE;
use crate::dicom::xml::escape;
use crate::model::{Tag, Timestamp};

/// An XML document in the making (MINT N01, N03: a default namespace and a declaration, nothing before it).
#[derive(Debug, Default)]
pub(super) struct Tags {
    pub(super) out: Vec<u8>,
}

impl Tags {
    /// A document whose root is open.
    pub(super) fn document(root: &str) -> Self {
        let mut tags = Self::default();
        tags.begin(root);
        tags
    }

    /// Begins a document and the tag of its root.
    pub(super) fn begin(&mut self, root: &str) {
        self.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.open(root);
        self.text("xmlns", NAMESPACE);
    }

    /// Begins an element without attributes; children follow.
    pub(super) fn element(&mut self, name: &str) {
        self.open(name);
        self.inside();
    }

    /// Begins the tag of an element; attributes may follow.
    pub(super) fn open(&mut self, name: &str) {
        self.raw("<");
        self.raw(name);
    }

    /// An attribute of the tag that is open.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.raw(" ");
        self.raw(name);
        self.raw("=\"");
        escape(value, &mut self.out);
        self.raw("\"");
    }

    /// An attribute that is a number.
    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.text(name, &value.to_string());
    }

    /// An attribute that is an instant (MINT N07).
    pub(super) fn time(&mut self, name: &str, at: Timestamp) {
        self.text(name, &time_text(at));
    }

    /// An attribute that is a tag: eight upper-case digits.
    pub(super) fn tag(&mut self, Tag(group, element): Tag) {
        self.text("tag", &format!("{group:04X}{element:04X}"));
    }

    /// Ends the tag; children follow.
    pub(super) fn inside(&mut self) {
        self.raw(">");
    }

    /// Ends the tag and the element.
    pub(super) fn empty(&mut self) {
        self.raw("/>");
    }

    /// Text between tags.
    pub(super) fn content(&mut self, text: &str) {
        escape(text, &mut self.out);
    }

    /// Ends an element that has children.
    pub(super) fn close(&mut self, name: &str) {
        self.raw("</");
        self.raw(name);
        self.raw(">");
    }

    /// The document.
    pub(super) fn finish(mut self, root: &str) -> Vec<u8> {
        self.close(root);
        self.raw("\n");
        self.out
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

/// Whether XML 1.0 has a place for a character (MINT D03, V12).
pub(super) fn is_xml(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
}

/// An instant as documents have it: UTC, with the milliseconds that are not zero (MINT N07).
pub fn time_text(at: Timestamp) -> String {
    let micros = i128::from(at.0);
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(micros.saturating_mul(1000));
    let at = at.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (date, millis) = (at.date(), at.millisecond());
    let (hour, minute, second) = at.to_hms();
    let seconds = format!("{date}T{hour:02}:{minute:02}:{second:02}");
    if millis == 0 {
        return format!("{seconds}Z");
    }
    let fraction = format!("{millis:03}");
    format!("{seconds}.{}Z", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mint_n07_times_are_utc_with_the_milliseconds_there_are() {
        let check = |micros, text: &str| assert_eq!(time_text(Timestamp(micros)), text);
        check(0, "1970-01-01T00:00:00Z");
        check(1_773_206_109_170_000, "2026-03-11T05:15:09.17Z");
        check(1_773_206_401_512_999, "2026-03-11T05:20:01.512Z");
        check(1_773_206_400_000_999, "2026-03-11T05:20:00Z");
        check(-1_000, "1969-12-31T23:59:59.999Z");
    }
}
