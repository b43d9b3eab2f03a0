//! The roots of all queries, one file a kind of object.

mod access;
mod backfills;
mod batches;
mod connections;
mod events;
mod jobs;
mod nodes;
mod retries;
mod schedules;
mod tenants;

use async_graphql::MergedObject;

pub use batches::batch_list;
pub use connections::connection_list;
pub use events::event_list;
pub use schedules::schedule_list;

/// What can be read.
#[derive(MergedObject, Default)]
pub struct Query(
    nodes::NodeQuery,
    tenants::TenantQuery,
    connections::ConnectionQuery,
    batches::BatchQuery,
    jobs::JobQuery,
    retries::RetryQuery,
    events::EventQuery,
    access::AccessQuery,
    schedules::ScheduleQuery,
    backfills::BackfillQuery,
);
