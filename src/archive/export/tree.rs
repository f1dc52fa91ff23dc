//! The tree of an export on disk: files, folders, and the list of digests.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use tokio::fs::{self, File};
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter,
};

use crate::archive::retrieve::ByteStream;
use crate::error::{Error, Kind, Result};
use crate::model::{SeriesUid, SopInstanceUid, StudyUid};
use crate::storage::digest::{Digester, to_hex};

/// The list of digests, and the same while it is written.
const SUMS: &str = "SHA256SUMS";
const NEW_SUMS: &str = ".SHA256SUMS.new";

/// Bytes of one read.
const READ_BYTES: usize = 256 << 10;

/// What became of a file.
pub(super) enum Written {
    /// It is on disk.
    Whole,
    /// What was stored cannot be read back, for this reason; nothing was left behind.
    Damaged(String),
}

/// A folder that is exported into.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    sums: BufWriter<File>,
    /// Folders in which names changed since the last sync.
    changed: BTreeSet<PathBuf>,
}

impl Tree {
    /// Opens the folder. Digests of studies that are not exported this time are kept.
    ///
    /// # Errors
    /// `Kind::Full`, `Kind::Unavailable` if it cannot be written.
    pub async fn open(root: &Path, studies: &[StudyUid]) -> Result<Self> {
        fs::create_dir_all(root).await.map_err(unwritable)?;
        let sums = File::create(root.join(NEW_SUMS))
            .await
            .map_err(unwritable)?;
        let mut tree = Self {
            root: root.to_path_buf(),
            sums: BufWriter::new(sums),
            changed: BTreeSet::new(),
        };
        tree.keep_others(studies).await?;
        Ok(tree)
    }

    async fn keep_others(&mut self, studies: &[StudyUid]) -> Result<()> {
        let old = match File::open(self.root.join(SUMS)).await {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unwritable(error)),
        };
        let exported: HashSet<&str> = studies.iter().map(StudyUid::as_str).collect();
        let mut lines = BufReader::new(old).lines();
        while let Some(line) = lines.next_line().await.map_err(unwritable)? {
            let study = line
                .split_once("  ")
                .and_then(|(_, path)| path.split('/').next());
            if study.is_some_and(|study| !exported.contains(study)) {
                self.line(&line).await?;
            }
        }
        Ok(())
    }

    /// Whether a file is there already, byte for byte.
    pub(super) async fn is_there(&self, place: &str, len: u64, digest: &[u8; 32]) -> Result<bool> {
        let path = self.root.join(place);
        match fs::metadata(&path).await {
            Ok(found) if found.len() == len => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(unwritable(error)),
        }
        let mut file = File::open(&path).await.map_err(unwritable)?;
        let mut digester = Digester::default();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = file.read(&mut buffer).await.map_err(unwritable)?;
            if read == 0 {
                return Ok(digester.finish() == *digest);
            }
            digester.update(&buffer[..read]);
        }
    }

    /// Writes a file: under another name first, which it leaves when its bytes are on disk and have the right digest.
    pub(super) async fn write(
        &mut self,
        place: &str,
        mut bytes: ByteStream,
        digest: &[u8; 32],
    ) -> Result<Written> {
        let path = self.root.join(place);
        let folder = path.parent().unwrap_or(&self.root).to_path_buf();
        fs::create_dir_all(&folder).await.map_err(unwritable)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = folder.join(format!(".{name}.part"));
        let mut file = File::create(&partial).await.map_err(unwritable)?;
        let mut digester = Digester::default();
        let damage = loop {
            match bytes.try_next().await {
                Ok(Some(piece)) => {
                    digester.update(&piece);
                    file.write_all(&piece).await.map_err(unwritable)?;
                }
                Ok(None) if digester.finish() == *digest => break None,
                Ok(None) => break Some("its bytes are not what was stored".to_owned()),
                Err(error) if error.kind() == Kind::Internal => break Some(error.to_string()),
                Err(error) => {
                    drop(fs::remove_file(&partial).await);
                    return Err(error);
                }
            }
        };
        if let Some(damage) = damage {
            fs::remove_file(&partial).await.map_err(unwritable)?;
            return Ok(Written::Damaged(damage));
        }
        file.flush().await.map_err(unwritable)?;
        file.sync_all().await.map_err(unwritable)?;
        fs::rename(&partial, &path).await.map_err(unwritable)?;
        for folder in folder
            .ancestors()
            .take_while(|at| at.starts_with(&self.root))
        {
            self.changed.insert(folder.to_path_buf());
        }
        Ok(Written::Whole)
    }

    /// Adds a file to the list of digests.
    pub(super) async fn note(&mut self, place: &str, digest: &[u8; 32]) -> Result<()> {
        self.line(&format!("{}  {place}", to_hex(digest))).await
    }

    async fn line(&mut self, line: &str) -> Result<()> {
        self.sums
            .write_all(line.as_bytes())
            .await
            .map_err(unwritable)?;
        self.sums.write_all(b"\n").await.map_err(unwritable)
    }

    /// Makes the names of the files so far durable.
    pub(super) async fn sync_folders(&mut self) -> Result<()> {
        for folder in std::mem::take(&mut self.changed) {
            let folder = File::open(folder).await.map_err(unwritable)?;
            folder.sync_all().await.map_err(unwritable)?;
        }
        Ok(())
    }

    /// Gives the list of digests its name.
    ///
    /// # Errors
    /// As [`Tree::open`].
    pub async fn close(mut self) -> Result<()> {
        self.sums.flush().await.map_err(unwritable)?;
        self.sums.get_ref().sync_all().await.map_err(unwritable)?;
        let from = self.root.join(NEW_SUMS);
        fs::rename(from, self.root.join(SUMS))
            .await
            .map_err(unwritable)?;
        self.changed.insert(self.root.clone());
        self.sync_folders().await
    }
}

/// Where an instance goes, from the folder on.
pub(super) fn place(study: &StudyUid, series: &SeriesUid, instance: &SopInstanceUid) -> String {
    format!("{study}/{series}/{instance}.dcm")
}

fn unwritable(error: io::Error) -> Error {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    let kind = if full.contains(&error.kind()) {
        Kind::Full
    } else {
        Kind::Unavailable
    };
    let detail = format!(
        "the folder of the export cannot be written: {}",
        error.kind()
    );
    Error::new(kind, detail).with_source(error)
}
