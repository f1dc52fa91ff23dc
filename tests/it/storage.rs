//! What every store promises the archive, asked of the vault itself: a folder, memory, S3 and Azure's blobs.
//!
//! Credentials of object stores come from the environment of the process, so each store is asked by a test program of its own,
//! which this one starts. The same works for a real store, with its credentials in the environment:
//! `KURA_TEST_STORE='s3://bucket/prefix?region=…' cargo test --test it storage::the_store_of_this_process`. What it writes it
//! deletes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use futures::TryStreamExt;
use kura::Kind;
use kura::storage::{BlobRef, Vault};

use crate::harness::backing::{CREDENTIALS, S3};
use crate::harness::server::wait_for;
use crate::harness::watched::{self, Watch, free_port};

/// Several parts of an upload, the last one short.
const LARGE: usize = (20 << 20) + 12_345;

fn pattern(len: usize) -> Bytes {
    (0..len)
        .map(|at| u8::try_from(at * 31 % 251).unwrap())
        .collect()
}

async fn put(vault: &Vault, object: &str, bytes: &Bytes) {
    let mut put = vault.create(object).await.unwrap();
    for piece in bytes.chunks(100_000) {
        put.write(bytes.slice_ref(piece)).await.unwrap();
    }
    assert_eq!(put.close().await.unwrap(), bytes.len() as u64, "{object}");
}

async fn read(vault: &Vault, object: &str, range: std::ops::Range<u64>) -> kura::Result<Vec<u8>> {
    let blob = BlobRef {
        object: object.to_owned(),
        range,
    };
    let slices: Vec<Bytes> = vault.read(&blob).try_collect().await?;
    Ok(slices.concat())
}

async fn names(vault: &Vault, prefix: &str) -> Vec<(String, u64)> {
    let listed: Vec<_> = vault.list(prefix).try_collect().await.unwrap();
    let mut names: Vec<_> = listed
        .into_iter()
        .map(|it| (it.object, it.byte_count))
        .collect();
    names.sort();
    names
}

async fn ranges(vault: &Vault) {
    for len in [1, 5 << 20, 8 << 20, LARGE] {
        let (object, bytes) = (format!("KST/2026/{len}.pack"), pattern(len));
        put(vault, &object, &bytes).await;
        let end = len as u64;
        assert_eq!(vault.byte_count(&object).await.unwrap(), end);
        for range in [0..end, 0..1, end - 1..end, end / 3..end / 2, 0..0] {
            let part = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            let got = read(vault, &object, range.clone()).await.unwrap();
            assert!(got == bytes[part], "{len} {range:?}");
        }
        let small = vault.read_small(&object, 0..1, 1).await.unwrap();
        assert_eq!(small, bytes.slice(..1));
        vault.delete(&object).await.unwrap();
    }
}

async fn promises_broken(vault: &Vault) {
    put(vault, "KST/b.pack", &pattern(100)).await;
    for (object, range, kind) in [
        ("KST/b.pack", 90..101, Kind::Internal),
        ("KST/b.pack", 200..201, Kind::Internal),
        // What is missing may come back with the volume it lies on (W09).
        ("KST/none.pack", 0..1, Kind::Unavailable),
    ] {
        let error = read(vault, object, range.clone()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{object} {range:?} {error:?}");
        let error = vault
            .read_small(object, range.clone(), 99)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{object} {range:?} {error:?}");
    }
    vault.byte_count("KST/none.pack").await.unwrap_err();
    vault.delete("KST/b.pack").await.unwrap();
}

/// A name that is taken is refused when the object is begun or when it is closed, and what was there stays.
async fn never_overwritten(vault: &Vault) {
    for len in [10, LARGE] {
        put(vault, "KST/c.pack", &pattern(7)).await;
        let refused = match vault.create("KST/c.pack").await {
            Ok(mut again) => match again.write(pattern(len)).await {
                Ok(()) => again.close().await.unwrap_err(),
                Err(error) => error,
            },
            Err(error) => error,
        };
        assert_eq!(refused.kind(), Kind::Internal, "{refused:?}");
        assert_eq!(read(vault, "KST/c.pack", 0..7).await.unwrap(), pattern(7));
        vault.delete("KST/c.pack").await.unwrap();
    }
}

async fn given_up(vault: &Vault) {
    for len in [0, 10, LARGE] {
        let mut put = vault.create("KST/d.pack").await.unwrap();
        put.write(pattern(len)).await.unwrap();
        assert_eq!(names(vault, "KST/").await, []);
        put.abort().await;
        let mut dropped = vault.create("KST/e.pack").await.unwrap();
        dropped.write(pattern(len)).await.unwrap();
        drop(dropped);
    }
    assert_eq!(names(vault, "").await, []);
}

async fn listing(vault: &Vault) {
    let all = ["KST/2026/1.meta", "KST/2026/1.pack", "NGY/2026/2.pack"];
    for object in all {
        put(vault, object, &pattern(7)).await;
    }
    assert_eq!(names(vault, "").await, all.map(|name| (name.to_owned(), 7)));
    assert_eq!(
        names(vault, "NGY/").await,
        [("NGY/2026/2.pack".to_owned(), 7)]
    );
    assert_eq!(names(vault, "OSK/").await, []);
    for object in all {
        vault.delete(object).await.unwrap();
        vault.delete(object).await.unwrap();
    }
    assert_eq!(names(vault, "").await, []);
}

async fn together(vault: &Vault) {
    let objects: Vec<String> = (0..8).map(|n| format!("KST/f{n}.pack")).collect();
    let puts = objects.iter().zip(0..);
    let puts =
        puts.map(|(object, n)| async move { put(vault, object, &pattern((9 << 20) + n)).await });
    futures::future::join_all(puts).await;
    for (object, n) in objects.iter().zip(0_u64..) {
        let len = (9 << 20) + n;
        let bytes = pattern(usize::try_from(len).unwrap());
        assert!(
            read(vault, object, 0..len).await.unwrap() == bytes,
            "{object}"
        );
        vault.delete(object).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_of_this_process_keeps_its_promises() {
    kura::storage::install_transport();
    let named = std::env::var_os("KURA_TEST_STORE").unwrap_or_else(|| "memory://".into());
    let vault = Vault::open(named.to_str().unwrap()).await.unwrap();
    vault.health().await.unwrap();
    ranges(&vault).await;
    promises_broken(&vault).await;
    never_overwritten(&vault).await;
    given_up(&vault).await;
    listing(&vault).await;
    together(&vault).await;
}

/// Asks a store in a process that has its credentials.
fn ask(url: &str, credentials: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "storage::the_store_of_this_process_keeps_its_promises",
            "--nocapture",
        ])
        .envs(credentials.iter().copied())
        .env("KURA_TEST_STORE", url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_folder_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    ask(&format!("fs://{}", folder.path().display()), &[]);
}

#[test]
fn s3_keeps_its_promises_and_no_upload_is_left_open() {
    let Some(server) = S3::installed() else {
        return;
    };
    let url = server.bucket();
    ask(&url, &CREDENTIALS);
    let bucket = url.trim_start_matches("s3://").split('/').next().unwrap();
    let open = || server.ask("GET", &format!("/{bucket}?uploads"));
    // What was dropped is aborted beside everything else.
    wait_for(Duration::from_secs(10), || {
        (!open().contains("<Upload>")).then_some(())
    });
}

/// Azurite's own account, which its manual publishes.
const AZURITE: [(&str, &str); 2] = [
    ("AZURE_STORAGE_ACCOUNT_NAME", "devstoreaccount1"),
    (
        "AZURE_STORAGE_ACCOUNT_KEY",
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    ),
];

/// Azurite where it is installed: `node_modules/.bin/azurite-blob` beside the virtual environment.
fn azurite() -> Option<PathBuf> {
    let program =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node/node_modules/.bin/azurite-blob");
    if program.is_file() {
        return Some(program);
    }
    println!("skipped: no Azurite; scripts/setup --tests installs it where npm is");
    None
}

/// Makes the container `kura`, with a request signed as Microsoft's "Authorize with Shared Key" says.
fn make_container(port: u16) {
    let key = base64::engine::general_purpose::STANDARD
        .decode(AZURITE[1].1)
        .unwrap();
    let now = kura::model::Clock::System.now().seconds();
    let now = time::OffsetDateTime::from_unix_timestamp(now).unwrap();
    let now = now.format(&time::format_description::well_known::Rfc2822);
    let now = now.unwrap().replace("+0000", "GMT");
    let headers = format!("x-ms-date:{now}\nx-ms-version:2021-08-06\n");
    let account = AZURITE[0].1;
    let signed = format!(
        "PUT{}{headers}/{account}/{account}/kura\nrestype:container",
        "\n".repeat(12)
    );
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
    let tag = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
    let tag = base64::engine::general_purpose::STANDARD.encode(tag);
    let request = format!(
        "PUT /{account}/kura?restype=container HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\
         x-ms-date: {now}\r\nx-ms-version: 2021-08-06\r\nAuthorization: SharedKey {account}:{tag}\r\n\
         Connection: close\r\n\r\n"
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[test]
fn azure_blobs_keep_their_promises() {
    let Some(program) = azurite() else { return };
    let port = free_port();
    let text = port.to_string();
    let words = [
        program.to_str().unwrap(),
        "--silent",
        "--skipApiVersionCheck",
        "--inMemoryPersistence",
        "--disableTelemetry",
    ];
    let at = ["--blobHost", "127.0.0.1", "--blobPort", &text];
    let _server = Watch::run(watched::SERVER, &[&words[..], &at[..]].concat());
    wait_for(Duration::from_mins(1), || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    make_container(port);
    let endpoint = format!("http://127.0.0.1:{port}/devstoreaccount1");
    ask(
        &format!("azblob://kura/archive?endpoint={endpoint}"),
        &AZURITE,
    );
}
