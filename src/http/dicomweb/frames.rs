//! WADO-RS frames (PS3.18 10.4.1.1.6, dicomweb.md section 7).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, web};

use super::paths::PartNames;
use super::pixels::{self, Kinds};
use super::shapes::{FrameParams, Octets, Refused};
use crate::archive::stamp::Stamp;
use crate::auth::{DicomRead, OfObject};
use crate::dicom::frames::{Cut, FramePlace, FrameTable};
use crate::error::{Error, Result};
use crate::http::accept::Accept;
use crate::http::caller::Caller;
use crate::http::{Kura, conditional, problem, respond};
use crate::model::FrameList;

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
    conditional::made_of(&request, &Stamp::of(&instance));
    let list = FrameList::parse(&names.part)?;
    let table = kura.archive.frame_table(&instance).await?;
    let table = table
        .ok_or_else(|| problem::no_such_part("not an image: the instance has no pixel data"))?;
    let places = places(&table, &list)?;
    let kinds = if places.len() == 1 {
        Kinds::PartsFirst
    } else {
        Kinds::Parts
    };
    let urls = kura.urls(&request);
    let read = places.iter().map(|(_, it)| it);
    let frames = kura.archive.frames(access, instance, read);
    let places = places
        .into_iter()
        .map(move |(number, place)| (urls.frame(&path, number), place));
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    pixels::answer((&request, &mut response), &accept, frames, kinds, places).await
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
