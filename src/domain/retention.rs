//! How long what has ended is kept.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::problem::{At, Problem, ProblemCode};

/// The longest time for which anything can be told to be kept, in seconds: a hundred years.
const MOST: i64 = 36_525 * 86_400;

/// The units of a time to keep something, with their seconds; the longest first.
const UNITS: [(char, i64); 5] = [('w', 7 * 86_400), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// For how long something is kept, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keep(i64);

impl Keep {
    /// An hour.
    pub const HOUR: Self = Self(3_600);

    /// Reads a whole number and its unit: `90d`, `12h`.
    pub fn parse(text: &str, at: &At<'_>) -> Result<Self, Problem> {
        let wrong = |message: &str| Err(at.problem(ProblemCode::InvalidDuration, message));
        let mut rest = text.chars();
        let unit = rest.next_back();
        let digits = rest.as_str();
        let seconds = UNITS.iter().find(|(name, _)| unit == Some(*name)).map(|(_, seconds)| *seconds);
        let (Some(seconds), true) =
            (seconds, !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        else {
            return wrong(
                "this is a whole number and w, d, h, m or s: 90d for ninety days, 12h for twelve hours",
            );
        };
        match digits.parse::<i64>().ok().and_then(|number| number.checked_mul(seconds)) {
            Some(seconds) if seconds <= MOST => Ok(Self(seconds)),
            Some(_) | None => {
                wrong("nothing is kept for more than a hundred years; leave it out to keep everything")
            }
        }
    }

    /// What ended before this instant has been kept long enough, UTC.
    pub fn cut(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now.checked_sub_signed(TimeDelta::seconds(self.0)).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

impl fmt::Display for Keep {
    /// As [`Keep::parse`] reads it, in the longest unit of which it is a multiple.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, seconds): &&(char, i64)| self.0 > 0 && self.0 % seconds == 0;
        let (unit, seconds) = UNITS.iter().find(fits).copied().unwrap_or(('s', 1));
        write!(f, "{}{unit}", self.0 / seconds)
    }
}

/// What is kept, and for how long. The history has a time of its own: it tells of batches that are not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Batches, from when they have ended; `None`: for good.
    pub finished: Option<Keep>,
    /// Events, from when they happened, whatever they are about; `None`: for good.
    pub events: Option<Keep>,
}

impl Retention {
    /// What has been kept long enough at this time.
    pub fn cuts(self, now: DateTime<Utc>) -> Cuts {
        let Self { finished, events } = self;
        Cuts { finished: finished.map(|keep| keep.cut(now)), events: events.map(|keep| keep.cut(now)) }
    }
}

/// What is older than these has been kept long enough, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cuts {
    /// Batches that ended before; `None`: none.
    pub finished: Option<DateTime<Utc>>,
    /// Events that happened before; `None`: none.
    pub events: Option<DateTime<Utc>>,
}

/// How much was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Batches.
    pub batches: u64,
    /// Jobs, of these batches and of others that have more of them.
    pub jobs: u64,
    /// Events.
    pub events: u64,
}

impl Pruned {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            batches: self.batches + other.batches,
            jobs: self.jobs + other.jobs,
            events: self.events + other.events,
        }
    }
}

impl fmt::Display for Pruned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batches, jobs, events } = *self;
        let many = |number, one, more| if number == 1 { one } else { more };
        write!(f, "{batches} {} with ", many(batches, "batch", "batches"))?;
        write!(f, "{jobs} {} and ", many(jobs, "job", "jobs"))?;
        write!(f, "{events} {}", many(events, "event", "events"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Result<String, ProblemCode> {
        Keep::parse(text, &At::Root).map(|keep| keep.to_string()).map_err(|problem| problem.code)
    }

    #[test]
    fn a_number_and_a_unit_are_a_time_to_keep() {
        for (text, expected) in [
            ("90d", "90d"),
            ("12h", "12h"),
            ("24h", "1d"),
            ("14d", "2w"),
            ("0s", "0s"),
            ("0w", "0s"),
            ("90m", "90m"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "d",
            "90",
            "-1d",
            "+1d",
            "1.5d",
            "1d12h",
            "1 d",
            "1D",
            "1y",
            "P1D",
            "1д",
            "36526d",
            "9223372036854775807w",
        ] {
            assert_eq!(shown(text), Err(ProblemCode::InvalidDuration), "{text:?}");
        }
        assert!(shown("36525d").is_ok());
    }

    #[test]
    fn the_cut_is_that_long_ago() {
        let now = DateTime::from_timestamp(1_000_000, 5_000).unwrap();
        let retention = Retention { finished: Some(Keep::HOUR), events: None };
        let cut = DateTime::from_timestamp(996_400, 5_000).unwrap();
        assert_eq!(retention.cuts(now), Cuts { finished: Some(cut), events: None });
    }

    #[test]
    fn what_was_deleted_is_said_in_words() {
        assert_eq!(Pruned { batches: 1, jobs: 2, events: 0 }.to_string(), "1 batch with 2 jobs and 0 events");
        assert_eq!(Pruned { batches: 2, jobs: 1, events: 1 }.to_string(), "2 batches with 1 job and 1 event");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".*", sure in "[0-9]{0,25}[wdhms]") {
            let _ = Keep::parse(&text, &At::Root);
            if let Ok(keep) = Keep::parse(&sure, &At::Root) {
                prop_assert_eq!(Keep::parse(&keep.to_string(), &At::Root), Ok(keep));
            }
        }
    }
}
