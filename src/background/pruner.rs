//! Deletes what has been kept long enough.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::{
    domain::retention::{Pruned, Retention},
    services::{Error, Services},
};

/// How long to sleep when nothing is left to be deleted.
const POLL: TimeDelta = TimeDelta::minutes(5);

/// Deletes until it is dropped. Where everything is kept, only what somebody else has begun to delete, and once.
pub async fn run(services: Arc<Services>, retention: Retention) {
    let clock = services.clock().clone();
    loop {
        match run_once(&services, retention).await {
            Ok(()) if retention == Retention::default() => return,
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "could not delete what was kept long enough; trying again"),
        }
        clock.sleep_until(clock.now() + POLL).await;
    }
}

/// Deletes all that has been kept long enough by now.
async fn run_once(services: &Services, retention: Retention) -> Result<(), Error> {
    let pruned = services.prune(&retention.cuts(services.clock().now()), |_| {}).await?;
    if pruned != Pruned::default() {
        tracing::info!("deleted what was kept long enough: {pruned}");
    }
    Ok(())
}
