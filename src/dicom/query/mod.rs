//! A QIDO query string, checked: what is asked for, and what of it was ignored (dicomweb.md section 4).

pub mod decode;
pub mod metadata;
mod names;
mod parse;
pub mod stored;
#[cfg(test)]
mod tests;
mod value;
mod when;

use super::dictionary::Row;
use crate::model::{Level, SeriesUid, StudyUid, Tag};

/// Studies on a page where nothing is said (Q93).
pub const PAGE_STUDIES: u32 = 100;
/// Studies or series on a page at most (Q94).
pub const MAX_STUDIES: u32 = 5000;
/// Series or instances on a page where nothing is said.
pub const PAGE_INSTANCES: u32 = 1000;
/// Instances on a page at most.
pub const MAX_INSTANCES: u32 = 50_000;

/// One condition of a search.
#[derive(Clone, Debug)]
pub struct Match {
    /// The attribute.
    pub row: &'static Row,
    /// What its value must be.
    pub test: Test,
}

/// What a value must be. Universal matching is no test: the attribute is merely returned.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// One of these texts as written, to be compared exactly (UI, and DA as `YYYYMMDD`), upper-cased on both sides (CS), or
    /// whatever the case (other text).
    OneOf(Vec<String>),
    /// A pattern with `*` (any run) and `?` (one character), or one of several; as written, compared like `OneOf`. Some of
    /// several may be without wildcards.
    Like(Vec<String>),
    /// One of these numbers.
    Numbers(Vec<i64>),
    /// A closed range of dates or times, normalised to the index's form: `YYYYMMDD`, `HHMMSS.FFFFFF`. `None` is open.
    Range(Option<String>, Option<String>),
    /// An interval of a date and the time beside it, normalised the same way (Q27); of a day given, the time is given too.
    Moments(Option<Moment>, Option<Moment>),
    /// A person name: one folded pattern for any group, or one for each.
    Name(NameTest),
    /// Absent or empty (Q36).
    Empty,
}

/// A date and a time of day, in the index's form.
pub type Moment = (String, String);

/// Patterns for a person name, folded by `person_name::fold`; wildcards are kept.
#[derive(Clone, Debug, PartialEq)]
pub enum NameTest {
    /// Any group matches (Q51).
    Any(String),
    /// Each group that is given matches: alphabetic, ideographic, phonetic (Q52).
    Groups([Option<String>; 3]),
    /// Every token is a prefix of a component of some group (Q56).
    Fuzzy(Vec<String>),
}

/// What a result shows beside the defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields {
    /// Asked for by `includefield`, or used as a match key.
    pub tags: Vec<Tag>,
    /// `includefield=all`.
    pub all: bool,
    /// Attributes inside sequences (Q84).
    pub paths: Vec<Vec<Tag>>,
    /// Private attributes, each with its creator; the block is that of the query (Q85).
    pub private: Vec<(Tag, String)>,
    /// Only what names the result, and what was asked for (`includedefaults=false`, Q86).
    pub no_defaults: bool,
}

impl Query {
    /// Whether results show what only stored metadata tell: those of instances may.
    pub fn shows_stored(&self) -> bool {
        let fields = &self.fields;
        let is_stored = |tag: &Tag| super::dictionary::row_of(*tag).is_none();
        let shows = fields.all
            || !fields.paths.is_empty()
            || !fields.private.is_empty()
            || fields.tags.iter().any(is_stored);
        self.level == Level::Instance && shows
    }
}

/// One attribute that orders the results.
#[derive(Clone, Copy, Debug)]
pub struct OrderBy {
    /// The attribute.
    pub row: &'static Row,
    /// Largest first.
    pub descending: bool,
}

/// A sum of what tells one search from another, whatever its page and what it shows: a cursor holds for one search only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity(pub String);

/// A checked search.
#[derive(Clone, Debug)]
pub struct Query {
    /// What a result is.
    pub level: Level,
    /// The study of the path.
    pub study: Option<StudyUid>,
    /// The series of the path.
    pub series: Option<SeriesUid>,
    /// Conditions; all hold.
    pub matches: Vec<Match>,
    /// Conditions that the index does not answer, in a search within a study (Q04); all hold.
    pub stored: Vec<stored::Condition>,
    /// What is shown.
    pub fields: Fields,
    /// The order, before that of Q90.
    pub order: Vec<OrderBy>,
    /// The zone of the dates and times of the query, in minutes east of UTC (Q28).
    pub zone: Option<i32>,
    /// The longest page.
    pub limit: u32,
    /// How many results are passed over.
    pub offset: u64,
    /// Whether the exact number of results was asked for (`count=true`).
    pub count: bool,
    /// Where the page begins, as a former answer said (Q98); not yet checked.
    pub cursor: Option<String>,
    /// Whether an answer without results is an empty list (`empty=200`, Q111).
    pub empty_is_list: bool,
    /// What tells this search from another.
    pub identity: Identity,
    /// What was ignored: the texts of `Warning: 299`.
    pub warnings: Vec<String>,
}
