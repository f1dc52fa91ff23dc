//! STOW-RS: storing (PS3.18 10.5, dicomweb.md section 9).

use std::pin::pin;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, post, web};
use bytes::Bytes;
use tokio::time::timeout;

use super::paths::StudyNames;
use super::shapes::{Binary, Refused, Stored, StudyParams};
use super::stow_data_sets;
use crate::archive::Place;
use crate::archive::assemble::Document;
use crate::archive::ingest::{Ingest, Input, Options};
use crate::auth::DicomWrite;
use crate::auth::StoreGrant;
use crate::dicom::conformance::{OUT_OF_RESOURCES, TOO_LONG};
use crate::dicom::store_response::{self, StoreOutcome, is_all_refused};
use crate::error::{Error, Kind, Result};
use crate::http::accept::Accept;
use crate::http::caller::{Caller, Gate};
use crate::http::data_sets::{self, Count, DICOM_JSON, DICOM_XML, Form};
use crate::http::expand::{self, Body, Coding};
use crate::http::multipart::{Event, Reader, RelatedType};
use crate::http::urls::Urls;
use crate::http::{Kura, State, problem};
use crate::model::{StudyPath, StudyUid};

/// Store instances.
#[utoipa::path(
    tag = "STOW-RS",
    operation_id = "storeInstances",
    request_body(
        content((Binary = "multipart/related; type=\"application/dicom\""), (Binary = "multipart/related; type=\"application/dicom+json\""), (Binary = "multipart/related; type=\"application/dicom+xml\""), (Binary = "application/dicom")),
        description = "DICOM files (PS3.10), one a part, or a single one; or data sets as JSON or XML, and their bulk data in parts of their own"
    ),
    responses(Stored, Refused),
    security(("bearer" = []))
)]
#[post("/studies")]
pub(crate) async fn store(
    caller: Caller<DicomWrite>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse> {
    receive(&caller, &kura, &accept, &request, body, None).await
}

/// Store instances of one study.
#[utoipa::path(
    tag = "STOW-RS",
    operation_id = "storeInstancesOfStudy",
    params(StudyParams),
    request_body(
        content((Binary = "multipart/related; type=\"application/dicom\""), (Binary = "multipart/related; type=\"application/dicom+json\""), (Binary = "multipart/related; type=\"application/dicom+xml\""), (Binary = "application/dicom")),
        description = "DICOM files (PS3.10), one a part, or a single one; or data sets as JSON or XML, and their bulk data in parts of their own"
    ),
    responses(Stored, Refused),
    security(("bearer" = []))
)]
#[post("/studies/{study}")]
pub(crate) async fn store_into_study(
    caller: Caller<DicomWrite>,
    kura: Kura,
    names: web::Path<StudyNames>,
    accept: Accept,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse> {
    // Nothing is looked for here, so a name that no study can have is a mistake (R32).
    let path = names.path().map_err(|_| {
        Error::invalid("the Study Instance UID of the path is 1 to 64 digits and dots")
    })?;
    receive(&caller, &kura, &accept, &request, body, Some(path.study)).await
}

/// What a request carries.
enum Carried {
    /// Parts between boundaries.
    Multipart(Box<Reader>),
    /// Data sets, and the bulk data beside them.
    DataSets(Box<Reader>, Document),
    /// One file.
    Single,
}

/// How a store is read, as far as its head tells.
struct Plan {
    form: Carried,
    coding: Coding,
    /// The longest body, expanded.
    limit: Option<u64>,
}

impl Plan {
    /// Everything that can refuse a request does so before a byte of the body is asked for (T13, T49).
    fn of(headers: &HeaderMap, state: &State, grant: &StoreGrant) -> Result<Self> {
        let form = form(headers)?;
        let coding = Coding::of(headers)?;
        let own = grant.facility().policy.max_request_bytes;
        Ok(Self {
            form,
            coding,
            limit: expand::limit(headers, coding, &state.archive.limits(), own)?,
        })
    }
}

/// The place of the store that a head announces, for a sender that waits with the body until it is let in (T13). The request
/// carries it to its handler.
///
/// # Errors
/// What the store would be refused with.
pub(in crate::http) async fn admit(
    gate: &Gate,
    state: &State,
    headers: &HeaderMap,
    query: &str,
) -> Result<Place> {
    let access = gate.access(headers).await?;
    let grant = access.may_store_into_own()?;
    data_sets::form(&Accept::of(headers, query), Count::Answer)?;
    Plan::of(headers, state, &grant)?;
    state.archive.admit(&grant).await
}

async fn receive(
    caller: &Caller<DicomWrite>,
    kura: &Kura,
    accept: &Accept,
    request: &HttpRequest,
    body: web::Payload,
    study: Option<StudyUid>,
) -> Result<HttpResponse> {
    let grant: StoreGrant = caller.may_store_into_own()?;
    let answered = data_sets::form(accept, Count::Answer)?;
    let plan = Plan::of(request.headers(), kura, &grant)?;
    let admitted = request.extensions_mut().remove::<Place>();
    let place = match admitted {
        Some(place) => place,
        None => kura.archive.admit(&grant).await?,
    };
    let urls = kura.urls(request);
    let options = Options {
        study: study.clone(),
        base_url: urls.root(),
    };
    let mut ingest = kura.archive.ingest_at(place, grant, options);
    let idle = Duration::from_secs(kura.archive.limits().body_idle_s);
    let body = Body::new(body, plan.coding, plan.limit, idle)?;
    let broken = match plan.form {
        Carried::Multipart(reader) => {
            let parts = kura.archive.limits().parts;
            pump_parts(&mut ingest, *reader, body, parts).await
        }
        Carried::DataSets(reader, root) => {
            let parts = kura.archive.limits().parts;
            stow_data_sets::pump(&mut ingest, *reader, body, root, parts).await
        }
        Carried::Single => pump_single(&mut ingest, body).await,
    };
    let outcomes = ingest.finish().await?;
    // A body that is no multipart at all is 400; one that breaks off after complete parts is answered for those (T40, T52).
    if let Err(error) = broken
        && !outcomes.iter().any(StoreOutcome::is_stored)
    {
        return Err(error);
    }
    if outcomes.is_empty() {
        return Err(Error::invalid("the body has no part"));
    }
    if is_all_refused(&outcomes, &[TOO_LONG]) {
        let detail = "every instance is longer than the facility takes";
        return Err(Error::new(Kind::TooLarge, detail));
    }
    if is_all_refused(&outcomes, &[TOO_LONG, OUT_OF_RESOURCES]) {
        return Err(Error::new(
            Kind::Full,
            "the quota of the facility is used up",
        ));
    }
    answer(&urls, &outcomes, answered)
}

fn answer(urls: &Urls, outcomes: &[StoreOutcome], form: Form) -> Result<HttpResponse> {
    let status = store_response::status(outcomes);
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::OK));
    if let Some(study) = store_response::shared_study(outcomes) {
        response.insert_header((
            "Location",
            urls.study(&StudyPath {
                study: study.clone(),
            }),
        ));
    }
    let json = store_response::build(&urls.root(), outcomes);
    Ok(match form {
        Form::Json(_) => response.content_type(DICOM_JSON).body(json),
        Form::Xml | Form::Parts => {
            let document = data_sets::document(&json)?;
            response.content_type(DICOM_XML).body(document)
        }
    })
}

/// The form that Content-Type names (T01, T02, T05, T08).
fn form(headers: &HeaderMap) -> Result<Carried> {
    let content_type = headers.get("content-type").and_then(|v| v.to_str().ok());
    let unsupported = || {
        let forms = [
            "multipart/related; type=\"application/dicom\"",
            "multipart/related; type=\"application/dicom+json\"",
            "multipart/related; type=\"application/dicom+xml\"",
            "application/dicom",
        ];
        problem::unsupported_type(
            "a store takes other media types",
            forms.map(str::to_owned).to_vec(),
        )
    };
    let content_type = content_type.ok_or_else(unsupported)?;
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/dicom") {
        return Ok(Carried::Single);
    }
    if !media_type.eq_ignore_ascii_case("multipart/related") {
        return Err(unsupported());
    }
    let related = RelatedType::parse(content_type).map_err(|error| {
        if error.kind() == Kind::UnsupportedType {
            unsupported()
        } else {
            error
        }
    })?;
    let reader = Box::new(Reader::new(&related.boundary));
    Ok(match stow_data_sets::document(&related.root_type) {
        Some(root) => Carried::DataSets(reader, root),
        None => Carried::Multipart(reader),
    })
}

/// How long the next bytes may be on their way before those that came are handed on.
const PAUSE: Duration = Duration::from_millis(1);

/// The next bytes of the body. What is too long is told to the task as well, so that the part in flight is answered for.
pub(in crate::http) async fn next(ingest: &mut Ingest, body: &mut Body) -> Result<Option<Bytes>> {
    let next = {
        let mut next = pin!(body.next());
        if let Ok(next) = timeout(PAUSE, next.as_mut()).await {
            next
        } else {
            ingest.flush().await;
            next.await
        }
    };
    if let Err(error) = &next
        && error.kind() == Kind::TooLarge
    {
        ingest.send(Input::TooLong(error.detail().to_owned())).await;
    }
    next
}

/// Hands parts on as they arrive.
///
/// # Errors
/// What is wrong with the body.
async fn pump_parts(
    ingest: &mut Ingest,
    mut reader: Reader,
    mut body: Body,
    parts: usize,
) -> Result<()> {
    let mut left = parts;
    while let Some(chunk) = next(ingest, &mut body).await? {
        reader.push(chunk);
        loop {
            let input = match reader.next_event() {
                Ok(Event::Part(_)) if left == 0 => {
                    let detail = format!("more than the {parts} parts that a store may have");
                    ingest.send(Input::TooLong(detail.clone())).await;
                    return Err(Error::new(Kind::TooLarge, detail));
                }
                Ok(Event::Part(_)) => {
                    left -= 1;
                    Input::Start
                }
                Ok(Event::Data(bytes)) => Input::Data(bytes),
                Ok(Event::PartEnd) => Input::End,
                Ok(Event::NeedMore) => break,
                Ok(Event::End) => return Ok(()),
                Err(error) => {
                    ingest.send(Input::Broken(error.detail().to_owned())).await;
                    return Err(error);
                }
            };
            if !ingest.send(input).await {
                return Ok(());
            }
        }
    }
    let finished = reader.finish();
    if let Err(error) = &finished {
        ingest.send(Input::Broken(error.detail().to_owned())).await;
    }
    finished
}

/// Hands a body that is one file on.
async fn pump_single(ingest: &mut Ingest, mut body: Body) -> Result<()> {
    ingest.send(Input::Start).await;
    while let Some(chunk) = next(ingest, &mut body).await? {
        if !ingest.send(Input::Data(chunk)).await {
            return Ok(());
        }
    }
    ingest.send(Input::End).await;
    Ok(())
}
