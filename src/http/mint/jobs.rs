//! Jobs: a study that comes as a document and its items, and how that stands (MINT 9.1 to 9.3).

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, LOCATION};
use actix_web::{HttpRequest, HttpResponse, get, post, web};

use super::paths::JobNames;
use super::shapes::{Documents, JobParams, Refused, WaitParams};
use super::xml;
use crate::archive::mint::create::{Creation, Written};
use crate::auth::{DicomWrite, OfObject};
use crate::dicom::mint::Form;
use crate::dicom::mint::answers::{self, JobOutcome, JobStatus};
use crate::error::{Error, Kind, Result};
use crate::http::Kura;
use crate::http::caller::Caller;
use crate::http::dicomweb::shapes::Binary;
use crate::http::expand::{self, Body, Coding};
use crate::http::media_type::MediaType;
use crate::http::multipart::{Event, Headers, Reader};
use crate::http::wait;

/// The longest boundary (RFC 2046 ends at 70 characters; some senders do not).
const LONGEST_BOUNDARY: usize = 200;

/// Make a study of a document and its binary items. The answer leads to the job, which has ended by then.
#[utoipa::path(
    tag = "MINT", operation_id = "createMintStudy",
    request_body(
        content((Binary = "multipart/form-data")),
        description = "Files: the document first, as XML or protobuf, packed with gzip or not; then its items, called binary0, binary1 and so on"
    ),
    responses((status = 303, description = "Location is that of the job"), Refused),
    security(("bearer" = []))
)]
#[post("/jobs/createstudy")]
pub(super) async fn create(
    caller: Caller<DicomWrite>,
    kura: Kura,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse> {
    let grant = caller.may_store_into_own()?;
    let headers = request.headers();
    let reader = Reader::new(&boundary(headers)?);
    let coding = Coding::of(headers)?;
    let own = grant.facility().policy.max_request_bytes;
    let limits = kura.archive.limits();
    let limit = expand::limit(headers, coding, &limits, own)?;
    let place = kura.archive.admit(&grant).await?;
    let urls = kura.urls(&request);
    let idle = Duration::from_secs(limits.body_idle_s);
    let body = Body::new(body, coding, limit, idle)?;
    let mut creation = kura.archive.create_study(grant, urls.root()).await?;
    let job = creation.job();
    let work = async {
        let read = receive(&mut creation, reader, body, limits.parts).await;
        if let Err(error) = &read {
            creation.fail(Error::new(error.kind(), error.detail().to_owned()));
        }
        creation.finish(place).await?;
        match read {
            // Where it could not be told before the body, the job tells it (MINT X18).
            Err(error) if error.kind() == Kind::TooLarge => Ok(()),
            read => read,
        }
    };
    tokio::select! {
        done = work => done?,
        error = kura.archive.hold_creation(job) => return Err(error),
    }
    let mut response = HttpResponse::build(StatusCode::SEE_OTHER);
    response.insert_header((LOCATION, format!("{}/jobs/status/{job}", urls.mint())));
    Ok(response.finish())
}

/// Show how a job stands; with `Prefer: wait=N` once it is over, or after so many seconds (MINT Z15).
#[utoipa::path(tag = "MINT", operation_id = "showMintJob", params(JobParams, WaitParams), responses(Documents, Refused), security(("bearer" = [])))]
#[get("/jobs/status/{job}")]
pub(super) async fn status(
    caller: Caller<OfObject<DicomWrite>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<JobNames>,
) -> Result<HttpResponse> {
    let (job, catalog) = (names.job()?, kura.archive.catalog(&caller));
    let asked = wait::preferred(request.headers());
    let is_over = |status: &JobStatus| status.outcome != JobOutcome::InProgress;
    let look = async || catalog.mint_job(job).await;
    let status = wait::until(&kura.stopping, asked.unwrap_or_default(), look, is_over).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store"));
    if let Some(time) = asked {
        let applied = format!("wait={}", time.as_secs());
        response.insert_header(("Preference-Applied", applied));
    }
    Ok(xml(&mut response, answers::job_status(&status)))
}

/// The boundary of a form.
fn boundary(headers: &HeaderMap) -> Result<String> {
    let value = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let form = value.and_then(MediaType::parse);
    let form = form.filter(|form| form.is("multipart", "form-data"));
    let boundary = form.as_ref().and_then(|form| form.parameter("boundary"));
    let boundary = boundary.filter(|it| !it.is_empty() && it.len() <= LONGEST_BOUNDARY);
    boundary
        .map(str::to_owned)
        .ok_or_else(|| Error::invalid("the body is to be multipart/form-data with a boundary"))
}

/// Hands files on as they arrive; form fields say nothing here (MINT U03, U06).
///
/// # Errors
/// What is wrong with the body.
async fn receive(
    creation: &mut Creation,
    mut reader: Reader,
    mut body: Body,
    parts: usize,
) -> Result<()> {
    let (mut left, mut files) = (parts, 0_u32);
    loop {
        match reader.next_event()? {
            Event::Part(_) if left == 0 => {
                let detail = format!("more than the {parts} parts that a request may have");
                return Err(Error::new(Kind::TooLarge, detail));
            }
            Event::Part(headers) => {
                left -= 1;
                start(creation, &headers, &mut files)?;
            }
            Event::Data(bytes) => creation.data(&bytes).await,
            Event::PartEnd => creation.end().await,
            Event::NeedMore => {
                let Some(chunk) = body.next().await? else {
                    reader.finish()?;
                    break;
                };
                reader.push(chunk);
            }
            Event::End => {
                // What follows the last boundary.
                while body.next().await?.is_some() {}
                break;
            }
        }
    }
    if files == 0 {
        return Err(Error::invalid("no part is a file"));
    }
    Ok(())
}

/// A part begins: the first file is the document.
fn start(creation: &mut Creation, headers: &Headers, files: &mut u32) -> Result<()> {
    let Some((name, file_name)) = disposition(headers) else {
        return Ok(());
    };
    let before = files.checked_sub(1);
    *files = files.saturating_add(1);
    match before {
        Some(before) => creation.start_item(number(&name, &file_name).unwrap_or(before))?,
        None => match written(&file_name, headers.content_type()) {
            Some(written) => creation.start_document(written),
            None => creation.fail(Error::new(
                Kind::Unprocessable,
                "the first file is neither XML nor protobuf by its name or type",
            )),
        },
    }
    Ok(())
}

/// Name and file name of a file; `None` for what is a form field.
fn disposition(headers: &Headers) -> Option<(String, String)> {
    let value = headers.get("content-disposition")?;
    // It is written like a media type without its first half.
    let disposition = MediaType::parse(&format!("part/{value}"))?;
    let file_name = disposition.parameter("filename")?.to_owned();
    let name = disposition.parameter("name").unwrap_or_default();
    Some((name.to_owned(), file_name))
}

/// How a document is written, by the end of its file name, else by its type (MINT U01).
fn written(file_name: &str, content_type: Option<&str>) -> Option<Written> {
    let name = file_name.to_ascii_lowercase();
    let (name, is_packed) = match name.strip_suffix(".gz") {
        Some(name) => (name, true),
        None => (name.as_str(), false),
    };
    let form = match name.rsplit_once('.') {
        Some((_, "xml")) => Form::Xml,
        Some((_, "gpb")) => Form::Protobuf,
        Some(_) | None => return by_type(content_type?),
    };
    Some(Written { form, is_packed })
}

fn by_type(content_type: &str) -> Option<Written> {
    let of = MediaType::parse(content_type)?;
    let form = if of.is("text", "xml") {
        Form::Xml
    } else if of.is("application", "octet-stream") {
        Form::Protobuf
    } else {
        return None;
    };
    let is_packed = false;
    Some(Written { form, is_packed })
}

/// The number of an item by the name of its part, else by that of its file (MINT U02, U05).
fn number(name: &str, file_name: &str) -> Option<u32> {
    let digits = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number that is too large is one all the same.
        is_number.then(|| text.parse().unwrap_or(u32::MAX))
    };
    let of_name = name.strip_prefix("binary").and_then(digits);
    of_name.or_else(|| file_name.strip_suffix(".dat").and_then(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mint_u01_a_name_or_a_type_tells_how_a_document_is_written() {
        let check = |name, of, expected: Option<(Form, bool)>| {
            let found = written(name, of).map(|it| (it.form, it.is_packed));
            assert_eq!(found, expected, "{name}");
        };
        check("metadata81.xml", None, Some((Form::Xml, false)));
        check("m.XML.GZ", Some("text/plain"), Some((Form::Xml, true)));
        check("m.gpb", Some("text/xml"), Some((Form::Protobuf, false)));
        check("m.gpb.gz", None, Some((Form::Protobuf, true)));
        check(
            "metadata",
            Some("text/xml; charset=UTF-8"),
            Some((Form::Xml, false)),
        );
        let octets = Some("application/octet-stream");
        check("metadata", octets, Some((Form::Protobuf, false)));
        check("metadata", Some("text/plain"), None);
        check("metadata", None, None);
    }

    #[test]
    fn mint_u02_u05_an_item_has_its_number_by_a_name() {
        assert_eq!(number("binary7", "binary8"), Some(7));
        assert_eq!(number("binary007", ""), Some(7));
        assert_eq!(number("binary", "3.dat"), Some(3));
        assert_eq!(number("sendfile", "0.dat"), Some(0));
        assert_eq!(number("binary-1", "binary"), None);
        assert_eq!(number("binary", "x.dat"), None);
        assert_eq!(number("binary99999999999", ""), Some(u32::MAX));
    }
}
