//! Each kind of condition.

use super::asking::{any_name, check, like, one_of, query, range, search, studies};
use super::world::{CT_IMAGE, tag};
use crate::dicom::query::{NameTest, Test};
use crate::model::Level;

#[tokio::test]
async fn q22_text_is_matched_whatever_the_case() {
    let world = studies(&[
        &[
            ("PatientID", "ab-1"),
            ("StudyDescription", "Müller 50%_\\x"),
        ],
        &[("PatientID", "AB-12"), ("StudyDescription", "50 percent")],
        &[],
    ]);
    let cases = [
        ("PatientID", one_of(&["AB-1"]), &["1"][..]),
        ("PatientID", like(&["Ab-1*"]), &["1", "2"]),
        ("PatientID", like(&["*-1?"]), &["2"]),
        ("PatientID", like(&["*x*", "ab-12"]), &["2"]),
        ("StudyDescription", like(&["MÜLLER*"]), &["1"]),
        ("StudyDescription", like(&["MULLER*"]), &[]),
        ("StudyDescription", like(&["*50%_\\*"]), &["1"]),
        ("StudyDescription", like(&["*50%*"]), &["1"]),
    ];
    check(&world.await, Level::Study, &cases).await;
}

#[tokio::test]
async fn q24_q25_ranges_are_closed_and_leave_out_what_has_no_value() {
    let made = studies(&[
        &[("StudyDate", "20240131"), ("StudyTime", "10")],
        &[("StudyDate", "2024.02.01"), ("StudyTime", "10:30:15.5")],
        &[("StudyDate", "garbage"), ("StudyTime", "noon")],
        &[],
    ]);
    let (world, f) = made.await;
    let half_past_ten = range(Some("103000.000000"), Some("103059.999999"));
    let cases = [
        (
            "StudyDate",
            range(Some("20240131"), Some("20240131")),
            &["1"][..],
        ),
        (
            "StudyDate",
            range(Some("20240131"), Some("20240201")),
            &["2", "1"],
        ),
        ("StudyDate", range(None, Some("20240131")), &["1"]),
        ("StudyDate", range(Some("20240201"), None), &["2"]),
        ("StudyDate", range(None, None), &["2", "1"]),
        ("StudyDate", one_of(&["20240131", "20240202"]), &["1"]),
        ("StudyTime", half_past_ten, &["2"]),
        ("StudyTime", range(None, Some("100000.000000")), &["1"]),
    ];
    let made = (world, f);
    check(&made, Level::Study, &cases).await;
    // The time is shown as it came.
    let all = search(&made.0, &made.1, &query(Level::Study)).await.rows;
    let times = all
        .iter()
        .map(|found| found.attributes.text(tag("StudyTime")).unwrap());
    assert_eq!(times.collect::<Vec<_>>(), ["10:30:15.5", "10", "", ""]);
}

#[tokio::test]
async fn q50_to_q56_names_are_matched_group_by_group() {
    let world = studies(&[
        &[("PatientName", "Yamada^Tarou=山田^太郎=やまだ^たろう")],
        &[
            ("PatientName", "Doe^John^^^"),
            ("ReferringPhysicianName", "House^Gregory"),
        ],
        &[("PatientName", "YAMADERA")],
        &[],
    ]);
    let groups = |patterns: [Option<&str>; 3]| {
        Test::Name(NameTest::Groups(patterns.map(|p| p.map(str::to_owned))))
    };
    let fuzzy = |tokens: &[&str]| {
        Test::Name(NameTest::Fuzzy(
            tokens.iter().map(|&token| token.to_owned()).collect(),
        ))
    };
    let cases = [
        ("PatientName", any_name("YAMAD*"), &["1", "3"][..]),
        ("PatientName", any_name("山田*"), &["1"]),
        ("PatientName", any_name("ヤマダ^タロウ"), &["1"]),
        ("PatientName", any_name("DOE^JOHN"), &["2"]),
        ("PatientName", any_name("DOE"), &[]),
        ("PatientName", any_name("*JOHN*"), &["2"]),
        ("PatientName", groups([None, Some("山田*"), None]), &["1"]),
        (
            "PatientName",
            groups([Some("DOE*"), Some("山田*"), None]),
            &[],
        ),
        ("PatientName", fuzzy(&["JO", "DO"]), &["2"]),
        ("PatientName", fuzzy(&["OHN"]), &[]),
        ("ReferringPhysicianName", any_name("HOUSE*"), &["2"]),
    ];
    check(&world.await, Level::Study, &cases).await;
}

#[tokio::test]
async fn q21_q29_q34_codes_numbers_and_lists() {
    let first = [
        ("Modality", "ct"),
        ("SeriesNumber", "007"),
        ("ImageType", "ORIGINAL\\PRIMARY\\LOCALIZER"),
    ];
    let second = [
        ("Modality", "MR"),
        ("ImageType", "DERIVED\\PRIMARY"),
        ("PerformingPhysicianName", "A^B\\C^D"),
    ];
    let world = studies(&[&first, &second]).await;
    let cases = [
        ("ModalitiesInStudy", one_of(&["CT"]), &["1"][..]),
        ("ModalitiesInStudy", like(&["?R"]), &["2"]),
        ("ModalitiesInStudy", one_of(&["PT"]), &[]),
        ("SOPClassesInStudy", one_of(&[CT_IMAGE]), &["1", "2"]),
        ("SOPClassesInStudy", one_of(&["1.2.840"]), &[]),
        (
            "NumberOfStudyRelatedInstances",
            Test::Numbers(vec![1]),
            &["1", "2"],
        ),
        ("NumberOfStudyRelatedInstances", Test::Numbers(vec![2]), &[]),
        ("StudyInstanceUID", one_of(&["2", "9"]), &["2"]),
        ("Modality", one_of(&["CT"]), &[]),
    ];
    check(&world, Level::Study, &cases).await;
    let cases = [
        ("Modality", one_of(&["CT", "PT"]), &["1.1"][..]),
        ("SeriesNumber", Test::Numbers(vec![7]), &["1.1"]),
        ("PerformingPhysicianName", any_name("C^*"), &["2.1"]),
        ("PerformingPhysicianName", any_name("B*"), &[]),
        (
            "NumberOfSeriesRelatedInstances",
            Test::Numbers(vec![1]),
            &["1.1", "2.1"],
        ),
    ];
    check(&world, Level::Series, &cases).await;
    let cases = [
        ("ImageType", one_of(&["localizer"]), &["1.1.1"][..]),
        ("ImageType", like(&["PRIM*"]), &["1.1.1", "2.1.1"]),
        ("ImageType", one_of(&["PRIM"]), &[]),
        ("SOPInstanceUID", one_of(&["2.1.1"]), &["2.1.1"]),
        ("PatientID", one_of(&["x"]), &[]),
    ];
    check(&world, Level::Instance, &cases).await;
}
