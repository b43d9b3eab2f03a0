//! Schedules: the template of a batch, and when to make one.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    batch::{NewBatch, Watermarks},
    draft::BatchDraft,
    id::{ScheduleId, TenantId},
    problem::{At, Problem, ProblemCode, Segment, keep},
    text::Name,
    timetable::{Timetable, TimetableDraft},
};

/// How far back missed firings are looked at where nobody says otherwise, in seconds: a day.
pub const DEFAULT_CATCH_UP_SECONDS: i32 = 24 * 60 * 60;
/// The longest that can be asked for, in seconds: 31 days.
pub const MAX_CATCH_UP_SECONDS: i32 = 31 * 24 * 60 * 60;

/// The longest overlap of an incremental schedule, in seconds: 30 days.
pub const MAX_OVERLAP_SECONDS: i32 = 30 * 24 * 60 * 60;

/// That the batches of a schedule ask for what has changed since the last that has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incremental {
    /// How much further back they ask: what was changed and not yet to be seen when the last one began, clocks that
    /// differ.
    pub overlap: TimeDelta,
}

/// What becomes of a firing while an earlier batch of the schedule has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OverlapPolicy {
    /// It is left out.
    #[default]
    Skip,
    /// It waits until that one has ended. At most one waits; others are left out.
    Queue,
    /// The earlier batch is canceled.
    CancelPrevious,
    /// Both run.
    Allow,
}

/// What becomes of firings that were due while no server ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CatchUp {
    /// They are left out.
    None,
    /// The last one is made up for, if nothing has been due since.
    #[default]
    Latest,
    /// All are made up for, oldest first; no more than [`MAX_CATCH_UP`](super::firing::MAX_CATCH_UP).
    All,
}

/// Whether and when a schedule fires by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleState {
    /// It fires when it is due.
    Active {
        /// The next instant at which it is due, UTC; `None`: it fires on demand only.
        next_at: Option<DateTime<Utc>>,
    },
    /// It fires on demand only, until it is resumed.
    Paused {
        /// Since when, UTC.
        since: DateTime<Utc>,
    },
}

/// A schedule as it is stored.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// The tenant it belongs to.
    pub tenant_id: TenantId,
    /// Its name, unique in its tenant.
    pub name: Name,
    /// What its batches are to be: everything but the tenant and an idempotency key.
    pub template: Arc<BatchDraft>,
    /// When it is due; `None`: on demand only.
    pub timetable: Option<Timetable>,
    /// Whether its batches ask for what has changed since the last success only; `None`: for everything.
    pub incremental: Option<Incremental>,
    /// What becomes of a firing while an earlier batch has not ended.
    pub overlap_policy: OverlapPolicy,
    /// What becomes of firings that were missed.
    pub catch_up: CatchUp,
    /// How far back missed firings are made up for.
    pub catch_up_window: TimeDelta,
    /// Whether it fires by itself.
    pub state: ScheduleState,
    /// Rises with every change of the schedule, but not with its firings.
    pub version: i32,
    /// When it was made, UTC.
    pub created_at: DateTime<Utc>,
    /// When it was last changed, UTC.
    pub updated_at: DateTime<Utc>,
}

impl Schedule {
    /// The next instant at which it is due, UTC.
    pub fn next_at(&self) -> Option<DateTime<Utc>> {
        match self.state {
            ScheduleState::Active { next_at } => next_at,
            ScheduleState::Paused { .. } => None,
        }
    }

    /// The first instant after this one at which it is due, UTC, if it is not paused.
    pub fn due_after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Some(self.timetable.as_ref()?.after(instant).next()?.at)
    }

    /// What a batch of it is to be.
    pub fn draft(&self) -> BatchDraft {
        BatchDraft {
            tenant_id: Some(self.tenant_id.to_string()),
            watermarks: moved_by(self.incremental),
            ..BatchDraft::clone(&self.template)
        }
    }
}

/// What a client asks for when it makes a schedule or replaces its definition.
#[derive(Debug, Clone)]
pub struct ScheduleDraft {
    /// See [`Schedule::name`].
    pub name: String,
    /// See [`Schedule::template`]; its tenant is the schedule's.
    pub template: BatchDraft,
    /// See [`Schedule::timetable`].
    pub timetable: Option<TimetableDraft>,
    /// See [`Schedule::incremental`].
    pub incremental: Option<IncrementalDraft>,
    /// See [`Schedule::overlap_policy`].
    pub overlap_policy: OverlapPolicy,
    /// See [`Schedule::catch_up`].
    pub catch_up: CatchUp,
    /// See [`Schedule::catch_up_window`], in seconds.
    pub catch_up_seconds: i32,
}

/// What a client asks for when a schedule is to be [incremental](Schedule::incremental).
#[derive(Debug, Clone, Copy)]
pub struct IncrementalDraft {
    /// See [`Incremental::overlap`], in seconds.
    pub overlap_seconds: i32,
}

/// The definition of a schedule whose fields are right. What its template refers to has still to be looked up.
#[derive(Debug, Clone)]
pub struct NewSchedule {
    /// See [`Schedule::tenant_id`].
    pub tenant_id: TenantId,
    /// See [`Schedule::name`].
    pub name: Name,
    /// See [`Schedule::template`].
    pub template: BatchDraft,
    /// See [`Schedule::timetable`].
    pub timetable: Option<Timetable>,
    /// See [`Schedule::incremental`].
    pub incremental: Option<Incremental>,
    /// See [`Schedule::overlap_policy`].
    pub overlap_policy: OverlapPolicy,
    /// See [`Schedule::catch_up`].
    pub catch_up: CatchUp,
    /// See [`Schedule::catch_up_window`].
    pub catch_up_window: TimeDelta,
}

impl NewSchedule {
    /// Checks a draft, with what `check` has to say about the template, and says everything that is wrong.
    pub fn parse(
        draft: ScheduleDraft,
        check: impl FnOnce(BatchDraft) -> Result<NewBatch, Vec<Problem>>,
    ) -> Result<Self, Vec<Problem>> {
        let at = At::Root;
        let problems = &mut Vec::new();
        let ScheduleDraft { template, overlap_policy, catch_up, .. } = draft;
        let name = keep(Name::parse(draft.name, &at.field("name")), problems);
        let at_timetable = at.field("timetable");
        let timetable =
            draft.timetable.as_ref().map(|timetable| Timetable::parse(timetable, &at_timetable, problems));
        if !(0..=MAX_CATCH_UP_SECONDS).contains(&draft.catch_up_seconds) {
            let message = format!("this must be between 0 and {MAX_CATCH_UP_SECONDS} seconds (31 days)");
            problems.push(at.field("catch_up_seconds").problem(ProblemCode::OutOfRange, message));
        }
        let incremental =
            draft.incremental.map(|draft| Incremental::parse(draft, &at.field("incremental"), problems));
        let watermarks = moved_by(incremental);
        let asked_for = BatchDraft { watermarks, ..template.clone() };
        let batch =
            check(asked_for).map_err(|found| problems.extend(found.into_iter().map(in_template))).ok();
        match (name, timetable, batch) {
            (Some(name), timetable @ (None | Some(Some(_))), Some(batch)) if problems.is_empty() => {
                Ok(Self {
                    tenant_id: batch.tenant_id,
                    name,
                    template: BatchDraft { tenant_id: None, ..template },
                    timetable: timetable.flatten(),
                    incremental,
                    overlap_policy,
                    catch_up,
                    catch_up_window: TimeDelta::seconds(draft.catch_up_seconds.into()),
                })
            }
            _ => Err(std::mem::take(problems)),
        }
    }
}

impl Incremental {
    /// Checks a draft. One that is wrong is one all the same, so that what it asks of the template is found too.
    fn parse(draft: IncrementalDraft, at: &At<'_>, problems: &mut Vec<Problem>) -> Self {
        let IncrementalDraft { overlap_seconds } = draft;
        if !(0..=MAX_OVERLAP_SECONDS).contains(&overlap_seconds) {
            let message = format!("this must be between 0 and {MAX_OVERLAP_SECONDS} seconds (30 days)");
            problems.push(at.field("overlap_seconds").problem(ProblemCode::OutOfRange, message));
        }
        Self { overlap: TimeDelta::seconds(overlap_seconds.into()) }
    }
}

/// What becomes of the watermarks when a batch of a schedule ends.
fn moved_by(incremental: Option<Incremental>) -> Watermarks {
    match incremental {
        None => Watermarks::Stay,
        Some(Incremental { .. }) => Watermarks::Move,
    }
}

/// A problem of a batch, as a problem of the template that it comes from. The tenant is the schedule's.
fn in_template(problem: Problem) -> Problem {
    match problem.path.first() {
        Some(Segment::Field("tenant_id")) => problem,
        Some(_) | None => problem.under(&[Segment::Field("template")]),
    }
}

impl OverlapPolicy {
    const ALL: [Self; 4] = [Self::Skip, Self::Queue, Self::CancelPrevious, Self::Allow];

    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::CancelPrevious => "cancel_previous",
            Self::Allow => "allow",
        }
    }

    /// The policy with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }
}

impl CatchUp {
    const ALL: [Self; 3] = [Self::None, Self::Latest, Self::All];

    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Latest => "latest",
            Self::All => "all",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|catch_up| catch_up.name() == name)
    }
}
