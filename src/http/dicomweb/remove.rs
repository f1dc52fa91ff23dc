//! DELETE and reject: out of sight, into the bin (dicomweb.md X01, X02; sharing.md 11.3, 11.4).
//!
//! The order is that of every call that names an object: what is not visible is 404 whatever else is wrong, then the owner,
//! the scope, the sign-in, and only then what the request says.

use actix_web::{HttpRequest, HttpResponse, delete, post, web};

use super::paths::{
    InstanceNames, RejectInstanceNames, RejectSeriesNames, RejectStudyNames, SeriesNames,
    StudyNames,
};
use super::shapes::{
    InstanceParams, RejectParams, RemoveParams, Removed, SeriesParams, StudyParams,
};
use crate::auth::{DicomCorrect, DicomDelete, OfObject, Scope as Right};
use crate::dicom::query::decode::{Plus, decode};
use crate::error::{Error, Kind, Result};
use crate::http::Kura;
use crate::http::caller::Caller;
use crate::index::catalog::Scope;
use crate::model::{InstancePath, RejectCode, Removal, SeriesPath, StudyPath};

/// Why something is removed, in the words of who asks.
const REASON: &str = "x-kura-reason";

/// The longest reason, in characters: a sentence or two.
const MAX_REASON_CHARS: usize = 400;

/// The deletion that a removal made, under which it can be restored.
const DELETION: &str = "x-kura-deletion";

/// Delete a study.
#[utoipa::path(tag = "delete", operation_id = "deleteStudy", params(StudyParams, RemoveParams), responses(Removed), security(("bearer" = [])))]
#[delete("/studies/{study}")]
pub(crate) async fn delete_study(
    caller: Caller<OfObject<DicomDelete>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    let scope = of_study(names.path()?);
    remove(&caller, &kura, &request, &scope, None).await
}

/// Delete a series.
#[utoipa::path(tag = "delete", operation_id = "deleteSeries", params(SeriesParams, RemoveParams), responses(Removed), security(("bearer" = [])))]
#[delete("/studies/{study}/series/{series}")]
pub(crate) async fn delete_series(
    caller: Caller<OfObject<DicomDelete>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<SeriesNames>,
) -> Result<HttpResponse> {
    let scope = of_series(names.path()?);
    remove(&caller, &kura, &request, &scope, None).await
}

/// Delete an instance.
#[utoipa::path(tag = "delete", operation_id = "deleteInstance", params(InstanceParams, RemoveParams), responses(Removed), security(("bearer" = [])))]
#[delete("/studies/{study}/series/{series}/instances/{instance}")]
pub(crate) async fn delete_instance(
    caller: Caller<OfObject<DicomDelete>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<InstanceNames>,
) -> Result<HttpResponse> {
    let scope = of_instance(names.path()?);
    remove(&caller, &kura, &request, &scope, None).await
}

/// Reject a study.
#[utoipa::path(tag = "delete", operation_id = "rejectStudy", params(StudyParams, RejectParams, RemoveParams), responses(Removed), security(("bearer" = [])))]
#[post("/studies/{study}/reject/{code}")]
pub(crate) async fn reject_study(
    caller: Caller<OfObject<DicomCorrect>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<RejectStudyNames>,
) -> Result<HttpResponse> {
    let scope = of_study(names.path()?);
    remove(&caller, &kura, &request, &scope, Some(&names.code)).await
}

/// Reject a series.
#[utoipa::path(tag = "delete", operation_id = "rejectSeries", params(SeriesParams, RejectParams, RemoveParams), responses(Removed), security(("bearer" = [])))]
#[post("/studies/{study}/series/{series}/reject/{code}")]
pub(crate) async fn reject_series(
    caller: Caller<OfObject<DicomCorrect>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<RejectSeriesNames>,
) -> Result<HttpResponse> {
    let scope = of_series(names.path()?);
    remove(&caller, &kura, &request, &scope, Some(&names.code)).await
}

/// Reject an instance.
#[utoipa::path(tag = "delete", operation_id = "rejectInstance", params(InstanceParams, RejectParams, RemoveParams), responses(Removed), security(("bearer" = [])))]
#[post("/studies/{study}/series/{series}/instances/{instance}/reject/{code}")]
pub(crate) async fn reject_instance(
    caller: Caller<OfObject<DicomCorrect>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<RejectInstanceNames>,
) -> Result<HttpResponse> {
    let scope = of_instance(names.path()?);
    remove(&caller, &kura, &request, &scope, Some(&names.code)).await
}

/// Takes what is named out of sight; with `code` it is rejected, without deleted.
async fn remove<S>(
    caller: &Caller<S>,
    kura: &Kura,
    request: &HttpRequest,
    scope: &Scope,
    code: Option<&str>,
) -> Result<HttpResponse> {
    kura.archive.catalog(caller).owns(scope).await?;
    let right = match code {
        None => Right::DicomDelete,
        Some(_) => Right::DicomCorrect,
    };
    caller.may_remove_own(right, kura.archive.clock().now())?;
    let removal = match code {
        None => Removal::Delete,
        Some(code) => Removal::Reject(rejected_for(code)?),
    };
    let reason = reason(request)?;
    let deletion = kura.archive.remove(caller, scope, removal, reason).await?;
    Ok(HttpResponse::NoContent()
        .insert_header((DELETION, deletion.id.to_string()))
        .finish())
}

fn of_study(path: StudyPath) -> Scope {
    Scope {
        study: path.study,
        series: None,
        instance: None,
    }
}

fn of_series(path: SeriesPath) -> Scope {
    Scope {
        study: path.study,
        series: Some(path.series),
        instance: None,
    }
}

fn of_instance(path: InstancePath) -> Scope {
    Scope {
        study: path.study,
        series: Some(path.series),
        instance: Some(path.instance),
    }
}

/// `{code}^{scheme}` of a path.
fn rejected_for(text: &str) -> Result<RejectCode> {
    let is_code = text
        .split_once('^')
        .is_some_and(|(code, scheme)| !code.is_empty() && !scheme.is_empty());
    if !is_code {
        return Err(Error::invalid(
            "a rejection names a code and its scheme, as in 113001%5EDCM",
        ));
    }
    RejectCode::parse(text).ok_or_else(|| {
        let detail = "the codes of a rejection are 113001, 113037, 113038 and 113039 of DCM";
        Error::new(Kind::Unprocessable, detail)
    })
}

/// The reason that a request gives: UTF-8, percent-encoded where the client can send ASCII only.
fn reason(request: &HttpRequest) -> Result<Option<String>> {
    let odd = || {
        Error::invalid(format!(
            "X-Kura-Reason is one line of at most {MAX_REASON_CHARS} characters, UTF-8 or percent-encoded"
        ))
    };
    let mut values = request.headers().get_all(REASON);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| odd())?;
    let text = decode(text, Plus::Itself).map_err(|_| odd())?;
    let text = text.trim();
    let fits = text.chars().count() <= MAX_REASON_CHARS && !text.contains(char::is_control);
    if !fits || values.next().is_some() {
        return Err(odd());
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    use super::*;

    fn check(values: &[&[u8]], expected: Result<Option<&str>, Kind>) {
        let mut request = TestRequest::default();
        for value in values {
            request = request.append_header((REASON, HeaderValue::from_bytes(value).unwrap()));
        }
        let found = reason(&request.to_http_request()).map_err(|error| error.kind());
        let found = found.as_ref().map(Option::as_deref).map_err(|kind| *kind);
        assert_eq!(found, expected, "{values:?}");
    }

    #[test]
    fn x01_a_reason_is_one_line_of_text() {
        check(&[], Ok(None));
        check(&[b""], Ok(None));
        check(&[b" sent twice "], Ok(Some("sent twice")));
        check(&["二重送信".as_bytes()], Ok(Some("二重送信")));
        check(&[b"%E4%BA%8C+1"], Ok(Some("二+1")));
        check(&[b"\xFF"], Err(Kind::Invalid));
        check(&[b"%FF"], Err(Kind::Invalid));
        check(&[b"50%"], Err(Kind::Invalid));
        check(&[b"a%0Ab"], Err(Kind::Invalid));
        check(&[b"a", b"b"], Err(Kind::Invalid));
        check(
            &[&[b'a'; MAX_REASON_CHARS]],
            Ok(Some(&"a".repeat(MAX_REASON_CHARS))),
        );
        check(&[&[b'a'; MAX_REASON_CHARS + 1]], Err(Kind::Invalid));
    }

    #[test]
    fn x02_a_code_that_is_none_is_told_from_one_that_is_not_known() {
        let kind = |text| rejected_for(text).map_err(|error| error.kind());
        assert_eq!(kind("113001^DCM"), Ok(RejectCode::Quality));
        for text in ["113001", "^DCM", "113001^", ""] {
            assert_eq!(kind(text), Err(Kind::Invalid), "{text}");
        }
        for text in ["113000^DCM", "113001^SRT", "113001^DCM^1"] {
            assert_eq!(kind(text), Err(Kind::Unprocessable), "{text}");
        }
    }
}
