//! Rows and bytes kept in step: storing, finding, fetching. Knows nothing of who asked by which protocol.
//!
//! `Archive` is what doors and concerns hold: the index, the vault and the clock, cheap to clone.

pub mod ingest;
mod ingest_part;
pub mod metadata;
pub mod remove;
pub mod retrieve;
mod through;
pub mod walk;

use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::auth::Access;
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
    bin_days: u32,
}

impl Archive {
    /// Puts an archive together. `runtime` carries the work that outlives a request that hangs up.
    pub fn new(index: Index, vault: Vault, clock: Clock, runtime: Handle) -> Self {
        Self {
            index,
            vault,
            clock,
            runtime,
            bin_days: remove::LEAST_BIN_DAYS,
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

    /// Runs the rest of a store on its own, so that it goes on when the client that sent it hangs up (T52). The one place
    /// beside the worker that may do so.
    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.spawn(work)
    }
}
