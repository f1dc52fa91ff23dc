//! Saying once what instances have in common (mint.md 11.1).
//!
//! Two passes over the instances of a study: [`Levels::gather`] sees each in the order in which they are looked at, then
//! [`Shape::own`] leaves each with what is its own alone. Neither holds an instance, so a study may have any number of them.

use std::collections::BTreeMap;

use super::document::{Attribute, Instance, MAX_NUMBER, Node, Value};
use super::levels::{Place, is_shared, place_of};
use crate::model::Tag;
use crate::{Error, Kind, Result};

/// Different values of one attribute that are counted. Beyond them a value stays with its instance.
const MAX_CANDIDATES: usize = 64;

/// Bytes of all values that are counted; beyond them a value stays with its instance.
const MAX_BYTES: usize = 16 << 20;

/// What is known of a study after some of its instances.
#[derive(Debug, Default)]
pub struct Levels {
    study: Level,
    series: BTreeMap<String, SeriesLevel>,
    /// Bytes of the values that are held.
    bytes: usize,
}

#[derive(Debug, Default)]
struct SeriesLevel {
    level: Level,
    /// What all instances so far have in common; `None` before the first.
    shared: Option<Vec<Attribute>>,
    instances: u32,
}

/// The values that the attributes of a level have had, by tag, those that came first in front.
#[derive(Debug, Default)]
struct Level(BTreeMap<(u16, u16), Vec<Candidate>>);

#[derive(Debug)]
struct Candidate {
    attribute: Attribute,
    instances: u32,
}

impl Levels {
    /// Takes an instance of a series into account. Of values that are equally frequent the first counts, so instances come in the
    /// order of series number and instance number (MINT K09).
    pub fn gather(&mut self, series_instance_uid: &str, instance: &Instance) {
        if !self.series.contains_key(series_instance_uid) {
            self.series
                .insert(series_instance_uid.to_owned(), SeriesLevel::default());
        }
        let Some(series) = self.series.get_mut(series_instance_uid) else {
            return;
        };
        series.instances = series.instances.saturating_add(1);
        for attribute in &instance.attributes {
            match place(attribute) {
                Place::Study => self.study.count(attribute, &mut self.bytes),
                Place::Series => series.level.count(attribute, &mut self.bytes),
                Place::Instance => {}
            }
        }
        let shared = |attribute: &&Attribute| is_shareable(attribute);
        match &mut series.shared {
            None => {
                let all = instance.attributes.iter().filter(shared);
                series.shared = Some(all.cloned().collect());
            }
            Some(known) => known
                .retain(|attribute| find(&instance.attributes, attribute.tag) == Some(attribute)),
        }
    }

    /// What is said at which level.
    pub fn finish(self) -> Shape {
        let series = self.series.into_iter().map(|(uid, series)| {
            let shared = series.shared.filter(|_| series.instances > 1);
            let shape = SeriesShape {
                attributes: series.level.chosen(),
                normalized: shared.unwrap_or_default(),
                instances: series.instances,
            };
            (uid, shape)
        });
        Shape {
            attributes: self.study.chosen(),
            series: series.collect(),
        }
    }
}

impl Level {
    fn count(&mut self, attribute: &Attribute, bytes: &mut usize) {
        let Tag(group, element) = attribute.tag;
        let candidates = self.0.entry((group, element)).or_default();
        let known = candidates
            .iter_mut()
            .find(|candidate| candidate.attribute == *attribute);
        if let Some(known) = known {
            known.instances = known.instances.saturating_add(1);
            return;
        }
        let len = weight(attribute);
        let after = bytes.saturating_add(len);
        if candidates.len() < MAX_CANDIDATES && after <= MAX_BYTES {
            *bytes = after;
            candidates.push(Candidate {
                attribute: attribute.clone(),
                instances: 1,
            });
        }
    }

    /// The most frequent value of each attribute.
    fn chosen(self) -> Vec<Attribute> {
        let most = |candidates: Vec<Candidate>| {
            let mut most: Option<Candidate> = None;
            for candidate in candidates {
                if most
                    .as_ref()
                    .is_none_or(|most| candidate.instances > most.instances)
                {
                    most = Some(candidate);
                }
            }
            most.map(|most| most.attribute)
        };
        self.0.into_values().filter_map(most).collect()
    }
}

/// What is said at which level of a study.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// Attributes of the study, by tag.
    pub attributes: Vec<Attribute>,
    /// Its series, by UID as text.
    pub series: BTreeMap<String, SeriesShape>,
}

/// What is said at the levels of a series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesShape {
    /// Attributes of the series, by tag.
    pub attributes: Vec<Attribute>,
    /// What its instances have in common, by tag.
    pub normalized: Vec<Attribute>,
    /// How many instances it has.
    pub instances: u32,
}

impl Shape {
    /// How many instances the study has.
    pub fn instances(&self) -> u32 {
        let counts = self.series.values().map(|series| series.instances);
        counts.fold(0, u32::saturating_add)
    }

    /// Leaves an instance with what the levels above it do not say, values that differ from theirs among it (MINT K09).
    pub fn own(&self, series_instance_uid: &str, instance: &mut Instance) {
        let Some(series) = self.series.get(series_instance_uid) else {
            return;
        };
        instance.attributes.retain(|attribute| {
            let level = match place(attribute) {
                Place::Study => &self.attributes,
                Place::Series => &series.attributes,
                Place::Instance => &series.normalized,
            };
            find(level, attribute.tag) != Some(attribute)
        });
    }
}

/// Where an attribute stands. What refers to items stays with the instance whose items they are, and so do bytes that mean
/// something in its character set or byte order only.
fn place(attribute: &Attribute) -> Place {
    let stays = matches!(attribute.value, Value::Bytes(_)) || attribute.bulks().next().is_some();
    if stays || has_bytes(attribute) {
        return Place::Instance;
    }
    place_of(attribute.tag, attribute.vr)
}

/// Whether an attribute may be said once for all instances of its series (MINT K05, K06).
fn is_shareable(attribute: &Attribute) -> bool {
    place(attribute) == Place::Instance
        && is_shared(attribute.vr)
        && matches!(attribute.value, Value::Empty | Value::Text(_))
}

/// Whether something in a sequence is bytes.
fn has_bytes(attribute: &Attribute) -> bool {
    let Value::Items(nodes) = &attribute.value else {
        return false;
    };
    nodes.iter().any(|node| {
        let Node::Attribute(attribute) = node else {
            return false;
        };
        matches!(attribute.value, Value::Bytes(_) | Value::Number { .. })
    })
}

/// The attribute of a tag among those sorted by it.
fn find(attributes: &[Attribute], tag: Tag) -> Option<&Attribute> {
    let place = attributes.binary_search_by_key(&(tag.0, tag.1), |it| (it.tag.0, it.tag.1));
    attributes.get(place.ok()?)
}

/// About how many bytes an attribute takes in memory.
fn weight(attribute: &Attribute) -> usize {
    let value = match &attribute.value {
        Value::Empty | Value::Bulk(_) => 0,
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Number { text, bytes } => text.len().saturating_add(bytes.len()),
        Value::Items(nodes) => {
            let inner = nodes.iter().map(|node| {
                if let Node::Attribute(attribute) = node {
                    plain_weight(attribute)
                } else {
                    size_of::<Node>()
                }
            });
            inner.fold(0, usize::saturating_add)
        }
    };
    value.saturating_add(size_of::<Attribute>())
}

/// As [`weight`], of an attribute inside of a sequence, whose sequences are nodes of their own.
fn plain_weight(attribute: &Attribute) -> usize {
    let value = match &attribute.value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Number { text, bytes } => text.len().saturating_add(bytes.len()),
        Value::Empty | Value::Bulk(_) | Value::Items(_) => 0,
    };
    value.saturating_add(size_of::<Node>())
}

impl Instance {
    /// Gives its items the numbers from `first` on, which counted from 0 before.
    ///
    /// # Errors
    /// `Kind::Unprocessable` beyond the last number (MINT D13).
    pub fn shift(&mut self, first: u32) -> Result<()> {
        shift(&mut self.attributes, first)
    }
}

/// Adds to the numbers of all items that attributes refer to (MINT U38).
///
/// # Errors
/// `Kind::Unprocessable` beyond the last number (MINT D13).
pub fn shift(attributes: &mut [Attribute], by: u32) -> Result<()> {
    for bulk in attributes.iter_mut().flat_map(Attribute::bulks_mut) {
        let shifted = bulk.item.checked_add(by);
        let last = shifted.and_then(|it| it.checked_add(bulk.frames.saturating_sub(1)));
        bulk.item = shifted
            .filter(|_| last.is_some_and(|last| last <= MAX_NUMBER))
            .ok_or_else(|| {
                let detail = "the study would have binary items beyond number 2147483647";
                Error::new(Kind::Unprocessable, detail)
            })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::mint::Form;
    use crate::dicom::mint::document::{Bulk, Series, SeriesFacts, Study};
    use crate::model::VR;

    const STUDY_DATE: Tag = Tag(0x0008, 0x0020);
    const MODALITY: Tag = Tag(0x0008, 0x0060);
    const ROWS: Tag = Tag(0x0028, 0x0010);

    fn text(tag: Tag, vr: VR, text: &str) -> Attribute {
        Attribute::new(tag, vr, Value::Text(text.to_owned()))
    }

    fn instance(uid: &str, mut attributes: Vec<Attribute>) -> Instance {
        super::super::document::sort(&mut attributes);
        Instance {
            sop_instance_uid: uid.to_owned(),
            transfer_syntax_uid: None,
            exclude: false,
            attributes,
        }
    }

    fn shape(instances: &[(&str, Instance)]) -> Shape {
        let mut levels = Levels::default();
        for (series, instance) in instances {
            levels.gather(series, instance);
        }
        levels.finish()
    }

    fn own(shape: &Shape, series: &str, instance: &Instance) -> Vec<Attribute> {
        let mut own = instance.clone();
        shape.own(series, &mut own);
        own.attributes
    }

    /// All attributes of the instances of the example, taken apart and put together again.
    #[test]
    fn mint_k04_k05_k08_the_example_comes_out_as_it_went_in() {
        let example = include_bytes!("tests/create.xml");
        let expected = Form::Xml.study(example.as_slice()).unwrap();
        let mut instances = Vec::new();
        for series in &expected.series {
            for instance in &series.instances {
                let mut whole = instance.clone();
                let above = [&expected.attributes, &series.attributes, &series.normalized];
                whole
                    .attributes
                    .extend(above.into_iter().flatten().cloned());
                super::super::document::sort(&mut whole.attributes);
                instances.push((series.facts.series_instance_uid.as_str(), whole));
            }
        }
        let shape = shape(&instances);
        let mut study = Study {
            facts: expected.facts.clone(),
            attributes: shape.attributes.clone(),
            series: Vec::new(),
        };
        for (uid, series) in &shape.series {
            let of_series = instances.iter().filter(|(of, _)| of == uid);
            let instances = of_series.map(|(uid, whole)| {
                let mut own = whole.clone();
                shape.own(uid, &mut own);
                own
            });
            study.series.push(Series {
                facts: SeriesFacts {
                    series_instance_uid: uid.clone(),
                    exclude: false,
                    instance_count: Some(series.instances),
                },
                attributes: series.attributes.clone(),
                normalized: series.normalized.clone(),
                instances: instances.collect(),
            });
        }
        study.facts.instance_count = Some(shape.instances());
        assert_eq!(study, expected);
    }

    #[test]
    fn mint_k05_k06_what_is_binary_or_a_sequence_never_moves() {
        let all: Vec<Attribute> = [
            (VR::OB, Value::Bytes(vec![1])),
            (VR::OL, Value::Bytes(vec![1])),
            (VR::SQ, Value::Items(vec![])),
            (VR::UN, Value::Bytes(vec![])),
            (VR::LO, Value::Bytes(vec![0xFF])),
            (
                VR::FD,
                Value::Number {
                    text: "1.0".to_owned(),
                    bytes: vec![0; 8],
                },
            ),
            (VR::US, Value::Text("1".to_owned())),
            (VR::LT, Value::Empty),
        ]
        .into_iter()
        .zip(1..)
        .map(|((vr, value), element)| Attribute::new(Tag(0x0028, element), vr, value))
        .collect();
        let both = [
            ("1", instance("1.1", all.clone())),
            ("1", instance("1.2", all)),
        ];
        let shape = shape(&both);
        let moved: Vec<VR> = shape.series["1"]
            .normalized
            .iter()
            .map(|it| it.vr)
            .collect();
        assert_eq!(moved, [VR::US, VR::LT]);
        assert_eq!(own(&shape, "1", &both[0].1).len(), 6);
    }

    #[test]
    fn mint_k07_equal_is_the_same_value_and_representation() {
        let two = |a: Attribute, b: Attribute| {
            let shape = shape(&[
                ("1", instance("1.1", vec![a])),
                ("1", instance("1.2", vec![b])),
            ]);
            shape.series["1"].normalized.len()
        };
        assert_eq!(two(text(ROWS, VR::US, "4"), text(ROWS, VR::US, "4")), 1);
        assert_eq!(two(text(ROWS, VR::US, "4"), text(ROWS, VR::US, "5")), 0);
        assert_eq!(two(text(ROWS, VR::US, "4"), text(ROWS, VR::UL, "4")), 0);
        let empty = Attribute::new(ROWS, VR::US, Value::Empty);
        assert_eq!(two(empty, text(ROWS, VR::US, "")), 0);
    }

    #[test]
    fn mint_k09_the_most_frequent_value_wins_and_the_others_stay() {
        let dated = |uid: &str, date: &str, modality: &str| {
            let date = text(STUDY_DATE, VR::DA, date);
            instance(uid, vec![date, text(MODALITY, VR::CS, modality)])
        };
        let instances = [
            ("1", dated("1.1", "20260101", "CT")),
            ("1", dated("1.2", "20260102", "MR")),
            ("2", dated("2.1", "20260102", "US")),
        ];
        let shape = shape(&instances);
        assert_eq!(shape.attributes, [text(STUDY_DATE, VR::DA, "20260102")]);
        // A tie: that of the first instance.
        assert_eq!(shape.series["1"].attributes, [text(MODALITY, VR::CS, "CT")]);
        assert_eq!(
            own(&shape, "1", &instances[0].1),
            [text(STUDY_DATE, VR::DA, "20260101")]
        );
        assert_eq!(
            own(&shape, "1", &instances[1].1),
            [text(MODALITY, VR::CS, "MR")]
        );
        assert_eq!(own(&shape, "2", &instances[2].1), []);
    }

    #[test]
    fn mint_k10_k11_what_some_lack_is_said_all_the_same_and_bytes_are_not() {
        let with = instance("1.1", vec![text(STUDY_DATE, VR::DA, "20260101")]);
        let unknown = Attribute::new(STUDY_DATE, VR::UN, Value::Bytes(vec![1]));
        let instances = [
            ("1", with),
            ("1", instance("1.2", vec![])),
            ("1", instance("1.3", vec![unknown.clone()])),
        ];
        let shape = shape(&instances);
        assert_eq!(shape.attributes, [text(STUDY_DATE, VR::DA, "20260101")]);
        assert_eq!(own(&shape, "1", &instances[2].1), [unknown]);
    }

    #[test]
    fn what_refers_to_items_stays_with_its_instance() {
        let bulk = Bulk {
            item: 0,
            size: None,
            frames: 2,
        };
        let inner = Attribute::new(Tag(0x0009, 0x1001), VR::OB, Value::Bulk(bulk));
        let nodes = vec![Node::ItemStart, Node::Attribute(inner), Node::ItemEnd];
        let sequence = Attribute::new(Tag(0x0008, 0x1110), VR::SQ, Value::Items(nodes));
        let mut one = instance("1.1", vec![sequence]);
        assert_eq!(shape(&[("1", one.clone())]).attributes, []);
        one.shift(5).unwrap();
        assert_eq!(one.attributes[0].bulks().next().unwrap().item, 5);
        one.shift(MAX_NUMBER - 6).unwrap();
        assert!(one.shift(1).is_err());
    }

    #[test]
    fn values_beyond_the_limits_stay_with_their_instances() {
        let named = |at: usize| {
            instance(
                &at.to_string(),
                vec![text(STUDY_DATE, VR::DA, &at.to_string())],
            )
        };
        let mut levels = Levels::default();
        for at in 0..1000 {
            levels.gather("1", &named(at));
        }
        let shape = levels.finish();
        assert_eq!(shape.attributes, [text(STUDY_DATE, VR::DA, "0")]);
        assert_eq!(own(&shape, "1", &named(999)).len(), 1);
        let long = |at: u32| {
            let mut value = "x".repeat(MAX_BYTES / 3);
            value.push_str(&at.to_string());
            instance("1", vec![text(Tag(0x0010, 0x4000), VR::LT, &value)])
        };
        let mut levels = Levels::default();
        for at in 0..8 {
            levels.gather("1", &long(at));
        }
        assert!(levels.bytes <= MAX_BYTES);
    }
}
