//! Why jobs do not run, for any number of jobs in the same number of statements.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::try_join5;

use super::{ConnectionMap, Error, Services, in_chunks};
use crate::{
    domain::{
        access::Scope,
        blocked::{BlockReason, Surroundings, WaitsFor, by_requirements, by_surroundings},
        claim::Running,
        graph::Side,
        id::{BatchId, JobId, TenantId},
        job::{Job, JobState, LinkedJob},
        tenant::Tenant,
    },
    store::{
        batches,
        claims::{self, WorkerCall},
    },
};

/// How long a worker that has asked for jobs is believed to be there.
const BELIEVED: TimeDelta = TimeDelta::minutes(1);

/// What stands around some jobs.
struct Found {
    links: HashMap<JobId, Vec<LinkedJob>>,
    connections: ConnectionMap,
    tenants: HashMap<TenantId, Arc<Tenant>>,
    running: Running,
    calls: Vec<WorkerCall>,
    canceling_since: HashMap<BatchId, DateTime<Utc>>,
}

impl Services {
    /// For each of these jobs everything that keeps it from running.
    pub async fn blocked_by(
        &self,
        scope: Scope,
        jobs: &[Arc<Job>],
    ) -> Result<HashMap<JobId, Vec<BlockReason>>, Error> {
        let now = self.now();
        let found = self.around(scope, jobs).await?;
        Ok(jobs.iter().map(|job| (job.id, found.reasons(job, now))).collect())
    }

    async fn around(&self, scope: Scope, jobs: &[Arc<Job>]) -> Result<Found, Error> {
        let in_state = |wanted: fn(&JobState) -> bool| jobs.iter().filter(move |job| wanted(&job.state));
        let blocked: Vec<JobId> =
            in_state(|state| matches!(state, JobState::Blocked)).map(|job| job.id).collect();
        let ready = || in_state(|state| matches!(state, JobState::Ready { .. }));
        let running = in_state(|state| matches!(state, JobState::Running { .. }));
        let connection_ids = distinct(ready().map(|job| job.connection_id));
        let tenant_ids = distinct(ready().map(|job| job.tenant_id));
        let batch_ids = distinct(running.map(|job| job.batch_id));
        let db = self.store.reader();
        let some_ready = !tenant_ids.is_empty();
        let counts = async {
            if !some_ready {
                return Ok((Running::default(), Vec::new()));
            }
            let running = claims::running(db, Some(&tenant_ids)).await?;
            Ok::<_, Error>((running, claims::calls_since(db, self.now() - BELIEVED).await?))
        };
        let canceling = async {
            let since =
                in_chunks(&batch_ids, async |ids| batches::canceling_since(db, scope, &ids).await).await?;
            Ok(since.into_iter().collect())
        };
        let (links, connections, tenants, (running, calls), canceling_since) = try_join5(
            self.linked_jobs(scope, &blocked, Side::Required),
            self.connections_by_id(scope, &connection_ids),
            self.tenants_by_id(scope, &tenant_ids),
            counts,
            canceling,
        )
        .await?;
        Ok(Found { links, connections, tenants, running, calls, canceling_since })
    }
}

impl Found {
    fn reasons(&self, job: &Job, now: DateTime<Utc>) -> Vec<BlockReason> {
        match job.state {
            JobState::Blocked => {
                by_requirements(job, self.links.get(&job.id).map(Vec::as_slice).unwrap_or_default())
            }
            JobState::Ready { .. } => {
                self.around(job).map(|around| by_surroundings(job, &around, now)).unwrap_or_default()
            }
            JobState::Running { .. } => {
                let since = self.canceling_since.get(&job.batch_id);
                let reason = since.map(|since| BlockReason { since: *since, waits_for: WaitsFor::Cancel });
                reason.into_iter().collect()
            }
            JobState::Succeeded { .. }
            | JobState::Failed { .. }
            | JobState::Skipped { .. }
            | JobState::Canceled { .. } => Vec::new(),
        }
    }

    /// `None` when its connection or its tenant were deleted meanwhile.
    fn around(&self, job: &Job) -> Option<Surroundings> {
        let connection = self.connections.get(&job.connection_id)?.clone();
        let tenant = self.tenants.get(&job.tenant_id)?.clone();
        let asks = |call: &&WorkerCall| {
            call.job_type == job.job_type
                && call.tenant_id.is_none_or(|tenant| tenant == job.tenant_id)
                && call.provider.as_deref().is_none_or(|provider| provider == &*connection.provider)
        };
        Some(Surroundings {
            on_connection: self.running.of_connection(job.connection_id),
            of_tenant: self.running.of_tenant(job.tenant_id),
            last_call: self.calls.iter().filter(asks).map(|call| call.called_at).max(),
            connection,
            tenant,
        })
    }
}

fn distinct<T: Eq + Hash>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.collect::<HashSet<T>>().into_iter().collect()
}
