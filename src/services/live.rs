//! Waiting for changes. All that waits for something to happen waits here.

use std::time::Duration;

use super::{Error, Services};
use crate::{domain::id::BatchId, store::batches};

/// How often is looked whether something has changed.
const POLL: Duration = Duration::from_secs(1);

impl Services {
    /// Waits until the batch has another version than the one that was seen, or is gone. What it is
    /// now is for the caller to read.
    pub async fn batch_changed(&self, id: BatchId, seen: i32) -> Result<(), Error> {
        loop {
            tokio::time::sleep(POLL).await;
            if batches::version(self.store.reader(), id).await? != Some(seen) {
                return Ok(());
            }
        }
    }
}
