//! What a batch writes.

use sea_orm::ConnectionTrait;

use super::world::{World, access, grant, instance, pack};
use crate::auth::Scope;
use crate::index::record::{Recorded, is_in_use};
use crate::index::{Candidate, Index};
use crate::model::{
    Class, Facility, FacilityCode, FacilityKind, SeriesUid, SopInstanceUid, StudyUid,
};
use Recorded::{AlreadyThere, Conflict, New};

async fn column(index: &Index, sql: &str) -> Vec<String> {
    let statement = sea_orm::Statement::from_string(index.reader.get_database_backend(), sql);
    let rows = index.reader.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| row.try_get_by_index(0).unwrap())
        .collect()
}

async fn one(index: &Index, sql: &str) -> String {
    column(index, sql).await.pop().unwrap_or_default()
}

async fn with_issuers(world: &World, code: &str, issuers: &[&str]) -> Facility {
    let code = FacilityCode::parse(code).unwrap();
    let issuers: Vec<String> = issuers.iter().map(|&value| value.to_owned()).collect();
    let added = world
        .index
        .add_facility(&code, "Hospital", FacilityKind::Member, &issuers);
    added.await.unwrap()
}

#[tokio::test]
async fn t21_same_bytes_again_are_already_there() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    let first = pack("1", vec![instance("1.1.1"), instance("1.1.2")]);
    assert_eq!(world.store(&f, &[first]).await, [[New, New]]);
    let again = pack("1", vec![instance("1.1.1")]);
    let outcomes = world.store(&f, &[again]).await;
    assert_eq!(outcomes, [[AlreadyThere]]);
    assert!(!is_in_use(&outcomes[0]));
    assert_eq!(
        column(&world.index, "SELECT object FROM pack_copy")
            .await
            .len(),
        1
    );
    let versions = "SELECT CAST(study_version AS TEXT) FROM study";
    assert_eq!(one(&world.index, versions).await, "1");
}

#[tokio::test]
async fn t22_same_uid_with_other_bytes_or_another_place_is_a_conflict() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    world.store(&f, &[pack("1", vec![instance("1.1.1")])]).await;
    let other_bytes = pack("1", vec![instance("1.1.1").bytes(9)]);
    let other_series = pack("1", vec![instance("1.1.1").series("1.9")]);
    let other_study = pack("2", vec![instance("1.1.1")]);
    let outcomes = world
        .store(&f, &[other_bytes, other_series, other_study])
        .await;
    assert_eq!(outcomes, [[Conflict], [Conflict], [Conflict]]);
    assert_eq!(
        column(&world.index, "SELECT study_instance_uid FROM study").await,
        ["1"]
    );
    assert_eq!(
        column(&world.index, "SELECT series_instance_uid FROM series").await,
        ["1.1"]
    );
}

#[tokio::test]
async fn t36_in_one_batch_the_first_wins() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    let twice = pack(
        "1",
        vec![
            instance("1.1.1"),
            instance("1.1.1"),
            instance("1.1.1").bytes(9),
        ],
    );
    let elsewhere = pack("2", vec![instance("1.1.1"), instance("1.1.2")]);
    let outcomes = world.store(&f, &[twice, elsewhere]).await;
    assert_eq!(
        outcomes,
        [vec![New, AlreadyThere, Conflict], vec![Conflict, New]]
    );
    assert_eq!(
        column(
            &world.index,
            "SELECT CAST(live_bytes AS TEXT) FROM pack ORDER BY byte_count"
        )
        .await,
        ["100", "100"]
    );
}

#[tokio::test]
async fn sh_1_2_two_facilities_hold_the_same_uids() {
    let world = World::new().await;
    let (one, two) = (world.facility("F001").await, world.facility("F002").await);
    for f in [&one, &two] {
        let outcomes = world.store(f, &[pack("1", vec![instance("1.1.1")])]).await;
        assert_eq!(outcomes, [[New]]);
    }
    let foreseen = async |uid: &str, digest: u8| {
        let candidate = Candidate {
            study: &StudyUid::parse("1").unwrap(),
            series: &SeriesUid::parse("1.1").unwrap(),
            instance: &SopInstanceUid::parse(uid).unwrap(),
            digest: [digest; 32],
        };
        let grant = grant(&two);
        world.index.foresee(&grant, candidate).await.unwrap()
    };
    assert_eq!(foreseen("1.1.1", 9).await, Some(Conflict));
    assert_eq!(foreseen("1.1.2", 9).await, None);
}

#[tokio::test]
async fn kept_columns_follow_what_is_stored() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    let ct = |uid: &str| instance(uid).with("Modality", "CT");
    let sr = instance("1.2.1")
        .series("1.2")
        .class(Class::Sr)
        .with("Modality", "SR");
    world.store(&f, &[pack("1", vec![ct("1.1.1"), sr])]).await;
    let pt = instance("1.3.1").series("1.3").with("Modality", "PT");
    world
        .store(
            &f,
            &[
                pack("1", vec![ct("1.1.2"), ct("1.1.1")]),
                pack("1", vec![pt]),
            ],
        )
        .await;
    let study = "SELECT modalities || ' ' || series_count || ' ' || instance_count || ' ' || \
        byte_count || ' ' || class_mask || ' ' || study_version FROM study";
    assert_eq!(one(&world.index, study).await, "CT\\PT\\SR 3 4 400 3 2");
    let series =
        "SELECT instance_count || ' ' || class_mask FROM series ORDER BY series_instance_uid";
    assert_eq!(column(&world.index, series).await, ["2 1", "1 2", "1 1"]);
    let facility = "SELECT CAST(study_count AS TEXT) FROM facility";
    assert_eq!(one(&world.index, facility).await, "1");
    let versions = "SELECT CAST(study_version AS TEXT) FROM instance ORDER BY sop_instance_uid";
    assert_eq!(column(&world.index, versions).await, ["1", "2", "1", "2"]);
}

#[tokio::test]
async fn q72_a_study_shows_what_its_first_instance_said() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    let described = |uid: &str, text: &str| instance(uid).with("StudyDescription", text);
    world
        .store(
            &f,
            &[pack(
                "1",
                vec![described("1.1", "Thorax"), described("1.2", "Head")],
            )],
        )
        .await;
    world
        .store(&f, &[pack("1", vec![described("1.3", "Knee")])])
        .await;
    assert_eq!(
        one(&world.index, "SELECT study_description FROM study").await,
        "Thorax"
    );
}

#[tokio::test]
async fn sh_1_1_the_issuer_decides_whose_number_it_is() {
    let world = World::new().await;
    let f = with_issuers(&world, "F001", &["HIS", "OLD"]).await;
    let from = |uid: &str, issuer: &str| {
        let instance = instance(uid).with("PatientID", "42");
        if issuer.is_empty() {
            instance
        } else {
            instance.with("IssuerOfPatientID", issuer)
        }
    };
    let packs = [
        pack("1", vec![from("1", "")]),
        pack("2", vec![from("2", "HIS")]),
        pack("3", vec![from("3", "OLD")]),
        pack("4", vec![from("4", "ELSEWHERE")]),
        pack("5", vec![from("5", "ELSEWHERE")]),
        pack("6", vec![instance("6").with("PatientID", " ")]),
        pack("7", vec![instance("7")]),
    ];
    world.store(&f, &packs).await;
    let issuers = "SELECT COALESCE(i.value || ' ' || CAST(g.needs_reconcile AS INTEGER), 'none') FROM study s \
        LEFT JOIN registration g ON g.registration_id = s.registration_id \
        LEFT JOIN issuer i ON i.issuer_id = g.issuer_id ORDER BY s.study_instance_uid";
    assert_eq!(
        column(&world.index, issuers).await,
        [
            "HIS 0",
            "HIS 0",
            "OLD 0",
            "foreign:ELSEWHERE 1",
            "foreign:ELSEWHERE 1",
            "none",
            "none"
        ]
    );
    let registrations = "SELECT CAST(COUNT(*) AS TEXT) FROM registration";
    assert_eq!(one(&world.index, registrations).await, "3");
}

#[tokio::test]
async fn a_failed_batch_leaves_nothing() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    let good = pack("1", vec![instance("1.1.1")]);
    let mut twice = pack("2", vec![instance("2.1.1")]);
    twice.pack_id = good.pack_id;
    let failed = world.index.record_batch(&grant(&f), [good, twice]).await;
    assert!(failed.is_err());
    assert!(
        column(&world.index, "SELECT study_instance_uid FROM study")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn two_batches_at_once_are_both_recorded() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    // Another process: connections of its own.
    let other = Index::open(&world.url, super::world::clock())
        .await
        .unwrap();
    let one = [pack("1", vec![instance("1.1.1")])];
    let two = [pack("1", vec![instance("1.1.2")])];
    let grant = grant(&f);
    let both = tokio::join!(
        world.index.record_batch(&grant, one),
        other.record_batch(&grant, two)
    );
    assert_eq!(
        (both.0.unwrap(), both.1.unwrap()),
        (vec![vec![New]], vec![vec![New]])
    );
    let counts = "SELECT instance_count || ' ' || study_version FROM study";
    assert_eq!(one_of(&world, counts).await, "2 2");
}

async fn one_of(world: &World, sql: &str) -> String {
    one(&world.index, sql).await
}

#[tokio::test]
async fn six_hundred_instances_are_recorded_at_once() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    let instances = (0..600).map(|n| {
        instance(&format!("1.1.{n}"))
            .with("InstanceNumber", &n.to_string())
            .with("Modality", "CT")
            .with("Rows", "512")
    });
    let pack = pack("1", instances.collect());
    let outcomes = world.store(&f, &[pack]).await;
    assert!(outcomes[0].iter().all(|outcome| *outcome == New));
    let access = access(&f, &[Scope::DicomRead]);
    let catalog = world.index.catalog(&access);
    let scope = super::guarding::study("1");
    assert_eq!(
        catalog.instances(&scope, None, 1000).await.unwrap().len(),
        600
    );
}
