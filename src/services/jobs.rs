//! Jobs, looked at one by one; those of a page of batches come with [`super::graphs`].

use std::{collections::HashMap, sync::Arc};

use super::{Error, Services, by_id, in_chunks};
use crate::{
    domain::{
        graph::Side,
        id::JobId,
        job::{Job, LinkedJob},
        list::JobFilter,
        page::{Page, Slice},
    },
    store::{dependencies, jobs},
};

impl Services {
    /// The jobs with these ids.
    pub async fn jobs_by_id(&self, ids: &[JobId]) -> Result<HashMap<JobId, Arc<Job>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(ids, async |ids| jobs::by_ids(db, &ids).await).await?;
        Ok(by_id(found, |job| job.id))
    }

    /// A page of the jobs that the filter lets through.
    pub async fn jobs(&self, filter: &JobFilter, page: &Page) -> Result<Slice<Job>, Error> {
        Ok(page.cut(jobs::page(self.store.reader(), filter, page).await?))
    }

    /// How many jobs the filter lets through.
    pub async fn job_count(&self, filter: &JobFilter) -> Result<u64, Error> {
        Ok(jobs::count(self.store.reader(), filter).await?)
    }

    /// For each of these jobs, those that it requires, or those that depend on it.
    pub async fn linked_jobs(
        &self,
        ids: &[JobId],
        side: Side,
    ) -> Result<HashMap<JobId, Vec<LinkedJob>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(ids, async |ids| dependencies::linked_to(db, &ids, side).await).await?;
        let mut links: HashMap<JobId, Vec<LinkedJob>> = HashMap::new();
        for link in found {
            links.entry(link.of).or_default().push(link);
        }
        Ok(links)
    }
}
