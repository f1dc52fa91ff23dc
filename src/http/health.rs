//! Health: whether the process lives, and whether it can work.

use actix_web::{HttpResponse, get};

use super::Kura;
use crate::error::Result;

/// The process answers.
#[utoipa::path(
    tag = "health",
    operation_id = "live",
    responses((status = 200, content_type = "text/plain", body = String, description = "The process answers")),
    security(())
)]
#[get("/health/live")]
pub(super) async fn live() -> HttpResponse {
    good()
}

/// Database and store answer.
#[utoipa::path(
    tag = "health",
    operation_id = "ready",
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "Database and store answer"),
        (status = 503, description = "One of them does not", content_type = "application/problem+json", body = super::problem::Problem)
    ),
    security(())
)]
#[get("/health/ready")]
pub(super) async fn ready(kura: Kura) -> Result<HttpResponse> {
    kura.archive.index().health().await?;
    kura.archive.vault().health().await?;
    Ok(good())
}

/// One word, for people who look.
fn good() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("good\n")
}
