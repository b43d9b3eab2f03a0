//! Tenants.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};

use super::filter::{BatchFilterInput, BatchOrder, ConnectionFilterInput, ScheduleFilterInput, Within};
use crate::{
    domain::{
        page::PageArgs,
        tenant::{Concurrency, Tenant},
    },
    graphql::{
        inline::{Asked, AtHand, Inline, Write},
        lists::{BatchConnection, ConnectionConnection, ScheduleConnection},
        query::{batch_list, connection_list, schedule_list},
        scalar::DateTime,
    },
};

/// The GraphQL type `Tenant`.
#[derive(Clone)]
pub struct TenantNode(pub Arc<Tenant>);

/// The wall: nothing of one tenant is seen from another. A built-in tenant named `default` serves who
/// names none.
#[Object(name = "Tenant")]
impl TenantNode {
    /// Its id.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Its name, unique among all tenants.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// How many of its jobs may run at once; null: no limit.
    async fn max_concurrent_jobs(&self) -> Option<i32> {
        self.0.max_concurrent_jobs.map(|limit| limit.jobs())
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }

    /// Its connections, oldest first.
    #[allow(clippy::too_many_arguments, reason = "the arguments that Relay specifies")]
    async fn connections(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<ConnectionFilterInput>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<ConnectionConnection>> {
        connection_list(ctx, filter, Within::Tenant(self.0.id), PageArgs { first, after, last, before }).await
    }

    /// Its schedules, newest first.
    #[allow(clippy::too_many_arguments, reason = "the arguments that Relay specifies")]
    async fn schedules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<ScheduleFilterInput>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<ScheduleConnection>> {
        schedule_list(ctx, filter, Within::Tenant(self.0.id), PageArgs { first, after, last, before }).await
    }

    /// Its batches, newest first unless another order is asked for.
    #[allow(clippy::too_many_arguments, reason = "the arguments that Relay specifies")]
    async fn batches(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<BatchFilterInput>,
        #[graphql(desc = "In which order.")] order_by: Option<BatchOrder>,
        #[graphql(
            desc = "How many from the start, at most 100; 20 when neither `first` nor `last` is given."
        )]
        first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, at most 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Inline<BatchConnection>> {
        let args = PageArgs { first, after, last, before };
        batch_list(ctx, filter, Within::Tenant(self.0.id), order_by, args).await
    }
}

impl AtHand for TenantNode {
    type View<'a> = &'a Tenant;

    fn view(&self) -> &Tenant {
        &self.0
    }

    fn field(asked: &Asked<'_>) -> Option<Write<Self>> {
        Some(match asked.name() {
            "id" => Self::value(|tenant, json| json.id(tenant.id)),
            "name" => Self::value(|tenant, json| json.put(&*tenant.name)),
            "maxConcurrentJobs" => {
                Self::value(|tenant, json| json.put(&tenant.max_concurrent_jobs.map(Concurrency::jobs)))
            }
            "createdAt" => Self::value(|tenant, json| json.time(tenant.created_at)),
            "updatedAt" => Self::value(|tenant, json| json.time(tenant.updated_at)),
            _ => return None,
        })
    }
}
