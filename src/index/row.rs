//! The edge to the database's own types: errors in, values out.

use sea_orm::{DbErr, QueryResult, RuntimeErr, SqlErr, TryGetable};

use crate::error::{Error, Kind, Result};

/// Translates a failure of the database (architecture.md 9): a unique key that is taken is a conflict, a database that
/// is away or busy is unavailable, the rest is a defect.
pub(super) fn failed(error: DbErr) -> Error {
    if let Some(SqlErr::UniqueConstraintViolation(_)) = error.sql_err() {
        return Error::new(
            Kind::Conflict,
            "another request stored the same at the same time",
        )
        .with_source(error);
    }
    match cause(&error) {
        Cause::Away => Error::unavailable("the database does not answer", error),
        Cause::Full => {
            Error::new(Kind::Full, "there is no room left for the database").with_source(error)
        }
        Cause::Other => Error::internal("the database refused a statement", error),
    }
}

enum Cause {
    Away,
    Full,
    Other,
}

fn cause(error: &DbErr) -> Cause {
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
        let code = refusal.code().and_then(|code| code.parse::<i32>().ok());
        // The low byte of an extended code says what it is about.
        return match code.map(|code| code & 0xFF) {
            // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR, SQLITE_CANTOPEN.
            Some(5 | 6 | 10 | 14) => Cause::Away,
            // SQLITE_FULL.
            Some(13) => Cause::Full,
            _ => Cause::Other,
        };
    }
    let is_away = matches!(
        &**inner,
        sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
    );
    if is_away { Cause::Away } else { Cause::Other }
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

/// A digest of a row.
pub(super) fn digest(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes
        .try_into()
        .map_err(|error| Error::internal("a row holds a digest of another length", error))
}
