//! The roots of all mutations, one file a kind of object.

mod backfills;
mod batches;
mod connections;
mod control;
mod schedules;
mod tenants;
mod tokens;
mod workers;

use async_graphql::MergedObject;

pub use backfills::CreateBackfillInput;
pub use batches::CreateBatchInput;
pub use control::RetryBatchInput;

/// What can be changed.
#[derive(MergedObject, Default)]
pub struct Mutation(
    tenants::TenantMutation,
    connections::ConnectionMutation,
    batches::BatchMutation,
    control::ControlMutation,
    workers::WorkerMutation,
    tokens::TokenMutation,
    schedules::ScheduleMutation,
    backfills::BackfillMutation,
);

/// A mutation's payload: the object that was made, and what was wrong.
macro_rules! payload {
    ($payload:ident, $field:ident: $node:ty, $what:literal) => {
        #[doc = concat!($what, ", or everything that was wrong.")]
        #[derive(async_graphql::SimpleObject)]
        pub struct $payload {
            #[doc = concat!($what, "; null when it was refused, and nothing was changed.")]
            $field: Option<$node>,
            /// Everything that was wrong; empty when it was done.
            user_errors: Vec<crate::graphql::error::UserError>,
        }

        impl $payload {
            fn new<T>(
                result: Result<T, crate::services::Error>,
                node: impl FnOnce(T) -> $node,
            ) -> async_graphql::Result<Self> {
                let (made, user_errors) = crate::graphql::error::payload(result)?;
                Ok(Self { $field: made.map(node), user_errors })
            }
        }
    };
}
use payload;
