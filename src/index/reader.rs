//! Connections that read, kept in hand between statements.
//!
//! The driver's pool asks a connection whether it still lives each time it is given back, and on SQLite each connection has a
//! thread of its own: two switches between threads, or a round trip to the server, beside the one of the statement itself. So
//! what was used without a failure stays here for the next statement. Whatever else happens, a statement that fails or that
//! nobody waits for any more, a connection that rested or is old, the pool gets it back and looks at it.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, QueryResult, RuntimeErr, Statement, TransactionOptions, TransactionTrait as _,
};
use sea_query_sqlx::SqlxValues;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Database, Executor, IntoArguments, Pool, Postgres, Sqlite};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::timing;

/// A connection to a server that rested for longer is given back, so that the pool asks it whether it still lives.
const RESTED: Duration = Duration::from_secs(1);

/// How long a connection to a server is kept in hand at most; the pool then decides whether it is too old.
const IN_HAND: Duration = Duration::from_mins(1);

/// The connections that read. A clone has the same ones.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pool: DatabaseConnection,
    hand: Hand,
    /// One permit a connection, so that whoever has one finds one: in hand, in the pool, or on its way back to it.
    turns: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
enum Hand {
    Sqlite(Arc<Held<Sqlite>>),
    Postgres(Arc<Held<Postgres>>),
}

/// A transaction, and its turn to use a connection.
#[derive(Debug)]
pub(super) struct Moment {
    tx: DatabaseTransaction,
    _turn: OwnedSemaphorePermit,
}

impl Deref for Moment {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.tx
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DbErr>> + Send + 'a>>;

impl Reader {
    /// Reads by the `connections` of `pool`.
    pub(super) fn new(pool: DatabaseConnection, connections: u32) -> Self {
        let hand = if pool.get_database_backend() == DbBackend::Sqlite {
            Hand::Sqlite(Held::of(pool.get_sqlite_connection_pool()))
        } else {
            Hand::Postgres(Held::of(pool.get_postgres_connection_pool()))
        };
        let turns = usize::try_from(connections).unwrap_or(1);
        Self {
            pool,
            hand,
            turns: Arc::new(Semaphore::new(turns)),
        }
    }

    /// A transaction that reads.
    pub(super) async fn begin_with_options(
        &self,
        options: TransactionOptions,
    ) -> Result<Moment, DbErr> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| closed())?;
        self.let_go(1);
        let tx = self.pool.begin_with_options(options).await?;
        Ok(Moment { tx, _turn: turn })
    }

    /// Whether the database answers.
    pub(super) async fn ping(&self) -> Result<(), DbErr> {
        let _turn = self.turns.acquire().await.map_err(|_| closed())?;
        self.let_go(1);
        self.pool.ping().await
    }

    /// Closes the connections.
    pub(super) async fn close(self) -> Result<(), DbErr> {
        self.turns.close();
        self.let_go(usize::MAX);
        self.pool.close().await
    }

    /// Gives so many connections back to the pool.
    fn let_go(&self, count: usize) {
        match &self.hand {
            Hand::Sqlite(held) => held.let_go(count),
            Hand::Postgres(held) => held.let_go(count),
        }
    }

    async fn ask(&self, statement: Statement, most: Most) -> Result<Vec<QueryResult>, DbErr> {
        let _turn = self.turns.acquire().await.map_err(|_| closed())?;
        match &self.hand {
            Hand::Sqlite(held) => held.ask(statement, most).await,
            Hand::Postgres(held) => held.ask(statement, most).await,
        }
    }
}

impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    fn execute_raw<'a, 'b>(&'a self, statement: Statement) -> Answer<'b, ExecResult>
    where
        'a: 'b,
        Self: 'b,
    {
        self.pool.execute_raw(statement)
    }

    fn execute_unprepared<'a, 'c, 'b>(&'a self, sql: &'c str) -> Answer<'b, ExecResult>
    where
        'a: 'b,
        'c: 'b,
        Self: 'b,
    {
        self.pool.execute_unprepared(sql)
    }

    fn query_one_raw<'a, 'b>(&'a self, statement: Statement) -> Answer<'b, Option<QueryResult>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Ok(self.ask(statement, Most::One).await?.pop()) })
    }

    fn query_all_raw<'a, 'b>(&'a self, statement: Statement) -> Answer<'b, Vec<QueryResult>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(self.ask(statement, Most::All))
    }
}

/// How many rows are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Most {
    One,
    All,
}

/// Connections in hand.
#[derive(Debug)]
struct Held<D: Database> {
    pool: Pool<D>,
    idle: Mutex<Vec<Idle<D>>>,
    /// Where connections are given back, wherever this is dropped.
    runtime: Handle,
}

impl<D: Database> Drop for Held<D> {
    fn drop(&mut self) {
        let _entered = self.runtime.enter();
        self.let_go(usize::MAX);
    }
}

#[derive(Debug)]
struct Idle<D: Database> {
    taken: Taken<D>,
    rests_since: Instant,
}

/// A connection, and since when the pool has not seen it.
#[derive(Debug)]
struct Taken<D: Database> {
    connection: PoolConnection<D>,
    since: Instant,
}

impl<D: Database> Held<D> {
    fn of(pool: &Pool<D>) -> Arc<Self> {
        Arc::new(Self {
            pool: pool.clone(),
            idle: Mutex::default(),
            runtime: Handle::current(),
        })
    }

    fn with<T>(&self, then: impl FnOnce(&mut Vec<Idle<D>>) -> T) -> T {
        then(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn let_go(&self, count: usize) {
        let gone = self.with(|idle| idle.split_off(idle.len().saturating_sub(count)));
        drop(gone);
    }

    /// The connection that was used last, if there is one to be used without a question.
    fn in_hand(&self) -> Option<Taken<D>> {
        let idle = self.with(Vec::pop)?;
        let is_fresh = idle.rests_since.elapsed() < RESTED && idle.taken.since.elapsed() < IN_HAND;
        // A file does not go away as a server does.
        (is_fresh || D::NAME == Sqlite::NAME).then_some(idle.taken)
    }

    async fn out_of_pool(&self) -> Result<Taken<D>, DbErr> {
        let connection = self.pool.acquire().await.map_err(|error| {
            if matches!(error, sqlx::Error::PoolTimedOut) {
                DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
            } else {
                DbErr::Conn(RuntimeErr::SqlxError(error.into()))
            }
        })?;
        let since = Instant::now();
        Ok(Taken { connection, since })
    }

    async fn ask(&self, statement: Statement, most: Most) -> Result<Vec<QueryResult>, DbErr>
    where
        for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
        SqlxValues: IntoArguments<D>,
        QueryResult: From<D::Row>,
    {
        if let Some(taken) = self.in_hand() {
            let again = (D::NAME != Sqlite::NAME).then(|| statement.clone());
            let answer = self.ask_by(taken, statement, most).await;
            let Some(statement) = again.filter(|_| answer.as_ref().is_err_and(is_lost)) else {
                return answer;
            };
            // The server was stopped since, and the others are as dead. Reading may be done again.
            self.let_go(usize::MAX);
            return self
                .ask_by(self.out_of_pool().await?, statement, most)
                .await;
        }
        self.ask_by(self.out_of_pool().await?, statement, most)
            .await
    }

    async fn ask_by(
        &self,
        mut taken: Taken<D>,
        statement: Statement,
        most: Most,
    ) -> Result<Vec<QueryResult>, DbErr>
    where
        for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
        SqlxValues: IntoArguments<D>,
        QueryResult: From<D::Row>,
    {
        let operation = timing::operation(&statement.sql);
        let values = statement.values.map_or_else(Vec::new, |values| values.0);
        let values = SqlxValues(sea_orm::Values(values));
        let query = sqlx::query_with(AssertSqlSafe(statement.sql), values);
        let begun = Instant::now();
        let connection = &mut *taken.connection;
        let rows = match most {
            Most::One => {
                let row = query.fetch_optional(connection).await;
                row.map(|row| row.into_iter().collect())
            }
            Most::All => query.fetch_all(connection).await,
        };
        timing::ran(operation, begun.elapsed(), rows.is_err());
        let rows = rows.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))?;
        if !self.pool.is_closed() {
            let rests_since = Instant::now();
            self.with(|all| all.push(Idle { taken, rests_since }));
        }
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }
}

/// Whether a statement failed because its connection is no more.
fn is_lost(error: &DbErr) -> bool {
    let DbErr::Query(RuntimeErr::SqlxError(cause)) = error else {
        return false;
    };
    if let sqlx::Error::Database(refusal) = &**cause {
        // operator_intervention, connection_exception: the server stops, was killed, or does not serve yet.
        let code = refusal.code().unwrap_or_default();
        return code.starts_with("57P") || code.starts_with("08");
    }
    matches!(
        &**cause,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)
    )
}

fn closed() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)
}
