//! Two data sets compared attribute by attribute, by meaning.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::rules::{self, Difference, RULES};
use crate::harness::corpus::sha256;

/// A data set as DICOM JSON.
pub type DataSet = Map<String, Value>;

/// How two attributes relate.
#[derive(Debug, PartialEq)]
enum Outcome {
    Equal,
    /// Not the same, and known to be right: the name of the rule.
    Excepted(&'static str),
    Different,
}

/// Bulk data that is still to be fetched and compared.
#[derive(Debug)]
pub struct Bulk {
    pub place: String,
    pub vr: String,
    pub url: String,
    pub expected: Expected,
    /// The rule that explains the attribute if the bytes are the same.
    pub rule: Option<&'static str>,
}

/// What the oracle says about a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    Bytes(Vec<u8>),
    Sha256(String),
    Text(String),
}

impl Expected {
    /// From an attribute of the oracle, if it is one of bytes.
    fn of(attribute: &Value) -> Option<Self> {
        if let Some(text) = attribute["InlineBinary"].as_str() {
            return Some(Self::Bytes(STANDARD.decode(text).unwrap()));
        }
        let uri = attribute["BulkDataURI"].as_str()?;
        Some(Self::Sha256(
            uri.split(':')
                .nth(1)
                .expect("sha256:<hex>:<bytes>")
                .to_owned(),
        ))
    }

    /// Whether these are the bytes.
    pub fn fits(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Bytes(expected) => expected == bytes,
            Self::Sha256(expected) => *expected == sha256(bytes),
            Self::Text(expected) => {
                std::str::from_utf8(bytes).is_ok_and(|text| text.trim_end() == expected.trim_end())
            }
        }
    }

    /// Whether these are the bytes of words that the oracle leaves in big endian.
    pub fn fits_swapped(&self, vr: &str, syntax: &str, bytes: &[u8]) -> bool {
        // Pixels of 32 bits are OW too.
        let widths: &[usize] = match vr {
            "OW" => &[2, 4],
            "OF" | "OL" => &[4],
            "OD" | "OV" => &[8],
            _ => return false,
        };
        let swapped = |width: &usize| -> Vec<u8> {
            bytes
                .chunks(*width)
                .flat_map(|word| word.iter().rev().copied())
                .collect()
        };
        syntax == "1.2.840.10008.1.2.2" && widths.iter().any(|width| self.fits(&swapped(width)))
    }
}

/// The comparison of one file, or of many.
#[derive(Debug, Default)]
pub struct Comparison {
    pub compared: usize,
    pub equal: usize,
    /// Name of the rule → attributes it explained.
    pub excepted: BTreeMap<&'static str, usize>,
    /// What no rule explains, for people.
    pub unknown: Vec<String>,
    pub bulk: Vec<Bulk>,
}

impl Comparison {
    /// Compares two data sets; `place` is the file and the tags that lead to them, `syntax` the stored transfer syntax.
    pub fn data_sets(&mut self, place: &str, syntax: &str, ours: &DataSet, theirs: &DataSet) {
        let tags: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        for tag in tags {
            let place = format!("{place} {tag}");
            let (ours, theirs) = (ours.get(tag), theirs.get(tag));
            self.compared += 1;
            let outcome = match (ours, theirs) {
                (Some(ours), Some(theirs)) => self.attribute(&place, syntax, ours, theirs),
                _ => Outcome::Different,
            };
            match outcome {
                Outcome::Equal => self.equal += 1,
                Outcome::Excepted(rule) => self.except(rule),
                Outcome::Different => {
                    let difference = Difference {
                        place: &place,
                        tag,
                        ours,
                        theirs,
                    };
                    match rules::find(&difference) {
                        Some(rule) => self.except(rule),
                        None => self.unknown.push(difference.to_string()),
                    }
                }
            }
        }
    }

    /// Counts an attribute under its rule.
    pub fn except(&mut self, rule: &'static str) {
        *self.excepted.entry(rule).or_default() += 1;
    }

    /// Compares two attributes. Items of sequences are counted on their own, bulk data is compared when it is fetched.
    fn attribute(&mut self, place: &str, syntax: &str, ours: &Value, theirs: &Value) -> Outcome {
        let vr = ours["vr"].as_str().unwrap();
        let is_private_unknown = vr == "UN" && is_private(place);
        if ours["vr"] != theirs["vr"] && !is_private_unknown {
            return Outcome::Different;
        }
        let rule = (ours["vr"] != theirs["vr"]).then_some(rules::PRIVATE);
        let same = rule.map_or(Outcome::Equal, Outcome::Excepted);
        let expected = Expected::of(theirs);
        if let Some(url) = ours["BulkDataURI"].as_str() {
            if place.ends_with(" 7FE00010") && !rules::is_native(syntax) {
                return Outcome::Excepted(rules::ENCAPSULATED);
            }
            let text = || {
                theirs["Value"][0]
                    .as_str()
                    .map(|text| Expected::Text(text.to_owned()))
            };
            let Some(expected) = expected.or_else(text) else {
                return Outcome::Different;
            };
            let (place, vr, url) = (place.to_owned(), vr.to_owned(), url.to_owned());
            self.bulk.push(Bulk {
                place,
                vr,
                url,
                expected,
                rule,
            });
            return Outcome::Equal;
        }
        let inline = ours["InlineBinary"]
            .as_str()
            .map(|text| STANDARD.decode(text).unwrap());
        if let Some(expected) = expected {
            return match inline {
                Some(bytes) if expected.fits(&bytes) => same,
                Some(bytes) if expected.fits_swapped(vr, syntax, &bytes) => {
                    Outcome::Excepted(rules::WORDS)
                }
                _ => Outcome::Different,
            };
        }
        let theirs_vr = theirs["vr"].as_str().unwrap();
        let (ours, theirs) = (values(ours), values(theirs));
        let is_same = if is_private_unknown {
            means(theirs_vr, &inline.unwrap_or_default(), theirs)
        } else if vr == "SQ" {
            self.items(place, syntax, ours, theirs)
        } else {
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .zip(theirs)
                    .all(|(ours, theirs)| value(vr, ours, theirs))
        };
        if is_same { same } else { Outcome::Different }
    }

    fn items(&mut self, place: &str, syntax: &str, ours: &[Value], theirs: &[Value]) -> bool {
        for (number, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            let place = format!("{place}[{}]", number + 1);
            self.data_sets(
                &place,
                syntax,
                ours.as_object().unwrap(),
                theirs.as_object().unwrap(),
            );
        }
        ours.len() == theirs.len()
    }

    /// The rules that explained more than they may.
    pub fn beyond_bounds(&self) -> Vec<String> {
        let counts = RULES.iter().map(|rule| {
            (
                rule,
                self.excepted.get(rule.name).copied().unwrap_or_default(),
            )
        });
        counts
            .filter(|(rule, count)| *count > rule.most)
            .map(|(rule, count)| format!("{}: {count} of at most {}", rule.name, rule.most))
            .collect()
    }
}

/// Whether the last tag of a place is private: its group is odd.
fn is_private(place: &str) -> bool {
    let tag = place.rsplit(' ').next().unwrap();
    u16::from_str_radix(&tag[..4], 16).unwrap() % 2 == 1
}

/// Whether octets (little endian) hold these values of a VR.
fn means(vr: &str, octets: &[u8], values: &[Value]) -> bool {
    let number = |chunk: &[u8]| -> Value {
        let mut wide = [0; 8];
        wide[..chunk.len()].copy_from_slice(chunk);
        match vr {
            "SS" => i16::from_le_bytes([wide[0], wide[1]]).into(),
            "SL" => i32::from_le_bytes(wide[..4].try_into().unwrap()).into(),
            "FL" => f64::from(f32::from_le_bytes(wide[..4].try_into().unwrap())).into(),
            "FD" => f64::from_le_bytes(wide).into(),
            _ => u64::from_le_bytes(wide).into(),
        }
    };
    let width = match vr {
        "US" | "SS" => 2,
        "UL" | "SL" | "FL" => 4,
        "FD" => 8,
        _ => {
            let text = String::from_utf8_lossy(octets);
            let texts: Vec<_> = text
                .split('\\')
                .map(|text| text.trim_matches([' ', '\0']))
                .collect();
            let is_same = |(text, value): (&&str, &Value)| match value.as_f64() {
                Some(number) => text.parse().is_ok_and(|parsed| near(parsed, number)),
                None => value.as_str().unwrap_or_default().trim() == *text,
            };
            return text.is_empty() && values.is_empty()
                || texts.len() == values.len() && texts.iter().zip(values).all(is_same);
        }
    };
    let numbers: Vec<_> = octets.chunks(width).map(number).collect();
    numbers.len() == values.len()
        && numbers
            .iter()
            .zip(values)
            .all(|(ours, theirs)| value(vr, ours, theirs))
}

/// The values of an attribute; none where it is empty.
pub fn values(attribute: &Value) -> &[Value] {
    attribute["Value"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Whether two single values mean the same.
pub fn value(vr: &str, ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) if vr == "FL" => single(a) == single(b),
        // The reader of this test rounds a long decimal in its last digit.
        (Value::Number(a), Value::Number(b)) => {
            a == b || near(a.as_f64().unwrap(), b.as_f64().unwrap())
        }
        // J10: a number that JSON readers would round is a text.
        (Value::String(a), Value::Number(b)) => {
            a.trim() == b.to_string() && matches!(vr, "SV" | "UV" | "IS")
        }
        (Value::String(a), Value::String(b)) => {
            a == b || a.trim_end_matches([' ', '\0']) == b.trim_end_matches([' ', '\0'])
        }
        (Value::Object(a), Value::Object(b)) => ["Alphabetic", "Ideographic", "Phonetic"]
            .iter()
            .all(|group| {
                let text = |name: &DataSet| {
                    name.get(*group)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .trim_end()
                        .to_owned()
                };
                text(a) == text(b)
            }),
        (Value::Null, Value::String(text)) => text.is_empty(),
        (ours, theirs) => ours == theirs,
    }
}

/// The number as FL holds it.
fn single(number: &serde_json::Number) -> Option<u32> {
    let text = number.to_string();
    text.parse::<f32>().ok().map(f32::to_bits)
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 4.0 * f64::EPSILON * a.abs().max(b.abs())
}
