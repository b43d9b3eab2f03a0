//! The windows of a backfill: a stretch of time, cut at every step of a length that the calendar gives.

use std::fmt;

use jiff::{Span, fmt::temporal::SpanParser};

use super::{
    problem::{At, Problem, ProblemCode},
    since::Since,
    zone::TimeZone,
};

/// The most windows that one backfill can have.
pub const MAX_WINDOWS: u32 = 10_000;
/// The longest text of a step, in characters.
const MAX_CHARACTERS: usize = 100;

/// How long a window is, by the calendar: a month, a day that has 23 hours now and then, an hour.
#[derive(Debug, Clone, Copy)]
pub struct Step(Span);

impl Step {
    /// Reads an ISO 8601 duration of a second or more, `P1D` for instance.
    pub fn parse(text: &str, at: &At<'_>) -> Result<Self, Problem> {
        let length = text.chars().count();
        if length > MAX_CHARACTERS {
            let message = format!("this has {length} characters; at most {MAX_CHARACTERS} are allowed");
            return Err(at.problem(ProblemCode::TooLong, message));
        }
        let Ok(span) = SpanParser::new().parse_span(text) else {
            let message = "this is no ISO 8601 duration; write PT1H (an hour), P1D (a day), P1W, P1M or P1Y";
            return Err(at.problem(ProblemCode::InvalidDuration, message));
        };
        let fraction = [span.get_milliseconds(), span.get_microseconds(), span.get_nanoseconds()];
        if span.is_zero() || span.is_negative() || fraction != [0; 3] {
            let message = "this must be a second or more, in whole seconds";
            return Err(at.problem(ProblemCode::OutOfRange, message));
        }
        Ok(Self(span))
    }
}

/// ISO 8601.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Both are written the same.
impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.0.fieldwise() == other.0.fieldwise()
    }
}

/// One of the stretches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Its place among its likes, from 0, the earliest first.
    pub index: u32,
    /// The earliest point in it.
    pub since: Since,
    /// The earliest point after it.
    pub until: Since,
}

/// All windows from one point to another. The one with the index `i` begins `i` steps after the first, by the
/// clocks of a time zone, and ends where the next begins; the last one ends at the latest at the end of all.
/// A day that a zone has left out is none of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    /// Where the first begins.
    pub from: Since,
    /// Where the last ends.
    pub to: Since,
    /// How long each is.
    pub step: Step,
    /// By whose clocks.
    pub zone: TimeZone,
    /// How many there are.
    pub count: u32,
}

impl Windows {
    /// Cuts a stretch that is not empty. Too many windows are none.
    pub fn cut(from: Since, to: Since, step: Step, zone: TimeZone, at: &At<'_>) -> Result<Self, Problem> {
        let mut windows = Self { from, to, step, zone, count: 0 };
        let steps = windows.steps();
        if steps > i64::from(MAX_WINDOWS) {
            let message = format!(
                "these would be {steps} windows, and a backfill has at most {MAX_WINDOWS}; \
                 take a longer step, or less at a time"
            );
            return Err(at.problem(ProblemCode::TooMany, message));
        }
        windows.count = windows.walk().len() as u32;
        Ok(windows)
    }

    /// Those with these indexes, in this order, as far as they are there.
    pub fn of(&self, indexes: impl IntoIterator<Item = u32>) -> Vec<Stretch> {
        let indexes = indexes.into_iter();
        // Where a step has led nowhere, the windows after it can only be found by counting.
        if self.steps() == i64::from(self.count) {
            return indexes.filter_map(|index| self.window(index, index.into())).collect();
        }
        let all = self.walk();
        indexes.filter_map(|index| all.get(index as usize).copied()).collect()
    }

    /// All of them, but for those that are empty.
    fn walk(&self) -> Vec<Stretch> {
        let mut all = Vec::new();
        for step in 0..self.steps() {
            all.extend(self.window(all.len() as u32, step));
        }
        all
    }

    /// What lies between two steps, if anything does.
    fn window(&self, index: u32, step: i64) -> Option<Stretch> {
        let since = self.after(step)?;
        let until = self.after(step + 1).map_or(self.to, |next| next.min(self.to));
        (since < until).then_some(Stretch { index, since, until })
    }

    /// Where this many steps lead; `None`: beyond all times.
    fn after(&self, steps: i64) -> Option<Since> {
        if steps == 0 {
            return Some(self.from);
        }
        let span = self.step.0.checked_mul(steps).ok()?;
        Since::new(self.zone.later(self.from.instant(), span)?)
    }

    /// How many steps it takes to the end. Their number is found by halving: nobody walks a million.
    fn steps(&self) -> i64 {
        let arrives = |steps| self.after(steps).is_none_or(|point| point >= self.to);
        let (mut short, mut enough) = (0, 1);
        while !arrives(enough) {
            (short, enough) = (enough, enough * 2);
        }
        while enough - short > 1 {
            let middle = short + (enough - short) / 2;
            if arrives(middle) { enough = middle } else { short = middle }
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use proptest::{prelude::*, sample::select};

    fn since(text: &str) -> Since {
        Since::parse(text, &At::Root).unwrap()
    }

    fn step(text: &str) -> Step {
        Step::parse(text, &At::Root).unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::parse(name, &At::Root).unwrap()
    }

    fn cut(from: &str, to: &str, by: &str, of: &str) -> Result<Vec<Stretch>, Problem> {
        let windows = Windows::cut(since(from), since(to), step(by), zone(of), &At::Root)?;
        Ok(windows.of(0..windows.count))
    }

    fn starts(from: &str, to: &str, by: &str, of: &str) -> Vec<String> {
        cut(from, to, by, of).unwrap().iter().map(|window| window.since.to_string()).collect()
    }

    #[test]
    fn a_year_by_day_has_as_many_windows_as_days_through_both_changes_of_the_clocks() {
        let days = cut("2025-12-31T23:00:00Z", "2026-12-31T23:00:00Z", "P1D", "Europe/Berlin").unwrap();
        assert_eq!(days.len(), 365);
        let hours = |window: &Stretch| (window.until.instant() - window.since.instant()).num_hours();
        let odd: Vec<_> =
            days.iter().filter(|day| hours(day) != 24).map(|day| (day.index, hours(day))).collect();
        // 29 March and 25 October.
        assert_eq!(odd, [(87, 23), (297, 25)]);
        assert_eq!(cut("2026-01-01", "2027-01-01", "PT1H", "Europe/Berlin").unwrap().len(), 8_760);
    }

    #[test]
    fn a_month_begins_on_its_day_or_on_the_last_that_the_month_has() {
        assert_eq!(
            starts("2026-01-31", "2026-06-01", "P1M", "UTC"),
            [
                "2026-01-31T00:00:00Z",
                "2026-02-28T00:00:00Z",
                "2026-03-31T00:00:00Z",
                "2026-04-30T00:00:00Z",
                "2026-05-31T00:00:00Z"
            ]
        );
        assert_eq!(starts("2024-02-29", "2026-03-01", "P1Y", "UTC").len(), 3);
    }

    #[test]
    fn the_last_window_ends_with_all() {
        let weeks = cut("2026-01-01", "2026-01-10", "P1W", "UTC").unwrap();
        assert_eq!(weeks[1].until, since("2026-01-10"));
        assert_eq!(cut("2026-01-01", "2026-01-02", "P1Y", "UTC").unwrap().len(), 1);
        assert_eq!(cut("9999-12-01", "9999-12-31", "P1D", "Pacific/Apia").unwrap().len(), 30);
    }

    #[test]
    fn a_day_that_a_zone_has_left_out_is_no_window() {
        // There was no 30 December 2011 in Apia.
        let days = cut("2011-12-28T10:00:00Z", "2012-01-02T10:00:00Z", "P1D", "Pacific/Apia").unwrap();
        let whole = |window: &Stretch| (window.until.instant() - window.since.instant()).num_hours() == 24;
        assert!(days.len() == 5 && days.iter().all(whole), "{days:?}");
        assert_eq!(days.iter().map(|day| day.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn too_many_windows_are_counted_and_refused() {
        assert_eq!(cut("2000-01-01", "2000-01-01T02:46:40Z", "PT1S", "UTC").unwrap().len(), 10_000);
        let problem = cut("2000-01-01", "2026-01-01", "PT1S", "UTC").unwrap_err();
        assert_eq!(problem.code, ProblemCode::TooMany);
        assert!(problem.message.contains(" 820540800 windows"), "{}", problem.message);
        assert!(cut("0001-01-01", "9999-12-31T23:59:59Z", "PT1S", "Europe/Dublin").is_err());
    }

    #[test]
    fn what_is_no_step_is_refused() {
        let code = |text: &str| Step::parse(text, &At::Root).unwrap_err().code;
        for text in ["", "1 day", "P", "PT", "1D", "P1", "day", "P1D ", "P99999999999Y"] {
            assert_eq!(code(text), ProblemCode::InvalidDuration, "{text:?}");
        }
        for text in ["PT0S", "P0D", "-P1D", "PT0.5S", "PT1.5S"] {
            assert_eq!(code(text), ProblemCode::OutOfRange, "{text:?}");
        }
        assert_eq!(code(&"P".repeat(101)), ProblemCode::TooLong);
        for text in ["P1D", "PT1H", "P1M", "P1Y2M3W4DT5H6M7S"] {
            assert_eq!(step(text).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn windows_follow_each_other_without_gap_from_the_start_to_the_end(
            from in -2_000_000_000_i64..4_000_000_000,
            length in 1_i64..100_000_000,
            by in select(vec!["P1D", "P1W", "P1M", "P1Y", "PT23H", "P1DT1H", "P1M1D", "PT36H", "P13D"]),
            of in select(vec!["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca",
                "America/New_York", "Asia/Kathmandu", "Pacific/Kwajalein"]),
        ) {
            let point = |seconds| Since::new(DateTime::from_timestamp(seconds, 0).unwrap()).unwrap();
            let (from, to) = (point(from), point(from + length));
            let windows = Windows::cut(from, to, step(by), zone(of), &At::Root).unwrap();
            let all = windows.of(0..windows.count);
            prop_assert_eq!(all.len() as u32, windows.count);
            prop_assert_eq!((all[0].since, all[all.len() - 1].until), (from, to));
            prop_assert!(all.windows(2).all(|two| two[0].until == two[1].since));
            prop_assert!(all.iter().enumerate().all(|(place, it)| it.since < it.until && it.index as usize == place));
            let last = windows.count - 1;
            prop_assert_eq!(windows.of([last, 0]), vec![all[last as usize], all[0]]);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*", sure in "P[0-9YMWDTHS.,-]{0,20}") {
            let _ = Step::parse(&text, &At::Root);
            let _ = Step::parse(&sure, &At::Root);
        }
    }
}
