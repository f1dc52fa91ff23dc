//! How the `OpenAPI` document names what the routes of this folder take and give.

#![expect(
    dead_code,
    reason = "shapes for the document: nobody makes a value of them"
)]

use utoipa::{IntoParams, IntoResponses, ToSchema};

use crate::http::dicomweb::shapes::Binary;
use crate::http::problem::Problem;

/// A document in XML.
#[derive(Debug, ToSchema)]
#[schema(value_type = String)]
pub struct XmlDocument(String);

/// Names a study.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct StudyParams {
    /// UUID of the study, as search and change log tell it.
    uuid: String,
}

/// Names the metadata of a study.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TypeOfStudyParams {
    /// UUID of the study, as search and change log tell it.
    uuid: String,
    /// `DICOM`, the only type there is.
    #[param(rename = "type")]
    name: String,
}

/// Names the metadata of a study in an encoding.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct FormParams {
    /// UUID of the study, as search and change log tell it.
    uuid: String,
    /// `DICOM`, the only type there is.
    #[param(rename = "type")]
    name: String,
    /// `xml`, and of metadata `xml.gz` or `gz`, `gpb` for protobuf, `gpb.gz`.
    form: String,
}

/// What of a study is bundled with its metadata.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BundleParams {
    /// Numbers of items and ranges of them, separated by commas, or `all`.
    items: Option<String>,
    /// Series Instance UID: only the items of this series.
    series: Option<String>,
    /// A version: only the items that came after it.
    #[param(format = "integer")]
    known: Option<i64>,
}

/// Names a change of a study.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ChangeParams {
    /// UUID of the study, as search and change log tell it.
    uuid: String,
    /// Number of the change from 0; `.xml`, `.xml.gz`, `.gz`, `.gpb` or `.gpb.gz` may follow.
    change: String,
}

/// Names a job.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct JobParams {
    /// UUID of the job, as the answer that began it told it.
    job: String,
}

/// How long an answer may wait.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct WaitParams {
    /// `wait=N`: for so many seconds, at most 60.
    #[param(rename = "Prefer")]
    prefer: Option<String>,
}

/// Names items.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ItemParams {
    /// UUID of the study, as search and change log tell it.
    uuid: String,
    /// `DICOM`, the only type there is.
    #[param(rename = "type")]
    name: String,
    /// Numbers from 0 and ranges of them, separated by commas, or `all`; `.dat` may follow.
    list: String,
}

/// Names a type of metadata.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TypeParams {
    /// `DICOM`, the only type there is, or `DICOM.xml`.
    #[param(rename = "type")]
    name: String,
}

/// What is searched for. Names have neither case nor underscores; values are exact.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchParams {
    /// Study Instance UID.
    #[param(rename = "studyInstanceUID")]
    study_instance_uid: Option<String>,
    /// Accession Number.
    #[param(rename = "accessionNumber")]
    accession_number: Option<String>,
    /// Local name of the Issuer of Accession Number.
    #[param(rename = "accessionNumberIssuer")]
    accession_number_issuer: Option<String>,
    /// Patient ID.
    #[param(rename = "patientID")]
    patient_id: Option<String>,
    /// Issuer of Patient ID.
    #[param(rename = "patientIDIssuer")]
    patient_id_issuer: Option<String>,
    /// Study Date and Study Time from here on: `yyyyMMddTHHmmss`, with or without a fraction and a zone; UTC without a zone.
    #[param(rename = "minStudyDateTime")]
    min_study_date_time: Option<String>,
    /// Study Date and Study Time up to here.
    #[param(rename = "maxStudyDateTime")]
    max_study_date_time: Option<String>,
    /// Study Date from this day on: `yyyyMMdd`.
    #[param(rename = "minStudyDate")]
    min_study_date: Option<String>,
    /// Study Date before this day.
    #[param(rename = "maxStudyDate")]
    max_study_date: Option<String>,
    /// Whose studies: `own`, `shared` or `all`.
    scope: Option<String>,
    /// `STUDY`, `SERIES` or `INSTANCE`: with this, or one of `PatientName`, `ModalitiesInStudy`, `SeriesInstanceUID`,
    /// `SeriesDescription`, `StudyDescription`, `InstitutionName`, `PatientSex`, `PatientBirthDate`, `*` is a wildcard, both
    /// ends of an interval of days belong to it, and the answer has attributes.
    #[param(rename = "QueryLevel")]
    query_level: Option<String>,
    /// Keywords of attributes to be told, separated by commas.
    #[param(rename = "IncludeFields")]
    include_fields: Option<String>,
    /// Results of a page, 50 if it is not said, 1000 at most.
    #[param(format = "integer")]
    limit: Option<i64>,
    /// Number of the page, from 1.
    #[param(format = "integer")]
    offset: Option<i64>,
}

/// Which changes are listed.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangelogParams {
    /// Only the last change of each study, which is so if it is not said.
    consolidate: Option<bool>,
    /// Only later changes: `yyyyMMddTHHmmss`, with or without a fraction and a zone; UTC without a zone.
    since: Option<String>,
    /// Changes of a page, 50 if it is not said, 1000 at most.
    #[param(format = "integer")]
    limit: Option<i64>,
    /// Number of the page, from 0.
    #[param(format = "integer")]
    offset: Option<i64>,
    /// `desc`, newest first, which is so if it is not said, or `asc`.
    order: Option<String>,
    /// The feed: what follows the cursor of the page before, or everything if it is empty. `limit` and `wait` go with it.
    #[param(allow_reserved)]
    after: Option<String>,
    /// With `after`: how many seconds to wait for a change, 60 at most.
    #[param(format = "integer")]
    wait: Option<i64>,
}

/// An answer that is a document.
#[derive(Debug, IntoResponses)]
pub enum Documents {
    /// The document.
    #[response(status = 200, content_type = "text/xml")]
    Document(XmlDocument),
}

/// What binary items are sent as.
#[derive(Debug, IntoResponses)]
pub enum Items {
    /// The study has none.
    #[response(status = 204)]
    None,
    /// The range of bytes that was asked for.
    #[response(status = 206, content_type = "application/octet-stream")]
    Part(Binary),
    /// The range lies outside of the body.
    #[response(status = 416, content_type = "application/problem+json")]
    BadRange(Problem),
}

/// An answer that is a page for people.
#[derive(Debug, IntoResponses)]
pub enum Page {
    /// The page.
    #[response(status = 200, content_type = "text/html")]
    Page(XmlDocument),
}

/// Why something is refused.
#[derive(Debug, IntoResponses)]
pub enum Refused {
    /// The caller has it already.
    #[response(status = 304)]
    NotModified,
    /// Malformed.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// No token, or none that is accepted.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// The token lacks the scope.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// Not here, or not for this caller.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// The study was deleted.
    #[response(status = 410, content_type = "application/problem+json")]
    Gone(Problem),
    /// Database or store are away for now.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}
