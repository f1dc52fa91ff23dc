//! Resources of the standard that are not built: 501 where the object is visible, so that a viewer turns to another one
//! (dicomweb.md S23, 13.4).

use actix_web::{HttpResponse, web};

use super::paths::{SeriesNames, StudyNames};
use crate::auth::{DicomRead, OfObject};
use crate::error::{Error, Kind, Result};
use crate::http::Kura;
use crate::http::caller::Caller;
use crate::index::catalog::Scope;

/// Volumes of a study.
pub(super) const OF_STUDY: &str = "/studies/{study}/{volume:renderedMPR|rendered3d}";
/// Volumes of a series.
pub(super) const OF_SERIES: &str =
    "/studies/{study}/series/{series}/{volume:renderedMPR|rendered3d}";

/// Refuses a volume of a study.
pub(super) async fn of_study(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    refuse(&caller, &kura, names.scope()?).await
}

/// Refuses a volume of a series.
pub(super) async fn of_series(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    names: web::Path<SeriesNames>,
) -> Result<HttpResponse> {
    refuse(&caller, &kura, names.scope()?).await
}

async fn refuse(
    caller: &Caller<OfObject<DicomRead>>,
    kura: &Kura,
    scope: Scope,
) -> Result<HttpResponse> {
    kura.archive.walk(&caller.access(), scope).await?;
    let detail = "volumes are not rendered here; fetch the frames, or /rendered of an instance";
    Err(Error::new(Kind::NotImplemented, detail))
}
