//! A point in time as clients write it: Unix seconds, an ISO 8601 date, or RFC 3339.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, SecondsFormat, Utc};

use super::problem::{At, Problem, ProblemCode};

/// A point in time, UTC, between the years 1 and 9999, in whole microseconds: what both databases
/// and RFC 3339 can say. A finer fraction is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Since(DateTime<Utc>);

impl Since {
    /// Reads Unix seconds (`1262304000`), an ISO 8601 date (`2010-01-01`, midnight UTC) or
    /// RFC 3339 (`2010-01-01T00:00:00Z`).
    pub fn parse(text: &str, at: &At<'_>) -> Result<Self, Problem> {
        let instant = unix_seconds(text).or_else(|| date(text)).or_else(|| rfc3339(text));
        instant.and_then(Self::new).ok_or_else(|| {
            at.problem(
                ProblemCode::InvalidSince,
                "this is not a point in time between the years 1 and 9999; write Unix seconds (1262304000, not milliseconds), \
                 a date (2010-01-01) or RFC 3339 (2010-01-01T00:00:00Z)",
            )
        })
    }

    /// This instant, cut to microseconds; `None` outside of the years 1 to 9999.
    pub fn new(instant: DateTime<Utc>) -> Option<Self> {
        // By way of a count: it also turns a leap second into the second after it.
        let instant = DateTime::from_timestamp_micros(instant.timestamp_micros())?;
        (1..=9999).contains(&instant.year()).then_some(Self(instant))
    }

    /// The instant, UTC.
    pub fn instant(self) -> DateTime<Utc> {
        self.0
    }

    /// The date alone where the instant is midnight UTC, else RFC 3339: as REST writes it.
    pub fn date_or_time(self) -> String {
        if self.0.time() == NaiveTime::MIN { self.0.format("%Y-%m-%d").to_string() } else { self.to_string() }
    }
}

/// RFC 3339, UTC.
impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

fn unix_seconds(text: &str) -> Option<DateTime<Utc>> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| DateTime::from_timestamp(text.parse().ok()?, 0)).flatten()
}

fn date(text: &str) -> Option<DateTime<Utc>> {
    // chrono alone would take `2010-1-1` and `+12010-01-01` too.
    let parts: Vec<&str> = text.split('-').collect();
    let shape: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    if shape != [4, 2, 2] {
        return None;
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_time(NaiveTime::MIN).and_utc())
}

fn rfc3339(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.to_utc())
}

/// From when on data is asked for. Both bounds are optional and independent of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Window {
    /// The earliest point *in the data*.
    pub since: Option<Since>,
    /// Only records *changed* after this point, whatever dates they bear.
    pub updated_since: Option<Since>,
}

impl Window {
    /// This window where it says something, else `default`, each bound on its own: how a job's own
    /// window beats its batch's.
    pub fn or(self, default: Window) -> Window {
        Window {
            since: self.since.or(default.since),
            updated_since: self.updated_since.or(default.updated_since),
        }
    }
}

/// Where a bound of a job's window comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowOrigin {
    /// The job has one of its own.
    Job,
    /// The batch has one, and the job none.
    Batch,
    /// A watermark of the schedule that has made the batch.
    Watermark,
    /// There is none: everything is asked for.
    None,
}

/// The window that a worker must use, and where each bound of it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectiveWindow {
    /// The window.
    pub window: Window,
    /// The earliest point *in the data* that is not asked for any more: the batch's.
    pub until: Option<Since>,
    /// Where its `since` comes from.
    pub since_origin: WindowOrigin,
    /// Where its `updated_since` comes from.
    pub updated_since_origin: WindowOrigin,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Option<String> {
        Since::parse(text, &At::Root).ok().map(|since| since.to_string())
    }

    #[test]
    fn the_three_ways_of_writing_name_the_same_instant() {
        let expected = Some("2010-01-01T00:00:00Z".to_owned());
        for text in [
            "1262304000",
            "2010-01-01",
            "2010-01-01T00:00:00Z",
            "2010-01-01T02:00:00+02:00",
            "2010-01-01T00:00:00.000Z",
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(parse("-86400").as_deref(), Some("1969-12-31T00:00:00Z"));
        assert_eq!(parse("0").as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(parse("2016-12-31T23:59:60Z").as_deref(), Some("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_no_point_in_time_is_refused() {
        for text in [
            "",
            " ",
            "yesterday",
            "2010-13-01",
            "2010-02-30",
            "2010-1-1",
            "20100101T",
            "2010-01-01T00:00:00",
            "1262304000000",
            "-99999999999999",
            "99999999999999999999",
            "0000-01-01",
            "0001-01-01T00:00:00+01:00",
            "1e9",
            "+5",
            "１２",
            "--5",
            "1.5",
        ] {
            assert_eq!(
                Since::parse(text, &At::Root).map_err(|problem| problem.code),
                Err(ProblemCode::InvalidSince),
                "{text:?}"
            );
        }
    }

    #[test]
    fn only_midnight_is_written_as_a_date() {
        let since = |text| Since::parse(text, &At::Root).unwrap().date_or_time();
        assert_eq!(since("1262304000"), "2010-01-01");
        assert_eq!(since("1262304001"), "2010-01-01T00:00:01Z");
        assert_eq!(since("2010-01-01T00:00:00.000001Z"), "2010-01-01T00:00:00.000001Z");
    }

    proptest! {
        #[test]
        fn both_ways_of_writing_read_back_as_the_same_instant(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let since = Since::new(DateTime::from_timestamp_micros(micros).unwrap()).unwrap();
            prop_assert_eq!(Since::parse(&since.to_string(), &At::Root), Ok(since));
            prop_assert_eq!(Since::parse(&since.date_or_time(), &At::Root), Ok(since));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = Since::parse(&text, &At::Root);
        }
    }
}
