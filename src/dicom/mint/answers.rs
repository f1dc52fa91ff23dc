//! The small answers of MINT: what was found, what a study is, what changed, how a job stands (mint.md 4, 5.1, 7, 9.2, 12.4).

use super::TYPE;
use super::tags::Tags;
use crate::model::{Attribute, AttributeSet, JobId, StudyId, StudyUid, Tag, Timestamp, VR};

/// A study at one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StudyVersion {
    /// The study's UUID.
    pub study: StudyId,
    /// When it changed last.
    pub changed_at: Timestamp,
    /// How often it has changed since it came.
    pub version: u64,
}

/// A `studySearchResults` document (mint.md 4).
///
/// `asked` is what was asked, in the order of mint.md 4: `studyInstanceUID`, `accessionNumber`, `accessionNumberIssuer`,
/// `patientID`, `patientIDIssuer`, `minStudyDate` as given, `minStudyDateTime` as [`time_text`](super::time_text), and the two
/// of `max`; then come `offset`, the number of the page from 1, and `limit` as applied.
pub fn search_results(
    asked: &[(&str, &str)],
    offset: u64,
    limit: u64,
    hits: &[StudyVersion],
) -> Vec<u8> {
    const ROOT: &str = "studySearchResults";
    let mut tags = Tags::document(ROOT);
    for (name, value) in asked {
        tags.text(name, value);
    }
    tags.text("timeZone", "GMT");
    tags.number("offset", offset);
    tags.number("limit", limit);
    tags.inside();
    for hit in hits {
        tags.open("study");
        tags.text("studyUUID", &hit.study.to_string());
        tags.time("lastModified", hit.changed_at);
        tags.number("version", hit.version);
        tags.empty();
    }
    tags.finish(ROOT)
}

/// A `studyRoot` document (mint.md 5.1).
pub fn study_root(study: &StudyVersion) -> Vec<u8> {
    const ROOT: &str = "studyRoot";
    let mut tags = Tags::document(ROOT);
    tags.text("studyUUID", &study.study.to_string());
    tags.time("lastUpdate", study.changed_at);
    tags.number("version", study.version);
    tags.inside();
    tags.open("type");
    tags.inside();
    tags.content(TYPE);
    tags.close("type");
    tags.finish(ROOT)
}

/// What a change did to a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It came.
    Create,
    /// It became another.
    Update,
    /// It went.
    Delete,
}

impl Operation {
    /// The word in a change log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// One change of a study.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The study's UUID.
    pub study: StudyId,
    /// The number of the change, from 0 (mint.md 7.4).
    pub number: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What it did.
    pub operation: Operation,
    /// Who did it, by a name that the reader may know; none is written as `-`, since readers ask for one (mint.md 7.1).
    pub remote_host: Option<String>,
    /// The person, if known.
    pub remote_user: Option<String>,
}

/// The `changelog` of the archive, in the order given (mint.md 7.1).
pub fn changelog(changes: &[Change]) -> Vec<u8> {
    let mut tags = Tags::document("changelog");
    tags.inside();
    for change in changes {
        tags.open("change");
        tags.text("studyUUID", &change.study.to_string());
        write_change(&mut tags, change);
    }
    tags.finish("changelog")
}

/// A change under its number in the feed of a facility (mint.md 16.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// The number: 1 is that of the facility's first change.
    pub seq: u64,
    /// The study's Study Instance UID.
    pub study_instance_uid: StudyUid,
    /// The change.
    pub change: Change,
}

/// A page of the feed as a `changelog`. What MINT 1 does not have are attributes that its readers pass over: `after`, which is
/// how to ask for the next page, `seq` and `studyInstanceUID` (mint.md 16.9, N06).
pub fn feed(changes: &[Numbered], after: &str) -> Vec<u8> {
    let mut tags = Tags::document("changelog");
    tags.text("after", after);
    tags.inside();
    for numbered in changes {
        tags.open("change");
        tags.number("seq", numbered.seq);
        tags.text("studyUUID", &numbered.change.study.to_string());
        tags.text("studyInstanceUID", numbered.study_instance_uid.as_str());
        write_change(&mut tags, &numbered.change);
    }
    tags.finish("changelog")
}

/// The `changelog` of one study, in the order given (mint.md 7.2).
pub fn study_changelog(study: StudyId, changes: &[Change]) -> Vec<u8> {
    let mut tags = Tags::document("changelog");
    tags.text("studyUUID", &study.to_string());
    tags.inside();
    for change in changes {
        tags.open("change");
        write_change(&mut tags, change);
    }
    tags.finish("changelog")
}

fn write_change(tags: &mut Tags, change: &Change) {
    tags.number("changeNumber", change.number);
    tags.text("type", TYPE);
    tags.time("dateTime", change.at);
    tags.text("operation", change.operation.as_str());
    tags.text("remoteHost", change.remote_host.as_deref().unwrap_or("-"));
    if let Some(user) = &change.remote_user {
        tags.text("remoteUser", user);
    }
    tags.empty();
}

/// What a job says of texts that did not fit their character sets.
const RECODED: &str = "texts did not fit their character set and are stored in UTF-8";

/// How a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    /// It is not over.
    InProgress,
    /// It is done, and this is the number of the change it made.
    Success {
        /// Number of the change.
        change_number: u64,
        /// Whether texts did not fit their character sets (MINT P04).
        is_recoded: bool,
    },
    /// It is over without effect.
    Failed {
        /// One English sentence without patient data.
        reason: String,
    },
}

/// A create or update job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStatus {
    /// The job.
    pub job: JobId,
    /// The study that it makes or changes.
    pub study: StudyId,
    /// How it stands.
    pub outcome: JobOutcome,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it came to stand so.
    pub updated_at: Timestamp,
}

/// A `jobStatus` document; `reason`, `changeNumber` and `note` are attributes that readers of MINT 1 pass over (mint.md 9.2, N06).
pub fn job_status(status: &JobStatus) -> Vec<u8> {
    let mut tags = Tags::document("jobStatus");
    tags.text("jobID", &status.job.to_string());
    tags.text("studyUUID", &status.study.to_string());
    let state = match &status.outcome {
        JobOutcome::InProgress => "IN_PROGRESS",
        JobOutcome::Success { .. } => "SUCCESS",
        JobOutcome::Failed { .. } => "FAILED",
    };
    tags.text("jobStatus", state);
    tags.time("jobCreated", status.created_at);
    tags.time("jobUpdated", status.updated_at);
    match &status.outcome {
        JobOutcome::InProgress => {}
        JobOutcome::Success {
            change_number,
            is_recoded,
        } => {
            tags.number("changeNumber", *change_number);
            if *is_recoded {
                tags.text("note", RECODED);
            }
        }
        JobOutcome::Failed { reason } => tags.text("reason", reason),
    }
    tags.inside();
    tags.finish("jobStatus")
}

/// A study found by the search with DICOM attributes in its answer (mint.md 12.4).
#[derive(Debug)]
pub struct FoundStudy {
    /// The study.
    pub version: StudyVersion,
    /// Its attributes.
    pub attributes: AttributeSet,
    /// Its series, where the search was for series or instances.
    pub series: Vec<FoundSeries>,
}

/// A series of a [`FoundStudy`].
#[derive(Debug)]
pub struct FoundSeries {
    /// Its attributes.
    pub attributes: AttributeSet,
    /// The attributes of its instances, where the search was for instances.
    pub instances: Vec<AttributeSet>,
}

/// The answer to a search with DICOM attributes: `asked` is echoed, in the order given, as `query_level`, `queryfields` and
/// `includefields` (MINT W04).
pub fn attribute_results(asked: &[(&str, &str)], studies: &[FoundStudy]) -> Vec<u8> {
    const ROOT: &str = "studySearchResults";
    let mut tags = Tags::document(ROOT);
    for (name, value) in asked {
        tags.text(name, value);
    }
    tags.inside();
    for study in studies {
        tags.open("study");
        tags.text("studyUUID", &study.version.study.to_string());
        tags.number("version", study.version.version);
        tags.time("lastModified", study.version.changed_at);
        tags.inside();
        for series in &study.series {
            tags.open("series");
            tags.inside();
            for instance in &series.instances {
                tags.open("instance");
                tags.inside();
                write_attributes(&mut tags, instance);
                tags.close("instance");
            }
            write_attributes(&mut tags, &series.attributes);
            tags.close("series");
        }
        write_attributes(&mut tags, &study.attributes);
        tags.close("study");
    }
    tags.finish(ROOT)
}

fn write_attributes(tags: &mut Tags, attributes: &AttributeSet) {
    for (tag, attribute) in attributes.iter() {
        // What is DICOM JSON already is a sequence, and has no place here.
        if let Attribute::Text { vr, text } = attribute {
            write_text(tags, tag, *vr, text);
        }
    }
}

fn write_text(tags: &mut Tags, tag: Tag, vr: VR, text: &str) {
    tags.open("attr");
    tags.tag(tag);
    tags.text("vr", vr.to_string());
    if !text.is_empty() {
        tags.text("val", text);
    }
    tags.empty();
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const STUDY: &str = "44c8dc9e-0865-4552-ad66-c4369903db91";
    const JOB: &str = "0dc91ea7-0886-49b0-92d3-15eb7a28128a";
    const AT: Timestamp = Timestamp(1_773_206_401_512_345);

    fn study() -> StudyId {
        StudyId(Uuid::parse_str(STUDY).unwrap())
    }

    fn version() -> StudyVersion {
        StudyVersion {
            study: study(),
            changed_at: AT,
            version: 0,
        }
    }

    fn check(document: Vec<u8>, expected: &str) {
        let text = String::from_utf8(document).unwrap();
        let start = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
        let text = text.strip_prefix(start).unwrap();
        let expected = expected.replace("STUDY", STUDY).replace("JOB", JOB);
        assert_eq!(text.trim_end(), expected);
    }

    #[test]
    fn mint_n01_answers_are_in_the_default_namespace() {
        check(
            search_results(&[("studyInstanceUID", "2.25.70010")], 1, 50, &[version()]),
            "<studySearchResults xmlns=\"http://medical.nema.org/mint\" studyInstanceUID=\"2.25.70010\" \
             timeZone=\"GMT\" offset=\"1\" limit=\"50\"><study studyUUID=\"STUDY\" \
             lastModified=\"2026-03-11T05:20:01.512Z\" version=\"0\"/></studySearchResults>",
        );
        check(
            study_root(&version()),
            "<studyRoot xmlns=\"http://medical.nema.org/mint\" studyUUID=\"STUDY\" \
             lastUpdate=\"2026-03-11T05:20:01.512Z\" version=\"0\"><type>DICOM</type></studyRoot>",
        );
    }

    #[test]
    fn what_was_asked_is_written_so_that_it_stays_text() {
        check(
            search_results(&[("patientID", "a\"<&\u{1}")], 2, 10, &[]),
            "<studySearchResults xmlns=\"http://medical.nema.org/mint\" \
             patientID=\"a&quot;&lt;&amp;\u{FFFD}\" timeZone=\"GMT\" offset=\"2\" \
             limit=\"10\"></studySearchResults>",
        );
    }

    #[test]
    fn changes_name_who_made_them_or_a_dash() {
        let change = Change {
            study: study(),
            number: 0,
            at: AT,
            operation: Operation::Create,
            remote_host: Some("ct-room-2".to_owned()),
            remote_user: None,
        };
        let unknown = Change {
            number: 1,
            operation: Operation::Delete,
            remote_host: None,
            remote_user: Some("u".to_owned()),
            ..change.clone()
        };
        check(
            study_changelog(study(), &[change, unknown.clone()]),
            "<changelog xmlns=\"http://medical.nema.org/mint\" studyUUID=\"STUDY\"><change changeNumber=\"0\" \
             type=\"DICOM\" dateTime=\"2026-03-11T05:20:01.512Z\" operation=\"CREATE\" remoteHost=\"ct-room-2\"/>\
             <change changeNumber=\"1\" type=\"DICOM\" dateTime=\"2026-03-11T05:20:01.512Z\" \
             operation=\"DELETE\" remoteHost=\"-\" remoteUser=\"u\"/></changelog>",
        );
        let numbered = Numbered {
            seq: 7,
            study_instance_uid: StudyUid::parse("2.25.70010").unwrap(),
            change: unknown.clone(),
        };
        check(
            feed(&[numbered], "xyz"),
            "<changelog xmlns=\"http://medical.nema.org/mint\" after=\"xyz\"><change seq=\"7\" studyUUID=\"STUDY\" \
             studyInstanceUID=\"2.25.70010\" changeNumber=\"1\" type=\"DICOM\" \
             dateTime=\"2026-03-11T05:20:01.512Z\" operation=\"DELETE\" remoteHost=\"-\" remoteUser=\"u\"/></changelog>",
        );
        check(
            changelog(&[unknown]),
            "<changelog xmlns=\"http://medical.nema.org/mint\"><change studyUUID=\"STUDY\" changeNumber=\"1\" \
             type=\"DICOM\" dateTime=\"2026-03-11T05:20:01.512Z\" operation=\"DELETE\" remoteHost=\"-\" \
             remoteUser=\"u\"/></changelog>",
        );
    }

    #[test]
    fn mint_n06_what_a_job_says_more_is_said_in_attributes() {
        let status = |outcome| JobStatus {
            job: JobId(Uuid::parse_str(JOB).unwrap()),
            study: study(),
            outcome,
            created_at: AT,
            updated_at: AT,
        };
        let check = |outcome, state: &str, behind: &str| {
            check(
                job_status(&status(outcome)),
                &format!(
                    "<jobStatus xmlns=\"http://medical.nema.org/mint\" jobID=\"JOB\" studyUUID=\"STUDY\" \
                     jobStatus=\"{state} jobCreated=\"2026-03-11T05:20:01.512Z\" \
                     jobUpdated=\"2026-03-11T05:20:01.512Z\"{behind}></jobStatus>"
                ),
            );
        };
        check(JobOutcome::InProgress, "IN_PROGRESS\"", "");
        let success = |is_recoded| JobOutcome::Success {
            change_number: 3,
            is_recoded,
        };
        check(success(false), "SUCCESS\"", " changeNumber=\"3\"");
        let noted = " changeNumber=\"3\" note=\"texts did not fit their character set and are stored in UTF-8\"";
        check(success(true), "SUCCESS\"", noted);
        check(
            JobOutcome::Failed {
                reason: "no instance".to_owned(),
            },
            "FAILED\"",
            " reason=\"no instance\"",
        );
    }

    #[test]
    fn mint_w04_series_and_instances_stand_before_attributes() {
        let mut attributes = AttributeSet::default();
        attributes.put(Tag(0x0010, 0x0010), VR::PN, "KURAMOTO^HANA=蔵本^花");
        let mut series = AttributeSet::default();
        series.put(Tag(0x0008, 0x0060), VR::CS, "CT");
        let mut instance = AttributeSet::default();
        instance.put(Tag(0x0020, 0x0013), VR::IS, "");
        let found = FoundStudy {
            version: version(),
            attributes,
            series: vec![FoundSeries {
                attributes: series,
                instances: vec![instance],
            }],
        };
        check(
            attribute_results(&[("query_level", "INSTANCE")], &[found]),
            "<studySearchResults xmlns=\"http://medical.nema.org/mint\" query_level=\"INSTANCE\">\
             <study studyUUID=\"STUDY\" version=\"0\" lastModified=\"2026-03-11T05:20:01.512Z\"><series><instance>\
             <attr tag=\"00200013\" vr=\"IS\"/></instance><attr tag=\"00080060\" vr=\"CS\" val=\"CT\"/></series>\
             <attr tag=\"00100010\" vr=\"PN\" val=\"KURAMOTO^HANA=蔵本^花\"/></study></studySearchResults>",
        );
    }
}
