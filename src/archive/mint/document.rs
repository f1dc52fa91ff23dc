//! A study as one document (MINT 5.2, 5.3, 7.3): made from the stored files without their pixels, kept compressed for its version.
//!
//! Files are read twice, and for protobuf three times: what they have in common must be known before the first attribute is
//! written, and in protobuf the length of a series before its first instance. So memory holds what is common to a series, one
//! page of instances, and the compressed document.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::kept::Key;
use crate::archive::Archive;
use crate::auth::Access;
use crate::dicom::mint::document::{Instance, Series, SeriesFacts, Study, StudyFacts};
use crate::dicom::mint::normal::{Levels, SeriesShape, Shape};
use crate::dicom::mint::source::Stored;
use crate::dicom::mint::{Form, TYPE, xml};
use crate::error::{Error, Kind, Result};
use crate::index::catalog::{Brought, Instance as StoredInstance, Listed, Scope, Visible};
use crate::index::mint::MintStudy;
use crate::model::{SeriesUid, SopInstanceUid};

/// Rows that are fetched at once.
const PAGE: u64 = 200;

/// Files that are read at once.
const READS: usize = 8;

/// How often a document is begun anew because its study changed meanwhile.
const ATTEMPTS: u32 = 4;

/// What is written of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// All of it in XML.
    Xml,
    /// All of it in protobuf.
    Protobuf,
    /// What it says of the study and its series, in XML.
    Summary,
}

/// A document.
#[derive(Clone, Debug)]
pub struct Document {
    /// The document, compressed: one gzip file.
    pub gzip: Bytes,
    /// Its length as it is, in bytes.
    pub len: u64,
}

impl Archive {
    /// The document of a study as the caller sees it, or that of a change of it, with the study at the version that it is of:
    /// version, attributes and numbers belong together (MINT M12).
    ///
    /// # Errors
    /// As [`Catalog::mint_study`](crate::index::Catalog::mint_study); `Kind::Unavailable` if the store does not answer or the
    /// study does not come to rest.
    pub async fn mint_document(
        &self,
        access: &Arc<Access>,
        mut study: MintStudy,
        (brought, content): (Brought, Content),
    ) -> Result<(MintStudy, Document)> {
        for _ in 0..ATTEMPTS {
            let key = Key::of(&study, access, brought, content);
            if let Some(kept) = self.documents.get(&key) {
                return Ok((study, kept));
            }
            if let Brought::By(change) = brought
                && let Some(kept) = self.catalog(access).update_document(&study, change).await?
            {
                let document = self.compute(move || of_update(kept, content)).await??;
                self.documents.put(key, &document, document.gzip.len());
                return Ok((study, document));
            }
            self.number_items(&study).await?;
            let making = Making {
                archive: self,
                access,
                study: &study,
                brought,
            };
            let document = making.document(content).await;
            let now = self.catalog(access).mint_study(study.at.study).await?;
            if now.at.version == study.at.version {
                let document = document?;
                self.documents.put(key, &document, document.gzip.len());
                return Ok((study, document));
            }
            study = now;
        }
        Err(Error::new(
            Kind::Unavailable,
            "the study changes all the time; ask again",
        ))
    }
}

/// The document of an update as it was sent, but for the numbers of its items, from how it is kept (MINT 7.3).
fn of_update(kept: Vec<u8>, content: Content) -> Result<Document> {
    let mut plain = Vec::new();
    GzDecoder::new(kept.as_slice())
        .read_to_end(&mut plain)
        .map_err(|error| Error::internal("a kept document cannot be inflated", error))?;
    if content == Content::Protobuf {
        return Ok(Document {
            len: plain.len() as u64,
            gzip: kept.into(),
        });
    }
    let mut packed = Packed::default();
    let study = Form::Protobuf.study(plain.as_slice())?;
    packed.add(&Form::Xml.document(&study))?;
    packed.finish()
}

impl Archive {
    /// What is said at which level of a study as the caller sees it.
    pub(super) async fn shape(&self, access: &Arc<Access>, study: &MintStudy) -> Result<Shape> {
        let brought = Brought::Whole;
        let making = Making {
            archive: self,
            access,
            study,
            brought,
        };
        making.shape().await
    }

    /// One instance as it is stored, its items counting from 0, and where they lie.
    pub(super) async fn stored_whole(&self, of: &Visible<StoredInstance>) -> Result<Stored> {
        let frames = self.frame_table(of).await?;
        let mut stored = self.read_stored(&of.blob(), frames).await?;
        let uid = &mut stored.instance.sop_instance_uid;
        of.instance.as_str().clone_into(uid);
        Ok(stored)
    }
}

/// A document that is being made.
struct Making<'a> {
    archive: &'a Archive,
    access: &'a Arc<Access>,
    study: &'a MintStudy,
    brought: Brought,
}

impl Making<'_> {
    async fn document(&self, content: Content) -> Result<Document> {
        let shape = self.shape().await?;
        let is_whole = matches!(self.brought, Brought::Whole);
        let facts = StudyFacts {
            study_instance_uid: self.study.uid.to_string(),
            document_type: Some(TYPE.to_owned()),
            version: is_whole.then_some(self.study.at.version),
            instance_count: is_whole.then(|| shape.instances()),
        };
        let plan = Plan {
            facts,
            shape,
            is_whole,
        };
        match content {
            Content::Summary => {
                let mut packed = Packed::default();
                packed.add(&xml::summary(&plan.summary()))?;
                packed.finish()
            }
            Content::Xml => self.write(&plan, Form::Xml, &HashMap::new()).await,
            Content::Protobuf => {
                let lengths = self.lengths(&plan).await?;
                self.write(&plan, Form::Protobuf, &lengths).await
            }
        }
    }

    /// What is said at which level. Instances are looked at in viewing order, of which the first decides where values are equally
    /// frequent (MINT K09).
    async fn shape(&self) -> Result<Shape> {
        let mut levels = Levels::default();
        if let Brought::By(_) = self.brought {
            self.each(|listed, instance| {
                levels.gather(listed.instance.series.as_str(), &instance);
                Ok(())
            })
            .await?;
            return Ok(levels.finish());
        }
        let scope = Scope {
            study: self.study.uid.clone(),
            series: None,
            instance: None,
        };
        let walk = self.archive.walk(self.access, scope).await?;
        let instances = stream::try_unfold(walk, |mut walk| async move {
            let next = walk.next().await?;
            Ok::<_, Error>(next.map(|next| (next, walk)))
        });
        let read = instances.map_ok(|of| async move {
            let instance = self.archive.stored_whole(&of).await?.instance;
            Ok((of, instance))
        });
        let mut read = pin!(read.try_buffered(READS));
        while let Some((of, instance)) = read.try_next().await? {
            levels.gather(of.series.as_str(), &instance);
        }
        Ok(levels.finish())
    }

    /// The length of the instances of each series in protobuf.
    async fn lengths(&self, plan: &Plan) -> Result<HashMap<SeriesUid, u64>> {
        let mut lengths: HashMap<SeriesUid, u64> = HashMap::new();
        let mut scratch = Vec::new();
        self.each(|listed, mut instance| {
            let series = &listed.instance.series;
            plan.shape.own(series.as_str(), &mut instance);
            scratch.clear();
            Form::Protobuf.instance(&instance, &mut scratch);
            *lengths.entry(series.clone()).or_default() += scratch.len() as u64;
            Ok(())
        })
        .await?;
        Ok(lengths)
    }

    async fn write(
        &self,
        plan: &Plan,
        form: Form,
        lengths: &HashMap<SeriesUid, u64>,
    ) -> Result<Document> {
        let mut packed = Packed::default();
        let mut out = Vec::new();
        form.study_start(&plan.facts, &plan.shape.attributes, &mut out);
        let mut open: Option<SeriesFacts> = None;
        self.each(|listed, mut instance| {
            let series = &listed.instance.series;
            let is_open = open
                .as_ref()
                .is_some_and(|facts| facts.series_instance_uid == series.as_str());
            if !is_open {
                if let Some(facts) = open.take() {
                    form.series_end(&facts, &mut out);
                }
                let of_series = plan.shape.series.get(series.as_str()).ok_or_else(changed)?;
                let facts = plan.series_facts(series.as_str(), of_series);
                let len = lengths.get(series).copied().unwrap_or(0);
                let (attributes, normalized) = (&of_series.attributes, &of_series.normalized);
                form.series_start(&facts, attributes, normalized, len, &mut out);
                open = Some(facts);
            }
            plan.shape.own(series.as_str(), &mut instance);
            form.instance(&instance, &mut out);
            packed.add(&out)?;
            out.clear();
            Ok(())
        })
        .await?;
        if let Some(facts) = open {
            form.series_end(&facts, &mut out);
        }
        form.study_end(&plan.facts, &mut out);
        packed.add(&out)?;
        packed.finish()
    }

    /// Hands every instance of the document to `take`, by series UID and instance UID, with the numbers of its items.
    async fn each(&self, mut take: impl FnMut(&Listed, Instance) -> Result<()>) -> Result<()> {
        let catalog = self.archive.catalog(self.access);
        let mut after: Option<(SeriesUid, SopInstanceUid)> = None;
        loop {
            let of = (self.study.at.study, self.brought);
            let page = catalog.document_page(of, after.as_ref(), PAGE).await?;
            let is_last = (page.len() as u64) < PAGE;
            after = page.last().map(|last| {
                let instance = &last.instance;
                (instance.series.clone(), instance.instance.clone())
            });
            let read = stream::iter(page).map(|listed| async move {
                let instance = self.instance(&listed).await?;
                Ok::<_, Error>((listed, instance))
            });
            let mut read = read.buffered(READS);
            while let Some((listed, instance)) = read.try_next().await? {
                take(&listed, instance)?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// One instance with the numbers of its items.
    async fn instance(&self, listed: &Listed) -> Result<Instance> {
        let mut instance = self.archive.stored_whole(&listed.instance).await?.instance;
        listed.number(&mut instance)?;
        Ok(instance)
    }
}

/// What is known of a document before it is written.
struct Plan {
    facts: StudyFacts,
    shape: Shape,
    is_whole: bool,
}

impl Plan {
    fn series_facts(&self, uid: &str, series: &SeriesShape) -> SeriesFacts {
        SeriesFacts {
            series_instance_uid: uid.to_owned(),
            exclude: false,
            instance_count: self.is_whole.then_some(series.instances),
        }
    }

    fn summary(&self) -> Study {
        let series = self.shape.series.iter().map(|(uid, series)| Series {
            facts: self.series_facts(uid, series),
            attributes: series.attributes.clone(),
            ..Series::default()
        });
        Study {
            facts: self.facts.clone(),
            attributes: self.shape.attributes.clone(),
            series: series.collect(),
        }
    }
}

/// What came between two looks at the files; whoever made the document finds out by the version.
fn changed() -> Error {
    Error::new(Kind::Unavailable, "the study changed while it was read")
}

/// A document that is compressed as it comes.
struct Packed {
    encoder: GzEncoder<Vec<u8>>,
    len: u64,
}

impl Default for Packed {
    fn default() -> Self {
        Self {
            encoder: GzEncoder::new(Vec::new(), Compression::default()),
            len: 0,
        }
    }
}

impl Packed {
    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        self.len += bytes.len() as u64;
        self.encoder.write_all(bytes).map_err(failed)
    }

    fn finish(self) -> Result<Document> {
        let gzip = self.encoder.finish().map_err(failed)?;
        Ok(Document {
            gzip: gzip.into(),
            len: self.len,
        })
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::internal("a document could not be compressed", error)
}
