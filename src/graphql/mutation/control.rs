//! Cancel and retry.

use async_graphql::{Context, ID, InputObject, Object, Result};

use super::payload;
use crate::{
    domain::{
        id::{BatchId, JobId},
        problem::{At, Problem, ProblemCode, keep},
    },
    graphql::{context::ContextExt, types::batch::BatchNode},
    services,
};

/// Which batch shall be canceled.
#[derive(InputObject)]
struct CancelBatchInput {
    /// Which batch.
    id: ID,
}

/// Which batch shall be retried.
#[derive(InputObject)]
pub struct RetryBatchInput {
    /// Which batch.
    id: ID,
    /// Only these jobs, at most 10000, with what depends on them and with what they require and is not
    /// there; left out: all that failed, were skipped or canceled.
    jobs: Option<Vec<ID>>,
}

payload!(CancelBatchPayload, batch: BatchNode, "The batch as it is now");
payload!(RetryBatchPayload, batch: BatchNode, "The batch as it is now");

/// The most jobs that a retry can name.
const MAX_NAMED: usize = 10_000;

/// The mutations that steer a batch that was started.
#[derive(Default)]
pub struct ControlMutation;

#[Object]
impl ControlMutation {
    /// Cancels a batch. Nothing new starts; running jobs are told with their next heartbeat, and the batch
    /// is `CANCELING` until the last has stopped. One that was canceled already stays as it is.
    async fn cancel_batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which batch.")] input: CancelBatchInput,
    ) -> Result<CancelBatchPayload> {
        let canceled = async {
            let id = BatchId::parse(&input.id, &At::Root.field("id"))?;
            ctx.services().cancel_batch(ctx.caller(), id).await
        };
        CancelBatchPayload::new(canceled.await, BatchNode)
    }

    /// Lets jobs of a batch that failed, were skipped or canceled run again, with all their attempts. What
    /// has succeeded stands, and its outputs are used again. Where there is nothing to run again, the
    /// batch stays as it is. See `planRetry`.
    async fn retry_batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which batch, and which of its jobs.")] input: RetryBatchInput,
    ) -> Result<RetryBatchPayload> {
        let retried = async {
            let (id, jobs) = input.parse()?;
            ctx.services().retry_batch(ctx.caller(), id, jobs).await
        };
        RetryBatchPayload::new(retried.await, BatchNode)
    }
}

impl RetryBatchInput {
    /// The ids that it names, or everything that is wrong with it.
    pub fn parse(self) -> std::result::Result<(BatchId, Option<Vec<JobId>>), services::Error> {
        let mut problems: Vec<Problem> = Vec::new();
        let id = keep(BatchId::parse(&self.id, &At::Root.field("id")), &mut problems);
        let at = At::Root.field("jobs");
        let jobs = self.jobs.map(|jobs| {
            if jobs.len() > MAX_NAMED {
                let message = format!("these are {} jobs; name at most {MAX_NAMED}", jobs.len());
                problems.push(at.problem(ProblemCode::TooMany, message));
                return Vec::new();
            }
            let parse = |(index, id): (usize, &ID)| keep(JobId::parse(id, &at.index(index)), &mut problems);
            jobs.iter().enumerate().filter_map(parse).collect()
        });
        match (id, problems.is_empty()) {
            (Some(id), true) => Ok((id, jobs)),
            _ => Err(problems.into()),
        }
    }
}
