//! PostgreSQL plans by what it knows of its tables, and looks at them itself once a minute (autovacuum). Until then a new
//! archive is planned as if it were empty: any index seems as good as the right one, and thousands of rows are read where one
//! is wanted. So the first stores ask it to look, each time there is four times as much.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

/// Instances after which it is asked for the first time.
const FIRST: u64 = 64;

/// From here on it looks by itself in time.
const LAST: u64 = 262_144;

/// How many more there are each time.
const TIMES: u64 = 4;

/// Instances that this process recorded, and how many there will be when the database is asked next.
#[derive(Clone, Debug)]
pub(super) struct Growth {
    recorded: Arc<AtomicU64>,
    next: Arc<AtomicU64>,
}

impl Growth {
    /// Nothing recorded yet. SQLite's plans do not depend on what it knows: nothing is ever due there.
    pub(super) fn new(backend: DbBackend) -> Self {
        let first = if backend == DbBackend::Postgres {
            FIRST
        } else {
            u64::MAX
        };
        Self {
            recorded: Arc::default(),
            next: Arc::new(AtomicU64::new(first)),
        }
    }

    /// Counts what was recorded; how many instances there are if the database is to be asked now.
    pub(super) fn add(&self, instances: usize) -> Option<u64> {
        let added = u64::try_from(instances).unwrap_or(u64::MAX);
        let recorded = self.recorded.fetch_add(added, Ordering::Relaxed);
        let recorded = recorded.saturating_add(added);
        let due = self.next.load(Ordering::Relaxed);
        if recorded < due {
            return None;
        }
        let mut next = due;
        while next <= recorded {
            next = next.saturating_mul(TIMES);
        }
        if next > LAST {
            next = u64::MAX;
        }
        // Of those who come at once, one asks.
        let swapped = self
            .next
            .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        swapped.is_ok().then_some(recorded)
    }
}

/// Has the database look at its tables, unless it knows of half of the instances that were recorded.
///
/// # Errors
/// What the database says.
pub(super) async fn refresh(writer: &DatabaseConnection, recorded: u64) -> Result<(), DbErr> {
    let known = "SELECT reltuples::float8 AS known FROM pg_class WHERE oid = 'instance'::regclass";
    let asked = Statement::from_string(DbBackend::Postgres, known);
    let row = writer.query_one_raw(asked).await?;
    let known: f64 = row.map_or(Ok(0.0), |row| row.try_get("", "known"))?;
    #[expect(clippy::cast_precision_loss, reason = "a count of some thousands")]
    let half = recorded as f64 / 2.0;
    if known >= half {
        return Ok(());
    }
    let tables = "SELECT quote_ident(t.relname) AS name FROM pg_class t JOIN pg_class i \
         ON i.oid = 'instance'::regclass AND i.relnamespace = t.relnamespace WHERE t.relkind = 'r'";
    let asked = Statement::from_string(DbBackend::Postgres, tables);
    for row in writer.query_all_raw(asked).await? {
        let name: String = row.try_get("", "name")?;
        writer
            .execute_unprepared(&format!("ANALYZE {name}"))
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_each_time_there_is_four_times_as_much() {
        let growth = Growth::new(DbBackend::Postgres);
        let asked: Vec<u64> = (0..300_000).filter_map(|_| growth.add(1)).collect();
        assert_eq!(asked, [64, 256, 1024, 4096, 16_384, 65_536, 262_144]);
        let growth = Growth::new(DbBackend::Postgres);
        assert_eq!(growth.add(63), None);
        assert_eq!(growth.add(1000), Some(1063));
        assert_eq!(growth.add(1), None);
        let growth = Growth::new(DbBackend::Sqlite);
        assert_eq!(growth.add(1_000_000), None);
    }
}
