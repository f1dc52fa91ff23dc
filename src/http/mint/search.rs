//! Search (MINT 4): exact values, newest change first.

use actix_web::{HttpRequest, HttpResponse, get};
use time::OffsetDateTime;

use super::asked::{Asked, before};
use super::attributes;
use super::shapes::{Documents, Refused, SearchParams};
use super::xml;
use crate::auth::DicomRead;
use crate::dicom::mint::{answers, time_text};
use crate::error::Result;
use crate::http::caller::Caller;
use crate::http::{Kura, respond};
use crate::index::mint::{Hits, Wanted};
use crate::model::Timestamp;

/// Whose studies are found: the facility's own, those disclosed to it, or both. Nothing is disclosed yet, so that each of them
/// finds what the predicate shows (MINT Q14).
const SCOPES: &[(&str, ())] = &[("own", ()), ("shared", ()), ("all", ())];

/// Search for studies.
#[utoipa::path(tag = "MINT", operation_id = "searchMintStudies", params(SearchParams), responses(Documents, Refused), security(("bearer" = [])))]
#[get("/studies")]
pub(super) async fn search(
    caller: Caller<DicomRead>,
    kura: Kura,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let asked = Asked::read(request.query_string())?;
    asked.word("scope", SCOPES)?;
    if attributes::is_meant(&asked) {
        return attributes::answer(&kura, &caller.access(), &asked).await;
    }
    let text = |name| asked.text(name).map(str::to_owned);
    let (from, to) = (
        asked.instant("minStudyDateTime")?,
        asked.instant("maxStudyDateTime")?,
    );
    let wanted = Wanted {
        study_instance_uid: text("studyInstanceUID"),
        accession_number: text("accessionNumber"),
        accession_number_issuer: text("accessionNumberIssuer"),
        patient_id: text("patientID"),
        patient_id_issuer: text("patientIDIssuer"),
        min_date: asked.day("minStudyDate")?.map(str::to_owned),
        max_date: asked.day("maxStudyDate")?.map(str::to_owned),
        moments: (from.map(moment), to.map(moment)),
    };
    let (limit, page) = (asked.limit()?, asked.number("offset")?.unwrap_or(1).max(1));
    let hits = Hits {
        limit,
        skip: before(page.saturating_sub(1), limit),
    };
    let found = kura
        .archive
        .mint_search(&caller.access(), &wanted, hits)
        .await?;
    let (from, to) = (from.map(time_text), to.map(time_text));
    let echo = [
        ("studyInstanceUID", wanted.study_instance_uid.as_deref()),
        ("accessionNumber", wanted.accession_number.as_deref()),
        (
            "accessionNumberIssuer",
            wanted.accession_number_issuer.as_deref(),
        ),
        ("patientID", wanted.patient_id.as_deref()),
        ("patientIDIssuer", wanted.patient_id_issuer.as_deref()),
        ("minStudyDate", wanted.min_date.as_deref()),
        ("minStudyDateTime", from.as_deref()),
        ("maxStudyDate", wanted.max_date.as_deref()),
        ("maxStudyDateTime", to.as_deref()),
    ];
    let given: Vec<(&str, &str)> = echo
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let mut response = HttpResponse::Ok();
    respond::list_headers(&mut response);
    Ok(xml(
        &mut response,
        answers::search_results(&given, page, limit, &found),
    ))
}

/// An instant as the index has dates and times, in UTC.
fn moment(at: Timestamp) -> (String, String) {
    let nanos = i128::from(at.0).saturating_mul(1000);
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second, micros) = at.to_hms_micro();
    let day = format!("{:04}{:02}{:02}", at.year(), u8::from(at.month()), at.day());
    (day, format!("{hour:02}{minute:02}{second:02}.{micros:06}"))
}
