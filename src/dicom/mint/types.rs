//! The data dictionary as clients ask for it (mint.md 8): DICOM2MINT brings studies into the shape that its two lists say.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;

use super::TYPE;
use super::levels::{SERIES, STUDY};
use super::tags::Tags;
use crate::dicom::dictionary::keyword;
use crate::model::Tag;

/// The elements of PS3.6: tag, with `x` for any digit; value multiplicity; `RET` for what is retired.
const ELEMENTS: &str = include_str!("elements.tsv");

/// The dictionary document, in ASCII (MINT T02).
pub fn dictionary() -> Vec<u8> {
    const ROOT: &str = "metadata";
    let mut tags = Tags::document(ROOT);
    tags.text("type", TYPE);
    tags.text("version", "1.0");
    tags.inside();
    tags.open("attributes");
    tags.text("unknown-attributes", "accept");
    tags.inside();
    for line in ELEMENTS.lines() {
        write_element(&mut tags, line);
    }
    tags.close("attributes");
    write_level(&mut tags, "study-attributes", STUDY);
    write_level(&mut tags, "series-attributes", SERIES);
    tags.close(ROOT);
    tags.out
}

fn write_element(tags: &mut Tags, line: &str) {
    let mut fields = line.split('\t');
    let name = fields.next().unwrap_or_default();
    let (group, element) = name.split_at_checked(4).unwrap_or_default();
    let number = |digits: &str| u16::from_str_radix(&digits.replace('x', "0"), 16).ok();
    let (Some(group), Some(element)) = (number(group), number(element)) else {
        return;
    };
    let Some(entry) = StandardDataDictionary.by_tag(Tag(group, element)) else {
        return;
    };
    tags.open("element");
    tags.text("tag", name);
    tags.text("keyword", entry.alias());
    tags.text("vr", vr_text(entry.vr()));
    tags.text("vm", fields.next().unwrap_or_default());
    tags.text("ret", fields.next().unwrap_or_default());
    tags.inside();
    tags.content(&words(entry.alias()));
    tags.close("element");
}

fn write_level(tags: &mut Tags, name: &str, level: &[Tag]) {
    tags.open(name);
    tags.inside();
    for tag in level {
        tags.open("attribute");
        tags.tag(*tag);
        tags.text("desc", &words(keyword(*tag).unwrap_or_default()));
        tags.empty();
    }
    tags.close(name);
}

/// A value representation, or several that are possible.
fn vr_text(vr: VirtualVr) -> &'static str {
    match vr {
        VirtualVr::Exact(vr) => vr.to_string(),
        VirtualVr::Xs => "US|SS",
        VirtualVr::Ox | VirtualVr::Px => "OB|OW",
        VirtualVr::Lt => "US|OW",
        _ => "",
    }
}

/// A keyword as words: `PatientBirthDate` is `Patient Birth Date`, `SOPClassUID` is `SOP Class UID`.
fn words(keyword: &str) -> String {
    let letters: Vec<char> = keyword.chars().collect();
    let mut text = String::with_capacity(keyword.len() + 8);
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| letters.get(before));
        let after = letters.get(at + 1);
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() || after.is_some_and(|after| after.is_lowercase())
            });
        if begins {
            text.push(' ');
        }
        text.push(*letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_one_of_the_dictionary() {
        let text = String::from_utf8(dictionary()).unwrap();
        assert_eq!(text.matches("<element ").count(), ELEMENTS.lines().count());
        assert!(ELEMENTS.lines().is_sorted_by(|a, b| a < b));
        for written in [
            "<element tag=\"00280106\" keyword=\"SmallestImagePixelValue\" vr=\"US|SS\" vm=\"1\" ret=\"\">",
            "<element tag=\"60xx3000\" keyword=\"OverlayData\" vr=\"OB|OW\" vm=\"1\" ret=\"\">Overlay Data</element>",
            "<element tag=\"00080001\" keyword=\"LengthToEnd\" vr=\"UL\" vm=\"1\" ret=\"RET\">Length To End</element>",
            "<element tag=\"00080016\" keyword=\"SOPClassUID\" vr=\"UI\" vm=\"1\" ret=\"\">SOP Class UID</element>",
            "<attributes unknown-attributes=\"accept\">",
            "<attribute tag=\"0020000D\" desc=\"Study Instance UID\"/>",
        ] {
            assert!(text.contains(written), "{written}");
        }
    }

    #[test]
    fn mint_t02_the_dictionary_is_ascii_and_has_both_lists() {
        let document = dictionary();
        assert!(document.is_ascii());
        let text = String::from_utf8(document).unwrap();
        let lists = text.split_once("<study-attributes>").unwrap().1;
        let (study, rest) = lists
            .split_once("</study-attributes><series-attributes>")
            .unwrap();
        let (series, end) = rest.split_once("</series-attributes>").unwrap();
        assert_eq!(study.matches("<attribute ").count(), 66);
        assert_eq!(series.matches("<attribute ").count(), 25);
        assert_eq!(end, "</metadata>");
    }
}
