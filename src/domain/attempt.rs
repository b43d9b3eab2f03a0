//! Attempts: one try at a job each, under one lease.

use chrono::{DateTime, Utc};

use super::{
    id::{BatchId, JobId},
    lease::{LeaseDuration, LeaseHash},
    problem::{At, Problem, ProblemCode},
    text::{Message, Text, WorkerName},
};

/// An attempt as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The job that it is a try at.
    pub job_id: JobId,
    /// The batch of the job.
    pub batch_id: BatchId,
    /// Its number, from 1, counted for the job's whole life.
    pub number: i32,
    /// What its lease is known by.
    pub lease_hash: LeaseHash,
    /// How long the lease lasts after it was given and after each heartbeat.
    pub lease_duration: LeaseDuration,
    /// Who runs it.
    pub worker: WorkerName,
    /// When it started, UTC.
    pub started_at: DateTime<Utc>,
    /// When its lease ends, unless a heartbeat comes before, UTC.
    pub expires_at: DateTime<Utc>,
    /// How it ended; `None`: it has not.
    pub end: Option<AttemptEnd>,
    /// What the worker has said of it so far.
    pub progress: Option<Progress>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptEnd {
    /// When, UTC.
    pub at: DateTime<Utc>,
    /// How.
    pub outcome: AttemptOutcome,
    /// What went wrong, if something did.
    pub error: Option<JobError>,
}

/// How an attempt ended, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// The job was done.
    Succeeded,
    /// The worker reported that it failed.
    Failed,
    /// Its lease expired: the worker was not heard of in time.
    Lost,
    /// The worker gave it back unharmed; it does not count.
    Released,
}

impl AttemptOutcome {
    const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::Lost, Self::Released];

    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Released => "released",
        }
    }

    /// The outcome with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// What went wrong with an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError {
    /// What kind of failure it was, in the worker's words: for programs.
    pub code: ErrorCode,
    /// What happened: for people.
    pub message: Message,
    /// When it was reported, UTC.
    pub at: DateTime<Utc>,
}

/// What kind of failure it was.
pub type ErrorCode = Text<100>;

impl JobError {
    /// The failure of an attempt whose lease has expired.
    pub fn lost(at: DateTime<Utc>) -> Self {
        let message = "the worker was not heard of before its lease expired";
        Self { code: Text::stored("LEASE_EXPIRED".into()), message: Message::stored(message.into()), at }
    }
}

/// How far an attempt is, as far as its worker has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Records so far.
    pub records: Option<i64>,
    /// Bytes so far.
    pub bytes: Option<i64>,
    /// How many records there will be.
    pub total: Option<i64>,
    /// What the worker is doing.
    pub message: Option<Message>,
    /// When it was said, UTC.
    pub at: DateTime<Utc>,
}

/// What a worker says about how far it is.
#[derive(Debug, Clone, Default)]
pub struct ProgressDraft {
    /// See [`Progress::records`].
    pub records: Option<i64>,
    /// See [`Progress::bytes`].
    pub bytes: Option<i64>,
    /// See [`Progress::total`].
    pub total: Option<i64>,
    /// See [`Progress::message`].
    pub message: Option<String>,
}

impl ProgressDraft {
    /// Checks it and says everything that is wrong with it.
    pub fn parse(self, now: DateTime<Utc>, at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Progress> {
        let before = problems.len();
        let records = count(self.records, &at.field("records"), problems);
        let bytes = count(self.bytes, &at.field("bytes"), problems);
        let total = count(self.total, &at.field("total"), problems);
        let message = self.message.map(Message::of);
        (problems.len() == before).then_some(Progress { records, bytes, total, message, at: now })
    }
}

/// Checks a count that came from outside.
pub fn count(count: Option<i64>, at: &At<'_>, problems: &mut Vec<Problem>) -> Option<i64> {
    let count = count?;
    if count < 0 {
        problems.push(at.problem(ProblemCode::OutOfRange, "a count is 0 or more"));
        return None;
    }
    Some(count)
}
