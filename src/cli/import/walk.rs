//! The files below a folder, in the order of names. Links are not followed, so nothing outside of the folder is read and
//! nothing is read for ever.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its path from the folder on; the order of the walk is that of these.
    pub(super) relative: PathBuf,
    /// Its length.
    pub(super) len: u64,
    /// When it was changed, in nanoseconds since 1970; 0 where the system does not say.
    pub(super) modified_ns: i128,
}

/// What the walk comes to.
#[derive(Debug)]
pub(super) enum Item {
    /// A file.
    File(Found),
    /// A link, a socket, a device: nothing that is read.
    Other,
    /// Something that cannot be read.
    Unreadable(PathBuf, io::Error),
}

/// A walk.
pub(super) struct Walk {
    root: PathBuf,
    /// What is left of the folders that are open, names in descending order.
    open: Vec<(PathBuf, Vec<std::ffi::OsString>)>,
    /// Told before anything else: a root that cannot be read, or that is a file.
    first: Option<Item>,
}

impl Walk {
    /// Begins below `root`; a root that is a file is the one file.
    pub(super) fn new(root: &Path) -> Self {
        let mut walk = Self {
            root: root.to_path_buf(),
            open: Vec::new(),
            first: None,
        };
        match fs::metadata(root) {
            Ok(found) if found.is_dir() => walk.first = walk.enter(PathBuf::new()),
            Ok(found) => {
                let name = root.file_name().map(PathBuf::from).unwrap_or_default();
                walk.root = root.parent().map(Path::to_path_buf).unwrap_or_default();
                walk.first = Some(Item::File(file(name, &found)));
            }
            Err(error) => walk.first = Some(Item::Unreadable(PathBuf::new(), error)),
        }
        walk
    }

    /// What the paths of the files begin from.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn enter(&mut self, relative: PathBuf) -> Option<Item> {
        let names: io::Result<Vec<_>> = fs::read_dir(self.root.join(&relative))
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
        match names {
            Ok(mut names) => {
                names.sort_unstable_by(|a, b| b.cmp(a));
                self.open.push((relative, names));
                None
            }
            Err(error) => Some(Item::Unreadable(relative, error)),
        }
    }
}

impl Iterator for Walk {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let (folder, names) = self.open.last_mut()?;
            let Some(name) = names.pop() else {
                self.open.pop();
                continue;
            };
            let relative = folder.join(name);
            match fs::symlink_metadata(self.root.join(&relative)) {
                Ok(found) if found.is_dir() => {
                    if let Some(unreadable) = self.enter(relative) {
                        return Some(unreadable);
                    }
                }
                Ok(found) if found.is_file() => return Some(Item::File(file(relative, &found))),
                Ok(_) => return Some(Item::Other),
                Err(error) => return Some(Item::Unreadable(relative, error)),
            }
        }
    }
}

fn file(relative: PathBuf, found: &fs::Metadata) -> Found {
    let since = found
        .modified()
        .ok()
        .map(|at| at.duration_since(UNIX_EPOCH));
    let modified_ns = match since {
        Some(Ok(after)) => i128::try_from(after.as_nanos()).unwrap_or(0),
        Some(Err(before)) => -i128::try_from(before.duration().as_nanos()).unwrap_or(0),
        None => 0,
    };
    Found {
        relative,
        len: found.len(),
        modified_ns,
    }
}

/// The bytes of all files below `root`.
pub(super) fn bytes_below(root: &Path) -> u64 {
    Walk::new(root)
        .map(|item| match item {
            Item::File(found) => found.len,
            Item::Other | Item::Unreadable(..) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_paths_and_links_are_left() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["b", "a/x/2", "a/x/10", "a.txt", "c/1"] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), name).unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), at("a/loop")).unwrap();
        std::os::unix::fs::symlink(at("b"), at("link")).unwrap();
        let (mut files, mut others) = (Vec::new(), 0);
        for item in Walk::new(folder.path()) {
            match item {
                Item::File(found) => files.push(found.relative),
                Item::Other => others += 1,
                Item::Unreadable(path, error) => panic!("{}: {error}", path.display()),
            }
        }
        let expected = ["a/x/10", "a/x/2", "a.txt", "b", "c/1"].map(PathBuf::from);
        assert_eq!((&files[..], others), (&expected[..], 2));
        assert!(files.is_sorted(), "the journal is compared in this order");
        assert_eq!(bytes_below(folder.path()), 6 + 5 + 5 + 1 + 3);
        let one: Vec<Item> = Walk::new(&at("b")).collect();
        assert!(matches!(&one[..], [Item::File(found)] if found.relative == Path::new("b")));
    }
}
