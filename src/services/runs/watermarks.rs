//! What the end of batches makes of the watermarks of their schedules, in the transaction that ends them. The rules are
//! in [`crate::domain::watermark`].

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use crate::{
    domain::{
        access::Scope,
        batch::{Batch, Watermarks},
        id::{BatchId, ScheduleId, rising},
        watermark::{Level, Watermark, reached},
    },
    store::{
        self, Db,
        jobs::{self, JobParts},
        schedules, watermarks,
    },
};

/// Moves the watermarks that are to move now that some of these locked batches have ended, all in a bounded number of
/// statements; in none where no batch moves any.
pub async fn advance(db: &impl Db, batches: &[Batch], now: DateTime<Utc>) -> Result<(), store::Error> {
    let mut ended: Vec<(&Batch, ScheduleId)> = batches.iter().filter_map(to_move).collect();
    if ended.is_empty() {
        return Ok(());
    }
    let mut ids: Vec<ScheduleId> = ended.iter().map(|(_, schedule)| *schedule).collect();
    ids.sort_unstable();
    ids.dedup();
    let incremental = schedules::keep_incremental(db, &ids).await?;
    ended.retain(|(_, schedule)| incremental.contains(schedule));
    ids.retain(|schedule| incremental.contains(schedule));
    if ended.is_empty() {
        return Ok(());
    }
    let of: Vec<BatchId> = ended.iter().map(|(batch, _)| batch.id).collect();
    let parts = JobParts { edges: true, ..JobParts::default() };
    let mut stored = jobs::of_batches(db, Scope::SLUICE, &of, parts).await?;
    let found = watermarks::of_schedules(db, &ids).await?;
    let mut known: HashMap<_, Watermark> =
        found.into_iter().map(|found| ((found.schedule_id, found.job.clone()), found)).collect();
    let mut moved = HashSet::new();
    for (batch, schedule_id) in ended {
        let stored = stored.remove(&batch.id).unwrap_or_default();
        for reached in reached(batch, &stored.jobs, &stored.graph(batch.id)?) {
            let (tenant_id, job) = (batch.tenant_id, reached.job.clone());
            let watermark = known.entry((schedule_id, reached.job.clone())).or_insert_with(|| Watermark {
                place: rising(now),
                schedule_id,
                tenant_id,
                job,
                level: Level::default(),
            });
            if let Some(level) = watermark.level.moved(batch.created_at, &reached) {
                watermark.level = level;
                moved.insert(watermark.place);
            }
        }
    }
    let moved: Vec<Watermark> = known.into_values().filter(|known| moved.contains(&known.place)).collect();
    watermarks::advance(db, &moved).await
}

/// A batch that has ended and moves watermarks, with the schedule whose they are.
fn to_move(batch: &Batch) -> Option<(&Batch, ScheduleId)> {
    batch.state.finished_at()?;
    match batch.watermarks {
        Watermarks::Stay => None,
        Watermarks::Move => Some((batch, batch.origin.schedule()?)),
    }
}
