//! Documents: metadata in each encoding, the summary, and the document of a change (MINT 5.2, 5.3, 7.3).

use std::io::Read as _;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, get, web};
use bytes::Bytes;
use flate2::read::GzDecoder;
use futures::stream::{self, StreamExt as _};

use super::XML;
use super::paths::{ChangeNames, FormNames, TypeNames, without_slash};
use super::shapes::{ChangeParams, FormParams, Refused, TypeOfStudyParams, XmlDocument};
use crate::archive::mint::document::{Content, Document};
use crate::archive::stamp::Stamp;
use crate::auth::{DicomRead, OfObject};
use crate::error::{Error, Result};
use crate::http::caller::Caller;
use crate::http::dicomweb::shapes::Binary;
use crate::http::{Kura, compress, conditional, digest, problem, respond};
use crate::index::catalog::Brought;
use crate::model::StudyId;
use crate::storage::digest::{of_stream, sha256};

const GZIP: &str = "application/gzip";
const OCTETS: &str = "application/octet-stream";

/// What a document is inflated in.
const PIECE_BYTES: usize = 64 << 10;

/// How a document leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Encoding {
    content: Content,
    /// As a gzip file.
    is_packed: bool,
}

impl Encoding {
    /// Of summaries, which are XML alone (MINT 5.3).
    const SUMMARY: Self = Self {
        content: Content::Summary,
        is_packed: false,
    };

    /// Of the ending of a path, without its dot (MINT M01 to M05).
    fn of(ending: &str) -> Option<Self> {
        let (content, is_packed) = match ending {
            "" | "xml" => (Content::Xml, false),
            "gz" | "xml.gz" => (Content::Xml, true),
            "gpb" => (Content::Protobuf, false),
            "gpb.gz" => (Content::Protobuf, true),
            _ => return None,
        };
        Some(Self { content, is_packed })
    }
}

/// Retrieve the metadata of a study in XML.
#[utoipa::path(tag = "MINT", operation_id = "retrieveMintMetadata", params(TypeOfStudyParams), responses((status = 200, description = "The document.", body = XmlDocument, content_type = "text/xml"), Refused), security(("bearer" = [])))]
#[get("/studies/{uuid}/{type}/metadata")]
pub(super) async fn metadata(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<TypeNames>,
) -> Result<HttpResponse> {
    let study = names.study()?;
    let wanted = names
        .check_type()
        .map(|()| (Brought::Whole, Encoding::of("")));
    answer(&caller, &kura, &request, study, wanted).await
}

/// Retrieve the metadata of a study in one of its encodings.
#[utoipa::path(tag = "MINT", operation_id = "retrieveMintMetadataAs", params(FormParams), responses((status = 200, description = "The document.", content((XmlDocument = "text/xml"), (Binary = "application/gzip"), (Binary = "application/octet-stream"))), Refused), security(("bearer" = [])))]
#[get("/studies/{uuid}/{type}/metadata.{form}")]
pub(super) async fn metadata_as(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<FormNames>,
) -> Result<HttpResponse> {
    let study = names.study()?;
    let encoding = Encoding::of(&names.form).filter(|_| !names.form.is_empty());
    let wanted = names.check_type().map(|()| (Brought::Whole, encoding));
    answer(&caller, &kura, &request, study, wanted).await
}

/// Retrieve what the metadata of a study say of the study and its series.
#[utoipa::path(tag = "MINT", operation_id = "retrieveMintSummary", params(TypeOfStudyParams), responses((status = 200, description = "The document.", body = XmlDocument, content_type = "text/xml"), Refused), security(("bearer" = [])))]
#[get("/studies/{uuid}/{type}/summary")]
pub(super) async fn summary(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<TypeNames>,
) -> Result<HttpResponse> {
    let study = names.study()?;
    let wanted = names
        .check_type()
        .map(|()| (Brought::Whole, Some(Encoding::SUMMARY)));
    answer(&caller, &kura, &request, study, wanted).await
}

/// The same under its other name.
#[utoipa::path(tag = "MINT", operation_id = "retrieveMintSummaryAs", params(FormParams), responses((status = 200, description = "The document.", body = XmlDocument, content_type = "text/xml"), Refused), security(("bearer" = [])))]
#[get("/studies/{uuid}/{type}/summary.{form}")]
pub(super) async fn summary_as(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<FormNames>,
) -> Result<HttpResponse> {
    let study = names.study()?;
    let encoding = (names.form == "xml").then_some(Encoding::SUMMARY);
    let wanted = names.check_type().map(|()| (Brought::Whole, encoding));
    answer(&caller, &kura, &request, study, wanted).await
}

/// Retrieve the document of a change of a study.
#[utoipa::path(tag = "MINT", operation_id = "retrieveMintChange", params(ChangeParams), responses((status = 200, description = "The document.", content((XmlDocument = "text/xml"), (Binary = "application/gzip"), (Binary = "application/octet-stream"))), Refused), security(("bearer" = [])))]
#[get("/studies/{uuid}/changelog/{change}")]
pub(super) async fn change(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<ChangeNames>,
) -> Result<HttpResponse> {
    let study = names.study()?;
    let (number, ending) = names.change.split_once('.').unwrap_or((&names.change, ""));
    let wanted = number_of(number).map(|number| (Brought::By(number), Encoding::of(ending)));
    answer(&caller, &kura, &request, study, wanted).await
}

/// A change by its number (MINT X10).
fn number_of(text: &str) -> Result<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err(Error::invalid("a change has a number, as in changelog/0"));
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

/// A document of a study. What else is wrong with the request is told to those who see the study.
async fn answer(
    caller: &Caller<OfObject<DicomRead>>,
    kura: &Kura,
    request: &HttpRequest,
    study: StudyId,
    wanted: Result<(Brought, Option<Encoding>)>,
) -> Result<HttpResponse> {
    without_slash(request)?;
    let access = caller.access();
    let study = kura.archive.catalog(&access).mint_study(study).await?;
    let (brought, encoding) = wanted?;
    let encoding = encoding.ok_or_else(Error::not_found)?;
    if let Brought::By(number) = brought
        && number > study.at.version
    {
        return Err(problem::no_such_part(
            "the study has no change of this number",
        ));
    }
    let made = kura
        .archive
        .mint_document(&access, study, (brought, encoding.content));
    let (study, document) = made.await?;
    conditional::made_of(request, &Stamp::of_version(&study.at, &access));
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    let is_digest_wanted = digest::is_wanted(request.headers());
    if encoding.is_packed {
        response.insert_header((CONTENT_TYPE, GZIP));
        if is_digest_wanted {
            promise_packed(&mut response, &document);
        }
        return Ok(response.body(document.gzip));
    }
    let is_text = encoding.content != Content::Protobuf;
    response.insert_header((CONTENT_TYPE, if is_text { XML } else { OCTETS }));
    // It is compressed already for those who take that (MINT Z13).
    let zstd = compress::weight(request.headers(), "zstd");
    let gzip = compress::weight(request.headers(), "gzip");
    if gzip > 0.0 && (gzip >= zstd || !is_text) {
        response.insert_header((CONTENT_ENCODING, "gzip"));
        if is_digest_wanted {
            promise_packed(&mut response, &document);
        }
        return Ok(response.body(document.gzip));
    }
    if is_digest_wanted {
        let whole = inflated(document.clone());
        digest::promise(&mut response, of_stream(whole));
    }
    let len = document.len;
    respond::sized(&mut response, len, inflated(document).boxed()).await
}

/// Promises the digest of a document as it is kept.
fn promise_packed(response: &mut HttpResponseBuilder, document: &Document) {
    let gzip = document.gzip.clone();
    digest::promise(response, async move { Ok(sha256(&gzip)) });
}

/// A document as it is, piece by piece.
pub(super) fn inflated(document: Document) -> impl futures::Stream<Item = Result<Bytes>> + Send {
    let reader = GzDecoder::new(std::io::Cursor::new(document.gzip));
    stream::try_unfold(reader, |mut reader| async move {
        let mut piece = vec![0; PIECE_BYTES];
        let mut filled = 0;
        while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let read = reader.read(rest);
            match read.map_err(|e| Error::internal("a kept document cannot be inflated", e))? {
                0 => break,
                read => filled += read,
            }
        }
        piece.truncate(filled);
        Ok((filled > 0).then(|| (Bytes::from(piece), reader)))
    })
}
