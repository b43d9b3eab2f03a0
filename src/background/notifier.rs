//! Tells other servers that this one has changed something.

use std::{sync::Arc, time::Duration};

use crate::{
    services::wakeups::{Topic, Wakeups},
    store::Store,
};

/// How long to let wake-ups gather: one message tells of all of them.
const GATHER: Duration = Duration::from_millis(1);

/// Tells of changes until it is dropped.
pub async fn run(wakeups: Arc<Wakeups>, store: Store) {
    let mut own = wakeups.own();
    let mut told = *own.borrow();
    while own.changed().await.is_ok() {
        tokio::time::sleep(GATHER).await;
        let counts = *own.borrow_and_update();
        let changed = Topic::ALL.into_iter().filter(|topic| counts.of(*topic) != told.of(*topic));
        let message: Vec<&str> = changed.map(Topic::name).collect();
        if let Err(error) = store.tell(&message.join(" ")).await {
            // Whoever was to hear it polls.
            tracing::debug!(%error, "could not tell other servers of a change");
        }
        told = counts;
    }
}
