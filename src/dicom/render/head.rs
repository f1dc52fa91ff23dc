//! What rendering reads of a stored head: chosen attributes of its DICOM JSON, and of the functional groups of its frames the
//! one that is asked for. The rest is passed over, so that a head of thousands of frames costs no memory.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::collections::HashMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::dicom::bulk::BulkPath;
use crate::error::{Error, Kind, Result};
use crate::model::Tag;

/// Per-frame Functional Groups Sequence.
const PER_FRAME: Tag = Tag(0x5200, 0x9230);
/// Shared Functional Groups Sequence.
const SHARED: Tag = Tag(0x5200, 0x9229);

/// Float Pixel Data and Double Float Pixel Data.
const FLOAT_PIXELS: [Tag; 2] = [Tag(0x7FE0, 0x0008), Tag(0x7FE0, 0x0009)];

/// Groups that are read, with the elements from and to.
#[rustfmt::skip]
static WANTED: &[(u16, u16, u16)] = &[
    (0x0008, 0x0008, 0x0018), // Image Type to SOP Instance UID
    (0x0008, 0x0060, 0x0060), // Modality
    (0x0008, 0x1115, 0x1115), // Referenced Series Sequence
    (0x0008, 0x2144, 0x2144), // Recommended Display Frame Rate
    (0x0018, 0x0040, 0x0040), // Cine Rate
    (0x0018, 0x1063, 0x1063), // Frame Time
    (0x0018, 0x1164, 0x1164), // Imager Pixel Spacing
    (0x0018, 0x1600, 0x1624), // shutters
    (0x0028, 0x0002, 0x0034), // Samples per Pixel to Pixel Aspect Ratio
    (0x0028, 0x0100, 0x0121), // Bits Allocated to Pixel Padding Range Limit
    (0x0028, 0x0301, 0x0301), // Burned In Annotation
    (0x0028, 0x1050, 0x1223), // Window Center to segmented palettes
    (0x0028, 0x2000, 0x2002), // ICC Profile, Color Space
    (0x0028, 0x3000, 0x3110), // modality and VOI LUTs
    (0x0028, 0x6010, 0x6010), // Representative Frame Number
    (0x0048, 0x0105, 0x0105), // Optical Path Sequence
    (0x0070, 0x0001, 0x0062), // presentation states
    (0x2050, 0x0010, 0x0020), // presentation LUTs
    (0x5200, 0x9229, 0x9229), // Shared Functional Groups Sequence
    (0x5400, 0x0100, 0x0100), // Waveform Sequence
];

/// What says what colours mean: ICC Profile, and Optical Path Sequence, which holds others.
const COLORS: [&str; 2] = ["00282000", "00480105"];

/// Large values of a head, by the path under which they are served.
pub type Bulk = HashMap<String, Vec<u8>>;

/// The chosen part of a head.
#[derive(Clone, Debug, Default)]
pub struct Head {
    set: Map<String, Value>,
    frame: Option<Value>,
    /// Whether its pixels are floating point numbers.
    pub has_float_pixels: bool,
    /// Values of it that lie elsewhere, once they are fetched.
    pub bulk: Bulk,
}

impl Head {
    /// Reads the head of an instance with the functional groups of frame `frame_index`, from 0.
    ///
    /// # Errors
    /// `Kind::NotAcceptable` if it nests more deeply than a reader of JSON goes.
    pub fn read(json: &[u8], frame_index: u32) -> Result<Self> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        reader
            .deserialize_map(Choosing { frame_index })
            .map_err(|error| {
                let detail = "no picture can be made: the data set nests too deeply";
                Error::new(Kind::NotAcceptable, detail).with_source(error)
            })
    }

    /// The data set.
    pub fn set(&self) -> Set<'_> {
        Set {
            set: Some(&self.set),
            bulk: Some(&self.bulk),
        }
    }

    /// The first item of a functional group: that of the frame, else the shared one.
    pub fn group(&self, sequence: Tag) -> Set<'_> {
        let frame = Set::of(self.frame.as_ref(), &self.bulk);
        let own = frame.items(sequence).next();
        let shared = || {
            let groups = self.set().items(SHARED).next()?;
            groups.items(sequence).next()
        };
        own.or_else(shared).unwrap_or_default()
    }

    /// Leaves the colour profiles out, which are large and which few ask for.
    pub fn forget_colors(&mut self) {
        for key in COLORS {
            self.set.remove(key);
        }
    }

    /// The paths of values that lie elsewhere and have to be fetched before a picture is made.
    pub fn missing(&self) -> Vec<BulkPath> {
        let mut paths = Vec::new();
        for (key, value) in &self.set {
            collect(value, &mut paths);
            debug_assert_eq!(key.len(), 8, "a tag");
        }
        if let Some(frame) = &self.frame {
            collect(frame, &mut paths);
        }
        let paths = paths.iter().filter_map(|path| BulkPath::parse(path).ok());
        paths.collect()
    }
}

fn is_wanted(tag: Tag) -> bool {
    let Tag(group, element) = tag;
    let in_rows =
        |(of, from, to): &(u16, u16, u16)| *of == group && (from..=to).contains(&&element);
    let is_overlay = (0x6000..0x6020).contains(&group) && group % 2 == 0;
    WANTED.iter().any(in_rows) || is_overlay
}

/// The path in a BulkDataURI.
fn path_in(uri: &str) -> Option<&str> {
    uri.split_once("/bulkdata/").map(|(_, path)| path)
}

/// Finds the links to bulk data below a value.
fn collect<'v>(value: &'v Value, paths: &mut Vec<&'v str>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name == "BulkDataURI" {
                    paths.extend(member.as_str().and_then(path_in));
                } else {
                    collect(member, paths);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, paths)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

struct Choosing {
    frame_index: u32,
}

impl<'de> Visitor<'de> for Choosing {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
        let mut head = Head::default();
        while let Some(key) = map.next_key::<String>()? {
            match tag(&key) {
                Some(tag) if FLOAT_PIXELS.contains(&tag) => {
                    head.has_float_pixels = true;
                    map.next_value::<IgnoredAny>()?;
                }
                Some(PER_FRAME) => head.frame = map.next_value_seed(Items(self.frame_index))?,
                Some(tag) if is_wanted(tag) => {
                    let value = map.next_value()?;
                    head.set.insert(key, value);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(head)
    }
}

/// One item of a sequence, by its place from 0.
struct Items(u32);

impl<'de> DeserializeSeed<'de> for Items {
    type Value = Option<Value>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        reader: D,
    ) -> Result<Option<Value>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Value>, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == "Value" {
                found = map.next_value_seed(Items(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<Value>, A::Error> {
        for _ in 0..self.0 {
            if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = items.next_element()?;
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

fn tag(key: &str) -> Option<Tag> {
    let (group, element) = key.split_at_checked(4)?;
    let number = |text| u16::from_str_radix(text, 16).ok();
    (element.len() == 4).then_some(())?;
    Some(Tag(number(group)?, number(element)?))
}

/// A data set of DICOM JSON: the whole one, or an item of a sequence. What is absent is an empty one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Set<'a> {
    set: Option<&'a Map<String, Value>>,
    bulk: Option<&'a Bulk>,
}

impl<'a> Set<'a> {
    /// The data set of a value of JSON.
    pub fn of(value: Option<&'a Value>, bulk: &'a Bulk) -> Self {
        Self {
            set: value.and_then(Value::as_object),
            bulk: Some(bulk),
        }
    }

    fn element(&self, tag: Tag) -> Option<&'a Value> {
        let Tag(group, element) = tag;
        self.set?.get(&format!("{group:04X}{element:04X}"))
    }

    /// Whether an attribute is there, with or without a value.
    pub(super) fn has(&self, tag: Tag) -> bool {
        self.element(tag).is_some()
    }

    /// The values of an attribute.
    pub fn values(&self, tag: Tag) -> &'a [Value] {
        let values = self.element(tag).and_then(|element| element.get("Value"));
        values.and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// All values, where every one is a finite number; none otherwise.
    pub fn numbers(&self, tag: Tag) -> Vec<f64> {
        let values = self.values(tag).iter().map(number);
        values.collect::<Option<_>>().unwrap_or_default()
    }

    /// The first value as a number.
    pub fn number(&self, tag: Tag) -> Option<f64> {
        self.values(tag).first().and_then(number)
    }

    /// The first value as a natural number.
    pub fn count(&self, tag: Tag) -> Option<u32> {
        let number = self.number(tag).filter(|number| *number >= 0.0)?;
        Some(super::real::whole(number))
    }

    /// The first value as a natural number of 16 bits.
    pub fn short(&self, tag: Tag) -> Option<u16> {
        u16::try_from(self.count(tag)?).ok()
    }

    /// The first value as text; of a name its first group that is there.
    pub fn text(&self, tag: Tag) -> Option<&'a str> {
        self.values(tag).first().and_then(text)
    }

    /// The items of a sequence.
    pub fn items(&self, tag: Tag) -> impl Iterator<Item = Set<'a>> + use<'a> {
        let bulk = self.bulk;
        self.values(tag).iter().map(move |item| Set {
            set: item.as_object(),
            bulk,
        })
    }

    /// The bytes of a value, inline or fetched.
    pub fn bytes(&self, tag: Tag) -> Option<Vec<u8>> {
        let element = self.element(tag)?;
        if let Some(text) = element.get("InlineBinary").and_then(Value::as_str) {
            return STANDARD.decode(text).ok();
        }
        let uri = element.get("BulkDataURI").and_then(Value::as_str)?;
        self.bulk?.get(path_in(uri)?).cloned()
    }
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    number.is_finite().then_some(number)
}

/// A value as text.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Object(groups) => ["Alphabetic", "Ideographic", "Phonetic"]
            .iter()
            .find_map(|group| groups.get(*group)?.as_str()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A data set of JSON.
    pub(in crate::dicom::render) fn set(json: &Value) -> Set<'_> {
        Set {
            set: json.as_object(),
            bulk: None,
        }
    }

    fn head(json: &Value, frame_index: u32) -> Head {
        Head::read(json.to_string().as_bytes(), frame_index).unwrap()
    }

    #[test]
    fn g07_functional_groups_are_those_of_the_frame_then_the_shared_ones() {
        const VOI: Tag = Tag(0x0028, 0x9132);
        const CENTER: Tag = Tag(0x0028, 0x1050);
        let group = |center: u32| json!({"00289132": {"vr": "SQ", "Value": [{"00281050": {"vr": "DS", "Value": [center]}}]}});
        let json = json!({
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "X"}]},
            "52009229": {"vr": "SQ", "Value": [group(1)]},
            "52009230": {"vr": "SQ", "Value": [group(10), {}, group(12)]}
        });
        for (frame, center) in [(0, 10.0), (1, 1.0), (2, 12.0), (3, 1.0)] {
            let head = head(&json, frame);
            assert_eq!(head.group(VOI).number(CENTER), Some(center), "{frame}");
        }
        assert!(head(&json, 0).set().text(Tag(0x0010, 0x0010)).is_none());
        assert!(head(&json!({}), 5).group(VOI).number(CENTER).is_none());
    }

    #[test]
    fn values_that_lie_elsewhere_are_named() {
        let at = "http://h/dicomweb/studies/1/series/2/instances/3/bulkdata/";
        let json = json!({
            "00281201": {"vr": "OW", "BulkDataURI": format!("{at}00281201")},
            "00282000": {"vr": "OB", "BulkDataURI": format!("{at}00282000")},
            "00283010": {"vr": "SQ", "Value": [{"00283006": {"vr": "OW", "BulkDataURI": format!("{at}00283010/1/00283006")}}]},
            "60023000": {"vr": "OW", "BulkDataURI": "nonsense"},
            "7FE00010": {"vr": "OW", "BulkDataURI": format!("{at}7FE00010")}
        });
        let mut head = head(&json, 0);
        let paths: Vec<String> = head.missing().iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["00281201", "00282000", "00283010/1/00283006"]);
        head.forget_colors();
        assert_eq!(head.missing().len(), 2);
        assert_eq!(head.set().bytes(Tag(0x0028, 0x1201)), None);
        head.bulk.insert("00281201".to_owned(), vec![1, 2]);
        assert_eq!(head.set().bytes(Tag(0x0028, 0x1201)), Some(vec![1, 2]));
    }

    #[test]
    fn what_is_no_head_is_refused_and_what_is_odd_is_absent() {
        for json in [&b""[..], b"[]", b"{", br#"{"00280010":"#] {
            assert!(Head::read(json, 0).is_err());
        }
        let json = json!({"00280010": 5, "00280011": {"Value": 5}, "00281050": {"Value": ["1e2", "x"]}, "52009230": []});
        let head = head(&json, 0);
        let set = head.set();
        assert_eq!(set.count(Tag(0x0028, 0x0010)), None);
        assert_eq!(set.count(Tag(0x0028, 0x0011)), None);
        assert_eq!(set.number(Tag(0x0028, 0x1050)), Some(100.0));
        assert!(set.numbers(Tag(0x0028, 0x1050)).is_empty());
    }
}
