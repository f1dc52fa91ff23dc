//! A repack that is killed: at whatever point, nothing is lost, nothing is there twice, and what was left over is swept.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use super::{
    assert_store_is_what_rows_name, hurry, manager, objects, path, restart, server, slice, until,
};
use crate::harness::{Server, backing};

const UID: &str = "1.2.3.14";
const LATER: (&str, &str) = ("KURA_STORAGE__REPACK_QUIET_S", "100000");

/// The marked points: the n-th call of a thread, for every n up to the one at which the repack gets through. Together these
/// calls make bytes durable, give objects their names, make rows durable, and change them.
const CALLS: [(&str, usize); 4] = [
    ("fsync", 1),
    ("rename", 1),
    ("fdatasync", 1),
    ("pwrite64", 6),
];

/// One life of a server over `data` that ends at the `at`-th `call` of a thread; whether the repack got through before.
async fn life(
    strace: &std::path::Path,
    data: &Arc<TempDir>,
    token: &str,
    call: &str,
    at: usize,
) -> bool {
    let mut command = Command::new(strace);
    command.args(["-D", "-f", "-qqq", "-o", "/dev/null", "-e"]);
    command.arg(format!("trace={call}")).arg("-e");
    command.arg(format!("inject={call}:signal=SIGKILL:when={at}"));
    command.arg(env!("CARGO_BIN_EXE_kura"));
    command
        .env("KURA_WORKER__POLL_S", "1")
        .env("KURA_WORKER__LEASE_S", "3");
    hurry(data, "repack").await;
    leave(data).await;
    let Some(mut life) = Server::try_start_with(Arc::clone(data), command) else {
        return false;
    };
    until("the life ends, or the work", async || {
        if !life.is_alive() {
            return Some(false);
        }
        let waits = async |state: &str| {
            let query = format!("/api/v1/jobs?kind=repack&state={state}");
            let jobs = life.try_get(&query, token).await?.json()["jobs"].clone();
            Some(!jobs.as_array().unwrap().is_empty())
        };
        let through = !waits("due").await? && !waits("running").await?;
        through.then_some(true)
    })
    .await
}

/// Lets the lease of the life before end, and forgets it: a job that ends its worker ten times would be dead.
async fn leave(data: &Arc<TempDir>) {
    let update = "UPDATE job SET lease_until = 1, attempts = 0 WHERE state = 'running'";
    super::execute(data.path(), &[update]).await;
}

/// Slow: some thirty lives under strace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_point_of_a_repack_nothing_is_lost_and_nothing_is_there_twice() {
    if backing::has_no_files() {
        return;
    }
    let Some(strace) = crate::durability::strace() else {
        return;
    };
    let mut server = server(&[LATER]);
    let (token, manager) = (server.reader("F001"), manager(&server));
    let data = Arc::clone(&server.data);
    let mut stored = BTreeSet::new();
    let (mut lives, mut most) = (0, 0);
    for (round, (call, step)) in CALLS.into_iter().enumerate() {
        for number in 1..=3 {
            for series in 1..=2 {
                let number = round * 10 + number;
                server.stored(&token, &[slice(UID, series, number)]).await;
                stored.insert((series, number));
            }
        }
        drop(server);
        let mut at = 1;
        while !life(&strace, &data, &manager, call, at).await {
            lives += 1;
            most = most.max(objects(data.path(), "").await.len());
            at += step;
            assert!(at < 300, "it never gets through");
        }
        server = restart(&data, &[LATER]);
        for (series, number) in &stored {
            let all = "application/dicom; transfer-syntax=*";
            let back = server
                .get_as(&path(UID, *series, *number), &token, all)
                .await;
            assert_eq!(back.status, 200, "{call}: {}", back.text());
            assert!(
                back.body == slice(UID, *series, *number),
                "{call}: {series}.{number} differs"
            );
        }
        let listed = server.get("/instances?limit=500", &token).await.json();
        assert_eq!(listed.as_array().unwrap().len(), stored.len(), "{call}");
        let heads = server
            .get(&format!("/studies/{UID}.1/metadata"), &token)
            .await
            .json();
        assert_eq!(heads.as_array().unwrap().len(), stored.len(), "{call}");
    }
    drop(server);
    println!("killed {lives} times, at most {most} objects at once");
    assert!(lives > 8, "too few points for the test to mean anything");
    let sweeping = [
        LATER,
        ("KURA_STORAGE__REPLACED_GRACE_S", "0"),
        ("KURA_STORAGE__ORPHAN_AGE_S", "0"),
    ];
    hurry(&data, "sweep_orphans").await;
    hurry(&data, "sweep_replaced").await;
    let server = restart(&data, &sweeping);
    until("the store is swept", async || {
        (objects(data.path(), "").await.len() == 4).then_some(())
    })
    .await;
    assert_store_is_what_rows_name(data.path()).await;
    for (series, number) in &stored {
        let all = "application/dicom; transfer-syntax=*";
        let back = server
            .get_as(&path(UID, *series, *number), &token, all)
            .await;
        assert!(
            back.body == slice(UID, *series, *number),
            "{series}.{number} differs"
        );
    }
}
