//! What makes schedules fire: their timetables, whoever triggers them, and the end of a batch for which a firing
//! has waited. Whoever makes one fire holds the lock of its row, so that any number of servers may do so at once.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};

use super::super::{Error, Services, not_found, runs::Ledger, wakeups::Topic};
use crate::{
    domain::{
        access::Caller,
        batch::{Batch, Origin},
        event::{Actor, Change, NewEvent, Subject},
        firing::{
            Decision, DueFiring, Firing, FiringCause, FiringOutcome, Missed, Others, SkipReason, due_up_to,
        },
        id::{BatchId, FiringId, ScheduleId},
        problem::{At, Problem},
        schedule::{OverlapPolicy, Schedule, ScheduleState},
        text::IdempotencyKey,
    },
    store::{
        self, Changes, Db, Guarded, Written, batches, events,
        firings::{self, Pending},
        schedules,
    },
};

/// The most schedules that are looked at in one go.
const AT_ONCE: u64 = 100;
/// How many of them fire at the same time. Each waits for the database most of the time, and needs a connection.
const SIDE_BY_SIDE: usize = 4;
/// The most firings of a schedule that one transaction settles.
const STEP: usize = 500;

/// How long to leave schedules alone that are due and that nothing came of.
const BREATH: TimeDelta = TimeDelta::seconds(1);

/// When the schedules are to be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextDue {
    /// When the next one is due, UTC.
    pub at: Option<DateTime<Utc>>,
    /// How many firings wait for a batch to end.
    pub held: usize,
}

impl Services {
    /// Makes all schedules fire that are due. Any number of servers may do so at once.
    pub async fn fire_schedules(&self) -> Result<NextDue, Error> {
        loop {
            let Pending { due, released, held } = firings::pending(self.store.reader(), AT_ONCE).await?;
            let now = self.now();
            let first = due.first().map(|(at, _)| *at);
            let due = due.into_iter().take_while(|(at, _)| *at <= now).map(|(_, id)| id);
            let due: Vec<ScheduleId> = due.collect();
            if due.is_empty() && released.is_empty() {
                return Ok(NextDue { at: first, held });
            }
            let mut moves: Vec<BoxFuture<'_, usize>> = Vec::with_capacity(due.len() + released.len());
            for id in due {
                moves.push(self.one_of_many(id, self.fire_schedule(id)).boxed());
            }
            for id in released {
                moves.push(self.one_of_many(id, self.release_firing(id)).boxed());
            }
            let moved = stream::iter(moves).buffer_unordered(SIDE_BY_SIDE);
            if moved.fold(0, async |sum, moved| sum + moved).await == 0 {
                // Other servers are at it, or something is wrong with all of them.
                return Ok(NextDue { at: Some(now + BREATH), held });
            }
        }
    }

    /// What went wrong with one schedule must not keep others from firing.
    async fn one_of_many(
        &self,
        id: ScheduleId,
        fired: impl Future<Output = Result<Moved, Error>> + Send,
    ) -> usize {
        match fired.await {
            Ok(Moved::Yes) => 1,
            Ok(Moved::No) => 0,
            Err(error) => {
                tracing::warn!(schedule = %id, %error, "a schedule could not fire; trying again");
                0
            }
        }
    }

    async fn fire_schedule(&self, id: ScheduleId) -> Result<Moved, Error> {
        let transaction = self.store.write().await?;
        let db = transaction.db();
        let Some(mut schedule) = schedules::lock_if_free(db, id).await? else { return Ok(Moved::No) };
        let now = self.now();
        if schedule.next_at().is_none_or(|next| now < next) {
            return Ok(Moved::No);
        }
        self.fire_what_is_due(db, &mut schedule, now).await?;
        transaction.commit().await?;
        self.wakeups.changed(&Topic::OF_BATCHES);
        Ok(Moved::Yes)
    }

    /// Settles what of a locked schedule has been due up to now, as much as fits into one transaction, and says
    /// when it is due next.
    pub(super) async fn fire_what_is_due(
        &self,
        db: &impl Db,
        schedule: &mut Schedule,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, Error> {
        let Some(left) = schedule.next_at().filter(|next| *next <= now) else {
            return Ok(schedule.next_at());
        };
        let (due, next_at) = due_up_to(schedule, now, STEP);
        let mut round = Round::of(self, db, schedule, &Actor::Sluice, now).await?;
        for DueFiring { at, missed } in due {
            match missed {
                Missed::Yes => {
                    round.record(at, FiringCause::Timetable, FiringOutcome::Skipped(SkipReason::Missed))
                }
                Missed::No => round.fire(at, FiringCause::Timetable).await?,
            }
        }
        round.write(None).await?;
        match schedules::advance(db, schedule.id, left, next_at).await? {
            Guarded::Done => {}
            Guarded::Changed => return Err(store::Error::Raced { table: "schedules" }.into()),
        }
        schedule.state = ScheduleState::Active { next_at };
        Ok(next_at)
    }

    /// Lets the firing of a schedule go on that has waited, if it need not wait any more.
    async fn release_firing(&self, id: ScheduleId) -> Result<Moved, Error> {
        let transaction = self.store.write().await?;
        let db = transaction.db();
        let Some(schedule) = schedules::lock_if_free(db, id).await? else { return Ok(Moved::No) };
        let now = self.now();
        let Some(waiting) = firings::queued(db, id).await? else { return Ok(Moved::No) };
        let mut round = Round::of(self, db, &schedule, &Actor::Sluice, now).await?;
        if !round.active.is_empty() {
            return Ok(Moved::No);
        }
        let outcome = round.make(waiting.cause).await?.unwrap_or_else(FiringOutcome::failed);
        round.tell(&outcome);
        round.write(None).await?;
        match firings::settle(db, &Firing { at: now, outcome, ..waiting }).await? {
            Guarded::Done => {}
            Guarded::Changed => return Err(store::Error::Raced { table: "firings" }.into()),
        }
        transaction.commit().await?;
        self.wakeups.changed(&Topic::OF_BATCHES);
        Ok(Moved::Yes)
    }

    /// Makes a schedule fire now, paused or not. The same request under the same idempotency key gives the first
    /// firing again.
    pub async fn trigger_schedule(
        &self,
        caller: &Caller,
        id: ScheduleId,
        key: Option<String>,
    ) -> Result<Firing, Error> {
        let scope = caller.may_operate()?;
        let at_key = At::Root.field("idempotency_key");
        let key = key.map(|key| IdempotencyKey::parse(key, &at_key)).transpose()?;
        let transaction = self.store.write().await?;
        let db = transaction.db();
        let schedule = schedules::lock(db, scope, id).await?.ok_or_else(|| not_found("schedule"))?;
        if let Some(key) = &key
            && let Some(fired) = firings::by_key(db, scope, id, key).await?
        {
            return Ok(fired);
        }
        let now = self.now();
        let actor = caller.actor();
        let mut round = Round::of(self, db, &schedule, &actor, now).await?;
        match round.attempt(FiringCause::Trigger).await? {
            Ok(outcome) => round.record(now, FiringCause::Trigger, outcome),
            // Whoever has triggered it hears of it at once.
            Err(problems) => return Err(problems.iter().map(of_template).collect::<Vec<_>>().into()),
        }
        let firing = round.write(key.as_ref()).await?.pop();
        transaction.commit().await?;
        self.wakeups.changed(&[Topic::Work, Topic::History, Topic::Schedules]);
        firing.ok_or_else(|| store::Error::Raced { table: "firings" }.into())
    }
}

/// A problem of the template, for who names no more than the schedule.
fn of_template(problem: &Problem) -> Problem {
    At::Root.field("id").problem(problem.code, problem.of_template())
}

/// Whether something has come of an attempt to make a schedule fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    Yes,
    No,
}

/// What one transaction makes of the firings of a schedule that it has locked.
struct Round<'a, D> {
    services: &'a Services,
    db: &'a D,
    schedule: &'a Schedule,
    actor: &'a Actor,
    now: DateTime<Utc>,
    /// The batches of the schedule that have not ended, locked; none where nobody asks for them.
    active: Vec<Batch>,
    /// How many of its firings wait.
    queued: usize,
    firings: Vec<Firing>,
    events: Vec<NewEvent>,
}

impl<'a, D: Db> Round<'a, D> {
    async fn of(
        services: &'a Services,
        db: &'a D,
        schedule: &'a Schedule,
        actor: &'a Actor,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let (active, queued) = match schedule.overlap_policy {
            OverlapPolicy::Allow => (Vec::new(), 0),
            OverlapPolicy::Skip | OverlapPolicy::Queue | OverlapPolicy::CancelPrevious => {
                let queued = firings::queued(db, schedule.id).await?;
                (batches::lock_active(db, schedule.id).await?, usize::from(queued.is_some()))
            }
        };
        let (firings, events) = (Vec::new(), Vec::new());
        Ok(Self { services, db, schedule, actor, now, active, queued, firings, events })
    }

    /// Settles one firing.
    async fn fire(&mut self, due_at: DateTime<Utc>, cause: FiringCause) -> Result<(), Error> {
        let outcome = self.attempt(cause).await?.unwrap_or_else(FiringOutcome::failed);
        self.record(due_at, cause, outcome);
        Ok(())
    }

    /// What becomes of one firing, or what is wrong with the template.
    async fn attempt(&mut self, cause: FiringCause) -> Result<Result<FiringOutcome, Vec<Problem>>, Error> {
        let others = Others { active: self.active.len(), queued: self.queued };
        match self.schedule.overlap_policy.decide(others) {
            Decision::Fire => self.make(cause).await,
            Decision::CancelAndFire => {
                self.cancel_active().await?;
                self.make(cause).await
            }
            Decision::Queue => {
                self.queued += 1;
                Ok(Ok(FiringOutcome::Queued))
            }
            Decision::Skip => Ok(Ok(FiringOutcome::Skipped(SkipReason::Overlap))),
        }
    }

    /// Makes a batch.
    async fn make(&mut self, cause: FiringCause) -> Result<Result<FiringOutcome, Vec<Problem>>, Error> {
        let origin = match cause {
            FiringCause::Timetable => Origin::Scheduled(self.schedule.id),
            FiringCause::Trigger => Origin::Triggered(self.schedule.id),
        };
        let made = self.services.make_of_template(self.db, self.schedule, origin, self.actor).await?;
        Ok(made.map(|batch| {
            let batch_id = batch.id;
            self.active.push(batch);
            FiringOutcome::Fired { batch_id }
        }))
    }

    /// Cancels the batches that have not ended. Those whose jobs still run don't count any more.
    async fn cancel_active(&mut self) -> Result<(), Error> {
        let mut active = std::mem::take(&mut self.active);
        active.retain(|batch| !batch.is_canceling());
        let ids: Vec<BatchId> = active.iter().map(|batch| batch.id).collect();
        let mut ledger = Ledger::new(active, self.now);
        for id in ids {
            ledger.cancel(self.db, id, self.actor).await?;
        }
        ledger.write(self.db, Changes::default()).await?;
        Ok(())
    }

    /// Notes what became of a firing.
    fn record(&mut self, due_at: DateTime<Utc>, cause: FiringCause, outcome: FiringOutcome) {
        self.tell(&outcome);
        let Schedule { id: schedule_id, tenant_id, .. } = *self.schedule;
        let id = FiringId::new(self.now);
        self.firings.push(Firing { id, schedule_id, tenant_id, due_at, cause, at: self.now, outcome });
    }

    /// What stands in the history of a firing that has made no batch. Those that were missed have their record
    /// alone: nobody was there.
    fn tell(&mut self, outcome: &FiringOutcome) {
        let change = match outcome {
            FiringOutcome::Fired { .. } | FiringOutcome::Skipped(SkipReason::Missed) => return,
            FiringOutcome::Queued => Change::FiringQueued,
            FiringOutcome::Skipped(SkipReason::Overlap) => Change::FiringSkipped,
            FiringOutcome::Failed(problems) => {
                Change::FiringFailed { error: problems.first().map(|problem| problem.told(self.now)) }
            }
        };
        let (tenant_id, subject) = (self.schedule.tenant_id, Subject::Schedule(self.schedule.id));
        self.events.push(NewEvent { at: self.now, actor: self.actor.clone(), tenant_id, subject, change });
    }

    /// Writes the records and the events, and gives the records.
    async fn write(self, key: Option<&IdempotencyKey>) -> Result<Vec<Firing>, Error> {
        match firings::insert(self.db, &self.firings, key).await? {
            Written::Done => {}
            Written::Duplicate | Written::Reference => {
                return Err(store::Error::Raced { table: "firings" }.into());
            }
        }
        events::append(self.db, &self.events).await?;
        Ok(self.firings)
    }
}
