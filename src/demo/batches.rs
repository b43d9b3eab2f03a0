//! What the simulated workers work on.

use std::time::Duration;

use serde_json::json;

use super::dice::{happens, up_to};
use crate::{
    domain::{
        access::Caller,
        batch::{BatchStatus, FailurePolicy},
        connection::ConnectionDraft,
        draft::{BatchDraft, DEFAULT_MAX_ATTEMPTS, JobDraft},
        id::{BatchId, ConnectionId, TenantId},
        job::{JobType, RequiredObjects},
        list::{BatchFilter, ConnectionFilter, Order},
        page::{ListKind, MAX_PAGE, Page, PageArgs},
        tenant::TenantDraft,
        text::Name,
    },
    services::{Error, Expected, Parts, Services},
};

/// How long a scene is: then another batch is made, and something may be done to an older one.
pub const SCENE: Duration = Duration::from_secs(6);
/// What the tenant is called.
const TENANT: &str = "demo";
/// How many batches may be under way.
const UNDER_WAY: usize = 4;
/// How many batches that have ended are kept.
const KEPT: usize = 40;
/// What the batches are about.
const OBJECTS: [&str; 5] = ["Account", "Contact", "Opportunity", "Product", "Invoice"];

/// The tenant and its connections.
pub struct Stage {
    /// The tenant.
    pub tenant: TenantId,
    sources: Vec<ConnectionId>,
    warehouse: ConnectionId,
}

impl Stage {
    /// Makes the tenant and its connections, or finds those of an earlier demonstration.
    pub async fn set(services: &Services) -> Result<Self, Error> {
        let tenant = match services.tenant_named(&Caller::ANYBODY, TENANT).await? {
            Some(tenant) => tenant.id,
            None => {
                let draft = TenantDraft { name: TENANT.into(), max_concurrent_jobs: None };
                services.create_tenant(&Caller::ANYBODY, draft).await?.id
            }
        };
        let crm = connection(services, tenant, "crm", "salesforce", None).await?;
        let shop = connection(services, tenant, "shop", "shopify", Some(2)).await?;
        let warehouse = connection(services, tenant, "warehouse", "postgres", Some(2)).await?;
        Ok(Self { tenant, sources: vec![crm, shop], warehouse })
    }

    /// Makes a batch unless there are enough, and does something to the others.
    pub async fn next_scene(&self, services: &Services) -> Result<(), Error> {
        let statuses = vec![BatchStatus::Pending, BatchStatus::Running, BatchStatus::Canceling];
        let under_way = self.batches(services, statuses).await?;
        if under_way.len() < UNDER_WAY {
            services.create_batch(&Caller::ANYBODY, self.draft()).await?;
        } else if happens(20)
            && let Some(batch) = under_way.first()
        {
            services.cancel_batch(&Caller::ANYBODY, *batch).await?;
        }
        if happens(30)
            && let Some(batch) = self.batches(services, vec![BatchStatus::Failed]).await?.first()
        {
            services.retry_batch(&Caller::ANYBODY, *batch, None).await?;
        }
        let ended = vec![BatchStatus::Succeeded, BatchStatus::Failed, BatchStatus::Canceled];
        for batch in self.batches(services, ended).await?.into_iter().skip(KEPT) {
            services.delete_batch(&Caller::ANYBODY, batch, Expected::Any).await?;
        }
        Ok(())
    }

    /// The batches in one of these states, newest first.
    async fn batches(&self, services: &Services, statuses: Vec<BatchStatus>) -> Result<Vec<BatchId>, Error> {
        let filter = BatchFilter { tenant_id: Some(self.tenant), statuses, ..BatchFilter::default() };
        let page = page(ListKind::Batches, Order::NEWEST)?;
        let found = services.batches(&Caller::ANYBODY, &filter, &page, Parts::default()).await?;
        Ok(found.rows.iter().map(|graph| graph.batch.id).collect())
    }

    /// A few objects from one source into the warehouse, and what is made of them there.
    fn draft(&self) -> BatchDraft {
        let source = self.sources[up_to(self.sources.len() as u32) as usize];
        let objects = &OBJECTS[..2 + up_to(OBJECTS.len() as u32 - 1) as usize];
        let mut jobs = Vec::new();
        for object in objects {
            jobs.push(job(JobType::Extract, object, RequiredObjects::default()));
            let extract = vec![(*object).to_owned()];
            jobs.push(job(
                JobType::Load,
                &table(object),
                RequiredObjects { extract, ..RequiredObjects::default() },
            ));
        }
        let load = objects.iter().map(|object| table(object)).collect();
        jobs.push(job(JobType::Load, "summary", RequiredObjects { load, ..RequiredObjects::default() }));
        BatchDraft {
            tenant_id: Some(self.tenant.to_string()),
            source_connection_id: source.to_string(),
            destination_connection_id: self.warehouse.to_string(),
            since: Some("2010-01-01".into()),
            priority: up_to(3) as i32,
            failure_policy: if happens(25) { FailurePolicy::CancelBatch } else { FailurePolicy::Continue },
            jobs,
            ..BatchDraft::default()
        }
    }
}

async fn connection(
    services: &Services,
    tenant: TenantId,
    name: &str,
    provider: &str,
    max_concurrent_jobs: Option<i32>,
) -> Result<ConnectionId, Error> {
    let filter = ConnectionFilter {
        tenant_id: Some(tenant),
        name: Some(Name::stored(name.into())),
        ..ConnectionFilter::default()
    };
    let found =
        services.connections(&Caller::ANYBODY, &filter, &page(ListKind::Connections, Order::OLDEST)?).await?;
    if let Some(connection) = found.rows.first() {
        return Ok(connection.id);
    }
    let draft = ConnectionDraft {
        tenant_id: Some(tenant.to_string()),
        name: name.into(),
        provider: provider.into(),
        config: Some(json!({ "host": format!("{name}.example") })),
        credentials: None,
        max_concurrent_jobs,
    };
    Ok(services.create_connection(&Caller::ANYBODY, draft).await?.id)
}

fn page(list: ListKind, order: Order) -> Result<Page, Error> {
    let args = PageArgs { first: Some(MAX_PAGE as i32), ..PageArgs::default() };
    Ok(Page::parse(&args, list, order)?)
}

fn job(job_type: JobType, object: &str, required_objects: RequiredObjects<String>) -> JobDraft {
    JobDraft {
        job_type,
        object: object.into(),
        grain: None,
        connection_id: None,
        since: None,
        updated_since: None,
        allow_delete: false,
        max_attempts: DEFAULT_MAX_ATTEMPTS,
        required_objects,
    }
}

/// The table that an object is loaded into.
fn table(object: &str) -> String {
    format!("{}s", object.to_lowercase())
}
