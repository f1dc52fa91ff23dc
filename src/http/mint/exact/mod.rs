//! The exact form: the stored objects themselves, bit for bit, a study in one stream (MINT 16.6), and uploads of it that
//! survive a broken line (MINT 16.7).

mod layout;
pub mod manifest;
mod objects;
mod offers;
mod packed;
mod receipts;
mod receive;
mod retrieve;
mod shapes;
mod uploads;

use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, web};
use utoipa_actix_web::service_config::ServiceConfig;

pub(in crate::http) use self::objects::admit;
use crate::error::Result;
use crate::http::expand::{Body, Coding};
use crate::http::{Kura, problem};

/// The media type of a study in the exact form.
const TAR: &str = "application/x-tar";

/// The longest manifest, in bytes: a hundred thousand objects with the longest UIDs there are.
const MANIFEST_BYTES: u64 = 40 << 20;

/// The name of the manifest, which is the first file of a tar file.
const MANIFEST: &str = "manifest.json";

/// Reads a body of JSON, up to `limit` bytes expanded.
///
/// # Errors
/// `Kind::UnsupportedType` for another media type, `Kind::TooLarge` beyond the limit, `Kind::Invalid` where it breaks off.
async fn json(
    kura: &Kura,
    request: &HttpRequest,
    body: web::Payload,
    limit: u64,
) -> Result<Vec<u8>> {
    const JSON: &str = "application/json";
    if media_type(request.headers()) != JSON {
        let takes = vec![JSON.to_owned()];
        return Err(problem::unsupported_type("the body is to be JSON", takes));
    }
    let coding = Coding::of(request.headers())?;
    let idle = Duration::from_secs(kura.archive.limits().body_idle_s);
    let mut body = Body::new(body, coding, Some(limit), idle)?;
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// The media type of a body, without parameters and in lower case.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next());
    media_type.unwrap_or_default().trim().to_ascii_lowercase()
}

/// Hangs the routes in.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(retrieve::retrieve)
        .service(retrieve::retrieve_named)
        .service(offers::offer)
        .service(objects::send)
        .service(uploads::begin)
        .service(uploads::show)
        .service(uploads::go_on)
        .service(uploads::give_up)
        .service(receipts::show);
}
