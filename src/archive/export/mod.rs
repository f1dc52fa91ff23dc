//! The way out: files of a facility as they were stored, in a tree by UID with a list of their digests, for `kura export` and for
//! those who ask for an export over DICOMweb (X06).
//!
//! ```text
//! DIR/SHA256SUMS
//! DIR/{study}/{series}/{instance}.dcm
//! ```
//!
//! A UID is digits and dots, so the names are good on any file system. A file has its name only when it is whole and on disk;
//! one that is there with the right digest is left alone, so an export that was broken off goes on.

mod tree;

use std::path::Path;
use std::sync::Arc;

pub use self::tree::Tree;
use self::tree::{Written, place};
use super::Archive;
use super::guard::Pace;
use crate::auth::Access;
use crate::error::{Kind, Result};
use crate::index::catalog::{Instance, Scope, Visible};
use crate::model::StudyUid;

/// What became of one file.
#[derive(Clone, Debug)]
pub enum Exported {
    /// It was there already, byte for byte.
    There,
    /// It was written, so many bytes.
    Written(u64),
    /// It cannot be read back.
    Damaged {
        /// Where it would be.
        place: String,
        /// Why.
        why: String,
    },
}

/// How many files went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// They are in the folder.
    pub exported: u64,
    /// They cannot be read back, or what was named is not there any more.
    pub skipped: u64,
}

impl Archive {
    /// Writes the files of what `scope` names into a tree, and tells of each.
    ///
    /// # Errors
    /// `Kind::NotFound`, `Kind::Forbidden` as the catalog decides; `Kind::Full`, `Kind::Unavailable` if the folder cannot be
    /// written or the store does not answer.
    pub async fn export(
        &self,
        access: &Arc<Access>,
        scope: Scope,
        tree: &mut Tree,
        told: &mut (dyn FnMut(Exported) + Send),
    ) -> Result<()> {
        let mut instances = self.walk(access, scope).await?;
        while let Some(instance) = instances.next().await? {
            told(self.export_one(access, Arc::new(instance), tree).await?);
        }
        tree.sync_folders().await
    }

    async fn export_one(
        &self,
        access: &Arc<Access>,
        instance: Arc<Visible<Instance>>,
        tree: &mut Tree,
    ) -> Result<Exported> {
        let place = place(&instance.study, &instance.series, &instance.instance);
        let digest = &instance.digest;
        if tree.is_there(&place, instance.byte_count, digest).await? {
            tree.note(&place, digest).await?;
            return Ok(Exported::There);
        }
        let bytes = self.file(access, &instance, &Pace::default());
        Ok(match tree.write(&place, bytes, digest).await? {
            Written::Whole => {
                tree.note(&place, digest).await?;
                Exported::Written(instance.byte_count)
            }
            Written::Damaged(why) => Exported::Damaged { place, why },
        })
    }

    /// Writes the files of all that `scopes` name into `folder`, which is made if it is missing. What is not there any more is
    /// passed over. Done again, it goes on where it was broken off.
    ///
    /// # Errors
    /// As [`Archive::export`], but for what is not there.
    pub async fn export_all(
        &self,
        access: &Arc<Access>,
        scopes: Vec<Scope>,
        folder: &Path,
    ) -> Result<Counts> {
        let studies: Vec<StudyUid> = scopes.iter().map(|scope| scope.study.clone()).collect();
        let mut tree = Tree::open(folder, &studies).await?;
        let mut counts = Counts::default();
        for scope in scopes {
            let mut told = |exported| match exported {
                Exported::There | Exported::Written(_) => counts.exported += 1,
                Exported::Damaged { .. } => counts.skipped += 1,
            };
            match self.export(access, scope, &mut tree, &mut told).await {
                Err(error)
                    if matches!(error.kind(), Kind::NotFound | Kind::Gone | Kind::Forbidden) =>
                {
                    counts.skipped += 1;
                }
                done => done?,
            }
        }
        tree.close().await?;
        Ok(counts)
    }
}
