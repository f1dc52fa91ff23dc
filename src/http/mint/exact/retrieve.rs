//! A study as its stored objects in one tar file (MINT 16.6).

use std::collections::HashSet;
use std::sync::Arc;

use actix_web::http::header::{ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_ENCODING, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, get, post, web};

use super::layout::Layout;
use super::shapes::{BodyRefused, ExactNames, NamedParams, TarFile};
use super::{TAR, manifest, packed};
use crate::auth::{Access, DicomRead, OfObject};
use crate::dicom::query::decode::pairs;
use crate::error::{Error, Result};
use crate::http::caller::Caller;
use crate::http::compress::weight;
use crate::http::dicomweb::shapes::Refused;
use crate::http::mint::paths::StudyNames;
use crate::http::mint::shapes::StudyParams;
use crate::http::{Kura, conditional, respond};
use crate::model::{SopInstanceUid, StudyId};

/// Names of objects in a body, in bytes.
const NAMES_BYTES: u64 = 8 << 20;

/// Retrieve the stored objects of a study, bit for bit, as one tar file.
#[utoipa::path(
    tag = "MINT", operation_id = "retrieveExact", params(StudyParams, NamedParams),
    responses(TarFile, Refused), security(("bearer" = []))
)]
#[get("/studies/{uuid}/exact")]
pub(crate) async fn retrieve(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    name: web::Path<StudyNames>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let asked = pairs(request.query_string()).filter(|(name, _)| *name == "sop");
    let uids = asked.flat_map(|(_, value)| value.split(','));
    let wanted = named(uids, kura.archive.limits().parts)?;
    answer(&kura, &caller.access(), &request, (name.study()?, wanted)).await
}

/// Retrieve those of the stored objects of a study that the body names.
#[utoipa::path(
    tag = "MINT", operation_id = "retrieveExactNamed", params(StudyParams),
    request_body(content = ExactNames), responses(TarFile, Refused, BodyRefused), security(("bearer" = []))
)]
#[post("/studies/{uuid}/exact")]
pub(crate) async fn retrieve_named(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    name: web::Path<StudyNames>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse> {
    let id = name.study()?;
    let body = super::json(&kura, &request, body, NAMES_BYTES).await?;
    let names: ExactNames = serde_json::from_slice(&body).map_err(|cause| {
        let (line, column) = (cause.line(), cause.column());
        let detail = format!("the list cannot be read from line {line}, column {column} on");
        Error::invalid(detail).with_source(cause)
    })?;
    let uids = names.objects.iter().map(String::as_str);
    // An empty list is a list.
    let wanted = named(uids, kura.archive.limits().parts)?.unwrap_or_default();
    let wanted = (id, Some(wanted));
    answer(&kura, &caller.access(), &request, wanted).await
}

/// The objects that are named; `None` where none is.
///
/// # Errors
/// `Kind::NotFound` for a name that no object can have, `Kind::TooLarge` for too many.
fn named<'a>(
    uids: impl Iterator<Item = &'a str>,
    most: usize,
) -> Result<Option<HashSet<SopInstanceUid>>> {
    let mut named = HashSet::new();
    for uid in uids {
        let uid = SopInstanceUid::parse(uid).map_err(|_| Error::not_found())?;
        named.insert(uid);
        if named.len() > most {
            return Err(manifest::too_many(most));
        }
    }
    Ok((!named.is_empty()).then_some(named))
}

async fn answer(
    kura: &Kura,
    access: &Arc<Access>,
    request: &HttpRequest,
    (study, named): (StudyId, Option<HashSet<SopInstanceUid>>),
) -> Result<HttpResponse> {
    let layout = Layout::measure(&kura.archive, access, study, named).await?;
    conditional::made_of(request, &layout.contents().stamp());
    let uid = &layout.contents().study().study;
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    response.content_type(TAR).insert_header((
        CONTENT_DISPOSITION,
        format!("attachment; filename=\"{uid}.tar\""),
    ));
    let bytes = layout.bytes(0..layout.len);
    if weight(request.headers(), "zstd") > 0.0 {
        // Of what is packed no part can be told before all of it is (MINT Z22).
        let packed = packed::frame(bytes, layout.len, layout.packed_bytes)?;
        response.insert_header((CONTENT_ENCODING, HeaderValue::from_static("zstd")));
        return respond::streamed(&mut response, packed).await;
    }
    let len = layout.len;
    conditional::seekable(&mut response, move |part| layout.bytes(part));
    response.insert_header((ACCEPT_RANGES, "bytes"));
    respond::sized(&mut response, len, bytes).await
}
