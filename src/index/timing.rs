//! How long the database takes: every statement of a connection that is watched, and the two ends of a transaction.

use std::time::{Duration, Instant};

use sea_orm::{DatabaseConnection, DatabaseTransaction};

use super::row;
use crate::error::Result;
use crate::measure::{Port, failed, took};

/// Measures every statement that `connection` runs, those of its transactions included. The statement itself, with its
/// values, goes nowhere.
pub(super) fn watch(connection: &mut DatabaseConnection) {
    connection.set_metric_callback(|ran| {
        self::ran(operation(&ran.statement.sql), ran.elapsed, ran.failed);
    });
}

/// Notes a statement that has ended.
pub(super) fn ran(operation: &'static str, elapsed: Duration, has_failed: bool) {
    took(Port::Database, operation, elapsed);
    if has_failed {
        failed(Port::Database, operation);
    }
}

/// What a statement does, as one of a few words.
pub(super) fn operation(sql: &str) -> &'static str {
    let word = sql.split_ascii_whitespace().next().unwrap_or_default();
    match word {
        "SELECT" | "WITH" => "select",
        "INSERT" => "insert",
        "UPDATE" => "update",
        "DELETE" => "delete",
        _ => "other",
    }
}

/// Waits for a connection and its turn to write, as `begin` asks for them.
pub(super) async fn begun(
    begin: impl Future<Output = std::result::Result<DatabaseTransaction, sea_orm::DbErr>>,
) -> Result<DatabaseTransaction> {
    timed("begin", begin).await
}

/// Makes what a transaction wrote durable.
///
/// # Errors
/// As [`row::failed`] says.
pub(super) async fn commit(transaction: DatabaseTransaction) -> Result<()> {
    timed("commit", transaction.commit()).await
}

async fn timed<T>(
    operation: &'static str,
    work: impl Future<Output = std::result::Result<T, sea_orm::DbErr>>,
) -> Result<T> {
    let started = Instant::now();
    let done = work.await;
    took(Port::Database, operation, started.elapsed());
    done.map_err(|error| {
        failed(Port::Database, operation);
        row::failed(error)
    })
}

#[cfg(test)]
mod tests {
    use super::operation;

    #[test]
    fn a_statement_is_named_by_what_it_does() {
        assert_eq!(operation("SELECT \"a\" FROM b"), "select");
        assert_eq!(operation("WITH x AS (SELECT 1) SELECT 1"), "select");
        assert_eq!(operation("PRAGMA foreign_keys"), "other");
        assert_eq!(operation(""), "other");
    }
}
