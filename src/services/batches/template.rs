//! Batches that schedules and their backfills make of their templates.

use super::{super::Error, References, Services, told, write};
use crate::{
    domain::{
        access::Scope,
        backfill::{Backfill, draft_of_window},
        batch::{Batch, NewBatch, Origin, Watermarks},
        draft::BatchDraft,
        event::{Actor, Change},
        id::BatchId,
        problem::Problem,
        schedule::{Incremental, Schedule},
        windows::Stretch,
    },
    store::{self, Db, Written, events, watermarks},
};

impl Services {
    /// Makes a batch of a schedule's template in this transaction, or says why that can't be.
    pub async fn make_of_template(
        &self,
        db: &impl Db,
        schedule: &Schedule,
        origin: Origin,
        actor: &Actor,
    ) -> Result<Result<Batch, Vec<Problem>>, Error> {
        let made = self.make_of_drafts(db, schedule, vec![schedule.draft()], origin, actor).await?;
        let one = |mut made: Vec<Batch>| made.pop().ok_or(store::Error::Raced { table: "batches" });
        Ok(match made {
            Ok(made) => Ok(one(made)?),
            Err(problems) => Err(problems),
        })
    }

    /// Makes a batch of a schedule's template for each of these windows of a backfill, in their order, in this
    /// transaction, or says why that can't be.
    pub async fn make_of_windows(
        &self,
        db: &impl Db,
        schedule: &Schedule,
        backfill: &Backfill,
        windows: &[Stretch],
    ) -> Result<Result<Vec<BatchId>, Vec<Problem>>, Error> {
        let drafts =
            windows.iter().map(|window| draft_of_window(schedule, *window, backfill.priority)).collect();
        let origin = Origin::Backfilled(schedule.id, backfill.id);
        let made = self.make_of_drafts(db, schedule, drafts, origin, &Actor::Sluice).await?;
        Ok(made.map(|made| made.iter().map(|batch| batch.id).collect()))
    }

    /// What is wrong with a schedule's template for this window of a backfill.
    pub async fn check_window(
        &self,
        db: &impl Db,
        schedule: &Schedule,
        window: Stretch,
        priority: i32,
    ) -> Result<Vec<Problem>, Error> {
        let draft = draft_of_window(schedule, window, priority);
        let references = References::of(db, Scope::SLUICE, [&draft]).await?;
        Ok(references.check(draft, None, &self.limits).err().unwrap_or_default())
    }

    /// Makes batches of drafts of a schedule that differ in their data alone.
    async fn make_of_drafts(
        &self,
        db: &impl Db,
        schedule: &Schedule,
        drafts: Vec<BatchDraft>,
        origin: Origin,
        actor: &Actor,
    ) -> Result<Result<Vec<Batch>, Vec<Problem>>, Error> {
        let references = References::of(db, Scope::SLUICE, drafts.first()).await?;
        let mut prepared = Vec::with_capacity(drafts.len());
        for draft in drafts {
            match references.check(draft, None, &self.limits) {
                Ok(new) => {
                    let new = begin_at_watermarks(db, schedule, new).await?;
                    prepared.push(self.prepare(new, &references, origin));
                }
                Err(problems) => return Ok(Err(problems)),
            }
        }
        match write::insert(db, &prepared.iter().collect::<Vec<_>>()).await? {
            Written::Done => {}
            Written::Duplicate | Written::Reference => {
                return Err(store::Error::Raced { table: "connections" }.into());
            }
        }
        let made: Vec<Batch> = prepared.iter().map(|new| new.graph.batch.clone()).collect();
        let told = |batch: &Batch| told(actor.clone(), batch, Change::BatchCreated);
        events::append(db, &made.iter().map(told).collect::<Vec<_>>()).await?;
        Ok(Ok(made))
    }
}

/// A batch that begins where the jobs of its schedule have got, if it is to move that on.
async fn begin_at_watermarks(db: &impl Db, schedule: &Schedule, new: NewBatch) -> Result<NewBatch, Error> {
    Ok(match (schedule.incremental, new.watermarks) {
        (Some(Incremental { overlap }), Watermarks::Move) => {
            new.begin_at(&watermarks::levels(db, schedule.id).await?, overlap)
        }
        (None, _) | (Some(_), Watermarks::Stay) => new,
    })
}
