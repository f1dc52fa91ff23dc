//! Offers: which objects of a manifest are worth sending (MINT Z40). Nothing is noted; what the archive holds is the answer.

use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::Serialize;
use uuid::Uuid;

use super::MANIFEST_BYTES;
use super::manifest::{Announced, Manifest};
use super::shapes::{BodyRefused, ExactManifest};
use crate::archive::Archive;
use crate::auth::{DicomWrite, StoreGrant};
use crate::error::Result;
use crate::http::caller::Caller;
use crate::http::dicomweb::shapes::Refused;
use crate::http::{Kura, respond};
use crate::index::Candidate;
use crate::index::record::Recorded;

/// Objects that are looked for at once.
const CHUNK: usize = 500;

/// What would become of the objects that were offered, by their SOP Instance UIDs.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub(super) struct Offer {
    /// The study's UUID; absent where the facility does not have the study.
    #[serde(skip_serializing_if = "Option::is_none")]
    study: Option<Uuid>,
    /// The version of the study.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// Those to send.
    wanted: Vec<String>,
    /// Those that the facility has, byte for byte.
    there: Vec<String>,
    /// Those that would be refused.
    conflicting: Vec<Conflict>,
}

/// An object that would be refused.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Conflict {
    /// SOP Instance UID.
    #[serde(rename = "sopInstanceUID")]
    sop_instance_uid: String,
    /// `other-object`: another object is stored under its UID; `in-bin`: its UID is in the bin; `erased`: it was erased.
    reason: &'static str,
}

/// Offer objects: which of them are to be sent.
#[utoipa::path(
    tag = "MINT", operation_id = "offerExact", request_body(content = ExactManifest<'_>),
    responses((status = 200, body = Offer, description = "What of it is wanted"), Refused, BodyRefused),
    security(("bearer" = []))
)]
#[post("/exact/offers")]
pub(crate) async fn offer(
    caller: Caller<DicomWrite>,
    kura: Kura,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse> {
    let grant = caller.may_store_into_own()?;
    let text = super::json(&kura, &request, body, MANIFEST_BYTES).await?;
    let most = kura.archive.limits().parts;
    let reading = kura.archive.compute(move || Manifest::read(&text, most));
    let manifest = reading.await??;
    let study = kura
        .archive
        .index()
        .own_study(&grant, &manifest.study)
        .await?;
    let mut offer = Offer {
        study: study.as_ref().map(|study| study.id.0),
        version: study.as_ref().map(|study| study.version),
        ..Offer::default()
    };
    weigh(&kura.archive, &grant, &manifest, |_, one, what| {
        let uid = one.instance.to_string();
        let conflict = |reason| Conflict {
            sop_instance_uid: one.instance.to_string(),
            reason,
        };
        match what {
            Recorded::New | Recorded::Replaced => offer.wanted.push(uid),
            Recorded::AlreadyThere => offer.there.push(uid),
            Recorded::Conflict => offer.conflicting.push(conflict("other-object")),
            Recorded::InBin => offer.conflicting.push(conflict("in-bin")),
            Recorded::Erased => offer.conflicting.push(conflict("erased")),
        }
    })
    .await?;
    let mut response = HttpResponse::Ok();
    respond::list_headers(&mut response);
    Ok(response.json(offer))
}

/// Shows `visit` each object of a manifest, with what would become of it if it came now.
///
/// # Errors
/// `Kind::Unavailable` if the database is away.
pub(super) async fn weigh(
    archive: &Archive,
    grant: &StoreGrant,
    manifest: &Manifest,
    mut visit: impl FnMut(&Announced, &Candidate<'_>, Recorded),
) -> Result<()> {
    let mut objects = manifest.candidates();
    loop {
        let (announced, candidates): (Vec<_>, Vec<_>) = objects.by_ref().take(CHUNK).unzip();
        if candidates.is_empty() {
            return Ok(());
        }
        let weighed = archive.index().weigh(grant, &candidates).await?;
        for ((announced, candidate), what) in announced.iter().zip(&candidates).zip(weighed) {
            visit(announced, candidate, what);
        }
    }
}
