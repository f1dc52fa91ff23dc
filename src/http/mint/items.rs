//! Binary items (MINT 6): one alone, or many as one multipart body, in the form of old clients or in that of RFC 2046.

use std::ops::Range;
use std::sync::Arc;

use actix_web::http::header::{ACCEPT, ACCEPT_RANGES, CONTENT_TYPE, VARY};
use actix_web::{HttpRequest, HttpResponse, get, web};

use super::framing::Framing;
use super::paths::{ItemNames, without_slash};
use super::shapes::{ItemParams, Items, Refused};
use crate::archive::mint::layout::Chosen;
use crate::archive::mint::list::ItemList;
use crate::archive::mint::read::{Places, StoredItem};
use crate::archive::stamp::Stamp;
use crate::auth::{Access, DicomRead, OfObject};
use crate::error::{Error, Kind, Result};
use crate::http::caller::Caller;
use crate::http::dicomweb::shapes::Binary;
use crate::http::media_type::split;
use crate::http::multipart::write::Boundary;
use crate::http::{Kura, conditional, digest, problem, respond};
use crate::index::mint::MintStudy;
use crate::model::StudyId;
use crate::storage::digest::of_stream;

const OCTETS: &str = "application/octet-stream";

/// Retrieve binary items of a study.
#[utoipa::path(tag = "MINT", operation_id = "retrieveMintItems", params(ItemParams), responses((status = 200, description = "One item as it is, several as parts of a multipart body.", content((Binary = "application/octet-stream"), (Binary = "multipart/x-mixed-replace"), (Binary = "multipart/related"))), Items, Refused), security(("bearer" = [])))]
#[get("/studies/{uuid}/{type}/binaryitems/{list}")]
pub(super) async fn retrieve(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<ItemNames>,
) -> Result<HttpResponse> {
    without_slash(&request)?;
    let (access, id) = (caller.access(), names.study()?);
    if let Some(item) = at_once(&kura, &access, &names).await? {
        return alone(&kura, &access, &request, item).await;
    }
    let study = kura.archive.catalog(&access).mint_study(id).await?;
    names.check_type()?;
    let list = ItemList::parse(&names.list)?;
    kura.archive.number_items(&study).await?;
    if let Some(number) = list.only() {
        return one(&kura, &access, &request, &study, number).await;
    }
    let mut index = kura.archive.item_index(&access, &study).await?;
    let mut chosen = index.layout.choose(&list);
    if chosen
        .as_ref()
        .is_err_and(|error| error.kind() == Kind::NotFound)
        && let Some(span) = list.span()
    {
        let archive = &kura.archive;
        index = archive.with_replaced(&access, &study, index, &span).await?;
        chosen = index.layout.choose(&list);
    }
    let chosen = chosen.map_err(named)?;
    if let Some(only) = chosen.only() {
        return one(&kura, &access, &request, &study, only.number.into()).await;
    }
    if chosen.items().next().is_none() {
        let mut response = HttpResponse::NoContent();
        respond::object_headers(&mut response);
        return Ok(response.finish());
    }
    let mut stamp = Stamp::of_version(&study.at, &access).with(index.layout.digest());
    if wants_related(&request) && digest::is_wanted(request.headers()) {
        stamp = stamp.in_form("with digests");
    }
    conditional::made_of(&request, &stamp);
    many(
        &kura,
        &access,
        &request,
        (study.at.study, index.places),
        chosen,
    )
    .await
}

/// What is missing is a part of a study that the caller sees, so it may be named.
pub(super) fn named(error: Error) -> Error {
    if error.kind() == Kind::NotFound {
        return no_such_item();
    }
    error
}

fn no_such_item() -> Error {
    problem::no_such_part("the study has no item of this number")
}

/// The one item that is asked for, found by one statement, as a viewer asks for thousands. `None` if there is more to say about
/// the request.
async fn at_once(
    kura: &Kura,
    access: &Arc<Access>,
    names: &ItemNames,
) -> Result<Option<StoredItem>> {
    let list = ItemList::parse(&names.list)
        .ok()
        .filter(|_| names.check_type().is_ok());
    let number = list.and_then(|list| u32::try_from(list.only()?).ok());
    match number {
        Some(number) => kura.archive.item(access, names.study()?, number).await,
        None => Ok(None),
    }
}

async fn one(
    kura: &Kura,
    access: &Arc<Access>,
    request: &HttpRequest,
    study: &MintStudy,
    number: u64,
) -> Result<HttpResponse> {
    let number = u32::try_from(number).map_err(|_| no_such_item())?;
    let item = kura.archive.item(access, study.at.study, number).await?;
    alone(kura, access, request, item.ok_or_else(no_such_item)?).await
}

/// One item, as it is stored. Its number never means other bytes (MINT Z11), so its tag is that of the instance.
async fn alone(
    kura: &Kura,
    access: &Arc<Access>,
    request: &HttpRequest,
    item: StoredItem,
) -> Result<HttpResponse> {
    let (archive, item) = (kura.archive.clone(), Arc::new(item));
    let number = item.number.to_string();
    conditional::made_of(request, &Stamp::of(&item.instance).in_form(&number));
    let len = item.len;
    let bytes = archive.item_bytes(access, &item, &(0..len));
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    response
        .content_type(OCTETS)
        .insert_header((ACCEPT_RANGES, "bytes"));
    let access = Arc::clone(access);
    if digest::is_wanted(request.headers()) {
        let whole = archive.item_bytes(&access, &item, &(0..len));
        digest::promise(&mut response, of_stream(whole));
    }
    conditional::seekable(&mut response, move |range| {
        archive.item_bytes(&access, &item, &range)
    });
    respond::sized(&mut response, len, bytes).await
}

/// Several items. All that is told of the body follows from its tag, so that a broken download goes on where it broke off
/// (MINT Z21).
async fn many(
    kura: &Kura,
    access: &Arc<Access>,
    request: &HttpRequest,
    (study, places): (StudyId, Places),
    chosen: Chosen,
) -> Result<HttpResponse> {
    let boundary = conditional::boundary(request);
    let boundary = boundary.unwrap_or_else(|| Boundary::of(uuid::Uuid::new_v4()));
    let framing = if wants_related(request) {
        let with_digests = digest::is_wanted(request.headers());
        Framing::related(&boundary, study, kura.urls(request).mint()).with_digests(with_digests)
    } else {
        Framing::replaced(&boundary, study)
    };
    let len = framing.len(&chosen);
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    response
        .insert_header((CONTENT_TYPE, framing.content_type()))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .append_header((VARY, digest::WANT_REPR_DIGEST.as_str()));
    let (archive, access) = (kura.archive.clone(), Arc::clone(access));
    let open = move |range: Range<u64>| {
        let pieces = framing.pieces(&chosen, range);
        archive.pieces(&access, (study, places.clone()), pieces)
    };
    let bytes = open(0..len);
    conditional::seekable(&mut response, open);
    respond::sized(&mut response, len, bytes).await
}

/// Whether the caller asks for the form of the standard. Who names neither gets that of old clients (MINT I17).
fn wants_related(request: &HttpRequest) -> bool {
    let values = request.headers().get_all(ACCEPT);
    let ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| split(value, ','));
    let mut types = ranges.map(|range| range.split(';').next().unwrap_or_default().trim());
    types.any(|name| name.eq_ignore_ascii_case("multipart/related"))
}
