//! How long one result of a subscription may take.
//!
//! A subscription mostly waits for something to happen, for ever if nothing does. What has a limit is the time from
//! when it has something to tell until that is told.

use std::{future::pending, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// Whether a subscription works on a result, and since when.
#[derive(Debug, Clone)]
pub struct Work(watch::Sender<Option<Instant>>);

impl Work {
    /// It has just begun, with what comes before the first result.
    pub fn begun() -> Self {
        Self(watch::Sender::new(Some(Instant::now())))
    }

    /// There is something to tell. The time goes on where it ran already.
    pub fn begin(&self) {
        self.0.send_if_modified(|since| {
            let begins = since.is_none();
            since.get_or_insert_with(Instant::now);
            begins
        });
    }

    /// There is nothing to tell until something happens.
    pub fn rest(&self) {
        self.0.send_replace(None);
    }

    /// Waits until it has worked on one result for this long.
    async fn overdue(&self, limit: Duration) {
        let mut work = self.0.subscribe();
        loop {
            let since = *work.borrow_and_update();
            let late = async {
                match since {
                    Some(since) => sleep_until(since + limit).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = late => return,
                Ok(()) = work.changed() => {}
            }
        }
    }
}

/// The same results, each within its time; where one takes longer there is `late` in its place, and it ends.
pub fn in_time<T>(
    results: impl Stream<Item = T> + Unpin,
    work: Work,
    limit: Duration,
    late: impl Fn() -> T,
) -> impl Stream<Item = T> {
    stream::unfold((Some(results), work, late), move |(results, work, late)| async move {
        let mut results = results?;
        tokio::select! {
            biased;
            result = results.next() => {
                work.rest();
                Some((result?, (Some(results), work, late)))
            }
            () = work.overdue(limit) => Some((late(), (None, work, late))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(20);

    fn never() -> impl Stream<Item = &'static str> + Unpin {
        Box::pin(stream::once(pending()))
    }

    #[tokio::test]
    async fn a_result_that_does_not_come_in_its_time_ends_the_subscription() {
        let work = Work::begun();
        let results = stream::iter(["first", "second"]).chain(never());
        let mut told = Box::pin(in_time(results, work.clone(), LIMIT, || "late"));
        assert_eq!(told.next().await, Some("first"));
        assert_eq!(told.next().await, Some("second"));
        work.begin();
        assert_eq!(told.next().await, Some("late"));
        assert_eq!(told.next().await, None);
    }

    #[tokio::test]
    async fn what_comes_before_the_first_result_has_a_limit_too() {
        let mut told = Box::pin(in_time(never(), Work::begun(), LIMIT, || "late"));
        assert_eq!(told.next().await, Some("late"));
    }

    #[tokio::test]
    async fn nothing_that_happens_is_no_result_that_takes_long() {
        let work = Work::begun();
        work.rest();
        let mut told = Box::pin(in_time(never(), work, LIMIT, || "late"));
        assert!(tokio::time::timeout(3 * LIMIT, told.next()).await.is_err());
    }
}
