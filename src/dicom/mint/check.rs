//! What a document of somebody else has to be before it becomes files (mint.md 9.5).
//!
//! [`Check`] sees a document part by part as it is read, then the items that came with it. Forms are the readers' matter; here is
//! what they cannot see: levels, UIDs and numbers.

use std::collections::BTreeMap;

use super::TYPE;
use super::document::{Attribute, Instance, Part, SeriesFacts, StudyFacts, Value};
use super::levels::{SERIES, STUDY};
use super::raw::wrong;
use crate::error::{Error, Kind, Result};
use crate::model::uid::MAX_UID_LEN;
use crate::model::{Tag, VR};

const TRANSFER_SYNTAX_UID: Tag = Tag(0x0002, 0x0010);
const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
const STUDY_INSTANCE_UID: Tag = Tag(0x0020, 0x000D);
const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);

/// What a document is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To make a study.
    Create,
    /// To change one.
    Update,
}

/// A document that is being checked.
#[derive(Debug)]
pub struct Check {
    purpose: Purpose,
    /// What refers to items: first number, number of items, length of the value if it is said, tag.
    bulks: Vec<(u32, u32, Option<u32>, Tag)>,
    /// A Study Instance UID that attributes have, and one of a series that is open; they have to be those of the elements.
    study: Named,
    series: Named,
    /// The transfer syntax that the instances of the series have in common.
    transfer_syntax_uid: Option<String>,
    instances: u64,
}

/// The values that an identifying attribute has had.
#[derive(Debug, Default)]
struct Named {
    uid: Option<String>,
    differ: bool,
}

impl Check {
    /// Before the first part.
    pub fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            bulks: Vec::new(),
            study: Named::default(),
            series: Named::default(),
            transfer_syntax_uid: None,
            instances: 0,
        }
    }

    /// Looks at the next part.
    ///
    /// # Errors
    /// `Kind::Unprocessable` with what is wrong: an attribute at a level that is not its own (MINT V03), a UID that is none or
    /// another than that of its element (V05, V14, U42), a type or a version that do not belong (U21, U22).
    pub fn part(&mut self, part: &Part) -> Result<()> {
        match part {
            Part::Attributes(attributes) => self.level(attributes, Some(STUDY)),
            Part::SeriesStart => {
                self.series = Named::default();
                self.transfer_syntax_uid = None;
                Ok(())
            }
            Part::SeriesAttributes(attributes) => self.level(attributes, Some(SERIES)),
            Part::Normalized(attributes) => {
                if let Some(uid) = text_of(attributes, TRANSFER_SYNTAX_UID) {
                    self.transfer_syntax_uid = Some(uid.to_owned());
                }
                self.level(attributes, None)
            }
            Part::Instance(instance) => self.instance(instance),
            Part::SeriesEnd(facts) => self.series_end(facts),
            Part::End(facts) => self.end(facts),
        }
    }

    /// The document is over, and these items came with it, by number with their lengths in bytes.
    ///
    /// # Errors
    /// `Kind::Unprocessable` if not exactly these are referred to, each once (MINT V01, V02), or are together of another length
    /// than is said (V06).
    pub fn finish(mut self, received: &BTreeMap<u32, u64>) -> Result<()> {
        self.bulks.sort_unstable_by_key(|(first, ..)| *first);
        let mut came = received.iter();
        for (first, frames, size, tag) in &self.bulks {
            let mut len = 0_u64;
            for number in *first..first.saturating_add(*frames) {
                match came.next() {
                    Some((came, item_len)) if *came == number => {
                        len = len.saturating_add(*item_len);
                    }
                    Some((came, _)) if *came < number => return Err(unreferred(*came)),
                    _ if received.contains_key(&number) => {
                        let detail = format!("binary item {number} is referred to twice");
                        return Err(unprocessable(detail));
                    }
                    _ => {
                        let detail = format!("binary item {number} did not come");
                        return Err(unprocessable(detail));
                    }
                }
            }
            let fits = |size: u64| size == len || size.checked_sub(1) == Some(len);
            if size.is_some_and(|size| !fits(u64::from(size))) {
                let detail = format!("is not as long as its binary items, which have {len} bytes");
                return Err(because(&wrong(*tag, &detail)));
            }
        }
        came.next()
            .map_or(Ok(()), |(came, _)| Err(unreferred(*came)))
    }

    /// Attributes of a level, which holds those of a list alone.
    fn level(&mut self, attributes: &[Attribute], list: Option<&[Tag]>) -> Result<()> {
        for attribute in attributes {
            if list.is_some_and(|list| list.binary_search(&attribute.tag).is_err()) {
                let detail = "stands at a level that it does not belong to";
                return Err(because(&wrong(attribute.tag, detail)));
            }
            self.attribute(attribute)?;
        }
        Ok(())
    }

    fn attribute(&mut self, attribute: &Attribute) -> Result<()> {
        if attribute.exclude {
            return Ok(());
        }
        for bulk in attribute.bulks() {
            self.bulks
                .push((bulk.item, bulk.frames, bulk.size, attribute.tag));
        }
        let Value::Text(text) = &attribute.value else {
            return Ok(());
        };
        if attribute.vr == VR::UI && !text.split('\\').all(is_uid) {
            return Err(because(&wrong(attribute.tag, "has a value that is no UID")));
        }
        match attribute.tag {
            STUDY_INSTANCE_UID => self.study.see(text),
            SERIES_INSTANCE_UID => self.series.see(text),
            _ => {}
        }
        Ok(())
    }

    fn instance(&mut self, instance: &Instance) -> Result<()> {
        let uid = &instance.sop_instance_uid;
        identifies(uid, "sopInstanceUID")?;
        if instance.exclude {
            return Ok(());
        }
        self.instances = self.instances.saturating_add(1);
        self.level(&instance.attributes, None)?;
        if text_of(&instance.attributes, SOP_INSTANCE_UID).is_some_and(|own| own != uid) {
            let detail = "is another than the UID of its instance";
            return Err(because(&wrong(SOP_INSTANCE_UID, detail)));
        }
        let own = text_of(&instance.attributes, TRANSFER_SYNTAX_UID);
        let said = own.or(self.transfer_syntax_uid.as_deref());
        let Some(syntax) = instance.transfer_syntax_uid.as_deref() else {
            return Ok(());
        };
        identifies(syntax, "transferSyntaxUID")?;
        if said.is_some_and(|said| said != syntax) {
            let detail = "is another than the transferSyntaxUID of its instance";
            return Err(because(&wrong(TRANSFER_SYNTAX_UID, detail)));
        }
        Ok(())
    }

    fn series_end(&self, facts: &SeriesFacts) -> Result<()> {
        let uid = &facts.series_instance_uid;
        identifies(uid, "seriesInstanceUID")?;
        self.series.check(uid, SERIES_INSTANCE_UID)
    }

    fn end(&self, facts: &StudyFacts) -> Result<()> {
        let uid = &facts.study_instance_uid;
        identifies(uid, "studyInstanceUID")?;
        self.study.check(uid, STUDY_INSTANCE_UID)?;
        if let Some(of) = facts.document_type.as_deref().filter(|of| *of != TYPE) {
            // A type is a word of the sender; no more of it is shown than a word.
            let of: String = of
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .take(32)
                .collect();
            return Err(unprocessable(format!(
                "the document is of type {of}, not DICOM"
            )));
        }
        match &self.purpose {
            Purpose::Create if facts.version.is_some() => {
                Err(unprocessable("the document of a new study has no version"))
            }
            Purpose::Create if self.instances == 0 => {
                Err(unprocessable("the document has no instance"))
            }
            Purpose::Create | Purpose::Update => Ok(()),
        }
    }
}

impl Named {
    fn see(&mut self, uid: &str) {
        match &self.uid {
            Some(known) => self.differ |= known != uid,
            None => self.uid = Some(uid.to_owned()),
        }
    }

    fn check(&self, element: &str, tag: Tag) -> Result<()> {
        let is_other = self.uid.as_ref().is_some_and(|uid| uid != element);
        if self.differ || is_other {
            return Err(because(&wrong(
                tag,
                "is another than the UID of its element",
            )));
        }
        Ok(())
    }
}

/// The text of an attribute that is not excluded.
fn text_of(attributes: &[Attribute], tag: Tag) -> Option<&str> {
    let found = attributes.iter().find(|it| it.tag == tag && !it.exclude)?;
    match &found.value {
        Value::Text(text) => Some(text),
        Value::Empty
        | Value::Bytes(_)
        | Value::Number { .. }
        | Value::Bulk(_)
        | Value::Items(_) => None,
    }
}

/// Whether a value is at most 64 digits and dots (MINT V14).
fn is_uid(text: &str) -> bool {
    text.len() <= MAX_UID_LEN
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn identifies(uid: &str, name: &str) -> Result<()> {
    if uid.is_empty() || !is_uid(uid) {
        return Err(unprocessable(format!("a {name} is no UID")));
    }
    Ok(())
}

fn unreferred(number: u32) -> Error {
    unprocessable(format!("nothing refers to binary item {number}"))
}

/// A refusal that names an attribute, of a document that is well formed.
fn because(error: &Error) -> Error {
    unprocessable(error.detail().to_owned())
}

fn unprocessable(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(Kind::Unprocessable, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::mint::Form;

    const EXAMPLE: &str = include_str!("tests/create.xml");
    const UPDATE: &str = include_str!("tests/update.xml");

    fn checked(document: &str, purpose: Purpose, items: &[(u32, u64)]) -> Result<()> {
        let mut check = Check::new(purpose);
        Form::Xml.read(document.as_bytes(), |part| check.part(&part))?;
        check.finish(&items.iter().copied().collect())
    }

    const ITEMS: [(u32, u64); 5] = [(0, 32), (1, 32), (2, 16), (3, 16), (4, 16)];

    fn create(document: &str) -> Result<()> {
        checked(document, Purpose::Create, &ITEMS)
    }

    /// The example with one thing changed is refused for a reason.
    fn refused(from: &str, to: &str, reason: &str) {
        let document = EXAMPLE.replacen(from, to, 1);
        assert_ne!(document, EXAMPLE, "{from}");
        let error = create(&document).expect_err(to);
        assert!(error.detail().contains(reason), "{}", error.detail());
        assert_eq!(error.kind(), Kind::Unprocessable);
    }

    #[test]
    fn the_examples_are_taken() {
        create(EXAMPLE).unwrap();
        checked(UPDATE, Purpose::Update, &[(0, 32)]).unwrap();
    }

    #[test]
    fn mint_v01_v02_v06_items_are_those_that_are_referred_to() {
        let with = |items: &[(u32, u64)]| {
            let error = checked(EXAMPLE, Purpose::Create, items).unwrap_err();
            error.detail().to_owned()
        };
        assert!(with(&ITEMS[..4]).contains("item 4 did not come"));
        assert!(with(&ITEMS[1..]).contains("item 0 did not come"));
        let more: Vec<_> = ITEMS.into_iter().chain([(9, 1)]).collect();
        assert!(with(&more).contains("nothing refers to binary item 9"));
        let short = [(0, 30), (1, 32), (2, 16), (3, 16), (4, 16)];
        assert!(with(&short).contains("30 bytes"));
        refused("bid=\"1\"", "bid=\"0\"", "item 0 is referred to twice");
        refused("bid=\"1\"", "bid=\"3\"", "item 1");
        refused("bsize=\"48\"", "bsize=\"50\"", "48 bytes");
        create(&EXAMPLE.replace("bsize=\"48\"", "bsize=\"49\"")).unwrap();
    }

    #[test]
    fn mint_v03_levels_hold_what_is_theirs() {
        refused(
            "tag=\"00100040\" vr=\"CS\"",
            "tag=\"00080060\" vr=\"CS\"",
            "level",
        );
        refused(
            "tag=\"00200011\" vr=\"IS\"",
            "tag=\"00200013\" vr=\"IS\"",
            "level",
        );
        create(&EXAMPLE.replacen("tag=\"00280002\"", "tag=\"00100020\"", 1)).unwrap();
    }

    #[test]
    fn mint_v05_v14_u42_uids_are_those_of_their_elements() {
        refused(
            "transferSyntaxUID=\"1.2.840.10008.1.2.1\"",
            "transferSyntaxUID=\"1.2.840.10008.1.2\"",
            "TransferSyntaxUID",
        );
        refused(
            "val=\"2.25.70101\"/>\n            <attr tag=\"00081140\"",
            "val=\"2.25.7\"/>\n            <attr tag=\"00081140\"",
            "SOPInstanceUID",
        );
        refused(
            "tag=\"0020000E\" vr=\"UI\" val=\"2.25.70011\"",
            "tag=\"0020000E\" vr=\"UI\" val=\"2.25.7\"",
            "SeriesInstanceUID",
        );
        refused(
            "tag=\"0020000D\" vr=\"UI\" val=\"2.25.70010\"",
            "tag=\"0020000D\" vr=\"UI\" val=\"2.25.7\"",
            "StudyInstanceUID",
        );
        refused("val=\"2.25.70102\"", "val=\"2.25.70102x\"", "no UID");
    }

    #[test]
    fn mint_u21_u22_v13_the_document_is_what_it_says() {
        refused("type=\"DICOM\"", "type=\"Other\"", "type Other");
        refused("type=\"DICOM\"", "type=\"DICOM\" version=\"0\"", "version");
        create(&EXAMPLE.replacen("type=\"DICOM\"", "type=\"DICOM\" version=\"-1\"", 1)).unwrap();
        let root =
            "<study xmlns=\"http://medical.nema.org/mint\" studyInstanceUID=\"1\" type=\"DICOM\"/>";
        assert!(checked(root, Purpose::Create, &[]).is_err());
        checked(root, Purpose::Update, &[]).unwrap();
        let mut check = Check::new(Purpose::Create);
        check.instances = 1;
        let facts = StudyFacts {
            study_instance_uid: "1".to_owned(),
            ..StudyFacts::default()
        };
        check
            .part(&Part::End(facts))
            .expect("a missing type is DICOM");
    }
}
