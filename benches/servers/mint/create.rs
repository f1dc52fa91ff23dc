//! Creating studies: how fast, and with how much memory (A10, A12).

use super::form::{self, Shape, send};
use super::{root, speakers};
use crate::servers::client::Ask;
use crate::servers::contender::Contender;
use crate::servers::report::{Aim, Row};
use crate::servers::{Bench, ct, median, thousands};

/// What a transfer may take, in MB (64 MiB).
pub(super) const MEMORY_MB: f64 = 67.1;
/// Bytes of a huge study, a gigabyte each.
const GIGABYTE: usize = 1_000_000_000;

/// The study of 526.7 MB, as its document and items in one request, beside the same stored over DICOMweb.
pub(super) async fn reference(bench: &mut Bench) {
    let (mut figures, mut aims) = (Vec::new(), Vec::new());
    for server in speakers(bench) {
        let (mut rates, mut after, mut stored) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..bench.rounds {
            let study = format!("1.2.826.0.1.61.{round}");
            let (ask, bytes) = form::create(&super::reference(&study), &bench.pixels);
            let made = send(&mut server.connect().await, &ask).await;
            rates.push(thousands(bytes) / 1e3 / made.whole);
            after.push(made.after);
            let study = format!("1.2.826.0.1.62.{round}");
            let files: Vec<_> = (1..=ct::SLICES)
                .map(|n| ct::slice(&study, n, &bench.pixels))
                .collect();
            let body = ct::store(&files);
            let bytes: usize = body.1.iter().map(bytes::Bytes::len).sum();
            let taken = server.connect().await.ask(&server.store(body)).await;
            stored.push(thousands(bytes as u64) / 1e3 / taken.whole.as_secs_f64());
        }
        let (rate, after, stored) = (median(rates), median(after), median(stored));
        let name = server.name;
        figures.push((
            name,
            format!(
                "{rate:.0} MB/s to SUCCESS, {:.0} ms after the last byte; over DICOMweb {stored:.0} MB/s",
                after * 1e3
            ),
        ));
        aims.push(Aim::at_least(format!("{name}: A10, MB/s"), rate, 150.0));
        aims.push(Aim::at_most(
            format!("{name}: A10, s after the last byte"),
            after,
            0.5,
        ));
    }
    bench.report.add(Row {
        work: "MINT: create a study of 2000 items, 527 MB".to_owned(),
        figures,
        aims,
    });
}

/// A study of gigabytes, and one of 200,000 items: memory of creating them and of reading them.
pub(super) async fn huge(bench: &mut Bench) {
    let bytes = bench.gigabytes * GIGABYTE;
    let shapes = [
        (
            "a study of gigabytes",
            Shape {
                instances: bytes / 526_336,
                ..super::reference("1.2.826.0.1.63")
            },
            1,
        ),
        (
            "a study of 200,000 items",
            of_blobs("1.2.826.0.1.64", 200),
            200,
        ),
    ];
    for (what, shape, of_one) in shapes {
        let (ask, bytes) = form::create(&shape, &bench.pixels);
        let (mut figures, mut aims) = (Vec::new(), Vec::new());
        for server in speakers(bench).into_iter().take(1) {
            let (made, created) = of_transfer(server, &ask, true).await;
            let all_items = Ask::get(format!("{}/binaryitems/all", root(&made)), "");
            let document = Ask::get(format!("{}/metadata.gpb.gz", root(&made)), "");
            let (_, told) = of_transfer(server, &document, false).await;
            let (_, read) = of_transfer(server, &all_items, false).await;
            figures.push((
                server.name,
                format!("{created:.0} MB more while it is created, {told:.0} MB for its document, {read:.0} MB while it is read"),
            ));
            let name = server.name;
            let most = created.max(told).max(read);
            aims.push(Aim::at_most(format!("{name}: A12, MB"), most, MEMORY_MB));
        }
        let items = shape.instances * (of_one + shape.frames);
        bench.report.add(Row {
            work: format!(
                "MINT: {what} ({:.1} GB, {items} items)",
                thousands(bytes) / 1e6
            ),
            figures,
            aims,
        });
    }
}

/// Objects without pixels and with private values of 4 KiB, 1000 of them.
pub(super) fn of_blobs(study: &str, blobs: usize) -> Shape<'_> {
    Shape {
        study,
        instances: 1000,
        side: (1, 1),
        frames: 0,
        blobs,
        blob_bytes: 4096,
    }
}

/// MB that a request takes beyond what the server had; the study, where it creates one.
async fn of_transfer(server: &Contender, ask: &Ask, creates: bool) -> (String, f64) {
    let mut connection = server.connect().await;
    server.forget_peak();
    let before = server.resident_mb();
    let key = if creates {
        send(&mut connection, ask).await.key
    } else {
        connection.ask(ask).await;
        String::new()
    };
    (key, server.peak_mb() - before)
}
