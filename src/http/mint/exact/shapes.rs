//! How the `OpenAPI` document names what the routes of this folder take and give.

#![expect(
    dead_code,
    reason = "shapes for the document: nobody makes a value of most of them"
)]

use serde::Deserialize;
use utoipa::{IntoParams, IntoResponses, ToSchema};

use super::manifest::Line;
use crate::http::dicomweb::shapes::Binary;
use crate::http::problem::Problem;

/// Names objects.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct NamedParams {
    /// Only these objects, by their SOP Instance UIDs, with commas between.
    sop: Option<String>,
}

/// Names a receipt.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ReceiptParams {
    /// Its id, as the last line of an upload's answer tells it.
    receipt: String,
}

/// Names an upload.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct UploadParams {
    /// Its id, as the Location of its beginning tells it.
    upload: String,
}

/// What is said of an upload that begins.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct UploadHeaders {
    /// `?1` if the body is all of it, else `?0`.
    #[param(rename = "Upload-Complete")]
    complete: String,
    /// How many bytes all of it has.
    #[param(rename = "Upload-Length")]
    length: Option<u64>,
}

/// What is said of a step of an upload.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct UploadPartHeaders {
    /// `?1` if the body is the rest, else `?0`.
    #[param(rename = "Upload-Complete")]
    complete: String,
    /// The place of the first byte of the body.
    #[param(rename = "Upload-Offset")]
    offset: u64,
}

/// Names objects.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ExactNames {
    /// SOP Instance UIDs.
    pub(super) objects: Vec<String>,
}

/// A tar file.
#[derive(Debug, IntoResponses)]
pub(super) enum TarFile {
    /// `manifest.json`, then each object as `{series}/{sop}.dcm` in viewing order.
    #[response(status = 200, content_type = "application/x-tar")]
    Whole(#[to_schema] Binary),
    /// The part that `Range` asked for.
    #[response(status = 206, content_type = "application/x-tar")]
    Part(#[to_schema] Binary),
}

/// A manifest: what of a study is offered or moved.
#[derive(Debug, ToSchema)]
pub(super) struct ExactManifest<'a> {
    /// Study Instance UID.
    #[schema(rename = "studyInstanceUID")]
    study_instance_uid: String,
    /// The objects.
    objects: Vec<Line<'a>>,
}

/// How a body may be refused.
#[derive(Debug, IntoResponses)]
pub(super) enum BodyRefused {
    /// Something that is there contradicts it.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
    /// Longer than this server takes.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// Of a type that is not read here.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedType(Problem),
}
