//! What stands around items in a multipart body (MINT 6.3, 16.3). The lengths of all parts are known, so those of the body and of
//! every beginning of it are, too.
//!
//! ```text
//! --B LF                                        or CR LF each time
//! Content-Type: application/octet-stream LF
//! Content-ID: <17@study> LF
//! Content-Length: 524288 LF
//!                                               Content-Location, in the form of RFC 2046 only; Repr-Digest, if it is wanted
//! LF
//! (the bytes) LF
//! --B--                                         and CR LF, in the form of RFC 2046 only
//! ```
//!
//! MINT2DICOM reads the lines of the first form by their position and writes files without pixels where one is missing, one too
//! many, or ends otherwise (MINT I11).

use std::iter;
use std::ops::Range;

use bytes::Bytes;

use crate::archive::mint::layout::{Chosen, Item};
use crate::archive::mint::reading::Piece;
use crate::dicom::mint::TYPE;
use crate::http::digest;
use crate::http::multipart::write::Boundary;
use crate::model::StudyId;

/// How the parts of one answer are framed.
#[derive(Clone, Debug)]
pub(super) struct Framing {
    boundary: String,
    study: StudyId,
    /// Where items are, in the form of RFC 2046.
    root: Option<String>,
    /// Whether each part tells its digest.
    with_digests: bool,
}

impl Framing {
    /// The form of old clients: `multipart/x-mixed-replace`, lines that end in LF.
    pub(super) fn replaced(boundary: &Boundary, study: StudyId) -> Self {
        Self {
            boundary: boundary.as_str().to_owned(),
            study,
            root: None,
            with_digests: false,
        }
    }

    /// The form of RFC 2046: `multipart/related`, with the address of each item under the MINT root.
    pub(super) fn related(boundary: &Boundary, study: StudyId, root: String) -> Self {
        Self {
            root: Some(root),
            ..Self::replaced(boundary, study)
        }
    }

    /// The same, where each part tells the digest of its item (MINT 16.3).
    pub(super) fn with_digests(self, with_digests: bool) -> Self {
        Self {
            with_digests,
            ..self
        }
    }

    /// The media type of the answer.
    pub(super) fn content_type(&self) -> String {
        let boundary = &self.boundary;
        match self.root {
            None => format!("multipart/x-mixed-replace; boundary=\"{boundary}\""),
            Some(_) => {
                format!("multipart/related; type=\"application/octet-stream\"; boundary={boundary}")
            }
        }
    }

    /// What ends a line, and the bytes of a part.
    fn line_end(&self) -> &'static str {
        if self.root.is_some() { "\r\n" } else { "\n" }
    }

    /// What stands before the bytes of an item.
    fn head(&self, item: Item) -> String {
        let (
            Self {
                boundary, study, ..
            },
            end,
        ) = (self, self.line_end());
        let Item { number, len } = item;
        let mut head = format!(
            "--{boundary}{end}Content-Type: application/octet-stream{end}\
             Content-ID: <{number}@{study}>{end}Content-Length: {len}{end}"
        );
        if let Some(root) = &self.root {
            let item = format!("{root}/studies/{study}/{TYPE}/binaryitems/{number}");
            head.extend(["Content-Location: ", &item, end]);
        }
        if self.with_digests {
            head.push_str("Repr-Digest: ");
        } else {
            head.push_str(end);
        }
        head
    }

    /// What follows the head: the digest, and the end of the head behind it; nothing where it is not wanted.
    fn digest(&self, number: u32) -> Option<[Piece; 2]> {
        let (end, part) = (self.line_end(), 0..digest::FIELD_BYTES);
        self.with_digests.then(|| {
            let text = digest::field;
            let told = Piece::Digest { number, text, part };
            [told, Piece::Text(Bytes::from([end, end].concat()))]
        })
    }

    /// What stands before the bytes of a document that comes before all items, and behind them.
    pub(super) fn around_document(&self, content_type: &str, len: u64) -> (String, &'static str) {
        let (
            Self {
                boundary, study, ..
            },
            end,
        ) = (self, self.line_end());
        let root = self.root.as_deref().unwrap_or_default();
        let head = format!(
            "--{boundary}{end}Content-Type: {content_type}{end}Content-ID: <metadata@{study}>{end}\
             Content-Length: {len}{end}\
             Content-Location: {root}/studies/{study}/{TYPE}/metadata{end}{end}"
        );
        (head, end)
    }

    /// The media type of an answer whose first part has another.
    pub(super) fn content_type_of(&self, root_type: &str) -> String {
        format!(
            "multipart/related; type=\"{root_type}\"; boundary={}",
            self.boundary
        )
    }

    /// What stands behind the last part.
    fn end(&self) -> String {
        let end = if self.root.is_some() { "\r\n" } else { "" };
        format!("--{}--{end}", self.boundary)
    }

    /// The length of the body in bytes.
    pub(super) fn len(&self, chosen: &Chosen) -> u64 {
        let after = self.line_end().len() as u64;
        let digest: u64 = self.digest(0).iter().flatten().map(len).sum();
        let parts = chosen
            .items()
            .map(|item| self.head(item).len() as u64 + digest + item.len + after);
        parts.fold(self.end().len() as u64, u64::saturating_add)
    }

    /// The pieces that make the bytes `range` of the body. What stands before them is passed over and not read.
    pub(super) fn pieces(
        &self,
        chosen: &Chosen,
        range: Range<u64>,
    ) -> impl Iterator<Item = Piece> + Send + 'static {
        let (framing, after) = (self.clone(), self.line_end());
        let items = chosen.clone().into_items();
        let end = Piece::Text(Bytes::from(self.end()));
        let whole = items.flat_map(move |item| {
            let head = Piece::Text(Bytes::from(framing.head(item)));
            let digest = framing.digest(item.number).into_iter().flatten();
            let bytes = Piece::Item {
                number: item.number,
                part: 0..item.len,
            };
            let end = Piece::Text(Bytes::from_static(after.as_bytes()));
            iter::once(head).chain(digest).chain([bytes, end])
        });
        let mut at = 0_u64;
        let pieces = whole.chain([end]).map(move |piece| {
            let from = at;
            at = at.saturating_add(len(&piece));
            (from, piece)
        });
        let (start, stop) = (range.start, range.end);
        let cut = pieces
            .skip_while(move |(from, piece)| from.saturating_add(len(piece)) <= start)
            .take_while(move |(from, _)| *from < stop)
            .map(move |(from, piece)| cut(piece, start.saturating_sub(from)..stop - from));
        cut.filter(|piece| len(piece) > 0)
    }
}

fn len(piece: &Piece) -> u64 {
    match piece {
        Piece::Text(text) => text.len() as u64,
        Piece::Item { part, .. } | Piece::Digest { part, .. } => {
            part.end.saturating_sub(part.start)
        }
    }
}

/// The range `cut` of a range, as far as it reaches.
fn within(part: &Range<u64>, cut: &Range<u64>) -> Range<u64> {
    let at = |offset: u64| part.start.saturating_add(offset).min(part.end);
    at(cut.start)..at(cut.end)
}

/// The bytes `range` of a piece, as far as it has them.
fn cut(piece: Piece, range: Range<u64>) -> Piece {
    match piece {
        Piece::Text(text) => {
            let at = |offset: u64| {
                usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(text.len())
            };
            Piece::Text(text.slice(at(range.start)..at(range.end)))
        }
        Piece::Item { number, part } => {
            let part = within(&part, &range);
            Piece::Item { number, part }
        }
        Piece::Digest { number, text, part } => {
            let part = within(&part, &range);
            Piece::Digest { number, text, part }
        }
    }
}
