//! MINT: a study as one document and one stream, beside the same study over DICOMweb and beside nginx (MINT 17.2, for a study of
//! 600 items of half a megabyte; aims that are times are for one item or one answer).

use crate::servers::client::{Ask, all};
use crate::servers::contender::Contender;
use crate::servers::report::{Aim, Row};
use crate::servers::{Bench, ct, median, read, store, thousands};

/// Requests of each kind whose median is taken.
const SAMPLES: usize = 20;

/// What is measured of one server, medians.
struct Figures {
    /// MB/s of all items in one stream, of a list of them, and of the study over DICOMweb.
    all: f64,
    list: f64,
    dicomweb: f64,
    /// CPU seconds a GB of items, and ms until their first byte.
    cpu: f64,
    first: f64,
    /// ms of the compressed protobuf document, first and again, and its bytes.
    document: f64,
    again: f64,
    bytes: u64,
    /// ms an item, one by one on one connection and on six.
    alone: f64,
    six: f64,
}

/// The items and the document of the last study that was stored.
pub(crate) async fn study(bench: &mut Bench) {
    let uid = store::study(bench.rounds - 1);
    let mut nginx = Vec::new();
    let mut measured = Vec::new();
    for server in [&bench.sqlite, &bench.postgres] {
        measured.push((server.name, of(server, &uid, bench.rounds).await));
        let file = items_as_file(bench, server, &uid).await;
        let ask = bench.nginx.get(&file, "");
        for _ in 0..bench.rounds {
            nginx.push(rate(&bench.nginx, &ask).await.0);
        }
    }
    let nginx = median(nginx);
    let (mut figures, mut aims) = (Vec::new(), Vec::new());
    for (name, it) in measured {
        figures.push((name, told(&it)));
        let aim = |what: &str| format!("{name}: {what}");
        aims.extend([
            Aim::at_least(aim("A02, all items / nginx's"), it.all / nginx, 0.8),
            Aim::at_most(aim("A03, CPU s/GB"), it.cpu, 1.0),
            Aim::at_most(aim("A04, ms to the first byte"), it.first, 20.0),
            Aim::at_most(aim("A05, ms of the document"), it.again, 10.0),
            Aim::at_most(aim("A06, ms of it at first"), it.document, 300.0 * 0.6),
            Aim::at_most(aim("A07, ms an item"), it.alone, 0.75),
            Aim::at_most(aim("A08, ms an item, six connections"), it.six, 0.25),
            Aim::at_least(aim("A09, a list / all"), it.list / it.all, 0.9),
        ]);
    }
    figures.push(("nginx", format!("{nginx:.0} MB/s")));
    bench.report.add(Row {
        work: "MINT: a study of 600 items, 315 MB".to_owned(),
        figures,
        aims,
    });
}

fn told(it: &Figures) -> String {
    format!(
        "all {:.0} MB/s, {:.2} CPU s/GB, first byte {:.1} ms; a list {:.0} MB/s; over DICOMweb {:.0} MB/s; document {:.1} ms, \
         again {:.1} ms, {:.1} kB; an item {:.2} ms, on six connections {:.2} ms",
        it.all,
        it.cpu,
        it.first,
        it.list,
        it.dicomweb,
        it.document,
        it.again,
        thousands(it.bytes),
        it.alone,
        it.six
    )
}

/// The UUID that a server gave a study.
pub(super) async fn key_of(server: &Contender, study: &str) -> String {
    let mut ask = Ask::get(format!("/mint/studies?studyInstanceUID={study}"), "");
    ask.keep = true;
    let found = server.connect().await.ask(&ask).await.body;
    let answer = String::from_utf8_lossy(&found).into_owned();
    let at = answer
        .split("studyUUID=\"")
        .nth(1)
        .expect("a study is found");
    at.split('"').next().expect("it ends").to_owned()
}

/// All items of a study as one file of nginx.
async fn items_as_file(bench: &Bench, server: &Contender, uid: &str) -> String {
    let key = key_of(server, uid).await;
    let mut ask = Ask::get(format!("/mint/studies/{key}/DICOM/binaryitems/all"), "");
    ask.keep = true;
    let body = server.connect().await.ask(&ask).await.body;
    let path = bench.nginx.folder().join("files/items");
    std::fs::write(path, &body).expect("a file can be written");
    "/items".to_owned()
}

/// MB/s, and ms until the first byte.
async fn rate(server: &Contender, ask: &Ask) -> (f64, f64) {
    let taken = server.connect().await.ask(ask).await;
    let megabytes = thousands(taken.bytes) / 1e3;
    (
        megabytes / taken.whole.as_secs_f64(),
        taken.first.as_secs_f64() * 1e3,
    )
}

async fn of(server: &Contender, uid: &str, rounds: usize) -> Figures {
    let root = format!("/mint/studies/{}/DICOM", key_of(server, uid).await);
    let all_items = Ask::get(format!("{root}/binaryitems/all"), "");
    let list = Ask::get(format!("{root}/binaryitems/0-{}", ct::SLICES - 1), "");
    let study = server.get(&format!("/studies/{uid}"), read::INSTANCES);
    let document = Ask::get(format!("{root}/metadata.gpb.gz"), "");

    let mut connection = server.connect().await;
    let made = connection.ask(&document).await;
    let mut again = Vec::new();
    for _ in 0..SAMPLES {
        again.push(connection.ask(&document).await.whole.as_secs_f64() * 1e3);
    }
    let (mut rates, mut firsts, mut cpu) = ([Vec::new(), Vec::new(), Vec::new()], Vec::new(), 0.0);
    for _ in 0..rounds {
        let before = server.cpu();
        let (of_all, first) = rate(server, &all_items).await;
        cpu += server.cpu() - before;
        rates[0].push(of_all);
        firsts.push(first);
        rates[1].push(rate(server, &list).await.0);
        rates[2].push(rate(server, &study).await.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let gigabytes = rounds as f64 * 0.315;
    let [of_all, of_list, dicomweb] = rates.map(median);
    let mut each = Vec::new();
    for connections in [1, 6] {
        let asks = (0..ct::SLICES).map(|n| Ask::get(format!("{root}/binaryitems/{n}"), ""));
        let (whole, _) = all(&server.address, &server.token, connections, asks.collect()).await;
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        each.push(whole.as_secs_f64() * 1e3 / ct::SLICES as f64);
    }
    Figures {
        all: of_all,
        list: of_list,
        dicomweb,
        cpu: cpu / gigabytes,
        first: median(firsts),
        document: made.whole.as_secs_f64() * 1e3,
        again: median(again),
        bytes: made.bytes,
        alone: each[0],
        six: each[1],
    }
}
