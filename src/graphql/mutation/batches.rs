//! Mutations of batches.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result};

use super::payload;
use crate::{
    domain::{
        batch::Watermarks,
        draft::{BatchDraft, DEFAULT_MAX_ATTEMPTS, JobDraft},
        id::BatchId,
        job,
        problem::At,
    },
    graphql::{
        context::ContextExt,
        scalar::Since,
        types::{
            batch::{BatchNode, FailurePolicy},
            job::JobType,
        },
    },
    services::{self, BatchGraph, Expected, Replacement},
};

/// What a new batch is to be.
#[derive(InputObject)]
pub struct CreateBatchInput {
    /// The tenant it shall belong to; left out: the default tenant.
    tenant_id: Option<ID>,
    /// Where the data comes from: what its extracts use, unless they name their own.
    source_connection_id: ID,
    /// Where the data goes: what its loads use, unless they name their own.
    destination_connection_id: ID,
    /// The earliest point in the data that is asked for.
    since: Option<Since>,
    /// The earliest point in the data that is not asked for any more; later than `since`. No load may delete then what its
    /// extracts do not show: `UNSAFE_DELETE`.
    until: Option<Since>,
    /// Only records changed after this point are asked for, whatever dates they bear.
    updated_since: Option<Since>,
    /// The higher, the earlier its jobs are claimed; from -1000 to 1000.
    #[graphql(default)]
    priority: i32,
    /// What becomes of the rest when one of its jobs fails for good.
    #[graphql(default_with = "FailurePolicy::Continue")]
    failure_policy: FailurePolicy,
    /// Makes a repeated request harmless: the same key with the same input gives the first batch
    /// again, with another input the user error `IDEMPOTENCY_CONFLICT`. At most 255 characters.
    idempotency_key: Option<String>,
    /// Its jobs: at least one, at most as many as the server is configured for (10,000).
    jobs: Vec<JobInput>,
}

/// What a job of a batch is to be. No two jobs of a batch share type, object, grain and connection.
#[derive(InputObject)]
pub struct JobInput {
    /// Which way the data goes.
    r#type: JobType,
    /// What is extracted or loaded: a table, an endpoint, a stream; at most 255 characters.
    object: String,
    /// The granularity of a summary report, `daily` for instance; at most 64 characters.
    grain: Option<String>,
    /// Its own connection; left out: the batch's source (extract) or destination (load).
    connection_id: Option<ID>,
    /// Its own earliest point in the data; left out: the batch's.
    since: Option<Since>,
    /// Its own earliest point of change; left out: the batch's.
    updated_since: Option<Since>,
    /// Whether the loader may delete destination records that the extract no longer shows. For loads
    /// only, and only where the extracts that it requires show everything.
    #[graphql(default)]
    allow_delete: bool,
    /// How often it may be tried, from 1 to 100.
    #[graphql(default_with = "DEFAULT_MAX_ATTEMPTS")]
    max_attempts: i32,
    /// What must be there before it may start; left out: nothing.
    required_objects: Option<RequiredObjectsInput>,
}

/// What must be there before a job may start. A name stands for every job of the batch with that
/// object and the type of its kind, in all its grains.
#[derive(InputObject, Default)]
pub struct RequiredObjectsInput {
    /// Objects that must be extracted.
    #[graphql(default)]
    extract: Vec<String>,
    /// Objects that must be loaded.
    #[graphql(default)]
    load: Vec<String>,
    /// Objects whose load must have published its result.
    #[graphql(default)]
    load_result: Vec<String>,
}

/// What several new batches are to be.
#[derive(InputObject)]
struct CreateBatchesInput {
    /// The batches: at most 100, with no more jobs in all than one batch may have.
    batches: Vec<CreateBatchInput>,
}

/// A new definition for a batch, in place of the whole old one.
#[derive(InputObject)]
struct UpdateBatchInput {
    /// Which batch. Nothing of it may have started.
    id: ID,
    /// The version that you have seen; when the batch has changed since, it is left as it is and the
    /// user error is `STALE_VERSION`.
    version: i32,
    /// Where the data comes from.
    source_connection_id: ID,
    /// Where the data goes.
    destination_connection_id: ID,
    /// The earliest point in the data that is asked for.
    since: Option<Since>,
    /// The earliest point in the data that is not asked for any more; later than `since`. No load may delete then what its
    /// extracts do not show: `UNSAFE_DELETE`.
    until: Option<Since>,
    /// Only records changed after this point are asked for, whatever dates they bear.
    updated_since: Option<Since>,
    /// The higher, the earlier its jobs are claimed; from -1000 to 1000.
    #[graphql(default)]
    priority: i32,
    /// What becomes of the rest when one of its jobs fails for good.
    #[graphql(default_with = "FailurePolicy::Continue")]
    failure_policy: FailurePolicy,
    /// Its jobs. All of them are made anew, with new ids.
    jobs: Vec<JobInput>,
}

/// Which batch shall be removed.
#[derive(InputObject)]
struct DeleteBatchInput {
    /// Which batch. It must not be running.
    id: ID,
    /// The version that you have seen; left out: remove it whatever it is now.
    version: Option<i32>,
}

payload!(CreateBatchPayload, batch: BatchNode, "The new batch");
payload!(CreateBatchesPayload, batches: Vec<BatchNode>, "The new batches, in the order given");
payload!(UpdateBatchPayload, batch: BatchNode, "The batch with its new definition");
payload!(DeleteBatchPayload, batch: BatchNode, "The batch as it was");

/// The mutations of batches.
#[derive(Default)]
pub struct BatchMutation;

#[Object]
impl BatchMutation {
    /// Makes a batch with its jobs.
    async fn create_batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is to be.")] input: CreateBatchInput,
    ) -> Result<CreateBatchPayload> {
        CreateBatchPayload::new(ctx.services().create_batch(ctx.caller(), input.into()).await, BatchNode)
    }

    /// Makes several batches with their jobs: all of them, or none.
    async fn create_batches(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What they are to be.")] input: CreateBatchesInput,
    ) -> Result<CreateBatchesPayload> {
        let drafts = input.batches.into_iter().map(BatchDraft::from).collect();
        let nodes = |made: Vec<Arc<BatchGraph>>| made.into_iter().map(BatchNode).collect();
        CreateBatchesPayload::new(ctx.services().create_batches(ctx.caller(), drafts).await, nodes)
    }

    /// Replaces the definition of a batch of which nothing has started.
    async fn update_batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which batch, and its new definition.")] input: UpdateBatchInput,
    ) -> Result<UpdateBatchPayload> {
        let (id, replacement) = input.into_parts();
        let changed = async { ctx.services().replace_batch(ctx.caller(), parse(&id)?, replacement).await };
        UpdateBatchPayload::new(changed.await, BatchNode)
    }

    /// Removes a batch that is not running, with its jobs.
    async fn delete_batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which batch.")] input: DeleteBatchInput,
    ) -> Result<DeleteBatchPayload> {
        let DeleteBatchInput { id, version } = input;
        let expected = version.map_or(Expected::Any, |version| Expected::Versions(vec![version]));
        let removed = async { ctx.services().delete_batch(ctx.caller(), parse(&id)?, expected).await };
        DeleteBatchPayload::new(removed.await, BatchNode)
    }
}

fn parse(id: &ID) -> Result<BatchId, services::Error> {
    Ok(BatchId::parse(id, &At::Root.field("id"))?)
}

impl From<CreateBatchInput> for BatchDraft {
    fn from(input: CreateBatchInput) -> Self {
        Self {
            tenant_id: input.tenant_id.map(|id| id.0),
            source_connection_id: input.source_connection_id.0,
            destination_connection_id: input.destination_connection_id.0,
            since: input.since.map(Since::into_text),
            until: input.until.map(Since::into_text),
            updated_since: input.updated_since.map(Since::into_text),
            priority: input.priority,
            failure_policy: input.failure_policy.into(),
            watermarks: Watermarks::Stay,
            idempotency_key: input.idempotency_key,
            jobs: input.jobs.into_iter().map(JobDraft::from).collect(),
        }
    }
}

impl UpdateBatchInput {
    fn into_parts(self) -> (ID, Replacement) {
        let draft = BatchDraft {
            tenant_id: None,
            source_connection_id: self.source_connection_id.0,
            destination_connection_id: self.destination_connection_id.0,
            since: self.since.map(Since::into_text),
            until: self.until.map(Since::into_text),
            updated_since: self.updated_since.map(Since::into_text),
            priority: self.priority,
            failure_policy: self.failure_policy.into(),
            watermarks: Watermarks::Stay,
            idempotency_key: None,
            jobs: self.jobs.into_iter().map(JobDraft::from).collect(),
        };
        (self.id, Replacement { expected: Expected::Versions(vec![self.version]), draft })
    }
}

impl From<JobInput> for JobDraft {
    fn from(input: JobInput) -> Self {
        let RequiredObjectsInput { extract, load, load_result } = input.required_objects.unwrap_or_default();
        Self {
            job_type: input.r#type.into(),
            object: input.object,
            grain: input.grain,
            connection_id: input.connection_id.map(|id| id.0),
            since: input.since.map(Since::into_text),
            updated_since: input.updated_since.map(Since::into_text),
            allow_delete: input.allow_delete,
            max_attempts: input.max_attempts,
            required_objects: job::RequiredObjects { extract, load, load_result },
        }
    }
}
