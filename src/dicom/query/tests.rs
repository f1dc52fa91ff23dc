//! Whole query strings, among them what viewers send (dicomweb.md 15).

use proptest::prelude::*;

use super::*;
use crate::error::{Kind, Result};

fn studies(raw_query: &str) -> Query {
    Query::parse(Level::Study, None, None, raw_query).unwrap()
}

fn instances(raw_query: &str) -> Query {
    Query::parse(Level::Instance, None, None, raw_query).unwrap()
}

/// Keywords and tests of the conditions, by tag.
fn matched(query: &Query) -> Vec<(&'static str, &Test)> {
    let matches = query.matches.iter();
    matches.map(|m| (m.row.keyword, &m.test)).collect()
}

fn refuse(raw_query: &str) {
    let outcome: Result<Query> = Query::parse(Level::Study, None, None, raw_query);
    assert_eq!(outcome.unwrap_err().kind(), Kind::Invalid, "{raw_query}");
}

#[test]
fn the_study_list_of_ohif_is_understood_without_a_warning() {
    let query = studies(
        "limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060%2C00080090%2C00100030\
         &StudyDate=19700102-20260101&PatientName=*DOE*&00100020=*123*&AccessionNumber=\
         &StudyDescription=&ModalitiesInStudy=CT&StudyInstanceUID=1.2%5C1.3",
    );
    let days = Test::Range(Some("19700102".into()), Some("20260101".into()));
    let name = Test::Name(NameTest::Any("*DOE*".into()));
    assert_eq!(
        matched(&query),
        [
            ("StudyDate", &days),
            ("ModalitiesInStudy", &Test::OneOf(vec!["CT".into()])),
            ("PatientName", &name),
            ("PatientID", &Test::Like(vec!["*123*".into()])),
            (
                "StudyInstanceUID",
                &Test::OneOf(vec!["1.2".into(), "1.3".into()])
            ),
        ]
    );
    assert_eq!((query.limit, query.offset), (101, 0));
    assert!(query.warnings.is_empty(), "{:?}", query.warnings);
}

#[test]
fn q01_a_tag_and_its_keyword_are_one_key() {
    let query = studies("0020000d=1.2&StudyInstanceUID=1.3");
    assert_eq!(
        matched(&query),
        [(
            "StudyInstanceUID",
            &Test::OneOf(vec!["1.2".into(), "1.3".into()])
        )]
    );
    refuse("PatientID=1&00100020=2");
}

#[test]
fn q03_q82_unknown_names_are_named_in_one_warning() {
    let query = studies("toto=secret&titi=1&includefield=tata&00231002=x&PatientName=DOE");
    assert_eq!(query.matches.len(), 1);
    assert_eq!(
        query.warnings,
        ["these names are unknown and were ignored: toto, titi, tata, 00231002"]
    );
}

#[test]
fn q04_known_attributes_without_an_index_are_named() {
    let query = studies("PatientAge=030Y&SeriesNumber=3&InstanceAvailability=x&scope=x");
    assert!(query.matches.is_empty());
    assert_eq!(
        query.warnings,
        [
            "these attributes are not matched here and were ignored: \
             InstanceAvailability, PatientAge, SeriesNumber",
            "these are not offered and were ignored: scope",
        ]
    );
    let path = studies("OtherPatientIDsSequence.PatientID=1&collapse=none");
    assert_eq!(
        path.warnings,
        [
            "these attributes are not matched here and were ignored: OtherPatientIDsSequence.PatientID",
            "these are not offered and were ignored: collapse"
        ]
    );
}

#[test]
fn q05_an_empty_value_filters_nothing_and_shows_the_attribute() {
    let query = studies("PatientName=&InstitutionName&PatientAge=");
    assert!(query.matches.is_empty() && query.warnings.is_empty());
    let shown = [
        Tag(0x0008, 0x0080),
        Tag(0x0010, 0x0010),
        Tag(0x0010, 0x1010),
    ];
    assert_eq!(query.fields.tags, shown);
}

#[test]
fn q06_values_that_are_not_utf8_are_refused() {
    refuse("PatientName=%FF");
    refuse("toto=%FF");
    refuse("PatientName=%");
}

#[test]
fn q07_a_plus_is_a_space() {
    let query = studies("StudyDescription=CHEST+PA");
    assert_eq!(
        matched(&query),
        [("StudyDescription", &Test::OneOf(vec!["CHEST PA".into()]))]
    );
}

#[test]
fn q10_q80_q84_includefield_repeats_and_holds_lists() {
    let query = instances(
        "includefield=00080060&includefield=StudyDescription,Rows%2CColumns&includefield=ConceptNameCodeSequence&includefield=",
    );
    let shown = [
        Tag(0x0008, 0x0060),
        Tag(0x0008, 0x1030),
        Tag(0x0028, 0x0010),
        Tag(0x0028, 0x0011),
        Tag(0x0040, 0xA043),
    ];
    assert_eq!(query.fields.tags, shown);
    assert!(!query.fields.all && query.warnings.is_empty());
}

#[test]
fn q12_nothing_after_the_question_mark_is_no_query() {
    for raw in ["", "?"] {
        let query = studies(raw);
        assert!(query.matches.is_empty() && query.warnings.is_empty());
        assert!(query.fields.tags.is_empty());
    }
}

#[test]
fn q13_a_thousand_uids_are_one_list() {
    let uids: Vec<String> = (0..1000)
        .map(|n| format!("1.2.826.0.1.3680043.8.498.{n:0>38}"))
        .collect();
    let query = instances(&format!("SOPInstanceUID={}", uids.join("%5C")));
    assert_eq!(matched(&query), [("SOPInstanceUID", &Test::OneOf(uids))]);
    refuse(&format!("StudyInstanceUID={}", "1,".repeat(5001)));
}

#[test]
fn q27_a_range_of_dates_and_one_of_times_are_one_interval() {
    let query = studies("StudyDate=20240101-20240102&StudyTime=2200-0200");
    let moment = |day: &str, time: &str| Some((day.to_owned(), time.to_owned()));
    let test = Test::Moments(
        moment("20240101", "220000.000000"),
        moment("20240102", "020059.999999"),
    );
    assert_eq!(matched(&query), [("StudyDate", &test)]);
    assert!(query.fields.tags.len() == 2 && query.warnings.is_empty());
    let single = studies("StudyDate=20240101-20240102&StudyTime=10");
    assert_eq!(matched(&single).len(), 2);
    refuse("StudyDate=20240101&StudyTime=2200-0200");
    refuse("StudyDate=20240101-20240101&StudyTime=2200-0200");
}

#[test]
fn q28_a_zone_is_an_offset_and_its_plus_stays() {
    let query = studies("TimezoneOffsetFromUTC=+0900&StudyDate=20240101");
    assert_eq!((query.zone, query.warnings.len()), (Some(540), 0));
    assert_eq!(query.fields.tags.len(), 2);
    assert_eq!(studies("00080201=-0330").zone, Some(-210));
    assert_eq!(studies("00080201=").zone, None);
    refuse("TimezoneOffsetFromUTC=Tokyo");
    refuse("TimezoneOffsetFromUTC=+0900&00080201=+0100");
    let days = "20240101,".repeat(11);
    refuse(&format!("00080201=+0900&StudyDate={days}"));
}

#[test]
fn q33_q42_what_cannot_be_matched_is_named() {
    let query = studies("PixelData=x&00230010=AcmeCompany&00231002=x");
    assert!(query.matches.is_empty());
    assert_eq!(
        query.warnings,
        [
            "these names are unknown and were ignored: 00231002, 00230010",
            "these attributes are not matched here and were ignored: PixelData",
        ]
    );
}

#[test]
fn q36_two_quotes_are_nothing_where_it_is_asked_for() {
    let nothing = studies("emptyvaluematching=true&AccessionNumber=%22%22&PatientName=%22%22");
    let tests: Vec<&Test> = nothing.matches.iter().map(|m| &m.test).collect();
    assert_eq!(tests, [&Test::Empty, &Test::Empty]);
    let literal = studies("AccessionNumber=%22%22");
    assert_eq!(literal.matches[0].test, Test::OneOf(vec!["\"\"".into()]));
    refuse("emptyvaluematching=yes");
}

#[test]
fn q40_all_values_of_a_list_where_it_is_asked_for() {
    let query = studies("multiplevaluematching=true&ModalitiesInStudy=CT,PT&StudyInstanceUID=1,2");
    let both: Vec<Test> = query.matches.iter().map(|m| m.test.clone()).collect();
    let one = |text: &str| Test::OneOf(vec![text.to_owned()]);
    let either = Test::OneOf(vec!["1".into(), "2".into()]);
    assert_eq!(both, [one("CT"), one("PT"), either]);
    let text = studies("multiplevaluematching=true&StudyDescription=CHEST,+PA%5CLUNG");
    assert_eq!(text.matches.len(), 2, "a comma is data in a text");
    refuse("multiplevaluematching=true&ModalitiesInStudy=C*");
}

#[test]
fn q59_flags_are_true_or_false() {
    let query = studies("fuzzyMatching=true&PatientName=jo+do&count=true");
    let fuzzy = Test::Name(NameTest::Fuzzy(vec!["JO".into(), "DO".into()]));
    assert_eq!(matched(&query), [("PatientName", &fuzzy)]);
    assert!(query.count);
    for raw in [
        "fuzzymatching=1",
        "fuzzymatching=",
        "fuzzymatching=TRUE",
        "count=yes",
    ] {
        refuse(raw);
    }
    refuse("fuzzymatching=true&fuzzymatching=false");
}

#[test]
fn q81_attributes_of_a_lower_level_are_not_shown() {
    let query = studies("includefield=00080060,Rows,StudyDescription");
    assert_eq!(query.fields.tags, [Tag(0x0008, 0x1030)]);
    assert!(query.warnings.is_empty());
}

#[test]
fn q83_all_next_to_other_values_is_all() {
    assert!(studies("includefield=all").fields.all);
    assert!(
        studies("includefield=PatientID&includefield=all,toto")
            .fields
            .all
    );
}

#[test]
fn q92_limit_and_offset_are_unsigned_integers() {
    for raw in [
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=1.5",
        "limit=%2B1",
        "offset=-1",
        "offset=1+",
    ] {
        refuse(raw);
    }
    refuse("limit=1&limit=1");
    assert_eq!(
        studies("offset=99999999999999999999").offset,
        i64::MAX.unsigned_abs()
    );
}

#[test]
fn q93_q94_q95_pages_have_a_default_and_a_maximum() {
    let limit = |level, raw: &str| Query::parse(level, None, None, raw).unwrap().limit;
    assert_eq!(limit(Level::Study, ""), 100);
    assert_eq!(limit(Level::Study, "limit=5001"), 5000);
    assert_eq!(limit(Level::Study, "limit=0"), 0);
    assert_eq!(limit(Level::Series, ""), 1000);
    assert_eq!(limit(Level::Series, "limit=99999999999999999999"), 5000);
    assert_eq!(limit(Level::Instance, ""), 1000);
    assert_eq!(limit(Level::Instance, "limit=50001"), 50_000);
    let study = StudyUid::parse("1.2").ok();
    let series = SeriesUid::parse("1.3").ok();
    let one = Query::parse(Level::Instance, study, series, "").unwrap();
    assert_eq!(one.limit, 50_000);
}

#[test]
fn modality_of_a_study_is_modalities_in_study() {
    let query = studies("Modality=CT&00080061=MR");
    assert_eq!(
        matched(&query),
        [
            ("ModalitiesInStudy", &Test::OneOf(vec!["CT".into()])),
            ("ModalitiesInStudy", &Test::OneOf(vec!["MR".into()])),
        ]
    );
    let relational = instances("00080060=SM&PatientID=1&00080016=1.2");
    let keys: Vec<_> = matched(&relational).into_iter().map(|m| m.0).collect();
    assert_eq!(keys, ["SOPClassUID", "Modality", "PatientID"]);
}

#[test]
fn parameters_of_the_door_are_left_to_it() {
    let query = studies("accept=application/dicom+json&charset=utf-8");
    assert!(query.matches.is_empty() && query.warnings.is_empty());
}

#[test]
fn s32_a_refusal_does_not_repeat_the_value() {
    let error = Query::parse(Level::Study, None, None, "PatientBirthDate=19330231").unwrap_err();
    assert!(!error.detail().contains("1933"), "{}", error.detail());
}

#[test]
fn q91_an_order_is_a_list_of_attributes() {
    let query = instances("orderby=-StudyDate,PatientName,00200013,-StudyDate,nonsense,PixelData");
    let order: Vec<_> = query
        .order
        .iter()
        .map(|o| (o.row.keyword, o.descending))
        .collect();
    let expected = [
        ("StudyDate", true),
        ("PatientName", false),
        ("InstanceNumber", false),
    ];
    assert_eq!(order, expected);
    assert_eq!(
        query.warnings,
        ["these order nothing here and were ignored: nonsense, PixelData"]
    );
    let lower = studies("orderby=SeriesNumber,ModalitiesInStudy");
    assert!(lower.order.is_empty() && lower.warnings.len() == 1);
    refuse("orderby=StudyDate&orderby=StudyTime");
    refuse(
        "orderby=StudyDate,StudyTime,PatientID,PatientName,StudyID,AccessionNumber,PatientSex,\
         PatientBirthDate,StudyDescription",
    );
}

#[test]
fn q98_a_cursor_belongs_to_a_search_and_not_to_a_page() {
    let identity = |raw: &str| studies(raw).identity;
    let one = identity("PatientID=1&limit=5&StudyDate=20240101");
    assert_eq!(
        one,
        identity("StudyDate=20240101&PatientID=1&count=true&cursor=x")
    );
    for other in ["PatientID=2&StudyDate=20240101", "PatientID=1"] {
        assert_ne!(one, identity(other));
    }
    assert_ne!(
        one,
        identity("PatientID=1&StudyDate=20240101&orderby=PatientID")
    );
    refuse("cursor=x&offset=5");
}

#[test]
fn q111_an_answer_without_results_has_one_of_two_statuses() {
    assert!(studies("empty=200").empty_is_list);
    assert!(!studies("empty=204").empty_is_list);
    refuse("empty=true");
}

/// Query strings that are nearly right.
fn near_queries() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("PatientName".to_owned()),
        Just("StudyDate".to_owned()),
        Just("StudyTime".to_owned()),
        Just("00200011".to_owned()),
        Just("includefield".to_owned()),
        Just("limit".to_owned()),
        Just("StudyInstanceUID".to_owned()),
        ".{0,9}",
    ];
    let value = prop_oneof!["[0-9.:*?,=^-]{0,20}", ".{0,20}", "(%[0-9A-Fa-f]{2}){0,5}"];
    prop::collection::vec((name, value), 0..5).prop_map(|pairs| {
        let pairs: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
        pairs.join("&")
    })
}

proptest! {
    #[test]
    fn any_text_is_a_query_or_is_refused(text in prop_oneof![".*", near_queries()]) {
        for level in [Level::Study, Level::Series, Level::Instance] {
            if let Ok(query) = Query::parse(level, None, None, &text) {
                let fits = |warning: &String| {
                    warning.bytes().all(|b| (b' '..=b'~').contains(&b)) && warning.len() < 1500
                };
                prop_assert!(query.warnings.iter().all(fits));
                prop_assert!(query.matches.iter().all(|found| found.row.level <= level));
            }
        }
    }
}
