//! Door: due work. Claims jobs from the database, does each with one function of the layers below, and says how it ended
//! (architecture.md 1).
//!
//! Every process may have a worker; they share the queue. A job is held by a lease that is renewed while it runs, so that the
//! job of a process that was killed goes to the next worker once the lease has ended. One job's failure or panic is that
//! job's alone.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::archive::Archive;
use crate::archive::export::Counts;
use crate::archive::sweep::Swept;
use crate::auth::Access;
use crate::auth::access::Duty;
use crate::error::{Error, Kind, Result};
use crate::index::catalog::Scope;
use crate::index::jobs::{Claimed, MAX_ATTEMPTS};
use crate::index::mint;
use crate::model::job::{Errand, KINDS, Next};
use crate::model::{FacilityState, Job, JobState, StudyId, Timestamp};

/// The shortest pause between two looks: what is due and was not handed out is in another worker's hands.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// How often the numbers of jobs go to the metrics.
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// How often rows are looked through for those that have served their time.
const EXPIRE_EVERY_S: i64 = 3_600;

/// How often it is looked for deletions whose time has come, and how many are done in one run: each is a transaction.
const PURGE_EVERY_S: i64 = 3_600;
const PURGED_AT_ONCE: u64 = 100;

/// The longest pauses between two sweeps, in seconds. A sweep comes four times in the time after which something may go, so
/// that it is kept at most a quarter longer; a pass over the whole store is dear and comes rarely.
const LONGEST_REPLACED_PAUSE_S: i64 = 3_600;
const LONGEST_ORPHAN_PAUSE_S: i64 = 86_400;

/// How a worker works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Jobs at the same time.
    pub concurrency: usize,
    /// How long a job is held without a word.
    pub lease: Duration,
    /// How long to wait at most before looking for work that another process asked for.
    pub poll: Duration,
    /// How long running jobs have after a stop was asked for; what is not finished by then is given back.
    pub stop_within: Duration,
    /// Seconds for which replaced packs are kept for those who still read them.
    pub replaced_grace_s: i64,
    /// Seconds after which an object without a row was left over.
    pub orphan_age_s: i64,
    /// Where exports go.
    pub export_folder: Option<PathBuf>,
}

/// Does due work.
#[derive(Clone, Debug)]
pub struct Worker {
    archive: Archive,
    settings: Settings,
}

/// What came of a job.
#[derive(Debug)]
struct Done {
    /// A word for those who look.
    result: String,
    /// What is due next because of it.
    next: Option<Next>,
}

/// How the work on a job ended.
enum Ended {
    Done(Result<Done>),
    Panicked,
    /// Another worker has it: the lease had ended.
    Lost,
    /// This worker stops.
    Stopped,
}

impl Worker {
    /// A worker for `archive`.
    pub fn new(archive: Archive, settings: Settings) -> Self {
        Self { archive, settings }
    }

    /// Works until `stop`, then gives running jobs their time and the rest back.
    pub async fn run(&self, stop: CancellationToken) {
        let give_up = CancellationToken::new();
        let mut running = JoinSet::new();
        let mut are_recurring_due = false;
        let mut counted: Option<Instant> = None;
        while !stop.is_cancelled() {
            if !are_recurring_due {
                are_recurring_due = self.ask_for_recurring().await;
            }
            if counted.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
                self.count().await;
                counted = Some(Instant::now());
            }
            let pause = self.start_due(&mut running, &give_up).await;
            tokio::select! {
                () = stop.cancelled() => {}
                Some(_) = running.join_next() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        let all = async { while running.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(self.settings.stop_within, all).await;
        if in_time.is_err() {
            give_up.cancel();
            while running.join_next().await.is_some() {}
        }
    }

    async fn ask_for_recurring(&self) -> bool {
        let asked = self.archive.index().enqueue_recurring().await;
        if let Err(error) = &asked {
            warn!(error = %error, cause = ?std::error::Error::source(error), "recurring work cannot be asked for yet");
        }
        asked.is_ok()
    }

    /// Starts what is due as far as there is room; gives how long to wait before looking again.
    async fn start_due(&self, running: &mut JoinSet<()>, give_up: &CancellationToken) -> Duration {
        let room = self.settings.concurrency.saturating_sub(running.len());
        if room == 0 {
            return self.settings.poll;
        }
        match self.claim(room).await {
            Ok((claimed, pause)) => {
                for claimed in claimed {
                    let (worker, give_up) = (self.clone(), give_up.clone());
                    running.spawn(async move { worker.take(claimed, give_up).await });
                }
                pause
            }
            Err(error) => {
                warn!(error = %error, cause = ?std::error::Error::source(&error), "due work cannot be looked for");
                self.settings.poll
            }
        }
    }

    /// What is due, and how long to wait before looking again. Only looks, without a transaction, while nothing is due.
    async fn claim(&self, room: usize) -> Result<(Vec<Claimed>, Duration)> {
        let index = self.archive.index();
        let mut claimed = Vec::new();
        let mut next = index.next_due().await?;
        if next.is_some_and(|at| at <= self.archive.clock().now()) {
            let limit = u64::try_from(room).unwrap_or(1);
            claimed = index.claim(limit, self.settings.lease).await?;
            next = index.next_due().await?;
        }
        let now = self.archive.clock().now();
        let until = next.map_or(self.settings.poll, |at| {
            Duration::from_micros(u64::try_from(at.0.saturating_sub(now.0)).unwrap_or(0))
        });
        let pause = until.max(MIN_PAUSE).min(self.settings.poll);
        Ok((claimed, pause))
    }

    /// Does a claimed job and notes how it ended.
    async fn take(&self, claimed: Claimed, give_up: CancellationToken) {
        let begun = Instant::now();
        let work = AssertUnwindSafe(self.work(&claimed)).catch_unwind();
        let ended = tokio::select! {
            done = work => done.map_or(Ended::Panicked, Ended::Done),
            () = self.hold(&claimed) => Ended::Lost,
            () = give_up.cancelled() => Ended::Stopped,
        };
        let kind = claimed.job.kind();
        metrics::histogram!("kura_job_seconds", "kind" => kind).record(begun.elapsed());
        if let Err(error) = self.note(&claimed, ended).await {
            // The lease ends, and the next worker does it again.
            warn!(job = %claimed.id, kind, error = %error, "how a job ended cannot be noted");
        }
    }

    /// Renews the lease for as long as the job is ours.
    async fn hold(&self, claimed: &Claimed) {
        loop {
            tokio::time::sleep(self.settings.lease / 3).await;
            match self
                .archive
                .index()
                .renew(claimed, self.settings.lease)
                .await
            {
                Ok(true) => {}
                Ok(false) => return,
                // Should it have gone to another: every job may run twice.
                Err(error) => warn!(job = %claimed.id, error = %error, "a lease cannot be renewed"),
            }
        }
    }

    async fn note(&self, claimed: &Claimed, ended: Ended) -> Result<()> {
        let (id, kind) = (claimed.id, claimed.job.kind());
        let index = self.archive.index();
        match ended {
            Ended::Done(Ok(done)) => {
                info!(job = %id, kind, result = done.result, "job done");
                index
                    .finish(claimed, &done.result, done.next.as_ref())
                    .await?;
            }
            Ended::Done(Err(error)) => {
                let is_last = claimed.attempts >= MAX_ATTEMPTS || is_hopeless(&error);
                log_failure(claimed, &error, is_last);
                if is_last {
                    let next = self.again(&claimed.job);
                    index.bury(claimed, error.detail(), next.as_ref()).await?;
                } else {
                    index.retry(claimed, error.detail()).await?;
                }
            }
            Ended::Panicked => {
                let reason = "it panicked; the log of its worker says where";
                error!(job = %id, kind, reason, "{DEAD}");
                index
                    .bury(claimed, reason, self.again(&claimed.job).as_ref())
                    .await?;
            }
            Ended::Lost => warn!(job = %id, kind, "a job was taken over: its lease had ended"),
            Ended::Stopped => {
                info!(job = %id, kind, "job given back: this process stops");
                index.give_back(claimed).await?;
            }
        }
        Ok(())
    }

    /// The one place that knows which function does which job.
    async fn work(&self, claimed: &Claimed) -> Result<Done> {
        let (archive, settings) = (&self.archive, &self.settings);
        let result = match &claimed.job {
            Job::Repack { study } => self.repack(claimed, *study).await?,
            Job::SweepReplaced => {
                let packs = archive.sweep_replaced(settings.replaced_grace_s).await?;
                format!("{packs} replaced packs dropped")
            }
            Job::SweepOrphans { pass, clean_until } => {
                let (age_s, pass, clean) =
                    (settings.orphan_age_s, pass.clone(), clean_until.clone());
                return Ok(self.orphans_done(archive.sweep_orphans(age_s, pass, clean).await?));
            }
            Job::Purge => return self.purge(claimed).await,
            Job::Export(errand) => self.export(claimed, errand).await?,
            Job::MintCreate { .. } | Job::MintUpdate { .. } => mint::Ended::cut_off().text()?,
            Job::Expire => {
                let jobs = archive.index().expire_jobs().await?;
                let now = archive.clock().now();
                let signs = archive.index().expire_identity(now).await?;
                self.measure_holes().await?;
                format!("{jobs} done jobs dropped, {signs} rows of tokens and sessions")
            }
        };
        Ok(Done {
            result,
            next: self.again(&claimed.job),
        })
    }

    async fn repack(&self, claimed: &Claimed, study: StudyId) -> Result<String> {
        let facility = match claimed.facility {
            Some(id) => self.archive.index().facility(id).await?,
            None => None,
        };
        let Some(facility) = facility else {
            return Ok("there is no such facility".to_owned());
        };
        let access = Access::on_duty(Duty::Upkeep, facility);
        let begun = Instant::now();
        let done = self.archive.repack(&access, study).await?;
        let (from, into, instances, bytes) = (done.from, done.into, done.instances, done.bytes);
        if from == 0 {
            return Ok("nothing to gain".to_owned());
        }
        let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(job = %claimed.id, from, into, instances, bytes, elapsed_ms, "repacked");
        Ok(format!(
            "{instances} instances from {from} packs into {into}"
        ))
    }

    /// Writes what somebody asked for into a folder of its own below the operator's.
    async fn export(&self, claimed: &Claimed, errand: &Errand) -> Result<String> {
        let Some(folder) = &self.settings.export_folder else {
            let detail = "export.folder is not set where this worker runs";
            return Err(Error::new(Kind::Unavailable, detail));
        };
        let facility = match claimed.facility {
            Some(id) => self.archive.index().facility(id).await?,
            None => None,
        };
        let facility = facility
            .filter(|facility| facility.state == FacilityState::Active)
            .ok_or_else(|| Error::new(Kind::Unprocessable, "the facility is not active"))?;
        let folder = folder
            .join(facility.code.as_str())
            .join(errand.operation.to_string());
        let access = Arc::new(Access::on_errand(&errand.subject, &errand.scopes, facility));
        let scopes = errand.resources.iter().filter_map(|it| Scope::parse(it));
        let exported = self
            .archive
            .export_all(&access, scopes.collect(), &folder)
            .await;
        // Also of what was handed out before it failed.
        for touched in access.take_trail() {
            info!(
                subject = access.subject(),
                facility = %access.facility().code,
                study = touched.study,
                basis = ?touched.basis,
                "handed out"
            );
        }
        let Counts { exported, skipped } = exported?;
        Ok(format!("{{\"exported\":{exported},\"skipped\":{skipped}}}"))
    }

    /// Erases what is due; if more is, the next run comes at once.
    async fn purge(&self, claimed: &Claimed) -> Result<Done> {
        let now = self.archive.clock().now();
        let purged = self.archive.purge_due(now, PURGED_AT_ONCE).await?;
        let pause_s = if purged.deletions < PURGED_AT_ONCE {
            PURGE_EVERY_S
        } else {
            0
        };
        Ok(Done {
            result: format!(
                "{} deletions and {} instances erased",
                purged.deletions, purged.instances
            ),
            next: Some(self.after(claimed.job.clone(), pause_s)),
        })
    }

    /// The pass goes on at once, or begins anew after a while.
    fn orphans_done(&self, swept: Swept) -> Done {
        let pause_s = match swept.pass {
            Some(_) => 0,
            None => pause_s(self.settings.orphan_age_s, LONGEST_ORPHAN_PAUSE_S),
        };
        let job = Job::SweepOrphans {
            pass: swept.pass,
            clean_until: swept.clean_until,
        };
        Done {
            result: format!("{} of {} objects dropped", swept.dropped, swept.seen),
            next: Some(self.after(job, pause_s)),
        }
    }

    /// When recurring work is due again.
    fn again(&self, job: &Job) -> Option<Next> {
        let seconds = match job {
            Job::Repack { .. }
            | Job::Export(_)
            | Job::MintCreate { .. }
            | Job::MintUpdate { .. } => return None,
            Job::SweepReplaced => pause_s(self.settings.replaced_grace_s, LONGEST_REPLACED_PAUSE_S),
            Job::SweepOrphans { .. } => pause_s(self.settings.orphan_age_s, LONGEST_ORPHAN_PAUSE_S),
            Job::Purge => PURGE_EVERY_S,
            Job::Expire => EXPIRE_EVERY_S,
        };
        Some(self.after(job.clone(), seconds))
    }

    fn after(&self, job: Job, seconds: i64) -> Next {
        let now = self.archive.clock().now();
        Next {
            job,
            due_at: Timestamp(now.0.saturating_add(seconds.saturating_mul(1_000_000))),
        }
    }

    /// Hands the bytes of holes to the metrics. Every pack is looked at, so rarely.
    async fn measure_holes(&self) -> Result<()> {
        let holes = self.archive.index().hole_bytes().await?;
        // A gauge is a double, exact up to 8 PiB.
        #[expect(clippy::cast_precision_loss, reason = "a metric need not be exact")]
        metrics::gauge!("kura_pack_hole_bytes").set(holes as f64);
        Ok(())
    }

    /// Hands the numbers of jobs to the metrics.
    async fn count(&self) {
        let Ok(counts) = self.archive.index().job_counts().await else {
            return;
        };
        for kind in KINDS {
            for state in JobState::ALL {
                let found = counts
                    .iter()
                    .find(|count| count.kind == kind && count.state == state);
                let count = found.map_or(0, |count| count.count);
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                metrics::gauge!("kura_jobs", "state" => state.as_str(), "kind" => kind)
                    .set(f64::from(count));
            }
        }
    }
}

/// The pause between two sweeps of what may go after `kept_s` seconds.
fn pause_s(kept_s: i64, longest_s: i64) -> i64 {
    (kept_s / 4).clamp(1, longest_s)
}

/// What a dead job says in the log; the fields say what and why.
const DEAD: &str =
    "a job is dead; when its cause is mended, POST /api/v1/jobs/{job}/restart tries it again";

fn log_failure(claimed: &Claimed, reason: &Error, is_last: bool) {
    let (job, kind, attempt) = (claimed.id, claimed.job.kind(), claimed.attempts);
    let cause = std::error::Error::source(reason);
    if is_last {
        error!(%job, kind, attempt, %reason, ?cause, "{DEAD}");
    } else {
        warn!(%job, kind, attempt, %reason, ?cause, "a job failed and is tried again");
    }
}

/// Whether trying again cannot help: what is stored is not what it should be.
fn is_hopeless(error: &Error) -> bool {
    error.kind() == Kind::Unprocessable
}
