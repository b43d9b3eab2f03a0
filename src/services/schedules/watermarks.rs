//! How far the jobs of schedules have got: reading it.

use crate::{
    domain::{
        access::Caller,
        id::ScheduleId,
        page::{Page, Slice},
        watermark::Watermark,
    },
    services::{Error, Services},
    store::watermarks,
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
}
