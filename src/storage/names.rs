//! Names become durable together: who asks while folders are being synced shares the next sync with all others who do.
//!
//! A sync of a folder costs the disk a flush, whatever it finds to do, and stores that come at the same time have given
//! names in the same folder of the day.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::disk::Disk;
use crate::{Error, Result};

/// Who waits for names to be durable.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Whether somebody syncs. Who comes now is waited for by that one.
    is_busy: bool,
    asked: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    objects: Vec<String>,
    answer: oneshot::Sender<io::Result<()>>,
}

/// Makes the names of `objects` durable.
///
/// # Errors
/// What the system said, in the outer result where the work was cut off.
pub(super) async fn sync(disk: &Arc<Disk>, objects: Vec<String>) -> Result<io::Result<()>> {
    let (answer, synced) = oneshot::channel();
    let is_first = disk.names().add(Asked { objects, answer });
    if is_first {
        let disk = Arc::clone(disk);
        // It goes on when this caller is gone: others wait for it.
        drop(tokio::task::spawn_blocking(move || {
            while let Some(asked) = disk.names().take() {
                sync_all(&disk, asked);
            }
        }));
    }
    synced
        .await
        .map_err(|cause| Error::internal("work on stored bytes was cut off", cause))
}

/// Syncs all folders once; where that fails, those of each by themselves, so that each hears its own failure.
fn sync_all(disk: &Disk, asked: Vec<Asked>) {
    let all = asked.iter().flat_map(|asked| &asked.objects);
    let together = disk.sync_names(all);
    for Asked { objects, answer } in asked {
        let own = match &together {
            Ok(()) => Ok(()),
            Err(_) => disk.sync_names(&objects),
        };
        // Who asked may be gone.
        answer.send(own).ok();
    }
}

impl Names {
    /// Adds one who waits; whether it has to see to it.
    fn add(&self, asked: Asked) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.asked.push(asked);
        !std::mem::replace(&mut waiting.is_busy, true)
    }

    /// Takes all who wait; `None` where nobody does, and nobody is busy then.
    fn take(&self) -> Option<Vec<Asked>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = std::mem::take(&mut waiting.asked);
        waiting.is_busy = !asked.is_empty();
        waiting.is_busy.then_some(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_hears_what_became_of_its_own_names() {
        let root = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(root.path()).unwrap());
        std::fs::create_dir_all(root.path().join("KST/2026")).unwrap();
        let asked = (0..100).map(|n| {
            let folder = if n % 10 == 7 { "gone" } else { "2026" };
            sync(&disk, vec![format!("KST/{folder}/{n}.pack")])
        });
        let synced = futures::future::join_all(asked).await;
        for (n, synced) in synced.into_iter().enumerate() {
            assert_eq!(synced.unwrap().is_ok(), n % 10 != 7, "{n}");
        }
        let again = sync(&disk, vec!["KST/2026/x.pack".to_owned()]).await;
        again.unwrap().unwrap();
    }
}
