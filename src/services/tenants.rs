//! Tenants.

use std::{collections::HashMap, sync::Arc};

use super::{Error, Services, by_id, in_chunks, not_found, wakeups::Topic};
use crate::{
    domain::{
        access::{Caller, Scope},
        id::TenantId,
        page::{Page, Slice},
        problem::{At, Problem, ProblemCode},
        tenant::{DEFAULT_TENANT, NewTenant, Tenant, TenantDraft, TenantPatch},
    },
    store::{Written, tenants, tokens},
};

impl Services {
    /// The tenants with these ids, as far as the scope contains them.
    pub async fn tenants_by_id(
        &self,
        scope: Scope,
        ids: &[TenantId],
    ) -> Result<HashMap<TenantId, Arc<Tenant>>, Error> {
        let db = self.store.reader();
        let found = in_chunks(ids, async |ids| tenants::by_ids(db, scope, &ids).await).await?;
        Ok(by_id(found, |tenant| tenant.id))
    }

    /// The tenant with this name.
    pub async fn tenant_named(&self, caller: &Caller, name: &str) -> Result<Option<Tenant>, Error> {
        let scope = caller.may_read()?;
        Ok(tenants::by_name(self.store.reader(), scope, name).await?)
    }

    /// A page of all tenants.
    pub async fn tenants(&self, caller: &Caller, page: &Page) -> Result<Slice<Tenant>, Error> {
        let scope = caller.may_read()?;
        Ok(page.cut(tenants::page(self.store.reader(), scope, page).await?))
    }

    /// How many tenants there are.
    pub async fn tenant_count(&self, caller: &Caller) -> Result<u64, Error> {
        let scope = caller.may_read()?;
        Ok(tenants::count(self.store.reader(), scope).await?)
    }

    /// Makes a tenant.
    pub async fn create_tenant(&self, caller: &Caller, draft: TenantDraft) -> Result<Tenant, Error> {
        caller.may_administer_all()?;
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
    pub async fn update_tenant(
        &self,
        caller: &Caller,
        id: TenantId,
        patch: TenantPatch,
    ) -> Result<Tenant, Error> {
        let scope = caller.may_administer_all()?;
        let transaction = self.store.write().await?;
        let tenant = tenants::lock(transaction.db(), scope, id).await?.ok_or_else(|| not_found("tenant"))?;
        let tenant = Tenant { updated_at: self.now(), ..patch.apply(tenant)? };
        match tenants::update(transaction.db(), &tenant).await? {
            Written::Done => transaction.commit().await?,
            Written::Duplicate | Written::Reference => return Err(name_taken(&tenant).into()),
        }
        Ok(tenant)
    }

    /// Removes a tenant that has nothing in it, revokes its tokens, and says what it was.
    pub async fn delete_tenant(&self, caller: &Caller, id: TenantId) -> Result<Tenant, Error> {
        let scope = caller.may_administer_all()?;
        let at = At::Root.field("id");
        if id == DEFAULT_TENANT {
            let message = "the default tenant is built in and can't be deleted";
            return Err(at.problem(ProblemCode::WrongState, message).into());
        }
        let transaction = self.store.write().await?;
        let tenant = tenants::lock(transaction.db(), scope, id).await?.ok_or_else(|| not_found("tenant"))?;
        match tenants::delete(transaction.db(), id).await? {
            Written::Done => {
                tokens::revoke_of_tenant(transaction.db(), id, self.now()).await?;
                transaction.commit().await?;
                self.wakeups.changed(&[Topic::Access]);
            }
            Written::Duplicate | Written::Reference => {
                let message = "this tenant still has connections, schedules or batches; delete them first";
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
