//! A data set in DICOM JSON → a [`Visitor`]: heads that are kept, and what clients send (J26).
//!
//! Read leniently: numbers may be texts and texts numbers, a single value may stand without its array, tags may be lower case,
//! the value representation may be missing where the dictionary knows it and may come after the values.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::ops::Range;

use super::lex::{Lexer, Token, plain};
use crate::dicom::head::name;
use crate::dicom::visit::{Named, Value, Visitor, hex_tag, vr_of};
use crate::model::{Tag, VR, person_name};
use crate::{Error, Result};

/// Where the data sets of a JSON text lie: an array of them, or one alone.
///
/// # Errors
/// `Kind::Invalid` if it is neither.
pub fn data_sets(json: &str) -> Result<Vec<Range<usize>>> {
    let mut lexer = Lexer::new(json);
    let mut sets = Vec::new();
    match lexer.next()? {
        Token::Mark(b'[') => {
            while let Some(first) = lexer.element(sets.is_empty())? {
                sets.push(data_set(&mut lexer, first)?);
            }
        }
        first @ (Token::Mark(_) | Token::Text(_) | Token::Word(_) | Token::End) => {
            sets.push(data_set(&mut lexer, first)?);
        }
    }
    match lexer.next()? {
        Token::End => Ok(sets),
        Token::Mark(_) | Token::Text(_) | Token::Word(_) => {
            Err(lexer.wrong("something behind its end"))
        }
    }
}

fn data_set<'a>(lexer: &mut Lexer<'a>, first: Token<'a>) -> Result<Range<usize>> {
    if first != Token::Mark(b'{') {
        return Err(lexer.wrong("something else than a data set"));
    }
    let start = lexer.at().saturating_sub(1);
    lexer.skip(first)?;
    Ok(start..lexer.at())
}

/// Reads one data set.
///
/// # Errors
/// `Kind::Invalid` if it is no data set in DICOM JSON, or nests deeper than `most_levels`; what the visitor refuses.
pub fn walk(json: &str, most_levels: usize, visitor: &mut impl Visitor) -> Result<()> {
    let mut lexer = Lexer::new(json);
    lexer.mark(b'{')?;
    let mut walker = Walker {
        lexer,
        visitor,
        levels: vec![Level::Set { is_first: true }],
        most_levels,
    };
    while let Some(level) = walker.levels.pop() {
        match level {
            Level::Set { is_first } => walker.set(is_first)?,
            Level::Attribute(attribute) => walker.attribute(attribute)?,
            Level::Values { vr, is_first } => walker.values(vr, is_first)?,
        }
    }
    match walker.lexer.next()? {
        Token::End => Ok(()),
        Token::Mark(_) | Token::Text(_) | Token::Word(_) => {
            Err(walker.lexer.wrong("something behind its end"))
        }
    }
}

/// An attribute whose object is open.
#[derive(Clone, Copy)]
struct Attribute {
    tag: Tag,
    vr: VR,
    is_first: bool,
    has_value: bool,
}

/// What is open.
enum Level {
    /// A data set.
    Set { is_first: bool },
    /// The object of an attribute.
    Attribute(Attribute),
    /// The array of its values.
    Values { vr: VR, is_first: bool },
}

struct Walker<'a, V> {
    lexer: Lexer<'a>,
    visitor: &'a mut V,
    levels: Vec<Level>,
    most_levels: usize,
}

impl<V: Visitor> Walker<'_, V> {
    /// The next attribute of a data set, or its end.
    fn set(&mut self, is_first: bool) -> Result<()> {
        let Some(key) = self.lexer.member(is_first)? else {
            if self.levels.is_empty() {
                return Ok(());
            }
            return self.visitor.item_end();
        };
        let tag = hex_tag(&key).ok_or_else(|| {
            self.lexer
                .wrong("a name that is no tag of eight hexadecimal digits")
        })?;
        self.lexer.mark(b'{')?;
        let vr = self.vr(tag)?;
        self.visitor.attribute(Named {
            tag,
            vr,
            creator: None,
        })?;
        self.levels.push(Level::Set { is_first: false });
        self.levels.push(Level::Attribute(Attribute {
            tag,
            vr,
            is_first: true,
            has_value: false,
        }));
        Ok(())
    }

    /// The value representation of an attribute whose object has just been opened.
    fn vr(&self, tag: Tag) -> Result<VR> {
        let mut ahead = self.lexer;
        let mut is_first = true;
        while let Some(key) = ahead.member(is_first)? {
            is_first = false;
            let value = ahead.next()?;
            if key == "vr" {
                if let Token::Text(text) = value
                    && let Ok(vr) = plain(text)?.parse()
                {
                    return Ok(vr);
                }
                return Err(wrong(tag, "has a vr that is none"));
            }
            ahead.skip(value)?;
        }
        vr_of(tag)
    }

    /// The next member of the object of an attribute, or its end.
    fn attribute(&mut self, mut attribute: Attribute) -> Result<()> {
        let Some(key) = self.lexer.member(attribute.is_first)? else {
            return self.visitor.attribute_end();
        };
        attribute.is_first = false;
        let first = self.lexer.next()?;
        let is_value = matches!(&*key, "Value" | "InlineBinary" | "BulkDataURI");
        if !is_value || first == Token::Word("null") {
            self.lexer.skip(first)?;
            self.levels.push(Level::Attribute(attribute));
            return Ok(());
        }
        if attribute.has_value {
            return Err(wrong(attribute.tag, "has values in more than one form"));
        }
        attribute.has_value = true;
        self.levels.push(Level::Attribute(attribute));
        match (&*key, first) {
            ("Value", Token::Mark(b'[')) => {
                self.levels.push(Level::Values {
                    vr: attribute.vr,
                    is_first: true,
                });
                Ok(())
            }
            ("Value", first) => self.value(attribute.vr, first),
            (key, Token::Text(text)) => {
                let text = plain(text)?;
                self.visitor.value(match key {
                    "InlineBinary" => Value::Inline(&text),
                    _ => Value::Bulk(&text),
                })
            }
            _ => Err(wrong(attribute.tag, "has a value that is no text")),
        }
    }

    /// The next value of an array, or its end.
    fn values(&mut self, vr: VR, is_first: bool) -> Result<()> {
        let Some(first) = self.lexer.element(is_first)? else {
            return Ok(());
        };
        self.levels.push(Level::Values {
            vr,
            is_first: false,
        });
        self.value(vr, first)
    }

    fn value(&mut self, vr: VR, first: Token<'_>) -> Result<()> {
        match (vr, first) {
            (VR::SQ, Token::Mark(b'{')) => {
                if self.levels.len() > self.most_levels.saturating_mul(3) {
                    return Err(self.lexer.wrong("sequences that nest too deep"));
                }
                self.levels.push(Level::Set { is_first: true });
                self.visitor.item()
            }
            (VR::SQ, Token::Word("null")) => {
                self.visitor.item()?;
                self.visitor.item_end()
            }
            (VR::PN, Token::Mark(b'{')) => self.name(),
            (VR::SQ, _) => Err(self.lexer.wrong("an item that is no object")),
            (VR::PN, Token::Text(text)) => {
                let text = plain(text)?;
                self.visitor.value(Value::Name(person_name::groups(&text)))
            }
            (_, Token::Word("null")) => self.visitor.value(Value::None),
            (_, Token::Text(text)) => self.visitor.value(Value::Text(&plain(text)?)),
            (_, Token::Word(word)) if !matches!(word, "true" | "false") => {
                self.visitor.value(Value::Text(word))
            }
            (_, Token::Word(_) | Token::Mark(_) | Token::End) => {
                Err(self.lexer.wrong("a value that is none"))
            }
        }
    }

    /// A person name, whose object is open.
    fn name(&mut self) -> Result<()> {
        let mut groups: [std::borrow::Cow<'_, str>; 3] = Default::default();
        let mut is_first = true;
        while let Some(key) = self.lexer.member(is_first)? {
            is_first = false;
            let value = self.lexer.next()?;
            let place = match &*key {
                "Alphabetic" => 0,
                "Ideographic" => 1,
                "Phonetic" => 2,
                _ => 3,
            };
            match (groups.get_mut(place), value) {
                (Some(group), Token::Text(text)) => *group = plain(text)?,
                (Some(_), Token::Word("null")) => {}
                (Some(_), _) => return Err(self.lexer.wrong("a name that is no text")),
                (None, value) => self.lexer.skip(value)?,
            }
        }
        let [alphabetic, ideographic, phonetic] = &groups;
        let name = [&**alphabetic, &**ideographic, &**phonetic];
        let is_empty = name.iter().all(|group| group.is_empty());
        self.visitor.value(if is_empty {
            Value::None
        } else {
            Value::Name(name)
        })
    }
}

fn wrong(tag: Tag, what: &str) -> Error {
    Error::invalid(format!("{} {what}", name(tag)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dicom::visit::MOST_LEVELS;
    use crate::dicom::visit::told::Told;

    fn check(json: &str, told: &str) {
        let mut visitor = Told::default();
        walk(json, MOST_LEVELS, &mut visitor).unwrap();
        assert_eq!(visitor.0, told, "{json}");
    }

    fn refuse(json: &str) {
        assert!(
            walk(json, MOST_LEVELS, &mut Told::default()).is_err(),
            "{json}"
        );
    }

    #[test]
    fn j26_what_clients_write_is_read() {
        check("{}", "");
        check(
            r#"{"0020000d":{"Value":["1.2"]},"00280010":{"vr":"US","Value":["512"]},"00101030":{"vr":"DS","Value":70.50}}"#,
            "0020000D UI 1.2;00280010 US 512;00101030 DS 70.50;",
        );
        // The order of members is not ours to choose.
        check(
            r#"{"00400275":{"Value":[{"00400009":{"Value":["é\u00e9\\"],"vr":"SH"}},{},null],"vr":"SQ"}}"#,
            "00400275 SQ [00400009 SH éé\\;][][];",
        );
        check(
            r#"{"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B","Phonetic":"C"},null,"D=E",{}]}}"#,
            "00100010 PN A^B==C|-|D=E=|-;",
        );
        check(
            r#"{"7FE00010":{"vr":"OW","BulkDataURI":"a/b"},"00020010":{"vr":"UI","Value":null},"00090010":{"Value":["X"]},"00091001":{"vr":"UN","InlineBinary":"AAE="}}"#,
            "7FE00010 OW @a/b;00020010 UI;00090010 LO X;00091001 UN #AAE=;",
        );
        check(
            "\n{ \"00080008\" :\t{ \"vr\":\"CS\",\"Value\":[ \"A\" , null ],\"x\":[{\"vr\":1}] } }\r",
            "00080008 CS A|-;",
        );
    }

    #[test]
    fn j26_what_is_no_data_set_is_refused() {
        for json in [
            "",
            "[]",
            "{",
            "{}}",
            "{]",
            "null",
            r#"{"a":1}"#,
            r#"{"00100010":1}"#,
            r#"{"0010001":{"vr":"PN"}}"#,
            r#"{"00100020":{"vr":"XX"}}"#,
            r#"{"00100020":{"vr":1}}"#,
            r#"{"00091001":{"Value":[1]}}"#,
            r#"{"00100020":{"vr":"LO","Value":[true]}}"#,
            r#"{"00100020":{"vr":"LO","Value":[{}]}}"#,
            r#"{"00100020":{"vr":"LO","Value":[[]]}}"#,
            r#"{"00100020":{"vr":"LO","Value":["a" "b"]}}"#,
            r#"{"00100020":{"vr":"LO","Value":[,"a"]}}"#,
            r#"{"00100020":{"vr":"LO","Value":["a",]}}"#,
            r#"{"00100020":{"vr":"LO","Value":["a"],"InlineBinary":"AA=="}}"#,
            r#"{"00100020":{"vr":"LO","Value":["\x"]}}"#,
            r#"{"00400275":{"vr":"SQ","Value":["a"]}}"#,
            r#"{"00281053":{"vr":"DS","Value":[01]}}"#,
            r#"{"00281053":{"vr":"DS","Value":[é]}}"#,
            r#"{"00100020":{"vr":"LO"},}"#,
            "{,}",
        ] {
            refuse(json);
        }
        let nested = |deep: usize| {
            let open = r#"{"00400275":{"vr":"SQ","Value":["#.repeat(deep);
            format!("{open}{{}}{}", "]}}".repeat(deep))
        };
        walk(&nested(MOST_LEVELS), MOST_LEVELS, &mut Told::default()).unwrap();
        refuse(&nested(MOST_LEVELS + 1));
    }

    #[test]
    fn data_sets_are_found_in_an_array_or_alone() {
        let check = |json: &str, expected: Option<&[&str]>| {
            let sets = data_sets(json).ok();
            let texts = sets.map(|sets| sets.into_iter().map(|set| &json[set]).collect::<Vec<_>>());
            assert_eq!(texts.as_deref(), expected, "{json}");
        };
        check("[]", Some(&[]));
        check(" { \"a\":\"}\" } ", Some(&["{ \"a\":\"}\" }"]));
        check("[{},\n{\"a\":[1]}]", Some(&["{}", "{\"a\":[1]}"]));
        for json in ["", "1", "[1]", "[{}", "[{}]x", "{}{}", "[{]}"] {
            check(json, None);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(json in prop_oneof![".*", "[{}\\[\\]\",:0-9vrSQPNValue\\\\ ]{0,60}"]) {
            let _unread = walk(&json, MOST_LEVELS, &mut Told::default());
            let _unread = data_sets(&json);
        }
    }
}
