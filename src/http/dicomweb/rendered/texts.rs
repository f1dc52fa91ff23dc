//! What is read instead of looked at: structured reports as text, documents as they are (G13, G18).

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::ETAG;

use super::resource::Resource;
use crate::dicom::bulk::BulkPath;
use crate::dicom::render::Wish;
use crate::dicom::render::report::Report;
use crate::error::Result;
use crate::http::accept::{Accept, Offer};
use crate::http::problem;
use crate::http::respond::{self, Part};
use crate::index::catalog::{Instance, Visible};

const HTML: &str = "text/html";
const PLAIN: &str = "text/plain";

impl Resource<'_> {
    /// A structured report.
    pub(super) async fn report(
        &self,
        accept: &Accept,
        instance: Arc<Visible<Instance>>,
        wish: &Wish,
    ) -> Result<HttpResponse> {
        let offer = *accept.choose(&[Offer::single(HTML), Offer::single(PLAIN)])?;
        let tag = Self::tag(&instance, offer.media_type);
        if let Some(answer) = self.not_modified(&tag, wish) {
            return Ok(answer);
        }
        let head = self.archive().head(&instance).await?;
        let is_html = offer.media_type == HTML;
        let making = move || {
            let report = Report::read(&head)?;
            Ok(if is_html {
                report.html()
            } else {
                report.plain()
            })
        };
        let text: Result<String> = self.archive().compute(making).await?;
        self.file((&tag, wish), offer.content_type(), text?.into())
            .await
    }

    /// An encapsulated document.
    pub(super) async fn document(
        &self,
        accept: &Accept,
        instance: Arc<Visible<Instance>>,
        wish: &Wish,
    ) -> Result<HttpResponse> {
        let path = BulkPath::parse("00420011")?;
        let value = self.archive().bulk(self.access, &instance, &path).await?;
        let value = value.ok_or_else(|| problem::no_such_part("the instance holds no document"))?;
        let media_type = value
            .media_type
            .unwrap_or_else(|| "application/octet-stream".to_owned());
        accept.choose(&[Offer::single(&media_type)])?;
        let tag = Self::tag(&instance, &media_type);
        if let Some(answer) = self.not_modified(&tag, wish) {
            return Ok(answer);
        }
        let mut response = self.begin(wish);
        response.insert_header((ETAG, tag));
        let part = Part {
            content_type: media_type,
            location: self.location.clone(),
            len: value.len,
            bytes: value.bytes,
        };
        respond::single(&mut response, part).await
    }
}
