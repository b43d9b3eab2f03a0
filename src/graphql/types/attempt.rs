//! Attempts, with what is heard of them.

use std::sync::Arc;

use async_graphql::{Enum, Object, SimpleObject};

use crate::{
    domain::attempt::{self, Attempt},
    graphql::scalar::{BigCount, DateTime},
};

/// How an attempt ended.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "attempt::AttemptOutcome")]
pub enum AttemptOutcome {
    /// The job was done.
    Succeeded,
    /// The worker reported that it failed.
    Failed,
    /// Its lease expired: the worker was not heard of in time.
    Lost,
    /// The worker gave the job back unharmed; it does not count against `maxAttempts`.
    Released,
}

/// What went wrong with an attempt.
#[derive(SimpleObject)]
#[graphql(serial)]
pub struct JobError {
    /// What kind of failure it was, in the worker's words; `LEASE_EXPIRED` when nothing was heard of it.
    code: String,
    /// What happened: for people.
    message: String,
    /// When it was reported.
    at: DateTime,
}

impl From<&attempt::JobError> for JobError {
    fn from(error: &attempt::JobError) -> Self {
        Self { code: error.code.to_string(), message: error.message.to_string(), at: DateTime(error.at) }
    }
}

/// How far a job is, as far as its worker has said.
#[derive(SimpleObject)]
#[graphql(serial)]
pub struct JobProgress {
    /// Records so far.
    records: Option<BigCount>,
    /// Bytes so far.
    bytes: Option<BigCount>,
    /// How many records there will be.
    total: Option<BigCount>,
    /// What the worker is doing.
    message: Option<String>,
    /// When it was said.
    at: DateTime,
}

impl From<&attempt::Progress> for JobProgress {
    fn from(progress: &attempt::Progress) -> Self {
        Self {
            records: progress.records.map(BigCount),
            bytes: progress.bytes.map(BigCount),
            total: progress.total.map(BigCount),
            message: progress.message.as_deref().map(str::to_owned),
            at: DateTime(progress.at),
        }
    }
}

/// The GraphQL type `JobAttempt`.
pub struct AttemptNode(pub Arc<Attempt>);

/// One try at a job, under one lease.
#[Object(name = "JobAttempt", serial)]
impl AttemptNode {
    /// Its number, from 1, counted for the job's whole life.
    async fn number(&self) -> i32 {
        self.0.number
    }

    /// Who runs it, or ran it.
    async fn worker(&self) -> &str {
        &self.0.worker
    }

    /// When it started.
    async fn started_at(&self) -> DateTime {
        DateTime(self.0.started_at)
    }

    /// When its lease ends, unless a heartbeat comes before; null when it has ended.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.end.is_none().then(|| DateTime(self.0.expires_at))
    }

    /// When it ended.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.end.as_ref().map(|end| DateTime(end.at))
    }

    /// How it ended; null while it runs.
    async fn outcome(&self) -> Option<AttemptOutcome> {
        self.0.end.as_ref().map(|end| end.outcome.into())
    }

    /// What went wrong, if something did.
    async fn error(&self) -> Option<JobError> {
        self.0.end.as_ref().and_then(|end| end.error.as_ref()).map(JobError::from)
    }

    /// How many records it has moved, as far as its worker has said.
    async fn records(&self) -> Option<BigCount> {
        self.0.progress.as_ref().and_then(|progress| progress.records).map(BigCount)
    }

    /// How many bytes it has moved, as far as its worker has said.
    async fn bytes(&self) -> Option<BigCount> {
        self.0.progress.as_ref().and_then(|progress| progress.bytes).map(BigCount)
    }
}
