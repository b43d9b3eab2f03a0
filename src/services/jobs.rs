//! Jobs, looked at one by one; those of a page of batches come with [`super::graphs`].

use std::{collections::HashMap, sync::Arc};

use super::{Error, Services, by_id, in_chunks};
use crate::{
    domain::{
        access::{Caller, Scope},
        graph::Side,
        id::JobId,
        job::{Job, LinkedJob},
        list::JobFilter,
        page::{Page, Slice},
    },
    store::{dependencies, jobs},
};

impl Services {
    /// The jobs with these ids, as far as the scope contains them.
    pub async fn jobs_by_id(&self, scope: Scope, ids: &[JobId]) -> Result<HashMap<JobId, Arc<Job>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(ids, async |ids| jobs::by_ids(db, scope, &ids).await).await?;
        Ok(by_id(found, |job| job.id))
    }

    /// A page of the jobs that the filter lets through.
    pub async fn jobs(&self, caller: &Caller, filter: &JobFilter, page: &Page) -> Result<Slice<Job>, Error> {
        let scope = caller.may_read()?;
        Ok(page.cut(jobs::page(self.store.reader(), scope, filter, page).await?))
    }

    /// How many jobs the filter lets through.
    pub async fn job_count(&self, caller: &Caller, filter: &JobFilter) -> Result<u64, Error> {
        let scope = caller.may_read()?;
        Ok(jobs::count(self.store.reader(), scope, filter).await?)
    }

    /// For each of these jobs, those that it requires, or those that depend on it.
    pub async fn linked_jobs(
        &self,
        scope: Scope,
        ids: &[JobId],
        side: Side,
    ) -> Result<HashMap<JobId, Vec<LinkedJob>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(ids, async |ids| dependencies::linked_to(db, scope, &ids, side).await).await?;
        let mut links: HashMap<JobId, Vec<LinkedJob>> = HashMap::new();
        for link in found {
            links.entry(link.of).or_default().push(link);
        }
        Ok(links)
    }
}
