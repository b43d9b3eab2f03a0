//! The roots of all queries, one file a kind of object.

mod batches;
mod connections;
mod jobs;
mod nodes;
mod tenants;

use async_graphql::MergedObject;

pub use batches::batch_list;
pub use connections::connection_list;

/// What can be read.
#[derive(MergedObject, Default)]
pub struct Query(
    nodes::NodeQuery,
    tenants::TenantQuery,
    connections::ConnectionQuery,
    batches::BatchQuery,
    jobs::JobQuery,
);
