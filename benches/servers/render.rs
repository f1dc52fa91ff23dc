//! Pictures: JPEGs of slices that are stored as they are, in JPEG-LS, JPEG 2000 and HTJ2K, beside the codec alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use kura::dicom::codec::{self, Photometric, PixelFormat, Samples};
use kura::dicom::render::{self, Picture, PictureType};
use kura::model::TransferSyntax;

use super::client::{Ask, all};
use super::report::{Aim, Row};
use super::{Bench, ct, median};

/// Transfer syntaxes, and what one calls them.
const SYNTAXES: [(&str, &str); 4] = [
    ("1.2.840.10008.1.2.1", "native"),
    ("1.2.840.10008.1.2.4.80", "JPEG-LS"),
    ("1.2.840.10008.1.2.4.90", "JPEG 2000"),
    ("1.2.840.10008.1.2.4.201", "HTJ2K"),
];
/// Slices of each, and how often each is shown a round.
const SLICES: usize = 16;
const TIMES: usize = 10;
const QUALITY: u8 = 90;

fn format() -> PixelFormat {
    PixelFormat {
        rows: ct::SIDE,
        columns: ct::SIDE,
        samples_per_pixel: 1,
        bits_allocated: 16,
        bits_stored: 12,
        high_bit: 11,
        photometric: Photometric::parse(b"MONOCHROME2"),
        ..PixelFormat::default()
    }
}

/// JPEGs of each transfer syntax that frames can be made in.
pub(crate) async fn jpeg(bench: &mut Bench) {
    for (at, (uid, name)) in SYNTAXES.into_iter().enumerate() {
        let syntax = TransferSyntax::of(uid).expect("a transfer syntax");
        if at > 0 && !codec::can_encode(syntax, &format()) {
            continue;
        }
        let study = format!("1.2.826.0.1.700.{at}");
        let frames: Vec<Vec<u8>> = (0..SLICES)
            .map(|n| {
                let samples = Samples {
                    format: format(),
                    bytes: bench.pixels[n].to_vec(),
                };
                if at == 0 {
                    samples.bytes
                } else {
                    codec::encode(syntax, &samples).expect("it is encoded")
                }
            })
            .collect();
        let files: Vec<_> = frames
            .iter()
            .enumerate()
            .map(|(n, frame)| match at {
                0 => ct::slice(&study, n + 1, &bench.pixels),
                _ => ct::compressed(&study, n + 1, uid, frame),
            })
            .collect();
        for server in bench.archives() {
            server
                .connect()
                .await
                .ask(&server.store(ct::store(&files)))
                .await;
        }
        measure(bench, &study, name, syntax, &frames).await;
    }
}

/// Pictures a second of each archive and of the codec alone on all cores.
async fn measure(
    bench: &mut Bench,
    study: &str,
    name: &str,
    syntax: &'static TransferSyntax,
    frames: &[Vec<u8>],
) {
    let paths: Vec<String> = (1..=SLICES)
        .map(|n| format!("/studies/{study}/series/{study}.1/instances/{study}.1.{n}/frames/1/rendered?quality={QUALITY}"))
        .collect();
    let mut rates = vec![Vec::new(); 4];
    for _ in 0..bench.rounds {
        for (at, server) in bench.archives().into_iter().enumerate() {
            let asks: Vec<Ask> = paths
                .iter()
                .map(|path| server.get(path, "image/jpeg"))
                .collect();
            let probe = Ask {
                may_fail: true,
                ..asks[0].clone()
            };
            let is_shown = server.connect().await.ask(&probe).await.status == 200;
            if !is_shown {
                rates[at].push(0.0);
                continue;
            }
            let asks = asks.iter().cycle().take(SLICES * TIMES).cloned().collect();
            let (whole, _) = all(&server.address, &server.token, 8, asks).await;
            rates[at].push(per_second(whole.as_secs_f64()));
        }
        rates[3].push(alone(syntax, frames));
    }
    let rates: Vec<f64> = rates.into_iter().map(median).collect();
    let names = bench.archives().map(|server| server.name);
    let mut figures: Vec<_> = names
        .into_iter()
        .chain(["the codec alone"])
        .zip(&rates)
        .collect();
    let figures = figures
        .drain(..)
        .map(|(name, rate)| (name, format!("{rate:.0}/s")))
        .collect();
    let mut aims = Vec::new();
    for at in 0..2 {
        if rates[2] > 0.0 {
            aims.push(Aim::at_least(
                format!("{}: rate / Orthanc's", names[at]),
                rates[at] / rates[2],
                3.0,
            ));
        }
        aims.push(Aim::at_least(
            format!("{}: rate / the codec's", names[at]),
            rates[at] / rates[3],
            0.7,
        ));
    }
    bench.report.add(Row {
        work: format!("JPEG of slices in {name}, 8 connections"),
        figures,
        aims,
    });
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred")]
fn per_second(seconds: f64) -> f64 {
    (SLICES * TIMES) as f64 / seconds
}

/// Pictures a second of decoder and encoder in a loop on every core. The window between them is not counted.
fn alone(syntax: &'static TransferSyntax, frames: &[Vec<u8>]) -> f64 {
    let shown: Vec<Picture> = (0..SLICES).map(|n| shown(&ct::pixels(n))).collect();
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= SLICES * TIMES {
                        break;
                    }
                    let samples = codec::decode(syntax, &format(), &frames[at % SLICES]);
                    std::hint::black_box(samples.expect("it is decoded"));
                    let picture =
                        render::encode(&shown[at % SLICES], None, PictureType::Jpeg(QUALITY));
                    std::hint::black_box(picture.expect("it is encoded"));
                }
            });
        }
    });
    per_second(begun.elapsed().as_secs_f64())
}

/// What a slice looks like in the window that its head names.
fn shown(pixels: &[u8]) -> Picture {
    let grey = |sample: &[u8]| {
        let stored = i32::from(u16::from_le_bytes([sample[0], sample[1]]));
        let level = (stored - 1024 + 160) * 255 / 400;
        u8::try_from(level.clamp(0, 255)).expect("a byte")
    };
    Picture {
        width: ct::SIDE.into(),
        height: ct::SIDE.into(),
        is_color: false,
        samples: pixels.chunks_exact(2).map(grey).collect(),
    }
}
