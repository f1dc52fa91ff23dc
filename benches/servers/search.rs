//! Searching an index of many studies, its last page, and how soon a server answers after a start.

use super::client::{Ask, Connection};
use super::report::{Aim, Row};
use super::{Bench, ct, median};

const JSON: &str = "application/dicom+json";
/// Requests of each kind, after a tenth as many that warm the caches.
const SAMPLES: usize = 100;
/// A kind that took a server longer than this, in milliseconds, is asked fewer times.
const SLOW_MS: f64 = 100.0;

/// Milliseconds of the middle one of many.
async fn median_of(connection: &mut Connection, ask: &Ask) -> f64 {
    let once = connection.ask(ask).await.whole.as_secs_f64() * 1e3;
    let samples = if once > SLOW_MS { 5 } else { SAMPLES };
    for _ in 0..samples / 10 {
        connection.ask(ask).await;
    }
    let mut times = Vec::with_capacity(samples);
    for _ in 0..samples {
        times.push(connection.ask(ask).await.whole.as_secs_f64() * 1e3);
    }
    median(times)
}

/// By UID, by patient, by date, by name.
pub(crate) async fn queries(bench: &mut Bench) {
    let middle = bench.studies / 2;
    let kinds = [
        (
            "UID",
            format!("StudyInstanceUID={}", ct::small_study(middle)),
        ),
        ("PatientID", format!("PatientID={}", ct::patient_id(middle))),
        (
            "date range",
            "StudyDate=20190301-20190307&limit=50".to_owned(),
        ),
        ("name wildcard", "PatientName=*P12*&limit=50".to_owned()),
    ];
    for (kind, query) in kinds {
        let mut times = Vec::new();
        let mut found = Vec::new();
        for server in bench.archives() {
            let mut connection = server.connect().await;
            let mut ask = server.get(&format!("/studies?{query}"), JSON);
            times.push(median_of(&mut connection, &ask).await);
            ask.keep = true;
            let body = connection.ask(&ask).await.body;
            let rows: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            found.push(rows.as_array().map_or(0, Vec::len));
        }
        let mut empty = Vec::new();
        for server in [&bench.sqlite, &bench.postgres] {
            empty.push(median_of(&mut server.connect().await, &Ask::get("/health/live", "")).await);
        }
        let names = bench.archives().map(|server| server.name);
        let figures = (0..3).map(|at| {
            (
                names[at],
                format!("p50 {:.2} ms, {} found", times[at], found[at]),
            )
        });
        let mut figures: Vec<_> = figures.collect();
        figures.push(("an empty request", format!("{:.2} ms", empty[0])));
        let mut aims = Vec::new();
        for at in 0..2 {
            aims.push(Aim::at_most(
                format!("{}: times an empty request", names[at]),
                times[at] / empty[at],
                5.0,
            ));
            aims.push(Aim::at_least(
                format!("{}: Orthanc's / kura's", names[at]),
                times[2] / times[at],
                20.0,
            ));
        }
        bench.report.add(Row {
            work: format!("search of {} studies by {kind}", bench.studies),
            figures,
            aims,
        });
    }
}

/// The last page, by offset and by cursor.
pub(crate) async fn deep(bench: &mut Bench) {
    let offset = bench.studies.saturating_sub(50);
    let mut by_offset = Vec::new();
    for server in bench.archives() {
        let ask = server.get(&format!("/studies?limit=50&offset={offset}"), JSON);
        by_offset.push(median_of(&mut server.connect().await, &ask).await);
    }
    let names = bench.archives().map(|server| server.name);
    let mut figures: Vec<_> = (0..3)
        .map(|at| (names[at], format!("by offset {:.2} ms", by_offset[at])))
        .collect();
    let mut aims = Vec::new();
    for (at, server) in [&bench.sqlite, &bench.postgres].into_iter().enumerate() {
        let mut connection = server.connect().await;
        let mut ask = server.get("/studies?limit=50", JSON);
        let first = median_of(&mut connection, &ask).await;
        let mut last = ask.clone();
        loop {
            let Some(next) = connection.ask(&ask).await.next else {
                break;
            };
            ask.path = next;
            last.path.clone_from(&ask.path);
        }
        let by_cursor = median_of(&mut connection, &last).await;
        let by_cursor_too = format!(", by cursor {by_cursor:.2} ms, first page {first:.2} ms");
        figures[at].1.push_str(&by_cursor_too);
        aims.push(Aim::at_least(
            format!("{}: by offset, Orthanc's / kura's", names[at]),
            by_offset[2] / by_offset[at],
            20.0,
        ));
        aims.push(Aim::at_most(
            format!("{}: by cursor / first page", names[at]),
            by_cursor / first,
            1.2,
        ));
    }
    bench.report.add(Row {
        work: format!("last page of {} studies", bench.studies),
        figures,
        aims,
    });
}

/// From the start of the program to the first answer to a search.
pub(crate) async fn start(bench: &mut Bench) {
    let mut times = vec![Vec::new(); 3];
    for _ in 0..bench.rounds {
        let Bench {
            sqlite,
            postgres,
            orthanc,
            ..
        } = bench;
        for (at, server) in [sqlite, postgres, orthanc].into_iter().enumerate() {
            times[at].push(server.restart().await.as_secs_f64() * 1e3);
        }
    }
    let times: Vec<f64> = times.into_iter().map(median).collect();
    let names = bench.archives().map(|server| server.name);
    let figures = (0..3)
        .map(|at| (names[at], format!("{:.0} ms", times[at])))
        .collect();
    let aims = (0..2)
        .map(|at| {
            Aim::at_most(
                format!("{}: kura's / Orthanc's", names[at]),
                times[at] / times[2],
                1.0,
            )
        })
        .collect();
    bench.report.add(Row {
        work: format!("start with {} studies", bench.studies),
        figures,
        aims,
    });
}
