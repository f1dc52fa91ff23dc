//! Due work through the real program: repacking, sweeping, and what an operator sees of it.

mod figures;
mod killed;
mod queue;
mod repack;
mod sweep;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

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

/// The database of a data folder, past the program.
async fn database(data: &Path) -> sqlx::SqlitePool {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(data.join("kura.db"))
        .busy_timeout(LIMIT);
    sqlx::SqlitePool::connect_with(options).await.unwrap()
}

/// Makes what waits of a kind due at once.
async fn hurry(data: &Arc<TempDir>, kind: &str) {
    let pool = database(data.path()).await;
    let update = "UPDATE job SET due_at = 1 WHERE kind = ? AND state = 'due'";
    let done = sqlx::query(update)
        .bind(kind.to_owned())
        .execute(&pool)
        .await;
    pool.close().await;
    done.unwrap();
}

/// The objects in the store, by their ending.
fn objects(data: &Path, ending: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with(".tmp") {
                walk(&path, found);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&data.join("blobs"), &mut found);
    found.retain(|path| path.to_string_lossy().ends_with(ending));
    found.sort();
    found
}

/// Both objects of every pack that a row names, relative to the store, in order.
async fn named_objects(data: &Path, only: &str) -> Vec<String> {
    let pool = database(data).await;
    let select = format!(
        "SELECT object FROM pack_copy JOIN pack USING (pack_id) WHERE {only} UNION \
         SELECT metadata_object FROM pack_copy JOIN pack USING (pack_id) WHERE {only} ORDER BY 1"
    );
    let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(select))
        .fetch_all(&pool)
        .await;
    pool.close().await;
    rows.unwrap()
}

/// The store holds what rows name, and nothing else.
async fn assert_store_is_what_rows_name(data: &Path) {
    let root = data.join("blobs");
    let stored: Vec<String> = objects(data, "")
        .iter()
        .map(|path| {
            path.strip_prefix(&root)
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(stored, named_objects(data, "1 = 1").await);
}
