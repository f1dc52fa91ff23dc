//! Load without end, for a profiler to look at a server under it, and for what is measured beside it.

use super::client::{Ask, Connection, all};
use super::{ct, read};

const ROOT: &str = "/dicomweb/studies";

/// Small objects between two reports of their rate.
const SMALL: usize = 2_000;

/// `upload`: slices, ten a request, eight connections. `frames`: those of one study, over as many. `rendered`: JPEGs of
/// them. `study`: the whole, over one.
/// `small`: small objects, each a study, one a request, eight connections; their rate is printed.
pub(crate) async fn without_end(what: &str, address: &str, token: &str) {
    if what == "small" {
        return small_without_end(address, token).await;
    }
    let pixels: Vec<_> = (0..ct::SLICES).map(ct::pixels).collect();
    let study = "1.2.826.0.1.820";
    let mut connection = Connection::open(address, token).await;
    for round in 0.. {
        if what == "upload" || round == 0 {
            let study = format!("{study}.{round}");
            let files: Vec<_> = (1..=ct::SLICES)
                .map(|n| ct::slice(&study, n, &pixels))
                .collect();
            let asks = files.chunks(10).map(|ten| Ask {
                path: ROOT.to_owned(),
                accept: "application/dicom+json",
                body: Some(ct::store(ten)),
                ..Ask::default()
            });
            all(address, token, 8, asks.collect()).await;
        }
        if what == "frames" {
            let instances = format!("{ROOT}/{study}.0/series/{study}.0.1/instances");
            let asks = (1..=ct::SLICES).map(|n| {
                let path = format!("{instances}/{study}.0.1.{n}/frames/1");
                Ask::get(path, read::FRAMES)
            });
            all(address, token, 8, asks.collect()).await;
        }
        if what == "rendered" {
            let instances = format!("{ROOT}/{study}.0/series/{study}.0.1/instances");
            let asks = (1..=ct::SLICES).map(|n| {
                let path = format!("{instances}/{study}.0.1.{n}/frames/1/rendered?quality=90");
                Ask::get(path, "image/jpeg")
            });
            all(address, token, 8, asks.collect()).await;
        }
        if what == "study" {
            let ask = Ask::get(format!("{ROOT}/{study}.0"), read::INSTANCES);
            connection.ask(&ask).await;
        }
    }
}

#[expect(clippy::print_stdout, reason = "a program for the command line")]
async fn small_without_end(address: &str, token: &str) {
    for from in (0..).step_by(SMALL) {
        let asks = (from..from + SMALL).map(|n| Ask {
            path: ROOT.to_owned(),
            accept: "application/dicom+json",
            body: Some(ct::store([&ct::small(n)])),
            ..Ask::default()
        });
        let (whole, _) = all(address, token, 8, asks.collect()).await;
        #[expect(clippy::cast_precision_loss, reason = "a count of a few")]
        let rate = SMALL as f64 / whole.as_secs_f64();
        println!("{rate:.0} instances/s");
    }
}
