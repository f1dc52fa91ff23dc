//! Stored video as it is, with byte ranges: what `<video>` asks for (G01, C20, clients.md).

use std::ops::Range;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG, IF_RANGE, RANGE};

use super::resource::Resource;
use crate::dicom::frames::FrameTable;
use crate::dicom::render::Wish;
use crate::error::Result;
use crate::http::accept::{Accept, Offer};
use crate::http::problem;
use crate::http::respond::{self, Part};
use crate::index::catalog::{Instance, Visible};
use crate::model::TransferSyntax;

const MP4: &str = "video/mp4";

impl Resource<'_> {
    /// The one stream of a video, or the part of it that is asked for.
    pub(super) async fn video(
        &self,
        accept: &Accept,
        instance: Arc<Visible<Instance>>,
        table: &FrameTable,
        wish: &Wish,
    ) -> Result<HttpResponse> {
        let types = media_types(&instance.transfer_syntax_uid);
        let offers: Vec<Offer<'_>> = types.iter().map(|it| Offer::single(it)).collect();
        let offer = *accept.choose(&offers)?;
        let whole = table
            .part(0)
            .ok_or_else(|| problem::no_such_part("the video is empty"))?;
        let tag = Self::tag(&instance, offer.media_type);
        if let Some(answer) = self.not_modified(&tag, wish) {
            return Ok(answer);
        }
        let len = whole.len();
        let range = self.range(&tag, len)?;
        let place = match &range {
            Some(range) => whole.slice(range.clone()),
            None => Some(whole),
        };
        let place = place.ok_or_else(|| problem::bad_range(len))?;
        let mut response = self.begin(wish);
        response
            .insert_header((ACCEPT_RANGES, "bytes"))
            .insert_header((ETAG, tag));
        if let Some(range) = range {
            response.status(StatusCode::PARTIAL_CONTENT);
            let last = range.end.saturating_sub(1);
            let said = format!("bytes {}-{last}/{len}", range.start);
            response.insert_header((CONTENT_RANGE, said));
        }
        let frames = self
            .archive()
            .frames(Arc::clone(self.access), instance, [&place]);
        let part = Part {
            content_type: offer.content_type(),
            location: self.location.clone(),
            len: place.len(),
            bytes: frames.frame(&place),
        };
        respond::single(&mut response, part).await
    }

    /// The range of bytes that is asked for: the first one of a list; none where the caller has another representation.
    fn range(&self, tag: &str, len: u64) -> Result<Option<Range<u64>>> {
        let header = |name| self.request.headers().get(name)?.to_str().ok();
        if header(IF_RANGE).is_some_and(|given| given != tag) {
            return Ok(None);
        }
        match header(RANGE).and_then(|text| text.trim().strip_prefix("bytes=")) {
            None => Ok(None),
            Some(list) => match first_range(list, len) {
                Some(range) if range.is_empty() => Err(problem::bad_range(len)),
                found => Ok(found),
            },
        }
    }
}

/// The first range of a list in a body of `len` bytes: empty where it lies outside, `None` where it cannot be read.
fn first_range(list: &str, len: u64) -> Option<Range<u64>> {
    let (from, to) = list.split(',').next()?.trim().split_once('-')?;
    if from.is_empty() {
        let suffix: u64 = to.parse().ok()?;
        return Some(len.saturating_sub(suffix)..len);
    }
    let from: u64 = from.parse().ok()?;
    let to = if to.is_empty() {
        u64::MAX
    } else {
        to.parse().ok()?
    };
    if from > to {
        return None;
    }
    Some(from.min(len)..to.saturating_add(1).min(len))
}

/// What a stored video may be called. A browser plays H.265 as MP4 or not at all.
fn media_types(transfer_syntax: &str) -> Vec<&'static str> {
    let stored =
        TransferSyntax::of(transfer_syntax).map_or("application/octet-stream", |it| it.media_type);
    match stored {
        "video/H265" => vec![MP4, stored],
        _ => vec![stored],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c20_the_first_range_counts() {
        for (list, expected) in [
            ("0-", Some(0..10)),
            ("0-3", Some(0..4)),
            ("2-99", Some(2..10)),
            ("-3", Some(7..10)),
            ("-99", Some(0..10)),
            ("4-4, 6-7", Some(4..5)),
            ("10-", Some(10..10)),
            ("-0", Some(10..10)),
            ("3-2", None),
            ("x", None),
            ("", None),
            ("-", None),
            ("99999999999999999999-", None),
        ] {
            assert_eq!(first_range(list, 10), expected, "{list}");
        }
    }
}
