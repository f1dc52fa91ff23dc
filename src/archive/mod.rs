//! Rows and bytes kept in step: storing, finding, fetching. Knows nothing of who asked by which protocol.
//!
//! `Archive` is what doors and concerns hold: the index, the vault and the clock, cheap to clone.

mod admission;
pub mod assemble;
mod decoded;
pub mod exact;
pub mod export;
pub mod frames;
pub mod guard;
pub mod ingest;
mod ingest_feed;
mod ingest_part;
mod ingest_seal;
mod ingest_whole;
mod limits;
pub mod metadata;
pub mod mint;
mod recoded;
pub mod reindex;
pub mod remove;
pub mod render;
pub mod repack;
pub mod retrieve;
pub mod search;
pub mod shown;
pub mod stamp;
pub mod sweep;
mod through;
mod turns;
pub mod verify;
pub mod walk;

use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span, debug_span};

use self::admission::Admission;
pub use self::admission::Place;
pub use self::limits::StoreLimits;
use self::mint::indexed::Indexes;
use self::mint::kept::Documents;
use crate::auth::{Access, StoreGrant};
use crate::error::{Error, Result};
use crate::index::{Catalog, Index};
use crate::model::Clock;
use crate::storage::Vault;

/// The archive: rows and bytes. A clone is the same archive.
#[derive(Clone, Debug)]
pub struct Archive {
    index: Index,
    vault: Vault,
    clock: Clock,
    runtime: Handle,
    /// Where stores run, and whatever else viewers do not wait for.
    storing: Handle,
    bin_days: u32,
    limits: StoreLimits,
    admission: Admission,
    /// Stores under way.
    stores: TaskTracker,
    /// A permit for each core: what computes takes one.
    cores: Arc<Semaphore>,
    /// Documents of MINT that were made before.
    documents: Documents,
    /// Where the items of studies lie, as it was found before.
    indexes: Indexes,
}

impl Archive {
    /// Puts an archive together. `runtime` carries the work that outlives a request that hangs up.
    pub fn new(index: Index, vault: Vault, clock: Clock, runtime: Handle) -> Self {
        Self {
            index,
            vault,
            clock,
            storing: runtime.clone(),
            runtime,
            bin_days: remove::LEAST_BIN_DAYS,
            limits: StoreLimits::default(),
            admission: Admission::new(&StoreLimits::default()),
            stores: TaskTracker::new(),
            cores: Arc::new(Semaphore::new(
                thread::available_parallelism().map_or(1, NonZero::get),
            )),
            documents: Documents::default(),
            indexes: Indexes::default(),
        }
    }

    /// The archive with a bin that keeps things for `days`.
    #[must_use]
    pub fn with_bin_days(self, days: u32) -> Self {
        Self {
            bin_days: days.max(remove::LEAST_BIN_DAYS),
            ..self
        }
    }

    /// The same archive with other limits of stores.
    #[must_use]
    pub fn with_limits(mut self, limits: StoreLimits) -> Self {
        self.admission = Admission::new(&limits);
        self.limits = limits;
        self
    }

    /// The same archive whose stores run on other threads than the rest, so that the one can have less of the processor
    /// than the other.
    #[must_use]
    pub fn with_stores_on(mut self, storing: Handle) -> Self {
        self.storing = storing;
        self
    }

    /// The same archive for work that viewers do not wait for: it reads over connections of its own, and computes on the
    /// threads of stores.
    #[must_use]
    pub fn in_background(&self) -> Self {
        Self {
            index: self.index.in_background(),
            runtime: self.storing.clone(),
            ..self.clone()
        }
    }

    /// The limits of stores.
    pub fn limits(&self) -> StoreLimits {
        self.limits
    }

    /// Leave to begin a store, at once or when it is the turn of the facility of `grant`. Whoever stores for callers asks for
    /// it before it reads what they send.
    ///
    /// # Errors
    /// `Kind::Unavailable` where too many wait already, and where the turn does not come in time.
    pub async fn admit(&self, grant: &StoreGrant) -> Result<Place> {
        self.admission.enter(grant.facility().id).await
    }

    /// Stores that were let in or wait for it.
    pub fn stores_present(&self) -> usize {
        self.admission.present()
    }

    /// Stores under way in this process. One whose client hung up counts until what was complete of it is sealed.
    pub fn stores_under_way(&self) -> usize {
        self.stores.len()
    }

    /// Waits until no store is under way, at most for `limit`; gives whether that came true.
    pub async fn settled(&self, limit: Duration) -> bool {
        self.stores.close();
        tokio::time::timeout(limit, self.stores.wait())
            .await
            .is_ok()
    }

    /// The index as `access` may see it: the only way to patient rows.
    pub fn catalog<'a>(&'a self, access: &'a Access) -> Catalog<'a> {
        self.index.catalog(access)
    }

    /// The rows. Whoever holds them still needs a [`Catalog`] for anything of a patient.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The bytes.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Runs `work`, which computes for long, on a thread that may, no more of it at once than there are cores. Work that
    /// has begun holds its core to its end, also when nobody waits for it any more.
    ///
    /// # Errors
    /// `Kind::Internal` if it panics: decoders that are not ours may, on hostile frames.
    pub async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let core = Arc::clone(&self.cores).acquire_owned().await;
        let core = core.map_err(|e| Error::internal("nothing is computed any more", e))?;
        let working = self.runtime.spawn_blocking(move || {
            let made = work();
            drop(core);
            made
        });
        working
            .await
            .map_err(|e| Error::internal("pixels could not be computed", e))
    }

    /// Runs the rest of a store on its own, so that it goes on when the client that sent it hangs up (T52). The one place
    /// beside the worker that may do so.
    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        // The lines that it logs carry the id of the request, which may be over before it is.
        let request = Span::current();
        let work = async move { work.instrument(debug_span!("ingest")).await };
        self.stores
            .spawn_on(work.instrument(request), &self.storing)
    }
}
