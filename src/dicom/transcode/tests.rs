//! What is written, octet by octet, and that it tells the same.

use proptest::prelude::*;

use super::*;
use crate::dicom::scan::{Limits, Scanner};

/// What a scan tells, values in little endian, without offsets.
#[derive(Default)]
struct Told {
    events: Vec<String>,
    value: Vec<u8>,
    big_endian: bool,
    vr: Option<VR>,
    tag: Option<Tag>,
    transfer_syntax: String,
}

impl Sink for Told {
    fn meta(&mut self, meta: &FileMeta) -> Result<(), ScanError> {
        self.transfer_syntax.clone_from(&meta.transfer_syntax_uid);
        Ok(())
    }
    fn element(&mut self, header: &Header) -> Result<(), ScanError> {
        self.value.clear();
        self.vr = Some(header.vr);
        self.tag = Some(header.tag);
        self.big_endian = header.big_endian;
        Ok(())
    }
    fn value(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        self.value.extend_from_slice(bytes);
        Ok(())
    }
    fn element_end(&mut self) -> Result<(), ScanError> {
        let (tag, vr) = (self.tag.unwrap(), self.vr.unwrap());
        let mut value = Vec::new();
        let word = if self.big_endian {
            word_len(tag, vr, 16)
        } else {
            1
        };
        let mut swap = Swap::new(word);
        swap.push(&self.value, &mut value);
        swap.finish(&mut value);
        if value.len() % 2 == 1 {
            value.push(padding(vr));
        }
        if tag.element() != 0 {
            self.events.push(format!("{tag} {vr:?} {value:02x?}"));
        }
        Ok(())
    }
    fn sequence_start(&mut self, header: &Header) -> Result<(), ScanError> {
        self.events.push(format!("{} SQ", header.tag));
        Ok(())
    }
    fn item_start(&mut self, _: u64) -> Result<(), ScanError> {
        self.events.push("item".into());
        Ok(())
    }
    fn item_end(&mut self) -> Result<(), ScanError> {
        self.events.push("item end".into());
        Ok(())
    }
    fn sequence_end(&mut self) -> Result<(), ScanError> {
        self.events.push("sequence end".into());
        Ok(())
    }
    fn fragments_start(&mut self, header: &Header) -> Result<(), ScanError> {
        self.events.push(format!("{} fragments", header.tag));
        Ok(())
    }
    fn fragment_start(&mut self, n: usize, _: u64, _: u32) -> Result<(), ScanError> {
        self.value.clear();
        self.events.push(format!("fragment {n}"));
        Ok(())
    }
    fn fragment_end(&mut self) -> Result<(), ScanError> {
        self.events.push(format!("{:02x?}", self.value));
        Ok(())
    }
    fn fragments_end(&mut self) -> Result<(), ScanError> {
        Ok(())
    }
    fn warn(&mut self, _: String) {}
}

fn scan(file: &[u8], chunk_len: usize, sink: &mut dyn Sink) {
    let mut scanner = Scanner::new(Limits::default());
    for chunk in file.chunks(chunk_len) {
        scanner.feed(chunk, sink).unwrap();
    }
    scanner.finish(sink).unwrap();
}

fn told(file: &[u8]) -> Told {
    let mut told = Told::default();
    scan(file, file.len(), &mut told);
    told
}

fn transcode(file: &[u8], chunk_len: usize) -> Vec<u8> {
    let class = SopClassUid::parse("1.2.840.10008.5.1.4.1.1.7").unwrap();
    let mut sink = ToExplicitLittle::new(class, SopInstanceUid::parse("1.2.3").unwrap());
    scan(file, chunk_len, &mut sink);
    sink.take().to_vec()
}

fn file(uid: &str, data_set: &[u8]) -> Vec<u8> {
    let meta = NewMeta {
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.7",
        sop_instance_uid: "1.2.3",
        transfer_syntax_uid: uid,
    };
    [write_meta(&meta), data_set.to_vec()].concat()
}

fn implicit(Tag(group, element): Tag, value: &[u8]) -> Vec<u8> {
    let len = u32::try_from(value.len()).unwrap();
    [
        &group.to_le_bytes()[..],
        &element.to_le_bytes(),
        &len.to_le_bytes(),
        value,
    ]
    .concat()
}

fn big(Tag(group, element): Tag, vr: VR, value: &[u8]) -> Vec<u8> {
    let len = u32::try_from(value.len()).unwrap().to_be_bytes();
    let vr_and_len = if has_short_length(vr) {
        [&vr.to_bytes()[..], &len[2..]].concat()
    } else {
        [&vr.to_bytes()[..], &[0, 0], &len].concat()
    };
    [
        &group.to_be_bytes()[..],
        &element.to_be_bytes(),
        &vr_and_len,
        value,
    ]
    .concat()
}

const IMPLICIT: &str = "1.2.840.10008.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";
const SOP_CLASS_UID: Tag = Tag(0x0008, 0x0016);
const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

#[test]
fn n51_which_syntaxes_are_written_anew() {
    let needed: Vec<_> = TransferSyntax::all()
        .iter()
        .filter(|ts| is_needed(ts))
        .collect();
    let uids: Vec<_> = needed.iter().map(|ts| ts.uid).collect();
    assert_eq!(uids, [IMPLICIT, "1.2.840.10008.1.2.1.99", EXPLICIT_BIG]);
}

#[test]
fn n51_implicit_becomes_explicit_with_even_lengths_and_no_group_lengths() {
    let data_set = [
        implicit(Tag(0x0008, 0x0000), &[10, 0, 0, 0]),
        implicit(SOP_CLASS_UID, b"1.2"),
        implicit(Tag(0x0010, 0x0010), b"A^B"),
        implicit(Tag(0x0028, 0x0103), &[1, 0]),
        implicit(Tag(0x0028, 0x0106), &[0xFF, 0xFF]),
    ];
    let explicit = [
        &b"\x08\x00\x16\x00UI\x04\x001.2\0"[..],
        b"\x10\x00\x10\x00PN\x04\x00A^B ",
        b"\x28\x00\x03\x01US\x02\x00\x01\x00",
        b"\x28\x00\x06\x01SS\x02\x00\xFF\xFF",
    ];
    let written = transcode(&file(IMPLICIT, &data_set.concat()), 7);
    assert_eq!(written, file(EXPLICIT, &explicit.concat()));
}

#[test]
fn n51_sequences_are_delimited() {
    let item = implicit(
        Tag(0xFFFE, 0xE000),
        &implicit(Tag(0x0008, 0x1155), b"1.9\0"),
    );
    let data_set = [
        implicit(SOP_CLASS_UID, b"1.2\0"),
        implicit(Tag(0x0008, 0x1140), &item),
    ];
    let sequence = [
        &b"\x08\x00\x16\x00UI\x04\x001.2\0"[..],
        b"\x08\x00\x40\x11SQ\x00\x00\xFF\xFF\xFF\xFF",
        b"\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF",
        b"\x08\x00\x55\x11UI\x04\x001.9\0",
        b"\xFE\xFF\x0D\xE0\0\0\0\0\xFE\xFF\xDD\xE0\0\0\0\0",
    ];
    let written = transcode(&file(IMPLICIT, &data_set.concat()), 1);
    assert_eq!(written, file(EXPLICIT, &sequence.concat()));
}

#[test]
fn w10_a_value_too_long_for_its_vr_becomes_un() {
    for (len, vr) in [(65534, b"LT"), (65535, b"UN"), (65536, b"UN")] {
        let long = implicit(Tag(0x0010, 0x4000), &vec![b'x'; len]);
        let data_set = [implicit(SOP_CLASS_UID, b"1.2\0"), long].concat();
        let written = transcode(&file(IMPLICIT, &data_set), 4096);
        let header = file(EXPLICIT, b"").len() + 12;
        assert_eq!(&written[header + 4..header + 6], vr);
        let header_len = if vr == b"UN" { 12 } else { 8 };
        assert_eq!(written.len(), header + header_len + len.next_multiple_of(2));
    }
}

#[test]
fn n51_big_endian_values_are_turned_wherever_chunks_end() {
    let data_set = [
        big(SOP_CLASS_UID, UI, b"1.2\0"),
        big(Tag(0x0028, 0x0100), US, &[0, 32]),
        big(Tag(0x0028, 0x0009), AT, &[0x00, 0x18, 0x10, 0x63]),
        big(PIXEL_DATA, OW, &[1, 2, 3, 4, 5, 6, 7, 8]),
    ];
    let explicit = [
        &b"\x08\x00\x16\x00UI\x04\x001.2\0"[..],
        b"\x28\x00\x00\x01US\x02\x00\x20\x00",
        b"\x28\x00\x09\x00AT\x04\x00\x18\x00\x63\x10",
        b"\xE0\x7F\x10\x00OW\0\0\x08\0\0\0\x04\x03\x02\x01\x08\x07\x06\x05",
    ];
    for chunk_len in [1, 2, 3, 5, 1000] {
        let written = transcode(&file(EXPLICIT_BIG, &data_set.concat()), chunk_len);
        assert_eq!(written, file(EXPLICIT, &explicit.concat()));
    }
}

proptest! {
    #[test]
    fn n51_what_is_written_anew_tells_the_same(
        elements in prop::collection::vec((prop::sample::select(vec![
            (Tag(0x0008, 0x0060), VR::CS), (Tag(0x0010, 0x0010), VR::PN), (Tag(0x0018, 0x9073), FD),
            (Tag(0x0028, 0x1050), VR::DS), (Tag(0x0018, 0x6011), SQ), (Tag(0x0028, 0x1201), OW),
            (Tag(0x0018, 0x6060), FL), (Tag(0x0028, 0x0010), US), (Tag(0x0028, 0x0000), UL),
        ]), prop::collection::vec(any::<u8>(), 0..40)), 0..12),
        is_big: bool,
        chunk_len in 1_usize..50,
    ) {
        let (mut data_set, uid) = if is_big {
            (big(SOP_CLASS_UID, UI, b"1.2\0"), EXPLICIT_BIG)
        } else {
            (implicit(SOP_CLASS_UID, b"1.2\0"), IMPLICIT)
        };
        for ((tag, vr), value) in elements {
            let element = |tag, vr, value: &[u8]| if is_big { big(tag, vr, value) } else { implicit(tag, value) };
            let value = if vr == SQ {
                let inner = element(Tag(0x0018, 0x6060), FL, &value);
                let len = u32::try_from(inner.len()).unwrap();
                let start = if is_big { [&[0xFF, 0xFE, 0xE0, 0x00][..], &len.to_be_bytes()].concat() } else { [&[0xFE, 0xFF, 0x00, 0xE0][..], &len.to_le_bytes()].concat() };
                [start, inner].concat()
            } else {
                value
            };
            data_set.extend(element(tag, vr, &value));
        }
        let stored = file(uid, &data_set);
        let written = transcode(&stored, chunk_len);
        let (before, after) = (told(&stored), told(&written));
        prop_assert_eq!(before.events, after.events);
        prop_assert_eq!(after.transfer_syntax, EXPLICIT);
        prop_assert_eq!(transcode(&written, 64), written, "written anew it stays the same");
    }
}
