//! Storing: a study in one request, ten instances a request over eight connections, small instances one by one.

use std::io::Write as _;
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::client::all;
use super::report::{Aim, Row};
use super::{Bench, ct, median};

/// The study that [`large`] stored in a round.
pub(crate) fn study(round: usize) -> String {
    format!("1.2.826.0.1.600.{round}")
}

/// What a server did in each round.
#[derive(Default)]
struct Did {
    rates: Vec<f64>,
    cpu_per_gb: Vec<f64>,
    peaks: Vec<f64>,
    /// Series metadata right after the store, and once more: milliseconds, bytes.
    first: Vec<f64>,
    warm: Vec<f64>,
    bytes: u64,
}

/// 600 slices in one request, then the metadata of their series.
pub(crate) async fn large(bench: &mut Bench) {
    let mut did: [Did; 3] = Default::default();
    let mut nginx = Vec::new();
    let mut limits = (Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        let study = study(round);
        let files: Vec<_> = (1..=ct::SLICES)
            .map(|n| ct::slice(&study, n, &bench.pixels))
            .collect();
        let body = ct::store(&files);
        let bytes: usize = body.1.iter().map(bytes::Bytes::len).sum();
        #[expect(clippy::cast_precision_loss, reason = "less than 2^52")]
        let megabytes = bytes as f64 / 1e6;
        limits
            .0
            .push(megabytes / append(&body.1, bench.sqlite.folder()));
        limits.1.push(megabytes / hash(&body.1));
        for (server, did) in bench.archives().into_iter().zip(&mut did) {
            let ask = server.store(body.clone());
            let mut connection = server.connect().await;
            server.forget_peak();
            let cpu = server.cpu();
            let taken = connection.ask(&ask).await;
            did.rates.push(megabytes / taken.whole.as_secs_f64());
            did.cpu_per_gb.push((server.cpu() - cpu) / megabytes * 1e3);
            did.peaks.push(server.peak_mb());
            let mut metadata = server.get(
                &format!("/studies/{study}/series/{study}.1/metadata"),
                "application/dicom+json",
            );
            metadata.gzip = true;
            let taken = connection.ask(&metadata).await;
            did.first.push(taken.whole.as_secs_f64() * 1e3);
            did.bytes = taken.bytes;
            let mut warm = Vec::new();
            for _ in 0..10 {
                warm.push(connection.ask(&metadata).await.whole.as_secs_f64() * 1e3);
            }
            did.warm.push(median(warm));
        }
        nginx.push(stored_metadata(bench, &study).await);
    }
    add_rows(
        bench,
        did,
        median(nginx),
        (median(limits.0), median(limits.1)),
    );
}

/// The same metadata as a file of nginx: milliseconds.
async fn stored_metadata(bench: &Bench, study: &str) -> f64 {
    let mut ask = bench.sqlite.get(
        &format!("/studies/{study}/series/{study}.1/metadata"),
        "application/dicom+json",
    );
    (ask.gzip, ask.keep) = (true, true);
    let taken = bench.sqlite.connect().await.ask(&ask).await;
    // nginx remembers files that it has open: each round has one of its own.
    let file = format!("metadata.{study}");
    let path = bench.nginx.folder().join("files").join(&file);
    std::fs::write(path, &taken.body).expect("a file can be written");
    let mut connection = bench.nginx.connect().await;
    let ask = bench.nginx.get(&format!("/{file}"), "");
    let mut times = Vec::new();
    for _ in 0..10 {
        times.push(connection.ask(&ask).await.whole.as_secs_f64() * 1e3);
    }
    median(times)
}

fn add_rows(bench: &mut Bench, did: [Did; 3], nginx_ms: f64, limits: (f64, f64)) {
    let mut stored = Vec::new();
    let mut metadata = Vec::new();
    let names = bench.archives().map(|server| server.name);
    let mut of = Vec::new();
    for (name, did) in names.into_iter().zip(did) {
        let (rate, cpu, peak) = (
            median(did.rates),
            median(did.cpu_per_gb),
            did.peaks.iter().copied().fold(0.0, f64::max),
        );
        let (first, warm) = (median(did.first), median(did.warm));
        stored.push((
            name,
            format!("{rate:.0} MB/s, {cpu:.1} CPU s/GB, {peak:.0} MB resident"),
        ));
        metadata.push((
            name,
            format!(
                "first {first:.1} ms, warm {warm:.1} ms, {:.1} kB",
                kilobytes(did.bytes)
            ),
        ));
        of.push((rate, cpu, peak, first, warm, did.bytes));
    }
    stored.push((
        "limit",
        format!(
            "append + fdatasync {:.0} MB/s, sha-256 {:.0} MB/s a core",
            limits.0, limits.1
        ),
    ));
    metadata.push(("nginx", format!("{nginx_ms:.1} ms")));
    let (mut store_aims, mut metadata_aims) = (Vec::new(), Vec::new());
    let orthanc = of[2];
    for (name, kura) in names.into_iter().zip(&of).take(2) {
        store_aims.push(Aim::at_least(
            format!("{name}: rate / Orthanc's"),
            kura.0 / orthanc.0,
            4.0,
        ));
        store_aims.push(Aim::at_most(
            format!("{name}: CPU / Orthanc's"),
            kura.1 / orthanc.1,
            0.2,
        ));
        store_aims.push(Aim::at_most(format!("{name}: MB resident"), kura.2, 120.0));
        metadata_aims.push(Aim::at_least(
            format!("{name}: first, Orthanc's / kura's"),
            orthanc.3 / kura.3,
            25.0,
        ));
        metadata_aims.push(Aim::at_least(
            format!("{name}: warm, Orthanc's / kura's"),
            orthanc.4 / kura.4,
            10.0,
        ));
        metadata_aims.push(Aim::at_most(
            format!("{name}: kB on the wire"),
            kilobytes(kura.5),
            30.0,
        ));
    }
    bench.report.add(Row {
        work: "store 600 slices (315 MB) in one request".to_owned(),
        figures: stored,
        aims: store_aims,
    });
    bench.report.add(Row {
        work: "metadata of a series of 600".to_owned(),
        figures: metadata,
        aims: metadata_aims,
    });
}

#[expect(clippy::cast_precision_loss, reason = "less than 2^52")]
fn kilobytes(bytes: u64) -> f64 {
    bytes as f64 / 1e3
}

/// Seconds to append all to one file and make it durable.
fn append(parts: &[bytes::Bytes], folder: &std::path::Path) -> f64 {
    let path = folder.join("limit");
    let begun = Instant::now();
    let mut file = std::fs::File::create(&path).expect("a file can be made");
    for part in parts {
        file.write_all(part).expect("there is room");
    }
    file.sync_data().expect("it is durable");
    let seconds = begun.elapsed().as_secs_f64();
    std::fs::remove_file(path).expect("it is ours");
    seconds
}

/// Seconds to hash all on one core.
fn hash(parts: &[bytes::Bytes]) -> f64 {
    let begun = Instant::now();
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    std::hint::black_box(hash.finalize());
    begun.elapsed().as_secs_f64()
}

/// Ten slices a request, eight connections.
pub(crate) async fn tens(bench: &mut Bench) {
    let mut rates: [Vec<f64>; 3] = Default::default();
    for round in 0..bench.rounds {
        let study = format!("1.2.826.0.1.610.{round}");
        let files: Vec<_> = (1..=ct::SLICES)
            .map(|n| ct::slice(&study, n, &bench.pixels))
            .collect();
        let bytes: usize = files.iter().flatten().map(bytes::Bytes::len).sum();
        for (server, rates) in bench.archives().into_iter().zip(&mut rates) {
            let asks = files
                .chunks(10)
                .map(|ten| server.store(ct::store(ten)))
                .collect();
            let (whole, _) = all(&server.address, &server.token, 8, asks).await;
            #[expect(clippy::cast_precision_loss, reason = "less than 2^52")]
            rates.push(bytes as f64 / 1e6 / whole.as_secs_f64());
        }
    }
    let names = bench.archives().map(|server| server.name);
    let rates = rates.map(median);
    let figures = names
        .into_iter()
        .zip(rates)
        .map(|(name, rate)| (name, format!("{rate:.0} MB/s")))
        .collect();
    let aims = names.into_iter().zip(rates).take(2);
    let aims = aims.map(|(name, rate)| {
        Aim::at_least(format!("{name}: rate / Orthanc's"), rate / rates[2], 2.0)
    });
    let aims = aims.collect();
    bench.report.add(Row {
        work: "store 600 slices, ten a request, 8 connections".to_owned(),
        figures,
        aims,
    });
}

/// Small instances, each a study, one a request, eight connections: as many as there are to be studies.
pub(crate) async fn small(bench: &mut Bench) {
    let count = bench.studies;
    let tenth = count.div_ceil(10);
    let mut rates: [Vec<f64>; 3] = Default::default();
    // In tenths, so that a slow minute of the machine is everybody's.
    for from in (0..count).step_by(tenth) {
        let until = count.min(from + tenth);
        for (server, rates) in bench.archives().into_iter().zip(&mut rates) {
            let asks = (from..until)
                .map(|n| server.store(ct::store([&ct::small(n)])))
                .collect();
            let (whole, _) = all(&server.address, &server.token, 8, asks).await;
            #[expect(clippy::cast_precision_loss, reason = "less than 2^52")]
            rates.push((until - from) as f64 / whole.as_secs_f64());
        }
    }
    let mut figures = Vec::new();
    let mut of = Vec::new();
    for (server, rates) in bench.archives().into_iter().zip(rates) {
        let (first, last) = (rates[0], rates[rates.len() - 1]);
        #[expect(clippy::cast_precision_loss, reason = "a count of a few")]
        let mean = rates.len() as f64 / rates.iter().map(|rate| 1.0 / rate).sum::<f64>();
        figures.push((
            server.name,
            format!("{mean:.0} instances/s; first tenth {first:.0}, last {last:.0}"),
        ));
        of.push((server.name, mean, last / first));
    }
    let mut aims = Vec::new();
    for (name, mean, growth) in &of[..2] {
        aims.push(Aim::at_least(
            format!("{name}: rate / Orthanc's"),
            mean / of[2].1,
            6.0,
        ));
        aims.push(Aim::at_least(
            format!("{name}: last tenth / first"),
            *growth,
            0.9,
        ));
    }
    let work = format!("store {count} small instances, one a request, 8 connections");
    bench.report.add(Row {
        work,
        figures,
        aims,
    });
}
