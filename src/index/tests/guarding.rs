//! What a caller may see, one object at a time.

use sea_orm::ConnectionTrait;

use super::world::{ALL, World, access, instance, pack};
use crate::auth::{Basis, Scope};
use crate::error::Kind;
use crate::index::catalog;
use crate::model::{Class, FacilityState, InstancePath, SeriesUid, SopInstanceUid, StudyUid};

fn path(study: &str, series: &str, instance: &str) -> InstancePath {
    InstancePath {
        study: StudyUid::parse(study).unwrap(),
        series: SeriesUid::parse(series).unwrap(),
        instance: SopInstanceUid::parse(instance).unwrap(),
    }
}

pub(super) fn study(study: &str) -> catalog::Scope {
    catalog::Scope {
        study: StudyUid::parse(study).unwrap(),
        series: None,
        instance: None,
    }
}

#[tokio::test]
async fn an_own_instance_comes_with_its_place() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    let new = pack(
        "1",
        vec![
            instance("1.1.1"),
            instance("1.1.2").with("NumberOfFrames", "7"),
        ],
    );
    let (object, metadata) = (new.object.clone(), new.metadata_object.clone());
    world.store(&f, &[new]).await;
    let access = access(&f, &[Scope::DicomRead]);
    let catalog = world.index.catalog(&access);
    let found = catalog.instance(&path("1", "1.1", "1.1.2")).await.unwrap();
    assert_eq!(found.blob().object, object);
    assert_eq!(found.blob().range, 100..200);
    let (name, place) = found.head();
    assert_eq!(
        (name, &place.block, &place.json),
        (metadata.as_str(), &(10..20), &(3..9))
    );
    assert_eq!(found.number_of_frames, Some(7));
    assert_eq!(found.frame_table.as_deref(), Some(&[1, 2, 3][..]));
    assert_eq!(
        (found.class, found.instance_version, found.byte_count),
        (Class::Image, 1, 100)
    );
    assert_eq!(found.base_url, "http://archive");
    assert_eq!(found.basis(), Basis::Own);
    let trail = access.take_trail();
    assert_eq!(trail.len(), 1);
    assert_eq!(trail[0].study, "1");
}

#[tokio::test]
async fn a_path_must_hold_from_end_to_end() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    let other = instance("1.2.1").series("1.2");
    world
        .store(
            &f,
            &[
                pack("1", vec![instance("1.1.1"), other]),
                pack("2", vec![instance("2.1.1")]),
            ],
        )
        .await;
    let access = access(&f, ALL);
    let catalog = world.index.catalog(&access);
    for (study, series, instance) in [
        ("1", "1.2", "1.1.1"),
        ("2", "1.1", "1.1.1"),
        ("1", "1.1", "2.1.1"),
        ("3", "1.1", "1.1.1"),
    ] {
        let refused = catalog
            .instance(&path(study, series, instance))
            .await
            .unwrap_err();
        assert_eq!(
            refused.kind(),
            Kind::NotFound,
            "{study} {series} {instance}"
        );
    }
}

#[tokio::test]
async fn sh_3_4_what_is_another_facilitys_is_absent() {
    let world = World::new().await;
    let (one, two) = (world.facility("F001").await, world.facility("F002").await);
    world
        .store(&one, &[pack("1", vec![instance("1.1.1")])])
        .await;
    let stranger = access(&two, ALL);
    let catalog = world.index.catalog(&stranger);
    let not_mine = catalog
        .instance(&path("1", "1.1", "1.1.1"))
        .await
        .unwrap_err();
    let not_there = catalog
        .instance(&path("9", "1.1", "1.1.1"))
        .await
        .unwrap_err();
    assert_eq!(not_mine.kind(), Kind::NotFound);
    assert_eq!(not_mine.detail(), not_there.detail());
    let listed = catalog.instances(&study("1"), None, 10).await.unwrap_err();
    assert_eq!(listed.kind(), Kind::NotFound);
    assert_eq!(
        catalog.pieces(&study("1")).await.unwrap_err().kind(),
        Kind::NotFound
    );
    assert!(stranger.take_trail().is_empty());
}

#[tokio::test]
async fn sh_1_2_each_facility_is_answered_with_its_own_copy() {
    let world = World::new().await;
    let (one, two) = (world.facility("F001").await, world.facility("F002").await);
    world
        .store(&one, &[pack("1", vec![instance("1.1.1").bytes(1)])])
        .await;
    world
        .store(&two, &[pack("1", vec![instance("1.1.1").bytes(2)])])
        .await;
    for (f, digest) in [(&one, 1), (&two, 2)] {
        let access = access(f, ALL);
        let catalog = world.index.catalog(&access);
        let found = catalog.instance(&path("1", "1.1", "1.1.1")).await.unwrap();
        assert_eq!(found.digest, [digest; 32]);
        let listed = catalog.instances(&study("1"), None, 10).await.unwrap();
        assert_eq!(
            listed.iter().map(|i| i.digest[0]).collect::<Vec<_>>(),
            [digest]
        );
    }
}

#[tokio::test]
async fn sh_3_1_a_suspended_facility_sees_nothing() {
    let world = World::new().await;
    let mut f = world.facility("F001").await;
    world.store(&f, &[pack("1", vec![instance("1.1.1")])]).await;
    let before = access(&f, ALL);
    let seen = world
        .index
        .catalog(&before)
        .instance(&path("1", "1.1", "1.1.1"))
        .await
        .unwrap();
    assert!(
        world
            .index
            .catalog(&before)
            .still_visible(&seen)
            .await
            .unwrap()
    );
    f.state = FacilityState::Suspended;
    let suspend = "UPDATE facility SET state = 'suspended'; UPDATE acl_epoch SET epoch = epoch + 1";
    world
        .index
        .writer
        .execute_unprepared(suspend)
        .await
        .unwrap();
    // The token was made while the facility was active: the row decides.
    let catalog = world.index.catalog(&before);
    let refused = catalog
        .instance(&path("1", "1.1", "1.1.1"))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
    assert!(!catalog.still_visible(&seen).await.unwrap());
}

#[tokio::test]
async fn sh_3_6_a_moved_epoch_asks_again() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    world.store(&f, &[pack("1", vec![instance("1.1.1")])]).await;
    let access = access(&f, ALL);
    let catalog = world.index.catalog(&access);
    let seen = catalog.instance(&path("1", "1.1", "1.1.1")).await.unwrap();
    let bump = "UPDATE acl_epoch SET epoch = epoch + 1";
    world.index.writer.execute_unprepared(bump).await.unwrap();
    assert!(catalog.still_visible(&seen).await.unwrap());
    // Deleted, which is no question of rights (W12); then the right goes.
    let empty = "UPDATE series SET instance_count = 0, class_mask = 0; UPDATE acl_epoch SET epoch = epoch + 1";
    world.index.writer.execute_unprepared(empty).await.unwrap();
    assert!(catalog.still_visible(&seen).await.unwrap());
    let suspend = "UPDATE facility SET state = 'suspended'";
    world
        .index
        .writer
        .execute_unprepared(suspend)
        .await
        .unwrap();
    assert!(!catalog.still_visible(&seen).await.unwrap());
}

#[tokio::test]
async fn sh_3_7_row_18_a_class_without_its_scope_is_forbidden_or_left_out() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    let sr = instance("1.2.1").series("1.2").class(Class::Sr);
    world
        .store(&f, &[pack("1", vec![instance("1.1.1"), sr])])
        .await;
    let sr_only = instance("2.1.1").class(Class::Dose);
    world.store(&f, &[pack("2", vec![sr_only])]).await;

    let images = access(&f, &[Scope::DicomRead]);
    let catalog = world.index.catalog(&images);
    let refused = catalog
        .instance(&path("1", "1.2", "1.2.1"))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
    assert_eq!(refused.detail(), "the token lacks the scope report.read");
    let listed = catalog.instances(&study("1"), None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(catalog.pieces(&study("1")).await.unwrap().len(), 1);
    let only = catalog::Scope {
        series: Some(SeriesUid::parse("1.2").unwrap()),
        ..study("1")
    };
    assert_eq!(
        catalog.instances(&only, None, 10).await.unwrap_err().kind(),
        Kind::Forbidden
    );
    assert_eq!(
        catalog.pieces(&only).await.unwrap_err().kind(),
        Kind::Forbidden
    );
    assert!(catalog.instance(&path("2", "1.1", "2.1.1")).await.is_ok());

    let reports = access(&f, &[Scope::ReportRead]);
    let catalog = world.index.catalog(&reports);
    assert!(catalog.instance(&path("1", "1.2", "1.2.1")).await.is_ok());
    let refused = catalog.instances(&study("2"), None, 10).await.unwrap_err();
    assert_eq!(refused.detail(), "the token lacks the scope dose.read");
}

#[tokio::test]
async fn q90_instances_come_in_order_and_pages_join_without_a_seam() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    let mut instances = Vec::new();
    for (series, number) in [
        ("1.3", Some("1")),
        ("1.1", Some("2")),
        ("1.2", Some("2")),
        ("1.9", None),
    ] {
        for n in [Some(10), Some(2), None, Some(2)] {
            let uid = format!("{series}.{}.{}", n.unwrap_or(0), instances.len());
            let mut new = instance(&uid).series(series);
            if let Some(number) = number {
                new = new.with("SeriesNumber", number);
            }
            if let Some(n) = n {
                new = new.with("InstanceNumber", &n.to_string());
            }
            instances.push(new);
        }
    }
    world.store(&f, &[pack("1", instances)]).await;
    let access = access(&f, ALL);
    let catalog = world.index.catalog(&access);
    let whole = catalog.instances(&study("1"), None, 100).await.unwrap();
    let order: Vec<_> = whole
        .iter()
        .map(|i| (i.series.as_str().to_owned(), i.instance_number))
        .collect();
    let numbers = [Some(2), Some(2), Some(10), None];
    let expected: Vec<_> = ["1.3", "1.1", "1.2", "1.9"]
        .into_iter()
        .flat_map(|series| numbers.map(|number| (series.to_owned(), number)))
        .collect();
    assert_eq!(order, expected);
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = catalog
            .instances(&study("1"), after.as_ref(), 3)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.cursor());
        paged.extend(page.iter().map(|i| i.instance.clone()));
    }
    let whole: Vec<_> = whole.iter().map(|i| i.instance.clone()).collect();
    assert_eq!(paged, whole);
}

#[tokio::test]
async fn pieces_tell_whether_they_can_be_sent_as_they_are() {
    let world = World::new().await;
    let f = world.facility("F001").await;
    let numbered =
        |uid: &str, series: &str, n: &str| instance(uid).series(series).with("SeriesNumber", n);
    let first = pack(
        "1",
        vec![numbered("2.1", "1.2", "2"), numbered("1.1", "1.1", "1")],
    );
    let first_metadata = first.metadata_object.clone();
    // The second pack of the series has a hole: an instance that was there.
    let second = pack(
        "1",
        vec![numbered("1.1", "1.1", "1"), numbered("1.2", "1.1", "1")],
    );
    world.store(&f, &[first]).await;
    world.store(&f, &[second]).await;
    let access = access(&f, ALL);
    let series = world
        .index
        .catalog(&access)
        .pieces(&study("1"))
        .await
        .unwrap();
    let uids: Vec<_> = series.iter().map(|s| s.series.as_str()).collect();
    assert_eq!(uids, ["1.1", "1.2"]);
    assert_eq!(
        (
            series[0].pieces.len(),
            series[0].live_count,
            series[0].is_whole()
        ),
        (2, 2, false)
    );
    assert!(series[1].is_whole());
    let piece = &series[1].pieces[0];
    assert_eq!((&piece.object, &piece.range), (&first_metadata, &(0..10)));
    assert_eq!(
        (piece.inflated_len, piece.crc32, piece.instance_count),
        (50, u32::MAX, 1)
    );
}
