//! The edge to the database's own types: errors in, values out.

use sea_orm::{DbErr, QueryResult, RuntimeErr, SqlErr, TryGetable};
use sqlx::postgres::PgDatabaseError;

use crate::error::{Error, Kind, Result};
use crate::model::{SeriesUid, SopClassUid, SopInstanceUid, StudyUid};

/// Translates a failure of the database (architecture.md 9): a unique key that is taken is a conflict, a database that
/// is away or busy is unavailable, the rest is a defect.
pub(super) fn failed(error: DbErr) -> Error {
    match cause(&error) {
        Cause::Taken => Error::new(
            Kind::Conflict,
            "another request stored the same at the same time",
        )
        .with_source(error),
        Cause::Crossed => Error::unavailable("the database is busy with the same rows", error),
        Cause::Away => Error::unavailable("the database does not answer", error),
        Cause::Full => {
            Error::new(Kind::Full, "there is no room left for the database").with_source(error)
        }
        Cause::Other => Error::internal("the database refused a statement", error),
    }
}

/// Whether a transaction failed because of another one that ran at the same time: begun again it sees what that one did.
pub(super) fn was_overtaken(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let inner = source.and_then(|source| source.downcast_ref::<DbErr>());
    inner.is_some_and(|inner| matches!(cause(inner), Cause::Taken | Cause::Crossed))
}

enum Cause {
    /// A unique key is taken.
    Taken,
    /// Transactions waited for each other, or saw each other's rows change.
    Crossed,
    Away,
    Full,
    Other,
}

fn cause(error: &DbErr) -> Cause {
    if let Some(SqlErr::UniqueConstraintViolation(_)) = error.sql_err() {
        return Cause::Taken;
    }
    if matches!(error, DbErr::ConnectionAcquire(_)) {
        return Cause::Away;
    }
    let (DbErr::Conn(inner) | DbErr::Exec(inner) | DbErr::Query(inner)) = error else {
        return Cause::Other;
    };
    let RuntimeErr::SqlxError(inner) = inner else {
        return Cause::Other;
    };
    if let sqlx::Error::Database(refusal) = &**inner {
        let code = refusal.code().unwrap_or_default();
        return if refusal.try_downcast_ref::<PgDatabaseError>().is_some() {
            of_postgres(&code)
        } else {
            of_sqlite(&code)
        };
    }
    let is_away = matches!(
        &**inner,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
    );
    if is_away { Cause::Away } else { Cause::Other }
}

/// By SQLSTATE, whose first two characters are its class (PostgreSQL, appendix A).
fn of_postgres(code: &str) -> Cause {
    match code {
        // serialization_failure, deadlock_detected.
        "40001" | "40P01" => Cause::Crossed,
        // disk_full.
        "53100" => Cause::Full,
        // read_only_sql_transaction: a standby that is not the primary yet. lock_not_available, query_canceled: a limit of
        // ours. idle_in_transaction_session_timeout.
        "25006" | "55P03" | "57014" | "25P03" => Cause::Away,
        // Connections; resources; the server stops, starts or crashed; its disk.
        _ if ["08", "53", "57", "58"].contains(&code.get(..2).unwrap_or_default()) => Cause::Away,
        _ => Cause::Other,
    }
}

/// By result code, whose low byte says what an extended one is about.
fn of_sqlite(code: &str) -> Cause {
    match code.parse::<i32>().map(|code| code & 0xFF) {
        // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR, SQLITE_CANTOPEN.
        Ok(5 | 6 | 10 | 14) => Cause::Away,
        // SQLITE_FULL.
        Ok(13) => Cause::Full,
        _ => Cause::Other,
    }
}

/// The value of a column.
pub(super) fn get<T: TryGetable>(row: &QueryResult, column: &str) -> Result<T> {
    row.try_get("", column).map_err(failed)
}

/// A length or an offset, which the database keeps signed.
pub(super) fn unsigned(value: i64) -> Result<u64> {
    u64::try_from(value).map_err(|error| Error::internal("a row holds a negative length", error))
}

/// A length or an offset as the database keeps it.
pub(super) fn signed(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|error| Error::internal("a length is beyond 2^63", error))
}

/// A UID of a row: it was checked before it was stored.
pub(super) fn uid<T, E>(parsed: Result<T, E>) -> Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    parsed.map_err(|error| Error::internal("a row holds a UID that no path can name", error))
}

/// The Study Instance UID of a row.
pub(super) fn study_uid(row: &QueryResult) -> Result<StudyUid> {
    uid(StudyUid::parse(&get::<String>(row, "study_instance_uid")?))
}

/// The Series Instance UID of a row.
pub(super) fn series_uid(row: &QueryResult) -> Result<SeriesUid> {
    uid(SeriesUid::parse(&get::<String>(
        row,
        "series_instance_uid",
    )?))
}

/// The SOP Instance UID of a row.
pub(super) fn instance_uid(row: &QueryResult) -> Result<SopInstanceUid> {
    uid(SopInstanceUid::parse(&get::<String>(
        row,
        "sop_instance_uid",
    )?))
}

/// The SOP Class UID of a row.
pub(super) fn sop_class_uid(row: &QueryResult) -> Result<SopClassUid> {
    uid(SopClassUid::parse(&get::<String>(row, "sop_class_uid")?))
}

/// A digest of a row.
pub(super) fn digest(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes
        .try_into()
        .map_err(|error| Error::internal("a row holds a digest of another length", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_away_is_told_from_one_that_refuses() {
        for code in ["08006", "53300", "57P01", "57P03", "57014", "25006"] {
            assert!(matches!(of_postgres(code), Cause::Away), "{code}");
        }
        assert!(matches!(of_postgres("53100"), Cause::Full));
        assert!(matches!(of_postgres("40P01"), Cause::Crossed));
        for code in ["42601", "23503", "22001", ""] {
            assert!(matches!(of_postgres(code), Cause::Other), "{code}");
        }
        // SQLITE_BUSY_SNAPSHOT, SQLITE_FULL, SQLITE_ERROR.
        assert!(matches!(of_sqlite("517"), Cause::Away));
        assert!(matches!(of_sqlite("13"), Cause::Full));
        assert!(matches!(of_sqlite("1"), Cause::Other));
    }
}
