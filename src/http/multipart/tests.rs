//! Bodies as senders write them, cut as networks cut them.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::error::{Error, Kind, Result};

/// A part: its content type and its bytes.
type Part = (Option<String>, Vec<u8>);

/// The complete parts of a body that arrives in `chunks`, and how it ended.
fn read<'a>(boundary: &str, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Part>, Result<()>) {
    let mut reader = Reader::new(boundary);
    let mut chunks = chunks.into_iter();
    let mut parts = Vec::new();
    let mut open: Option<Part> = None;
    loop {
        match reader.next_event() {
            Ok(Event::Part(headers)) => {
                open = Some((headers.content_type().map(str::to_owned), Vec::new()));
            }
            Ok(Event::Data(bytes)) => {
                assert!(!bytes.is_empty());
                open.as_mut().unwrap().1.extend_from_slice(&bytes);
            }
            Ok(Event::PartEnd) => parts.push(open.take().unwrap()),
            Ok(Event::NeedMore) => match chunks.next() {
                Some(chunk) => reader.push(Bytes::copy_from_slice(chunk)),
                None => return (parts, reader.finish()),
            },
            Ok(Event::End) => return (parts, reader.finish()),
            Err(error) => return (parts, Err(error)),
        }
    }
}

fn check(body: &[u8], expected: &[&[u8]]) {
    for size in [1, 2, 3, 7, body.len().max(1)] {
        let (parts, end) = read("b", body.chunks(size));
        assert!(end.is_ok(), "{:?} in {size}: {end:?}", body.escape_ascii());
        let bytes: Vec<&[u8]> = parts.iter().map(|part| part.1.as_slice()).collect();
        assert_eq!(
            bytes,
            expected,
            "{:?} in {size}",
            body.escape_ascii().to_string()
        );
    }
}

fn refuse(body: &[u8], whole_parts: usize, detail: &str) {
    for size in [1, 2, 3, body.len().max(1)] {
        let (parts, end) = read("b", body.chunks(size));
        let error: Error = end.unwrap_err();
        assert_eq!((error.kind(), error.detail()), (Kind::Invalid, detail));
        assert_eq!(parts.len(), whole_parts);
    }
}

#[test]
fn t03_what_stands_around_the_parts_is_passed_over() {
    let one: &[&[u8]] = &[b"data"];
    check(b"--b\r\n\r\ndata\r\n--b--\r\n", one);
    check(b"--b\r\n\r\ndata\r\n--b--", one);
    check(b"\r\n--b\r\n\r\ndata\r\n--b--", one);
    check(
        b"This is a preamble.\r\n--b\r\n\r\ndata\r\n--b--\r\nepilogue\r\n--b\r\n",
        one,
    );
    check(b"--bb\r\n--b\r\n\r\ndata\r\n--b--", one);
    check(
        b"--b  \t\r\n\r\ndata\r\n--b \r\n\r\n\r\n--b--",
        &[b"data", b""],
    );
    check(b"--b--", &[]);
}

#[test]
fn t03_lines_may_end_in_lf_only() {
    check(
        b"--b\nContent-Type: a/b\n\ndata\n--b\n\nmore\n--b--\n",
        &[b"data", b"more"],
    );
    check(b"--b\n\ndata\r\n--b--\n", &[b"data\r"]);
    check(b"--b\r\n\r\ndata\n--b--\r\n", &[b"data"]);
}

#[test]
fn t04_headers_are_optional_and_parts_may_be_empty() {
    check(b"--b\r\n\r\n\r\n--b\r\n\r\n--b--", &[b"", b""]);
    let (parts, _) = read(
        "b",
        [b"--b\r\n\r\nx\r\n--b\r\ncontent-type:a/b\r\nX: y\r\n\r\nz\r\n--b--".as_slice()],
    );
    assert_eq!(
        parts,
        [(None, b"x".to_vec()), (Some("a/b".into()), b"z".to_vec())]
    );
}

#[test]
fn data_may_look_like_a_boundary() {
    let data: &[u8] = b"\r\n-\r\n--\r\n--bb\r\n--b-\r\r\n--a\n--b x\r\n";
    let body = [b"--b\r\n\r\n", data, b"\r\n--b--"].concat();
    check(&body, &[data]);
    let padded = [b"\r\n--b".as_slice(), &[b' '; 300], b"\r\n"].concat();
    let body = [b"--b\r\n\r\n", padded.as_slice(), b"\r\n--b--"].concat();
    check(&body, &[&padded]);
}

#[test]
fn t04_a_header_block_of_more_than_16_kib_is_refused() {
    let body = |len: usize| {
        let filler = vec![b'x'; len - "X:\r\n\r\n".len()];
        [b"--b\r\nX:", filler.as_slice(), b"\r\n\r\ndata\r\n--b--"].concat()
    };
    check(&body(16 * 1024), &[b"data"]);
    refuse(
        &body(16 * 1024 + 1),
        0,
        "the headers of a part exceed 16 KiB, at byte 5",
    );
    refuse(
        b"--b\r\nno header\r\n\r\n",
        0,
        "the headers of a part cannot be read, at byte 5",
    );
}

#[test]
fn t40_t52_a_body_that_breaks_off_keeps_its_whole_parts() {
    refuse(b"", 0, "no boundary was found in the body, at byte 0");
    refuse(
        b"--c\r\n\r\ndata\r\n--c--",
        0,
        "no boundary was found in the body, at byte 18",
    );
    refuse(
        b"--b\r\n\r\ndata",
        0,
        "the body ends inside a part, at byte 11",
    );
    refuse(
        b"--b\r\n\r\ndata\r\n--b",
        0,
        "the body ends inside a part, at byte 16",
    );
    refuse(
        b"--b\r\n\r\ndata\r\n--b\r\n",
        1,
        "the body ends before its last boundary, at byte 18",
    );
    refuse(
        b"--b\r\n\r\ndata\r\n--b\r\n\r\nda",
        1,
        "the body ends inside a part, at byte 22",
    );
}

#[test]
fn t11_data_are_slices_of_the_chunk_they_came_in() {
    let mut reader = Reader::new("b");
    reader.push(Bytes::from_static(b"--b\r\n\r\n"));
    assert!(matches!(reader.next_event(), Ok(Event::Part(_))));
    assert_eq!(reader.next_event().unwrap(), Event::NeedMore);
    let chunk = Bytes::from(vec![7; 65_536]);
    reader.push(chunk.clone());
    let Ok(Event::Data(bytes)) = reader.next_event() else {
        panic!("data are there");
    };
    assert_eq!((bytes.as_ptr(), bytes.len()), (chunk.as_ptr(), chunk.len()));
    assert_eq!(reader.next_event().unwrap(), Event::NeedMore);
}

#[test]
fn t12_a_hundred_thousand_parts_are_read_in_linear_time() {
    let body = [b"--b\r\n\r\nx\r\n".repeat(100_000).as_slice(), b"--b--"].concat();
    let (parts, end) = read("b", body.chunks(65_536));
    assert!(end.is_ok());
    assert_eq!(parts.len(), 100_000);
}

#[test]
fn what_is_written_is_read_back() {
    let boundary = Boundary::of(Uuid::from_u128(7));
    let mut body = BytesMut::new();
    let frames: [&[u8]; 3] = [b"one\r\n", b"", b"\r\n--"];
    for frame in frames {
        let len = frame.len().try_into().unwrap();
        body.extend_from_slice(&boundary.part_header("image/jpeg; transfer-syntax=1.2", len, None));
        body.extend_from_slice(frame);
        body.extend_from_slice(&write::PART_END);
    }
    body.extend_from_slice(&boundary.end());
    let message = RelatedType::parse(&boundary.content_type("image/jpeg")).unwrap();
    assert_eq!(message.root_type, "image/jpeg");
    let (parts, end) = read(&message.boundary, [&body[..]]);
    assert!(end.is_ok());
    let expected = frames.map(|frame| {
        (
            Some("image/jpeg; transfer-syntax=1.2".to_owned()),
            frame.to_vec(),
        )
    });
    assert_eq!(parts, expected);
}

/// Bytes that are often parts of boundaries and headers.
fn near_bodies() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"--b".to_vec()),
        Just(b"\r\n--b\r\n\r\n".to_vec()),
        Just(b"\n--b\nX: y\n\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"--".to_vec()),
        Just(b" ".to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn t03_a_body_gives_the_same_parts_wherever_it_is_cut(
        body in near_bodies(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([body.len()]) {
            chunks.push(&body[from..cut]);
            from = cut;
        }
        let (parts, end) = read("b", chunks);
        let (whole, whole_end) = read("b", [body.as_slice()]);
        prop_assert_eq!(&parts, &whole);
        let detail = |end: Result<()>| end.err().map(|error| error.detail().to_owned());
        prop_assert_eq!(detail(end), detail(whole_end));
        let (bytewise, _) = read("b", body.chunks(1));
        prop_assert_eq!(bytewise, whole);
    }
}
