//! What a client asks for when it makes a backfill, and what becomes of a template in it.

use super::{Backfill, MAX_PARALLEL, PRIORITY_BELOW, WindowOrder};
use crate::domain::{
    batch::Watermarks,
    draft::{BatchDraft, JobDraft, MAX_PRIORITY},
    problem::{At, Problem, ProblemCode, keep},
    schedule::Schedule,
    since::Since,
    text::IdempotencyKey,
    windows::{Step, Stretch, Windows},
    zone::TimeZone,
};

/// What the batch of a window is to be: what the schedule's template says, of the data of that window. Its own
/// `since` and `updated_since` don't count, nor those of its jobs: the window says which data is asked for, all of it.
/// Nothing is deleted: what lies outside of the window is not shown by its extracts, and is no less there.
pub fn draft_of_window(schedule: &Schedule, window: Stretch, priority: i32) -> BatchDraft {
    let draft = schedule.draft();
    let of_window = |job| JobDraft { since: None, updated_since: None, allow_delete: false, ..job };
    BatchDraft {
        since: Some(window.since.to_string()),
        until: Some(window.until.to_string()),
        updated_since: None,
        priority,
        watermarks: Watermarks::Stay,
        jobs: draft.jobs.into_iter().map(of_window).collect(),
        ..draft
    }
}

/// What a client asks for when it makes a backfill. Times are still as they were written.
#[derive(Debug, Clone)]
pub struct BackfillDraft {
    /// The schedule's id.
    pub schedule_id: String,
    /// See [`Windows::from`].
    pub from: String,
    /// See [`Windows::to`].
    pub to: String,
    /// See [`Windows::step`].
    pub step: String,
    /// See [`Backfill::max_parallel`].
    pub max_parallel: i32,
    /// See [`Backfill::priority`]; `None`: as far below the schedule's as is usual.
    pub priority: Option<i32>,
    /// See [`Backfill::order`].
    pub order: WindowOrder,
    /// See [`Backfill::watermarks`].
    pub watermarks: Watermarks,
    /// Makes a repeated request harmless.
    pub idempotency_key: Option<String>,
}

/// A backfill that can be made, if its schedule's template still does.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBackfill {
    /// See [`Backfill::windows`].
    pub windows: Windows,
    /// See [`Backfill::order`].
    pub order: WindowOrder,
    /// See [`Backfill::max_parallel`].
    pub max_parallel: u32,
    /// See [`Backfill::priority`].
    pub priority: i32,
    /// See [`Backfill::watermarks`].
    pub watermarks: Watermarks,
    /// Makes a repeated request harmless.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl NewBackfill {
    /// Checks a draft and says everything that is wrong with it, as far as can be said where there is no schedule.
    pub fn parse(
        draft: BackfillDraft,
        schedule: Option<&Schedule>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let at = At::Root;
        let from = keep(Since::parse(&draft.from, &at.field("from")), problems);
        let to = keep(Since::parse(&draft.to, &at.field("to")), problems);
        let step = keep(Step::parse(&draft.step, &at.field("step")), problems);
        let zone = schedule.and_then(|schedule| schedule.timetable.as_ref()).map(|timetable| &timetable.zone);
        let zone = zone.cloned().unwrap_or(TimeZone::UTC);
        let bounds = from.zip(to).filter(|(from, to)| {
            let before = from < to;
            if !before {
                let message = format!("this must be later than {from}, where the first window begins");
                problems.push(at.field("to").problem(ProblemCode::OutOfRange, message));
            }
            before
        });
        let windows = bounds.zip(step).and_then(|((from, to), step)| {
            keep(Windows::cut(from, to, step, zone, &at.field("step")), problems)
        });
        let max_parallel = u32::try_from(draft.max_parallel).ok();
        let max_parallel = max_parallel.filter(|_| (1..=MAX_PARALLEL).contains(&draft.max_parallel));
        if max_parallel.is_none() {
            let message = format!("this must be between 1 and {MAX_PARALLEL}");
            problems.push(at.field("max_parallel").problem(ProblemCode::OutOfRange, message));
        }
        let live = schedule.map_or(MAX_PRIORITY, |schedule| schedule.template.priority);
        let priority = keep(priority(draft.priority, live), problems);
        let none_to_move = schedule.is_some_and(|schedule| schedule.incremental.is_none());
        if draft.watermarks == Watermarks::Move && none_to_move {
            let message = "this schedule is not incremental and has no watermarks; leave this out";
            problems.push(at.field("advance_watermark").problem(ProblemCode::InvalidValue, message));
        }
        let at_key = at.field("idempotency_key");
        let idempotency_key =
            draft.idempotency_key.and_then(|key| keep(IdempotencyKey::parse(key, &at_key), problems));
        let (windows, max_parallel, priority) = (windows?, max_parallel?, priority?);
        let BackfillDraft { order, watermarks, .. } = draft;
        Some(Self { windows, order, max_parallel, priority, watermarks, idempotency_key })
    }
}

/// The priority of a backfill's batches: lower than that of its schedule's.
fn priority(asked_for: Option<i32>, live: i32) -> Result<i32, Problem> {
    let priority = asked_for.unwrap_or((live - PRIORITY_BELOW).max(-MAX_PRIORITY));
    if (-MAX_PRIORITY..live).contains(&priority) {
        return Ok(priority);
    }
    let message = if live <= -MAX_PRIORITY {
        format!(
            "the schedule's own batches go first, and have the lowest priority that there is ({live}): raise it"
        )
    } else {
        let most = live - 1;
        format!(
            "this must be between {} and {most}: the schedule's own batches ({live}) go first",
            -MAX_PRIORITY
        )
    };
    Err(At::Root.field("priority").problem(ProblemCode::OutOfRange, message))
}

impl Backfill {
    /// Whether it was made of the same request. Whoever left the priority open has asked for any.
    pub fn is_of(&self, new: &NewBackfill, priority: Option<i32>) -> bool {
        let Self { windows, order, max_parallel, watermarks, .. } = self;
        (windows, order, max_parallel) == (&new.windows, &new.order, &new.max_parallel)
            && *watermarks == new.watermarks
            && priority.is_none_or(|priority| priority == self.priority)
    }
}
