//! WADO-RS bulk data (PS3.18 10.4.1.1.5, dicomweb.md 7.4): what metadata name by a BulkDataURI, and what they hold inline.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, web};
use futures::stream::{self, StreamExt};

use super::frames::{EXPLICIT_LITTLE, OCTETS, inflates};
use super::paths::PartNames;
use super::shapes::{BulkParams, Octets, Refused};
use crate::archive::Archive;
use crate::archive::retrieve::BulkValue;
use crate::auth::{Access, DicomRead, OfObject};
use crate::dicom::bulk::BulkPath;
use crate::error::{Error, Result};
use crate::http::accept::{Accept, Offer};
use crate::http::caller::Caller;
use crate::http::respond::Part;
use crate::http::{Kura, problem, respond};
use crate::index::catalog::{Instance, Visible};
use crate::model::transfer_syntax::Pixels;
use crate::model::{Tag, TransferSyntax};

const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

/// Retrieve bulk data of an instance.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveBulkData", params(BulkParams), responses(Octets, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/instances/{instance}/bulkdata/{part:.+}")]
pub(crate) async fn retrieve_bulkdata(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<PartNames>,
) -> Result<HttpResponse> {
    let (path, access) = (names.path()?, caller.access());
    let instance = Arc::new(kura.archive.catalog(&access).instance(&path).await?);
    let bulk_path = BulkPath::parse(&names.part).map_err(|_| absent())?;
    let location = kura.urls(&request).bulkdata(&path, &bulk_path.to_string());
    let parts = match kura.archive.frame_table(&instance).await? {
        Some(_) if bulk_path.is_top_level() && bulk_path.tag() == PIXEL_DATA => {
            pixels(&kura.archive, &access, &instance, &location).await?
        }
        _ => {
            let value = kura.archive.bulk(&access, &instance, &bulk_path).await?;
            vec![value_part(value.ok_or_else(absent)?, location)]
        }
    };
    answer(&accept, parts)
}

fn absent() -> Error {
    problem::no_such_part("the instance has no bulk data at this path")
}

fn value_part(value: BulkValue, location: String) -> Part {
    Part {
        content_type: value.media_type.unwrap_or_else(|| OCTETS.to_owned()),
        location,
        len: value.len,
        bytes: value.bytes,
    }
}

/// Every frame: one part for native pixel data and video, one a frame for compressed ones (J42).
async fn pixels(
    archive: &Archive,
    access: &Arc<Access>,
    instance: &Arc<Visible<Instance>>,
    location: &str,
) -> Result<Vec<Part>> {
    let Some(table) = archive.frame_table(instance).await? else {
        return Ok(Vec::new());
    };
    let stored = &instance.transfer_syntax_uid;
    let content_type = match TransferSyntax::of(stored) {
        Some(syntax) if matches!(syntax.pixels, Pixels::Frames | Pixels::Video) => {
            format!("{}; transfer-syntax={stored}", syntax.media_type)
        }
        Some(_) => format!("{OCTETS}; transfer-syntax={EXPLICIT_LITTLE}"),
        None => format!("{OCTETS}; transfer-syntax={stored}"),
    };
    let mut parts = Vec::new();
    for place in (0..table.parts()).filter_map(|index| table.part(index)) {
        let (len, bytes) = if inflates(instance) {
            archive.inflated_frame(access, instance, &place).await?
        } else {
            (place.len(), archive.frame(access, instance, &place))
        };
        let content_type = content_type.clone();
        parts.push(Part {
            content_type,
            location: location.to_owned(),
            len,
            bytes,
        });
    }
    Ok(parts)
}

/// One value is a body of its own unless parts are asked for; several are parts (F60, F61).
fn answer(accept: &Accept, mut parts: Vec<Part>) -> Result<HttpResponse> {
    let first = parts.first().ok_or_else(absent)?;
    let content_type = first.content_type.clone();
    let (media_type, syntax) = match content_type.split_once("; transfer-syntax=") {
        Some((media_type, syntax)) => (media_type, Some(syntax)),
        None => (&*content_type, None),
    };
    let mut offers = vec![Offer::multipart(media_type), Offer::multipart(OCTETS)];
    if parts.len() == 1 {
        offers.splice(0..0, [Offer::single(media_type), Offer::single(OCTETS)]);
    }
    for offer in &mut offers {
        offer.transfer_syntax = syntax;
        offer.is_stored = true;
    }
    let offer = *accept.choose(&offers)?;
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    for part in &mut parts {
        part.content_type = offer.content_type();
    }
    if offer.is_multipart {
        let root_type = offer.media_type.to_owned();
        return Ok(respond::multipart(
            &mut response,
            &root_type,
            stream::iter(parts).map(Ok),
        ));
    }
    let Some(part) = parts.pop() else {
        return Err(absent());
    };
    response
        .content_type(part.content_type)
        .insert_header(("Content-Location", part.location));
    Ok(respond::sized(&mut response, part.len, part.bytes))
}
