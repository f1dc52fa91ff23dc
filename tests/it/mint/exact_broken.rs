//! Lines that break, and a server that is killed: the sender goes on where it was (MINT Z40, Z41, A19).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::exact_upload::Wire;
use crate::harness::corpus::sha256;
use crate::harness::exact::{Object, files, manifest, outcomes, upload};
use crate::harness::load::Random;
use crate::harness::{Server, backing, instance};

const CUTS: u64 = 100;

/// The objects of a study that is like a CT series of a few slices.
fn slices(study: &str, count: usize, pixels: usize) -> Vec<Object> {
    let series = format!("{study}.1");
    let slices = (1..=count).map(|number| {
        let uid = format!("{series}.{number}");
        let file = instance("1.2.3")
            .uids(study, &series, &uid)
            .text(0x0020_0013, "IS", &number.to_string())
            .bytes(0x7FE0_0010, "OW", number.to_le_bytes().repeat(pixels / 8))
            .file();
        Object::new(&series, &uid, file)
    });
    slices.collect()
}

/// The head of an upload.
fn head(token: &str, len: usize) -> String {
    format!(
        "POST /mint/exact/objects HTTP/1.1\r\nHost: kura\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/x-tar\r\nContent-Length: {len}\r\n\r\n"
    )
}

/// Which of `objects` an offer wants, and the bytes of the offer.
async fn wanted<'a>(
    server: &Server,
    token: &str,
    manifest: &Value,
    objects: &'a [Object],
) -> (Vec<&'a Object>, usize) {
    let offer = server.offer(token, manifest).await;
    let wanted = offer["wanted"].as_array().unwrap();
    let is_wanted = |it: &&Object| wanted.iter().any(|uid| *uid == it.instance.as_str());
    let bytes = manifest.to_string().len();
    (objects.iter().filter(is_wanted).collect(), bytes)
}

/// Sends a study over a line that falls silent at a random byte, and the rest over another: bytes on the wire, in per cent of
/// the study, and the offers after the break.
async fn broken_upload(server: &Server, token: &str, cut: u64, random: u64) -> (usize, usize) {
    let study = format!("1.2.3.6.{cut}");
    let objects = slices(&study, 12, 512 << 10);
    let manifest = manifest(&study, &objects);
    let body = upload(&manifest, &objects);
    let largest = objects.iter().map(|it| it.bytes.len()).max().unwrap();
    let at = usize::try_from(random % body.len() as u64).unwrap();
    let (_, mut wire) = wanted(server, token, &manifest, &objects).await;
    let address = server.base.trim_start_matches("http://");
    let mut line = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = head(token, body.len());
    line.write_all(head.as_bytes()).await.unwrap();
    line.write_all(&body[..at]).await.unwrap();
    wire += head.len() + at;
    // Nothing tells the server that it is broken; what came whole is stored once it has been silent for long.
    let whole = whole(&manifest, &objects, at);
    let (begun, mut offers) = (Instant::now(), 0);
    let missing = loop {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let (missing, bytes) = wanted(server, token, &manifest, &objects).await;
        wire += bytes;
        offers += 1;
        if missing.len() <= objects.len() - whole {
            break missing;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{cut}: {whole} had come whole, {} are missing",
            missing.len()
        );
    };
    let rest = upload(&manifest, missing);
    wire += rest.len();
    let (_, last) = outcomes(&server.send_exact(token, rest).await);
    assert_eq!(last["receipt"]["count"], objects.len(), "{cut}: {last}");
    let study_bytes: usize = objects.iter().map(|it| it.bytes.len()).sum();
    let allowed = study_bytes + study_bytes / 100 + largest;
    assert!(wire <= allowed, "cut at {at}: {wire} of {allowed}");
    (wire * 10_000 / study_bytes, offers)
}

/// Slow: a study a hundred times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mint_z40_a_line_that_breaks_at_any_byte_of_an_upload_costs_at_most_one_object() {
    let server = Server::start_set(&[("KURA_LIMITS__BODY_IDLE_S", "2")]);
    let token = server.reader("F001");
    let mut random = Random::seeded();
    let cuts: Vec<_> = (0..CUTS).map(|cut| (cut, random.next(u64::MAX))).collect();
    let uploads = stream::iter(cuts)
        .map(|(cut, random)| broken_upload(&server, &token, cut, random))
        .buffer_unordered(20);
    let done: Vec<(usize, usize)> = uploads.collect().await;
    let worst = done.iter().map(|(share, _)| share).max().unwrap();
    let offers: usize = done.iter().map(|(_, offers)| offers).sum();
    println!(
        "{CUTS} uploads broken: at most {}.{:02} % of the study on the wire, {offers} offers after the breaks",
        worst / 100,
        worst % 100
    );
}

/// How many objects have come whole within the first `at` bytes of their upload.
fn whole(manifest: &Value, objects: &[Object], at: usize) -> usize {
    let blocks = |len: usize| 512 + len.next_multiple_of(512);
    let mut end = blocks(manifest.to_string().len());
    let ends = objects.iter().map(|it| {
        let begin = end + 512;
        end += blocks(it.bytes.len());
        begin + it.bytes.len()
    });
    ends.filter(|end| *end <= at).count()
}

/// Slow: a study a hundred times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mint_z33_a_line_cut_at_any_byte_of_a_download_costs_nothing() {
    let server = Server::start();
    let token = server.reader("F001");
    let study = "1.2.3.6";
    let objects = slices(study, 12, 512 << 10);
    let sent = upload(&manifest(study, &objects), &objects);
    outcomes(&server.send_exact(&token, sent).await);
    let uuid = server.study_uuid(&token, study).await;
    let path = format!("/mint/studies/{uuid}/exact");
    let expected = server.get(&path, &token).await;
    let tag = expected.header("etag");
    let mut random = Random::seeded();
    let mut most = 0;
    for cut in 0..CUTS {
        let at = usize::try_from(random.next(expected.body.len() as u64)).unwrap();
        let mut line = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
        let ask =
            format!("GET {path} HTTP/1.1\r\nHost: kura\r\nAuthorization: Bearer {token}\r\n\r\n");
        line.write_all(ask.as_bytes()).unwrap();
        let mut got = Vec::new();
        let mut byte = [0];
        while !got.ends_with(b"\r\n\r\n") {
            line.read_exact(&mut byte).unwrap();
            got.push(byte[0]);
        }
        let head = got.len();
        let mut begin = vec![0; at];
        line.read_exact(&mut begin).unwrap();
        drop(line);
        let rest = server
            .request(reqwest::Method::GET, &path, &token)
            .header("range", format!("bytes={at}-"))
            .header("if-range", &tag);
        let rest = server.send(rest).await;
        assert_eq!(rest.status, 206, "{cut}");
        begin.extend_from_slice(&rest.body);
        assert!(begin == expected.body, "cut at {at}");
        most = most.max(head + begin.len());
    }
    let study_bytes: usize = objects.iter().map(|it| it.bytes.len()).sum();
    println!("{CUTS} downloads cut: at most {most} bytes for {study_bytes}");
    assert!(most <= study_bytes + study_bytes / 100);
}

/// Slow: several lives of a server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mint_z41_z42_what_was_told_survives_kills() {
    if backing::forgets() {
        return;
    }
    const LIVES: usize = 6;
    let study = "1.2.3.6";
    let objects = slices(study, 9_000, 400);
    let manifest = manifest(study, &objects);
    let mut random = Random::seeded();
    let data = Server::fresh();
    let mut server = Server::start_on(Arc::clone(&data));
    let token = server.reader("F001");
    let mut told = 0;
    for life in 0..LIVES {
        let (missing, _) = wanted(&server, &token, &manifest, &objects).await;
        assert!(
            objects.len() - missing.len() >= told,
            "life {life} lost some of {told}"
        );
        told = objects.len() - missing.len();
        let body = upload(&manifest, missing);
        let mut wire = Wire::open(&server, &token);
        // Not all of it: each life leaves something for the next.
        let part = body.len() / 2 + usize::try_from(random.next(body.len() as u64 / 3)).unwrap();
        for piece in body[..part].chunks(64 << 10) {
            wire.send(piece);
        }
        // At any moment, but once something was told while there is enough for a pack.
        let least = usize::from(objects.len() - told > 2_500);
        let mut heard = 0;
        let wait = Duration::from_millis(random.next(300));
        while heard < least {
            let line = wire.line().await.expect("a line");
            assert_eq!(line["outcome"], "stored", "{line}");
            heard += 1;
        }
        tokio::time::sleep(wait).await;
        server.kill();
        while let Some(line) = wire.line().await {
            assert_eq!(line["outcome"], "stored", "{line}");
            heard += 1;
        }
        told += heard;
        server = Server::start_on(Arc::clone(&data));
        println!("life {life}: {heard} told, {told} in all");
    }
    let (missing, _) = wanted(&server, &token, &manifest, &objects).await;
    assert!(objects.len() - missing.len() >= told);
    let rest = upload(&manifest, missing);
    let (_, last) = outcomes(&server.send_exact(&token, rest).await);
    assert_eq!(last["receipt"]["count"], objects.len(), "{last}");
    let uuid = server.study_uuid(&token, study).await;
    let whole = server
        .get(&format!("/mint/studies/{uuid}/exact"), &token)
        .await;
    let found = files(&whole.body);
    assert_eq!(found.len(), objects.len() + 1);
    for ((name, bytes), object) in found[1..].iter().zip(&objects) {
        assert_eq!(*name, object.name());
        assert!(sha256(bytes) == sha256(&object.bytes), "{name}");
    }
}

/// Slow: a study of more than a page of rows, twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mint_z33_what_comes_meanwhile_is_left_out_and_what_goes_ends_the_answer() {
    let server = Server::start_set(&[("KURA_AUTH__STRONG_MAX_AGE_S", "3600")]);
    let token = server.token("F001", "dicom.read dicom.write dicom.delete");
    let study = "1.2.3.6";
    let objects = slices(study, 1_100, 30_000);
    let sent = upload(&manifest(study, &objects), &objects);
    outcomes(&server.send_exact(&token, sent).await);
    let uuid = server.study_uuid(&token, study).await;
    let path = format!("/mint/studies/{uuid}/exact");
    let expected = server.get(&path, &token).await.body;
    // Begun and not read, a download waits with its second page of rows.
    let begin = async || {
        let request = server.request(reqwest::Method::GET, &path, &token);
        request.send().await.unwrap()
    };
    let comes = begin().await;
    server
        .stored(&token, &[slices(study, 1_101, 8)[1_100].bytes.clone()])
        .await;
    assert!(comes.bytes().await.unwrap() == expected);
    let goes = begin().await;
    let last = format!(
        "/studies/{study}/series/{study}.1/instances/{}",
        objects[1_099].instance
    );
    let deleted = server.request(reqwest::Method::DELETE, &last, &token);
    assert_eq!(server.send(deleted).await.status, 204);
    assert!(goes.bytes().await.is_err(), "it ended as if it were whole");
    let later = files(&server.get(&path, &token).await.body);
    assert_eq!(later.len(), 1 + objects.len());
    let all = server.request(
        reqwest::Method::DELETE,
        &format!("/studies/{study}"),
        &token,
    );
    assert_eq!(server.send(all).await.status, 204);
    let gone = server.get(&path, &token).await;
    assert_eq!(gone.status, 410, "its owner may know: {}", gone.text());
    assert_eq!(server.get(&path, &server.reader("F002")).await.status, 404);
}
