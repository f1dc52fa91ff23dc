//! Port: rows. The only SQL.
//!
//! [`Index`] holds the connections; nobody else does. Writing asks for a [`crate::auth::StoreGrant`]
//! ([`Index::record_batch`]), reading goes through [`Catalog`], which an [`crate::auth::Access`] opens
//! (architecture.md 5). Every statement reads the same on SQLite and on PostgreSQL; what differs, the settings of a
//! connection and the text of migrations, is in `connect` and `migrate`. No type of `sea_orm` leaves this folder.

use std::path::PathBuf;

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend};

use self::reader::{Moment, Reader};
use crate::error::Result;
use crate::model::Clock;

mod batch;
pub mod catalog;
mod columns;
mod connect;
pub mod facilities;
pub mod identity;
pub mod inspect;
pub mod jobs;
mod kept;
pub mod migrate;
pub mod mint;
mod parts;
mod reader;
pub mod receipts;
pub mod record;
pub mod recount;
pub mod relocate;
mod remove;
mod row;
pub mod search;
mod statistics;
pub mod sweep;
#[cfg(test)]
mod tests;
mod timing;
mod visible;

pub use batch::Candidate;
pub use catalog::{Catalog, Visible};
pub use migrate::SchemaState;
pub use remove::{Purged, Seen, Why};

/// The database. A clone shares its connections.
#[derive(Clone, Debug)]
pub struct Index {
    writer: DatabaseConnection,
    reader: Reader,
    /// On which stores and jobs read, apart from viewers.
    background: Reader,
    /// Locked by the process that makes the tables of a SQLite file.
    lock: Option<PathBuf>,
    clock: Clock,
    /// How long a study has to be quiet before its packs are written anew, in seconds.
    repack_quiet_s: i64,
    /// Writes what is stored.
    recorder: batch::Recorder,
}

/// How long a study has to be quiet where nothing else is said.
const REPACK_QUIET_S: i64 = 600;

impl Index {
    /// Connects to the database at `url`: `sqlite://path?mode=rwc`, whose file is made if the mode says so and whose folder
    /// is not, or `postgres://user@host/database`. A schema that is current is checked against the table of indexed attributes; an empty or older one
    /// waits for [`Index::migrate`].
    ///
    /// # Errors
    /// `Kind::Invalid` for a URL of another kind, `Kind::Unavailable` if no connection can be made, `Kind::Internal` if
    /// the schema lacks a column.
    pub async fn open(url: &str, clock: Clock) -> Result<Self> {
        let connect::Connections {
            mut writer,
            reader,
            background,
        } = Box::pin(connect::all(url)).await?;
        timing::watch(&mut writer);
        let recorder = batch::Recorder::start(&writer, &clock, REPACK_QUIET_S);
        let index = Self {
            writer,
            reader,
            background,
            lock: connect::lock_of(url),
            clock,
            repack_quiet_s: REPACK_QUIET_S,
            recorder,
        };
        if index.schema_state().await? == SchemaState::Current {
            index.check_columns().await?;
        }
        Ok(index)
    }

    /// The same, with another time for which a study has to be quiet before its packs are written anew.
    #[must_use]
    pub fn with_repack_quiet_s(mut self, seconds: u64) -> Self {
        self.repack_quiet_s = i64::try_from(seconds).unwrap_or(i64::MAX);
        self.recorder = batch::Recorder::start(&self.writer, &self.clock, self.repack_quiet_s);
        self
    }

    /// The same rows, read over the connections that viewers do not use.
    #[must_use]
    pub fn in_background(&self) -> Self {
        Self {
            reader: self.background.clone(),
            ..self.clone()
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// `Kind::Unavailable` if it does not.
    pub async fn health(&self) -> Result<()> {
        self.reader.ping().await.map_err(row::failed)
    }

    /// Closes the connections; what is written is on disk before.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database cannot be reached.
    pub async fn close(self) -> Result<()> {
        self.reader.close().await.map_err(row::failed)?;
        self.background.close().await.map_err(row::failed)?;
        self.writer.close().await.map_err(row::failed)
    }

    /// A transaction that reads one moment of the database.
    async fn moment(&self) -> Result<Moment> {
        let options = sea_orm::TransactionOptions {
            // On SQLite every transaction reads one moment.
            isolation_level: (self.reader.get_database_backend() == DbBackend::Postgres)
                .then_some(sea_orm::IsolationLevel::RepeatableRead),
            ..Default::default()
        };
        self.reader
            .begin_with_options(options)
            .await
            .map_err(row::failed)
    }

    /// A transaction that may write: from its first statement on it is the only one.
    async fn begin(&self) -> Result<sea_orm::DatabaseTransaction> {
        connect::begin(&self.writer).await
    }
}
