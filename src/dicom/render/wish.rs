//! How a caller wants a picture: the rendering parameters of a query (PS3.18 8.3.5, dicomweb.md G04 to G10, G15, G19).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::profile::Profile;
use super::scale::MAX_SIDE;
use super::window::{Function, Window};
use crate::dicom::query::decode::{Plus, decode, pairs};
use crate::error::{Error, Result};

/// Quality of JPEG where none is asked for.
const QUALITY: u8 = 90;

/// The longest side of a thumbnail that nobody gave a size (G15).
const THUMBNAIL: u32 = 128;

/// What STD knows as annotations.
const ANNOTATIONS: [&str; 2] = ["patient", "technique"];

/// The parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Size, part and orientation.
    pub viewport: Option<Viewport>,
    /// A window in place of the one of the image.
    pub window: Option<Window>,
    /// Of JPEG, 1 to 100.
    pub quality: u8,
    /// The colours that are asked for, with a profile, which not every type can hold (G10).
    pub profile: Option<Profile>,
    /// What was asked for and is not done, as texts of warnings.
    pub warnings: Vec<String>,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            viewport: None,
            window: None,
            quality: QUALITY,
            profile: None,
            warnings: Vec::new(),
        }
    }
}

impl Wish {
    /// Reads the parameters of a rendered resource.
    ///
    /// # Errors
    /// `Kind::Invalid` for a parameter that is malformed or stands there twice (G05, G06, G08, G09, G10, G19).
    pub fn parse(raw_query: &str) -> Result<Self> {
        let mut wish = Self::default();
        if let Some(text) = once(raw_query, "viewport")? {
            wish.viewport = Some(Viewport::parse(&text)?);
        }
        if let Some(text) = once(raw_query, "window")? {
            wish.window = Some(window(&text)?);
        }
        if let Some(text) = once(raw_query, "quality")? {
            wish.quality = quality(&text)?;
        }
        if let Some(text) = once(raw_query, "annotation")? {
            wish.annotate(&text)?;
        }
        if let Some(text) = once(raw_query, "iccprofile")? {
            wish.color(&text)?;
        }
        Ok(wish)
    }

    /// Reads the parameters of a thumbnail, which has a size at most (G15).
    ///
    /// # Errors
    /// `Kind::Invalid` for a viewport that is more than that.
    pub fn parse_thumbnail(raw_query: &str) -> Result<Self> {
        let text = once(raw_query, "viewport")?;
        let viewport = match text {
            Some(text) => Viewport::parse(&text)?,
            None => Viewport::within(THUMBNAIL, THUMBNAIL),
        };
        if viewport.part.iter().any(Option::is_some) || viewport.flips != (false, false) {
            return Err(Error::invalid(
                "a thumbnail takes viewport=width,height and nothing more",
            ));
        }
        Ok(Self {
            viewport: Some(viewport),
            ..Self::default()
        })
    }

    /// Notes annotations that are asked for.
    ///
    /// # Errors
    /// `Kind::Invalid` for an empty one (G09).
    pub fn annotate(&mut self, text: &str) -> Result<()> {
        let values: Vec<&str> = text.split(',').map(str::trim).collect();
        if values.iter().any(|value| value.is_empty()) {
            return Err(Error::invalid(
                "annotation is patient, technique or both with a comma between",
            ));
        }
        let known = values
            .iter()
            .filter(|value| ANNOTATIONS.contains(value))
            .count();
        let unknown = values.len().saturating_sub(known);
        let mut named: Vec<&str> = values
            .into_iter()
            .filter(|it| ANNOTATIONS.contains(it))
            .collect();
        if unknown > 0 {
            named.push("others");
        }
        // Whoever may see the picture may read the names in the metadata; a picture gets none burned in.
        self.warnings.push(format!(
            "The following annotation values are not supported: {}",
            named.join(", ")
        ));
        Ok(())
    }

    /// Notes the colours that are asked for.
    ///
    /// # Errors
    /// `Kind::Invalid` for a name that the standard does not know (G10).
    pub fn color(&mut self, text: &str) -> Result<()> {
        let name = text.trim().to_ascii_lowercase();
        self.profile = Profile::parse(&name);
        if self.profile.is_some() || name == "no" {
            return Ok(());
        }
        Err(Error::invalid(
            "iccprofile is no, yes, srgb, adobergb or rommrgb",
        ))
    }
}

/// A parameter that may stand there once, decoded.
///
/// # Errors
/// `Kind::Invalid` if it stands there twice (G19), or its escapes are no UTF-8.
pub fn once(raw_query: &str, name: &str) -> Result<Option<String>> {
    let mut values = pairs(raw_query).filter(|(other, _)| *other == name);
    let first = values.next();
    if values.next().is_some() {
        return Err(Error::invalid(format!("{name} is given twice")));
    }
    first
        .map(|(_, value)| decode(value, Plus::Space))
        .transpose()
}

fn quality(text: &str) -> Result<u8> {
    let number = text.trim().parse().ok();
    number
        .filter(|number| (1..=100).contains(number))
        .ok_or_else(|| Error::invalid("quality is a whole number from 1 to 100"))
}

fn window(text: &str) -> Result<Window> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let number = |text: &str| text.parse::<f64>().ok();
    let window = match parts.as_slice() {
        [center, width, function] => {
            number(center)
                .zip(number(width))
                .and_then(|(center, width)| {
                    Some(Window {
                        center,
                        width,
                        function: Function::parse(function)?,
                    })
                })
        }
        _ => None,
    };
    window.filter(Window::is_allowed).ok_or_else(|| {
        Error::invalid(
            "window is center,width,function with linear, linear-exact or sigmoid, and a width of at least 1 for linear, above 0 for the others",
        )
    })
}

/// The size of a picture, and the part of the image that it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Viewport {
    /// The picture is at most so wide and so high; as large as it is where nothing is said.
    pub(super) size: Option<(u32, u32)>,
    /// Left, top, width and height of the part, in pixels of the image; all of it where nothing is said.
    part: [Option<f64>; 4],
    /// Left, top, right and bottom of the part in shares of the image, in place of that.
    region: Option<[f64; 4]>,
    /// Whether it is turned over across and down.
    pub flips: (bool, bool),
}

impl Viewport {
    /// The whole image within a size.
    pub fn within(width: u32, height: u32) -> Self {
        Self {
            size: Some((width, height)),
            ..Self::natural()
        }
    }

    /// The whole image as large as it is.
    pub fn natural() -> Self {
        Self {
            size: None,
            part: [None; 4],
            region: None,
            flips: (false, false),
        }
    }

    /// The shorter side.
    pub fn shorter_side(&self) -> u32 {
        self.size
            .map_or(THUMBNAIL, |(width, height)| width.min(height))
    }

    /// A part of the image: left, top, right and bottom in shares of its width and height.
    #[must_use]
    pub fn of_region(self, region: [f64; 4]) -> Self {
        Self {
            region: Some(region),
            ..self
        }
    }

    /// Reads `vw,vh[,sx,sy,sw,sh]`; of the last four any may be left empty (G04).
    ///
    /// # Errors
    /// `Kind::Invalid` for anything else, a side of 0 and one over 8192 included (G05).
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| {
            Error::invalid(format!(
                "viewport is width,height and perhaps ,left,top,width,height of a part: sides from 1 to {MAX_SIDE}, a part that is not empty"
            ))
        })
    }

    fn read(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let side = |text: &str| {
            text.parse()
                .ok()
                .filter(|side| (1..=MAX_SIDE).contains(side))
        };
        let (within, rest) = match parts.as_slice() {
            [width, height] => ((width, height), None),
            [width, height, left, top, part_width, part_height] => {
                ((width, height), Some([left, top, part_width, part_height]))
            }
            _ => return None,
        };
        let mut viewport = Self::within(side(within.0)?, side(within.1)?);
        let Some(rest) = rest else {
            return Some(viewport);
        };
        let mut part = [None; 4];
        for (to, text) in part.iter_mut().zip(rest) {
            if !text.is_empty() {
                *to = Some(
                    text.parse()
                        .ok()
                        .filter(|number: &f64| number.is_finite())?,
                );
            }
        }
        let [left, top, across, down] = part;
        if [left, top].into_iter().flatten().any(|number| number < 0.0)
            || [across, down]
                .into_iter()
                .flatten()
                .any(|number| number.abs() < 1.0)
        {
            return None;
        }
        viewport.flips = (
            across.is_some_and(|length| length < 0.0),
            down.is_some_and(|length| length < 0.0),
        );
        viewport.part = [left, top, across.map(f64::abs), down.map(f64::abs)];
        Some(viewport)
    }

    /// Left, top, width and height of the part in an image of this size, cut to it; at least a pixel of it.
    pub(super) fn part(&self, width: f64, height: f64) -> [f64; 4] {
        let of_region = |[left, top, right, bottom]: [f64; 4]| {
            let (across, down) = (right - left, bottom - top);
            [left * width, top * height, across * width, down * height].map(Some)
        };
        let [left, top, across, down] = self.region.map_or(self.part, of_region);
        let left = left.unwrap_or(0.0).clamp(0.0, width - 1.0);
        let top = top.unwrap_or(0.0).clamp(0.0, height - 1.0);
        let most = (width - left, height - top);
        [
            left,
            top,
            across.unwrap_or(most.0).clamp(1.0, most.0),
            down.unwrap_or(most.1).clamp(1.0, most.1),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_read(query: &str) -> bool {
        Wish::parse(query).is_ok()
    }

    #[test]
    fn g05_g06_g08_g09_g10_g19_what_is_malformed_is_refused() {
        for good in [
            "viewport=1,8192",
            "viewport=64%2C64",
            "viewport=512,512,,,512,512",
            "viewport=512,512,0.5,1e1,-3.5,3",
            "window=40,400,linear",
            "window=40%2C400%2CLINEAR-EXACT",
            "window=-1e3,.5,sigmoid",
            "quality=1",
            "quality=100",
            "annotation=patient,technique",
            "iccprofile=no",
            "iccprofile=sRGB",
            "anything=else&viewport=1,1",
        ] {
            assert!(is_read(good), "{good}");
        }
        for bad in [
            "viewport=",
            "viewport=0,1",
            "viewport=1",
            "viewport=1,1,1",
            "viewport=1,8193",
            "viewport=-1,1",
            "viewport=1.5,1",
            "viewport=1,1,0,0,0,1",
            "viewport=1,1,-1,0,1,1",
            "viewport=1,1,NaN,0,1,1",
            "viewport=1,1,0,0,1,1,1",
            "viewport=%FF",
            "viewport=1,1&viewport=1,1",
            "window=40,400",
            "window=40,0.5,linear",
            "window=40,0,sigmoid",
            "window=a,b,linear",
            "window=40,400,cubic",
            "window=40,inf,linear",
            "quality=0",
            "quality=101",
            "quality=high",
            "quality=90&quality=90",
            "annotation=",
            "annotation=patient,",
            "annotation=patient&annotation=technique",
            "iccprofile=",
            "iccprofile=cmyk",
            "iccprofile=no&iccprofile=no",
            "window=1,1,linear&window=1,1,linear",
        ] {
            assert!(!is_read(bad), "{bad}");
        }
    }

    #[test]
    fn g09_g10_what_is_not_done_is_told() {
        let wish = Wish::parse("annotation=patient,x%0D%0Ay&iccprofile=adobergb").unwrap();
        assert_eq!(
            wish.warnings,
            ["The following annotation values are not supported: patient, others"]
        );
        assert_eq!(wish.profile, Some(Profile::AdobeRgb));
        assert_eq!(Wish::parse("iccprofile=no").unwrap(), Wish::default());
    }

    #[test]
    fn g15_a_thumbnail_has_a_size_and_nothing_more() {
        let size = |query| Wish::parse_thumbnail(query).unwrap().viewport.unwrap();
        assert_eq!(size(""), Viewport::within(128, 128));
        assert_eq!(
            size("viewport=256,200&quality=x"),
            Viewport::within(256, 200)
        );
        for bad in [
            "viewport=1,1,0,0,1,1",
            "viewport=1,1,,,-1,",
            "viewport=x",
            "viewport=1,1&viewport=1,1",
        ] {
            assert!(Wish::parse_thumbnail(bad).is_err(), "{bad}");
        }
    }
}
