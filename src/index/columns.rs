//! The columns of the indexed attributes: which there are at a level, and what lies in them.
//!
//! An attribute has the column that its row names, and beside it a key where it is matched otherwise than it is stored:
//! text and codes in upper case (Q21, Q22; Unicode's, accents kept), times in full precision (Q25), names folded a
//! group (Q50 to Q54). Codes of instances have no key: those columns are matched by the database's `UPPER`, which is
//! right for ASCII, and a code is ASCII (PS3.5 6.2).

use std::sync::LazyLock;

use sea_orm::sea_query::Value;

use crate::dicom::dictionary::{Matching, Row, rows_of};
use crate::model::{AttributeSet, Level, Tag, person_name};

pub(super) const STUDY_UID: Tag = Tag(0x0020, 0x000D);
pub(super) const SERIES_UID: Tag = Tag(0x0020, 0x000E);
pub(super) const SOP_CLASS_UID: Tag = Tag(0x0008, 0x0016);
pub(super) const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
const STUDY_DATE: Tag = Tag(0x0008, 0x0020);
const STUDY_TIME: Tag = Tag(0x0008, 0x0030);
pub(super) const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);
pub(super) const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
const SERIES_NUMBER: Tag = Tag(0x0020, 0x0011);
const INSTANCE_NUMBER: Tag = Tag(0x0020, 0x0013);
const IMAGE_TYPE: Tag = Tag(0x0008, 0x0008);
const PERFORMING_PHYSICIAN_NAME: Tag = Tag(0x0008, 0x1050);

/// What stands for a number that an object does not have: it sorts last (Q90).
pub(super) const NO_NUMBER: i64 = i64::MAX;

/// The longest key, in bytes; a name of three groups of 64 kanji has 578.
const LONGEST_KEY: usize = 1024;

/// What lies in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// The text of the object.
    Text,
    /// A date as `YYYYMMDD`.
    Date,
    /// A time of the object.
    Time,
    /// A number.
    Number,
    /// The text in upper case.
    Key,
    /// The time as `HHMMSS.FFFFFF`.
    TimeKey,
    /// One group of the name, folded.
    Fold(usize),
}

/// One column of an indexed attribute.
#[derive(Debug)]
pub(super) struct Column {
    row: &'static Row,
    name: String,
    holds: Holds,
}

static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| {
    [Level::Study, Level::Series, Level::Instance]
        .into_iter()
        .flat_map(rows_of)
        .filter(|row| !row.computed && !is_key(row.tag))
        .flat_map(columns_of_row)
        .collect()
});

/// The table of a level.
pub(super) fn table(level: Level) -> &'static str {
    match level {
        Level::Study => "study",
        Level::Series => "series",
        Level::Instance => "instance",
    }
}

/// The columns of a level; those of the UIDs, which are keys of the rows and not taken from a set, are not among them.
pub(super) fn of(level: Level) -> impl Iterator<Item = &'static Column> {
    COLUMNS
        .iter()
        .filter(move |column| column.row.level == level)
}

fn is_key(tag: Tag) -> bool {
    matches!(
        tag,
        STUDY_UID | SERIES_UID | SOP_CLASS_UID | SOP_INSTANCE_UID
    )
}

fn columns_of_row(row: &'static Row) -> Vec<Column> {
    let first = match row.matching {
        Matching::Date => Holds::Date,
        Matching::Time => Holds::Time,
        Matching::Number => Holds::Number,
        Matching::Uid | Matching::Code | Matching::Text | Matching::Name | Matching::None => {
            Holds::Text
        }
    };
    let column = |name: String, holds| Column { row, name, holds };
    let mut columns = vec![column(row.column.to_owned(), first)];
    if row.matching == Matching::Name {
        let groups = fold_columns(row).into_iter().enumerate();
        columns.extend(groups.map(|(group, name)| column(name, Holds::Fold(group))));
    } else if let Some(key) = key_column(row) {
        let holds = if row.matching == Matching::Time {
            Holds::TimeKey
        } else {
            Holds::Key
        };
        columns.push(column(key, holds));
    }
    columns
}

/// The column in which an attribute is matched where that is not its own.
pub(super) fn key_column(row: &Row) -> Option<String> {
    let has_key = match row.matching {
        Matching::Time => true,
        Matching::Code | Matching::Text => row.level != Level::Instance,
        Matching::Uid | Matching::Name | Matching::Date | Matching::Number | Matching::None => {
            false
        }
    };
    has_key.then(|| format!("{}_key", row.column))
}

/// The columns of the groups of a name: alphabetic, ideographic, phonetic.
pub(super) fn fold_columns(row: &Row) -> [String; 3] {
    let prefix = match row.tag {
        PATIENT_NAME => "fold",
        _ => row.column,
    };
    ["alphabetic", "ideographic", "phonetic"].map(|group| format!("{prefix}_{group}"))
}

/// Whether an attribute can have several values: then one that matches is enough (Q34).
pub(super) fn is_multiple(row: &Row) -> bool {
    matches!(row.tag, IMAGE_TYPE | PERFORMING_PHYSICIAN_NAME)
}

impl Column {
    /// The name of the column.
    pub(super) fn name(&'static self) -> &'static str {
        &self.name
    }

    /// What lies in it for an object with `attributes`.
    pub(super) fn value(&self, attributes: &AttributeSet) -> Value {
        let text = attributes
            .text(self.row.tag)
            .map(str::trim)
            .unwrap_or_default();
        let text = match self.holds {
            Holds::Number => return self.number(text),
            Holds::Date => date(text).unwrap_or_default(),
            Holds::Time if time(text).is_none() => String::new(),
            Holds::Text | Holds::Time => text.to_owned(),
            Holds::Key => cut(key(text)),
            Holds::TimeKey => time(text).unwrap_or_default(),
            Holds::Fold(group) => cut(folded(text, group)),
        };
        let kept = !text.is_empty() || matches!(self.row.tag, STUDY_DATE | STUDY_TIME);
        kept.then_some(text).into()
    }

    fn number(&self, text: &str) -> Value {
        let first = text.split('\\').next().unwrap_or_default().trim();
        let number = first.parse::<i64>().ok();
        match self.row.tag {
            SERIES_NUMBER | INSTANCE_NUMBER => Some(number.unwrap_or(NO_NUMBER)).into(),
            _ => number.into(),
        }
    }
}

/// The study date as it is kept, empty where there is none.
pub(super) fn study_date(attributes: &AttributeSet) -> String {
    attributes
        .text(STUDY_DATE)
        .map(str::trim)
        .and_then(date)
        .unwrap_or_default()
}

/// A key without what is beyond every attribute that may stand there: PostgreSQL has no room for more in an index.
pub(super) fn cut(mut key: String) -> String {
    if key.len() > LONGEST_KEY {
        key.truncate(key.floor_char_boundary(LONGEST_KEY));
    }
    key
}

/// The folded groups of the patient's name.
pub(super) fn folded_name(attributes: &AttributeSet) -> [String; 3] {
    let name = attributes.text(PATIENT_NAME).map(str::trim);
    let name = name.unwrap_or_default();
    std::array::from_fn(|group| folded(name, group))
}

/// The patient number as it is compared; `None` where there is none.
pub(super) fn patient_number(attributes: &AttributeSet) -> Option<String> {
    let number = cut(key(attributes.text(PATIENT_ID)?));
    (!number.is_empty()).then_some(number)
}

/// The value of a column as text for an answer; `None` where the object has none.
pub(super) fn shown(row: &Row, number: Option<i64>, text: Option<String>) -> Option<String> {
    if row.matching == Matching::Number {
        return number
            .filter(|number| *number != NO_NUMBER)
            .map(|number| number.to_string());
    }
    text.filter(|text| !text.is_empty())
}

/// The form in which text and codes are compared.
pub(super) fn key(text: &str) -> String {
    text.trim().to_uppercase()
}

/// One group of each name, folded.
fn folded(names: &str, group: usize) -> String {
    let folded: Vec<String> = names
        .split('\\')
        .map(|name| person_name::fold(person_name::groups(name)[group]))
        .collect();
    if folded.iter().all(String::is_empty) {
        return String::new();
    }
    folded.join("\\")
}

/// A date as `YYYYMMDD`; `None` for what is no date. `YYYY.MM.DD` is that of ACR-NEMA (Q24).
fn date(text: &str) -> Option<String> {
    let digits = text.replace('.', "");
    let is_date = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit());
    is_date.then_some(digits)
}

/// A time as `HHMMSS.FFFFFF`, what is not said being zero; `None` for what is no time. Colons are those of ACR-NEMA (Q25).
fn time(text: &str) -> Option<String> {
    let digits = text.replace(':', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let fits = matches!(whole.len(), 2 | 4 | 6) && fraction.len() <= 6;
    (fits && all_digits(whole) && all_digits(fraction))
        .then(|| format!("{whole:0<6}.{fraction:0<6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_in_full_precision() {
        let check =
            |text: &str, key: Option<&str>| assert_eq!(time(text).as_deref(), key, "{text}");
        check("10", Some("100000.000000"));
        check("1030", Some("103000.000000"));
        check("10:30:15", Some("103015.000000"));
        check("103015.5", Some("103015.500000"));
        check("103", None);
        check("1030.1234567", None);
        check("noon", None);
        check("", None);
    }

    #[test]
    fn keys_are_cut_between_characters() {
        assert_eq!(cut("山".repeat(400)).len(), 1023);
        assert_eq!(cut("A".repeat(1024)).len(), 1024);
    }

    #[test]
    fn what_is_no_date_is_no_date() {
        assert_eq!(date("20240131").as_deref(), Some("20240131"));
        assert_eq!(date("2024.01.31").as_deref(), Some("20240131"));
        assert_eq!(date("UNKNOWN!"), None);
        assert_eq!(date(""), None);
    }

    #[test]
    fn names_are_folded_value_by_value() {
        assert_eq!(folded("Doe^J=山田\\Roe^R", 0), "DOE^J\\ROE^R");
        assert_eq!(folded("Doe^J=山田\\Roe^R", 1), "山田\\");
        assert_eq!(folded("Doe^J", 2), "");
    }
}
