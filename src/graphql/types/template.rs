//! What the batches of a schedule are to be.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use super::{
    batch::FailurePolicy,
    connection::ConnectionNode,
    job::{JobType, RequiredObjects},
};
use crate::{
    domain::{
        draft::{BatchDraft, JobDraft},
        id::ConnectionId,
        problem::At,
        schedule::Schedule,
    },
    graphql::{context::ContextExt, scalar::Since},
};

/// The GraphQL type `BatchTemplate`.
pub struct TemplateNode(pub Arc<Schedule>);

/// What the batches of a schedule are to be: what `createBatch` takes.
#[Object(name = "BatchTemplate")]
impl TemplateNode {
    /// Where the data comes from; null when that connection was removed since.
    async fn source_connection(&self, ctx: &Context<'_>) -> Result<Option<ConnectionNode>> {
        connection(ctx, &self.draft().source_connection_id).await
    }

    /// Where the data goes; null when that connection was removed since.
    async fn destination_connection(&self, ctx: &Context<'_>) -> Result<Option<ConnectionNode>> {
        connection(ctx, &self.draft().destination_connection_id).await
    }

    /// The earliest point in the data that is asked for.
    async fn since(&self) -> Option<Since> {
        self.draft().since.clone().map(Since::stored)
    }

    /// Only records changed after this point are asked for, whatever dates they bear.
    async fn updated_since(&self) -> Option<Since> {
        self.draft().updated_since.clone().map(Since::stored)
    }

    /// The higher, the earlier its jobs are claimed; from -1000 to 1000.
    async fn priority(&self) -> i32 {
        self.draft().priority
    }

    /// What becomes of the rest when one of its jobs fails for good.
    async fn failure_policy(&self) -> FailurePolicy {
        self.draft().failure_policy.into()
    }

    /// Its jobs, in the order given.
    async fn jobs(&self) -> Vec<TemplateJobNode> {
        (0..self.draft().jobs.len())
            .map(|position| TemplateJobNode { schedule: self.0.clone(), position })
            .collect()
    }
}

impl TemplateNode {
    fn draft(&self) -> &BatchDraft {
        &self.0.template
    }
}

/// The GraphQL type `TemplateJob`.
pub struct TemplateJobNode {
    schedule: Arc<Schedule>,
    position: usize,
}

/// What a job of a schedule's batches is to be.
#[Object(name = "TemplateJob")]
impl TemplateJobNode {
    /// Which way the data goes.
    async fn r#type(&self) -> JobType {
        self.draft().job_type.into()
    }

    /// What is extracted or loaded: a table, an endpoint, a stream.
    async fn object(&self) -> &str {
        &self.draft().object
    }

    /// The granularity of a summary report.
    async fn grain(&self) -> Option<&str> {
        self.draft().grain.as_deref()
    }

    /// Its own connection; null: the batch's source or destination, or one that was removed since.
    async fn connection(&self, ctx: &Context<'_>) -> Result<Option<ConnectionNode>> {
        match &self.draft().connection_id {
            Some(id) => connection(ctx, id).await,
            None => Ok(None),
        }
    }

    /// Its own earliest point in the data; null: the batch's.
    async fn since(&self) -> Option<Since> {
        self.draft().since.clone().map(Since::stored)
    }

    /// Its own earliest point of change; null: the batch's.
    async fn updated_since(&self) -> Option<Since> {
        self.draft().updated_since.clone().map(Since::stored)
    }

    /// Whether the loader may delete destination records that the extract no longer shows.
    async fn allow_delete(&self) -> bool {
        self.draft().allow_delete
    }

    /// How often it may be tried.
    async fn max_attempts(&self) -> i32 {
        self.draft().max_attempts
    }

    /// What must be there before it may start.
    async fn required_objects(&self) -> RequiredObjects {
        RequiredObjects::from(&self.draft().required_objects)
    }
}

impl TemplateJobNode {
    fn draft(&self) -> &JobDraft {
        &self.schedule.template.jobs[self.position]
    }
}

async fn connection(ctx: &Context<'_>, id: &str) -> Result<Option<ConnectionNode>> {
    match ConnectionId::parse(id, &At::Root) {
        Ok(id) => Ok(ctx.load(id).await?.map(ConnectionNode)),
        Err(_) => Ok(None),
    }
}
