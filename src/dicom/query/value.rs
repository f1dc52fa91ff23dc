//! The value of a match key → what an attribute must be (dicomweb.md 4.2 and 4.3).
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::fmt::Display;

use super::{NameTest, Test, when};
use crate::dicom::dictionary::{Matching, Row};
use crate::error::{Error, Result};
use crate::model::{VR, person_name};

/// How many alternatives a list holds at most; 1000 UIDs must work (Q13).
const MOST_ALTERNATIVES: usize = 5000;
/// How many, where each becomes a condition of its own: patterns, and attributes of several values. The expressions of a
/// database are not endlessly deep.
const MOST_CONDITIONS: usize = 200;
/// How many beginnings a fuzzy name has at most: three groups of five components, some of two words.
const MOST_TOKENS: usize = 32;
/// The longest value that is compared, in bytes. The longest that an attribute holds is a name of three groups of 64
/// characters.
const LONGEST_VALUE: usize = 1024;

/// What the parameters of a query change in the meaning of values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct How {
    /// Names by the beginnings of their parts (Q56).
    pub(super) fuzzy: bool,
    /// `""` is a value that is not there (Q36).
    pub(super) empty: bool,
    /// All values of a list must be there (Q40).
    pub(super) multiple: bool,
}

/// What stands for a value that is not there (PS3.4 C.2.2.2.7).
const NOTHING: &str = "\"\"";

/// The tests, all of which must hold, that the decoded values of one key ask for; none is universal matching (Q05).
///
/// # Errors
/// `Kind::Invalid` if they are none of what the attribute is matched by.
pub(super) fn tests(row: &Row, values: &[String], how: How) -> Result<Vec<Test>> {
    if how.empty
        && let [value] = values
        && value.trim() == NOTHING
    {
        return Ok(vec![Test::Empty]);
    }
    if !(how.multiple && takes_multiple(row)) {
        return Ok(test(row, values, how.fuzzy)?.into_iter().collect());
    }
    let is_separator = move |c| c == '\\' || (c == ',' && is_list(row));
    let each: Vec<&str> = values
        .iter()
        .flat_map(|value| value.split(is_separator))
        .filter(|value| !value.trim().is_empty())
        .collect();
    if each.len() > MOST_CONDITIONS {
        let most = MOST_CONDITIONS;
        return Err(refused(row, format!("a list holds at most {most} values")));
    }
    if each.iter().any(|value| has_wildcard(value)) {
        return Err(refused(
            row,
            "multiplevaluematching and wildcards exclude each other",
        ));
    }
    let tests = each
        .into_iter()
        .map(|value| test(row, &[value.to_owned()], how.fuzzy));
    Ok(tests
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect())
}

/// The tests of an attribute that the index does not have.
///
/// # Errors
/// As [`tests`].
pub(super) fn stored_tests(row: &Row, values: &[String], how: How) -> Result<Vec<Test>> {
    if row.vr != VR::DT {
        return tests(row, values, how);
    }
    let value = match values {
        [value] => value.trim(),
        _ => return Err(refused(row, "it is given twice, and takes one value")),
    };
    if how.empty && value == NOTHING {
        return Ok(vec![Test::Empty]);
    }
    if is_universal(value) {
        return Ok(Vec::new());
    }
    let (from, to) = when::moments_of(value).ok_or_else(|| {
        refused(
            row,
            "a date and time is YYYY to YYYYMMDDHHMMSS.FFFFFF with an offset or without, a range two of them around a hyphen",
        )
    })?;
    Ok(vec![Test::Range(from, to)])
}

/// Whether the value representation is one for which a list can mean all of it (Q40).
fn takes_multiple(row: &Row) -> bool {
    matches!(
        row.vr,
        VR::AE | VR::AS | VR::AT | VR::CS | VR::LO | VR::PN | VR::SH | VR::UC
    )
}

/// Whether a comma separates values (Q08).
fn is_list(row: &Row) -> bool {
    matches!(row.vr, VR::UI | VR::CS | VR::IS | VR::AT) || row.matching == Matching::Date
}

/// One test for all values of a key; `None` is universal matching.
fn test(row: &Row, values: &[String], fuzzy: bool) -> Result<Option<Test>> {
    let values = alternatives(row, values)?;
    if values.is_empty() || values.iter().any(|value| is_universal(value)) {
        return Ok(None);
    }
    if values
        .iter()
        .any(|value| value.len() > LONGEST_VALUE || value.contains('\0'))
    {
        return Err(refused(row, "the value is too long, or holds a NUL"));
    }
    match row.matching {
        Matching::Uid => uids(row, values).map(Some),
        Matching::Code | Matching::Text => Ok(Some(texts(values))),
        Matching::Number => numbers(row, &values).map(Some),
        Matching::Date => dates(row, &values).map(Some),
        Matching::Time => times(row, &values).map(Some),
        Matching::Name => name(row, &values, fuzzy),
        Matching::None => Ok(None),
    }
}

/// The values as a list: cut at commas and backslashes where the value representation allows (Q08, Q09, Q24), without
/// padding (Q11), without empty ones.
fn alternatives<'a>(row: &Row, values: &'a [String]) -> Result<Vec<&'a str>> {
    let is_list = is_list(row);
    if !is_list && values.len() > 1 {
        return Err(refused(row, "it is given twice, and takes one value"));
    }
    let list: Vec<&str> = values
        .iter()
        .flat_map(|value| value.split(move |c| is_list && matches!(c, ',' | '\\')))
        .map(|value| value.trim_end_matches(['\0', ' ']).trim_start_matches(' '))
        .filter(|value| !value.is_empty())
        .collect();
    let most = if row.matching == Matching::Code || row.computed {
        MOST_CONDITIONS
    } else {
        MOST_ALTERNATIVES
    };
    if list.len() > most {
        return Err(refused(row, format!("a list holds at most {most} values")));
    }
    Ok(list)
}

fn uids(row: &Row, values: Vec<&str>) -> Result<Test> {
    if values.iter().any(|value| has_wildcard(value)) {
        return Err(refused(row, "a UID takes no wildcards"));
    }
    Ok(texts(values))
}

fn texts(values: Vec<&str>) -> Test {
    let any_pattern = values.iter().any(|value| has_wildcard(value));
    let values = values.into_iter().map(str::to_owned).collect();
    if any_pattern {
        Test::Like(values)
    } else {
        Test::OneOf(values)
    }
}

fn numbers(row: &Row, values: &[&str]) -> Result<Test> {
    let numbers: Result<Vec<i64>, _> = values.iter().map(|value| value.parse()).collect();
    numbers
        .map(Test::Numbers)
        .map_err(|_| refused(row, "a whole number is wanted"))
}

fn dates(row: &Row, values: &[&str]) -> Result<Test> {
    const WANTED: &str = "a date is YYYYMMDD, a range two of them in order around a hyphen";
    if let [one] = values {
        let (from, to) = when::dates(one).ok_or_else(|| refused(row, WANTED))?;
        return Ok(Test::Range(from, to));
    }
    values
        .iter()
        .map(|value| when::date(value))
        .collect::<Option<_>>()
        .map(Test::OneOf)
        .ok_or_else(|| refused(row, "a list of dates holds dates as YYYYMMDD"))
}

fn times(row: &Row, values: &[&str]) -> Result<Test> {
    const WANTED: &str =
        "a time is HH, HHMM, HHMMSS or HHMMSS.FFFFFF, a range two of them in order around a hyphen";
    values
        .first()
        .and_then(|value| when::times(value))
        .map(|(from, to)| Test::Range(from, to))
        .ok_or_else(|| refused(row, WANTED))
}

fn name(row: &Row, values: &[&str], fuzzy: bool) -> Result<Option<Test>> {
    let key = values.first().copied().unwrap_or_default();
    if fuzzy && let Some(tokens) = tokens(key) {
        if tokens.len() > MOST_TOKENS {
            return Err(refused(row, "a name has at most 32 parts"));
        }
        return Ok((!tokens.is_empty()).then_some(Test::Name(NameTest::Fuzzy(tokens))));
    }
    let pattern = |group: &str| Some(person_name::fold(group)).filter(|key| !is_universal(key));
    if !key.contains('=') {
        return Ok(pattern(key).map(|key| Test::Name(NameTest::Any(key))));
    }
    if key.split('=').count() > 3 {
        return Err(refused(row, "a person name has at most three groups"));
    }
    let groups = person_name::groups(key).map(pattern);
    let is_any = groups.iter().any(Option::is_some);
    Ok(is_any.then_some(Test::Name(NameTest::Groups(groups))))
}

/// The folded beginnings that a fuzzy key asks for (Q56). `None` where the key has wildcards that are more than beginnings:
/// such a key means what it says, fuzzy or not.
fn tokens(key: &str) -> Option<Vec<String>> {
    let folded = person_name::fold(&key.replace('=', "^"));
    let tokens: Vec<String> = folded
        .split(|c: char| c.is_whitespace() || matches!(c, '^' | ',' | '、'))
        .map(|token| token.trim_end_matches('*'))
        .filter(|token| !token.is_empty())
        .map(str::to_owned)
        .collect();
    (!tokens.iter().any(|token| has_wildcard(token))).then_some(tokens)
}

/// Whether a value matches everything, absent values included (Q35).
fn is_universal(value: &str) -> bool {
    value.bytes().all(|b| b == b'*')
}

fn has_wildcard(value: &str) -> bool {
    value.contains(['*', '?'])
}

/// Names the attribute, never the value: it may be a patient's (S32).
fn refused(row: &Row, why: impl Display) -> Error {
    Error::invalid(format!("{}: {why}", row.keyword))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::dictionary::{row_of, tag_of};

    fn tested(keyword: &str, values: &[&str], fuzzy: bool) -> Result<Option<Test>> {
        let row = row_of(tag_of(keyword).unwrap()).unwrap();
        let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
        test(row, &values, fuzzy)
    }

    fn check(keyword: &str, value: &str, expected: &Test) {
        let test = tested(keyword, &[value], false).unwrap();
        assert_eq!(test.as_ref(), Some(expected), "{keyword}={value}");
    }

    fn check_universal(keyword: &str, value: &str) {
        let test = tested(keyword, &[value], false).unwrap();
        assert_eq!(test, None, "{keyword}={value}");
    }

    fn check_name(value: &str, fuzzy: bool, expected: NameTest) {
        let name = tested("PatientName", &[value], fuzzy).unwrap();
        assert_eq!(name, Some(Test::Name(expected)), "{value:?}");
    }

    fn refuse(keyword: &str, values: &[&str]) {
        let error = tested(keyword, values, false).unwrap_err();
        assert!(error.detail().starts_with(keyword), "{}", error.detail());
    }

    fn one_of(values: &[&str]) -> Test {
        Test::OneOf(values.iter().map(|&v| v.to_owned()).collect())
    }

    fn like(values: &[&str]) -> Test {
        Test::Like(values.iter().map(|&v| v.to_owned()).collect())
    }

    #[test]
    fn q08_lists_are_cut_where_the_vr_allows() {
        check("StudyInstanceUID", "1.2\\1.3", &one_of(&["1.2", "1.3"]));
        check("StudyInstanceUID", "1.2,1.3,", &one_of(&["1.2", "1.3"]));
        check("Modality", "CT,MR\\PT", &one_of(&["CT", "MR", "PT"]));
        check("SeriesNumber", "1,007", &Test::Numbers(vec![1, 7]));
        check("StudyDescription", "CHEST, PA", &one_of(&["CHEST, PA"]));
        check("StudyDescription", "a\\b", &one_of(&["a\\b"]));
        refuse("Rows", &["512,256"]);
    }

    #[test]
    fn q13_lists_end_where_a_database_would() {
        for (keyword, most) in [
            ("StudyInstanceUID", 5000),
            ("Modality", 200),
            ("SOPClassesInStudy", 200),
        ] {
            assert!(tested(keyword, &[&"1,".repeat(most)], false).is_ok());
            refuse(keyword, &[&"1,".repeat(most + 1)]);
        }
    }

    #[test]
    fn q09_a_repeated_key_is_a_list_or_refused() {
        let list = tested("Modality", &["CT", "MR,PT"], false).unwrap();
        assert_eq!(list, Some(one_of(&["CT", "MR", "PT"])));
        for keyword in ["PatientName", "PatientID", "StudyTime", "Rows"] {
            refuse(keyword, &["1", "2"]);
        }
    }

    #[test]
    fn q11_padding_is_insignificant() {
        check("PatientID", " 123 ", &one_of(&["123"]));
        check("StudyInstanceUID", "1.2\0", &one_of(&["1.2"]));
        check_universal("PatientID", "  ");
        refuse("PatientID", &["1\x002"]);
    }

    #[test]
    fn q20_a_uid_takes_no_wildcards_but_the_universal_one() {
        check_universal("SOPInstanceUID", "*");
        check("SOPInstanceUID", "1.2.003", &one_of(&["1.2.003"]));
        refuse("SOPInstanceUID", &["1.2*"]);
        refuse("SOPInstanceUID", &["1.2.?"]);
        refuse("SOPInstanceUID", &["1.2,1.3.*"]);
    }

    #[test]
    fn q21_q22_texts_and_codes_take_wildcards() {
        check("ModalitiesInStudy", "CT,M*", &like(&["CT", "M*"]));
        check("PatientID", "*123*", &like(&["*123*"]));
        check("PatientID", "12?", &like(&["12?"]));
        check_universal("PatientID", "*");
        check_universal("PatientID", "");
        check("PatientID", "100%_", &one_of(&["100%_"]));
        refuse("PatientID", &[&"x".repeat(1025)]);
    }

    #[test]
    fn q24_q25_dates_and_times() {
        let range = |a: &str, b: &str| Test::Range(Some(a.into()), Some(b.into()));
        check("StudyDate", "20240131", &range("20240131", "20240131"));
        check(
            "StudyDate",
            "2024.01.31,20240201",
            &one_of(&["20240131", "20240201"]),
        );
        check(
            "StudyTime",
            "1030",
            &range("103000.000000", "103059.999999"),
        );
        check_universal("StudyDate", "*");
        refuse("StudyDate", &["-"]);
        refuse("StudyDate", &["20240101-20240131,20240201"]);
        refuse("StudyDate", &["202401*"]);
        refuse("StudyTime", &["2200-0200"]);
        refuse("StudyTime", &["10,11"]);
    }

    #[test]
    fn q29_numbers_compare_as_numbers() {
        check("SeriesNumber", "007", &Test::Numbers(vec![7]));
        check("SeriesNumber", " -7 ", &Test::Numbers(vec![-7]));
        check("Rows", "512", &Test::Numbers(vec![512]));
        for value in ["7.0", "7*", "seven", "1-2", "99999999999999999999"] {
            refuse("SeriesNumber", &[value]);
        }
    }

    #[test]
    fn q50_q53_a_name_is_folded_and_keeps_its_wildcards() {
        check_name("гусева*", false, NameTest::Any("ГУСЕВА*".into()));
        check_name(
            "Müller^J?rgen",
            false,
            NameTest::Any("MULLER^J?RGEN".into()),
        );
        check_name("DOE^JOHN^^^", false, NameTest::Any("DOE^JOHN".into()));
        check_name("*doe*", false, NameTest::Any("*DOE*".into()));
        check_universal("PatientName", "*");
        check_universal("PatientName", "^^");
    }

    #[test]
    fn q52_groups_are_matched_each_and_empty_ones_are_universal() {
        let groups = |a: Option<&str>, b: Option<&str>, c: Option<&str>| {
            NameTest::Groups([a, b, c].map(|group| group.map(str::to_owned)))
        };
        check_name("=山田*", false, groups(None, Some("山田*"), None));
        check_name("==やまだ*", false, groups(None, None, Some("ヤマダ*")));
        check_name(
            "Yamada^Tarou=*",
            false,
            groups(Some("YAMADA^TAROU"), None, None),
        );
        check_universal("PatientName", "==");
        refuse("PatientName", &["a=b=c=d"]);
    }

    #[test]
    fn q56_fuzzy_cuts_a_name_into_beginnings() {
        let fuzzy = |tokens: &[&str]| NameTest::Fuzzy(tokens.iter().map(|&t| t.into()).collect());
        check_name("jo do", true, fuzzy(&["JO", "DO"]));
        check_name("Doe^John", true, fuzzy(&["DOE", "JOHN"]));
        check_name("doe,  john", true, fuzzy(&["DOE", "JOHN"]));
        check_name("山田\u{3000}太郎", true, fuzzy(&["山田", "太郎"]));
        check_name("Do* Jo*", true, fuzzy(&["DO", "JO"]));
        check_name("Sm?th^J*", true, NameTest::Any("SM?TH^J*".into()));
        check_name("*doe*", true, NameTest::Any("*DOE*".into()));
        assert!(tested("PatientName", &[&"a ".repeat(32)], true).is_ok());
        assert!(tested("PatientName", &[&"a ".repeat(33)], true).is_err());
    }

    #[test]
    fn q57_fuzzy_is_for_names_only() {
        let id = tested("PatientID", &["jo do"], true).unwrap();
        assert_eq!(id, Some(one_of(&["jo do"])));
    }
}
