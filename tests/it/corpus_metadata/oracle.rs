//! What the independent tools say about a file's attributes (README of the corpus, "Oracles").

use serde_json::{Map, Value};

use crate::harness::corpus::Entry;

/// The data set of a file as DICOM JSON.
pub fn data_set(entry: &Entry) -> Map<String, Value> {
    let text = quoted(&entry.oracle_text());
    let mut oracle: Map<String, Value> = serde_json::from_str(&text).unwrap();
    match oracle.remove("json") {
        Some(Value::Object(data_set)) => data_set,
        other => panic!("{}: {other:?}", entry.file),
    }
}

/// Python writes `NaN` and `Infinity` without quotes, which is no JSON: with quotes it is what J11 asks for.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_string = false;
    while let Some(c) = rest.chars().next() {
        let special = ["NaN", "Infinity", "-Infinity"];
        let special = special
            .iter()
            .find(|word| !is_string && rest.starts_with(**word));
        is_string ^= c == '"';
        let len = match special {
            Some(word) => word.len(),
            None if is_string && c == '\\' => 2,
            None => c.len_utf8(),
        };
        let (token, left) = rest.split_at(len);
        let quote = if special.is_some() { "\"" } else { "" };
        out.extend([quote, token, quote]);
        rest = left;
    }
    out
}

#[test]
fn words_that_are_no_json_are_quoted() {
    let text = r#"{"a":[NaN,-Infinity,1],"b":"NaN \" NaN"}"#;
    assert_eq!(
        quoted(text),
        r#"{"a":["NaN","-Infinity",1],"b":"NaN \" NaN"}"#
    );
}
