//! Colours that mean the same everywhere: the ICC profile of an object, and pictures in a well-known space (PS3.3 C.11.15,
//! PS3.18 8.3.5.1.5, G10).
//!
//! A picture without a profile leaves as it is. Where one is asked for, the colours of the object are those of its ICC Profile
//! (0028,2000), else of its Color Space (0028,2002), else sRGB, which is what browsers take them for anyway.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use moxcms::{ColorProfile, DataColorSpace, Layout, RenderingIntent, TransformOptions};

use super::head::{Head, Set};
use super::picture::Picture;
use crate::error::{Error, Kind, Result};
use crate::model::Tag;

const ICC_PROFILE: Tag = Tag(0x0028, 0x2000);
const COLOR_SPACE: Tag = Tag(0x0028, 0x2002);
/// Optical paths of a slide, each with a profile of its own.
const OPTICAL_PATHS: Tag = Tag(0x0048, 0x0105);
const OPTICAL_PATH_ID: Tag = Tag(0x0048, 0x0106);
/// The functional group that names the path of a frame.
const OPTICAL_PATH_OF_FRAME: Tag = Tag(0x0048, 0x0207);

/// What the colours of a picture are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Those of the object, with its profile.
    Own,
    /// sRGB.
    Srgb,
    /// Adobe RGB (1998).
    AdobeRgb,
    /// ROMM RGB, also known as `ProPhoto`.
    RommRgb,
}

impl Profile {
    /// The value of the parameter, other than `no`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "yes" => Self::Own,
            "srgb" => Self::Srgb,
            "adobergb" => Self::AdobeRgb,
            "rommrgb" => Self::RommRgb,
            _ => return None,
        })
    }

    /// A Color Space (0028,2002); one that is not known is sRGB.
    fn of_space(term: Option<&str>) -> Self {
        match term.map(str::trim) {
            Some("ADOBERGB") => Self::AdobeRgb,
            Some("ROMMRGB") => Self::RommRgb,
            _ => Self::Srgb,
        }
    }

    /// The profile of a well-known space.
    fn known(self) -> ColorProfile {
        match self {
            Self::Own | Self::Srgb => ColorProfile::new_srgb(),
            Self::AdobeRgb => ColorProfile::new_adobe_rgb(),
            Self::RommRgb => ColorProfile::new_pro_photo_rgb(),
        }
    }
}

/// What the colours of an object are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Colors {
    /// By a profile of its own.
    Icc(Vec<u8>),
    /// Of a well-known space.
    Known(Profile),
}

impl Default for Colors {
    fn default() -> Self {
        Self::Known(Profile::Srgb)
    }
}

impl Colors {
    /// Those of the frame whose functional groups `head` holds; those of a presentation state come before.
    pub fn of(head: &Head, state: Option<&Head>) -> Self {
        let own = state.and_then(|state| Self::in_set(&state.set()));
        let path = || {
            let wanted = head.group(OPTICAL_PATH_OF_FRAME).text(OPTICAL_PATH_ID);
            let mut paths = head.set().items(OPTICAL_PATHS);
            let first = paths.next()?;
            let is_wanted =
                |path: &Set<'_>| wanted.is_none() || path.text(OPTICAL_PATH_ID) == wanted;
            let found = Some(first)
                .filter(is_wanted)
                .or_else(|| paths.find(is_wanted));
            Self::in_set(&found.unwrap_or(first))
        };
        own.or_else(|| Self::in_set(&head.set()))
            .or_else(path)
            .unwrap_or_default()
    }

    fn in_set(set: &Set<'_>) -> Option<Self> {
        let icc = set.bytes(ICC_PROFILE).filter(|icc| !icc.is_empty());
        let space = || {
            set.text(COLOR_SPACE)
                .map(|term| Profile::of_space(Some(term)))
        };
        icc.map(Self::Icc).or_else(|| space().map(Self::Known))
    }
}

/// The picture in the colours that are wanted, grey in colour too, and the profile that says so.
///
/// # Errors
/// `Kind::NotAcceptable` if the profile of the object cannot be used.
pub fn apply(picture: Picture, colors: &Colors, wanted: Profile) -> Result<(Picture, Vec<u8>)> {
    // The library is not ours, and profiles are foreign bytes.
    let work = AssertUnwindSafe(|| convert(picture.in_color(), colors, wanted));
    catch_unwind(work).ok().flatten().ok_or_else(|| {
        let detail = "the colour profile of the object cannot be used; ask with iccprofile=no";
        Error::new(Kind::NotAcceptable, detail)
    })
}

fn convert(picture: Picture, colors: &Colors, wanted: Profile) -> Option<(Picture, Vec<u8>)> {
    let source = match colors {
        Colors::Icc(icc) => ColorProfile::new_from_slice(icc).ok()?,
        Colors::Known(space) => space.known(),
    };
    if source.color_space != DataColorSpace::Rgb {
        return None;
    }
    match (wanted, colors) {
        (Profile::Own, Colors::Icc(icc)) => return Some((picture, icc.clone())),
        (Profile::Own, Colors::Known(_)) => return Some((picture, source.encode().ok()?)),
        (wanted, Colors::Known(space)) if wanted == *space => {
            return Some((picture, source.encode().ok()?));
        }
        _ => {}
    }
    let target = wanted.known();
    let options = TransformOptions {
        rendering_intent: RenderingIntent::Perceptual,
        prefer_fixed_point: false,
        ..TransformOptions::default()
    };
    let transform = source
        .create_transform_8bit(Layout::Rgb, &target, Layout::Rgb, options)
        .ok()?;
    let mut samples = vec![0; picture.samples.len()];
    transform.transform(&picture.samples, &mut samples).ok()?;
    let profile = target.encode().ok()?;
    Some((Picture { samples, ..picture }, profile))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn head(json: &serde_json::Value) -> Head {
        Head::read(json.to_string().as_bytes(), 1).unwrap()
    }

    fn colors(picture: [u8; 6], colors: &Colors, wanted: Profile) -> Vec<u8> {
        let picture = Picture {
            width: 2,
            height: 1,
            is_color: true,
            samples: picture.to_vec(),
        };
        let (picture, profile) = apply(picture, colors, wanted).unwrap();
        assert!(ColorProfile::new_from_slice(&profile).is_ok());
        picture.samples
    }

    #[test]
    fn g10_colours_keep_their_meaning_from_space_to_space() {
        let stored = [255, 0, 0, 10, 200, 90];
        let srgb = Colors::default();
        assert_eq!(colors(stored, &srgb, Profile::Own), stored);
        assert_eq!(colors(stored, &srgb, Profile::Srgb), stored);
        // Red of sRGB in Adobe RGB (1998): 219, 0, 0, as its specification's matrices give.
        let adobe = colors(stored, &srgb, Profile::AdobeRgb);
        assert!(
            adobe[0].abs_diff(219) <= 1 && adobe[1] <= 1 && adobe[2] <= 1,
            "{adobe:?}"
        );
        let there = ColorProfile::new_adobe_rgb().encode().unwrap();
        let back = colors(
            adobe.try_into().unwrap(),
            &Colors::Icc(there),
            Profile::Srgb,
        );
        let is_near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= 3;
        assert!(back.iter().zip(&stored).all(is_near), "{back:?}");
        // What is no profile is refused, not ignored.
        let nothing = Picture::filled(1, 1, [0; 3]);
        for bytes in [vec![1, 2, 3], vec![0; 200]] {
            assert!(apply(nothing.clone(), &Colors::Icc(bytes), Profile::Own).is_err());
        }
    }

    #[test]
    fn g10_a_frame_has_the_colours_of_its_optical_path() {
        let path = |id: &str, space: &str| json!({"00480106": {"vr": "SH", "Value": [id]}, "00282002": {"vr": "CS", "Value": [space]}});
        let mut json = json!({
            "00480105": {"vr": "SQ", "Value": [path("1", "SRGB"), path("2", "ADOBERGB")]},
            "52009230": {"vr": "SQ", "Value": [{}, {"00480207": {"vr": "SQ", "Value": [{"00480106": {"vr": "SH", "Value": ["2"]}}]}}]}
        });
        assert_eq!(
            Colors::of(&head(&json), None),
            Colors::Known(Profile::AdobeRgb)
        );
        json["00282000"] = json!({"vr": "OB", "InlineBinary": "AQI="});
        assert_eq!(Colors::of(&head(&json), None), Colors::Icc(vec![1, 2]));
        let state = head(&json!({"00282002": {"vr": "CS", "Value": ["ROMMRGB"]}}));
        assert_eq!(
            Colors::of(&head(&json), Some(&state)),
            Colors::Known(Profile::RommRgb)
        );
        assert_eq!(Colors::of(&head(&json!({})), None), Colors::default());
    }
}
