//! The check of one instance.

use super::values;
use crate::dicom::collect::Collector;
use crate::dicom::dictionary::row_of;
use crate::dicom::head::{Element, Head};
use crate::dicom::scan::ScanError;
use crate::model::{
    SeriesUid, SopClassUid, SopInstanceUid, StudyUid, Tag, UidError, uid::MAX_UID_LEN,
};

/// Failure: the facility does not take this SOP class (0122, T26).
pub const CLASS_REFUSED: u16 = 0x0122;
/// Failure: the facility does not take this transfer syntax (C122, T27).
pub const SYNTAX_REFUSED: u16 = 0xC122;
/// Failure: no room, on the disk or in the quota (A700, T29).
pub const OUT_OF_RESOURCES: u16 = 0xA700;
/// Failure: longer than it may be (T12). Of the same class as A700, so that the two can be told apart.
pub const TOO_LONG: u16 = 0xA701;
/// Failure: the data set does not fit the request (A900, T23).
pub const NOT_THIS_STUDY: u16 = 0xA900;
/// Failure: cannot be understood (C000, T24, T28, T31).
pub const CANNOT_UNDERSTAND: u16 = 0xC000;
/// Warning: taken as something it does not say itself (B000).
pub const COERCED: u16 = 0xB000;
/// Warning: values or structure break a rule (B007, T34, T35).
pub const BREAKS_RULES: u16 = 0xB007;
/// Warning Reason: elements were left out.
pub const ELEMENTS_DROPPED: u16 = 0xB006;

const SOP_CLASS_UID: Tag = Tag(0x0008, 0x0016);
const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
const STUDY_UID: Tag = Tag(0x0020, 0x000D);
const SERIES_UID: Tag = Tag(0x0020, 0x000E);

/// An instance that may be stored.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Study Instance UID.
    pub study: StudyUid,
    /// Series Instance UID.
    pub series: SeriesUid,
    /// SOP Instance UID.
    pub instance: SopInstanceUid,
    /// SOP Class UID.
    pub sop_class: SopClassUid,
    /// What is odd.
    pub warnings: Vec<Warning>,
}

/// Why an instance is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Failure Reason (0008,1197).
    pub code: u16,
    /// For people: a fragment without values.
    pub text: String,
    /// SOP Class UID as far as it is known: printable, at most 64 characters, not checked.
    pub sop_class: Option<String>,
    /// SOP Instance UID, likewise.
    pub sop_instance: Option<String>,
}

/// Something odd about an instance that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Warning Reason (0008,1196).
    pub code: u16,
    /// For people: a fragment without values.
    pub text: String,
}

/// Checks the head of a scanned instance. `path_study` is the study that the request names, if it names one.
///
/// # Errors
/// The refusal of an instance without its four UIDs, of another study, or whose file meta information names another instance.
pub fn check(head: &Head, path_study: Option<&StudyUid>) -> Result<Checked, Refusal> {
    find(head, path_study).map_err(|(code, text)| Refusal {
        code,
        text,
        sop_class: shown_uid(head, SOP_CLASS_UID),
        sop_instance: shown_uid(head, SOP_INSTANCE_UID),
    })
}

type Failure = (u16, String);

fn find(head: &Head, path_study: Option<&StudyUid>) -> Result<Checked, Failure> {
    let checked = Checked {
        sop_class: uid(head, SOP_CLASS_UID, SopClassUid::parse)?,
        instance: uid(head, SOP_INSTANCE_UID, SopInstanceUid::parse)?,
        study: uid(head, STUDY_UID, StudyUid::parse)?,
        series: uid(head, SERIES_UID, SeriesUid::parse)?,
        warnings: Vec::new(),
    };
    if path_study.is_some_and(|study| *study != checked.study) {
        let text = format!("{} is not the study of the request", head.named(STUDY_UID));
        return Err((NOT_THIS_STUDY, text));
    }
    let meta_instance = head.meta.sop_instance_uid.as_deref().unwrap_or_default();
    // Programs that give an object new UIDs often leave the old ones here, and the data set is what counts. Two UIDs made
    // of UUIDs are no such copy: each was made for one object, and which one this is cannot be told.
    let is_made_for_one = |uid: &str| uid.starts_with("2.25.");
    if is_made_for_one(meta_instance)
        && is_made_for_one(checked.instance.as_str())
        && meta_instance != checked.instance.as_str()
    {
        let text =
            "(0002,0003) MediaStorageSOPInstanceUID is not the SOP Instance UID of the data set";
        return Err((CANNOT_UNDERSTAND, text.to_owned()));
    }
    let warnings = warnings(head, &checked);
    Ok(Checked {
        warnings,
        ..checked
    })
}

fn uid<T>(
    head: &Head,
    tag: Tag,
    parse: impl Fn(&str) -> Result<T, UidError>,
) -> Result<T, Failure> {
    let failed = |text: &str| (CANNOT_UNDERSTAND, format!("{} {text}", head.named(tag)));
    let element = head.element(tag).ok_or_else(|| failed("is missing"))?;
    let text = std::str::from_utf8(head.bytes(element))
        .map_err(|_| failed(&UidError::Character.to_string()))?;
    parse(text).map_err(|error| failed(&error.to_string()))
}

fn warnings(head: &Head, checked: &Checked) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, text: String| warnings.push(Warning { code, text });
    let meta = &head.meta;
    if meta.sop_instance_uid.is_none() {
        warn(
            COERCED,
            "the file has no complete file meta information".to_owned(),
        );
    } else if !meta.has_preamble {
        warn(COERCED, "the file has no preamble".to_owned());
    }
    let meta_instance = meta.sop_instance_uid.as_deref().unwrap_or_default();
    if !meta_instance.is_empty() && meta_instance != checked.instance.as_str() {
        let text =
            "(0002,0003) MediaStorageSOPInstanceUID is not the SOP Instance UID of the data set";
        warn(BREAKS_RULES, text.to_owned());
    }
    let meta_class = meta.sop_class_uid.as_deref().unwrap_or_default();
    if !meta_class.is_empty() && meta_class != checked.sop_class.as_str() {
        let text = "(0002,0002) MediaStorageSOPClassUID is not the SOP Class UID of the data set";
        warn(BREAKS_RULES, text.to_owned());
    }
    for element in head.top_level() {
        if let Some(text) = value_error(head, element) {
            warn(BREAKS_RULES, format!("{} {text}", element.named()));
        }
    }
    for text in &head.warnings {
        warn(BREAKS_RULES, text.clone());
    }
    warnings
}

/// What is wrong with the value of an indexed attribute (T35).
fn value_error(head: &Head, element: &Element) -> Option<&'static str> {
    let row = row_of(element.tag).filter(|row| !row.computed)?;
    if element.vr != row.vr {
        return Some("has another VR than the standard gives it");
    }
    values::error(row.vr, head.bytes(element))
}

fn shown_uid(head: &Head, tag: Tag) -> Option<String> {
    shown(head.bytes(head.element(tag)?))
}

/// A value of unknown worth for people: no control characters, no line breaks, not long.
fn shown(value: &[u8]) -> Option<String> {
    let text = value.trim_ascii_end().escape_ascii().to_string();
    let text: String = text
        .trim_end_matches("\\x00")
        .chars()
        .take(MAX_UID_LEN)
        .collect();
    (!text.is_empty()).then_some(text)
}

impl Refusal {
    /// The refusal of what could not be read, with the UIDs that had passed.
    pub fn of_scan(error: &ScanError, collector: &Collector) -> Self {
        Self {
            sop_class: shown_uid(collector.head(), SOP_CLASS_UID),
            sop_instance: shown_uid(collector.head(), SOP_INSTANCE_UID),
            ..Self::from(error)
        }
    }
}

impl From<&ScanError> for Refusal {
    fn from(error: &ScanError) -> Self {
        Self {
            code: CANNOT_UNDERSTAND,
            text: error.to_string(),
            sop_class: None,
            sop_instance: None,
        }
    }
}

impl From<ScanError> for Refusal {
    fn from(error: ScanError) -> Self {
        Self::from(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::scan::build::{Build, EXPLICIT, file, scan};

    fn collector(data_set: &Build) -> (Collector, Result<(), ScanError>) {
        let mut collector = Collector::new();
        let outcome = scan(&file(EXPLICIT, &data_set.bytes), 64, &mut collector);
        (collector, outcome)
    }

    /// A data set of the four UIDs, the study being `study`.
    fn data_set(study: &str) -> Build {
        Build::new(EXPLICIT)
            .put(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.7\0")
            .put(0x0008_0018, "UI", "1.2.3.4\0")
            .put(0x0020_000D, "UI", study)
            .put(0x0020_000E, "UI", "1.2.3.5")
    }

    fn checked(data_set: &Build) -> Result<Checked, Refusal> {
        check(&collector(data_set).0.finish(), None)
    }

    #[test]
    fn t23_another_study_than_the_request_names_is_refused() {
        let head = collector(&data_set("1.2.3")).0.finish();
        let same = StudyUid::parse("1.2.3").unwrap();
        assert_eq!(check(&head, Some(&same)).unwrap().study, same);
        let other = StudyUid::parse("1.2.4").unwrap();
        let refusal = check(&head, Some(&other)).unwrap_err();
        assert_eq!(refusal.code, 0xA900);
        assert_eq!(refusal.sop_instance.as_deref(), Some("1.2.3.4"));
    }

    #[test]
    fn t24_uids_that_no_path_can_name_are_refused() {
        assert!(checked(&data_set("1.2.3.45 ")).unwrap().warnings.is_empty());
        let long = "1".repeat(66);
        for study in ["", "1..2", "../x", "1.2\n3", "1\\2 ", "\u{ff11}.", &long] {
            let refusal = checked(&data_set(study)).unwrap_err();
            assert_eq!(refusal.code, 0xC000, "{study:?}");
            assert!(
                refusal
                    .text
                    .starts_with("(0020,000D) StudyInstanceUID at offset "),
                "{refusal:?}"
            );
        }
        let refusal = checked(&Build::new(EXPLICIT)).unwrap_err();
        assert_eq!(refusal.text, "(0008,0016) SOPClassUID is missing");
    }

    #[test]
    fn meta_information_of_another_instance_is_odd_and_refused_where_both_are_uuids() {
        let named = |meta: &str, data_set: &str| {
            let build = Build::new(EXPLICIT)
                .put(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.7\0")
                .put(0x0008_0018, "UI", data_set)
                .put(0x0020_000D, "UI", "1\0")
                .put(0x0020_000E, "UI", "2\0");
            let mut head = collector(&build).0.finish();
            head.meta.sop_instance_uid = Some(meta.to_owned());
            check(&head, None).map(|checked| checked.warnings)
        };
        assert_eq!(named("2.25.7", "2.25.7").unwrap(), []);
        for (meta, data_set) in [
            ("1.2.3", "1.2.4\0"),
            ("1.2.3", "2.25.7"),
            ("2.25.7", "1.2.3\0"),
        ] {
            let warnings = named(meta, data_set).unwrap();
            assert!(warnings[0].text.contains("(0002,0003)"), "{warnings:?}");
        }
        let refusal = named("2.25.7", "2.25.9").unwrap_err();
        assert_eq!(refusal.code, 0xC000);
        assert!(refusal.text.contains("(0002,0003)"), "{refusal:?}");
    }

    #[test]
    fn t35_values_that_break_their_vr_are_stored_with_a_warning() {
        let check = |build: Build, code: &[u16]| {
            let warnings = checked(&build).unwrap().warnings;
            let codes: Vec<u16> = warnings.iter().map(|warning| warning.code).collect();
            assert_eq!(codes, code, "{warnings:?}");
        };
        let set = || data_set("1.2.3\0");
        check(set().put(0x0020_0011, "IS", "1 "), &[]);
        check(set().put(0x0020_0011, "IS", "1A"), &[0xB007]);
        check(set().put(0x0020_0011, "US", "ab"), &[0xB007]);
        // Not indexed: nobody searches by it.
        check(set().put(0x0028_1050, "DS", "abc "), &[]);
        check(set().put(0x0010_0010, "PN", "A^B "), &[0xB007]);
        check(data_set("1.2.003.4 "), &[0xB007]);
    }

    #[test]
    fn t14_a_data_set_alone_is_stored_with_a_warning() {
        let mut collector = Collector::new();
        scan(&data_set("1.2.3\0").bytes, 64, &mut collector).unwrap();
        let warnings = check(&collector.finish(), None).unwrap().warnings;
        assert_eq!(warnings[0].code, 0xB000);
    }

    #[test]
    fn t28_a_file_that_cannot_be_read_is_refused_under_its_uids() {
        let (collector, outcome) = collector(&data_set("1.2.3\0").head(0x0028_0010, "US", 9));
        let refusal = Refusal::of_scan(&outcome.unwrap_err(), &collector);
        assert_eq!(refusal.code, 0xC000);
        assert!(
            refusal.text.contains("(0028,0010) Rows at offset"),
            "{refusal:?}"
        );
        assert_eq!(refusal.sop_instance.as_deref(), Some("1.2.3.4"));
    }

    #[test]
    fn hostile_uids_are_shown_harmless() {
        assert_eq!(shown(b"1.2\0").as_deref(), Some("1.2"));
        assert_eq!(shown(b"a\r\nb").as_deref(), Some("a\\r\\nb"));
        assert_eq!(shown(&[b'1'; 100]).unwrap().len(), 64);
        assert_eq!(shown(b" "), None);
    }
}
