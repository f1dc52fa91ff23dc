//! WADO-URI: one object by a query (PS3.18 chapter 9, dicomweb.md section 10).

use std::sync::Arc;

use actix_web::guard::{Guard, GuardContext};
use actix_web::{HttpRequest, HttpResponse, get};

use super::rendered::Resource;
use super::shapes::{Pictures, Refused, UriParams};
use super::wado;
use crate::auth::{DicomRead, OfObject};
use crate::dicom::query::decode::{Plus, decode, pairs};
use crate::dicom::render::scale::MAX_SIDE;
use crate::dicom::render::window::{Function, Window};
use crate::dicom::render::{Viewport, Wish};
use crate::error::{Error, Kind, Result};
use crate::http::Kura;
use crate::http::accept::{Accept, Offer};
use crate::http::caller::Caller;
use crate::http::urls::Urls;
use crate::model::{FrameList, InstancePath, SeriesUid, SopInstanceUid, StudyUid, UidError};

const DICOM: &str = "application/dicom";

/// Retrieve an instance by a query.
#[utoipa::path(tag = "WADO-URI", operation_id = "retrieveByUri", params(UriParams), responses(Pictures, Refused), security(("bearer" = [])))]
#[get("/wado")]
pub(crate) async fn retrieve(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
) -> Result<HttpResponse> {
    answer(caller, kura, accept, request).await
}

/// The same at the root of DICOMweb, where some clients ask (U08); the document of the API does not offer it.
pub(super) async fn answer(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let asked = Asked::parse(request.query_string())?;
    let access = caller.access();
    let study = named(asked.get("studyuid"), StudyUid::parse)?;
    let series = named(asked.get("seriesuid"), SeriesUid::parse)?;
    let object = asked
        .get("objectuid")
        .ok_or_else(|| Error::invalid("objectUID is missing"))?;
    let object = SopInstanceUid::parse(object).map_err(|_| Error::not_found())?;
    let catalog = kura.archive.catalog(&access);
    let instance = catalog
        .instance_by_uid(&object, study.as_ref(), series.as_ref())
        .await?;
    let instance = Arc::new(instance);
    asked.refuse_what_is_not_done()?;
    let path = InstancePath {
        study: instance.study.clone(),
        series: instance.series.clone(),
        instance: instance.instance.clone(),
    };
    let accept = asked.accept(accept)?;
    // What an image is shown as comes first; who names application/dicom, and nothing better, gets the file.
    if Asked::wants_file(&accept) {
        return wado::of_one(&kura, &access, &request, &accept, instance).await;
    }
    let (wish, frames) = (asked.wish()?, asked.frames()?);
    let state = match asked.get("presentationuid") {
        Some(text) => {
            let uid = SopInstanceUid::parse(text).map_err(|_| Error::not_found())?;
            let series = named(asked.get("presentationseriesuid"), SeriesUid::parse)?;
            let study = Some(&instance.study);
            Some(
                catalog
                    .instance_by_uid(&uid, study, series.as_ref())
                    .await?,
            )
        }
        None => None,
    };
    let location = location(&kura.urls(&request), &path);
    let resource = Resource::new(&kura, &access, &request, location).single();
    match state {
        Some(state) => {
            let pair = (instance, state);
            resource
                .presented(&accept, pair, frames.as_ref(), &wish)
                .await
        }
        None => {
            resource
                .shown(&accept, instance, frames.as_ref(), &wish)
                .await
        }
    }
}

/// A UID that is given; one that cannot be names nothing.
fn named<T>(
    text: Option<&str>,
    parse: fn(&str) -> std::result::Result<T, UidError>,
) -> Result<Option<T>> {
    text.map(|text| parse(text).map_err(|_| Error::not_found()))
        .transpose()
}

fn location(urls: &Urls, path: &InstancePath) -> String {
    format!("{}/rendered", urls.instance(path))
}

/// Lets through what asks for an object in its query.
pub(super) struct IsObject;

impl Guard for IsObject {
    fn check(&self, request: &GuardContext<'_>) -> bool {
        let query = request.head().uri.query().unwrap_or_default();
        pairs(query).any(|(name, _)| name.eq_ignore_ascii_case("requesttype"))
    }
}

/// The parameters, names in lower case (U07).
#[derive(Debug)]
pub struct Asked(Vec<(String, String)>);

impl Asked {
    /// Reads them.
    ///
    /// # Errors
    /// `Kind::Invalid` if one stands there twice, or it is no request for an object (U01).
    pub fn parse(raw_query: &str) -> Result<Self> {
        let mut asked = Vec::<(String, String)>::new();
        for (name, value) in pairs(raw_query) {
            let name = name.to_ascii_lowercase();
            if asked.iter().any(|(other, _)| *other == name) {
                return Err(Error::invalid("a parameter is given twice"));
            }
            // Media types hold plus signs.
            let plus = if name == "contenttype" {
                Plus::Itself
            } else {
                Plus::Space
            };
            asked.push((name, decode(value, plus)?));
        }
        let asked = Self(asked);
        match asked.get("requesttype") {
            Some(kind) if kind.eq_ignore_ascii_case("wado") => Ok(asked),
            _ => Err(Error::invalid("requestType is WADO")),
        }
    }

    /// A parameter that has a value.
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// What must not be passed over in silence (U05).
    fn refuse_what_is_not_done(&self) -> Result<()> {
        if self.get("anonymize").is_some() {
            let detail = "nothing is de-identified here; ask without anonymize";
            return Err(Error::new(Kind::NotImplemented, detail));
        }
        if self.get("presentationuid").is_none() && self.get("presentationseriesuid").is_some() {
            return Err(Error::invalid(
                "presentationSeriesUID stands with presentationUID",
            ));
        }
        Ok(())
    }

    /// What is accepted: `contentType`, else the header (U02); with the transfer syntax for files (U03).
    fn accept(&self, header: Accept) -> Result<Accept> {
        let syntax = self.get("transfersyntax");
        let Some(types) = self.get("contenttype") else {
            return match syntax {
                Some(_) => Err(Error::invalid(
                    "transferSyntax stands with contentType=application/dicom",
                )),
                None => Ok(header),
            };
        };
        let Some(syntax) = syntax else {
            return Ok(Accept::parse(types, ""));
        };
        if !syntax
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'*'))
        {
            return Err(Error::invalid("transferSyntax is a UID or *"));
        }
        let types = types.split(',').map(|element| {
            if element.trim().to_ascii_lowercase().starts_with(DICOM) {
                format!("{element}; transfer-syntax={syntax}")
            } else {
                element.to_owned()
            }
        });
        Ok(Accept::parse(&types.collect::<Vec<_>>().join(","), ""))
    }

    /// Whether the file is wanted and no picture or text.
    fn wants_file(accept: &Accept) -> bool {
        let shown = [
            "image/jpeg",
            "image/png",
            "image/gif",
            "text/html",
            "text/plain",
            "application/pdf",
            "video/mp4",
            "video/mpeg",
        ];
        let mut offers: Vec<Offer<'_>> = shown.iter().map(|it| Offer::single(it)).collect();
        offers.push(Offer::single(DICOM));
        accept
            .choose(&offers)
            .is_ok_and(|offer| offer.media_type == DICOM)
    }

    /// Which frame, from 1; `frame` is what OHIF says (U04).
    ///
    /// # Errors
    /// `Kind::Invalid` unless it is one number.
    pub fn frames(&self) -> Result<Option<FrameList>> {
        let number = self.get("framenumber").or_else(|| self.get("frame"));
        let list = number.map(FrameList::parse).transpose()?;
        match list {
            Some(list) if list.numbers().len() > 1 => {
                Err(Error::invalid("frameNumber is one number"))
            }
            list => Ok(list),
        }
    }

    /// How it is to be shown (U04).
    ///
    /// # Errors
    /// `Kind::Invalid` for a parameter that is malformed.
    pub fn wish(&self) -> Result<Wish> {
        let mut wish = Wish::default();
        if let Some(quality) = self.get("imagequality") {
            wish.quality = whole(quality, 1..=100)
                .ok_or_else(|| Error::invalid("imageQuality is a whole number from 1 to 100"))?;
        }
        wish.window = self.window()?;
        wish.viewport = self.viewport()?;
        if let Some(annotation) = self.get("annotation") {
            wish.annotate(annotation)?;
        }
        if let Some(profile) = self.get("iccprofile") {
            wish.color(profile)?;
        }
        Ok(wish)
    }

    fn window(&self) -> Result<Option<Window>> {
        let number = |name| self.get(name).map(|text| text.parse::<f64>().ok());
        let (center, width) = (number("windowcenter"), number("windowwidth"));
        if center.is_none() && width.is_none() {
            return Ok(None);
        }
        let window = center
            .flatten()
            .zip(width.flatten())
            .map(|(center, width)| Window {
                center,
                width,
                function: Function::Linear,
            });
        let window = window.filter(Window::is_allowed);
        window.map(Some).ok_or_else(|| Error::invalid("windowCenter and windowWidth stand together, both numbers, and the width is at least 1"))
    }

    fn viewport(&self) -> Result<Option<Viewport>> {
        let side = |name: &str| {
            let side = self.get(name).map(|text| whole(text, 1..=MAX_SIDE));
            side.map(|side| {
                side.ok_or_else(|| {
                    Error::invalid(format!("{name} is a whole number from 1 to {MAX_SIDE}"))
                })
            })
            .transpose()
        };
        let (rows, columns) = (side("rows")?, side("columns")?);
        let region = self.get("region").map(region).transpose()?;
        if rows.is_none() && columns.is_none() && region.is_none() {
            return Ok(None);
        }
        let viewport = match (columns, rows) {
            (None, None) => Viewport::natural(),
            (columns, rows) => {
                Viewport::within(columns.unwrap_or(MAX_SIDE), rows.unwrap_or(MAX_SIDE))
            }
        };
        Ok(Some(match region {
            Some(region) => viewport.of_region(region),
            None => viewport,
        }))
    }
}

fn whole<T: std::str::FromStr + PartialOrd>(
    text: &str,
    bounds: std::ops::RangeInclusive<T>,
) -> Option<T> {
    text.parse().ok().filter(|number| bounds.contains(number))
}

/// Left, top, right, bottom in shares of the image.
fn region(text: &str) -> Result<[f64; 4]> {
    let numbers: Option<Vec<f64>> = text
        .split(',')
        .map(|part| part.trim().parse().ok())
        .collect();
    match numbers.as_deref() {
        Some([left, top, right, bottom])
            if (0.0..1.0).contains(left)
                && (0.0..1.0).contains(top)
                && left < right
                && top < bottom
                && *right <= 1.0
                && *bottom <= 1.0 =>
        {
            Ok([*left, *top, *right, *bottom])
        }
        _ => Err(Error::invalid(
            "region is left,top,right,bottom, each from 0 to 1, and not empty",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked> {
        Asked::parse(query)
    }

    #[test]
    fn u01_u07_parameters_have_names_of_any_case() {
        let good =
            asked("REQUESTTYPE=wado&objectuid=1.2&ContentType=application%2Fdicom%2Bjson").unwrap();
        assert_eq!(good.get("objectuid"), Some("1.2"));
        assert_eq!(good.get("contenttype"), Some("application/dicom+json"));
        for bad in [
            "",
            "objectUID=1",
            "requestType=",
            "requestType=XDS",
            "requestType=WADO&objectUID=1&OBJECTUID=2",
        ] {
            assert!(asked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn u04_odd_values_are_refused() {
        let wish = |query: &str| {
            let asked = asked(&format!("requestType=WADO&{query}")).unwrap();
            asked
                .wish()
                .and_then(|wish| asked.frames().map(|frames| (wish, frames)))
        };
        for good in [
            "rows=1",
            "columns=8192",
            "region=0,0,1,1",
            "windowCenter=1&windowWidth=2",
            "imageQuality=1",
            "frame=3",
            "frameNumber=1",
            "annotation=patient",
            "iccProfile=sRGB",
        ] {
            assert!(wish(good).is_ok(), "{good}");
        }
        for bad in [
            "rows=0",
            "columns=8193",
            "rows=x",
            "region=0,0,1",
            "region=0.5,0,0.5,1",
            "region=0,0,1.1,1",
            "region=-0.1,0,1,1",
            "region=NaN,0,1,1",
            "windowCenter=1",
            "windowWidth=1",
            "windowCenter=1&windowWidth=0",
            "windowCenter=x&windowWidth=1",
            "imageQuality=0",
            "imageQuality=101",
            "frameNumber=0",
            "frameNumber=1,2",
            "iccprofile=cmyk",
        ] {
            assert!(wish(bad).is_err(), "{bad}");
        }
    }
}
