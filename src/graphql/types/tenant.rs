//! Tenants.

use std::sync::Arc;

use async_graphql::{Context, Object, Result};

use super::filter::{BatchFilterInput, BatchOrder, ConnectionFilterInput, ScheduleFilterInput, Within};
use crate::{
    domain::{
        id::TenantId,
        page::PageArgs,
        tenant::{Concurrency, Tenant},
    },
    graphql::{
        fields::fields,
        inline::{Inline, viewed},
        lists::{BatchConnection, ConnectionConnection, ScheduleConnection},
        query::{batch_list, connection_list, schedule_list},
        scalar::DateTime,
    },
};

/// The GraphQL type `Tenant`.
#[derive(Clone)]
pub struct TenantNode(pub Arc<Tenant>);

viewed!(TenantNode(Arc<Tenant>));

fields! {
    /// The wall: nothing of one tenant is seen from another. A built-in tenant named `default` serves who
    /// names none.
    #[Object(name = "Tenant")]
    TenantNode |tenant|;

    /// Its id.
    value id: TenantId = tenant.id;

    /// Its name, unique among all tenants.
    value name: &str = &tenant.name;

    /// How many of its jobs may run at once; null: no limit.
    value max_concurrent_jobs: Option<i32> = tenant.max_concurrent_jobs.map(Concurrency::jobs);

    /// When it was made.
    value created_at: DateTime = DateTime(tenant.created_at);

    /// When it was last changed.
    value updated_at: DateTime = DateTime(tenant.updated_at);

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
