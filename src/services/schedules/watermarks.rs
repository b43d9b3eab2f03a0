//! How far the jobs of schedules have got: reading and resetting it.

use super::told;
use crate::{
    domain::{
        access::Caller,
        event::{Change, NewEvent},
        id::ScheduleId,
        page::{Page, Slice},
        problem::{At, ProblemCode},
        schedule::Schedule,
        watermark::{Level, Resync, Watermark},
    },
    services::{Error, Services, wakeups::Topic},
    store::{batches, events, schedules, watermarks},
};

impl Services {
    /// A page of the watermarks of a schedule.
    pub async fn watermarks(
        &self,
        caller: &Caller,
        schedule: ScheduleId,
        page: &Page,
    ) -> Result<Slice<Watermark>, Error> {
        let scope = caller.may_read()?;
        Ok(page.cut(watermarks::page(self.store.reader(), scope, schedule, page).await?))
    }

    /// How many watermarks a schedule has.
    pub async fn watermark_count(&self, caller: &Caller, schedule: ScheduleId) -> Result<u64, Error> {
        let scope = caller.may_read()?;
        Ok(watermarks::count(self.store.reader(), scope, schedule).await?)
    }

    /// Resets watermarks of a schedule, so that its next batch asks for everything of that object, and gives them. A
    /// batch that is there already does not undo it. Where that was done before, and no batch was made since, all stays
    /// as it is.
    pub async fn reset_watermark(
        &self,
        caller: &Caller,
        id: ScheduleId,
        resync: Resync,
    ) -> Result<(Schedule, Vec<Watermark>), Error> {
        let scope = caller.may_operate()?;
        let transaction = self.store.write().await?;
        let db = transaction.db();
        let schedule = schedules::lock(db, scope, id).await?.ok_or_else(no_schedule)?;
        let now = self.now();
        let found = watermarks::of_schedules(db, &[id]).await?;
        let meant = resync.of(&schedule, found, now);
        if meant.is_empty() {
            let message = "this schedule has no such job; write the object as its template has it";
            return Err(At::Root.field("object").problem(ProblemCode::UnknownObject, message).into());
        }
        let last = batches::last_made_at(db, id).await?;
        let reset = |watermark: &Watermark| Watermark {
            level: Level::reset(watermark.level, now, last),
            ..watermark.clone()
        };
        let reset: Vec<Watermark> = meant.iter().map(reset).collect();
        if reset != meant {
            watermarks::reset(db, &reset).await?;
            let change = Change::WatermarkReset { object: resync.object };
            let event = NewEvent { at: now, ..told(caller, &schedule, change) };
            events::append(db, &[event]).await?;
            transaction.commit().await?;
            self.wakeups.changed(&[Topic::History]);
        }
        Ok((schedule, reset))
    }
}

fn no_schedule() -> Error {
    let at = At::Root.field("schedule_id");
    at.problem(ProblemCode::NotFound, "there is no schedule with this id").into()
}
