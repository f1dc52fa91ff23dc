//! Whether the viewers of one facility notice the bulk upload of another: the time of a frame while nothing else goes on, and
//! while slices come in over eight connections as fast as they are taken.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::client::{Ask, Connection};
use super::contender::Contender;
use super::report::{Aim, Row};
use super::{Bench, ct, read};
use crate::percentile;

/// Frames of each kind.
const SAMPLES: usize = 3_000;
/// How often the uploading facility's own process yields to everybody: in reality it runs on a machine of its own.
const NICE: &str = "19";

/// Percentiles of a frame's time, in milliseconds.
async fn frame_times(server: &Contender, study: &str) -> (f64, f64) {
    let mut connection = server.connect().await;
    let mut times = Vec::with_capacity(SAMPLES);
    for n in 0..SAMPLES + SAMPLES / 10 {
        let slice = 1 + n % ct::SLICES;
        let path =
            format!("/studies/{study}/series/{study}.1/instances/{study}.1.{slice}/frames/1");
        let taken = connection.ask(&server.get(&path, read::FRAMES)).await;
        if n >= SAMPLES / 10 {
            times.push(taken.whole);
        }
    }
    (
        crate::ms(percentile(&mut times, 50)),
        crate::ms(percentile(&mut times, 99)),
    )
}

/// Idle, and during the upload.
pub(crate) async fn upload_beside_frames(bench: &mut Bench) {
    let study = "1.2.826.0.1.800";
    let files: Vec<_> = (1..=ct::SLICES)
        .map(|n| ct::slice(study, n, &bench.pixels))
        .collect();
    let mut figures = Vec::new();
    let mut aims = Vec::new();
    for server in [&bench.sqlite, &bench.postgres] {
        server
            .connect()
            .await
            .ask(&server.store(ct::store(&files)))
            .await;
        let idle = frame_times(server, study).await;
        let before = received(server).await;
        let uploader = Uploader::start(server);
        let bytes = loop {
            let bytes = received(server).await;
            if bytes > before {
                break bytes;
            }
        };
        let begun = Instant::now();
        let busy = frame_times(server, study).await;
        #[expect(clippy::cast_precision_loss, reason = "less than 2^52")]
        let rate = (received(server).await - bytes) as f64 / 1e6 / begun.elapsed().as_secs_f64();
        drop(uploader);
        let figure = format!(
            "idle p50 {:.2}, p99 {:.2} ms; during an upload of {rate:.0} MB/s p50 {:.2}, p99 {:.2} ms",
            idle.0, idle.1, busy.0, busy.1
        );
        figures.push((server.name, figure));
        aims.push(Aim::at_most(
            format!("{}: p99 / idle p99", server.name),
            busy.1 / idle.1,
            3.0,
        ));
    }
    bench.report.add(Row {
        work: "a frame while another facility uploads".to_owned(),
        figures,
        aims,
    });
}

/// Bytes of the instances of the other facility so far.
async fn received(server: &Contender) -> u64 {
    let mut connection = Connection::open(&server.address, server.other_token()).await;
    let ask = Ask {
        keep: true,
        ..server.get("/instances/count", "application/json")
    };
    let body = connection.ask(&ask).await.body;
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    answer["count"].as_u64().unwrap_or(0) * u64::from(ct::SIDE).pow(2) * 2
}

/// A process that uploads until it is dropped.
struct Uploader(Child);

impl Uploader {
    fn start(server: &Contender) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new("nice");
        command.args(["-n", NICE]).arg(program);
        command.args([
            "servers-load",
            "upload",
            &server.address,
            server.other_token(),
        ]);
        let child = command.stdin(Stdio::null()).spawn().expect("it starts");
        Self(child)
    }
}

impl Drop for Uploader {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
