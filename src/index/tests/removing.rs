//! The bin: what leaves sight, what comes back, what is erased, and that the kept columns stay true throughout.

use std::sync::Arc;

use sea_orm::ConnectionTrait;

use super::world::{World, access, grant, instance, pack};
use crate::auth::{Access, RemoveGrant, Scope as Right, ScopeSet};
use crate::error::Kind;
use crate::index::catalog::{Scope, Wanted};
use crate::index::record::Recorded;
use crate::index::{Index, Purged, Why};
use crate::model::{
    Class, Deletion, DeletionState, Facility, FacilityPolicy, InstancePath, OnConflict, RejectCode,
    Removal, SeriesUid, SopInstanceUid, StudyUid, Timestamp,
};
use Recorded::{AlreadyThere, Conflict, Erased, InBin, New, Replaced};

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

pub(super) fn scope(study: &str, series: Option<&str>, instance: Option<&str>) -> Scope {
    Scope {
        study: StudyUid::parse(study).unwrap(),
        series: series.map(|uid| SeriesUid::parse(uid).unwrap()),
        instance: instance.map(|uid| SopInstanceUid::parse(uid).unwrap()),
    }
}

fn path(study: &str, series: &str, instance: &str) -> InstancePath {
    InstancePath {
        study: StudyUid::parse(study).unwrap(),
        series: SeriesUid::parse(series).unwrap(),
        instance: SopInstanceUid::parse(instance).unwrap(),
    }
}

/// Leave for `person`, as a fresh sign-in gives it.
pub(super) fn remover(at: &Facility, person: &str) -> RemoveGrant {
    let set = ScopeSet::default().with(Right::DicomCorrect);
    let access = Access::of_person(person.to_owned(), set, at.clone());
    let now = super::world::clock().now();
    access.may_remove_own(Right::DicomCorrect, now).unwrap()
}

pub(super) fn why(removal: Removal) -> Why {
    Why {
        removal,
        reason: Some("sent twice".to_owned()),
        purge_at: Timestamp(super::world::clock().now().0 + 14 * DAY_US),
    }
}

async fn bin(index: &Index, at: &Facility, scope: &Scope) -> Deletion {
    let grant = remover(at, "hanako");
    let why = why(Removal::Delete);
    index.bin(&grant, scope, &why).await.unwrap()
}

pub(super) async fn approve(index: &Index, at: &Facility, deletion: &Deletion) -> Deletion {
    let grant = remover(at, "taro");
    index.approve(&grant, deletion.id, None).await.unwrap()
}

/// After the time of the bin.
pub(super) fn later(index: &Index) -> Timestamp {
    Timestamp(index.clock.now().0 + 15 * DAY_US)
}

async fn execute(index: &Index, sql: &str) {
    index.writer.execute_unprepared(sql).await.unwrap();
}

pub(super) async fn column(index: &Index, sql: &str) -> Vec<String> {
    let statement = sea_orm::Statement::from_string(index.reader.get_database_backend(), sql);
    let rows = index.reader.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| row.try_get_by_index(0).unwrap())
        .collect()
}

pub(super) async fn one(index: &Index, sql: &str) -> String {
    column(index, sql).await.join(" ")
}

pub(super) async fn assert_true(index: &Index) {
    let wrong = index.recount_mismatches(10).await.unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Study `1`: two images and a report, one series each but for the images.
pub(super) async fn filled() -> (World, Facility) {
    let world = World::new().await;
    let at = world.facility("F001").await;
    let ct = |uid: &str| instance(uid).with("Modality", "CT");
    let sr = instance("1.2.1")
        .series("1.2")
        .with("Modality", "SR")
        .class(Class::Sr);
    world
        .store(&at, &[pack("1", vec![ct("1.1.1"), ct("1.1.2"), sr])])
        .await;
    (world, at)
}

const STUDY: &str = "SELECT modalities || ' ' || series_count || ' ' || instance_count || ' ' || \
    byte_count || ' ' || class_mask || ' ' || study_version FROM study";

#[tokio::test]
async fn x01_what_is_deleted_is_counted_nowhere_until_it_is_restored() {
    let (world, at) = filled().await;
    let index = &world.index;
    let whole = access(&at, super::world::ALL);
    let catalog = index.catalog(&whole);
    assert_eq!(one(index, STUDY).await, "CT\\SR 2 3 300 3 1");

    let first = bin(index, &at, &scope("1", Some("1.1"), Some("1.1.2"))).await;
    assert_eq!((first.instance_count, first.byte_count), (1, 100));
    assert_eq!(one(index, STUDY).await, "CT\\SR 2 2 200 3 2");
    let gone = catalog.instance(&path("1", "1.1", "1.1.2")).await;
    assert_eq!(gone.unwrap_err().kind(), Kind::NotFound);
    catalog.instance(&path("1", "1.1", "1.1.1")).await.unwrap();

    let second = bin(index, &at, &scope("1", Some("1.2"), None)).await;
    assert_eq!(one(index, STUDY).await, "CT 1 1 100 1 3");
    let third = bin(index, &at, &scope("1", None, None)).await;
    assert_eq!(
        third.instance_count, 1,
        "what is in the bin is not taken twice"
    );
    assert_eq!(one(index, STUDY).await, " 0 0 0 0 4");
    assert_eq!(
        one(index, "SELECT '' || study_count FROM facility").await,
        "0"
    );
    assert_true(index).await;
    let again = index
        .bin(
            &remover(&at, "hanako"),
            &scope("1", None, None),
            &why(Removal::Delete),
        )
        .await;
    assert_eq!(again.unwrap_err().kind(), Kind::NotFound);

    for deletion in [third, first, second] {
        let grant = remover(&at, "jiro");
        let restored = index.restore(&grant, deletion.id, None).await.unwrap();
        assert_eq!(restored.state, DeletionState::Restored);
        assert_eq!(restored.restored.unwrap().by, "jiro");
        assert_true(index).await;
    }
    assert_eq!(one(index, STUDY).await, "CT\\SR 2 3 300 3 7");
    assert_eq!(
        one(index, "SELECT '' || study_count FROM facility").await,
        "1"
    );
    catalog.instance(&path("1", "1.1", "1.1.2")).await.unwrap();
}

#[tokio::test]
async fn x01_pieces_are_whole_again_once_everything_is_back() {
    let (world, at) = filled().await;
    let whole = access(&at, super::world::ALL);
    let catalog = world.index.catalog(&whole);
    let all = scope("1", None, None);
    let deletion = bin(&world.index, &at, &scope("1", Some("1.1"), Some("1.1.1"))).await;
    let pieces = catalog.pieces(&all).await.unwrap();
    assert!(!pieces[0].is_whole() && pieces[1].is_whole());
    world
        .index
        .restore(&remover(&at, "hanako"), deletion.id, None)
        .await
        .unwrap();
    let pieces = catalog.pieces(&all).await.unwrap();
    assert!(pieces.iter().all(|series| series.is_whole()));
}

#[tokio::test]
async fn x02_a_rejection_has_its_code_and_its_state() {
    let (world, at) = filled().await;
    let why = why(Removal::Reject(RejectCode::Quality));
    let all = scope("1", None, None);
    let rejected = world.index.bin(&remover(&at, "hanako"), &all, &why).await;
    let rejected = rejected.unwrap();
    assert_eq!(rejected.removal, Removal::Reject(RejectCode::Quality));
    let states = "SELECT DISTINCT state FROM instance";
    assert_eq!(one(&world.index, states).await, "rejected");
    let grant = remover(&at, "hanako");
    world
        .index
        .restore(&grant, rejected.id, None)
        .await
        .unwrap();
    assert_eq!(one(&world.index, states).await, "live");
    assert_true(&world.index).await;
}

#[tokio::test]
async fn s14_retention_forbids_to_delete_to_approve_and_to_erase() {
    let (world, at) = filled().await;
    let index = &world.index;
    let (grant, all) = (remover(&at, "hanako"), scope("1", None, None));
    let until = |at: i64| format!("UPDATE study SET retain_until = {at}");
    execute(index, &until(index.clock.now().0 + DAY_US)).await;
    for removal in [
        Removal::Delete,
        Removal::Reject(RejectCode::RetentionExpired),
    ] {
        let refused = index.bin(&grant, &all, &why(removal)).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
    }
    let hidden = why(Removal::Reject(RejectCode::Safety));
    let hidden = index.bin(&grant, &all, &hidden).await.unwrap();
    let refused = index.approve(&remover(&at, "taro"), hidden.id, None).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::Conflict);
    execute(index, &until(index.clock.now().0)).await;
    approve(index, &at, &hidden).await;
    let later = later(index);
    execute(index, &until(later.0 + 1)).await;
    assert_eq!(index.purge_next(later).await.unwrap(), None);
    execute(index, &until(later.0)).await;
    assert!(index.purge_next(later).await.unwrap().is_some());
}

#[tokio::test]
async fn sh_11_4_two_persons_and_fourteen_days_then_tombstones() {
    let (world, at) = filled().await;
    let index = &world.index;
    let deletion = bin(index, &at, &scope("1", None, None)).await;
    assert_eq!(
        index.purge_next(later(index)).await.unwrap(),
        None,
        "one person"
    );
    let grant = remover(&at, "hanako");
    let same = index.approve(&grant, deletion.id, None).await;
    assert_eq!(same.unwrap_err().kind(), Kind::Conflict);
    let approved = approve(index, &at, &deletion).await;
    assert_eq!(approved.state, DeletionState::Approved);
    let early = Timestamp(approved.purge_at.0 - 1);
    assert_eq!(index.purge_next(early).await.unwrap(), None, "too early");
    let purged = index.purge_next(later(index)).await.unwrap();
    let expected = Purged {
        deletions: 1,
        instances: 3,
        packs: 1,
    };
    assert_eq!(purged, Some(expected));
    assert_eq!(
        index.purge_next(later(index)).await.unwrap(),
        None,
        "done once"
    );

    let stones =
        "SELECT sop_instance_uid || ' ' || reason || ' ' || persons FROM tombstone ORDER BY 1";
    let stones = column(index, stones).await;
    assert_eq!(stones.len(), 3);
    assert_eq!(
        stones[0],
        r#"1.1.1 sent twice {"approved":"taro","requested":"hanako"}"#
    );
    for (table, left) in [
        ("instance", "0"),
        ("instance_uid", "0"),
        ("series", "0"),
        ("metadata_piece", "0"),
        ("pack WHERE replaced_at IS NULL", "0"),
        ("pack_copy", "1"),
    ] {
        let count = format!("SELECT '' || COUNT(*) FROM {table}");
        assert_eq!(one(index, &count).await, left, "{table}");
    }
    assert_true(index).await;
    let late = index.restore(&grant, deletion.id, None).await;
    assert_eq!(late.unwrap_err().kind(), Kind::Gone);
}

#[tokio::test]
async fn s15_the_owner_alone_learns_that_it_was_erased() {
    let (world, at) = filled().await;
    let other = world.facility("F002").await;
    let index = &world.index;
    let whole = access(&at, super::world::ALL);
    let foreign = access(&other, super::world::ALL);
    let there = path("1", "1.1", "1.1.1");
    let deletion = bin(index, &at, &scope("1", None, None)).await;
    approve(index, &at, &deletion).await;
    let kind = async |caller: &Access| {
        let caller = index.catalog(caller);
        let all = scope("1", None, None);
        [
            caller.instance(&there).await.unwrap_err().kind(),
            caller.instances(&all, None, 10).await.unwrap_err().kind(),
            caller.pieces(&all).await.unwrap_err().kind(),
            caller.owns(&all).await.unwrap_err().kind(),
        ]
    };
    assert_eq!(kind(&whole).await, [Kind::NotFound; 4], "in the bin");
    index.purge_next(later(index)).await.unwrap();
    assert_eq!(kind(&whole).await, [Kind::Gone; 4]);
    assert_eq!(kind(&foreign).await, [Kind::NotFound; 4]);
}

#[tokio::test]
async fn t37_a_uid_of_the_bin_or_under_a_tombstone_is_not_taken() {
    let (world, at) = filled().await;
    let index = &world.index;
    let deletion = bin(index, &at, &scope("1", Some("1.1"), None)).await;
    let same = || pack("1", vec![instance("1.1.1"), instance("1.1.9")]);
    assert_eq!(world.store(&at, &[same()]).await, [[InBin, New]]);
    let elsewhere = pack("2", vec![instance("1.1.2").bytes(7)]);
    assert_eq!(world.store(&at, &[elsewhere]).await, [[InBin]]);
    let other = world.facility("F002").await;
    let theirs = [pack("1", vec![instance("1.1.1")])];
    let theirs = world.store(&other, &theirs).await;
    assert_eq!(theirs, [[New]], "another owner's bin is nobody's business");
    approve(index, &at, &deletion).await;
    index.purge_next(later(index)).await.unwrap();
    assert_eq!(world.store(&at, &[same()]).await, [[Erased, AlreadyThere]]);
    assert_true(index).await;
}

#[tokio::test]
async fn a_study_of_which_everything_was_erased_begins_anew() {
    let world = World::new().await;
    let at = world.facility("F001").await;
    let index = &world.index;
    let of = |uid: &str, name: &str| {
        instance(uid)
            .with("PatientName", name)
            .with("PatientID", "42")
            .with("StudyDate", "20240131")
    };
    world
        .store(&at, &[pack("1", vec![of("1.1.1", "Yamada^Hanako")])])
        .await;
    let deletion = bin(index, &at, &scope("1", None, None)).await;
    approve(index, &at, &deletion).await;
    index.purge_next(later(index)).await.unwrap();
    let known = "SELECT COALESCE(patient_name, '-') || COALESCE(patient_id, '-') || \
        CASE WHEN registration_id IS NULL THEN '-' ELSE '+' END || study_date FROM study";
    assert_eq!(
        one(index, known).await,
        "---",
        "nothing of the patient is left"
    );
    world
        .store(&at, &[pack("1", vec![of("1.1.2", "Suzuki^Taro")])])
        .await;
    let name = "SELECT patient_name || ' ' || study_date || ' ' || instance_count FROM study";
    assert_eq!(one(index, name).await, "Suzuki^Taro 20240131 1");
    assert_true(index).await;
}

#[tokio::test]
async fn a_pack_that_holds_something_else_keeps_it() {
    let (world, at) = filled().await;
    let index = &world.index;
    let deletion = bin(index, &at, &scope("1", Some("1.1"), None)).await;
    approve(index, &at, &deletion).await;
    let purged = index.purge_next(later(index)).await.unwrap().unwrap();
    assert_eq!((purged.instances, purged.packs), (2, 0));
    let pack =
        "SELECT live_bytes || ' ' || byte_count || ' ' || COALESCE(replaced_at, 0) FROM pack";
    assert_eq!(one(index, pack).await, "100 300 0");
    let whole = access(&at, super::world::ALL);
    let catalog = index.catalog(&whole);
    catalog.instance(&path("1", "1.2", "1.2.1")).await.unwrap();
    let pieces = catalog.pieces(&scope("1", None, None)).await.unwrap();
    assert!(pieces.len() == 1 && pieces[0].is_whole());
    assert_true(index).await;
}

#[tokio::test]
async fn what_was_changed_since_is_not_changed_again() {
    let (world, at) = filled().await;
    let index = &world.index;
    let deletion = bin(index, &at, &scope("1", None, None)).await;
    assert_eq!(deletion.version, 1);
    let approved = approve(index, &at, &deletion).await;
    assert_eq!(approved.version, 2);
    let (hanako, taro) = (remover(&at, "hanako"), remover(&at, "taro"));
    let stale = index.restore(&hanako, deletion.id, Some(&[1])).await;
    assert_eq!(stale.unwrap_err().kind(), Kind::Precondition);
    let twice = index.approve(&taro, deletion.id, Some(&[2])).await;
    assert_eq!(twice.unwrap_err().kind(), Kind::Conflict);
    let restored = index.restore(&hanako, deletion.id, Some(&[1, 2])).await;
    assert_eq!(restored.unwrap().version, 3);
    let late = index.restore(&hanako, deletion.id, Some(&[1])).await;
    assert_eq!(late.unwrap_err().kind(), Kind::Gone, "rather than stale");
    let other = world.facility("F002").await;
    let foreign = remover(&other, "hanako");
    for refused in [
        index.restore(&foreign, deletion.id, None).await,
        index.approve(&foreign, deletion.id, None).await,
    ] {
        assert_eq!(refused.unwrap_err().kind(), Kind::NotFound);
    }
}

#[tokio::test]
async fn deletions_are_listed_newest_first_to_their_owner() {
    let (world, at) = filled().await;
    let index = &world.index;
    let other = world.facility("F002").await;
    let mut made = Vec::new();
    for uid in ["1.1.1", "1.1.2"] {
        made.push(
            bin(index, &at, &scope("1", Some("1.1"), Some(uid)))
                .await
                .id,
        );
    }
    made.sort();
    approve(
        index,
        &at,
        &index
            .catalog(&access(&at, &[]))
            .deletion(made[0])
            .await
            .unwrap(),
    )
    .await;
    let list = |at: &Facility, wanted: Wanted| {
        let caller = access(at, &[]);
        async move {
            let found = index.catalog(&caller).deletions(&wanted).await.unwrap();
            found
                .into_iter()
                .map(|deletion| deletion.id)
                .collect::<Vec<_>>()
        }
    };
    let all = Wanted {
        limit: 10,
        ..Wanted::default()
    };
    assert_eq!(list(&at, all.clone()).await, [made[1], made[0]]);
    assert_eq!(list(&other, all.clone()).await, []);
    let binned = Wanted {
        state: Some(DeletionState::Binned),
        ..all.clone()
    };
    assert_eq!(list(&at, binned).await, [made[1]]);
    let behind = Wanted {
        before: Some(made[1]),
        ..all
    };
    assert_eq!(list(&at, behind).await, [made[0]]);
    let foreign = access(&other, &[]);
    let hidden = index.catalog(&foreign).deletion(made[0]).await;
    assert_eq!(hidden.unwrap_err().kind(), Kind::NotFound);
}

/// The facility with another policy.
pub(super) fn with_policy(at: &Facility, on_conflict: OnConflict) -> Facility {
    let policy = FacilityPolicy {
        on_conflict,
        ..FacilityPolicy::default()
    };
    Facility {
        policy: Arc::new(policy),
        ..at.clone()
    }
}

#[tokio::test]
async fn t22_by_policy_the_new_one_takes_the_place_of_the_old_one() {
    for word in [OnConflict::Replace, OnConflict::KeepBothVersions] {
        let (world, at) = filled().await;
        let at = with_policy(&at, word);
        let index = &world.index;
        let whole = access(&at, super::world::ALL);
        let catalog = index.catalog(&whole);
        let there = path("1", "1.1", "1.1.1");
        let before = catalog.instance(&there).await.unwrap();
        let newer = instance("1.1.1").bytes(9).class(Class::Other);
        let newer = pack("1", vec![newer, instance("1.1.2")]);
        let stored = world.store(&at, &[newer]).await;
        assert_eq!(stored, [[Replaced, AlreadyThere]], "{word:?}");
        let after = catalog.instance(&there).await.unwrap();
        assert_eq!((before.instance_version, after.instance_version), (1, 2));
        assert_eq!((after.digest, after.class), ([9; 32], Class::Other));
        assert_ne!(before.blob().object, after.blob().object);
        let history = "SELECT instance_version || ' ' || author || ' ' || byte_count || ' ' || \
            (SELECT object FROM pack_copy c WHERE c.pack_id = h.pack_id) FROM instance_history h";
        let kept = format!("1 person 100 {}", before.blob().object);
        assert_eq!(one(index, history).await, kept);
        assert_eq!(one(index, STUDY).await, "CT\\SR 2 3 300 35 2");
        assert_true(index).await;
        let pieces = catalog.pieces(&scope("1", None, None)).await.unwrap();
        assert!(!pieces[0].is_whole(), "an old head lies there still");
        // Both versions go with the instance, and so do their packs.
        let deletion = bin(index, &at, &scope("1", None, None)).await;
        approve(index, &at, &deletion).await;
        let purged = index.purge_next(later(index)).await.unwrap().unwrap();
        assert_eq!((purged.instances, purged.packs), (3, 2));
        assert_true(index).await;
    }
}

#[tokio::test]
async fn t22_in_another_place_it_is_no_new_version() {
    let (world, at) = filled().await;
    let at = with_policy(&at, OnConflict::Replace);
    let other_series = pack("1", vec![instance("1.1.1").series("1.9").bytes(9)]);
    let other_study = pack("2", vec![instance("1.1.1").bytes(9)]);
    let outcomes = world.store(&at, &[other_series, other_study]).await;
    assert_eq!(outcomes, [[Conflict], [Conflict]]);
    let twice = pack("1", vec![instance("1.1.7"), instance("1.1.7").bytes(8)]);
    let outcomes = world.store(&at, &[twice]).await;
    assert_eq!(outcomes, [[New, Conflict]], "T36: the first wins");
    assert_true(&world.index).await;
}

#[tokio::test]
async fn two_who_delete_and_one_who_stores_at_the_same_time_agree() {
    for _ in 0..10 {
        let (world, at) = filled().await;
        let index = &world.index;
        let (hanako, taro) = (remover(&at, "hanako"), remover(&at, "taro"));
        let (all, series) = (scope("1", None, None), scope("1", Some("1.1"), None));
        let request = why(Removal::Delete);
        let packs = [pack("1", vec![instance("1.1.1"), instance("1.1.8")])];
        let grant = grant(&at);
        let (one, two, stored) = tokio::join!(
            index.bin(&hanako, &all, &request),
            index.bin(&taro, &series, &request),
            index.record_batch(&grant, packs),
        );
        let taken: Vec<Deletion> = [one, two].into_iter().flatten().collect();
        assert!(!taken.is_empty());
        assert!(matches!(stored.unwrap()[0][0], AlreadyThere | InBin));
        assert_true(index).await;
        let restores = taken
            .iter()
            .map(|deletion| index.restore(&hanako, deletion.id, None));
        let again = index.bin(&taro, &all, &request);
        let (back, _) = futures::future::join(futures::future::join_all(restores), again).await;
        assert!(back.iter().all(Result::is_ok));
        assert_true(index).await;
    }
}

#[tokio::test]
async fn a_wrong_count_is_found() {
    let (world, _) = filled().await;
    let index = &world.index;
    assert_true(index).await;
    for (wrong, table, counted) in [
        (
            "UPDATE series SET instance_count = 7 WHERE series_instance_uid = '1.2'",
            "series",
            "instances: 1",
        ),
        (
            "UPDATE study SET modalities = 'CT'",
            "study",
            "\"CT\", \"SR\"",
        ),
        ("UPDATE pack SET live_bytes = 1", "pack", "300"),
        ("UPDATE facility SET study_count = 5", "facility", "1"),
    ] {
        execute(index, wrong).await;
        let found = index.recount_mismatches(10).await.unwrap();
        let found = found.iter().find(|mismatch| mismatch.table == table);
        let found = found.unwrap_or_else(|| panic!("{wrong}"));
        assert!(found.counted.contains(counted), "{found:?}");
    }
    assert_eq!(
        index.recount_mismatches(1).await.unwrap().len(),
        1,
        "no more than asked for"
    );
}
