//! QIDO-RS over the wire, second half: orders, cursors, the parameters that change what a value means (dicomweb.md 4.2, 4.7,
//! 4.8).

use serde_json::Value;

use crate::harness::{Answer, Server, instance};

fn uids(answer: &Answer) -> Vec<String> {
    match answer.status {
        204 => Vec::new(),
        200 => (answer.json().as_array().unwrap().iter())
            .map(|row| row["0020000D"]["Value"][0].as_str().unwrap().to_owned())
            .collect(),
        status => panic!("{status}: {}", answer.text()),
    }
}

/// Seven studies; the last has nothing that can be left out.
async fn filled() -> (Server, String) {
    let server = Server::start();
    let token = server.reader("F001");
    let study = |n: u32, date: &str, name: &str, id: &str, zone: &str| {
        instance(&format!("1.{n}"))
            .text(0x0008_0020, "DA", date)
            .text(0x0008_0030, "TM", "233000")
            .text(0x0008_0201, "SH", zone)
            .text(0x0010_0010, "PN", name)
            .text(0x0010_0020, "LO", id)
            .modality("CT")
            .file()
    };
    let mut files = vec![
        study(1, "20240101", "Doe^John", "B1", "+0000"),
        study(
            2,
            "20240102",
            "Yamada^Hanako=山田^花子=やまだ^はなこ",
            "A2",
            "+0900",
        ),
        study(3, "20240103", "Ueda^Taro=上田^太郎=うえだ^たろう", "C3", ""),
        study(4, "20240104", "Doe^Jane", "A4", ""),
        study(5, "20240105", "", "D5", ""),
        study(6, "20240106", "Smith^Amy", "A6", ""),
        study(7, "", "Abe", "E7", ""),
    ];
    files.push(
        instance("1.1")
            .uids("1.1.1", "1.1.1.2", "1.1.1.2.1")
            .modality("PT")
            .file(),
    );
    server.stored(&token, &files).await;
    (server, token)
}

async fn found(server: &Server, token: &str, query: &str) -> Vec<String> {
    uids(&server.get(&format!("/studies?{query}"), token).await)
}

/// The path of the next page.
fn next(answer: &Answer, server: &Server) -> Option<String> {
    let link = answer.header("link");
    let url = link.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
    Some(
        url.strip_prefix(&server.base)
            .expect("an address of ours")
            .to_owned(),
    )
}

/// Follows the links from a path on.
async fn followed(server: &Server, token: &str, path: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut path = path.to_owned();
    loop {
        let page = server.get(&path, token).await;
        all.extend(uids(&page));
        match next(&page, server) {
            Some(there) => path = there,
            None => return all,
        }
    }
}

#[tokio::test]
async fn q91_orderby_orders_by_any_indexed_attribute() {
    let (server, token) = filled().await;
    let cases: &[(&str, [&str; 7])] = &[
        (
            "PatientID",
            [
                "1.2.1", "1.4.1", "1.6.1", "1.1.1", "1.3.1", "1.5.1", "1.7.1",
            ],
        ),
        (
            "-PatientID",
            [
                "1.7.1", "1.5.1", "1.3.1", "1.1.1", "1.6.1", "1.4.1", "1.2.1",
            ],
        ),
        (
            "PatientName",
            [
                "1.7.1", "1.4.1", "1.1.1", "1.6.1", "1.3.1", "1.2.1", "1.5.1",
            ],
        ),
        (
            "StudyDate",
            [
                "1.1.1", "1.2.1", "1.3.1", "1.4.1", "1.5.1", "1.6.1", "1.7.1",
            ],
        ),
        (
            "-NumberOfStudyRelatedSeries,PatientID",
            [
                "1.1.1", "1.2.1", "1.4.1", "1.6.1", "1.3.1", "1.5.1", "1.7.1",
            ],
        ),
    ];
    for (order, expected) in cases {
        let query = format!("orderby={order}");
        assert_eq!(found(&server, &token, &query).await, *expected, "{order}");
        let path = format!("/studies?{query}&limit=2");
        assert_eq!(followed(&server, &token, &path).await, *expected, "{order}");
    }
    let unknown = server.get("/studies?orderby=Nonsense", &token).await;
    assert_eq!(uids(&unknown).len(), 7);
    assert!(unknown.header("warning").contains("Nonsense"));
}

#[tokio::test]
async fn q98_cursors_lead_from_page_to_page() {
    let (server, token) = filled().await;
    let whole = found(&server, &token, "").await;
    for limit in 1..=7 {
        let path = format!("/studies?limit={limit}");
        assert_eq!(followed(&server, &token, &path).await, whole, "{limit}");
    }
    let named = "/studies?limit=1&PatientName=*%E7%94%B0*&includefield=00081030%2C00080060";
    assert_eq!(followed(&server, &token, named).await, ["1.3.1", "1.2.1"]);
    let instances = server.get("/instances?limit=3", &token).await;
    let rest = next(&instances, &server).unwrap();
    assert!(
        rest.starts_with("/dicomweb/instances?limit=3&cursor="),
        "{rest}"
    );
    assert_eq!(
        server
            .get(&rest, &token)
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        3
    );
    // What is stored meanwhile moves no page.
    let first = server.get("/studies?limit=3", &token).await;
    let newer = instance("1.9").text(0x0008_0020, "DA", "20250101").file();
    server.stored(&token, &[newer]).await;
    let second = server.get(&next(&first, &server).unwrap(), &token).await;
    assert_eq!(uids(&second), whole[3..6]);
    assert_eq!(
        second.header("x-total-count"),
        "",
        "what lies before is not counted"
    );
}

#[tokio::test]
async fn q98_a_cursor_that_was_not_given_out_is_refused_and_shows_nothing_more() {
    let (server, token) = filled().await;
    let page = server.get("/studies?limit=2", &token).await;
    let path = next(&page, &server).unwrap();
    let cursor = path.split("cursor=").nth(1).unwrap();
    assert!(
        !path.contains("2024") && !cursor.contains("Doe"),
        "it tells nothing"
    );
    let mut forged: Vec<String> = ["x", "", "AAAA", "%00", "Whole", "{}"]
        .map(str::to_owned)
        .into();
    for at in [0, 20, cursor.len() - 2] {
        let other = if cursor.as_bytes()[at] == b'A' {
            'B'
        } else {
            'A'
        };
        forged.push(format!("{}{other}{}", &cursor[..at], &cursor[at + 1..]));
    }
    for cursor in &forged {
        let answer = server
            .get(&format!("/studies?limit=2&cursor={cursor}"), &token)
            .await;
        assert_eq!(answer.status, 400, "{cursor}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    // Another search, another resource, another facility: 400 as well.
    for other in [
        "/studies?PatientID=A2&",
        "/studies?orderby=PatientID&",
        "/series?",
    ] {
        let answer = server.get(&format!("{other}cursor={cursor}"), &token).await;
        assert_eq!(answer.status, 400, "{other}");
    }
    let stranger = server.reader("F002");
    assert_eq!(server.get(&path, &stranger).await.status, 400);
    let both = server
        .get(&format!("/studies?offset=1&cursor={cursor}"), &token)
        .await;
    assert_eq!(both.status, 400);
}

#[tokio::test]
async fn q28_dates_and_times_of_a_zone() {
    let (server, token) = filled().await;
    let day = |zone: &str| format!("StudyDate=20240102&TimezoneOffsetFromUTC={zone}");
    // 23:30 in UTC is 08:30 of the next day in Tokyo.
    assert_eq!(
        found(&server, &token, &day("+0900")).await,
        ["1.2.1", "1.1.1"]
    );
    assert_eq!(found(&server, &token, &day("+0000")).await, ["1.2.1"]);
    assert_eq!(found(&server, &token, &day("")).await, ["1.2.1"]);
    let answer = server
        .get(&format!("/studies?{}", day("Tokyo")), &token)
        .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn q33_q42_values_that_cannot_be_matched_are_ignored_and_named() {
    let (server, token) = filled().await;
    let query = "PixelData=x&00230010=Acme&00231002=1&PatientID=A2";
    let answer = server.get(&format!("/studies?{query}"), &token).await;
    assert_eq!(uids(&answer), ["1.2.1"]);
    let warnings: Vec<&str> = (answer.headers.get_all("warning").iter())
        .map(|text| text.to_str().unwrap())
        .collect();
    let all = warnings.join("|");
    for name in ["PixelData", "00230010", "00231002"] {
        assert!(all.contains(name), "{all}");
    }
}

#[tokio::test]
async fn q35_q36_what_has_no_value_matches_nothing_or_is_asked_for() {
    let (server, token) = filled().await;
    let all = |query: &'static str| found(&server, &token, query);
    assert_eq!(all("PatientName=*").await.len(), 7);
    assert_eq!(all("PatientName=?*").await.len(), 6);
    assert_eq!(
        all("emptyvaluematching=true&PatientName=%22%22").await,
        ["1.5.1"]
    );
    assert_eq!(
        all("emptyvaluematching=true&StudyDate=%22%22").await,
        ["1.7.1"]
    );
    assert!(
        all("PatientID=%22%22").await.is_empty(),
        "two quotes are literal without the flag"
    );
}

#[tokio::test]
async fn q40_q41_all_modalities_or_any() {
    let (server, token) = filled().await;
    let all = |query: &'static str| found(&server, &token, query);
    assert_eq!(all("ModalitiesInStudy=CT,PT").await.len(), 7);
    assert_eq!(all("ModalitiesInStudy=P*").await, ["1.1.1"]);
    assert_eq!(
        all("multiplevaluematching=true&ModalitiesInStudy=CT,PT").await,
        ["1.1.1"]
    );
    assert_eq!(
        all("multiplevaluematching=true&ModalitiesInStudy=CT%5CMR")
            .await
            .len(),
        0
    );
    let wild = server
        .get(
            "/studies?multiplevaluematching=true&ModalitiesInStudy=C*",
            &token,
        )
        .await;
    assert_eq!(wild.status, 400);
}

#[tokio::test]
async fn q56_q57_fuzzy_names_in_any_order_and_script() {
    let (server, token) = filled().await;
    for (query, expected) in [
        ("jo+do", vec!["1.1.1"]),
        ("John,Doe", vec!["1.1.1"]),
        ("ohn", vec![]),
        ("%E8%8A%B1+%E5%B1%B1", vec!["1.2.1"]),
        ("%E3%81%86%E3%81%88", vec!["1.3.1"]),
    ] {
        let query = format!("fuzzymatching=true&PatientName={query}");
        assert_eq!(found(&server, &token, &query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn q74_q86_text_is_utf8_and_defaults_can_be_left_out() {
    let (server, token) = filled().await;
    let answer = server
        .get("/studies?PatientID=A2&includedefaults=false", &token)
        .await;
    let rows = answer.json();
    let row = rows[0].as_object().unwrap();
    let mut keys: Vec<&String> = row.keys().collect();
    keys.retain(|key| !["00080005", "00081190"].contains(&key.as_str()));
    assert_eq!(keys, ["00100020", "0020000D"]);
    let answer = server.get("/studies?PatientID=A2", &token).await;
    assert!(
        String::from_utf8(answer.body.clone())
            .unwrap()
            .contains("山田^花子")
    );
    assert_eq!(answer.json()[0]["00080005"]["Value"][0], "ISO_IR 192");
}

#[tokio::test]
async fn q61_a_study_without_a_modality_has_no_empty_list_of_them() {
    let server = Server::start();
    let token = server.reader("F001");
    server
        .stored(&token, &[instance("1.1").modality("").file()])
        .await;
    let rows = server.get("/studies", &token).await.json();
    assert_eq!(
        rows[0]["00080061"],
        Value::Null,
        "OHIF stops at one without a value"
    );
}

#[tokio::test]
async fn q111_an_empty_list_for_clients_that_want_one() {
    let (server, token) = filled().await;
    let none = server
        .get("/studies?PatientID=nobody&empty=200", &token)
        .await;
    assert_eq!((none.status, none.text().as_str()), (200, "[]"));
    assert_eq!(none.header("content-type"), "application/dicom+json");
    let none = server
        .get("/studies?PatientID=nobody&empty=204", &token)
        .await;
    assert_eq!((none.status, none.text().as_str()), (204, ""));
    assert_eq!(server.get("/studies?empty=404", &token).await.status, 400);
}

#[tokio::test]
async fn q113_a_search_for_everything_is_paged_and_not_refused() {
    let server = Server::start();
    let token = server.reader("F001");
    let files: Vec<_> = (1..=130)
        .map(|n| instance(&format!("1.{n}")).file())
        .collect();
    server.stored(&token, &files).await;
    let page = server.get("/studies", &token).await;
    assert_eq!(uids(&page).len(), 100);
    assert!(
        page.header("warning")
            .contains("There are 30 additional results")
    );
    assert_eq!(page.header("x-total-count"), "130");
    let rest = server.get(&next(&page, &server).unwrap(), &token).await;
    assert_eq!(uids(&rest).len(), 30);
}

#[tokio::test]
async fn q27_a_range_of_dates_and_one_of_times_are_one_interval() {
    let server = Server::start();
    let token = server.reader("F001");
    let study = |n: u32, date: &str, time: &str, zone: &str| {
        instance(&format!("1.{n}"))
            .text(0x0008_0020, "DA", date)
            .text(0x0008_0030, "TM", time)
            .text(0x0040_0244, "DA", date)
            .text(0x0040_0245, "TM", time)
            .text(0x0008_0201, "SH", zone)
            .file()
    };
    let files = [
        study(1, "20240101", "2300", ""),
        study(2, "20240102", "0100", ""),
        study(3, "20240101", "2159", ""),
        study(4, "20240102", "0201", ""),
        study(5, "20240101", "", ""),
        study(6, "20240102", "0800", "+0900"),
    ];
    server.stored(&token, &files).await;
    let check = async |query: &str, expected: &[&str]| {
        let mut found = found(&server, &token, query).await;
        found.sort_unstable();
        assert_eq!(found, expected, "{query}");
    };
    check(
        "StudyDate=20240101-20240102&StudyTime=2200-0200",
        &["1.1.1", "1.2.1"],
    )
    .await;
    check("StudyDate=20240102-&StudyTime=0201-", &["1.4.1", "1.6.1"]).await;
    check(
        "StudyDate=20231231-20240102&StudyTime=2200-0000",
        &["1.1.1", "1.3.1", "1.5.1"],
    )
    .await;
    // A single time stays a condition of its own.
    check("StudyDate=20240101-20240102&StudyTime=23", &["1.1.1"]).await;
    // Q28: study 6 took place at 23:00 UTC.
    check(
        "StudyDate=20240101-20240102&StudyTime=2200-0200&TimezoneOffsetFromUTC=%2B0000",
        &["1.1.1", "1.2.1", "1.6.1"],
    )
    .await;
    let query = "PerformedProcedureStepStartDate=20240101-20240102&PerformedProcedureStepStartTime=2200-0200";
    let series = server.get(&format!("/series?{query}"), &token).await.json();
    assert_eq!(series.as_array().unwrap().len(), 2);
    let reversed = "StudyDate=20240101&StudyTime=2200-0200";
    let refused = server.get(&format!("/studies?{reversed}"), &token).await;
    assert_eq!(refused.status, 400);
}
