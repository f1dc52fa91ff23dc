//! A long answer asks again on its way whether it may go on (sharing.md 3.6).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};

use super::Archive;
use super::retrieve::ByteStream;
use crate::auth::Access;
use crate::error::{Error, Kind, Result};
use crate::index::catalog::Visible;

/// It asks after so many bytes, or so much time.
const RECHECK_BYTES: u64 = 64 << 20;
const RECHECK_AFTER: Duration = Duration::from_secs(5);

/// How far an answer is since it last asked. Parts of one answer share it: a clone is the same pace.
#[derive(Clone, Debug)]
pub struct Pace(Arc<Mutex<Passed>>);

#[derive(Debug)]
struct Passed {
    bytes: u64,
    since: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        let (bytes, since) = (0, Instant::now());
        Self(Arc::new(Mutex::new(Passed { bytes, since })))
    }
}

impl Pace {
    /// Notes that so many bytes more are about to leave; whether it is time to ask again, from where counting starts anew.
    fn is_up(&self, more: usize) -> bool {
        let mut passed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        passed.bytes += more as u64;
        let is_up = passed.bytes >= RECHECK_BYTES || passed.since.elapsed() >= RECHECK_AFTER;
        if is_up {
            (passed.bytes, passed.since) = (0, Instant::now());
        }
        is_up
    }
}

impl Archive {
    /// The same bytes, cut off as soon as the caller may no longer see the instance.
    pub(super) fn guarded<T: Send + Sync + 'static>(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<T>>,
        pace: &Pace,
        bytes: ByteStream,
    ) -> ByteStream {
        let guard = Guard {
            archive: self.clone(),
            access: Arc::clone(access),
            instance: Arc::clone(instance),
            pace: pace.clone(),
            bytes,
        };
        stream::try_unfold(guard, Guard::next).boxed()
    }
}

/// Bytes on their way.
struct Guard<T> {
    archive: Archive,
    access: Arc<Access>,
    instance: Arc<Visible<T>>,
    pace: Pace,
    bytes: ByteStream,
}

impl<T> Guard<T> {
    async fn next(mut self) -> Result<Option<(bytes::Bytes, Self)>> {
        let Some(piece) = self.bytes.try_next().await? else {
            return Ok(None);
        };
        if self.pace.is_up(piece.len()) {
            let catalog = self.archive.catalog(&self.access);
            if !catalog.still_visible(&self.instance).await? {
                return Err(Error::new(Kind::NotFound, "withdrawn while it was sent"));
            }
        }
        Ok(Some((piece, self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_parts_ask_as_often_as_one_large_one() {
        let pace = Pace::default();
        let asked = (0..300).filter(|_| pace.clone().is_up(1 << 20)).count();
        assert_eq!(asked, 4);
    }
}
