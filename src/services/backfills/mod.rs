//! Backfills: making, steering and reading them. What makes them go on is in [`advance`].

mod advance;
mod watermarks;
mod windows;

use std::{collections::HashMap, sync::Arc};

use super::{Error, Services, batches::lost_race, by_id, in_chunks, not_found, wakeups::Topic};
use crate::{
    domain::{
        access::{Caller, Scope},
        backfill::{
            Backfill, BackfillDraft, BackfillState, Changed, NewBackfill, WindowCounts, WindowStatus,
        },
        event::{Actor, Change, NewEvent, Subject},
        id::{BackfillId, ScheduleId},
        page::{Page, Slice},
        problem::{At, Problem, ProblemCode, keep},
        schedule::Schedule,
        windows::Windows,
    },
    store::{
        Db, Written, backfill_windows,
        backfills::{self, Left},
        events, schedules,
    },
};

/// What a backfill would run.
#[derive(Debug, Clone, PartialEq)]
pub struct BackfillPlan {
    /// Its windows.
    pub windows: Windows,
    /// The priority of its batches.
    pub priority: i32,
    /// How many jobs each of its batches would have.
    pub jobs_each: u32,
}

/// What a steering does to a locked backfill: how many of its windows are to be run again, if any are.
type Steer = fn(&mut Backfill, u32, chrono::DateTime<chrono::Utc>) -> Changed;

impl Services {
    /// The backfills with these ids, as far as the scope contains them.
    pub async fn backfills_by_id(
        &self,
        scope: Scope,
        ids: &[BackfillId],
    ) -> Result<HashMap<BackfillId, Arc<Backfill>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(ids, async |ids| backfills::by_ids(db, scope, &ids).await).await?;
        Ok(by_id(found, |backfill| backfill.id))
    }

    /// A page of the backfills of a schedule.
    pub async fn backfills(
        &self,
        caller: &Caller,
        schedule: ScheduleId,
        page: &Page,
    ) -> Result<Slice<Backfill>, Error> {
        let scope = caller.may_read()?;
        Ok(page.cut(backfills::page(self.store.reader(), scope, schedule, page).await?))
    }

    /// How many backfills a schedule has had.
    pub async fn backfill_count(&self, caller: &Caller, schedule: ScheduleId) -> Result<u64, Error> {
        let scope = caller.may_read()?;
        Ok(backfills::count(self.store.reader(), scope, schedule).await?)
    }

    /// How many windows of these backfills are in each state, of those that were begun.
    pub async fn window_counts(
        &self,
        scope: Scope,
        ids: &[BackfillId],
    ) -> Result<HashMap<BackfillId, WindowCounts>, Error> {
        let db = self.store.reader();
        let counts = async |ids: Vec<BackfillId>| {
            Ok(backfill_windows::counts(db, scope, &ids).await?.into_iter().collect())
        };
        Ok(in_chunks(ids, counts).await?.into_iter().collect())
    }

    /// What [`Self::create_backfill`] would make of a draft, without making it, as far as that can be said, and
    /// everything that is wrong.
    pub async fn plan_backfill(
        &self,
        caller: &Caller,
        draft: BackfillDraft,
    ) -> Result<(Option<BackfillPlan>, Vec<Problem>), Error> {
        let scope = caller.may_read()?;
        let db = self.store.reader();
        let mut problems = Vec::new();
        let id = keep(ScheduleId::parse(&draft.schedule_id, &at_schedule()), &mut problems);
        let schedule = match id {
            Some(id) => {
                keep(schedules::by_ids(db, scope, &[id]).await?.pop().ok_or_else(no_schedule), &mut problems)
            }
            None => None,
        };
        let new = self.check_backfill(db, draft, schedule.as_ref(), &mut problems).await?;
        let plan = new.zip(schedule).map(|(new, schedule)| BackfillPlan {
            windows: new.windows,
            priority: new.priority,
            jobs_each: schedule.template.jobs.len() as u32,
        });
        Ok((plan, problems))
    }

    /// Makes a backfill, whose first windows are begun at once. The same request under the same idempotency key
    /// gives the first backfill again.
    pub async fn create_backfill(&self, caller: &Caller, draft: BackfillDraft) -> Result<Backfill, Error> {
        let scope = caller.may_operate()?;
        let transaction = self.store.write().await?;
        let db = transaction.db();
        let mut problems = Vec::new();
        let id = keep(ScheduleId::parse(&draft.schedule_id, &at_schedule()), &mut problems);
        let schedule = match id {
            // Locked: it must not be removed without its backfills.
            Some(id) => keep(schedules::lock(db, scope, id).await?.ok_or_else(no_schedule), &mut problems),
            None => None,
        };
        let asked_for = draft.priority;
        let new = self.check_backfill(db, draft, schedule.as_ref(), &mut problems).await?;
        let (Some(schedule), Some(new)) = (schedule, new) else { return Err(problems.into()) };
        if let Some(key) = &new.idempotency_key
            && let Some(made) = backfills::by_key(db, scope, schedule.id, key).await?
        {
            return if made.is_of(&new, asked_for) { Ok(made) } else { Err(conflict(&made).into()) };
        }
        if !problems.is_empty() {
            return Err(problems.into());
        }
        let now = self.now();
        let backfill = Backfill {
            id: BackfillId::new(now),
            tenant_id: schedule.tenant_id,
            schedule_id: schedule.id,
            windows: new.windows,
            order: new.order,
            max_parallel: new.max_parallel,
            priority: new.priority,
            watermarks: new.watermarks,
            state: BackfillState::Running,
            begun: 0,
            version: 1,
            created_at: now,
            started_at: None,
            updated_at: now,
        };
        match backfills::insert(db, &backfill, new.idempotency_key.as_ref()).await? {
            Written::Done => {}
            Written::Duplicate | Written::Reference => {
                return Err(lost_race("the schedule of this backfill was changed just now"));
            }
        }
        events::append(db, &[told(&caller.actor(), &backfill, Change::BackfillCreated)]).await?;
        transaction.commit().await?;
        self.wakeups.changed(&[Topic::Backfills, Topic::History]);
        Ok(backfill)
    }

    /// Begins no more windows of a backfill until it is resumed. One that is paused already stays as it is.
    pub async fn pause_backfill(&self, caller: &Caller, id: BackfillId) -> Result<Backfill, Error> {
        self.steer(caller, id, &[], |backfill, _, now| backfill.pause(Vec::new(), now)).await
    }

    /// Begins windows of a backfill again. One that is not paused stays as it is.
    pub async fn resume_backfill(&self, caller: &Caller, id: BackfillId) -> Result<Backfill, Error> {
        self.steer(caller, id, &[], |backfill, _, now| backfill.resume(now)).await
    }

    /// Runs what did not succeed of a backfill again. Where there is nothing, it stays as it is.
    pub async fn retry_backfill(&self, caller: &Caller, id: BackfillId) -> Result<Backfill, Error> {
        let again = [WindowStatus::Failed, WindowStatus::Canceled];
        self.steer(caller, id, &again, |backfill, again, now| backfill.retry(again, now)).await
    }

    /// Cancels a backfill: no more windows are begun, and those under way are canceled as a batch is. One that was
    /// canceled already stays as it is.
    pub async fn cancel_backfill(&self, caller: &Caller, id: BackfillId) -> Result<Backfill, Error> {
        let scope = caller.may_operate()?;
        let transaction = self.store.write().await?;
        let db = transaction.db();
        let mut backfill = backfills::lock(db, scope, id).await?.ok_or_else(|| not_found("backfill"))?;
        self.cancel_locked(db, &mut backfill, &caller.actor()).await?;
        transaction.commit().await?;
        self.wakeups.changed(&Topic::OF_SCHEDULED);
        Ok(backfill)
    }

    /// Cancels the backfills of a locked schedule that is about to be removed.
    pub(super) async fn cancel_backfills_of(
        &self,
        db: &impl Db,
        schedule: ScheduleId,
        actor: &Actor,
    ) -> Result<(), Error> {
        for mut backfill in backfills::lock_active(db, schedule).await? {
            self.cancel_locked(db, &mut backfill, actor).await?;
        }
        Ok(())
    }

    /// Changes where a backfill stands. Its windows in the states `again` are to be run again.
    async fn steer(
        &self,
        caller: &Caller,
        id: BackfillId,
        again: &[WindowStatus],
        steer: Steer,
    ) -> Result<Backfill, Error> {
        let scope = caller.may_operate()?;
        let transaction = self.store.write().await?;
        let db = transaction.db();
        let mut backfill = backfills::lock(db, scope, id).await?.ok_or_else(|| not_found("backfill"))?;
        let left = Left::of(&backfill);
        let marked = match again {
            [] => 0,
            again => backfill_windows::mark(db, id, again, WindowStatus::Pending).await?,
        };
        let Some(change) = steer(&mut backfill, marked as u32, self.now())? else { return Ok(backfill) };
        self.write_backfill(db, &backfill, left, Some(change), &caller.actor()).await?;
        transaction.commit().await?;
        self.wakeups.changed(&[Topic::Backfills, Topic::History]);
        Ok(backfill)
    }

    /// Checks a draft by itself, and the template of its schedule for its first window.
    async fn check_backfill(
        &self,
        db: &impl Db,
        draft: BackfillDraft,
        schedule: Option<&Schedule>,
        problems: &mut Vec<Problem>,
    ) -> Result<Option<NewBackfill>, Error> {
        let Some(new) = NewBackfill::parse(draft, schedule, problems) else { return Ok(None) };
        if let (Some(schedule), Some(first)) = (schedule, new.windows.of([0]).pop()) {
            let found = self.check_window(db, schedule, first, new.priority).await?;
            problems.extend(found.iter().map(of_template));
        }
        Ok(Some(new))
    }
}

fn at_schedule() -> At<'static> {
    At::Root.field("schedule_id")
}

fn no_schedule() -> Problem {
    at_schedule().problem(ProblemCode::NotFound, "there is no schedule with this id")
}

/// A problem of the template, for who names no more than the schedule.
fn of_template(problem: &Problem) -> Problem {
    at_schedule().problem(problem.code, problem.of_template())
}

fn conflict(made: &Backfill) -> Problem {
    let message = format!("{} was made under this key, from another input; use a new key", made.id);
    At::Root.field("idempotency_key").problem(ProblemCode::IdempotencyConflict, message)
}

/// The event that somebody has changed a backfill, when it was last changed.
fn told(actor: &Actor, backfill: &Backfill, change: Change) -> NewEvent {
    NewEvent {
        at: backfill.updated_at,
        actor: actor.clone(),
        tenant_id: backfill.tenant_id,
        subject: Subject::Backfill(backfill.schedule_id, backfill.id),
        change,
    }
}
