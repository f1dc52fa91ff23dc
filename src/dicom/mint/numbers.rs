//! The numbers of the items of one instance, where an update gave them (MINT U38).
//!
//! Items of an instance have numbers that follow each other, until an update replaces one of them: then the index keeps which
//! they are, in the order of the instance's attributes:
//!
//! ```text
//! 1                            version
//! (first, count), n times      so many numbers from there on
//! ```
//!
//! Numbers are LEB128.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::document::{Attribute, Bulk, Instance, Node, Value};
use super::items::is_item_of;
use crate::dicom::varint::{put, take};
use crate::error::{Error, Kind, Result};

const VERSION: u64 = 1;

/// The numbers of the items of an instance, one item at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// First number and how many follow each other, in the order of the items.
    runs: Vec<(u32, u32)>,
}

impl Numbers {
    /// Numbers from `first` on; `None` for no item.
    pub fn from(first: u32, count: u32) -> Option<Self> {
        (count > 0).then(|| Self {
            runs: vec![(first, count)],
        })
    }

    /// Those that an instance in whole refers to; `None` without items, or where its file will have other ones, since values
    /// are cut otherwise there (mint.md 11.3). `len_of` gives the length of an item in bytes.
    pub fn of(instance: &Instance, len_of: impl Fn(u32) -> Option<u64>) -> Option<Self> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for one in elements(instance) {
            let (bulk, len) = match &one.value {
                Value::Bulk(bulk) => (Some(bulk), length(bulk, &len_of)?),
                Value::Bytes(bytes) => (None, len(bytes.len())),
                Value::Text(text) => (None, len(text.len())),
                Value::Empty | Value::Number { .. } | Value::Items(_) => continue,
            };
            if is_item_of(one.tag, one.vr, len) != bulk.is_some() {
                return None;
            }
            let Some(bulk) = bulk else { continue };
            match runs.last_mut() {
                Some((first, count)) if first.checked_add(*count) == Some(bulk.item) => {
                    *count = count.checked_add(bulk.frames)?;
                }
                _ => runs.push((bulk.item, bulk.frames)),
            }
        }
        (!runs.is_empty()).then_some(Self { runs })
    }

    /// Numbers as the index keeps them.
    ///
    /// # Errors
    /// `Kind::Internal` if they are none.
    pub fn decode(kept: &[u8]) -> Result<Self> {
        let damaged = || {
            Error::new(
                Kind::Internal,
                "the numbers of the items of an instance are damaged",
            )
        };
        let mut rest = kept;
        let mut next = || take(&mut rest).and_then(|number| u32::try_from(number).ok());
        if next().map(u64::from) != Some(VERSION) {
            return Err(damaged());
        }
        let mut runs = Vec::new();
        while let Some(first) = next() {
            let count = next().filter(|count| *count > 0 && first.checked_add(*count).is_some());
            runs.push((first, count.ok_or_else(damaged)?));
        }
        if runs.is_empty() {
            return Err(damaged());
        }
        Ok(Self { runs })
    }

    /// As [`decode`](Self::decode) takes them.
    pub fn encode(&self) -> Vec<u8> {
        let mut kept = Vec::new();
        put(&mut kept, VERSION);
        for (first, count) in &self.runs {
            put(&mut kept, u64::from(*first));
            put(&mut kept, u64::from(*count));
        }
        kept
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        let counts = self.runs.iter().map(|(_, count)| *count);
        counts.fold(0, u32::saturating_add)
    }

    /// The lowest.
    pub fn lowest(&self) -> u32 {
        let firsts = self.runs.iter().map(|(first, _)| *first);
        firsts.min().unwrap_or_default()
    }

    /// Whether they follow each other.
    pub fn are_consecutive(&self) -> bool {
        self.runs.len() == 1
    }

    /// The number of the item at a place, from 0.
    pub fn at(&self, index: u32) -> Option<u32> {
        let mut left = index;
        for (first, count) in &self.runs {
            if left < *count {
                return first.checked_add(left);
            }
            left = left.checked_sub(*count)?;
        }
        None
    }

    /// The place of the item with a number, from 0.
    pub fn index_of(&self, number: u32) -> Option<u32> {
        let mut before = 0_u32;
        for (first, count) in &self.runs {
            if let Some(inside) = number.checked_sub(*first).filter(|inside| inside < count) {
                return before.checked_add(inside);
            }
            before = before.checked_add(*count)?;
        }
        None
    }

    /// Those that follow each other: place of the first, its number, how many.
    pub fn runs(&self) -> impl Iterator<Item = (u32, u32, u32)> {
        self.runs.iter().scan(0_u32, |before, (first, count)| {
            let at = *before;
            *before = before.saturating_add(*count);
            Some((at, *first, *count))
        })
    }

    /// Gives the items of an instance in whole, which count from 0, these numbers.
    ///
    /// # Errors
    /// `Kind::Internal` if it has others.
    pub fn give(&self, instance: &mut Instance) -> Result<()> {
        for bulk in instance
            .attributes
            .iter_mut()
            .flat_map(Attribute::bulks_mut)
        {
            let number = self.at(bulk.item);
            bulk.item =
                number.ok_or_else(|| Error::new(Kind::Internal, "an item has no number"))?;
        }
        Ok(())
    }
}

/// The attributes of an instance in whole at any depth, in the order of its file.
fn elements(instance: &Instance) -> impl Iterator<Item = &Attribute> {
    let mut attributes: Vec<&Attribute> = instance.attributes.iter().collect();
    attributes.sort_by_key(|attribute| (attribute.tag.0, attribute.tag.1));
    attributes.into_iter().flat_map(|attribute| {
        let nodes: &[Node] = if let Value::Items(nodes) = &attribute.value {
            nodes
        } else {
            &[]
        };
        let nested = nodes.iter().filter_map(|node| {
            if let Node::Attribute(attribute) = node {
                Some(attribute)
            } else {
                None
            }
        });
        std::iter::once(attribute).chain(nested)
    })
}

/// The length of the value that items make, in bytes.
fn length(bulk: &Bulk, len_of: impl Fn(u32) -> Option<u64>) -> Option<u64> {
    let end = bulk.item.checked_add(bulk.frames)?;
    let lens = (bulk.item..end).map(len_of);
    lens.sum::<Option<u64>>()
}

fn len(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Tag, VR};

    fn bulk(tag: Tag, vr: VR, item: u32, frames: u32) -> Attribute {
        let size = None;
        Attribute::new(tag, vr, Value::Bulk(Bulk { item, size, frames }))
    }

    fn of(attributes: Vec<Attribute>, len: u64) -> Option<Numbers> {
        let instance = Instance {
            attributes,
            ..Instance::default()
        };
        Numbers::of(&instance, |_| Some(len))
    }

    const PIXELS: Tag = Tag(0x7FE0, 0x0010);
    const PRIVATE: Tag = Tag(0x0009, 0x1010);

    #[test]
    fn mint_u38_numbers_stand_in_the_order_of_the_file() {
        let numbers = of(
            vec![bulk(PIXELS, VR::OW, 2, 3), bulk(PRIVATE, VR::OB, 9, 1)],
            256,
        )
        .unwrap();
        assert_eq!(numbers.runs().collect::<Vec<_>>(), [(0, 9, 1), (1, 2, 3)]);
        assert!(!numbers.are_consecutive());
        let numbers = of(
            vec![bulk(PIXELS, VR::OW, 3, 2), bulk(PRIVATE, VR::OB, 2, 1)],
            256,
        )
        .unwrap();
        assert!(numbers.are_consecutive());
        assert_eq!((numbers.lowest(), numbers.count()), (2, 3));
        assert_eq!(of(Vec::new(), 1), None);
    }

    #[test]
    fn mint_k25_what_is_no_item_of_a_file_has_no_number_of_its_own() {
        // Too short for an item, but pixel data are one always.
        assert_eq!(of(vec![bulk(PRIVATE, VR::OB, 0, 1)], 255), None);
        assert!(of(vec![bulk(PIXELS, VR::OW, 0, 1)], 2).is_some());
        let long = Attribute::new(PRIVATE, VR::OB, Value::Bytes(vec![0; 256]));
        assert_eq!(of(vec![long, bulk(PIXELS, VR::OW, 0, 1)], 2), None);
    }

    #[test]
    fn what_the_index_keeps_is_checked() {
        for damaged in [
            &[][..],
            &[1],
            &[2, 0, 1],
            &[1, 0],
            &[1, 0, 0],
            &[1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 2],
        ] {
            assert!(Numbers::decode(damaged).is_err(), "{damaged:?}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_found_where_they_stand(runs in proptest::collection::vec((0_u32..50, 1_u32..5), 1..6)) {
            // Each run has a hundred of its own.
            let apart = (0_u32..).step_by(100).zip(runs);
            let runs: Vec<_> = apart.map(|(at, (first, count))| (at.saturating_add(first), count)).collect();
            let numbers = Numbers { runs };
            prop_assert_eq!(&Numbers::decode(&numbers.encode()).unwrap(), &numbers);
            for index in 0..numbers.count() {
                let number = numbers.at(index).unwrap();
                prop_assert_eq!(numbers.index_of(number), Some(index));
                prop_assert!(number >= numbers.lowest());
            }
            prop_assert_eq!(numbers.at(numbers.count()), None);
        }
    }
}
