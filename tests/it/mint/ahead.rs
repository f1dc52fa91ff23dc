//! Items out of an object store that is far away.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{uuid_of, values};
use crate::harness::backing::{self, S3};
use crate::harness::slow::Slow;
use crate::harness::{Answer, Server, instance, server};

const DELAY: Duration = Duration::from_millis(100);

/// An image of 512 KiB of its own.
fn image(number: u8) -> Vec<u8> {
    let uid = format!("1.2.3.1.1.{}", number + 1);
    let pixels = (0..512_u32 << 10).map(|at| at.to_le_bytes()[1] ^ number);
    instance("1.2.3")
        .uids("1.2.3.1", "1.2.3.1.1", &uid)
        .number(0x0028_0010, 512)
        .number(0x0028_0011, 512)
        .bytes(0x7FE0_0010, "OW", pixels.collect())
        .file()
}

/// All items are there, whole and in their order.
fn assert_items(answer: &Answer, count: usize) {
    assert_eq!(answer.status, 200);
    let parts = answer.parts();
    assert_eq!(parts.len(), count);
    let numbers: Vec<u8> = parts.iter().map(|part| part.body[0]).collect();
    for (part, number) in parts.iter().zip(&numbers) {
        assert_eq!(part.body.len(), 512 << 10);
        let pixels = (0..512_u32 << 10).map(|at| at.to_le_bytes()[1] ^ number);
        assert!(pixels.eq(part.body.iter().copied()), "{number}");
    }
    let mut sorted = numbers;
    sorted.sort_unstable();
    assert!(sorted.into_iter().map(usize::from).eq(0..count));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mint_z50_reads_of_an_object_store_are_asked_for_ahead() {
    const COUNT: u8 = 24;
    let Some(store) = S3::installed() else { return };
    let bucket = store.bucket();
    let address = bucket.split("endpoint=http://").nth(1).unwrap();
    let address = address.split('&').next().unwrap().to_owned();
    let slow = Slow::before(address.clone(), DELAY).await;
    let bucket = bucket.replace(&format!("http://{address}"), &slow.base);
    let data = Arc::new(tempfile::tempdir().unwrap());
    let place = |data: &Path| backing::place(data, None, Some(&bucket));
    place(data.path());
    server::kura(data.path(), &["facility", "add", "F001", "--name", "One"]);
    let server = Server::start_on(data);
    let token = server.reader("F001");
    // Half in one pack, half in a pack each.
    let (one, each): (Vec<u8>, Vec<u8>) = (0..COUNT).partition(|number| *number < COUNT / 2);
    let one: Vec<_> = one.into_iter().map(image).collect();
    server.stored(&token, &one).await;
    for number in each {
        server.stored(&token, &[image(number)]).await;
    }
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    // Numbers are given when a study is first read.
    let metadata = format!("/mint/studies/{uuid}/DICOM/metadata");
    assert_eq!(
        values(&server.get(&metadata, &token).await, "bid").len(),
        24
    );
    slow.counted();
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/all");
    let begun = Instant::now();
    let answer = server.get_as(&path, &token, "multipart/related").await;
    let elapsed = begun.elapsed();
    let (most, reads) = slow.counted();
    println!("{reads} reads, {most} at once, {elapsed:?}");
    assert_items(&answer, usize::from(COUNT));
    assert!((4..=8).contains(&most), "{most} at once");
    assert!(reads <= 30, "{reads} reads");
    // The middle of an item, of a list that is out of order.
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/20,3,3,0-2,23");
    let whole = server.get_as(&path, &token, "multipart/related").await;
    let range = "bytes=700000-2900000";
    let part = server.request(reqwest::Method::GET, &path, &token);
    let part = part
        .header("accept", "multipart/related")
        .header("range", range);
    let part = server.send(part).await;
    assert_eq!(part.status, 206);
    assert!(part.body == whole.body[700_000..=2_900_000]);
}
