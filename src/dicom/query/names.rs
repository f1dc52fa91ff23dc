//! What a name in a query string is: an attribute, a parameter, or nothing known (Q01 to Q03).

use crate::dicom::dictionary::{keyword, tag_of};
use crate::dicom::visit::hex_tag;
use crate::model::Tag;

/// The longest name that a warning repeats, in characters; no keyword of the standard is longer.
const LONGEST_NAME: usize = 80;
/// How many names one warning repeats: warnings travel in headers.
const MOST_NAMES: usize = 12;

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// An attribute of the standard.
    Attribute(Tag),
    /// A parameter that is read here.
    Parameter(Parameter),
    /// A parameter that the door reads.
    OfTheDoor,
    /// A path into a sequence.
    Path,
    /// A parameter that is not offered.
    NotOffered,
    /// Anything else, private attributes included.
    Unknown,
}

/// The parameters that shape a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Parameter {
    /// Attributes to show.
    IncludeField,
    /// Names by the beginnings of their parts.
    FuzzyMatching,
    /// The longest page.
    Limit,
    /// How many results are passed over.
    Offset,
    /// Whether the number of results is wanted.
    Count,
    /// The order of the results.
    OrderBy,
    /// Where a page begins.
    Cursor,
    /// The status of an answer without results.
    Empty,
    /// Whether `""` stands for a value that is not there.
    EmptyValueMatching,
    /// Whether all values of a list must be there.
    MultipleValueMatching,
    /// Whether attributes are shown that nobody asked for.
    IncludeDefaults,
}

impl Parameter {
    const ALL: [Self; 11] = [
        Self::IncludeField,
        Self::FuzzyMatching,
        Self::Limit,
        Self::Offset,
        Self::Count,
        Self::OrderBy,
        Self::Cursor,
        Self::Empty,
        Self::EmptyValueMatching,
        Self::MultipleValueMatching,
        Self::IncludeDefaults,
    ];

    /// As it is written.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::IncludeField => "includefield",
            Self::FuzzyMatching => "fuzzymatching",
            Self::Limit => "limit",
            Self::Offset => "offset",
            Self::Count => "count",
            Self::OrderBy => "orderby",
            Self::Cursor => "cursor",
            Self::Empty => "empty",
            Self::EmptyValueMatching => "emptyvaluematching",
            Self::MultipleValueMatching => "multiplevaluematching",
            Self::IncludeDefaults => "includedefaults",
        }
    }
}

impl Name {
    /// Takes a decoded name.
    pub(super) fn of(text: &str) -> Self {
        let mut parameters = Parameter::ALL.into_iter();
        if let Some(parameter) = parameters.find(|parameter| parameter.as_str() == text) {
            return Self::Parameter(parameter);
        }
        match text {
            "includeField" => Self::Parameter(Parameter::IncludeField),
            "fuzzyMatching" => Self::Parameter(Parameter::FuzzyMatching),
            "accept" | "charset" => Self::OfTheDoor,
            "facility" | "scope" | "identity" | "annotate" | "collapse" => Self::NotOffered,
            _ if text.contains('.') && text.split('.').all(|step| attribute(step).is_some()) => {
                Self::Path
            }
            _ => attribute(text).map_or(Self::Unknown, Self::Attribute),
        }
    }
}

/// The attribute that eight hexadecimal digits or a keyword name.
pub(super) fn attribute(text: &str) -> Option<Tag> {
    let is_tag = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_tag {
        return tag_of(text);
    }
    let number = |range: std::ops::Range<usize>| u16::from_str_radix(text.get(range)?, 16).ok();
    let tag = Tag(number(0..4)?, number(4..8)?);
    let is_private = tag.group() % 2 == 1;
    (!is_private && keyword(tag).is_some()).then_some(tag)
}

/// The tags of a path into a sequence.
pub(super) fn path(text: &str) -> Vec<Tag> {
    text.split('.').filter_map(attribute).collect()
}

/// The private attribute that eight hexadecimal digits name, a creator or another.
pub(super) fn private(text: &str) -> Option<Tag> {
    hex_tag(text).filter(|Tag(group, element)| group & 1 == 1 && *element >= 0x10)
}

/// A warning that names names, fit for a header: cut, each once, and nothing in them but the characters of names.
pub(super) fn warning(reason: &str, names: &[String]) -> Option<String> {
    let mut shown: Vec<String> = Vec::new();
    let mut left_out = 0_usize;
    for name in names {
        let name = printable(name);
        if shown.contains(&name) {
            continue;
        }
        if shown.len() < MOST_NAMES {
            shown.push(name);
        } else {
            left_out = left_out.saturating_add(1);
        }
    }
    if shown.is_empty() {
        return None;
    }
    let more = match left_out {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    Some(format!("{reason}: {}{more}", shown.join(", ")))
}

fn printable(name: &str) -> String {
    name.chars()
        .take(LONGEST_NAME)
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => c,
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT_NAME: Name = Name::Attribute(Tag(0x0010, 0x0010));

    fn check(text: &str, expected: Name) {
        assert_eq!(Name::of(text), expected, "{text:?}");
    }

    #[test]
    fn q01_a_key_is_a_tag_a_keyword_in_any_case_or_a_path() {
        check("00100010", PATIENT_NAME);
        check("PatientName", PATIENT_NAME);
        check("patientname", PATIENT_NAME);
        check("0020000d", Name::Attribute(Tag(0x0020, 0x000D)));
        check("0020000D", Name::Attribute(Tag(0x0020, 0x000D)));
        check("PatientAge", Name::Attribute(Tag(0x0010, 0x1010)));
        check("00400275.00400009", Name::Path);
        check(
            "RequestAttributesSequence.ScheduledProcedureStepID",
            Name::Path,
        );
        check("OtherPatientIDsSequence.00100020", Name::Path);
    }

    #[test]
    fn q01_what_only_looks_like_a_key_is_unknown() {
        for text in [
            "0010001",
            "001000100",
            "0010001G",
            "(0010,0010)",
            "00231002",
            "00230010",
            "",
            ".",
            "PatientName.",
            "患者",
            "PatientName.toto",
            "00090010",
        ] {
            check(text, Name::Unknown);
        }
    }

    #[test]
    fn q02_reserved_names_are_in_lower_case_but_for_two() {
        check("includeField", Name::Parameter(Parameter::IncludeField));
        check("fuzzyMatching", Name::Parameter(Parameter::FuzzyMatching));
        check("limit", Name::Parameter(Parameter::Limit));
        check("Limit", Name::Unknown);
        check("accept", Name::OfTheDoor);
        check("Accept", Name::Unknown);
        check("orderby", Name::Parameter(Parameter::OrderBy));
        check("OrderBy", Name::Unknown);
        check("collapse", Name::NotOffered);
    }

    #[test]
    fn q03_a_warning_repeats_nothing_that_breaks_a_header() {
        let names = ["toto\r\nSet-Cookie: x", "山田", "toto\r\nSet-Cookie: x"];
        let text = warning("ignored", &names.map(str::to_owned)).unwrap();
        assert_eq!(text, "ignored: toto??Set-Cookie??x, ??");
        let many: Vec<String> = (0..100)
            .map(|n| format!("{n}{}", "x".repeat(500)))
            .collect();
        assert!(warning("ignored", &many).unwrap().len() < 1100);
        assert_eq!(warning("ignored", &[]), None);
    }
}
