//! Signed resource links, for what cannot send a header: `<img>`, `<video>`, `<object>` (sharing.md 2.7, 14).

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::body;
use crate::auth::DicomRead;
use crate::dicom::bulk::BulkPath;
use crate::error::{Error, Kind, Result};
use crate::http::Kura;
use crate::http::caller::{Caller, Gate};
use crate::http::credential::LINK;
use crate::http::dicomweb::shapes::Refused;
use crate::model::{InstancePath, SeriesUid, SopInstanceUid, StudyUid, Timestamp};

/// One kind of resource that a link can name.
struct Linkable {
    /// The step after the instance.
    step: &'static str,
    /// Whether more steps name one resource.
    fits: fn(&str) -> bool,
    /// For people.
    name: &'static str,
}

/// What a link can name. A new route for pictures adds its row here.
static LINKABLE: &[Linkable] = &[Linkable {
    step: "bulkdata",
    fits: |rest| BulkPath::parse(rest).is_ok_and(|path| path.to_string() == rest),
    name: "one bulk value of an instance (…/bulkdata/TAG)",
}];

/// What is to be linked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkRequest {
    /// The address of the resource, as an answer of the archive gave it, or its path.
    resource: String,
}

/// A link.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MadeLink {
    /// The address, good for GET and HEAD until it expires; whoever has it reads what its maker may read there.
    url: String,
    /// When it expires (RFC 3339).
    expires_at: String,
}

/// Make a link to one resource.
///
/// For five minutes at most, and no longer than the token lives. It ends sooner when anybody's rights change, when its maker
/// is signed out or suspended, and when the token it was made with is denied.
#[utoipa::path(
    tag = "sign-in",
    operation_id = "createLink",
    request_body = LinkRequest,
    responses((status = 201, body = MadeLink, description = "made"), Refused),
    security(("bearer" = []))
)]
#[post("/links")]
pub(crate) async fn create_link(
    caller: Caller<DicomRead>,
    kura: Kura,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let LinkRequest { resource } = body::json(&request, payload).await?;
    let urls = kura.urls(&request);
    let path = resource.strip_prefix(urls.base()).unwrap_or(&resource);
    let instance = named(path).ok_or_else(not_linkable)?;
    let access = caller.access();
    let visible = kura.archive.catalog(&access).instance(&instance).await?;
    let gate = Gate::of(&request)?;
    let now = gate.authenticator().clock().now();
    let (link, expires_at) = gate
        .links()
        .sign(caller.verified(), path, visible.epoch(), now)?;
    Ok(HttpResponse::Created()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(MadeLink {
            url: format!("{}{path}?{LINK}={link}", urls.base()),
            expires_at: rfc3339(expires_at)?,
        }))
}

/// The instance of a linkable resource; `None` if `path` names none.
fn named(path: &str) -> Option<InstancePath> {
    let rest = path.strip_prefix("/dicomweb/studies/")?;
    let (study, rest) = rest.split_once("/series/")?;
    let (series, rest) = rest.split_once("/instances/")?;
    let (instance, rest) = rest.split_once('/')?;
    let (step, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let is_linkable = |kind: &&Linkable| kind.step == step && (kind.fits)(rest);
    LINKABLE.iter().find(is_linkable)?;
    Some(InstancePath {
        study: StudyUid::parse(study).ok()?,
        series: SeriesUid::parse(series).ok()?,
        instance: SopInstanceUid::parse(instance).ok()?,
    })
}

fn not_linkable() -> Error {
    let names: Vec<&str> = LINKABLE.iter().map(|kind| kind.name).collect();
    let detail = format!("a link names, without a query: {}", names.join(", or "));
    Error::new(Kind::Unprocessable, detail)
}

fn rfc3339(at: Timestamp) -> Result<String> {
    let at = OffsetDateTime::from_unix_timestamp(at.seconds()).ok();
    at.and_then(|at| at.format(&Rfc3339).ok())
        .ok_or_else(|| Error::new(Kind::Internal, "an instant beyond the calendar"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sh_2_7_a_link_names_one_bulk_value_and_nothing_else() {
        let at = "/dicomweb/studies/1.2/series/1.3/instances/1.4";
        for good in ["bulkdata/7FE00010", "bulkdata/54000100/1/54001010"] {
            assert!(named(&format!("{at}/{good}")).is_some(), "{good}");
        }
        for bad in [
            "",
            "/",
            "/bulkdata",
            "/bulkdata/",
            "/bulkdata/7fe00010",
            "/bulkdata/54000100/01/54001010",
            "/bulkdata/7FE00010/",
            "/bulkdata/7FE00010?link=x",
            "/bulkdata/7FE00010#x",
            "/bulkdata/../../x",
            "/bulkdata/%37FE00010",
            "/frames/1",
            "/metadata",
        ] {
            assert!(named(&format!("{at}{bad}")).is_none(), "{bad}");
        }
        for elsewhere in [
            "https://elsewhere.example/dicomweb/studies/1.2/series/1.3/instances/1.4/bulkdata/7FE00010",
            "/api/v1/auth/revoke",
            "/dicomweb/studies/1.2",
            "/dicomweb/studies/x/series/1.3/instances/1.4/bulkdata/7FE00010",
            "//dicomweb/studies/1.2/series/1.3/instances/1.4/bulkdata/7FE00010",
        ] {
            assert!(named(elsewhere).is_none(), "{elsewhere}");
        }
        assert!(not_linkable().detail().contains("bulk value"));
    }
}
