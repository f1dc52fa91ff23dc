//! Pieces, blocks and the gzip member around them, checked with zlib's own readers and with the `gzip` program.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use flate2::read::{DeflateDecoder, GzDecoder};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use proptest::prelude::*;

use super::super::gzip::GzipArray;
use super::super::inflate::{inflate_block, inflate_piece};
use super::*;

fn series(number: usize) -> SeriesUid {
    SeriesUid::parse(&format!("1.2.{number}")).unwrap()
}

/// A head of about `len` bytes that deflate cannot make nothing of.
fn head(number: usize, len: usize) -> String {
    let mut state = u64::try_from(number).unwrap() | 1 << 63;
    let mut noise = String::new();
    while noise.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        write!(noise, "{:x}", state >> 48).unwrap();
    }
    format!(r#"{{"00100010":{{"vr":"PN","n":{number}}},"x":"{noise}"}}"#)
}

/// The packed form of `heads` (series, JSON) as one run of bytes, and the place of each.
async fn pack(heads: &[(usize, String)]) -> (Metadata, Vec<u8>, Vec<MetaPlace>) {
    let mut writer = MetadataWriter::default();
    let mut places = Vec::new();
    for (number, json) in heads {
        places.push(writer.add(&series(*number), json.as_bytes()).await.unwrap());
    }
    let metadata = writer.finish().await.unwrap();
    let places = places
        .iter()
        .map(|it| metadata.place(it).unwrap())
        .collect();
    let bytes = metadata.bytes.concat();
    (metadata, bytes, places)
}

fn cut(bytes: &[u8], range: &Range<u64>) -> Vec<u8> {
    bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec()
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

fn joined(heads: &[(usize, String)], number: usize) -> String {
    let of_series = heads.iter().filter(|(series, _)| *series == number);
    let json: Vec<&str> = of_series.map(|(_, json)| json.as_str()).collect();
    json.join(",")
}

/// 90 heads of two interleaved series, some longer than a block.
fn two_series() -> Vec<(usize, String)> {
    let len = |i: usize| if i % 30 == 7 { 400_000 } else { 20_000 };
    (0..90).map(|i| (i % 2, head(i, len(i)))).collect()
}

fn member(metadata: &Metadata, bytes: &[u8]) -> Vec<u8> {
    let (mut array, mut whole) = {
        let (array, head) = GzipArray::begin();
        (array, head.to_vec())
    };
    for piece in &metadata.pieces {
        whole.extend(array.before(piece));
        whole.extend(cut(bytes, &piece.range));
    }
    whole.extend(array.end());
    assert_eq!(len(&whole), GzipArray::byte_count(&metadata.pieces));
    whole
}

#[tokio::test]
async fn each_block_inflates_by_itself_and_holds_whole_heads() {
    let heads = two_series();
    let (metadata, bytes, places) = pack(&heads).await;
    for ((_, json), place) in heads.iter().zip(&places) {
        let block = cut(&bytes, &place.block);
        assert_eq!(inflate_block(&block, &place.json).unwrap(), json.as_bytes());
        let mut inflated = Vec::new();
        DeflateDecoder::new(&block[..])
            .read_to_end(&mut inflated)
            .ok();
        assert!(
            inflated.len() <= BLOCK_BYTES.max(json.len() + 1),
            "{}",
            inflated.len()
        );
    }
    assert_eq!(metadata.pieces.len(), 2);
    assert!(
        places.iter().any(|place| place.json.start > 1),
        "blocks hold several heads"
    );
    // Both pieces lie one after the other.
    assert_eq!(metadata.pieces[0].range.end, metadata.pieces[1].range.start);
    assert_eq!(metadata.pieces[1].range.end, len(&bytes));
}

#[tokio::test]
async fn a_piece_is_its_heads_joined_by_commas() {
    let heads = two_series();
    let (metadata, bytes, _) = pack(&heads).await;
    for (number, piece) in metadata.pieces.iter().enumerate() {
        let json = joined(&heads, number);
        assert_eq!(piece.series, series(number));
        assert_eq!(piece.instance_count, 45);
        assert_eq!(piece.inflated_len, len(json.as_bytes()));
        assert_eq!(piece.crc32, crc32fast::hash(json.as_bytes()));
        let slices: Vec<Result<Bytes>> = cut(&bytes, &piece.range)
            .chunks(1_000)
            .map(|slice| Ok(Bytes::copy_from_slice(slice)))
            .collect();
        let inflated: Vec<Bytes> = inflate_piece(stream::iter(slices), piece)
            .try_collect()
            .await
            .unwrap();
        assert!(inflated.concat() == json.as_bytes());
        assert!(inflated.iter().all(|slice| slice.len() <= 64 << 10));
    }
}

#[tokio::test]
async fn pieces_make_one_gzip_member() {
    let heads = two_series();
    let (metadata, bytes, _) = pack(&heads).await;
    let whole = member(&metadata, &bytes);
    let expected = format!("[{},{}]", joined(&heads, 0), joined(&heads, 1));
    let mut json = String::new();
    let mut decoder = GzDecoder::new(&whole[..]);
    decoder.read_to_string(&mut json).unwrap();
    assert!(json == expected);
    assert!(
        decoder.into_inner().is_empty(),
        "one member, nothing after it"
    );
    assert!(by_the_gzip_program(&whole).is_none_or(|json| json == expected.as_bytes()));

    let (none, bytes, _) = pack(&[]).await;
    let whole = member(&none, &bytes);
    assert!(by_the_gzip_program(&whole).is_none_or(|json| json == b"[]"));
    let mut json = String::new();
    GzDecoder::new(&whole[..])
        .read_to_string(&mut json)
        .unwrap();
    assert_eq!(json, "[]");
}

/// What `gzip -dc` makes of `bytes`; nothing on a machine without it.
fn by_the_gzip_program(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = gzip.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let feeding = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = gzip.wait_with_output().unwrap();
    feeding.join().unwrap();
    assert!(output.status.success());
    Some(output.stdout)
}

#[tokio::test]
async fn a_damaged_piece_is_noticed() {
    let (metadata, bytes, places) = pack(&[(0, head(1, 5_000)), (0, head(2, 5_000))]).await;
    let piece = &metadata.pieces[0];
    let read = async |bytes: Vec<u8>, piece: &Piece| {
        let slices = stream::iter([Ok(Bytes::from(bytes))]);
        let slices: Result<Vec<Bytes>> = inflate_piece(slices, piece).try_collect().await;
        slices.map_err(|error| error.kind())
    };
    assert!(read(bytes.clone(), piece).await.is_ok());
    let cut_short = bytes[..bytes.len() - 100].to_vec();
    assert_eq!(read(cut_short.clone(), piece).await, Err(Kind::Internal));
    assert_eq!(read(bytes.repeat(2), piece).await, Err(Kind::Internal));
    let wrong = Piece {
        crc32: piece.crc32 ^ 1,
        ..piece.clone()
    };
    assert_eq!(read(bytes.clone(), &wrong).await, Err(Kind::Internal));

    assert!(inflate_block(&cut_short, &places[1].json).is_err());
    let end = places[1].json.end;
    assert!(inflate_block(&bytes, &(0..end + 1)).is_err());
    assert!(inflate_block(&bytes, &(0..u32::MAX)).is_err());
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    let reversed = inflate_block(&bytes, &(2..1));
    assert!(reversed.is_err());
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused_and_the_rest_goes_on() {
    let mut writer = MetadataWriter::default();
    let long = vec![b' '; MAX_HEAD_BYTES + 1];
    let error = writer.add(&series(0), &long).await.unwrap_err();
    assert_eq!((error.kind(), writer.series_count()), (Kind::TooLarge, 0));
    writer.add(&series(0), b"{}").await.unwrap();
    assert_eq!(writer.finish().await.unwrap().pieces[0].inflated_len, 2);
}

#[test]
fn pieces_that_contradict_their_object_are_refused() {
    let footer = |offset: u64, length: u64, series: &str| {
        format!(
            r#"{{"pack":"x","pieces":[{{"series":"{series}","offset":{offset},"length":{length},
               "inflated_length":1,"crc32":1,"instances":1}}],"later":true}}"#
        )
    };
    assert_eq!(
        parse(footer(2, 8, "1.2").as_bytes(), 10).unwrap()[0].range,
        2..10
    );
    for (offset, length, series) in [(2, 9, "1.2"), (u64::MAX, 2, "1.2"), (0, 1, "1..2")] {
        assert!(parse(footer(offset, length, series).as_bytes(), 10).is_err());
    }
    assert!(parse(b"", 10).is_err());
}

proptest! {
    #[test]
    fn any_bytes_inflate_or_are_refused(bytes: Vec<u8>, start in 0_u32..200, end in 0_u32..200) {
        inflate_block(&bytes, &(start..end)).ok();
        let piece = Piece { series: series(1), range: 0..1, inflated_len: 5, crc32: 0, instance_count: 1 };
        let slices = stream::iter([Ok(Bytes::from(bytes))]);
        let inflating = inflate_piece(slices, &piece).for_each(async |_| ());
        prop_assert!(inflating.now_or_never().is_some());
    }
}
