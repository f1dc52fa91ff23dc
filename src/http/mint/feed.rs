//! The change feed: what changed after a cursor, to be followed without a gap (MINT 16.9, docs/decisions/0034).

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use uuid::Uuid;

use super::asked::Asked;
use super::xml;
use crate::auth::{Access, DicomRead};
use crate::dicom::mint::answers::{self, Numbered};
use crate::error::{Error, Result};
use crate::http::accept::{Accept, Offer};
use crate::http::caller::Caller;
use crate::http::{State, respond, wait};

const JSON: &str = "application/json";

/// A page of the feed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FeedPage {
    /// The changes, oldest first.
    changes: Vec<FeedChange>,
    /// Hand this over as `after` for what follows, now or later.
    after: String,
    /// Whether there is more already.
    has_more: bool,
}

/// A change of a study.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
struct FeedChange {
    /// Its number among the changes of the facility, from 1.
    seq: u64,
    /// UUID of the study.
    #[serde(rename = "studyUUID")]
    study_uuid: Uuid,
    /// Study Instance UID.
    #[serde(rename = "studyInstanceUID")]
    study_instance_uid: String,
    /// The version of the study that it made, from 0.
    version: u64,
    /// `CREATE`, `UPDATE` or `DELETE`.
    operation: &'static str,
    /// When it was made (RFC 3339, UTC).
    time: String,
}

/// A page of what follows the cursor `after`; an empty one is before all changes. If nothing does, `seconds` are waited.
pub(super) async fn page(
    caller: &Caller<DicomRead>,
    kura: &State,
    request: &HttpRequest,
    (asked, after, seconds): (&Asked, &str, u64),
) -> Result<HttpResponse> {
    for name in ["since", "offset"] {
        if asked.value(name).is_some() {
            let detail = format!("{name} does not go with after");
            return Err(Error::invalid(detail));
        }
    }
    asked.word("order", &[("asc", ())])?;
    asked.word("consolidate", &[("false", ())])?;
    let limit = asked.limit()?;
    let offers = [Offer::single("text/xml"), Offer::single(JSON)];
    let accept = Accept::of(request.headers(), "");
    // Who takes neither has the document, as everywhere in MINT 1.
    let is_json = accept
        .choose(&offers)
        .is_ok_and(|chosen| *chosen == offers[1]);
    let from = place(kura, caller, after)?;
    let catalog = kura.archive.catalog(caller);
    let look = async || catalog.feed(from, limit).await;
    let page = wait::until(&kura.stopping, wait::of_seconds(seconds), look, |page| {
        page.has_more || !page.changes.is_empty()
    });
    let page = page.await?;
    let after = kura
        .cursors
        .seal(&context(caller), &page.upto.to_string())?;
    let mut response = HttpResponse::Ok();
    respond::list_headers(&mut response);
    if !is_json {
        return Ok(xml(&mut response, answers::feed(&page.changes, &after)));
    }
    response.insert_header((CONTENT_TYPE, JSON));
    Ok(response.json(FeedPage {
        changes: page.changes.iter().map(show).collect(),
        after,
        has_more: page.has_more,
    }))
}

fn show(numbered: &Numbered) -> FeedChange {
    FeedChange {
        seq: numbered.seq,
        study_uuid: numbered.change.study.0,
        study_instance_uid: numbered.study_instance_uid.as_str().to_owned(),
        version: numbered.change.number,
        operation: numbered.change.operation.as_str(),
        time: respond::rfc3339(numbered.change.at),
    }
}

/// The number that a cursor stands for.
fn place(kura: &State, caller: &Access, after: &str) -> Result<u64> {
    if after.is_empty() {
        return Ok(0);
    }
    let number = kura.cursors.open(&context(caller), after);
    let number = number.and_then(|number| number.parse().ok());
    number.ok_or_else(|| {
        Error::invalid("the cursor is none of this feed: take it from the page before")
    })
}

/// What a cursor holds for: the feed of one facility.
fn context(caller: &Access) -> String {
    format!("{}\nmint feed", caller.facility().code)
}
