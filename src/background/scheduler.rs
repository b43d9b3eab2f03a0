//! Makes schedules fire when they are due.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::services::{NextDue, Services, wakeups::Topic};

/// How long to sleep when nothing is known to be due before: a wake-up of another server may have got lost.
const POLL: TimeDelta = TimeDelta::seconds(30);
/// The same while a firing waits for a batch to end.
const HELD: TimeDelta = TimeDelta::seconds(10);
/// How long to wait before the database is asked again that has not answered.
const RETRY: TimeDelta = TimeDelta::seconds(1);

/// Makes schedules fire until it is dropped.
pub async fn run(services: Arc<Services>) {
    let clock = services.clock().clone();
    let mut changes = services.wakeups().subscribe(Topic::Schedules);
    loop {
        changes.mark_unchanged();
        let next = run_once(&services).await;
        let poll = clock.now() + POLL;
        tokio::select! {
            () = clock.sleep_until(next.unwrap_or(poll).min(poll)) => {}
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// Makes fire what is due, and says when to look again.
async fn run_once(services: &Services) -> Option<DateTime<Utc>> {
    match services.fire_schedules().await {
        Ok(NextDue { at, held: 0 }) => at,
        Ok(NextDue { at, .. }) => {
            let soon = services.clock().now() + HELD;
            Some(at.map_or(soon, |at| at.min(soon)))
        }
        Err(error) => {
            tracing::warn!(%error, "could not look for schedules that are due; trying again");
            Some(services.clock().now() + RETRY)
        }
    }
}
