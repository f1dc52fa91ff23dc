//! Which items a caller sees of a study, and how long each is: what an answer is measured by before its first byte (MINT I15,
//! X06, Z21).

use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::list::ItemList;
use super::read::Open;
use crate::archive::Archive;
use crate::auth::Access;
use crate::dicom::mint::items::{Items, Lengths};
use crate::dicom::mint::numbers::Numbers;
use crate::error::{Error, Result};
use crate::index::catalog::Narrowed;
use crate::index::mint::MintStudy;
use crate::storage::BlobRef;

/// Rows that are fetched at once.
const PAGE: u64 = 250;

/// Parts of one answer at most. A list may name an item more than once, and is read through to its end before the first byte.
const MOST_PARTS: u64 = 4_000_000;

/// The items of an instance.
#[derive(Clone, Debug)]
struct Row {
    first: u32,
    count: u32,
    lengths: Lengths,
}

/// The items of a study that a caller sees, by number.
#[derive(Debug, Default)]
pub struct Layout {
    rows: Vec<Row>,
    /// Numbers without a gap between them.
    spans: Vec<Range<u64>>,
}

/// An item of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its number.
    pub number: u32,
    /// Its length in bytes.
    pub len: u64,
}

/// The items of an answer, in their order.
#[derive(Clone, Debug)]
pub struct Chosen {
    layout: Arc<Layout>,
    spans: Vec<Range<u64>>,
}

impl Archive {
    /// The items of a study that the caller sees, all or those of some instances; they have their numbers already.
    ///
    /// # Errors
    /// `Kind::Unavailable` if database or store do not answer.
    pub async fn layout(
        &self,
        access: &Access,
        study: &MintStudy,
        which: &Narrowed,
    ) -> Result<Layout> {
        let mut rows = Vec::new();
        let mut after = None;
        loop {
            let catalog = self.catalog(access);
            let page = catalog
                .item_rows((study.at.study, which), after, PAGE)
                .await?;
            let is_last = (page.len() as u64) < PAGE;
            after = page.last().map(|last| last.first);
            for row in page {
                let file = BlobRef {
                    object: row.object,
                    range: 0..0,
                };
                let frames = self
                    .frame_table_at(row.frame_table.as_deref(), &file)
                    .await?;
                let frames = frames.map(|table| (table, row.number_of_frames));
                let lengths = Items::read(row.table.as_deref(), frames)?.lengths();
                put(
                    &mut rows,
                    row.first,
                    row.count,
                    row.numbers.as_ref(),
                    lengths,
                );
            }
            if is_last {
                return Ok(Layout::of(rows));
            }
        }
    }
}

/// Puts the items of an instance among others.
fn put(rows: &mut Vec<Row>, first: u32, count: u32, numbers: Option<&Numbers>, lengths: Lengths) {
    match numbers {
        Some(numbers) => rows.extend(scattered(numbers, &lengths)),
        None => rows.push(Row {
            first,
            count,
            lengths,
        }),
    }
}

/// The items of an instance whose numbers do not follow each other.
fn scattered(numbers: &Numbers, lengths: &Lengths) -> impl Iterator<Item = Row> {
    numbers.runs().map(|(at, first, count)| {
        let end = at.saturating_add(count);
        let lengths = (at..end).map(|index| lengths.of(index).unwrap_or(0));
        Row {
            first,
            count,
            lengths: Lengths::Each(lengths.collect()),
        }
    })
}

impl Layout {
    /// That of instances of which all is known.
    pub(super) fn of_opened(opened: &[Open]) -> Self {
        let mut rows = Vec::with_capacity(opened.len());
        for open in opened {
            let lengths = open.items.lengths();
            put(
                &mut rows,
                open.first,
                open.count,
                open.numbers.as_ref(),
                lengths,
            );
        }
        Self::of(rows)
    }

    /// With the items of replaced objects besides. A number never means other bytes, so that it does not matter whose is counted.
    pub(super) fn with(&self, replaced: &[Open]) -> Self {
        let Self { mut rows, .. } = Self::of_opened(replaced);
        rows.extend(self.rows.iter().cloned());
        Self::of(rows)
    }

    fn of(mut rows: Vec<Row>) -> Self {
        let mut layout = Self::default();
        // They come in order but for those that are scattered.
        rows.sort_by_key(|row| row.first);
        for row in rows {
            let next = layout.rows.last().map_or(0, Row::end);
            if let Some(row) = row.from(next) {
                layout.add(row);
            }
        }
        layout
    }

    fn add(&mut self, row: Row) {
        let (start, end) = (u64::from(row.first), row.end());
        match self.spans.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => self.spans.push(start..end),
        }
        self.rows.push(row);
    }

    /// The items of a list, all of which must be there.
    ///
    /// # Errors
    /// `Kind::NotFound` if one is not, `Kind::Invalid` for a list of more parts than are sent at once.
    pub fn choose(self: &Arc<Self>, list: &ItemList) -> Result<Chosen> {
        let spans = match list {
            ItemList::All => self.spans.clone(),
            ItemList::Ranges(ranges) => ranges.clone(),
        };
        if !spans.iter().all(|span| self.has(span)) {
            return Err(Error::not_found());
        }
        let parts = spans.iter().map(|span| span.end - span.start);
        if parts.fold(0, u64::saturating_add) > MOST_PARTS {
            return Err(Error::invalid(format!(
                "a list names at most {MOST_PARTS} items"
            )));
        }
        Ok(Chosen {
            layout: Arc::clone(self),
            spans,
        })
    }

    /// The first row that ends behind a number.
    fn row_with(&self, number: u64) -> usize {
        self.rows.partition_point(|row| row.end() <= number)
    }

    fn has(&self, wanted: &Range<u64>) -> bool {
        let at = self.spans.partition_point(|span| span.end <= wanted.start);
        let span = self.spans.get(at);
        span.is_some_and(|span| span.start <= wanted.start && wanted.end <= span.end)
    }

    /// What it is made of, in a few bytes.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for row in &self.rows {
            hash.update(row.first.to_be_bytes());
            hash.update(row.count.to_be_bytes());
            match &row.lengths {
                Lengths::Same(len) => hash.update(len.to_be_bytes()),
                Lengths::Each(lengths) => {
                    for len in lengths {
                        hash.update(len.to_be_bytes());
                    }
                }
            }
        }
        hash.finalize().into()
    }
}

impl Chosen {
    /// The items, one by one, for as long as somebody takes them.
    pub fn into_items(self) -> impl Iterator<Item = Item> + Send + 'static {
        let Self { layout, spans } = self;
        spans.into_iter().flat_map(move |span| {
            let layout = Arc::clone(&layout);
            let mut row = layout.row_with(span.start);
            let mut next = span.start;
            std::iter::from_fn(move || {
                if next >= span.end {
                    return None;
                }
                let mut at = layout.rows.get(row)?;
                while next >= at.end() {
                    row += 1;
                    at = layout.rows.get(row)?;
                }
                let item = at.item(next)?;
                next += 1;
                Some(item)
            })
        })
    }

    /// The items, one by one.
    pub fn items(&self) -> impl Iterator<Item = Item> {
        let rows = &self.layout.rows;
        self.spans.iter().flat_map(move |span| {
            let behind = rows
                .get(self.layout.row_with(span.start)..)
                .unwrap_or_default();
            let inside = behind
                .iter()
                .take_while(|row| u64::from(row.first) < span.end);
            inside.flat_map(|row| {
                let (first, end) = (u64::from(row.first), row.end());
                (span.start.max(first)..span.end.min(end)).filter_map(|number| row.item(number))
            })
        })
    }

    /// Its one item, if there is no other.
    pub fn only(&self) -> Option<Item> {
        let mut items = self.items();
        let only = items.next()?;
        items.next().is_none().then_some(only)
    }
}

impl Row {
    /// The number behind its last item.
    fn end(&self) -> u64 {
        u64::from(self.first).saturating_add(self.count.into())
    }

    /// What is left of it from a number on.
    fn from(self, next: u64) -> Option<Self> {
        let known = u32::try_from(next.saturating_sub(self.first.into())).ok()?;
        let count = self.count.checked_sub(known).filter(|left| *left > 0)?;
        let lengths = match self.lengths {
            Lengths::Each(mut all) => {
                all.drain(..all.len().min(usize::try_from(known).ok()?));
                Lengths::Each(all)
            }
            Lengths::Same(len) => Lengths::Same(len),
        };
        Some(Self {
            first: self.first.checked_add(known)?,
            count,
            lengths,
        })
    }

    fn item(&self, number: u64) -> Option<Item> {
        let number = u32::try_from(number).ok()?;
        Some(Item {
            number,
            len: self.lengths.of(number.checked_sub(self.first)?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    /// Items 0 of 10 bytes, 1 to 3 of 5, and behind a gap 6 and 7 of 1 and 2.
    fn layout() -> Arc<Layout> {
        let mut layout = Layout::default();
        for (first, count, lengths) in [
            (0, 1, Lengths::Same(10)),
            (1, 3, Lengths::Same(5)),
            (6, 2, Lengths::Each(vec![1, 2])),
        ] {
            layout.add(Row {
                first,
                count,
                lengths,
            });
        }
        Arc::new(layout)
    }

    fn check(list: &str, expected: Result<&[(u32, u64)], Kind>) {
        let chosen = layout().choose(&ItemList::parse(list).unwrap());
        let items = chosen.map(|chosen| {
            let items = chosen.items().map(|item| (item.number, item.len));
            items.collect::<Vec<_>>()
        });
        let found = items.as_deref().map_err(Error::kind);
        assert_eq!(found, expected, "{list}");
    }

    #[test]
    fn mint_i05_what_two_rows_have_counts_once() {
        let rows = [
            (4, 4, Lengths::Each(vec![4, 5, 1, 2])),
            (0, 6, Lengths::Each(vec![10, 5, 5, 5, 4, 5])),
            (2, 2, Lengths::Same(5)),
            (6, 2, Lengths::Each(vec![1, 2])),
            (7, 3, Lengths::Same(2)),
        ];
        let rows = rows.map(|(first, count, lengths)| Row {
            first,
            count,
            lengths,
        });
        let layout = Arc::new(Layout::of(rows.to_vec()));
        assert_eq!((layout.spans.len(), layout.spans[0].clone()), (1, 0..10));
        let all = layout.choose(&ItemList::All).unwrap();
        let found: Vec<_> = all.items().map(|item| item.len).collect();
        assert_eq!(found, [10, 5, 5, 5, 4, 5, 1, 2, 2, 2]);
        assert_eq!(all.into_items().count(), 10);
    }

    #[test]
    fn mint_i03_i04_x06_f08_a_list_is_checked_whole() {
        check("0", Ok(&[(0, 10)]));
        check("3,1,3", Ok(&[(3, 5), (1, 5), (3, 5)]));
        check("0-2", Ok(&[(0, 10), (1, 5), (2, 5)]));
        check("7,6-7", Ok(&[(7, 2), (6, 1), (7, 2)]));
        check(
            "all",
            Ok(&[(0, 10), (1, 5), (2, 5), (3, 5), (6, 1), (7, 2)]),
        );
        for absent in [
            "4",
            "0,5",
            "0-4",
            "3-6",
            "8",
            "0-4294967295",
            "99999999999999999999",
        ] {
            check(absent, Err(Kind::NotFound));
        }
        let long = vec!["0-3"; 1_000_001].join(",");
        let refused = layout().choose(&ItemList::parse(&long).unwrap());
        assert_eq!(refused.unwrap_err().kind(), Kind::Invalid);
    }
}
