//! Whatever has an id.

use async_graphql::{ID, Interface};

use super::{
    backfill::BackfillNode, batch::BatchNode, connection::ConnectionNode, firing::FiringNode, job::JobNode,
    schedule::ScheduleNode, tenant::TenantNode, token::TokenNode,
};

/// Whatever has an id. One id names one thing everywhere: in GraphQL, in REST, in logs.
#[derive(Interface)]
#[graphql(
    name = "Node",
    field(name = "id", ty = "ID", desc = "Its id: its kind, an underscore, and 26 characters.")
)]
pub enum Node {
    /// A tenant.
    Tenant(TenantNode),
    /// A connection.
    Connection(ConnectionNode),
    /// A batch.
    Batch(BatchNode),
    /// A job.
    Job(JobNode),
    /// A schedule.
    Schedule(ScheduleNode),
    /// A firing of a schedule.
    Firing(FiringNode),
    /// A backfill of a schedule.
    Backfill(BackfillNode),
    /// A token, for the role ADMIN.
    Token(TokenNode),
}
