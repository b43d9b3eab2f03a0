//! A draft beside what it refers to.

use std::{collections::HashSet, sync::Arc};

use super::super::{ConnectionMap, Error, by_id, in_chunks};
use crate::{
    domain::{
        access::Scope,
        batch::NewBatch,
        draft::{BatchDraft, BatchLimits},
        id::{ConnectionId, TenantId},
        problem::{At, Problem, ProblemCode, Segment},
        tenant::no_tenant,
    },
    store::{Db, connections, tenants},
};

/// What some drafts refer to, as far as it is there.
pub struct References {
    scope: Scope,
    tenants: HashSet<TenantId>,
    connections: Arc<ConnectionMap>,
}

impl References {
    /// Looks up what these drafts refer to within the scope, in a statement for all tenants and one for all
    /// connections.
    pub async fn of<'a>(
        db: &impl Db,
        scope: Scope,
        drafts: impl IntoIterator<Item = &'a BatchDraft> + Clone,
    ) -> Result<Self, Error> {
        let tenants: HashSet<TenantId> = drafts.clone().into_iter().filter_map(tenant_of).collect();
        let named = drafts.into_iter().flat_map(BatchDraft::named_connections);
        let connections: HashSet<ConnectionId> = named.map(|(id, _)| id).collect();
        let tenants: Vec<TenantId> = tenants.into_iter().collect();
        let connections: Vec<ConnectionId> = connections.into_iter().collect();
        let tenants = in_chunks(&tenants, async |ids| tenants::by_ids(db, scope, &ids).await).await?;
        let connections =
            in_chunks(&connections, async |ids| connections::by_ids(db, scope, &ids).await).await?;
        Ok(Self {
            scope,
            tenants: tenants.into_iter().map(|tenant| tenant.id).collect(),
            connections: Arc::new(by_id(connections, |connection| connection.id)),
        })
    }

    /// The connections that were found.
    pub fn connections(&self) -> Arc<ConnectionMap> {
        self.connections.clone()
    }

    /// Checks a draft by itself and against what it refers to, and says everything that is wrong
    /// with it. `owner` is the tenant of a batch that is there already.
    pub fn check(
        &self,
        draft: BatchDraft,
        owner: Option<TenantId>,
        limits: &BatchLimits,
    ) -> Result<NewBatch, Vec<Problem>> {
        let asked_for = tenant_of(&draft);
        let tenant_id = owner.or(asked_for).unwrap_or(self.scope.home());
        let named = draft.named_connections();
        let parsed = NewBatch::parse(draft, limits);

        let mut problems: Vec<Problem> = self.tenant_problem(asked_for, owner).into_iter().collect();
        problems.extend(parsed.as_ref().err().into_iter().flatten().cloned());
        if owner.is_some() || asked_for.is_none_or(|tenant| self.tenants.contains(&tenant)) {
            let found =
                named.into_iter().filter_map(|(id, path)| self.connection_problem(id, path, tenant_id));
            problems.extend(found);
        }
        match parsed {
            Ok(new) if problems.is_empty() => Ok(NewBatch { tenant_id, ..new }),
            _ => Err(problems),
        }
    }

    fn tenant_problem(&self, asked_for: Option<TenantId>, owner: Option<TenantId>) -> Option<Problem> {
        let asked_for = asked_for?;
        let at = At::Root.field("tenant_id");
        match owner {
            Some(owner) if owner == asked_for => None,
            Some(owner) => {
                let message = format!("this batch belongs to {owner} for good; leave this out");
                Some(at.problem(ProblemCode::ReadOnly, message))
            }
            None if self.tenants.contains(&asked_for) => None,
            None => Some(no_tenant(&at)),
        }
    }

    fn connection_problem(&self, id: ConnectionId, path: Vec<Segment>, tenant: TenantId) -> Option<Problem> {
        let (code, message) = match self.connections.get(&id).filter(|found| found.tenant_id == tenant) {
            None => (ProblemCode::NotFound, "the tenant of this batch has no connection with this id"),
            Some(found) if found.archived_at.is_some() => {
                (ProblemCode::WrongState, "this connection is archived and takes no new batches")
            }
            Some(_) => return None,
        };
        Some(Problem { code, message: message.into(), path })
    }
}

/// The tenant that a draft names, if it is the id of one.
fn tenant_of(draft: &BatchDraft) -> Option<TenantId> {
    TenantId::parse(draft.tenant_id.as_deref()?, &At::Root).ok()
}
