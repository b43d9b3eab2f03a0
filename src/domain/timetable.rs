//! The instants at which a schedule is due: its cron expression by the clocks of its time zone, with what is
//! to be done on the days on which these change.
//!
//! Between two changes the clocks of a zone run evenly, so an instant and what the clocks show are the same up
//! to an offset. A `Walk` goes through these stretches one after the other. Where the clocks are put forward,
//! the times between are a *gap*: they never come. Where they are put back, the times between are an
//! *overlap*: they come at the end of one stretch and at the start of the next.

#[cfg(test)]
mod reference;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::{
    cron::CronExpression,
    problem::{At, Problem, keep},
    zone::{ClockChange, TimeZone},
};

/// A timetable as it was written.
#[derive(Debug, Clone, Default)]
pub struct TimetableDraft {
    /// See [`Timetable::cron`].
    pub cron: String,
    /// The name of [`Timetable::zone`]; `None`: UTC.
    pub time_zone: Option<String>,
    /// See [`Timetable::gap`].
    pub gap: ClockGap,
    /// See [`Timetable::overlap`].
    pub overlap: ClockOverlap,
}

/// What becomes of a run in a gap: at a time that the clocks leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClockGap {
    /// It is due at the first instant after the gap.
    #[default]
    Shift,
    /// It is left out.
    Skip,
}

/// What becomes of a run in an overlap: at a time that the clocks show twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClockOverlap {
    /// It is due the first time.
    #[default]
    First,
    /// It is due the second time.
    Last,
    /// It is due both times.
    Both,
}

/// What a change of the clocks has made of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClockLabel {
    /// The clocks leave out its time: it is due right after.
    Shifted,
    /// The clocks show its time twice: this is the first.
    FirstOfTwo,
    /// The clocks show its time twice: this is the second.
    SecondOfTwo,
}

/// A cron expression with its time zone and what is to be done when the clocks change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    /// When it is due by the clocks.
    pub cron: CronExpression,
    /// Whose clocks.
    pub zone: TimeZone,
    /// What becomes of times that never come. An expression that is due every hour leaves them out.
    pub gap: ClockGap,
    /// What becomes of times that come twice. An expression that is due every hour takes both.
    pub overlap: ClockOverlap,
}

/// An instant at which something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The instant, UTC, in whole seconds.
    pub at: DateTime<Utc>,
    /// What the clocks show then.
    pub clock: NaiveDateTime,
    /// How far ahead of UTC they are.
    pub offset: TimeDelta,
    /// What a change of the clocks has made of it.
    pub label: Option<ClockLabel>,
}

impl ClockGap {
    const ALL: [Self; 2] = [Self::Shift, Self::Skip];

    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shift => "shift",
            Self::Skip => "skip",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|gap| gap.name() == name)
    }
}

impl ClockOverlap {
    const ALL: [Self; 3] = [Self::First, Self::Last, Self::Both];

    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
            Self::Both => "both",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|overlap| overlap.name() == name)
    }
}

impl Timetable {
    /// Checks what was written, and says everything that is wrong with it.
    pub fn parse(draft: &TimetableDraft, at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let TimetableDraft { cron, time_zone, gap, overlap } = draft;
        let cron = keep(CronExpression::parse(cron, &at.field("cron")), problems);
        let zone = match time_zone {
            None => Some(TimeZone::UTC),
            Some(name) => keep(TimeZone::parse(name, &at.field("time_zone")), problems),
        };
        Some(Self { cron: cron?, zone: zone?, gap: *gap, overlap: *overlap })
    }

    /// What is due after this instant, in order.
    pub fn after(&self, instant: DateTime<Utc>) -> impl Iterator<Item = Due> + '_ {
        Walk::start(self, instant)
    }

    fn effective_gap(&self) -> ClockGap {
        if self.cron.is_every_hour() { ClockGap::Skip } else { self.gap }
    }

    fn effective_overlap(&self) -> ClockOverlap {
        if self.cron.is_every_hour() { ClockOverlap::Both } else { self.overlap }
    }
}

/// Where a walk along the instants of a timetable stands.
struct Walk<'a> {
    timetable: &'a Timetable,
    /// How far ahead of UTC the clocks are in this stretch.
    offset: TimeDelta,
    /// The change with which the stretch begins.
    begin: Option<ClockChange>,
    /// The change with which it ends.
    end: Option<ClockChange>,
    /// What the clocks show at the first second that was not looked at.
    clock: NaiveDateTime,
}

impl<'a> Walk<'a> {
    fn start(timetable: &'a Timetable, after: DateTime<Utc>) -> Self {
        let zone = &timetable.zone;
        let second = DateTime::from_timestamp(after.timestamp(), 0).unwrap_or(after);
        let offset = zone.offset_at(second);
        let clock = second.naive_utc() + offset + TimeDelta::seconds(1);
        let (begin, end) = (zone.change_until(second), zone.change_after(second));
        let walk = Self { timetable, offset, begin, end, clock };
        Self { clock: clock.max(walk.first_clock()), ..walk }
    }

    /// What the clocks show at the first second of this stretch that may be due.
    fn first_clock(&self) -> NaiveDateTime {
        let Some(begin) = self.begin else { return NaiveDateTime::MIN };
        match self.timetable.effective_overlap() {
            ClockOverlap::First => begin.clock_before().max(begin.clock_after()),
            ClockOverlap::Last | ClockOverlap::Both => begin.clock_after(),
        }
    }

    /// Goes on to the next stretch. Gives what is due at its very start, in place of what falls into a gap.
    fn cross(&mut self, change: ClockChange, next: NaiveDateTime) -> Option<Due> {
        let falls_into_gap = next < change.clock_after();
        self.offset = change.after;
        self.begin = Some(change);
        self.end = self.timetable.zone.change_after(change.at);
        self.clock = self.first_clock();
        (falls_into_gap && self.timetable.effective_gap() == ClockGap::Shift).then(|| {
            // What is due by itself at this instant is not due twice.
            self.clock += TimeDelta::seconds(1);
            Due {
                at: change.at,
                clock: change.clock_after(),
                offset: change.after,
                label: Some(ClockLabel::Shifted),
            }
        })
    }

    /// Which of two this is, if the clocks show this time twice.
    fn label(&self, clock: NaiveDateTime) -> Option<ClockLabel> {
        if self.end.is_some_and(|end| clock >= end.clock_after()) {
            Some(ClockLabel::FirstOfTwo)
        } else if self.begin.is_some_and(|begin| clock < begin.clock_before()) {
            Some(ClockLabel::SecondOfTwo)
        } else {
            None
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        loop {
            let clock = self.timetable.cron.next_from(self.clock)?;
            match self.end {
                Some(end) if clock >= end.clock_before() => {
                    if let Some(due) = self.cross(end, clock) {
                        return Some(due);
                    }
                }
                Some(_) | None => {
                    self.clock = clock + TimeDelta::seconds(1);
                    let label = self.label(clock);
                    let comes_again = label == Some(ClockLabel::FirstOfTwo);
                    if comes_again && self.timetable.effective_overlap() == ClockOverlap::Last {
                        continue;
                    }
                    let at = (clock - self.offset).and_utc();
                    return Some(Due { at, clock, offset: self.offset, label });
                }
            }
        }
    }
}
