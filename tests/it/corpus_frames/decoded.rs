//! Decoded frames against what independent programs decoded, over the whole corpus.

use std::collections::BTreeMap;

use dicom_object::{DefaultDicomObject, InMemDicomObject, OpenFileOptions};
use serde_json::Value;

use super::{EXPLICIT_LITTLE, all, frames, is_native, oracle, pixels};
use crate::harness::corpus::{self, Entry, Spread, Stored, WITHOUT_UIDS, sha256};
use crate::harness::{Server, instance};

/// What has to be decoded: Explicit VR Little Endian by name.
const DECODED: &str =
    "multipart/related; type=\"application/octet-stream\"; transfer-syntax=1.2.840.10008.1.2.1";

/// What does not equal the oracle, and why.
const EXCEPTIONS: [(&str, &str); 2] = [
    (
        "ts/dcmjs__sample-op.dcm",
        "says JPEG lossless and holds JPEG Baseline; the mean differs by 0.003",
    ),
    (
        "ts/gcp__example2.dcm",
        "says RGB and holds YBR, as its JFIF segment says and its white background shows",
    ),
];

/// A file that is refused for want of UIDs, with made-up ones.
fn with_uids(entry: &Entry) -> Vec<u8> {
    let file = &entry.bytes()[..];
    let mut whole = if file.get(128..132) == Some(b"DICM") {
        Vec::new()
    } else {
        [vec![0; 128], b"DICM".to_vec()].concat()
    };
    whole.extend_from_slice(file);
    let object = OpenFileOptions::new().from_reader(&whole[..]);
    let Ok(mut object): Result<DefaultDicomObject, _> = object else {
        return around_its_pixels(entry, file);
    };
    let uid = |end: u32| format!("2.25.{}.{end}", file.len());
    let data_set: &mut InMemDicomObject = &mut object;
    for (end, tag) in [
        (1, (0x0008, 0x0018)),
        (2, (0x0020, 0x000D)),
        (3, (0x0020, 0x000E)),
    ] {
        let tag = dicom_core::Tag(tag.0, tag.1);
        data_set.put_str(tag, dicom_core::VR::UI, uid(end));
    }
    data_set.put_str(
        dicom_core::Tag(0x0008, 0x0016),
        dicom_core::VR::UI,
        "1.2.840.10008.5.1.4.1.1.7",
    );
    object.meta_mut().media_storage_sop_instance_uid = uid(1);
    object.meta_mut().update_information_group_length();
    let mut out = Vec::new();
    object.write_all(&mut out).unwrap();
    out
}

/// A file whose meta information the library of the tests cannot read: another one around its pixels.
fn around_its_pixels(entry: &Entry, file: &[u8]) -> Vec<u8> {
    let start = b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF";
    let at = file.windows(12).position(|bytes| bytes == start).unwrap();
    let number = |name| u16::try_from(entry.number(name).unwrap()).unwrap();
    instance(&format!("2.25.{}", file.len()))
        .number(0x0028_0002, number("samples"))
        .text(0x0028_0004, "CS", entry.field("photometric"))
        .number(0x0028_0006, 0)
        .number(0x0028_0010, number("rows"))
        .number(0x0028_0011, number("columns"))
        .number(0x0028_0100, number("bits_allocated"))
        .number(0x0028_0101, number("bits_stored"))
        .number(0x0028_0102, number("bits_stored") - 1)
        .encapsulated(entry.field("transfer_syntax_uid"), &file[at + 12..])
        .file()
}

async fn store(server: &Server, spread: &mut Spread, entry: &Entry) -> Option<Stored> {
    if !WITHOUT_UIDS.contains(&entry.file.as_str()) {
        return spread.store(server, entry).await;
    }
    let (answer, token) = spread.send(server, &with_uids(entry)).await;
    let json = answer.json();
    let url = json["00081199"]["Value"][0]["00081190"]["Value"][0].as_str();
    let url = url.unwrap_or_else(|| panic!("{} is not stored: {json}", entry.file));
    let path = url.strip_prefix(&server.base).unwrap().to_owned();
    Some(Stored { path, token })
}

/// Least, greatest and mean sample.
fn figures(entry: &Entry, samples: &[u8]) -> [f64; 3] {
    let bytes = entry.number("bits_allocated").unwrap().div_ceil(8);
    let is_signed = entry.field("pixel_representation") == "1";
    let values = samples.chunks_exact(bytes).map(|sample| {
        let value = sample
            .iter()
            .rev()
            .fold(0_i64, |number, byte| (number << 8) | i64::from(*byte));
        let unused = 64 - 8 * bytes;
        #[expect(clippy::cast_precision_loss, reason = "at most 32 bits")]
        let value = if is_signed {
            (value << unused) >> unused
        } else {
            value
        } as f64;
        value
    });
    let (least, greatest, sum, count) = values
        .fold((f64::MAX, f64::MIN, 0.0, 0.0), |(l, g, s, n), v| {
            (v.min(l), v.max(g), s + v, n + 1.0)
        });
    [least, greatest, sum / count]
}

/// Whether a frame that lost something is as near as the programs are to one another.
fn is_near(expected: &Value, found: [f64; 3]) -> bool {
    let expected = [1, 2, 3].map(|at| expected[at].as_f64().unwrap());
    let near = expected
        .iter()
        .zip(found)
        .map(|(expected, found)| (expected - found).abs());
    near.zip([2.0, 2.0, 0.5])
        .all(|(difference, allowed)| difference <= allowed)
}

/// Slow: every compressed image of the corpus.
#[tokio::test]
async fn n52_n55_f51_f52_compressed_frames_decode_to_what_independent_programs_decoded() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let mut spread = Spread::over(&server);
    let mut wrong: Vec<String> = Vec::new();
    let mut by_syntax: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    let (mut files, mut count, mut undecodable) = (0, 0, Vec::new());
    for entry in entries
        .iter()
        .filter(|entry| entry.group != "broken" && entry.group != "video" && !is_native(entry))
    {
        let oracle = oracle(entry);
        if oracle.is_null() {
            continue;
        }
        let Some(expected) = oracle["frames"].as_array() else {
            undecodable.push(entry.file.clone());
            continue;
        };
        let Some(at) = store(&server, &mut spread, entry).await else {
            wrong.push(format!("{}: not stored", entry.file));
            continue;
        };
        // Colour that lost something comes as RGB.
        let is_lossy = oracle["lossless"] == false;
        let expected = match oracle["rgb_frames"].as_array() {
            Some(rgb) if is_lossy => rgb,
            _ => expected,
        };
        files += 1;
        let tally = by_syntax
            .entry(entry.field("transfer_syntax_uid").to_owned())
            .or_default();
        tally[1] += 1;
        let answer = frames(&server, &at, &all(expected.len()), DECODED).await;
        if answer.status != 200 {
            wrong.push(format!("{}: {}", entry.file, answer.text()));
            continue;
        }
        let parts = answer.parts();
        assert_eq!(parts.len(), expected.len(), "{}", entry.file);
        let mut is_right = true;
        for (number, (part, expected)) in parts.iter().zip(expected).enumerate() {
            let media_type = format!("application/octet-stream; transfer-syntax={EXPLICIT_LITTLE}");
            assert_eq!(
                part.header("Content-Type"),
                media_type,
                "N60: {}",
                entry.file
            );
            let samples = pixels::samples(entry, &part.body, oracle["note"] == "1-bit");
            count += 1;
            let is_equal = expected[0] == sha256(&samples);
            let found = figures(entry, &samples);
            if !(is_equal || is_lossy && is_near(expected, found)) {
                is_right = false;
                wrong.push(format!(
                    "{} frame {}: {found:?}, not {expected} ({})",
                    entry.file,
                    number + 1,
                    entry.field("photometric")
                ));
            }
        }
        tally[0] += usize::from(is_right);
    }
    for (uid, [right, total]) in &by_syntax {
        println!("{uid}: {right} of {total} files");
    }
    println!(
        "decoded: files {files}, frames {count}, wrong {}",
        wrong.len()
    );
    println!("no independent program can decode: {undecodable:?}");
    for (file, reason) in EXCEPTIONS {
        println!("excepted: {file}: {reason}");
        let before = wrong.len();
        wrong.retain(|line| !line.starts_with(file));
        assert!(wrong.len() < before, "{file} is no exception any more");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // 146 of 148 are right.
    assert_eq!((files, count, undecodable.len()), (148, 342, 3));
}
