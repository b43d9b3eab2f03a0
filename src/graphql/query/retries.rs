//! What a retry would do.

use async_graphql::{Context, Object, Result, SimpleObject};

use crate::{
    graphql::{
        context::ContextExt,
        error::{UserError, payload},
        mutation::RetryBatchInput,
        types::job::JobNode,
    },
    services::BatchGraph,
};

/// What a retry would run again.
#[derive(SimpleObject)]
struct RetryPlan {
    /// The jobs that would start over, in the order of the batch.
    rerun: Vec<JobNode>,
    /// Jobs that have succeeded and whose outputs those would use again, in the order of the batch.
    reused: Vec<JobNode>,
    /// Everything that was wrong; empty when it can be done.
    user_errors: Vec<UserError>,
}

/// The queries for retries.
#[derive(Default)]
pub struct RetryQuery;

#[Object]
impl RetryQuery {
    /// What `retryBatch` would run again, without doing it.
    async fn plan_retry(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What `retryBatch` takes.")] input: RetryBatchInput,
    ) -> Result<RetryPlan> {
        let planned = async {
            let (id, jobs) = input.parse()?;
            ctx.services().plan_retry(ctx.caller(), id, jobs).await
        };
        let (planned, user_errors) = payload(planned.await)?;
        let (mut again, mut reused) = (Vec::new(), Vec::new());
        if let Some((graph, rerun)) = planned {
            again = members(&graph, &rerun.jobs);
            reused = members(&graph, &rerun.reused);
        }
        Ok(RetryPlan { rerun: again, reused, user_errors })
    }
}

fn members(graph: &std::sync::Arc<BatchGraph>, positions: &[u32]) -> Vec<JobNode> {
    let jobs = graph.jobs.as_deref().unwrap_or_default();
    let found = positions.iter().filter_map(|position| jobs.get(*position as usize));
    found.map(|job| JobNode::member(job, graph)).collect()
}
