//! What a repack costs and gains: `cargo test --test it figures_of_a_repack -- --ignored --show-output`.

use super::{manager, named_objects, objects, path, server, wait_for_jobs};
use crate::harness::backing;
use crate::harness::instance;

const UID: &str = "1.2.3.15";
const COUNT: usize = 500;
const PIXEL_BYTES: usize = 512 << 10;

/// A CT slice of half a megabyte.
fn large(number: usize) -> Vec<u8> {
    let pixels = (0..PIXEL_BYTES / 8).flat_map(|at| (at * 31 + number).to_le_bytes());
    instance(UID)
        .uids(
            &format!("{UID}.1"),
            &format!("{UID}.1.1"),
            &format!("{UID}.1.1.{number}"),
        )
        .text(0x0020_0013, "IS", &number.to_string())
        .number(0x0028_0010, 512)
        .number(0x0028_0011, 512)
        .bytes(0x7FE0_0010, "OW", pixels.collect())
        .file()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: half a minute, 500 requests of half a megabyte"]
async fn figures_of_a_repack() {
    if backing::has_no_files() {
        return;
    }
    let server = server(&[("KURA_STORAGE__REPACK_QUIET_S", "5")]);
    let (token, manager) = (server.reader("F001"), manager(&server));
    for number in 1..=COUNT {
        server.stored(&token, &[large(number)]).await;
    }
    let before = objects(server.data.path(), ".pack").await.len();
    let (resident, _) = server.memory();
    let done = wait_for_jobs(&server, &manager, "kind=repack&state=done", 1).await;
    let (_, highest) = server.memory();
    let after = named_objects(server.data.path(), "replaced_at IS NULL")
        .await
        .len()
        / 2;
    let line = server
        .log()
        .into_iter()
        .find(|line| line.contains("\"repacked\""));
    let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
    let mib = |bytes: u64| bytes >> 20;
    let (bytes, ms) = (
        line["bytes"].as_u64().unwrap(),
        line["elapsed_ms"].as_u64().unwrap(),
    );
    println!(
        "{COUNT} requests, {before} packs before, {after} after ({})",
        done[0]["result"]
    );
    println!(
        "{} MiB in {ms} ms: {} MiB/s",
        mib(bytes),
        mib(bytes) * 1_000 / ms.max(1)
    );
    println!(
        "resident {} MiB before, at most {} MiB",
        mib(resident),
        mib(highest)
    );
    let back = server
        .get_as(
            &path(UID, 1, 7),
            &token,
            "application/dicom; transfer-syntax=*",
        )
        .await;
    assert!(back.body == large(7));
}
