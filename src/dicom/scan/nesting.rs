//! Open sequences and items: where they end, and what must fit into them (PS3.5 7.5).

use super::data_set::{DataSet, Outcome, short, wide};
use super::header::{ITEM_END, Raw, SEQUENCE_END, SHORT, Syntax};
use super::{ScanError, Sink};
use crate::dicom::head::name;
use crate::model::Tag;

/// An open sequence or item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) kind: Kind,
    /// The tag of the sequence.
    pub(super) tag: Tag,
    /// Offset of its header.
    pub(super) offset: u64,
    /// Where it ends; `None` if a delimiter ends it.
    pub(super) end: Option<u64>,
    /// Where it ends at the latest: the nearest end around it.
    pub(super) limit: Option<u64>,
    pub(super) syntax: Syntax,
    /// The last tag of the item.
    pub(super) last: Option<Tag>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sequence,
    Item,
}

impl DataSet {
    /// Where the innermost thing that is open ends at the latest.
    pub(super) fn limit(&self) -> Option<u64> {
        self.open.last().and_then(|open| open.limit)
    }

    /// Closes what a length of its own ends here.
    pub(super) fn close_ended(&mut self, sink: &mut dyn Sink) -> Outcome {
        while let Some(open) = self.open.last() {
            if open.end != Some(self.offset) {
                break;
            }
            self.close(sink)?;
        }
        Ok(())
    }

    pub(super) fn close(&mut self, sink: &mut dyn Sink) -> Outcome {
        match self.open.pop().map(|open| open.kind) {
            Some(Kind::Sequence) => {
                self.depth = self.depth.saturating_sub(1);
                sink.sequence_end()
            }
            Some(Kind::Item) => sink.item_end(),
            None => Ok(()),
        }
    }

    /// A header of `count` bytes must fit into what is open.
    pub(super) fn check_room(&self, count: usize) -> Outcome {
        let Some((open, limit)) = self.open.last().and_then(|open| Some((open, open.limit?)))
        else {
            return Ok(());
        };
        if self.offset.saturating_add(wide(count)) > limit {
            let reason = format!(
                "its length leaves {} bytes, too few for what follows at offset {}",
                limit.saturating_sub(self.offset),
                self.offset
            );
            return Err(ScanError::at(open.tag, open.offset, reason));
        }
        Ok(())
    }

    /// The value must fit into what is open.
    pub(super) fn check_length(&self, raw: Raw) -> Outcome {
        let Some(limit) = self.limit() else {
            return Ok(());
        };
        let start = self.offset.saturating_add(wide(raw.header_len));
        let len = raw.len.map_or(0, u64::from);
        if start.saturating_add(len) > limit {
            let of = self.subject(raw);
            let missing = start.saturating_add(len).saturating_sub(limit).min(len);
            return Err(short(of, len, missing));
        }
        Ok(())
    }

    pub(super) fn item(&mut self, raw: Raw, sink: &mut dyn Sink) -> Outcome {
        let Some(&sequence) = self.open.last() else {
            return Ok(());
        };
        self.check_length(raw)?;
        self.count_node(sequence.tag)?;
        let offset = self.offset;
        self.consume(raw.header_len);
        self.push(Kind::Item, sequence.tag, offset, raw.len, sequence.syntax);
        sink.item_start(self.offset)
    }

    pub(super) fn push(
        &mut self,
        kind: Kind,
        tag: Tag,
        offset: u64,
        len: Option<u32>,
        syntax: Syntax,
    ) {
        let end = len.map(|len| self.offset.saturating_add(u64::from(len)));
        self.open.push(Open {
            kind,
            tag,
            offset,
            end,
            limit: end.or(self.limit()),
            syntax,
            last: None,
        });
    }

    pub(super) fn delimiter(&mut self, tag: Tag, sink: &mut dyn Sink) -> Outcome {
        let offset = self.offset;
        self.consume(SHORT);
        let open = self.open.last().map(|open| (open.kind, open.end));
        match (open, tag) {
            (Some((Kind::Item, None)), ITEM_END) | (Some((Kind::Sequence, None)), SEQUENCE_END) => {
                self.close(sink)
            }
            (Some((Kind::Item, None)), _) => Err(ScanError::at(
                tag,
                offset,
                "a sequence ends in the middle of an item",
            )),
            (_, _) => {
                self.warn(
                    sink,
                    offset,
                    &format!("{} ends nothing, skipped", name(tag)),
                );
                Ok(())
            }
        }
    }
}

pub(super) fn never_ends(open: &Open) -> ScanError {
    let reason = match (open.kind, open.end) {
        (Kind::Sequence, None) => "the sequence never ends",
        (Kind::Item, None) => "an item of the sequence never ends",
        (Kind::Sequence, Some(_)) => "the sequence is longer than the file",
        (Kind::Item, Some(_)) => "an item of the sequence is longer than the file",
    };
    ScanError::at(open.tag, open.offset, reason)
}
