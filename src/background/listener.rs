//! Hears from other servers that they have changed something.

use std::{sync::Arc, time::Duration};

use crate::{
    services::wakeups::{Topic, Wakeups},
    store::{Error, Store},
};

/// How long to wait before the next try to reach the database.
const AGAIN: Duration = Duration::from_secs(1);

/// Listens until it is dropped, or for ever where there is nobody to listen to.
pub async fn run(wakeups: Arc<Wakeups>, store: Store) {
    loop {
        match listen(&wakeups, &store).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "can't hear other servers; trying again"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn listen(wakeups: &Wakeups, store: &Store) -> Result<(), Error> {
    let Some(mut listener) = store.listen().await? else { return Ok(()) };
    // Something may have been said before.
    Topic::ALL.into_iter().for_each(|topic| wakeups.heard(topic));
    loop {
        match listener.next().await? {
            Some(message) => {
                message.split(' ').filter_map(Topic::named).for_each(|topic| wakeups.heard(topic))
            }
            None => Topic::ALL.into_iter().for_each(|topic| wakeups.heard(topic)),
        }
    }
}
