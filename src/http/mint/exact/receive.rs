//! An upload on its way: a tar file is read as it comes and its objects are handed to the archive (MINT Z41, Z45). What was
//! complete when the line breaks is stored; the sender offers again and sends the rest.

use std::time::{Duration, Instant};

use actix_web::ResponseError as _;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

use super::manifest::{self, Manifest, json};
use super::offers::weigh;
use super::receipts::{Held, ReceiptBody, told};
use super::{MANIFEST, MANIFEST_BYTES};
use crate::archive::ingest::{Expected, Ingest, Input, Options};
use crate::archive::{Archive, Place};
use crate::auth::StoreGrant;
use crate::dicom::store_response::StoreOutcome;
use crate::error::{Error, Kind, Result, causes};
use crate::http::dicomweb::stow::next;
use crate::http::expand::Body;
use crate::http::tar::{Entry, Event, Reader};
use crate::index::record::Recorded;
use crate::storage::digest::to_hex;

/// What has come is made durable and told after so long, where packs take longer to fill.
const SEAL_AFTER: Duration = Duration::from_secs(5);

/// Before an object of so many bytes what came earlier is made durable, so that it does not wait for it.
const LARGE_BYTES: u64 = 16 << 20;

/// How much of a name is repeated, in characters: as much as names have.
const NAME_CHARS: usize = 160;

/// A line about an object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(rename = "sopInstanceUID", skip_serializing_if = "Option::is_none")]
    sop_instance_uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// `stored`, `there`, `refused` or `missing`.
    outcome: &'static str,
    /// Failure Reason or Warning Reason, four hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// The last line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Last {
    Receipt(ReceiptBody),
    Problem { status: u16, detail: String },
}

/// Where lines go. Nobody may read them any more.
#[derive(Clone, Debug)]
pub(super) struct Lines(pub(super) mpsc::UnboundedSender<Bytes>);

impl Lines {
    fn send(&self, line: &impl Serialize) {
        if let Ok(mut text) = json(line) {
            text.push('\n');
            self.0.send(text.into()).ok();
        }
    }

    /// A line about an object that the manifest names.
    fn object(&self, expected: &Expected, outcome: &'static str, why: Option<(Option<u16>, &str)>) {
        self.send(&Line {
            name: Some(&manifest::name(&expected.series, &expected.instance)),
            sop_instance_uid: Some(expected.instance.as_str()),
            sha256: Some(to_hex(&expected.digest)),
            outcome,
            code: why.and_then(|(code, _)| Some(format!("{:04X}", code?))),
            reason: why.map(|(_, reason)| reason),
        });
    }

    /// A line about a file that is none of the manifest's.
    fn stranger(&self, name: &str) {
        self.send(&Line {
            name: Some(&name.chars().take(NAME_CHARS).collect::<String>()),
            sop_instance_uid: None,
            sha256: None,
            outcome: "refused",
            code: None,
            reason: Some("the manifest does not name it"),
        });
    }

    fn stored(&self, expected: &Expected, outcome: &StoreOutcome) {
        match outcome {
            StoreOutcome::Stored {
                is_new, warning, ..
            } => {
                let outcome = if *is_new { "stored" } else { "there" };
                let odd = warning.as_ref();
                let odd = odd.map(|(code, text)| (Some(*code), text.as_str()));
                self.object(expected, outcome, odd);
            }
            StoreOutcome::Refused { code, text, .. } => {
                self.object(expected, "refused", Some((Some(*code), text)));
            }
        }
    }
}

/// An upload of which the manifest has been read.
pub(super) struct Upload {
    archive: Archive,
    grant: StoreGrant,
    body: Body,
    reader: Reader,
    manifest: Manifest,
    /// Files that may still come.
    left: usize,
    /// When what had come was last made durable, and whether something came since.
    sealed: (Instant, bool),
}

impl Upload {
    /// Reads the manifest of an upload.
    ///
    /// # Errors
    /// What is wrong with it, or with the body so far.
    pub(super) async fn begin(archive: Archive, grant: StoreGrant, mut body: Body) -> Result<Self> {
        let mut reader = Reader::default();
        let mut text: Option<Vec<u8>> = None;
        loop {
            match reader.next_event()? {
                Event::Entry(Entry { name, len }) if name == MANIFEST && text.is_none() => {
                    if len > MANIFEST_BYTES {
                        let detail = format!("a manifest is at most {MANIFEST_BYTES} bytes");
                        return Err(Error::new(Kind::TooLarge, detail));
                    }
                    text = Some(Vec::new());
                }
                Event::Entry(_) | Event::End => return Err(without_manifest()),
                Event::Data(bytes) => text.get_or_insert_default().extend_from_slice(&bytes),
                Event::EntryEnd => break,
                Event::NeedMore => match body.next().await? {
                    Some(chunk) => reader.push(chunk),
                    None => return Err(without_manifest()),
                },
            }
        }
        let parts = archive.limits().parts;
        let text = text.unwrap_or_default();
        let reading = archive.compute(move || Manifest::read(&text, parts));
        let manifest = reading.await??;
        Ok(Self {
            archive,
            grant,
            body,
            reader,
            manifest,
            left: parts,
            sealed: (Instant::now(), false),
        })
    }

    /// Begins to store what it brings; of each object `lines` are told.
    pub(super) fn ingest(&self, place: Place, base_url: String, lines: Lines) -> Ingest {
        let options = Options {
            study: Some(self.manifest.study.clone()),
            base_url,
        };
        let teller = Box::new(move |expected: &Expected, outcome: &StoreOutcome| {
            lines.stored(expected, outcome);
        });
        let grant = self.grant.clone();
        self.archive.ingest_telling(place, grant, options, teller)
    }

    /// Takes the rest, and ends with a receipt or with what was wrong; says whether there is a receipt.
    pub(super) async fn receive(mut self, mut ingest: Ingest, lines: Lines) -> bool {
        let read = self.read(&mut ingest, &lines).await;
        let stored = ingest.finish().await.map(drop);
        let last = match stored.and(read) {
            Ok(()) => self.receipt(&lines).await,
            Err(error) => Err(error),
        };
        let has_receipt = last.is_ok();
        lines.send(&last.unwrap_or_else(|error| {
            tracing::info!(causes = causes(&error), "an upload ended without a receipt");
            Last::Problem {
                status: error.status_code().as_u16(),
                detail: error.detail().to_owned(),
            }
        }));
        has_receipt
    }

    async fn read(&mut self, ingest: &mut Ingest, lines: &Lines) -> Result<()> {
        let mut is_wanted = false;
        loop {
            let goes_on = match self.reader.next_event()? {
                Event::Entry(entry) => {
                    let wanted = self.wanted(&entry, lines)?;
                    is_wanted = wanted.is_some();
                    match wanted {
                        Some(expected) => self.start(ingest, expected, entry.len).await,
                        None => true,
                    }
                }
                Event::Data(bytes) if is_wanted => ingest.send(Input::Data(bytes)).await,
                Event::EntryEnd if is_wanted => self.end(ingest).await,
                Event::Data(_) | Event::EntryEnd => true,
                Event::End => {
                    // What fills the last record up, and the end of what the body is packed in.
                    while next(ingest, &mut self.body).await?.is_some() {}
                    return Ok(());
                }
                Event::NeedMore => match next(ingest, &mut self.body).await? {
                    Some(chunk) => {
                        self.reader.push(chunk);
                        true
                    }
                    None => return self.reader.finish(),
                },
            };
            // Why it takes nothing more the end of the store tells.
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// What a file has to be; `None` where it is passed over, which `lines` are told.
    fn wanted(&mut self, entry: &Entry, lines: &Lines) -> Result<Option<Expected>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Err(manifest::too_many(self.archive.limits().parts));
        };
        self.left = left;
        let Some((expected, announced)) = self.manifest.of_name(&entry.name) else {
            lines.stranger(&entry.name);
            return Ok(None);
        };
        let why = if announced.was_sent {
            "it is in the tar file twice"
        } else if announced.size != entry.len {
            "its length is not the one that was announced"
        } else {
            announced.was_sent = true;
            return Ok(Some(expected));
        };
        announced.was_sent = true;
        lines.object(&expected, "refused", Some((None, why)));
        Ok(None)
    }

    async fn start(&mut self, ingest: &mut Ingest, expected: Expected, len: u64) -> bool {
        if len >= LARGE_BYTES && self.sealed.1 && !self.seal(ingest).await {
            return false;
        }
        ingest.send(Input::Start).await && ingest.send(Input::Expect(expected)).await
    }

    async fn end(&mut self, ingest: &mut Ingest) -> bool {
        let goes_on = ingest.send(Input::End).await;
        self.sealed.1 = true;
        if self.sealed.0.elapsed() < SEAL_AFTER {
            return goes_on;
        }
        goes_on && self.seal(ingest).await
    }

    async fn seal(&mut self, ingest: &mut Ingest) -> bool {
        self.sealed = (Instant::now(), false);
        ingest.send(Input::Seal).await
    }

    /// Writes the receipt for all of the manifest that the archive holds now. Of what was not sent `lines` are told.
    async fn receipt(&self, lines: &Lines) -> Result<Last> {
        let mut held = Vec::new();
        weigh(
            &self.archive,
            &self.grant,
            &self.manifest,
            |announced, one, what| {
                let is_there = what == Recorded::AlreadyThere;
                if is_there {
                    held.push(Held {
                        sop_instance_uid: one.instance.to_string(),
                        sha256: to_hex(&one.digest),
                    });
                }
                if !announced.was_sent {
                    let expected = manifest::expected(one.instance, announced);
                    lines.object(&expected, if is_there { "there" } else { "missing" }, None);
                }
            },
        )
        .await?;
        let index = self.archive.index();
        let study = index.own_study(&self.grant, &self.manifest.study).await?;
        let Some(study) = study.filter(|_| !held.is_empty()) else {
            return Err(Error::new(
                Kind::Conflict,
                "nothing of the manifest is stored",
            ));
        };
        let objects = json(&held)?;
        let receipt = index.record_receipt(&self.grant, study, objects).await?;
        Ok(Last::Receipt(told(&receipt, Some(held.len()))))
    }
}

fn without_manifest() -> Error {
    Error::invalid("the tar file does not begin with manifest.json")
}
