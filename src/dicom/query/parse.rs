//! A query string → `Query`: names are told apart, values go to [`super::value`], the rest is paging and warnings.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::collections::BTreeMap;

use super::decode::{Plus, decode, pairs};
use super::names::{Name, Parameter, attribute, warning};
use super::{Fields, Match, Query, Test, value};
use crate::dicom::dictionary::{Matching, Row, keyword, row_of, tag_of};
use crate::error::{Error, Result};
use crate::model::{Level, SeriesUid, StudyUid, Tag};

const MODALITY: Tag = Tag(0x0008, 0x0060);
const MODALITIES_IN_STUDY: Tag = Tag(0x0008, 0x0061);

impl Query {
    /// Checks the query string of a search for `level` below the study and the series of the path.
    ///
    /// What is unknown or not offered is left out and named in `warnings` (Q03, Q04, Q82).
    ///
    /// # Errors
    /// `Kind::Invalid` for a value that its key cannot take; the detail names the key and never the value.
    ///
    /// Source: PS3.18 8.3.4 and 10.6; dicomweb.md 4.1 to 4.7.
    pub fn parse(
        level: Level,
        study: Option<StudyUid>,
        series: Option<SeriesUid>,
        raw_query: &str,
    ) -> Result<Self> {
        let mut asked = Asked::read(raw_query)?;
        let fuzzy = asked.flag(Parameter::FuzzyMatching)?;
        let count = asked.flag(Parameter::Count)?;
        let limit = asked.limit(level, series.is_some())?;
        let offset = asked.number(Parameter::Offset)?.unwrap_or(0);
        let matches = asked.matches(level, fuzzy)?;
        Ok(Self {
            level,
            study,
            series,
            limit,
            offset,
            count,
            warnings: asked.warnings(&matches),
            matches,
            fields: asked.fields(level),
        })
    }
}

/// A query string in its parts.
#[derive(Debug, Default)]
struct Asked {
    /// Match keys with their decoded values.
    keys: BTreeMap<Tag, Vec<String>>,
    /// Parameters that are given once.
    parameters: BTreeMap<Parameter, String>,
    /// Attributes to show.
    fields: Vec<Tag>,
    /// Whether all of them are.
    all: bool,
    /// Names that mean nothing here.
    unknown: Vec<String>,
    /// Keys that this level does not match.
    unmatched: Vec<String>,
    /// Parameters and paths that are not built.
    not_offered: Vec<String>,
}

impl Asked {
    fn read(raw_query: &str) -> Result<Self> {
        let mut asked = Self::default();
        for (name, value) in pairs(raw_query) {
            let name = decode(name, Plus::Space)?;
            let kind = Name::of(&name);
            if kind == Name::OfTheDoor {
                continue;
            }
            // A plus is data in DT and in (0008,0201) only (Q07), and neither is matched.
            let value = decode(value, Plus::Space)?;
            match kind {
                Name::Attribute(tag) => asked.keys.entry(tag).or_default().push(value),
                Name::Parameter(Parameter::IncludeField) => asked.include(&value),
                Name::Parameter(parameter) => asked.set(parameter, value)?,
                Name::NotOffered => asked.not_offered.push(name),
                Name::Unknown => asked.unknown.push(name),
                Name::OfTheDoor => {}
            }
        }
        Ok(asked)
    }

    /// Takes one `includefield` (Q10).
    fn include(&mut self, value: &str) {
        for name in value.split(',').map(str::trim) {
            if name.is_empty() {
                continue;
            }
            if name.eq_ignore_ascii_case("all") {
                self.all = true;
            } else if let Some(tag) = attribute(name) {
                self.fields.push(tag);
            } else if Name::of(name) == Name::NotOffered {
                self.not_offered.push(name.to_owned());
            } else {
                self.unknown.push(name.to_owned());
            }
        }
    }

    fn set(&mut self, parameter: Parameter, value: String) -> Result<()> {
        match self.parameters.insert(parameter, value) {
            None => Ok(()),
            Some(_) => Err(Error::invalid(format!(
                "{} is given twice",
                parameter.as_str()
            ))),
        }
    }

    /// A parameter that is `true` or `false` (Q59).
    fn flag(&self, parameter: Parameter) -> Result<bool> {
        match self.parameters.get(&parameter).map(String::as_str) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Error::invalid(format!(
                "{} is true or false",
                parameter.as_str()
            ))),
        }
    }

    /// A parameter that is an unsigned integer, cut to what the index can count (Q92).
    fn number(&self, parameter: Parameter) -> Result<Option<u64>> {
        let Some(text) = self.parameters.get(&parameter) else {
            return Ok(None);
        };
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::invalid(format!(
                "{} is an unsigned integer",
                parameter.as_str()
            )));
        }
        let largest = i64::MAX.unsigned_abs();
        Ok(Some(text.parse().unwrap_or(largest).min(largest)))
    }

    /// The page: the default of the level, cut to its maximum (Q93, Q94).
    fn limit(&self, level: Level, in_one_series: bool) -> Result<u32> {
        let (default, maximum) = match level {
            Level::Study => (100, 5000),
            Level::Series => (1000, 5000),
            // Weasis and Slicer count on the complete list of one series.
            Level::Instance if in_one_series => (50_000, 50_000),
            Level::Instance => (1000, 50_000),
        };
        let limit = self.number(Parameter::Limit)?;
        Ok(limit.map_or(default, |limit| {
            u32::try_from(limit).unwrap_or(maximum).min(maximum)
        }))
    }

    /// The conditions. Every key that this level has is shown as well (Q05, Q67).
    fn matches(&mut self, level: Level, fuzzy: bool) -> Result<Vec<Match>> {
        let mut matches = Vec::new();
        for (tag, values) in &self.keys {
            let Some(row) = matched_row(level, *tag) else {
                self.fields.push(*tag);
                if values.iter().any(|value| !value.trim().is_empty()) {
                    self.unmatched.push(spelled(*tag));
                }
                continue;
            };
            self.fields.push(row.tag);
            if let Some(test) = value::test(row, values, fuzzy)? {
                matches.push(Match { row, test });
            }
        }
        Ok(matches)
    }

    /// What is shown: nothing of a lower level (Q81), each attribute once.
    fn fields(self, level: Level) -> Fields {
        let mut tags = self.fields;
        tags.retain(|tag| row_of(*tag).is_none_or(|row| row.level <= level));
        tags.sort_unstable();
        tags.dedup();
        Fields {
            tags,
            all: self.all,
        }
    }

    fn warnings(&self, matches: &[Match]) -> Vec<String> {
        let named = [
            ("these names are unknown and were ignored", &self.unknown),
            (
                "these attributes are not matched here and were ignored",
                &self.unmatched,
            ),
            ("these are not offered and were ignored", &self.not_offered),
        ];
        let combined = "these dates and times were matched each by itself, not as one interval";
        named
            .into_iter()
            .filter_map(|(reason, names)| warning(reason, names))
            .chain(warning(combined, &split_intervals(matches)))
            .collect()
    }
}

/// The row by which a key is matched at `level`; `None` if it is not (Q04, dicomweb.md 4.4).
fn matched_row(level: Level, tag: Tag) -> Option<&'static Row> {
    let tag = match (level, tag) {
        // OHIF and older viewers ask studies for Modality.
        (Level::Study, MODALITY) => MODALITIES_IN_STUDY,
        (_, tag) => tag,
    };
    row_of(tag).filter(|row| row.level <= level && row.matching != Matching::None)
}

/// Pairs of a date over more than one day and a time, which the standard wants as one interval (Q27).
fn split_intervals(matches: &[Match]) -> Vec<String> {
    let is_over_days = |found: &&Match| match &found.test {
        Test::Range(from, to) => from != to,
        Test::OneOf(_) | Test::Like(_) | Test::Numbers(_) | Test::Name(_) => false,
    };
    let times = matches
        .iter()
        .filter(|found| found.row.matching == Matching::Time);
    times
        .filter_map(|time| {
            let stem = time.row.keyword.strip_suffix("Time")?;
            let date = tag_of(&format!("{stem}Date"))?;
            let date = matches.iter().find(|found| found.row.tag == date);
            date.filter(is_over_days).map(|date| date.row.keyword)
        })
        .map(str::to_owned)
        .collect()
}

fn spelled(tag: Tag) -> String {
    let Tag(group, element) = tag;
    keyword(tag).map_or_else(|| format!("{group:04X}{element:04X}"), str::to_owned)
}
