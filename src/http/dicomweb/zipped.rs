//! Instances as one zip archive (dicomweb.md W07): each file as it is stored, under `<series number>/<SOP Instance UID>.dcm`.

use std::sync::Arc;

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use crate::archive::Archive;
use crate::archive::guard::Pace;
use crate::archive::walk::Walk;
use crate::auth::Access;
use crate::dicom::query::decode::pairs;
use crate::error::{Error, Kind, Result};
use crate::http::zip::Zip;
use crate::http::{Kura, respond};
use crate::index::catalog::{Instance, Scope};

/// Its media type.
pub(super) const ZIP: &str = "application/zip";

/// What `scope` names as an archive.
pub(super) async fn answer(
    kura: &Kura,
    access: Arc<Access>,
    request: &HttpRequest,
    scope: Scope,
) -> Result<HttpResponse> {
    let wants_directory =
        pairs(request.query_string()).any(|(name, value)| name == "dicomdir" && value != "false");
    if wants_directory {
        let detail = "archives without a DICOMDIR are made; leave dicomdir out";
        return Err(Error::new(Kind::NotImplemented, detail));
    }
    let name = scope
        .series
        .as_ref()
        .map_or_else(|| scope.study.to_string(), ToString::to_string);
    let instances = kura.archive.walk(&access, scope).await?;
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    let mut bytes = Packing {
        archive: kura.archive.clone(),
        access,
        instances,
        pace: Pace::default(),
        zip: Some(Zip::default()),
    }
    .bytes()
    .boxed();
    // Waited for, so that a store which is away is told by the status (S24).
    let first = bytes.try_next().await?;
    response.content_type(ZIP).insert_header((
        CONTENT_DISPOSITION,
        format!("attachment; filename=\"{name}.zip\""),
    ));
    Ok(response.streaming(stream::iter(first.map(Ok)).chain(bytes)))
}

/// An archive on its way.
struct Packing {
    archive: Archive,
    access: Arc<Access>,
    instances: Walk,
    pace: Pace,
    zip: Option<Zip>,
}

/// Where it is.
enum At {
    /// Between two files.
    Between(Packing),
    /// In one, of which this is left.
    Within(Packing, crate::archive::retrieve::ByteStream),
}

impl Packing {
    fn bytes(self) -> impl Stream<Item = Result<Bytes>> {
        let steps = stream::try_unfold(At::Between(self), |at| async move {
            match at {
                At::Between(packing) => packing.begin().await,
                At::Within(packing, file) => packing.go_on(file).await,
            }
        });
        steps
            .map_ok(|bytes: Vec<Bytes>| stream::iter(bytes.into_iter().map(Ok)))
            .try_flatten()
    }

    async fn begin(mut self) -> Result<Option<(Vec<Bytes>, At)>> {
        let Some(zip) = &mut self.zip else {
            return Ok(None);
        };
        let Some(instance) = self.instances.next().await? else {
            let end = self.zip.take().map(Zip::finish);
            return Ok(Some((end.into_iter().collect(), At::Between(self))));
        };
        let instance = Arc::new(instance);
        let head = zip.begin(&name(&instance), instance.byte_count);
        let file = self.archive.file(&self.access, &instance, &self.pace);
        Ok(Some((vec![head], At::Within(self, file))))
    }

    async fn go_on(
        mut self,
        mut file: crate::archive::retrieve::ByteStream,
    ) -> Result<Option<(Vec<Bytes>, At)>> {
        let Some(zip) = &mut self.zip else {
            return Ok(None);
        };
        Ok(Some(match file.try_next().await? {
            Some(piece) => (zip.data(piece), At::Within(self, file)),
            None => (vec![zip.end()], At::Between(self)),
        }))
    }
}

fn name(instance: &Instance) -> String {
    let series = instance
        .series_number
        .map_or_else(|| "series".to_owned(), |number| number.to_string());
    format!("{series}/{}.dcm", instance.instance)
}
