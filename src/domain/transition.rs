//! Which state follows which: the transitions of a job and of a batch. Each takes the old state and
//! gives the new one, or says that there is no such way. What has ended stays as it is; only a retry
//! of the batch makes a job that did not succeed start over.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    batch::{Batch, BatchState},
    event::Change,
    job::JobState,
};

/// There is no way from the state that something is in to the one that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchWay;

type Next<T> = Result<T, NoSuchWay>;

impl JobState {
    /// Its last requirement is satisfied.
    pub fn promote(self) -> Next<Self> {
        match self {
            Self::Blocked => Ok(Self::Ready { not_before: None }),
            Self::Ready { .. }
            | Self::Running { .. }
            | Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Canceled { .. } => Err(NoSuchWay),
        }
    }

    /// A worker has claimed it.
    pub fn start(self, now: DateTime<Utc>) -> Next<Self> {
        match self {
            Self::Ready { not_before } if not_before.is_none_or(|at| at <= now) => {
                Ok(Self::Running { started_at: now })
            }
            Self::Ready { .. }
            | Self::Blocked
            | Self::Running { .. }
            | Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Canceled { .. } => Err(NoSuchWay),
        }
    }

    /// When it started, if it runs.
    fn running_since(&self) -> Next<DateTime<Utc>> {
        match self {
            Self::Running { started_at } => Ok(*started_at),
            Self::Blocked
            | Self::Ready { .. }
            | Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Canceled { .. } => Err(NoSuchWay),
        }
    }

    /// Its worker has done what it should.
    pub fn succeed(self, now: DateTime<Utc>) -> Next<Self> {
        Ok(Self::Succeeded { started_at: self.running_since()?, finished_at: now })
    }

    /// It failed for good.
    pub fn fail(self, now: DateTime<Utc>) -> Next<Self> {
        Ok(Self::Failed { started_at: self.running_since()?, finished_at: now })
    }

    /// Its attempt has ended without a result, and it may be claimed again, from `not_before` on.
    pub fn try_again(self, not_before: Option<DateTime<Utc>>) -> Next<Self> {
        self.running_since()?;
        Ok(Self::Ready { not_before })
    }

    /// What it requires can no longer arrive.
    pub fn skip(self, now: DateTime<Utc>) -> Next<Self> {
        match self {
            Self::Blocked => Ok(Self::Skipped { finished_at: now }),
            Self::Ready { .. }
            | Self::Running { .. }
            | Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Canceled { .. } => Err(NoSuchWay),
        }
    }

    /// Its batch was canceled. One that runs is canceled when its worker has stopped.
    pub fn cancel(self, now: DateTime<Utc>) -> Next<Self> {
        let started_at = match self {
            Self::Blocked | Self::Ready { .. } => None,
            Self::Running { started_at } => Some(started_at),
            Self::Succeeded { .. } | Self::Failed { .. } | Self::Skipped { .. } | Self::Canceled { .. } => {
                return Err(NoSuchWay);
            }
        };
        Ok(Self::Canceled { started_at, finished_at: now })
    }

    /// Its batch is retried: it starts over, and waits for this many requirements.
    pub fn start_over(self, unsatisfied: usize) -> Next<Self> {
        match self {
            Self::Failed { .. } | Self::Skipped { .. } | Self::Canceled { .. } if unsatisfied > 0 => {
                Ok(Self::Blocked)
            }
            Self::Failed { .. } | Self::Skipped { .. } | Self::Canceled { .. } => {
                Ok(Self::Ready { not_before: None })
            }
            Self::Blocked | Self::Ready { .. } | Self::Running { .. } | Self::Succeeded { .. } => {
                Err(NoSuchWay)
            }
        }
    }

    /// Whether it is final.
    pub fn has_ended(&self) -> bool {
        self.finished_at().is_some()
    }
}

/// How many jobs of a batch have ended in one change, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ended {
    /// By success.
    pub succeeded: u32,
    /// Otherwise.
    pub otherwise: u32,
}

impl Ended {
    /// What a job in this state adds: nothing, if it has not ended.
    pub fn of(state: &JobState) -> Self {
        match state {
            JobState::Succeeded { .. } => Self { succeeded: 1, otherwise: 0 },
            JobState::Failed { .. } | JobState::Skipped { .. } | JobState::Canceled { .. } => {
                Self { succeeded: 0, otherwise: 1 }
            }
            JobState::Blocked | JobState::Ready { .. } | JobState::Running { .. } => Self::default(),
        }
    }
}

impl std::ops::AddAssign for Ended {
    fn add_assign(&mut self, other: Self) {
        self.succeeded += other.succeeded;
        self.otherwise += other.otherwise;
    }
}

/// How exactly a batch says when one of its jobs has last changed.
const EXACT_TO: TimeDelta = TimeDelta::seconds(1);

impl Batch {
    /// It has changed itself.
    pub fn touch(&mut self, now: DateTime<Utc>) {
        self.version += 1;
        self.updated_at = self.updated_at.max(now);
    }

    /// A job of it has changed, and nothing else. Lists are sorted by the time of the last change: were it
    /// told for every job to the microsecond, the batch would change its place in them with every job.
    pub fn touch_by_job(&mut self, now: DateTime<Utc>) {
        self.version += 1;
        if now - self.updated_at >= EXACT_TO {
            self.updated_at = now;
        }
    }

    /// A job of it has started. Says so if it was the first.
    pub fn start(&mut self, now: DateTime<Utc>) -> Option<Change> {
        match self.state {
            BatchState::Pending => {
                self.state = BatchState::Running { started_at: now };
                Some(Change::BatchStarted)
            }
            BatchState::Running { .. }
            | BatchState::Canceling { .. }
            | BatchState::Succeeded { .. }
            | BatchState::Failed { .. }
            | BatchState::Canceled { .. } => None,
        }
    }

    /// Jobs of it have ended. Says so if it has ended with them.
    pub fn end_jobs(&mut self, ended: Ended, now: DateTime<Utc>) -> Option<Change> {
        self.unfinished = self.unfinished.saturating_sub(ended.succeeded + ended.otherwise);
        self.unsuccessful += ended.otherwise;
        if self.unfinished > 0 {
            return None;
        }
        let (state, change) = match self.state {
            // Also one that was canceled when there was nothing left to stop.
            BatchState::Running { started_at } | BatchState::Canceling { started_at }
                if self.unsuccessful == 0 =>
            {
                (BatchState::Succeeded { started_at, finished_at: now }, Change::BatchSucceeded)
            }
            BatchState::Running { started_at } => {
                (BatchState::Failed { started_at, finished_at: now }, Change::BatchFailed)
            }
            BatchState::Canceling { started_at } => {
                let started_at = Some(started_at);
                (BatchState::Canceled { started_at, finished_at: now }, Change::BatchCanceled)
            }
            BatchState::Pending
            | BatchState::Succeeded { .. }
            | BatchState::Failed { .. }
            | BatchState::Canceled { .. } => return None,
        };
        self.state = state;
        Some(change)
    }

    /// It is canceled, and with it those of its jobs that do not run.
    pub fn cancel(&mut self, ended: Ended, now: DateTime<Utc>) -> Next<Change> {
        match self.state {
            BatchState::Pending => {
                self.unfinished = self.unfinished.saturating_sub(ended.otherwise);
                self.unsuccessful += ended.otherwise;
                self.state = BatchState::Canceled { started_at: None, finished_at: now };
                Ok(Change::BatchCanceled)
            }
            BatchState::Running { started_at } => {
                self.state = BatchState::Canceling { started_at };
                Ok(self.end_jobs(ended, now).unwrap_or(Change::BatchCanceling))
            }
            BatchState::Canceling { .. }
            | BatchState::Succeeded { .. }
            | BatchState::Failed { .. }
            | BatchState::Canceled { .. } => Err(NoSuchWay),
        }
    }

    /// This many of its jobs that had not succeeded start over.
    pub fn retry(&mut self, jobs: u32) -> Next<()> {
        let started_at = match self.state {
            BatchState::Running { started_at } | BatchState::Failed { started_at, .. } => Some(started_at),
            BatchState::Canceled { started_at, .. } => started_at,
            BatchState::Pending | BatchState::Canceling { .. } | BatchState::Succeeded { .. } => {
                return Err(NoSuchWay);
            }
        };
        self.unfinished += jobs;
        self.unsuccessful = self.unsuccessful.saturating_sub(jobs);
        self.state = match started_at {
            Some(started_at) => BatchState::Running { started_at },
            None => BatchState::Pending,
        };
        Ok(())
    }

    /// Whether it was canceled, so that nothing new starts.
    pub fn is_canceling(&self) -> bool {
        match self.state {
            BatchState::Canceling { .. } => true,
            BatchState::Pending
            | BatchState::Running { .. }
            | BatchState::Succeeded { .. }
            | BatchState::Failed { .. }
            | BatchState::Canceled { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::batch;
    use super::*;

    #[test]
    fn a_batch_changes_its_place_in_lists_at_most_once_a_second_by_its_jobs() {
        let start = DateTime::UNIX_EPOCH;
        let mut batch = batch(1, start);
        let mut seen = Vec::new();
        for millis in [10, 999, 1_000, 1_010, 2_500] {
            batch.touch_by_job(start + TimeDelta::milliseconds(millis));
            seen.push((batch.version, (batch.updated_at - start).num_milliseconds()));
        }
        assert_eq!(seen, [(2, 0), (3, 0), (4, 1_000), (5, 1_000), (6, 2_500)]);
        batch.touch(start + TimeDelta::milliseconds(2_501));
        assert_eq!((batch.version, (batch.updated_at - start).num_milliseconds()), (7, 2_501));
    }
}
