//! WADO-RS: whole instances (PS3.18 10.4.1.1, dicomweb.md section 6).

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpRequest, HttpResponse, get, web};
use futures::stream::{self, Stream};

use super::brought::{DICOM, Form, Sender, choose};
use super::paths::{InstanceNames, SeriesNames, StudyNames};
use super::shapes::{Files, InstanceParams, Refused, SeriesParams, StudyParams, VersionParams};
use super::zipped::{self, ZIP};
use crate::archive::Archive;
use crate::archive::guard::Pace;
use crate::archive::stamp::Stamp;
use crate::archive::walk::Walk;
use crate::auth::{Access, DicomRead, OfObject};
use crate::dicom::query::decode::pairs;
use crate::error::{Error, Kind, Result};
use crate::http::accept::{Accept, Offer};
use crate::http::caller::Caller;
use crate::http::problem::{self, no_such_part};
use crate::http::respond::Part;
use crate::http::warning::warning;
use crate::http::{Kura, conditional, digest, respond};
use crate::index::catalog::{Instance, Scope, Visible};

/// Retrieve the instances of a study.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveStudy", params(StudyParams), responses(Files, Refused), security(("bearer" = [])))]
#[get("/studies/{study}")]
pub(crate) async fn retrieve_study(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    let scope = names.scope()?;
    Box::pin(many(caller.access(), &kura, &accept, &request, scope)).await
}

/// Retrieve the instances of a series.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveSeries", params(SeriesParams), responses(Files, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}")]
pub(crate) async fn retrieve_series(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<SeriesNames>,
) -> Result<HttpResponse> {
    let scope = names.scope()?;
    Box::pin(many(caller.access(), &kura, &accept, &request, scope)).await
}

/// Retrieve an instance.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveInstance", params(InstanceParams, VersionParams), responses(Files, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/instances/{instance}")]
pub(crate) async fn retrieve_instance(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<InstanceNames>,
) -> Result<HttpResponse> {
    let path = names.path()?;
    let access = caller.access();
    let catalog = kura.archive.catalog(&access);
    let instance = match version(request.query_string()) {
        None => catalog.instance(&path).await?,
        Some(text) => {
            let number = text.parse().unwrap_or(0);
            let earlier = catalog.version(&path, number).await?;
            earlier.ok_or_else(|| no_such_part("the instance has no such version"))?
        }
    };
    of_one(&kura, &access, &request, &accept, Arc::new(instance)).await
}

/// An instance in the form that is accepted.
pub(super) async fn of_one(
    kura: &Kura,
    access: &Arc<Access>,
    request: &HttpRequest,
    accept: &Accept,
    instance: Arc<Visible<Instance>>,
) -> Result<HttpResponse> {
    let name = format!("attachment; filename=\"{}.dcm\"", instance.instance);
    conditional::made_of(request, &Stamp::of(&instance));
    let (form, is_multipart) = choose(&kura.archive, accept, &instance, true).await?;
    let sender = sender(kura, access, request, accept, false);
    let stored = (form == Form::Stored && !is_multipart).then(|| Arc::clone(&instance));
    let part = sender.part(instance, form).await?;
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    if is_multipart {
        return respond::one_part((request, &mut response), DICOM, part).await;
    }
    response.insert_header((CONTENT_DISPOSITION, name));
    if let Some(instance) = stored {
        if digest::is_wanted(request.headers()) {
            // Taken when it was stored (MINT Z30, Z31).
            digest::promise(&mut response, ready(Ok(instance.digest)));
        }
        let (archive, access) = (kura.archive.clone(), Arc::clone(access));
        conditional::seekable(&mut response, move |range| {
            archive.file_part(&access, &instance, &range)
        });
    }
    respond::single(&mut response, part).await
}

/// How instances are sent to this caller.
fn sender(
    kura: &Kura,
    access: &Arc<Access>,
    request: &HttpRequest,
    accept: &Accept,
    is_one_of_many: bool,
) -> Sender {
    Sender {
        archive: kura.archive.clone(),
        access: Arc::clone(access),
        accept: accept.clone(),
        urls: kura.urls(request),
        pace: Pace::default(),
        is_one_of_many,
    }
}

/// The version that a query asks for, if it asks for one: an earlier one where the facility keeps both (T22).
fn version(query: &str) -> Option<&str> {
    pairs(query)
        .find(|(name, _)| *name == "version")
        .map(|(_, value)| value)
}

/// A study or a series.
async fn many(
    access: Arc<Access>,
    kura: &Kura,
    accept: &Accept,
    request: &HttpRequest,
    scope: Scope,
) -> Result<HttpResponse> {
    if accept.is_any_syntax_of(DICOM)
        && let Some(whole) = kura.archive.walk_of_whole(&access, scope.clone()).await?
    {
        return as_stored(&access, kura, accept, request, whole).await;
    }
    let instances = kura.archive.walk(&access, scope.clone()).await?;
    let whole = [
        Offer::multipart(DICOM),
        Offer::single(ZIP),
        Offer::single(DICOM),
    ];
    match accept.choose(&whole)? {
        offer if offer.is_multipart => {}
        offer if offer.media_type == ZIP => {
            return zipped::answer(kura, access, request, scope).await;
        }
        _ => return alone(access, kura, accept, request, instances).await,
    }
    let (left_out, missing) = count_left_out(&kura.archive, instances, accept).await?;
    if missing.is_empty() {
        // What is missing may come back with its volume, and nothing of the content would tell.
        let stamp = kura.archive.stamp(&access, &scope).await?;
        conditional::made_of(request, &stamp);
    }
    let urls = kura.urls(request);
    let mut response = if left_out == 0 {
        HttpResponse::Ok()
    } else {
        let text = if missing.is_empty() {
            format!(
                "{left_out} instances cannot be sent in the transfer syntax asked for; transfer-syntax=* gets them as stored"
            )
        } else {
            format!(
                "{left_out} instances are left out: they cannot be read, or not be sent as asked for"
            )
        };
        let mut response = HttpResponse::PartialContent();
        response.insert_header(("Warning", warning(&urls, &text)));
        response
    };
    respond::object_headers(&mut response);
    let sending = Sending {
        instances: kura.archive.walk(&access, scope).await?,
        missing,
        is_as_stored: false,
        sender: sender(kura, &access, request, accept, true),
    };
    respond::multipart((request, &mut response), DICOM, sending.parts()).await
}

/// A study or series of which nothing is left out, each instance as it is stored (N50): no instance has to be looked at before
/// the first of them goes out.
async fn as_stored(
    access: &Arc<Access>,
    kura: &Kura,
    accept: &Accept,
    request: &HttpRequest,
    (stamp, instances): (Stamp, Walk),
) -> Result<HttpResponse> {
    conditional::made_of(request, &stamp);
    let sending = Sending {
        instances,
        missing: BTreeSet::new(),
        is_as_stored: true,
        sender: sender(kura, access, request, accept, true),
    };
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    respond::multipart((request, &mut response), DICOM, sending.parts()).await
}

/// A study or series as one file, if it has one instance and no more (W06).
async fn alone(
    access: Arc<Access>,
    kura: &Kura,
    accept: &Accept,
    request: &HttpRequest,
    mut instances: Walk,
) -> Result<HttpResponse> {
    let only = instances.next().await?;
    if instances.next().await?.is_some() {
        let forms = [Offer::multipart(DICOM), Offer::single(ZIP)];
        return Err(problem::not_acceptable(
            "there are several instances; one part holds one",
            forms.iter().map(ToString::to_string).collect(),
        ));
    }
    let instance = Arc::new(only.ok_or_else(Error::not_found)?);
    conditional::made_of(request, &Stamp::of(&instance));
    let (form, _) = choose(&kura.archive, accept, &instance, true).await?;
    let name = format!("attachment; filename=\"{}.dcm\"", instance.instance);
    let sender = sender(kura, &access, request, accept, false);
    let part = sender.part(instance, form).await?;
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    response.insert_header((CONTENT_DISPOSITION, name));
    respond::single(&mut response, part).await
}

/// How many instances are not there (W09) or cannot be sent as asked (N59), and the stored objects that are not there: a
/// few, whatever the number of instances.
///
/// # Errors
/// `Kind::NotAcceptable` or `Kind::Unavailable` if that is all of them.
async fn count_left_out(
    archive: &Archive,
    mut instances: Walk,
    accept: &Accept,
) -> Result<(u64, BTreeSet<String>)> {
    let (mut left_out, mut sent) = (0, 0_u64);
    let (mut there, mut missing) = (BTreeSet::new(), BTreeSet::new());
    let mut refusal = None;
    while let Some(instance) = instances.next().await? {
        let object = instance.blob().object;
        if !there.contains(&object) && !missing.contains(&object) {
            let is_there = archive.vault().find(&object).await?.is_some();
            let known = if is_there { &mut there } else { &mut missing };
            known.insert(object.clone());
        }
        let outcome = if missing.contains(&object) {
            let detail = "what was stored cannot be read for now";
            Err(Error::new(Kind::Unavailable, detail))
        } else {
            let chosen = choose(archive, accept, &instance, false).await;
            chosen.map(|_| ())
        };
        match outcome {
            Ok(()) => sent += 1,
            Err(error) if !matches!(error.kind(), Kind::NotAcceptable | Kind::Unavailable) => {
                return Err(error);
            }
            Err(error) => {
                left_out += 1;
                refusal = Some(error);
            }
        }
    }
    match refusal {
        Some(refusal) if sent == 0 => Err(refusal),
        _ => Ok((left_out, missing)),
    }
}

/// A study or series on its way out.
struct Sending {
    instances: Walk,
    missing: BTreeSet<String>,
    /// Nothing but what is stored is wanted.
    is_as_stored: bool,
    sender: Sender,
}

impl Sending {
    fn parts(self) -> impl Stream<Item = Result<Part>> {
        stream::try_unfold(self, async |mut sending| {
            let part = sending.next().await?;
            Ok(part.map(|part| (part, sending)))
        })
    }

    async fn next(&mut self) -> Result<Option<Part>> {
        while let Some(instance) = self.instances.next().await? {
            if self.missing.contains(&instance.blob().object) {
                continue;
            }
            if self.is_as_stored {
                let part = self.sender.part(Arc::new(instance), Form::Stored).await?;
                return Ok(Some(part));
            }
            let Sender {
                archive, accept, ..
            } = &self.sender;
            match choose(archive, accept, &instance, false).await {
                Ok((form, _)) => return self.sender.part(Arc::new(instance), form).await.map(Some),
                Err(error) if error.kind() == Kind::NotAcceptable => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
