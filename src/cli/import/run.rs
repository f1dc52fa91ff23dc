//! One run: the walk beside its journal, batches through the archive, outcomes into report and journal.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use futures::{Future, StreamExt as _};
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

use super::super::base_url;
use super::super::progress::{Progress, size};
use super::journal::{Journal, Line};
use super::report::{About, Counts, Report};
use super::walk::{Found, Item, Walk};
use crate::app::App;
use crate::archive::Archive;
use crate::archive::ingest::{Ingest, Input, Options};
use crate::auth::StoreGrant;
use crate::dicom::part10::{START_LEN, recognise};
use crate::dicom::store_response::StoreOutcome;
use crate::error::{Error, Kind, Result};
use crate::model::SopInstanceUid;

/// Files and bytes of one batch: one flush and one transaction for each eighth open pack, at most so much to do again after
/// a power cut.
const BATCH_FILES: usize = 1_000;
const BATCH_BYTES: u64 = 256 << 20;

/// Files whose lines of the journal are looked up in the index together.
const LOOK_UP: usize = 256;

/// Bytes of one read.
const READ_BYTES: usize = 256 << 10;

/// A file on its way, in the order of the walk.
struct Passed {
    found: Found,
    fate: Fate,
}

/// What becomes of it.
enum Fate {
    /// The journal and the index know it.
    Known(SopInstanceUid),
    /// It is no DICOM instance.
    Skipped,
    /// It was handed to the archive.
    Sent,
    /// It was refused or could not be read: the next run tries again.
    Failed,
}

/// Files that are stored together.
struct Batch {
    ingest: Ingest,
    files: Vec<Passed>,
    bytes: u64,
    sent: usize,
}

/// A batch whose files have all been handed over.
struct Pending {
    outcomes: Pin<Box<dyn Future<Output = Result<Vec<StoreOutcome>>> + Send>>,
    files: Vec<Passed>,
}

/// A whole run.
pub(super) struct Import<'a> {
    archive: &'a Archive,
    data: &'a Path,
    grant: StoreGrant,
    options: Options,
    report: &'a mut Report,
    progress: Progress,
    counts: Counts,
    passed_bytes: u64,
}

impl<'a> Import<'a> {
    pub(super) fn new(
        app: &'a App,
        grant: StoreGrant,
        report: &'a mut Report,
        progress: Progress,
    ) -> Self {
        Self {
            archive: app.archive(),
            data: &app.config().data,
            grant,
            options: Options {
                study: None,
                base_url: base_url(app),
            },
            report,
            progress,
            counts: Counts::default(),
            passed_bytes: 0,
        }
    }

    /// Ends the run.
    pub(super) fn end(self) -> Counts {
        self.progress.end();
        self.counts
    }

    /// Stores what lies below `root`.
    pub(super) async fn folder(&mut self, root: PathBuf, is_again: bool) -> Result<()> {
        let owner = self.grant.facility().code.to_string();
        let mut journal = Journal::open(self.data, &owner, &root, is_again)?;
        let walk = Walk::new(&root);
        let root = walk.root().to_path_buf();
        let (sender, mut items) = mpsc::channel(LOOK_UP);
        let walking = tokio::task::spawn_blocking(move || {
            for item in walk {
                if sender.blocking_send(item).is_err() {
                    break;
                }
            }
        });
        let (mut batch, mut pending) = (self.begin(), None);
        let mut some = Vec::with_capacity(LOOK_UP);
        while items.recv_many(&mut some, LOOK_UP).await > 0 {
            for (found, line) in self.look_up(&root, &mut journal, &mut some).await? {
                self.file(&root, &mut batch, found, line).await?;
                if batch.sent >= BATCH_FILES || batch.bytes >= BATCH_BYTES {
                    let full = std::mem::replace(&mut batch, self.begin());
                    self.hand_over(&root, &mut journal, &mut pending, full)
                        .await?;
                }
            }
        }
        let last = std::mem::replace(&mut batch, self.begin());
        self.hand_over(&root, &mut journal, &mut pending, last)
            .await?;
        self.settle(&root, &mut journal, pending).await?;
        walking
            .await
            .map_err(|e| Error::internal("reading the folder broke off", e))?;
        journal.complete()
    }

    fn begin(&self) -> Batch {
        Batch {
            ingest: self
                .archive
                .ingest(self.grant.clone(), self.options.clone()),
            files: Vec::new(),
            bytes: 0,
            sent: 0,
        }
    }

    /// The files of some items, each with what the journal says of it if the index says so too.
    async fn look_up(
        &mut self,
        root: &Path,
        journal: &mut Journal,
        items: &mut Vec<Item>,
    ) -> Result<Vec<(Found, Option<Line>)>> {
        let mut files = Vec::with_capacity(items.len());
        for item in items.drain(..) {
            match item {
                Item::File(found) => {
                    self.counts.found += 1;
                    let line = journal.known(&found);
                    files.push((found, line));
                }
                Item::Other => self.counts.skipped += 1,
                Item::Unreadable(path, error) => {
                    self.unreadable(&root.join(path), &error.kind().to_string())?;
                }
            }
        }
        let uids: Vec<&SopInstanceUid> = files
            .iter()
            .filter_map(|(_, line)| line.as_ref()?.instance.as_ref())
            .collect();
        let stored: HashSet<SopInstanceUid> = if uids.is_empty() {
            HashSet::new()
        } else {
            self.archive.index().alive_among(&self.grant, &uids).await?
        };
        for (_, line) in &mut files {
            let is_there = |line: &mut Line| match &line.instance {
                Some(uid) => stored.contains(uid),
                None => true,
            };
            *line = line.take_if(|line| is_there(line));
        }
        Ok(files)
    }

    /// Hands a file to the archive, unless it is known or no DICOM.
    async fn file(
        &mut self,
        root: &Path,
        batch: &mut Batch,
        found: Found,
        line: Option<Line>,
    ) -> Result<()> {
        self.passed_bytes += found.len;
        let fate = match line {
            Some(Line {
                instance: Some(uid),
                ..
            }) => {
                self.counts.there += 1;
                Fate::Known(uid)
            }
            Some(_) => {
                self.counts.skipped += 1;
                Fate::Skipped
            }
            None => self.read(&root.join(&found.relative), batch).await?,
        };
        if matches!(fate, Fate::Sent) {
            batch.bytes += found.len;
            batch.sent += 1;
            self.counts.bytes += found.len;
        }
        batch.files.push(Passed { found, fate });
        let counts = self.counts;
        self.progress.at(self.passed_bytes, || {
            format!("{counts}, {} read", size(counts.bytes))
        });
        Ok(())
    }

    async fn read(&mut self, path: &Path, batch: &mut Batch) -> Result<Fate> {
        let is_directory = path
            .file_name()
            .is_some_and(|name| name.eq_ignore_ascii_case("DICOMDIR"));
        if is_directory {
            self.counts.skipped += 1;
            return Ok(Fate::Skipped);
        }
        let file = match tokio::fs::File::open(path).await {
            Ok(file) => file,
            Err(error) => {
                self.unreadable(path, &error.kind().to_string())?;
                return Ok(Fate::Failed);
            }
        };
        let mut bytes = ReaderStream::with_capacity(file, READ_BYTES);
        let mut is_begun = false;
        while let Some(read) = bytes.next().await {
            let piece = match read {
                Ok(piece) => piece,
                Err(error) => {
                    self.unreadable(path, &error.kind().to_string())?;
                    if is_begun {
                        let text = "it could not be read to its end".to_owned();
                        batch.ingest.send(Input::Broken(text)).await;
                        return Ok(Fate::Sent);
                    }
                    return Ok(Fate::Failed);
                }
            };
            if !is_begun {
                if recognise(&piece[..piece.len().min(START_LEN)]).is_none() {
                    break;
                }
                is_begun = true;
                batch.ingest.send(Input::Start).await;
            }
            batch.ingest.send(Input::Data(piece)).await;
        }
        if !is_begun {
            self.counts.skipped += 1;
            return Ok(Fate::Skipped);
        }
        batch.ingest.send(Input::End).await;
        Ok(Fate::Sent)
    }

    /// Lets a batch be made durable while the next is read; the one before must be done.
    async fn hand_over(
        &mut self,
        root: &Path,
        journal: &mut Journal,
        pending: &mut Option<Pending>,
        batch: Batch,
    ) -> Result<()> {
        let mut outcomes = Box::pin(batch.ingest.finish());
        // The first poll tells the task that nothing more comes.
        let outcomes: Pin<Box<dyn Future<Output = _> + Send>> = match futures::poll!(&mut outcomes)
        {
            std::task::Poll::Ready(outcomes) => Box::pin(std::future::ready(outcomes)),
            std::task::Poll::Pending => outcomes,
        };
        let files = batch.files;
        let before = pending.replace(Pending { outcomes, files });
        self.settle(root, journal, before).await
    }

    /// Waits for a batch and writes down what became of its files.
    async fn settle(
        &mut self,
        root: &Path,
        journal: &mut Journal,
        pending: Option<Pending>,
    ) -> Result<()> {
        let Some(pending) = pending else {
            return Ok(());
        };
        let mut outcomes = pending.outcomes.await.map_err(cannot_store)?.into_iter();
        let mut broken = None;
        for Passed { found, fate } in pending.files {
            match fate {
                Fate::Known(uid) => journal.note(&found, Some(&uid))?,
                Fate::Skipped => journal.note(&found, None)?,
                Fate::Failed => {}
                Fate::Sent => {
                    let outcome = outcomes.next().ok_or_else(|| {
                        Error::new(Kind::Internal, "a file is without an outcome")
                    })?;
                    self.outcome(root, journal, &found, &outcome)?;
                    broken = broken.or_else(|| server_failure(&outcome));
                }
            }
        }
        journal.flush()?;
        broken.map_or(Ok(()), |kind| {
            Err(cannot_store(Error::new(
                kind,
                "a batch was stored in part only",
            )))
        })
    }

    fn outcome(
        &mut self,
        root: &Path,
        journal: &mut Journal,
        found: &Found,
        outcome: &StoreOutcome,
    ) -> Result<()> {
        match outcome {
            StoreOutcome::Stored {
                path,
                is_new,
                warning,
                ..
            } => {
                let count = if *is_new {
                    &mut self.counts.stored
                } else {
                    &mut self.counts.there
                };
                *count += 1;
                journal.note(found, Some(&path.instance))?;
                if let Some((code, text)) = warning {
                    self.counts.warned += 1;
                    let uid = Some(path.instance.as_str());
                    self.say(
                        "warning",
                        Some(*code),
                        &root.join(&found.relative),
                        uid,
                        text,
                    )?;
                }
                Ok(())
            }
            StoreOutcome::Refused {
                code,
                text,
                sop_instance,
                ..
            } => {
                self.counts.refused += 1;
                let uid = sop_instance.as_ref().map(SopInstanceUid::as_str);
                self.say(
                    "refused",
                    Some(*code),
                    &root.join(&found.relative),
                    uid,
                    text,
                )
            }
        }
    }

    fn unreadable(&mut self, path: &Path, why: &str) -> Result<()> {
        self.counts.unreadable += 1;
        self.say("unreadable", None, path, None, why)
    }

    fn say(
        &mut self,
        outcome: &str,
        code: Option<u16>,
        path: &Path,
        sop_instance: Option<&str>,
        text: &str,
    ) -> Result<()> {
        let about = About {
            outcome,
            code: code.map(|code| format!("{code:04X}")),
            file: path.display().to_string(),
            sop_instance,
            text,
        };
        if let Some(line) = self.report.add(&about)? {
            self.progress.print(&line);
        }
        Ok(())
    }
}

/// A file that was not stored for a reason of ours (PS3.4 table B.2-1): the run must not go on.
fn server_failure(outcome: &StoreOutcome) -> Option<Kind> {
    match outcome {
        StoreOutcome::Refused { code: 0xA700, .. } => Some(Kind::Full),
        StoreOutcome::Refused { code: 0x0110, .. } => Some(Kind::Unavailable),
        StoreOutcome::Refused { .. } | StoreOutcome::Stored { .. } => None,
    }
}

fn cannot_store(error: Error) -> Error {
    let detail =
        format!("{error}; mend that and run the import again, it goes on where it stopped");
    Error::new(error.kind(), detail).with_source(error)
}
