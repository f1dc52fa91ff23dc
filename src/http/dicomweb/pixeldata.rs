//! WADO-RS: the pixel data of a study, a series or an instance, frame by frame (PS3.18 10.4.1.1.7, dicomweb.md R14).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, web};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::paths::{InstanceNames, SeriesNames, StudyNames, path_of};
use super::pixels::{Kinds, Parts, Recipe, offers};
use super::shapes::{InstanceParams, Octets, Refused, SeriesParams, StudyParams};
use crate::archive::Archive;
use crate::archive::walk::Walk;
use crate::auth::{Access, DicomRead, OfObject};
use crate::dicom::frames::{Cut, FramePlace, FrameTable};
use crate::error::Result;
use crate::http::accept::Accept;
use crate::http::caller::Caller;
use crate::http::respond::Part;
use crate::http::urls::Urls;
use crate::http::warning::warning;
use crate::http::{Kura, problem, respond};
use crate::index::catalog::{Instance, Scope, Visible};

/// Retrieve the pixel data of a study.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrievePixelDataOfStudy", params(StudyParams), responses(Octets, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/pixeldata")]
pub(crate) async fn of_study(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    answer(&caller, &kura, &accept, &request, names.scope()?).await
}

/// Retrieve the pixel data of a series.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrievePixelDataOfSeries", params(SeriesParams), responses(Octets, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/pixeldata")]
pub(crate) async fn of_series(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<SeriesNames>,
) -> Result<HttpResponse> {
    answer(&caller, &kura, &accept, &request, names.scope()?).await
}

/// Retrieve the pixel data of an instance.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrievePixelDataOfInstance", params(InstanceParams), responses(Octets, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/instances/{instance}/pixeldata")]
pub(crate) async fn of_instance(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<InstanceNames>,
) -> Result<HttpResponse> {
    answer(&caller, &kura, &accept, &request, names.scope()?).await
}

async fn answer(
    caller: &Caller<OfObject<DicomRead>>,
    kura: &Kura,
    accept: &Accept,
    request: &HttpRequest,
    scope: Scope,
) -> Result<HttpResponse> {
    let (access, urls) = (caller.access(), kura.urls(request));
    let archive = &kura.archive;
    let seen = see(archive, archive.walk(&access, scope.clone()).await?, accept).await?;
    let mut response = if seen.left_out == 0 {
        HttpResponse::Ok()
    } else {
        let text = format!(
            "the pixel data of {} instances cannot be sent as asked; transfer-syntax=* gets them as stored",
            seen.left_out
        );
        let mut response = HttpResponse::PartialContent();
        response.insert_header(("Warning", warning(&urls, &text)));
        response
    };
    respond::object_headers(&mut response);
    let sending = Sending {
        archive: archive.clone(),
        access: Arc::clone(&access),
        accept: accept.clone(),
        urls,
        is_one: seen.is_one,
    };
    let walk = archive.walk(&access, scope).await?;
    let instances = stream::try_unfold(walk, |mut walk| async move {
        let next = walk.next().await?;
        Ok(next.map(|instance| (Arc::new(instance), walk)))
    });
    let parts = instances.and_then(move |instance| sending.clone().parts(instance));
    let mut parts = parts.try_flatten().boxed();
    if seen.is_multipart {
        return respond::multipart((request, &mut response), &seen.root_type, parts).await;
    }
    let part = parts.try_next().await?.ok_or_else(no_pixels)?;
    respond::single(&mut response, part).await
}

fn no_pixels() -> crate::Error {
    problem::no_such_part("not an image: there are no pixel data")
}

/// What is known of an answer before it begins.
struct Seen {
    /// Instances that cannot be sent as asked (N59).
    left_out: u64,
    /// Whether there is one part in all.
    is_one: bool,
    is_multipart: bool,
    root_type: String,
}

/// Looks at all instances.
///
/// # Errors
/// `Kind::NotFound` if none has pixel data, `Kind::NotAcceptable` if none can be sent as asked.
async fn see(archive: &Archive, mut instances: Walk, accept: &Accept) -> Result<Seen> {
    let mut only = None;
    let (mut left_out, mut sent, mut parts) = (0, 0_u64, 0_u64);
    let mut refusal = None;
    let mut root_type = None;
    while let Some(instance) = instances.next().await? {
        let instance = Arc::new(instance);
        let Some(table) = archive.frame_table(&instance).await? else {
            continue;
        };
        let offers = offers(&instance.transfer_syntax_uid, Kinds::Parts, None);
        match count(&table).map(|parts| (parts, accept.choose(&offers))) {
            Ok((count, chosen)) => {
                parts += u64::from(count);
                only = (parts == 1).then(|| Arc::clone(&instance));
                match chosen {
                    Ok(offer) => {
                        sent += 1;
                        root_type.get_or_insert_with(|| offer.media_type.to_owned());
                    }
                    Err(error) => {
                        left_out += 1;
                        refusal = Some(error);
                    }
                }
            }
            Err(error) => {
                left_out += 1;
                refusal = Some(error);
            }
        }
    }
    // One frame in all may also leave alone.
    if let Some(instance) = only {
        let offers = offers(&instance.transfer_syntax_uid, Kinds::PartsFirst, None);
        let offer = accept.choose(&offers)?;
        return Ok(Seen {
            left_out,
            is_one: true,
            is_multipart: offer.is_multipart,
            root_type: offer.media_type.to_owned(),
        });
    }
    match (root_type, refusal) {
        (Some(root_type), _) if sent > 0 => Ok(Seen {
            left_out,
            is_one: false,
            is_multipart: true,
            root_type,
        }),
        (_, Some(refusal)) => Err(refusal),
        (_, None) => Err(no_pixels()),
    }
}

/// The number of parts: frames, or the stream that a video is.
fn count(table: &FrameTable) -> Result<u32> {
    match table.cut() {
        Cut::Frames => Ok(table.frames()),
        Cut::WholeStream => Ok(1),
        Cut::Unresolved(obstacle) => Err(problem::no_such_part(obstacle.detail())),
    }
}

/// Makes the parts of an instance when its turn comes.
#[derive(Clone)]
struct Sending {
    archive: Archive,
    access: Arc<Access>,
    accept: Accept,
    urls: Urls,
    is_one: bool,
}

impl Sending {
    /// The parts of an instance; none where it has no pixel data or they cannot be sent as asked.
    async fn parts(
        self,
        instance: Arc<Visible<Instance>>,
    ) -> Result<BoxStream<'static, Result<Part>>> {
        let recipe = {
            let stored = &instance.transfer_syntax_uid;
            let kinds = if self.is_one {
                Kinds::PartsFirst
            } else {
                Kinds::Parts
            };
            let offers = offers(stored, kinds, None);
            let chosen = self.accept.choose(&offers);
            chosen.map(|offer| Recipe::of(stored, offer))
        };
        let table = self.archive.frame_table(&instance).await?;
        let parts = table.as_ref().map(count);
        let (Some(table), Some(Ok(parts)), Ok(recipe)) = (table, parts, recipe) else {
            return Ok(stream::empty().boxed());
        };
        let path = path_of(&instance);
        let numbered = 1..=parts;
        let places: Vec<(String, FramePlace)> = match table.cut() {
            Cut::Frames => numbered
                .filter_map(|number| {
                    let place = table.frame(number - 1)?;
                    Some((self.urls.frame(&path, number), place))
                })
                .collect(),
            Cut::WholeStream | Cut::Unresolved(_) => {
                let location = format!("{}/pixeldata", self.urls.instance(&path));
                table
                    .part(0)
                    .map(|place| (location, place))
                    .into_iter()
                    .collect()
            }
        };
        let frames =
            self.archive
                .frames(self.access, instance, places.iter().map(|(_, place)| place));
        Ok(Parts::of_many(frames, recipe)
            .parts(places.into_iter())
            .boxed())
    }
}
