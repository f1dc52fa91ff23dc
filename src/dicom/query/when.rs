//! Dates, times and ranges of them, normalised to the form the index keeps (Q24, Q25; PS3.4 C.2.2.2.5).
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::ops::Range;

use time::{Date, Duration, Month, PrimitiveDateTime, Time};

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

/// A date and time (DT) or a range of them as `YYYYMMDDHHMMSS.FFFFFF` in UTC; one without an offset means UTC (Q26).
pub(super) fn moments_of(text: &str) -> Option<Ends> {
    let text = text.trim();
    if let Some((first, last)) = moment(text) {
        return Some((Some(first), Some(last)));
    }
    // Which hyphen parts the two is told by what stands on either side of it.
    let hyphens = text.match_indices('-');
    let mut ranges = hyphens.filter_map(|(at, _)| {
        let (from, to) = (
            text.get(..at)?.trim(),
            text.get(at.checked_add(1)?..)?.trim(),
        );
        let side = |side: &str| match side {
            "" => Some(None),
            side => moment(side).map(Some),
        };
        let (from, to) = (side(from)?, side(to)?);
        let ends = (from.map(|(first, _)| first), to.map(|(_, last)| last));
        let is_range = match &ends {
            (Some(first), Some(last)) => first <= last,
            (first, last) => first.is_some() || last.is_some(),
        };
        is_range.then_some(ends)
    });
    ranges.next()
}

/// The first and the last microsecond of a date and time of any precision from years on.
fn moment(text: &str) -> Option<(String, String)> {
    let (local, east) = match text.char_indices().rev().nth(4) {
        // An offset stands behind a full time; after less than that a hyphen begins another date.
        Some((at, '+' | '-')) if at >= 14 => {
            let (local, offset) = text.split_at_checked(at)?;
            (local, zone(offset)?)
        }
        _ => (text, 0),
    };
    let (digits, fraction) = local.split_once('.').unwrap_or((local, ""));
    let is_whole = matches!(digits.len(), 4 | 6 | 8 | 10 | 12 | 14) && all_digits(digits);
    let has_fraction = local.contains('.');
    let fraction_fits = !has_fraction
        || digits.len() == 14 && (1..=6).contains(&fraction.len()) && all_digits(fraction);
    if !is_whole || !fraction_fits {
        return None;
    }
    let given = if has_fraction {
        format!("{digits}.{fraction}")
    } else {
        digits.to_owned()
    };
    let first = filled(&given, "00000101000000.000000");
    let month = Month::try_from(first.get(4..6)?.parse::<u8>().ok()?).ok()?;
    let year: u16 = first.get(..4)?.parse().ok()?;
    let last_day = match given.len() {
        4 => "1231".to_owned(),
        _ => format!("{:02}{:02}", u8::from(month), month.length(i32::from(year))),
    };
    let last = filled(&given, &format!("0000{last_day}235959.999999"));
    Some((in_utc(&first, east)?, in_utc(&last, east)?))
}

/// A full date and time of a zone that is `east` minutes ahead.
fn in_utc(local: &str, east: i32) -> Option<String> {
    let number = |range: Range<usize>| local.get(range)?.parse::<u8>().ok();
    let year: u16 = local.get(..4)?.parse().ok()?;
    let month = Month::try_from(number(4..6)?).ok()?;
    let day = Date::from_calendar_date(i32::from(year), month, number(6..8)?).ok()?;
    // Second 60 is a leap second (PS3.5 6.2).
    let second = number(12..14).filter(|second| *second <= 60)?;
    let time = Time::from_hms(number(8..10)?, number(10..12)?, second.min(59)).ok()?;
    let utc = PrimitiveDateTime::new(day, time).checked_sub(Duration::minutes(i64::from(east)))?;
    let (day, time) = (utc.date(), utc.time());
    Some(format!(
        "{:04}{:02}{:02}{:02}{:02}{second:02}{}",
        day.year(),
        u8::from(day.month()),
        day.day(),
        time.hour(),
        time.minute(),
        local.get(14..)?
    ))
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
    fn q26_dates_and_times_of_any_precision_and_ranges_of_them() {
        check(
            moments_of,
            "2024",
            "20240101000000.000000",
            "20241231235959.999999",
        );
        check(
            moments_of,
            "202402",
            "20240201000000.000000",
            "20240229235959.999999",
        );
        check(
            moments_of,
            "2024013110",
            "20240131100000.000000",
            "20240131105959.999999",
        );
        check(
            moments_of,
            "20240131103015.25",
            "20240131103015.250000",
            "20240131103015.259999",
        );
        check(
            moments_of,
            "20240131103015-0500",
            "20240131153015.000000",
            "20240131153015.999999",
        );
        check(
            moments_of,
            "20240131003015.5+0900",
            "20240130153015.500000",
            "20240130153015.599999",
        );
        check(
            moments_of,
            "2023-2024",
            "20230101000000.000000",
            "20241231235959.999999",
        );
        check(
            moments_of,
            "20240131103015-0500-20240131113015-0500",
            "20240131153015.000000",
            "20240131163015.999999",
        );
        check(moments_of, "20240131-", "20240131000000.000000", "");
        check(
            moments_of,
            "-20240131103015-0500",
            "",
            "20240131153015.999999",
        );
        for text in [
            "",
            "-",
            "20",
            "20241",
            "20241301",
            "20240132",
            "2024-2023",
            "2024013125",
            "20240131.5",
            "x",
        ] {
            assert_eq!(moments_of(text), None, "{text}");
        }
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
