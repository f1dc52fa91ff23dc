//! The manifest: what of a study is moved, object by object, with digests (MINT 16.6).
//!
//! ```text
//! {"study":"0190…","studyInstanceUID":"1.2.3","version":2,"objects":[
//! {"name":"1.2.3.1/1.2.3.1.1.dcm","size":526336,"sha256":"9f86…","sopInstanceUID":"1.2.3.1.1","transferSyntaxUID":"1.2.840.10008.1.2.1"},
//! …
//! ]}
//! ```
//! It is written and measured a line at a time. What is read of one is what an archive has to know: names, lengths, digests.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::archive::ingest::Expected;
use crate::error::{Error, Kind, Result};
use crate::index::Candidate;
use crate::index::catalog::{StoredObject, StudyHead};
use crate::model::{SeriesUid, SopInstanceUid, StudyUid};
use crate::storage::digest::{from_hex, to_hex};

/// What stands between two objects, and behind the last.
pub(super) const BETWEEN: &str = ",\n";
pub(super) const END: &str = "\n]}\n";

/// An object as a manifest tells it.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExactObject)]
pub struct Line<'a> {
    /// Series and SOP Instance UID with a slash between, and `.dcm`: the name of its file.
    #[serde(borrow)]
    name: Cow<'a, str>,
    /// Length in bytes.
    size: u64,
    /// SHA-256 of the file, 64 hexadecimal digits in lower case.
    #[serde(borrow)]
    sha256: Cow<'a, str>,
    /// SOP Instance UID.
    #[serde(borrow, rename = "sopInstanceUID")]
    sop_instance_uid: Cow<'a, str>,
    /// Transfer Syntax UID as stored.
    #[serde(borrow, default, rename = "transferSyntaxUID")]
    transfer_syntax_uid: Cow<'a, str>,
}

/// What stands before the objects.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    study: Uuid,
    #[serde(rename = "studyInstanceUID")]
    study_instance_uid: &'a str,
    version: u64,
}

/// The name of the file of an object.
pub(super) fn name(series: &SeriesUid, instance: &SopInstanceUid) -> String {
    format!("{series}/{instance}.dcm")
}

/// The beginning of a manifest of a study.
pub(super) fn head(study: &StudyHead) -> Result<String> {
    let head = json(&Head {
        study: study.id.0,
        study_instance_uid: study.study.as_str(),
        version: study.version,
    })?;
    let open = head.strip_suffix('}').unwrap_or(&head);
    Ok(format!("{open},\"objects\":[\n"))
}

/// The line of an object.
pub(super) fn line(object: &StoredObject) -> Result<String> {
    json(&Line {
        name: name(&object.series, &object.instance).into(),
        size: object.byte_count,
        sha256: to_hex(&object.digest).into(),
        sop_instance_uid: object.instance.as_str().into(),
        transfer_syntax_uid: object.transfer_syntax_uid.as_str().into(),
    })
}

/// A value as JSON on one line.
pub(super) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| Error::internal("JSON cannot be written", cause))
}

/// What is known of an object that was announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Series Instance UID.
    pub series: SeriesUid,
    /// Length of its file in bytes.
    pub size: u64,
    /// SHA-256 of its file.
    pub digest: [u8; 32],
    /// Whether its file was seen.
    pub was_sent: bool,
}

/// A manifest that somebody sent. Its objects are in the order of their SOP Instance UIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Study Instance UID.
    pub study: StudyUid,
    /// The objects.
    pub objects: BTreeMap<SopInstanceUid, Announced>,
}

impl Manifest {
    /// Reads a manifest of at most `most` objects. What else it says is passed over.
    ///
    /// # Errors
    /// `Kind::Invalid` for what is no manifest, for names that are not those of their objects, and for an object that is there
    /// twice; `Kind::TooLarge` for more objects.
    pub fn read(bytes: &[u8], most: usize) -> Result<Self> {
        let mut fault = None;
        let reading = Reading {
            most,
            fault: &mut fault,
        };
        let mut text = serde_json::Deserializer::from_slice(bytes);
        let read = reading.deserialize(&mut text);
        let read = read.and_then(|manifest| text.end().map(|()| manifest));
        read.map_err(|cause| match fault {
            Some(Fault::TooMany) => too_many(most),
            // What serde says may repeat a value.
            Some(Fault::Odd(why)) => odd(why, &cause),
            None => odd("it is no manifest", &cause),
        })
    }

    /// The object that a file of this name is; `None` where none has it.
    pub(super) fn of_name(&mut self, file: &str) -> Option<(Expected, &mut Announced)> {
        let (_, instance) = file.strip_suffix(".dcm")?.split_once('/')?;
        let instance = SopInstanceUid::parse(instance).ok()?;
        let announced = self.objects.get_mut(&instance)?;
        if name(&announced.series, &instance) != file {
            return None;
        }
        Some((expected(&instance, announced), announced))
    }

    /// The objects as candidates for the archive.
    pub(super) fn candidates(&self) -> impl Iterator<Item = (&Announced, Candidate<'_>)> {
        self.objects.iter().map(|(instance, announced)| {
            let candidate = Candidate {
                study: &self.study,
                series: &announced.series,
                instance,
                digest: announced.digest,
            };
            (announced, candidate)
        })
    }
}

/// `Kind::TooLarge` with the limit.
pub(super) fn too_many(most: usize) -> Error {
    let detail = format!("more than the {most} objects that are taken at once");
    Error::new(Kind::TooLarge, detail)
}

fn odd(why: &str, cause: &serde_json::Error) -> Error {
    let (line, column) = (cause.line(), cause.column());
    Error::invalid(format!("the manifest, line {line}, column {column}: {why}"))
}

/// What is wrong with a manifest, beside its JSON.
enum Fault {
    TooMany,
    Odd(&'static str),
}

/// What the file of an object has to be.
pub(super) fn expected(instance: &SopInstanceUid, announced: &Announced) -> Expected {
    Expected {
        series: announced.series.clone(),
        instance: instance.clone(),
        digest: announced.digest,
    }
}

/// An announced object, or what is wrong with it.
fn announced(line: &Line<'_>) -> Result<(SopInstanceUid, Announced), &'static str> {
    const NAME: &str =
        "the name of an object is not its series, a slash, its SOP Instance UID and .dcm";
    let instance = SopInstanceUid::parse(&line.sop_instance_uid);
    let instance = instance.map_err(|_| "an object has no SOP Instance UID")?;
    let (series, _) = line.name.split_once('/').ok_or(NAME)?;
    let series = SeriesUid::parse(series).map_err(|_| NAME)?;
    if name(&series, &instance) != *line.name {
        return Err(NAME);
    }
    let digest = from_hex(&line.sha256).ok_or("a sha256 is not 64 digits in lower case")?;
    let announced = Announced {
        series,
        size: line.size,
        digest,
        was_sent: false,
    };
    Ok((instance, announced))
}

/// Reads a manifest without holding its text twice.
struct Reading<'a> {
    most: usize,
    fault: &'a mut Option<Fault>,
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Manifest;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Manifest, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Manifest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Manifest, A::Error> {
        let (mut study, mut objects) = (None, None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "studyInstanceUID" => {
                    let text = map.next_value::<Cow<'de, str>>()?;
                    study = Some(StudyUid::parse(&text).map_err(|why| {
                        *self.fault = Some(Fault::Odd("the Study Instance UID is none"));
                        A::Error::custom(why)
                    })?);
                }
                "objects" if objects.is_none() => {
                    objects = Some(map.next_value_seed(Objects {
                        most: self.most,
                        fault: &mut *self.fault,
                    })?);
                }
                "objects" => return Err(A::Error::duplicate_field("objects")),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Manifest {
            study: study.ok_or_else(|| A::Error::missing_field("studyInstanceUID"))?,
            objects: objects.ok_or_else(|| A::Error::missing_field("objects"))?,
        })
    }
}

struct Objects<'a> {
    most: usize,
    fault: &'a mut Option<Fault>,
}

impl<'de> DeserializeSeed<'de> for Objects<'_> {
    type Value = BTreeMap<SopInstanceUid, Announced>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Objects<'_> {
    type Value = BTreeMap<SopInstanceUid, Announced>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut objects = BTreeMap::new();
        while let Some(line) = list.next_element::<Line<'de>>()? {
            let fault = match announced(&line) {
                Ok(_) if objects.len() == self.most => Fault::TooMany,
                Ok((instance, announced)) => match objects.entry(instance) {
                    Entry::Vacant(place) => {
                        place.insert(announced);
                        continue;
                    }
                    Entry::Occupied(_) => Fault::Odd("an object is there twice"),
                },
                Err(why) => Fault::Odd(why),
            };
            *self.fault = Some(fault);
            return Err(A::Error::custom("refused"));
        }
        Ok(objects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn object(name: &str, uid: &str, digest: &str) -> String {
        format!(r#"{{"name":"{name}","size":3,"sha256":"{digest}","sopInstanceUID":"{uid}"}}"#)
    }

    fn check(objects: &[String], expected: Result<usize, Kind>) {
        let text = format!(
            r#"{{"version":1,"more":[{{}}],"studyInstanceUID":"1.2","objects":[{}]}}"#,
            objects.join(",")
        );
        let found = Manifest::read(text.as_bytes(), 2);
        let found = found.map(|manifest| manifest.objects.len());
        assert_eq!(found.map_err(|error| error.kind()), expected, "{text}");
    }

    #[test]
    fn mint_z40_a_manifest_is_read_and_its_neighbours_are_refused() {
        let good = |uid: &str| object(&format!("1.2.3/{uid}.dcm"), uid, DIGEST);
        check(&[], Ok(0));
        check(&[good("1.5"), good("1.4")], Ok(2));
        check(
            &[good("1.5"), good("1.4"), good("1.6")],
            Err(Kind::TooLarge),
        );
        check(&[good("1.5"), good("1.5")], Err(Kind::Invalid));
        for name in [
            "1.2.3/1.6.dcm",
            "../1.5.dcm",
            "/1.5.dcm",
            "1.2.3//1.5.dcm",
            "1.2.3/../1.5.dcm",
            "1.2.3/1.5",
            "1.5.dcm",
            "1.2.3 /1.5.dcm",
            "",
        ] {
            check(&[object(name, "1.5", DIGEST)], Err(Kind::Invalid));
        }
        check(&[object("1.2.3/x.dcm", "x", DIGEST)], Err(Kind::Invalid));
        for digest in ["", &DIGEST[1..], &DIGEST.to_uppercase()] {
            check(
                &[object("1.2.3/1.5.dcm", "1.5", digest)],
                Err(Kind::Invalid),
            );
        }
        for text in [
            "",
            "[]",
            "{}",
            r#"{"objects":[]}"#,
            r#"{"studyInstanceUID":"1.2"}"#,
            r#"{"studyInstanceUID":"x","objects":[]}"#,
            r#"{"studyInstanceUID":"1.2","objects":{}}"#,
            r#"{"studyInstanceUID":"1.2","objects":[],"objects":[]}"#,
            r#"{"studyInstanceUID":"1.2","objects":[]} x"#,
        ] {
            let error = Manifest::read(text.as_bytes(), 2).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{text}");
        }
    }

    #[test]
    fn mint_z41_a_file_is_the_object_of_its_name() {
        let text = format!(
            r#"{{"studyInstanceUID":"1.2","objects":[{}]}}"#,
            object("1.2.3/1.5.dcm", "1.5", DIGEST)
        );
        let mut manifest = Manifest::read(text.as_bytes(), 2).unwrap();
        let (expected, _) = manifest.of_name("1.2.3/1.5.dcm").unwrap();
        assert_eq!(expected.instance.as_str(), "1.5");
        for name in [
            "1.2.4/1.5.dcm",
            "1.5.dcm",
            "./1.2.3/1.5.dcm",
            "1.2.3/1.5 .dcm",
            "manifest.json",
        ] {
            assert!(manifest.of_name(name).is_none(), "{name}");
        }
    }
}
