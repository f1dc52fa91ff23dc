//! STOW-RS: storing (PS3.18 10.5, dicomweb.md section 9).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post, web};
use futures::StreamExt;

use super::paths::StudyNames;
use super::shapes::{Binary, Refused, Stored, StudyParams};
use crate::archive::ingest::{Ingest, Input, Options};
use crate::auth::DicomWrite;
use crate::auth::StoreGrant;
use crate::dicom::store_response;
use crate::error::{Error, Kind, Result};
use crate::http::accept::Accept;
use crate::http::caller::Caller;
use crate::http::multipart::{Event, Reader, RelatedType};
use crate::http::urls::Urls;
use crate::http::{Kura, problem, respond};
use crate::model::{StudyPath, StudyUid};

/// Store instances.
#[utoipa::path(
    tag = "STOW-RS",
    operation_id = "storeInstances",
    request_body(
        content((Binary = "multipart/related; type=\"application/dicom\""), (Binary = "application/dicom")),
        description = "DICOM files (PS3.10), one a part, or a single one"
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
        content((Binary = "multipart/related; type=\"application/dicom\""), (Binary = "application/dicom")),
        description = "DICOM files (PS3.10), one a part, or a single one"
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
enum Form {
    /// Parts between boundaries.
    Multipart(Box<Reader>),
    /// One file.
    Single,
}

async fn receive(
    caller: &Caller<DicomWrite>,
    kura: &Kura,
    accept: &Accept,
    request: &HttpRequest,
    body: web::Payload,
    study: Option<StudyUid>,
) -> Result<HttpResponse> {
    // Everything that can refuse the request does so before a byte of the body is asked for (T13, T49).
    let grant: StoreGrant = caller.may_store_into_own()?;
    respond::dicom_json(accept)?;
    let form = form(request)?;
    let urls = kura.urls(request);
    let options = Options {
        study: study.clone(),
        base_url: urls.root(),
    };
    let ingest = kura.archive.ingest(grant, options);
    let broken = match form {
        Form::Multipart(reader) => pump_parts(&ingest, *reader, body).await,
        Form::Single => pump_single(&ingest, body).await,
    };
    let outcomes = ingest.finish().await?;
    // A body that is no multipart at all is 400; one that breaks off after complete parts is answered for those (T40, T52).
    if let Some(error) = broken
        && !outcomes.iter().any(store_response::StoreOutcome::is_stored)
    {
        return Err(error);
    }
    if outcomes.is_empty() {
        return Err(Error::invalid("the body has no part"));
    }
    Ok(answer(&urls, &outcomes))
}

fn answer(urls: &Urls, outcomes: &[store_response::StoreOutcome]) -> HttpResponse {
    let status = store_response::status(outcomes);
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::OK));
    response.content_type(respond::DICOM_JSON);
    if let Some(study) = store_response::shared_study(outcomes) {
        response.insert_header((
            "Location",
            urls.study(&StudyPath {
                study: study.clone(),
            }),
        ));
    }
    response.body(store_response::build(&urls.root(), outcomes))
}

/// The form that Content-Type names (T01, T02, T05, T08).
fn form(request: &HttpRequest) -> Result<Form> {
    let content_type = request
        .headers()
        .get("content-type")
        .and_then(|v| v.to_str().ok());
    let unsupported = || {
        let forms = [
            "multipart/related; type=\"application/dicom\"",
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
        return Ok(Form::Single);
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
    Ok(Form::Multipart(Box::new(Reader::new(&related.boundary))))
}

/// Hands parts on as they arrive; what is wrong with the body comes back.
async fn pump_parts(ingest: &Ingest, mut reader: Reader, mut body: web::Payload) -> Option<Error> {
    while let Some(chunk) = body.next().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                return Some(
                    Error::invalid("the request body broke off").with_source(error.to_string()),
                );
            }
        };
        reader.push(chunk);
        loop {
            let input = match reader.next_event() {
                Ok(Event::Part(_)) => Input::Start,
                Ok(Event::Data(bytes)) => Input::Data(bytes),
                Ok(Event::PartEnd) => Input::End,
                Ok(Event::NeedMore) => break,
                Ok(Event::End) => return None,
                Err(error) => {
                    ingest.send(Input::Broken(error.detail().to_owned())).await;
                    return Some(error);
                }
            };
            if !ingest.send(input).await {
                return None;
            }
        }
    }
    let error = reader.finish().err()?;
    ingest.send(Input::Broken(error.detail().to_owned())).await;
    Some(error)
}

/// Hands a body that is one file on.
async fn pump_single(ingest: &Ingest, mut body: web::Payload) -> Option<Error> {
    ingest.send(Input::Start).await;
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => {
                if !ingest.send(Input::Data(chunk)).await {
                    return None;
                }
            }
            Err(error) => {
                return Some(
                    Error::invalid("the request body broke off").with_source(error.to_string()),
                );
            }
        }
    }
    ingest.send(Input::End).await;
    None
}
