//! Time zones of the IANA database, which is built in: the same on every machine.

use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDateTime, TimeDelta, Utc};
use jiff::{Span, Timestamp, tz};

use super::problem::{At, Problem, ProblemCode};

/// How alike two names must be, from 0 to 1, for the one to be proposed in place of the other.
const ALIKE: f64 = 0.8;

/// A time zone, `Europe/Berlin` for instance.
#[derive(Clone, PartialEq, Eq)]
pub struct TimeZone(tz::TimeZone);

/// A time at which the clocks of a zone are put forward or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockChange {
    /// When, UTC.
    pub at: DateTime<Utc>,
    /// How far ahead of UTC the clocks are up to then.
    pub before: TimeDelta,
    /// And from then on.
    pub after: TimeDelta,
}

impl TimeZone {
    /// UTC.
    pub const UTC: Self = Self(tz::TimeZone::UTC);

    /// The zone with this name, in whatever case it is written.
    pub fn parse(name: &str, at: &At<'_>) -> Result<Self, Problem> {
        let known = tz::db().available().find(|known| known.as_str().eq_ignore_ascii_case(name));
        known.and_then(|known| tz::db().get(known.as_str()).ok()).map(Self).ok_or_else(|| {
            let mut message = "this is no time zone of the IANA database (`Europe/Berlin`, `UTC`)".to_owned();
            if let Some(alike) = alike(name) {
                message.push_str(&format!("; did you mean `{alike}`?"));
            }
            at.problem(ProblemCode::InvalidTimeZone, message)
        })
    }

    /// Its name in the IANA database.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// How far ahead of UTC the clocks are at an instant.
    pub fn offset_at(&self, instant: DateTime<Utc>) -> TimeDelta {
        timestamp(instant).map_or(TimeDelta::zero(), |instant| delta(self.0.to_offset(instant)))
    }

    /// The instant that is so much later by the calendar and the clocks: a day after noon is noon. A time that the
    /// clocks leave out is taken as much later as they are put forward. `None`: beyond all times.
    pub fn later(&self, instant: DateTime<Utc>, by: Span) -> Option<DateTime<Utc>> {
        let instant = Timestamp::from_microsecond(instant.timestamp_micros()).ok()?;
        let later = instant.to_zoned_datetime(self.0.clone()).checked_add(by).ok()?;
        DateTime::from_timestamp_micros(later.timestamp().as_microsecond())
    }

    /// The last change of the clocks, at this instant or before.
    pub fn change_until(&self, instant: DateTime<Utc>) -> Option<ClockChange> {
        let after = instant.checked_add_signed(TimeDelta::seconds(1))?;
        let mut changes = self.0.preceding(timestamp(after)?).map(|found| self.change(found.timestamp()));
        changes.find_map(|change| change)
    }

    /// The first change of the clocks after this instant.
    pub fn change_after(&self, instant: DateTime<Utc>) -> Option<ClockChange> {
        let mut changes = self.0.following(timestamp(instant)?).map(|found| self.change(found.timestamp()));
        changes.find_map(|change| change)
    }

    /// What the database has at `at`, unless it is a change of something else, of a name for instance.
    fn change(&self, at: Timestamp) -> Option<ClockChange> {
        let at = DateTime::from_timestamp(at.as_second(), 0)?;
        let (before, after) = (self.offset_at(at - TimeDelta::seconds(1)), self.offset_at(at));
        (before != after).then_some(ClockChange { at, before, after })
    }
}

impl ClockChange {
    /// What the clocks show when they are changed.
    pub fn clock_before(&self) -> NaiveDateTime {
        self.at.naive_utc() + self.before
    }

    /// What they show right after.
    pub fn clock_after(&self) -> NaiveDateTime {
        self.at.naive_utc() + self.after
    }
}

/// The name.
impl fmt::Debug for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An offset as chrono has it.
pub fn fixed(offset: TimeDelta) -> Option<FixedOffset> {
    FixedOffset::east_opt(i32::try_from(offset.num_seconds()).ok()?)
}

fn timestamp(instant: DateTime<Utc>) -> Option<Timestamp> {
    Timestamp::from_second(instant.timestamp()).ok()
}

fn delta(offset: tz::Offset) -> TimeDelta {
    TimeDelta::seconds(offset.seconds().into())
}

fn alike(name: &str) -> Option<String> {
    let likeness =
        |known: &str| strsim::jaro_winkler(&known.to_ascii_lowercase(), &name.to_ascii_lowercase());
    let known = tz::db().available().map(|known| (likeness(known.as_str()), known.to_string()));
    let best = known.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 >= ALIKE).then_some(best.1)
}
