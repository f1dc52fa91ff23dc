//! One element of a data set: what it is, and whether it is one.

use super::data_set::{DataSet, NO_ELEMENT, Outcome, State, Subject, wide};
use super::header::{
    Decoded, ITEM, ITEM_END, PIXEL_DATA, Raw, SEQUENCE_END, SHORT, Stated, Syntax, decode,
    dictionary_vr,
};
use super::nesting::Kind;
use super::{Header, ScanError, Sink};
use crate::dicom::head::name;
use crate::model::{Tag, VR};

/// What an element turns out to be.
enum Shape {
    Value { vr: VR, inferred: bool },
    Sequence { syntax: Syntax, inferred: bool },
    Fragments { vr: VR },
}

impl DataSet {
    /// Reads the header in `carry`; false if it needs more bytes.
    pub(super) fn header(&mut self, sink: &mut dyn Sink) -> Outcome<bool> {
        let raw = match decode(&self.carry, self.syntax()) {
            Decoded::Header(raw) => raw,
            Decoded::Need(count) => {
                self.need = count;
                return Ok(true);
            }
            Decoded::Implausible(tag) => return self.implausible(tag, sink).map(|()| true),
        };
        let peek = raw.header_len.saturating_add(SHORT);
        if may_hide_sequence(raw) && self.carry.len() < peek {
            self.check_length(raw)?;
            self.need = peek;
            return Ok(true);
        }
        match (self.open.last().map(|open| open.kind), raw.tag) {
            (Some(Kind::Sequence), ITEM) => self.item(raw, sink)?,
            (_, ITEM_END | SEQUENCE_END) => self.delimiter(raw.tag, sink)?,
            (Some(Kind::Sequence), tag) => {
                return Err(ScanError::at(tag, self.offset, "an item should follow"));
            }
            (_, ITEM) => return Err(ScanError::at(ITEM, self.offset, "an item, no sequence")),
            (_, _) => self.element(raw, sink)?,
        }
        Ok(true)
    }

    /// No element begins here: padding, or the end of what can be understood.
    fn implausible(&mut self, tag: Tag, sink: &mut dyn Sink) -> Outcome {
        if self.open.is_empty() && self.pixels_seen {
            self.warn(sink, self.offset, "strange bytes follow the pixel data");
            self.state = State::Trailing;
            return Ok(());
        }
        if self.open.is_empty() && self.carry.iter().all(|b| *b == 0) {
            self.warn(sink, self.offset, "zeros follow the data set");
            self.state = State::Zeros;
            return Ok(());
        }
        // Toolkits put items of implicit VR into sequences of explicit files.
        if let Some(item) = self.open.last_mut()
            && item.last.is_none()
            && item.syntax == Syntax::Explicit
            && let Decoded::Header(raw) = decode(&self.carry, Syntax::Implicit)
            && dictionary_vr(raw.tag).is_some()
        {
            item.syntax = Syntax::Implicit;
            let text = format!("{} begins an item of implicit VR", name(tag));
            self.warn(sink, self.offset, &text);
            return Ok(());
        }
        Err(ScanError::at(tag, self.offset, NO_ELEMENT))
    }

    fn element(&mut self, raw: Raw, sink: &mut dyn Sink) -> Outcome {
        if self.is_padding(raw) {
            self.warn(sink, self.offset, "strange bytes follow the pixel data");
            self.state = State::Trailing;
            return Ok(());
        }
        self.check_length(raw)?;
        self.count_node(raw.tag)?;
        if self.open.is_empty() && raw.tag.group() == 2 {
            return self.skip_meta(raw, sink);
        }
        self.check_order(raw.tag, sink);
        let shape = self.shape(raw, sink)?;
        let (vr, inferred) = match shape {
            Shape::Value { vr, inferred } => (vr, inferred),
            Shape::Sequence { inferred, .. } => (VR::SQ, inferred),
            Shape::Fragments { vr } => (vr, false),
        };
        let header = Header {
            tag: raw.tag,
            vr,
            inferred,
            // What is under UN is not swapped (PS3.5 6.2.2).
            big_endian: self.syntax() == Syntax::ExplicitBig && !inferred,
            len: raw.len,
            offset: self.offset,
            value_offset: self.offset.saturating_add(wide(raw.header_len)),
            depth: self.depth,
        };
        self.consume(raw.header_len);
        match shape {
            Shape::Value { .. } => self.value(&header, sink),
            Shape::Sequence { syntax, .. } => self.sequence(&header, syntax, sink),
            Shape::Fragments { .. } => self.fragments(&header, sink),
        }
    }

    /// In implicit VR anything can be read as an element: behind the pixels a tag that nobody knows is none.
    fn is_padding(&self, raw: Raw) -> bool {
        self.open.is_empty()
            && self.pixels_seen
            && raw.stated == Stated::Nothing
            && (raw.tag == Tag(0, 0)
                || raw.tag.group().is_multiple_of(2) && dictionary_vr(raw.tag).is_none())
    }

    /// Elements stand in ascending order, each once (PS3.5 7.1).
    fn check_order(&mut self, tag: Tag, sink: &mut dyn Sink) {
        let last = match self.open.last_mut() {
            Some(open) => open.last.replace(tag),
            None => self.last.replace(tag),
        };
        let text = match last {
            Some(last) if last == tag => "stands twice",
            Some(last) if last > tag => "is out of order",
            _ => return,
        };
        self.warn(sink, self.offset, &format!("{} {text}", name(tag)));
    }

    /// File meta information has no place in the data set.
    fn skip_meta(&mut self, raw: Raw, sink: &mut dyn Sink) -> Outcome {
        let of = self.subject(raw);
        if raw.len.is_none() {
            return Err(ScanError::at(of.tag, of.offset, NO_ELEMENT));
        }
        let text = format!("{} stands in the data set, skipped", name(of.tag));
        self.warn(sink, of.offset, &text);
        self.consume(raw.header_len);
        self.state = State::Skip { of, left: of.len };
        Ok(())
    }

    fn value(&mut self, header: &Header, sink: &mut dyn Sink) -> Outcome {
        self.pixels_seen |= header.depth == 0
            && header.tag.group() == PIXEL_DATA.group()
            && matches!(header.tag.element(), 0x0008..=0x0010);
        sink.element(header)?;
        let of = Subject::of(header);
        self.state = State::Value { of, left: of.len };
        Ok(())
    }

    fn sequence(&mut self, header: &Header, syntax: Syntax, sink: &mut dyn Sink) -> Outcome {
        if self.depth >= self.limits.depth {
            let reason = format!("sequences are nested more than {} deep", self.limits.depth);
            return Err(ScanError::at(header.tag, header.offset, reason));
        }
        sink.sequence_start(header)?;
        self.depth = self.depth.saturating_add(1);
        self.push(
            Kind::Sequence,
            header.tag,
            header.offset,
            header.len,
            syntax,
        );
        Ok(())
    }

    fn shape(&mut self, raw: Raw, sink: &mut dyn Sink) -> Outcome<Shape> {
        let syntax = self.syntax();
        let vr = match raw.stated {
            Stated::Vr(VR::UN) | Stated::Nothing => return Ok(self.unstated(raw, sink)),
            Stated::Unknown(letters) => {
                let text = format!(
                    "{} has the unknown VR {}",
                    name(raw.tag),
                    letters.escape_ascii()
                );
                self.warn(sink, self.offset, &text);
                return Ok(self.unstated(raw, sink));
            }
            Stated::LowerCase(vr) => {
                let text = format!("{} has its VR in lower case", name(raw.tag));
                self.warn(sink, self.offset, &text);
                vr
            }
            Stated::Vr(vr) => vr,
        };
        match (vr, raw.len) {
            (VR::SQ, _) => Ok(Shape::Sequence {
                syntax,
                inferred: false,
            }),
            (_, Some(_)) => Ok(Shape::Value {
                vr,
                inferred: false,
            }),
            (VR::OB | VR::OW, None) => Ok(Shape::Fragments { vr }),
            (_, None) if raw.tag == PIXEL_DATA => Ok(Shape::Fragments { vr: VR::OB }),
            (_, None) => Err(ScanError::at(
                raw.tag,
                self.offset,
                format!("VR {vr} with an undefined length"),
            )),
        }
    }

    /// An element whose VR the file does not say. Inside of UN, implicit VR rules (PS3.5 6.2.2).
    fn unstated(&mut self, raw: Raw, sink: &mut dyn Sink) -> Shape {
        let sequence = Shape::Sequence {
            syntax: Syntax::Implicit,
            inferred: true,
        };
        let vr = dictionary_vr(raw.tag).unwrap_or(VR::UN);
        match raw.len {
            None if raw.tag == PIXEL_DATA => Shape::Fragments { vr: VR::OB },
            None => sequence,
            Some(_) if vr != VR::SQ => Shape::Value { vr, inferred: true },
            Some(len) if len == 0 || self.begins_item(raw, len) => sequence,
            Some(_) => {
                let text = format!("{} should be a sequence and is none", name(raw.tag));
                self.warn(sink, self.offset, &text);
                Shape::Value {
                    vr: VR::UN,
                    inferred: true,
                }
            }
        }
    }

    /// Whether the value behind the header, which has been peeked at, begins with an item or a delimiter that fits.
    fn begins_item(&self, raw: Raw, len: u32) -> bool {
        let value = self.carry.get(raw.header_len..).unwrap_or_default();
        match decode(value, Syntax::Implicit) {
            Decoded::Header(item) if item.tag == ITEM => {
                item.len.is_none_or(|item| item <= len.saturating_sub(8))
            }
            Decoded::Header(item) => item.tag == SEQUENCE_END,
            Decoded::Need(_) | Decoded::Implausible(_) => false,
        }
    }

    pub(super) fn count_node(&mut self, tag: Tag) -> Outcome {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > self.limits.nodes {
            let reason = format!("the data set has more than {} elements", self.limits.nodes);
            return Err(ScanError::at(tag, self.offset, reason));
        }
        Ok(())
    }
}

/// Whether the first bytes of the value decide whether this is a sequence.
fn may_hide_sequence(raw: Raw) -> bool {
    let stated = match raw.stated {
        Stated::Vr(vr) => vr != VR::UN,
        Stated::LowerCase(_) => true,
        Stated::Unknown(_) | Stated::Nothing => false,
    };
    !stated && raw.len.is_some_and(|len| len >= 8) && dictionary_vr(raw.tag) == Some(VR::SQ)
}
