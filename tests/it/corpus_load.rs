//! Memory does not grow with the study (product.md 3.3).

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};

use crate::harness::backing::{self, Storage};
use crate::harness::{Server, instance};

/// Slices of the study: 1 GB in a folder, 315 MB on an object store; `KURA_TEST_SLICES=9600` makes it 5 GB.
fn slices() -> usize {
    let asked = std::env::var_os("KURA_TEST_SLICES").and_then(|n| n.to_str()?.parse().ok());
    let usual = match backing::storage() {
        Storage::Fs => 1_950,
        Storage::Memory | Storage::S3 => 600,
    };
    asked.unwrap_or(usual)
}

/// The bytes of pixel data of each: 525 kB.
const PIXELS: usize = 512 * 512 * 2;
/// What the resident memory may grow by.
const ALLOWED: u64 = 64 << 20;

/// One slice with 512 × 512 pixels.
fn slice(number: usize) -> Vec<u8> {
    let pixels = (0..PIXELS)
        .map(|at| u8::try_from((at * 31 + number) % 251).unwrap())
        .collect();
    instance("1.2.3.600")
        .uids(
            "1.2.3.600.1",
            "1.2.3.600.1.1",
            &format!("1.2.3.600.1.1.{number}"),
        )
        .text(0x0020_0013, "IS", &number.to_string())
        .number(0x0028_0010, 512)
        .number(0x0028_0011, 512)
        .bytes(0x7FE0_0010, "OW", pixels)
        .file()
}

/// Slow: a gigabyte in and out.
#[tokio::test]
async fn w01_t11_a_study_of_a_gigabyte_passes_in_bounded_memory() {
    let in_memory = backing::storage() == Storage::Memory;
    if backing::skips(
        in_memory,
        "what a store in memory holds is memory of the server",
    ) {
        return;
    }
    let slices = slices();
    let server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[instance("1.2.3.1").file()]).await;
    let before = server.memory().0;

    let boundary = "kura-load";
    let parts = stream::iter(0..=slices).map(move |number| {
        if number == slices {
            return Ok::<_, std::io::Error>(Bytes::from(format!("--{boundary}--\r\n")));
        }
        let mut part =
            format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n").into_bytes();
        part.extend(slice(number));
        part.extend(b"\r\n");
        Ok(Bytes::from(part))
    });
    let request = server
        .request(Method::POST, "/studies", &token)
        .header(
            CONTENT_TYPE,
            format!("multipart/related; type=\"application/dicom\"; boundary={boundary}"),
        )
        .body(reqwest::Body::wrap_stream(parts));
    let answer = server.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let peak_in = server.memory().1;

    let response = server
        .request(Method::GET, "/studies/1.2.3.600.1", &token)
        .header(
            ACCEPT,
            "multipart/related; type=\"application/dicom\"; transfer-syntax=*",
        )
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let mut received = 0;
    let mut body = response.bytes_stream();
    while let Some(bytes) = body.next().await {
        received += bytes.unwrap().len();
    }
    let (_, peak) = server.memory();
    println!(
        "{slices} slices: resident {} MB before, at most {} MB after storing, {} MB after fetching {received} bytes",
        before >> 20,
        peak_in >> 20,
        peak >> 20
    );
    assert!(received > slices * PIXELS);
    assert!(
        peak.saturating_sub(before) < ALLOWED,
        "grew by {} MB",
        (peak - before) >> 20
    );
}
