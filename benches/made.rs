//! A database that is filled by statements (`fill`), as the benches have it.

use sqlx::Connection as _;

use crate::fill::{Dialect, Of, statements};

/// Makes studies in a database that holds facilities.
pub(crate) async fn make(dialect: Dialect, url: &str, studies: u64, of: Of) {
    for statement in statements(dialect, studies, of) {
        // Made of constants; no value comes from outside.
        let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(statement));
        let made = match dialect {
            Dialect::Sqlite => {
                let to = sqlx::SqliteConnection::connect(url).await;
                let mut to = to.expect("the database opens");
                statement.execute(&mut to).await.map(drop)
            }
            Dialect::Postgres => {
                let to = sqlx::PgConnection::connect(url).await;
                let mut to = to.expect("the database opens");
                statement.execute(&mut to).await.map(drop)
            }
        };
        made.expect("the statement runs");
    }
}
