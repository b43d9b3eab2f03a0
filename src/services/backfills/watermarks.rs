//! What a backfill that has succeeded makes of the watermarks of its schedule, if it was asked to.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::{
    domain::{
        backfill::Backfill,
        batch::Watermarks,
        id::rising,
        watermark::{Level, Reached, Watermark},
    },
    store::{self, Db, backfill_windows, schedules, watermarks},
};

/// Moves the watermarks of the jobs that each window has had. A job that the template has got or lost meanwhile has not
/// read all windows.
pub async fn advance(db: &impl Db, backfill: &Backfill, now: DateTime<Utc>) -> Result<(), store::Error> {
    let Backfill { schedule_id, tenant_id, created_at, .. } = *backfill;
    let at = match backfill.watermarks {
        Watermarks::Stay => None,
        Watermarks::Move => backfill.reaches(),
    };
    let Some(at) = at else { return Ok(()) };
    if !schedules::keep_incremental(db, &[schedule_id]).await?.contains(&schedule_id) {
        return Ok(());
    }
    let found = watermarks::of_schedules(db, &[schedule_id]).await?;
    let mut known: HashMap<_, Watermark> =
        found.into_iter().map(|found| (found.job.clone(), found)).collect();
    let mut moved = Vec::new();
    for job in backfill_windows::jobs_of_all(db, backfill).await? {
        let watermark = known.remove(&job).unwrap_or_else(|| Watermark {
            place: rising(now),
            schedule_id,
            tenant_id,
            job: job.clone(),
            level: Level::default(),
        });
        let reached = Reached { job, after: None, at };
        if let Some(level) = watermark.level.moved(created_at, &reached) {
            moved.push(Watermark { level, ..watermark });
        }
    }
    watermarks::advance(db, &moved).await
}
