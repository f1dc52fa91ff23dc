//! Load without end, for a profiler to look at a server under it, and for what is measured beside it.

use super::client::{Ask, Connection, all};
use super::{ct, read};

const ROOT: &str = "/dicomweb/studies";

/// `upload`: slices, ten a request, eight connections. `frames`: those of one study, over as many. `study`: the whole, over one.
pub(crate) async fn without_end(what: &str, address: &str, token: &str) {
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
        if what == "study" {
            let ask = Ask::get(format!("{ROOT}/{study}.0"), read::INSTANCES);
            connection.ask(&ask).await;
        }
    }
}
