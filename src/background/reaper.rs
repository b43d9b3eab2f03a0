//! Ends leases that have expired.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::services::{Reaped, Services};

/// How long to sleep when no lease is known to expire before: another server may have given one.
const POLL: TimeDelta = TimeDelta::seconds(10);

/// Ends expired leases until it is dropped.
pub async fn run(services: Arc<Services>) {
    let clock = services.clock().clone();
    let mut expiries = services.wakeups().expiries();
    loop {
        services.wakeups().forget_expiry();
        expiries.mark_unchanged();
        let stored = run_once(&services).await;
        loop {
            let poll = clock.now() + POLL;
            let given = *expiries.borrow_and_update();
            tokio::select! {
                () = clock.sleep_until(stored.unwrap_or(poll).min(given).min(poll)) => break,
                changed = expiries.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// Ends what has expired, and says when the next lease does.
async fn run_once(services: &Services) -> Option<DateTime<Utc>> {
    loop {
        match services.end_expired_leases().await {
            Ok(Reaped { leases: 0, next }) => return next,
            Ok(Reaped { leases, .. }) => tracing::info!(leases, "ended leases that had expired"),
            Err(error) => {
                tracing::warn!(%error, "could not look for expired leases");
                return None;
            }
        }
    }
}
