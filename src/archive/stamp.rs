//! What an answer is made of, in a few bytes: equal as long as what the caller may see of it is (dicomweb.md C01).

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Archive;
use crate::auth::Access;
use crate::error::{Kind, Result};
use crate::index::catalog::{Instance, Scope, SeriesPieces};
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

impl Archive {
    /// The content of what `scope` names, as the caller may see it.
    ///
    /// Where the metadata pieces of every series hold the heads of its instances and no others, they stand for them: a few
    /// rows for thousands of instances.
    ///
    /// # Errors
    /// `Kind::NotFound`, `Kind::Forbidden` as the catalog decides.
    pub async fn stamp(&self, access: &Arc<Access>, scope: &Scope) -> Result<Stamp> {
        let mut stamp = Stamp::nothing();
        if scope.instance.is_none() {
            let series = match self.catalog(access).pieces(scope).await {
                Ok(series) => series,
                // Who may read no piece is told by the walk.
                Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Forbidden) => {
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
            if !series.is_empty() && series.iter().all(|series| series.is_whole()) {
                for series in &series {
                    stamp.add_pieces(series);
                }
                return Ok(stamp);
            }
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
