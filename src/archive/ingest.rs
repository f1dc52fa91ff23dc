//! Storing: parts of a request → packs → rows, one pass, one outcome per part.
//!
//! The bytes of a part go into the open pack of its study while they are scanned; nobody can see them there. When the request
//! ends, or a pack is full, the batch is sealed: bytes are made durable first, then their rows in one transaction, then the
//! caller hears of it (architecture.md 7.1). The task lives behind a bounded channel and ends by itself when its sender is
//! gone: parts that were complete are stored all the same, the one in flight leaves nothing behind (T52).

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::ingest_feed::Feed;
pub use super::ingest_feed::{Expected, Input};
use super::ingest_part::{Part, Staged};
use super::ingest_whole::Whole;
use super::{Archive, Place};
use crate::auth::StoreGrant;
use crate::dicom::conformance::{CANNOT_UNDERSTAND, Checked, OUT_OF_RESOURCES, Refusal, TOO_LONG};
use crate::dicom::store_response::StoreOutcome;
use crate::error::{Error, Kind, Result, causes};
use crate::index::Candidate;
use crate::index::record::Recorded;
use crate::model::{PackId, SopInstanceUid, StudyUid};
use crate::storage::PackWriter;

/// How a request wants its parts stored.
#[derive(Clone, Debug)]
pub struct Options {
    /// The study that the path names, if it names one (T23).
    pub study: Option<StudyUid>,
    /// The `DICOMweb` root under which the links of bulk data are written, without a slash at the end.
    pub base_url: String,
}

/// Hears what became of a part as soon as that is sure: of what is stored, once it is durable. Only of parts of which it was
/// told what to expect.
pub type Teller = Box<dyn Fn(&Expected, &StoreOutcome) + Send + Sync>;

/// A running store.
#[derive(Debug)]
pub struct Ingest {
    feed: Feed,
    task: tokio::task::JoinHandle<Result<Vec<StoreOutcome>>>,
}

impl Ingest {
    /// Hands the task something, sooner or later; `false` when it has given up, which `finish` explains.
    pub async fn send(&mut self, input: Input) -> bool {
        self.feed.send(input).await
    }

    /// Hands the task what is held back, for when nothing more comes for a while.
    pub async fn flush(&mut self) -> bool {
        self.feed.flush().await
    }

    /// Ends the request and gives one outcome for each part, in their order.
    ///
    /// # Errors
    /// `Kind::Full`, `Kind::Unavailable` when nothing at all could be stored for a reason of ours.
    pub async fn finish(mut self) -> Result<Vec<StoreOutcome>> {
        self.feed.flush().await;
        drop(self.feed);
        self.task
            .await
            .map_err(|e| Error::internal("storing broke off", e))?
    }
}

impl Archive {
    /// Begins to store into the facility of `grant` what a caller sends; the place is taken until all is sealed.
    pub fn ingest_at(&self, place: Place, grant: StoreGrant, options: Options) -> Ingest {
        self.begin_ingest(Some(place), grant, options, (None, None))
    }

    /// The same for a caller who is told of each part while the others still come (MINT Z41).
    pub fn ingest_telling(
        &self,
        place: Place,
        grant: StoreGrant,
        options: Options,
        teller: Teller,
    ) -> Ingest {
        self.begin_ingest(Some(place), grant, options, (Some(teller), None))
    }

    /// Begins to store into the facility of `grant`.
    pub fn ingest(&self, grant: StoreGrant, options: Options) -> Ingest {
        self.begin_ingest(None, grant, options, (None, None))
    }

    pub(super) fn begin_ingest(
        &self,
        place: Option<Place>,
        grant: StoreGrant,
        options: Options,
        (teller, whole): (Option<Teller>, Option<Whole>),
    ) -> Ingest {
        let (feed, queue) = Feed::new();
        let batch = Batch {
            archive: self.in_background(),
            grant,
            options,
            open: Vec::new(),
            staged: HashMap::new(),
            repeats: Vec::new(),
            kept_bytes: 0,
            stored_bytes: None,
            own_issuers: None,
            outcomes: Vec::new(),
            expected: HashMap::new(),
            teller,
            whole,
        };
        Ingest {
            feed,
            task: self.spawn(async move {
                let outcomes = batch.run(queue).await;
                drop(place);
                outcomes
            }),
        }
    }
}

/// An open pack and what lies in it.
pub(super) struct Open {
    study: StudyUid,
    pub(super) writer: PackWriter,
    pub(super) staged: Vec<Staged>,
}

/// What is known of a part without writing it.
enum Seen {
    /// Its outcome.
    Settled(StoreOutcome),
    /// It repeats another part of the request.
    Repeat,
}

/// One request on its way into the archive.
pub(super) struct Batch {
    pub(super) archive: Archive,
    pub(super) grant: StoreGrant,
    pub(super) options: Options,
    /// Least recently used first.
    pub(super) open: Vec<Open>,
    /// Digest and slot of what this request brought, for a UID that comes twice in it (T36).
    pub(super) staged: HashMap<SopInstanceUid, ([u8; 32], usize)>,
    /// Slots of parts that repeat another byte for byte, with the slot of that one: what becomes of it is their outcome.
    repeats: Vec<(usize, usize)>,
    /// Bytes that this request keeps.
    kept_bytes: u64,
    /// What the facility held when this request began to keep; asked for where it has a quota.
    stored_bytes: Option<u64>,
    /// The issuers of the facility; asked for when an object names one.
    own_issuers: Option<Vec<String>>,
    /// One slot a part; `None` until its pack is recorded.
    pub(super) outcomes: Vec<Option<StoreOutcome>>,
    /// What the parts in these slots have to be, of those whose outcome is not told yet.
    expected: HashMap<usize, Expected>,
    teller: Option<Teller>,
    /// The study that is stored as a whole or not at all.
    pub(super) whole: Option<Whole>,
}

impl Batch {
    async fn run(mut self, mut queue: mpsc::Receiver<Vec<Input>>) -> Result<Vec<StoreOutcome>> {
        let read = self.read(&mut queue).await;
        let sealed = match read {
            Ok(()) if self.is_given_up() => {
                self.abandon().await;
                Ok(())
            }
            Ok(()) => self.seal_all().await,
            Err(error) => Err(error),
        };
        self.settle_repeats();
        if let Err(error) = sealed {
            tracing::error!(causes = causes(&error), "store failed");
            self.give_up(&error).await?;
        }
        let outcomes: Vec<StoreOutcome> = self.outcomes.into_iter().flatten().collect();
        outcomes.iter().for_each(count);
        Ok(outcomes)
    }

    /// Takes parts until the sender is gone.
    async fn read(&mut self, queue: &mut mpsc::Receiver<Vec<Input>>) -> Result<()> {
        let mut part: Option<Part> = None;
        while let Some(inputs) = queue.recv().await {
            for input in inputs {
                self.hear(input, &mut part).await?;
            }
        }
        if let Some(part) = part {
            self.discard(&part);
            self.settle(part.broken("the request ended inside this part".to_owned()));
        }
        Ok(())
    }

    /// Does what the door told.
    async fn hear(&mut self, input: Input, part: &mut Option<Part>) -> Result<()> {
        match input {
            Input::Start => {
                *part = Some(Part::of(&self.grant.facility().policy));
                self.outcomes.push(None);
            }
            Input::Data(bytes) => {
                if let Some(part) = part {
                    self.take(part, bytes).await?;
                }
            }
            Input::Odd(code, text) => {
                if let Some(part) = part {
                    part.odd = Some((code, text));
                }
            }
            Input::End => {
                if let Some(part) = part.take() {
                    self.complete(part).await?;
                }
            }
            Input::Expect(expected) => {
                let slot = self.outcomes.len().saturating_sub(1);
                self.expected.insert(slot, expected);
            }
            Input::Complete(finale) => {
                if let Some(whole) = &mut self.whole {
                    whole.finale = Some(Arc::new(finale));
                }
            }
            Input::Seal => self.seal_from(0).await?,
            Input::Broken(text) => {
                // What should have been a part counts as one, or its neighbours would look like everything.
                let part = part.take().unwrap_or_else(|| {
                    self.outcomes.push(None);
                    Part::new()
                });
                self.discard(&part);
                self.settle(part.broken(text));
            }
            Input::TooLong(text) => {
                let part = part.take().unwrap_or_else(|| {
                    self.outcomes.push(None);
                    Part::new()
                });
                self.discard(&part);
                self.settle(part.refused(TOO_LONG, text));
            }
        }
        Ok(())
    }

    /// Scans a piece of a part and writes it to the pack of its study, as soon as that is known.
    async fn take(&mut self, part: &mut Part, bytes: Bytes) -> Result<()> {
        part.scan(&bytes);
        part.keep_to(self.max_instance_bytes());
        if part.is_refused() {
            return Ok(());
        }
        if let Some(study) = part.pack.clone() {
            return self.writer(&study)?.write(bytes).await;
        }
        part.buffer(bytes);
        self.place(part).await
    }

    /// Writes what was held of a part to the pack of its study, as soon as that is known.
    async fn place(&mut self, part: &mut Part) -> Result<()> {
        if part.pack.is_none()
            && let Some(study) = part.study()
        {
            // What the facility does not take is not written at all.
            if let Some(refusal) = part.refusal_by(&self.grant.facility().policy) {
                part.refuse_with(refusal);
                return Ok(());
            }
            self.open_pack(&study).await?;
            let writer = self.writer(&study)?;
            writer.start_part();
            for held in part.take_buffer() {
                writer.write(held).await?;
            }
            part.pack = Some(study);
        }
        Ok(())
    }

    /// Decides about a complete part: refuses it, knows it already, or keeps it in its pack.
    async fn complete(&mut self, mut part: Part) -> Result<()> {
        let checked = match part.finish(self.options.study.as_ref()) {
            Ok(checked) => checked,
            Err(refusal) => {
                self.discard(&part);
                self.refuse(refusal);
                return Ok(());
            }
        };
        if let Some(refusal) = part.refusal_by(&self.grant.facility().policy) {
            self.discard(&part);
            self.refuse(refusal);
            return Ok(());
        }
        // Of a file of a few bytes the scanner tells nothing before it has ended.
        self.place(&mut part).await?;
        let study = checked.study.clone();
        if part.pack.as_ref() != Some(&study) {
            self.discard(&part);
            self.settle(part.broken("(0020,000D) StudyInstanceUID is there twice".to_owned()));
            return Ok(());
        }
        let digest = self.writer(&study)?.part_digest();
        let digest = digest.ok_or_else(|| Error::new(Kind::Internal, "no part is under way"))?;
        let slot = self.outcomes.len().saturating_sub(1);
        let awaited = self.expected.get(&slot);
        if let Some(text) = awaited.and_then(|awaited| awaited.differs(&checked, digest)) {
            self.discard(&part);
            self.settle(part.refused(CANNOT_UNDERSTAND, text.to_owned()));
            return Ok(());
        }
        if let Some(seen) = self.seen_before(&checked, digest).await? {
            self.discard(&part);
            if let Seen::Settled(outcome) = seen {
                self.settle(outcome);
            }
            return Ok(());
        }
        let bytes = part.byte_count();
        if self.is_over_quota(bytes).await? {
            self.discard(&part);
            self.settle(part.refused(
                OUT_OF_RESOURCES,
                "the quota of the facility is used up".to_owned(),
            ));
            return Ok(());
        }
        let (mut staged, entry, json) = part.stage(checked, slot, &self.options.base_url);
        if let Some(issuer) = staged.issuer_of_patient_id()
            && self.is_foreign(&issuer).await?
        {
            staged.coerce(issuer, self.archive.clock.now());
        }
        let at = self.position(&study)?;
        match self.open[at].writer.keep(entry, &json).await {
            Ok(()) => {}
            Err(error) if error.kind() == Kind::TooLarge => {
                self.settle(staged.refused(CANNOT_UNDERSTAND, error.detail()));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        self.kept_bytes = self.kept_bytes.saturating_add(bytes);
        let brought = (digest, staged.slot);
        self.staged.insert(staged.path.instance.clone(), brought);
        self.open[at].staged.push(staged);
        if self.open[at].writer.is_full() {
            let full = self.open.remove(at);
            self.open.push(full);
            self.seal_from(self.open.len() - 1).await?;
        }
        Ok(())
    }

    /// The longest instance: the facility's own rule wins over that of the server (T12).
    fn max_instance_bytes(&self) -> Option<u64> {
        let policy = &self.grant.facility().policy;
        policy
            .max_instance_bytes
            .or(self.archive.limits.instance_bytes)
    }

    /// Whether `bytes` more are more than the facility may hold (T29). Requests that run at the same time do not see each
    /// other's bytes before they are recorded, so a quota can be passed by what they carry.
    async fn is_over_quota(&mut self, bytes: u64) -> Result<bool> {
        let Some(quota) = self.grant.facility().policy.quota_bytes else {
            return Ok(false);
        };
        let stored = if let Some(stored) = self.stored_bytes {
            stored
        } else {
            let stored = self.archive.index.stored_bytes(&self.grant).await?;
            *self.stored_bytes.insert(stored)
        };
        Ok(stored.saturating_add(self.kept_bytes).saturating_add(bytes) > quota)
    }

    /// Whether an issuer is none of the facility's own, so that the index keeps the patient under another (T32, SH-1.1).
    async fn is_foreign(&mut self, issuer: &str) -> Result<bool> {
        let own = if let Some(own) = &self.own_issuers {
            own
        } else {
            let own = self.archive.index.own_issuers(&self.grant).await?;
            self.own_issuers.insert(own)
        };
        Ok(!own.iter().any(|own| own == issuer))
    }

    /// What to answer for a UID that is stored, or staged in this request, already (T21, T22, T36, T37); `None` where the
    /// part is to be kept.
    async fn seen_before(&mut self, checked: &Checked, digest: [u8; 32]) -> Result<Option<Seen>> {
        let slot = self.outcomes.len().saturating_sub(1);
        match self.staged.get(&checked.instance) {
            // Whether it is stored is not known before its pack is.
            Some((staged, first)) if *staged == digest => {
                self.repeats.push((slot, *first));
                return Ok(Some(Seen::Repeat));
            }
            // A request that says two things of one UID means the first, whatever the policy (T36).
            Some(_) => return Ok(checked.settled(Recorded::Conflict).map(Seen::Settled)),
            None => {}
        }
        let candidate = Candidate {
            study: &checked.study,
            series: &checked.series,
            instance: &checked.instance,
            digest,
        };
        let foreseen = self.archive.index.foresee(&self.grant, candidate).await?;
        let whole = self.whole.as_ref();
        let may_be_there = whole.is_some_and(|whole| whole.becomes.may_be_there);
        if may_be_there && foreseen == Some(Recorded::AlreadyThere) {
            return Ok(None);
        }
        let settled = foreseen.and_then(|what| checked.settled(what));
        Ok(settled.map(Seen::Settled))
    }

    /// Whether a part repeats another of the request.
    pub(super) fn has_repeats(&self) -> bool {
        !self.repeats.is_empty()
    }

    /// Gives parts that repeat another the outcome of that one, where it has one.
    fn settle_repeats(&mut self) {
        for (slot, first) in std::mem::take(&mut self.repeats) {
            let mut outcome = self.outcomes[first].clone();
            if let Some(StoreOutcome::Stored { is_new, .. }) = &mut outcome {
                *is_new = false;
            }
            self.outcomes[slot] = outcome;
            self.tell(slot);
        }
    }

    /// Tells what became of the part in `slot`, if somebody wants to hear it.
    pub(super) fn tell(&mut self, slot: usize) {
        if let (Some(teller), Some(Some(outcome))) = (&self.teller, self.outcomes.get(slot))
            && let Some(expected) = self.expected.remove(&slot)
        {
            teller(&expected, outcome);
        }
    }

    /// The open pack of `study`, made if there is none; it becomes the most recently used.
    async fn open_pack(&mut self, study: &StudyUid) -> Result<()> {
        if let Ok(at) = self.position(study) {
            let open = self.open.remove(at);
            self.open.push(open);
            return Ok(());
        }
        if !self.open.is_empty() && self.open.len() >= self.archive.limits.open_packs {
            self.open.rotate_left(1);
            self.seal_from(self.open.len() - 1).await?;
        }
        let clock = &self.archive.clock;
        let writer = PackWriter::begin(
            &self.archive.vault,
            &self.grant.facility().code,
            study,
            PackId(clock.new_id()),
            clock.now(),
            &self.options.base_url,
        )
        .await?;
        self.open.push(Open {
            study: study.clone(),
            writer,
            staged: Vec::new(),
        });
        Ok(())
    }

    fn position(&self, study: &StudyUid) -> Result<usize> {
        let at = self.open.iter().position(|open| open.study == *study);
        at.ok_or_else(|| Error::new(Kind::Internal, "no open pack for this study"))
    }

    fn writer(&mut self, study: &StudyUid) -> Result<&mut PackWriter> {
        let at = self.position(study)?;
        Ok(&mut self.open[at].writer)
    }

    /// What a refused part has written stays in the pack as a hole.
    fn discard(&mut self, part: &Part) {
        if let Some(study) = &part.pack
            && let Ok(writer) = self.writer(study)
        {
            writer.discard_part();
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.settle(refusal.into());
    }

    fn settle(&mut self, outcome: StoreOutcome) {
        if let Some(last) = self.outcomes.last_mut() {
            *last = Some(outcome);
            self.tell(self.outcomes.len().saturating_sub(1));
        }
    }
}

/// Counts what became of a part, by the reason that the answer gives.
fn count(outcome: &StoreOutcome) {
    let (outcome, reason) = match outcome {
        StoreOutcome::Stored { warning: None, .. } => ("stored", None),
        StoreOutcome::Stored {
            warning: Some((code, _)),
            ..
        } => ("warning", Some(*code)),
        StoreOutcome::Refused { code, .. } => ("refused", Some(*code)),
    };
    let reason = reason.map(|code| format!("{code:04X}")).unwrap_or_default();
    metrics::counter!("kura_store_instances_total", "outcome" => outcome, "reason" => reason)
        .increment(1);
}
