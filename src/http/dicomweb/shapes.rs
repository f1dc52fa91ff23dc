//! How the `OpenAPI` document names what the routes of this folder take and give.

#![expect(
    dead_code,
    reason = "shapes for the document: nobody makes a value of them"
)]

use std::collections::HashMap;

use utoipa::{IntoParams, IntoResponses, ToSchema};

use super::counts::Count;
use crate::http::problem::Problem;

/// A DICOM data set in JSON (PS3.18 F.2): attributes by tag, eight hexadecimal digits.
#[derive(Debug, ToSchema)]
pub struct DataSet(HashMap<String, DicomAttribute>);

/// One attribute: its value representation and at most one of three forms of value.
#[derive(Debug, ToSchema)]
pub struct DicomAttribute {
    /// Value representation, two letters.
    vr: String,
    /// Values: texts, numbers, names or data sets.
    #[schema(rename = "Value")]
    value: Option<Vec<serde_json::Value>>,
    /// Where the value can be fetched.
    #[schema(rename = "BulkDataURI")]
    bulk_data_uri: Option<String>,
    /// The value in base64.
    #[schema(rename = "InlineBinary")]
    inline_binary: Option<String>,
}

/// A stand-in for bytes.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Binary(Vec<u8>);

/// Names a study.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct StudyParams {
    /// Study Instance UID.
    study: String,
}

/// Names a series.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SeriesParams {
    /// Study Instance UID.
    study: String,
    /// Series Instance UID.
    series: String,
}

/// Names an instance.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct InstanceParams {
    /// Study Instance UID.
    study: String,
    /// Series Instance UID.
    series: String,
    /// SOP Instance UID.
    instance: String,
}

/// Names frames.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct FrameParams {
    /// Study Instance UID.
    study: String,
    /// Series Instance UID.
    series: String,
    /// SOP Instance UID.
    instance: String,
    /// Numbers of frames from 1, separated by commas.
    part: String,
}

/// Names a value of an instance.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct BulkParams {
    /// Study Instance UID.
    study: String,
    /// Series Instance UID.
    series: String,
    /// SOP Instance UID.
    instance: String,
    /// Tag of the value; inside sequences the tag of the sequence and the number of the item from 1 before it.
    part: String,
}

/// How metadata are shown.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MetadataParams {
    /// The attributes that are shown, separated by commas, beside those that name the instance; all where nothing is said.
    includefield: Option<String>,
    /// Whether private attributes are left out.
    excludeprivate: Option<bool>,
    /// What stands for long binary values other than pixel data: `uri` or, in JSON, `inline`. The facility says it where
    /// nothing is said.
    bulkdata: Option<String>,
}

/// Which version of an instance.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VersionParams {
    /// An earlier version, from 1, where the facility keeps both; the newest where nothing is said.
    version: Option<u32>,
}

/// Why something is rejected.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RejectParams {
    /// Code and scheme with `^` between them, as in `113001%5EDCM`: 113001 quality, 113037 safety, 113038 wrong worklist entry,
    /// 113039 retention over.
    code: String,
}

/// Why something is removed.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct RemoveParams {
    /// A line for the people who decide about it, at most 400 characters of UTF-8, percent-encoded where need be.
    #[param(rename = "X-Kura-Reason")]
    reason: Option<String>,
}

/// What a removal gives.
#[derive(Debug, IntoResponses)]
pub enum Removed {
    /// It is out of sight and in the bin; X-Kura-Deletion says under which id it can be restored.
    #[response(status = 204)]
    Done,
    /// Malformed.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// No token, none that is accepted, or a sign-in that is too weak or too old for this.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// Visible, but the token lacks the scope, or another facility owns it.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// Not here, or not for this caller; in the bin already.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// The study must be kept.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
    /// It was erased.
    #[response(status = 410, content_type = "application/problem+json")]
    Gone(Problem),
    /// The code is none of a rejection.
    #[response(status = 422, content_type = "application/problem+json")]
    Unprocessable(Problem),
    /// The database is away for now.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// How results are chosen. Beside these, every attribute that is searched may be a parameter, by keyword or tag.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchParams {
    /// Results at most.
    #[param(format = "uint64")]
    limit: Option<u32>,
    /// Results passed over.
    #[param(format = "uint64")]
    offset: Option<u64>,
    /// Attributes to be shown, separated by commas, or `all`.
    includefield: Option<String>,
    /// Whether tokens of names are matched in any order.
    fuzzymatching: Option<bool>,
    /// Whether all results are counted in `X-Total-Count`.
    count: Option<bool>,
    /// Attributes that order the results, separated by commas, a minus before one that descends.
    orderby: Option<String>,
    /// Where the page begins: from the `Link` with `rel="next"` of the answer before, in place of an offset.
    cursor: Option<String>,
    /// The status of an answer without results: 204, or 200 with an empty list.
    empty: Option<u16>,
    /// Whether the value `""` finds what has no value.
    emptyvaluematching: Option<bool>,
    /// Whether all values of a list must be there instead of one.
    multiplevaluematching: Option<bool>,
    /// Whether attributes are shown that nobody asked for; they are if it is not said.
    includedefaults: Option<bool>,
}

/// What a search gives.
#[derive(Debug, IntoResponses)]
pub enum Searched {
    /// Results, newest first; also as `multipart/related; type="application/dicom+xml"`, one a part.
    #[response(status = 200, content_type = "application/dicom+json")]
    Found(Vec<DataSet>),
    /// No result.
    #[response(status = 204)]
    None,
}

/// What a count gives.
#[derive(Debug, IntoResponses)]
pub enum Counted {
    /// How many there are.
    #[response(status = 200, content_type = "application/json")]
    Found(Count),
}

/// What metadata are.
#[derive(Debug, IntoResponses)]
pub enum Metadata {
    /// One data set an instance, bulk data as links; also as `multipart/related; type="application/dicom+xml"`, one a part.
    #[response(status = 200, content_type = "application/dicom+json")]
    Found(Vec<DataSet>),
}

/// What instances are.
#[derive(Debug, IntoResponses)]
pub enum Files {
    /// DICOM files, one a part.
    #[response(
        status = 200,
        content_type = "multipart/related; type=\"application/dicom\""
    )]
    All(Binary),
    /// DICOM files in one archive.
    #[response(status = 200, content_type = "application/zip")]
    Zipped(Binary),
    /// Those of the files that can be sent in the transfer syntax asked for; a Warning counts the others.
    #[response(
        status = 206,
        content_type = "multipart/related; type=\"application/dicom\""
    )]
    Some(Binary),
}

/// What frames and bulk data are.
#[derive(Debug, IntoResponses)]
pub enum Octets {
    /// Bytes, one frame or value a part.
    #[response(
        status = 200,
        content_type = "multipart/related; type=\"application/octet-stream\""
    )]
    All(Binary),
}

/// How something is rendered.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RenderedParams {
    /// Width and height of the picture at most, then perhaps left, top, width and height of the part that is shown.
    viewport: Option<String>,
    /// Center, width, and `linear`, `linear-exact` or `sigmoid`.
    window: Option<String>,
    /// Of JPEG, 1 to 100.
    quality: Option<String>,
    /// `patient`, `technique`: told to be not supported.
    annotation: Option<String>,
    /// `no`, `yes`, `srgb`, `adobergb`, `rommrgb`: anything but `no` is told to be not supported.
    iccprofile: Option<String>,
}

/// What WADO-URI understands; names in any case.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UriParams {
    /// `WADO`.
    #[param(rename = "requestType")]
    request_type: String,
    /// SOP Instance UID.
    #[param(rename = "objectUID")]
    object_uid: String,
    /// Study Instance UID, which is looked at where it is given.
    #[param(rename = "studyUID")]
    study_uid: Option<String>,
    /// Series Instance UID, which is looked at where it is given.
    #[param(rename = "seriesUID")]
    series_uid: Option<String>,
    /// Media types with commas between; a picture, or what else is shown, where nothing is said. `application/dicom` is the file.
    #[param(rename = "contentType")]
    content_type: Option<String>,
    /// The transfer syntax of a file, or `*`.
    #[param(rename = "transferSyntax")]
    transfer_syntax: Option<String>,
    /// A frame, from 1.
    #[param(rename = "frameNumber")]
    frame_number: Option<String>,
    /// Height of the picture at most.
    rows: Option<String>,
    /// Width of the picture at most.
    columns: Option<String>,
    /// Left, top, right, bottom of the part that is shown, each from 0 to 1.
    region: Option<String>,
    /// Center of a window; stands with its width.
    #[param(rename = "windowCenter")]
    window_center: Option<String>,
    /// Width of a window.
    #[param(rename = "windowWidth")]
    window_width: Option<String>,
    /// SOP Instance UID of a presentation state of the same study, under which the image is shown.
    #[param(rename = "presentationUID")]
    presentation_uid: Option<String>,
    /// Of JPEG, 1 to 100.
    #[param(rename = "imageQuality")]
    image_quality: Option<String>,
}

/// How large a thumbnail is.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ThumbnailParams {
    /// Width and height at most; 128 by 128 where nothing is said.
    viewport: Option<String>,
}

/// What something rendered is.
#[derive(Debug, IntoResponses)]
pub enum Pictures {
    /// A picture; for those who ask so PNG, GIF, or several in parts. Of what has none: a video, a document, a text.
    #[response(status = 200, content_type = "image/jpeg")]
    Found(Binary),
    /// The caller has it already.
    #[response(status = 304)]
    Unchanged,
}

/// What a thumbnail is.
#[derive(Debug, IntoResponses)]
pub enum Thumbnail {
    /// A small picture, or a symbol.
    #[response(status = 200, content_type = "image/jpeg")]
    Found(Binary),
    /// The caller has it already.
    #[response(status = 304)]
    Unchanged,
}

/// What a store gives.
#[derive(Debug, IntoResponses)]
pub enum Stored {
    /// All instances are stored; the answer is also made as `application/dicom+xml`.
    #[response(status = 200, content_type = "application/dicom+json")]
    All(DataSet),
    /// Some instances are stored, or with warnings.
    #[response(status = 202, content_type = "application/dicom+json")]
    Some(DataSet),
    /// No instance is stored.
    #[response(status = 409, content_type = "application/dicom+json")]
    None(DataSet),
    /// The body is of a type that is not read here.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedType(Problem),
}

/// How a request may be refused.
#[derive(Debug, IntoResponses)]
pub enum Refused {
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
    /// No representation that the caller accepts.
    #[response(status = 406, content_type = "application/problem+json")]
    NotAcceptable(Problem),
    /// Database or store are away for now.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}
