//! The forms in which instances leave: as stored, or brought into another transfer syntax (dicomweb.md N50 to N57).

use std::sync::Arc;

use super::pixels::EXPLICIT_LITTLE;
use crate::archive::Archive;
use crate::archive::guard::Pace;
use crate::archive::retrieve::ByteStream;
use crate::auth::Access;
use crate::dicom::{codec, transcode};
use crate::error::{Error, Kind, Result};
use crate::http::accept::{Accept, Offer};
use crate::http::respond::Part;
use crate::http::urls::Urls;
use crate::index::catalog::{Instance, Visible};
use crate::model::{InstancePath, TransferSyntax};

pub(super) const DICOM: &str = "application/dicom";

/// The form in which an instance leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As stored, whatever that is (N50).
    Stored,
    /// In a transfer syntax into which it is brought, if it is not in it (N51, N55).
    In(&'static TransferSyntax),
}

/// What can be made of an instance, Explicit VR Little Endian first (N51).
fn offers(instance: &Instance, with_single: bool) -> Vec<Offer<'_>> {
    let stored: &str = &instance.transfer_syntax_uid;
    let syntax = TransferSyntax::of(stored);
    let is_image = instance.frame_table.is_some();
    let is_native = syntax.is_some_and(|syntax| !syntax.is_encapsulated());
    let is_decodable = is_image && syntax.is_some_and(codec::can_decode);
    // Pixel data that lost something stay in the syntax they are stored in, also for those who name none (N51).
    let stays = !is_native && syntax.is_none_or(|syntax| syntax.lossy);
    let mut offers = Vec::new();
    let kinds: &[fn(&'static str) -> Offer<'static>] = if with_single {
        &[Offer::multipart, Offer::single]
    } else {
        &[Offer::multipart]
    };
    for make in kinds {
        let of_stored = make(DICOM).in_syntax(stored).stored();
        let explicit = make(DICOM).in_syntax(EXPLICIT_LITTLE);
        if stays {
            offers.push(of_stored);
            offers.extend(is_decodable.then(|| explicit.if_named()));
        } else {
            offers.extend((is_native || is_decodable).then_some(explicit));
            offers.push(of_stored.if_named());
        }
        let others = codec::encodable().filter(|target| is_decodable && target.uid != stored);
        offers.extend(others.map(|target| make(DICOM).in_syntax(target.uid).if_named()));
    }
    offers
}

/// The form of the best of what can be made of an instance, and whether it is a part among others.
///
/// # Errors
/// `Kind::NotAcceptable` if none of it is accepted.
pub(super) async fn choose(
    archive: &Archive,
    accept: &Accept,
    instance: &Visible<Instance>,
    with_single: bool,
) -> Result<(Form, bool)> {
    let mut offers = offers(instance, with_single);
    let target = |offer: &Offer<'_>| {
        let target = offer.transfer_syntax.and_then(TransferSyntax::of);
        target.filter(|_| !offer.is_stored)
    };
    let mut offer = *accept.choose(&offers)?;
    if target(&offer).is_some_and(TransferSyntax::is_encapsulated) {
        // Only now is it worth reading what the pixels are like.
        let format = archive.pixel_format(instance).await?;
        offers.retain(|offer| {
            target(offer).is_none_or(|it| !it.is_encapsulated() || codec::can_encode(it, &format))
        });
        offer = *accept.choose(&offers)?;
    }
    let form = target(&offer).map_or(Form::Stored, Form::In);
    Ok((form, offer.is_multipart))
}

/// How instances are sent.
pub(super) struct Sender {
    pub(super) archive: Archive,
    pub(super) access: Arc<Access>,
    pub(super) accept: Accept,
    pub(super) urls: Urls,
    pub(super) pace: Pace,
    /// One of many: where its pixels cannot be brought into the default, it goes out as it is stored, for the sake of the rest.
    pub(super) is_one_of_many: bool,
}

impl Sender {
    /// One instance as a part of an answer.
    pub(super) async fn part(&self, instance: Arc<Visible<Instance>>, form: Form) -> Result<Part> {
        let path = InstancePath {
            study: instance.study.clone(),
            series: instance.series.clone(),
            instance: instance.instance.clone(),
        };
        let (syntax, (len, bytes)) = match form {
            Form::Stored => self.stored(&instance),
            Form::In(target) => match self.brought_into(target, &instance).await {
                Err(error) if matches!(error.kind(), Kind::NotAcceptable | Kind::TooLarge) => {
                    // What is too long when it is expanded may stay as it is, for those who did not name another (N51).
                    let stays = self.is_one_of_many || error.kind() == Kind::TooLarge;
                    let name: &str = &instance.transfer_syntax_uid;
                    let kinds = [Offer::multipart(DICOM), Offer::single(DICOM)];
                    let stored = kinds.map(|kind| {
                        let offer = kind.in_syntax(name).stored();
                        if stays { offer } else { offer.if_named() }
                    });
                    let refused = |refusal: Error| refusal.with_source(error);
                    self.accept.choose(&stored).map_err(refused)?;
                    self.stored(&instance)
                }
                brought => brought?,
            },
        };
        Ok(Part {
            content_type: format!("{DICOM}; transfer-syntax={syntax}"),
            location: self.urls.instance(&path),
            len,
            bytes,
        })
    }

    fn stored(&self, instance: &Arc<Visible<Instance>>) -> (String, (u64, ByteStream)) {
        let bytes = self.archive.file(&self.access, instance, &self.pace);
        let name = instance.transfer_syntax_uid.clone();
        (name, (instance.byte_count, bytes))
    }

    /// The file in `target`: recoded, written anew, or as it is if it is in it.
    async fn brought_into(
        &self,
        target: &'static TransferSyntax,
        instance: &Arc<Visible<Instance>>,
    ) -> Result<(String, (u64, ByteStream))> {
        let (access, pace) = (&self.access, &self.pace);
        let stored = TransferSyntax::of(&instance.transfer_syntax_uid);
        let is_encapsulated = stored.is_some_and(TransferSyntax::is_encapsulated);
        let archive = &self.archive;
        let file = if is_encapsulated || target.is_encapsulated() {
            archive.file_recoded(access, instance, target, pace).await?
        } else if stored.is_some_and(transcode::is_needed)
            // A file that came without its preamble is made a whole one, unless it is asked for as stored (W03, N50).
            || !archive.has_preamble(instance).await?
        {
            archive
                .file_in_explicit_little(access, instance, pace)
                .await?
        } else {
            return Ok(self.stored(instance));
        };
        Ok((target.uid.to_owned(), file))
    }
}
