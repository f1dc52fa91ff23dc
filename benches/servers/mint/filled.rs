//! The change log and the search in an archive of a million studies, each of which changed once (A20, A21).

use std::fmt::Write as _;
use std::sync::Arc;

use tempfile::TempDir;

use crate::fill::{Dialect, Of};
use crate::harness::backing;
use crate::made;
use crate::servers::Bench;
use crate::servers::client::{Ask, Connection};
use crate::servers::contender::Contender;
use crate::servers::median;
use crate::servers::report::{Aim, Row};

/// Studies and changes; the half of them is the asking facility's.
const STUDIES: u64 = 1_000_000;
/// Requests of each kind.
const SAMPLES: usize = 50;
/// When the first change was, in seconds since 1970 (see `fill`), and how many come in one.
const FIRST: i64 = 1_700_000_000;
const A_SECOND: u64 = 1000;

/// Pages at the start, in the middle and at the end; a study by its UID.
pub(super) async fn changes_and_search(bench: &mut Bench) {
    let studies = bench.filled.unwrap_or(STUDIES);
    let (mut pages, mut searches) = (Vec::new(), Vec::new());
    let (mut page_aims, mut search_aims) = (Vec::new(), Vec::new());
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let server = of(bench, dialect, studies).await;
        let mut connection = server.connect().await;
        let (mut told, mut slowest) = (String::new(), 0.0_f64);
        for (what, at) in [
            ("start", 0),
            ("middle", studies / 2),
            ("end", studies - 3000),
        ] {
            let took = page(&mut connection, at).await;
            write!(told, "{what} {took:.1} ms; ").expect("a text");
            slowest = slowest.max(took);
        }
        let newest = Ask::get("/mint/changelog?limit=1000", "");
        let took = middle(&mut connection, &newest).await;
        write!(told, "newest of each study {took:.1} ms").expect("a text");
        pages.push((server.name, told));
        page_aims.push(Aim::at_most(
            format!("{}: A20, ms", server.name),
            slowest,
            20.0,
        ));
        let uid = format!("1.2.392.200036.9116.2.6.1.48.1214245753.{}", studies / 2);
        let ask = Ask::get(format!("/mint/studies?studyInstanceUID={uid}"), "");
        let took = middle(&mut connection, &ask).await;
        searches.push((server.name, format!("{took:.2} ms")));
        search_aims.push(Aim::at_most(format!("{}: A21, ms", server.name), took, 5.0));
    }
    bench.report.add(Row {
        work: format!("MINT: a page of 1000 of {studies} changes"),
        figures: pages,
        aims: page_aims,
    });
    bench.report.add(Row {
        work: format!("MINT: a study by its UID among {studies}"),
        figures: searches,
        aims: search_aims,
    });
}

async fn of(bench: &Bench, dialect: Dialect, studies: u64) -> Contender {
    match dialect {
        Dialect::Sqlite => {
            let data: Arc<TempDir> = Contender::fresh(None);
            let url = format!("sqlite://{}", data.path().join("kura.db").display());
            made::make(dialect, &url, studies, Of::Changes).await;
            Contender::kura(bench.sqlite.name, data, false)
        }
        Dialect::Postgres => {
            let url = bench.cluster.url(&bench.cluster.database(backing::migrate));
            let data = Contender::fresh(Some(&url));
            made::make(dialect, &url, studies, Of::Changes).await;
            Contender::kura(bench.postgres.name, data, true)
        }
    }
}

/// ms of a page of 1000 that begins after so many changes.
async fn page(connection: &mut Connection, after: u64) -> f64 {
    let seconds = i64::try_from(after / A_SECOND).expect("a day");
    let at = time::OffsetDateTime::from_unix_timestamp(FIRST + seconds).expect("a time");
    let since = format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    );
    let path = format!("/mint/changelog?consolidate=false&order=asc&limit=1000&since={since}");
    let mut ask = Ask::get(path, "");
    ask.keep = true;
    let told = connection.ask(&ask).await.body;
    let found = String::from_utf8_lossy(&told).matches("<change ").count();
    assert_eq!(found, 1000, "changes after {since}");
    middle(connection, &ask).await
}

/// The middle of some times, in ms.
async fn middle(connection: &mut Connection, ask: &Ask) -> f64 {
    let mut times = Vec::new();
    for _ in 0..SAMPLES {
        times.push(connection.ask(ask).await.whole.as_secs_f64() * 1e3);
    }
    median(times)
}
