//! Lists of items: `0`, `3,7`, `0-99`, `all` (MINT 6.1). A range is never written out: what is asked for is checked against what
//! is there, range by range (MINT F08).

use std::ops::Range;

use crate::error::{Error, Result};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemList {
    /// Everything that the study has.
    All,
    /// These ranges of numbers, in this order.
    Ranges(Vec<Range<u64>>),
}

impl ItemList {
    /// Reads a list; `.dat` at its end is tolerated (MINT I02).
    ///
    /// # Errors
    /// `Kind::Invalid` for what is no number, and for a range that runs backwards.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.strip_suffix(".dat").unwrap_or(text);
        if text == "all" {
            return Ok(Self::All);
        }
        let ranges = text.split(',').map(entry);
        ranges.collect::<Result<_>>().map(Self::Ranges)
    }

    /// From the lowest number that is named to behind the highest; `None` of everything.
    pub fn span(&self) -> Option<Range<u64>> {
        let Self::Ranges(ranges) = self else {
            return None;
        };
        let start = ranges.iter().map(|range| range.start).min()?;
        let end = ranges.iter().map(|range| range.end).max()?;
        Some(start..end)
    }

    /// The number of an item, if the list names one and no more.
    pub fn only(&self) -> Option<u64> {
        match self {
            Self::Ranges(ranges) => match ranges.as_slice() {
                [range] if range.end.saturating_sub(range.start) == 1 => Some(range.start),
                _ => None,
            },
            Self::All => None,
        }
    }
}

fn entry(text: &str) -> Result<Range<u64>> {
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    if last < first {
        return Err(Error::invalid("a range of items runs forward, as in 2-5"));
    }
    Ok(first..last.saturating_add(1))
}

/// A number, however large: those that no item has are told later.
fn number(text: &str) -> Result<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err(Error::invalid(
            "items are numbers and ranges of them, as in 0,3-5, or all",
        ));
    }
    // One less than what an end can be.
    Ok(text.parse().unwrap_or(u64::MAX).min(u64::MAX - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&[Range<u64>]>) {
        let found = ItemList::parse(text).ok();
        let expected = expected.map(|ranges| ItemList::Ranges(ranges.to_vec()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "lists of one range")]
    fn mint_i01_i02_i03_x05_x07_a_list_is_numbers_and_ranges_in_their_order() {
        check("0", Some(&[0..1]));
        check("17.dat", Some(&[17..18]));
        check("3,1,3", Some(&[3..4, 1..2, 3..4]));
        check("4,10-12", Some(&[4..5, 10..13]));
        check("5-5", Some(&[5..6]));
        check("007", Some(&[7..8]));
        check("0-4294967295", Some(&[0..4_294_967_296]));
        let far = "99999999999999999999999";
        check(far, Some(&[u64::MAX - 1..u64::MAX]));
        for refused in [
            "",
            ",",
            "1,",
            ",1",
            "-1",
            "1-",
            "5-2",
            "1-2-3",
            "+1",
            "1.dat.dat",
            "x",
            "All",
            "all,1",
            "１",
            " 1",
            "1;2",
        ] {
            check(refused, None);
        }
        assert_eq!(ItemList::parse("all").unwrap(), ItemList::All);
        assert_eq!(ItemList::parse("all.dat").unwrap(), ItemList::All);
        assert_eq!(ItemList::parse("all").unwrap().span(), None);
        assert_eq!(ItemList::parse("7,2-3,4").unwrap().span(), Some(2..8));
        assert_eq!(ItemList::parse("3").unwrap().only(), Some(3));
        assert_eq!(ItemList::parse("3-4").unwrap().only(), None);
        assert_eq!(ItemList::parse("3,3").unwrap().only(), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_list_or_refused(text: String) {
            if let Ok(ItemList::Ranges(ranges)) = ItemList::parse(&text) {
                assert!(ranges.iter().all(|range| range.start < range.end));
            }
        }
    }
}
