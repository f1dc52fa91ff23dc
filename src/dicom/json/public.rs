//! A data set in DICOM JSON without what its makers added to the standard: `excludeprivate` of metadata (X10).

use super::lex::{Lexer, Token, plain};
use crate::Result;
use crate::dicom::visit::hex_tag;
use crate::model::Tag;

/// What is open.
enum Open {
    /// An object, and whether no member of it was written yet.
    Object { is_empty: bool },
    /// An array.
    Array,
}

/// Writes a data set without its private attributes, at any depth, to the end of `out`. Private creators are private
/// attributes as well.
///
/// # Errors
/// `Kind::Invalid` if it is no JSON.
pub fn without_private(json: &str, out: &mut Vec<u8>) -> Result<()> {
    let mut lexer = Lexer::new(json);
    let mut open: Vec<Open> = Vec::new();
    loop {
        match lexer.next()? {
            Token::End if open.is_empty() => return Ok(()),
            Token::End => return Err(lexer.wrong("no end")),
            Token::Mark(mark @ (b'{' | b'[')) => {
                out.push(mark);
                open.push(match mark {
                    b'{' => Open::Object { is_empty: true },
                    _ => Open::Array,
                });
            }
            Token::Mark(mark @ (b'}' | b']')) => {
                out.push(mark);
                open.pop();
            }
            // Those of objects come with the member that stays.
            Token::Mark(b',') => {
                if matches!(open.last(), Some(Open::Array)) {
                    out.push(b',');
                }
            }
            Token::Mark(mark) => out.push(mark),
            Token::Text(text) => {
                if let Some(Open::Object { is_empty }) = open.last_mut() {
                    member(&mut lexer, text, is_empty, out)?;
                } else {
                    out.extend_from_slice(text.as_bytes());
                }
            }
            Token::Word(word) => out.extend_from_slice(word.as_bytes()),
        }
    }
}

/// Writes a member of an object unless it is a private attribute: its name, and its value where that is no object or array,
/// whose pieces come next.
fn member(lexer: &mut Lexer<'_>, name: &str, is_empty: &mut bool, out: &mut Vec<u8>) -> Result<()> {
    lexer.mark(b':')?;
    if hex_tag(&plain(name)?).is_some_and(|Tag(group, _)| group & 1 == 1) {
        let value = lexer.next()?;
        return lexer.skip(value);
    }
    if !std::mem::take(is_empty) {
        out.push(b',');
    }
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut ahead = *lexer;
    if let Token::Text(text) | Token::Word(text) = ahead.next()? {
        out.extend_from_slice(text.as_bytes());
        *lexer = ahead;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        let mut out = Vec::new();
        without_private(json, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{json}");
    }

    #[test]
    fn x10_private_attributes_go_at_every_depth_and_nothing_else() {
        check("{}", "{}");
        check(r#"{"00090010":{"vr":"LO","Value":["ACME"]}}"#, "{}");
        check(
            r#"{"00090010":{"vr":"LO","Value":["ACME"]},"00100020":{"vr":"LO","Value":["1"]},"00291010":{"vr":"OB","InlineBinary":"AA=="}}"#,
            r#"{"00100020":{"vr":"LO","Value":["1"]}}"#,
        );
        check(
            r#"{"00400275":{"vr":"SQ","Value":[{"00090010":{"vr":"LO"},"00400009":{"vr":"SH"}},{"00091001":{"vr":"SQ","Value":[{"00100020":{"vr":"LO"}}]}},{}]},"00431029":{"vr":"UN"}}"#,
            r#"{"00400275":{"vr":"SQ","Value":[{"00400009":{"vr":"SH"}},{},{}]}}"#,
        );
        let kept = r#"{"00080008":{"vr":"CS","Value":["00090010",null,"{\"00090010\":"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"A","Phonetic":"P"}]},"00280010":{"vr":"US","Value":[4,-1.5]}}"#;
        check(kept, kept);
        for broken in ["{", r#"{"00090010"}"#, r#"{"00090010":{]}"#, r#"{"a":"#] {
            assert!(
                without_private(broken, &mut Vec::new()).is_err(),
                "{broken}"
            );
        }
    }
}
