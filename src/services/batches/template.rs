//! Batches that schedules make of their templates.

use super::{super::Error, References, Services, told, write};
use crate::{
    domain::{
        access::Scope,
        batch::{Batch, Origin},
        event::{Actor, Change},
        problem::Problem,
        schedule::{Incremental, Schedule},
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
        let draft = schedule.draft();
        let references = References::of(db, Scope::SLUICE, [&draft]).await?;
        let new = match references.check(draft, None, &self.limits) {
            Ok(new) => new,
            Err(problems) => return Ok(Err(problems)),
        };
        let new = match schedule.incremental {
            None => new,
            Some(Incremental { overlap }) => {
                new.begin_at(&watermarks::levels(db, schedule.id).await?, overlap)
            }
        };
        let prepared = self.prepare(new, &references, origin);
        match write::insert(db, &[&prepared]).await? {
            Written::Done => {}
            Written::Duplicate | Written::Reference => {
                return Err(store::Error::Raced { table: "connections" }.into());
            }
        }
        let batch = prepared.graph.batch.clone();
        events::append(db, &[told(actor.clone(), &batch, Change::BatchCreated)]).await?;
        Ok(Ok(batch))
    }
}
