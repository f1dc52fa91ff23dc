//! Encapsulated pixel data: fragments up to a delimiter (PS3.5 A.4).

use super::data_set::{DataSet, Outcome, State, Subject};
use super::header::{Decoded, ITEM, PIXEL_DATA, SEQUENCE_END, SHORT, decode};
use super::{Header, ScanError, Sink};

impl DataSet {
    /// The fragments begin.
    pub(super) fn fragments(&mut self, header: &Header, sink: &mut dyn Sink) -> Outcome {
        self.pixels_seen |= header.depth == 0 && header.tag == PIXEL_DATA;
        sink.fragments_start(header)?;
        let of = Subject::of(header);
        self.state = State::FragmentHeader { of, number: 0 };
        Ok(())
    }

    pub(super) fn fragment_header(
        &mut self,
        of: Subject,
        number: usize,
        sink: &mut dyn Sink,
    ) -> Outcome<bool> {
        let Decoded::Header(raw) = decode(&self.carry, self.syntax()) else {
            let reason = format!("no fragment at offset {}", self.offset);
            return Err(ScanError::at(of.tag, of.offset, reason));
        };
        match (raw.tag, raw.len) {
            (SEQUENCE_END, _) => {
                self.consume(SHORT);
                sink.fragments_end()?;
                Ok(self.back_to_headers())
            }
            (ITEM, Some(len)) => {
                if number > self.limits.fragments {
                    let reason = format!("more than {} fragments", self.limits.fragments);
                    return Err(ScanError::at(of.tag, of.offset, reason));
                }
                self.check_length(raw)?;
                self.consume(SHORT);
                sink.fragment_start(number, self.offset, len)?;
                let left = u64::from(len);
                self.state = State::Fragment { of, number, left };
                Ok(true)
            }
            (ITEM, None) => Err(ScanError::at(
                of.tag,
                of.offset,
                format!("fragment {number} has an undefined length"),
            )),
            (tag, _) => Err(ScanError::at(
                tag,
                self.offset,
                "stands between the fragments",
            )),
        }
    }

    pub(super) fn fragment_ends(
        &mut self,
        of: Subject,
        number: usize,
        sink: &mut dyn Sink,
    ) -> Outcome<bool> {
        sink.fragment_end()?;
        let number = number.saturating_add(1);
        self.state = State::FragmentHeader { of, number };
        Ok(true)
    }
}
