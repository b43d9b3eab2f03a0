//! A demonstration: a tenant of its own, with connections, batches that really run, and simulated
//! workers that go through the same protocol as real ones. Some attempts fail, a worker dies now and
//! then, a batch is canceled, others are retried.

mod batches;
mod dice;
mod worker;

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::{
    domain::id::TenantId,
    services::{Error, Services},
};

/// How many workers there are.
const WORKERS: usize = 4;
/// How long to wait after something failed before it is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// The running demonstration. It ends when this is dropped.
pub struct Demo(#[expect(dead_code, reason = "dropping it ends the tasks")] JoinSet<()>);

impl Demo {
    /// Sets the stage and lets it run.
    pub fn start(services: &Arc<Services>) -> Self {
        let mut tasks = JoinSet::new();
        let services = services.clone();
        tasks.spawn(async move {
            let stage = loop {
                match batches::Stage::set(&services).await {
                    Ok(stage) => break stage,
                    Err(error) => complain(&error).await,
                }
            };
            let tenant = stage.tenant;
            let mut playing = JoinSet::new();
            for number in 1..=WORKERS {
                playing.spawn(play(services.clone(), tenant, number));
            }
            loop {
                if let Err(error) = stage.next_scene(&services).await {
                    complain(&error).await;
                }
                tokio::time::sleep(batches::SCENE).await;
            }
        });
        Self(tasks)
    }
}

async fn play(services: Arc<Services>, tenant: TenantId, number: usize) {
    loop {
        if let Err(error) = worker::work(&services, tenant, number).await {
            complain(&error).await;
        }
    }
}

async fn complain(error: &Error) {
    tracing::warn!(%error, "the demonstration has stumbled, and goes on");
    tokio::time::sleep(AGAIN).await;
}
