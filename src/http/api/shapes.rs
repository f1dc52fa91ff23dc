//! How the `OpenAPI` document names what the routes of this folder take and refuse.

#![expect(
    dead_code,
    reason = "shapes for the document: nobody makes a value of them"
)]

use utoipa::{IntoParams, IntoResponses};

use crate::http::problem::Problem;

/// Which deletions are listed.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// `binned`, `approved`, `restored` or `erased`.
    state: Option<String>,
    /// So many at most, 1 to 200; 50 where nothing is said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// `nextCursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Names a deletion.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct DeletionParams {
    /// Its `deletionId`.
    id: uuid::Uuid,
}

/// The version that a change is made to.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfMatch {
    /// The `ETag` that was read: the version in quotation marks.
    #[param(rename = "If-Match")]
    if_match: String,
}

/// How a call may be refused.
#[derive(Debug, IntoResponses)]
pub enum Refused {
    /// Malformed.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// No token, none that is accepted, or a sign-in that is too weak or too old for this.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// The token lacks the scope.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// Not here, or not for this caller.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// The database is away for now.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// How a change may be refused besides.
#[derive(Debug, IntoResponses)]
pub enum NotChanged {
    /// The same person asked, somebody approved already, or the study must be kept.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
    /// No longer in the bin.
    #[response(status = 410, content_type = "application/problem+json")]
    Gone(Problem),
    /// It has changed since it was read.
    #[response(status = 412, content_type = "application/problem+json")]
    Precondition(Problem),
    /// There is no If-Match.
    #[response(status = 428, content_type = "application/problem+json")]
    PreconditionRequired(Problem),
}
