//! Dates, times and ranges of them, normalised to the form the index keeps (Q24, Q25; PS3.4 C.2.2.2.5).
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::ops::Range;

use time::{Date, Month};

use super::Moment;

/// The two ends of a range; `None` is open.
pub(super) type Ends = (Option<String>, Option<String>);

/// A date or a range of dates as `YYYYMMDD`; `None` if it is neither, or its end lies before its start.
pub(super) fn dates(text: &str) -> Option<Ends> {
    range(text, |side| date(side).map(|day| (day.clone(), day)))
}

/// A time or a range of times as `HHMMSS.FFFFFF`: a time given to the minute covers its minute.
pub(super) fn times(text: &str) -> Option<Ends> {
    range(text, time)
}

/// A range of dates and a range of times of one pair as one interval (Q27): from the first time of the first day to the last
/// time of the last. `None` if they are not two ranges that fit each other.
pub(super) fn moments(dates: &str, times: &str) -> Option<(Option<Moment>, Option<Moment>)> {
    let sides = |text: &str| {
        let (from, to) = text.split_once('-')?;
        Some((from.trim().to_owned(), to.trim().to_owned()))
    };
    let ((first_day, last_day), (first, last)) = (sides(dates)?, sides(times)?);
    let moment = |day: &str, clock: &str, is_end: bool| {
        if day.is_empty() {
            // A time without a day bounds nothing of an interval.
            return clock.is_empty().then_some(None);
        }
        let (start, end) = match clock {
            "" => ("000000.000000".to_owned(), "235959.999999".to_owned()),
            clock => time(clock)?,
        };
        Some(Some((date(day)?, if is_end { end } else { start })))
    };
    let from = moment(&first_day, &first, false)?;
    let to = moment(&last_day, &last, true)?;
    let is_in_order = match (&from, &to) {
        (Some(from), Some(to)) => from <= to,
        (None, None) => false,
        _ => true,
    };
    is_in_order.then_some((from, to))
}

/// One date as `YYYYMMDD`, from that or from `YYYY.MM.DD` of the days before DICOM.
pub(super) fn date(text: &str) -> Option<String> {
    let plain = without(text.trim(), '.', &[4, 2, 2])?;
    let part = |range: Range<usize>| plain.get(range)?.parse::<u16>().ok();
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    (plain.len() == 8).then_some(plain)
}

/// An offset from UTC, `&ZZXX`, in minutes east (PS3.5 6.2, PS3.3 C.12.1.1.8).
pub(super) fn zone(text: &str) -> Option<i32> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !all_digits(digits) {
        return None;
    }
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = digits.get(2..)?.parse().ok()?;
    let east = hours
        .checked_mul(60)?
        .checked_add(minutes)?
        .checked_mul(sign)?;
    (minutes < 60 && (-720..=840).contains(&east)).then_some(east)
}

/// Cuts at the hyphen; `span` gives the first and the last moment that one side covers.
fn range(text: &str, span: impl Fn(&str) -> Option<(String, String)>) -> Option<Ends> {
    let Some((from, to)) = text.split_once('-') else {
        let (first, last) = span(text)?;
        return Some((Some(first), Some(last)));
    };
    match (from.trim(), to.trim()) {
        ("", "") => None,
        (from, "") => Some((Some(span(from)?.0), None)),
        ("", to) => Some((None, Some(span(to)?.1))),
        (from, to) => {
            let (first, last) = (span(from)?.0, span(to)?.1);
            (first <= last).then_some((Some(first), Some(last)))
        }
    }
}

/// The first and the last microsecond of a time of any precision from hours on.
fn time(text: &str) -> Option<(String, String)> {
    let (clock, fraction) = match text.trim().split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text.trim(), None),
    };
    let clock = without(clock, ':', &[2, 2, 2])?;
    let fraction_fits = fraction.is_none_or(|digits| {
        clock.len() == 6 && (1..=6).contains(&digits.len()) && all_digits(digits)
    });
    if !fraction_fits || !matches!(clock.len(), 2 | 4 | 6) {
        return None;
    }
    // Second 60 is a leap second (PS3.5 6.2, TM).
    for (at, most) in [(0, 23), (2, 59), (4, 60)] {
        let end = 2_usize.checked_add(at)?;
        if let Some(digits) = clock.get(at..end)
            && digits.parse::<u8>().ok()? > most
        {
            return None;
        }
    }
    let given = match fraction {
        Some(digits) => format!("{clock}.{digits}"),
        None => clock,
    };
    Some((
        filled(&given, "000000.000000"),
        filled(&given, "235959.999999"),
    ))
}

/// `given` with what it leaves open taken from `rest`.
fn filled(given: &str, rest: &str) -> String {
    format!("{given}{}", rest.get(given.len()..).unwrap_or_default())
}

/// The digits of `text`, which are in one piece or in pieces of the lengths `sizes` between separators.
fn without(text: &str, separator: char, sizes: &[usize]) -> Option<String> {
    let in_place = !text.contains(separator)
        || (text.split(separator).count() <= sizes.len()
            && text
                .split(separator)
                .zip(sizes)
                .all(|(part, size)| part.len() == *size));
    let plain: String = text.split(separator).collect();
    (in_place && all_digits(&plain)).then_some(plain)
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: fn(&str) -> Option<Ends>, text: &str, from: &str, to: &str) {
        let side = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        assert_eq!(range(text), Some((side(from), side(to))), "{text}");
    }

    #[test]
    fn q24_dates_and_ranges_of_dates() {
        check(dates, "20240131", "20240131", "20240131");
        check(dates, "20240101-20240131", "20240101", "20240131");
        check(dates, "20240101-", "20240101", "");
        check(dates, "-20240131", "", "20240131");
        check(dates, "2024.01.31", "20240131", "20240131");
        check(dates, "2024.01.01-20240131", "20240101", "20240131");
        check(dates, "20240101 - 2024.01.31", "20240101", "20240131");
        check(dates, "20240229", "20240229", "20240229");
    }

    #[test]
    fn q24_impossible_dates_and_reversed_ranges_are_refused() {
        for text in [
            "-",
            "20240131-20240101",
            "20240132",
            "20230229",
            "20241301",
            "20240100",
            "2024",
            "202401",
            "2024013",
            "202401311",
            "2024-01-31",
            "2024.1.31",
            "20.240131",
            "yesterday",
            "20240131--",
            "２０２４０１３１",
            "2024.01.31.",
            "2024013?",
            "",
        ] {
            assert_eq!(dates(text), None, "{text:?}");
        }
    }

    #[test]
    fn q28_an_offset_is_signed_and_of_this_world() {
        let check = |text: &str, east: Option<i32>| assert_eq!(zone(text), east, "{text}");
        check("+0900", Some(540));
        check("-0330", Some(-210));
        check("+0000", Some(0));
        check("+1400", Some(840));
        for wrong in [
            "",
            "+",
            "0900",
            "+1401",
            "-1201",
            "+0960",
            "+090",
            "+09:00",
            "é0900",
            "+09００",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn q25_a_time_covers_what_it_leaves_open() {
        check(times, "10", "100000.000000", "105959.999999");
        check(times, "1030", "103000.000000", "103059.999999");
        check(times, "103015", "103015.000000", "103015.999999");
        check(times, "103015.25", "103015.250000", "103015.259999");
        check(times, "1030-1100", "103000.000000", "110059.999999");
        check(times, "10:30:15-11:00", "103015.000000", "110059.999999");
        check(times, "1030-", "103000.000000", "");
        check(times, "-10", "", "105959.999999");
        check(times, "235960", "235960.000000", "235960.999999");
    }

    #[test]
    fn q27_two_ranges_are_one_interval() {
        let moment = |day: &str, time: &str| Some((day.to_owned(), time.to_owned()));
        let check = |dates: &str, times: &str, from, to| {
            assert_eq!(moments(dates, times), Some((from, to)), "{dates} {times}");
        };
        let (from, to) = (
            moment("20240101", "220000.000000"),
            moment("20240102", "020059.999999"),
        );
        check("20240101-20240102", "22-0200", from.clone(), to.clone());
        check(
            "2024.01.01-20240102",
            "22:00-02:00",
            from.clone(),
            to.clone(),
        );
        check("20240101-", "2200-", from, None);
        check("-20240102", "-0200", None, to);
        check(
            "20240101-20240102",
            "2200-",
            moment("20240101", "220000.000000"),
            moment("20240102", "235959.999999"),
        );
        for (dates, times) in [
            ("20240101-20240101", "22-02"),
            ("20240102-20240101", "02-22"),
            ("20240101", "22-02"),
            ("20240101-20240102", "22"),
            ("20240101-", "22-02"),
            ("-20240101", "22-"),
            ("20240101-20240132", "22-02"),
            ("20240101-20240102", "22-25"),
            ("-", "-"),
        ] {
            assert_eq!(moments(dates, times), None, "{dates} {times}");
        }
    }

    #[test]
    fn q25_impossible_times_are_refused() {
        for text in [
            "",
            "-",
            "24",
            "1060",
            "103061",
            "1",
            "103",
            "103015.",
            "103015.1234567",
            "1030.5",
            "1:30",
            "10:3",
            ":",
            "1100-1030",
            "noon",
            "10-11-12",
            "10:30:15:20",
            "１０",
        ] {
            assert_eq!(times(text), None, "{text:?}");
        }
    }
}
