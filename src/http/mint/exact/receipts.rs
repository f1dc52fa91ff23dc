//! Receipts: what an upload left in the archive, for the sender to rest on (MINT Z42).

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::shapes::ReceiptParams;
use crate::auth::{DicomRead, OfObject, Scope};
use crate::error::{Error, Kind, Result};
use crate::http::caller::Caller;
use crate::http::dicomweb::shapes::Refused;
use crate::http::{Kura, respond};
use crate::index::receipts::Receipt;
use crate::model::ReceiptId;

/// `{receipt}`.
#[derive(Debug, Deserialize)]
pub(crate) struct ReceiptName {
    receipt: String,
}

/// A receipt: these objects are durable, and their digests were compared when they came.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReceiptBody {
    /// Its id.
    id: Uuid,
    /// The study's UUID.
    study: Uuid,
    /// Study Instance UID.
    #[serde(rename = "studyInstanceUID")]
    study_instance_uid: String,
    /// The version of the study when it was written.
    version: u64,
    /// When it was written (RFC 3339, UTC).
    created_at: String,
    /// How many objects it is for; in the answer to an upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    /// The objects it is for; where the receipt itself is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Held>>)]
    objects: Option<Box<RawValue>>,
}

/// An object of a receipt.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Held {
    /// SOP Instance UID.
    #[serde(rename = "sopInstanceUID")]
    pub(super) sop_instance_uid: String,
    /// SHA-256 of its file.
    pub(super) sha256: String,
}

/// Show a receipt of the own facility.
#[utoipa::path(
    tag = "MINT", operation_id = "showReceipt", params(ReceiptParams),
    responses((status = 200, body = ReceiptBody, description = "The receipt"), Refused),
    security(("bearer" = []))
)]
#[get("/exact/receipts/{receipt}")]
pub(crate) async fn show(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    name: web::Path<ReceiptName>,
) -> Result<HttpResponse> {
    let id = Uuid::try_parse(&name.receipt).map_err(|_| Error::not_found())?;
    let receipt = kura.archive.catalog(&caller).receipt(ReceiptId(id)).await?;
    if !caller.allows(Scope::DicomRead) {
        let detail = "the token lacks the scope dicom.read";
        return Err(Error::new(Kind::Forbidden, detail));
    }
    let objects = RawValue::from_string(receipt.objects.clone())
        .map_err(|cause| Error::internal("a receipt cannot be read", cause))?;
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    Ok(response.json(ReceiptBody {
        objects: Some(objects),
        ..told(&receipt, None)
    }))
}

/// A receipt as the answer to an upload ends with it.
pub(super) fn told(receipt: &Receipt, count: Option<usize>) -> ReceiptBody {
    ReceiptBody {
        id: receipt.id.0,
        study: receipt.study.id.0,
        study_instance_uid: receipt.study.study.to_string(),
        version: receipt.study.version,
        created_at: respond::rfc3339(receipt.created_at),
        count,
        objects: None,
    }
}
