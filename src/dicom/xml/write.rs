//! DICOM JSON → an XML document (J50 to J54).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use crate::Result;
use crate::dicom::dictionary::keyword;
use crate::dicom::json::{creator_of, walk};
use crate::dicom::visit::{Named, Value, Visitor, is_creator};
use crate::model::{Tag, VR};

const START: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <NativeDicomModel xmlns=\"http://dicom.nema.org/PS3.19/models/NativeDICOM\" xml:space=\"preserve\">";
const END: &[u8] = b"</NativeDicomModel>\n";

/// What the components of a group of a name are called (PS3.5 6.2.1.1).
const COMPONENTS: [&str; 5] = [
    "FamilyName",
    "GivenName",
    "MiddleName",
    "NamePrefix",
    "NameSuffix",
];

/// Writes a data set, which is DICOM JSON as it is made here, as one XML document to the end of `out`.
///
/// # Errors
/// `Kind::Invalid` if it is no data set in DICOM JSON.
pub fn of_json(json: &str, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(START);
    let mut writer = Writer {
        out,
        sets: vec![DataSet::default()],
        open: Vec::new(),
    };
    walk(json, usize::MAX, &mut writer)?;
    writer.leave_set();
    out.extend_from_slice(END);
    Ok(())
}

/// A private creator. What it reserves is named by it, so the element itself is written only where it reserves nothing.
struct Creator {
    at: Tag,
    name: String,
    /// The element, until something of its block has come.
    unused: Vec<u8>,
}

/// A data set that is open.
#[derive(Default)]
struct DataSet {
    creators: Vec<Creator>,
}

/// An attribute that is open.
struct Attribute {
    tag: Tag,
    vr: VR,
    values: u32,
    /// Where its element begins.
    start: usize,
    /// The one text that it holds.
    text: Option<String>,
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    sets: Vec<DataSet>,
    open: Vec<Attribute>,
}

impl Writer<'_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Writes the creators of other groups than `group` that reserved nothing.
    fn settle(&mut self, group: Option<u16>) {
        let Some(set) = self.sets.last_mut() else {
            return;
        };
        for creator in &mut set.creators {
            if group != Some(creator.at.0) {
                self.out.append(&mut creator.unused);
            }
        }
        set.creators.retain(|creator| group == Some(creator.at.0));
    }

    fn leave_set(&mut self) {
        self.settle(None);
        self.sets.pop();
    }

    /// Who reserved the block of a private element.
    fn creator(&mut self, tag: Tag) -> Option<String> {
        let at = creator_of(tag)?;
        let creators = &mut self.sets.last_mut()?.creators;
        let creator = creators.iter_mut().find(|creator| creator.at == at)?;
        creator.unused.clear();
        Some(creator.name.clone())
    }

    /// The number of the next value, and the end of the tag of the attribute before the first one.
    fn number(&mut self) -> u32 {
        let Some(attribute) = self.open.last_mut() else {
            return 0;
        };
        attribute.values = attribute.values.saturating_add(1);
        let number = attribute.values;
        if number == 1 {
            self.put(">");
        }
        number
    }

    fn person_name(&mut self, number: u32, groups: [&str; 3]) {
        self.put(&format!("<PersonName number=\"{number}\">"));
        for (name, group) in ["Alphabetic", "Ideographic", "Phonetic"].iter().zip(groups) {
            if group.is_empty() {
                continue;
            }
            self.put(&format!("<{name}>"));
            // Empty components are written where a caret stands for them: the name is the same when it is read again.
            for (name, component) in COMPONENTS.iter().zip(group.splitn(5, '^')) {
                self.put(&format!("<{name}>"));
                escape(component, self.out);
                self.put(&format!("</{name}>"));
            }
            self.put(&format!("</{name}>"));
        }
        self.put("</PersonName>");
    }
}

impl Visitor for Writer<'_> {
    fn attribute(&mut self, named: Named<'_>) -> Result<()> {
        let Tag(group, element) = named.tag;
        self.settle(Some(group));
        let creator = self.creator(named.tag);
        self.open.push(Attribute {
            tag: named.tag,
            vr: named.vr,
            values: 0,
            start: self.out.len(),
            text: None,
        });
        let element = match creator {
            Some(_) => element & 0xFF,
            None => element,
        };
        let vr = named.vr;
        self.put(&format!(
            "<DicomAttribute tag=\"{group:04X}{element:04X}\" vr=\"{vr}\""
        ));
        if let Some(creator) = creator {
            self.put(" privateCreator=\"");
            escape(&creator, self.out);
            self.put("\"");
        } else if let Some(keyword) = keyword(named.tag).filter(|_| group & 1 == 0) {
            self.put(&format!(" keyword=\"{keyword}\""));
        }
        Ok(())
    }

    fn value(&mut self, value: Value<'_>) -> Result<()> {
        let number = self.number();
        let is_name = self.open.last().is_some_and(|open| open.vr == VR::PN);
        match value {
            Value::None if is_name => self.put(&format!("<PersonName number=\"{number}\"/>")),
            Value::None => self.put(&format!("<Value number=\"{number}\"/>")),
            Value::Text(text) => {
                self.put(&format!("<Value number=\"{number}\">"));
                escape(text, self.out);
                self.put("</Value>");
                if let Some(open) = self.open.last_mut() {
                    open.text = (number == 1).then(|| text.to_owned());
                }
            }
            Value::Name(groups) => self.person_name(number, groups),
            Value::Inline(base64) => {
                self.put("<InlineBinary>");
                escape(base64, self.out);
                self.put("</InlineBinary>");
            }
            Value::Bulk(uri) => {
                self.put("<BulkData uri=\"");
                escape(uri, self.out);
                self.put("\"/>");
            }
        }
        Ok(())
    }

    fn item(&mut self) -> Result<()> {
        let number = self.number();
        self.put(&format!("<Item number=\"{number}\">"));
        self.sets.push(DataSet::default());
        Ok(())
    }

    fn item_end(&mut self) -> Result<()> {
        self.leave_set();
        self.put("</Item>");
        Ok(())
    }

    fn attribute_end(&mut self) -> Result<()> {
        let Some(attribute) = self.open.pop() else {
            return Ok(());
        };
        self.put(if attribute.values == 0 {
            "/>"
        } else {
            "</DicomAttribute>"
        });
        if is_creator(attribute.tag)
            && let Some(name) = attribute.text
            && let Some(set) = self.sets.last_mut()
        {
            set.creators.push(Creator {
                at: attribute.tag,
                name,
                unused: self.out.split_off(attribute.start),
            });
        }
        Ok(())
    }
}

/// Writes text between tags or quotes. What XML 1.0 has no way to say becomes U+FFFD (J53); white space that a reader would change
/// is written by number.
pub(in crate::dicom) fn escape(text: &str, out: &mut Vec<u8>) {
    let is_plain = |b: &u8| !matches!(b, b'<' | b'>' | b'&' | b'"' | 0..=0x1F | 0xEF);
    if text.as_bytes().iter().all(is_plain) {
        return out.extend_from_slice(text.as_bytes());
    }
    let mut buffer = [0; 4];
    for c in text.chars() {
        let written = match c {
            '<' => "&lt;",
            '>' => "&gt;",
            '&' => "&amp;",
            '"' => "&quot;",
            '\t' => "&#9;",
            '\n' => "&#10;",
            '\r' => "&#13;",
            '\0'..'\u{20}' | '\u{FFFE}' | '\u{FFFF}' => "\u{FFFD}",
            other => other.encode_utf8(&mut buffer),
        };
        out.extend_from_slice(written.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, inside: &str) {
        let mut out = Vec::new();
        of_json(json, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let model = text.strip_prefix(std::str::from_utf8(START).unwrap());
        let model = model.and_then(|rest| rest.strip_suffix("</NativeDicomModel>\n"));
        assert_eq!(model, Some(inside), "{json}");
    }

    #[test]
    fn j50_a_data_set_is_one_document() {
        let mut out = Vec::new();
        of_json("{}", &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<NativeDicomModel \
             xmlns=\"http://dicom.nema.org/PS3.19/models/NativeDICOM\" xml:space=\"preserve\">\
             </NativeDicomModel>\n"
        );
        assert!(of_json("[]", &mut Vec::new()).is_err());
    }

    #[test]
    fn j51_attributes_say_what_they_are() {
        check(
            r#"{"00080060":{"vr":"CS","Value":["CT"]},"00080050":{"vr":"SH"}}"#,
            "<DicomAttribute tag=\"00080060\" vr=\"CS\" keyword=\"Modality\">\
             <Value number=\"1\">CT</Value></DicomAttribute>\
             <DicomAttribute tag=\"00080050\" vr=\"SH\" keyword=\"AccessionNumber\"/>",
        );
        // A creator is named with what it reserves; one that reserves nothing stands for itself.
        check(
            r#"{"00090010":{"vr":"LO","Value":["A\"B"]},"00090011":{"vr":"LO","Value":["C"]},"00091002":{"vr":"UN","InlineBinary":"AA=="},"00091302":{"vr":"LO","Value":["x"]},"00100020":{"vr":"LO"}}"#,
            "<DicomAttribute tag=\"00090002\" vr=\"UN\" privateCreator=\"A&quot;B\">\
             <InlineBinary>AA==</InlineBinary></DicomAttribute>\
             <DicomAttribute tag=\"00091302\" vr=\"LO\"><Value number=\"1\">x</Value></DicomAttribute>\
             <DicomAttribute tag=\"00090011\" vr=\"LO\"><Value number=\"1\">C</Value></DicomAttribute>\
             <DicomAttribute tag=\"00100020\" vr=\"LO\" keyword=\"PatientID\"/>",
        );
    }

    #[test]
    fn j52_values_names_items_and_bytes() {
        check(
            r#"{"00080008":{"vr":"CS","Value":["A",null,"B"]},"00281053":{"vr":"DS","Value":[1.50]}}"#,
            "<DicomAttribute tag=\"00080008\" vr=\"CS\" keyword=\"ImageType\"><Value number=\"1\">A</Value>\
             <Value number=\"2\"/><Value number=\"3\">B</Value></DicomAttribute>\
             <DicomAttribute tag=\"00281053\" vr=\"DS\" keyword=\"RescaleSlope\">\
             <Value number=\"1\">1.50</Value></DicomAttribute>",
        );
        check(
            r#"{"00100010":{"vr":"PN","Value":[{"Alphabetic":"Doe^J^^","Ideographic":"山田"},null]}}"#,
            "<DicomAttribute tag=\"00100010\" vr=\"PN\" keyword=\"PatientName\"><PersonName number=\"1\">\
             <Alphabetic><FamilyName>Doe</FamilyName><GivenName>J</GivenName><MiddleName></MiddleName>\
             <NamePrefix></NamePrefix></Alphabetic><Ideographic><FamilyName>山田</FamilyName></Ideographic>\
             </PersonName><PersonName number=\"2\"/></DicomAttribute>",
        );
        check(
            r#"{"00400275":{"vr":"SQ","Value":[{"00400009":{"vr":"SH"}},{}]}}"#,
            "<DicomAttribute tag=\"00400275\" vr=\"SQ\" keyword=\"RequestAttributesSequence\">\
             <Item number=\"1\"><DicomAttribute tag=\"00400009\" vr=\"SH\" keyword=\"ScheduledProcedureStepID\"/></Item>\
             <Item number=\"2\"></Item></DicomAttribute>",
        );
        check(
            r#"{"7FE00010":{"vr":"OW","BulkDataURI":"http://a/b?c&d"}}"#,
            "<DicomAttribute tag=\"7FE00010\" vr=\"OW\" keyword=\"PixelData\">\
             <BulkData uri=\"http://a/b?c&amp;d\"/></DicomAttribute>",
        );
    }

    #[test]
    fn j53_what_xml_cannot_say_is_replaced() {
        check(
            r#"{"00104000":{"vr":"LT","Value":["a\u0000<b>&\u001B\uFFFF\r\n\té\u007F"]}}"#,
            "<DicomAttribute tag=\"00104000\" vr=\"LT\" keyword=\"PatientComments\">\
             <Value number=\"1\">a\u{FFFD}&lt;b&gt;&amp;\u{FFFD}\u{FFFD}&#13;&#10;&#9;é\u{7F}</Value></DicomAttribute>",
        );
    }

    #[test]
    fn j23_nesting_is_as_deep_as_it_is() {
        let deep = 2000;
        let json = format!(
            "{}{{}}{}",
            r#"{"00400275":{"vr":"SQ","Value":["#.repeat(deep),
            "]}}".repeat(deep)
        );
        let mut out = Vec::new();
        of_json(&json, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap().matches("<Item").count(),
            deep
        );
    }
}
