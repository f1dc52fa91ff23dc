//! What a document of somebody else may ask for (MINT F07, V15).

use std::io;

use crate::{Error, Result};

/// How deep its sequences nest.
pub const MAX_LEVELS: usize = 64;

/// Attributes and items of one level of the document: of the study, of a series, of an instance. A data set with more is not
/// stored either.
pub const MAX_NODES: usize = 300_000;

/// Bytes of text and of inline values of one level of the document, base64 counted as it stands.
pub const MAX_LEVEL_BYTES: usize = 32 << 20;

/// Counts what one level of a document holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    nodes: usize,
    bytes: usize,
}

impl Counted {
    /// One more attribute or item, which holds `bytes`.
    ///
    /// # Errors
    /// `Kind::Invalid` beyond [`MAX_NODES`] or [`MAX_LEVEL_BYTES`].
    pub(super) fn add(&mut self, bytes: usize) -> Result<()> {
        self.nodes = self.nodes.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.nodes > MAX_NODES {
            return Err(Error::invalid(
                "a level of the document has more than 300000 attributes and items",
            ));
        }
        if self.bytes > MAX_LEVEL_BYTES {
            return Err(too_long());
        }
        Ok(())
    }
}

/// Why bytes of a document could not be read: too few of them, or a stream that is broken, are its own fault.
pub(super) fn unread(cause: io::Error) -> Error {
    use io::ErrorKind::{FileTooLarge, InvalidData, InvalidInput, UnexpectedEof};
    let kind = cause.kind();
    if kind == FileTooLarge {
        too_long()
    } else if [InvalidData, InvalidInput, UnexpectedEof].contains(&kind) {
        Error::invalid("the document cannot be read to its end").with_source(cause)
    } else {
        Error::unavailable("the document cannot be read", cause)
    }
}

/// A level, or an element of a document, that is longer than is read.
pub(super) fn too_long() -> Error {
    Error::invalid("a level of the document has more than 32 MiB of values")
}

/// Sequences that nest too deep.
pub(super) fn too_deep() -> Error {
    Error::invalid("the sequences of the document nest deeper than 64 levels")
}
