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
use crate::http::credential::{LINK, LinkedUri};
use crate::http::dicomweb::shapes::Refused;
use crate::http::problem::Problem;
use crate::index::catalog::Scope;
use crate::model::{FrameList, InstancePath, SeriesUid, SopInstanceUid, StudyUid, Timestamp};

/// One kind of resource that a link can name.
struct Linkable {
    /// The steps after the object that it is of.
    fits: fn(&[&str]) -> bool,
    /// Whether studies and series have it as well as instances.
    is_of_all_levels: bool,
    /// For people.
    name: &'static str,
}

/// What a link can name below a study. A new route for pictures adds its row here.
static LINKABLE: &[Linkable] = &[
    Linkable {
        fits: |rest| match rest {
            ["bulkdata", path @ ..] => {
                let path = path.join("/");
                BulkPath::parse(&path).is_ok_and(|parsed| parsed.to_string() == path)
            }
            _ => false,
        },
        is_of_all_levels: false,
        name: "one bulk value of an instance (…/bulkdata/TAG)",
    },
    Linkable {
        fits: |rest| matches!(rest, ["rendered" | "thumbnail"]),
        is_of_all_levels: true,
        name: "one picture (…/rendered, …/thumbnail)",
    },
    Linkable {
        fits: |rest| match rest {
            ["frames", list, "rendered" | "thumbnail"] => FrameList::parse(list).is_ok(),
            _ => false,
        },
        is_of_all_levels: false,
        name: "one of frames (…/frames/LIST/rendered)",
    },
];

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
    responses(
        (status = 201, body = MadeLink, description = "made"),
        Refused,
        (status = 413, body = Problem, content_type = "application/problem+json", description = "Too long"),
        (status = 415, body = Problem, content_type = "application/problem+json", description = "The body is no JSON"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "Nothing that a link can name")
    ),
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
    let access = caller.access();
    let catalog = kura.archive.catalog(&access);
    // What WADO-URI shows is named by a query, and a link to it is good for that object, however it is shown.
    let (signed, visible, joint) = if let Some(uri) = LinkedUri::of_resource(path) {
        let visible = catalog.instance_by_uid(&uri.object, None, None).await?;
        (uri.signed(), visible, '&')
    } else {
        let visible = match named(path).ok_or_else(not_linkable)? {
            Scope {
                study,
                series: Some(series),
                instance: Some(instance),
            } => {
                let path = InstancePath {
                    study,
                    series,
                    instance,
                };
                catalog.instance(&path).await?
            }
            scope => catalog.representative(&scope).await?,
        };
        (path.to_owned(), visible, '?')
    };
    let gate = Gate::of(&request)?;
    let now = gate.authenticator().clock().now();
    let (link, expires_at) =
        gate.links()
            .sign(caller.verified()?, &signed, visible.epoch(), now)?;
    Ok(HttpResponse::Created()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(MadeLink {
            url: format!("{}{path}{joint}{LINK}={link}", urls.base()),
            expires_at: rfc3339(expires_at)?,
        }))
}

/// The object of a linkable resource; `None` if `path` names none.
fn named(path: &str) -> Option<Scope> {
    let steps: Vec<&str> = path
        .strip_prefix("/dicomweb/studies/")?
        .split('/')
        .collect();
    let (study, series, instance, rest) = match steps.as_slice() {
        [study, "series", series, "instances", instance, rest @ ..] => {
            (study, Some(series), Some(instance), rest)
        }
        [study, "series", series, rest @ ..] => (study, Some(series), None, rest),
        [study, rest @ ..] => (study, None, None, rest),
        [] => return None,
    };
    let is_linkable =
        |kind: &&Linkable| (kind.is_of_all_levels || instance.is_some()) && (kind.fits)(rest);
    LINKABLE.iter().find(is_linkable)?;
    Some(Scope {
        study: StudyUid::parse(study).ok()?,
        series: series.map(|uid| SeriesUid::parse(uid)).transpose().ok()?,
        instance: instance
            .map(|uid| SopInstanceUid::parse(uid))
            .transpose()
            .ok()?,
    })
}

fn not_linkable() -> Error {
    let names: Vec<&str> = LINKABLE.iter().map(|kind| kind.name).collect();
    let detail = format!(
        "a link names, without a query: {}, or an object for WADO-URI that is shown",
        names.join(", or ")
    );
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
    fn sh_2_7_a_link_names_one_bulk_value_or_picture_and_nothing_else() {
        let at = "/dicomweb/studies/1.2/series/1.3/instances/1.4";
        for good in [
            "bulkdata/7FE00010",
            "bulkdata/54000100/1/54001010",
            "rendered",
            "thumbnail",
            "frames/1/rendered",
            "frames/1,2/rendered",
            "frames/3/thumbnail",
        ] {
            assert!(named(&format!("{at}/{good}")).is_some(), "{good}");
        }
        for good in ["1.2/rendered", "1.2/thumbnail", "1.2/series/1.3/rendered"] {
            assert!(
                named(&format!("/dicomweb/studies/{good}")).is_some(),
                "{good}"
            );
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
            "/rendered/",
            "/rendered?viewport=1,1",
            "/frames/0/rendered",
            "/frames/1/rendered/x",
        ] {
            assert!(named(&format!("{at}{bad}")).is_none(), "{bad}");
        }
        for elsewhere in [
            "https://elsewhere.example/dicomweb/studies/1.2/series/1.3/instances/1.4/bulkdata/7FE00010",
            "/api/v1/auth/revoke",
            "/dicomweb/studies/1.2",
            "/dicomweb/studies/1.2/bulkdata/7FE00010",
            "/dicomweb/studies/1.2/frames/1/rendered",
            "/dicomweb/studies/rendered",
            "/dicomweb/studies/x/series/1.3/instances/1.4/bulkdata/7FE00010",
            "//dicomweb/studies/1.2/series/1.3/instances/1.4/bulkdata/7FE00010",
        ] {
            assert!(named(elsewhere).is_none(), "{elsewhere}");
        }
        assert!(not_linkable().detail().contains("bulk value"));
    }
}
