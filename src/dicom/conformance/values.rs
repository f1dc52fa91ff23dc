//! Whether a value keeps the rules of its VR (PS3.5 6.2): those VRs of the indexed attributes that have rules.

use crate::model::{VR, uid::MAX_UID_LEN};

/// The longest Integer String, in characters.
const MAX_IS_LEN: usize = 12;
/// The longest Code String, in characters.
const MAX_CS_LEN: usize = 16;

/// What is wrong with the bytes of a value, padding included; `None` where nothing is, and for VRs without rules. An empty
/// value breaks nothing.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enumeration is not ours; what is not listed has no rule here"
)]
pub(super) fn error(vr: VR, bytes: &[u8]) -> Option<&'static str> {
    let (holds, text): (fn(&[u8]) -> bool, _) = match vr {
        VR::DA => (is_date, "is no date"),
        VR::TM => (is_time, "is no time"),
        VR::IS => (is_integer, "is no integer"),
        VR::CS => (is_code, "is no code string"),
        VR::UI => (is_uid, "is no UID by the letter of the standard"),
        VR::US => {
            let text = "is not of two bytes a value";
            return (!bytes.len().is_multiple_of(2)).then_some(text);
        }
        _ => return None,
    };
    let broken = bytes
        .split(|b| *b == b'\\')
        .map(trim)
        .any(|value| !value.is_empty() && !holds(value));
    broken.then_some(text)
}

/// Without the padding: spaces, and the NUL that some writers use everywhere.
fn trim(value: &[u8]) -> &[u8] {
    let mut value = value.trim_ascii_start();
    while let [rest @ .., b' ' | 0] = value {
        value = rest;
    }
    value
}

/// `YYYYMMDD`, a day of the calendar.
fn is_date(value: &[u8]) -> bool {
    let Some((year, rest)) = value.split_at_checked(4) else {
        return false;
    };
    let Some((month, day)) = rest.split_at_checked(2) else {
        return false;
    };
    let month = number(month).and_then(|month: u8| time::Month::try_from(month).ok());
    let (Some(year), Some(month), Some(day), 2) = (number(year), month, number(day), day.len())
    else {
        return false;
    };
    time::Date::from_calendar_date(year, month, day).is_ok()
}

/// `HH`, `HHMM`, `HHMMSS` or `HHMMSS.F` with up to six digits of a fraction.
fn is_time(value: &[u8]) -> bool {
    let (clock, fraction) = match value.iter().position(|b| *b == b'.') {
        Some(dot) => value.split_at(dot),
        None => (value, &b""[..]),
    };
    let fraction_holds = match fraction {
        [] => true,
        [_, digits @ ..] => {
            clock.len() == 6
                && matches!(digits.len(), 1..=6)
                && digits.iter().all(u8::is_ascii_digit)
        }
    };
    let mut parts = clock.chunks(2).zip([23, 59, 60]);
    fraction_holds
        && matches!(clock.len(), 2 | 4 | 6)
        && parts.all(|(part, most)| number::<u8>(part).is_some_and(|part| part <= most))
}

fn is_integer(value: &[u8]) -> bool {
    let text = std::str::from_utf8(value).ok();
    value.len() <= MAX_IS_LEN && text.is_some_and(|text| text.parse::<i32>().is_ok())
}

fn is_code(value: &[u8]) -> bool {
    value.len() <= MAX_CS_LEN
        && value
            .iter()
            .all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b' ' | b'_'))
}

/// Numbers without leading zeros between dots (PS3.5 9.1).
fn is_uid(value: &[u8]) -> bool {
    value.len() <= MAX_UID_LEN
        && value.split(|b| *b == b'.').all(|part| {
            !part.is_empty()
                && part.iter().all(u8::is_ascii_digit)
                && (part.len() == 1 || part.first() != Some(&b'0'))
        })
}

/// A number of digits only.
fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(vr: VR, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(error(vr, text.as_bytes()), None, "{vr} {text:?}");
        }
        for text in bad {
            assert!(error(vr, text.as_bytes()).is_some(), "{vr} {text:?}");
        }
    }

    #[test]
    fn t35_values_keep_or_break_their_vr() {
        check(
            VR::DA,
            &["20240229", "", "20240115 ", "20240115\\20240116"],
            &[
                "20230229",
                "2024-01-15",
                "20241345",
                "202401",
                "UNKNOWN",
                "+0240101",
                "２０２４",
            ],
        );
        check(
            VR::TM,
            &[
                "09",
                "0930",
                "093000",
                "235960",
                "093000.1",
                "093000.123456 ",
            ],
            &[
                "09:30:00",
                "9",
                "093",
                "240000",
                "0930.1",
                "093000.",
                "093000.1234567",
                "-1",
            ],
        );
        check(
            VR::IS,
            &["1", " -12 ", "+7", "1\\2", "2147483647", "1\\\\2"],
            &["1.0", "1A", "2147483648", "0000000000001", "-"],
        );
        check(
            VR::CS,
            &["ORIGINAL\\PRIMARY\\M_FFE", "M ", "A B", "M\0"],
            &["male", "SEVENTEEN LETTERS", "A-B", "\u{65e5}"],
        );
        check(
            VR::UI,
            &["1.2.840.10008.1.2\0", "1.0.3", "2.25.1"],
            &["1.2.003.4", "1..2", "1.2.", "1.2/3"],
        );
        check(VR::US, &["", "ab", "abcd"], &["a", "abc"]);
        check(VR::LO, &["anything\n"], &[]);
    }
}
