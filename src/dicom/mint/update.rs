//! What an update document does to a study (mint.md 9.4), instance by instance.
//!
//! Instances are given and come back in whole, with all that the levels above them say: bringing what is equal together again
//! ([`normal`](super::normal)) is the same for every study, however it came to be as it is (MINT U41).

use std::collections::BTreeMap;

use super::document::{Attribute, Instance, Series, Study, Value, sort};
use super::normal::{Shape, shift};
use crate::error::{Error, Kind, Result};
use crate::model::Tag;

/// What an instance is called by, its study's UID first: no update changes it (MINT U42).
const NAMES: [Tag; 3] = [
    Tag(0x0020, 0x000D),
    Tag(0x0020, 0x000E),
    Tag(0x0008, 0x0018),
];

/// An update document.
#[derive(Debug)]
pub struct Update {
    document: Study,
    /// The series of the document by UID, and in each its instances by theirs.
    places: BTreeMap<String, (usize, BTreeMap<String, usize>)>,
}

/// What became of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Kept,
    /// It says more now, and all that it said.
    Extended,
    /// It says something else now.
    Changed,
    /// It is taken out.
    Removed,
}

impl Update {
    /// An update whose items get the numbers behind `highest`, the highest ever used in the study, if there is one (MINT U38).
    ///
    /// # Errors
    /// `Kind::Unprocessable` beyond the last number.
    pub fn new(mut document: Study, highest: Option<u32>) -> Result<Self> {
        if let Some(highest) = highest {
            let by = highest.saturating_add(1);
            shift(&mut document.attributes, by)?;
            for series in &mut document.series {
                shift(&mut series.attributes, by)?;
                shift(&mut series.normalized, by)?;
                for instance in &mut series.instances {
                    instance.shift(by)?;
                }
            }
        }
        let places = document.series.iter().enumerate().map(|(at, series)| {
            let uids = series.instances.iter().enumerate();
            let instances = uids.map(|(at, it)| (it.sop_instance_uid.clone(), at));
            let uid = series.facts.series_instance_uid.clone();
            (uid, (at, instances.collect()))
        });
        let places = places.collect();
        Ok(Self { document, places })
    }

    /// The document with the numbers that hold in the study: what the change log shows (mint.md 7.3).
    pub fn document(&self) -> &Study {
        &self.document
    }

    fn series(&self, uid: &str) -> Option<&Series> {
        let (at, _) = self.places.get(uid)?;
        self.document.series.get(*at)
    }

    fn instance(&self, series_uid: &str, uid: &str) -> Option<&Instance> {
        let (at, instances) = self.places.get(series_uid)?;
        let series = self.document.series.get(*at)?;
        series.instances.get(*instances.get(uid)?)
    }

    /// Whether the document names an instance.
    pub fn names(&self, series_instance_uid: &str, sop_instance_uid: &str) -> bool {
        self.instance(series_instance_uid, sop_instance_uid)
            .is_some()
    }

    /// Whether the document takes an instance out, or the whole series.
    pub fn removes(&self, series_instance_uid: &str, sop_instance_uid: &str) -> bool {
        let series = self.series(series_instance_uid);
        let own = self.instance(series_instance_uid, sop_instance_uid);
        series.is_some_and(|series| series.facts.exclude) || own.is_some_and(|own| own.exclude)
    }

    /// Whether the document says anything about an instance that is there.
    pub fn concerns(&self, series_instance_uid: &str, sop_instance_uid: &str) -> bool {
        let of_series = |series: &Series| {
            let normalized = series.normalized.iter().any(|it| it.exclude);
            normalized || !series.attributes.is_empty()
        };
        !self.document.attributes.is_empty()
            || self.series(series_instance_uid).is_some_and(of_series)
            || self.names(series_instance_uid, sop_instance_uid)
    }

    /// What is taken out: series, and instances of other series with theirs.
    pub fn removed(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.document.series.iter().flat_map(|series| {
            let uid = series.facts.series_instance_uid.as_str();
            let whole = series.facts.exclude.then_some((uid, None));
            let excluded = move |it: &&Instance| it.exclude && !series.facts.exclude;
            let instances = series.instances.iter().filter(excluded);
            let instances = instances.map(move |it| (uid, Some(it.sop_instance_uid.as_str())));
            whole.into_iter().chain(instances)
        })
    }

    /// Updates an instance that is there: first what is excluded goes, then what is given replaces what has the same tag, nearer
    /// levels last (MINT U32 to U35, U44).
    pub fn apply(&self, series_instance_uid: &str, instance: &mut Instance) -> Outcome {
        let series = self.series(series_instance_uid);
        let own = self.instance(series_instance_uid, &instance.sop_instance_uid);
        if self.removes(series_instance_uid, &instance.sop_instance_uid) {
            return Outcome::Removed;
        }
        let mut before = instance.clone();
        sort(&mut before.attributes);
        let mut all: BTreeMap<(u16, u16), Attribute> = BTreeMap::new();
        set(&mut all, &instance.attributes);
        let above: &[Attribute] = series.map_or(&[], |series| &series.attributes);
        let normalized: &[Attribute] = series.map_or(&[], |series| &series.normalized);
        let nearest: &[Attribute] = own.map_or(&[], |own| &own.attributes);
        for level in [&self.document.attributes, above, normalized, nearest] {
            for excluded in level.iter().filter(|it| it.exclude) {
                all.remove(&(excluded.tag.0, excluded.tag.1));
            }
        }
        set(&mut all, &self.document.attributes);
        set(&mut all, above);
        if let Some(own) = own {
            // What the instances of the document have in common is of them alone.
            set(&mut all, normalized);
            set(&mut all, nearest);
            if own.transfer_syntax_uid.is_some() {
                instance
                    .transfer_syntax_uid
                    .clone_from(&own.transfer_syntax_uid);
            }
        }
        instance.attributes = all.into_values().collect();
        if *instance == before {
            Outcome::Kept
        } else if says_all_of(instance, &before) {
            Outcome::Extended
        } else {
            Outcome::Changed
        }
    }

    /// Whether the document adds instances; `is_there` tells which a study has already.
    pub fn adds(&self, is_there: impl Fn(&str, &str) -> bool) -> bool {
        self.document.series.iter().any(|series| {
            let uid = series.facts.series_instance_uid.as_str();
            let is_new = |it: &Instance| !it.exclude && !is_there(uid, &it.sop_instance_uid);
            !series.facts.exclude && series.instances.iter().any(is_new)
        })
    }

    /// The instances that the document adds, each in whole with the UID of its series; `is_there` tells which a study has already.
    /// What `current` says of study and series holds for them too (MINT U33).
    pub fn added<'a>(
        &'a self,
        current: &'a Shape,
        is_there: impl Fn(&str, &str) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a str, Instance)> + 'a {
        let series = self.document.series.iter().filter(|it| !it.facts.exclude);
        let instances = series.flat_map(|series| {
            let uid = series.facts.series_instance_uid.as_str();
            series
                .instances
                .iter()
                .map(move |instance| (uid, series, instance))
        });
        let added = instances.filter(move |(uid, _, instance)| {
            !instance.exclude && !is_there(uid, &instance.sop_instance_uid)
        });
        added.map(move |(uid, series, instance)| {
            let known: &[Attribute] = current.series.get(uid).map_or(&[], |it| &it.attributes);
            let mut all = BTreeMap::new();
            set(&mut all, &current.attributes);
            set(&mut all, known);
            for level in [&self.document.attributes, &series.attributes] {
                for excluded in level.iter().filter(|it| it.exclude) {
                    all.remove(&(excluded.tag.0, excluded.tag.1));
                }
            }
            set(&mut all, &self.document.attributes);
            set(&mut all, &series.attributes);
            set(&mut all, &series.normalized);
            set(&mut all, &instance.attributes);
            let whole = Instance {
                attributes: all.into_values().collect(),
                ..instance.clone()
            };
            (uid, whole)
        })
    }
}

/// Whether an instance in whole has all that another has; both are in the order of tags.
fn says_all_of(instance: &Instance, other: &Instance) -> bool {
    let mut attributes = instance.attributes.iter();
    instance.transfer_syntax_uid == other.transfer_syntax_uid
        && other
            .attributes
            .iter()
            .all(|it| attributes.any(|own| own == it))
}

/// Checks that an instance in whole is still called what its elements are called: study, series and instance UID (MINT U42).
///
/// # Errors
/// `Kind::Unprocessable` if it is not.
pub fn keeps_its_name(instance: &Instance, uids: [&str; 3]) -> Result<()> {
    for (tag, uid) in NAMES.into_iter().zip(uids) {
        let attribute = instance.attributes.iter().find(|it| it.tag == tag);
        let is_kept =
            attribute.is_some_and(|it| matches!(&it.value, Value::Text(text) if text == uid));
        if !is_kept {
            let detail = format!(
                "({:04X},{:04X}) of an instance would be another than the UID of its element",
                tag.0, tag.1
            );
            return Err(Error::new(Kind::Unprocessable, detail));
        }
    }
    Ok(())
}

/// Puts what a level gives in the place of what has the same tag.
fn set(all: &mut BTreeMap<(u16, u16), Attribute>, level: &[Attribute]) {
    for attribute in level.iter().filter(|it| !it.exclude) {
        all.insert((attribute.tag.0, attribute.tag.1), attribute.clone());
    }
}

/// Whether two instances in whole say the same but for the numbers of their items, whose bytes are compared elsewhere (MINT U25).
pub fn says_the_same(a: &Instance, b: &Instance) -> bool {
    plain(a) == plain(b)
}

/// An instance with its items numbered from 0.
fn plain(instance: &Instance) -> Instance {
    let mut plain = instance.clone();
    sort(&mut plain.attributes);
    let mut next = 0_u32;
    for bulk in plain.attributes.iter_mut().flat_map(Attribute::bulks_mut) {
        bulk.item = next;
        next = next.saturating_add(bulk.frames);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::mint::Form;
    use crate::dicom::mint::document::Value;
    use crate::dicom::mint::normal::Levels;
    use crate::model::VR;

    fn parsed(document: &str) -> Study {
        Form::Xml.study(document.as_bytes()).unwrap()
    }

    /// The instances of a study in whole.
    fn instances(study: &Study) -> Vec<(String, Instance)> {
        let mut all = Vec::new();
        for series in &study.series {
            for instance in &series.instances {
                let mut whole = instance.clone();
                let above = [&study.attributes, &series.attributes, &series.normalized];
                whole
                    .attributes
                    .extend(above.into_iter().flatten().cloned());
                sort(&mut whole.attributes);
                all.push((series.facts.series_instance_uid.clone(), whole));
            }
        }
        all
    }

    fn shape(instances: &[(String, Instance)]) -> Shape {
        let mut levels = Levels::default();
        for (series, instance) in instances {
            levels.gather(series, instance);
        }
        levels.finish()
    }

    /// What an update makes of a study.
    fn updated(update: &Update, before: &[(String, Instance)]) -> Vec<(String, Instance)> {
        let shape = shape(before);
        let is_there = |series: &str, uid: &str| {
            before
                .iter()
                .any(|(of, it)| of == series && it.sop_instance_uid == uid)
        };
        let mut after = Vec::new();
        for (series, instance) in before {
            let mut instance = instance.clone();
            if update.apply(series, &mut instance) != Outcome::Removed {
                after.push((series.clone(), instance));
            }
        }
        let added = update.added(&shape, is_there);
        after.extend(added.map(|(series, instance)| (series.to_owned(), instance)));
        after
    }

    fn example() -> Vec<(String, Instance)> {
        instances(&parsed(include_str!("tests/create.xml")))
    }

    fn tags(attributes: &[Attribute]) -> Vec<String> {
        let tag = |it: &Attribute| format!("{:04X}{:04X}", it.tag.0, it.tag.1);
        attributes.iter().map(tag).collect()
    }

    #[test]
    fn mint_14_3_the_update_of_the_example_does_what_is_said_of_it() {
        let update = Update::new(parsed(include_str!("tests/update.xml")), Some(4)).unwrap();
        let after = updated(&update, &example());
        let uids: Vec<&str> = after
            .iter()
            .map(|(_, it)| it.sop_instance_uid.as_str())
            .collect();
        assert_eq!(uids, ["2.25.70101", "2.25.70103"]);
        let shape = shape(&after);
        assert_eq!(shape.series.len(), 1);
        let study = tags(&shape.attributes);
        assert!(study.contains(&"00081030".to_owned()) && !study.contains(&"00100040".to_owned()));
        let normalized = tags(&shape.series["2.25.70011"].normalized);
        assert_eq!(
            normalized,
            [
                "00020010", "00080016", "00280002", "00280004", "00280010", "00280011", "00280100",
                "00280101", "00280102", "00280103"
            ]
        );
        let mut first = after[0].1.clone();
        shape.own("2.25.70011", &mut first);
        let own = tags(&first.attributes);
        for down in ["00020002", "00080005", "00090010", "00280030"] {
            assert!(own.contains(&down.to_owned()), "{down}");
        }
        // Its pixel data have the number behind the highest ever used, in the change log as well.
        let pixels = |instance: &Instance| {
            instance
                .attributes
                .last()
                .unwrap()
                .bulks()
                .next()
                .unwrap()
                .item
        };
        assert_eq!(pixels(&after[1].1), 5);
        let logged = &update.document().series[0].instances[1];
        assert_eq!(pixels(logged), 5);
    }

    fn small(study: &str, series: &str, normalized: &str, instance: &str) -> Update {
        let document = format!(
            "<study xmlns=\"http://medical.nema.org/mint\" studyInstanceUID=\"2.25.70010\" type=\"DICOM\">\
             <attributes>{study}</attributes><seriesList><series seriesInstanceUID=\"2.25.70011\">\
             <attributes>{series}</attributes><normalizedInstanceAttributes>{normalized}</normalizedInstanceAttributes>\
             <instances>{instance}</instances></series></seriesList></study>"
        );
        Update::new(parsed(&document), None).unwrap()
    }

    fn of_second(attributes: &str) -> String {
        format!(
            "<instance sopInstanceUID=\"2.25.70102\" transferSyntaxUID=\"1.2.840.10008.1.2.1\">\
             <attributes>{attributes}</attributes></instance>"
        )
    }

    /// The text of an attribute of the first and the second instance after an update.
    fn texts(update: &Update, tag: Tag) -> [Option<String>; 2] {
        let after = updated(update, &example());
        let text = |at: usize| {
            let attributes: &Vec<Attribute> = &after[at].1.attributes;
            let found = attributes.iter().find(|it| it.tag == tag)?;
            if let Value::Text(text) = &found.value {
                return Some(text.clone());
            }
            panic!("{found:?}")
        };
        [text(0), text(1)]
    }

    fn both(text: &str) -> [Option<String>; 2] {
        [Some(text.to_owned()), Some(text.to_owned())]
    }

    #[test]
    fn mint_u32_u34_u35_levels_replace_and_exclude() {
        let rows = Tag(0x0028, 0x0010);
        let five = "<attr tag=\"00280010\" vr=\"US\" val=\"5\"/>";
        let gone = "<attr tag=\"00280010\" vr=\"US\" exclude=\"true\"/>";
        let second = of_second(five);
        assert_eq!(
            texts(&small("", "", "", &second), rows),
            [Some("4".to_owned()), Some("5".to_owned())]
        );
        // What is common now goes from the instance that is named, and from all where none is.
        let second = of_second(gone);
        assert_eq!(
            texts(&small("", "", "", &second), rows),
            [Some("4".to_owned()), None]
        );
        assert_eq!(texts(&small("", "", gone, ""), rows), [None, None]);
        // Exclude and add of one tag is a replacement, in whatever order.
        let second = of_second(&format!("{five}{gone}"));
        assert_eq!(
            texts(&small("", "", "", &second), rows)[1].as_deref(),
            Some("5")
        );
        // What the instances of the document have in common is of them.
        let second = of_second("");
        assert_eq!(
            texts(&small("", "", five, &second), rows),
            [Some("4".to_owned()), Some("5".to_owned())]
        );
    }

    #[test]
    fn mint_u44_what_is_set_above_holds_for_every_instance() {
        let name = Tag(0x0010, 0x0010);
        let set = "<attr tag=\"00100010\" vr=\"PN\" val=\"NEW\"/>";
        let mut before = example();
        let own = before[0].1.attributes.iter_mut().find(|it| it.tag == name);
        own.unwrap().value = Value::Text("OTHER".to_owned());
        let after = updated(&small(set, "", "", ""), &before);
        let new = Value::Text("NEW".to_owned());
        assert!(after.iter().all(|(_, it)| {
            it.attributes
                .iter()
                .any(|a| a.tag == name && a.value == new)
        }));
        let modality = "<attr tag=\"00080060\" vr=\"CS\" val=\"MR\"/>";
        assert_eq!(
            texts(&small("", modality, "", ""), Tag(0x0008, 0x0060)),
            both("MR")
        );
        let gone = "<attr tag=\"00080060\" vr=\"CS\" exclude=\"true\"/>";
        assert_eq!(
            texts(&small("", gone, "", ""), Tag(0x0008, 0x0060)),
            [None, None]
        );
    }

    #[test]
    fn mint_u36_u40_what_is_not_there_is_no_error() {
        let gone = "<attr tag=\"00104000\" vr=\"LT\" exclude=\"true\"/>";
        let update = small(gone, "", gone, "");
        for (series, mut instance) in example() {
            assert_eq!(update.apply(&series, &mut instance), Outcome::Kept);
        }
        let shape = shape(&example());
        assert_eq!(update.added(&shape, |_, _| true).count(), 0);
    }

    #[test]
    fn mint_u25_numbers_do_not_make_a_difference() {
        let (_, a) = example().remove(2);
        let mut b = a.clone();
        b.shift(40).unwrap();
        assert!(says_the_same(&a, &b));
        let text = Value::Text("x".to_owned());
        b.attributes
            .push(Attribute::new(Tag(0x0010, 0x4000), VR::LT, text));
        assert!(!says_the_same(&a, &b));
    }
}
