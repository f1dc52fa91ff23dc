//! The REST interface of everything but DICOMweb, under `/api/v1` (sharing.md 14).
//!
//! JSON with names in camelCase, RFC 9457 problem details, one file a subject.

use utoipa_actix_web::service_config::ServiceConfig;

/// Hangs the routes in.
pub fn routes(_config: &mut ServiceConfig<'_>) {}
