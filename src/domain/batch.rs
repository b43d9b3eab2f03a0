//! A batch: one run of jobs from a source connection into a destination connection.

use chrono::{DateTime, Utc};

use super::{
    graph::JobGraph,
    id::{BackfillId, BatchId, ConnectionId, ScheduleId, TenantId},
    job::{JobType, RequiredObjects},
    since::{Since, Window},
    text::{Grain, IdempotencyKey, ObjectName},
};

/// What becomes of the rest of a batch when one of its jobs fails for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FailurePolicy {
    /// What does not require the failed job goes on.
    #[default]
    Continue,
    /// The batch is canceled.
    CancelBatch,
}

impl FailurePolicy {
    /// The name that REST and the database use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::CancelBatch => "cancel_batch",
        }
    }

    /// The policy with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Continue, Self::CancelBatch].into_iter().find(|policy| policy.name() == name)
    }
}

/// Where a batch comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Origin {
    /// A client has made it.
    #[default]
    Client,
    /// A client has triggered a schedule.
    Triggered(ScheduleId),
    /// A schedule was due.
    Scheduled(ScheduleId),
    /// It is a window of a backfill of a schedule.
    Backfilled(ScheduleId, BackfillId),
}

/// The name of an [`Origin`] without what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// Somebody.
    Manual,
    /// A timetable.
    Schedule,
    /// A backfill.
    Backfill,
}

impl Origin {
    /// What made the batch.
    pub fn trigger(self) -> Trigger {
        match self {
            Self::Client | Self::Triggered(_) => Trigger::Manual,
            Self::Scheduled(_) => Trigger::Schedule,
            Self::Backfilled(..) => Trigger::Backfill,
        }
    }

    /// The schedule that made it.
    pub fn schedule(self) -> Option<ScheduleId> {
        match self {
            Self::Client => None,
            Self::Triggered(schedule) | Self::Scheduled(schedule) | Self::Backfilled(schedule, _) => {
                Some(schedule)
            }
        }
    }

    /// The backfill that it is a window of.
    pub fn backfill(self) -> Option<BackfillId> {
        match self {
            Self::Client | Self::Triggered(_) | Self::Scheduled(_) => None,
            Self::Backfilled(_, backfill) => Some(backfill),
        }
    }

    /// What was stored of one.
    pub fn stored(
        trigger: Trigger,
        schedule: Option<ScheduleId>,
        backfill: Option<BackfillId>,
    ) -> Option<Self> {
        match (trigger, schedule, backfill) {
            (Trigger::Manual, None, None) => Some(Self::Client),
            (Trigger::Manual, Some(schedule), None) => Some(Self::Triggered(schedule)),
            (Trigger::Schedule, Some(schedule), None) => Some(Self::Scheduled(schedule)),
            (Trigger::Backfill, Some(schedule), Some(backfill)) => Some(Self::Backfilled(schedule, backfill)),
            (Trigger::Manual | Trigger::Schedule, _, Some(_))
            | (Trigger::Schedule | Trigger::Backfill, None, _)
            | (Trigger::Backfill, _, None) => None,
        }
    }
}

impl Trigger {
    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Schedule => "schedule",
            Self::Backfill => "backfill",
        }
    }

    /// The trigger with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Manual, Self::Schedule, Self::Backfill].into_iter().find(|trigger| trigger.name() == name)
    }
}

/// What becomes of the watermarks of a schedule when a batch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Watermarks {
    /// They stay where they are.
    #[default]
    Stay,
    /// They move to where the jobs of the batch have got: see [`super::watermark`].
    Move,
}

/// Where a batch stands; a variant holds what only that state has.
#[derive(Debug, Clone, PartialEq)]
pub enum BatchState {
    /// Nothing of it has started.
    Pending,
    /// Something of it has started.
    Running {
        /// When its first job started, UTC.
        started_at: DateTime<Utc>,
    },
    /// It was canceled and waits for its running jobs to stop.
    Canceling {
        /// When its first job started, UTC.
        started_at: DateTime<Utc>,
    },
    /// All of its jobs succeeded.
    Succeeded {
        /// When its first job started, UTC.
        started_at: DateTime<Utc>,
        /// When its last job ended, UTC.
        finished_at: DateTime<Utc>,
    },
    /// Its last job has ended, and not all succeeded.
    Failed {
        /// When its first job started, UTC.
        started_at: DateTime<Utc>,
        /// When its last job ended, UTC.
        finished_at: DateTime<Utc>,
    },
    /// It was canceled, before or after it had started.
    Canceled {
        /// When its first job started, UTC.
        started_at: Option<DateTime<Utc>>,
        /// When its last job ended, UTC.
        finished_at: DateTime<Utc>,
    },
}

/// The name of a [`BatchState`] without what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchStatus {
    /// See [`BatchState::Pending`].
    Pending,
    /// See [`BatchState::Running`].
    Running,
    /// See [`BatchState::Canceling`].
    Canceling,
    /// See [`BatchState::Succeeded`].
    Succeeded,
    /// See [`BatchState::Failed`].
    Failed,
    /// See [`BatchState::Canceled`].
    Canceled,
}

impl BatchStatus {
    const ALL: [Self; 6] =
        [Self::Pending, Self::Running, Self::Canceling, Self::Succeeded, Self::Failed, Self::Canceled];

    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Canceling => "canceling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// The status with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl BatchState {
    /// The name of the state.
    pub fn status(&self) -> BatchStatus {
        match self {
            Self::Pending => BatchStatus::Pending,
            Self::Running { .. } => BatchStatus::Running,
            Self::Canceling { .. } => BatchStatus::Canceling,
            Self::Succeeded { .. } => BatchStatus::Succeeded,
            Self::Failed { .. } => BatchStatus::Failed,
            Self::Canceled { .. } => BatchStatus::Canceled,
        }
    }

    /// When the first job started, UTC.
    pub fn started_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Pending => None,
            Self::Running { started_at }
            | Self::Canceling { started_at }
            | Self::Succeeded { started_at, .. }
            | Self::Failed { started_at, .. } => Some(*started_at),
            Self::Canceled { started_at, .. } => *started_at,
        }
    }

    /// When the last job ended, UTC.
    pub fn finished_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Pending | Self::Running { .. } | Self::Canceling { .. } => None,
            Self::Succeeded { finished_at, .. }
            | Self::Failed { finished_at, .. }
            | Self::Canceled { finished_at, .. } => Some(*finished_at),
        }
    }

    /// Whether the definition may still be replaced: nothing has started.
    pub fn can_be_replaced(&self) -> bool {
        match self {
            Self::Pending => true,
            Self::Running { .. }
            | Self::Canceling { .. }
            | Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::Canceled { .. } => false,
        }
    }

    /// Whether the batch may be deleted: nothing of it runs.
    pub fn can_be_deleted(&self) -> bool {
        match self {
            Self::Running { .. } | Self::Canceling { .. } => false,
            Self::Pending | Self::Succeeded { .. } | Self::Failed { .. } | Self::Canceled { .. } => true,
        }
    }
}

/// A batch as it is stored, without its jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// The tenant it belongs to.
    pub tenant_id: TenantId,
    /// Where it comes from itself.
    pub origin: Origin,
    /// What becomes of the watermarks of its schedule when it ends.
    pub watermarks: Watermarks,
    /// Where the data comes from.
    pub source_connection_id: ConnectionId,
    /// Where the data goes.
    pub destination_connection_id: ConnectionId,
    /// From when on data is asked for, where a job says nothing else.
    pub window: Window,
    /// The earliest point in the data that is not asked for any more; `None`: all that there is.
    pub until: Option<Since>,
    /// The higher, the earlier its jobs are claimed.
    pub priority: i32,
    /// What becomes of the rest when a job fails for good.
    pub failure_policy: FailurePolicy,
    /// Where it stands.
    pub state: BatchState,
    /// Rises with every change of the batch or of a job of it.
    pub version: i32,
    /// How many of its jobs have not ended: it ends with the last.
    pub unfinished: u32,
    /// How many of its jobs have ended otherwise than by success.
    pub unsuccessful: u32,
    /// Rises when the definition is replaced. Jobs and edges bear the revision they belong to, so
    /// that a reader notices when it has fetched parts of two definitions.
    pub revision: i32,
    /// When it was made, UTC.
    pub created_at: DateTime<Utc>,
    /// When it was last changed, UTC; exact to a second where only jobs of it have changed.
    pub updated_at: DateTime<Utc>,
}

impl Batch {
    /// The connection that a job of this type uses when it names none of its own.
    pub fn default_connection(&self, job_type: JobType) -> ConnectionId {
        match job_type {
            JobType::Extract => self.source_connection_id,
            JobType::Load => self.destination_connection_id,
        }
    }
}

/// A batch that can be made, if its tenant and connections exist.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBatch {
    /// See [`Batch::tenant_id`].
    pub tenant_id: TenantId,
    /// See [`Batch::source_connection_id`].
    pub source_connection_id: ConnectionId,
    /// See [`Batch::destination_connection_id`].
    pub destination_connection_id: ConnectionId,
    /// See [`Batch::window`].
    pub window: Window,
    /// See [`Batch::until`].
    pub until: Option<Since>,
    /// See [`Batch::priority`].
    pub priority: i32,
    /// See [`Batch::failure_policy`].
    pub failure_policy: FailurePolicy,
    /// See [`Batch::watermarks`].
    pub watermarks: Watermarks,
    /// Makes a repeated request harmless.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The jobs, in the order given.
    pub jobs: Vec<NewJob>,
    /// Which of them waits for which.
    pub graph: JobGraph,
    /// The wave of each.
    pub waves: Vec<u32>,
}

/// A job of a [`NewBatch`].
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// See [`Job::job_type`](super::job::Job::job_type).
    pub job_type: JobType,
    /// See [`Job::object`](super::job::Job::object).
    pub object: ObjectName,
    /// See [`Job::grain`](super::job::Job::grain).
    pub grain: Option<Grain>,
    /// See [`Job::connection_id`](super::job::Job::connection_id).
    pub connection_id: ConnectionId,
    /// See [`Job::window`](super::job::Job::window).
    pub window: Window,
    /// See [`Job::from_watermark`](super::job::Job::from_watermark).
    pub from_watermark: bool,
    /// See [`Job::allow_delete`](super::job::Job::allow_delete).
    pub allow_delete: bool,
    /// See [`Job::max_attempts`](super::job::Job::max_attempts).
    pub max_attempts: i32,
    /// What must be there before it may start.
    pub required_objects: RequiredObjects,
}
