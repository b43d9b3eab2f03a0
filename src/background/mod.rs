//! What goes on without being asked for: one loop a file, each safe to run in all servers at once.

mod backfiller;
mod listener;
mod notifier;
mod pruner;
mod reaper;
mod scheduler;

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::{domain::retention::Retention, services::Services, store::Store};

/// The loops of one server. They end when this is dropped.
pub struct Background(#[expect(dead_code, reason = "dropping it ends the loops")] JoinSet<()>);

impl Background {
    /// Starts the loops.
    pub fn start(services: &Arc<Services>, store: &Store, retention: Retention) -> Self {
        let mut loops = JoinSet::new();
        loops.spawn(reaper::run(services.clone()));
        loops.spawn(scheduler::run(services.clone()));
        loops.spawn(backfiller::run(services.clone()));
        loops.spawn(pruner::run(services.clone(), retention));
        loops.spawn(notifier::run(services.wakeups().clone(), store.clone()));
        loops.spawn(listener::run(services.wakeups().clone(), store.clone()));
        Self(loops)
    }
}
