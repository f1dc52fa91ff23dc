//! What stands before the data set: preamble, magic, file meta information (PS3.10 7.1), and the choice of an encoding.

use std::borrow::Cow;

use super::header::{Decoded, Raw, SHORT, Stated, Syntax, decode};
use super::{Limits, ScanError};
use crate::dicom::head::FileMeta;
use crate::dicom::part10::{PREFIX_LEN, START_LEN, Start, recognise, sniff};
use crate::model::Tag;
use crate::model::transfer_syntax::{Encoding, TransferSyntax};

const GROUP: u16 = 0x0002;
const GROUP_LENGTH: Tag = Tag(GROUP, 0x0000);
const SOP_CLASS_UID: Tag = Tag(GROUP, 0x0002);
const SOP_INSTANCE_UID: Tag = Tag(GROUP, 0x0003);
const TRANSFER_SYNTAX_UID: Tag = Tag(GROUP, 0x0010);
/// Implicit VR Little Endian, but for the pixels, which are big endian.
const GE_PRIVATE_UID: &str = "1.2.840.113619.5.2";
const BIG_ENDIAN_UID: &str = "1.2.840.10008.1.2.2";

/// Gathers the bytes before the data set; they are few, and are kept until they are understood.
#[derive(Debug)]
pub(super) struct Prelude {
    limits: Limits,
    /// What has come; never more than `need`.
    bytes: Vec<u8>,
    /// Bytes without which nothing can be said.
    need: usize,
    /// Where the next element of the meta group begins.
    at: usize,
    /// Where the first one does.
    group_start: usize,
    step: Step,
    meta: FileMeta,
    group_end: Option<usize>,
    warnings: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The start of the file.
    Start,
    /// The meta group.
    Meta,
    /// The first header of the data set.
    DataSet,
    Done,
}

/// What the start of a file says.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) meta: FileMeta,
    pub(super) encoding: Encoding,
    pub(super) warnings: Vec<String>,
    /// The first bytes of the data set, which had to be looked at.
    pub(super) rest: Vec<u8>,
}

impl Prelude {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            bytes: Vec::new(),
            need: START_LEN,
            at: 0,
            group_start: 0,
            step: Step::Start,
            meta: FileMeta::default(),
            group_end: None,
            warnings: Vec::new(),
        }
    }

    /// Takes what it needs from the front of `input`; `Some` as soon as the data set can be read.
    pub(super) fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Opening>, ScanError> {
        loop {
            let missing = self.need.saturating_sub(self.bytes.len());
            let (taken, rest) = input.split_at(missing.min(input.len()));
            self.bytes.extend_from_slice(taken);
            *input = rest;
            if self.bytes.len() < self.need {
                return Ok(None);
            }
            if let Some(opening) = self.advance()? {
                return Ok(Some(opening));
            }
        }
    }

    /// The file has ended before its data set could be read.
    pub(super) fn finish(&mut self) -> Result<Opening, ScanError> {
        loop {
            if self.bytes.len() < self.need && self.step == Step::Meta {
                let rest = self.bytes.get(self.at..).unwrap_or_default();
                if rest.starts_with(&GROUP.to_le_bytes()) {
                    return Err(byte(self.at, "the file meta information is cut"));
                }
                self.step = Step::DataSet;
            }
            // What there is has to do.
            self.need = self.bytes.len();
            if let Some(opening) = self.advance()? {
                return Ok(opening);
            }
        }
    }

    fn advance(&mut self) -> Result<Option<Opening>, ScanError> {
        match self.step {
            Step::Start => self.start().map(|()| None),
            Step::Meta => self.element().map(|()| None),
            Step::DataSet => self.open().map(Some),
            Step::Done => Err(byte(self.at, "nothing follows the start of the data set")),
        }
    }

    fn start(&mut self) -> Result<(), ScanError> {
        match recognise(&self.bytes) {
            None => return Err(not_dicom(&self.bytes)),
            Some(Start::Preamble) => {
                self.meta.has_preamble = true;
                self.at = PREFIX_LEN;
                self.group_start = PREFIX_LEN;
                self.step = Step::Meta;
            }
            Some(Start::Meta) => self.step = Step::Meta,
            Some(Start::DataSet(_)) => self.step = Step::DataSet,
        }
        self.need_more(SHORT);
        Ok(())
    }

    /// Sets `need` to `count` bytes from the current element.
    fn need_more(&mut self, count: usize) {
        self.need = self.at.saturating_add(count);
    }

    /// Reads one element of group 0002, or finds that the group has ended.
    fn element(&mut self) -> Result<(), ScanError> {
        let window = self.bytes.get(self.at..).unwrap_or_default();
        let group_goes_on = window.first_chunk() == Some(&GROUP.to_le_bytes());
        if !group_goes_on || self.deflated_data_begin() {
            self.group_ends();
            return Ok(());
        }
        let raw = match (
            decode(window, Syntax::Explicit),
            decode(window, Syntax::Implicit),
        ) {
            // Some writers take the encoding of the data set for the group.
            (Decoded::Header(raw), _) | (Decoded::Implausible(_), Decoded::Header(raw)) => raw,
            (Decoded::Need(count), _) => {
                self.need_more(count);
                return Ok(());
            }
            (Decoded::Implausible(_), _) => {
                return Err(byte(self.at, "no element of group 0002"));
            }
        };
        let whole = raw.header_len.saturating_add(self.value_len(raw)?);
        let Some(value) = window.get(raw.header_len..whole) else {
            self.need_more(whole);
            return Ok(());
        };
        let value = value.to_vec();
        self.keep(raw, &value);
        self.at = self.at.saturating_add(whole);
        self.need_more(SHORT);
        Ok(())
    }

    /// A deflate stream may look like an element of group 0002: there the group length is believed.
    fn deflated_data_begin(&self) -> bool {
        self.group_end == Some(self.at)
            && TransferSyntax::of(&self.meta.transfer_syntax_uid)
                .is_some_and(|syntax| syntax.encoding == Encoding::Deflated)
    }

    fn value_len(&self, raw: Raw) -> Result<usize, ScanError> {
        let room = self.limits.meta_bytes.checked_sub(self.at);
        raw.len
            .and_then(|len| usize::try_from(len).ok())
            .filter(|len| room.is_some_and(|room| *len <= room))
            .ok_or_else(|| {
                let most = self.limits.meta_bytes;
                let reason = format!("the file meta information is larger than {most} bytes");
                ScanError::at(raw.tag, offset(self.at), reason)
            })
    }

    fn keep(&mut self, raw: Raw, value: &[u8]) {
        if raw.stated == Stated::Nothing {
            self.warn(self.at, "an element of group 0002 has no VR");
        }
        match raw.tag {
            GROUP_LENGTH => {
                let end = self.at.saturating_add(raw.header_len);
                self.group_end = value.first_chunk().and_then(|len| {
                    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
                    end.checked_add(value.len())?.checked_add(len)
                });
            }
            SOP_CLASS_UID => self.meta.sop_class_uid = Some(uid(value)),
            SOP_INSTANCE_UID => self.meta.sop_instance_uid = Some(uid(value)),
            TRANSFER_SYNTAX_UID => self.meta.transfer_syntax_uid = uid(value),
            _ => {}
        }
    }

    fn group_ends(&mut self) {
        self.step = Step::DataSet;
        if self.group_end.is_some_and(|end| end != self.at) {
            self.warn(self.at, "the length of group 0002 is wrong");
        }
    }

    fn open(&mut self) -> Result<Opening, ScanError> {
        self.step = Step::Done;
        let rest = self.bytes.split_off(self.at.min(self.bytes.len()));
        let encoding = self.encoding(&rest)?;
        self.meta.data_set_offset = offset(self.at);
        Ok(Opening {
            meta: std::mem::take(&mut self.meta),
            encoding,
            warnings: std::mem::take(&mut self.warnings),
            rest,
        })
    }

    /// The encoding that is declared, unless the first element says otherwise.
    fn encoding(&mut self, first: &[u8]) -> Result<Encoding, ScanError> {
        let declared = TransferSyntax::of(&self.meta.transfer_syntax_uid);
        let seen = sniff(first);
        if declared.is_none() && !self.meta.transfer_syntax_uid.is_empty() {
            return self.undeclared(seen);
        }
        let Some(declared) = declared else {
            let encoding = seen.ok_or_else(|| no_data_set(self.at))?;
            if self.at > self.group_start {
                self.warn(self.at, "(0002,0010) TransferSyntaxUID is missing");
            }
            uid_of(encoding).clone_into(&mut self.meta.transfer_syntax_uid);
            return Ok(encoding);
        };
        match seen {
            Some(seen) if belied(declared, seen, first) => {
                self.warn(self.at, "the data set is not in the encoding it declares");
                // The name of a codec stays true.
                if !declared.is_encapsulated() {
                    uid_of(seen).clone_into(&mut self.meta.transfer_syntax_uid);
                }
                Ok(seen)
            }
            _ => Ok(declared.encoding),
        }
    }

    /// A syntax that is not in the table: explicit little endian, as every one registered since 1996.
    fn undeclared(&mut self, seen: Option<Encoding>) -> Result<Encoding, ScanError> {
        self.warn(self.at, "the transfer syntax is not known");
        if self.meta.transfer_syntax_uid != GE_PRIVATE_UID {
            return Ok(Encoding::ExplicitLittle);
        }
        match seen {
            Some(Encoding::ImplicitLittle) => Ok(Encoding::ImplicitLittle),
            _ => Err(no_data_set(self.at)),
        }
    }

    fn warn(&mut self, at: usize, text: &str) {
        if self.warnings.len() < self.limits.warnings {
            self.warnings.push(format!("at offset {at}: {text}"));
        }
    }
}

/// Whether `first` is in the encoding `seen` and cannot be in the declared one.
fn belied(declared: &TransferSyntax, seen: Encoding, first: &[u8]) -> bool {
    declared.encoding != Encoding::Deflated
        && declared.encoding != seen
        // Letters of a VR make an implicit length too, one that no first element has.
        && !super::fits(first, declared.encoding)
}

fn uid_of(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::ImplicitLittle => TransferSyntax::implicit_little().uid,
        Encoding::ExplicitLittle | Encoding::Deflated => TransferSyntax::explicit_little().uid,
        Encoding::ExplicitBig => BIG_ENDIAN_UID,
    }
}

/// The text of a UID without its padding; what is no UID anyway does not matter here.
fn uid(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.trim_end_matches(['\0', ' ']).to_owned()
}

fn not_dicom(bytes: &[u8]) -> ScanError {
    match bytes.get(..PREFIX_LEN) {
        Some(start) if start.ends_with(b"DICM") => no_data_set(PREFIX_LEN),
        _ => ScanError::byte(0, "not DICOM"),
    }
}

fn no_data_set(at: usize) -> ScanError {
    byte(at, "not DICOM: no element of a data set follows")
}

fn byte(at: usize, reason: impl Into<Cow<'static, str>>) -> ScanError {
    ScanError::byte(offset(at), reason)
}

fn offset(at: usize) -> u64 {
    u64::try_from(at).unwrap_or(u64::MAX)
}
