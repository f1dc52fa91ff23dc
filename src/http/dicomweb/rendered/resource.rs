//! One request for something rendered, and the headers that all its answers have.

use std::fmt::Write as _;
use std::sync::Arc;

use actix_web::http::header::{
    CONTENT_DISPOSITION, CROSS_ORIGIN_RESOURCE_POLICY, ETAG, IF_NONE_MATCH, WARNING,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use sha2::{Digest, Sha256};

use super::shown::Shown;
use crate::archive::Archive;
use crate::auth::Access;
use crate::dicom::render::{PictureType, Wish};
use crate::error::Result;
use crate::http::accept::{Accept, Offer};
use crate::http::respond::{self, Part};
use crate::http::urls::Urls;
use crate::http::warning::warning;
use crate::http::{Kura, problem};
use crate::index::catalog::{Instance, Scope, Visible};
use crate::model::FrameList;

pub(super) const JPEG: &str = "image/jpeg";
pub(super) const PNG: &str = "image/png";
pub(super) const GIF: &str = "image/gif";

/// The side of a symbol that stands for a picture.
const SYMBOL_SIDE: u32 = 256;

/// What is asked for.
pub(in crate::http::dicomweb) struct Resource<'a> {
    pub(super) kura: &'a Kura,
    pub(super) access: &'a Arc<Access>,
    pub(super) request: &'a HttpRequest,
    pub(super) urls: Urls,
    pub(super) location: String,
    /// Whether the answer is one body, whatever is accepted (U09).
    pub(super) is_single: bool,
}

impl<'a> Resource<'a> {
    /// What stands at `location`.
    pub(in crate::http::dicomweb) fn new(
        kura: &'a Kura,
        access: &'a Arc<Access>,
        request: &'a HttpRequest,
        location: String,
    ) -> Self {
        Self {
            urls: kura.urls(request),
            kura,
            access,
            request,
            location,
            is_single: false,
        }
    }

    /// The same, answered by one body whatever is accepted.
    #[must_use]
    pub(in crate::http::dicomweb) fn single(mut self) -> Self {
        self.is_single = true;
        self
    }

    pub(super) fn archive(&self) -> &'a Archive {
        &self.kura.archive
    }

    /// An instance, or frames of it, as the query wants it.
    pub(super) async fn rendered(
        &self,
        accept: &Accept,
        instance: Arc<Visible<Instance>>,
        frames: Option<&FrameList>,
    ) -> Result<HttpResponse> {
        let wish = Wish::parse(self.request.query_string())?;
        self.shown(accept, instance, frames, &wish).await
    }

    /// The same, as the caller is known to want it.
    pub(in crate::http::dicomweb) async fn shown(
        &self,
        accept: &Accept,
        instance: Arc<Visible<Instance>>,
        frames: Option<&FrameList>,
        wish: &Wish,
    ) -> Result<HttpResponse> {
        let shown = Shown::of(self.archive(), self.access, &instance).await?;
        self.answer(accept, (instance, shown), frames, wish).await
    }

    /// A study or series: the one instance that stands for it, or all of them in parts for those who ask so (G03).
    pub(super) async fn rendered_of_many(
        &self,
        accept: &Accept,
        scope: Scope,
    ) -> Result<HttpResponse> {
        let catalog = self.archive().catalog(self.access);
        let instance = Arc::new(catalog.representative(&scope).await?);
        let wish = Wish::parse(self.request.query_string())?;
        let shown = Shown::of(self.archive(), self.access, &instance).await?;
        let offers = [
            Offer::single(JPEG),
            Offer::single(PNG),
            Offer::single(GIF),
            Offer::multipart(JPEG),
            Offer::multipart(PNG),
        ];
        let wants_parts = |offer: &Offer<'_>| offer.is_multipart;
        if shown.is_image()
            && let Some(offer) = accept.choose(&offers).ok().filter(|it| wants_parts(it))
        {
            let kind = picture_type(offer.media_type, &wish);
            return self.all_instances(scope, wish, kind).await;
        }
        self.answer(accept, (instance, shown), None, &wish).await
    }

    /// What is shown of an instance.
    pub(super) async fn answer(
        &self,
        accept: &Accept,
        (instance, shown): (Arc<Visible<Instance>>, Shown),
        frames: Option<&FrameList>,
        wish: &Wish,
    ) -> Result<HttpResponse> {
        if frames.is_some() && !shown.is_image() {
            let detail = match shown {
                Shown::Nothing(_, detail) => detail,
                Shown::Video(_) => "a video is one stream without frames; it is shown as a whole",
                Shown::Image(_)
                | Shown::Report
                | Shown::Document
                | Shown::Drawing(_)
                | Shown::Presentation
                | Shown::Symbol(_) => "not an image: the instance has no pixel data",
            };
            return Err(problem::no_such_part(detail));
        }
        match shown {
            Shown::Image(rendering) => self.pictures(accept, *rendering, frames, wish).await,
            Shown::Video(table) => self.video(accept, instance, &table, wish).await,
            Shown::Report => self.report(accept, instance, wish).await,
            Shown::Document => self.document(accept, instance, wish).await,
            Shown::Drawing(drawing) => self.drawing(accept, instance, drawing, wish).await,
            Shown::Presentation => self.presentation(accept, instance, wish).await,
            Shown::Symbol(icon) => {
                let making = move || Ok(icon.picture(SYMBOL_SIDE));
                self.drawn(accept, &instance, wish, making).await
            }
            Shown::Nothing(_, detail) => {
                let forms = vec!["application/dicom".to_owned()];
                Err(problem::not_acceptable(detail, forms))
            }
        }
    }

    /// The beginning of an answer: rights may change, other pages may embed it, and it shows itself (G17, G18).
    pub(super) fn begin(&self, wish: &Wish) -> HttpResponseBuilder {
        let mut response = HttpResponse::Ok();
        respond::object_headers(&mut response);
        response
            .insert_header((CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"))
            .insert_header((CONTENT_DISPOSITION, "inline"));
        for text in &wish.warnings {
            response.append_header((WARNING, warning(&self.urls, text)));
        }
        response
    }

    /// The tag of a representation of an instance: its content, its version, and how it is shown (C01).
    pub(super) fn tag(instance: &Instance, shown: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(instance.digest);
        digest.update(instance.instance_version.to_le_bytes());
        digest.update(shown);
        let mut tag = String::from("\"");
        for byte in digest.finalize().iter().take(16) {
            write!(tag, "{byte:02x}").unwrap_or_default();
        }
        tag.push('"');
        tag
    }

    /// The answer for a caller who has this very representation (S07).
    pub(super) fn not_modified(&self, tag: &str, wish: &Wish) -> Option<HttpResponse> {
        let given = self.request.headers().get_all(IF_NONE_MATCH);
        let mut tags = given
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/"));
        tags.any(|given| given == "*" || given == tag).then(|| {
            let mut response = self.begin(wish);
            response.status(actix_web::http::StatusCode::NOT_MODIFIED);
            response.insert_header((ETAG, tag)).finish()
        })
    }

    /// An answer of one file.
    pub(super) async fn file(
        &self,
        (tag, wish): (&str, &Wish),
        content_type: String,
        file: Bytes,
    ) -> Result<HttpResponse> {
        let mut response = self.begin(wish);
        response.insert_header((ETAG, tag));
        let part = part(content_type, self.location.clone(), file);
        respond::single(&mut response, part).await
    }
}

/// A file as a part.
pub(super) fn part(content_type: impl Into<String>, location: String, file: Bytes) -> Part {
    Part {
        content_type: content_type.into(),
        location,
        len: file.len() as u64,
        bytes: stream::iter([Ok(file)]).boxed(),
    }
}

/// The type of picture of a media type that was offered.
pub(super) fn picture_type(media_type: &str, wish: &Wish) -> PictureType {
    match media_type {
        PNG => PictureType::Png,
        GIF => PictureType::Gif,
        _ => PictureType::Jpeg(wish.quality),
    }
}
