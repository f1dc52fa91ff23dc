//! The schema: hands `migrations/` to sqlx's migrator, refuses an older or a newer one.

use std::collections::HashSet;

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::row::{failed, get};
use super::{Index, columns};
use crate::error::{Error, Kind, Result};
use crate::model::Level;

/// The files of `migrations/` for SQLite, in order.
static MIGRATIONS: &[(&str, &str)] = &[
    (
        "0001_facility.sql",
        include_str!("../../migrations/0001_facility.sql"),
    ),
    (
        "0002_study.sql",
        include_str!("../../migrations/0002_study.sql"),
    ),
    (
        "0003_pack.sql",
        include_str!("../../migrations/0003_pack.sql"),
    ),
    (
        "0004_statistics.sqlite.sql",
        include_str!("../../migrations/0004_statistics.sqlite.sql"),
    ),
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

fn version(name: &str) -> i64 {
    name.split('_')
        .next()
        .and_then(|number| number.parse().ok())
        .expect("a migration is named by its number")
}

fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(name, _)| version(name))
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
        let migrations = MIGRATIONS.iter().map(|(name, sql)| {
            let what = name.trim_end_matches(".sql").trim_end_matches(".sqlite");
            let sql = SqlStr::from_static(sql);
            Migration::new(
                version(name),
                what.into(),
                MigrationType::Simple,
                sql,
                false,
            )
        });
        Migrator::with_migrations(migrations.collect())
            .run(self.writer.get_sqlite_connection_pool())
            .await
            .map_err(|error| {
                Error::new(Kind::Conflict, "the schema could not be brought up to date")
                    .with_source(error)
            })?;
        self.check_columns().await
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
        let need = newest();
        Ok(match at.cmp(&need) {
            std::cmp::Ordering::Equal => SchemaState::Current,
            std::cmp::Ordering::Less => SchemaState::Older { at, need },
            std::cmp::Ordering::Greater => SchemaState::Newer { at, know: need },
        })
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

    async fn columns_of(&self, table: &str) -> Result<HashSet<String>> {
        let rows = self
            .reader
            .query_all_raw(sea_orm::Statement::from_string(
                self.reader.get_database_backend(),
                format!("PRAGMA table_info({table})"),
            ))
            .await
            .map_err(failed)?;
        rows.iter().map(|row| get(row, "name")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_is_embedded_in_order() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "README.md")
            .collect();
        files.sort();
        let listed: Vec<&str> = MIGRATIONS.iter().map(|(name, _)| *name).collect();
        assert_eq!(files, listed);
        assert!(
            MIGRATIONS
                .windows(2)
                .all(|pair| version(pair[0].0) < version(pair[1].0))
        );
    }
}
