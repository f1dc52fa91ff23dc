//! The values of one element, from the text that `extract::text` gives (J04 to J16).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use crate::dicom::charset::is_single_valued;
use crate::model::{VR, person_name};

/// The largest integer that every reader of JSON keeps exactly: 2^53 (J10).
const EXACT: i128 = 1 << 53;

/// Writes a text as a JSON string. `<` is escaped too, so that no reader takes a name for markup (J19).
pub fn escape(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(place) = rest.iter().copied().position(is_special) {
        let (plain, special) = rest.split_at(place);
        out.extend_from_slice(plain);
        if let Some((byte, after)) = special.split_first() {
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                other => out.extend_from_slice(format!("\\u{other:04X}").as_bytes()),
            }
            rest = after;
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Whether a byte of UTF-8 cannot stand in a string as it is.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | b'<') || byte.is_ascii_control()
}

/// Writes the object of an element without a value.
pub(super) fn write_empty(vr: VR, out: &mut Vec<u8>) {
    open(vr, out);
    out.push(b'}');
}

/// Begins the object of an element: `{"vr":"XX"`.
pub(super) fn open(vr: VR, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"vr\":\"");
    out.extend_from_slice(vr.to_string().as_bytes());
    out.push(b'"');
}

/// Writes the object of an element whose value is text as `extract::text` spells it.
pub(super) fn write_text(vr: VR, text: &str, out: &mut Vec<u8>) {
    // An empty value is no value (J05), and so is a name of empty groups only.
    if text.is_empty() || (vr == VR::PN && text.bytes().all(|byte| byte == b'=')) {
        return write_empty(vr, out);
    }
    open(vr, out);
    out.extend_from_slice(b",\"Value\":[");
    if is_single_valued(vr) {
        escape(text, out);
    } else {
        for (index, value) in text.split('\\').enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_value(vr, value, out);
        }
    }
    out.extend_from_slice(b"]}");
}

fn write_value(vr: VR, value: &str, out: &mut Vec<u8>) {
    match vr {
        _ if value.is_empty() => out.extend_from_slice(b"null"),
        VR::PN => write_name(value, out),
        VR::IS | VR::SV | VR::UV if !is_exact(value) => escape(value, out),
        VR::DS | VR::FD | VR::FL | VR::IS | VR::SL | VR::SS | VR::SV | VR::UL | VR::US | VR::UV => {
            write_number(value, out);
        }
        VR::AE
        | VR::AS
        | VR::AT
        | VR::CS
        | VR::DA
        | VR::DT
        | VR::LO
        | VR::LT
        | VR::OB
        | VR::OD
        | VR::OF
        | VR::OL
        | VR::OV
        | VR::OW
        | VR::SH
        | VR::SQ
        | VR::ST
        | VR::TM
        | VR::UC
        | VR::UI
        | VR::UN
        | VR::UR
        | VR::UT => escape(value, out),
    }
}

/// Writes a person name as its groups (J08).
fn write_name(name: &str, out: &mut Vec<u8>) {
    let groups = person_name::groups(name);
    let mut before = b'{';
    for (key, group) in ["Alphabetic", "Ideographic", "Phonetic"]
        .iter()
        .zip(groups)
        .filter(|(_, group)| !group.is_empty())
    {
        out.push(before);
        escape(key, out);
        out.push(b':');
        escape(group, out);
        before = b',';
    }
    out.extend_from_slice(if before == b'{' { b"null" } else { b"}" });
}

/// Whether an integer text stays exact as a double; a text with a fraction is one already.
fn is_exact(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    digits.parse::<i128>().is_ok_and(|value| value <= EXACT)
}

/// Writes the spelling of a number that JSON allows, or the text itself as a string where there is none (J09, J11).
fn write_number(text: &str, out: &mut Vec<u8>) {
    match number(text) {
        // Readers of JSON refuse a number that overflows a double.
        Some(number) if number.parse().is_ok_and(f64::is_finite) => {
            out.extend_from_slice(number.as_bytes());
        }
        Some(_) | None => escape(text, out),
    }
}

/// A decimal text as JSON spells it: no plus sign, no leading zeros, digits on both sides of the point.
fn number(text: &str) -> Option<String> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(place) => text.split_at_checked(place)?,
        None => (text, ""),
    };
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    if let Some(power) = exponent.get(1..) {
        let power = power.strip_prefix(['+', '-']).unwrap_or(power);
        if power.is_empty() || !are_digits(power) {
            return None;
        }
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        significant => significant,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    Some([sign, whole, point, fraction, exponent].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(vr: VR, text: &str, json: &str) {
        let mut out = Vec::new();
        write_text(vr, text, &mut out);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, json, "{text:?}");
        let _: serde_json::Value = serde_json::from_str(&out).unwrap();
    }

    fn check_number(vr: VR, text: &str, value: &str) {
        let vr_text = vr.to_string();
        check(
            vr,
            text,
            &format!("{{\"vr\":\"{vr_text}\",\"Value\":[{value}]}}"),
        );
    }

    #[test]
    fn j05_an_empty_value_is_vr_alone() {
        check(VR::LO, "", r#"{"vr":"LO"}"#);
        check(VR::PN, "", r#"{"vr":"PN"}"#);
        check(VR::PN, "==", r#"{"vr":"PN"}"#);
        check(VR::DS, "", r#"{"vr":"DS"}"#);
    }

    #[test]
    fn j06_an_empty_value_among_several_is_null() {
        check(VR::CS, "A\\\\B", r#"{"vr":"CS","Value":["A",null,"B"]}"#);
        check(VR::DS, "1\\\\2", r#"{"vr":"DS","Value":[1,null,2]}"#);
        check(VR::LO, "A\\", r#"{"vr":"LO","Value":["A",null]}"#);
    }

    #[test]
    fn j08_names_are_objects_of_their_groups() {
        check(
            VR::PN,
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
            r#"{"vr":"PN","Value":[{"Alphabetic":"Yamada^Tarou","Ideographic":"山田^太郎","Phonetic":"やまだ^たろう"}]}"#,
        );
        check(
            VR::PN,
            "=山田^太郎^^",
            r#"{"vr":"PN","Value":[{"Ideographic":"山田^太郎^^"}]}"#,
        );
        check(
            VR::PN,
            "A\\\\==\\B",
            r#"{"vr":"PN","Value":[{"Alphabetic":"A"},null,null,{"Alphabetic":"B"}]}"#,
        );
    }

    #[test]
    fn j09_decimal_text_is_a_number_where_it_is_one() {
        for (text, value) in [
            ("1.50", "1.50"),
            ("+1", "1"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("1.", "1"),
            ("1E3", "1E3"),
            ("1.e+05", "1e+05"),
            ("007", "7"),
            ("-0", "-0"),
            ("00.10", "0.10"),
            ("1E400", r#""1E400""#),
            ("1E-400", "1E-400"),
            ("@", r#""@""#),
            ("NaN", r#""NaN""#),
            ("inf", r#""inf""#),
            (".", r#"".""#),
            ("-", r#""-""#),
            ("1E", r#""1E""#),
            ("--1", r#""--1""#),
            ("1,5", r#""1,5""#),
            ("1 2", r#""1 2""#),
            ("0x10", r#""0x10""#),
            ("１", r#""１""#),
            ("éE1", r#""éE1""#),
        ] {
            check_number(VR::DS, text, value);
        }
        check_number(VR::IS, "20240131", "20240131");
        check_number(VR::IS, "2024-01-31", r#""2024-01-31""#);
    }

    #[test]
    fn j10_integers_beyond_two_to_the_fifty_third_are_strings() {
        for vr in [VR::IS, VR::SV, VR::UV] {
            check_number(vr, "9007199254740992", "9007199254740992");
            check_number(vr, "9007199254740993", r#""9007199254740993""#);
        }
        check_number(VR::SV, "-9007199254740992", "-9007199254740992");
        check_number(VR::SV, "-9007199254740993", r#""-9007199254740993""#);
        check_number(VR::UV, "18446744073709551615", r#""18446744073709551615""#);
    }

    #[test]
    fn j16_a_backslash_in_text_is_data() {
        for vr in ["LT", "ST", "UT", "UR"] {
            check(
                vr.parse().unwrap(),
                "C:\\temp",
                &format!("{{\"vr\":\"{vr}\",\"Value\":[\"C:\\\\temp\"]}}"),
            );
        }
        check(VR::UC, "C:\\temp", r#"{"vr":"UC","Value":["C:","temp"]}"#);
    }

    #[test]
    fn j19_nothing_breaks_out_of_a_string() {
        let mut out = Vec::new();
        escape("\"<script>\u{1b}\0\u{7f}\r\n\t\\é\u{2028}", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"\\\"\\u003Cscript>\\u001B\\u0000\\u007F\\r\\n\\t\\\\é\u{2028}\""
        );
    }
}
