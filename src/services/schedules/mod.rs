//! Schedules: making, changing and reading them. What makes them fire is in [`fire`].

mod fire;
mod watermarks;

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};

pub use fire::NextDue;

use super::{
    Error, Expected, Services,
    batches::{References, lost_race},
    by_id, in_chunks, not_found,
    wakeups::Topic,
};
use crate::{
    domain::{
        access::{Caller, Scope},
        event::{Change, NewEvent, Subject},
        firing::Firing,
        id::{FiringId, ScheduleId, TenantId},
        list::ScheduleFilter,
        page::{MAX_PAGE, Page, Slice},
        problem::{At, Problem, ProblemCode},
        schedule::{NewSchedule, Schedule, ScheduleDraft, ScheduleState},
        tenant::no_tenant,
        timetable::{Due, Timetable, TimetableDraft},
    },
    store::{Written, events, firings, schedules},
};

/// Between which instants runs are looked for, and how many.
#[derive(Debug, Clone, Copy)]
pub struct Ahead {
    /// Only those after this one, UTC; `None`: now.
    pub after: Option<DateTime<Utc>>,
    /// Only those before this one, UTC.
    pub before: Option<DateTime<Utc>>,
    /// How many at the most.
    pub first: i32,
}

impl Services {
    /// The schedules with these ids, as far as the scope contains them.
    pub async fn schedules_by_id(
        &self,
        scope: Scope,
        ids: &[ScheduleId],
    ) -> Result<HashMap<ScheduleId, Arc<Schedule>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(ids, async |ids| schedules::by_ids(db, scope, &ids).await).await?;
        Ok(by_id(found, |schedule| schedule.id))
    }

    /// A page of the schedules that the filter lets through.
    pub async fn schedules(
        &self,
        caller: &Caller,
        filter: &ScheduleFilter,
        page: &Page,
    ) -> Result<Slice<Schedule>, Error> {
        let scope = caller.may_read()?;
        Ok(page.cut(schedules::page(self.store.reader(), scope, filter, page).await?))
    }

    /// How many schedules the filter lets through.
    pub async fn schedule_count(&self, caller: &Caller, filter: &ScheduleFilter) -> Result<u64, Error> {
        let scope = caller.may_read()?;
        Ok(schedules::count(self.store.reader(), scope, filter).await?)
    }

    /// The firings with these ids, as far as the scope contains them.
    pub async fn firings_by_id(
        &self,
        scope: Scope,
        ids: &[FiringId],
    ) -> Result<HashMap<FiringId, Arc<Firing>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(ids, async |ids| firings::by_ids(db, scope, &ids).await).await?;
        Ok(by_id(found, |firing| firing.id))
    }

    /// The last firing of each of these schedules, of those that have fired.
    pub async fn last_firings(
        &self,
        scope: Scope,
        ids: &[ScheduleId],
    ) -> Result<HashMap<ScheduleId, Arc<Firing>>, Error> {
        let db = self.store.reader();
        let mut found = Vec::new();
        for chunk in ids.chunks(LASTS) {
            found.extend(firings::last_of(db, scope, chunk).await?);
        }
        Ok(by_id(found, |firing| firing.schedule_id))
    }

    /// A page of the firings of a schedule.
    pub async fn firings(
        &self,
        caller: &Caller,
        schedule: ScheduleId,
        page: &Page,
    ) -> Result<Slice<Firing>, Error> {
        let scope = caller.may_read()?;
        Ok(page.cut(firings::page(self.store.reader(), scope, schedule, page).await?))
    }

    /// How many firings a schedule has had.
    pub async fn firing_count(&self, caller: &Caller, schedule: ScheduleId) -> Result<u64, Error> {
        let scope = caller.may_read()?;
        Ok(firings::count(self.store.reader(), scope, schedule).await?)
    }

    /// When a timetable that nobody has yet is due, in order.
    pub fn runs_of_timetable(
        &self,
        caller: &Caller,
        draft: &TimetableDraft,
        ahead: Ahead,
    ) -> Result<Vec<Due>, Error> {
        caller.may_read()?;
        let mut problems = Vec::new();
        match Timetable::parse(draft, &At::Root.field("timetable"), &mut problems) {
            Some(timetable) => self.next_runs(&timetable, ahead),
            None => Err(problems.into()),
        }
    }

    /// When a timetable is due, in order.
    pub fn next_runs(&self, timetable: &Timetable, ahead: Ahead) -> Result<Vec<Due>, Error> {
        let Ahead { after, before, first } = ahead;
        let Some(most) = usize::try_from(first).ok().filter(|most| *most <= MAX_PAGE as usize) else {
            let message = format!("this must be between 0 and {MAX_PAGE}");
            return Err(At::Root.field("first").problem(ProblemCode::OutOfRange, message).into());
        };
        let runs = timetable.after(after.unwrap_or_else(|| self.now()));
        Ok(runs.take_while(|due| before.is_none_or(|before| due.at < before)).take(most).collect())
    }

    /// Makes a schedule. It is due for the first time after it was made.
    pub async fn create_schedule(&self, caller: &Caller, draft: ScheduleDraft) -> Result<Schedule, Error> {
        let scope = caller.may_operate()?;
        let new = self.check_schedule(scope, draft, None).await?;
        let now = self.now();
        let schedule = due_from(
            now,
            Schedule {
                id: ScheduleId::new(now),
                tenant_id: new.tenant_id,
                name: new.name,
                template: Arc::new(new.template),
                timetable: new.timetable,
                incremental: new.incremental,
                overlap_policy: new.overlap_policy,
                catch_up: new.catch_up,
                catch_up_window: new.catch_up_window,
                state: ScheduleState::Active { next_at: None },
                version: 1,
                created_at: now,
                updated_at: now,
            },
        );
        let transaction = self.store.write().await?;
        match schedules::insert(transaction.db(), &schedule).await? {
            Written::Done => {}
            Written::Duplicate => return Err(name_taken(&schedule).into()),
            Written::Reference => return Err(no_tenant(&At::Root.field("tenant_id")).into()),
        }
        events::append(transaction.db(), &[told(caller, &schedule, Change::ScheduleCreated)]).await?;
        transaction.commit().await?;
        self.wakeups.changed(&[Topic::Schedules, Topic::History]);
        Ok(schedule)
    }

    /// Replaces the definition of a schedule. What was due before fires as it was.
    pub async fn update_schedule(
        &self,
        caller: &Caller,
        id: ScheduleId,
        expected: Expected,
        draft: ScheduleDraft,
    ) -> Result<Schedule, Error> {
        let scope = caller.may_operate()?;
        let seen = self.schedules_by_id(scope, &[id]).await?.remove(&id);
        let owner = seen.ok_or_else(|| not_found("schedule"))?.tenant_id;
        let checked = self.check_schedule(scope, draft, Some(owner)).await;
        self.change_schedule(caller, id, Change::ScheduleUpdated, |old, _| {
            let mut problems: Vec<Problem> = expected.check(old.version, "schedule").into_iter().collect();
            let new = match checked {
                Ok(new) => new,
                Err(Error::Rejected(found)) => {
                    problems.extend(found);
                    return Err(problems.into());
                }
                Err(error) => return Err(error),
            };
            if !problems.is_empty() {
                return Err(problems.into());
            }
            let schedule = Schedule {
                name: new.name,
                template: Arc::new(new.template),
                timetable: new.timetable,
                incremental: new.incremental,
                overlap_policy: new.overlap_policy,
                catch_up: new.catch_up,
                catch_up_window: new.catch_up_window,
                ..old
            };
            Ok(Some(schedule))
        })
        .await
    }

    /// Lets a schedule fire on demand only, until it is resumed. One that is paused already stays as it is.
    pub async fn pause_schedule(&self, caller: &Caller, id: ScheduleId) -> Result<Schedule, Error> {
        self.change_schedule(caller, id, Change::SchedulePaused, |old, now| match old.state {
            ScheduleState::Paused { .. } => Ok(None),
            ScheduleState::Active { .. } => {
                Ok(Some(Schedule { state: ScheduleState::Paused { since: now }, ..old }))
            }
        })
        .await
    }

    /// Lets a schedule fire by itself again. What would have been due meanwhile was not. One that is not paused
    /// stays as it is.
    pub async fn resume_schedule(&self, caller: &Caller, id: ScheduleId) -> Result<Schedule, Error> {
        self.change_schedule(caller, id, Change::ScheduleResumed, |old, _| match old.state {
            ScheduleState::Active { .. } => Ok(None),
            ScheduleState::Paused { .. } => {
                Ok(Some(Schedule { state: ScheduleState::Active { next_at: None }, ..old }))
            }
        })
        .await
    }

    /// Removes a schedule with the records of its firings and its backfills, and says what it was. Backfills that are
    /// under way are canceled. Its batches stay.
    pub async fn delete_schedule(
        &self,
        caller: &Caller,
        id: ScheduleId,
        expected: Expected,
    ) -> Result<Schedule, Error> {
        let scope = caller.may_operate()?;
        let transaction = self.store.write().await?;
        let db = transaction.db();
        let schedule = schedules::lock(db, scope, id).await?.ok_or_else(|| not_found("schedule"))?;
        if let Some(problem) = expected.check(schedule.version, "schedule") {
            return Err(problem.into());
        }
        self.cancel_backfills_of(db, id, &caller.actor()).await?;
        schedules::delete(db, id).await?;
        let event = NewEvent { at: self.now(), ..told(caller, &schedule, Change::ScheduleDeleted) };
        events::append(db, &[event]).await?;
        transaction.commit().await?;
        self.wakeups.changed(&Topic::OF_BATCHES);
        Ok(schedule)
    }

    /// Changes a schedule when all that has been due before has fired, so that no change of it makes an instant
    /// go by without a record, and works out anew when it is due next. `None` leaves it as it is.
    async fn change_schedule(
        &self,
        caller: &Caller,
        id: ScheduleId,
        told_as: Change,
        change: impl FnOnce(Schedule, DateTime<Utc>) -> Result<Option<Schedule>, Error>,
    ) -> Result<Schedule, Error> {
        let scope = caller.may_operate()?;
        let transaction = self.store.write().await?;
        let db = transaction.db();
        let mut old = schedules::lock(db, scope, id).await?.ok_or_else(|| not_found("schedule"))?;
        let now = self.now();
        while self.fire_what_is_due(db, &mut old, now).await?.is_some_and(|next| next <= now) {}
        let Some(new) = change(old.clone(), now)? else { return Ok(old) };
        // What a server whose clock is ahead of this one's has settled must not be due once more.
        let settled = firings::last_due(db, id).await?.map_or(now, |last| last.max(now));
        let new = due_from(settled, Schedule { version: old.version + 1, updated_at: now, ..new });
        match schedules::update(db, &new).await? {
            Written::Done => {}
            Written::Duplicate => return Err(name_taken(&new).into()),
            Written::Reference => return Err(lost_race("the tenant of this schedule was deleted just now")),
        }
        events::append(db, &[told(caller, &new, told_as)]).await?;
        transaction.commit().await?;
        self.wakeups.changed(&[Topic::Schedules, Topic::Work, Topic::History]);
        Ok(new)
    }

    /// Checks a draft by itself and against what its template refers to. `owner` is the tenant of a schedule that
    /// is there already.
    async fn check_schedule(
        &self,
        scope: Scope,
        draft: ScheduleDraft,
        owner: Option<TenantId>,
    ) -> Result<NewSchedule, Error> {
        let references = References::of(self.store.reader(), scope, [&draft.template]).await?;
        Ok(NewSchedule::parse(draft, |template| references.check(template, owner, &self.limits))?)
    }
}

/// How many schedules one statement asks for their last firings.
const LASTS: usize = 100;

/// A schedule that, unless it is paused, is due next after this instant.
fn due_from(now: DateTime<Utc>, schedule: Schedule) -> Schedule {
    match schedule.state {
        ScheduleState::Paused { .. } => schedule,
        ScheduleState::Active { .. } => {
            let next_at = schedule.due_after(now);
            Schedule { state: ScheduleState::Active { next_at }, ..schedule }
        }
    }
}

/// The event that the caller has changed a schedule, when it was last changed.
fn told(caller: &Caller, schedule: &Schedule, change: Change) -> NewEvent {
    NewEvent {
        at: schedule.updated_at,
        actor: caller.actor(),
        tenant_id: schedule.tenant_id,
        subject: Subject::Schedule(schedule.id),
        change,
    }
}

fn name_taken(schedule: &Schedule) -> Problem {
    let message = format!("this tenant already has a schedule named {:?}", &*schedule.name);
    At::Root.field("name").problem(ProblemCode::NameTaken, message)
}
