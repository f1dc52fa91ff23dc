//! Pictures of frames: one, several in parts, or as a film.

use std::sync::Arc;

use actix_web::HttpResponse;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};

use super::resource::{GIF, JPEG, PNG, Resource, part, picture_type};
use super::shown::Shown;
use crate::archive::Archive;
use crate::archive::render::Rendering;
use crate::archive::walk::Walk;
use crate::auth::Access;
use crate::dicom::render::{Film, Picture, PictureType, Wish};
use crate::error::{Error, Kind, Result};
use crate::http::accept::{Accept, Offer};
use crate::http::respond::Part;
use crate::http::urls::Urls;
use crate::http::{problem, respond};
use crate::index::catalog::Scope;
use crate::model::{FrameList, InstancePath};

impl Resource<'_> {
    /// The frames of a list, or the instance as a whole: the frame that stands for it as one picture, all of them in parts or
    /// as a film (G02, G14).
    pub(super) async fn pictures(
        &self,
        accept: &Accept,
        rendering: Rendering,
        frames: Option<&FrameList>,
        wish: &Wish,
    ) -> Result<HttpResponse> {
        let (middle, frame_ms) = rendering.overview()?;
        let indexes = match frames {
            Some(list) => indexes(list, rendering.frames())?,
            None => (0..rendering.frames()).collect(),
        };
        let one = match (frames, indexes.as_slice()) {
            (Some(_), [one]) => Some(*one),
            (Some(_), _) => None,
            (None, _) => Some(middle),
        };
        let (in_parts, moving) = (
            [Offer::multipart(JPEG), Offer::multipart(PNG)],
            Offer::single(GIF),
        );
        let mut offers = match one {
            Some(_) => vec![
                Offer::single(JPEG),
                Offer::single(PNG),
                moving,
                in_parts[0],
                in_parts[1],
            ],
            None => vec![in_parts[0], in_parts[1], moving],
        };
        offers.retain(|offer| !(self.is_single && offer.is_multipart));
        let offer = *accept.choose(&offers)?;
        if offer.media_type == GIF && wish.profile.is_some() {
            return Err(Error::invalid(
                "image/gif has no room for a colour profile; iccprofile=no",
            ));
        }
        let state = rendering.state();
        let shown = format!("{offer} {indexes:?} {one:?} {wish:?} {state:?}");
        let tag = Self::tag(rendering.instance(), &shown);
        if let Some(answer) = self.not_modified(&tag, wish) {
            return Ok(answer);
        }
        let kind = picture_type(offer.media_type, wish);
        match one {
            _ if offer.is_multipart => self.in_parts(rendering, indexes, wish, kind).await,
            Some(frame) if kind != PictureType::Gif || indexes.len() == 1 => {
                let file = rendering.file(frame, wish, kind).await?;
                self.file((&tag, wish), offer.content_type(), file.into())
                    .await
            }
            Some(_) | None => self.film(rendering, indexes, wish, frame_ms).await,
        }
    }

    async fn in_parts(
        &self,
        rendering: Rendering,
        indexes: Vec<u32>,
        wish: &Wish,
        kind: PictureType,
    ) -> Result<HttpResponse> {
        let mut response = self.begin(wish);
        let path = path_of(&rendering);
        let (urls, wish) = (self.urls.clone(), wish.clone());
        let parts = stream::iter(indexes).then(move |index| {
            let (rendering, wish) = (rendering.clone(), wish.clone());
            let location = format!("{}/rendered", urls.frame(&path, index.saturating_add(1)));
            async move {
                let file = rendering.file(index, &wish, kind).await?;
                Ok(part(kind.media_type(), location, file.into()))
            }
        });
        respond::multipart((self.request, &mut response), kind.media_type(), parts).await
    }

    /// The frames one after the other, written as they are made.
    async fn film(
        &self,
        rendering: Rendering,
        indexes: Vec<u32>,
        wish: &Wish,
        frame_ms: f64,
    ) -> Result<HttpResponse> {
        let mut indexes = indexes.into_iter();
        let first = indexes.next().ok_or_else(Error::not_found)?;
        // The first one tells the size, and whether it can be done at all.
        let first = rendering.picture(first, wish).await?;
        let reel = Film::new(first.width, first.height, frame_ms)?;
        let mut response = self.begin(wish);
        response.content_type(GIF);
        let showing = Showing {
            rendering,
            wish: wish.clone(),
            first: Some(first),
            indexes,
        };
        Ok(response.streaming(showing.pieces(reel)))
    }

    /// Every instance of a study or series that has a picture, in the order of Q90.
    pub(super) async fn all_instances(
        &self,
        scope: Scope,
        wish: Wish,
        kind: PictureType,
    ) -> Result<HttpResponse> {
        let mut response = self.begin(&wish);
        let going = Going {
            instances: self.archive().walk(self.access, scope).await?,
            archive: self.archive().clone(),
            access: Arc::clone(self.access),
            urls: self.urls.clone(),
            wish,
            kind,
        };
        let parts = stream::try_unfold(going, async |mut going| {
            let part = going.next().await?;
            Ok::<_, Error>(part.map(|part| (part, going)))
        });
        respond::multipart((self.request, &mut response), kind.media_type(), parts).await
    }
}

/// Frames from 0; all of them, or none is shown (F05, F06).
fn indexes(list: &FrameList, frames: u32) -> Result<Vec<u32>> {
    let beyond: Vec<String> = list
        .numbers()
        .iter()
        .filter(|number| **number > frames)
        .take(20)
        .map(ToString::to_string)
        .collect();
    if !beyond.is_empty() {
        let detail = format!(
            "frame {} asked, the instance has {frames}",
            beyond.join(", ")
        );
        return Err(problem::no_such_part(detail));
    }
    Ok(list.numbers().iter().map(|number| number - 1).collect())
}

fn path_of(rendering: &Rendering) -> InstancePath {
    let instance = rendering.instance();
    InstancePath {
        study: instance.study.clone(),
        series: instance.series.clone(),
        instance: instance.instance.clone(),
    }
}

/// A film that is being shown.
struct Showing {
    rendering: Rendering,
    wish: Wish,
    first: Option<Picture>,
    indexes: std::vec::IntoIter<u32>,
}

impl Showing {
    fn pieces(self, film: Film) -> impl Stream<Item = Result<Bytes>> {
        stream::try_unfold(Some((self, film)), async |state| {
            let Some((mut showing, mut film)) = state else {
                return Ok(None);
            };
            let Some(picture) = showing.next().await? else {
                return Ok(Some((Bytes::from(film.end()), None)));
            };
            // Choosing colours takes a while.
            let archive = showing.rendering.archive().clone();
            film = archive
                .compute(move || film.add(&picture).map(|()| film))
                .await??;
            let piece = Bytes::from(film.take());
            Ok::<_, Error>(Some((piece, Some((showing, film)))))
        })
    }

    async fn next(&mut self) -> Result<Option<Picture>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        match self.indexes.next() {
            Some(index) => self.rendering.picture(index, &self.wish).await.map(Some),
            None => Ok(None),
        }
    }
}

/// A study or series on its way out.
struct Going {
    instances: Walk,
    archive: Archive,
    access: Arc<Access>,
    urls: Urls,
    wish: Wish,
    kind: PictureType,
}

impl Going {
    /// The next picture. What has none is passed over, and so is what no decoder can make one of: a picture that is missing
    /// says less wrong than an answer that breaks off.
    async fn next(&mut self) -> Result<Option<Part>> {
        while let Some(instance) = self.instances.next().await? {
            let instance = Arc::new(instance);
            let shown = Shown::of(&self.archive, &self.access, &instance).await?;
            let Shown::Image(rendering) = shown else {
                continue;
            };
            let (middle, _) = rendering.overview()?;
            match rendering.file(middle, &self.wish, self.kind).await {
                Ok(file) => {
                    let location = self.urls.instance(&path_of(&rendering));
                    let part = part(
                        self.kind.media_type(),
                        format!("{location}/rendered"),
                        file.into(),
                    );
                    return Ok(Some(part));
                }
                Err(error) if error.kind() == Kind::NotAcceptable => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
