//! The same instants, found by another library's time zones and without any cleverness: every minute on the clock
//! around every change of the clocks is looked at.

use chrono::{
    DateTime, Datelike, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone as _, Timelike, Utc,
};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::{ClockGap, ClockLabel, ClockOverlap, Due, Timetable};
use crate::domain::{cron::CronExpression, problem::At, zone::TimeZone};

/// Zones with unusual rules, and some with the usual ones.
const ZONES: [&str; 12] = [
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Europe/Dublin",
    "Asia/Kathmandu",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Asia/Gaza",
    "Pacific/Chatham",
    "Antarctica/Troll",
];

/// A cron expression and what it means, said without a parser.
type Meaning = (&'static str, fn(NaiveDateTime) -> bool);

const MEANINGS: [Meaning; 9] = [
    ("30 2 * * *", |clock| clock.minute() == 30 && clock.hour() == 2),
    ("15 2 * * *", |clock| clock.minute() == 15 && clock.hour() == 2),
    ("0 0 * * *", |clock| clock.minute() == 0 && clock.hour() == 0),
    ("*/20 1-3 * * *", |clock| clock.minute() % 20 == 0 && (1..=3).contains(&clock.hour())),
    ("*/15 * * * *", |clock| clock.minute() % 15 == 0),
    ("0 */2 * * *", |clock| clock.minute() == 0 && clock.hour() % 2 == 0),
    ("0 12 30 12 *", |clock| {
        clock.minute() == 0 && clock.hour() == 12 && clock.day() == 30 && clock.month() == 12
    }),
    ("45 23 * * 6", |clock| {
        clock.minute() == 45 && clock.hour() == 23 && clock.weekday().num_days_from_sunday() == 6
    }),
    ("5 3 1 * 0", |clock| {
        clock.minute() == 5
            && clock.hour() == 3
            && (clock.day() == 1 || clock.weekday().num_days_from_sunday() == 0)
    }),
];

const POLICIES: [(ClockGap, ClockOverlap); 6] = [
    (ClockGap::Shift, ClockOverlap::First),
    (ClockGap::Shift, ClockOverlap::Last),
    (ClockGap::Shift, ClockOverlap::Both),
    (ClockGap::Skip, ClockOverlap::First),
    (ClockGap::Skip, ClockOverlap::Last),
    (ClockGap::Skip, ClockOverlap::Both),
];

fn timetable(cron: &str, zone: &str, (gap, overlap): (ClockGap, ClockOverlap)) -> Timetable {
    let cron = CronExpression::parse(cron, &At::Root).unwrap();
    Timetable { cron, zone: TimeZone::parse(zone, &At::Root).unwrap(), gap, overlap }
}

fn year(year: i32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap()
}

/// Every change of a zone's clocks from 2000 to 2037, exact to a minute.
fn changes(zone: Tz) -> Vec<DateTime<Utc>> {
    let offset = |at: DateTime<Utc>| at.with_timezone(&zone).offset().fix();
    let mut changes = Vec::new();
    let mut hour = year(2000);
    while hour < year(2038) {
        let next = hour + TimeDelta::hours(1);
        if offset(hour) != offset(next) {
            let minute = (1..=60).map(|minute| hour + TimeDelta::minutes(minute));
            changes.extend({ minute }.find(|minute| offset(*minute) != offset(hour)));
        }
        hour = next;
    }
    changes
}

/// Whether both libraries know the same rules for the days around a change. What clocks will do is decided anew
/// each year, and one of them may have heard of it before the other.
fn is_agreed_on(zone: Tz, ours: &TimeZone, change: DateTime<Utc>) -> bool {
    let hours = (-28 * 2..=28 * 2).map(|halves| change + TimeDelta::minutes(30 * halves));
    { hours }.all(|at| {
        let offset = at.with_timezone(&zone).offset().fix().local_minus_utc();
        ours.offset_at(at).num_seconds() == i64::from(offset)
    })
}

/// What is due in this span, by looking at each minute that a clock could show.
fn due(
    zone: Tz,
    meaning: fn(NaiveDateTime) -> bool,
    real_time: bool,
    (gap, overlap): (ClockGap, ClockOverlap),
    clocks: &[(NaiveDateTime, MappedLocalTime<DateTime<Tz>>)],
) -> Vec<(DateTime<Utc>, Option<ClockLabel>)> {
    let mut found = Vec::new();
    for (clock, instants) in clocks.iter().filter(|(clock, _)| meaning(*clock)) {
        match instants {
            MappedLocalTime::Single(instant) => found.push((instant.to_utc(), None)),
            MappedLocalTime::Ambiguous(first, second) => {
                if real_time || overlap != ClockOverlap::Last {
                    found.push((first.to_utc(), Some(ClockLabel::FirstOfTwo)));
                }
                if real_time || overlap != ClockOverlap::First {
                    found.push((second.to_utc(), Some(ClockLabel::SecondOfTwo)));
                }
            }
            MappedLocalTime::None if real_time || gap == ClockGap::Skip => {}
            MappedLocalTime::None => {
                let later = (1..).map(|minutes| *clock + TimeDelta::minutes(minutes));
                let after = { later }.find_map(|clock| zone.from_local_datetime(&clock).earliest()).unwrap();
                found.push((after.to_utc(), Some(ClockLabel::Shifted)));
            }
        }
    }
    // At one instant a run that was shifted there stands for one that is due there by itself.
    found.sort_by_key(|(at, label)| (*at, label.is_none()));
    found.dedup_by_key(|(at, _)| *at);
    found
}

#[test]
fn at_every_change_of_the_clocks_what_is_due_is_what_a_walk_by_minutes_finds() {
    let mut compared = 0;
    for name in ZONES {
        let zone: Tz = name.parse().unwrap();
        let ours = TimeZone::parse(name, &At::Root).unwrap();
        for change in changes(zone) {
            if !is_agreed_on(zone, &ours, change) {
                assert!(change > year(2026), "{name} at {change}");
                continue;
            }
            // The longest gap is a day.
            let (from, to) = (change - TimeDelta::hours(26), change + TimeDelta::hours(26));
            let around = TimeDelta::hours(28);
            let first = (change - around).with_timezone(&zone).naive_local();
            let last = (change + around).with_timezone(&zone).naive_local();
            let minutes = (0..=(last - first).num_minutes()).map(|minute| first + TimeDelta::minutes(minute));
            let clocks: Vec<_> = minutes.map(|clock| (clock, zone.from_local_datetime(&clock))).collect();
            for (cron, meaning) in MEANINGS {
                for policies in POLICIES {
                    let timetable = timetable(cron, name, policies);
                    let within = |at: DateTime<Utc>| from < at && at < to;
                    let mut expected = due(zone, meaning, timetable.cron.is_every_hour(), policies, &clocks);
                    expected.retain(|(at, _)| within(*at));
                    let got: Vec<_> = timetable.after(from).take_while(|due| within(due.at)).collect();
                    let seen: Vec<_> = got.iter().map(|due| (due.at, due.label)).collect();
                    assert_eq!(seen, expected, "`{cron}` in {name} around {change}, {policies:?}");
                    got.iter().for_each(|due| shows_what_the_clocks_show(due, zone));
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 20_000, "only {compared} were compared");
}

fn shows_what_the_clocks_show(due: &Due, zone: Tz) {
    let local = due.at.with_timezone(&zone);
    assert_eq!(due.clock, local.naive_local());
    assert_eq!(due.offset.num_seconds(), i64::from(local.offset().fix().local_minus_utc()));
}

proptest! {
    #[test]
    fn wherever_a_walk_begins_it_goes_on_with_the_same_instants(
        zone in prop::sample::select(&ZONES),
        cron in prop::sample::select(&["30 2 * * *", "*/20 1-3 * * *", "0 */2 * * *", "7 0,23 * * *", "*/7 30 1 * * *"]),
        policies in prop::sample::select(&POLICIES),
        start in year(2000).timestamp()..year(2037).timestamp(),
        ahead in 0..3_000_000i64,
    ) {
        let timetable = timetable(cron, zone, policies);
        let start = DateTime::from_timestamp(start, 0).unwrap();
        let middle = start + TimeDelta::seconds(ahead);
        let late: Vec<Due> = timetable.after(middle).take(20).collect();
        let whole = timetable.after(start).skip_while(|due| due.at <= middle);
        prop_assert_eq!(&late, &whole.take(20).collect::<Vec<_>>());
        prop_assert!(late.windows(2).all(|pair| pair[0].at < pair[1].at));
    }
}
