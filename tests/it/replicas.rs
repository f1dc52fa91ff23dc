//! Several servers on one database and one store behind one address: a process holds nothing that another lacks
//! (product.md 4). And what one says while the database or the store is away.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::harness::backing::{self, Database, S3, Storage};
use crate::harness::cluster::Cluster;
use crate::harness::load::Load;
use crate::harness::proxy::Proxy;
use crate::harness::watched::free_port;
use crate::harness::{Answer, Server, instance, server};

/// Whether the run is on what several servers can share.
fn unfit() -> bool {
    let unfit = backing::database() != Database::Postgres || backing::storage() != Storage::S3;
    backing::skips(unfit, "several servers share PostgreSQL and S3")
}

/// A second server on the database, the store and the signing key of the first, in a data folder of its own.
fn second(first: &Server) -> Server {
    let data = Arc::new(tempfile::tempdir().unwrap());
    backing::share(first.data.path(), data.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_kura"));
    let key = first.data.path().join("local-key.pem");
    command.env("KURA_AUTH__SIGNING_KEY", key);
    Server::start_with(data, command)
}

/// How many requests of this path a server has logged.
fn asked(server: &Server, path: &str) -> usize {
    server
        .log()
        .iter()
        .filter(|line| line.contains(path))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_behind_one_address_answer_as_one() {
    if unfit() {
        return;
    }
    let mut one = Server::start();
    let two = second(&one);
    let proxy = Proxy::before(&[&one.base, &two.base]).await;
    let token = one.reader("F001");
    // The same requests as everywhere, sent to the common address, each over a connection of its own.
    let own = std::mem::replace(&mut one.base, proxy.base.clone());
    let alone = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0);
    one.client = alone.build().unwrap();
    for n in 0..12 {
        let (study, series, uid) = (
            format!("1.9.{n}"),
            format!("1.9.{n}.1"),
            format!("1.9.{n}.1.1"),
        );
        let file = instance("1.9").uids(&study, &series, &uid).file();
        // An odd number of requests a round: the next round begins at the other server.
        one.stored(&token, &[&file]).await;
        let found = one
            .get(&format!("/studies?StudyInstanceUID={study}"), &token)
            .await;
        assert_eq!(found.json().as_array().unwrap().len(), 1, "{n}");
        let at = format!("/studies/{study}/series/{series}/instances/{uid}");
        let whole = "application/dicom; transfer-syntax=*";
        assert!(one.get_as(&at, &token, whole).await.body == file, "{n}");
        let metadata = one.get(&format!("/studies/{study}/metadata"), &token).await;
        assert_eq!(metadata.json()[0]["00080018"]["Value"][0], uid, "{n}");
        one.stored(&token, &[&file]).await;
    }
    one.base = own;
    let all = one.get("/instances?limit=100", &token).await;
    assert_eq!(
        all.json().as_array().unwrap().len(),
        12,
        "stored again is there once"
    );
    for server in [&one, &two] {
        assert!(asked(server, "/dicomweb/") >= 25, "both have answered");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t20_one_of_two_servers_is_killed_under_load_and_nothing_acknowledged_is_lost() {
    if unfit() {
        return;
    }
    let mut one = Server::start();
    let two = second(&one);
    let proxy = Proxy::before(&[&one.base, &two.base]).await;
    let token = one.reader("F001");
    let load = Load::default();
    let clients = load.start(&proxy.base, &token);
    load.wait_for_more(60).await;
    one.kill();
    let before = load.acknowledged();
    load.wait_for_more(60).await;
    clients.stop().await;
    let stored = load.check(&two, &token).await;
    println!(
        "{before} acknowledged before the kill, {} in all, {stored} stored",
        load.acknowledged()
    );
}

/// Asks until a status comes, for at most ten seconds.
async fn wait_for_status(server: &Server, path: &str, status: u16) {
    let started = std::time::Instant::now();
    loop {
        let answer = server.get(path, "").await;
        if answer.status == status {
            return;
        }
        let waited = started.elapsed();
        assert!(
            waited < Duration::from_secs(10),
            "{path}: {}",
            answer.text()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_away(answer: &Answer) -> bool {
    answer.status == 503 && !answer.header("retry-after").is_empty()
}

/// Slow: a PostgreSQL and an S3 server of its own are stopped and started.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_or_a_store_that_is_away_is_503_and_comes_back_by_itself() {
    if unfit() {
        return;
    }
    let (cluster, port) = (Cluster::start(), free_port());
    let store = S3::start(port);
    let database = cluster.url(&cluster.empty_database());
    backing::migrate(&database);
    let data = Arc::new(tempfile::tempdir().unwrap());
    backing::place(data.path(), Some(&database), Some(&store.bucket()));
    server::kura(data.path(), &["facility", "add", "F001", "--name", "One"]);
    let server = Server::start_on(Arc::clone(&data));
    let token = server.reader("F001");
    let file = |n: usize| {
        instance("1.2")
            .uids("1.2", "1.2.1", &format!("1.2.1.{n}"))
            .file()
    };
    server.stored(&token, &[file(1)]).await;

    cluster.stop();
    assert!(is_away(&server.get("/studies", &token).await));
    assert!(is_away(&server.store(&token, &[file(2)]).await));
    assert!(is_away(&server.get("/health/ready", "").await));
    assert_eq!(server.get("/health/live", "").await.status, 200);
    cluster.resume();
    wait_for_status(&server, "/health/ready", 200).await;
    server.stored(&token, &[file(2)]).await;

    store.stop();
    assert!(is_away(&server.store(&token, &[file(3)]).await));
    assert!(is_away(&server.get("/health/ready", "").await));
    assert_eq!(
        server.get("/studies", &token).await.status,
        200,
        "rows are there"
    );
    let again = S3::start(port);
    let ready = server.get("/health/ready", "").await;
    assert!(is_away(&ready), "without its bucket it is not ready");
    again.bucket();
    wait_for_status(&server, "/health/ready", 200).await;
    server.stored(&token, &[file(3)]).await;
}
