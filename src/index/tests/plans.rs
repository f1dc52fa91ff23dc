//! How typical searches are answered: from an index, without a look at all that an owner has (stack.md 8).

use super::asking::{any_name, like, one_of, query, range, with};
use super::world::{ALL, World, access, instance, is_postgres, pack, row, skipped};
use crate::auth::Access;
use crate::dicom::query::{Match, NameTest, OrderBy, Query, Test};
use crate::model::{Level, StudyUid};

/// The plan of the first page of a search, or of the page behind it.
async fn plan(world: &World, access: &Access, query: &Query, deep: bool) -> String {
    let catalog = world.index.catalog(access);
    let place = if deep {
        let mut first = query.clone();
        first.limit = 1;
        catalog.search(&first, None).await.unwrap().next
    } else {
        None
    };
    assert_eq!(place.is_some(), deep, "there is a page behind");
    catalog.plan(query, place.as_ref()).await.unwrap()
}

fn ordered(keyword: &str, descending: bool) -> Query {
    let mut query = query(Level::Study);
    query.order.push(OrderBy {
        row: row(keyword),
        descending,
    });
    query
}

fn studies_with(keyword: &str, test: Test) -> Query {
    with(Level::Study, keyword, test)
}

fn fuzzy(tokens: &[&str]) -> Test {
    let tokens = tokens.iter().map(|&token| token.to_owned());
    Test::Name(NameTest::Fuzzy(tokens.collect()))
}

/// Typical searches: what they are, whether they walk an order that an index has, what they have to be led by.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn typical() -> Vec<(&'static str, Query, bool, &'static str)> {
    let uid = || one_of(&["1.2.3"]);
    let days = || range(Some("20240101"), Some("20240131"));
    let mut modality = studies_with("ModalitiesInStudy", one_of(&["CT"]));
    modality.matches.push(Match {
        row: row("StudyDate"),
        test: days(),
    });
    let mut bounded = query(Level::Instance);
    bounded.study = StudyUid::parse("1").ok();
    vec![
        ("newest", query(Level::Study), true, "study_newest"),
        (
            "UID",
            studies_with("StudyInstanceUID", uid()),
            false,
            "study_instance_uid=?",
        ),
        (
            "PatientID",
            studies_with("PatientID", one_of(&["P1"])),
            false,
            "study_by_patient (owner_facility_id=? AND patient_id_key=?",
        ),
        (
            "PatientID prefix",
            studies_with("PatientID", like(&["P1*"])),
            false,
            "study_by_patient",
        ),
        (
            "PatientID inside",
            studies_with("PatientID", like(&["*12*"])),
            false,
            "study_by_patient",
        ),
        (
            "accession",
            studies_with("AccessionNumber", one_of(&["A"])),
            false,
            "study_by_accession",
        ),
        (
            "name",
            studies_with("PatientName", any_name("DOE^JOHN")),
            false,
            "study_by_name_key",
        ),
        (
            "name prefix",
            studies_with("PatientName", any_name("YAMA*")),
            false,
            "study_by_name_key",
        ),
        (
            "kana prefix",
            studies_with("PatientName", any_name("ヤマ*")),
            false,
            "study_by_name_key",
        ),
        (
            "name inside",
            studies_with("PatientName", any_name("*山田*")),
            false,
            "study_by_name_key",
        ),
        (
            "one kanji",
            studies_with("PatientName", any_name("*田*")),
            false,
            "study_by_name_key",
        ),
        (
            "fuzzy",
            studies_with("PatientName", fuzzy(&["TA", "YAMA"])),
            false,
            "study_by_name_key",
        ),
        (
            "days",
            studies_with("StudyDate", days()),
            true,
            "study_newest",
        ),
        ("modality and days", modality, true, "study_newest"),
        (
            "by name",
            ordered("PatientName", false),
            true,
            "study_by_name",
        ),
        (
            "by number",
            ordered("PatientID", true),
            true,
            "study_by_patient",
        ),
        (
            "by accession",
            ordered("AccessionNumber", false),
            true,
            "study_by_accession",
        ),
        ("oldest", ordered("StudyDate", false), true, "study_newest"),
        (
            "instance",
            with(Level::Instance, "SOPInstanceUID", uid()),
            false,
            "instance_uid",
        ),
        (
            "series anywhere",
            query(Level::Series),
            true,
            "study_newest",
        ),
        (
            "instances of a study",
            bounded,
            false,
            "study_instance_uid=?",
        ),
    ]
}

#[tokio::test]
async fn typical_searches_are_answered_from_indexes() {
    if is_postgres() {
        skipped(
            "plans of SQLite, which are the same for three rows; PostgreSQL's follow what it has counted",
        );
        return;
    }
    let world = World::new().await;
    let f = world.facility("F001").await;
    let packs: Vec<_> = (1..=3)
        .map(|n| {
            let new = instance(&format!("{n}.1.1"))
                .series(&format!("{n}.1"))
                .with("PatientName", "Yamada^Tarou=山田^太郎=やまだ^たろう")
                .with("PatientID", &format!("P12{n}"))
                .with("AccessionNumber", &format!("A{n}"))
                .with("StudyDate", "20240115")
                .with("Modality", "CT");
            pack(&n.to_string(), vec![new])
        })
        .collect();
    world.store(&f, &packs).await;
    let access = access(&f, ALL);
    for (what, query, walks, led_by) in typical() {
        let plan = plan(&world, &access, &query, false).await;
        assert!(plan.contains(led_by), "{what}:\n{plan}");
        check(what, &plan, walks);
    }
    for (what, query, walks, led_by) in typical().into_iter().filter(|it| it.2) {
        let plan = plan(&world, &access, &query, true).await;
        assert!(plan.contains(led_by), "behind a page, {what}:\n{plan}");
        let bound = plan.contains("study_date<?") || plan.contains("study_date>?");
        let by_column = !query.order.is_empty() && (plan.contains(">?") || plan.contains("<?"));
        assert!(bound || by_column, "behind a page, {what}:\n{plan}");
        check(what, &plan, walks);
    }
}

#[track_caller]
fn check(what: &str, plan: &str, walks: bool) {
    for line in plan.lines() {
        assert!(
            !line.starts_with("SCAN s"),
            "{what} reads all studies:\n{plan}"
        );
        assert!(
            !line.contains("series_by_modality"),
            "{what} reads all series:\n{plan}"
        );
        // What is equal by the first column may be sorted by the rest.
        let sorts = line.contains("TEMP B-TREE FOR ORDER BY");
        assert!(!(walks && sorts), "{what} sorts a list:\n{plan}");
    }
}
