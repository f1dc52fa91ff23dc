//! The aims that need a line: 1 Gbps, with no round trip to speak of, with 10 and with 30 ms (A01, A11, A13, A18, A22).

use std::time::Instant;

use bytes::Bytes;

use super::create::MEMORY_MB;
use super::form::{self, Shape, send};
use super::many::c_get;
use super::{INSTANCES, over_exact, reference, root};
use crate::servers::client::{Ask, all};
use crate::servers::contender::Contender;
use crate::servers::line::{FAR, Line, RATE};
use crate::servers::report::{Aim, Row};
use crate::servers::{Bench, ct, median, read, thousands};

const STUDY: &str = "1.2.826.0.1.70";
/// Round trips in ms.
const ROUND_TRIPS: [u64; 3] = [0, 10, 30];
/// Clients at a time, each with a study of its own of so many slices.
const CLIENTS: usize = 50;
const SLICES: usize = 20;
/// Frames that are asked for one after the other; connections of a browser.
const FRAMES: usize = 100;
const CONNECTIONS: usize = 6;

/// The servers behind the line, and the study on them.
pub(super) struct Behind {
    pub(super) line: Line,
    pub(super) kura: Contender,
    orthanc: Contender,
    nginx: Contender,
    /// Path of what MINT shows of the study.
    root: String,
    /// UUID of it.
    pub(super) key: String,
}

/// All rows, or a row that says why there is no line.
pub(crate) async fn line(bench: &mut Bench) {
    let line = match Line::lay() {
        Ok(line) => line,
        Err(reason) => {
            bench.report.add(Row {
                work: "MINT over a line of 1 Gbps (A01, A11, A13, A18, A22)".to_owned(),
                figures: vec![("SKIPPED", reason)],
                aims: Vec::new(),
            });
            return;
        }
    };
    let behind = set_up(bench, line).await;
    over_exact::zstd(bench, &behind).await;
    clients(bench, &behind).await;
    for ms in ROUND_TRIPS {
        behind.line.set_round_trip(ms);
        whole(bench, &behind, ms).await;
        if ms > 0 {
            open(bench, &behind, ms).await;
        }
    }
}

/// Creates the study on kura, which is A11, and stores the same on Orthanc.
async fn set_up(bench: &mut Bench, line: Line) -> Behind {
    let (ask, bytes) = form::create(&reference(STUDY), &bench.pixels);
    let kura = Contender::kura_behind(&line);
    let orthanc = Contender::orthanc_behind(&line).await;
    let nginx = Contender::nginx_behind(&line).await;
    let made = send(&mut kura.connect().await, &ask).await;
    let rate = thousands(bytes) / 1e3 / made.whole;
    bench.report.add(Row {
        work: "MINT: create a study of 527 MB over the line".to_owned(),
        figures: vec![(
            "kura, SQLite",
            format!(
                "{rate:.1} MB/s, {:.0} ms after the last byte",
                made.after * 1e3
            ),
        )],
        aims: vec![Aim::at_least("A11, MB/s", rate, 105.0)],
    });
    let files: Vec<_> = (1..=INSTANCES)
        .map(|n| ct::reference_slice(STUDY, n, &bench.pixels[(n - 1) % ct::SLICES]))
        .collect();
    for ten in files.chunks(100) {
        let store = orthanc.store(ct::store(ten));
        orthanc.connect().await.ask(&store).await;
    }
    Behind {
        root: root(&made.key),
        line,
        kura,
        orthanc,
        nginx,
        key: made.key,
    }
}

/// Seconds of requests one after the other on a connection that is made for them, and bytes that came.
async fn took(server: &Contender, asks: &[&Ask]) -> (f64, u64) {
    let begun = Instant::now();
    let mut connection = server.connect().await;
    let mut bytes = 0;
    for ask in asks {
        bytes += connection.ask(ask).await.bytes;
    }
    (begun.elapsed().as_secs_f64(), bytes)
}

/// The middle of some rounds.
async fn middle(server: &Contender, asks: &[&Ask], rounds: usize) -> (f64, u64) {
    let (mut times, mut bytes) = (Vec::new(), 0);
    for _ in 0..rounds {
        let (time, taken) = took(server, asks).await;
        times.push(time);
        bytes = taken;
    }
    (median(times), bytes)
}

/// The best of some rounds: what is measured is a few round trips beside seconds.
async fn best(server: &Contender, asks: &[&Ask], rounds: usize) -> (f64, u64) {
    let mut best = (f64::MAX, 0);
    for _ in 0..rounds {
        let took = took(server, asks).await;
        if took.0 < best.0 {
            best = took;
        }
    }
    best
}

/// nginx sends so many bytes: what a transfer takes on this line, connecting and asking included.
async fn transfer(behind: &Behind, bytes: u64, rounds: usize) -> f64 {
    let name = format!("of{bytes}");
    let path = behind.nginx.folder().join("files").join(&name);
    let file = std::fs::File::create(path).expect("a file can be made");
    file.set_len(bytes).expect("a file can be written");
    let ask = Ask::get(format!("/{name}"), "");
    best(&behind.nginx, &[&ask], rounds).await.0
}

/// Round trips that a time holds beyond the transfer itself; nginx needs one to connect and one to ask.
#[expect(clippy::cast_precision_loss, reason = "a few")]
fn round_trips(time: f64, of_nginx: f64, ms: u64) -> f64 {
    let round_trip = ms as f64 / 1e3;
    (time - (of_nginx - 2.0 * round_trip)) / round_trip
}

/// The whole study: by MINT, over DICOMweb at once and frame by frame, from Orthanc, by C-GET (A01, A13).
async fn whole(bench: &mut Bench, behind: &Behind, ms: u64) {
    let document = Ask::get(format!("{}/metadata.gpb.gz", behind.root), "");
    let items = Ask::get(format!("{}/binaryitems/all", behind.root), "");
    let rounds = bench.rounds;
    let (alone, bytes) = middle(&behind.kura, &[&items], rounds).await;
    let rate = thousands(bytes) / 1e3 / alone;
    let of_nginx = transfer(behind, bytes, rounds).await;
    let line = thousands(bytes) / 1e3 / of_nginx;
    let mut figures = vec![
        ("MINT, all items", format!("{rate:.1} MB/s, {alone:.2} s")),
        (
            "nginx, one file",
            format!("{line:.1} MB/s, {of_nginx:.2} s"),
        ),
    ];
    let mut aims = Vec::new();
    if ms == 0 {
        aims.push(Aim::at_least("A01, MB/s", rate, 110.0));
    }
    aims.push(Aim::at_least(
        format!("all, part of {RATE} MB/s"),
        rate / RATE,
        0.93,
    ));
    let study = format!("/studies/{STUDY}");
    for server in [&behind.kura, &behind.orthanc] {
        let web = server.get(&study, read::INSTANCES);
        let (time, _) = middle(server, &[&web], 1).await;
        figures.push((server.name, format!("the study over DICOMweb {time:.2} s")));
    }
    if ms > 0 {
        let rounds = rounds.max(3);
        let (both, bytes) = best(&behind.kura, &[&document, &items], rounds).await;
        let of_nginx = transfer(behind, bytes, rounds).await;
        let trips = round_trips(both, of_nginx, ms);
        figures.push(("MINT, document and all", format!("{both:.2} s")));
        aims.push(Aim::at_most(
            "A13, round trips beyond the transfer",
            trips,
            3.0,
        ));
        figures.push(("kura", frame_by_frame(&behind.kura).await));
        figures.push(("Orthanc", frame_by_frame(&behind.orthanc).await));
        let dimse = c_get(&behind.orthanc, FAR, STUDY);
        figures.push(("Orthanc", format!("C-GET {dimse:.1} s")));
    }
    bench.report.add(Row {
        work: format!("MINT: a study of 2000 items, 527 MB, over 1 Gbps with {ms} ms"),
        figures,
        aims,
    });
}

/// Frames one by one: how long one takes, and all of the study on six connections.
async fn frame_by_frame(server: &Contender) -> String {
    let ask = |n: usize| {
        let path = format!("/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.{n}/frames/1");
        server.get(&path, read::FRAMES)
    };
    let some: Vec<Ask> = (1..=FRAMES).map(ask).collect();
    let (one, _) = took(server, &some.iter().collect::<Vec<_>>()).await;
    let every: Vec<Ask> = (1..=INSTANCES).map(ask).collect();
    let (six, _) = all(&server.address, &server.token, CONNECTIONS, every).await;
    #[expect(clippy::cast_precision_loss, reason = "a hundred")]
    let one = one / FRAMES as f64;
    format!(
        "frame by frame {:.1} ms each on one connection, all {:.1} s on {CONNECTIONS}",
        one * 1e3,
        six.as_secs_f64()
    )
}

/// What a viewer needs for its first picture: the document and one image, on a connection of their own.
async fn open(bench: &mut Bench, behind: &Behind, ms: u64) {
    let rounds = bench.rounds.max(5);
    let document = Ask::get(format!("{}/metadata.gpb.gz", behind.root), "");
    let image = Ask::get(format!("{}/binaryitems/1", behind.root), "");
    let (mint, bytes) = best(&behind.kura, &[&document, &image], rounds).await;
    let of_nginx = transfer(behind, bytes, rounds).await;
    let bundle = Ask::get(
        format!("{}/bundle?items=1", behind.root),
        "multipart/related; type=\"application/octet-stream\"",
    );
    let (at_once, _) = middle(&behind.kura, &[&bundle], rounds).await;
    let mut figures = vec![
        (
            "MINT",
            format!(
                "{:.0} ms; as one bundle {:.0} ms",
                mint * 1e3,
                at_once * 1e3
            ),
        ),
        ("nginx, as many bytes", format!("{:.0} ms", of_nginx * 1e3)),
    ];
    for server in [&behind.kura, &behind.orthanc] {
        let series = format!("/studies/{STUDY}/series/{STUDY}.1");
        let mut document = server.get(&format!("{series}/metadata"), "application/dicom+json");
        document.gzip = true;
        let image = server.get(
            &format!("{series}/instances/{STUDY}.1.1/frames/1"),
            read::FRAMES,
        );
        let (time, _) = middle(server, &[&document, &image], rounds).await;
        figures.push((
            server.name,
            format!("metadata and a frame over DICOMweb {:.0} ms", time * 1e3),
        ));
    }
    let trips = round_trips(mint, of_nginx, ms);
    bench.report.add(Row {
        work: format!("MINT: open a study (document and first image) over 1 Gbps with {ms} ms"),
        figures,
        aims: vec![Aim::at_most("round trips beyond the transfer", trips, 3.0)],
    });
}

/// Fifty clients at a time, each with its own study (A22).
async fn clients(bench: &mut Bench, behind: &Behind) {
    let mut asks = Vec::new();
    let mut bytes = 0;
    for n in 0..CLIENTS {
        let study = format!("1.2.826.0.1.71.{n}");
        let shape = Shape {
            instances: SLICES,
            ..reference(&study)
        };
        let pixels: &[Bytes] = &bench.pixels[n * 10..];
        let (ask, of_study) = form::create(&shape, pixels);
        bytes += of_study;
        let made = send(&mut behind.kura.connect().await, &ask).await;
        asks.push(Ask::get(format!("{}/binaryitems/all", root(&made.key)), ""));
    }
    // Once before, so that numbers of items are there.
    let kura = &behind.kura;
    all(&kura.address, &kura.token, CONNECTIONS, asks.clone()).await;
    kura.forget_peak();
    let before = kura.resident_mb();
    let (time, each) = all(&kura.address, &kura.token, CLIENTS, asks).await;
    let memory = kura.peak_mb() - before;
    let rates: Vec<f64> = each.iter().map(|time| 1.0 / time.as_secs_f64()).collect();
    #[expect(clippy::cast_precision_loss, reason = "fifty")]
    let (mean, clients) = (rates.iter().sum::<f64>() / CLIENTS as f64, CLIENTS as f64);
    let slowest = rates.iter().copied().fold(f64::MAX, f64::min);
    let sum = thousands(bytes) / 1e3 / time.as_secs_f64();
    bench.report.add(Row {
        work: format!("MINT: {CLIENTS} clients, {SLICES} slices each, over 1 Gbps"),
        figures: vec![(
            "kura, SQLite",
            format!(
                "{sum:.1} MB/s in all, the slowest {:.2} of the mean, {memory:.0} MB more",
                slowest / mean
            ),
        )],
        aims: vec![
            Aim::at_least("A22, MB/s", sum, 105.0),
            Aim::at_least("A22, slowest / mean", slowest / mean, 0.5),
            Aim::at_most("A22, MB", memory, clients * MEMORY_MB),
        ],
    });
}
