//! Firings: what became of a schedule at an instant at which it was due, or when somebody triggered it. Every
//! such instant leaves exactly one record.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    attempt::JobError,
    id::{BatchId, FiringId, ScheduleId, TenantId},
    problem::{Problem, ProblemCode},
    schedule::{CatchUp, OverlapPolicy, Schedule},
    text::{Message, Text},
};

/// How late a firing may be and still be no missed one: servers start, databases pause.
pub const GRACE: TimeDelta = TimeDelta::seconds(60);
/// The most missed firings of a schedule that are made up for at once.
pub const MAX_CATCH_UP: usize = 100;

/// What made a schedule fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FiringCause {
    /// Its timetable.
    Timetable,
    /// Somebody who did not want to wait.
    Trigger,
}

/// Why a firing was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// An earlier batch of the schedule had not ended.
    Overlap,
    /// No server ran when it was due, and it is not made up for.
    Missed,
}

/// What became of a firing.
#[derive(Debug, Clone, PartialEq)]
pub enum FiringOutcome {
    /// A batch was made.
    Fired {
        /// The batch.
        batch_id: BatchId,
    },
    /// It waits for an earlier batch of the schedule to end.
    Queued,
    /// It was left out.
    Skipped(SkipReason),
    /// A batch could not be made of the template.
    Failed(Vec<FiringProblem>),
}

impl FiringOutcome {
    /// Nothing came of it, for these reasons.
    pub fn failed(problems: Vec<Problem>) -> Self {
        Self::Failed(problems.into_iter().map(FiringProblem::from).collect())
    }
}

/// What was wrong with a template when its schedule fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiringProblem {
    /// The kind of problem.
    pub code: ProblemCode,
    /// What is wrong and what would be right.
    pub message: String,
    /// The place in the template.
    pub path: Vec<String>,
}

impl FiringProblem {
    /// What the history tells of it.
    pub fn told(&self, at: DateTime<Utc>) -> JobError {
        let code = Text::stored(self.code.name().to_owned());
        JobError { code, message: Message::of(self.message.clone()), at }
    }
}

impl From<Problem> for FiringProblem {
    fn from(problem: Problem) -> Self {
        let path = problem.path.iter().map(ToString::to_string).collect();
        Self { code: problem.code, message: problem.message, path }
    }
}

/// The record of a firing.
#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    /// Its id.
    pub id: FiringId,
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// The tenant of the schedule.
    pub tenant_id: TenantId,
    /// When it was due, UTC.
    pub due_at: DateTime<Utc>,
    /// What made it due.
    pub cause: FiringCause,
    /// When it was last said what became of it, UTC.
    pub at: DateTime<Utc>,
    /// What became of it.
    pub outcome: FiringOutcome,
}

/// An instant at which a schedule was due, and whether that was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueFiring {
    /// The instant, UTC.
    pub at: DateTime<Utc>,
    /// Whether it is too late for it.
    pub missed: Missed,
}

/// Whether it is too late for a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// It is, and it is not made up for.
    Yes,
    /// It is not, or it is made up for.
    No,
}

/// What has been due up to now, oldest first, and when the schedule is due next.
struct DueFirings<'a> {
    coming: Box<dyn Iterator<Item = DateTime<Utc>> + 'a>,
    /// What comes next: what is due already, as many as can be made up for, or the first that is not due yet.
    ahead: VecDeque<DateTime<Utc>>,
    catch_up: CatchUp,
    window: TimeDelta,
    now: DateTime<Utc>,
}

impl<'a> DueFirings<'a> {
    /// What of this schedule has been due up to now and has left no record.
    fn of(schedule: &'a Schedule, now: DateTime<Utc>) -> Self {
        let next = schedule.next_at().zip(schedule.timetable.as_ref());
        let coming: Box<dyn Iterator<Item = DateTime<Utc>>> = match next {
            Some((next, timetable)) => {
                Box::new(timetable.after(next - TimeDelta::seconds(1)).map(|due| due.at))
            }
            None => Box::new(std::iter::empty()),
        };
        let (catch_up, window) = (schedule.catch_up, schedule.catch_up_window);
        Self { coming, ahead: VecDeque::new(), catch_up, window, now }
    }

    /// The next instant at which the schedule is due, of those that were not given out, UTC.
    fn next_at(&mut self) -> Option<DateTime<Utc>> {
        self.look_ahead(1);
        self.ahead.front().copied()
    }

    fn look_ahead(&mut self, instants: usize) {
        while self.ahead.len() < instants && self.ahead.back().is_none_or(|last| *last <= self.now) {
            let Some(next) = self.coming.next() else { return };
            self.ahead.push_back(next);
        }
    }

    /// Whether fewer than this many others have been due since the last that was given out.
    fn fewer_follow(&mut self, others: usize) -> bool {
        self.look_ahead(others);
        self.ahead.len() < others || self.ahead.back().is_none_or(|last| *last > self.now)
    }
}

impl Iterator for DueFirings<'_> {
    type Item = DueFiring;

    fn next(&mut self) -> Option<DueFiring> {
        let at = self.next_at().filter(|at| *at <= self.now)?;
        self.ahead.pop_front();
        let late = self.now - at;
        let made_up_for = match self.catch_up {
            CatchUp::None => false,
            CatchUp::Latest => self.fewer_follow(1),
            CatchUp::All => self.fewer_follow(MAX_CATCH_UP),
        };
        let in_time = late <= GRACE || (late <= self.window && made_up_for);
        Some(DueFiring { at, missed: if in_time { Missed::No } else { Missed::Yes } })
    }
}

/// What of a schedule has been due up to now and has left no record, the oldest, at most so many; and when it is due
/// next after those, UTC.
pub fn due_up_to(
    schedule: &Schedule,
    now: DateTime<Utc>,
    most: usize,
) -> (Vec<DueFiring>, Option<DateTime<Utc>>) {
    let mut due = DueFirings::of(schedule, now);
    let firings = due.by_ref().take(most).collect();
    (firings, due.next_at())
}

/// What is to be done about a firing, beside others of its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A batch is made.
    Fire,
    /// The batches that have not ended are canceled, and one is made.
    CancelAndFire,
    /// It waits until they have ended.
    Queue,
    /// It is left out.
    Skip,
}

/// What else of a schedule there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Others {
    /// How many of its batches have not ended.
    pub active: usize,
    /// How many of its firings wait.
    pub queued: usize,
}

impl OverlapPolicy {
    /// What is to be done about a firing.
    pub fn decide(self, others: Others) -> Decision {
        let Others { active, queued } = others;
        match self {
            Self::Allow => Decision::Fire,
            Self::Skip | Self::Queue | Self::CancelPrevious if active == 0 && queued == 0 => Decision::Fire,
            Self::Skip => Decision::Skip,
            Self::Queue if queued == 0 => Decision::Queue,
            Self::Queue => Decision::Skip,
            Self::CancelPrevious => Decision::CancelAndFire,
        }
    }
}

impl FiringCause {
    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timetable => "timetable",
            Self::Trigger => "trigger",
        }
    }

    /// The cause with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Timetable, Self::Trigger].into_iter().find(|cause| cause.name() == name)
    }
}

impl SkipReason {
    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Missed => "missed",
        }
    }

    /// The reason with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Overlap, Self::Missed].into_iter().find(|reason| reason.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::Timelike;
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::domain::{
        draft::BatchDraft,
        problem::At,
        schedule::ScheduleState,
        tenant::DEFAULT_TENANT,
        text::Name,
        timetable::{Timetable, TimetableDraft},
    };

    fn time(text: &str) -> DateTime<Utc> {
        format!("2026-11-26T{text}Z").parse().unwrap()
    }

    fn schedule(cron: &str, next: &str, catch_up: CatchUp, window: i64) -> Schedule {
        let draft = TimetableDraft { cron: cron.into(), ..TimetableDraft::default() };
        Schedule {
            id: ScheduleId::new(time(next)),
            tenant_id: DEFAULT_TENANT,
            name: Name::stored("hourly".into()),
            template: Arc::new(BatchDraft::default()),
            timetable: Timetable::parse(&draft, &At::Root, &mut Vec::new()),
            incremental: None,
            overlap_policy: OverlapPolicy::Skip,
            catch_up,
            catch_up_window: TimeDelta::seconds(window),
            state: ScheduleState::Active { next_at: Some(time(next)) },
            version: 1,
            created_at: time(next),
            updated_at: time(next),
        }
    }

    /// `+` for what is fired and `-` for what is left out, oldest first, and when it is due next.
    fn due(schedule: &Schedule, now: &str) -> (String, DateTime<Utc>) {
        let (firings, next_at) = due_up_to(schedule, time(now), usize::MAX);
        let mark = |firing: &DueFiring| match firing.missed {
            Missed::Yes => '-',
            Missed::No => '+',
        };
        (firings.iter().map(mark).collect(), next_at.unwrap())
    }

    #[test]
    fn what_is_due_in_time_is_fired_whatever_is_made_up_for() {
        for catch_up in [CatchUp::None, CatchUp::Latest, CatchUp::All] {
            let schedule = schedule("0 * * * *", "10:00:00", catch_up, 0);
            assert_eq!(due(&schedule, "09:59:59"), (String::new(), time("10:00:00")));
            assert_eq!(due(&schedule, "10:00:00"), ("+".into(), time("11:00:00")));
            assert_eq!(due(&schedule, "10:00:59.9"), ("+".into(), time("11:00:00")));
        }
    }

    #[test]
    fn what_was_missed_is_made_up_for_as_the_schedule_says() {
        let missed =
            |catch_up, window| due(&schedule("0 * * * *", "03:00:00", catch_up, window), "09:30:00").0;
        assert_eq!(missed(CatchUp::None, 86_400), "-------");
        assert_eq!(missed(CatchUp::Latest, 86_400), "------+");
        assert_eq!(missed(CatchUp::Latest, 1_000), "-------");
        assert_eq!(missed(CatchUp::All, 86_400), "+++++++");
        assert_eq!(missed(CatchUp::All, 3 * 3_600), "----+++");
    }

    #[test]
    fn what_is_due_now_stands_for_the_latest_that_was_missed() {
        let schedule = schedule("0 * * * *", "07:00:00", CatchUp::Latest, 86_400);
        assert_eq!(due(&schedule, "09:00:10").0, "--+");
    }

    #[test]
    fn no_more_than_a_bounded_number_is_made_up_for() {
        let (marks, next) = due(&schedule("* * * * *", "03:00:00", CatchUp::All, 86_400), "09:00:00");
        assert_eq!(marks.len(), 361);
        assert_eq!(marks.matches('+').count(), MAX_CATCH_UP);
        assert!(marks.ends_with(&"+".repeat(MAX_CATCH_UP)));
        assert_eq!(next, time("09:01:00"));
    }

    #[test]
    fn who_meets_an_earlier_batch_does_as_its_policy_says() {
        let decided = |policy: OverlapPolicy| {
            [(0, 0), (1, 0), (1, 1), (0, 1)].map(|(active, queued)| policy.decide(Others { active, queued }))
        };
        use Decision::{CancelAndFire, Fire, Queue, Skip};
        assert_eq!(decided(OverlapPolicy::Skip), [Fire, Skip, Skip, Skip]);
        assert_eq!(decided(OverlapPolicy::Queue), [Fire, Queue, Skip, Skip]);
        assert_eq!(
            decided(OverlapPolicy::CancelPrevious),
            [Fire, CancelAndFire, CancelAndFire, CancelAndFire]
        );
        assert_eq!(decided(OverlapPolicy::Allow), [Fire; 4]);
    }

    proptest! {
        #[test]
        fn whoever_looks_when_and_how_often_finds_each_instant_once_in_order(
            every in 1..60_u32,
            in_seconds in any::<bool>(),
            catch_up in select(vec![CatchUp::None, CatchUp::Latest, CatchUp::All]),
            window in 0..1_000_i64,
            most in 1..500_usize,
            // Clocks are set back, too.
            steps in vec(-60..300_i64, 1..20),
        ) {
            let cron = if in_seconds { format!("*/{every} * * * * *") } else { format!("*/{every} * * * *") };
            let mut schedule = schedule(&cron, "10:00:00", catch_up, window);
            let (mut now, mut latest, mut found) = (time("09:59:00"), time("09:59:00"), Vec::new());
            for step in steps {
                now += TimeDelta::seconds(step);
                latest = latest.max(now);
                while schedule.next_at().unwrap() <= now {
                    let (due, next_at) = due_up_to(&schedule, now, most);
                    for firing in &due {
                        let late = now - firing.at;
                        let missed = firing.missed == Missed::Yes;
                        prop_assert!(!missed || late > GRACE, "{firing:?} at {now}");
                        prop_assert!(missed || late <= GRACE.max(schedule.catch_up_window), "{firing:?} at {now}");
                    }
                    found.extend(due.iter().map(|firing| firing.at));
                    schedule.state = ScheduleState::Active { next_at };
                }
            }
            let is_due = |at: &DateTime<Utc>| match in_seconds {
                true => at.second().is_multiple_of(every),
                false => at.second() == 0 && at.minute().is_multiple_of(every),
            };
            let seconds = (0..).map(|seconds| time("10:00:00") + TimeDelta::seconds(seconds));
            let expected: Vec<_> = seconds.take_while(|at| *at <= latest).filter(is_due).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
