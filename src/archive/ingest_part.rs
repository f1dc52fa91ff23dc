//! One part of a store on its way from bytes to a staged instance.

use bytes::Bytes;

use crate::dicom::codec;
use crate::dicom::collect::{BulkRule, Collector};
use crate::dicom::conformance::{
    self, BREAKS_RULES, CANNOT_UNDERSTAND, CLASS_REFUSED, COERCED, Checked, Refusal,
    SYNTAX_REFUSED, TOO_LONG,
};
use crate::dicom::extract;
use crate::dicom::frames::FrameTable;
use crate::dicom::json;
use crate::dicom::scan::{Limits, Scanner};
use crate::dicom::store_response::{Coerced, StoreOutcome};
use crate::index::record::Recorded;
use crate::model::{
    AttributeSet, Class, FacilityPolicy, InstancePath, SopClassUid, SopInstanceUid, StudyUid, Tag,
    Timestamp, TransferSyntax,
};
use crate::storage::Entry;

/// The study of a part is known once (0020,000D) has passed; until then its bytes are held. 16 MiB of attributes before it
/// is more than any object has.
const MAX_HELD_BYTES: usize = 16 << 20;

const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const ISSUER_OF_PATIENT_ID: Tag = Tag(0x0010, 0x0021);

/// A part that is arriving.
pub(super) struct Part {
    scanner: Scanner,
    collector: Collector,
    held: Vec<Bytes>,
    held_bytes: usize,
    byte_count: u64,
    refusal: Option<Refusal>,
    /// The study in whose pack the bytes lie, once they do.
    pub(super) pack: Option<StudyUid>,
    /// What is odd about it for a reason that its bytes do not tell.
    pub(super) odd: Option<(u16, String)>,
}

/// An instance that lies in an open pack and waits for its row.
pub(super) struct Staged {
    /// Which outcome is its.
    pub(super) slot: usize,
    pub(super) path: InstancePath,
    pub(super) sop_class: SopClassUid,
    pub(super) transfer_syntax_uid: String,
    pub(super) class: Class,
    pub(super) attributes: AttributeSet,
    warning: Option<(u16, String)>,
    coerced: Option<Coerced>,
}

impl Part {
    pub(super) fn new() -> Self {
        Self::of(&FacilityPolicy::default())
    }

    /// One that is stored for a facility with this policy.
    pub(super) fn of(policy: &FacilityPolicy) -> Self {
        let threshold = policy.bulkdata_threshold;
        let mut rule = BulkRule::default();
        rule.binary_max = threshold.unwrap_or(rule.binary_max);
        Self {
            scanner: Scanner::new(Limits::default()),
            collector: Collector::with_rule(rule),
            held: Vec::new(),
            held_bytes: 0,
            byte_count: 0,
            refusal: None,
            pack: None,
            odd: None,
        }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// Reads on; the first thing that is wrong refuses the part.
    pub(super) fn scan(&mut self, bytes: &[u8]) {
        self.byte_count = self.byte_count.saturating_add(bytes.len() as u64);
        if self.refusal.is_none()
            && let Err(error) = self.scanner.feed(bytes, &mut self.collector)
        {
            self.refuse_with(Refusal::of_scan(&error, &self.collector));
        }
    }

    /// How many bytes have come.
    pub(super) fn byte_count(&self) -> u64 {
        self.byte_count
    }

    /// Refuses what is longer than `limit` (T12).
    pub(super) fn keep_to(&mut self, limit: Option<u64>) {
        if let Some(limit) = limit.filter(|limit| self.byte_count > *limit) {
            let text = format!("longer than the {limit} bytes that are taken");
            self.refuse_with(self.refusal(TOO_LONG, text));
        }
    }

    /// Why the facility does not take it, if it does not (T26, T27).
    pub(super) fn refusal_by(&self, policy: &FacilityPolicy) -> Option<Refusal> {
        let syntax = &self.collector.head().meta.transfer_syntax_uid;
        let class = self.collector.sop_class_uid().unwrap_or_default();
        if policy.refused_sop_classes.contains(class) {
            let text = "the facility does not take this SOP class";
            return Some(self.refusal(CLASS_REFUSED, text.to_owned()));
        }
        if policy.refused_transfer_syntaxes.contains(syntax) {
            let text = "the facility does not take this transfer syntax";
            return Some(self.refusal(SYNTAX_REFUSED, text.to_owned()));
        }
        None
    }

    /// Holds bytes until the study is known.
    pub(super) fn buffer(&mut self, bytes: Bytes) {
        self.held_bytes += bytes.len();
        if self.held_bytes > MAX_HELD_BYTES {
            let text = "no (0020,000D) StudyInstanceUID in the first 16 MiB";
            self.refuse_with(self.not_understood(text.to_owned()));
        } else {
            self.held.push(bytes);
        }
    }

    pub(super) fn take_buffer(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.held)
    }

    /// The study, once it has passed and if a path can name it.
    pub(super) fn study(&self) -> Option<StudyUid> {
        self.collector
            .study_uid()
            .and_then(|text| StudyUid::parse(text).ok())
    }

    /// Ends the part and judges it.
    pub(super) fn finish(&mut self, path: Option<&StudyUid>) -> Result<Checked, Refusal> {
        if self.refusal.is_none()
            && let Err(error) = self.scanner.finish(&mut self.collector)
        {
            self.refuse_with(Refusal::of_scan(&error, &self.collector));
        }
        match self.refusal.take() {
            Some(refusal) => Err(refusal),
            None => conformance::check(self.collector.head(), path),
        }
    }

    /// What is kept of a part that is good: the instance for the index, its entry in the pack, its head as DICOM JSON.
    pub(super) fn stage(
        self,
        checked: Checked,
        slot: usize,
        base_url: &str,
    ) -> (Staged, Entry, Vec<u8>) {
        let told = self.odd;
        let head = self.collector.finish();
        let syntax = TransferSyntax::of(&head.meta.transfer_syntax_uid);
        let mut odd = Vec::new();
        let frame_table = FrameTable::build(&head, syntax, &mut odd);
        let path = checked.path();
        let url = format!(
            "{base_url}/studies/{}/series/{}/instances/{}",
            path.study, path.series, path.instance
        );
        let mut json = Vec::with_capacity(16 << 10);
        let at = json::At {
            instance_url: &url,
            extras: &codec::available::of_head(&head),
        };
        odd.extend(json::write_head(&head, &at, &mut json).warnings());
        let warning = checked
            .warnings
            .into_iter()
            .map(|warning| (warning.code, warning.text));
        let odd = odd.into_iter().map(|text| (BREAKS_RULES, text));
        let entry = Entry {
            series: path.series.clone(),
            instance: path.instance.clone(),
            sop_class: checked.sop_class.clone(),
            transfer_syntax_uid: head.meta.transfer_syntax_uid.clone(),
            frame_table: frame_table.map(|table| table.encode()),
        };
        let staged = Staged {
            slot,
            class: Class::of(checked.sop_class.as_str(), head.pixels.is_some()),
            attributes: extract::indexed(&head),
            transfer_syntax_uid: head.meta.transfer_syntax_uid,
            path,
            sop_class: checked.sop_class,
            warning: told.into_iter().chain(warning).chain(odd).next(),
            coerced: None,
        };
        (staged, entry, json)
    }

    /// The outcome of a part whose transport broke.
    pub(super) fn broken(&self, text: String) -> StoreOutcome {
        self.not_understood(text).into()
    }

    /// The outcome of a part that is refused for another reason than what it holds.
    pub(super) fn refused(&self, code: u16, text: String) -> StoreOutcome {
        self.refusal(code, text).into()
    }

    fn not_understood(&self, text: String) -> Refusal {
        self.refusal(CANNOT_UNDERSTAND, text)
    }

    fn refusal(&self, code: u16, text: String) -> Refusal {
        let known = |uid: Option<&str>| uid.map(str::to_owned);
        Refusal {
            code,
            text,
            sop_class: known(self.collector.sop_class_uid()),
            sop_instance: known(self.collector.sop_instance_uid()),
        }
    }

    pub(super) fn refuse_with(&mut self, refusal: Refusal) {
        self.refusal = Some(refusal);
        self.held = Vec::new();
    }
}

impl Staged {
    /// Stored, with its warning if it has one (T20, T32 to T35).
    pub(super) fn stored(&self, is_new: bool) -> StoreOutcome {
        StoreOutcome::Stored {
            path: self.path.clone(),
            sop_class: self.sop_class.clone(),
            is_new,
            warning: self.warning.clone(),
            coerced: self.coerced.clone(),
        }
    }

    /// The issuer that the object names for its patient number, if it has both.
    pub(super) fn issuer_of_patient_id(&self) -> Option<String> {
        let text = |tag| {
            let text = self.attributes.text(tag)?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        text(PATIENT_ID)?;
        text(ISSUER_OF_PATIENT_ID)
    }

    /// Notes that the index keeps the patient under another issuer than the object names (T32).
    pub(super) fn coerce(&mut self, issuer: String, at: Timestamp) {
        let text = "(0010,0021) IssuerOfPatientID is none of this facility".to_owned();
        self.warning = Some((COERCED, text));
        self.coerced = Some(Coerced {
            issuer_of_patient_id: issuer,
            at,
        });
    }

    /// What its batch made of it.
    pub(super) fn recorded(&self, what: Recorded) -> StoreOutcome {
        match why_not(what) {
            None => self.stored(what.is_written()),
            Some(why) => self.refused(DUPLICATE, why),
        }
    }

    /// Not kept after all.
    pub(super) fn refused(&self, code: u16, text: &str) -> StoreOutcome {
        refused(&self.path, &self.sop_class, code, text)
    }
}

impl Checked {
    /// What the instance is called.
    pub(super) fn path(&self) -> InstancePath {
        InstancePath {
            study: self.study.clone(),
            series: self.series.clone(),
            instance: self.instance.clone(),
        }
    }

    /// The answer for an instance that is there already, byte for byte (T21).
    pub(super) fn stored(&self) -> StoreOutcome {
        StoreOutcome::Stored {
            path: self.path(),
            sop_class: self.sop_class.clone(),
            is_new: false,
            warning: None,
            coerced: None,
        }
    }

    /// The answer for a UID that is known, where it needs no writing; `None` where the instance is to be written.
    pub(super) fn settled(&self, what: Recorded) -> Option<StoreOutcome> {
        if what.is_written() {
            return None;
        }
        Some(match why_not(what) {
            None => self.stored(),
            Some(why) => refused(&self.path(), &self.sop_class, DUPLICATE, why),
        })
    }
}

/// Failure Reason 0111: duplicate SOP Instance (PS3.7 annex C).
pub(super) const DUPLICATE: u16 = 0x0111;

/// Why an instance was not taken, as Error Comment says it; `None` where it is stored.
fn why_not(what: Recorded) -> Option<&'static str> {
    match what {
        Recorded::New | Recorded::Replaced | Recorded::AlreadyThere => None,
        Recorded::Conflict => Some("another object is stored under this SOP Instance UID"),
        Recorded::InBin => Some("this SOP Instance UID is in the bin and can be restored there"),
        Recorded::Erased => Some("this SOP Instance UID was erased and is not taken again"),
    }
}

fn refused(path: &InstancePath, sop_class: &SopClassUid, code: u16, text: &str) -> StoreOutcome {
    StoreOutcome::Refused {
        code,
        text: text.to_owned(),
        sop_class: Some(sop_class.clone()),
        sop_instance: Some(path.instance.clone()),
    }
}

impl From<Refusal> for StoreOutcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            code: refusal.code,
            text: refusal.text,
            sop_class: refusal
                .sop_class
                .and_then(|uid| SopClassUid::parse(&uid).ok()),
            sop_instance: refusal
                .sop_instance
                .and_then(|uid| SopInstanceUid::parse(&uid).ok()),
        }
    }
}
