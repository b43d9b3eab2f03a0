//! When something is due.

use async_graphql::{Enum, InputObject, SimpleObject};

use crate::{
    domain::{
        timetable::{self, Due, TimetableDraft},
        zone,
    },
    graphql::scalar::DateTime,
};

/// What becomes of a run at a time that the clocks leave out, when they are put forward.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "timetable::ClockGap")]
pub enum ClockGap {
    /// It is due at the first instant after the gap.
    Shift,
    /// It is left out.
    Skip,
}

/// What becomes of a run at a time that the clocks show twice, when they are put back.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "timetable::ClockOverlap")]
pub enum ClockOverlap {
    /// It is due the first time.
    First,
    /// It is due the second time.
    Last,
    /// It is due both times.
    Both,
}

/// What a change of the clocks has made of a run.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "timetable::ClockLabel")]
pub enum ClockLabel {
    /// The clocks leave out its time: it is due right after.
    Shifted,
    /// The clocks show its time twice: this is the first.
    FirstOfTwo,
    /// The clocks show its time twice: this is the second.
    SecondOfTwo,
}

/// When a schedule is due.
#[derive(InputObject)]
pub struct TimetableInput {
    /// A cron expression: minutes, hours, day of the month, month, day of the week; or six fields, with seconds
    /// first; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Where the hours are a wild card (`*`, `*/2`),
    /// it is due by real time when the clocks change: what falls out falls out, what comes twice comes twice.
    cron: String,
    /// The time zone whose clocks count, by its name in the IANA database (`Europe/Berlin`); left out: UTC.
    time_zone: Option<String>,
    /// What becomes of times that the clocks leave out.
    #[graphql(default_with = "ClockGap::Shift")]
    clock_gap: ClockGap,
    /// What becomes of times that the clocks show twice.
    #[graphql(default_with = "ClockOverlap::First")]
    clock_overlap: ClockOverlap,
}

impl From<TimetableInput> for TimetableDraft {
    fn from(input: TimetableInput) -> Self {
        let TimetableInput { cron, time_zone, clock_gap, clock_overlap } = input;
        Self { cron, time_zone, gap: clock_gap.into(), overlap: clock_overlap.into() }
    }
}

/// When a schedule is due.
#[derive(SimpleObject)]
#[graphql(serial)]
pub struct Timetable {
    /// The cron expression, as it was written.
    cron: String,
    /// The time zone whose clocks count.
    time_zone: String,
    /// What becomes of times that the clocks leave out.
    clock_gap: ClockGap,
    /// What becomes of times that the clocks show twice.
    clock_overlap: ClockOverlap,
}

impl From<&timetable::Timetable> for Timetable {
    fn from(timetable: &timetable::Timetable) -> Self {
        Self {
            cron: timetable.cron.to_string(),
            time_zone: timetable.zone.name().to_owned(),
            clock_gap: timetable.gap.into(),
            clock_overlap: timetable.overlap.into(),
        }
    }
}

/// An instant at which a schedule is due.
#[derive(SimpleObject)]
#[graphql(serial)]
pub struct NextRun {
    /// The instant.
    at: DateTime,
    /// What the clocks of the time zone show then, with their distance from UTC: `2026-03-29T03:00:00+02:00`.
    local: String,
    /// What a change of the clocks has made of it; null on all other days.
    label: Option<ClockLabel>,
}

impl From<Due> for NextRun {
    fn from(due: Due) -> Self {
        let offset = zone::fixed(due.offset).map(|offset| offset.to_string()).unwrap_or_default();
        Self {
            at: DateTime(due.at),
            local: format!("{}{offset}", due.clock.format("%Y-%m-%dT%H:%M:%S")),
            label: due.label.map(ClockLabel::from),
        }
    }
}
