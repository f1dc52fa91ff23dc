//! Frames and instances in another transfer syntax than the stored one (dicomweb.md 2.4), and frames of a large object.

use super::{EXPLICIT_LITTLE, all, frames};
use crate::harness::corpus::{self, Spread, Stored};
use crate::harness::{Server, instance};

const DECODED: &str =
    "multipart/related; type=\"application/octet-stream\"; transfer-syntax=1.2.840.10008.1.2.1";

/// Grey and colour, signed and not, one frame and several, compressed in each of the ways that lose nothing.
const FILES: [&str; 9] = [
    "fragments/syn-multiframe-native.dcm",
    "pixel/syn-px-12in16-high15.dcm",
    "pixel/syn-px-rgb-planar1.dcm",
    "ts/dcm4che__YBR_FULL-RLE.dcm",
    "ts/dparser__CT1_UNC.explicit_big_endian.dcm",
    "ts/dparser__CT1_UNC.fragmented_no_bot_jpeg_ls.80.dcm",
    "ts/syn-ts-htj2k-lossless-rgb.dcm",
    "ts/syn-ts-htj2k-lossless-s16.dcm",
    "ts/syn-ts-j2k-lossless-rct.dcm",
];

const LOSSLESS: [(&str, &str); 5] = [
    ("image/jpeg", "1.2.840.10008.1.2.4.70"),
    ("image/jls", "1.2.840.10008.1.2.4.80"),
    ("image/jp2", "1.2.840.10008.1.2.4.90"),
    ("image/jphc", "1.2.840.10008.1.2.4.201"),
    ("image/dicom-rle", "1.2.840.10008.1.2.5"),
];

async fn octets(server: &Server, at: &Stored, count: usize) -> Vec<Vec<u8>> {
    let answer = frames(server, at, &all(count), DECODED).await;
    assert_eq!(answer.status, 200, "{}: {}", at.path, answer.text());
    answer
        .parts()
        .into_iter()
        .map(|part| part.body.clone())
        .collect()
}

/// Stores what an answer held where its UID is free.
async fn again(server: &Server, spread: &mut Spread, file: &[u8]) -> Stored {
    let (answer, token) = spread.send(server, file).await;
    let json = answer.json();
    let url = json["00081199"]["Value"][0]["00081190"]["Value"][0].as_str();
    let url = url.unwrap_or_else(|| panic!("not stored: {json}"));
    let path = url.strip_prefix(&server.base).unwrap().to_owned();
    Stored { path, token }
}

/// Each instance, brought into each transfer syntax and stored again, has the samples that it had.
#[tokio::test]
async fn n51_n54_n55_instances_and_frames_are_made_in_the_syntax_that_was_named() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let mut spread = Spread::over(&server);
    let mut made = 0;
    for entry in entries.iter().filter(|entry| FILES.contains(&&*entry.file)) {
        let at = spread.store(&server, entry).await.unwrap();
        let count = entry.number("frames").unwrap_or(1);
        let expected = octets(&server, &at, count).await;
        let stored = entry.field("transfer_syntax_uid");
        let targets = LOSSLESS.iter().copied().chain([("", EXPLICIT_LITTLE)]);
        // The encoder for HTJ2K takes grey frames only.
        let is_made = |(media_type, target): &(&str, &str)| {
            *target != stored && (*media_type != "image/jphc" || entry.number("samples") == Some(1))
        };
        for (media_type, target) in targets.filter(is_made) {
            let accept = format!("application/dicom; transfer-syntax={target}");
            let answer = server.get_as(&at.path, &at.token, &accept).await;
            assert_eq!(
                answer.status,
                200,
                "{} {target}: {}",
                entry.file,
                answer.text()
            );
            assert_eq!(answer.header("content-type"), accept, "{}", entry.file);
            let length = answer.header("content-length");
            assert_eq!(
                length,
                answer.body.len().to_string(),
                "{} {target}",
                entry.file
            );
            let other = again(&server, &mut spread, &answer.body).await;
            let found = octets(&server, &other, count).await;
            let is_planar = entry.field("planar") == "1";
            assert!(found == expected || is_planar, "{} {target}", entry.file);
            made += 1;
            if media_type.is_empty() {
                continue;
            }
            let accept =
                format!("multipart/related; type=\"{media_type}\"; transfer-syntax={target}");
            let parts = frames(&server, &at, "1", &accept).await.parts();
            assert_eq!(
                parts[0].header("Content-Type"),
                format!("{media_type}; transfer-syntax={target}")
            );
        }
    }
    println!("instances made {made}");
    assert_eq!(made, 43);
}

/// Lossy pixels stay as they are for those who name nothing, and are expanded for those who name it.
#[tokio::test]
async fn n51_n55_lossy_instances_are_expanded_only_when_that_is_asked_for_by_name() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let mut spread = Spread::over(&server);
    let file = "ts/syn-ts-jpeg-baseline-ybr422.dcm";
    let entry = entries.iter().find(|entry| entry.file == file).unwrap();
    let at = spread.store(&server, entry).await.unwrap();
    let stored = server
        .get_as(&at.path, &at.token, "application/dicom")
        .await;
    assert!(stored.body == entry.bytes());
    let accept = format!("application/dicom; transfer-syntax={EXPLICIT_LITTLE}");
    let expanded = server.get_as(&at.path, &at.token, &accept).await;
    assert_eq!(expanded.status, 200, "{}", expanded.text());
    let expected = octets(&server, &at, 1).await;
    let other = again(&server, &mut spread, &expanded.body).await;
    assert!(octets(&server, &other, 1).await == expected);
    let metadata = server
        .get(&format!("{}/metadata", other.path), &other.token)
        .await;
    assert_eq!(metadata.json()[0]["00280004"]["Value"][0], "RGB", "F51");
    let baseline = "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50";
    let lossy = server.get_as(&other.path, &other.token, baseline).await;
    assert_eq!(lossy.status, 200, "{}", lossy.text());
    let third = again(&server, &mut spread, &lossy.body).await;
    let metadata = server
        .get(&format!("{}/metadata", third.path), &third.token)
        .await;
    assert_eq!(metadata.json()[0]["00282110"]["Value"][0], "01");
    assert_eq!(metadata.json()[0]["00280004"]["Value"][0], "YBR_FULL");
}

/// A frame of 64 by 64 samples of 16 bits in RLE, in literals only.
fn rle_frame(number: usize) -> Vec<u8> {
    let plane = |byte: usize| {
        let rows = (0..32).flat_map(move |row| {
            let bytes =
                (0..128).map(move |at| u8::try_from((number + row * 7 + at * byte) % 251).unwrap());
            std::iter::once(127).chain(bytes)
        });
        rows.collect::<Vec<u8>>()
    };
    let planes = [plane(1), plane(3)];
    let second = u32::try_from(64 + planes[0].len()).unwrap();
    let mut numbers = vec![2, 64, second];
    numbers.resize(16, 0);
    let mut frame: Vec<u8> = numbers
        .iter()
        .flat_map(|number: &u32| number.to_le_bytes())
        .collect();
    frame.extend(planes.concat());
    frame
}

/// What the store has read so far.
async fn read_bytes(server: &Server) -> u64 {
    let page = server
        .client
        .get(format!("{}/metrics", server.metrics()))
        .send()
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    let read = page
        .lines()
        .filter(|line| line.starts_with("kura_storage_bytes_total") && line.contains("read"));
    read.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

#[tokio::test]
async fn f50_the_first_frame_of_five_thousand_is_answered_after_a_short_read() {
    const FRAMES: usize = 5_000;
    let server = Server::start_set(&[("KURA_METRICS__LISTEN", "127.0.0.1:0")]);
    let token = server.reader("F001");
    let mut items = b"\xFE\xFF\x00\xE0\0\0\0\0".to_vec();
    for number in 0..FRAMES {
        let frame = rle_frame(number);
        items.extend(b"\xFE\xFF\x00\xE0");
        items.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
        items.extend(frame);
    }
    items.extend(b"\xFE\xFF\xDD\xE0\0\0\0\0");
    let file = instance("1.2.3")
        .text(0x0028_0008, "IS", "5000")
        .number(0x0028_0010, 64)
        .number(0x0028_0011, 64)
        .bytes(0x5200_9230, "OB", vec![7; 4 << 20])
        .encapsulated("1.2.840.10008.1.2.5", &items)
        .file();
    server.stored(&token, &[&file]).await;
    let path = "/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1/frames";
    for accept in [DECODED, "multipart/related; type=\"image/dicom-rle\""] {
        for number in ["1", "5000"] {
            let before = read_bytes(&server).await;
            let answer = server
                .get_as(&format!("{path}/{number}"), &token, accept)
                .await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let read = read_bytes(&server).await - before;
            println!(
                "frame {number} of {FRAMES}, file of {} bytes: read {read}",
                file.len()
            );
            assert!(read < 1 << 20, "{accept} {number}: {read}");
        }
    }
    // Ten at a time come out of the middle without the rest.
    let before = read_bytes(&server).await;
    let list: Vec<String> = (2_500..2_510).map(|number| number.to_string()).collect();
    let answer = server
        .get_as(&format!("{path}/{}", list.join(",")), &token, DECODED)
        .await;
    assert_eq!(answer.parts().len(), 10);
    assert!(read_bytes(&server).await - before < 1 << 20);
    let (_, peak) = server.memory();
    println!("memory at most {peak}");
}
