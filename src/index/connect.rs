//! Connections: those that write, those that read, and those on which stores and jobs read: a viewer does not wait in one
//! line with bulk uploads, nor for a connection that threads of lower priority serve.
//!
//! | | SQLite | PostgreSQL |
//! | --- | --- | --- |
//! | writers | one: the file has one at a time | [`PG_WRITERS`] |
//! | readers | [`READERS`], `query_only` | [`PG_READERS`], `default_transaction_read_only` |
//! | readers in the background | [`BACKGROUND_READERS`] | [`PG_BACKGROUND_READERS`] |
//! | durable | WAL, `synchronous=FULL` | `synchronous_commit=on` |
//! | waits at most | [`BUSY`] for another writer | [`LOCK_WAIT`] for a row, [`STATEMENT`] in all |
//!
//! TLS to PostgreSQL is what the URL says: `sslmode` (`prefer` where it is silent), `sslrootcert`.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
};
use sqlx::Connection as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::reader::Reader;
use super::row::failed;
use super::timing;
use crate::error::{Error, Kind, Result};

/// SQLite serves any number of readers beside its one writer; each has a thread and a cache of its own.
const READERS: u32 = 6;

/// What stores and jobs look up is short.
const BACKGROUND_READERS: u32 = 2;

/// How long a statement waits for another process that writes (`kura import` beside `kura serve`).
const BUSY: Duration = Duration::from_secs(10);

/// Connections of one process to PostgreSQL that read. Each is a process of the server: with the others four
/// replicas stay below the 100 that it allows by default.
const PG_READERS: u32 = 10;

/// Connections of one process to PostgreSQL that write. A transaction is some tens of milliseconds; what waits for a
/// connection waits for less than for the disk.
const PG_WRITERS: u32 = 8;

/// Those on which stores and jobs read.
const PG_BACKGROUND_READERS: u32 = 4;

/// How long a request waits for a connection: a database that is away is said to be, while the caller still listens.
const ACQUIRE: Duration = Duration::from_secs(5);

/// The longest statement. None of ours comes near; one that does has lost its index or its network.
const STATEMENT: Duration = Duration::from_mins(1);

/// How long a statement waits for a row that another transaction holds.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// After this time the server ends a transaction whose client has gone silent, and gives up its locks.
const SILENT: Duration = Duration::from_mins(1);

/// The connections of a process, by what they are for.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) writer: DatabaseConnection,
    pub(super) reader: Reader,
    pub(super) background: Reader,
}

/// Opens them.
pub(super) async fn all(url: &str) -> Result<Connections> {
    if url.starts_with("sqlite:") {
        let alone = alone(lock_of(url).as_deref()).await?;
        // The writer comes first: it makes the file and its journal.
        let writer = sqlite(url, 1, "OFF").await?;
        drop(alone);
        let (reader, background) = futures::try_join!(
            sqlite(url, READERS, "ON"),
            sqlite(url, BACKGROUND_READERS, "ON")
        )?;
        return Ok(Connections {
            writer,
            reader: Reader::new(reader, READERS),
            background: Reader::new(background, BACKGROUND_READERS),
        });
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        let (writer, reader, background) = futures::try_join!(
            postgres(url, PG_WRITERS, "off"),
            postgres(url, PG_READERS, "on"),
            postgres(url, PG_BACKGROUND_READERS, "on")
        )?;
        return Ok(Connections {
            writer,
            reader: Reader::new(reader, PG_READERS),
            background: Reader::new(background, PG_BACKGROUND_READERS),
        });
    }
    Err(Error::invalid(
        "the database URL begins neither with sqlite:// nor with postgres://",
    ))
}

/// A transaction that may write: from its first statement on it is the only one on SQLite.
pub(super) async fn begin(writer: &DatabaseConnection) -> Result<DatabaseTransaction> {
    let options = TransactionOptions {
        // A deferred transaction that reads first fails at once when another process has written (stack.md 8).
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    timing::begun(writer.begin_with_options(options)).await
}

/// The file beside a SQLite file whose lock keeps the first start to one process; `None` for PostgreSQL, whose migrator
/// locks by itself, and for a database in memory.
pub(super) fn lock_of(url: &str) -> Option<PathBuf> {
    if !url.starts_with("sqlite:") || url.contains(":memory:") || url.contains("mode=memory") {
        return None;
    }
    let options = SqliteConnectOptions::from_str(url).ok()?;
    let mut name = options.get_filename().as_os_str().to_owned();
    name.push(".lock");
    Some(name.into())
}

/// Takes a lock, for as long as the result lives: of several processes that start at once, one makes the journal and the
/// tables.
pub(super) async fn alone(path: Option<&Path>) -> Result<Option<File>> {
    let Some(path) = path.map(Path::to_owned) else {
        return Ok(None);
    };
    let locked = tokio::task::spawn_blocking(move || lock(&path)).await;
    let locked =
        locked.map_err(|cause| Error::internal("the wait for the lock broke off", cause))?;
    locked.map(Some).map_err(|cause| {
        let detail = "the folder of the database has to be there and to be writable";
        Error::unavailable(detail, cause)
    })
}

fn lock(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    file.lock()?;
    Ok(file)
}

/// What both databases are opened with.
fn options(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        // Statements carry names and numbers of patients: they are neither logged nor put into spans.
        .sqlx_logging(false)
        .record_stmt_in_spans(false);
    options
}

async fn sqlite(
    url: &str,
    connections: u32,
    query_only: &'static str,
) -> Result<DatabaseConnection> {
    let mut options = options(url, connections);
    options
        .idle_timeout(None)
        .max_lifetime(None)
        // A file does not go away as a server does; the question would be two more switches between threads.
        .test_before_acquire(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .pragma("journal_mode", "WAL")
                // NORMAL may lose the last commits in a power cut; a stored instance is stored (product.md 3.1).
                .pragma("synchronous", "FULL")
                // Pages of 4 KiB that the journal gathers before they go to the file: of many stores, most write the same.
                .pragma("wal_autocheckpoint", "4000")
                // KiB, of each connection.
                .pragma("cache_size", "-32768")
                .pragma("query_only", query_only)
                .foreign_keys(true)
                .busy_timeout(BUSY)
        })
        .map_sqlx_sqlite_pool_opts(|pool| {
            // On a full disk SQLite rolls back by itself, the driver's own rollback then fails, and from there on it takes
            // every transaction for one inside of another, whose commit makes nothing durable.
            pool.after_release(|connection, _| {
                Box::pin(async move { Ok(!connection.is_in_transaction()) })
            })
        });
    Database::connect(options).await.map_err(failed)
}

async fn postgres(
    url: &str,
    connections: u32,
    read_only: &'static str,
) -> Result<DatabaseConnection> {
    let plans = if read_only == "on" {
        "force_generic_plan"
    } else {
        "auto"
    };
    if PgConnectOptions::from_str(url).is_err() {
        return Err(Error::invalid(
            "the database URL is none that PostgreSQL's clients read: postgres://user:password@host:5432/database",
        ));
    }
    let mut options = options(url, connections);
    options
        .acquire_timeout(ACQUIRE)
        .set_application_name("kura")
        .map_sqlx_postgres_opts(move |postgres| {
            postgres.options([
                // A stored instance is stored, whatever the server's default (product.md 3.1).
                ("synchronous_commit", "on".to_owned()),
                // "relation exists already, skipping" is nothing to log.
                ("client_min_messages", "warning".to_owned()),
                ("default_transaction_read_only", read_only.to_owned()),
                // A search takes longer to plan than to run. Each is written for one index, whatever its values: it is planned
                // once for each connection that reads. What writes meets tables that grow under it.
                ("plan_cache_mode", plans.to_owned()),
                // It compiles a statement for 300 ms that then runs for 10: the guard has a branch for every study that is
                // hardly ever taken, and the planner counts it in full.
                ("jit", "off".to_owned()),
                ("statement_timeout", milliseconds(STATEMENT)),
                ("lock_timeout", milliseconds(LOCK_WAIT)),
                ("idle_in_transaction_session_timeout", milliseconds(SILENT)),
            ])
        });
    Database::connect(options).await.map_err(refused)
}

fn milliseconds(time: Duration) -> String {
    time.as_millis().to_string()
}

/// A server that answers and does not let us in will not do so the next time either.
fn refused(error: DbErr) -> Error {
    let detail = match code(&error).as_deref() {
        Some("28000" | "28P01") => "the database refuses the user or the password of database_url",
        Some("3D000") => "the database that database_url names is not there: create it",
        _ => return failed(error),
    };
    Error::new(Kind::Invalid, detail).with_source(error)
}

fn code(error: &DbErr) -> Option<String> {
    let DbErr::Conn(RuntimeErr::SqlxError(inner)) = error else {
        return None;
    };
    let sqlx::Error::Database(refusal) = &**inner else {
        return None;
    };
    refusal.code().map(std::borrow::Cow::into_owned)
}
