//! What results show, their order, pages and plans.

use sea_orm::ConnectionTrait as _;

use super::asking::{one_of, query, search, studies, uids, with};
use super::world::{ALL, Instance, World, access, instance, pack, tag};
use crate::auth::{Access, Scope};
use crate::error::Kind;
use crate::index::search::{More, Page};
use crate::model::{Class, Level, SeriesUid, StudyUid};

#[tokio::test]
async fn q60_to_q67_what_a_result_shows() {
    let (world, f) = studies(&[&[
        ("StudyDescription", "Thorax"),
        ("Modality", "CT"),
        ("Manufacturer", "Acme"),
        ("InstitutionName", "Hospital"),
        ("Rows", "512"),
        ("TimezoneOffsetFromUTC", "+0900"),
    ]])
    .await;
    let text = |page: &Page, keyword: &str| {
        page.rows[0]
            .attributes
            .text(tag(keyword))
            .map(str::to_owned)
    };
    let mut wanted = query(Level::Study);
    let page = search(&world, &f, &wanted).await;
    assert_eq!(text(&page, "PatientName").as_deref(), Some(""));
    assert_eq!(text(&page, "StudyDescription").as_deref(), Some("Thorax"));
    assert_eq!(text(&page, "ModalitiesInStudy").as_deref(), Some("CT"));
    assert_eq!(
        text(&page, "NumberOfStudyRelatedSeries").as_deref(),
        Some("1")
    );
    assert_eq!(
        text(&page, "InstanceAvailability").as_deref(),
        Some("ONLINE")
    );
    assert_eq!(text(&page, "InstitutionName"), None);
    assert_eq!(text(&page, "Modality"), None);
    assert_eq!((page.more, page.total), (More::None, Some(1)));
    wanted.fields.tags = vec![tag("InstitutionName"), tag("Modality")];
    let page = search(&world, &f, &wanted).await;
    assert_eq!(text(&page, "InstitutionName").as_deref(), Some("Hospital"));
    assert_eq!(text(&page, "Modality"), None);

    let mut wanted = query(Level::Series);
    let page = search(&world, &f, &wanted).await;
    assert_eq!(text(&page, "StudyInstanceUID").as_deref(), Some("1"));
    assert_eq!(text(&page, "SeriesNumber").as_deref(), Some(""));
    assert_eq!(
        text(&page, "NumberOfStudyRelatedInstances").as_deref(),
        Some("1")
    );
    wanted.study = Some(StudyUid::parse("1").unwrap());
    let page = search(&world, &f, &wanted).await;
    assert_eq!(text(&page, "PatientName"), None);
    assert_eq!(text(&page, "Manufacturer"), None);
    assert_eq!(
        text(&page, "TimezoneOffsetFromUTC").as_deref(),
        Some("+0900")
    );
    assert_eq!(
        text(&page, "NumberOfSeriesRelatedInstances").as_deref(),
        Some("1")
    );
    wanted.fields.all = true;
    assert_eq!(
        text(&search(&world, &f, &wanted).await, "Manufacturer").as_deref(),
        Some("Acme")
    );

    let mut wanted = query(Level::Instance);
    wanted.study = Some(StudyUid::parse("1").unwrap());
    let page = search(&world, &f, &wanted).await;
    assert_eq!(text(&page, "Modality").as_deref(), Some("CT"));
    assert_eq!(text(&page, "StudyDescription"), None);
    assert_eq!(text(&page, "Rows").as_deref(), Some("512"));
    assert_eq!(
        text(&page, "AvailableTransferSyntaxUID").as_deref(),
        Some("1.2.840.10008.1.2.1")
    );
    assert_eq!(text(&page, "InstanceNumber").as_deref(), Some(""));
    assert_eq!(text(&page, "NumberOfFrames"), None);
    wanted.series = Some(SeriesUid::parse("1.1").unwrap());
    let page = search(&world, &f, &wanted).await;
    assert_eq!(text(&page, "Modality"), None);
    assert_eq!(text(&page, "SeriesInstanceUID").as_deref(), Some("1.1"));
}

#[tokio::test]
async fn q90_q96_q99_pages_join_and_tell_what_remains() {
    let dates: Vec<Vec<(&str, &str)>> = (0..25)
        .map(|n| match n % 4 {
            0 => vec![],
            1 => vec![("StudyDate", "20240101")],
            2 => vec![("StudyDate", "20240101"), ("StudyTime", "1030")],
            _ => vec![("StudyDate", "20240301")],
        })
        .collect();
    let dates: Vec<&[(&str, &str)]> = dates.iter().map(Vec::as_slice).collect();
    let (world, f) = studies(&dates).await;
    let whole = uids(&world, &f, &query(Level::Study)).await;
    assert_eq!(whole.len(), 25);
    assert_eq!(whole[0], "12");
    assert_eq!(whole[24], "9");
    for level in [Level::Study, Level::Series, Level::Instance] {
        let whole = uids(&world, &f, &query(level)).await;
        let mut paged = Vec::new();
        let mut page = query(level);
        page.limit = 7;
        for expected in [
            More::Exactly(18),
            More::Exactly(11),
            More::Exactly(4),
            More::None,
        ] {
            let found = search(&world, &f, &page).await;
            assert_eq!((found.more, found.total), (expected, Some(25)));
            paged.extend(uids(&world, &f, &page).await);
            page.offset += 7;
        }
        assert_eq!(paged, whole);
        // Q100: behind the end there is nothing, and nothing is known of the end.
        let beyond = search(&world, &f, &page).await;
        assert_eq!(
            (beyond.rows.len(), beyond.more, beyond.total),
            (0, More::None, None)
        );
        page.count = true;
        assert_eq!(search(&world, &f, &page).await.total, Some(25));
        page.limit = 0;
        page.offset = 0;
        let none = search(&world, &f, &page).await;
        assert_eq!(
            (none.rows.len(), none.more, none.total),
            (0, More::Exactly(25), Some(25))
        );
    }
}

#[tokio::test]
async fn sh_3_2_counts_and_lists_hold_what_the_caller_reads() {
    let world = World::new().await;
    let (f, other) = (world.facility("F001").await, world.facility("F002").await);
    let ct = |uid: &str| -> Instance { instance(uid).with("Modality", "CT") };
    let sr = |uid: &str| {
        instance(uid)
            .series("1.2")
            .class(Class::Sr)
            .with("Modality", "SR")
    };
    world
        .store(
            &f,
            &[
                pack("1", vec![ct("1"), ct("2"), sr("3")]),
                pack("2", vec![sr("4")]),
            ],
        )
        .await;
    world
        .store(
            &other,
            &[pack("1", vec![ct("1"), ct("2"), sr("3"), sr("5")])],
        )
        .await;
    let check = async |access: &Access, expected: &[[&str; 4]]| {
        let rows = world
            .index
            .catalog(access)
            .search(&query(Level::Study), None)
            .await
            .unwrap()
            .rows;
        let shown: Vec<Vec<String>> = rows
            .iter()
            .map(|found| {
                let of = |keyword| found.attributes.text(tag(keyword)).unwrap().to_owned();
                let mut shown = vec![found.study.to_string()];
                shown.extend(
                    [
                        "NumberOfStudyRelatedSeries",
                        "NumberOfStudyRelatedInstances",
                        "ModalitiesInStudy",
                    ]
                    .map(of),
                );
                shown
            })
            .collect();
        assert_eq!(shown, expected);
        assert_eq!(access.take_trail().len(), expected.len());
    };
    check(
        &access(&f, ALL),
        &[["1", "2", "3", "CT\\SR"], ["2", "1", "1", "SR"]],
    )
    .await;
    check(&access(&f, &[Scope::DicomRead]), &[["1", "1", "2", "CT"]]).await;
    check(
        &access(&other, &[Scope::ReportRead]),
        &[["1", "1", "2", "SR"]],
    )
    .await;
    check(&access(&f, &[]), &[]).await;
    let images = access(&f, &[Scope::DicomRead]);
    for (level, expected) in [(Level::Series, 1), (Level::Instance, 2)] {
        let found = world
            .index
            .catalog(&images)
            .search(&query(level), None)
            .await
            .unwrap();
        assert_eq!(found.rows.len(), expected, "{level:?}");
        assert_eq!(found.total, Some(u64::try_from(expected).unwrap()));
    }
    let sr_only = with(Level::Study, "ModalitiesInStudy", one_of(&["SR"]));
    let found = world
        .index
        .catalog(&images)
        .search(&sr_only, None)
        .await
        .unwrap();
    assert!(
        found.rows.is_empty(),
        "what is not read is not matched either"
    );
}

#[tokio::test]
async fn q112_a_search_in_what_is_not_visible_is_refused() {
    let (world, f) = studies(&[&[]]).await;
    let stranger = world.facility("F002").await;
    let mut bounded = with(Level::Series, "Modality", one_of(&["CT"]));
    bounded.study = Some(StudyUid::parse("1").unwrap());
    assert!(search(&world, &f, &bounded).await.rows.is_empty());
    let access = access(&stranger, ALL);
    let refused = world
        .index
        .catalog(&access)
        .search(&bounded, None)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
    bounded.level = Level::Instance;
    bounded.series = Some(SeriesUid::parse("9").unwrap());
    let own = super::world::access(&f, ALL);
    let refused = world
        .index
        .catalog(&own)
        .search(&bounded, None)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
}

#[tokio::test]
async fn q69_a_result_is_as_available_as_the_worst_of_its_visible_instances() {
    let (world, f) = studies(&[&[("Modality", "CT")], &[("Modality", "CT")]]).await;
    let report = instance("1.9.1").series("1.9").class(Class::Report);
    world.store(&f, &[pack("1", vec![report])]).await;
    let shown = async |access: &Access, level: Level| {
        let mut wanted = query(level);
        wanted.fields.tags = vec![tag("InstanceAvailability")];
        let page = world.index.catalog(access).search(&wanted, None).await;
        let rows = page.unwrap().rows;
        let mut shown: Vec<(String, String)> = rows
            .iter()
            .map(|row| {
                let uid = match (&row.instance, &row.series) {
                    (Some(instance), _) => instance.to_string(),
                    (None, Some(series)) => series.to_string(),
                    (None, None) => row.study.to_string(),
                };
                let how = row.attributes.text(tag("InstanceAvailability"));
                (uid, how.unwrap_or_default().to_owned())
            })
            .collect();
        shown.sort();
        shown
    };
    let (all, images) = (access(&f, ALL), access(&f, &[Scope::DicomRead]));
    let missing = "UPDATE pack_copy SET missing_since = 5 WHERE pack_id IN \
        (SELECT pack_id FROM instance WHERE sop_instance_uid = '1.9.1')";
    for level in [Level::Study, Level::Series, Level::Instance] {
        assert!(
            shown(&all, level)
                .await
                .iter()
                .all(|(_, how)| how == "ONLINE")
        );
    }
    world
        .index
        .writer
        .execute_unprepared(missing)
        .await
        .unwrap();
    let bad = |shown: &[(String, String)]| {
        let bad = shown.iter().filter(|(_, how)| how == "UNAVAILABLE");
        bad.map(|(uid, _)| uid.clone()).collect::<Vec<_>>()
    };
    assert_eq!(bad(&shown(&all, Level::Study).await), ["1"]);
    assert_eq!(bad(&shown(&all, Level::Series).await), ["1.9"]);
    assert_eq!(bad(&shown(&all, Level::Instance).await), ["1.9.1"]);
    for level in [Level::Study, Level::Series, Level::Instance] {
        assert!(bad(&shown(&images, level).await).is_empty(), "{level:?}");
    }
}
