//! Bytes that have to wait for others of the same request: in memory while they are few, then in a file that has no name.

use std::io::SeekFrom;
use std::ops::Range;

use bytes::Bytes;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use uuid::Uuid;

use crate::error::{Error, Kind, Result};

/// Bytes that are held in memory.
const HELD: usize = 1 << 20;

/// Bytes that are read at once.
const PIECE: u64 = 64 << 10;

/// A pile of bytes, written once from its start on and read in ranges.
#[derive(Debug, Default)]
pub struct Spool {
    held: Vec<u8>,
    file: Option<File>,
    len: u64,
}

impl Spool {
    /// How many bytes there are.
    pub fn byte_count(&self) -> u64 {
        self.len
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// `Kind::Full` if the folder of temporary files has no room.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.len += bytes.len() as u64;
        if self.file.is_none() && self.held.len() + bytes.len() <= HELD {
            self.held.extend_from_slice(bytes);
            return Ok(());
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => nameless().await?,
        };
        let held = std::mem::take(&mut self.held);
        let written = async {
            file.write_all(&held).await?;
            file.write_all(bytes).await
        };
        written.await.map_err(no_room)?;
        self.file = Some(file);
        Ok(())
    }

    /// Forgets all of it. The room on disk is free again.
    pub async fn clear(&mut self) {
        self.held.clear();
        self.len = 0;
        // Without a file it is the memory that is filled next; one that cannot be cut is left to the system.
        if let Some(mut file) = self.file.take() {
            let cut = async {
                file.flush().await?;
                file.set_len(0).await?;
                file.seek(SeekFrom::Start(0)).await
            };
            if cut.await.is_ok() {
                self.file = Some(file);
            }
        }
    }

    /// The next bytes of a range, which becomes what is left of it; nothing where nothing is left.
    ///
    /// # Errors
    /// `Kind::Internal` if they cannot be read.
    pub async fn read(&mut self, range: &mut Range<u64>) -> Result<Bytes> {
        let end = range.end.min(range.start.saturating_add(PIECE));
        let lost = |_| Error::new(Kind::Internal, "spooled bytes are gone");
        let len = usize::try_from(end.saturating_sub(range.start)).map_err(lost)?;
        let mut bytes = vec![0; len];
        if let Some(file) = &mut self.file {
            let read = async {
                file.flush().await?;
                file.seek(SeekFrom::Start(range.start)).await?;
                file.read_exact(&mut bytes).await
            };
            let unread = |cause| Error::internal("spooled bytes cannot be read", cause);
            read.await.map_err(unread)?;
        } else {
            let start = usize::try_from(range.start).map_err(lost)?;
            let held = self.held.get(start..start + len);
            let held = held.ok_or_else(|| Error::new(Kind::Internal, "spooled bytes are gone"))?;
            bytes.copy_from_slice(held);
        }
        range.start = end;
        Ok(bytes.into())
    }
}

/// A file that nobody else can open, and that is gone with the process.
async fn nameless() -> Result<File> {
    let path = std::env::temp_dir().join(format!("kura-{}", Uuid::new_v4().simple()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    let file = options.open(&path).await.map_err(no_room)?;
    fs::remove_file(&path).await.map_err(no_room)?;
    Ok(file)
}

fn no_room(cause: std::io::Error) -> Error {
    let detail = "bytes cannot be put aside: the folder of temporary files takes no more";
    Error::new(Kind::Full, detail).with_source(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn whole(spool: &mut Spool, mut range: Range<u64>) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let bytes = spool.read(&mut range).await.unwrap();
            if bytes.is_empty() {
                return all;
            }
            all.extend_from_slice(&bytes);
        }
    }

    #[tokio::test]
    async fn what_is_cleared_makes_room_for_other_bytes() {
        let mut spool = Spool::default();
        for (round, len) in [100_usize, 3 << 20, 100, 2 << 20].into_iter().enumerate() {
            let byte = u8::try_from(round).unwrap();
            spool.write(&vec![byte; len]).await.unwrap();
            assert_eq!(spool.byte_count(), len as u64);
            let all = whole(&mut spool, 0..len as u64).await;
            assert!(all == vec![byte; len]);
            spool.clear().await;
            assert_eq!(spool.byte_count(), 0);
        }
    }

    #[tokio::test]
    async fn what_was_put_aside_is_read_again_from_memory_and_from_a_file() {
        let mut spool = Spool::default();
        let bytes: Vec<u8> = (0..=255_u8).cycle().take(300_001).collect();
        for round in 1..=5_u64 {
            spool.write(&bytes).await.unwrap();
            assert_eq!(spool.byte_count(), 300_001 * round);
            let first = whole(&mut spool, 0..300_001).await;
            assert!(first == bytes);
            let last = whole(&mut spool, 300_001 * round - 100..300_001 * round).await;
            assert_eq!(last, bytes[bytes.len() - 100..]);
        }
        assert!(spool.file.is_some());
    }
}
