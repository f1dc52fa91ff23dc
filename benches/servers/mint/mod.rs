//! MINT beside DICOMweb, DIMSE and nginx: the aims of MINT 17.2, on loopback and over a line of 1 Gbps.

mod create;
mod exact;
mod filled;
mod form;
mod many;
mod over;
mod over_exact;
mod study;

pub(crate) use self::over::line;

use self::form::Shape;
use super::contender::Contender;
use super::{Bench, ct};

/// Instances of the study of the reference's measurements: 526.7 MB in 2000 items (MINT 17).
const INSTANCES: usize = 1000;

/// All that needs no line.
pub(crate) async fn loopback(bench: &mut Bench) {
    study::study(bench).await;
    create::reference(bench).await;
    many::small(bench).await;
    many::blobs(bench).await;
    many::frames(bench).await;
    create::huge(bench).await;
    exact::broken(bench).await;
    filled::changes_and_search(bench).await;
}

/// The study of the reference's measurements: slices of 512 × 512, each with a private value of 2 kB.
fn reference(study: &str) -> Shape<'_> {
    let side = usize::from(ct::SIDE);
    Shape {
        study,
        instances: INSTANCES,
        side: (side, side),
        frames: 1,
        blobs: 1,
        blob_bytes: 2048,
    }
}

/// The address of what a study holds.
fn root(key: &str) -> String {
    format!("/mint/studies/{key}/DICOM")
}

/// The servers that speak MINT.
fn speakers(bench: &Bench) -> [&Contender; 2] {
    [&bench.sqlite, &bench.postgres]
}
