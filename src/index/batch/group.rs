//! Batches that come at the same time share a transaction: what a commit costs, the wait for the disk above all, is paid
//! once for all of them.
//!
//! Nobody waits for others to come. A recorder that has nothing to do takes a batch as soon as it is there; what comes while
//! it is busy is the next group. So one store at a time is as quick as it can be, and many at a time are as many as the
//! database takes. Batches of one study are never in one group: inside of a batch the first wins whatever the policy (T36),
//! and these are two.
//!
//! A group that fails is taken apart: each of its batches is recorded, or fails, by itself.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use sea_orm::{DatabaseConnection, DbBackend};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot};
use tracing::{Instrument as _, Span, debug};

use super::Batch;
use crate::auth::StoreGrant;
use crate::error::{Error, Result};
use crate::index::connect;
use crate::index::mint::{Finale, conclude};
use crate::index::record::{NewPack, Recorded};
use crate::index::row::was_overtaken;
use crate::index::statistics::{self, Growth};
use crate::index::timing::commit;
use crate::model::{Clock, FacilityId};

/// How often a batch is begun that others overtake. Each time one of them has ended and made what this one wanted to make:
/// a study, a series, a patient, an issuer, an instance. So one more than there are kinds of rows to make.
const ATTEMPTS: u32 = 6;

/// Batches that wait to be taken, each a request's; a request more waits for one of them to go.
const WAITING: usize = 64;

/// Batches of a group, and their instances: a transaction of some tens of milliseconds. A batch of more instances is alone.
const MOST: usize = 32;
const MOST_INSTANCES: usize = 256;

/// Transactions at the same time on PostgreSQL. SQLite has one.
const PG_RECORDERS: usize = 4;

/// Outcomes, a list a pack.
type Outcomes = Vec<Vec<Recorded>>;

/// What one caller wants recorded.
#[derive(Debug)]
struct Waiting {
    grant: StoreGrant,
    packs: Arc<[NewPack]>,
    /// What ends it, if they are one study that is to be made or changed as a whole or not at all.
    whole: Option<Arc<Finale>>,
    answer: oneshot::Sender<Result<Outcomes>>,
    /// Where it is traced.
    span: Span,
}

impl Waiting {
    fn instances(&self) -> usize {
        self.packs.iter().map(|pack| pack.instances.len()).sum()
    }

    /// Ends what is more than its instances: refuses a study that was not made as a whole, and ends the job of one that was;
    /// makes the next version of one that is changed.
    async fn conclude(&self, batch: &Batch<'_>, outcomes: &Outcomes) -> Result<()> {
        match self.whole.as_deref() {
            None => Ok(()),
            Some(Finale::Update(update)) => batch.update(update, &self.packs, outcomes).await,
            Some(Finale::New(new)) => {
                let Some(first) = self.packs.first() else {
                    return Ok(());
                };
                let study = (&self.grant, &first.study);
                conclude(batch.tx, new, study, outcomes, batch.now).await
            }
        }
    }

    /// The studies that it touches.
    fn studies(&self) -> impl Iterator<Item = (FacilityId, &str)> {
        let owner = self.grant.facility().id;
        self.packs
            .iter()
            .map(move |pack| (owner, pack.study.as_str()))
    }
}

/// Where batches are handed in. The tasks that record them end with its last clone.
#[derive(Clone, Debug)]
pub(in crate::index) struct Recorder(mpsc::Sender<Waiting>);

impl Recorder {
    /// Starts the tasks that record.
    pub(in crate::index) fn start(
        writer: &DatabaseConnection,
        clock: &Clock,
        repack_quiet_s: i64,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let queue = Arc::new(Mutex::new(Queue {
            receiver,
            next: None,
        }));
        let is_postgres = writer.get_database_backend() == DbBackend::Postgres;
        let recorders = if is_postgres { PG_RECORDERS } else { 1 };
        let runtime = Handle::current();
        let growth = Growth::new(writer.get_database_backend());
        for _ in 0..recorders {
            let book = Book {
                writer: writer.clone(),
                clock: clock.clone(),
                repack_quiet_s,
                growth: growth.clone(),
            };
            let queue = Arc::clone(&queue);
            drop(runtime.spawn(async move {
                loop {
                    // Released before the work: the next recorder waits for the next group.
                    let group = queue.lock().await.group().await;
                    let Some(group) = group else { break };
                    // A transaction has many callers and one place in the traces: that of the first.
                    let span = group.first().map_or_else(Span::none, |it| it.span.clone());
                    let instances = group.iter().map(Waiting::instances).sum();
                    book.record_group(group).instrument(span).await;
                    book.grown_by(instances).await;
                }
            }));
        }
        Self(sender)
    }

    /// Has packs recorded, and waits for that.
    #[tracing::instrument(name = "record", level = "debug", skip_all)]
    pub(super) async fn record(
        &self,
        grant: StoreGrant,
        packs: Arc<[NewPack]>,
        whole: Option<Arc<Finale>>,
    ) -> Result<Outcomes> {
        let (answer, recorded) = oneshot::channel();
        let waiting = Waiting {
            grant,
            packs,
            whole,
            answer,
            span: Span::current(),
        };
        self.0.send(waiting).await.map_err(|_| ended())?;
        recorded.await.map_err(|_| ended())?
    }
}

fn ended() -> Error {
    Error::unavailable(
        "the server is stopping",
        std::io::Error::other("nothing records any more"),
    )
}

/// What waits.
struct Queue {
    receiver: mpsc::Receiver<Waiting>,
    /// What did not fit into the last group.
    next: Option<Waiting>,
}

impl Queue {
    /// The next group, as soon as there is a batch; `None` when nobody is left to bring one.
    async fn group(&mut self) -> Option<Vec<Waiting>> {
        let first = match self.next.take() {
            Some(next) => next,
            None => self.receiver.recv().await?,
        };
        let mut instances = first.instances();
        let mut group = vec![first];
        while group.len() < MOST
            && let Ok(next) = self.receiver.try_recv()
        {
            instances = instances.saturating_add(next.instances());
            if instances > MOST_INSTANCES || shares_a_study(&group, &next) {
                self.next = Some(next);
                break;
            }
            group.push(next);
        }
        Some(group)
    }
}

fn shares_a_study(group: &[Waiting], next: &Waiting) -> bool {
    let taken: HashSet<_> = group.iter().flat_map(Waiting::studies).collect();
    next.studies().any(|study| taken.contains(&study))
}

/// What a recorder writes with.
struct Book {
    writer: DatabaseConnection,
    clock: Clock,
    repack_quiet_s: i64,
    growth: Growth,
}

impl Book {
    /// Has the database look at its tables when they have grown by much.
    async fn grown_by(&self, instances: usize) {
        if let Some(recorded) = self.growth.add(instances)
            && let Err(error) = statistics::refresh(&self.writer, recorded).await
        {
            // It looks by itself, later.
            debug!(%error, "the database did not look at its tables");
        }
    }

    /// Records a group and answers each of its batches.
    async fn record_group(&self, group: Vec<Waiting>) {
        if let [_, _, ..] = group.as_slice()
            && let Ok(recorded) = self.record_once(&group).await
        {
            for (waiting, outcomes) in group.into_iter().zip(recorded) {
                // Who asked may be gone; what is recorded stays so.
                waiting.answer.send(Ok(outcomes)).ok();
            }
            return;
        }
        for waiting in group {
            let recorded = self.record_alone(&waiting).await;
            waiting.answer.send(recorded).ok();
        }
    }

    async fn record_alone(&self, waiting: &Waiting) -> Result<Outcomes> {
        let mut attempt = 1;
        loop {
            match self.record_once(std::slice::from_ref(waiting)).await {
                Err(error) if attempt < ATTEMPTS && was_overtaken(&error) => attempt += 1,
                recorded => return Ok(recorded?.pop().unwrap_or_default()),
            }
        }
    }

    /// Records batches in one transaction.
    async fn record_once(&self, group: &[Waiting]) -> Result<Vec<Outcomes>> {
        let tx = connect::begin(&self.writer).await?;
        match self.record_in(&tx, group).await {
            Ok(recorded) => {
                commit(tx).await?;
                Ok(recorded)
            }
            Err(error) => {
                tx.rollback().await.ok();
                Err(error)
            }
        }
    }

    /// The batches of one author are one to the database. Facilities come in order, so that two transactions wait for each
    /// other and not in a circle.
    async fn record_in(
        &self,
        tx: &sea_orm::DatabaseTransaction,
        group: &[Waiting],
    ) -> Result<Vec<Outcomes>> {
        let mut alike: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (at, waiting) in group.iter().enumerate() {
            let facility = waiting.grant.facility();
            let policy = facility.policy.on_conflict as u8;
            let key = (facility.id.0, waiting.grant.author(), policy);
            alike.entry(key).or_default().push(at);
        }
        let mut outcomes: Vec<Outcomes> = group.iter().map(|_| Vec::new()).collect();
        for members in alike.into_values() {
            let grant = &group[members[0]].grant;
            let batch = Batch {
                tx,
                owner: grant.facility().id,
                author: grant.author(),
                policy: grant.facility().policy.on_conflict,
                clock: &self.clock,
                now: self.clock.now(),
                repack_quiet_s: self.repack_quiet_s,
            };
            let packs = members.iter().flat_map(|at| group[*at].packs.iter());
            let packs: Vec<&NewPack> = packs.collect();
            let mut recorded = if packs.is_empty() {
                Vec::new()
            } else {
                batch.record(&packs).await?
            }
            .into_iter();
            for at in members {
                outcomes[at] = recorded.by_ref().take(group[at].packs.len()).collect();
                group[at].conclude(&batch, &outcomes[at]).await?;
            }
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::tests::world::{grant_of, instance, pack};

    fn waiting(study: &str, instances: usize) -> Waiting {
        let instances = (0..instances).map(|n| instance(&format!("{study}.1.{n}")));
        Waiting {
            grant: grant_of("F001"),
            packs: [pack(study, instances.collect())].into(),
            whole: None,
            answer: oneshot::channel().0,
            span: Span::none(),
        }
    }

    /// Instances of the batches of each group that a queue gives.
    async fn groups(batches: Vec<Waiting>) -> Vec<Vec<usize>> {
        let (sender, receiver) = mpsc::channel(WAITING);
        for waiting in batches {
            sender.send(waiting).await.unwrap();
        }
        drop(sender);
        let mut queue = Queue {
            receiver,
            next: None,
        };
        let mut groups = Vec::new();
        while let Some(group) = queue.group().await {
            groups.push(group.iter().map(Waiting::instances).collect());
        }
        groups
    }

    #[tokio::test]
    async fn what_waits_is_one_group_unless_it_is_large_or_of_one_study() {
        let studies = |from: usize, to: usize| (from..to).map(|n| waiting(&format!("1.{n}"), 1));
        assert_eq!(groups(studies(0, 3).collect()).await, [[1, 1, 1]]);
        let sizes: Vec<usize> = groups(studies(0, 40).collect())
            .await
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(sizes, [MOST, 40 - MOST]);
        let large = vec![waiting("1", 1), waiting("2", 300), waiting("3", 2)];
        assert_eq!(groups(large).await, [vec![1], vec![300], vec![2]]);
        let again = vec![waiting("1", 1), waiting("2", 1), waiting("1", 2)];
        assert_eq!(groups(again).await, [vec![1, 1], vec![2]]);
    }
}
