//! The table of indexed attributes: one row is one attribute with all its facts. Extraction, matching, returned fields,
//! columns and capabilities read it (dicomweb.md 4.4 and 4.5).

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;

use crate::model::{Level, Tag, VR};

/// When a search returns an attribute that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// Always; empty where it is not known.
    OrEmpty,
    /// Where it is known.
    IfKnown,
    /// Only when asked for.
    OnRequest,
}

/// How an attribute is matched (PS3.4 C.2.2.2, dicomweb.md 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// Exact text, or a list of them.
    Uid,
    /// Text, wildcards, upper-cased on both sides; a list is an alternative.
    Code,
    /// Text, wildcards, whatever the case.
    Text,
    /// Person name: groups, wildcards, folded.
    Name,
    /// Date, or a range of dates.
    Date,
    /// Time, or a range of times.
    Time,
    /// Number; a list is an alternative.
    Number,
    /// Computed and returned, not matched.
    None,
}

/// One indexed attribute.
#[derive(Debug)]
pub struct Row {
    /// Its tag.
    pub tag: Tag,
    /// Its keyword; the column is the keyword in snake case (`dicom_study_id` excepted).
    pub keyword: &'static str,
    /// Its value representation.
    pub vr: VR,
    /// The level whose row holds it; the patient's attributes lie with the study.
    pub level: Level,
    /// How it is matched.
    pub matching: Matching,
    /// When it is returned.
    pub returned: Returned,
    /// The column of the level's table.
    pub column: &'static str,
    /// Whether its value is computed by the index instead of taken from the object.
    pub computed: bool,
}

#[expect(
    clippy::too_many_arguments,
    reason = "one argument is one column of the table below"
)]
const fn row(
    tag: Tag,
    keyword: &'static str,
    vr: VR,
    level: Level,
    matching: Matching,
    returned: Returned,
    column: &'static str,
    computed: bool,
) -> Row {
    Row {
        tag,
        keyword,
        vr,
        level,
        matching,
        returned,
        column,
        computed,
    }
}

use Level::{Instance, Series, Study};
use Matching as M;
use Returned::{IfKnown, OnRequest, OrEmpty};

const KEPT: bool = false;
const COMPUTED: bool = true;

/// Indexed attributes by level, then by tag.
#[rustfmt::skip]
pub static TABLE: &[Row] = &[
    row(Tag(0x0008, 0x0020), "StudyDate", VR::DA, Study, M::Date, OrEmpty, "study_date", KEPT),
    row(Tag(0x0008, 0x0030), "StudyTime", VR::TM, Study, M::Time, OrEmpty, "study_time", KEPT),
    row(Tag(0x0008, 0x0050), "AccessionNumber", VR::SH, Study, M::Text, OrEmpty, "accession_number", KEPT),
    row(Tag(0x0008, 0x0056), "InstanceAvailability", VR::CS, Study, M::None, IfKnown, "instance_availability", COMPUTED),
    row(Tag(0x0008, 0x0061), "ModalitiesInStudy", VR::CS, Study, M::Code, OrEmpty, "modalities", COMPUTED),
    row(Tag(0x0008, 0x0062), "SOPClassesInStudy", VR::UI, Study, M::Uid, OnRequest, "sop_classes", COMPUTED),
    row(Tag(0x0008, 0x0080), "InstitutionName", VR::LO, Study, M::Text, OnRequest, "institution_name", KEPT),
    row(Tag(0x0008, 0x0090), "ReferringPhysicianName", VR::PN, Study, M::Name, OrEmpty, "referring_physician_name", KEPT),
    row(Tag(0x0008, 0x0201), "TimezoneOffsetFromUTC", VR::SH, Study, M::None, IfKnown, "timezone_offset_from_utc", KEPT),
    row(Tag(0x0008, 0x1030), "StudyDescription", VR::LO, Study, M::Text, IfKnown, "study_description", KEPT),
    row(Tag(0x0010, 0x0010), "PatientName", VR::PN, Study, M::Name, OrEmpty, "patient_name", KEPT),
    row(Tag(0x0010, 0x0020), "PatientID", VR::LO, Study, M::Text, OrEmpty, "patient_id", KEPT),
    row(Tag(0x0010, 0x0021), "IssuerOfPatientID", VR::LO, Study, M::Text, OnRequest, "issuer_of_patient_id", KEPT),
    row(Tag(0x0010, 0x0030), "PatientBirthDate", VR::DA, Study, M::Date, OrEmpty, "patient_birth_date", KEPT),
    row(Tag(0x0010, 0x0040), "PatientSex", VR::CS, Study, M::Code, OrEmpty, "patient_sex", KEPT),
    row(Tag(0x0020, 0x000D), "StudyInstanceUID", VR::UI, Study, M::Uid, OrEmpty, "study_instance_uid", KEPT),
    row(Tag(0x0020, 0x0010), "StudyID", VR::SH, Study, M::Text, OrEmpty, "dicom_study_id", KEPT),
    row(Tag(0x0020, 0x1206), "NumberOfStudyRelatedSeries", VR::IS, Study, M::Number, OrEmpty, "series_count", COMPUTED),
    row(Tag(0x0020, 0x1208), "NumberOfStudyRelatedInstances", VR::IS, Study, M::Number, OrEmpty, "instance_count", COMPUTED),
    row(Tag(0x0008, 0x0021), "SeriesDate", VR::DA, Series, M::Date, IfKnown, "series_date", KEPT),
    row(Tag(0x0008, 0x0031), "SeriesTime", VR::TM, Series, M::Time, IfKnown, "series_time", KEPT),
    row(Tag(0x0008, 0x0060), "Modality", VR::CS, Series, M::Code, OrEmpty, "modality", KEPT),
    row(Tag(0x0008, 0x0070), "Manufacturer", VR::LO, Series, M::Text, OnRequest, "manufacturer", KEPT),
    row(Tag(0x0008, 0x1010), "StationName", VR::SH, Series, M::Text, OnRequest, "station_name", KEPT),
    row(Tag(0x0008, 0x103E), "SeriesDescription", VR::LO, Series, M::Text, IfKnown, "series_description", KEPT),
    row(Tag(0x0008, 0x1050), "PerformingPhysicianName", VR::PN, Series, M::Name, OnRequest, "performing_physician_name", KEPT),
    row(Tag(0x0008, 0x1090), "ManufacturerModelName", VR::LO, Series, M::Text, OnRequest, "manufacturer_model_name", KEPT),
    row(Tag(0x0018, 0x0015), "BodyPartExamined", VR::CS, Series, M::Code, OnRequest, "body_part_examined", KEPT),
    row(Tag(0x0018, 0x1030), "ProtocolName", VR::LO, Series, M::Text, OnRequest, "protocol_name", KEPT),
    row(Tag(0x0020, 0x000E), "SeriesInstanceUID", VR::UI, Series, M::Uid, OrEmpty, "series_instance_uid", KEPT),
    row(Tag(0x0020, 0x0011), "SeriesNumber", VR::IS, Series, M::Number, OrEmpty, "series_number", KEPT),
    row(Tag(0x0020, 0x0060), "Laterality", VR::CS, Series, M::Code, OnRequest, "laterality", KEPT),
    row(Tag(0x0020, 0x1209), "NumberOfSeriesRelatedInstances", VR::IS, Series, M::Number, OrEmpty, "instance_count", COMPUTED),
    row(Tag(0x0040, 0x0244), "PerformedProcedureStepStartDate", VR::DA, Series, M::Date, IfKnown, "performed_procedure_step_start_date", KEPT),
    row(Tag(0x0040, 0x0245), "PerformedProcedureStepStartTime", VR::TM, Series, M::Time, IfKnown, "performed_procedure_step_start_time", KEPT),
    row(Tag(0x0008, 0x0008), "ImageType", VR::CS, Instance, M::Code, OnRequest, "image_type", KEPT),
    row(Tag(0x0008, 0x0016), "SOPClassUID", VR::UI, Instance, M::Uid, OrEmpty, "sop_class_uid", KEPT),
    row(Tag(0x0008, 0x0018), "SOPInstanceUID", VR::UI, Instance, M::Uid, OrEmpty, "sop_instance_uid", KEPT),
    row(Tag(0x0008, 0x0023), "ContentDate", VR::DA, Instance, M::Date, OnRequest, "content_date", KEPT),
    row(Tag(0x0008, 0x0033), "ContentTime", VR::TM, Instance, M::Time, OnRequest, "content_time", KEPT),
    row(Tag(0x0008, 0x3002), "AvailableTransferSyntaxUID", VR::UI, Instance, M::Uid, IfKnown, "transfer_syntax_uid", COMPUTED),
    row(Tag(0x0020, 0x0013), "InstanceNumber", VR::IS, Instance, M::Number, OrEmpty, "instance_number", KEPT),
    row(Tag(0x0028, 0x0008), "NumberOfFrames", VR::IS, Instance, M::Number, IfKnown, "number_of_frames", KEPT),
    row(Tag(0x0028, 0x0010), "Rows", VR::US, Instance, M::Number, IfKnown, "rows", KEPT),
    row(Tag(0x0028, 0x0011), "Columns", VR::US, Instance, M::Number, IfKnown, "columns", KEPT),
    row(Tag(0x0028, 0x0100), "BitsAllocated", VR::US, Instance, M::Number, IfKnown, "bits_allocated", KEPT),
    row(Tag(0x0040, 0xA491), "CompletionFlag", VR::CS, Instance, M::Code, OnRequest, "completion_flag", KEPT),
    row(Tag(0x0040, 0xA493), "VerificationFlag", VR::CS, Instance, M::Code, OnRequest, "verification_flag", KEPT),
];

/// The row of an indexed attribute.
pub fn row_of(tag: Tag) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.tag == tag)
}

/// The rows of one level.
pub fn rows_of(level: Level) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| row.level == level)
}

/// The keyword of any attribute of the standard (PS3.6).
pub fn keyword(tag: Tag) -> Option<&'static str> {
    StandardDataDictionary
        .by_tag(tag)
        .map(DataDictionaryEntry::alias)
}

/// The tag of a keyword of the standard (PS3.6); of an indexed attribute in any case (Q01).
pub fn tag_of(keyword: &str) -> Option<Tag> {
    TABLE
        .iter()
        .find(|row| row.keyword.eq_ignore_ascii_case(keyword))
        .map(|row| row.tag)
        .or_else(|| {
            StandardDataDictionary
                .by_name(keyword)
                .map(DataDictionaryEntry::tag)
        })
}

/// The value representation of any attribute of the standard, ambiguous ones resolved to their first (PS3.6).
pub fn standard_vr(tag: Tag) -> Option<VR> {
    StandardDataDictionary
        .by_tag(tag)
        .map(|entry| entry.vr().relaxed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_agrees_with_the_standard() {
        for pair in TABLE.windows(2) {
            assert!(
                (pair[0].level, pair[0].tag) < (pair[1].level, pair[1].tag),
                "{}",
                pair[1].keyword
            );
        }
        for row in TABLE {
            assert_eq!(keyword(row.tag), Some(row.keyword));
            assert_eq!(standard_vr(row.tag), Some(row.vr), "{}", row.keyword);
        }
    }
}
