//! Searching an archive of many studies of 34 facilities, over HTTP, on both databases.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kura::auth::Access;
use kura::auth::access::Duty;
use kura::dicom::query::Query;
use kura::index::Index;
use kura::model::{Clock, FacilityCode, Level};
use tempfile::TempDir;

use crate::fill::{Dialect, Of};
use crate::harness::Server;
use crate::made;
use crate::{ms, percentile};

/// Facilities of the archive (product.md).
const FACILITIES: u32 = 34;
/// Requests of each kind, after a tenth as many that warm the caches.
const SAMPLES: usize = 200;

/// What is asked for, below `/studies`.
const QUERIES: &[(&str, &str)] = &[
    ("exact PatientID", "PatientID=P00001210"),
    ("page of 50, newest first", "limit=50"),
    ("exact accession number", "AccessionNumber=ACC00000006"),
    (
        "study UID",
        "StudyInstanceUID=1.2.392.200036.9116.2.6.1.48.1214245753.74",
    ),
    ("name prefix", "limit=50&PatientName=YAMAMOTO*"),
    (
        "kana prefix",
        "limit=50&PatientName=%E3%83%A4%E3%83%9E%E3%83%A2%E3%83%88*",
    ),
    (
        "two kanji inside a name",
        "limit=50&PatientName=*%E5%B1%B1%E6%9C%AC*",
    ),
    (
        "one kanji inside a name, many hits",
        "limit=50&PatientName=*%E5%B1%B1*",
    ),
    ("inside a name, no hit", "limit=50&PatientName=*XQZ*"),
    ("fuzzy", "limit=50&fuzzymatching=true&PatientName=yama+taka"),
    ("inside a number", "limit=50&PatientID=*0121*"),
    ("one month", "limit=50&StudyDate=20200301-20200331"),
    (
        "modality and one month",
        "limit=50&ModalitiesInStudy=MR&StudyDate=20200301-20200331",
    ),
    ("ordered by name", "limit=50&orderby=PatientName"),
    ("page at offset 10,000", "limit=50&offset=10000"),
];

/// Measures what the words ask for; whether the page is within its budget (sharing.md 14).
pub(crate) async fn run(words: &[&str]) -> bool {
    let studies = words
        .iter()
        .find_map(|word| word.parse().ok())
        .unwrap_or(100_000);
    let data = Arc::new(tempfile::tempdir().expect("a folder can be made"));
    if let Some(url) = words.iter().find(|word| word.starts_with("postgres")) {
        return measure("PostgreSQL", Dialect::Postgres, url, &data, studies, 40.0).await;
    }
    let file = data.path().join("kura.db");
    let url = format!("sqlite://{}?mode=rwc", file.display());
    measure("SQLite", Dialect::Sqlite, &url, &data, studies, 80.0).await
}

/// Fills a database, asks, and prints what it took.
#[expect(clippy::print_stdout, reason = "a program for the command line")]
async fn measure(
    name: &str,
    dialect: Dialect,
    url: &str,
    data: &Arc<TempDir>,
    studies: u64,
    budget_ms: f64,
) -> bool {
    let migrated = kura(data, url).arg("migrate").status();
    assert!(migrated.expect("kura runs").success());
    for n in 1..=FACILITIES {
        let mut add = kura(data, url);
        add.args(["facility", "add", &format!("F{n:03}"), "--name", "Hospital"]);
        assert!(add.output().expect("kura runs").status.success());
    }
    let begun = Instant::now();
    made::make(dialect, url, studies, Of::All).await;
    println!(
        "\n## {name}, {studies} studies of {FACILITIES} facilities (made in {:.0} s)\n",
        begun.elapsed().as_secs_f64()
    );
    let server = Server::start_with(Arc::clone(data), kura(data, url));
    let mut token = kura(data, url);
    token.args([
        "token",
        "--facility",
        "F007",
        "--scope",
        "dicom.read report.read dose.read",
    ]);
    let token = token.output().expect("kura runs").stdout;
    let token = String::from_utf8(token).expect("a token").trim().to_owned();
    let live = ask(&server, "/health/live", "").await;
    println!("| what | p50 ms | p95 ms | times an exact PatientID |\n| --- | --- | --- | --- |");
    println!(
        "| empty request | {:.2} | {:.2} | |",
        ms(live.0),
        ms(live.1)
    );
    let (mut exact, mut page) = (Duration::ZERO, Duration::ZERO);
    for (at, (what, query)) in QUERIES.iter().enumerate() {
        let (median, p95) = ask(&server, &format!("/studies?{query}"), &token).await;
        if at == 0 {
            exact = median;
        }
        if *query == "limit=50" {
            page = p95;
        }
        println!(
            "| {what} | {:.2} | {:.2} | {:.1} |",
            ms(median),
            ms(p95),
            ms(median) / ms(exact)
        );
    }
    let deep = deep_page(&server, &token, 100).await;
    let (median, p95) = ask(&server, &deep, &token).await;
    println!(
        "| page 100 by cursor | {:.2} | {:.2} | {:.1} |",
        ms(median),
        ms(p95),
        ms(median) / ms(exact)
    );
    println!(
        "\nbudget of the page of 50: p95 {budget_ms} ms; it took {:.2} ms\n",
        ms(page)
    );
    println!("```\n{}\n```", plan(url, "limit=50").await);
    ms(page) <= budget_ms
}

fn kura(data: &TempDir, url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kura"));
    command
        .env("KURA_DATA", data.path())
        .env("KURA_DATABASE_URL", url);
    command
}

/// Median and 95th percentile of a request.
async fn ask(server: &Server, path: &str, token: &str) -> (Duration, Duration) {
    let mut samples = Vec::with_capacity(SAMPLES);
    for n in 0..SAMPLES + SAMPLES / 10 {
        let begun = Instant::now();
        let answer = server.get(path, token).await;
        let time = begun.elapsed();
        assert!(
            matches!(answer.status, 200 | 204),
            "{path}: {}",
            answer.text()
        );
        if n >= SAMPLES / 10 {
            samples.push(time);
        }
    }
    (percentile(&mut samples, 50), percentile(&mut samples, 95))
}

/// The address of a page that so many cursors lead to.
async fn deep_page(server: &Server, token: &str, pages: usize) -> String {
    let mut path = "/studies?limit=50".to_owned();
    for _ in 0..pages {
        let link = server.get(&path, token).await.header("link");
        let Some((_, query)) = link.split_once('?') else {
            break;
        };
        let query = query.split('>').next().unwrap_or_default();
        path = format!("/studies?{query}");
    }
    path
}

/// How the database answers a search. No row is asked for, so any right will do.
async fn plan(url: &str, query: &str) -> String {
    let index = Index::open(url, Clock::System)
        .await
        .expect("the index opens");
    let code = FacilityCode::parse("F007").expect("a code");
    let facility = index.facility_by_code(&code).await.expect("an answer");
    let access = Access::on_duty(Duty::Samples, facility.expect("it is there"));
    let query = Query::parse(Level::Study, None, None, query).expect("a query");
    index
        .catalog(&access)
        .plan(&query, None)
        .await
        .expect("a plan")
}
