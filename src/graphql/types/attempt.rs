//! Attempts, with what is heard of them.

use std::sync::Arc;

use async_graphql::{Enum, Object};

use crate::{
    domain::attempt::{self, Attempt},
    graphql::{
        fields::fields,
        inline::viewed,
        leaf::choices,
        scalar::{BigCount, DateTime},
    },
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

choices!(AttemptOutcome);

/// The GraphQL type `JobError`.
pub struct JobError(attempt::JobError);

viewed!(JobError(attempt::JobError));

fields! {
    /// What went wrong with an attempt, or with the template of a schedule that was due.
    #[Object(serial)]
    JobError |error|;

    /// What kind of failure it was, in the worker's words; `LEASE_EXPIRED` when nothing was heard of it.
    value code: &str = &error.code;

    /// What happened: for people.
    value message: &str = &error.message;

    /// When it was reported.
    value at: DateTime = DateTime(error.at);
}

/// The GraphQL type `JobProgress`.
pub struct JobProgress(attempt::Progress);

viewed!(JobProgress(attempt::Progress));

fields! {
    /// How far a job is, as far as its worker has said.
    #[Object(serial)]
    JobProgress |progress|;

    /// Records so far.
    value records: Option<BigCount> = progress.records.map(BigCount);

    /// Bytes so far.
    value bytes: Option<BigCount> = progress.bytes.map(BigCount);

    /// How many records there will be.
    value total: Option<BigCount> = progress.total.map(BigCount);

    /// What the worker is doing.
    value message: Option<&str> = progress.message.as_deref();

    /// When it was said.
    value at: DateTime = DateTime(progress.at);
}

/// The GraphQL type `JobAttempt`.
pub struct AttemptNode(pub Arc<Attempt>);

viewed!(AttemptNode(Arc<Attempt>));

fields! {
    /// One try at a job, under one lease.
    #[Object(name = "JobAttempt", serial)]
    AttemptNode |attempt|;

    /// Its number, from 1, counted for the job's whole life.
    value number: i32 = attempt.number;

    /// Who runs it, or ran it.
    value worker: &str = &attempt.worker;

    /// When it started.
    value started_at: DateTime = DateTime(attempt.started_at);

    /// When its lease ends, unless a heartbeat comes before; null when it has ended.
    value expires_at: Option<DateTime> = attempt.end.is_none().then(|| DateTime(attempt.expires_at));

    /// When it ended.
    value finished_at: Option<DateTime> = attempt.end.as_ref().map(|end| DateTime(end.at));

    /// How it ended; null while it runs.
    value outcome: Option<AttemptOutcome> = attempt.end.as_ref().map(|end| end.outcome.into());

    /// What went wrong, if something did.
    object error: Option<JobError> = attempt.end.as_ref().and_then(|end| end.error.as_ref());

    /// How many records it has moved, as far as its worker has said.
    value records: Option<BigCount> =
        attempt.progress.as_ref().and_then(|progress| progress.records).map(BigCount);

    /// How many bytes it has moved, as far as its worker has said.
    value bytes: Option<BigCount> =
        attempt.progress.as_ref().and_then(|progress| progress.bytes).map(BigCount);
}
