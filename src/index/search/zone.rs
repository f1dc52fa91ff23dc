//! Dates and times of a query that names its zone (Q28).
//!
//! An object says in Timezone Offset From UTC what its dates and times mean; one that does not means the zone of its
//! facility. Offsets are few, so the condition has a branch for each: the interval of the query, moved into that zone.

use sea_orm::sea_query::{Expr, ExprTrait};
use time::{Date, Duration, Month, PrimitiveDateTime, Time};

use super::alias;
use super::conditions::{self, any_of, in_range};
use crate::dicom::dictionary::{Matching, Row, row_of, tag_of};
use crate::dicom::query::{Moment, Test};
use crate::model::{Level, Tag};

/// Minutes east of UTC of a facility: none says where it is yet.
const OF_FACILITY: i32 = 0;

const STUDY_TIME: Tag = Tag(0x0008, 0x0030);

/// Offsets that are in use beside the half hours from -12:00 to +14:00, in minutes.
const QUARTERS: [i32; 3] = [345, 525, 765];

/// The farthest that a date moves, in days.
const FARTHEST: Duration = Duration::days(2);

const DAY: i32 = 24 * 60;

/// The condition on a date or a time that is meant in `zone`, in minutes east of UTC. `None` where a zone changes nothing.
pub(super) fn shifted(row: &Row, zone: i32, test: &Test) -> Option<Expr> {
    if *test == Test::Empty {
        return None;
    }
    match row.matching {
        Matching::Date => {
            let (date, time) = (conditions::column(row), time_beside(row)?);
            if let Test::Moments(from, to) = test {
                let wide = wide(&date, day_of(from.as_ref()), day_of(to.as_ref()));
                let within = |offset| {
                    let local = |moment: &Option<Moment>| local(moment.as_ref()?, zone - offset);
                    between(&date, &time, local(from).as_ref(), local(to).as_ref())
                };
                return Some(wide.and(in_each_zone(within)));
            }
            let days = days(test)?;
            Some(any_of(days.into_iter().map(|(first, last)| {
                let on_day = |offset| on_days(&date, &time, first, last, zone - offset);
                wide(&date, first, last).and(in_each_zone(on_day))
            })))
        }
        Matching::Time => {
            let Test::Range(from, to) = test else {
                return None;
            };
            let column = conditions::column(row);
            let from = from.as_deref().unwrap_or("000000.000000");
            let to = to.as_deref().unwrap_or("235959.999999");
            let within = |offset| at_times(&column, from, to, zone - offset);
            let present = match row.tag {
                STUDY_TIME => column.clone().gt(""),
                _ => column.clone().is_not_null(),
            };
            Some(present.and(in_each_zone(within)))
        }
        Matching::Uid
        | Matching::Code
        | Matching::Text
        | Matching::Name
        | Matching::Number
        | Matching::None => None,
    }
}

/// The condition that a date and the time beside it lie in an interval (Q27).
pub(super) fn in_moments(row: &Row, from: Option<&Moment>, to: Option<&Moment>) -> Expr {
    let date = conditions::column(row);
    let day = |moment: Option<&Moment>| moment.map(|(day, _)| day.clone());
    // By this an index is read.
    let days = in_range(&date, day(from).as_deref(), day(to).as_deref());
    match time_beside(row) {
        Some(time) => days.and(between(&date, &time, from, to)),
        None => days,
    }
}

/// The column of the time that belongs to a date.
fn time_beside(row: &Row) -> Option<Expr> {
    let stem = row.keyword.strip_suffix("Date")?;
    let time = row_of(tag_of(&format!("{stem}Time"))?)?;
    Some(conditions::column(time))
}

/// Whether a date and a time lie between two moments. On the first and the last day the time counts, and has to be there.
fn between(date: &Expr, time: &Expr, from: Option<&Moment>, to: Option<&Moment>) -> Expr {
    let mut within = date.clone().gt("");
    if let Some((day, clock)) = from {
        let clock = time.clone().gte(clock.as_str());
        let same = date.clone().eq(day.as_str()).and(clock);
        within = within.and(date.clone().gt(day.as_str()).or(same));
    }
    if let Some((day, clock)) = to {
        let has_time = time.clone().gt("");
        let clock = time.clone().lte(clock.as_str()).and(has_time);
        let same = date.clone().eq(day.as_str()).and(clock);
        within = within.and(date.clone().lt(day.as_str()).or(same));
    }
    within
}

fn day_of(moment: Option<&Moment>) -> Option<Date> {
    moment.and_then(|(text, _)| day(text))
}

/// A moment of a zone that is `east` minutes ahead, as a local one; the seconds stay.
fn local(moment: &Moment, east: i32) -> Option<Moment> {
    let (text, clock) = moment;
    let number = |range: std::ops::Range<usize>| clock.get(range)?.parse::<u8>().ok();
    let time = Time::from_hms(number(0..2)?, number(2..4)?, 0).ok()?;
    let local = PrimitiveDateTime::new(day(text)?, time);
    let local = local.checked_sub(Duration::minutes(east.into()))?;
    let (hour, minute) = (local.hour(), local.minute());
    let seconds = clock.get(4..).unwrap_or_default();
    Some((
        written(local.date()),
        format!("{hour:02}{minute:02}{seconds}"),
    ))
}

/// A condition that depends on the offset of the object.
fn in_each_zone(condition: impl Fn(i32) -> Expr) -> Expr {
    let zone = || Expr::col((alias(Level::Study), "timezone_offset_from_utc"));
    let offsets: Vec<i32> = (-24..=28).map(|half| half * 30).chain(QUARTERS).collect();
    let spelled: Vec<String> = offsets.iter().map(|offset| spelled(*offset)).collect();
    let of_facility = zone()
        .is_null()
        .or(zone().is_not_in(spelled.iter().map(String::as_str)))
        .and(condition(OF_FACILITY));
    let known = offsets
        .iter()
        .zip(&spelled)
        .map(|(offset, text)| zone().eq(text.as_str()).and(condition(*offset)));
    any_of(known.chain([of_facility]))
}

fn spelled(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let east = offset.abs();
    format!("{sign}{:02}{:02}", east / 60, east % 60)
}

/// First and last days, each open or a day.
type Days = (Option<Date>, Option<Date>);

fn days(test: &Test) -> Option<Vec<Days>> {
    match test {
        Test::Range(from, to) => Some(vec![(
            from.as_deref().and_then(day),
            to.as_deref().and_then(day),
        )]),
        Test::OneOf(days) => {
            let days = days.iter().map(|text| (day(text), day(text)));
            Some(days.collect())
        }
        Test::Like(_) | Test::Numbers(_) | Test::Moments(..) | Test::Name(_) | Test::Empty => None,
    }
}

fn day(text: &str) -> Option<Date> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u16>().ok();
    let month = Month::try_from(u8::try_from(number(4..6)?).ok()?).ok()?;
    let day = u8::try_from(number(6..8)?).ok()?;
    Date::from_calendar_date(i32::from(number(0..4)?), month, day).ok()
}

/// The days around, which an index is read by.
fn wide(date: &Expr, first: Option<Date>, last: Option<Date>) -> Expr {
    let first = first.and_then(|day| day.checked_sub(FARTHEST)).map(written);
    let last = last.and_then(|day| day.checked_add(FARTHEST)).map(written);
    in_range(date, first.as_deref(), last.as_deref())
}

fn written(day: Date) -> String {
    format!(
        "{:04}{:02}{:02}",
        day.year(),
        u8::from(day.month()),
        day.day()
    )
}

/// Whether a local date and time lie in days of a zone that is `east` minutes ahead. A date without a time stays a date.
fn on_days(date: &Expr, time: &Expr, first: Option<Date>, last: Option<Date>, east: i32) -> Expr {
    let has_time = time.clone().gt("");
    let plain = in_range(
        date,
        first.map(written).as_deref(),
        last.map(written).as_deref(),
    );
    let local = |day: Date| {
        PrimitiveDateTime::new(day, Time::MIDNIGHT).checked_sub(Duration::minutes(east.into()))
    };
    let mut moved = has_time.clone();
    if let Some(from) = first.and_then(local) {
        let (day, clock) = (written(from.date()), clock(from.time()));
        let same = date.clone().eq(day.as_str()).and(time.clone().gte(clock));
        moved = moved.and(date.clone().gt(day).or(same));
    }
    if let Some(end) = last.and_then(Date::next_day).and_then(local) {
        let (day, clock) = (written(end.date()), clock(end.time()));
        let same = date.clone().eq(day.as_str()).and(time.clone().lt(clock));
        moved = moved.and(date.clone().lt(day).or(same));
    }
    let no_time = time.clone().is_null().or(time.clone().eq(""));
    no_time.and(plain).or(moved)
}

fn clock(time: Time) -> String {
    format!("{:02}{:02}00.000000", time.hour(), time.minute())
}

/// Whether a local time lies in a range of times of a zone that is `east` minutes ahead; over midnight, two pieces.
fn at_times(column: &Expr, from: &str, to: &str, east: i32) -> Expr {
    let (from, to) = (moved(from, east), moved(to, east));
    let is_over_midnight = from > to;
    let (starts, ends) = (column.clone().gte(from), column.clone().lte(to));
    if is_over_midnight {
        starts.or(ends)
    } else {
        starts.and(ends)
    }
}

/// A time of day of a zone that is `east` minutes ahead, as a local one; the seconds stay.
fn moved(time: &str, east: i32) -> String {
    let number =
        |range: std::ops::Range<usize>| time.get(range).and_then(|n| n.parse::<i32>().ok());
    let minutes = number(0..2).unwrap_or(0) * 60 + number(2..4).unwrap_or(0);
    let local = (minutes - east).rem_euclid(DAY);
    let seconds = time.get(4..).unwrap_or_default();
    format!("{:02}{:02}{seconds}", local / 60, local % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q28_times_move_around_the_clock() {
        assert_eq!(moved("083000.000000", 540), "233000.000000");
        assert_eq!(moved("235959.999999", -60), "005959.999999");
        assert_eq!(spelled(-210), "-0330");
        assert_eq!(spelled(540), "+0900");
    }
}
