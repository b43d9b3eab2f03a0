//! What became of the firings of schedules.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object, Result};

use super::{batch::BatchNode, schedule::ScheduleNode};
use crate::{
    domain::{
        firing::{self, Firing},
        id::FiringId,
    },
    graphql::{
        context::ContextExt, error::UserError, fields::fields, inline::viewed, leaf::choices,
        loaders::GraphKey, lookahead, scalar::DateTime,
    },
};

/// What made a schedule fire.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "firing::FiringCause")]
pub enum FiringCause {
    /// Its timetable.
    Timetable,
    /// Somebody who did not want to wait: `triggerSchedule`.
    Trigger,
}

/// What became of a firing.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum FiringOutcome {
    /// A batch was made.
    Fired,
    /// It waits for an earlier batch of the schedule to end.
    Queued,
    /// It was left out; `reason` says why.
    Skipped,
    /// No batch could be made of the template; `userErrors` says why.
    Failed,
}

/// Why a firing was left out.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "firing::SkipReason")]
pub enum SkipReason {
    /// An earlier batch of the schedule had not ended.
    Overlap,
    /// No server ran when it was due, and it is not made up for.
    Missed,
}

/// The GraphQL type `ScheduleFiring`.
#[derive(Clone)]
pub struct FiringNode(pub Arc<Firing>);

viewed!(FiringNode(Arc<Firing>));
choices!(FiringCause, FiringOutcome, SkipReason);

fields! {
    /// What became of a schedule at an instant at which it was due, or when it was triggered. Every such instant leaves
    /// exactly one of these.
    #[Object(name = "ScheduleFiring")]
    FiringNode |firing|;

    /// Its id.
    value id: FiringId = firing.id;

    /// The schedule.
    async fn schedule(&self, ctx: &Context<'_>) -> Result<Option<ScheduleNode>> {
        Ok(ctx.load(self.0.schedule_id).await?.map(ScheduleNode))
    }

    /// When it was due.
    value due_at: DateTime = DateTime(firing.due_at);

    /// What made it due.
    value cause: FiringCause = firing.cause.into();

    /// When it was last said what became of it.
    value at: DateTime = DateTime(firing.at);

    /// What became of it.
    value outcome: FiringOutcome = outcome(firing);

    /// Why it was left out, if it was.
    value reason: Option<SkipReason> = reason(firing);

    /// The batch that was made, if one was and it was not removed since.
    async fn batch(&self, ctx: &Context<'_>) -> Result<Option<BatchNode>> {
        let firing::FiringOutcome::Fired { batch_id } = self.0.outcome else { return Ok(None) };
        let parts = lookahead::parts_of_batch(&ctx.look_ahead());
        Ok(ctx.load(GraphKey(batch_id, parts)).await?.map(BatchNode))
    }

    /// What was wrong with the template, each with its place there; empty when no batch had to be given up.
    async fn user_errors(&self) -> Vec<UserError> {
        match &self.0.outcome {
            firing::FiringOutcome::Failed(problems) => problems.iter().map(UserError::of_firing).collect(),
            firing::FiringOutcome::Fired { .. }
            | firing::FiringOutcome::Queued
            | firing::FiringOutcome::Skipped(_) => Vec::new(),
        }
    }
}

fn outcome(firing: &Firing) -> FiringOutcome {
    match firing.outcome {
        firing::FiringOutcome::Fired { .. } => FiringOutcome::Fired,
        firing::FiringOutcome::Queued => FiringOutcome::Queued,
        firing::FiringOutcome::Skipped(_) => FiringOutcome::Skipped,
        firing::FiringOutcome::Failed(_) => FiringOutcome::Failed,
    }
}

fn reason(firing: &Firing) -> Option<SkipReason> {
    match firing.outcome {
        firing::FiringOutcome::Skipped(reason) => Some(reason.into()),
        firing::FiringOutcome::Fired { .. }
        | firing::FiringOutcome::Queued
        | firing::FiringOutcome::Failed(_) => None,
    }
}
