//! WADO-RS frames (PS3.18 10.4.1.1.6, dicomweb.md section 7).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, web};
use futures::stream;

use super::paths::PartNames;
use super::shapes::{FrameParams, Octets, Refused};
use crate::auth::{DicomRead, OfObject};
use crate::dicom::frames::{Cut, FramePlace, FrameTable};
use crate::error::{Error, Result};
use crate::http::accept::{Accept, Offer};
use crate::http::caller::Caller;
use crate::http::respond::Part;
use crate::http::{Kura, problem, respond};
use crate::index::catalog::Instance;
use crate::model::transfer_syntax::Pixels;
use crate::model::{FrameList, TransferSyntax};

pub(super) const OCTETS: &str = "application/octet-stream";
pub(super) const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";

/// Retrieve frames of an instance.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveFrames", params(FrameParams), responses(Octets, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/instances/{instance}/frames/{part}")]
pub(crate) async fn retrieve_frames(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<PartNames>,
) -> Result<HttpResponse> {
    let (path, access) = (names.path()?, caller.access());
    let instance = Arc::new(kura.archive.catalog(&access).instance(&path).await?);
    let list = FrameList::parse(&names.part)?;
    let table = kura.archive.frame_table(&instance).await?;
    let table = table
        .ok_or_else(|| problem::no_such_part("not an image: the instance has no pixel data"))?;
    let places = places(&table, &list)?;
    let offers = offers(&instance, places.len() == 1);
    let offer = *accept.choose(&offers)?;
    let urls = kura.urls(&request);
    let content_type = offer.content_type();
    let inflates = inflates(&instance);
    let archive = kura.archive.clone();
    let mut parts = Vec::with_capacity(places.len());
    for (number, place) in places {
        parts.push((urls.frame(&path, number), place));
    }
    let held = Arc::clone(&instance);
    let part_of = move |(location, place): (String, FramePlace)| {
        let (archive, access, instance) = (archive.clone(), Arc::clone(&access), Arc::clone(&held));
        let content_type = content_type.clone();
        async move {
            let (len, bytes) = if inflates {
                archive.inflated_frame(&access, &instance, &place).await?
            } else {
                (place.len(), archive.frame(&access, &instance, &place))
            };
            Ok(Part {
                content_type,
                location,
                len,
                bytes,
            })
        }
    };
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    if offer.is_multipart {
        let parts = futures::StreamExt::then(stream::iter(parts), part_of);
        return Ok(respond::multipart(&mut response, offer.media_type, parts));
    }
    let Some(only) = parts.pop() else {
        return Err(problem::no_such_part("no frame asked"));
    };
    let part = part_of(only).await?;
    response
        .content_type(part.content_type)
        .insert_header(("Content-Location", part.location));
    Ok(respond::sized(&mut response, part.len, part.bytes))
}

/// Frames without a list of them: `/frames` and `/frames/`.
pub(super) const WITHOUT_LIST: &str =
    "/studies/{study}/series/{series}/instances/{instance}/frames";

/// Refuses a request for frames that names none (F04); the document of the API does not offer it.
pub(super) async fn no_list(_caller: Caller<OfObject<DicomRead>>) -> Result<HttpResponse> {
    Err(Error::invalid("no frame is named, as in frames/1,2,3"))
}

/// Where the frames asked for lie; all of them, or none is sent (F05, F06).
fn places(table: &FrameTable, list: &FrameList) -> Result<Vec<(u32, FramePlace)>> {
    match table.cut() {
        Cut::Frames => {}
        Cut::WholeStream => {
            let detail = "a video is one stream without frames; fetch bulkdata/7FE00010";
            return Err(problem::not_acceptable(detail, Vec::new()));
        }
        Cut::Unresolved(obstacle) => return Err(problem::no_such_part(obstacle.detail())),
    }
    let place = |number: &u32| Some((*number, table.frame(number.checked_sub(1)?)?));
    let found: Option<Vec<_>> = list.numbers().iter().map(place).collect();
    found.ok_or_else(|| {
        let beyond = list
            .numbers()
            .iter()
            .filter(|number| **number > table.frames());
        let beyond: Vec<String> = beyond.take(20).map(ToString::to_string).collect();
        let has = table.frames();
        problem::no_such_part(format!(
            "frame {} asked, the instance has {has}",
            beyond.join(", ")
        ))
    })
}

/// What can be sent: native frames as octets, compressed ones as they are (N50 to N54). A decoder there is none, so that
/// a caller who insists on octets of a compressed image hears what there is (N57).
pub(super) fn offers(instance: &Instance, with_single: bool) -> Vec<Offer<'_>> {
    let stored: &str = &instance.transfer_syntax_uid;
    let syntax = TransferSyntax::of(stored);
    let kinds: &[fn(&'static str) -> Offer<'static>] = if with_single {
        &[Offer::multipart, Offer::single]
    } else {
        &[Offer::multipart]
    };
    let mut offers = Vec::new();
    for make in kinds {
        match syntax.map(|syntax| (syntax.pixels, syntax.media_type)) {
            Some((Pixels::Native | Pixels::EncapsulatedNative | Pixels::DeflatedFrames, _)) => {
                offers.push(make(OCTETS).in_syntax(EXPLICIT_LITTLE).stored());
            }
            Some((Pixels::Frames | Pixels::Video, media_type)) => {
                offers.push(make(media_type).in_syntax(stored).stored());
                offers.push(make(OCTETS).in_syntax(stored).stored().if_named());
            }
            None => offers.push(make(OCTETS).in_syntax(stored).stored()),
        }
    }
    offers
}

/// Whether each frame is a deflate stream of its own (1.2.840.10008.1.2.8.1).
pub(super) fn inflates(instance: &Instance) -> bool {
    TransferSyntax::of(&instance.transfer_syntax_uid)
        .is_some_and(|syntax| syntax.pixels == Pixels::DeflatedFrames)
}
