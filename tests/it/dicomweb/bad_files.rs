//! Files that lie about themselves: each fails alone, says where, and costs no memory.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::bad_input::{MEMORY, RELATED, failures, good, holds_only, parts};
use crate::harness::Server;

/// The bytes of a file up to its pixel data, which are the last 44.
fn without_pixels(file: &[u8]) -> Vec<u8> {
    file[..file.len() - 44].to_vec()
}

/// The start of an element in Explicit VR Little Endian with a long length.
fn long(tag: u32, vr: [u8; 2], len: u32) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&u16::try_from(tag >> 16).unwrap().to_le_bytes());
    out.extend_from_slice(&u16::try_from(tag & 0xFFFF).unwrap().to_le_bytes());
    out.extend_from_slice(&vr);
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&len.to_le_bytes());
    out
}

const UNDEFINED: u32 = u32::MAX;

/// An item of undefined length (PS3.5 7.5.1).
const ITEM: [u8; 8] = [0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF];

/// Sequences inside one another, never closed or closed one by one.
fn nested(depth: usize, is_closed: bool) -> Vec<u8> {
    let opening = [long(0x0040_A730, *b"SQ", UNDEFINED), ITEM.to_vec()].concat();
    let closing = [
        0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0,
    ];
    let mut out = opening.repeat(depth);
    if is_closed {
        out.extend(closing.repeat(depth));
    }
    out
}

/// Files that lie about what is in them.
fn liars() -> Vec<(&'static str, Vec<u8>)> {
    let file = good(1);
    let base = without_pixels(&file);
    let with = |tail: &[&[u8]]| [&base, tail.concat().as_slice()].concat();
    vec![
        (
            "4 GB of an unknown value",
            with(&[&long(0x0041_1010, *b"UN", 0xFFFF_FFF0), b"four"]),
        ),
        (
            "4 GB of text",
            with(&[&long(0x0040_A160, *b"UT", 0xFFFF_FFFE), b"four"]),
        ),
        (
            "4 GB of pixels",
            with(&[&long(0x7FE0_0010, *b"OW", 0xFFFF_FFFE), &[0; 32]]),
        ),
        (
            "4 GB of a sequence",
            with(&[&long(0x0040_A730, *b"SQ", 0xFFFF_FFF0)]),
        ),
        (
            "an item larger than its sequence",
            with(&[
                &long(0x0040_A730, *b"SQ", 16),
                &[0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0x7F],
                &[0; 8],
            ]),
        ),
        (
            "an element larger than its item",
            with(&[
                &long(0x0040_A730, *b"SQ", 24),
                &[0xFE, 0xFF, 0x00, 0xE0, 16, 0, 0, 0],
                &long(0x0040_A160, *b"UT", 4000),
                b"text",
            ]),
        ),
        (
            "a sequence without its end",
            with(&[&long(0x0040_A730, *b"SQ", UNDEFINED), &ITEM]),
        ),
        (
            "a fragment larger than the file",
            with(&[
                &long(0x7FE0_0010, *b"OB", UNDEFINED),
                &[0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0],
                &[0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0xFF],
                b"four",
            ]),
        ),
        ("5,000 sequences deep", with(&[&nested(5000, false)])),
        ("5,000 sequences deep, closed", with(&[&nested(5000, true)])),
        ("cut in the preamble", file[..100].to_vec()),
        ("cut after DICM", file[..132].to_vec()),
        ("cut in the meta information", file[..170].to_vec()),
        ("cut in the last value", file[..file.len() - 1].to_vec()),
        ("cut in the last header", file[..file.len() - 40].to_vec()),
        ("not DICOM", b"GIF89a not an object at all".to_vec()),
        ("nothing", Vec::new()),
    ]
}

#[tokio::test]
async fn t28_t31_a_file_that_lies_fails_alone_and_says_where() {
    let mut server = Server::start();
    let token = server.reader("F001");
    let before = server.memory().0;
    let mut there = Vec::new();
    for (number, (what, file)) in liars().into_iter().enumerate() {
        let (left, right) = (100 + 2 * number, 101 + 2 * number);
        let body = parts(&[&good(left), &file, &good(right)]);
        let answer = server.post("/studies", &token, RELATED, body).await;
        assert_eq!(answer.status, 202, "{what}: {}", answer.text());
        let failed = failures(&answer);
        assert_eq!(failed.len(), 1, "{what}: {failed:?}");
        let (reason, comment) = &failed[0];
        assert_eq!(*reason, 0xC000, "{what}: {comment}");
        println!("{what}: {comment}");
        let names_place =
            comment.contains('(') || comment.contains("at offset") || comment.contains("not DICOM");
        assert!(names_place, "{what}: no tag and no offset in {comment:?}");
        there.extend([left, right]);
    }
    holds_only(&mut server, &token, &there, "liars").await;
    let grown = server.memory().1.saturating_sub(before);
    println!("grown by {} KiB", grown >> 10);
    assert!(grown < MEMORY, "{grown}");
}

/// A good file in Deflated Explicit VR Little Endian (PS3.5 A.5) whose data set goes on with `header` and zeros.
fn deflated(number: usize, header: &[u8], zeros: usize) -> Vec<u8> {
    let file = without_pixels(&good(number));
    let meta_len = u32::from_le_bytes(file[140..144].try_into().unwrap());
    let data_set = 144 + usize::try_from(meta_len).unwrap();
    let mut meta = file[..data_set].to_vec();
    let plain = b"\x10\x00UI\x14\x001.2.840.10008.1.2.1\0";
    let at = meta
        .windows(plain.len())
        .position(|w| w == plain)
        .expect("the transfer syntax");
    meta.splice(
        at..at + plain.len(),
        *b"\x10\x00UI\x16\x001.2.840.10008.1.2.1.99",
    );
    meta[140..144].copy_from_slice(&(meta_len + 2).to_le_bytes());
    let mut stream = DeflateEncoder::new(meta, Compression::best());
    stream.write_all(&file[data_set..]).unwrap();
    stream.write_all(header).unwrap();
    for _ in 0..zeros >> 20 {
        stream.write_all(&vec![0; 1 << 20]).unwrap();
    }
    stream.finish().unwrap()
}

#[tokio::test]
async fn t14_t28_a_deflate_bomb_is_refused_and_costs_no_memory() {
    const SIZE: usize = 200 << 20;
    let len = u32::try_from(SIZE).unwrap();
    let mut server = Server::start();
    let token = server.reader("F001");
    let before = server.memory().0;
    let bombs = [
        ("in the pixels", long(0x7FE0_0010, *b"OW", len)),
        ("in an unknown value", long(0x0041_1010, *b"UN", len)),
        ("in a text", long(0x0040_A160, *b"UT", len)),
        ("in no element", Vec::new()),
        (
            "in a value that claims more",
            long(0x7FE0_0010, *b"OW", 0xFFFF_FFFE),
        ),
    ];
    for (what, header) in bombs {
        let bomb = deflated(1, &header, SIZE);
        assert!(bomb.len() < SIZE / 500, "{what}: it is a bomb");
        let answer = server
            .post("/studies", &token, "application/dicom", bomb)
            .await;
        assert_eq!(answer.status, 409, "{what}: {}", answer.text());
        let failed = failures(&answer);
        assert_eq!((failed.len(), failed[0].0), (1, 0xC000), "{what}");
        println!("{what}: {}", failed[0].1);
    }
    holds_only(&mut server, &token, &[], "bombs").await;
    // Well below the limit zeros may be many: a black picture is no bomb.
    let black = deflated(2, &long(0x7FE0_0010, *b"OW", 32 << 20), 32 << 20);
    let answer = server
        .post("/studies", &token, "application/dicom", black)
        .await;
    assert!(matches!(answer.status, 200 | 202), "{}", answer.text());
    let grown = server.memory().1.saturating_sub(before);
    println!("grown by {} KiB", grown >> 10);
    assert!(server.is_alive() && grown < MEMORY, "{grown}");
}
