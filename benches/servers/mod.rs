//! kura beside the servers that people use, and beside the limits of the machine: the same work on each, in turns, in one
//! run. Times of a shared machine mean little; what one server does beside another in the same minute means something.

pub(crate) mod client;
mod contender;
pub(crate) mod ct;
mod fair;
mod line;
mod load;
mod mint;
mod read;
mod render;
mod report;
mod search;
mod store;

use bytes::Bytes;

pub(crate) use self::load::without_end;
pub(crate) use self::read::FRAMES;

use self::contender::Contender;
use self::report::Report;
use crate::harness::cluster::Cluster;

/// Studies of the index in which is searched, unless the words say another number.
const STUDIES: usize = 100_000;
/// Gigabytes of a huge study, unless the words say another number.
const GIGABYTES: usize = 10;
/// Turns of each kind of work; what is printed are medians.
const ROUNDS: usize = 5;

/// What the kinds of work share.
struct Bench {
    report: Report,
    sqlite: Contender,
    postgres: Contender,
    orthanc: Contender,
    nginx: Contender,
    /// Pixels of the slices.
    pixels: Vec<Bytes>,
    rounds: usize,
    studies: usize,
    /// Gigabytes of a huge study.
    gigabytes: usize,
    /// Studies of the archive whose change log is read, where the words say it.
    filled: Option<u64>,
    cluster: Cluster,
}

impl Bench {
    /// The servers that know DICOM.
    fn archives(&self) -> [&Contender; 3] {
        [&self.sqlite, &self.postgres, &self.orthanc]
    }
}

/// Does the kinds of work that the words name, or all of them; whether kura reaches what it has to.
#[expect(clippy::print_stdout, reason = "a program for the command line")]
pub(crate) async fn run(words: &[&str]) -> bool {
    let number = |name: &str| {
        let word = words.iter().find_map(|word| word.strip_prefix(name));
        word.and_then(|number| number.parse().ok())
    };
    let wants = |work: &str| {
        let named = words.iter().any(|word| !word.contains('='));
        !named || words.contains(&work)
    };
    println!("making {} slices", ct::SLICES);
    let cluster = Cluster::start_with("-c shared_buffers=1GB -c max_wal_size=4GB");
    let mut bench = Bench {
        report: Report::default(),
        sqlite: Contender::kura_on_sqlite(),
        postgres: Contender::kura_on_postgres(&cluster),
        orthanc: Contender::orthanc().await,
        nginx: Contender::nginx().await,
        pixels: (0..ct::SLICES).map(ct::pixels).collect(),
        rounds: number("rounds=").unwrap_or(ROUNDS),
        studies: number("studies=").unwrap_or(STUDIES),
        gigabytes: number("gigabytes=").unwrap_or(GIGABYTES),
        filled: number("studies=").map(|studies: usize| studies as u64),
        cluster,
    };
    let needs_study = ["store", "metadata", "retrieve", "frames", "mint"];
    if needs_study.iter().any(|work| wants(work)) {
        store::large(&mut bench).await;
    }
    if needs_study[..4].iter().any(|work| wants(work)) {
        read::study(&mut bench).await;
        read::frames(&mut bench).await;
    }
    if wants("mint") {
        mint::loopback(&mut bench).await;
    }
    if wants("mint") || wants("line") {
        mint::line(&mut bench).await;
    }
    if wants("store") {
        store::tens(&mut bench).await;
    }
    if wants("enhanced") {
        read::enhanced(&mut bench).await;
    }
    if wants("render") {
        render::jpeg(&mut bench).await;
    }
    if wants("fair") {
        fair::upload_beside_frames(&mut bench).await;
    }
    if wants("search") {
        store::small(&mut bench).await;
        search::queries(&mut bench).await;
        search::deep(&mut bench).await;
        search::start(&mut bench).await;
    }
    bench.report.end()
}

/// The middle of some figures.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A count in thousands.
#[expect(clippy::cast_precision_loss, reason = "less than 2^52")]
fn thousands(count: u64) -> f64 {
    count as f64 / 1e3
}
