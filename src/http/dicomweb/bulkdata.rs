//! WADO-RS bulk data (PS3.18 10.4.1.1.5, dicomweb.md 7.4): what metadata name by a BulkDataURI, and what they hold inline.

use std::sync::Arc;

use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::{HttpRequest, HttpResponse, get, web};

use super::paths::PartNames;
use super::pixels::{self, EXPLICIT_LITTLE, Kinds, OCTETS};
use super::shapes::{BulkParams, Octets, Refused};
use crate::archive::stamp::Stamp;
use crate::auth::{DicomRead, OfObject};
use crate::dicom::bulk::BulkPath;
use crate::error::{Error, Result};
use crate::http::accept::{Accept, Offer};
use crate::http::caller::Caller;
use crate::http::respond::Part;
use crate::http::{Kura, conditional, problem, respond};
use crate::model::transfer_syntax::Pixels;
use crate::model::{Tag, TransferSyntax};

const PDF: &str = "application/pdf";
pub(super) const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

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
    conditional::made_of(&request, &Stamp::of(&instance));
    let bulk_path = BulkPath::parse(&names.part).map_err(|_| absent())?;
    let location = kura.urls(&request).bulkdata(&path, &bulk_path.to_string());
    let table = if bulk_path.is_top_level() && bulk_path.tag() == PIXEL_DATA {
        kura.archive.frame_table(&instance).await?
    } else {
        None
    };
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    let Some(table) = table else {
        let value = kura.archive.bulk(&access, &instance, &bulk_path).await?;
        let value = value.ok_or_else(absent)?;
        let media_type = value.media_type.as_deref().unwrap_or(OCTETS);
        if media_type == PDF {
            // A browser's own viewer of documents does not start in a sandbox; scripts of a document stay in there.
            response.insert_header((
                CONTENT_SECURITY_POLICY,
                "object-src 'self'; script-src 'none'",
            ));
        }
        let form = Form::choose(&accept, media_type)?;
        let part = Part {
            content_type: form.content_type,
            location,
            len: value.len,
            bytes: value.bytes,
        };
        if form.is_multipart {
            return respond::one_part((&request, &mut response), &form.root_type, part).await;
        }
        return respond::single(&mut response, part).await;
    };
    // Every frame: one part for native pixel data and video, one a frame for compressed ones (J42).
    if table.parts() == 0 {
        return Err(absent());
    }
    let kinds = if table.parts() == 1 {
        Kinds::SingleFirst
    } else {
        Kinds::Parts
    };
    let places = (0..table.parts()).filter_map(|index| table.part(index));
    let frames = kura.archive.frames(access, instance, places);
    let table = Arc::new(table);
    let places =
        (0..table.parts()).filter_map(move |index| Some((location.clone(), table.part(index)?)));
    pixels::answer((&request, &mut response), &accept, frames, kinds, places).await
}

pub(super) fn absent() -> Error {
    problem::no_such_part("the instance has no bulk data at this path")
}

/// The media type of stored pixel data and the transfer syntax in which they leave (dicomweb.md 2.5).
pub(super) fn pixel_type(stored: &str) -> (&str, &str) {
    match TransferSyntax::of(stored) {
        Some(syntax) if matches!(syntax.pixels, Pixels::Frames | Pixels::Video) => {
            (syntax.media_type, stored)
        }
        Some(_) => (OCTETS, EXPLICIT_LITTLE),
        None => (OCTETS, stored),
    }
}

/// The form in which a value leaves.
struct Form {
    is_multipart: bool,
    root_type: String,
    content_type: String,
}

impl Form {
    /// A value is a body of its own unless parts are asked for (F60, F61).
    fn choose(accept: &Accept, media_type: &str) -> Result<Self> {
        let kinds = [
            Offer::single(media_type),
            Offer::single(OCTETS),
            Offer::multipart(media_type),
            Offer::multipart(OCTETS),
        ];
        let offers = kinds.map(Offer::stored);
        let offer = accept.choose(&offers)?;
        Ok(Self {
            is_multipart: offer.is_multipart,
            root_type: offer.media_type.to_owned(),
            content_type: offer.content_type(),
        })
    }
}
