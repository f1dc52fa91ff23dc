//! A study in one response: its metadata, then its items, at one version (MINT 16.5).

use std::sync::Arc;

use actix_web::http::header::{ACCEPT, ACCEPT_RANGES, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, get, web};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};

use super::XML;
use super::asked::Asked;
use super::framing::Framing;
use super::items::named;
use super::metadata::inflated;
use super::paths::{TypeNames, without_slash};
use super::shapes::{BundleParams, Refused, TypeOfStudyParams};
use crate::archive::mint::document::{Content, Document};
use crate::archive::mint::layout::Layout;
use crate::archive::mint::list::ItemList;
use crate::archive::mint::read::Places;
use crate::archive::stamp::Stamp;
use crate::auth::{Access, DicomRead, OfObject};
use crate::error::{Error, Kind, Result};
use crate::http::caller::Caller;
use crate::http::dicomweb::shapes::Binary;
use crate::http::media_type::split;
use crate::http::multipart::write::Boundary;
use crate::http::{Kura, conditional, respond};
use crate::index::catalog::{Brought, Narrowed};
use crate::index::mint::MintStudy;
use crate::model::SeriesUid;

const PROTOBUF: &str = "application/x-protobuf";

/// How often a bundle is begun anew because its study changed meanwhile.
const ATTEMPTS: u32 = 4;

/// Retrieve the metadata and the items of a study at once.
#[utoipa::path(tag = "MINT", operation_id = "retrieveMintBundle", params(TypeOfStudyParams, BundleParams), responses((status = 200, description = "The metadata, then the items.", body = Binary, content_type = "multipart/related"), Refused), security(("bearer" = [])))]
#[get("/studies/{uuid}/{type}/bundle")]
pub(super) async fn retrieve(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<TypeNames>,
) -> Result<HttpResponse> {
    without_slash(&request)?;
    let access = caller.access();
    let study = kura
        .archive
        .catalog(&access)
        .mint_study(names.study()?)
        .await?;
    names.check_type()?;
    let asked = Asked::read(request.query_string())?;
    let list = asked
        .text("items")
        .map_or(Ok(ItemList::All), ItemList::parse)?;
    let series = asked.text("series").map(SeriesUid::parse).transpose();
    let which = Narrowed {
        series: series.map_err(|_| Error::invalid("series is a Series Instance UID"))?,
        newer_than: asked.number("known")?,
    };
    let is_protobuf = wants_protobuf(&request);
    let content = if is_protobuf {
        Content::Protobuf
    } else {
        Content::Xml
    };
    let (study, document, layout) =
        at_one_version(&kura, &access, study, (content, &which)).await?;
    let stamp = Stamp::of_version(&study.at, &access).with(layout.digest());
    conditional::made_of(&request, &stamp);
    let chosen = Arc::new(layout).choose(&list).map_err(named)?;
    let boundary = conditional::boundary(&request);
    let boundary = boundary.unwrap_or_else(|| Boundary::of(uuid::Uuid::new_v4()));
    let framing = Framing::related(&boundary, study.at.study, kura.urls(&request).mint());
    let (part_type, root_type) = if is_protobuf {
        (PROTOBUF, PROTOBUF)
    } else {
        (XML, "text/xml")
    };
    let (head, after) = framing.around_document(part_type, document.len);
    let of_items = framing.len(&chosen);
    let len = (head.len() + after.len()) as u64 + document.len + of_items;
    let items = framing.pieces(&chosen, 0..of_items);
    let items = kura
        .archive
        .pieces(&access, (study.at.study, Places::default()), items);
    let bytes = stream::iter([Ok(Bytes::from(head))])
        .chain(inflated(document))
        .chain(stream::iter([Ok(Bytes::from_static(after.as_bytes()))]))
        .chain(items);
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    response
        .insert_header((CONTENT_TYPE, framing.content_type_of(root_type)))
        .insert_header((ACCEPT_RANGES, "bytes"));
    respond::sized(&mut response, len, bytes.boxed()).await
}

/// The document and the items of one version.
async fn at_one_version(
    kura: &Kura,
    access: &Arc<Access>,
    mut study: MintStudy,
    (content, which): (Content, &Narrowed),
) -> Result<(MintStudy, Document, Layout)> {
    for _ in 0..ATTEMPTS {
        let made = kura
            .archive
            .mint_document(access, study, (Brought::Whole, content));
        let (of_document, document) = made.await?;
        let layout = kura.archive.layout(access, &of_document, which).await?;
        study = kura
            .archive
            .catalog(access)
            .mint_study(of_document.at.study)
            .await?;
        if study.at.version == of_document.at.version {
            return Ok((study, document, layout));
        }
    }
    Err(Error::new(
        Kind::Unavailable,
        "the study changes all the time; ask again",
    ))
}

/// Whether the caller takes protobuf; XML is for everybody else.
fn wants_protobuf(request: &HttpRequest) -> bool {
    let values = request.headers().get_all(ACCEPT);
    let ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| split(value, ','));
    let mut types = ranges.map(|range| range.split(';').next().unwrap_or_default().trim());
    types.any(|name| name.eq_ignore_ascii_case(PROTOBUF))
}
