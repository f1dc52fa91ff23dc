//! Lookup tables: Modality LUT, VOI LUT, palettes (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5 and C.7.9).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::head::Set;
use super::real::{index, real};
use crate::model::Tag;

/// The most entries a table can have: the descriptor counts them in 16 bits.
const MAX_ENTRIES: usize = 1 << 16;

const LUT_DESCRIPTOR: Tag = Tag(0x0028, 0x3002);
const LUT_DATA: Tag = Tag(0x0028, 0x3006);

/// A table of natural numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lut {
    /// The value that the first entry stands for.
    first: f64,
    entries: Vec<u16>,
    /// Bits of an entry.
    bits: u16,
}

impl Lut {
    /// The table of an item of Modality LUT Sequence or VOI LUT Sequence.
    pub(super) fn of(item: &Set<'_>) -> Option<Self> {
        Self::read(item, LUT_DESCRIPTOR, LUT_DATA)
    }

    /// The table under these two tags; `None` if it is not whole.
    pub(super) fn read(set: &Set<'_>, descriptor: Tag, data: Tag) -> Option<Self> {
        let (count, first, bits) = described(set, descriptor)?;
        let entries = entries(set, data, count)?;
        Some(Self {
            first,
            entries,
            bits,
        })
    }

    /// A table of segments (C.7.9.2): discrete, linear, and by reference to earlier ones.
    pub(super) fn read_segmented(set: &Set<'_>, descriptor: Tag, data: Tag) -> Option<Self> {
        let (count, first, bits) = described(set, descriptor)?;
        let words = words(set, data)?;
        let mut entries = Vec::with_capacity(count);
        expand(&words, 0, words.len(), true, &mut entries)?;
        entries.truncate(count);
        (entries.len() == count).then_some(Self {
            first,
            entries,
            bits,
        })
    }

    /// The entry for a value; the first one below, the last one above the table.
    pub(super) fn at(&self, value: f64) -> f64 {
        let at = index(value - self.first);
        let last = self.entries.len().saturating_sub(1);
        self.entries.get(at.min(last)).copied().unwrap_or(0).into()
    }

    /// The entry for a share of the table, 0 to 1, as a share of the largest that there can be.
    pub(super) fn share(&self, share: f64) -> f64 {
        let last = self.entries.len().saturating_sub(1);
        let at = index(share.clamp(0.0, 1.0) * real(last) + 0.5);
        f64::from(self.entries.get(at.min(last)).copied().unwrap_or(0)) / self.top()
    }

    /// The largest entry that the bits can hold.
    pub(super) fn top(&self) -> f64 {
        2_f64.powi(i32::from(self.bits)) - 1.0
    }

    /// The value of the first entry.
    pub(super) fn first(&self) -> f64 {
        self.first
    }

    /// As a colour of a palette: some say 16 bits and hold 8.
    pub(super) fn into_color(mut self) -> Self {
        if self.bits > 8 && self.entries.iter().all(|entry| *entry < 256) {
            self.bits = 8;
        }
        self
    }
}

/// Number of entries, first value, bits.
fn described(set: &Set<'_>, descriptor: Tag) -> Option<(usize, f64, u16)> {
    let numbers = set.numbers(descriptor);
    let [count, first, bits] = numbers.get(..3)?.try_into().ok()?;
    // Read as signed where the pixels are; 0 means 2^16.
    let count = if count < 0.0 { count + 65_536.0 } else { count };
    let count = if count == 0.0 {
        MAX_ENTRIES
    } else {
        index(count)
    };
    let bits = u16::try_from(index(bits)).ok()?;
    ((1..=MAX_ENTRIES).contains(&count) && (1..=16).contains(&bits)).then_some((count, first, bits))
}

/// The entries: numbers, words, or octets where there are as many octets as entries.
fn entries(set: &Set<'_>, data: Tag, count: usize) -> Option<Vec<u16>> {
    if let Some(bytes) = set.bytes(data)
        && (bytes.len() == count || bytes.len() == count.saturating_add(1) && count > 1)
    {
        return Some(bytes.iter().take(count).map(|b| u16::from(*b)).collect());
    }
    let mut words = words(set, data)?;
    words.truncate(count);
    (words.len() == count).then_some(words)
}

fn words(set: &Set<'_>, data: Tag) -> Option<Vec<u16>> {
    if let Some(bytes) = set.bytes(data) {
        let words = bytes.chunks_exact(2).map(|word| match word {
            [low, high] => u16::from_le_bytes([*low, *high]),
            _ => 0,
        });
        return Some(words.take(MAX_ENTRIES).collect());
    }
    let numbers = set.numbers(data);
    let word = |number: &f64| {
        let number = if *number < 0.0 {
            number + 65_536.0
        } else {
            *number
        };
        u16::try_from(index(number)).unwrap_or(u16::MAX)
    };
    (!numbers.is_empty()).then(|| numbers.iter().take(MAX_ENTRIES).map(word).collect())
}

/// Appends what the segments between two places of `words` say; `None` for segments that are not whole.
fn expand(
    words: &[u16],
    from: usize,
    to: usize,
    may_refer: bool,
    entries: &mut Vec<u16>,
) -> Option<()> {
    let mut at = from;
    let next = |at: &mut usize| {
        let word = words.get(*at).copied().filter(|_| *at < to)?;
        *at = at.checked_add(1)?;
        Some(word)
    };
    while at < to && entries.len() <= MAX_ENTRIES {
        let (kind, count) = (next(&mut at)?, next(&mut at)?);
        match kind {
            0 => {
                for _ in 0..count {
                    entries.push(next(&mut at)?);
                }
            }
            1 => {
                let end = f64::from(next(&mut at)?);
                let start = f64::from(*entries.last()?);
                for step in 1..=count {
                    let part = f64::from(step) / f64::from(count);
                    let entry = index(start + (end - start) * part + 0.5);
                    entries.push(u16::try_from(entry).unwrap_or(u16::MAX));
                }
            }
            2 if may_refer => {
                let (low, high) = (next(&mut at)?, next(&mut at)?);
                // An offset in bytes from the start of the data.
                let offset = usize::try_from(u32::from(high) << 16 | u32::from(low)).ok()? / 2;
                let mut end = offset;
                for _ in 0..count {
                    end = behind(words, end)?;
                }
                expand(words, offset, end, false, entries)?;
            }
            _ => return None,
        }
    }
    Some(())
}

/// The place behind the segment at `at`.
fn behind(words: &[u16], at: usize) -> Option<usize> {
    let count = usize::from(*words.get(at.checked_add(1)?)?);
    match words.get(at)? {
        0 => at.checked_add(2)?.checked_add(count),
        1 => at.checked_add(3),
        2 => at.checked_add(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dicom::render::head::tests::set;

    const FROM: Tag = Tag(0x0028, 0x1101);
    const DATA: Tag = Tag(0x0028, 0x1201);
    const SEGMENTED: Tag = Tag(0x0028, 0x1221);

    #[test]
    fn g11_a_table_has_an_entry_for_every_value() {
        let json = json!({
            "00283002": {"vr": "SS", "Value": [3, -1, 12]},
            "00283006": {"vr": "US", "Value": [10, 20, 4095]}
        });
        let lut = Lut::of(&set(&json)).unwrap();
        let found = [-9.0, -1.0, 0.0, 0.9, 1.0, 99.0].map(|value| lut.at(value));
        assert_eq!(found.map(index), [10, 10, 20, 20, 4095, 4095]);
        assert_eq!(index(lut.top()), 4095);
    }

    #[test]
    fn g11_entries_are_octets_or_words() {
        let words = json!({
            "00281101": {"vr": "US", "Value": [2, 0, 16]},
            "00281201": {"vr": "OW", "InlineBinary": "AAH/AA=="}
        });
        let lut = Lut::read(&set(&words), FROM, DATA).unwrap();
        assert_eq!(lut.entries, [256, 255]);
        let octets = json!({
            "00281101": {"vr": "US", "Value": [4, 0, 8]},
            "00281201": {"vr": "OW", "InlineBinary": "AAH/AA=="}
        });
        let lut = Lut::read(&set(&octets), FROM, DATA).unwrap();
        assert_eq!(lut.entries, [0, 1, 255, 0]);
        let short = json!({
            "00281101": {"vr": "US", "Value": [9, 0, 16]},
            "00281201": {"vr": "OW", "InlineBinary": "AAH/AA=="}
        });
        assert_eq!(Lut::read(&set(&short), FROM, DATA), None);
    }

    #[test]
    fn g11_segments_are_expanded() {
        // Two entries as they are, a line up to 40 in three steps, then the line once more down from there.
        let words = [0, 2, 7, 10, 1, 3, 40, 2, 1, 8, 0];
        let bytes: Vec<u8> = words.iter().flat_map(|w: &u16| w.to_le_bytes()).collect();
        let json = json!({
            "00281101": {"vr": "US", "Value": [8, 0, 8]},
            "00281221": {"vr": "OW", "InlineBinary": base64(&bytes)}
        });
        let lut = Lut::read_segmented(&set(&json), FROM, SEGMENTED).unwrap();
        assert_eq!(lut.entries, [7, 10, 20, 30, 40, 40, 40, 40]);
        let endless = [2_u16, 1, 0, 0];
        let bytes: Vec<u8> = endless.iter().flat_map(|w| w.to_le_bytes()).collect();
        let json = json!({
            "00281101": {"vr": "US", "Value": [8, 0, 8]},
            "00281221": {"vr": "OW", "InlineBinary": base64(&bytes)}
        });
        assert_eq!(Lut::read_segmented(&set(&json), FROM, SEGMENTED), None);
    }

    fn base64(bytes: &[u8]) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }
}
