//! Storing data sets with their bulk data beside them (PS3.18 10.5, dicomweb.md T06).

use crate::archive::assemble::{Assembly, Document, Role};
use crate::archive::ingest::{Ingest, Input};
use crate::error::{Error, Kind, Result};
use crate::http::expand::Body;
use crate::http::media_type::MediaType;
use crate::http::multipart::{Event, Headers, Reader};

/// How the data sets of a message are written whose root type is this one; `None` if it carries files.
pub(super) fn document(root_type: &str) -> Option<Document> {
    match root_type {
        "application/dicom+json" | "application/json" => Some(Document::Json),
        "application/dicom+xml" => Some(Document::Xml),
        _ => None,
    }
}

/// Puts aside what arrives, and stores it when it is complete.
///
/// # Errors
/// What is wrong with the body.
pub(super) async fn pump(
    ingest: &mut Ingest,
    mut reader: Reader,
    mut body: Body,
    root: Document,
    most_parts: usize,
) -> Result<()> {
    let mut assembly = Assembly::default();
    let read = receive(&mut assembly, &mut reader, &mut body, root, most_parts).await;
    if let Err(error) = &read {
        // What is too long or cannot be put aside stores nothing; what breaks off is answered for as far as it came (T52).
        if error.kind() == Kind::TooLarge {
            ingest.send(Input::TooLong(error.detail().to_owned())).await;
            return read;
        }
        if error.kind() == Kind::Full {
            return read;
        }
    }
    assembly.deliver(ingest).await?;
    read
}

async fn receive(
    assembly: &mut Assembly,
    reader: &mut Reader,
    body: &mut Body,
    root: Document,
    mut left: usize,
) -> Result<()> {
    while let Some(chunk) = body.next().await? {
        reader.push(chunk);
        loop {
            match reader.next_event()? {
                Event::Part(_) if left == 0 => {
                    let detail = "the store has more parts than it may have";
                    return Err(Error::new(Kind::TooLarge, detail));
                }
                Event::Part(headers) => {
                    left -= 1;
                    assembly.start(role(&headers, root));
                }
                Event::Data(bytes) => assembly.data(&bytes).await?,
                Event::PartEnd => assembly.end(),
                Event::NeedMore => break,
                Event::End => return Ok(()),
            }
        }
    }
    reader.finish()
}

/// What a part is: by its type; where it has none, by whether it has a name.
fn role(headers: &Headers, root: Document) -> Role {
    let media_type = headers.content_type().and_then(MediaType::parse);
    let name = match &media_type {
        Some(media_type) => format!("{}/{}", media_type.main, media_type.sub),
        None => String::new(),
    };
    if let Some(document) = document(&name) {
        return Role::Document(document);
    }
    let Some(location) = headers.content_location() else {
        return Role::Document(root);
    };
    let syntax = media_type
        .as_ref()
        .and_then(|it| it.parameter("transfer-syntax"));
    Role::Bulk {
        location: location.to_owned(),
        transfer_syntax: syntax.map(str::to_owned),
        media_type: name,
    }
}
