//! A walk over a file with encapsulated pixel data, by nothing but lengths: independent of the code under test.

/// What lies in the encapsulated pixel data of a file.
#[derive(Debug, Default)]
pub struct Encapsulated<'a> {
    /// The first item.
    pub offset_table: Vec<u64>,
    /// The other items, with the place of each from the first of them on, as offset tables count.
    pub fragments: Vec<(u64, &'a [u8])>,
    /// Extended Offset Table (7FE0,0001) and Extended Offset Table Lengths (7FE0,0002).
    pub extended: Option<(Vec<u64>, Vec<u64>)>,
}

const UNDEFINED: usize = 0xFFFF_FFFF;
const ITEM: u32 = 0xFFFE_E000;
const ITEM_END: u32 = 0xFFFE_E00D;
const SEQUENCE_END: u32 = 0xFFFE_E0DD;

/// Finds the encapsulated pixel data of a file.
pub fn encapsulated(file: &[u8]) -> Encapsulated<'_> {
    let mut at = if file.get(128..132) == Some(b"DICM") {
        132
    } else {
        0
    };
    let mut extended = (Vec::new(), Vec::new());
    loop {
        let (tag, start, len) = header(file, at);
        match tag {
            0x7FE0_0001 => extended.0 = numbers::<8>(&file[start..start + len]),
            0x7FE0_0002 => extended.1 = numbers::<8>(&file[start..start + len]),
            0x7FE0_0010 => {
                assert_eq!(len, UNDEFINED, "native pixel data");
                let extended = (!extended.0.is_empty()).then_some(extended);
                return Encapsulated {
                    extended,
                    ..items(file, start)
                };
            }
            _ => {}
        }
        at = if len == UNDEFINED {
            sequence(file, start)
        } else {
            start + len
        };
    }
}

/// Tag, start of the value and its length.
fn header(file: &[u8], at: usize) -> (u32, usize, usize) {
    let tag = (u32::from(u16_at(file, at)) << 16) | u32::from(u16_at(file, at + 2));
    let vr = [file[at + 4], file[at + 5]];
    if matches!(
        &vr,
        b"OB"
            | b"OD"
            | b"OF"
            | b"OL"
            | b"OV"
            | b"OW"
            | b"SQ"
            | b"SV"
            | b"UC"
            | b"UN"
            | b"UR"
            | b"UT"
            | b"UV"
    ) {
        return (tag, at + 12, u32_at(file, at + 8));
    }
    if vr.iter().all(u8::is_ascii_uppercase) {
        return (tag, at + 8, usize::from(u16_at(file, at + 6)));
    }
    // One file is written without VRs all the same.
    (tag, at + 8, u32_at(file, at + 4))
}

/// The end of a sequence of undefined length that starts at `at`.
fn sequence(file: &[u8], mut at: usize) -> usize {
    loop {
        let (tag, len) = item_header(file, at);
        at += 8;
        match (tag, len) {
            (SEQUENCE_END, _) => return at,
            (ITEM, UNDEFINED) => {
                while item_header(file, at).0 != ITEM_END {
                    let (_, start, len) = header(file, at);
                    at = if len == UNDEFINED {
                        sequence(file, start)
                    } else {
                        start + len
                    };
                }
                at += 8;
            }
            (ITEM, len) => at += len,
            (tag, _) => panic!("{tag:08X} at {at}"),
        }
    }
}

fn items(file: &[u8], mut at: usize) -> Encapsulated<'_> {
    let mut found = Encapsulated::default();
    let mut first = None;
    loop {
        // One file ends where the delimiter should stand.
        if at == file.len() {
            return found;
        }
        let (tag, len) = item_header(file, at);
        if tag == SEQUENCE_END {
            return found;
        }
        assert_eq!(tag, ITEM, "at {at}");
        let bytes = &file[at + 8..at + 8 + len];
        match first {
            None => {
                found.offset_table = numbers::<4>(bytes);
                first = Some(at + 8 + len);
            }
            Some(first) => found.fragments.push(((at - first) as u64, bytes)),
        }
        at += 8 + len;
    }
}

fn item_header(file: &[u8], at: usize) -> (u32, usize) {
    (
        (u32::from(u16_at(file, at)) << 16) | u32::from(u16_at(file, at + 2)),
        u32_at(file, at + 4),
    )
}

fn numbers<const N: usize>(bytes: &[u8]) -> Vec<u64> {
    let number = |chunk: &[u8]| {
        chunk
            .iter()
            .rev()
            .fold(0, |number, byte| (number << 8) | u64::from(*byte))
    };
    bytes.chunks_exact(N).map(number).collect()
}

fn u16_at(file: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([file[at], file[at + 1]])
}

fn u32_at(file: &[u8], at: usize) -> usize {
    u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize
}

impl Encapsulated<'_> {
    /// The frames: by the extended table, by the basic one, one fragment each, all in one, or by the markers at their ends.
    pub fn frames(&self, count: usize) -> Vec<Vec<u8>> {
        if let Some((offsets, lengths)) = &self.extended {
            let cut = |(offset, len): (&u64, &u64)| {
                let len = usize::try_from(*len).unwrap();
                self.joined(|place| place == *offset)[..len].to_vec()
            };
            return offsets.iter().zip(lengths).map(cut).collect();
        }
        if !self.offset_table.is_empty() {
            let ends = self.offset_table.iter().skip(1).copied().chain([u64::MAX]);
            let starts = self.offset_table.iter().copied();
            return starts
                .zip(ends)
                .map(|(start, end)| self.joined(|place| (start..end).contains(&place)))
                .collect();
        }
        if count == 1 {
            return vec![self.joined(|_| true)];
        }
        if self.fragments.len() == count {
            return self
                .fragments
                .iter()
                .map(|(_, bytes)| bytes.to_vec())
                .collect();
        }
        let mut frames = vec![Vec::new()];
        for (number, (_, bytes)) in self.fragments.iter().enumerate() {
            frames.last_mut().unwrap().extend_from_slice(bytes);
            let end = bytes.strip_suffix(&[0]).unwrap_or(bytes);
            if end.ends_with(&[0xFF, 0xD9]) && number + 1 < self.fragments.len() {
                frames.push(Vec::new());
            }
        }
        frames
    }

    fn joined(&self, is_wanted: impl Fn(u64) -> bool) -> Vec<u8> {
        let wanted = self.fragments.iter().filter(|(place, _)| is_wanted(*place));
        wanted
            .flat_map(|(_, bytes)| bytes.iter().copied())
            .collect()
    }
}
