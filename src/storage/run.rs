//! Ranges of one object that are read one after the other: those that lie close together are one read of the store, so that
//! the thirty thousand fragments of a film do not cost thirty thousand requests.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use tokio::sync::Mutex;

use super::place::BlobRef;
use super::vault::Vault;
use crate::Result;
use crate::error::{Error, Kind};

/// A hole up to this long is read over: what an object store sends in the time that one more request takes.
pub(crate) const GAP_BYTES: u64 = 64 << 10;

/// Ranges on their way. A clone is the same run: its ranges are read one at a time, whoever asks.
#[derive(Clone)]
pub struct Run(Arc<Mutex<State>>);

struct State {
    vault: Vault,
    object: String,
    /// What is read at once, in the order in which it was announced.
    spans: Vec<Range<u64>>,
    /// The span that is being read, and how much of it has passed.
    open: Option<Open>,
}

struct Open {
    end: u64,
    at: u64,
    bytes: BoxStream<'static, Result<Bytes>>,
    ready: Bytes,
}

impl Vault {
    /// Announces `ranges` of `object`, in bytes, which will be read in this order. Nothing is asked of the store yet.
    pub fn run(&self, object: &str, ranges: impl IntoIterator<Item = Range<u64>>) -> Run {
        let mut spans: Vec<Range<u64>> = Vec::new();
        for range in ranges {
            match spans.last_mut() {
                Some(last) if range.start >= last.end && range.start - last.end <= GAP_BYTES => {
                    last.end = range.end.max(last.end);
                }
                _ => spans.push(range),
            }
        }
        Run(Arc::new(Mutex::new(State {
            vault: self.clone(),
            object: object.to_owned(),
            spans,
            open: None,
        })))
    }
}

impl Run {
    /// The bytes of one range. One that was not announced, or comes out of turn, is a read of its own.
    ///
    /// The stream fails as that of [`Vault::read`] does.
    pub fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let state = (Arc::clone(&self.0), range);
        stream::try_unfold(state, async |(run, mut range)| {
            if range.is_empty() {
                return Ok(None);
            }
            let piece = run.lock().await.next(&range).await?;
            range.start += piece.len() as u64;
            Ok(Some((piece, (run, range))))
        })
        .boxed()
    }
}

impl State {
    /// The next bytes of `range`, which is not empty.
    async fn next(&mut self, range: &Range<u64>) -> Result<Bytes> {
        let is_ahead = |open: &Open| {
            open.at <= range.start && range.start - open.at <= GAP_BYTES && range.end <= open.end
        };
        if !self.open.as_ref().is_some_and(is_ahead) {
            let holds = |span: &&Range<u64>| span.start <= range.start && range.end <= span.end;
            let end = self.spans.iter().find(holds).map_or(range.end, |it| it.end);
            self.open = Some(Open {
                end,
                at: range.start,
                bytes: self.vault.read(&BlobRef {
                    object: self.object.clone(),
                    range: range.start..end,
                }),
                ready: Bytes::new(),
            });
        }
        match &mut self.open {
            Some(open) => {
                let piece = open.next(range).await;
                if piece.is_err() {
                    self.open = None;
                }
                piece
            }
            None => Err(cut_off()),
        }
    }
}

impl Open {
    async fn next(&mut self, range: &Range<u64>) -> Result<Bytes> {
        loop {
            if self.ready.is_empty() {
                self.ready = self.bytes.try_next().await?.ok_or_else(cut_off)?;
            }
            let over = usize::try_from(range.start - self.at).unwrap_or(usize::MAX);
            let piece = if over > 0 {
                self.ready.split_to(over.min(self.ready.len()))
            } else {
                let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                self.ready.split_to(left.min(self.ready.len()))
            };
            self.at += piece.len() as u64;
            if over == 0 {
                return Ok(piece);
            }
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

fn cut_off() -> Error {
    Error::new(Kind::Internal, "bytes that were promised are not there")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store(len: usize) -> (Vault, Vec<u8>) {
        let vault = Vault::open("memory://").await.unwrap();
        let bytes: Vec<u8> = (0..len).map(|at| (at * 7 % 251).to_le_bytes()[0]).collect();
        let mut put = vault.create("F001/a.pack").await.unwrap();
        put.write(Bytes::from(bytes.clone())).await.unwrap();
        put.close().await.unwrap();
        (vault, bytes)
    }

    async fn all(stream: BoxStream<'static, Result<Bytes>>) -> Vec<u8> {
        let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
        pieces.concat()
    }

    fn spans(run: &Run) -> Vec<Range<u64>> {
        run.0.try_lock().unwrap().spans.clone()
    }

    #[tokio::test]
    async fn neighbours_are_one_read_and_give_the_bytes_of_each() {
        let (vault, bytes) = store(400_000).await;
        let ranges = [
            10..20,
            20..20,
            28..50_000,
            60_000..60_001,
            300_000..400_000,
            5..9,
        ];
        let run = vault.run("F001/a.pack", ranges.clone());
        assert_eq!(spans(&run), [10..60_001, 300_000..400_000, 5..9]);
        for range in ranges {
            let expected =
                &bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
            assert!(all(run.read(range.clone())).await == expected, "{range:?}");
        }
    }

    #[tokio::test]
    async fn any_order_and_a_read_that_was_given_up_are_right_too() {
        let (vault, bytes) = store(400_000).await;
        let run = vault.run("F001/a.pack", [0..200_000, 200_000..400_000]);
        let first = run.read(0..200_000).next().await.unwrap().unwrap();
        assert!(bytes.starts_with(&first));
        assert!(all(run.read(200_000..400_000)).await == bytes[200_000..]);
        assert!(all(run.read(3..5)).await == bytes[3..5]);
        let beyond = run.read(399_999..400_001).try_collect::<Vec<_>>().await;
        assert_eq!(beyond.unwrap_err().kind(), Kind::Internal);
        assert!(all(run.read(399_998..400_000)).await == bytes[399_998..]);
    }
}
