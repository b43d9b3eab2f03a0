//! Mutations of tenants.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, Result};

use super::payload;
use crate::{
    domain::{
        id::TenantId,
        problem::At,
        tenant::{Tenant, TenantDraft, TenantPatch},
    },
    graphql::{context::ContextExt, types::tenant::TenantNode},
    services,
};

/// What a new tenant is to be.
#[derive(InputObject)]
struct CreateTenantInput {
    /// Its name, unique among all tenants; at most 255 characters.
    name: String,
    /// How many of its jobs may run at once, from 1 on; left out: no limit.
    max_concurrent_jobs: Option<i32>,
}

/// What of a tenant shall change. What is left out stays as it is.
#[derive(InputObject)]
struct UpdateTenantInput {
    /// Which tenant.
    id: ID,
    /// A new name.
    name: Option<String>,
    /// A new limit; null removes it.
    max_concurrent_jobs: MaybeUndefined<i32>,
}

/// Which tenant shall be removed.
#[derive(InputObject)]
struct DeleteTenantInput {
    /// Which tenant. It must have no connections and no batches.
    id: ID,
}

payload!(CreateTenantPayload, tenant: TenantNode, "The new tenant");
payload!(UpdateTenantPayload, tenant: TenantNode, "The changed tenant");
payload!(DeleteTenantPayload, tenant: TenantNode, "The tenant as it was");

/// The mutations of tenants.
#[derive(Default)]
pub struct TenantMutation;

#[Object]
impl TenantMutation {
    /// Makes a tenant.
    async fn create_tenant(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is to be.")] input: CreateTenantInput,
    ) -> Result<CreateTenantPayload> {
        let CreateTenantInput { name, max_concurrent_jobs } = input;
        let made =
            ctx.services().create_tenant(ctx.caller(), TenantDraft { name, max_concurrent_jobs }).await;
        CreateTenantPayload::new(made, node)
    }

    /// Changes a tenant.
    async fn update_tenant(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What shall change.")] input: UpdateTenantInput,
    ) -> Result<UpdateTenantPayload> {
        let UpdateTenantInput { id, name, max_concurrent_jobs } = input;
        let max_concurrent_jobs = max_concurrent_jobs.as_opt_ref().map(Option::<&i32>::copied);
        let patch = TenantPatch { name, max_concurrent_jobs };
        let changed = async { ctx.services().update_tenant(ctx.caller(), parse(&id)?, patch).await };
        UpdateTenantPayload::new(changed.await, node)
    }

    /// Removes a tenant that has no connections and no batches.
    async fn delete_tenant(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tenant.")] input: DeleteTenantInput,
    ) -> Result<DeleteTenantPayload> {
        let removed = async { ctx.services().delete_tenant(ctx.caller(), parse(&input.id)?).await };
        DeleteTenantPayload::new(removed.await, node)
    }
}

fn node(tenant: Tenant) -> TenantNode {
    TenantNode(Arc::new(tenant))
}

fn parse(id: &ID) -> Result<TenantId, services::Error> {
    Ok(TenantId::parse(id, &At::Root.field("id"))?)
}
