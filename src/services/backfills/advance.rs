//! What makes backfills go on: windows are begun as others end. Whoever begins one holds the lock of the backfill's
//! row, and writes the record of the window together with its batch, so that any number of servers may do so at once
//! and each window has one batch, whichever of them dies.

use chrono::{DateTime, Utc};

use super::{
    super::{
        Error, Services,
        runs::{Ledger, Reran},
        wakeups::Topic,
    },
    told, watermarks,
};
use crate::{
    domain::{
        access::Scope,
        backfill::{Backfill, BackfillWindow, Outcome, WindowStatus, Work},
        event::{Actor, Change},
        firing::FiringProblem,
        id::{BackfillId, BatchId},
        problem::Problem,
        schedule::Schedule,
        windows::Stretch,
    },
    store::{
        self, Changes, Db, Guarded, Written, backfill_windows,
        backfills::{self, Left},
        events, runs, schedules,
    },
};

/// The most backfills that are looked at in one go.
const AT_ONCE: u64 = 100;
/// About how many jobs one transaction makes.
const JOBS: usize = 10_000;

impl Services {
    /// Begins windows of all backfills that have room for one, and ends those that are through. Gives how many wait
    /// for a batch to end. Any number of servers may do so at once.
    pub async fn advance_backfills(&self) -> Result<usize, Error> {
        loop {
            let active = backfills::active(self.store.reader(), AT_ONCE).await?;
            let mut moved = 0;
            for id in &active.ready {
                match self.advance_backfill(*id).await {
                    Ok(Moved::Yes) => moved += 1,
                    Ok(Moved::No) => {}
                    // What went wrong with one must not keep others from going on.
                    Err(error) => {
                        tracing::warn!(backfill = %id, %error, "a backfill could not go on; trying again");
                    }
                }
            }
            if moved == 0 {
                // There is nothing to do, other servers are at it, or something is wrong with all of them.
                return Ok(active.held + active.ready.len());
            }
        }
    }

    async fn advance_backfill(&self, id: BackfillId) -> Result<Moved, Error> {
        let transaction = self.store.write().await?;
        let db = transaction.db();
        let Some(mut backfill) = backfills::lock_if_free(db, id).await? else { return Ok(Moved::No) };
        let (left, now) = (Left::of(&backfill), self.now());
        let recorded = backfill_windows::counts(db, Scope::SLUICE, &[id]).await?.remove(&id);
        let change = match backfill.work(recorded.unwrap_or_default()) {
            Work::None => return Ok(Moved::No),
            Work::End(outcome) => {
                if outcome == Outcome::Succeeded {
                    watermarks::advance(db, &backfill, now).await?;
                }
                Some(backfill.end(outcome, now))
            }
            Work::Begin(most) => self.begin_windows(db, &mut backfill, most, now).await?,
        };
        self.write_backfill(db, &backfill, left, change, &Actor::Sluice).await?;
        transaction.commit().await?;
        self.wakeups.changed(&Topic::OF_BATCHES);
        Ok(Moved::Yes)
    }

    /// Begins windows of a locked backfill, those first that are to be run again. Where the template does not do any
    /// more, the backfill is paused: to find that out for each of its windows helps nobody.
    async fn begin_windows(
        &self,
        db: &impl Db,
        backfill: &mut Backfill,
        most: u32,
        now: DateTime<Utc>,
    ) -> Result<Option<Change>, Error> {
        let schedule = schedules::by_ids(db, Scope::SLUICE, &[backfill.schedule_id]).await?.pop();
        let schedule = schedule.ok_or(store::Error::Raced { table: "schedules" })?;
        let most = most.min((JOBS / schedule.template.jobs.len().max(1)).max(1) as u32);
        let again = backfill_windows::pending(db, backfill, most).await?;
        let begun = match self.run_again(db, backfill, &schedule, &again).await? {
            Ok(()) => self.begin_new(db, backfill, &schedule, most - again.len() as u32, now).await?,
            Err(problems) => Err(problems),
        };
        match begun {
            Ok(()) => Ok(None),
            Err(problems) => {
                let problems = problems.into_iter().map(FiringProblem::from).collect();
                Ok(backfill.pause(problems, now)?)
            }
        }
    }

    /// Begins the next windows, at most so many.
    async fn begin_new(
        &self,
        db: &impl Db,
        backfill: &mut Backfill,
        schedule: &Schedule,
        most: u32,
        now: DateTime<Utc>,
    ) -> Result<Result<(), Vec<Problem>>, Error> {
        let most = most.min(backfill.unbegun());
        if most == 0 {
            return Ok(Ok(()));
        }
        let stretches = backfill.next(most);
        if stretches.len() < most as usize {
            let id = backfill.id.uuid();
            return Err(store::Error::Corrupt { table: "backfills", column: "windows", id }.into());
        }
        let made = match self.make_of_windows(db, schedule, backfill, &stretches).await? {
            Ok(made) => made,
            Err(problems) => return Ok(Err(problems)),
        };
        let begun: Vec<(Stretch, BatchId)> = stretches.into_iter().zip(made).collect();
        match backfill_windows::insert(db, backfill, &begun).await? {
            Written::Done => {}
            Written::Duplicate | Written::Reference => {
                return Err(store::Error::Raced { table: "backfill_windows" }.into());
            }
        }
        backfill.begun += begun.len() as u32;
        backfill.started_at.get_or_insert(now);
        Ok(Ok(()))
    }

    /// Runs windows again: what did not succeed of their batches, or, where a batch was removed, all of another one.
    async fn run_again(
        &self,
        db: &impl Db,
        backfill: &Backfill,
        schedule: &Schedule,
        windows: &[BackfillWindow],
    ) -> Result<Result<(), Vec<Problem>>, Error> {
        if windows.is_empty() {
            return Ok(Ok(()));
        }
        let ids: Vec<BatchId> = windows.iter().filter_map(|window| window.batch_id).collect();
        let mut there = Vec::with_capacity(ids.len());
        for batch in runs::lock(db, Scope::SLUICE, &ids).await? {
            let (id, status) = (batch.id, WindowStatus::of(&batch.state));
            there.push(id);
            match self.start_over(db, batch, None, &Actor::Sluice).await? {
                Reran::Some(_) => {}
                Reran::Nothing => backfill_windows::follow(db, &[id], status).await?,
            }
        }
        let is_there = |window: &&BackfillWindow| window.batch_id.is_some_and(|id| there.contains(&id));
        let gone: Vec<&BackfillWindow> = windows.iter().filter(|window| !is_there(window)).collect();
        let stretches: Vec<Stretch> = gone.iter().map(|window| window.stretch).collect();
        if stretches.is_empty() {
            return Ok(Ok(()));
        }
        let made = match self.make_of_windows(db, schedule, backfill, &stretches).await? {
            Ok(made) => made,
            Err(problems) => return Ok(Err(problems)),
        };
        for (window, batch) in gone.into_iter().zip(made) {
            match backfill_windows::rebegin(db, backfill.id, window, batch).await? {
                Guarded::Done => {}
                Guarded::Changed => return Err(store::Error::Raced { table: "backfill_windows" }.into()),
            }
        }
        Ok(Ok(()))
    }

    /// Somebody runs a batch again that is a window of this backfill: if that has failed, it goes on until the batch
    /// has ended. To be called before the batch is locked.
    pub async fn reopen_backfill(&self, db: &impl Db, id: BackfillId, actor: &Actor) -> Result<(), Error> {
        let Some(mut backfill) = backfills::lock(db, Scope::SLUICE, id).await? else { return Ok(()) };
        let left = Left::of(&backfill);
        match backfill.reopen(self.now()) {
            Some(change) => self.write_backfill(db, &backfill, left, Some(change), actor).await,
            None => Ok(()),
        }
    }

    /// Cancels a locked backfill: nothing new is begun, and what is under way is canceled as a batch is.
    pub(super) async fn cancel_locked(
        &self,
        db: &impl Db,
        backfill: &mut Backfill,
        actor: &Actor,
    ) -> Result<(), Error> {
        let (left, now) = (Left::of(backfill), self.now());
        let Some(change) = backfill.cancel(now)? else { return Ok(()) };
        let id = backfill.id;
        backfill_windows::mark(db, id, &[WindowStatus::Pending], WindowStatus::Canceled).await?;
        let running = backfill_windows::running_batches(db, id).await?;
        let mut active =
            if running.is_empty() { Vec::new() } else { runs::lock(db, Scope::SLUICE, &running).await? };
        active.retain(|batch| batch.unfinished > 0 && !batch.is_canceling());
        let ids: Vec<BatchId> = active.iter().map(|batch| batch.id).collect();
        let mut ledger = Ledger::new(active, now);
        for id in ids {
            ledger.cancel(db, id, actor).await?;
        }
        ledger.write(db, Changes::default()).await?;
        let recorded = backfill_windows::counts(db, Scope::SLUICE, &[id]).await?.remove(&id);
        let ended = backfill.work(recorded.unwrap_or_default()) == Work::End(Outcome::Canceled);
        let change = if ended { backfill.end(Outcome::Canceled, now) } else { change };
        self.write_backfill(db, backfill, left, Some(change), actor).await
    }

    /// Writes a locked backfill, and tells what has changed.
    pub(super) async fn write_backfill(
        &self,
        db: &impl Db,
        backfill: &Backfill,
        left: Left,
        change: Option<Change>,
        actor: &Actor,
    ) -> Result<(), Error> {
        match backfills::update(db, backfill, left).await? {
            Guarded::Done => {}
            Guarded::Changed => return Err(store::Error::Raced { table: "backfills" }.into()),
        }
        if let Some(change) = change {
            events::append(db, &[told(actor, backfill, change)]).await?;
        }
        Ok(())
    }
}

/// Whether something has come of an attempt to make a backfill go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    Yes,
    No,
}
