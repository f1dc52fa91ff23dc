//! JSON in pieces: names, texts and numbers as they stand, without a tree and without recursion.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::{Error, Result};

/// One piece of a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// One of `{}[],:`.
    Mark(u8),
    /// A string with its quotes.
    Text(&'a str),
    /// A number, `true`, `false` or `null`.
    Word(&'a str),
    /// Nothing is left.
    End,
}

/// A place in a JSON text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The bytes before this place.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> Result<Token<'a>> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|b| b" \t\r\n".contains(b)) {
            self.at = self.at.saturating_add(1);
        }
        let Some(first) = bytes.get(self.at) else {
            return Ok(Token::End);
        };
        let rest = bytes.get(self.at..).unwrap_or_default();
        match first {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => {
                self.at = self.at.saturating_add(1);
                Ok(Token::Mark(*first))
            }
            b'"' => {
                let len = string_len(rest).ok_or_else(|| self.wrong("a string without end"))?;
                self.take(len).map(Token::Text)
            }
            _ => {
                let is_word = |b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
                let len = rest.iter().take_while(|b| is_word(b)).count();
                let word = self.take(len)?;
                if serde_json::from_str::<IgnoredAny>(word).is_err() {
                    return Err(self.wrong("no JSON"));
                }
                Ok(Token::Word(word))
            }
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a str> {
        let end = self.at.saturating_add(len);
        let taken = self.text.get(self.at..end);
        let taken = taken.ok_or_else(|| self.wrong("no JSON"))?;
        self.at = end;
        Ok(taken)
    }

    /// Takes the mark that has to stand here.
    pub(super) fn mark(&mut self, mark: u8) -> Result<()> {
        match self.next()? {
            Token::Mark(found) if found == mark => Ok(()),
            Token::Mark(_) | Token::Text(_) | Token::Word(_) | Token::End => {
                Err(self.wrong(&format!("no {} where one has to be", char::from(mark))))
            }
        }
    }

    /// The name of the next member of an object; `None` where the object ends.
    pub(super) fn member(&mut self, is_first: bool) -> Result<Option<Cow<'a, str>>> {
        let mut next = self.next()?;
        match next {
            Token::Mark(b'}') => return Ok(None),
            Token::Mark(b',') if !is_first => next = self.next()?,
            Token::Text(_) if is_first => {}
            Token::Mark(_) | Token::Text(_) | Token::Word(_) | Token::End => {
                return Err(self.wrong("an object that is none"));
            }
        }
        let Token::Text(name) = next else {
            return Err(self.wrong("a member without a name"));
        };
        self.mark(b':')?;
        plain(name).map(Some)
    }

    /// The first piece of the next element of an array; `None` where the array ends.
    pub(super) fn element(&mut self, is_first: bool) -> Result<Option<Token<'a>>> {
        let mut next = self.next()?;
        match next {
            Token::Mark(b']') => return Ok(None),
            Token::Mark(b',') if !is_first => next = self.next()?,
            _ if is_first => {}
            Token::Mark(_) | Token::Text(_) | Token::Word(_) | Token::End => {
                return Err(self.wrong("an array that is none"));
            }
        }
        Ok(Some(next))
    }

    /// Passes over one value, of which `first` has been taken already.
    pub(super) fn skip(&mut self, first: Token<'a>) -> Result<()> {
        let mut open = Vec::new();
        let mut token = first;
        loop {
            match token {
                Token::Mark(b'{') => open.push(b'}'),
                Token::Mark(b'[') => open.push(b']'),
                Token::Mark(b',' | b':') if !open.is_empty() => {}
                Token::Mark(mark) if open.pop() == Some(mark) => {}
                Token::Text(_) | Token::Word(_) => {}
                Token::Mark(_) | Token::End => return Err(self.wrong("brackets that do not fit")),
            }
            if open.is_empty() {
                return Ok(());
            }
            token = self.next()?;
        }
    }

    /// A refusal that names this place.
    pub(super) fn wrong(&self, what: &str) -> Error {
        Error::invalid(format!("DICOM JSON has {what}, at byte {}", self.at))
    }
}

/// The length of the string at the front, quotes included.
fn string_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 1_usize;
    loop {
        let next = memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        at = at.checked_add(next)?;
        match bytes.get(at)? {
            b'"' => return at.checked_add(1),
            _ => at = at.checked_add(2)?,
        }
    }
}

/// The text of a string between its quotes.
pub(super) fn plain(quoted: &str) -> Result<Cow<'_, str>> {
    let inside = quoted.get(1..quoted.len().saturating_sub(1));
    let inside = inside.unwrap_or_default();
    if !inside.contains('\\') && !inside.bytes().any(|b| b < b' ') {
        return Ok(Cow::Borrowed(inside));
    }
    serde_json::from_str(quoted)
        .map(Cow::Owned)
        .map_err(|_| Error::invalid("DICOM JSON has a string that is none"))
}
