//! Orders, places and what is left behind a page.

use super::asking::{any_name, one_of, query, search, studies, uids, with};
use super::world::{ALL, World, access, row};
use crate::dicom::query::{NameTest, OrderBy, Query, Test};
use crate::index::search::{More, Place};
use crate::model::{Facility, Level};

/// Attributes that order, each with whether it descends, and the studies in that order.
type Order<'a> = (&'a [(&'a str, bool)], [&'a str; 7]);

/// The UIDs of a search, page by page, each from the place that the page before gave.
async fn paged((world, f): &(World, Facility), query: &Query, limit: u32) -> Vec<String> {
    let access = access(f, ALL);
    let catalog = world.index.catalog(&access);
    let mut page = query.clone();
    page.limit = limit;
    let (mut found, mut place): (Vec<String>, Option<Place>) = (Vec::new(), None);
    loop {
        let part = catalog.search(&page, place.as_ref()).await.unwrap();
        assert!(part.rows.len() <= usize::try_from(limit).unwrap());
        found.extend(part.rows.iter().map(|found| {
            let instance = found.instance.as_ref().map(ToString::to_string);
            let series = found.series.as_ref().map(ToString::to_string);
            instance.or(series).unwrap_or(found.study.to_string())
        }));
        let Some(next) = part.next else {
            assert_eq!(part.more, More::None);
            return found;
        };
        assert_ne!(part.more, More::None);
        place = Some(Place::parse(&next.to_text()).unwrap());
    }
}

fn by(level: Level, keys: &[(&str, bool)]) -> Query {
    let mut query = query(level);
    query.order = keys
        .iter()
        .map(|&(keyword, descending)| OrderBy {
            row: row(keyword),
            descending,
        })
        .collect();
    query
}

async fn mixed() -> (World, Facility) {
    studies(&[
        &[
            ("PatientName", "Doe"),
            ("StudyDate", "20240101"),
            ("StudyTime", "10"),
            ("PatientID", "b"),
        ],
        &[
            ("PatientName", "Doe"),
            ("StudyDate", "20240301"),
            ("PatientID", "A"),
        ],
        &[("StudyDate", "20240201"), ("SeriesNumber", "4")],
        &[
            ("PatientName", "Abe"),
            ("PatientID", "c"),
            ("SeriesNumber", "2"),
        ],
        &[],
        &[
            ("PatientName", "Zoe"),
            ("StudyDate", "20240101"),
            ("SeriesNumber", "2"),
            ("Rows", "7"),
        ],
        &[
            ("PatientName", "Doe"),
            ("StudyDate", "20240101"),
            ("StudyTime", "11"),
            ("Rows", "5"),
        ],
    ])
    .await
}

#[tokio::test]
async fn q91_results_come_in_the_order_asked_for_and_what_has_no_value_last() {
    let made = mixed().await;
    let cases: &[Order<'_>] = &[
        (
            &[("PatientName", false)],
            ["4", "2", "7", "1", "6", "3", "5"],
        ),
        (
            &[("PatientName", true)],
            ["6", "2", "7", "1", "4", "3", "5"],
        ),
        (&[("StudyDate", false)], ["7", "1", "6", "3", "2", "4", "5"]),
        (
            &[("StudyDate", false), ("StudyTime", false)],
            ["1", "7", "6", "3", "2", "4", "5"],
        ),
        (
            &[("StudyDate", false), ("PatientID", false)],
            ["1", "7", "6", "3", "2", "4", "5"],
        ),
        (
            &[("PatientID", false), ("StudyDate", true)],
            ["2", "1", "4", "3", "7", "6", "5"],
        ),
        (
            &[("StudyInstanceUID", true)],
            ["7", "6", "5", "4", "3", "2", "1"],
        ),
        (
            &[("NumberOfStudyRelatedSeries", true)],
            ["2", "3", "7", "1", "6", "4", "5"],
        ),
    ];
    for (keys, expected) in cases {
        let query = by(Level::Study, keys);
        assert_eq!(uids(&made.0, &made.1, &query).await, *expected, "{keys:?}");
        for limit in [1, 2, 3, 6] {
            assert_eq!(
                paged(&made, &query, limit).await,
                *expected,
                "{keys:?} {limit}"
            );
        }
        let mut offset = query.clone();
        offset.limit = 2;
        let mut found = Vec::new();
        for at in 0..5 {
            offset.offset = at * 2;
            let page = search(&made.0, &made.1, &offset).await;
            let left = 7_u64.saturating_sub(at * 2 + 2);
            let more = if left == 0 {
                More::None
            } else {
                More::Exactly(left)
            };
            assert_eq!(page.more, more, "{keys:?} {at}");
            found.extend(page.rows.iter().map(|found| found.study.to_string()));
        }
        assert_eq!(found, *expected, "{keys:?}");
    }
    let series = by(Level::Series, &[("SeriesNumber", true)]);
    let expected = ["3.1", "6.1", "4.1", "2.1", "7.1", "1.1", "5.1"];
    assert_eq!(uids(&made.0, &made.1, &series).await, expected);
    assert_eq!(paged(&made, &series, 2).await, expected);
    let instances = by(Level::Instance, &[("Rows", false), ("StudyDate", true)]);
    let expected = [
        "7.1.1", "6.1.1", "2.1.1", "3.1.1", "1.1.1", "4.1.1", "5.1.1",
    ];
    assert_eq!(uids(&made.0, &made.1, &instances).await, expected);
    assert_eq!(paged(&made, &instances, 3).await, expected);
}

#[tokio::test]
async fn q98_q99_pages_from_place_to_place_hold_everything_once() {
    let made = mixed().await;
    for level in [Level::Study, Level::Series, Level::Instance] {
        let whole = uids(&made.0, &made.1, &query(level)).await;
        assert_eq!(whole.len(), 7);
        for limit in 1..=7 {
            assert_eq!(paged(&made, &query(level), limit).await, whole);
        }
    }
    let named = with(Level::Study, "PatientName", any_name("*O*"));
    let whole = uids(&made.0, &made.1, &named).await;
    assert_eq!(whole, ["2", "7", "1", "6"]);
    assert_eq!(paged(&made, &named, 1).await, whole);
}

#[tokio::test]
async fn q98_a_place_of_another_search_is_refused() {
    let (world, f) = mixed().await;
    let access = access(&f, ALL);
    let catalog = world.index.catalog(&access);
    let mut first = query(Level::Study);
    first.limit = 1;
    let place = catalog.search(&first, None).await.unwrap().next.unwrap();
    for other in [
        by(Level::Study, &[("PatientID", false)]),
        query(Level::Series),
    ] {
        assert!(catalog.search(&other, Some(&place)).await.is_err());
    }
    for text in ["", "{}", "[]", r#"{"part":"Whole","keys":[1,2,3]}"#] {
        let refused = match Place::parse(text) {
            Ok(place) => catalog.search(&first, Some(&place)).await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert!(refused.is_err(), "{text}");
    }
}

#[tokio::test]
async fn q35_q36_what_has_no_value_is_found_by_nothing_and_by_nothing_alone() {
    let made = studies(&[
        &[
            ("AccessionNumber", "A"),
            ("PatientName", "Doe"),
            ("StudyDate", "20240101"),
            ("Modality", "CT"),
            ("SeriesNumber", "1"),
            ("ImageType", "ORIGINAL"),
        ],
        &[("AccessionNumber", ""), ("PatientName", "")],
    ])
    .await;
    let found = async |level, keyword: &str, test: Test| {
        uids(&made.0, &made.1, &with(level, keyword, test)).await
    };
    for keyword in [
        "AccessionNumber",
        "PatientName",
        "StudyDate",
        "ModalitiesInStudy",
    ] {
        assert_eq!(
            found(Level::Study, keyword, Test::Empty).await,
            ["2"],
            "{keyword}"
        );
    }
    for keyword in ["SeriesNumber", "Modality"] {
        assert_eq!(
            found(Level::Series, keyword, Test::Empty).await,
            ["2.1"],
            "{keyword}"
        );
    }
    assert_eq!(
        found(Level::Instance, "ImageType", Test::Empty).await,
        ["2.1.1"]
    );
    assert_eq!(found(Level::Instance, "Rows", Test::Empty).await.len(), 2);
    for test in [one_of(&[""]), super::asking::like(&["?*"])] {
        let found = found(Level::Study, "AccessionNumber", test.clone()).await;
        assert!(!found.contains(&"2".to_owned()), "{test:?}");
    }
}

#[tokio::test]
async fn q28_a_query_in_a_zone_finds_what_happened_then() {
    let at = |date, time, zone| {
        [
            ("StudyDate", date),
            ("StudyTime", time),
            ("TimezoneOffsetFromUTC", zone),
        ]
    };
    let made = studies(&[
        &at("20240101", "2330", "+0000"),
        &at("20240102", "0830", "+0900"),
        &at("20240101", "1830", "-0500"),
        &at("20240102", "2330", "+0900"),
        &[("StudyDate", "20240102")],
        &[("StudyDate", "20240101"), ("StudyTime", "2330")],
        &at("20240101", "2330", "garbage"),
        &[],
    ])
    .await;
    // The first three are one moment: 08:30 of the second of January in Tokyo.
    let day = |text: &str| super::asking::range(Some(text), Some(text));
    let found = async |keyword: &str, test: Test, zone| {
        let mut query = with(Level::Study, keyword, test);
        query.zone = zone;
        let mut found = uids(&made.0, &made.1, &query).await;
        found.sort();
        found
    };
    let tokyo = Some(540);
    let second = ["1", "2", "3", "4", "5", "6", "7"];
    assert_eq!(found("StudyDate", day("20240102"), tokyo).await, second);
    assert!(found("StudyDate", day("20240101"), tokyo).await.is_empty());
    assert_eq!(
        found("StudyDate", day("20240101"), Some(0)).await,
        ["1", "2", "3", "6", "7"]
    );
    assert_eq!(
        found("StudyDate", day("20240101"), None).await,
        ["1", "3", "6", "7"]
    );
    let open = super::asking::range(Some("20240102"), None);
    assert_eq!(found("StudyDate", open, Some(0)).await, ["4", "5"]);
    let listed = one_of(&["20240102", "20230101"]);
    assert_eq!(found("StudyDate", listed, tokyo).await, second);
    let morning = super::asking::range(Some("080000.000000"), Some("090000.000000"));
    assert_eq!(
        found("StudyTime", morning, tokyo).await,
        ["1", "2", "3", "6", "7"]
    );
    let night = super::asking::range(Some("230000.000000"), Some("235959.999999"));
    assert_eq!(
        found("StudyTime", night, Some(-30)).await,
        ["1", "2", "3", "6", "7"]
    );
}

#[tokio::test]
async fn q51_q54_q56_whatever_stands_in_a_name_is_found_by_its_pieces() {
    let made = studies(&[
        &[
            ("PatientName", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
            ("PatientID", "ab-1234"),
        ],
        &[("PatientName", "Sam, Yama Jr"), ("PatientID", "9912")],
        &[("PatientName", "=田中^花子"), ("PatientID", "12")],
    ])
    .await;
    let fuzzy = |tokens: &[&str]| {
        let tokens = tokens.iter().map(|&token| token.to_owned());
        Test::Name(NameTest::Fuzzy(tokens.collect()))
    };
    let cases = [
        (any_name("*田*"), vec!["1", "3"]),
        (any_name("田*"), vec!["3"]),
        (any_name("*AMADA^T*"), vec!["1"]),
        (any_name("YAMADA^TAROU"), vec!["1"]),
        (any_name("?AMADA^TAROU"), vec!["1"]),
        (any_name("*マダ*ロ*"), vec!["1"]),
        (any_name("*AMA*"), vec!["1", "2"]),
        (any_name("*AMADA^TAROX*"), vec![]),
        (fuzzy(&["YAMA"]), vec!["1", "2"]),
        (fuzzy(&["JR", "SAM"]), vec!["2"]),
        (fuzzy(&["太", "ヤ"]), vec!["1"]),
        (fuzzy(&["AMADA"]), vec![]),
    ];
    for (test, expected) in cases {
        let query = with(Level::Study, "PatientName", test.clone());
        let mut found = uids(&made.0, &made.1, &query).await;
        found.sort();
        assert_eq!(found, expected, "{test:?}");
    }
    for (pattern, expected) in [
        ("*12*", vec!["1", "2", "3"]),
        ("*b-1*4", vec!["1"]),
        ("?2", vec!["3"]),
    ] {
        let query = with(Level::Study, "PatientID", super::asking::like(&[pattern]));
        let mut found = uids(&made.0, &made.1, &query).await;
        found.sort();
        assert_eq!(found, expected, "{pattern}");
    }
    let mut many = query(Level::Study);
    many.matches = with(Level::Study, "PatientName", any_name("*A*")).matches;
    many.limit = 1;
    assert_eq!(search(&made.0, &made.1, &many).await.more, More::Exactly(1));
}
