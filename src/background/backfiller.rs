//! Makes backfills go on.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::services::{Services, wakeups::Topic};

/// How long to sleep while no backfill is under way: a wake-up of another server may have got lost.
const POLL: TimeDelta = TimeDelta::seconds(30);
/// The same while backfills wait for batches to end.
const HELD: TimeDelta = TimeDelta::seconds(10);
/// How long to wait before the database is asked again that has not answered.
const RETRY: TimeDelta = TimeDelta::seconds(1);

/// Makes backfills go on until it is dropped.
pub async fn run(services: Arc<Services>) {
    let clock = services.clock().clone();
    let mut changes = services.wakeups().subscribe(Topic::Backfills);
    loop {
        changes.mark_unchanged();
        let pause = run_once(&services).await;
        tokio::select! {
            () = clock.sleep_until(clock.now() + pause) => {}
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// Does what is to be done, and says how long nothing is.
async fn run_once(services: &Services) -> TimeDelta {
    match services.advance_backfills().await {
        Ok(0) => POLL,
        Ok(_) => HELD,
        Err(error) => {
            tracing::warn!(%error, "could not look for backfills that go on; trying again");
            RETRY
        }
    }
}
