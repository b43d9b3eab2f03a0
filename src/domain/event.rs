//! The history: every change of state, who caused it and when.

use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    attempt::JobError,
    id::{BackfillId, BatchId, JobId, ScheduleId, TenantId, TokenId},
    problem::At,
    text::{Name, ObjectName, Text, WorkerName},
};

/// Where an event stands in the history. Events are read in this order, which is that of the commits
/// as readers see them: whoever has seen one never later finds another one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventPosition {
    /// The database's number of the transaction that wrote it; 0 where there is one writer at a time.
    pub transaction: i64,
    /// Its number among the events, which rises within a transaction.
    pub id: i64,
}

impl EventPosition {
    /// The position as the key of a row in a list, whose keys are UUIDs elsewhere.
    pub fn key(self) -> Uuid {
        Uuid::from_u64_pair(self.transaction.unsigned_abs(), self.id.unsigned_abs())
    }

    /// The position with this key; `None` where there can be none. What is no position at all, seen through a
    /// [`Veil`](super::veil::Veil), is taken for one once in four thousand millions.
    pub fn from_key(key: Uuid) -> Option<Self> {
        let (transaction, id) = key.as_u64_pair();
        let number = |bits: u64| i64::try_from(bits).ok().filter(|number| *number < MOST);
        Some(Self { transaction: number(transaction)?, id: number(id)? })
    }
}

/// More transactions and more events there will never be in one database.
const MOST: i64 = 1 << 48;

/// Who caused a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A client of the API that has not said who it is.
    Client,
    /// A client of the API, by its token.
    Token {
        /// The id of the token.
        id: TokenId,
        /// What the token is called.
        name: Name,
    },
    /// A client of the API for whom an issuer vouches, by the name that the issuer gives it.
    Subject(Name),
    /// A worker, by the name that it gave.
    Worker(WorkerName),
    /// Sluice itself: a lease expired, for instance.
    Sluice,
}

const WORKER: &str = "worker:";
const TOKEN: &str = "token:";
const SUBJECT: &str = "subject:";

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Token { id, name } => write!(f, "{TOKEN}{id}:{name}"),
            Self::Subject(name) => write!(f, "{SUBJECT}{name}"),
            Self::Worker(name) => write!(f, "{WORKER}{name}"),
            Self::Sluice => f.write_str("sluice"),
        }
    }
}

impl Actor {
    /// The actor that was stored under this name.
    pub fn stored(name: &str) -> Option<Self> {
        match name {
            "client" => Some(Self::Client),
            "sluice" => Some(Self::Sluice),
            other => {
                let name = |name: &str| Text::stored(name.to_owned());
                if let Some(worker) = other.strip_prefix(WORKER) {
                    Some(Self::Worker(name(worker)))
                } else if let Some(subject) = other.strip_prefix(SUBJECT) {
                    Some(Self::Subject(name(subject)))
                } else {
                    let (id, token) = other.strip_prefix(TOKEN)?.split_once(':')?;
                    Some(Self::Token { id: TokenId::parse(id, &At::Root).ok()?, name: name(token) })
                }
            }
        }
    }
}

/// What has changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A batch was made.
    BatchCreated,
    /// The definition of a batch was replaced; its jobs are others now.
    BatchReplaced,
    /// A batch was removed with its jobs: by somebody, or by Sluice, having been kept long enough.
    BatchDeleted,
    /// The first job of a batch has started.
    BatchStarted,
    /// A batch was canceled, and waits for its running jobs to stop.
    BatchCanceling,
    /// Some jobs of a batch that had failed or was canceled are to run again.
    BatchRetried,
    /// All jobs of a batch have succeeded.
    BatchSucceeded,
    /// The last job of a batch has ended, and not all succeeded.
    BatchFailed,
    /// The last job of a canceled batch has ended.
    BatchCanceled,
    /// What a job requires is there, or it was retried and requires nothing more.
    JobReady,
    /// A job was retried, and what it requires is not there.
    JobBlocked,
    /// A worker has started an attempt.
    JobStarted {
        /// The number of the attempt.
        attempt: i32,
    },
    /// A load has written its records.
    LoadPublished {
        /// The number of the attempt.
        attempt: i32,
    },
    /// A job has done what it should.
    JobSucceeded {
        /// The number of the attempt.
        attempt: i32,
    },
    /// An attempt failed or was lost, and the job is tried again.
    AttemptFailed {
        /// The number of the attempt.
        attempt: i32,
        /// What went wrong.
        error: JobError,
        /// When the job may be claimed again, UTC.
        not_before: DateTime<Utc>,
    },
    /// A worker has given a job back unharmed.
    JobReleased {
        /// The number of the attempt.
        attempt: i32,
    },
    /// A job failed for good.
    JobFailed {
        /// The number of the last attempt.
        attempt: i32,
        /// What went wrong with it.
        error: JobError,
    },
    /// What a job requires can no longer arrive.
    JobSkipped,
    /// A job was canceled.
    JobCanceled,
    /// A schedule was made.
    ScheduleCreated,
    /// The definition of a schedule was replaced.
    ScheduleUpdated,
    /// A schedule was removed; its batches stay.
    ScheduleDeleted,
    /// A schedule was paused.
    SchedulePaused,
    /// A schedule was resumed.
    ScheduleResumed,
    /// A schedule was due, and waits for an earlier batch of it to end.
    FiringQueued,
    /// A schedule was due, and an earlier batch of it had not ended.
    FiringSkipped,
    /// A schedule was due, and no batch could be made of its template.
    FiringFailed {
        /// The first of what was wrong with it; the firing has them all. Older events don't have it.
        error: Option<JobError>,
    },
    /// The next batch of a schedule asks for everything of an object.
    WatermarkReset {
        /// The object.
        object: ObjectName,
    },
    /// A backfill was made.
    BackfillCreated,
    /// A backfill was paused: by somebody, or by Sluice, since no batch could be made of the template.
    BackfillPaused,
    /// A backfill was resumed.
    BackfillResumed,
    /// A backfill was canceled, and waits for its batches to end.
    BackfillCanceling,
    /// The last batch of a canceled backfill has ended.
    BackfillCanceled,
    /// What did not succeed of a backfill is to run again.
    BackfillRetried,
    /// All windows of a backfill have succeeded.
    BackfillSucceeded,
    /// All windows of a backfill have ended, and not all succeeded.
    BackfillFailed,
}

/// The name of a [`Change`] without what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// See [`Change::BatchCreated`].
    BatchCreated,
    /// See [`Change::BatchReplaced`].
    BatchReplaced,
    /// See [`Change::BatchDeleted`].
    BatchDeleted,
    /// See [`Change::BatchStarted`].
    BatchStarted,
    /// See [`Change::BatchCanceling`].
    BatchCanceling,
    /// See [`Change::BatchRetried`].
    BatchRetried,
    /// See [`Change::BatchSucceeded`].
    BatchSucceeded,
    /// See [`Change::BatchFailed`].
    BatchFailed,
    /// See [`Change::BatchCanceled`].
    BatchCanceled,
    /// See [`Change::JobReady`].
    JobReady,
    /// See [`Change::JobBlocked`].
    JobBlocked,
    /// See [`Change::JobStarted`].
    JobStarted,
    /// See [`Change::LoadPublished`].
    LoadPublished,
    /// See [`Change::JobSucceeded`].
    JobSucceeded,
    /// See [`Change::AttemptFailed`].
    AttemptFailed,
    /// See [`Change::JobReleased`].
    JobReleased,
    /// See [`Change::JobFailed`].
    JobFailed,
    /// See [`Change::JobSkipped`].
    JobSkipped,
    /// See [`Change::JobCanceled`].
    JobCanceled,
    /// See [`Change::ScheduleCreated`].
    ScheduleCreated,
    /// See [`Change::ScheduleUpdated`].
    ScheduleUpdated,
    /// See [`Change::ScheduleDeleted`].
    ScheduleDeleted,
    /// See [`Change::SchedulePaused`].
    SchedulePaused,
    /// See [`Change::ScheduleResumed`].
    ScheduleResumed,
    /// See [`Change::FiringQueued`].
    FiringQueued,
    /// See [`Change::FiringSkipped`].
    FiringSkipped,
    /// See [`Change::FiringFailed`].
    FiringFailed,
    /// See [`Change::WatermarkReset`].
    WatermarkReset,
    /// See [`Change::BackfillCreated`].
    BackfillCreated,
    /// See [`Change::BackfillPaused`].
    BackfillPaused,
    /// See [`Change::BackfillResumed`].
    BackfillResumed,
    /// See [`Change::BackfillCanceling`].
    BackfillCanceling,
    /// See [`Change::BackfillCanceled`].
    BackfillCanceled,
    /// See [`Change::BackfillRetried`].
    BackfillRetried,
    /// See [`Change::BackfillSucceeded`].
    BackfillSucceeded,
    /// See [`Change::BackfillFailed`].
    BackfillFailed,
}

impl EventKind {
    const ALL: [Self; 36] = [
        Self::BatchCreated,
        Self::BatchReplaced,
        Self::BatchDeleted,
        Self::BatchStarted,
        Self::BatchCanceling,
        Self::BatchRetried,
        Self::BatchSucceeded,
        Self::BatchFailed,
        Self::BatchCanceled,
        Self::JobReady,
        Self::JobBlocked,
        Self::JobStarted,
        Self::LoadPublished,
        Self::JobSucceeded,
        Self::AttemptFailed,
        Self::JobReleased,
        Self::JobFailed,
        Self::JobSkipped,
        Self::JobCanceled,
        Self::ScheduleCreated,
        Self::ScheduleUpdated,
        Self::ScheduleDeleted,
        Self::SchedulePaused,
        Self::ScheduleResumed,
        Self::FiringQueued,
        Self::FiringSkipped,
        Self::FiringFailed,
        Self::WatermarkReset,
        Self::BackfillCreated,
        Self::BackfillPaused,
        Self::BackfillResumed,
        Self::BackfillCanceling,
        Self::BackfillCanceled,
        Self::BackfillRetried,
        Self::BackfillSucceeded,
        Self::BackfillFailed,
    ];

    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::BatchCreated => "batch_created",
            Self::BatchReplaced => "batch_replaced",
            Self::BatchDeleted => "batch_deleted",
            Self::BatchStarted => "batch_started",
            Self::BatchCanceling => "batch_canceling",
            Self::BatchRetried => "batch_retried",
            Self::BatchSucceeded => "batch_succeeded",
            Self::BatchFailed => "batch_failed",
            Self::BatchCanceled => "batch_canceled",
            Self::JobReady => "job_ready",
            Self::JobBlocked => "job_blocked",
            Self::JobStarted => "job_started",
            Self::LoadPublished => "load_published",
            Self::JobSucceeded => "job_succeeded",
            Self::AttemptFailed => "attempt_failed",
            Self::JobReleased => "job_released",
            Self::JobFailed => "job_failed",
            Self::JobSkipped => "job_skipped",
            Self::JobCanceled => "job_canceled",
            Self::ScheduleCreated => "schedule_created",
            Self::ScheduleUpdated => "schedule_updated",
            Self::ScheduleDeleted => "schedule_deleted",
            Self::SchedulePaused => "schedule_paused",
            Self::ScheduleResumed => "schedule_resumed",
            Self::FiringQueued => "firing_queued",
            Self::FiringSkipped => "firing_skipped",
            Self::FiringFailed => "firing_failed",
            Self::WatermarkReset => "watermark_reset",
            Self::BackfillCreated => "backfill_created",
            Self::BackfillPaused => "backfill_paused",
            Self::BackfillResumed => "backfill_resumed",
            Self::BackfillCanceling => "backfill_canceling",
            Self::BackfillCanceled => "backfill_canceled",
            Self::BackfillRetried => "backfill_retried",
            Self::BackfillSucceeded => "backfill_succeeded",
            Self::BackfillFailed => "backfill_failed",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Change {
    /// The name of the change.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::BatchCreated => EventKind::BatchCreated,
            Self::BatchReplaced => EventKind::BatchReplaced,
            Self::BatchDeleted => EventKind::BatchDeleted,
            Self::BatchStarted => EventKind::BatchStarted,
            Self::BatchCanceling => EventKind::BatchCanceling,
            Self::BatchRetried => EventKind::BatchRetried,
            Self::BatchSucceeded => EventKind::BatchSucceeded,
            Self::BatchFailed => EventKind::BatchFailed,
            Self::BatchCanceled => EventKind::BatchCanceled,
            Self::JobReady => EventKind::JobReady,
            Self::JobBlocked => EventKind::JobBlocked,
            Self::JobStarted { .. } => EventKind::JobStarted,
            Self::LoadPublished { .. } => EventKind::LoadPublished,
            Self::JobSucceeded { .. } => EventKind::JobSucceeded,
            Self::AttemptFailed { .. } => EventKind::AttemptFailed,
            Self::JobReleased { .. } => EventKind::JobReleased,
            Self::JobFailed { .. } => EventKind::JobFailed,
            Self::JobSkipped => EventKind::JobSkipped,
            Self::JobCanceled => EventKind::JobCanceled,
            Self::ScheduleCreated => EventKind::ScheduleCreated,
            Self::ScheduleUpdated => EventKind::ScheduleUpdated,
            Self::ScheduleDeleted => EventKind::ScheduleDeleted,
            Self::SchedulePaused => EventKind::SchedulePaused,
            Self::ScheduleResumed => EventKind::ScheduleResumed,
            Self::FiringQueued => EventKind::FiringQueued,
            Self::FiringSkipped => EventKind::FiringSkipped,
            Self::FiringFailed { .. } => EventKind::FiringFailed,
            Self::WatermarkReset { .. } => EventKind::WatermarkReset,
            Self::BackfillCreated => EventKind::BackfillCreated,
            Self::BackfillPaused => EventKind::BackfillPaused,
            Self::BackfillResumed => EventKind::BackfillResumed,
            Self::BackfillCanceling => EventKind::BackfillCanceling,
            Self::BackfillCanceled => EventKind::BackfillCanceled,
            Self::BackfillRetried => EventKind::BackfillRetried,
            Self::BackfillSucceeded => EventKind::BackfillSucceeded,
            Self::BackfillFailed => EventKind::BackfillFailed,
        }
    }

    /// The number of the attempt that it is about.
    pub fn attempt(&self) -> Option<i32> {
        self.details().attempt
    }

    /// What went wrong, if something did.
    pub fn error(&self) -> Option<&JobError> {
        self.details().error
    }

    /// When the job may be claimed again after a failed attempt, UTC.
    pub fn not_before(&self) -> Option<DateTime<Utc>> {
        self.details().not_before
    }

    /// The object that it is about, where that is neither a batch nor a job.
    pub fn object(&self) -> Option<&str> {
        self.details().object
    }

    fn details(&self) -> Details<'_> {
        match self {
            Self::JobStarted { attempt }
            | Self::LoadPublished { attempt }
            | Self::JobSucceeded { attempt }
            | Self::JobReleased { attempt } => Details { attempt: Some(*attempt), ..Details::default() },
            Self::AttemptFailed { attempt, error, not_before } => Details {
                attempt: Some(*attempt),
                error: Some(error),
                not_before: Some(*not_before),
                ..Details::default()
            },
            Self::JobFailed { attempt, error } => {
                Details { attempt: Some(*attempt), error: Some(error), ..Details::default() }
            }
            Self::FiringFailed { error } => Details { error: error.as_ref(), ..Details::default() },
            Self::WatermarkReset { object } => Details { object: Some(object), ..Details::default() },
            Self::BatchCreated
            | Self::BatchReplaced
            | Self::BatchDeleted
            | Self::BatchStarted
            | Self::BatchCanceling
            | Self::BatchRetried
            | Self::BatchSucceeded
            | Self::BatchFailed
            | Self::BatchCanceled
            | Self::JobReady
            | Self::JobBlocked
            | Self::JobSkipped
            | Self::JobCanceled
            | Self::ScheduleCreated
            | Self::ScheduleUpdated
            | Self::ScheduleDeleted
            | Self::SchedulePaused
            | Self::ScheduleResumed
            | Self::FiringQueued
            | Self::FiringSkipped
            | Self::BackfillCreated
            | Self::BackfillPaused
            | Self::BackfillResumed
            | Self::BackfillCanceling
            | Self::BackfillCanceled
            | Self::BackfillRetried
            | Self::BackfillSucceeded
            | Self::BackfillFailed => Details::default(),
        }
    }
}

/// What a change tells beside its kind.
#[derive(Default)]
struct Details<'a> {
    attempt: Option<i32>,
    error: Option<&'a JobError>,
    not_before: Option<DateTime<Utc>>,
    object: Option<&'a str>,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A batch.
    Batch(BatchId),
    /// A job of a batch.
    Job(BatchId, JobId),
    /// A schedule.
    Schedule(ScheduleId),
    /// A backfill of a schedule.
    Backfill(ScheduleId, BackfillId),
}

impl Subject {
    /// The batch, or that of the job.
    pub fn batch(self) -> Option<BatchId> {
        match self {
            Self::Batch(batch) | Self::Job(batch, _) => Some(batch),
            Self::Schedule(_) | Self::Backfill(..) => None,
        }
    }

    /// The job.
    pub fn job(self) -> Option<JobId> {
        match self {
            Self::Job(_, job) => Some(job),
            Self::Batch(_) | Self::Schedule(_) | Self::Backfill(..) => None,
        }
    }

    /// The schedule, or that of the backfill.
    pub fn schedule(self) -> Option<ScheduleId> {
        match self {
            Self::Schedule(schedule) | Self::Backfill(schedule, _) => Some(schedule),
            Self::Batch(_) | Self::Job(..) => None,
        }
    }

    /// The backfill.
    pub fn backfill(self) -> Option<BackfillId> {
        match self {
            Self::Backfill(_, backfill) => Some(backfill),
            Self::Batch(_) | Self::Job(..) | Self::Schedule(_) => None,
        }
    }
}

/// An event that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// When it happened, UTC.
    pub at: DateTime<Utc>,
    /// Who caused it.
    pub actor: Actor,
    /// The tenant of what it is about.
    pub tenant_id: TenantId,
    /// What it is about.
    pub subject: Subject,
    /// What has changed.
    pub change: Change,
}

/// An event of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Where it stands in the history.
    pub position: EventPosition,
    /// How its position looks from outside.
    pub cursor: Uuid,
    /// What happened.
    pub event: NewEvent,
}

/// Which events; `None` and an empty list leave a question open.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Those of this tenant.
    pub tenant_id: Option<TenantId>,
    /// Those of this batch and its jobs.
    pub batch_id: Option<BatchId>,
    /// Those of this job.
    pub job_id: Option<JobId>,
    /// Those of this schedule and its backfills.
    pub schedule_id: Option<ScheduleId>,
    /// Those of this backfill.
    pub backfill_id: Option<BackfillId>,
    /// Those of one of these kinds.
    pub kinds: Vec<EventKind>,
}

impl EventFilter {
    /// Whether it lets an event through.
    pub fn matches(&self, event: &NewEvent) -> bool {
        let Self { tenant_id, batch_id, job_id, schedule_id, backfill_id, kinds } = self;
        tenant_id.is_none_or(|tenant| tenant == event.tenant_id)
            && (batch_id.is_none() || *batch_id == event.subject.batch())
            && (job_id.is_none() || *job_id == event.subject.job())
            && (schedule_id.is_none() || *schedule_id == event.subject.schedule())
            && (backfill_id.is_none() || *backfill_id == event.subject.backfill())
            && (kinds.is_empty() || kinds.contains(&event.change.kind()))
    }
}
