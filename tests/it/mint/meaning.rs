//! A study that went through MINT keeps every meaning and not every byte; the exact form keeps bytes (MINT P09).

use kura::dicom::mint::Form;
use kura::dicom::mint::document::Study;

use super::create::{create, document, file, made};
use super::{uuid_of, values};
use crate::harness::{Server, exact, instance};

const JPEG: &str = "1.2.840.10008.1.2.4.50";

/// An item of encapsulated pixel data.
fn piece(element: u8, bytes: &[u8]) -> Vec<u8> {
    let mut piece = vec![0xFE, 0xFF, element, 0xE0];
    piece.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    piece.extend(bytes);
    piece
}

/// A file with all that MINT has no place for, of two frames, the first in two fragments.
fn unusual() -> Vec<u8> {
    let table = [0_u32.to_le_bytes(), 24_u32.to_le_bytes()].concat();
    let pieces = [
        piece(0, &table),
        piece(0, &[0xFF, 0xD8, 1, 2]),
        piece(0, &[3, 4, 0xFF, 0xD9]),
        piece(0, &[0xFF, 0xD8, 5, 6, 0xFF, 0xD9]),
        piece(0xDD, &[]),
    ];
    // A sequence and its item of undefined length.
    let mut inner = vec![0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF];
    inner.extend([0x08, 0x00, 0x50, 0x11, b'U', b'I', 4, 0]);
    inner.extend(b"1.2\0");
    inner.extend([
        0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0,
    ]);
    let mut bytes = instance("1.2.6")
        .bytes(0x0008_0000, "UL", vec![9, 9, 0, 0])
        .bytes(0x0008_1140, "SQ", inner.clone())
        .text(0x0018_0050, "DS", "  1.50  ")
        .text(0x0010_0010, "PN", "Yamada^Hanako^^^ ")
        .text(0x0028_0008, "IS", "2")
        .number(0x0028_0100, 8)
        .number(0x0028_0101, 8)
        .number(0x0028_0102, 7)
        .encapsulated(JPEG, &pieces.concat())
        .file();
    bytes[..128].fill(7);
    let len = u32::try_from(inner.len()).unwrap().to_le_bytes();
    let head = [&[0x08, 0x00, 0x40, 0x11, b'S', b'Q', 0, 0][..], &len].concat();
    let at = bytes.windows(head.len()).position(|it| it == head).unwrap();
    bytes[at + 8..at + 12].fill(0xFF);
    bytes
}

/// What a study means: its document, without what every version and every file has of its own.
async fn meaning(server: &Server, token: &str, uuid: &str) -> (Study, Vec<Vec<u8>>) {
    let path = format!("/mint/studies/{uuid}/DICOM");
    let told = server.get(&format!("{path}/metadata"), token).await;
    let mut study = Form::Xml.study(told.body.as_slice()).unwrap();
    for instance in &mut study.series[0].instances {
        instance.attributes.retain(|it| it.tag.group() != 2);
    }
    let mut items = Vec::new();
    for number in 0..2 {
        let path = format!("{path}/binaryitems/{number}");
        items.push(server.get(&path, token).await.body);
    }
    (study, items)
}

#[tokio::test]
async fn mint_p09_meaning_comes_back_bytes_only_by_the_exact_form() {
    let server = Server::start();
    let (sender, receiver) = (server.reader("F001"), server.reader("F002"));
    let sent = unusual();
    server.stored(&sender, &[&sent]).await;
    let uuid = uuid_of(&server, &sender, "1.2.6.1").await;
    let (study, items) = meaning(&server, &sender, &uuid).await;
    assert_eq!(items[0], [0xFF, 0xD8, 1, 2, 3, 4, 0xFF, 0xD9]);
    let path = format!("/mint/studies/{uuid}/DICOM/metadata");
    let told = server.get(&path, &sender).await;
    assert_eq!(values(&told, "version"), ["0"]);
    let text = told.text().replacen(" version=\"0\"", "", 1);
    let mut fields = vec![document(&text)];
    for (number, item) in items.iter().enumerate() {
        let name = format!("binary{number}");
        fields.push(file(&name, &name, "application/octet-stream", item.clone()));
    }
    let made = made(&create(&server, &receiver, &fields).await);
    assert_eq!(meaning(&server, &receiver, &made).await, (study, items));
    let stored = async |uuid: &str, token: &str| {
        let path = format!("/mint/studies/{uuid}/exact");
        let tar = server.get(&path, token).await;
        exact::files(&tar.body).remove(1).1
    };
    assert_eq!(stored(&uuid, &sender).await, sent);
    let composed = stored(&made, &receiver).await;
    assert_ne!(composed, sent);
    assert_eq!(composed[..128], [0; 128]);
    let holds = |bytes: &[u8]| composed.windows(bytes.len()).any(|it| it == bytes);
    // Neither a group length, nor two fragments of a frame, nor lengths that are not said, nor blanks in front.
    assert!(!holds(&[0x08, 0x00, 0x00, 0x00, b'U', b'L']));
    assert!(holds(&piece(0, &[0xFF, 0xD8, 1, 2, 3, 4, 0xFF, 0xD9])));
    assert!(!holds(&[0xFE, 0xFF, 0x0D, 0xE0]));
    assert!(holds(b"DS\x04\x001.50") && !holds(b"  1.50"));
}

#[test]
fn mint_p09_what_is_lost_is_told_to_integrators() {
    let page = include_str!("../../../docs/mint.md");
    for lost in [
        "preamble",
        "group lengths",
        "fragments",
        "offset tables",
        "undefined length",
        "padding",
        "blanks",
        "file meta information",
        "differ between instances",
    ] {
        assert!(page.contains(lost), "{lost}");
    }
}
