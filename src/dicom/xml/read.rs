//! An XML document → a [`Visitor`].

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader as Pieces;

use crate::dicom::visit::{Named, Value, Visitor, hex_tag, vr_of};
use crate::model::{Tag, VR};
use crate::{Error, Result};

/// Values that a document may leave out between two that it has.
const MOST_LEFT_OUT: u32 = 1000;

const GROUPS: [&str; 3] = ["Alphabetic", "Ideographic", "Phonetic"];
const COMPONENTS: [&str; 5] = [
    "FamilyName",
    "GivenName",
    "MiddleName",
    "NamePrefix",
    "NameSuffix",
];

/// Reads one document.
///
/// No document type is taken, so there is nothing to expand; unknown elements are refused.
///
/// # Errors
/// `Kind::Invalid` if it is no document of the Native DICOM Model, or nests deeper than `most_levels`; what the visitor refuses.
pub fn read(text: &str, most_levels: usize, visitor: &mut impl Visitor) -> Result<()> {
    let mut pieces = Pieces::from_str(text.trim_start_matches('\u{FEFF}'));
    pieces.config_mut().expand_empty_elements = true;
    let mut document = Document {
        visitor,
        open: Vec::new(),
        text: String::new(),
        groups: Default::default(),
        most_levels: most_levels.saturating_mul(2).saturating_add(5),
        is_over: false,
    };
    loop {
        let event = pieces.read_event();
        let at = pieces.buffer_position();
        let is_end = matches!(event, Ok(Event::Eof));
        match event {
            Ok(event) => document.take(&event).map_err(|wrong| match wrong {
                Wrong::Here(what) => Error::invalid(format!("the XML has {what}, at byte {at}")),
                Wrong::Refused(error) => error,
            })?,
            Err(_) => return Err(Error::invalid(format!("no XML, at byte {at}"))),
        }
        if is_end {
            return Ok(());
        }
    }
}

/// Why a document is not read on.
enum Wrong {
    /// Something stands where it does not belong.
    Here(&'static str),
    /// The visitor does not take it, or it names what is wrong itself.
    Refused(Error),
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// An element that is open.
#[derive(Clone, Copy)]
enum Open {
    Model,
    Attribute { values: u32 },
    Value,
    PersonName,
    Group(usize),
    Component,
    Item,
    InlineBinary,
    BulkData,
}

struct Document<'v, V> {
    visitor: &'v mut V,
    open: Vec<Open>,
    /// What has come of the text of the element that is open.
    text: String,
    /// The groups of the name that is open, each its components so far.
    groups: [Option<String>; 3],
    most_levels: usize,
    is_over: bool,
}

impl<V: Visitor> Document<'_, V> {
    fn take(&mut self, event: &Event<'_>) -> Result<(), Wrong> {
        match event {
            Event::Start(start) => self.start(start),
            Event::End(_) => self.end(),
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let text = resolved(reference).ok_or(Wrong::Here("an unknown reference"))?;
                self.text(text.encode_utf8(&mut [0; 4]))
            }
            Event::DocType(_) => Err(Wrong::Here("a document type, which is not taken")),
            Event::Eof if self.is_over => Ok(()),
            Event::Eof => Err(Wrong::Here("no end")),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Ok(()),
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), Wrong> {
        let name = start.local_name();
        let name: &str = name.as_ref();
        let opened = match (self.open.last().copied(), name) {
            (None, "NativeDicomModel") if !self.is_over => Open::Model,
            (Some(Open::Model | Open::Item), "DicomAttribute") => {
                self.attribute(start)?;
                Open::Attribute { values: 0 }
            }
            (Some(Open::Attribute { .. }), "Value") => {
                self.number(start)?;
                Open::Value
            }
            (Some(Open::Attribute { .. }), "PersonName") => {
                self.number(start)?;
                self.groups = Default::default();
                Open::PersonName
            }
            (Some(Open::Attribute { .. }), "Item") => {
                self.visitor.item()?;
                Open::Item
            }
            (Some(Open::Attribute { .. }), "InlineBinary") => Open::InlineBinary,
            (Some(Open::Attribute { .. }), "BulkData") => {
                let uri = attribute(start, "uri")?;
                let uri = uri.ok_or(Wrong::Here("a BulkData without a uri"))?;
                self.visitor.value(Value::Bulk(&uri))?;
                Open::BulkData
            }
            (Some(Open::PersonName), name) => {
                let group = GROUPS.iter().position(|group| *group == name);
                Open::Group(group.ok_or(Wrong::Here("an unknown group of a name"))?)
            }
            (Some(Open::Group(group)), name) => {
                let place = COMPONENTS.iter().position(|component| *component == name);
                let place = place.ok_or(Wrong::Here("an unknown component of a name"))?;
                self.component(group, place)?;
                Open::Component
            }
            _ => return Err(Wrong::Here("an element where none belongs")),
        };
        if self.open.len() > self.most_levels {
            return Err(Wrong::Here("sequences that nest too deep"));
        }
        self.open.push(opened);
        self.text.clear();
        Ok(())
    }

    fn attribute(&mut self, start: &BytesStart<'_>) -> Result<(), Wrong> {
        let tag = attribute(start, "tag")?;
        let tag = tag.as_deref().and_then(hex_tag);
        let tag = tag.ok_or(Wrong::Here(
            "a DicomAttribute without a tag of eight hexadecimal digits",
        ))?;
        let creator = attribute(start, "privateCreator")?.filter(|_| tag.0 & 1 == 1);
        let vr = match attribute(start, "vr")? {
            Some(vr) => vr.parse().map_err(|_| Wrong::Here("a vr that is none"))?,
            None if creator.is_some() => VR::UN,
            None => vr_of(tag)?,
        };
        let tag = match creator {
            Some(_) => Tag(tag.0, tag.1 & 0xFF),
            None => tag,
        };
        Ok(self.visitor.attribute(Named {
            tag,
            vr,
            creator: creator.as_deref(),
        })?)
    }

    /// Counts a value; those left out before it are empty.
    fn number(&mut self, start: &BytesStart<'_>) -> Result<(), Wrong> {
        let number = attribute(start, "number")?;
        let Some(Open::Attribute { values }) = self.open.last_mut() else {
            return Ok(());
        };
        let next = values.saturating_add(1);
        let number = match number {
            Some(number) => number.trim().parse().ok(),
            None => Some(next),
        };
        let left_out = number.and_then(|number: u32| number.checked_sub(next));
        let left_out = left_out.filter(|left_out| *left_out <= MOST_LEFT_OUT);
        let left_out = left_out.ok_or(Wrong::Here("values whose numbers do not ascend"))?;
        *values = next.saturating_add(left_out);
        for _ in 0..left_out {
            self.visitor.value(Value::None)?;
        }
        Ok(())
    }

    /// Begins a component of a name: carets stand before it, also for those that are left out.
    fn component(&mut self, group: usize, place: usize) -> Result<(), Wrong> {
        let Some(group) = self.groups.get_mut(group) else {
            return Ok(());
        };
        let has = match group {
            Some(text) => text.matches('^').count().saturating_add(1),
            None => 0,
        };
        let text = group.get_or_insert_default();
        let carets = place.checked_sub(has.saturating_sub(1));
        let carets = carets.filter(|carets| has == 0 || *carets > 0);
        let carets = carets.ok_or(Wrong::Here("components of a name out of their order"))?;
        text.push_str(&"^".repeat(carets));
        Ok(())
    }

    fn end(&mut self) -> Result<(), Wrong> {
        let text = std::mem::take(&mut self.text);
        match self.open.pop() {
            None | Some(Open::BulkData | Open::Group(_)) => {}
            Some(Open::Model) => self.is_over = true,
            Some(Open::Attribute { .. }) => self.visitor.attribute_end()?,
            Some(Open::Item) => self.visitor.item_end()?,
            Some(Open::Value) if text.is_empty() => self.visitor.value(Value::None)?,
            Some(Open::Value) => self.visitor.value(Value::Text(&text))?,
            Some(Open::InlineBinary) => self.visitor.value(Value::Inline(&text))?,
            Some(Open::Component) => {
                if let Some(Open::Group(group)) = self.open.last()
                    && let Some(Some(group)) = self.groups.get_mut(*group)
                {
                    group.push_str(&text);
                }
            }
            Some(Open::PersonName) => {
                let groups = std::mem::take(&mut self.groups);
                let groups = groups.each_ref().map(|g| g.as_deref().unwrap_or_default());
                let is_empty = groups.iter().all(|group| group.is_empty());
                self.visitor.value(if is_empty {
                    Value::None
                } else {
                    Value::Name(groups)
                })?;
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Wrong> {
        match self.open.last() {
            Some(Open::Value | Open::Component | Open::InlineBinary) => self.text.push_str(text),
            _ if text.trim().is_empty() => {}
            _ => return Err(Wrong::Here("text where none belongs")),
        }
        Ok(())
    }
}

/// An attribute of an element.
fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>, Wrong> {
    let found = start.try_get_attribute(name);
    let Some(found) = found.map_err(|_| Wrong::Here("attributes that are none"))? else {
        return Ok(None);
    };
    let value = found.normalized_value(XmlVersion::Implicit1_0);
    let value = value.map_err(|_| Wrong::Here("an attribute with an unknown reference"))?;
    Ok(Some(value.into_owned()))
}

/// The character that a reference stands for.
fn resolved(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Some(c);
    }
    match &**reference {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dicom::visit::MOST_LEVELS;
    use crate::dicom::visit::told::Told;
    use crate::dicom::xml::of_json;

    fn told(text: &str) -> Result<String> {
        let mut visitor = Told::default();
        read(text, MOST_LEVELS, &mut visitor)?;
        Ok(visitor.0)
    }

    fn model(inside: &str) -> String {
        format!("<NativeDicomModel>{inside}</NativeDicomModel>")
    }

    fn check(inside: &str, expected: &str) {
        assert_eq!(told(&model(inside)).unwrap(), expected, "{inside}");
    }

    #[test]
    fn j52_documents_are_taken_apart() {
        check("", "");
        check(
            r#"<DicomAttribute tag="0020000d" vr="UI"><Value number="1">1.2</Value></DicomAttribute>
               <DicomAttribute tag="00080008" vr="CS"><Value number="1">A&amp;B&#x43;</Value><Value number="3"><![CDATA[<D>]]></Value></DicomAttribute>"#,
            "0020000D UI 1.2;00080008 CS A&BC|-|<D>;",
        );
        check(
            r#"<DicomAttribute tag="00100010"><PersonName number="1"><Alphabetic><FamilyName>A</FamilyName><NamePrefix>P</NamePrefix></Alphabetic><Phonetic><GivenName>G</GivenName></Phonetic></PersonName><PersonName number="2"/></DicomAttribute>"#,
            "00100010 PN A^^^P==^G|-;",
        );
        check(
            r#"<DicomAttribute tag="00400275" vr="SQ"><Item number="1"><DicomAttribute tag="00400009" vr="SH"/></Item><Item number="2"/></DicomAttribute>"#,
            "00400275 SQ [00400009 SH;][];",
        );
        check(
            r#"<DicomAttribute tag="00090002" vr="UN" privateCreator="A&quot;"><InlineBinary>AA==</InlineBinary></DicomAttribute><DicomAttribute tag="7FE00010" vr="OW"><BulkData uri="a?b&amp;c"/></DicomAttribute>"#,
            "00090002 UN (A\") #AA==;7FE00010 OW @a?b&c;",
        );
        let prefixed = "\u{FEFF}<?xml version=\"1.0\"?><!-- x --><n:NativeDicomModel xmlns:n=\"u\"><n:DicomAttribute tag=\"00080060\" vr=\"CS\"/></n:NativeDicomModel>\n";
        assert_eq!(told(prefixed).unwrap(), "00080060 CS;");
    }

    #[test]
    fn what_is_no_document_of_the_model_is_refused() {
        let attribute = |inside: &str| {
            model(&format!(
                "<DicomAttribute tag=\"00080008\" vr=\"CS\">{inside}</DicomAttribute>"
            ))
        };
        for text in [
            String::new(),
            "x".to_owned(),
            "<NativeDicomModel>".to_owned(),
            "<NativeDicomModel/><NativeDicomModel/>".to_owned(),
            "<a/>".to_owned(),
            "<!DOCTYPE a [<!ENTITY b \"c\">]><NativeDicomModel/>".to_owned(),
            model("x"),
            model("<Value/>"),
            model("<DicomAttribute vr=\"CS\"/>"),
            model("<DicomAttribute tag=\"0008\" vr=\"CS\"/>"),
            model("<DicomAttribute tag=\"00080008\" vr=\"XX\"/>"),
            model("<DicomAttribute tag=\"00091001\"/>"),
            attribute("<Value number=\"2\"/><Value number=\"1\"/>"),
            attribute("<Value number=\"4000000000\"/>"),
            attribute("<Value number=\"x\"/>"),
            attribute("<Value>&b;</Value>"),
            attribute("<Value>&#0;</Value>"),
            attribute("<BulkData/>"),
            attribute("<PersonName><Other/></PersonName>"),
            attribute("<PersonName><Alphabetic><Other/></Alphabetic></PersonName>"),
            attribute(
                "<PersonName><Alphabetic><GivenName/><FamilyName/></Alphabetic></PersonName>",
            ),
            attribute("</Value>"),
        ] {
            let error = told(&text).unwrap_err();
            assert!(
                error.detail().contains("XML") || error.detail().contains("vr"),
                "{text}"
            );
        }
        let nested = |deep: usize| {
            let open = "<DicomAttribute tag=\"00400275\" vr=\"SQ\"><Item>".repeat(deep);
            model(&format!(
                "{open}{}",
                "</Item></DicomAttribute>".repeat(deep)
            ))
        };
        told(&nested(MOST_LEVELS)).unwrap();
        told(&nested(MOST_LEVELS + 3)).unwrap_err();
    }

    #[test]
    fn j54_what_is_written_is_read_again() {
        let json = r#"{"00080008":{"vr":"CS","Value":["A",null," B"]},"00090010":{"vr":"LO","Value":["X"]},"00091001":{"vr":"DS","Value":[1.50]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^^","Phonetic":"^B^C^D^E^F"}]},"00104000":{"vr":"LT","Value":[" a\r\n<&\"'\tb "]},"00400275":{"vr":"SQ","Value":[{"7FE00010":{"vr":"OW","BulkDataURI":"x?a&b"}},{}]}}"#;
        let mut xml = Vec::new();
        of_json(json, &mut xml).unwrap();
        assert_eq!(
            told(std::str::from_utf8(&xml).unwrap()).unwrap(),
            "00080008 CS A|-| B;00090001 DS (X) 1.50;00100010 PN A^^==^B^C^D^E^F;\
             00104000 LT  a\r\n<&\"'\tb ;00400275 SQ [7FE00010 OW @x?a&b;][];"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in prop_oneof![".*", "(<[/!?]?(NativeDicomModel|DicomAttribute tag=\"00080008\" vr=\"CS\"|Value|Item|PersonName|&[a-z#0-9]{1,4};|\\[CDATA\\[)?[/?]?>?){0,9}"]) {
            let _unread = told(&text);
        }
    }
}
