//! Binary items: lists, one alone, many in the form of old clients and in that of the standard, and broken downloads.

use reqwest::Method;

use super::{filled, uuid_of};
use crate::harness::instance::Builder;
use crate::harness::{Answer, Server, instance};

/// A slice of four times four pixels, all of them `value`.
fn slice(number: u8, series: u8) -> Builder {
    let of_series = format!("1.2.3.1.{series}");
    let uid = format!("{of_series}.{number}");
    instance("1.2.3")
        .uids("1.2.3.1", &of_series, &uid)
        .text(0x0020_0011, "IS", &series.to_string())
        .text(0x0020_0013, "IS", &number.to_string())
        .bytes(0x7FE0_0010, "OW", vec![series * 16 + number; 32])
}

/// A loop of three frames of four times four pixels, and before it a value of its own that is long, and one that is short.
fn several() -> Builder {
    slice(1, 3)
        .text(0x0028_0008, "IS", "3")
        .number(0x0028_0100, 8)
        .number(0x0028_0101, 8)
        .number(0x0028_0102, 7)
        .text(0x0009_0010, "LO", "KURA")
        .bytes(0x0009_1001, "OB", vec![7; 300])
        .bytes(0x0009_1002, "OB", vec![8; 254])
        .bytes(0x7FE0_0010, "OB", (0..48).collect())
}

/// A study of two slices, stored the wrong way round, and a loop: items 0 and 1, the long value 2, and the frames 3 to 5.
pub async fn study() -> (Server, String, String) {
    let server = Server::start();
    let token = server.reader("F001");
    let files = [several().file(), slice(2, 1).file(), slice(1, 1).file()];
    server.stored(&token, &files).await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    (server, token, uuid)
}

fn expected(number: usize) -> Vec<u8> {
    match number {
        0 => vec![17; 32],
        1 => vec![18; 32],
        2 => vec![7; 300],
        _ => (0..48).skip((number - 3) * 16).take(16).collect(),
    }
}

pub fn path(uuid: &str, list: &str) -> String {
    format!("/mint/studies/{uuid}/DICOM/binaryitems/{list}")
}

/// One line, which ends in LF alone.
fn line<'a>(body: &mut &'a [u8]) -> &'a str {
    let end = body
        .iter()
        .position(|byte| *byte == b'\n')
        .expect("a line ends");
    let (line, rest) = body.split_at(end);
    *body = &rest[1..];
    let line = std::str::from_utf8(line).expect("lines are text");
    assert!(!line.contains('\r') && line.len() < 1024, "{line:?}");
    line
}

/// The parts of a body as MINT2DICOM reads them: by the position of lines, three of headers and in this order.
pub(super) fn read_by_lines(answer: &Answer, uuid: &str) -> Vec<(usize, Vec<u8>)> {
    let content_type = answer.header("content-type");
    let boundary = content_type
        .strip_prefix("multipart/x-mixed-replace; boundary=\"")
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or_else(|| panic!("{content_type}"));
    let mut body = answer.body.as_slice();
    let mut parts = Vec::new();
    loop {
        if body == format!("--{boundary}--").as_bytes() {
            return parts;
        }
        assert_eq!(line(&mut body), format!("--{boundary}"));
        assert_eq!(line(&mut body), "Content-Type: application/octet-stream");
        let id = line(&mut body);
        let id = id.strip_prefix("Content-ID: <").unwrap();
        let (number, study) = id.strip_suffix('>').unwrap().split_once('@').unwrap();
        assert_eq!(study, uuid);
        let len = line(&mut body);
        let len = len.strip_prefix("Content-Length: ").unwrap();
        assert_eq!(line(&mut body), "");
        let (bytes, rest) = body.split_at(len.parse().unwrap());
        body = rest;
        assert_eq!(line(&mut body), "");
        parts.push((number.parse().unwrap(), bytes.to_vec()));
    }
}

#[tokio::test]
async fn mint_e08_i01_i02_i03_i04_i10_i11_i12_i13_i15_i16_p20_p21_items_are_read_line_by_line() {
    let (server, token, uuid) = study().await;
    for (list, numbers) in [
        ("all", vec![0, 1, 2, 3, 4, 5]),
        ("0-5", vec![0, 1, 2, 3, 4, 5]),
        ("all.dat", vec![0, 1, 2, 3, 4, 5]),
        ("3,1,3", vec![3, 1, 3]),
        ("5,0-1.dat", vec![5, 0, 1]),
        ("2-4", vec![2, 3, 4]),
    ] {
        for accept in ["", "*/*", "multipart/x-mixed-replace", "text/html"] {
            let answer = server.get_as(&path(&uuid, list), &token, accept).await;
            assert_eq!(answer.status, 200, "{list}: {}", answer.text());
            let parts = read_by_lines(&answer, &uuid);
            let whole: Vec<_> = numbers.iter().map(|n| (*n, expected(*n))).collect();
            assert!(parts == whole, "{list}: {parts:?}");
            assert_eq!(
                answer.header("content-length"),
                answer.body.len().to_string()
            );
            assert_eq!(
                (answer.header("islast"), answer.header("compressed")),
                Default::default()
            );
        }
    }
}

#[tokio::test]
async fn mint_n10_i02_k40_k41_k47_one_item_is_the_bytes_as_stored() {
    let (server, token, uuid) = study().await;
    for number in 0..6 {
        for list in [
            format!("{number}"),
            format!("{number}.dat"),
            format!("{number}-{number}"),
        ] {
            let answer = server.get(&path(&uuid, &list), &token).await;
            assert_eq!(answer.status, 200, "{list}");
            assert_eq!(answer.header("content-type"), "application/octet-stream");
            assert_eq!(
                answer.header("content-length"),
                answer.body.len().to_string()
            );
            assert!(answer.body == expected(number), "{list}");
        }
    }
    let (server, token) = filled().await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let only = server.get(&path(&uuid, "all"), &token).await;
    assert_eq!(only.header("content-type"), "application/octet-stream");
    assert_eq!(only.body, (0..32).collect::<Vec<u8>>());
}

#[tokio::test]
async fn mint_x04_x05_x06_x07_x08_f08_lists_are_checked_before_the_first_byte() {
    let (server, token, uuid) = study().await;
    for (list, status) in [
        ("x", 400),
        ("-1", 400),
        ("5-2", 400),
        ("1,,2", 400),
        ("1.5", 400),
        ("6", 404),
        ("0,6", 404),
        ("0-6", 404),
        ("0-4294967295", 404),
        ("99999999999999999999999", 404),
        ("4294967296", 404),
        ("0/", 404),
        ("", 404),
    ] {
        let answer = server.get(&path(&uuid, list), &token).await;
        assert_eq!(answer.status, status, "{list}: {}", answer.text());
    }
    for path in [
        format!("/mint/studies/{uuid}/ExternalData/binaryitems/0"),
        format!("/mint/studies/{uuid}/dicom/binaryitems/all"),
    ] {
        assert_eq!(server.get(&path, &token).await.status, 404, "{path}");
    }
    let foreign = server.reader("F002");
    for list in ["0", "all", "x", "9"] {
        assert_eq!(
            server.get(&path(&uuid, list), &foreign).await.status,
            404,
            "{list}"
        );
    }
    let narrow = server.token("F001", "report.read");
    assert_eq!(server.get(&path(&uuid, "all"), &narrow).await.status, 403);
}

#[tokio::test]
async fn mint_i06_f07_a_long_list_is_answered_and_a_hostile_one_refused() {
    let (server, token, uuid) = study().await;
    let numbers: Vec<usize> = (0..2000).map(|at| at % 6).collect();
    let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let answer = server.get(&path(&uuid, &list.join(",")), &token).await;
    assert_eq!(answer.status, 200);
    let parts = read_by_lines(&answer, &uuid);
    assert!(parts.into_iter().map(|(number, _)| number).eq(numbers));
    let long = vec!["0-5"; 15_000].join(",");
    assert!(long.len() < 64 << 10);
    let answer = server.get(&path(&uuid, &long), &token).await;
    assert_eq!(answer.status, 200);
    assert_eq!(read_by_lines(&answer, &uuid).len(), 90_000);
}

#[tokio::test]
async fn mint_i17_the_standard_form_is_for_those_who_ask() {
    let (server, token, uuid) = study().await;
    let accept = "multipart/related; type=\"application/octet-stream\"";
    let answer = server.get_as(&path(&uuid, "1-3"), &token, accept).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-length"),
        answer.body.len().to_string()
    );
    assert!(answer.body.ends_with(b"--\r\n"));
    let parts = answer.parts();
    for (part, number) in parts.iter().zip(1..) {
        assert!(part.body == expected(number));
        let header = |name: &str| part.header(name);
        assert_eq!(header("Content-ID"), format!("<{number}@{uuid}>"));
        assert_eq!(header("Content-Length"), part.body.len().to_string());
        let location = format!("{}{}", server.base, path(&uuid, &number.to_string()));
        assert_eq!(header("Content-Location"), location);
        assert_eq!(
            server
                .get(&path(&uuid, &number.to_string()), &token)
                .await
                .body,
            part.body
        );
    }
    assert_eq!(parts.len(), 3);
}

#[tokio::test]
async fn mint_z10_z11_z20_z21_z22_a_broken_download_goes_on_where_it_broke_off() {
    let (server, token, uuid) = study().await;
    for list in ["2", "all", "5,0-3,5"] {
        for accept in ["*/*", "multipart/related"] {
            let ask = async |headers: &[(&str, &str)]| {
                let request = server.request(Method::GET, &path(&uuid, list), &token);
                let request = request.header("accept", accept);
                let request = headers
                    .iter()
                    .fold(request, |it, (name, value)| it.header(*name, *value));
                server.send(request).await
            };
            let whole = ask(&[]).await;
            let tag = whole.header("etag");
            assert!(tag.starts_with('"'), "{list}: {tag}");
            assert_eq!(whole.header("accept-ranges"), "bytes");
            assert_eq!(whole.header("cache-control"), "private, no-cache");
            let known = ask(&[("if-none-match", &tag)]).await;
            assert_eq!((known.status, known.body.len()), (304, 0));
            let len = whole.body.len();
            for start in (0..len).step_by(7).chain([len - 1]) {
                let range = format!("bytes={start}-");
                let rest = ask(&[("range", &range), ("if-range", &tag)]).await;
                assert_eq!(rest.status, 206, "{list} {range}");
                assert!(rest.body == whole.body[start..], "{list} {range}");
                let told = format!("bytes {start}-{}/{len}", len - 1);
                assert_eq!(rest.header("content-range"), told);
            }
            let few = ask(&[("range", "bytes=10-19")]).await;
            assert!(few.body == whole.body[10..20]);
            let beyond = ask(&[("range", &format!("bytes={len}-"))]).await;
            assert_eq!(beyond.status, 416);
            let other = ask(&[("range", "bytes=1-"), ("if-range", "\"other\"")]).await;
            assert_eq!((other.status, other.body.len()), (200, len));
            let coded = ask(&[("accept-encoding", "gzip, zstd")]).await;
            assert_eq!(
                (coded.header("content-encoding"), coded.body),
                (String::new(), whole.body)
            );
        }
    }
}

#[tokio::test]
async fn mint_p21_p24_f09_numbers_stay_and_are_never_used_again() {
    let (server, token, uuid) = study().await;
    let all = async || {
        let answer = server.get(&path(&uuid, "all"), &token).await;
        read_by_lines(&answer, &uuid)
    };
    assert_eq!(all().await.len(), 6);
    // What comes later comes behind, wherever it stands in the study.
    server.stored(&token, &[slice(0, 1).file()]).await;
    let later = all().await;
    assert_eq!(later.len(), 7);
    assert!(later[6] == (6, vec![16; 32]));
    let person = server.token(
        "F001",
        "dicom.read dicom.delete lifecycle.manage lifecycle.read",
    );
    let gone = "/studies/1.2.3.1/series/1.2.3.1.3";
    let deleted = server
        .send(server.request(Method::DELETE, gone, &person))
        .await;
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    let numbers: Vec<_> = all().await.into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [0, 1, 6]);
    for list in ["3", "0,3", "0-6"] {
        assert_eq!(
            server.get(&path(&uuid, list), &token).await.status,
            404,
            "{list}"
        );
    }
    server.stored(&token, &[slice(3, 1).file()]).await;
    let numbers: Vec<_> = all().await.into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [0, 1, 6, 7]);
    let id = deleted.header("x-kura-deletion");
    let restore = format!("/api/v1/deletions/{id}/restore");
    let request = server.request(Method::POST, &restore, &person);
    let back = server.send(request.header("if-match", "\"1\"")).await;
    assert_eq!(back.status, 200, "{}", back.text());
    let whole = all().await;
    let numbers: Vec<_> = whole.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(whole[4].1 == expected(4));
}

#[tokio::test]
async fn mint_x09_a_study_without_items_has_none() {
    let server = Server::start();
    let token = server.reader("F001");
    let report = instance("1.2.3")
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.88.33")
        .without(0x7FE0_0010);
    server.stored(&token, &[report.file()]).await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let none = server.get(&path(&uuid, "all"), &token).await;
    assert_eq!((none.status, none.body.len()), (204, 0), "{}", none.text());
    assert_eq!(server.get(&path(&uuid, "0"), &token).await.status, 404);
}

/// Fragments with their headers, the first of them a table of offsets.
fn fragments(all: &[&[u8]]) -> Vec<u8> {
    let mut items = Vec::new();
    for fragment in [&[][..]].iter().chain(all) {
        items.extend_from_slice(&[0xFE, 0xFF, 0x00, 0xE0]);
        items.extend_from_slice(&u32::try_from(fragment.len()).unwrap().to_le_bytes());
        items.extend_from_slice(fragment);
    }
    items.extend_from_slice(&[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    items
}

#[tokio::test]
async fn mint_k43_k44_k45_k46_fragments_of_a_frame_are_joined() {
    let server = Server::start();
    let token = server.reader("F001");
    let of = |number: u8, frames: &str, syntax: &str, all: &[&[u8]]| {
        let loop_of = slice(number, 1).text(0x0028_0008, "IS", frames);
        loop_of.encapsulated(syntax, &fragments(all)).file()
    };
    let jpeg = "1.2.840.10008.1.2.4.50";
    let video = "1.2.840.10008.1.2.4.102";
    let (first, second) = (
        [0xFF, 0xD8, 1, 0xFF, 0xD9, 0],
        [0xFF, 0xD8, 2, 3, 0xFF, 0xD9],
    );
    let files = [
        of(1, "2", jpeg, &[&first, &second]),
        of(2, "1", jpeg, &[&first[..2], &first[2..]]),
        of(3, "5", video, &[&first, &second]),
    ];
    server.stored(&token, &files).await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let answer = server.get(&path(&uuid, "all"), &token).await;
    let bytes: Vec<Vec<u8>> = read_by_lines(&answer, &uuid)
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect();
    let joined = [first, second].concat();
    assert!(
        bytes == [first.to_vec(), second.to_vec(), first.to_vec(), joined],
        "{bytes:?}"
    );
}
