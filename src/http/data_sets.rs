//! Data sets on their way out: DICOM JSON, or XML (PS3.18 8.7.3, dicomweb.md R01 to R06, R10, R18).

use bytes::Bytes;
use futures::stream::{self, StreamExt};

use super::accept::{Accept, Offer};
use super::respond::Part;
use crate::dicom::xml;
use crate::error::{Error, Result};

/// The media type of DICOM JSON, without a charset: clients compare the whole text (J24).
pub const DICOM_JSON: &str = "application/dicom+json";
/// What some clients ask for in its place (N18).
const JSON: &str = "application/json";
/// The media type of the Native DICOM Model.
pub const DICOM_XML: &str = "application/dicom+xml";

/// How data sets leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As JSON under this media type.
    Json(&'static str),
    /// As XML, one document a part.
    Parts,
    /// As one XML document.
    Xml,
}

/// How many data sets there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// As many as there are: XML is a message of parts.
    Many,
    /// One, which may also leave as a document alone.
    One,
    /// One by its nature: an answer to a store has no parts.
    Answer,
}

/// The form that a caller takes.
///
/// # Errors
/// `Kind::NotAcceptable` if there is none.
pub fn form(accept: &Accept, count: Count) -> Result<Form> {
    let mut offers = vec![Offer::single(DICOM_JSON), Offer::single(JSON)];
    if count != Count::Answer {
        offers.push(Offer::multipart(DICOM_XML));
    }
    if count != Count::Many {
        offers.push(Offer::single(DICOM_XML));
    }
    let offer = accept.choose(&offers)?;
    Ok(match (offer.is_multipart, offer.media_type) {
        (true, _) => Form::Parts,
        (false, DICOM_XML) => Form::Xml,
        (false, JSON) => Form::Json(JSON),
        (false, _) => Form::Json(DICOM_JSON),
    })
}

/// A data set that was made here as JSON, as an XML document.
///
/// # Errors
/// `Kind::Internal` if it is no data set.
pub fn document(json: &[u8]) -> Result<Vec<u8>> {
    let broken = |cause| Error::internal("a data set cannot be written as XML", cause);
    let json = std::str::from_utf8(json);
    let json = json.map_err(|cause| Error::internal("a data set is no text", cause))?;
    let mut out = Vec::with_capacity(json.len().saturating_mul(2));
    xml::of_json(json, &mut out).map_err(broken)?;
    Ok(out)
}

/// The same as a part at `location`, which may be empty.
///
/// # Errors
/// As [`document`].
pub fn part(json: &[u8], location: String) -> Result<Part> {
    let document = document(json)?;
    Ok(Part {
        content_type: DICOM_XML.to_owned(),
        location,
        len: document.len() as u64,
        bytes: stream::iter([Ok(Bytes::from(document))]).boxed(),
    })
}
