//! Filters and orders, and their way into the domain.

use async_graphql::{Enum, ID, InputObject};

use super::{
    batch::BatchStatus,
    job::{JobStatus, JobType},
};
use crate::domain::{
    id::{BatchId, ConnectionId, ScheduleId, TenantId},
    list::{self, Archived, SortField},
    problem::{At, Problem, ProblemCode, keep},
    text::{Name, ObjectName, Provider},
};

/// What a list is already bound to by the object it is a field of.
#[derive(Debug, Clone, Copy)]
pub enum Within {
    /// Nothing: a list of the root.
    All,
    /// A tenant's list.
    Tenant(TenantId),
    /// A connection's list.
    Connection(ConnectionId),
    /// A schedule's list.
    Schedule(ScheduleId),
}

/// Which connections. What is left out lets everything through; all that is given must hold.
#[derive(InputObject, Default)]
#[graphql(name = "ConnectionFilter")]
pub struct ConnectionFilterInput {
    /// Those of this tenant.
    tenant_id: Option<ID>,
    /// Those that lead to this kind of system.
    provider: Option<String>,
    /// The one with this name, in each tenant.
    name: Option<String>,
    /// true: those that are archived; false: those that are not.
    archived: Option<bool>,
}

/// Which batches. What is left out lets everything through; all that is given must hold.
#[derive(InputObject, Default)]
#[graphql(name = "BatchFilter")]
pub struct BatchFilterInput {
    /// Those of this tenant.
    tenant_id: Option<ID>,
    /// Those with one of these statuses; an empty list lets everything through.
    statuses: Option<Vec<BatchStatus>>,
    /// Those that have this connection as their source.
    source_connection_id: Option<ID>,
    /// Those that have this connection as their destination.
    destination_connection_id: Option<ID>,
    /// Those that have this connection as their source or their destination.
    connection_id: Option<ID>,
    /// Those that this schedule has made.
    schedule_id: Option<ID>,
}

/// Which schedules. What is left out lets everything through; all that is given must hold.
#[derive(InputObject, Default)]
#[graphql(name = "ScheduleFilter")]
pub struct ScheduleFilterInput {
    /// Those of this tenant.
    tenant_id: Option<ID>,
    /// The one with this name, in each tenant.
    name: Option<String>,
}

/// Which jobs. What is left out lets everything through; all that is given must hold.
#[derive(InputObject, Default)]
#[graphql(name = "JobFilter")]
pub struct JobFilterInput {
    /// Those of this tenant.
    tenant_id: Option<ID>,
    /// Those of this batch.
    batch_id: Option<ID>,
    /// Those that use this connection.
    connection_id: Option<ID>,
    /// Those with one of these statuses; an empty list lets everything through.
    statuses: Option<Vec<JobStatus>>,
    /// Those of this type.
    r#type: Option<JobType>,
    /// Those that extract or load this object.
    object: Option<String>,
}

/// In which order batches are listed.
#[derive(InputObject, Clone, Copy)]
pub struct BatchOrder {
    /// What they are sorted by; those that are equal in it follow each other as they were made.
    field: BatchOrderField,
    /// Which way.
    #[graphql(default_with = "OrderDirection::Descending")]
    direction: OrderDirection,
}

/// What batches can be sorted by.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum BatchOrderField {
    /// When they were made.
    CreatedAt,
    /// When they were last changed.
    UpdatedAt,
    /// Their priority.
    Priority,
}

/// In which order jobs are listed.
#[derive(InputObject, Clone, Copy)]
pub struct JobOrder {
    /// What they are sorted by; those that are equal in it follow each other as they were made.
    field: JobOrderField,
    /// Which way.
    #[graphql(default_with = "OrderDirection::Descending")]
    direction: OrderDirection,
}

/// What jobs can be sorted by.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum JobOrderField {
    /// When they were made.
    CreatedAt,
}

/// Which way a list runs.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "list::Direction")]
pub enum OrderDirection {
    /// Oldest or lowest first.
    #[graphql(name = "ASC")]
    Ascending,
    /// Newest or highest first.
    #[graphql(name = "DESC")]
    Descending,
}

impl From<BatchOrder> for list::Order {
    fn from(order: BatchOrder) -> Self {
        let field = match order.field {
            BatchOrderField::CreatedAt => SortField::CreatedAt,
            BatchOrderField::UpdatedAt => SortField::UpdatedAt,
            BatchOrderField::Priority => SortField::Priority,
        };
        Self { field, direction: order.direction.into() }
    }
}

impl From<JobOrder> for list::Order {
    fn from(order: JobOrder) -> Self {
        let field = match order.field {
            JobOrderField::CreatedAt => SortField::CreatedAt,
        };
        Self { field, direction: order.direction.into() }
    }
}

impl ConnectionFilterInput {
    /// The filter, within its list.
    pub fn parse(self, within: Within) -> Result<list::ConnectionFilter, Vec<Problem>> {
        let at = At::Root.field("filter");
        let mut problems = Vec::new();
        let asked_for = id(self.tenant_id, TenantId::parse, &at.field("tenant_id"), &mut problems);
        let filter = list::ConnectionFilter {
            tenant_id: in_scope(asked_for, within, &at, &mut problems),
            provider: text(self.provider, Provider::parse, &at.field("provider"), &mut problems),
            name: text(self.name, Name::parse, &at.field("name"), &mut problems),
            archived: self.archived.map(|archived| if archived { Archived::Yes } else { Archived::No }),
        };
        if problems.is_empty() { Ok(filter) } else { Err(problems) }
    }
}

impl BatchFilterInput {
    /// The filter, within its list.
    pub fn parse(self, within: Within) -> Result<list::BatchFilter, Vec<Problem>> {
        let at = At::Root.field("filter");
        let mut problems = Vec::new();
        let mut connection = |written, name| id(written, ConnectionId::parse, &at.field(name), &mut problems);
        let source_connection_id = connection(self.source_connection_id, "source_connection_id");
        let destination_connection_id =
            connection(self.destination_connection_id, "destination_connection_id");
        let asked_for = connection(self.connection_id, "connection_id");
        let connection_id = match within {
            Within::All | Within::Tenant(_) | Within::Schedule(_) => asked_for,
            Within::Connection(own) => {
                Some(only_own(asked_for, own, &at.field("connection_id"), &mut problems))
            }
        };
        let asked_for = id(self.schedule_id, ScheduleId::parse, &at.field("schedule_id"), &mut problems);
        let schedule_id = match within {
            Within::All | Within::Tenant(_) | Within::Connection(_) => asked_for,
            Within::Schedule(own) => Some(only_own(asked_for, own, &at.field("schedule_id"), &mut problems)),
        };
        let tenant = id(self.tenant_id, TenantId::parse, &at.field("tenant_id"), &mut problems);
        let filter = list::BatchFilter {
            tenant_id: in_scope(tenant, within, &at, &mut problems),
            statuses: self.statuses.unwrap_or_default().into_iter().map(Into::into).collect(),
            source_connection_id,
            destination_connection_id,
            connection_id,
            schedule_id,
        };
        if problems.is_empty() { Ok(filter) } else { Err(problems) }
    }
}

impl ScheduleFilterInput {
    /// The filter, within its list.
    pub fn parse(self, within: Within) -> Result<list::ScheduleFilter, Vec<Problem>> {
        let at = At::Root.field("filter");
        let mut problems = Vec::new();
        let tenant = id(self.tenant_id, TenantId::parse, &at.field("tenant_id"), &mut problems);
        let filter = list::ScheduleFilter {
            tenant_id: in_scope(tenant, within, &at, &mut problems),
            name: text(self.name, Name::parse, &at.field("name"), &mut problems),
        };
        if problems.is_empty() { Ok(filter) } else { Err(problems) }
    }
}

impl JobFilterInput {
    /// The filter.
    pub fn parse(self) -> Result<list::JobFilter, Vec<Problem>> {
        let at = At::Root.field("filter");
        let mut problems = Vec::new();
        let filter = list::JobFilter {
            tenant_id: id(self.tenant_id, TenantId::parse, &at.field("tenant_id"), &mut problems),
            batch_id: id(self.batch_id, BatchId::parse, &at.field("batch_id"), &mut problems),
            connection_id: id(
                self.connection_id,
                ConnectionId::parse,
                &at.field("connection_id"),
                &mut problems,
            ),
            statuses: self.statuses.unwrap_or_default().into_iter().map(Into::into).collect(),
            job_type: self.r#type.map(Into::into),
            object: text(self.object, ObjectName::parse, &at.field("object"), &mut problems),
        };
        if problems.is_empty() { Ok(filter) } else { Err(problems) }
    }
}

fn id<T>(
    written: Option<ID>,
    parse: impl Fn(&str, &At<'_>) -> Result<T, Problem>,
    at: &At<'_>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    written.and_then(|id| keep(parse(&id, at), problems))
}

/// A text to be compared with stored ones: one that could not be stored is refused.
fn text<T>(
    written: Option<String>,
    parse: impl Fn(String, &At<'_>) -> Result<T, Problem>,
    at: &At<'_>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    written.and_then(|text| keep(parse(text, at), problems))
}

fn in_scope(
    asked_for: Option<TenantId>,
    within: Within,
    at: &At<'_>,
    problems: &mut Vec<Problem>,
) -> Option<TenantId> {
    match within {
        Within::All | Within::Connection(_) | Within::Schedule(_) => asked_for,
        Within::Tenant(own) => Some(only_own(asked_for, own, &at.field("tenant_id"), problems)),
    }
}

fn only_own<T>(asked_for: Option<T>, own: T, at: &At<'_>, problems: &mut Vec<Problem>) -> T {
    if asked_for.is_some() {
        let message = "this list is already that of one object; leave this out";
        problems.push(at.problem(ProblemCode::InvalidValue, message));
    }
    own
}
