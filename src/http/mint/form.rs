//! The form in which documents and items come (MINT 9.1): read part by part, in the names of every client that is known.

use std::collections::HashMap;
use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, web};

use crate::archive::Place;
use crate::archive::mint::arrival::{Arrival, Written};
use crate::auth::StoreGrant;
use crate::dicom::mint::Form;
use crate::error::{Error, Kind, Result};
use crate::http::Kura;
use crate::http::expand::{self, Body, Coding};
use crate::http::media_type::MediaType;
use crate::http::multipart::{Event, Headers, Reader};
use crate::model::StudyId;

/// The longest boundary (RFC 2046 ends at 70 characters; some senders do not).
const LONGEST_BOUNDARY: usize = 200;

/// The fields that are read, and their longest value in bytes.
const STUDY: &str = "studyUUID";
const VERSION: &str = "oldVersion";
const LONGEST_FIELD: usize = 256;

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

/// A form on its way in.
pub(super) struct Incoming {
    reader: Reader,
    body: Body,
    parts: usize,
}

/// What form fields say of an update. Others say nothing (MINT U06).
#[derive(Debug, Default)]
pub(super) struct Fields {
    said: HashMap<&'static str, Vec<u8>>,
}

impl Incoming {
    /// A form whose sender may store, with its place among those who do.
    ///
    /// # Errors
    /// `Kind::Invalid` if the body is no form, `Kind::TooLarge` if it says that it is longer than is taken (MINT X14, X18).
    pub(super) async fn open(
        kura: &Kura,
        grant: &StoreGrant,
        request: &HttpRequest,
        body: web::Payload,
    ) -> Result<(Self, Place)> {
        let headers = request.headers();
        let reader = Reader::new(&boundary(headers)?);
        let coding = Coding::of(headers)?;
        let own = grant.facility().policy.max_request_bytes;
        let limits = kura.archive.limits();
        let limit = expand::limit(headers, coding, &limits, own)?;
        let place = kura.archive.admit(grant).await?;
        let idle = Duration::from_secs(limits.body_idle_s);
        let form = Self {
            reader,
            body: Body::new(body, coding, limit, idle)?,
            parts: limits.parts,
        };
        Ok((form, place))
    }

    /// Hands files on as they arrive, and gives the fields (MINT U03).
    ///
    /// # Errors
    /// What is wrong with the body.
    pub(super) async fn receive(mut self, arrival: &mut Arrival) -> Result<Fields> {
        let (mut left, mut files) = (self.parts, 0_u32);
        let (mut fields, mut open) = (Fields::default(), None);
        loop {
            match self.reader.next_event()? {
                Event::Part(_) if left == 0 => {
                    let most = self.parts;
                    let detail = format!("more than the {most} parts that a request may have");
                    return Err(Error::new(Kind::TooLarge, detail));
                }
                Event::Part(headers) => {
                    left -= 1;
                    open = match disposition(&headers) {
                        Some((name, Some(file_name))) => {
                            let names = (name.as_str(), file_name.as_str());
                            start(arrival, &headers, names, &mut files)?;
                            None
                        }
                        Some((name, None)) => fields.start(&name)?,
                        None => None,
                    };
                }
                Event::Data(bytes) => match open {
                    Some(field) => fields.add(field, &bytes)?,
                    None => arrival.data(&bytes).await,
                },
                Event::PartEnd => arrival.end().await,
                Event::NeedMore => {
                    let Some(chunk) = self.body.next().await? else {
                        self.reader.finish()?;
                        break;
                    };
                    self.reader.push(chunk);
                }
                Event::End => {
                    // What follows the last boundary.
                    while self.body.next().await?.is_some() {}
                    break;
                }
            }
        }
        if files == 0 {
            return Err(Error::invalid("no part is a file"));
        }
        Ok(fields)
    }
}

impl Fields {
    /// A field begins; gives its name if it is one of those that are read.
    fn start(&mut self, name: &str) -> Result<Option<&'static str>> {
        let Some(name) = [STUDY, VERSION].into_iter().find(|it| *it == name) else {
            return Ok(None);
        };
        if self.said.insert(name, Vec::new()).is_some() {
            return Err(Error::invalid(format!("the field {name} came twice")));
        }
        Ok(Some(name))
    }

    fn add(&mut self, name: &'static str, bytes: &[u8]) -> Result<()> {
        let said = self.said.entry(name).or_default();
        if said.len().saturating_add(bytes.len()) > LONGEST_FIELD {
            return Err(Error::invalid(format!("the field {name} is too long")));
        }
        said.extend_from_slice(bytes);
        Ok(())
    }

    fn text(&self, name: &str) -> Result<&str> {
        let said = self.said.get(name);
        let said = said.ok_or_else(|| Error::invalid(format!("the field {name} is missing")))?;
        let text = std::str::from_utf8(said);
        Ok(text.map_or("?", str::trim))
    }

    /// The study that is to be changed, and the version that the sender has seen; `None` for none (MINT U30, X15).
    ///
    /// # Errors
    /// `Kind::Invalid` where one of them is missing or is no number, `Kind::NotFound` where the study's name is no UUID.
    pub(super) fn of_update(&self) -> Result<(StudyId, Option<u64>)> {
        let (study, version) = (self.text(STUDY)?, self.text(VERSION)?);
        let number = match version {
            "" => None,
            text => {
                let number: i64 = text.parse().map_err(|_| {
                    Error::invalid(format!("the field {VERSION} is to be a number"))
                })?;
                u64::try_from(number).ok()
            }
        };
        let study = study.parse().map_err(|_| Error::not_found())?;
        Ok((StudyId(study), number))
    }
}

/// A file begins: the first is the document.
fn start(
    arrival: &mut Arrival,
    headers: &Headers,
    (name, file_name): (&str, &str),
    files: &mut u32,
) -> Result<()> {
    let before = files.checked_sub(1);
    *files = files.saturating_add(1);
    match before {
        Some(before) => arrival.start_item(number(name, file_name).unwrap_or(before))?,
        None => match written(file_name, headers.content_type()) {
            Some(written) => arrival.start_document(written),
            None => arrival.fail(Error::new(
                Kind::Unprocessable,
                "the first file is neither XML nor protobuf by its name or type",
            )),
        },
    }
    Ok(())
}

/// The name of a part and, where it is a file, that of the file.
fn disposition(headers: &Headers) -> Option<(String, Option<String>)> {
    let value = headers.get("content-disposition")?;
    // It is written like a media type without its first half.
    let disposition = MediaType::parse(&format!("part/{value}"))?;
    let file_name = disposition.parameter("filename").map(str::to_owned);
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
