//! Several processes on one database: what SQLite's single writer never shows.

use std::time::Duration;

use sea_orm::ConnectionTrait;

use super::world::{Cluster, World, clock, empty, grant, instance, is_postgres, pack};
use crate::error::Kind;
use crate::index::record::{NewPack, Recorded};
use crate::index::{Index, SchemaState};
use crate::model::{FacilityCode, FacilityKind};

/// How many processes store at once.
const PROCESSES: usize = 8;

/// Indexes of processes of their own.
async fn processes(url: &str) -> Vec<Index> {
    let mut all = Vec::new();
    for _ in 0..PROCESSES {
        all.push(Index::open(url, clock()).await.unwrap());
    }
    all
}

/// Lets each process record its packs at the same time as the others; all have to succeed.
async fn record_together(world: &World, batches: Vec<Vec<NewPack>>) -> Vec<Vec<Vec<Recorded>>> {
    let f = world.facility("F001").await;
    let grant = grant(&f);
    let indexes = processes(&world.url).await;
    let stores = indexes.iter().zip(&batches);
    let stores = stores.map(|(index, packs)| index.record_batch(&grant, packs.as_slice()));
    let recorded = futures::future::join_all(stores).await;
    recorded.into_iter().map(Result::unwrap).collect()
}

async fn number(world: &World, sql: &str) -> i64 {
    let statement = sea_orm::Statement::from_string(world.index.reader.get_database_backend(), sql);
    let row = world.index.reader.query_one_raw(statement).await.unwrap();
    row.unwrap().try_get("", "n").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_make_the_same_study_series_patient_and_issuer_all_succeed() {
    let world = World::new().await;
    let batch = |process: usize| {
        let new = instance(&format!("1.1.{process}"))
            .with("PatientID", "4711")
            .with("IssuerOfPatientID", "ELSEWHERE");
        vec![pack("1", vec![new])]
    };
    record_together(&world, (0..PROCESSES).map(batch).collect()).await;
    for (table, rows) in [
        ("study", 1),
        ("series", 1),
        ("registration", 1),
        ("instance", 8),
    ] {
        let count = format!("SELECT COUNT(*) AS n FROM {table}");
        assert_eq!(number(&world, &count).await, rows, "{table}");
    }
    let foreign = "SELECT COUNT(*) AS n FROM issuer WHERE is_foreign";
    assert_eq!(number(&world, foreign).await, 1);
    let kept = "SELECT CAST(instance_count AS BIGINT) AS n FROM study";
    assert_eq!(number(&world, kept).await, 8);
    let versions = "SELECT CAST(study_version AS BIGINT) AS n FROM study";
    assert_eq!(number(&world, versions).await, 8);
    assert_eq!(
        number(&world, "SELECT study_count AS n FROM facility").await,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t21_processes_that_store_the_same_instance_store_it_once() {
    let world = World::new().await;
    let batch = |_| vec![pack("1", vec![instance("1.1.1"), instance("1.1.2")])];
    let recorded = record_together(&world, (0..PROCESSES).map(batch).collect()).await;
    let new = recorded.iter().flatten().flatten();
    let new = new.filter(|outcome| **outcome == Recorded::New).count();
    assert_eq!(new, 2, "{recorded:?}");
    let all = recorded.iter().flatten().flatten();
    assert!(all.clone().all(|outcome| *outcome != Recorded::Conflict));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_store_the_same_studies_in_another_order_do_not_block_each_other() {
    let world = World::new().await;
    let batch = |process: usize| {
        let mut studies: Vec<usize> = (1..=12).collect();
        studies.rotate_left(process * 3 % 12);
        if process % 2 == 1 {
            studies.reverse();
        }
        let packs = studies.into_iter().map(|study| {
            let new = instance(&format!("{study}.1.{process}")).series(&format!("{study}.1"));
            pack(&study.to_string(), vec![new])
        });
        packs.collect()
    };
    let within = Duration::from_secs(20);
    let stored = record_together(&world, (0..PROCESSES).map(batch).collect());
    tokio::time::timeout(within, stored).await.unwrap();
    let counted = "SELECT CAST(SUM(instance_count) AS BIGINT) AS n FROM study";
    assert_eq!(number(&world, counted).await, 96);
    assert_eq!(
        number(&world, "SELECT study_count AS n FROM facility").await,
        12
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_at_once_make_one_schema() {
    let (url, _place) = empty();
    let starts = (0..PROCESSES).map(|_| async {
        let index = Index::open(&url, clock()).await.unwrap();
        index.migrate().await.unwrap();
        index.schema_state().await.unwrap()
    });
    let states = futures::future::join_all(starts).await;
    assert!(states.iter().all(|state| *state == SchemaState::Current));
}

/// A setting of a connection.
async fn shown(db: &impl ConnectionTrait, name: &str) -> String {
    let sql = format!("SHOW {name}");
    let statement = sea_orm::Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index::<String>(0).unwrap()
}

#[tokio::test]
async fn connections_to_postgresql_are_safe_and_bounded() {
    if !is_postgres() {
        println!("skipped on SQLite: settings of PostgreSQL");
        return;
    }
    let world = World::new().await;
    let (writer, reader) = (&world.index.writer, &world.index.reader);
    assert_eq!(shown(writer, "synchronous_commit").await, "on");
    assert_eq!(shown(writer, "default_transaction_read_only").await, "off");
    assert_eq!(shown(reader, "default_transaction_read_only").await, "on");
    assert_eq!(shown(reader, "statement_timeout").await, "1min");
    let write = reader.execute_unprepared("DELETE FROM acl_epoch").await;
    assert!(write.is_err());
}

/// Starts a PostgreSQL of its own: slow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stops_is_unavailable_and_comes_back_by_itself() {
    if !is_postgres() {
        println!("skipped on SQLite: a file does not stop");
        return;
    }
    let cluster = Cluster::start();
    let url = cluster.url(&cluster.empty_database());
    let index = Index::open(&url, clock()).await.unwrap();
    index.migrate().await.unwrap();
    let code = FacilityCode::parse("F001").unwrap();
    let kind = FacilityKind::Member;
    let f = index.add_facility(&code, "One", kind, &[]).await.unwrap();
    cluster.stop();
    let packs = [pack("1", vec![instance("1.1.1")])];
    let grant = grant(&f);
    let away = tokio::join!(
        async { index.facilities().await.unwrap_err() },
        async { index.record_batch(&grant, packs.clone()).await.unwrap_err() },
        async { index.health().await.unwrap_err() },
        async { Index::open(&url, clock()).await.unwrap_err() },
    );
    for error in [away.0, away.1, away.2, away.3] {
        assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    }
    cluster.resume();
    index.record_batch(&grant, packs).await.unwrap();
    assert_eq!(index.facilities().await.unwrap().len(), 1);
    index.health().await.unwrap();
}

#[tokio::test]
async fn a_database_that_refuses_says_what_to_mend() {
    if !is_postgres() {
        println!("skipped on SQLite: what PostgreSQL refuses");
        return;
    }
    let nowhere = Cluster::shared().url("not_there");
    let refused = Index::open(&nowhere, clock()).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.detail().contains("create it"), "{refused}");
}
