//! Nothing acknowledged is lost: the process is killed while clients store, delete and read and quiet studies are repacked,
//! started again, and everything it said 200 to is there, byte for byte, once (product.md 3.1, 3.4).

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::load::{Load, Random, Role};
use crate::harness::{Server, backing, server};

const KILLS: usize = 50;

/// Six clients that store, two of them deleting as well, and two that read.
const ROLES: [Role; 8] = {
    let mut roles = [Role::Store; 8];
    roles[0] = Role::StoreAndDelete;
    roles[1] = Role::StoreAndDelete;
    roles[6] = Role::Read;
    roles[7] = Role::Read;
    roles
};

/// A life in which studies are repacked at once and what is left over is swept within seconds.
fn life(data: &Arc<TempDir>) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kura"));
    command
        .env("KURA_WORKER__POLL_S", "1")
        .env("KURA_WORKER__LEASE_S", "3")
        .env("KURA_STORAGE__REPACK_QUIET_S", "0")
        .env("KURA_STORAGE__REPLACED_GRACE_S", "3600")
        .env("KURA_AUTH__STRONG_MAX_AGE_S", "3600");
    Server::start_with(Arc::clone(data), command)
}

/// Slow: fifty lives of a server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t20_what_was_acknowledged_survives_fifty_kills() {
    if backing::forgets() {
        return;
    }
    let mut random = Random::seeded();
    let data = Server::fresh();
    let mut server = life(&data);
    let token = server.token(
        "F001",
        "dicom.read dicom.write report.read dose.read dicom.delete",
    );
    let load = Load::default();
    for _ in 0..KILLS {
        let clients = load.start_as(&server.base, &token, &ROLES);
        // At any moment after the first answer: a slow machine has stored something by then as well.
        load.wait_for_more(1).await;
        tokio::time::sleep(Duration::from_millis(random.next(400))).await;
        server.kill();
        clients.stop().await;
        server = life(&data);
    }
    // A machine that is slow enough is killed before it has done much of each: the last life goes on until it has.
    let clients = load.start_as(&server.base, &token, &ROLES);
    load.wait_until("too little is done", Duration::from_mins(2), || {
        load.acknowledged() > 100 && load.deleted() > 5 && load.compared() > 20
    })
    .await;
    clients.stop().await;
    let stored = load.check(&server, &token).await;
    let repacked = server::kura(data.path(), &["verify"]);
    println!(
        "{KILLS} kills: {} acknowledged, {} deleted, {} compared while being read, {stored} stored in all; {}",
        load.acknowledged(),
        load.deleted(),
        load.compared(),
        repacked.lines().last().unwrap_or_default()
    );
    swept(&data, server).await;
}

/// Lets everything that nobody needs be swept, after which rows and bytes are the same without any grace.
async fn swept(data: &Arc<TempDir>, mut server: Server) {
    server.kill();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kura"));
    command
        .env("KURA_WORKER__POLL_S", "1")
        .env("KURA_WORKER__LEASE_S", "3")
        .env("KURA_STORAGE__REPLACED_GRACE_S", "0")
        .env("KURA_STORAGE__ORPHAN_AGE_S", "0");
    let server = Server::start_with(Arc::clone(data), command);
    let manager = server.token("F001", "lifecycle.manage");
    let started = std::time::Instant::now();
    loop {
        let done = server.get("/api/v1/jobs?state=done&kind=sweep_orphans", &manager);
        let done = done.await.json()["jobs"].as_array().unwrap().len();
        let told = Command::new(env!("CARGO_BIN_EXE_kura"))
            .args(["verify", "--grace", "0"])
            .envs(backing::environment(data.path()))
            .env("KURA_DATA", data.path())
            .output()
            .unwrap();
        let told = (
            told.status.success(),
            String::from_utf8_lossy(&told.stdout).into_owned(),
        );
        if done > 0 && told.0 {
            println!(
                "after the sweep: {}",
                told.1.lines().last().unwrap_or_default()
            );
            return;
        }
        assert!(
            started.elapsed() < Duration::from_mins(2),
            "{done} sweeps, and still: {}",
            told.1
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
