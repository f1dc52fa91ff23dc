//! Many small items and many frames, beside DICOMweb and C-GET (A14 to A17).

use std::process::{Command, Stdio};
use std::time::Instant;

use bytes::Bytes;

use super::create::{MEMORY_MB, of_blobs};
use super::form::{self, Shape, send};
use super::{root, speakers};
use crate::servers::client::Ask;
use crate::servers::contender::Contender;
use crate::servers::report::{Aim, Row};
use crate::servers::{Bench, ct, median, read, thousands};

/// Instances of the small study, 32 KiB each.
const SMALL: usize = 2000;
/// Items of the list of small ones.
const LIST: usize = 100_000;
/// Frames of 64 KiB of one object, of which every tenth is asked for.
const FRAMES: usize = 10_000;

/// Seconds, the middle of some rounds.
async fn seconds(server: &Contender, ask: &Ask, rounds: usize) -> f64 {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let taken = server.connect().await.ask(ask).await;
        times.push(taken.whole.as_secs_f64());
    }
    median(times)
}

#[expect(clippy::cast_precision_loss, reason = "a hundred thousand")]
fn count(items: usize) -> f64 {
    items as f64
}

/// An MR of 2000 small slices: as items, over DICOMweb, and by C-GET (A14, A17).
pub(super) async fn small(bench: &mut Bench) {
    let study = "1.2.826.0.1.65";
    let files: Vec<Vec<Bytes>> = (1..=SMALL)
        .map(|n| ct::small_slice(study, n, &bench.pixels[n % ct::SLICES].slice(..32 << 10)))
        .collect();
    let body = ct::store(&files);
    for server in bench.archives() {
        server
            .connect()
            .await
            .ask(&server.store(body.clone()))
            .await;
    }
    let whole = format!("/studies/{study}");
    let (mut figures, mut aims, mut fastest) = (Vec::new(), Vec::new(), f64::MAX);
    for server in speakers(bench) {
        let key = super::study::key_of(server, study).await;
        let all_items = Ask::get(format!("{}/binaryitems/all", root(&key)), "");
        server.connect().await.ask(&all_items).await;
        let items = seconds(server, &all_items, bench.rounds).await;
        let web = server.get(&whole, read::INSTANCES);
        let web = seconds(server, &web, bench.rounds).await;
        fastest = fastest.min(items);
        let name = server.name;
        let (items, web) = (count(SMALL) / items, count(SMALL) / web);
        figures.push((
            name,
            format!("{items:.0} items/s; over DICOMweb {web:.0}/s"),
        ));
        aims.push(Aim::at_least(
            format!("{name}: A14, items/s"),
            items,
            25_000.0,
        ));
        aims.push(Aim::at_least(
            format!("{name}: A14, items / DICOMweb's"),
            items / web,
            1.0,
        ));
    }
    let web = seconds(
        &bench.orthanc,
        &bench.orthanc.get(&whole, read::INSTANCES),
        1,
    )
    .await;
    let mut dimse = Vec::new();
    for _ in 0..bench.rounds {
        dimse.push(c_get(&bench.orthanc, "127.0.0.1", study));
    }
    let dimse = median(dimse);
    figures.push((
        "Orthanc",
        format!(
            "over DICOMweb {:.0}/s; C-GET {:.0}/s",
            count(SMALL) / web,
            count(SMALL) / dimse
        ),
    ));
    aims.push(Aim::at_least(
        "A17, C-GET's time / MINT's",
        dimse / fastest,
        3.0,
    ));
    bench.report.add(Row {
        work: "MINT: a study of 2000 items of 32 KiB".to_owned(),
        figures,
        aims,
    });
}

/// Seconds of retrieving a study by C-GET, its objects thrown away. DCMTK is told on both sides not to wait for what could go into
/// the same packet (see [`Contender::orthanc`]): as Debian has it, each object costs two of TCP's delays of 40 ms.
pub(super) fn c_get(server: &Contender, host: &str, study: &str) -> f64 {
    let begun = Instant::now();
    let mut command = Command::new("getscu");
    command
        .env("TCP_NODELAY", "1")
        .args(["--ignore", "--max-pdu", "131072", "-S"])
        .args(["-k", "QueryRetrieveLevel=STUDY", "-k"])
        .arg(format!("StudyInstanceUID={study}"))
        .args([host, &server.dicom.to_string()])
        .stdin(Stdio::null());
    let out = command.output().expect("dcmtk is installed");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "getscu: {said}");
    begun.elapsed().as_secs_f64()
}

/// A list of 100,000 items of 4 KiB (A15).
pub(super) async fn blobs(bench: &mut Bench) {
    let shape = of_blobs("1.2.826.0.1.66", LIST / 1000);
    let (ask, _) = form::create(&shape, &bench.pixels);
    let (mut figures, mut aims) = (Vec::new(), Vec::new());
    for server in speakers(bench) {
        let key = send(&mut server.connect().await, &ask).await.key;
        let list = Ask::get(format!("{}/binaryitems/0-{}", root(&key), LIST - 1), "");
        server.forget_peak();
        let before = server.resident_mb();
        let first = seconds(server, &list, 1).await;
        let again = seconds(server, &list, bench.rounds).await;
        let memory = server.peak_mb() - before;
        let name = server.name;
        let rate = count(LIST) / again;
        figures.push((
            name,
            format!(
                "{rate:.0} items/s ({:.0} at first), {memory:.0} MB more",
                count(LIST) / first
            ),
        ));
        aims.push(Aim::at_least(
            format!("{name}: A15, items/s"),
            rate,
            60_000.0,
        ));
        aims.push(Aim::at_most(format!("{name}: A15, MB"), memory, MEMORY_MB));
    }
    bench.report.add(Row {
        work: "MINT: one list of 100,000 items of 4 KiB".to_owned(),
        figures,
        aims,
    });
}

/// Every tenth of 10,000 frames of one object (A16).
pub(super) async fn frames(bench: &mut Bench) {
    let shape = Shape {
        study: "1.2.826.0.1.67",
        instances: 1,
        side: (128, 256),
        frames: FRAMES,
        blobs: 0,
        blob_bytes: 0,
    };
    let slices: Vec<Bytes> = bench.pixels.iter().map(|it| it.slice(..64 << 10)).collect();
    let (ask, _) = form::create(&shape, &slices);
    let tenths: Vec<String> = (0..FRAMES).step_by(10).map(|n| n.to_string()).collect();
    let (mut figures, mut aims) = (Vec::new(), Vec::new());
    for server in speakers(bench) {
        let key = send(&mut server.connect().await, &ask).await.key;
        let list = Ask::get(
            format!("{}/binaryitems/{}", root(&key), tenths.join(",")),
            "",
        );
        server.connect().await.ask(&list).await;
        let before = server.bytes_read().await;
        let taken = server.connect().await.ask(&list).await;
        let reads = (server.bytes_read().await - before) / thousands(taken.bytes) / 1e3;
        let rate = thousands(taken.bytes) / 1e3 / seconds(server, &list, bench.rounds).await;
        let name = server.name;
        figures.push((
            name,
            format!("{rate:.0} MB/s, {reads:.2} bytes read for each sent"),
        ));
        aims.push(Aim::at_least(format!("{name}: A16, MB/s"), rate, 300.0));
        aims.push(Aim::at_most(
            format!("{name}: A16, read / sent"),
            reads,
            2.0,
        ));
    }
    bench.report.add(Row {
        work: "MINT: every tenth of 10,000 frames of 64 KiB of one object".to_owned(),
        figures,
        aims,
    });
}
