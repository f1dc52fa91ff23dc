//! Where our metadata may differ from the oracle's, and how often at most.

use std::fmt;

use serde_json::Value;

/// A reason for differences that is known and right.
#[derive(Debug)]
pub struct Rule {
    pub name: &'static str,
    /// How many attributes of the corpus it explains at most.
    pub most: usize,
    applies: fn(&Difference<'_>) -> bool,
}

/// An attribute that is not the same.
#[derive(Debug)]
pub struct Difference<'a> {
    pub place: &'a str,
    pub tag: &'a str,
    pub ours: Option<&'a Value>,
    pub theirs: Option<&'a Value>,
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: Option<&Value>| match value {
            Some(value) => value.to_string().chars().take(300).collect(),
            None => "-".to_owned(),
        };
        write!(
            f,
            "{}\n    ours   {}\n    theirs {}",
            self.place,
            text(self.ours),
            text(self.theirs)
        )
    }
}

/// A private element that the file gives no VR, and our private dictionary neither: the octets are the same.
pub const PRIVATE: &str = "J20 a private element that our dictionary does not know stays UN";
/// The oracle hashes items with their headers.
pub const ENCAPSULATED: &str = "J42 encapsulated pixel data are compared as frames (corpus_frames)";
/// The oracle leaves words as stored.
pub const WORDS: &str = "F64 words stored in big endian come in little endian";

/// The rules. Those that look at bytes are applied by their names where the bytes are.
pub static RULES: &[Rule] = &[
    Rule {
        name: PRIVATE,
        most: 1880,
        applies: |_| false,
    },
    Rule {
        name: ENCAPSULATED,
        most: 155,
        applies: |_| false,
    },
    Rule {
        name: WORDS,
        most: 11,
        applies: |_| false,
    },
    Rule {
        name: "J03 group lengths are left out",
        most: 235,
        applies: |d| d.ours.is_none() && d.tag.ends_with("0000"),
    },
    Rule {
        name: "J03 the stored transfer syntax is added",
        most: 427,
        applies: |d| d.theirs.is_none() && d.tag == "00083002" && is_top_level(d),
    },
    Rule {
        name: "J17 text leaves as UTF-8 and says so",
        most: 131,
        applies: |d| {
            d.tag == "00080005" && d.ours.is_some_and(|ours| ours["Value"][0] == "ISO_IR 192")
        },
    },
    Rule {
        name: "J17 a listed set that no escape names is read; the oracle takes the octets for Latin-1",
        most: 6,
        applies: |d| {
            d.place.starts_with("charset/") && is_latin1_guess(d.theirs) && !is_latin1_guess(d.ours)
        },
    },
    Rule {
        name: "the oracle reads nothing of a file that ends early",
        most: 191,
        applies: |d| d.theirs.is_none() && d.place.starts_with("ts/fodicom__GH1339.dcm "),
    },
];

/// The rule that explains a difference.
pub fn find(difference: &Difference<'_>) -> Option<&'static str> {
    RULES
        .iter()
        .find(|rule| (rule.applies)(difference))
        .map(|rule| rule.name)
}

/// Whether pixel data of a transfer syntax lie as one value.
pub fn is_native(syntax: &str) -> bool {
    let native = [
        "",
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.2",
    ];
    native.contains(&syntax)
}

fn is_top_level(difference: &Difference<'_>) -> bool {
    !difference.place.contains('[')
}

/// Whether a value holds characters of the upper half of Latin-1.
fn is_latin1_guess(value: Option<&Value>) -> bool {
    value.is_some_and(|value| {
        value
            .to_string()
            .contains(|c| ('\u{80}'..='\u{FF}').contains(&c))
    })
}
