//! Connections: one that writes, several that read.

use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use super::row::failed;
use crate::error::{Error, Result};

/// SQLite serves any number of readers beside its one writer; each has a thread and a cache of its own.
const READERS: u32 = 6;

/// How long a statement waits for another process that writes (`kura import` beside `kura serve`).
const BUSY: Duration = Duration::from_secs(10);

/// Opens the connection that writes and those that read.
pub(super) async fn both(url: &str) -> Result<(DatabaseConnection, DatabaseConnection)> {
    if !url.starts_with("sqlite:") {
        return Err(Error::invalid(
            "the database URL does not begin with sqlite:",
        ));
    }
    // The writer comes first: it makes the file and its journal.
    let writer = open(url, 1, "OFF").await?;
    let reader = open(url, READERS, "ON").await?;
    Ok((writer, reader))
}

async fn open(url: &str, connections: u32, query_only: &'static str) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        // Statements carry names and numbers of patients: they are neither logged nor put into spans.
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .pragma("journal_mode", "WAL")
                // NORMAL may lose the last commits in a power cut; a stored instance is stored (product.md 3.1).
                .pragma("synchronous", "FULL")
                // KiB, of each connection.
                .pragma("cache_size", "-32768")
                .pragma("query_only", query_only)
                .foreign_keys(true)
                .busy_timeout(BUSY)
        });
    Database::connect(options).await.map_err(failed)
}
