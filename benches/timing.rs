//! Whether the time of a 404 tells what is there: "not yours" against "not there" (sharing.md 3.4).

use std::time::{Duration, Instant};

use crate::harness::{Server, instance};
use crate::{ms, percentile};

/// Requests of each kind, and before them those that warm the server.
const SAMPLES: usize = 2000;
const WARM: usize = 200;
/// Studies of the other facility, and as many that never were.
const STUDIES: usize = 50;
/// How far apart the medians may be.
const LIMIT: f64 = 0.05;

/// What is asked for, below `/studies/{study}`.
const ROUTES: [(&str, &str); 4] = [
    ("instance", "/series/{study}.1/instances/{study}.1.1"),
    ("metadata of a study", "/metadata"),
    ("frame", "/series/{study}.1/instances/{study}.1.1/frames/1"),
    ("series of a study", "/series"),
];

/// Measures all routes; whether each is within its limit.
#[expect(clippy::print_stdout, reason = "a program for the command line")]
pub(crate) async fn run() -> bool {
    let server = Server::start();
    let (owner, stranger) = (server.reader("F002"), server.reader("F001"));
    let study = |of: usize, n: usize| format!("1.2.826.0.1.{of}.{n:03}7");
    let files: Vec<Vec<u8>> = (0..STUDIES)
        .map(|n| {
            let uid = study(1, n);
            let series = format!("{uid}.1");
            instance("1.2")
                .uids(&uid, &series, &format!("{series}.1"))
                .file()
        })
        .collect();
    server.stored(&owner, &files).await;
    // The stranger has studies as well: nobody's list is empty.
    let own: Vec<Vec<u8>> = (0..STUDIES)
        .map(|n| {
            let uid = study(3, n);
            let series = format!("{uid}.1");
            instance("1.2")
                .uids(&uid, &series, &format!("{series}.1"))
                .file()
        })
        .collect();
    server.stored(&stranger, &own).await;
    println!(
        "| 404 of | not yours, median ms | not there, median ms | apart |\n| --- | --- | --- | --- |"
    );
    let mut is_within = true;
    for (what, route) in ROUTES {
        let mut samples: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
        for n in 0..WARM + SAMPLES {
            // Which of the two comes first alternates: what one leaves behind in caches, it leaves for both.
            for turn in 0..2 {
                let of = (n + turn) % 2;
                let uid = study(of + 1, n % STUDIES);
                let path = format!("/studies/{uid}{}", route.replace("{study}", &uid));
                let begun = Instant::now();
                let answer = server.get(&path, &stranger).await;
                let taken = begun.elapsed();
                assert_eq!(answer.status, 404, "{path}");
                if n >= WARM {
                    samples[of].push(taken);
                }
            }
        }
        let [not_yours, not_there] = samples.map(|mut samples| ms(percentile(&mut samples, 50)));
        let apart = (not_yours - not_there) / not_there;
        println!(
            "| {what} | {not_yours:.3} | {not_there:.3} | {:+.1} % |",
            apart * 100.0
        );
        is_within &= apart.abs() <= LIMIT;
    }
    println!("limit: {:.0} % of the median of {SAMPLES}", LIMIT * 100.0);
    is_within
}
