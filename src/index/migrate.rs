//! The schema: hands `migrations/` to sqlx's migrator, refuses an older or a newer one.

use std::collections::HashSet;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, SqlStr};

use super::row::{failed, get};
use super::{Index, columns, connect};
use crate::error::{BoxError, Error, Kind, Result};
use crate::model::{Level, Timestamp};

/// One change of the schema.
struct Row {
    /// Its number.
    version: i64,
    /// What it is about, as the name of its file says.
    what: &'static str,
    /// Its text for SQLite; `None` where only PostgreSQL needs it.
    sqlite: Option<&'static str>,
    /// Its text for PostgreSQL; `None` where only SQLite needs it.
    postgres: Option<&'static str>,
}

/// The text of a file of `migrations/`.
macro_rules! text {
    ($file:literal) => {
        Some(include_str!(concat!("../../migrations/", $file)))
    };
}

/// The files of `migrations/`, in order. One file that serves both databases stands in both columns.
#[rustfmt::skip]
static MIGRATIONS: &[Row] = &[
    Row { version: 1, what: "facility", sqlite: text!("0001_facility.sqlite.sql"), postgres: text!("0001_facility.postgres.sql") },
    Row { version: 2, what: "study", sqlite: text!("0002_study.sqlite.sql"), postgres: text!("0002_study.postgres.sql") },
    Row { version: 3, what: "pack", sqlite: text!("0003_pack.sqlite.sql"), postgres: text!("0003_pack.postgres.sql") },
    Row { version: 4, what: "statistics", sqlite: text!("0004_statistics.sqlite.sql"), postgres: None },
    Row { version: 5, what: "name_search", sqlite: text!("0005_name_search.sqlite.sql"), postgres: text!("0005_name_search.postgres.sql") },
    Row { version: 6, what: "job", sqlite: text!("0006_job.sqlite.sql"), postgres: text!("0006_job.postgres.sql") },
    Row { version: 7, what: "deletion", sqlite: text!("0007_deletion.sqlite.sql"), postgres: text!("0007_deletion.postgres.sql") },
    Row { version: 8, what: "identity", sqlite: text!("0008_identity.sqlite.sql"), postgres: text!("0008_identity.postgres.sql") },
    Row { version: 9, what: "missing_copy", sqlite: text!("0009_missing_copy.sql"), postgres: text!("0009_missing_copy.sql") },
    Row { version: 10, what: "mint", sqlite: text!("0010_mint.sqlite.sql"), postgres: text!("0010_mint.postgres.sql") },
    Row { version: 11, what: "upload_receipt", sqlite: text!("0011_upload_receipt.sqlite.sql"), postgres: text!("0011_upload_receipt.postgres.sql") },
    Row { version: 12, what: "change_feed", sqlite: text!("0012_change_feed.sqlite.sql"), postgres: text!("0012_change_feed.postgres.sql") },
    Row { version: 13, what: "mint_update", sqlite: text!("0013_mint_update.sqlite.sql"), postgres: text!("0013_mint_update.postgres.sql") },
    Row { version: 14, what: "replaced_items", sqlite: text!("0014_replaced_items.sql"), postgres: text!("0014_replaced_items.sql") },
    Row { version: 15, what: "replaced_items_statistics", sqlite: text!("0015_replaced_items_statistics.sqlite.sql"), postgres: None },
];

/// The table in which the migrator notes what it has run.
const LEDGER: &str = "_sqlx_migrations";

/// How the schema of the database stands to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// Made by this program.
    Current,
    /// Made by an older one, or empty.
    Older {
        /// The last migration that ran; 0 for an empty database.
        at: i64,
        /// The last migration of this program.
        need: i64,
    },
    /// Made by a newer one.
    Newer {
        /// The last migration that ran.
        at: i64,
        /// The last migration of this program.
        know: i64,
    },
}

impl SchemaState {
    /// Why the program does not serve such a database; `None` if it does.
    pub fn refusal(self) -> Option<String> {
        match self {
            Self::Current => None,
            Self::Older { at, need } => Some(format!(
                "the database is at schema {at} and this program needs {need}: run `kura migrate`"
            )),
            Self::Newer { at, know } => Some(format!(
                "the database is at schema {at} and this program knows {know}: start the newer program"
            )),
        }
    }
}

impl Row {
    /// What is run on a database.
    fn text(&self, backend: DbBackend) -> Option<&'static str> {
        if backend == DbBackend::Sqlite {
            self.sqlite
        } else {
            self.postgres
        }
    }
}

/// What is to be run on a database, in order.
fn migrations(backend: DbBackend) -> Vec<Migration> {
    let of = |row: &Row| {
        let sql = SqlStr::from_static(row.text(backend)?);
        Some(Migration::new(
            row.version,
            row.what.into(),
            MigrationType::Simple,
            sql,
            false,
        ))
    };
    MIGRATIONS.iter().filter_map(of).collect()
}

/// The last migration of a database.
fn newest(backend: DbBackend) -> i64 {
    let of_it = MIGRATIONS.iter().filter(|row| row.text(backend).is_some());
    of_it.map(|row| row.version).max().unwrap_or(0)
}

impl Index {
    /// Brings the schema to that of this program.
    ///
    /// # Errors
    /// `Kind::Conflict` if the database is newer or holds a migration that differs from ours.
    pub async fn migrate(&self) -> Result<()> {
        if let state @ SchemaState::Newer { .. } = self.schema_state().await? {
            return Err(Error::new(
                Kind::Conflict,
                state.refusal().unwrap_or_default(),
            ));
        }
        self.run_migrations().await.map_err(|error| {
            Error::new(Kind::Conflict, "the schema could not be brought up to date")
                .with_source(error)
        })?;
        self.check_columns().await
    }

    /// Runs what is missing, one process at a time: PostgreSQL has an advisory lock for it, for SQLite a file is locked.
    async fn run_migrations(&self) -> Result<(), BoxError> {
        let backend = self.writer.get_database_backend();
        let migrator = Migrator::with_migrations(migrations(backend));
        if backend == DbBackend::Sqlite {
            let alone = connect::alone(self.lock.as_deref()).await?;
            migrator
                .run(self.writer.get_sqlite_connection_pool())
                .await?;
            drop(alone);
            return Ok(());
        }
        // A connection of its own, closed whatever happens: a failed run leaves its lock with the connection, and both the
        // wait for another process and a large table may take longer than a request may.
        let pool = self.writer.get_postgres_connection_pool();
        let mut connection = pool.acquire().await?.detach();
        sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0")
            .execute(&mut connection)
            .await?;
        let run = migrator.run_direct(None, &mut connection, false).await;
        connection.close().await.ok();
        Ok(run?)
    }

    /// How the schema stands to this program.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn schema_state(&self) -> Result<SchemaState> {
        let at = if self.columns_of(LEDGER).await?.is_empty() {
            0
        } else {
            self.last_migration().await?
        };
        let need = newest(self.reader.get_database_backend());
        Ok(match at.cmp(&need) {
            std::cmp::Ordering::Equal => SchemaState::Current,
            std::cmp::Ordering::Less => SchemaState::Older { at, need },
            std::cmp::Ordering::Greater => SchemaState::Newer { at, know: need },
        })
    }

    /// When the schema was made: what lies in the store from before was never in this index.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn born_at(&self) -> Result<Timestamp> {
        let seconds = if self.reader.get_database_backend() == DbBackend::Sqlite {
            "CAST(strftime('%s', MIN(installed_on)) AS BIGINT)"
        } else {
            "CAST(FLOOR(EXTRACT(EPOCH FROM MIN(installed_on))) AS BIGINT)"
        };
        let first = Query::select()
            .expr_as(Expr::cust(seconds), "seconds")
            .from(LEDGER)
            .take();
        let row = self.reader.query_one(&first).await.map_err(failed)?;
        let row = row.ok_or_else(|| Error::new(Kind::Internal, "the schema has no ledger"))?;
        let seconds: i64 = get(&row, "seconds")?;
        Ok(Timestamp(seconds.saturating_mul(1_000_000)))
    }

    async fn last_migration(&self) -> Result<i64> {
        let last = Query::select()
            .expr_as(Expr::col("version").max(), "last")
            .from(LEDGER)
            .take();
        let row = self.reader.query_one(&last).await.map_err(failed)?;
        let last = row
            .map(|row| get::<Option<i64>>(&row, "last"))
            .transpose()?;
        Ok(last.flatten().unwrap_or(0))
    }

    /// Compares the table of indexed attributes with the columns there are.
    pub(super) async fn check_columns(&self) -> Result<()> {
        for level in [Level::Study, Level::Series, Level::Instance] {
            let table = columns::table(level);
            let there = self.columns_of(table).await?;
            let missing = columns::of(level).find(|column| !there.contains(column.name()));
            if let Some(column) = missing {
                return Err(Error::new(
                    Kind::Internal,
                    format!("the table {table} lacks the column {}", column.name()),
                ));
            }
        }
        Ok(())
    }

    /// The columns of a table; none if it is not there.
    async fn columns_of(&self, table: &str) -> Result<HashSet<String>> {
        let backend = self.reader.get_database_backend();
        let statement = if backend == DbBackend::Sqlite {
            "SELECT name FROM pragma_table_info(?)"
        } else {
            // Of the schema in which tables without one are found and made.
            "SELECT column_name::text AS name FROM information_schema.columns \
                WHERE table_schema = current_schema() AND table_name = $1"
        };
        let statement = Statement::from_sql_and_values(backend, statement, [table.into()]);
        let rows = self.reader.query_all_raw(statement).await;
        let rows = rows.map_err(failed)?;
        rows.iter().map(|row| get(row, "name")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_is_embedded_in_order() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let read = |name: String| std::fs::read_to_string(folder.join(name)).ok();
        let mut listed = 1;
        for row in MIGRATIONS {
            let stem = format!("{:04}_{}", row.version, row.what);
            let both = read(format!("{stem}.sql"));
            let [sqlite, postgres] =
                ["sqlite", "postgres"].map(|twin| read(format!("{stem}.{twin}.sql")));
            listed += [&both, &sqlite, &postgres].into_iter().flatten().count();
            assert!(
                both.is_none() || sqlite.is_none() && postgres.is_none(),
                "{stem} has a twin too many"
            );
            assert_eq!(row.sqlite, both.as_deref().or(sqlite.as_deref()), "{stem}");
            assert_eq!(
                row.postgres,
                both.as_deref().or(postgres.as_deref()),
                "{stem}"
            );
        }
        assert_eq!(
            std::fs::read_dir(&folder).unwrap().count(),
            listed,
            "with the README, no file is left over"
        );
        assert!(
            MIGRATIONS
                .windows(2)
                .all(|pair| pair[0].version < pair[1].version)
        );
    }

    #[test]
    fn a_text_column_of_postgresql_compares_bytewise() {
        for row in MIGRATIONS {
            let lines = row.postgres.unwrap_or_default().lines();
            for line in lines.filter(|line| !line.trim_start().starts_with("--")) {
                let texts = line.matches(" TEXT").count();
                let bytewise = line.matches(" TEXT COLLATE \"C\"").count();
                assert_eq!(texts, bytewise, "migration {}: {line}", row.version);
            }
        }
    }
}
