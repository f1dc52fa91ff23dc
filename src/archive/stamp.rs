//! What an answer is made of, in a few bytes: equal as long as what the caller may see of it is (dicomweb.md C01).

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Archive;
use crate::auth::Access;
use crate::dicom::mint::answers::StudyVersion;
use crate::error::{Kind, Result};
use crate::index::catalog::{Instance, Scope, SeriesPieces, Visible};
use crate::model::Timestamp;

/// The content behind an answer.
#[derive(Clone, Debug)]
pub struct Stamp {
    hash: Sha256,
    /// When it was stored. That of several instances is not known: when one of them was deleted is written nowhere.
    stored_at: Option<Timestamp>,
}

impl Stamp {
    /// The content of one instance.
    pub fn of(instance: &Instance) -> Self {
        let mut stamp = Self::nothing();
        stamp.add(instance);
        stamp.stored_at = Some(instance.stored_at);
        stamp
    }

    /// The content of a study at a version, as far as a caller may read it.
    pub fn of_version(study: &StudyVersion, access: &Access) -> Self {
        let mut stamp = Self::nothing();
        stamp.hash.update(study.study.0);
        stamp.hash.update(study.version.to_be_bytes());
        stamp.hash.update(access.facility().code.as_str());
        stamp.hash.update(access.unread().0.to_be_bytes());
        stamp
    }

    /// The same content, of which this is a part.
    #[must_use]
    pub fn with(mut self, digest: [u8; 32]) -> Self {
        self.hash.update(digest);
        self
    }

    /// What is the same for everybody, and as long as the program is.
    pub fn of_nothing() -> Self {
        Self::nothing()
    }

    /// The content that `digest` tells apart.
    pub(super) fn of_digest(digest: [u8; 32]) -> Self {
        let mut stamp = Self::nothing();
        stamp.hash.update(digest);
        stamp
    }

    fn nothing() -> Self {
        Self {
            hash: Sha256::new(),
            stored_at: None,
        }
    }

    fn add(&mut self, instance: &Instance) {
        self.hash.update(instance.series.as_str());
        self.hash.update(b"/");
        self.hash.update(instance.instance.as_str());
        self.hash.update(b"/");
        self.hash.update(instance.digest);
        self.hash.update(instance.instance_version.to_be_bytes());
    }

    fn add_pieces(&mut self, series: &SeriesPieces) {
        self.hash.update(series.series.as_str());
        for piece in &series.pieces {
            self.hash.update(piece.object.as_bytes());
            self.hash.update(piece.range.start.to_be_bytes());
            self.hash.update(piece.crc32.to_be_bytes());
            self.hash.update(piece.instance_count.to_be_bytes());
        }
    }

    /// The same content in a form that the request alone does not tell.
    #[must_use]
    pub fn in_form(mut self, form: &str) -> Self {
        self.hash.update(b"\0");
        self.hash.update(form);
        self
    }

    /// The digest.
    pub fn digest(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    /// When it was stored, where that is the last that happened to it.
    pub fn stored_at(&self) -> Option<Timestamp> {
        self.stored_at
    }
}

/// A study or series of which all is there: what may be known of it without a look at its instances.
#[derive(Debug)]
pub(super) struct Outline {
    /// Its content.
    pub(super) stamp: Stamp,
    /// How many instances it has.
    pub(super) instances: u64,
}

impl Archive {
    /// What `scope` names, in a few rows for thousands of instances; `None` where that does not tell all of it: a stored object
    /// is missing, or the metadata pieces hold other heads beside those of its instances, or nothing is visible.
    ///
    /// # Errors
    /// `Kind::Unavailable` if database or store do not answer.
    pub(super) async fn outline(
        &self,
        access: &Arc<Access>,
        scope: &Scope,
    ) -> Result<Option<Outline>> {
        let series = self.whole_series(access, scope).await?;
        let mut packs = BTreeSet::new();
        let mut instances = 0;
        let mut stamp = Stamp::nothing();
        for series in &series {
            stamp.add_pieces(series);
            instances += u64::from(series.live_count);
            packs.extend(series.pieces.iter().map(|piece| piece.pack.as_str()));
        }
        for pack in packs {
            if self.vault.find(pack).await?.is_none() {
                return Ok(None);
            }
        }
        Ok((!series.is_empty()).then_some(Outline { stamp, instances }))
    }

    /// The series of a study or of a series, if their metadata pieces hold the heads of their instances and no others.
    async fn whole_series(
        &self,
        access: &Arc<Access>,
        scope: &Scope,
    ) -> Result<Vec<Visible<SeriesPieces>>> {
        if scope.instance.is_some() {
            return Ok(Vec::new());
        }
        match self.catalog(access).pieces(scope).await {
            Ok(series) if series.iter().all(|series| series.is_whole()) => Ok(series),
            Ok(_) => Ok(Vec::new()),
            // Who may read no piece is told by the walk.
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Forbidden) => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// The content of what `scope` names, as the caller may see it.
    ///
    /// Where the metadata pieces of every series hold the heads of its instances and no others, they stand for them: a few
    /// rows for thousands of instances.
    ///
    /// # Errors
    /// `Kind::NotFound`, `Kind::Forbidden` as the catalog decides.
    pub async fn stamp(&self, access: &Arc<Access>, scope: &Scope) -> Result<Stamp> {
        let mut stamp = Stamp::nothing();
        let series = self.whole_series(access, scope).await?;
        if !series.is_empty() {
            for series in &series {
                stamp.add_pieces(series);
            }
            return Ok(stamp);
        }
        let mut walk = self.walk(access, scope.clone()).await?;
        let mut last = None;
        while let Some(instance) = walk.next().await? {
            stamp.add(&instance);
            last = Some(instance.stored_at);
        }
        if scope.instance.is_some() {
            stamp.stored_at = last;
        }
        Ok(stamp)
    }
}
