//! Pictures of images, for eyes and browsers (PS3.18 chapter 8.4 and 10.4.1.1.3, dicomweb.md section 8).
//!
//! One decoded frame goes through the pipeline of PS3.4 annex N: modality values, values of interest, a grey level or the
//! colour of a palette, overlays, and then the size that is asked for; 8 bits a sample come out.
//!
//! ```text
//! head ──▶ Head::read ──▶ Image::of ─┐
//! frame ──▶ decoder ──▶ Raster::new ─┴▶ picture ──▶ encode ──▶ PNG, JPEG, GIF
//! ```

mod color;
pub mod encode;
mod graphics;
mod grey;
pub mod head;
pub mod icon;
pub mod image;
mod letters;
mod lut;
mod overlay;
mod palette;
pub mod picture;
pub mod plot;
pub mod presentation;
pub mod profile;
pub mod raster;
mod real;
pub mod report;
pub mod scale;
mod shutter;
pub mod window;
pub mod wish;

pub use self::encode::{Film, PictureType, encode};
use self::graphics::Units;
pub use self::head::Head;
pub use self::image::Image;
pub use self::picture::Picture;
pub use self::presentation::Presentation;
pub use self::profile::{Colors, Profile};
pub use self::raster::Raster;
pub use self::wish::{Viewport, Wish};
use crate::error;

/// A picture that has no frame behind it, at the size that is asked for.
pub fn fit(picture: Picture, viewport: Option<&Viewport>) -> Picture {
    scale::show(picture, 1.0, viewport)
}

/// A picture as a file: in the colours that are asked for, with their profile, or as it is, without one.
///
/// # Errors
/// `Kind::NotAcceptable` for a picture that the type has no room for, and for a profile of the object that cannot be used.
pub fn file(
    picture: Picture,
    colors: &Colors,
    profile: Option<Profile>,
    kind: PictureType,
) -> error::Result<Vec<u8>> {
    match profile {
        Some(wanted) => {
            let (picture, profile) = profile::apply(picture, colors, wanted)?;
            encode(&picture, Some(&profile), kind)
        }
        None => encode(&picture, None, kind),
    }
}

/// The picture of one frame, as the caller wants it, and as a presentation state wants it before.
pub fn picture(
    mut image: Image,
    raster: &Raster,
    wish: &Wish,
    state: Option<&Presentation>,
) -> Picture {
    if let Some(state) = state {
        state.apply(&mut image);
    }
    let mut picture = if raster.format().samples_per_pixel == 1 {
        grey::picture(&image, raster, wish.window)
    } else {
        color::picture(raster)
    };
    if let Some(state) = state {
        state.shut(raster, &mut picture);
    }
    for overlay in &image.overlays {
        overlay.burn(raster, &mut picture, overlay::WHITE);
    }
    let mut aspect = image.aspect;
    if let Some(state) = state {
        let size = (picture.width, picture.height);
        picture = state.draw(Units::Pixel, picture);
        if let Some(area) = state.area() {
            picture = scale::cut(picture, area);
        }
        picture = state.draw(Units::Display, state.turn(picture));
        picture = state.write(size, picture);
        if state.quarters() % 2 == 1 {
            aspect = 1.0 / aspect;
        }
    }
    scale::show(picture, aspect, wish.viewport.as_ref())
}
