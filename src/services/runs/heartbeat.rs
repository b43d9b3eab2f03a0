//! Heartbeats: a worker says that it is still there, and how far it is.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::{
    domain::{
        access::Caller,
        attempt::{Attempt, Progress},
        batch::Batch,
        id::BatchId,
        lease::{LeaseHash, LeaseToken},
    },
    services::{Error, Services},
    store::{Changes, attempts, batches},
};

/// What a worker says of one of its leases.
#[derive(Debug, Clone)]
pub struct Beat {
    /// The lease.
    pub lease: LeaseToken,
    /// How far the attempt is; `None`: nothing new.
    pub progress: Option<Progress>,
}

/// What a worker hears of one of its leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It goes on until then, UTC.
    GoesOn(DateTime<Utc>),
    /// The batch was canceled: the worker shall stop, and has until then to say so, UTC.
    Canceled(DateTime<Utc>),
    /// It is not, or no longer, the lease of a running attempt: the worker shall stop, and can change
    /// nothing.
    Lost,
}

impl Services {
    /// Extends leases, and says of each whether the worker shall go on.
    pub async fn heartbeat(&self, caller: &Caller, beats: Vec<Beat>) -> Result<Vec<Heard>, Error> {
        let scope = caller.may_work()?;
        let leases: Vec<LeaseHash> = beats.iter().map(|beat| beat.lease.hash()).collect();
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let transaction = self.store.write().await?;
        let db = transaction.db();
        let now = self.now();
        let running = attempts::lock_running(db, &leases, now).await?;
        let ids: Vec<BatchId> = running.iter().map(|attempt| attempt.batch_id).collect();
        let batches = if ids.is_empty() { Vec::new() } else { batches::by_ids(db, scope, &ids).await? };
        let batches: HashMap<BatchId, Batch> = batches.into_iter().map(|batch| (batch.id, batch)).collect();
        let mut running: HashMap<LeaseHash, Attempt> =
            running.into_iter().map(|attempt| (attempt.lease_hash.clone(), attempt)).collect();
        // A lease of another tenant is none, and is left as it is.
        running.retain(|_, attempt| batches.contains_key(&attempt.batch_id));
        let mut heard = Vec::with_capacity(beats.len());
        for (Beat { progress, .. }, lease) in beats.into_iter().zip(&leases) {
            let Some(attempt) = running.get_mut(lease) else {
                heard.push(Heard::Lost);
                continue;
            };
            attempt.expires_at = now + attempt.lease_duration.delta();
            attempt.progress = progress.or(attempt.progress.take());
            heard.push(match batches.get(&attempt.batch_id) {
                Some(batch) if batch.is_canceling() => Heard::Canceled(attempt.expires_at),
                Some(_) | None => Heard::GoesOn(attempt.expires_at),
            });
        }
        let mut changes = Changes::default();
        attempts::update(&mut changes, &running.values().collect::<Vec<_>>());
        changes.write(db).await?;
        transaction.commit().await?;
        Ok(heard)
    }
}
