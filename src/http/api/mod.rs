//! The REST interface of everything but DICOMweb, under `/api/v1` (sharing.md 14).
//!
//! JSON with names in camelCase, RFC 9457 problem details, one file a subject.

mod auth;
pub(in crate::http) mod body;
pub mod deletions;
pub(in crate::http) mod jobs;
mod links;
pub mod shapes;

use utoipa_actix_web::service_config::ServiceConfig;

/// Hangs the routes in.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(auth::create_session)
        .service(auth::delete_session)
        .service(auth::revoke)
        .service(links::create_link)
        .service(deletions::list)
        .service(deletions::show)
        .service(deletions::restore)
        .service(deletions::approve)
        .service(jobs::list_jobs)
        .service(jobs::show_job)
        .service(jobs::restart_job);
}
