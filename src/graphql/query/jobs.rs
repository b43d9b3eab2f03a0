//! Queries for jobs.

use std::{collections::HashSet, sync::Arc};

use async_graphql::{Context, ID, Object, Result};

use crate::{
    domain::{
        id::{BatchId, JobId},
        job::Job,
        list::Order,
        page::{ListKind, Page, PageArgs, Slice},
        problem::At,
    },
    graphql::{
        context::ContextExt,
        error::{bad_argument, bad_id, query_error},
        inline::Inline,
        lists::{Counted, JobConnection, List},
        lookahead,
        types::{
            filter::{JobFilterInput, JobOrder},
            job::JobNode,
        },
    },
    services::Parts,
};

/// The queries for jobs.
#[derive(Default)]
pub struct JobQuery;

#[Object]
impl JobQuery {
    /// The job with this id; null when there is none.
    async fn job(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, job_….")] id: ID,
    ) -> Option<Result<Inline<JobNode>>> {
        let find = async || {
            let id = JobId::parse(&id, &At::Root.field("id")).map_err(bad_id)?;
            let Some(job) = ctx.look_up_one(id).await? else { return Ok(None) };
            let parts = lookahead::parts_of_jobs_batch(&ctx.look_ahead());
            Ok(nodes(ctx, vec![job], parts).await?.pop().map(Inline))
        };
        find().await.transpose()
    }

    /// Jobs of all batches, newest first unless another order is asked for.
    #[allow(clippy::too_many_arguments, reason = "the arguments that Relay specifies")]
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<JobFilterInput>,
        #[graphql(desc = "In which order.")] order_by: Option<JobOrder>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<JobConnection>> {
        let args = PageArgs { first, after, last, before };
        let page = Page::parse(&args, ListKind::Jobs, order_by.map_or(Order::NEWEST, Order::from))
            .map_err(bad_argument)?;
        let filter = filter.unwrap_or_default().parse().map_err(bad_argument)?;
        let look = ctx.look_ahead();
        let of_nodes = lookahead::parts_of_jobs_batch(&look.field("nodes"));
        let of_edges = lookahead::parts_of_jobs_batch(&look.field("edges").field("node"));
        let parts = of_nodes.into_iter().chain(of_edges).reduce(Parts::and);

        let slice = ctx.services().jobs(ctx.caller(), &filter, &page).await.map_err(query_error)?;
        let (has_previous, has_next) = (slice.has_previous, slice.has_next);
        let rows = nodes(ctx, slice.rows.into_iter().map(Arc::new).collect(), parts).await?;
        let slice = Slice { rows, has_previous, has_next };
        Ok(Inline(JobConnection(List::new(slice, &page, Counted::Jobs(filter)))))
    }
}

/// The jobs, with their batches where the selection wants something of those. One whose batch was
/// replaced or deleted meanwhile is gone itself: it leaves a gap, and nothing else.
async fn nodes(ctx: &Context<'_>, jobs: Vec<Arc<Job>>, parts: Option<Parts>) -> Result<Vec<JobNode>> {
    let Some(parts) = parts else { return Ok(jobs.into_iter().map(JobNode::alone).collect()) };
    let batches: HashSet<BatchId> = jobs.iter().map(|job| job.batch_id).collect();
    let batches: Vec<BatchId> = batches.into_iter().collect();
    let graphs =
        ctx.services().batches_by_id(ctx.caller().reach(), &batches, parts).await.map_err(query_error)?;
    let member = |job: Arc<Job>| {
        let graph = graphs.get(&job.batch_id).filter(|graph| graph.batch.revision == job.revision)?;
        Some(JobNode::member(&job, graph))
    };
    Ok(jobs.into_iter().filter_map(member).collect())
}
