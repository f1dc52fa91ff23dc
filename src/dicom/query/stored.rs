//! What a search asks beyond the index, held against the metadata of an instance: attributes without a column, attributes of
//! sequences, attributes that are only shown (Q04, Q32, Q80 to Q85).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Fields, NameTest, Test, when};
use crate::dicom::visit::hex_tag;
use crate::model::{AttributeSet, Tag, VR, person_name};

/// A condition on an attribute that the index does not have.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The sequences that lead to it, and the attribute.
    pub path: Vec<Tag>,
    /// Its value representation.
    pub vr: VR,
    /// What its value must be.
    pub test: Test,
}

/// A data set as far as it has been looked at.
type Set = BTreeMap<String, Box<RawValue>>;

/// One attribute of DICOM JSON.
#[derive(Deserialize)]
struct Attribute {
    #[serde(rename = "Value", default)]
    values: Vec<Box<RawValue>>,
}

/// Whether metadata fulfil all conditions; those of one sequence by one of its items (Q32). What cannot be read fulfils none.
pub fn holds(head: &[u8], conditions: &[Condition]) -> bool {
    let Ok(set) = serde_json::from_slice::<Set>(head) else {
        return false;
    };
    let all: Vec<(&[Tag], &Condition)> = conditions
        .iter()
        .map(|it| (it.path.as_slice(), it))
        .collect();
    all_hold(&set, &all)
}

fn all_hold(set: &Set, conditions: &[(&[Tag], &Condition)]) -> bool {
    let mut inside: BTreeMap<Tag, Vec<(&[Tag], &Condition)>> = BTreeMap::new();
    for (path, condition) in conditions {
        match path {
            [] => return false,
            [tag] => {
                if !is_fulfilled(condition, &values(set, *tag)) {
                    return false;
                }
            }
            [tag, rest @ ..] => inside.entry(*tag).or_default().push((rest, condition)),
        }
    }
    inside.iter().all(|(tag, conditions)| {
        let items = values(set, *tag);
        let mut items = items
            .iter()
            .filter_map(|item| serde_json::from_str::<Set>(item.get()).ok());
        items.any(|item| all_hold(&item, conditions))
    })
}

fn values(set: &Set, tag: Tag) -> Vec<Box<RawValue>> {
    let attribute = set.get(&hex(tag));
    let attribute = attribute.and_then(|raw| serde_json::from_str::<Attribute>(raw.get()).ok());
    attribute.map(|it| it.values).unwrap_or_default()
}

fn hex(Tag(group, element): Tag) -> String {
    format!("{group:04X}{element:04X}")
}

/// Whether one of the values is what is asked for (Q34).
fn is_fulfilled(condition: &Condition, values: &[Box<RawValue>]) -> bool {
    let values: Vec<String> = values
        .iter()
        .filter_map(|raw| serde_json::from_str(raw.get()).ok())
        .map(|value: Value| text(&value))
        .filter(|text| !text.is_empty())
        .collect();
    if condition.test == Test::Empty {
        return values.is_empty();
    }
    values
        .iter()
        .any(|value| is_met(&condition.test, condition.vr, value).unwrap_or(false))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Array(_) => String::new(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Object(groups) => {
            let group = |name| groups.get(name).and_then(Value::as_str).unwrap_or_default();
            ["Alphabetic", "Ideographic", "Phonetic"]
                .map(group)
                .join("=")
        }
    }
}

fn is_met(test: &Test, vr: VR, value: &str) -> Option<bool> {
    let is_exact = matches!(vr, VR::UI | VR::AS);
    let folded = |text: &str| {
        if is_exact {
            text.to_owned()
        } else {
            text.to_lowercase()
        }
    };
    Some(match test {
        Test::OneOf(wanted) if matches!(vr, VR::DS | VR::FD | VR::FL) => {
            let value: f64 = value.trim().parse().ok()?;
            let mut numbers = wanted.iter().filter_map(|text| text.parse::<f64>().ok());
            numbers.any(|wanted| wanted.total_cmp(&value).is_eq())
        }
        Test::OneOf(wanted) if vr == VR::DA => wanted.contains(&when::date(value)?),
        Test::OneOf(wanted) => wanted.iter().any(|wanted| folded(wanted) == folded(value)),
        Test::Like(patterns) => patterns
            .iter()
            .any(|pattern| is_like(&folded(pattern), &folded(value))),
        Test::Numbers(numbers) => numbers.contains(&value.trim().parse().ok()?),
        Test::Range(from, to) => {
            let (first, _) = if vr == VR::DA {
                when::dates(value)?
            } else if vr == VR::TM {
                when::times(value)?
            } else {
                when::moments_of(value)?
            };
            let first = first?;
            from.as_ref().is_none_or(|from| *from <= first)
                && to.as_ref().is_none_or(|to| first <= *to)
        }
        Test::Name(name) => is_named(name, value),
        Test::Moments(..) | Test::Empty => false,
    })
}

fn is_named(test: &NameTest, name: &str) -> bool {
    let groups = person_name::groups(name).map(person_name::fold);
    match test {
        NameTest::Any(pattern) => groups.iter().any(|group| is_like(pattern, group)),
        NameTest::Groups(patterns) => {
            let mut pairs = groups.iter().zip(patterns);
            pairs.all(|(group, pattern)| pattern.as_ref().is_none_or(|it| is_like(it, group)))
        }
        NameTest::Fuzzy(tokens) => tokens.iter().all(|token| {
            let mut words = groups.iter().flat_map(|group| group.split(['^', ' ', ',']));
            words.any(|word| word.starts_with(token.as_str()))
        }),
    }
}

/// Whether a text is like a pattern with `*` and `?`, in time that grows with one times the other.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0_usize, 0_usize);
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = text.get(seen) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at = at.saturating_add(1);
            }
            Some(wanted) if *wanted == '?' || wanted == c => {
                at = at.saturating_add(1);
                seen = seen.saturating_add(1);
            }
            _ => {
                let Some((place, taken)) = star else {
                    return false;
                };
                let taken = taken.saturating_add(1);
                star = Some((place, taken));
                (at, seen) = (place.saturating_add(1), taken);
            }
        }
    }
    pattern
        .get(at..)
        .is_none_or(|rest| rest.iter().all(|c| *c == '*'))
}

/// Adds what a result is to show of metadata beside what the index gave it (Q80, Q83 to Q85).
pub fn show(head: &[u8], fields: &Fields, into: &mut AttributeSet) {
    let Ok(set) = serde_json::from_slice::<Set>(head) else {
        return;
    };
    let mut put = |tag: Tag, raw: &RawValue| {
        if !into.contains(tag) {
            into.put_json(tag, raw.to_owned());
        }
    };
    if fields.all {
        for (key, raw) in &set {
            if let Some(tag) = hex_tag(key) {
                put(tag, raw);
            }
        }
        return;
    }
    for tag in &fields.tags {
        if let Some(raw) = set.get(&hex(*tag)) {
            put(*tag, raw);
        }
    }
    for (Tag(group, element), creator) in &fields.private {
        let reserves = |block: &u16| {
            let name = values(&set, Tag(*group, *block));
            let name = name.first().map(|raw| raw.get().to_owned());
            name.and_then(|raw| serde_json::from_str::<String>(&raw).ok())
                .as_ref()
                == Some(creator)
        };
        let Some(block) = (0x10..=0xFF_u16).find(reserves) else {
            continue;
        };
        for tag in [Tag(*group, block), Tag(*group, block << 8 | element & 0xFF)] {
            if let Some(raw) = set.get(&hex(tag)) {
                put(tag, raw);
            }
        }
    }
    let mut branches: BTreeMap<Tag, Vec<&[Tag]>> = BTreeMap::new();
    for path in &fields.paths {
        if let [tag, rest @ ..] = path.as_slice() {
            branches.entry(*tag).or_default().push(rest);
        }
    }
    for (tag, rests) in branches {
        let branch = set.get(&hex(tag)).and_then(|raw| branch(raw, &rests));
        if let Some(raw) = branch.and_then(|json| RawValue::from_string(json).ok()) {
            put(tag, &raw);
        }
    }
}

/// A sequence with nothing in its items but some branches (Q84); `None` if it is none.
fn branch(raw: &RawValue, rests: &[&[Tag]]) -> Option<String> {
    if rests.iter().any(|rest| rest.is_empty()) {
        return Some(raw.get().to_owned());
    }
    let attribute: Attribute = serde_json::from_str(raw.get()).ok()?;
    let mut items = Vec::new();
    for item in &attribute.values {
        let set: Set = serde_json::from_str(item.get()).ok()?;
        let mut inside: BTreeMap<Tag, Vec<&[Tag]>> = BTreeMap::new();
        for rest in rests {
            if let [tag, rest @ ..] = rest {
                inside.entry(*tag).or_default().push(rest);
            }
        }
        let members = inside.into_iter().filter_map(|(tag, rests)| {
            let member = branch(set.get(&hex(tag))?, &rests)?;
            Some(format!("\"{}\":{member}", hex(tag)))
        });
        items.push(format!("{{{}}}", members.collect::<Vec<_>>().join(",")));
    }
    Some(if items.is_empty() {
        r#"{"vr":"SQ"}"#.to_owned()
    } else {
        format!(r#"{{"vr":"SQ","Value":[{}]}}"#, items.join(","))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q22_patterns_are_matched_without_recursion() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a?c", "abc"),
            ("*b*", "abc"),
            ("a*b*c", "aXbbYc"),
            ("**", "x"),
            ("山?", "山田"),
        ] {
            assert!(is_like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", ""),
            ("?", ""),
            ("a*", "ba"),
            ("*b", "abc"),
            ("a?c", "ac"),
            ("a*b*c", "acb"),
        ] {
            assert!(!is_like(pattern, text), "{pattern} {text}");
        }
        assert!(!is_like(&"*a".repeat(200), &"a".repeat(199)));
    }

    fn condition(path: &[(u16, u16)], vr: VR, text: &str) -> Condition {
        Condition {
            path: path.iter().map(|tag| Tag::from(*tag)).collect(),
            vr,
            test: Test::OneOf(vec![text.to_owned()]),
        }
    }

    #[test]
    fn q32_one_item_fulfils_all_conditions_of_its_sequence() {
        let head = br#"{"00400275":{"vr":"SQ","Value":[{"00400009":{"vr":"SH","Value":["A"]},"00401001":{"vr":"SH","Value":["1"]}},{"00400009":{"vr":"SH","Value":["B"]},"00401001":{"vr":"SH","Value":["2"]}}]}}"#;
        let step = |text| condition(&[(0x0040, 0x0275), (0x0040, 0x0009)], VR::SH, text);
        let procedure = |text| condition(&[(0x0040, 0x0275), (0x0040, 0x1001)], VR::SH, text);
        assert!(holds(head, &[step("a"), procedure("1")]));
        assert!(!holds(head, &[step("A"), procedure("2")]));
        assert!(!holds(head, &[step("C")]) && !holds(b"{", &[]));
    }

    #[test]
    fn q84_a_path_shows_its_branch_only() {
        let head = br#"{"00400275":{"vr":"SQ","Value":[{"00400009":{"vr":"SH","Value":["A"]},"00401001":{"vr":"SH"}},{}]}}"#;
        let fields = Fields {
            paths: vec![vec![Tag(0x0040, 0x0275), Tag(0x0040, 0x0009)]],
            ..Fields::default()
        };
        let mut set = AttributeSet::default();
        show(head, &fields, &mut set);
        let mut out = Vec::new();
        crate::dicom::json::write_attributes(&set, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"00400275":{"vr":"SQ","Value":[{"00400009":{"vr":"SH","Value":["A"]}},{}]}}"#
        );
    }
}
