//! Query strings of MINT: names without case and underscores, numbers, dates, instants (MINT N08, N14, Q06 to Q08, Q12).
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use time::{Date, Month, PrimitiveDateTime, Time};

use crate::dicom::query::decode::{Plus, decode, pairs};
use crate::error::{Error, Result};
use crate::model::Timestamp;

/// Results on a page where nothing is said.
pub(super) const PAGE: u64 = 50;
/// Results on a page at most; published in the conformance statement.
pub(super) const LONGEST_PAGE: u64 = 1000;

/// A query string: parameters by their names, of which case and underscores do not count.
#[derive(Debug)]
pub(super) struct Asked(Vec<(String, String)>);

impl Asked {
    /// Reads a query string. Of a name that is given twice the first counts.
    ///
    /// # Errors
    /// `Kind::Invalid` if it is not percent-encoded UTF-8.
    pub(super) fn read(raw: &str) -> Result<Self> {
        let decoded = pairs(raw).map(|(name, value)| {
            let value = decode(value, Plus::Space)?;
            Ok((folded(&decode(name, Plus::Space)?), value))
        });
        decoded.collect::<Result<_>>().map(Self)
    }

    /// The value of a parameter, as it was given.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let name = folded(name);
        let given = self.0.iter().find(|(given, _)| *given == name);
        given.map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that filters; a blank one does not (MINT Q08).
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.value(name).filter(|value| !value.trim().is_empty())
    }

    /// A day, `YYYYMMDD`.
    pub(super) fn day(&self, name: &str) -> Result<Option<&str>> {
        let given = self.value(name);
        let checked = given.map(|text| {
            let is_day = text.len() == 8 && date(text).is_some();
            is_day
                .then_some(text)
                .ok_or_else(|| Error::invalid(format!("{name} is a day, as in 20260311")))
        });
        checked.transpose()
    }

    /// An instant.
    pub(super) fn instant(&self, name: &str) -> Result<Option<Timestamp>> {
        let checked = self.value(name).map(|text| {
            instant(text).ok_or_else(|| {
                Error::invalid(format!(
                    "{name} is a date and a time, as in 20260311T141500Z"
                ))
            })
        });
        checked.transpose()
    }

    /// How many results a page has, as it is applied (MINT Q06).
    pub(super) fn limit(&self) -> Result<u64> {
        let limit = self.number("limit")?.map_or(PAGE, |limit| limit.max(1));
        Ok(limit.min(LONGEST_PAGE))
    }

    /// A number, of which those below 0 are 0.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>> {
        let Some(text) = self.value(name) else {
            return Ok(None);
        };
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::invalid(format!("{name} is a number")));
        }
        let number = digits.parse().unwrap_or(u64::MAX);
        Ok(Some(if digits.len() == text.len() {
            number
        } else {
            0
        }))
    }

    /// A parameter that is one of `words`.
    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.value(name) else {
            return Ok(None);
        };
        let found = words.iter().find(|(word, _)| *word == text);
        if let Some((_, meant)) = found {
            return Ok(Some(*meant));
        }
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Err(Error::invalid(format!("{name} is {}", words.join(" or "))))
    }
}

/// How many results come before a page, as far as the index counts.
pub(super) fn before(page: u64, limit: u64) -> u64 {
    page.saturating_mul(limit).min(i64::MAX.unsigned_abs())
}

fn folded(name: &str) -> String {
    let letters = name.chars().filter(|letter| *letter != '_');
    letters.flat_map(char::to_lowercase).collect()
}

fn number(text: &str) -> Option<u8> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// `YYYYMMDD`.
fn date(text: &str) -> Option<Date> {
    let year = text
        .get(..4)
        .filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()))?;
    let month = Month::try_from(number(text.get(4..6)?)?).ok()?;
    Date::from_calendar_date(year.parse().ok()?, month, number(text.get(6..8)?)?).ok()
}

/// `YYYYMMDDTHHMMSS`, then perhaps `.` and up to three digits, then perhaps `Z` or an offset; without one it is UTC. A blank
/// is a plus sign that was not escaped.
fn instant(text: &str) -> Option<Timestamp> {
    let (day, rest) = text.split_at_checked(8)?;
    let rest = rest.strip_prefix('T')?;
    let (clock, rest) = rest.split_at_checked(6)?;
    let part = |range| number(clock.get(range)?);
    let (micros, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(fraction) => {
            let end = fraction
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(fraction.len());
            let (digits, zone) = fraction.split_at_checked(end)?;
            if !(1..=3).contains(&digits.len()) {
                return None;
            }
            (format!("{digits:0<6}").parse::<u32>().ok()?, zone)
        }
    };
    let time = Time::from_hms_micro(part(0..2)?, part(2..4)?, part(4..6)?, micros).ok()?;
    let local = PrimitiveDateTime::new(date(day)?, time).assume_utc();
    let at = local.checked_sub(time::Duration::minutes(east(zone)?))?;
    let micros = at.unix_timestamp_nanos().checked_div(1000)?;
    i64::try_from(micros).ok().map(Timestamp)
}

/// Minutes east of UTC.
fn east(zone: &str) -> Option<i64> {
    let (sign, offset) = match zone {
        "" | "Z" => return Some(0),
        _ if zone.starts_with(['+', ' ']) => (1_i64, zone.get(1..)?),
        _ => (-1_i64, zone.strip_prefix('-')?),
    };
    let hours = number(offset.get(..2)?).filter(|hours| *hours < 24)?;
    let minutes = number(offset.get(2..)?).filter(|minutes| *minutes < 60 && offset.len() == 4)?;
    let sum = i64::from(hours)
        .checked_mul(60)?
        .checked_add(i64::from(minutes))?;
    sum.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mint_n08_instants_are_basic_with_seconds() {
        let base = 1_773_206_100_000_000;
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(instant(text), expected.map(Timestamp), "{text}");
        };
        check("20260311T051500", Some(base));
        check("20260311T051500Z", Some(base));
        check("20260311T051500.5Z", Some(base + 500_000));
        check("20260311T051500.123", Some(base + 123_000));
        check("20260311T141500+0900", Some(base));
        check("20260311T141500 0900", Some(base));
        check("20260310T234500-0530", Some(base));
        for refused in [
            "",
            "20260311",
            "20260311T0515",
            "20260311T051500.",
            "20260311T051500.1234",
            "2026-03-11T05:15:00Z",
            "20260311T051500z",
            "20260311T051500+09",
            "20260311T051500+09:00",
            "20260311T051500+2500",
            "20260311T056000",
            "20260231T051500",
            "20260311T051500ZZ",
            "２０260311T051500",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn mint_q06_q07_x12_numbers_are_read_as_the_reference_does() {
        let check = |raw: &str, expected: Option<Option<u64>>| {
            let found = Asked::read(raw).unwrap().number("limit").ok();
            assert_eq!(found, expected, "{raw}");
        };
        check("", Some(None));
        check("limit=7", Some(Some(7)));
        check("Limit=7&limit=8", Some(Some(7)));
        check("limit=-7", Some(Some(0)));
        check("limit=99999999999999999999", Some(Some(u64::MAX)));
        for refused in [
            "limit",
            "limit=",
            "limit=x",
            "limit=1.5",
            "limit=-",
            "limit=%2B1",
        ] {
            check(refused, None);
        }
        let limit = |raw: &str| Asked::read(raw).unwrap().limit().unwrap();
        assert_eq!(limit(""), PAGE);
        assert_eq!(limit("limit=0"), 1);
        assert_eq!(limit("limit=1000000"), LONGEST_PAGE);
    }

    #[test]
    fn mint_q12_n14_names_have_neither_case_nor_underscores() {
        let asked = Asked::read("patient_id=a%2Bb+c&studyuid=1&nothing").unwrap();
        assert_eq!(asked.text("patientID"), Some("a+b c"));
        assert_eq!(asked.text("studyInstanceUID"), None);
        assert_eq!(
            Asked::read("patientID=%20").unwrap().text("patientID"),
            None
        );
        assert!(Asked::read("patientID=%FF").is_err());
    }
}
