//! Jobs: a study that comes as a document and its items, one that is changed by them, and how that stands (MINT 9.1 to 9.4).

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpRequest, HttpResponse, get, post, web};

use super::form::Incoming;
use super::paths::JobNames;
use super::shapes::{Documents, JobParams, Refused, WaitParams};
use super::xml;
use crate::auth::{DicomWrite, OfObject};
use crate::dicom::mint::answers::{self, JobOutcome, JobStatus};
use crate::dicom::mint::check::Purpose;
use crate::error::{Error, Kind, Result};
use crate::http::Kura;
use crate::http::caller::Caller;
use crate::http::dicomweb::shapes::Binary;
use crate::http::urls::Urls;
use crate::http::wait;
use crate::model::JobId;

/// Make a study of a document and its binary items. The answer leads to the job, which has ended by then.
#[utoipa::path(
    tag = "MINT", operation_id = "createMintStudy",
    request_body(
        content((Binary = "multipart/form-data")),
        description = "Files: the document first, as XML or protobuf, packed with gzip or not; then its items, called binary0, binary1 and so on"
    ),
    responses((status = 303, description = "Location is that of the job"), Refused),
    security(("bearer" = []))
)]
#[post("/jobs/createstudy")]
pub(super) async fn create(
    caller: Caller<DicomWrite>,
    kura: Kura,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse> {
    let grant = caller.may_store_into_own()?;
    let (form, place) = Incoming::open(&kura, &grant, &request, body).await?;
    let urls = kura.urls(&request);
    let creating = kura.archive.create_study((grant, place), urls.root());
    let mut creation = creating.await?;
    let job = creation.job();
    let work = async {
        let read = form.receive(&mut creation.arrival).await.map(drop);
        if let Err(error) = &read {
            creation
                .arrival
                .fail(Error::new(error.kind(), error.detail().to_owned()));
        }
        creation.finish().await?;
        match read {
            // Where it could not be told before the body, the job tells it (MINT X18).
            Err(error) if error.kind() == Kind::TooLarge => Ok(()),
            read => read,
        }
    };
    tokio::select! {
        done = work => done?,
        error = kura.archive.hold_job(job) => return Err(error),
    }
    Ok(see(&urls, job))
}

/// Change a study by a document of what is new, what is other and what goes, and by new binary items. The answer leads to the
/// job, which has ended by then.
#[utoipa::path(
    tag = "MINT", operation_id = "updateMintStudy",
    request_body(
        content((Binary = "multipart/form-data")),
        description = "Fields studyUUID and oldVersion; files as for a new study"
    ),
    responses((status = 303, description = "Location is that of the job"), Refused),
    security(("bearer" = []))
)]
#[post("/jobs/updatestudy")]
pub(super) async fn update(
    caller: Caller<DicomWrite>,
    kura: Kura,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse> {
    let grant = caller.may_store_into_own()?;
    let (form, place) = Incoming::open(&kura, &grant, &request, body).await?;
    let mut arrival = kura.archive.arrival(Purpose::Update);
    let (study, of) = form.receive(&mut arrival).await?.of_update()?;
    let access = caller.access();
    let study = kura.archive.catalog(&access).mint_study(study).await?;
    let urls = kura.urls(&request);
    let updating = kura
        .archive
        .update_study((access, grant), (study, of), urls.root())
        .await?;
    let job = updating.job();
    tokio::select! {
        done = updating.finish(arrival, place) => done?,
        error = kura.archive.hold_job(job) => return Err(error),
    }
    Ok(see(&urls, job))
}

/// The way to a job (MINT U08).
fn see(urls: &Urls, job: JobId) -> HttpResponse {
    HttpResponse::build(StatusCode::SEE_OTHER)
        .insert_header((LOCATION, format!("{}/jobs/status/{job}", urls.mint())))
        .finish()
}

/// Show how a job stands; with `Prefer: wait=N` once it is over, or after so many seconds (MINT Z15).
#[utoipa::path(tag = "MINT", operation_id = "showMintJob", params(JobParams, WaitParams), responses(Documents, Refused), security(("bearer" = [])))]
#[get("/jobs/status/{job}")]
pub(super) async fn status(
    caller: Caller<OfObject<DicomWrite>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<JobNames>,
) -> Result<HttpResponse> {
    let (job, catalog) = (names.job()?, kura.archive.catalog(&caller));
    let asked = wait::preferred(request.headers());
    let is_over = |status: &JobStatus| status.outcome != JobOutcome::InProgress;
    let look = async || catalog.mint_job(job).await;
    let status = wait::until(&kura.stopping, asked.unwrap_or_default(), look, is_over).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store"));
    if let Some(time) = asked {
        let applied = format!("wait={}", time.as_secs());
        response.insert_header(("Preference-Applied", applied));
    }
    Ok(xml(&mut response, answers::job_status(&status)))
}
