//! Batches that share a transaction: each gets what it would have got alone.

use super::removing::{assert_true, column, one};
use super::world::{World, grant, instance, pack};
use crate::error::Kind;
use crate::index::record::{NewPack, Recorded};
use Recorded::{AlreadyThere, Conflict, New};

/// Records batches at the same time, on one index.
async fn together(
    world: &World,
    batches: Vec<(&str, Vec<NewPack>)>,
) -> Vec<crate::error::Result<Vec<Vec<Recorded>>>> {
    let mut grants = std::collections::BTreeMap::new();
    for (code, _) in &batches {
        if !grants.contains_key(code) {
            grants.insert(*code, grant(&world.facility(code).await));
        }
    }
    let batches = batches.into_iter();
    let stores = batches.map(|(code, packs)| world.index.record_batch(&grants[code], packs));
    futures::future::join_all(stores).await
}

#[tokio::test]
async fn many_batches_of_two_facilities_are_each_recorded() {
    let world = World::new().await;
    let batches = (0..60).map(|n| {
        let patient = format!("{}", n / 5);
        let new = instance(&format!("1.{n}.1"))
            .with("PatientID", &patient)
            .with("PatientName", "YAMADA^HANAKO");
        let facility = if n % 3 == 0 { "F002" } else { "F001" };
        (facility, vec![pack(&format!("1.{n}"), vec![new])])
    });
    for recorded in together(&world, batches.collect()).await {
        assert_eq!(recorded.unwrap(), [[New]]);
    }
    assert_true(&world.index).await;
    let count = |table: &str| format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}");
    for (table, rows) in [("study", "60"), ("series", "60"), ("instance", "60")] {
        assert_eq!(one(&world.index, &count(table)).await, rows, "{table}");
    }
    // A number is one patient in each facility.
    assert_eq!(one(&world.index, &count("registration")).await, "24");
    let studies = "SELECT CAST(study_count AS TEXT) FROM facility ORDER BY code";
    assert_eq!(column(&world.index, studies).await, ["40", "20"]);
}

#[tokio::test]
async fn a_batch_that_fails_takes_no_other_with_it() {
    let world = World::new().await;
    let mut twice = pack("9", vec![instance("9.1.1")]);
    let mut batches: Vec<(&str, Vec<NewPack>)> = (0..8)
        .map(|n| {
            (
                "F001",
                vec![pack(&format!("1.{n}"), vec![instance(&format!("1.{n}.1"))])],
            )
        })
        .collect();
    // No two packs have one key.
    twice.pack_id = batches[3].1[0].pack_id;
    batches.push(("F001", vec![twice]));
    let mut recorded = together(&world, batches).await;
    let failed = recorded.pop().unwrap().unwrap_err();
    assert_eq!(failed.kind(), Kind::Conflict);
    for recorded in recorded {
        assert_eq!(recorded.unwrap(), [[New]]);
    }
    assert_true(&world.index).await;
    let ninth = "SELECT study_instance_uid FROM study WHERE study_instance_uid = '9'";
    assert!(column(&world.index, ninth).await.is_empty());
}

#[tokio::test]
async fn batches_of_one_study_are_two_and_what_comes_second_is_told_so() {
    let world = World::new().await;
    let same = || ("F001", vec![pack("1", vec![instance("1.1.1")])]);
    let other_bytes = ("F001", vec![pack("1", vec![instance("1.1.1").bytes(9)])]);
    let beside = ("F001", vec![pack("1", vec![instance("1.1.2")])]);
    let elsewhere = ("F001", vec![pack("2", vec![instance("1.1.1")])]);
    let batches = vec![same(), same(), other_bytes, beside, elsewhere];
    let recorded = together(&world, batches).await;
    let what: Vec<Recorded> = recorded.into_iter().map(|it| it.unwrap()[0][0]).collect();
    // The order is that in which they were handed in, on the one recorder of SQLite.
    if !super::world::is_postgres() {
        assert_eq!(what, [New, AlreadyThere, Conflict, New, Conflict]);
    }
    assert!(what.contains(&New) && what.contains(&Conflict));
    assert_true(&world.index).await;
    let version = "SELECT CAST(study_version AS TEXT) FROM study";
    assert_eq!(one(&world.index, version).await, "2");
}
