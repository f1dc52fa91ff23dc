//! The forms in which pixel data leave: what can be sent, and which of it to whom (dicomweb.md 2.4 and 2.5).

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures::stream::{self, Stream, StreamExt as _};

use crate::archive::frames::Frames;
use crate::archive::retrieve::ByteStream;
use crate::dicom::codec::{self, PixelFormat};
use crate::dicom::frames::FramePlace;
use crate::error::{Kind, Result};
use crate::http::accept::{Accept, Offer};
use crate::http::problem;
use crate::http::respond::{self, Part};
use crate::model::TransferSyntax;
use crate::model::transfer_syntax::Pixels;

pub(super) const OCTETS: &str = "application/octet-stream";
pub(super) const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
const BASELINE: &str = "1.2.840.10008.1.2.4.50";

/// What goes to those who take any transfer syntax (`transfer-syntax=*`), where that is not the stored one: viewers that are
/// in use show these wrongly or not at all (clients.md, "What to send as frames").
#[rustfmt::skip]
static SENT_FOR_ANY: &[(&str, &str)] = &[
    ("1.2.840.10008.1.2.1.98", EXPLICIT_LITTLE),
    ("1.2.840.10008.1.2.8.1", EXPLICIT_LITTLE),
    ("1.2.840.10008.1.2.4.51", EXPLICIT_LITTLE),
    ("1.2.840.10008.1.2.4.53", EXPLICIT_LITTLE),
    ("1.2.840.10008.1.2.4.55", EXPLICIT_LITTLE),
    ("1.2.840.10008.1.2.4.110", EXPLICIT_LITTLE),
    ("1.2.840.10008.1.2.4.111", BASELINE),
    ("1.2.840.10008.1.2.4.112", EXPLICIT_LITTLE),
];

/// The transfer syntax that each type means when none is named (N53).
#[rustfmt::skip]
static DEFAULTS: &[(&str, &str)] = &[
    ("image/jpeg", "1.2.840.10008.1.2.4.70"),
    ("image/jls", "1.2.840.10008.1.2.4.80"),
    ("image/jp2", "1.2.840.10008.1.2.4.90"),
    ("image/jpx", "1.2.840.10008.1.2.4.92"),
    ("image/dicom-rle", "1.2.840.10008.1.2.5"),
    ("image/jphc", "1.2.840.10008.1.2.4.201"),
    ("image/jxl", "1.2.840.10008.1.2.4.110"),
];

/// Stored so, a JPEG answers to `image/jpeg` as it is (N53).
const STORED_JPEG: [&str; 3] = [BASELINE, "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57"];

/// What goes to a caller who takes any transfer syntax (N50).
pub fn for_any(stored: &TransferSyntax) -> &'static str {
    let row = SENT_FOR_ANY.iter().find(|(uid, _)| *uid == stored.uid);
    match row {
        Some((_, sent)) => sent,
        None if stored.pixels == Pixels::Native => EXPLICIT_LITTLE,
        // Every row of the table of transfer syntaxes is static.
        None => TransferSyntax::of(stored.uid).map_or(EXPLICIT_LITTLE, |it| it.uid),
    }
}

/// Whether `uid` is what `media_type` means for frames stored as `stored`, when no transfer syntax is named (N53). Where the
/// default of the type cannot be made, what is stored has to do.
fn is_meant(media_type: &str, uid: &str, stored: &str) -> bool {
    let keeps = media_type == "image/jpeg" && STORED_JPEG.contains(&stored);
    let default = DEFAULTS.iter().find(|(name, _)| *name == media_type);
    let default = default.map(|(_, uid)| *uid);
    let is_made = codec::encodable().any(|target| Some(target.uid) == default);
    if keeps || (!is_made && Some(stored) != default) {
        uid == stored
    } else {
        Some(uid) == default
    }
}

/// A form of pixel data: media type and transfer syntax.
#[derive(Clone, Copy, Debug)]
struct Form<'a> {
    media_type: &'a str,
    uid: &'a str,
    is_unnamed: bool,
}

/// Every form that frames stored as `stored` can be given, in the order in which they are preferred by those who take anything
/// (N61): what is lossy goes out as for any transfer syntax, the rest as octets.
fn forms<'a>(stored: &'a str, format: Option<&PixelFormat>) -> Vec<Form<'a>> {
    let Some(syntax) = TransferSyntax::of(stored) else {
        return vec![Form {
            media_type: OCTETS,
            uid: stored,
            is_unnamed: true,
        }];
    };
    let octets = Form {
        media_type: OCTETS,
        uid: EXPLICIT_LITTLE,
        is_unnamed: true,
    };
    let is_video = syntax.pixels == Pixels::Video;
    let as_stored = Form {
        media_type: syntax.media_type,
        uid: stored,
        is_unnamed: is_video || is_meant(syntax.media_type, stored, stored),
    };
    let mut forms = Vec::new();
    if codec::can_decode(syntax) {
        forms.push(octets);
    }
    if syntax.pixels != Pixels::Native {
        forms.push(as_stored);
        forms.push(Form {
            media_type: OCTETS,
            is_unnamed: is_video,
            ..as_stored
        });
    }
    let makes = |target: &&TransferSyntax| {
        target.uid != stored
            && codec::can_decode(syntax)
            && format.is_none_or(|format| codec::can_encode(target, format))
    };
    forms.extend(codec::encodable().filter(makes).map(|target| Form {
        media_type: target.media_type,
        uid: target.uid,
        is_unnamed: is_meant(target.media_type, target.uid, stored),
    }));
    let first = for_any(syntax);
    if syntax.lossy {
        forms.sort_by_key(|form| form.uid != first);
    }
    forms
}

/// What can be sent of pixel data stored as `stored`; `format` is what its data set says, where that has been read. Single
/// parts come last, or first with `single_first`, or not at all.
pub(super) fn offers<'a>(
    stored: &'a str,
    kinds: Kinds,
    format: Option<&PixelFormat>,
) -> Vec<Offer<'a>> {
    let any: &str = match TransferSyntax::of(stored) {
        Some(syntax) => for_any(syntax),
        None => stored,
    };
    let forms = forms(stored, format);
    let of_kind = |make: fn(&'a str) -> Offer<'a>| {
        let forms = forms.clone();
        forms.into_iter().map(move |form| {
            let offer = Offer {
                is_unnamed: form.is_unnamed,
                ..make(form.media_type).in_syntax(form.uid)
            };
            if form.uid == any {
                offer.stored()
            } else {
                offer
            }
        })
    };
    match kinds {
        Kinds::Parts => of_kind(Offer::multipart).collect(),
        Kinds::PartsFirst => of_kind(Offer::multipart)
            .chain(of_kind(Offer::single))
            .collect(),
        Kinds::SingleFirst => of_kind(Offer::single)
            .chain(of_kind(Offer::multipart))
            .collect(),
    }
}

/// Whether an answer may be one part alone, and what goes to those who do not mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinds {
    /// Multipart only.
    Parts,
    /// Either, multipart as the default (N61).
    PartsFirst,
    /// Either, one part alone as the default (F60).
    SingleFirst,
}

/// How a frame becomes what is sent.
#[derive(Clone, Copy, Debug)]
enum Making {
    /// It is sent as it lies.
    Verbatim,
    /// It is a deflate stream of a native frame.
    Inflated,
    /// It is decoded.
    Octets,
    /// It is decoded and encoded anew.
    Encoded(&'static TransferSyntax),
}

impl Making {
    /// From frames stored as `stored` to `offer`.
    fn of(stored: &str, offer: &Offer<'_>) -> Self {
        let sent = offer.transfer_syntax.unwrap_or(stored);
        let pixels = TransferSyntax::of(stored).map(|syntax| syntax.pixels);
        match (pixels, TransferSyntax::of(sent)) {
            (Some(Pixels::DeflatedFrames), Some(target)) if target.uid == EXPLICIT_LITTLE => {
                Self::Inflated
            }
            (Some(Pixels::Frames), Some(target)) if target.uid == EXPLICIT_LITTLE => Self::Octets,
            (Some(_), Some(target)) if target.uid != stored && target.uid != EXPLICIT_LITTLE => {
                Self::Encoded(target)
            }
            _ => Self::Verbatim,
        }
    }

    /// Whether a codec has to agree.
    fn is_computed(self) -> bool {
        matches!(self, Self::Octets | Self::Encoded(_))
    }
}

/// What is made of frames, and what that is called.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    content_type: String,
    making: Making,
}

impl Recipe {
    /// From frames stored as `stored` to `offer`.
    pub(super) fn of(stored: &str, offer: &Offer<'_>) -> Self {
        Self {
            content_type: offer.content_type(),
            making: Making::of(stored, offer),
        }
    }
}

/// Makes a part of a frame when its turn comes, so that no more than one is on its way.
#[derive(Clone)]
pub(super) struct Parts {
    frames: Frames,
    recipe: Recipe,
    /// A frame that no codec can make goes out as it is stored, for the sake of the others.
    is_one_of_many: bool,
}

impl Parts {
    /// Frames as they lie, inflated where each is a deflate stream of its own.
    pub(super) fn stored(frames: Frames, content_type: String) -> Self {
        let syntax = TransferSyntax::of(&frames.instance().transfer_syntax_uid);
        let making = match syntax.map(|syntax| syntax.pixels) {
            Some(Pixels::DeflatedFrames) => Making::Inflated,
            _ => Making::Verbatim,
        };
        let recipe = Recipe {
            content_type,
            making,
        };
        Self::of(frames, recipe)
    }

    /// Frames of one instance among others.
    pub(super) fn of_many(frames: Frames, recipe: Recipe) -> Self {
        Self {
            is_one_of_many: true,
            ..Self::of(frames, recipe)
        }
    }

    fn of(frames: Frames, recipe: Recipe) -> Self {
        Self {
            frames,
            recipe,
            is_one_of_many: false,
        }
    }

    /// The frames at `places`, one after the other.
    pub(super) fn parts(
        self,
        places: impl Iterator<Item = (String, FramePlace)> + Send + 'static,
    ) -> impl Stream<Item = Result<Part>> + Send + 'static {
        stream::iter(places).then(move |(location, place)| {
            let parts = self.clone();
            async move { parts.part(location, &place).await }
        })
    }

    /// The frame at `place`.
    async fn part(&self, location: String, place: &FramePlace) -> Result<Part> {
        let Recipe {
            content_type,
            making,
        } = &self.recipe;
        let mut content_type = content_type.clone();
        let (len, bytes) = match self.made(*making, place).await {
            Err(error)
                if self.is_one_of_many
                    && making.is_computed()
                    && error.kind() == Kind::NotAcceptable =>
            {
                let stored = &self.frames.instance().transfer_syntax_uid;
                let media_type = TransferSyntax::of(stored).map_or(OCTETS, |it| it.media_type);
                content_type = format!("{media_type}; transfer-syntax={stored}");
                self.made(Making::Verbatim, place).await?
            }
            made => made?,
        };
        Ok(Part {
            content_type,
            location,
            len,
            bytes,
        })
    }

    async fn made(&self, making: Making, place: &FramePlace) -> Result<(u64, ByteStream)> {
        Ok(match making {
            Making::Verbatim => (place.len(), self.frames.frame(place)),
            Making::Inflated => self.frames.inflated(place).await?,
            Making::Octets => respond::in_pieces(self.frames.octets(place).await?),
            Making::Encoded(target) => {
                respond::in_pieces(self.frames.encoded(place, target).await?)
            }
        })
    }
}

/// Answers with the frames at `places`, each with its address, in the form that the caller takes. The first is made before the
/// status is sent: where no codec can make it, the caller hears what else there is, or gets it (N57). What goes out as it is
/// stored, and what is one frame, has a length beforehand, so that a range of it can be asked (F26, F70).
///
/// # Errors
/// `Kind::NotAcceptable` with what there is, and what reading fails with.
pub(super) async fn answer(
    (request, response): (&HttpRequest, &mut HttpResponseBuilder),
    accept: &Accept,
    frames: Frames,
    kinds: Kinds,
    places: impl Iterator<Item = (String, FramePlace)> + Clone + Send + 'static,
) -> Result<HttpResponse> {
    let mut rest = places.clone();
    let Some((location, place)) = rest.next() else {
        return Err(problem::no_such_part("no frame asked"));
    };
    let name = frames.instance().transfer_syntax_uid.clone();
    let mut all = offers(&name, kinds, None);
    let mut offer = *accept.choose(&all)?;
    if matches!(Making::of(&name, &offer), Making::Encoded(_)) {
        all = offers(&name, kinds, Some(&frames.pixel_format().await?));
        offer = *accept.choose(&all)?;
    }
    let parts = |offer: &Offer<'_>| Parts::of(frames.clone(), Recipe::of(&name, offer));
    let mut made = parts(&offer);
    let first = match made.part(location.clone(), &place).await {
        Err(error) if error.kind() == Kind::NotAcceptable && made.recipe.making.is_computed() => {
            all.retain(|offer| !Making::of(&name, offer).is_computed());
            let other = accept.choose(&all);
            offer = *other.map_err(|refusal| refusal.with_source(error))?;
            made = parts(&offer);
            made.part(location, &place).await?
        }
        first => first?,
    };
    if !offer.is_multipart {
        return respond::single(response, first).await;
    }
    let to = (request, response);
    if rest.clone().next().is_none() {
        return respond::one_part(to, offer.media_type, first).await;
    }
    let content_type = made.recipe.content_type.clone();
    let is_measured = matches!(made.recipe.making, Making::Verbatim);
    let all = stream::iter([Ok(first)]).chain(made.parts(rest));
    if is_measured {
        let heads = places.map(|(location, place)| (&content_type, place.len(), location));
        return respond::measured(to, offer.media_type, heads, all).await;
    }
    respond::multipart(to, offer.media_type, all).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a request for frames gets; `None` for 406.
    fn sent(stored: &str, accept: &str) -> Option<String> {
        let offers = offers(stored, Kinds::PartsFirst, None);
        let offer = Accept::parse(accept, "").choose(&offers).ok().copied();
        offer.map(|offer| offer.content_type())
    }

    fn check(stored: &str, accept: &str, expected: &str) {
        let stored = format!("1.2.840.10008.1.2.{stored}");
        let expected = expected.replace('=', "=1.2.840.10008.1.2.");
        let found = sent(&stored, accept);
        assert_eq!(found.as_deref(), Some(&*expected), "{stored} {accept}");
    }

    /// The table of clients.md, row by row; `1` is Explicit VR Little Endian.
    #[test]
    fn n50_any_transfer_syntax_gets_what_viewers_show_rightly() {
        let any = "multipart/related; type=application/octet-stream; transfer-syntax=*";
        for stored in [
            "4.50", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91", "4.201", "4.202", "4.203", "5",
        ] {
            check(
                stored,
                any,
                &format!("application/octet-stream; transfer-syntax={stored}"),
            );
        }
        for stored in [
            "1", "1.99", "1.98", "8.1", "4.110", "4.112", "2", "4.51", "4.53", "4.55",
        ] {
            check(stored, any, "application/octet-stream; transfer-syntax=1");
        }
        let everything = "multipart/related; type=\"*/*\"; transfer-syntax=*";
        check("4.111", everything, "image/jpeg; transfer-syntax=4.50");
        check("4.201", everything, "image/jphc; transfer-syntax=4.201");
        // No codec: as stored.
        check(
            "4.92",
            any,
            "application/octet-stream; transfer-syntax=4.92",
        );
    }

    #[test]
    fn n61_whoever_takes_everything_gets_lossy_frames_as_stored_and_octets_else() {
        for everything in [
            "*/*",
            "multipart/related; type=\"*/*\"",
            "multipart/related",
        ] {
            check(
                "4.90",
                everything,
                "application/octet-stream; transfer-syntax=1",
            );
            check(
                "1",
                everything,
                "application/octet-stream; transfer-syntax=1",
            );
            check("4.91", everything, "image/jp2; transfer-syntax=4.91");
            check("4.50", everything, "image/jpeg; transfer-syntax=4.50");
            check(
                "4.51",
                everything,
                "application/octet-stream; transfer-syntax=1",
            );
        }
    }

    #[test]
    fn n52_n53_a_type_alone_means_its_default_syntax() {
        for stored in ["1", "4.50", "4.70", "4.81", "4.90", "4.201", "4.110", "5"] {
            check(
                stored,
                "multipart/related; type=application/octet-stream",
                "application/octet-stream; transfer-syntax=1",
            );
        }
        for (stored, media_type, uid) in [
            ("4.50", "image/jpeg", "4.50"),
            ("4.51", "image/jpeg", "4.51"),
            ("4.57", "image/jpeg", "4.57"),
            ("4.53", "image/jpeg", "4.70"),
            ("1", "image/jpeg", "4.70"),
            ("4.81", "image/jls", "4.80"),
            ("5", "image/dicom-rle", "5"),
            ("4.202", "image/jphc", "4.201"),
            ("4.91", "image/jp2", "4.90"),
            ("1", "image/jp2", "4.90"),
            ("4.112", "image/jxl", "4.112"),
            ("4.110", "image/jxl", "4.110"),
        ] {
            check(
                stored,
                &format!("multipart/related; type={media_type}"),
                &format!("{media_type}; transfer-syntax={uid}"),
            );
        }
    }

    #[test]
    fn n54_n55_n57_a_named_syntax_is_sent_stored_or_made_or_refused() {
        let asked = |media_type: &str, uid: &str| {
            format!("multipart/related; type={media_type}; transfer-syntax=1.2.840.10008.1.2.{uid}")
        };
        for (stored, media_type, uid) in [
            ("4.51", "image/jpeg", "4.51"),
            ("4.111", "image/jxl", "4.111"),
            ("8.1", "application/octet-stream", "8.1"),
            ("4.91", "application/octet-stream", "4.91"),
            ("1", "image/jpeg", "4.50"),
            ("4.90", "image/jphc", "4.201"),
            ("2", "image/dicom-rle", "5"),
        ] {
            check(
                stored,
                &asked(media_type, uid),
                &format!("{media_type}; transfer-syntax={uid}"),
            );
        }
        for (stored, media_type, uid) in [
            ("4.90", "image/jxl", "4.110"),
            ("4.92", "image/jp2", "4.90"),
        ] {
            let stored = format!("1.2.840.10008.1.2.{stored}");
            assert_eq!(
                sent(&stored, &asked(media_type, uid)),
                None,
                "{stored} {uid}"
            );
        }
    }
}
