//! Instances made on the spot: small Part 10 files in Explicit VR Little Endian, written without the code under test.

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";

/// A builder with good defaults; a test writes out only what matters to it.
#[derive(Clone, Debug)]
pub struct Builder {
    elements: Vec<(u32, [u8; 2], Vec<u8>)>,
    transfer_syntax: String,
    encapsulated: Option<Vec<u8>>,
}

/// A CT slice of patient `P1` with 4 × 4 pixels; `uid` names study `…1`, series `…1.1` and instance `…1.1.1` below it.
pub fn instance(uid: &str) -> Builder {
    let builder = Builder {
        elements: Vec::new(),
        transfer_syntax: EXPLICIT.to_owned(),
        encapsulated: None,
    };
    builder
        .text(0x0008_0005, "CS", "ISO_IR 192")
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.2")
        .text(0x0008_0018, "UI", &format!("{uid}.1.1.1"))
        .text(0x0008_0020, "DA", "20240131")
        .text(0x0008_0030, "TM", "101500")
        .text(0x0008_0050, "SH", "ACC1")
        .text(0x0008_0060, "CS", "CT")
        .text(0x0010_0010, "PN", "Yamada^Hanako=山田^花子=やまだ^はなこ")
        .text(0x0010_0020, "LO", "P1")
        .text(0x0020_000D, "UI", &format!("{uid}.1"))
        .text(0x0020_000E, "UI", &format!("{uid}.1.1"))
        .text(0x0020_0011, "IS", "1")
        .text(0x0020_0013, "IS", "1")
        .number(0x0028_0002, 1)
        .text(0x0028_0004, "CS", "MONOCHROME2")
        .number(0x0028_0010, 4)
        .number(0x0028_0011, 4)
        .number(0x0028_0100, 16)
        .number(0x0028_0101, 16)
        .number(0x0028_0102, 15)
        .number(0x0028_0103, 0)
        .bytes(0x7FE0_0010, "OW", (0..32).collect())
}

impl Builder {
    /// Sets an element; its place follows from the tag.
    pub fn bytes(mut self, tag: u32, vr: &str, mut value: Vec<u8>) -> Self {
        if value.len() % 2 == 1 {
            value.push(if vr == "UI" || vr == "OB" { 0 } else { b' ' });
        }
        self.elements.retain(|(other, _, _)| *other != tag);
        self.elements
            .push((tag, vr.as_bytes().try_into().unwrap(), value));
        self
    }

    /// Sets a textual element.
    pub fn text(self, tag: u32, vr: &str, text: &str) -> Self {
        self.bytes(tag, vr, text.as_bytes().to_vec())
    }

    /// Sets an element of VR US.
    pub fn number(self, tag: u32, value: u16) -> Self {
        self.bytes(tag, "US", value.to_le_bytes().to_vec())
    }

    /// Leaves an element out.
    pub fn without(mut self, tag: u32) -> Self {
        self.elements.retain(|(other, _, _)| *other != tag);
        self
    }

    /// Study, series and instance UID.
    pub fn uids(self, study: &str, series: &str, instance: &str) -> Self {
        self.text(0x0020_000D, "UI", study)
            .text(0x0020_000E, "UI", series)
            .text(0x0008_0018, "UI", instance)
    }

    /// Modality.
    pub fn modality(self, modality: &str) -> Self {
        self.text(0x0008_0060, "CS", modality)
    }

    /// Written in Implicit VR Little Endian.
    pub fn implicit(mut self) -> Self {
        IMPLICIT.clone_into(&mut self.transfer_syntax);
        self
    }

    /// With encapsulated pixel data: items and delimiter as they stand in the file.
    pub fn encapsulated(mut self, transfer_syntax: &str, items: &[u8]) -> Self {
        transfer_syntax.clone_into(&mut self.transfer_syntax);
        self.encapsulated = Some(items.to_vec());
        self.without(0x7FE0_0010)
    }

    /// The file.
    pub fn file(&self) -> Vec<u8> {
        let mut elements = self.elements.clone();
        elements.sort_by_key(|(tag, _, _)| *tag);
        let value = |wanted: u32| {
            let found = elements.iter().find(|(tag, _, _)| *tag == wanted);
            found.map(|(_, _, value)| value.clone()).unwrap_or_default()
        };
        let mut syntax = self.transfer_syntax.clone().into_bytes();
        if syntax.len() % 2 == 1 {
            syntax.push(0);
        }
        let mut meta = Vec::new();
        put(&mut meta, 0x0002_0001, *b"OB", &[0, 1]);
        put(&mut meta, 0x0002_0002, *b"UI", &value(0x0008_0016));
        put(&mut meta, 0x0002_0003, *b"UI", &value(0x0008_0018));
        put(&mut meta, 0x0002_0010, *b"UI", &syntax);
        put(&mut meta, 0x0002_0012, *b"UI", b"1.2.3\0");
        let mut file = vec![0; 128];
        file.extend_from_slice(b"DICM");
        put(
            &mut file,
            0x0002_0000,
            *b"UL",
            &u32::try_from(meta.len()).unwrap().to_le_bytes(),
        );
        file.extend_from_slice(&meta);
        for (tag, vr, value) in &elements {
            if self.transfer_syntax == IMPLICIT {
                put_tag(&mut file, *tag);
                file.extend_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
                file.extend_from_slice(value);
            } else {
                put(&mut file, *tag, *vr, value);
            }
        }
        if let Some(items) = &self.encapsulated {
            put_tag(&mut file, 0x7FE0_0010);
            file.extend_from_slice(b"OB\0\0\xFF\xFF\xFF\xFF");
            file.extend_from_slice(items);
        }
        file
    }
}

/// One element in Explicit VR Little Endian (PS3.5 7.1.2).
fn put(out: &mut Vec<u8>, tag: u32, vr: [u8; 2], value: &[u8]) {
    put_tag(out, tag);
    out.extend_from_slice(&vr);
    if matches!(
        &vr,
        b"OB"
            | b"OW"
            | b"OF"
            | b"OD"
            | b"OL"
            | b"OV"
            | b"SQ"
            | b"UC"
            | b"UN"
            | b"UR"
            | b"UT"
            | b"SV"
            | b"UV"
    ) {
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
    } else {
        out.extend_from_slice(&u16::try_from(value.len()).unwrap().to_le_bytes());
    }
    out.extend_from_slice(value);
}

fn put_tag(out: &mut Vec<u8>, tag: u32) {
    out.extend_from_slice(&u16::try_from(tag >> 16).unwrap().to_le_bytes());
    out.extend_from_slice(&u16::try_from(tag & 0xFFFF).unwrap().to_le_bytes());
}
