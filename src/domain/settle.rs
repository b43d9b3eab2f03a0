//! What a report about an attempt makes of it and of its job.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    attempt::{Attempt, AttemptEnd, AttemptOutcome, ErrorCode, JobError, Progress},
    batch::{Batch, BatchState, FailurePolicy},
    event::Change,
    job::{Job, JobState, JobType, RequirementKind},
    retry::{Jitter, backoff},
    text::Message,
    transition::NoSuchWay,
};

/// What is said about a running attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// The load has written its records; the job still runs.
    Published {
        /// What it puts out so far.
        output: Option<Value>,
    },
    /// The job has done what it should.
    Completed {
        /// What it puts out; `None`: what it has put out already.
        output: Option<Value>,
        /// How many records there were.
        records: Option<i64>,
        /// How many bytes there were.
        bytes: Option<i64>,
    },
    /// The attempt failed.
    Failed {
        /// What kind of failure it was.
        code: ErrorCode,
        /// What happened.
        message: Message,
        /// Whether another attempt may help.
        again: TryAgain,
    },
    /// The worker gives the job back unharmed.
    Released,
    /// Nobody has heard of the worker in time.
    Expired,
}

/// Whether another attempt may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryAgain {
    /// It may.
    Yes,
    /// The job failed for good.
    No,
}

/// An attempt with its job and its batch, as a report finds them.
pub struct Reported<'a> {
    /// The attempt whose lease was shown.
    pub attempt: &'a mut Attempt,
    /// Its job.
    pub job: &'a mut Job,
    /// The batch of the job.
    pub batch: &'a Batch,
}

/// What came of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// The same was said before, under the same lease: the answer is the same, and nothing changes.
    Repeated,
    /// The attempt and the job have changed.
    Changed(Effects),
}

/// What a report brings about beyond the attempt and the job.
#[derive(Debug, Clone, PartialEq)]
pub struct Effects {
    /// What is to be told.
    pub change: Change,
    /// What the job puts out.
    pub output: Option<Value>,
    /// Which kinds of requirements it now satisfies, and did not before.
    pub satisfies: Vec<RequirementKind>,
    /// Which kinds of requirements it can no longer satisfy.
    pub dooms: Vec<RequirementKind>,
    /// What becomes of the rest of the batch.
    pub rest: Rest,
}

/// What becomes of the rest of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It goes on.
    GoesOn,
    /// It is canceled.
    IsCanceled,
}

/// Why a report changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The lease is not, or no longer, that of a running attempt.
    LeaseLost,
    /// An extract has no result to publish.
    NotALoad,
}

impl From<NoSuchWay> for Refused {
    fn from(NoSuchWay: NoSuchWay) -> Self {
        Self::LeaseLost
    }
}

/// Makes what a report says of an attempt true. When it is refused, nothing has changed.
pub fn settle(
    reported: Reported<'_>,
    report: Report,
    now: DateTime<Utc>,
    jitter: Jitter,
) -> Result<Settled, Refused> {
    if let Some(end) = &reported.attempt.end {
        return repeat(&report, end.outcome, reported.job.job_type);
    }
    let current = reported.attempt.number == reported.job.last_attempt;
    let expired = reported.attempt.expires_at <= now;
    if !current || expired != (report == Report::Expired) {
        return Err(Refused::LeaseLost);
    }
    match report {
        Report::Published { output } => publish(reported, output, now),
        Report::Completed { output, records, bytes } => complete(reported, output, records, bytes, now),
        Report::Failed { code, message, again } => {
            let error = JobError { code, message, at: now };
            fail(reported, AttemptOutcome::Failed, error, again, now, jitter)
        }
        Report::Expired => {
            let error = JobError::lost(now);
            fail(reported, AttemptOutcome::Lost, error, TryAgain::Yes, now, jitter)
        }
        Report::Released => release(reported, now),
    }
}

/// A report about an attempt that has ended: harmless where it says what the attempt has ended with.
fn repeat(report: &Report, outcome: AttemptOutcome, job_type: JobType) -> Result<Settled, Refused> {
    let ends_with = match report {
        Report::Published { .. } | Report::Completed { .. } => AttemptOutcome::Succeeded,
        Report::Failed { .. } => AttemptOutcome::Failed,
        Report::Released => AttemptOutcome::Released,
        Report::Expired => AttemptOutcome::Lost,
    };
    if outcome != ends_with {
        return Err(Refused::LeaseLost);
    }
    match report {
        Report::Published { .. } => only_loads_publish(job_type)?,
        Report::Completed { .. } | Report::Failed { .. } | Report::Released | Report::Expired => {}
    }
    Ok(Settled::Repeated)
}

fn only_loads_publish(job_type: JobType) -> Result<(), Refused> {
    match job_type {
        JobType::Load => Ok(()),
        JobType::Extract => Err(Refused::NotALoad),
    }
}

fn publish(reported: Reported<'_>, output: Option<Value>, now: DateTime<Utc>) -> Result<Settled, Refused> {
    let Reported { attempt, job, .. } = reported;
    only_loads_publish(job.job_type)?;
    let before = job.published_at;
    if before.is_some_and(|at| at >= attempt.started_at) {
        return Ok(Settled::Repeated);
    }
    job.published_at = Some(now);
    Ok(Settled::Changed(Effects {
        change: Change::LoadPublished { attempt: attempt.number },
        output,
        // An earlier attempt may have written the records, and those who wait for no more have started.
        satisfies: if before.is_none() { vec![RequirementKind::Load] } else { Vec::new() },
        dooms: Vec::new(),
        rest: Rest::GoesOn,
    }))
}

fn complete(
    reported: Reported<'_>,
    output: Option<Value>,
    records: Option<i64>,
    bytes: Option<i64>,
    now: DateTime<Utc>,
) -> Result<Settled, Refused> {
    let Reported { attempt, job, .. } = reported;
    let satisfies = awaited(job);
    enter(job, job.state.clone().succeed(now)?, now);
    end(attempt, AttemptOutcome::Succeeded, None, now);
    if let Some(progress) = progress_at_the_end(attempt, records, bytes, now) {
        attempt.progress = Some(progress);
    }
    Ok(Settled::Changed(Effects {
        change: Change::JobSucceeded { attempt: attempt.number },
        output,
        satisfies,
        dooms: Vec::new(),
        rest: Rest::GoesOn,
    }))
}

fn fail(
    reported: Reported<'_>,
    outcome: AttemptOutcome,
    error: JobError,
    again: TryAgain,
    now: DateTime<Utc>,
    jitter: Jitter,
) -> Result<Settled, Refused> {
    let Reported { attempt, job, batch } = reported;
    let number = attempt.number;
    let more = again == TryAgain::Yes && job.attempt < job.max_attempts;
    let (state, change) = if more && batch.is_canceling() {
        (job.state.clone().cancel(now)?, Change::JobCanceled)
    } else if more {
        let not_before = now + backoff(job.attempt, jitter);
        let change = Change::AttemptFailed { attempt: number, error: error.clone(), not_before };
        (job.state.clone().try_again(Some(not_before))?, change)
    } else {
        let change = Change::JobFailed { attempt: number, error: error.clone() };
        (job.state.clone().fail(now)?, change)
    };
    let (dooms, rest) = if more { (Vec::new(), Rest::GoesOn) } else { (awaited(job), rest_of(batch)) };
    enter(job, state, now);
    end(attempt, outcome, Some(error), now);
    Ok(Settled::Changed(Effects { change, output: None, satisfies: Vec::new(), dooms, rest }))
}

fn release(reported: Reported<'_>, now: DateTime<Utc>) -> Result<Settled, Refused> {
    let Reported { attempt, job, batch } = reported;
    let (state, change) = if batch.is_canceling() {
        (job.state.clone().cancel(now)?, Change::JobCanceled)
    } else {
        (job.state.clone().try_again(None)?, Change::JobReleased { attempt: attempt.number })
    };
    enter(job, state, now);
    // It costs no attempt.
    job.attempt -= 1;
    end(attempt, AttemptOutcome::Released, None, now);
    let (satisfies, dooms) = (Vec::new(), Vec::new());
    Ok(Settled::Changed(Effects { change, output: None, satisfies, dooms, rest: Rest::GoesOn }))
}

/// The kinds of requirements that others may still wait for a job with.
fn awaited(job: &Job) -> Vec<RequirementKind> {
    match (job.job_type, job.published_at) {
        (JobType::Extract, _) => vec![RequirementKind::Extract],
        (JobType::Load, None) => vec![RequirementKind::Load, RequirementKind::LoadResult],
        (JobType::Load, Some(_)) => vec![RequirementKind::LoadResult],
    }
}

fn rest_of(batch: &Batch) -> Rest {
    let goes_on = match batch.state {
        BatchState::Pending | BatchState::Running { .. } => true,
        BatchState::Canceling { .. }
        | BatchState::Succeeded { .. }
        | BatchState::Failed { .. }
        | BatchState::Canceled { .. } => false,
    };
    match batch.failure_policy {
        FailurePolicy::CancelBatch if goes_on => Rest::IsCanceled,
        FailurePolicy::CancelBatch | FailurePolicy::Continue => Rest::GoesOn,
    }
}

fn enter(job: &mut Job, state: JobState, now: DateTime<Utc>) {
    job.state = state;
    job.entered_at = now;
}

fn end(attempt: &mut Attempt, outcome: AttemptOutcome, error: Option<JobError>, now: DateTime<Utc>) {
    attempt.end = Some(AttemptEnd { at: now, outcome, error });
}

/// What is known of an attempt's records and bytes at its end: what was said last.
fn progress_at_the_end(
    attempt: &Attempt,
    records: Option<i64>,
    bytes: Option<i64>,
    now: DateTime<Utc>,
) -> Option<Progress> {
    if records.is_none() && bytes.is_none() {
        return None;
    }
    let said = attempt.progress.clone();
    Some(Progress {
        records: records.or(said.as_ref().and_then(|said| said.records)),
        bytes: bytes.or(said.as_ref().and_then(|said| said.bytes)),
        total: said.as_ref().and_then(|said| said.total),
        message: said.and_then(|said| said.message),
        at: now,
    })
}
