//! What a URL names: claims by the caller, not proof of existence.

use super::{SeriesUid, SopInstanceUid, StudyUid};
use crate::error::{Error, Result};

/// `/studies/{study}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyPath {
    /// Study Instance UID.
    pub study: StudyUid,
}

/// `/studies/{study}/series/{series}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesPath {
    /// Study Instance UID.
    pub study: StudyUid,
    /// Series Instance UID.
    pub series: SeriesUid,
}

/// `/studies/{study}/series/{series}/instances/{instance}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstancePath {
    /// Study Instance UID.
    pub study: StudyUid,
    /// Series Instance UID.
    pub series: SeriesUid,
    /// SOP Instance UID.
    pub instance: SopInstanceUid,
}

/// Frame numbers in the order asked for, from 1, repeats included (F01, F02).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameList(Vec<u32>);

impl FrameList {
    /// Takes the last part of `/frames/{list}`: numbers between commas, which may stand as `%2C` (R34).
    ///
    /// A number too large for any instance stays the largest one: not here, but not malformed either (F05).
    ///
    /// # Errors
    /// `Kind::Invalid` for anything else, ranges and zero included (F03, F04).
    pub fn parse(text: &str) -> Result<Self> {
        text.replace("%2C", ",")
            .replace("%2c", ",")
            .split(',')
            .map(frame_number)
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(|| {
                Error::invalid("a frame list is frame numbers from 1 between commas, as in 1,2,3")
            })
    }

    /// The numbers, at least one.
    pub fn numbers(&self) -> &[u32] {
        &self.0
    }
}

fn frame_number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = is_number.then(|| text.parse().unwrap_or(u32::MAX))?;
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&[u32]>) {
        let list = FrameList::parse(text).ok();
        assert_eq!(
            list.as_ref().map(FrameList::numbers),
            expected,
            "frames/{text}"
        );
    }

    #[test]
    fn f01_f02_frames_come_in_the_order_asked_repeats_included() {
        check("1", Some(&[1]));
        check("1,2,3", Some(&[1, 2, 3]));
        check("3,1", Some(&[3, 1]));
        check("1,1", Some(&[1, 1]));
        check("1%2C2%2c3", Some(&[1, 2, 3]));
        check("99999999999", Some(&[u32::MAX]));
    }

    #[test]
    fn f03_f04_anything_else_is_malformed() {
        for text in [
            "1-10", "0", "-1", "abc", "", "1,,2", "1,", ",1", "1, 2", "+1", "1,0", "１", "1%2D2",
        ] {
            check(text, None);
        }
    }
}
