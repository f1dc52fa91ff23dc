//! A query string → `Query`: names are told apart, values go to [`super::value`], the rest is paging and warnings.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::collections::BTreeMap;

use super::decode::{Plus, decode, pairs};
use super::names::{Name, Parameter, attribute, path, private, warning};
use super::stored::Condition;
use super::value::{self, How};
use super::{
    Fields, Identity, MAX_INSTANCES, MAX_STUDIES, Match, OrderBy, PAGE_INSTANCES, PAGE_STUDIES,
    Query, Test, when,
};
use crate::dicom::dictionary::{Matching, Returned, Row, keyword, row_of, standard_vr, tag_of};
use crate::dicom::visit::is_creator;
use crate::error::{Error, Result};
use crate::model::{Level, SeriesUid, StudyUid, Tag, VR};

const MODALITY: Tag = Tag(0x0008, 0x0060);
const MODALITIES_IN_STUDY: Tag = Tag(0x0008, 0x0061);
const SOP_CLASSES_IN_STUDY: Tag = Tag(0x0008, 0x0062);
const TIMEZONE_OFFSET_FROM_UTC: Tag = Tag(0x0008, 0x0201);

/// How many attributes order a page at most.
const MOST_ORDERS: usize = 8;

/// How many sequences and attributes a path has at most.
const MOST_STEPS: usize = 8;

/// What PS3.18 10.6.1.2 says to those who ask for what is not offered (Q58).
const ONLY_LITERALLY: &str =
    "The fuzzymatching parameter is not supported. Only literal matching has been performed.";

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
        Asked::read(raw_query)?.query(level, study, series)
    }

    /// The same where names are matched literally whatever is asked; whoever asks for more is told so (Q58).
    ///
    /// # Errors
    /// As [`Query::parse`].
    pub fn parse_literally(
        level: Level,
        study: Option<StudyUid>,
        series: Option<SeriesUid>,
        raw_query: &str,
    ) -> Result<Self> {
        let mut asked = Asked::read(raw_query)?;
        let is_told = asked.flag(Parameter::FuzzyMatching, false)?;
        asked.parameters.remove(&Parameter::FuzzyMatching);
        let mut query = asked.query(level, study, series)?;
        if is_told {
            query.warnings.insert(0, ONLY_LITERALLY.to_owned());
        }
        Ok(query)
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
    /// Match keys inside sequences.
    paths: BTreeMap<Vec<Tag>, Vec<String>>,
    /// Paths to show.
    shown_paths: Vec<Vec<Tag>>,
    /// Creators that the query names, and private attributes to show.
    named_creators: BTreeMap<Tag, String>,
    private: Vec<Tag>,
    /// The same, each with its creator.
    shown_private: Vec<(Tag, String)>,
    /// Keys that this level does not match.
    unmatched: Vec<String>,
    /// Parameters and paths that are not built.
    not_offered: Vec<String>,
    /// Names that do not order anything.
    unordered: Vec<String>,
    /// What the search is, name by name.
    identity: Vec<String>,
}

impl Asked {
    /// The search that it is.
    fn query(
        mut self,
        level: Level,
        study: Option<StudyUid>,
        series: Option<SeriesUid>,
    ) -> Result<Query> {
        let how = How {
            fuzzy: self.flag(Parameter::FuzzyMatching, false)?,
            empty: self.flag(Parameter::EmptyValueMatching, false)?,
            multiple: self.flag(Parameter::MultipleValueMatching, false)?,
        };
        let count = self.flag(Parameter::Count, false)?;
        let no_defaults = !self.flag(Parameter::IncludeDefaults, true)?;
        let empty_is_list = self.empty_is_list()?;
        let limit = self.limit(level, series.is_some())?;
        let offset = self.number(Parameter::Offset)?.unwrap_or(0);
        let cursor = self.parameters.remove(&Parameter::Cursor);
        if cursor.is_some() && offset > 0 {
            return Err(Error::invalid("a page begins at a cursor or at an offset"));
        }
        let zone = self.zone()?;
        let order = self.order(level)?;
        let study_is_given = study.is_some() && level > Level::Study;
        self.creators();
        let matches = self.matches(level, how, study_is_given)?;
        let stored = self.conditions(level, study_is_given, how)?;
        if zone.is_some() {
            check_days(&matches)?;
        }
        Ok(Query {
            level,
            study,
            series,
            order,
            zone,
            stored,
            limit,
            offset,
            count,
            cursor,
            empty_is_list,
            identity: self.identity(),
            warnings: self.warnings(),
            matches,
            fields: self.fields(level, no_defaults),
        })
    }

    fn read(raw_query: &str) -> Result<Self> {
        let mut asked = Self::default();
        for (name, value) in pairs(raw_query) {
            let name = decode(name, Plus::Space)?;
            let kind = Name::of(&name);
            if kind == Name::OfTheDoor {
                continue;
            }
            let value = decode(value, plus(kind, &name))?;
            asked.identify(kind, &name, &value);
            match kind {
                Name::Attribute(tag) => asked.keys.entry(tag).or_default().push(value),
                Name::Parameter(Parameter::IncludeField) => asked.include(&value),
                Name::Parameter(parameter) => asked.set(parameter, value)?,
                Name::Path => asked.paths.entry(path(&name)).or_default().push(value),
                Name::NotOffered => asked.not_offered.push(name),
                Name::Unknown => match private(&name).filter(|tag| is_creator(*tag)) {
                    Some(creator) => {
                        asked
                            .named_creators
                            .insert(creator, value.trim().to_owned());
                    }
                    None => asked.unknown.push(name),
                },
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
            } else if Name::of(name) == Name::Path {
                self.shown_paths.push(path(name));
            } else if let Some(tag) = private(name).filter(|tag| !is_creator(*tag)) {
                self.private.push(tag);
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

    /// Takes up what decides which results there are and in which order they come.
    fn identify(&mut self, kind: Name, name: &str, value: &str) {
        let decides = match kind {
            Name::Attribute(_) | Name::Path => true,
            Name::Parameter(parameter) => matches!(
                parameter,
                Parameter::FuzzyMatching
                    | Parameter::OrderBy
                    | Parameter::EmptyValueMatching
                    | Parameter::MultipleValueMatching
            ),
            Name::OfTheDoor | Name::NotOffered | Name::Unknown => false,
        };
        if decides {
            self.identity.push(format!("{name}={value}"));
        }
    }

    fn identity(&mut self) -> Identity {
        self.identity.sort_unstable();
        Identity(self.identity.join("\n"))
    }

    /// The zone in which the dates and times of the query are meant (Q28).
    fn zone(&mut self) -> Result<Option<i32>> {
        let Some(values) = self.keys.remove(&TIMEZONE_OFFSET_FROM_UTC) else {
            return Ok(None);
        };
        self.fields.push(TIMEZONE_OFFSET_FROM_UTC);
        let value = match values.as_slice() {
            [value] => value.trim(),
            _ => return Err(Error::invalid("TimezoneOffsetFromUTC is given twice")),
        };
        if value.is_empty() || value == "*" {
            return Ok(None);
        }
        let zone = when::zone(value);
        zone.map(Some).ok_or_else(|| {
            Error::invalid(
                "TimezoneOffsetFromUTC: an offset is a sign and HHMM, from -1200 to +1400",
            )
        })
    }

    /// The order (Q91): attributes of this level or above, a minus before one that descends.
    fn order(&mut self, level: Level) -> Result<Vec<OrderBy>> {
        let Some(list) = self.parameters.remove(&Parameter::OrderBy) else {
            return Ok(Vec::new());
        };
        let mut order: Vec<OrderBy> = Vec::new();
        for name in list.split(',').map(str::trim) {
            let (descending, bare) = match name.strip_prefix('-') {
                Some(bare) => (true, bare),
                None => (false, name),
            };
            let row = attribute(bare).and_then(row_of).filter(|row| {
                let is_list = matches!(row.tag, MODALITIES_IN_STUDY | SOP_CLASSES_IN_STUDY);
                row.level <= level && row.matching != Matching::None && !is_list
            });
            match row {
                Some(row) if order.iter().all(|known| known.row.tag != row.tag) => {
                    order.push(OrderBy { row, descending });
                }
                Some(_) => {}
                None if bare.is_empty() => {}
                None => self.unordered.push(bare.to_owned()),
            }
        }
        if order.len() > MOST_ORDERS {
            return Err(Error::invalid(format!(
                "orderby takes at most {MOST_ORDERS} attributes"
            )));
        }
        Ok(order)
    }

    /// The status of an answer without results (Q111).
    fn empty_is_list(&self) -> Result<bool> {
        match self.parameters.get(&Parameter::Empty).map(String::as_str) {
            None | Some("204") => Ok(false),
            Some("200") => Ok(true),
            Some(_) => Err(Error::invalid("empty is 200 or 204")),
        }
    }

    /// A parameter that is `true` or `false` (Q59).
    fn flag(&self, parameter: Parameter, default: bool) -> Result<bool> {
        match self.parameters.get(&parameter).map(String::as_str) {
            None => Ok(default),
            Some("false") => Ok(false),
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
            Level::Study => (PAGE_STUDIES, MAX_STUDIES),
            Level::Series => (PAGE_INSTANCES, MAX_STUDIES),
            // Weasis and Slicer count on the complete list of one series.
            Level::Instance if in_one_series => (MAX_INSTANCES, MAX_INSTANCES),
            Level::Instance => (PAGE_INSTANCES, MAX_INSTANCES),
        };
        let limit = self.number(Parameter::Limit)?;
        Ok(limit.map_or(default, |limit| {
            u32::try_from(limit).unwrap_or(maximum).min(maximum)
        }))
    }

    /// The conditions. Every key that this level has is shown as well (Q05, Q67).
    fn matches(&mut self, level: Level, how: How, within_study: bool) -> Result<Vec<Match>> {
        let mut matches = Vec::new();
        let intervals = self.intervals(level, how);
        for (tag, values) in &self.keys {
            if let Some((row, test)) = intervals.get(tag) {
                // The whole interval is a test of the date; the time beside it is shown and tests nothing more.
                self.fields.push(*tag);
                matches.extend(test.iter().cloned().map(|test| Match { row, test }));
                continue;
            }
            let Some(row) = matched_row(level, *tag) else {
                self.fields.push(*tag);
                if within_study && row_of(*tag).is_none() && matching_of(*tag).is_some() {
                    continue;
                }
                if values.iter().any(|value| !value.trim().is_empty()) {
                    self.unmatched.push(spelled(*tag));
                }
                continue;
            };
            self.fields.push(row.tag);
            let tests = value::tests(row, values, how)?;
            matches.extend(tests.into_iter().map(|test| Match { row, test }));
        }
        Ok(matches)
    }

    /// Ranges of dates with a range of times beside them, which are one interval (Q27): the test at the date, none at the time.
    fn intervals(&self, level: Level, how: How) -> BTreeMap<Tag, (&'static Row, Option<Test>)> {
        let mut intervals = BTreeMap::new();
        if how.empty {
            return intervals;
        }
        let one = |tag: &Tag| match self.keys.get(tag).map(Vec::as_slice) {
            Some([value]) => Some(value.as_str()),
            Some(_) | None => None,
        };
        for tag in self.keys.keys() {
            let found = || {
                let date = matched_row(level, *tag).filter(|row| row.matching == Matching::Date)?;
                let stem = date.keyword.strip_suffix("Date")?;
                let time = row_of(tag_of(&format!("{stem}Time"))?)?;
                let (from, to) = when::moments(one(&date.tag)?, one(&time.tag)?)?;
                Some((date, time, Test::Moments(from, to)))
            };
            if let Some((date, time, test)) = found() {
                intervals.insert(date.tag, (date, Some(test)));
                intervals.insert(time.tag, (time, None));
            }
        }
        intervals
    }

    /// Private attributes to show, each with the creator that the query names for its block (Q85).
    fn creators(&mut self) {
        let mut used = Vec::new();
        for tag in std::mem::take(&mut self.private) {
            let block = Tag(tag.0, tag.1 >> 8);
            match self.named_creators.get(&block) {
                Some(creator) => {
                    self.shown_private.push((tag, creator.clone()));
                    used.push(block);
                }
                None => self.unknown.push(spelled(tag)),
            }
        }
        let rest = self.named_creators.keys().filter(|tag| !used.contains(tag));
        self.unknown.extend(rest.map(|tag| spelled(*tag)));
    }

    /// Conditions that the index does not answer: within a study they are held against stored metadata, elsewhere they are
    /// ignored and named (Q04, Q32).
    fn conditions(&mut self, level: Level, within_study: bool, how: How) -> Result<Vec<Condition>> {
        let mut conditions = Vec::new();
        let unindexed = self
            .keys
            .iter()
            .filter(|(tag, _)| within_study && row_of(**tag).is_none());
        let single = unindexed.map(|(tag, values)| (vec![*tag], values.clone()));
        let all: Vec<(Vec<Tag>, Vec<String>)> =
            single.chain(std::mem::take(&mut self.paths)).collect();
        for (path, values) in all {
            let Some(leaf) = path.last().copied() else {
                continue;
            };
            let known = matching_of(leaf).filter(|_| within_study && path.len() <= MOST_STEPS);
            let Some((vr, matching)) = known else {
                if path.len() > 1 && values.iter().any(|value| !value.trim().is_empty()) {
                    let names: Vec<String> = path.iter().map(|tag| spelled(*tag)).collect();
                    self.unmatched.push(names.join("."));
                }
                continue;
            };
            let row = Row {
                tag: leaf,
                keyword: keyword(leaf).unwrap_or("a key"),
                vr,
                level,
                matching,
                returned: Returned::OnRequest,
                column: "",
                computed: false,
            };
            let tests = value::stored_tests(&row, &values, how)?;
            conditions.extend(tests.into_iter().map(|test| Condition {
                path: path.clone(),
                vr,
                test,
            }));
            if path.len() > 1 {
                self.shown_paths.push(path);
            }
        }
        Ok(conditions)
    }

    /// What is shown: nothing of a lower level (Q81), each attribute once.
    fn fields(self, level: Level, no_defaults: bool) -> Fields {
        let mut tags = self.fields;
        tags.retain(|tag| row_of(*tag).is_none_or(|row| row.level <= level));
        tags.sort_unstable();
        tags.dedup();
        Fields {
            tags,
            all: self.all,
            paths: self.shown_paths,
            private: self.shown_private,
            no_defaults,
        }
    }

    fn warnings(&self) -> Vec<String> {
        let named = [
            ("these names are unknown and were ignored", &self.unknown),
            (
                "these attributes are not matched here and were ignored",
                &self.unmatched,
            ),
            ("these are not offered and were ignored", &self.not_offered),
            ("these order nothing here and were ignored", &self.unordered),
        ];
        named
            .into_iter()
            .filter_map(|(reason, names)| warning(reason, names))
            .collect()
    }
}

/// What a plus in a value is: data in an offset from UTC, a space elsewhere (Q07).
fn plus(kind: Name, name: &str) -> Plus {
    match kind {
        Name::Attribute(tag) if tag == TIMEZONE_OFFSET_FROM_UTC => Plus::Itself,
        Name::Attribute(tag) if standard_vr(tag) == Some(VR::DT) => Plus::Itself,
        Name::Path if path(name).last().and_then(|tag| standard_vr(*tag)) == Some(VR::DT) => {
            Plus::Itself
        }
        Name::Path
        | Name::Attribute(_)
        | Name::Parameter(_)
        | Name::OfTheDoor
        | Name::NotOffered
        | Name::Unknown => Plus::Space,
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

/// A zone makes a condition for each day and each offset there is: a list of days has an end before that of a database.
fn check_days(matches: &[Match]) -> Result<()> {
    const MOST: usize = 10;
    let is_long = |found: &&Match| match &found.test {
        Test::OneOf(days) => found.row.matching == Matching::Date && days.len() > MOST,
        Test::Like(_)
        | Test::Numbers(_)
        | Test::Range(..)
        | Test::Moments(..)
        | Test::Name(_)
        | Test::Empty => false,
    };
    match matches.iter().find(is_long) {
        None => Ok(()),
        Some(found) => Err(Error::invalid(format!(
            "{}: beside TimezoneOffsetFromUTC a list holds at most {MOST} days",
            found.row.keyword
        ))),
    }
}

/// How an attribute without a column is matched, by its value representation; `None` if it is not (Q33).
fn matching_of(tag: Tag) -> Option<(VR, Matching)> {
    let vr = standard_vr(tag)?;
    let matching = match vr {
        VR::UI | VR::AT | VR::AS | VR::DS | VR::FL | VR::FD => Matching::Uid,
        VR::CS => Matching::Code,
        VR::AE | VR::LO | VR::LT | VR::SH | VR::ST | VR::UC | VR::UR | VR::UT => Matching::Text,
        VR::PN => Matching::Name,
        VR::DA => Matching::Date,
        VR::TM | VR::DT => Matching::Time,
        VR::IS | VR::SL | VR::SS | VR::SV | VR::UL | VR::US | VR::UV => Matching::Number,
        VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::SQ | VR::UN => return None,
    };
    Some((vr, matching))
}

fn spelled(tag: Tag) -> String {
    let Tag(group, element) = tag;
    let public = keyword(tag).filter(|_| group & 1 == 0);
    public.map_or_else(|| format!("{group:04X}{element:04X}"), str::to_owned)
}
