//! What a folder needs beside opendal: names that survive a power cut, and no left-over temporary files.
//!
//! ```text
//! {root}/
//! ├─ .tmp/
//! │  ├─ 0.lock      locked by the process that uses slot 0
//! │  ├─ 0/          files that process is writing; renamed to their name when whole
//! │  └─ 1.lock  1/  the next process
//! └─ KST/2026/07/01/….pack
//! ```
//!
//! A file is synced before it gets its name (`draft`), which could still be gone after a power cut: the folder is synced
//! here, and each folder above it whose own name is not yet known to be durable.
//!
//! A process that dies leaves its temporary files. Their age says nothing (a transfer may last for hours), a lock does: the
//! kernel gives it up with the process. So each process holds the lock of one slot, and whoever opens the store empties
//! every slot whose lock it can take. The lock files stay, which is what makes this free of races.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::names::Names;

/// The folder for what is being written; no object's name begins with it.
pub(super) const TEMPORARY: &str = ".tmp";

/// How many processes may write into one folder at a time. A folder serves one machine, which runs a few.
const MAX_SLOTS: usize = 256;

/// A folder that holds objects.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    temporary: PathBuf,
    /// Folders, named from the root, whose own name is known to be durable. One a day and facility is added.
    durable: Mutex<BTreeSet<PathBuf>>,
    /// Who waits for names to become durable.
    names: Names,
    /// The lock of our slot; given up when this is dropped.
    _slot: File,
}

impl Disk {
    /// Makes or opens the folder `root`, takes a slot, and empties the slots that nobody holds. Waits for the disk.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        make_folder(root)?;
        let root = root.canonicalize()?;
        let (slot, temporary) = take_slot(&root.join(TEMPORARY))?;
        Ok(Self {
            root,
            temporary,
            durable: Mutex::default(),
            names: Names::default(),
            _slot: slot,
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Our slot, on the same file system as the objects.
    pub(super) fn temporary(&self) -> &Path {
        &self.temporary
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Makes the names of `objects` durable. Waits for the disk.
    pub(super) fn sync_names<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a String>,
    ) -> io::Result<()> {
        let mut parents = BTreeSet::new();
        let mut fresh = BTreeSet::new();
        {
            let durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
            for object in objects {
                let folders = Path::new(object).ancestors().skip(1);
                for (depth, folder) in folders.enumerate() {
                    let is_named = folder.as_os_str().is_empty() || durable.contains(folder);
                    if depth == 0 {
                        parents.insert(folder.to_path_buf());
                    }
                    if is_named {
                        break;
                    }
                    fresh.insert(folder.to_path_buf());
                }
            }
        }
        let above = fresh.iter().filter_map(|folder| folder.parent());
        let mut to_sync: BTreeSet<&Path> = above.collect();
        to_sync.extend(parents.iter().map(PathBuf::as_path));
        for folder in to_sync.iter().rev() {
            sync_folder(&self.root.join(folder))?;
        }
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        durable.extend(fresh);
        Ok(())
    }

    /// Empties every slot but ours whose lock can be taken; gives how many files went. Waits for the disk.
    pub(super) fn empty_slots_of_the_dead(&self) -> io::Result<usize> {
        let mut removed = 0;
        let slots = self.root.join(TEMPORARY);
        for number in 0..MAX_SLOTS {
            let folder = slots.join(number.to_string());
            let path = slots.join(format!("{number}.lock"));
            if folder == self.temporary || !path.exists() {
                continue;
            }
            let lock = OpenOptions::new().write(true).open(path)?;
            match lock.try_lock() {
                Ok(()) => {
                    removed += fs::read_dir(&folder).map_or(0, Iterator::count);
                    empty(&folder)?;
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(removed)
    }

    /// The file of an object in the making, in our slot. Names of objects are never used twice, and their last part is the
    /// id of a pack, so that it is enough to tell them apart.
    pub(super) fn draft_of(&self, object: &str) -> PathBuf {
        let base = object.rsplit('/').next().unwrap_or(object);
        self.temporary.join(base)
    }
}

/// Makes `folder` and what is missing above it, each name durable.
fn make_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|at| !at.exists()).collect();
    fs::create_dir_all(folder)?;
    for made in missing {
        if let Some(above) = made.parent() {
            sync_folder(above)?;
        }
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn take_slot(temporary: &Path) -> io::Result<(File, PathBuf)> {
    fs::create_dir_all(temporary)?;
    let mut ours = None;
    for number in 0..MAX_SLOTS {
        let path = temporary.join(format!("{number}.lock"));
        if ours.is_some() && !path.exists() {
            break;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        match lock.try_lock() {
            Ok(()) => {
                let folder = temporary.join(number.to_string());
                empty(&folder)?;
                ours.get_or_insert((lock, folder));
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    ours.ok_or_else(|| io::Error::other("too many processes write into this folder"))
}

fn empty(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for file in fs::read_dir(folder)? {
        fs::remove_file(file?.path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_dead_process_is_swept_and_a_living_one_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let first = Disk::open(root.path()).unwrap();
        let second = Disk::open(root.path()).unwrap();
        assert_ne!(first.temporary(), second.temporary());
        fs::write(first.temporary().join("a.pack.x"), b"1").unwrap();
        fs::write(second.temporary().join("b.pack.x"), b"1").unwrap();

        let of_the_dead = second.temporary().to_path_buf();
        drop(second);
        let third = Disk::open(root.path()).unwrap();
        assert_eq!(third.temporary(), of_the_dead);
        assert_eq!(files(third.temporary()), 0);
        assert_eq!(files(first.temporary()), 1);

        let fourth = Disk::open(root.path()).unwrap();
        fs::write(fourth.temporary().join("c.pack.x"), b"1").unwrap();
        assert_eq!(first.empty_slots_of_the_dead().unwrap(), 0, "it lives");
        drop(fourth);
        assert_eq!(first.empty_slots_of_the_dead().unwrap(), 1);
        assert_eq!(files(first.temporary()), 1);

        let lower = first.temporary().to_path_buf();
        drop(first);
        let again = Disk::open(root.path()).unwrap();
        assert_eq!((again.temporary(), files(&lower)), (lower.as_path(), 0));
    }

    #[test]
    fn a_root_is_made_with_all_above_it() {
        let base = tempfile::tempdir().unwrap();
        let disk = Disk::open(&base.path().join("a/b/c")).unwrap();
        assert!(disk.root().ends_with("a/b/c"));
    }

    #[test]
    fn syncing_fails_where_the_folder_is_not_there_and_learns_nothing() {
        let root = tempfile::tempdir().unwrap();
        let disk = Disk::open(root.path()).unwrap();
        let object = ["KST/2026/07/1.pack".to_owned()];
        disk.sync_names(&object).unwrap_err();
        assert!(disk.durable.lock().unwrap().is_empty());
        fs::create_dir_all(root.path().join("KST/2026/07")).unwrap();
        disk.sync_names(&object).unwrap();
        assert_eq!(disk.durable.lock().unwrap().len(), 3);
        disk.sync_names(&object).unwrap();
    }
}
