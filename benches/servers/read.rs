//! Retrieving: a study, its frames one by one, the frames of one large object.

use super::client::{Ask, all};
use super::contender::Contender;
use super::report::{Aim, Row};
use super::{Bench, ct, median, store};

pub(crate) const INSTANCES: &str =
    "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
pub(crate) const FRAMES: &str =
    "multipart/related; type=\"application/octet-stream\"; transfer-syntax=*";

/// Takes what kura answers, keeps it as a file of nginx and says under which path.
async fn as_file(bench: &Bench, name: &str, mut ask: Ask) -> String {
    ask.keep = true;
    let taken = bench.sqlite.connect().await.ask(&ask).await;
    let path = bench.nginx.folder().join("files").join(name);
    std::fs::write(path, &taken.body).expect("a file can be written");
    format!("/{name}")
}

/// A whole study.
pub(crate) async fn study(bench: &mut Bench) {
    let path = format!("/studies/{}", store::study(bench.rounds - 1));
    let file = as_file(bench, "study", bench.sqlite.get(&path, INSTANCES)).await;
    let mut servers: Vec<(&Contender, Ask)> = bench
        .archives()
        .into_iter()
        .map(|server| (server, server.get(&path, INSTANCES)))
        .collect();
    servers.push((&bench.nginx, bench.nginx.get(&file, "")));
    let mut rates = vec![Vec::new(); 4];
    let mut firsts = vec![Vec::new(); 4];
    for _ in 0..=bench.rounds {
        for (at, (server, ask)) in servers.iter().enumerate() {
            let taken = server.connect().await.ask(ask).await;
            #[expect(clippy::cast_precision_loss, reason = "less than 2^52")]
            rates[at].push(taken.bytes as f64 / 1e6 / taken.whole.as_secs_f64());
            firsts[at].push(taken.first.as_secs_f64() * 1e3);
        }
    }
    let rates: Vec<f64> = rates.into_iter().map(median).collect();
    let firsts: Vec<f64> = firsts.into_iter().map(median).collect();
    let mut figures = Vec::new();
    let mut aims = Vec::new();
    for (at, (server, _)) in servers.iter().enumerate() {
        figures.push((
            server.name,
            format!("{:.0} MB/s, first byte {:.2} ms", rates[at], firsts[at]),
        ));
        if at < 2 {
            aims.push(Aim::at_least(
                format!("{}: rate / nginx's", server.name),
                rates[at] / rates[3],
                0.8,
            ));
            aims.push(Aim::at_most(
                format!("{}: first byte / nginx's", server.name),
                firsts[at] / firsts[3],
                3.0,
            ));
        }
    }
    bench.report.add(Row {
        work: "retrieve a study of 315 MB".to_owned(),
        figures,
        aims,
    });
}

/// 600 frames, one a request.
pub(crate) async fn frames(bench: &mut Bench) {
    let study = store::study(bench.rounds - 1);
    let paths: Vec<String> = (1..=ct::SLICES)
        .map(|n| format!("/studies/{study}/series/{study}.1/instances/{study}.1.{n}/frames/1"))
        .collect();
    let mut files = Vec::new();
    for (n, path) in paths.iter().enumerate() {
        files.push(as_file(bench, &format!("frame{n}"), bench.sqlite.get(path, FRAMES)).await);
    }
    let rates = frame_rates(bench, &paths, &files).await;
    add_frames(
        bench,
        "600 single frames, 8 connections".to_owned(),
        &rates,
        &[],
        Vec::new(),
    );
}

/// Frames a second of each archive and of nginx.
async fn frame_rates(bench: &Bench, paths: &[String], files: &[String]) -> Vec<f64> {
    let mut rates = vec![Vec::new(); 4];
    for _ in 0..bench.rounds {
        for (at, server) in bench
            .archives()
            .into_iter()
            .chain([&bench.nginx])
            .enumerate()
        {
            let (paths, accept) = if at == 3 {
                (files, "")
            } else {
                (paths, FRAMES)
            };
            let asks: Vec<Ask> = paths.iter().map(|path| server.get(path, accept)).collect();
            #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
            let count = asks.len() as f64;
            let (whole, _) = all(&server.address, &server.token, 8, asks).await;
            rates[at].push(count / whole.as_secs_f64());
        }
    }
    rates.into_iter().map(median).collect()
}

fn add_frames(bench: &mut Bench, work: String, rates: &[f64], firsts: &[f64], more: Vec<Aim>) {
    let mut figures = Vec::new();
    let mut aims = Vec::new();
    for (at, server) in bench
        .archives()
        .into_iter()
        .chain([&bench.nginx])
        .enumerate()
    {
        let first = firsts
            .get(at)
            .map(|ms| format!(", first {ms:.1} ms"))
            .unwrap_or_default();
        figures.push((server.name, format!("{:.0}/s{first}", rates[at])));
        if at < 2 {
            aims.push(Aim::at_least(
                format!("{}: rate / nginx's", server.name),
                rates[at] / rates[3],
                0.7,
            ));
        }
    }
    aims.extend(more);
    bench.report.add(Row {
        work,
        figures,
        aims,
    });
}

/// The frames of an object of 105 MB; the first one right after it was stored.
pub(crate) async fn enhanced(bench: &mut Bench) {
    let mut firsts = vec![Vec::new(); 3];
    let frame = |study: &str, n: usize| {
        format!("/studies/{study}/series/{study}.1/instances/{study}.1.1/frames/{n}")
    };
    let study = |round: usize| format!("1.2.826.0.1.200.{round}");
    for round in 0..bench.rounds {
        let study = study(round);
        let file = ct::enhanced(&study, &bench.pixels);
        for (at, server) in bench.archives().into_iter().enumerate() {
            let mut connection = server.connect().await;
            connection.ask(&server.store(ct::store([&file]))).await;
            let taken = connection.ask(&server.get(&frame(&study, 1), FRAMES)).await;
            firsts[at].push(taken.whole.as_secs_f64() * 1e3);
        }
    }
    let study = study(bench.rounds - 1);
    let paths: Vec<String> = (1..=ct::FRAMES).map(|n| frame(&study, n)).collect();
    let mut files = Vec::new();
    for (n, path) in paths.iter().enumerate() {
        files.push(
            as_file(
                bench,
                &format!("enhanced{n}"),
                bench.sqlite.get(path, FRAMES),
            )
            .await,
        );
    }
    let rates = frame_rates(bench, &paths, &files).await;
    let firsts: Vec<f64> = firsts.into_iter().map(median).collect();
    let names = bench.archives().map(|server| server.name);
    let aims = (0..2)
        .map(|at| {
            Aim::at_least(
                format!("{}: first, Orthanc's / kura's", names[at]),
                firsts[2] / firsts[at],
                50.0,
            )
        })
        .collect();
    add_frames(
        bench,
        "200 frames of one enhanced CT of 105 MB, 8 connections".to_owned(),
        &rates,
        &firsts,
        aims,
    );
}
