//! Structured reports as text for people: HTML without a script, or plain (PS3.3 C.17.3, G01, G13).
//!
//! Every value came from a stranger: all of it is escaped.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use serde_json::Value;

use super::head::{Bulk, Set, text};
use crate::error::{Error, Kind, Result};
use crate::model::Tag;

/// The longest head that is read as a report.
const MAX_HEAD_BYTES: usize = 16 << 20;

const CONTENT_SEQUENCE: Tag = Tag(0x0040, 0xA730);
const CONCEPT_NAME: Tag = Tag(0x0040, 0xA043);
const CONCEPT_CODE: Tag = Tag(0x0040, 0xA168);
const CODE_MEANING: Tag = Tag(0x0008, 0x0104);
const CODE_VALUE: Tag = Tag(0x0008, 0x0100);
const VALUE_TYPE: Tag = Tag(0x0040, 0xA040);
const MEASURED_VALUE: Tag = Tag(0x0040, 0xA300);
const NUMERIC_VALUE: Tag = Tag(0x0040, 0xA30A);
const UNITS: Tag = Tag(0x0040, 0x08EA);
const REFERENCED_SOP: Tag = Tag(0x0008, 0x1199);
const REFERENCED_INSTANCE: Tag = Tag(0x0008, 0x1155);

/// Value type and the attribute that holds such a value as text.
#[rustfmt::skip]
static TEXTS: &[(&str, Tag)] = &[
    ("DATE", Tag(0x0040, 0xA121)),
    ("DATETIME", Tag(0x0040, 0xA120)),
    ("PNAME", Tag(0x0040, 0xA123)),
    ("TEXT", Tag(0x0040, 0xA160)),
    ("TIME", Tag(0x0040, 0xA122)),
    ("UIDREF", Tag(0x0040, 0xA124)),
];

/// What stands above a report.
#[rustfmt::skip]
static ABOVE: &[(&str, Tag)] = &[
    ("Patient", Tag(0x0010, 0x0010)),
    ("Patient ID", Tag(0x0010, 0x0020)),
    ("Birth date", Tag(0x0010, 0x0030)),
    ("Sex", Tag(0x0010, 0x0040)),
    ("Study date", Tag(0x0008, 0x0020)),
    ("Study", Tag(0x0008, 0x1030)),
    ("Content date", Tag(0x0008, 0x0023)),
    ("Completion", Tag(0x0040, 0xA491)),
    ("Verification", Tag(0x0040, 0xA493)),
];

/// A report, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    title: String,
    above: Vec<(&'static str, String)>,
    lines: Vec<Line>,
}

/// One content item.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    depth: usize,
    name: String,
    value: String,
}

impl Report {
    /// Reads a head as DICOM JSON.
    ///
    /// # Errors
    /// `Kind::NotAcceptable` for one that is too long or nests too deeply.
    pub fn read(json: &[u8]) -> Result<Self> {
        let refused = || {
            Error::new(
                Kind::NotAcceptable,
                "the report is too long to be shown as text",
            )
        };
        if json.len() > MAX_HEAD_BYTES {
            return Err(refused());
        }
        let value: Value = serde_json::from_slice(json).map_err(|e| refused().with_source(e))?;
        let bulk = Bulk::new();
        let set = Set::of(Some(&value), &bulk);
        let above = ABOVE.iter().filter_map(|(label, tag)| {
            let text = set.text(*tag)?.replace('^', " ");
            (!text.trim().is_empty()).then(|| (*label, text.trim().to_owned()))
        });
        let mut report = Self {
            title: named(&set).unwrap_or_else(|| "Report".to_owned()),
            above: above.collect(),
            lines: Vec::new(),
        };
        report.add(&set, 0);
        Ok(report)
    }

    /// The items below one; the reader of JSON has bounded how deep they can go.
    fn add(&mut self, set: &Set<'_>, depth: usize) {
        for item in set.items(CONTENT_SEQUENCE) {
            self.lines.push(Line {
                depth,
                name: named(&item).unwrap_or_default(),
                value: value_of(&item),
            });
            self.add(&item, depth.saturating_add(1));
        }
    }

    /// As a page.
    pub fn html(&self) -> String {
        let mut page = format!(
            "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{title}</title></head>\n<body><h1>{title}</h1>\n<table>\n",
            title = escaped(&self.title)
        );
        for (label, value) in &self.above {
            page += &[
                "<tr><th>",
                label,
                "</th><td>",
                &escaped(value),
                "</td></tr>\n",
            ]
            .concat();
        }
        page += "</table>\n";
        let mut open = 0_usize;
        for line in &self.lines {
            let wanted = line.depth.saturating_add(1);
            while open < wanted {
                page += "<ul>\n";
                open = open.saturating_add(1);
            }
            while open > wanted {
                page += "</ul>\n";
                open = open.saturating_sub(1);
            }
            let (name, value) = (escaped(&line.name), escaped(&line.value));
            let separator = if name.is_empty() || value.is_empty() {
                ""
            } else {
                ": "
            };
            page += &["<li><b>", &name, "</b>", separator, &value, "</li>\n"].concat();
        }
        page += &"</ul>\n".repeat(open);
        page += "</body></html>\n";
        page
    }

    /// As plain text.
    pub fn plain(&self) -> String {
        let mut text = format!("{}\n\n", self.title);
        for (label, value) in &self.above {
            text += &[label, ": ", value, "\n"].concat();
        }
        text.push('\n');
        for line in &self.lines {
            text += &"  ".repeat(line.depth);
            text += &line.name;
            if !line.value.is_empty() {
                text += if line.name.is_empty() { "" } else { ": " };
                text += &line.value;
            }
            text.push('\n');
        }
        text
    }
}

/// The name of a content item.
fn named(set: &Set<'_>) -> Option<String> {
    meaning(&set.items(CONCEPT_NAME).next()?)
}

fn meaning(code: &Set<'_>) -> Option<String> {
    let text = code.text(CODE_MEANING).or_else(|| code.text(CODE_VALUE))?;
    Some(text.trim().to_owned())
}

fn value_of(item: &Set<'_>) -> String {
    let kind = item.text(VALUE_TYPE).unwrap_or_default().trim();
    if let Some((_, tag)) = TEXTS.iter().find(|(name, _)| *name == kind) {
        let values: Vec<&str> = item.values(*tag).iter().filter_map(text).collect();
        return values.join(" ");
    }
    match kind {
        "CODE" => item
            .items(CONCEPT_CODE)
            .find_map(|code| meaning(&code))
            .unwrap_or_default(),
        "NUM" => measured(item).unwrap_or_default(),
        "IMAGE" | "COMPOSITE" | "WAVEFORM" => {
            let referenced = item.items(REFERENCED_SOP).next();
            let uid = referenced.and_then(|it| it.text(REFERENCED_INSTANCE));
            uid.unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

fn measured(item: &Set<'_>) -> Option<String> {
    let measured = item.items(MEASURED_VALUE).next()?;
    let value = measured.values(NUMERIC_VALUE).first()?;
    let number = match value.as_number() {
        Some(number) => number.to_string(),
        None => text(value)?.to_owned(),
    };
    let units = measured.items(UNITS).next();
    let units = units
        .and_then(|units| units.text(CODE_VALUE))
        .filter(|units| *units != "1");
    Some(match units {
        Some(units) => format!("{number} {units}"),
        None => number,
    })
}

/// Text that is nothing but text in HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(meaning: &str) -> Value {
        json!({"vr": "SQ", "Value": [{"00080104": {"vr": "LO", "Value": [meaning]}}]})
    }

    #[test]
    fn g13_a_report_is_text_and_nothing_in_it_is_markup() {
        let json = json!({
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "<script>alert(1)</script>^X"}]},
            "0040A043": code("CT & Report"),
            "0040A730": {"vr": "SQ", "Value": [
                {"0040A040": {"vr": "CS", "Value": ["CONTAINER"]}, "0040A043": code("Findings"),
                 "0040A730": {"vr": "SQ", "Value": [
                    {"0040A040": {"vr": "CS", "Value": ["TEXT"]}, "0040A043": code("Note"),
                     "0040A160": {"vr": "UT", "Value": ["\"a\" < 'b'\u{1b}"]}},
                    {"0040A040": {"vr": "CS", "Value": ["NUM"]}, "0040A043": code("Length"),
                     "0040A300": {"vr": "SQ", "Value": [{"0040A30A": {"vr": "DS", "Value": [12.5]},
                        "004008EA": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["mm"]}}]}}]}}]}},
                {"0040A040": {"vr": "CS", "Value": ["CODE"]}, "0040A043": code("Side"), "0040A168": code("left")}]}
        });
        let report = Report::read(json.to_string().as_bytes()).unwrap();
        let page = report.html();
        assert!(
            !page.contains("<script") && page.contains("&lt;script&gt;alert(1)"),
            "{page}"
        );
        assert!(page.contains("<h1>CT &amp; Report</h1>"), "{page}");
        assert!(
            page.contains("<b>Note</b>: &quot;a&quot; &lt; &#39;b&#39;\u{FFFD}"),
            "{page}"
        );
        assert_eq!(page.matches("<ul>").count(), page.matches("</ul>").count());
        let plain = report.plain();
        assert!(
            plain.contains("Findings\n  Note: ")
                && plain.contains("  Length: 12.5 mm\nSide: left\n"),
            "{plain}"
        );
    }

    #[test]
    fn a_report_that_nests_without_end_is_refused() {
        let mut json = "{\"0040A730\":{\"Value\":[".repeat(500);
        json += "{}";
        json += &"]}}".repeat(500);
        let error = Report::read(json.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), Kind::NotAcceptable);
    }
}
