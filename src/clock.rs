//! The time of day. Nobody else asks for it, so that a test can set it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

/// Where the time comes from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine.
    System,
    /// A test.
    Manual(ManualClock),
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock {
    micros: Arc<watch::Sender<i64>>,
}

impl ManualClock {
    /// Shows this many microseconds since 1970.
    pub fn new(micros: i64) -> Self {
        Self { micros: Arc::new(watch::Sender::new(micros)) }
    }

    /// Lets time pass, and wakes who waits for it.
    pub fn advance(&self, by: TimeDelta) {
        self.micros.send_modify(|micros| *micros += by.num_microseconds().unwrap_or_default());
    }
}

impl Clock {
    /// Now, UTC, in whole microseconds: what both databases can keep.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    pub fn now(&self) -> DateTime<Utc> {
        let micros = match self {
            Self::System => Utc::now().timestamp_micros(),
            Self::Manual(clock) => *clock.micros.borrow(),
        };
        DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// Waits until this point in time.
    pub async fn sleep_until(&self, instant: DateTime<Utc>) {
        match self {
            Self::System => {
                let wait = (instant - self.now()).to_std().unwrap_or(Duration::ZERO);
                tokio::time::sleep(wait).await;
            }
            Self::Manual(clock) => {
                let mut micros = clock.micros.subscribe();
                // The clock itself is here, so that its sender lives.
                let _ = micros.wait_for(|micros| *micros >= instant.timestamp_micros()).await;
            }
        }
    }
}
