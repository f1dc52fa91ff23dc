//! The whole corpus from DICOM to MINT and back (mint.md 11, 18 step 2).

use std::collections::BTreeMap;

use kura::dicom::mint::Form;
use kura::dicom::mint::compose::{Composed, Piece, compose};
use kura::dicom::mint::document::{
    Attribute, Instance, Series, SeriesFacts, Study, StudyFacts, Value,
};
use kura::dicom::mint::normal::Levels;
use kura::dicom::mint::source::{Reading, Stored};
use kura::model::VR;

use crate::harness::corpus;

/// Where the numbers of the items of a study begin.
const FIRST_ITEM: u32 = 7;

/// A file as MINT has it, and its items.
struct Taken {
    instance: Instance,
    items: Vec<Vec<u8>>,
}

/// Slow: 427 files go through both forms and come back.
#[test]
fn mint_10_11_every_attribute_and_every_pixel_of_the_corpus_comes_back() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let (mut files, mut attributes, mut items) = (0, 0, 0);
    let mut excused: BTreeMap<&str, usize> = BTreeMap::new();
    let mut differences = Vec::new();
    for entry in entries.iter().filter(|entry| entry.group != "broken") {
        let Ok(before) = taken(&entry.bytes()) else {
            continue;
        };
        // What has no UID is not stored in the first place.
        if before.instance.sop_instance_uid.is_empty() {
            continue;
        }
        files += 1;
        attributes += before.instance.attributes.len();
        items += before.items.len();
        for form in [Form::Xml, Form::Protobuf] {
            let study = document(&before.instance);
            let written = form.document(&study);
            let read = form.study(written.as_slice()).unwrap();
            assert_eq!(read, study, "{} {form:?}", entry.file);
            let after = taken(&file(&read, &before.items)).unwrap();
            for difference in differing(&before, &after) {
                match excuse(&difference) {
                    Some(excuse) => *excused.entry(excuse).or_default() += 1,
                    None => differences.push(format!("{} {difference:?}", entry.file)),
                }
            }
        }
    }
    println!("files {files}, attributes {attributes}, items {items}, excused {excused:?}");
    assert_eq!(differences, Vec::<String>::new());
    assert!(files > 400, "{files}");
    // What MINT cannot carry back (MINT P09); nothing here may grow.
    assert!(excused.values().sum::<usize>() <= 100, "{excused:?}");
}

fn taken(file: &[u8]) -> kura::Result<Taken> {
    let mut reading = Reading::new(file.len() as u64, None);
    while let Some(range) = reading.wants() {
        reading.feed(&file[index(range.start)..index(range.end)])?;
    }
    let Stored {
        mut instance,
        items,
        ..
    } = reading.finish()?;
    instance.shift(FIRST_ITEM)?;
    let inflated = inflated(file, &instance);
    let whole = inflated.as_deref().unwrap_or(file);
    let of = |number| {
        let ranges = items.ranges(number).unwrap().into_iter();
        let bytes = ranges.flat_map(|range| &whole[index(range.start)..index(range.end)]);
        bytes.copied().collect()
    };
    let items = (0..items.count()).map(of).collect();
    Ok(Taken { instance, items })
}

fn index(at: u64) -> usize {
    usize::try_from(at).unwrap()
}

/// The file with its data set inflated, if that is deflated.
fn inflated(file: &[u8], instance: &Instance) -> Option<Vec<u8>> {
    use std::io::Read as _;
    if instance.transfer_syntax_uid.as_deref() != Some("1.2.840.10008.1.2.1.99") {
        return None;
    }
    let len = u32::from_le_bytes(file[140..144].try_into().unwrap());
    let (front, deflated) = file.split_at(144 + usize::try_from(len).unwrap());
    let mut whole = front.to_vec();
    flate2::read::DeflateDecoder::new(deflated)
        .read_to_end(&mut whole)
        .unwrap();
    Some(whole)
}

/// A study of one instance.
fn document(instance: &Instance) -> Study {
    let mut levels = Levels::default();
    levels.gather("1.2", instance);
    let shape = levels.finish();
    let mut own = instance.clone();
    shape.own("1.2", &mut own);
    let series = &shape.series["1.2"];
    Study {
        facts: StudyFacts {
            study_instance_uid: "1.1".to_owned(),
            document_type: Some("DICOM".to_owned()),
            version: Some(0),
            instance_count: Some(1),
        },
        attributes: shape.attributes.clone(),
        series: vec![Series {
            facts: SeriesFacts {
                series_instance_uid: "1.2".to_owned(),
                exclude: false,
                instance_count: Some(1),
            },
            attributes: series.attributes.clone(),
            normalized: series.normalized.clone(),
            instances: vec![own],
        }],
    }
}

/// The file that a document and its items come to.
fn file(study: &Study, items: &[Vec<u8>]) -> Vec<u8> {
    let series = &study.series[0];
    let item = |number: u32| items.get(index(u64::from(number.checked_sub(FIRST_ITEM)?)));
    let len_of = |number| Some(item(number)?.len() as u64);
    let levels: [&[Attribute]; 3] = [&study.attributes, &series.attributes, &series.normalized];
    let Composed { pieces, .. } = compose(&levels, &series.instances[0], &len_of).unwrap();
    let mut file = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => file.extend(bytes),
            Piece::Item {
                item: number,
                range,
            } => {
                file.extend(&item(number).unwrap()[index(range.start)..index(range.end)]);
            }
        }
    }
    file
}

/// What is not the same afterwards.
#[derive(Debug)]
enum Difference {
    Attribute(Option<Attribute>, Option<Attribute>),
    Item(Vec<u8>, Vec<u8>),
    Items,
}

fn differing(before: &Taken, after: &Taken) -> Vec<Difference> {
    let by_tag = |taken: &Taken| -> BTreeMap<(u16, u16), Attribute> {
        let attributes = taken.instance.attributes.iter().cloned();
        attributes.map(|it| ((it.tag.0, it.tag.1), it)).collect()
    };
    let (mut old, mut new) = (by_tag(before), by_tag(after));
    let tags: Vec<_> = old.keys().chain(new.keys()).copied().collect();
    let mut differences = Vec::new();
    for tag in tags {
        let (old, new) = (old.remove(&tag), new.remove(&tag));
        if old != new {
            differences.push(Difference::Attribute(old, new));
        }
    }
    let lens = (before.items.len(), after.items.len());
    if lens.0 != lens.1 {
        differences.push(Difference::Items);
    }
    for (old, new) in before.items.iter().zip(&after.items) {
        if old != new {
            differences.push(Difference::Item(old.clone(), new.clone()));
        }
    }
    differences
}

/// Why a difference is one that MINT cannot help (MINT P09).
fn excuse(difference: &Difference) -> Option<&'static str> {
    let is_padded = |old: &[u8], new: &[u8]| {
        old.len() % 2 == 1 && new.len() == old.len() + 1 && new.starts_with(old)
    };
    match difference {
        Difference::Attribute(_, Some(new)) if new.tag.0 == 2 => {
            Some("the file meta information is completed")
        }
        Difference::Attribute(Some(old), Some(new)) => match (&old.value, &new.value) {
            (Value::Bytes(a), Value::Bytes(b)) if is_padded(a, b) => {
                Some("a value of odd length is padded")
            }
            (Value::Bulk(a), Value::Bulk(b))
                if old.vr == VR::OB && a.size.zip(b.size).is_some_and(|(a, b)| a + 1 == b) =>
            {
                Some("a value of odd length is padded")
            }
            _ => None,
        },
        Difference::Item(old, new) if is_padded(old, new) => {
            Some("a value of odd length is padded")
        }
        Difference::Attribute(..) | Difference::Item(..) | Difference::Items => None,
    }
}
