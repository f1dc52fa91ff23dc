//! WADO-RS frames (PS3.18 10.4.1.1.6, dicomweb.md section 7).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, web};
use futures::stream::{self, Stream, StreamExt};

use super::paths::PartNames;
use super::shapes::{FrameParams, Octets, Refused};
use crate::archive::frames::Frames;
use crate::archive::stamp::Stamp;
use crate::auth::{DicomRead, OfObject};
use crate::dicom::frames::{Cut, FramePlace, FrameTable};
use crate::error::{Error, Result};
use crate::http::accept::{Accept, Offer};
use crate::http::caller::Caller;
use crate::http::respond::Part;
use crate::http::{Kura, conditional, problem, respond};
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
    conditional::made_of(&request, &Stamp::of(&instance));
    let list = FrameList::parse(&names.part)?;
    let table = kura.archive.frame_table(&instance).await?;
    let table = table
        .ok_or_else(|| problem::no_such_part("not an image: the instance has no pixel data"))?;
    let places = places(&table, &list)?;
    let offers = offers(&instance, places.len() == 1);
    let offer = *accept.choose(&offers)?;
    let urls = kura.urls(&request);
    let frames = kura.archive.frames(
        access,
        Arc::clone(&instance),
        places.iter().map(|(_, it)| it),
    );
    let frames = FrameParts::new(frames, offer.content_type());
    let mut places = places
        .into_iter()
        .map(move |(number, place)| (urls.frame(&path, number), place));
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    if offer.is_multipart {
        return Ok(respond::multipart(
            &mut response,
            offer.media_type,
            frames.parts(places),
        ));
    }
    let Some((location, place)) = places.next() else {
        return Err(problem::no_such_part("no frame asked"));
    };
    let part = frames.part(location, place).await?;
    respond::single(&mut response, part).await
}

/// Makes a part of a frame when its turn comes, so that no more than one is on its way.
#[derive(Clone)]
pub(super) struct FrameParts {
    frames: Frames,
    content_type: String,
    /// Each frame is a deflate stream of its own (1.2.840.10008.1.2.8.1).
    inflates: bool,
}

impl FrameParts {
    /// For `frames`, each to be named `content_type`.
    pub(super) fn new(frames: Frames, content_type: String) -> Self {
        let syntax = TransferSyntax::of(&frames.instance().transfer_syntax_uid);
        Self {
            frames,
            content_type,
            inflates: syntax.is_some_and(|syntax| syntax.pixels == Pixels::DeflatedFrames),
        }
    }

    /// The frame at `place`.
    pub(super) async fn part(&self, location: String, place: FramePlace) -> Result<Part> {
        let (len, bytes) = if self.inflates {
            self.frames.inflated(&place).await?
        } else {
            (place.len(), self.frames.frame(&place))
        };
        Ok(Part {
            content_type: self.content_type.clone(),
            location,
            len,
            bytes,
        })
    }

    /// The frames at `places`, one after the other.
    pub(super) fn parts(
        self,
        places: impl Iterator<Item = (String, FramePlace)> + 'static,
    ) -> impl Stream<Item = Result<Part>> + 'static {
        stream::iter(places).then(move |(location, place)| {
            let frames = self.clone();
            async move { frames.part(location, place).await }
        })
    }
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
