//! Due work through the real program: repacking, sweeping, and what an operator sees of it.

mod figures;
mod killed;
mod queue;
mod repack;
mod sweep;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Database, QueryResult, Statement};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::backing::{self, objects};
use crate::harness::{Server, instance};

/// Everything here happens within seconds; a loaded machine gets more.
const LIMIT: Duration = Duration::from_mins(1);

/// Settings under which nothing takes long; what a test does not name is as an operator has it.
fn quick(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kura"));
    command.env("KURA_WORKER__POLL_S", "1");
    // A server that a test drops is killed, and leaves its jobs to the next.
    command.env("KURA_WORKER__LEASE_S", "3");
    command.envs(settings.iter().copied());
    command
}

/// A server over a fresh data folder with these settings.
fn server(settings: &[(&str, &str)]) -> Server {
    restart(&Server::fresh(), settings)
}

/// A server over a data folder that is there, with these settings.
fn restart(data: &Arc<TempDir>, settings: &[(&str, &str)]) -> Server {
    Server::start_with(Arc::clone(data), quick(settings))
}

/// A token that may do everything about jobs.
fn manager(server: &Server) -> String {
    server.token("F001", "lifecycle.manage")
}

/// The jobs that a query finds.
async fn jobs(server: &Server, token: &str, query: &str) -> Vec<Value> {
    let answer = server.get(&format!("/api/v1/jobs?{query}"), token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["jobs"].as_array().unwrap().clone()
}

/// Asks until there is an answer.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until so many jobs of this state and kind are there; gives them.
async fn wait_for_jobs(server: &Server, token: &str, query: &str, count: usize) -> Vec<Value> {
    until(query, async || {
        let found = jobs(server, token, query).await;
        (found.len() >= count).then_some(found)
    })
    .await
}

/// A slice of study `uid`.1: series `series`, number `number`, with pixels that say which.
fn slice(uid: &str, series: usize, number: usize) -> Vec<u8> {
    let pixels = (series * 100_000 + number).to_le_bytes().repeat(4);
    instance(uid)
        .uids(
            &format!("{uid}.1"),
            &format!("{uid}.1.{series}"),
            &format!("{uid}.1.{series}.{number}"),
        )
        .text(0x0020_0013, "IS", &number.to_string())
        .bytes(0x7FE0_0010, "OW", pixels)
        .file()
}

fn path(uid: &str, series: usize, number: usize) -> String {
    format!("/studies/{uid}.1/series/{uid}.1.{series}/instances/{uid}.1.{series}.{number}")
}

/// Runs statements on the database of a data folder, past the program.
async fn execute(data: &Path, statements: &[&str]) {
    let database = Database::connect(backing::database_url(data))
        .await
        .unwrap();
    for statement in statements {
        database.execute_unprepared(statement).await.unwrap();
    }
    database.close().await.unwrap();
}

/// Makes what waits of a kind due at once.
async fn hurry(data: &Arc<TempDir>, kind: &str) {
    let update = format!("UPDATE job SET due_at = 1 WHERE kind = '{kind}' AND state = 'due'");
    execute(data.path(), &[&update]).await;
}

/// Both objects of every pack that a row names, relative to the store, in order.
async fn named_objects(data: &Path, only: &str) -> Vec<String> {
    let database = Database::connect(backing::database_url(data))
        .await
        .unwrap();
    let select = format!(
        "SELECT object FROM pack_copy JOIN pack USING (pack_id) WHERE {only} UNION \
         SELECT metadata_object FROM pack_copy JOIN pack USING (pack_id) WHERE {only}"
    );
    let select = Statement::from_string(database.get_database_backend(), select);
    let rows = database.query_all_raw(select).await.unwrap();
    database.close().await.unwrap();
    let name = |row: &QueryResult| row.try_get_by_index::<String>(0).unwrap();
    let mut names: Vec<String> = rows.iter().map(name).collect();
    names.sort();
    names
}

/// The store holds what rows name, and nothing else.
async fn assert_store_is_what_rows_name(data: &Path) {
    assert_eq!(objects(data, "").await, named_objects(data, "1 = 1").await);
}
