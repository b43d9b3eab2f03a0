//! Tenants.

use std::{collections::HashMap, sync::Arc};

use super::{Error, Services, by_id, in_chunks, not_found};
use crate::{
    domain::{
        id::TenantId,
        page::{Page, Slice},
        problem::{At, Problem, ProblemCode},
        tenant::{DEFAULT_TENANT, NewTenant, Tenant, TenantDraft, TenantPatch},
    },
    store::{Written, tenants},
};

impl Services {
    /// The tenants with these ids.
    pub async fn tenants_by_id(&self, ids: &[TenantId]) -> Result<HashMap<TenantId, Arc<Tenant>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(ids, async |ids| tenants::by_ids(db, &ids).await).await?;
        Ok(by_id(found, |tenant| tenant.id))
    }

    /// A page of all tenants.
    pub async fn tenants(&self, page: &Page) -> Result<Slice<Tenant>, Error> {
        Ok(page.cut(tenants::page(self.store.reader(), page).await?))
    }

    /// How many tenants there are.
    pub async fn tenant_count(&self) -> Result<u64, Error> {
        Ok(tenants::count(self.store.reader()).await?)
    }

    /// Makes a tenant.
    pub async fn create_tenant(&self, draft: TenantDraft) -> Result<Tenant, Error> {
        let NewTenant { name, max_concurrent_jobs } = NewTenant::parse(draft)?;
        let now = self.now();
        let tenant =
            Tenant { id: TenantId::new(now), name, max_concurrent_jobs, created_at: now, updated_at: now };
        let transaction = self.store.write().await?;
        match tenants::insert(transaction.db(), &tenant).await? {
            Written::Done => transaction.commit().await?,
            Written::Duplicate | Written::Reference => return Err(name_taken(&tenant).into()),
        }
        Ok(tenant)
    }

    /// Changes a tenant.
    pub async fn update_tenant(&self, id: TenantId, patch: TenantPatch) -> Result<Tenant, Error> {
        let transaction = self.store.write().await?;
        let tenant = tenants::lock(transaction.db(), id).await?.ok_or_else(|| not_found("tenant"))?;
        let tenant = Tenant { updated_at: self.now(), ..patch.apply(tenant)? };
        match tenants::update(transaction.db(), &tenant).await? {
            Written::Done => transaction.commit().await?,
            Written::Duplicate | Written::Reference => return Err(name_taken(&tenant).into()),
        }
        Ok(tenant)
    }

    /// Removes a tenant that has nothing in it, and says what it was.
    pub async fn delete_tenant(&self, id: TenantId) -> Result<Tenant, Error> {
        let at = At::Root.field("id");
        if id == DEFAULT_TENANT {
            let message = "the default tenant is built in and can't be deleted";
            return Err(at.problem(ProblemCode::WrongState, message).into());
        }
        let transaction = self.store.write().await?;
        let tenant = tenants::lock(transaction.db(), id).await?.ok_or_else(|| not_found("tenant"))?;
        match tenants::delete(transaction.db(), id).await? {
            Written::Done => transaction.commit().await?,
            Written::Duplicate | Written::Reference => {
                let message = "this tenant still has connections or batches; delete them first";
                return Err(at.problem(ProblemCode::InUse, message).into());
            }
        }
        Ok(tenant)
    }
}

fn name_taken(tenant: &Tenant) -> Problem {
    let message = format!("there already is a tenant named {:?}", &*tenant.name);
    At::Root.field("name").problem(ProblemCode::NameTaken, message)
}
