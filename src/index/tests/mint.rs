//! MINT's view: versions and changes of studies, and its search.

use super::removing::{approve, column, later, remover, scope, why};
use super::world::{ALL, World, access, clock, instance, pack};
use crate::auth::{Access, Scope};
use crate::dicom::mint::answers::{Change, Operation, StudyVersion};
use crate::error::Kind;
use crate::index::Index;
use crate::index::mint::{Hits, Log, Order, Wanted};
use crate::model::{Class, Facility, FacilityPolicy, OnConflict, Removal, StudyId};
use Operation::{Create, Delete, Update};

/// Sets what is searched for.
type Setting = fn(&mut Wanted);

const FIRST: Hits = Hits { limit: 50, skip: 0 };

const ALL_CHANGES: Log = Log {
    consolidate: false,
    since: None,
    limit: 50,
    skip: 0,
    order: Order::OldestFirst,
};

async fn found(index: &Index, caller: &Access, wanted: &Wanted) -> Vec<StudyVersion> {
    let catalog = index.catalog(caller);
    catalog.mint_search(wanted, FIRST).await.unwrap()
}

async fn all(index: &Index, caller: &Access) -> Vec<StudyVersion> {
    found(index, caller, &Wanted::default()).await
}

async fn kind(index: &Index, caller: &Access, study: StudyId) -> Option<Kind> {
    let found = index.catalog(caller).mint_study(study).await;
    found.err().map(|error| error.kind())
}

fn told(changes: &[Change]) -> Vec<(u64, Operation)> {
    let told = changes
        .iter()
        .map(|change| (change.number, change.operation));
    told.collect()
}

async fn bin(index: &Index, at: &Facility, of: (&str, Option<&str>)) -> crate::model::Deletion {
    let (scope, why) = (scope("1", Some(of.0), of.1), why(Removal::Delete));
    index
        .bin(&remover(at, "hanako"), &scope, &why)
        .await
        .unwrap()
}

#[tokio::test]
async fn each_transaction_that_changes_a_study_is_one_change() {
    let clock = clock();
    let world = World::with(clock.clone()).await;
    let (at, other) = (world.facility("F001").await, world.facility("F002").await);
    let index = &world.index;
    let (own, foreign) = (access(&at, ALL), access(&other, ALL));
    let two = vec![instance("1.1.1"), instance("1.1.2")];
    world
        .store(&at, &[pack("1", two), pack("2", vec![instance("2.1.1")])])
        .await;
    let studies = all(index, &own).await;
    assert_eq!(studies.len(), 2);
    assert!(studies.iter().all(|study| study.version == 0));
    let study = index.catalog(&own);
    let uid = Wanted {
        study_instance_uid: Some("1".to_owned()),
        ..Wanted::default()
    };
    let one = found(index, &own, &uid).await[0].study;

    clock.advance_s(1);
    let same = world
        .store(&at, &[pack("1", vec![instance("1.1.1")])])
        .await;
    assert!(!same[0][0].is_written());
    world
        .store(&at, &[pack("1", vec![instance("1.1.3")])])
        .await;
    clock.advance_s(1);
    let deletion = bin(index, &at, ("1.1", Some("1.1.3"))).await;
    let rest = bin(index, &at, ("1.1", None)).await;
    assert_eq!(kind(index, &own, one).await, Some(Kind::Gone));
    assert_eq!(kind(index, &foreign, one).await, Some(Kind::NotFound));
    assert_eq!(all(index, &own).await.len(), 1);
    index
        .restore(&remover(&at, "hanako"), rest.id, None)
        .await
        .unwrap();
    index
        .restore(&remover(&at, "hanako"), deletion.id, None)
        .await
        .unwrap();

    let changes = study.changes_of(one).await.unwrap();
    let expected = [
        (0, Create),
        (1, Update),
        (2, Update),
        (3, Delete),
        (4, Create),
        (5, Update),
    ];
    assert_eq!(told(&changes), expected);
    let hosts: Vec<_> = changes
        .iter()
        .filter_map(|it| it.remote_host.as_deref())
        .collect();
    assert_eq!(
        hosts,
        ["person", "person", "hanako", "hanako", "hanako", "hanako"]
    );
    let now = study.mint_study(one).await.unwrap();
    assert_eq!((now.at.version, now.uid.as_str()), (5, "1"));
    assert_eq!(now.at.changed_at, changes[5].at);
    assert!(
        index
            .catalog(&foreign)
            .changes_of(one)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn mint_l01_l02_l05_the_log_of_the_archive_is_paged_and_begins_anywhere() {
    let clock = clock();
    let world = World::with(clock.clone()).await;
    let at = world.facility("F001").await;
    let index = &world.index;
    let own = access(&at, ALL);
    let begun = clock.now();
    for uid in ["1.1.1", "1.1.2", "1.1.3"] {
        world.store(&at, &[pack("1", vec![instance(uid)])]).await;
        clock.advance_s(1);
        world
            .store(&at, &[pack("2", vec![instance(&format!("2.{uid}"))])])
            .await;
        clock.advance_s(1);
    }
    let catalog = index.catalog(&own);
    let list = async |log: Log| {
        let changes = catalog.changes(&log).await.unwrap();
        changes
            .iter()
            .map(|change| change.at.0 - begun.0)
            .map(|us| us / 1_000_000)
            .collect::<Vec<_>>()
    };
    assert_eq!(list(ALL_CHANGES).await, [0, 1, 2, 3, 4, 5]);
    let newest = Log {
        order: Order::NewestFirst,
        ..ALL_CHANGES
    };
    assert_eq!(
        list(Log {
            limit: 2,
            skip: 2,
            ..newest
        })
        .await,
        [3, 2]
    );
    let consolidated = Log {
        consolidate: true,
        ..newest
    };
    assert_eq!(list(consolidated).await, [5, 4]);
    assert_eq!(
        list(Log {
            limit: 1,
            skip: 1,
            ..consolidated
        })
        .await,
        [4]
    );
    let since = |seconds: i64| Some(crate::model::Timestamp(begun.0 + seconds * 1_000_000));
    assert_eq!(
        list(Log {
            since: since(3),
            ..ALL_CHANGES
        })
        .await,
        [4, 5]
    );
    assert_eq!(
        list(Log {
            since: since(4),
            ..consolidated
        })
        .await,
        [5]
    );
    assert_eq!(
        list(Log {
            since: since(5),
            ..consolidated
        })
        .await,
        [0_i64; 0]
    );
}

#[tokio::test]
async fn what_is_gone_is_known_to_its_owner_until_and_after_it_is_erased() {
    let world = World::new().await;
    let (at, other) = (world.facility("F001").await, world.facility("F002").await);
    let index = &world.index;
    let (own, foreign) = (access(&at, ALL), access(&other, ALL));
    world
        .store(&at, &[pack("1", vec![instance("1.1.1")])])
        .await;
    let study = all(index, &own).await[0].study;
    let deletion = bin(index, &at, ("1.1", None)).await;
    approve(index, &at, &deletion).await;
    index.purge_next(later(index)).await.unwrap().unwrap();
    assert_eq!(kind(index, &own, study).await, Some(Kind::Gone));
    assert_eq!(kind(index, &foreign, study).await, Some(Kind::NotFound));
    let log = index.catalog(&own).changes(&ALL_CHANGES).await.unwrap();
    assert_eq!(told(&log), [(0, Create), (1, Delete)]);
    assert!(
        index
            .catalog(&foreign)
            .changes(&ALL_CHANGES)
            .await
            .unwrap()
            .is_empty()
    );
    // The tombstone is of the instance; another one of the study may come.
    world
        .store(&at, &[pack("1", vec![instance("1.1.9")])])
        .await;
    let again = index.catalog(&own).mint_study(study).await.unwrap();
    assert_eq!(again.at.version, 2);
}

#[tokio::test]
async fn a_study_of_unread_classes_is_forbidden_and_not_listed() {
    let world = World::new().await;
    let at = world.facility("F001").await;
    let index = &world.index;
    let report = instance("1.1.1").class(Class::Sr);
    world.store(&at, &[pack("1", vec![report])]).await;
    let whole = access(&at, ALL);
    let study = all(index, &whole).await[0].study;
    let images = access(&at, &[Scope::DicomRead]);
    assert!(all(index, &images).await.is_empty());
    assert_eq!(kind(index, &images, study).await, Some(Kind::Forbidden));
    assert_eq!(kind(index, &whole, study).await, None);
    assert!(
        index
            .catalog(&images)
            .changes(&ALL_CHANGES)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        index
            .catalog(&images)
            .mint_uid(study)
            .await
            .unwrap()
            .as_str(),
        "1"
    );
}

#[tokio::test]
async fn mint_q01_q02_q03_q04_q05_q08_all_that_is_given_must_hold_exactly() {
    let world = World::new().await;
    let at = world.facility("F001").await;
    let index = &world.index;
    let own = access(&at, ALL);
    let of = |uid: &str, day: &str, time: &str| {
        instance(uid)
            .with("PatientID", "Ab1")
            .with("AccessionNumber", "X 7")
            .with("IssuerOfPatientID", "HOSP")
            .with("StudyDate", day)
            .with("StudyTime", time)
    };
    let there = [
        pack("1", vec![of("1.1.1", "20260311", "101500")]),
        pack(
            "2",
            vec![of("2.1.1", "20260312", "235959").with("PatientID", "ab1")],
        ),
        pack("3", vec![of("3.1.1", "", "")]),
        pack(
            "4",
            vec![of("4.1.1", "20260312", "0830").with("TimezoneOffsetFromUTC", "+0900")],
        ),
    ];
    world.store(&at, &there).await;
    let check = async |wanted: &Wanted, expected: &[&str]| {
        let mut uids = Vec::new();
        for hit in found(index, &own, wanted).await {
            let study = index.catalog(&own).mint_uid(hit.study).await.unwrap();
            uids.push(study.to_string());
        }
        uids.sort();
        assert_eq!(uids, expected, "{wanted:?}");
    };
    let table: [(Setting, &[&str]); 14] = [
        (|_| {}, &["1", "2", "3", "4"]),
        (|it| it.study_instance_uid = Some("2".into()), &["2"]),
        (|it| it.patient_id = Some("Ab1".into()), &["1", "3", "4"]),
        (|it| it.patient_id = Some("AB1".into()), &[]),
        (|it| it.patient_id = Some("Ab*".into()), &[]),
        (
            |it| it.accession_number = Some("X 7".into()),
            &["1", "2", "3", "4"],
        ),
        (|it| it.accession_number = Some("x 7".into()), &[]),
        (
            |it| it.patient_id_issuer = Some("HOSP".into()),
            &["1", "2", "3", "4"],
        ),
        (|it| it.patient_id_issuer = Some("HOSP-B".into()), &[]),
        (
            |it| (it.patient_id, it.study_instance_uid) = (Some("ab1".into()), Some("1".into())),
            &[],
        ),
        (|it| it.min_date = Some("20260312".into()), &["2", "4"]),
        (|it| it.max_date = Some("20260312".into()), &["1"]),
        (
            |it| (it.min_date, it.max_date) = (Some("20260311".into()), Some("20260312".into())),
            &["1"],
        ),
        (|it| it.min_date = Some("20260313".into()), &[]),
    ];
    for (change, expected) in table {
        let mut wanted = Wanted::default();
        change(&mut wanted);
        check(&wanted, expected).await;
    }
    // 08:30 in Japan is 23:30 of the day before.
    let moment = |(day, time): (&str, &str)| Some((day.to_owned(), time.to_owned()));
    for (from, to, expected) in [
        (
            moment(("20260311", "101500.000000")),
            None,
            &["1", "2", "4"][..],
        ),
        (moment(("20260311", "233000.000000")), None, &["2", "4"]),
        (moment(("20260311", "233000.000001")), None, &["2"]),
        (None, moment(("20260311", "101500.000000")), &["1"]),
        (None, moment(("20260311", "101459.999000")), &[]),
        (None, moment(("20260311", "233000.000000")), &["1", "4"]),
    ] {
        let wanted = Wanted {
            moments: (from, to),
            ..Wanted::default()
        };
        check(&wanted, expected).await;
    }
}

#[tokio::test]
async fn mint_q07_q09_q10_pages_are_stable_and_newest_first() {
    let clock = clock();
    let world = World::with(clock.clone()).await;
    let at = world.facility("F001").await;
    let index = &world.index;
    let own = access(&at, ALL);
    for study in ["1", "2", "3", "4", "5"] {
        let one = instance(&format!("{study}.1.1"));
        world.store(&at, &[pack(study, vec![one])]).await;
    }
    clock.advance_s(1);
    world
        .store(&at, &[pack("2", vec![instance("2.1.2")])])
        .await;
    let whole = all(index, &own).await;
    assert_eq!((whole.len(), whole[0].version), (5, 1));
    let mut paged = Vec::new();
    for page in 0..3 {
        let hits = Hits {
            limit: 2,
            skip: page * 2,
        };
        let found = index
            .catalog(&own)
            .mint_search(&Wanted::default(), hits)
            .await;
        paged.extend(found.unwrap());
    }
    assert_eq!(paged, whole);
    assert!(whole[1..].is_sorted_by_key(|hit| std::cmp::Reverse(hit.study)));
}

#[tokio::test]
async fn an_emptied_search_reads_indexes() {
    let world = World::new().await;
    let at = world.facility("F001").await;
    let own = access(&at, ALL);
    let plan = async |wanted: Wanted| world.index.catalog(&own).mint_plan(&wanted).await.unwrap();
    if super::world::is_postgres() {
        super::world::skipped("plans depend on statistics that it gathers");
        return;
    }
    let newest = plan(Wanted::default()).await;
    assert!(
        newest.contains("change_newest") && !newest.contains("TEMP B-TREE"),
        "{newest}"
    );
    let uid = Wanted {
        study_instance_uid: Some("1".to_owned()),
        ..Wanted::default()
    };
    let by_uid = plan(uid).await;
    assert!(by_uid.contains("study_instance_uid=?"), "{by_uid}");
    let patient = Wanted {
        patient_id: Some("P".to_owned()),
        ..Wanted::default()
    };
    let by_patient = plan(patient).await;
    assert!(by_patient.contains("study_by_patient"), "{by_patient}");
}

/// Counts two items an instance, and numbers them.
async fn numbered(index: &Index, caller: &Access, study: StudyId) {
    let study = index.catalog(caller).mint_study(study).await.unwrap();
    loop {
        let page = index.uncounted(&study, 2).await.unwrap();
        let counted = page.iter().map(|one| one.counted(2, None).unwrap());
        index.keep_counts(&study, counted.collect()).await.unwrap();
        if page.is_empty() && index.give_numbers(&study).await.unwrap() {
            return;
        }
    }
}

const NUMBERS: &str = "SELECT sop_instance_uid || ' ' || first_item FROM instance WHERE first_item IS NOT NULL \
    ORDER BY first_item";

#[tokio::test]
async fn mint_p21_p22_p23_p24_replicas_that_number_at_once_number_once() {
    let world = World::new().await;
    let at = world.facility("F001").await;
    let index = &world.index;
    let own = access(&at, ALL);
    let of = |uid: &str, series: &str, number: &str| {
        let instance = instance(uid).series(series);
        instance
            .with("SeriesNumber", "2")
            .with("InstanceNumber", number)
    };
    let first = vec![
        of("1.1.9", "1.1", "1"),
        of("1.1.1", "1.1", "10"),
        of("1.1.2", "1.1", "9"),
    ];
    world.store(&at, &[pack("1", first)]).await;
    let study = all(index, &own).await[0].study;
    assert!(
        column(index, NUMBERS).await.is_empty(),
        "nothing is numbered while it is stored"
    );
    let other = Index::open(&world.url, clock()).await.unwrap();
    tokio::join!(
        numbered(index, &own, study),
        numbered(&other, &own, study),
        numbered(index, &own, study),
    );
    assert_eq!(
        column(index, NUMBERS).await,
        ["1.1.9 0", "1.1.2 2", "1.1.1 4"]
    );
    let before = index.catalog(&own).mint_study(study).await.unwrap();
    assert!(before.is_numbered);
    let front = instance("1.0.1").series("1.0").with("SeriesNumber", "1");
    world.store(&at, &[pack("1", vec![front])]).await;
    let later = index.catalog(&own).mint_study(study).await.unwrap();
    assert!(!later.is_numbered);
    let known = index.catalog(&own).items_from(study, 0, 10).await.unwrap();
    assert_eq!(
        known.len(),
        3,
        "what has a number can be read before the rest has one"
    );
    numbered(&other, &own, study).await;
    assert_eq!(column(index, NUMBERS).await[3], "1.0.1 6");
    let counts = "SELECT next_item || ' ' || numbered_version FROM study";
    assert_eq!(column(index, counts).await, ["8 2"]);
}

#[tokio::test]
async fn mint_p24_another_object_in_its_place_gets_other_numbers() {
    let world = World::new().await;
    let mut at = world.facility("F001").await;
    let index = &world.index;
    at.policy = std::sync::Arc::new(FacilityPolicy {
        on_conflict: OnConflict::Replace,
        ..FacilityPolicy::default()
    });
    let own = access(&at, ALL);
    let two = vec![instance("1.1.1").bytes(1), instance("1.1.2")];
    world.store(&at, &[pack("1", two)]).await;
    let study = all(index, &own).await[0].study;
    numbered(index, &own, study).await;
    world
        .store(&at, &[pack("1", vec![instance("1.1.1").bytes(2)])])
        .await;
    numbered(index, &own, study).await;
    assert_eq!(column(index, NUMBERS).await, ["1.1.2 2", "1.1.1 4"]);
    let held = index.catalog(&own).items_from(study, 3, 10).await.unwrap();
    let firsts: Vec<_> = held
        .iter()
        .map(|holder| (holder.first, holder.count))
        .collect();
    assert_eq!(firsts, [(2, 2), (4, 2)]);
    assert!(
        index
            .catalog(&own)
            .items_from(study, 6, 10)
            .await
            .unwrap()
            .len()
            <= 1
    );
}
