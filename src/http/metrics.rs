//! `/metrics`: what the process counts, in the text format of Prometheus. Nothing of a patient is in it, and no UID.
//!
//! On the main address it takes a token of the administrative surface; who has none is told that there is no such resource.
//! An address of its own (`metrics.listen`) takes none: decision 0011.

use std::fmt;

use actix_web::{HttpResponse, get, web};
use metrics_exporter_prometheus::PrometheusHandle;

use super::Kura;
use super::caller::Caller;
use super::dicomweb::shapes::Refused;
use crate::auth::{Scope, ScopeName};
use crate::error::{Error, Result};

/// What renders the metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Around the recorder of the process.
    pub fn of(handle: PrometheusHandle) -> Self {
        Self(handle)
    }

    fn answer(&self) -> HttpResponse {
        HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4; charset=utf-8")
            .insert_header(("cache-control", "no-store"))
            .body(self.0.render())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// [`Scope::AdminPolicy`] as a type: whoever sets the rules of the group may see how it runs.
#[derive(Debug)]
pub(super) struct AdminPolicy;

impl ScopeName for AdminPolicy {
    const SCOPE: Scope = Scope::AdminPolicy;
}

/// What the process counts.
#[utoipa::path(
    tag = "operations",
    operation_id = "metrics",
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "Metrics in the text format of Prometheus"),
        Refused
    ),
    security(("bearer" = []))
)]
#[get("/metrics")]
pub(super) async fn metrics(_caller: Caller<AdminPolicy>, kura: Kura) -> Result<HttpResponse> {
    let kept = kura.metrics.as_ref().ok_or_else(Error::not_found)?;
    Ok(kept.answer())
}

/// The same on an address of its own.
pub(super) async fn open(kura: Kura) -> Result<HttpResponse> {
    let kept = kura.metrics.as_ref().ok_or_else(Error::not_found)?;
    Ok(kept.answer())
}

/// The routes of that address.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/metrics", web::get().to(open))
        .service(super::health::live)
        .service(super::health::ready);
}
