//! A job: one extract of a source object, or one load of a destination object.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    batch::Batch,
    connection::has_nul,
    id::{BatchId, ConnectionId, JobId, TenantId},
    problem::{At, Problem, ProblemCode},
    since::{EffectiveWindow, Since, Window, WindowOrigin},
    text::{Grain, ObjectName},
};

/// Which way the data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobType {
    /// Out of the source system.
    Extract,
    /// Into the destination system.
    Load,
}

impl JobType {
    /// All types.
    pub const ALL: [Self; 2] = [Self::Extract, Self::Load];

    /// The name that REST and the database use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::Load => "load",
        }
    }

    /// The type with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|job_type| job_type.name() == name)
    }
}

/// What a dependent waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequirementKind {
    /// The extract job succeeded: its records are staged.
    Extract,
    /// The load job has written its records, reported while it still runs or by its success.
    Load,
    /// The load job succeeded and its result is published.
    LoadResult,
}

impl RequirementKind {
    /// All kinds, in the order in which they are documented.
    pub const ALL: [Self; 3] = [Self::Extract, Self::Load, Self::LoadResult];

    /// The name that REST and the database use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::Load => "load",
            Self::LoadResult => "load_result",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The type of the jobs that can satisfy it.
    pub fn job_type(self) -> JobType {
        match self {
            Self::Extract => JobType::Extract,
            Self::Load | Self::LoadResult => JobType::Load,
        }
    }

    /// Whether this job satisfies a requirement of this kind.
    pub fn satisfied_by(self, job: &Job) -> bool {
        let succeeded = matches!(job.state, JobState::Succeeded { .. });
        match self {
            Self::Extract | Self::LoadResult => succeeded,
            Self::Load => succeeded || job.published_at.is_some(),
        }
    }
}

/// The objects that must be there before a job may start, by kind, in the order given, each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequiredObjects<T = ObjectName> {
    /// Objects that must be extracted.
    pub extract: Vec<T>,
    /// Objects that must be loaded.
    pub load: Vec<T>,
    /// Objects whose load must have published its result.
    pub load_result: Vec<T>,
}

impl<T> Default for RequiredObjects<T> {
    fn default() -> Self {
        Self { extract: Vec::new(), load: Vec::new(), load_result: Vec::new() }
    }
}

impl<T> RequiredObjects<T> {
    /// The objects of one kind.
    pub fn of(&self, kind: RequirementKind) -> &[T] {
        match kind {
            RequirementKind::Extract => &self.extract,
            RequirementKind::Load => &self.load,
            RequirementKind::LoadResult => &self.load_result,
        }
    }

    /// The objects of one kind, to be changed.
    pub fn of_mut(&mut self, kind: RequirementKind) -> &mut Vec<T> {
        match kind {
            RequirementKind::Extract => &mut self.extract,
            RequirementKind::Load => &mut self.load,
            RequirementKind::LoadResult => &mut self.load_result,
        }
    }

    /// Whether nothing at all is required.
    pub fn is_empty(&self) -> bool {
        RequirementKind::ALL.into_iter().all(|kind| self.of(kind).is_empty())
    }
}

/// Where a job stands; a variant holds what only that state has.
#[derive(Debug, Clone, PartialEq)]
pub enum JobState {
    /// A required object is not there yet.
    Blocked,
    /// It may be claimed, from `not_before` on where there is one.
    Ready {
        /// The end of a backoff, UTC.
        not_before: Option<DateTime<Utc>>,
    },
    /// A worker runs it.
    Running {
        /// When its current or last attempt started, UTC.
        started_at: DateTime<Utc>,
    },
    /// It has done what it should.
    Succeeded {
        /// When its current or last attempt started, UTC.
        started_at: DateTime<Utc>,
        /// When it ended, UTC.
        finished_at: DateTime<Utc>,
    },
    /// It failed for good.
    Failed {
        /// When its current or last attempt started, UTC.
        started_at: DateTime<Utc>,
        /// When it ended, UTC.
        finished_at: DateTime<Utc>,
    },
    /// A required object can no longer arrive.
    Skipped {
        /// When that was known, UTC.
        finished_at: DateTime<Utc>,
    },
    /// It was canceled, before or after it had started.
    Canceled {
        /// When its current or last attempt started, UTC.
        started_at: Option<DateTime<Utc>>,
        /// When it ended, UTC.
        finished_at: DateTime<Utc>,
    },
}

/// The name of a [`JobState`] without what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobStatus {
    /// See [`JobState::Blocked`].
    Blocked,
    /// See [`JobState::Ready`].
    Ready,
    /// See [`JobState::Running`].
    Running,
    /// See [`JobState::Succeeded`].
    Succeeded,
    /// See [`JobState::Failed`].
    Failed,
    /// See [`JobState::Skipped`].
    Skipped,
    /// See [`JobState::Canceled`].
    Canceled,
}

impl JobStatus {
    const ALL: [Self; 7] = [
        Self::Blocked,
        Self::Ready,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Skipped,
        Self::Canceled,
    ];

    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Canceled => "canceled",
        }
    }

    /// The status with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl JobState {
    /// The name of the state.
    pub fn status(&self) -> JobStatus {
        match self {
            Self::Blocked => JobStatus::Blocked,
            Self::Ready { .. } => JobStatus::Ready,
            Self::Running { .. } => JobStatus::Running,
            Self::Succeeded { .. } => JobStatus::Succeeded,
            Self::Failed { .. } => JobStatus::Failed,
            Self::Skipped { .. } => JobStatus::Skipped,
            Self::Canceled { .. } => JobStatus::Canceled,
        }
    }

    /// When the current or last attempt started, UTC.
    pub fn started_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Blocked | Self::Ready { .. } | Self::Skipped { .. } => None,
            Self::Running { started_at }
            | Self::Succeeded { started_at, .. }
            | Self::Failed { started_at, .. } => Some(*started_at),
            Self::Canceled { started_at, .. } => *started_at,
        }
    }

    /// The end of a backoff, UTC.
    pub fn not_before(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Ready { not_before } => *not_before,
            Self::Blocked
            | Self::Running { .. }
            | Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::Canceled { .. } => None,
        }
    }

    /// When the job ended, UTC.
    pub fn finished_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Blocked | Self::Ready { .. } | Self::Running { .. } => None,
            Self::Succeeded { finished_at, .. }
            | Self::Failed { finished_at, .. }
            | Self::Skipped { finished_at }
            | Self::Canceled { finished_at, .. } => Some(*finished_at),
        }
    }
}

/// The longest output of a job, in bytes of JSON.
pub const MAX_OUTPUT: usize = 256 * 1024;

/// Checks what a job is to put out.
pub fn check_output(output: Value, at: &At<'_>) -> Result<Value, Problem> {
    let length = output.to_string().len();
    if length > MAX_OUTPUT {
        let message = format!("this has {length} bytes of JSON; at most {MAX_OUTPUT} are allowed");
        return Err(at.problem(ProblemCode::TooLong, message));
    }
    if has_nul(&output) {
        let message = "a text in here has a NUL character; leave it out";
        return Err(at.problem(ProblemCode::InvalidCharacter, message));
    }
    Ok(output)
}

/// A job as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The batch it belongs to.
    pub batch_id: BatchId,
    /// The tenant of the batch.
    pub tenant_id: TenantId,
    /// Its place in the batch, from 0, in the order given at creation.
    pub position: u32,
    /// The [revision](super::batch::Batch::revision) of the batch that it was defined with.
    pub revision: i32,
    /// Which way the data goes.
    pub job_type: JobType,
    /// What is extracted or loaded.
    pub object: ObjectName,
    /// The granularity of a summary report.
    pub grain: Option<Grain>,
    /// The connection it uses: its own, or the batch's source (extract) or destination (load).
    pub connection_id: ConnectionId,
    /// Its own window, which beats the batch's.
    pub window: Window,
    /// Whether the `updated_since` in there was not asked for, but is where a watermark of the batch's schedule stood.
    pub from_watermark: bool,
    /// Whether the loader may delete destination records that the extract no longer shows.
    pub allow_delete: bool,
    /// The batch's: the higher, the earlier it is claimed.
    pub priority: i32,
    /// How often it may be tried.
    pub max_attempts: i32,
    /// How many attempts count against that: started since the batch was last retried, and not given back.
    pub attempt: i32,
    /// The number of the last attempt that was started, counted for the job's whole life.
    pub last_attempt: i32,
    /// What must be there before it may start, by name; `None` where that was not read along.
    pub required_objects: Option<Box<RequiredObjects>>,
    /// Its topological level; 0 requires nothing.
    pub wave: u32,
    /// Where it stands.
    pub state: JobState,
    /// When it came there, UTC.
    pub entered_at: DateTime<Utc>,
    /// When its load reported that its records are written, UTC.
    pub published_at: Option<DateTime<Utc>>,
    /// When it was made, UTC.
    pub created_at: DateTime<Utc>,
}

impl Job {
    /// The window that its worker must use, in a batch with this one.
    pub fn effective_window(&self, batch: &Batch) -> EffectiveWindow {
        let (of_batch, until) = (batch.window, batch.until);
        let origin = |own: Option<Since>, batch: Option<Since>| match (own, batch) {
            (Some(_), _) => WindowOrigin::Job,
            (None, Some(_)) => WindowOrigin::Batch,
            (None, None) => WindowOrigin::None,
        };
        let updated_since_origin = match self.from_watermark {
            true => WindowOrigin::Watermark,
            false => origin(self.window.updated_since, of_batch.updated_since),
        };
        EffectiveWindow {
            window: self.window.or(of_batch),
            until,
            since_origin: origin(self.window.since, of_batch.since),
            updated_since_origin,
        }
    }
}

/// An edge seen from one of its jobs: what is waited for, and the job at the other end.
#[derive(Debug, Clone)]
pub struct LinkedJob {
    /// The job that was asked about.
    pub of: JobId,
    /// What the dependent waits for.
    pub kind: RequirementKind,
    /// The job at the other end.
    pub job: Arc<Job>,
}

/// How many jobs of a batch are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobCounts {
    /// See [`JobState::Blocked`].
    pub blocked: u32,
    /// See [`JobState::Ready`].
    pub ready: u32,
    /// See [`JobState::Running`].
    pub running: u32,
    /// See [`JobState::Succeeded`].
    pub succeeded: u32,
    /// See [`JobState::Failed`].
    pub failed: u32,
    /// See [`JobState::Skipped`].
    pub skipped: u32,
    /// See [`JobState::Canceled`].
    pub canceled: u32,
}

impl JobCounts {
    /// Adds `jobs` jobs in this state.
    pub fn add(&mut self, status: JobStatus, jobs: u32) {
        let count = match status {
            JobStatus::Blocked => &mut self.blocked,
            JobStatus::Ready => &mut self.ready,
            JobStatus::Running => &mut self.running,
            JobStatus::Succeeded => &mut self.succeeded,
            JobStatus::Failed => &mut self.failed,
            JobStatus::Skipped => &mut self.skipped,
            JobStatus::Canceled => &mut self.canceled,
        };
        *count += jobs;
    }

    /// All jobs.
    pub fn total(&self) -> u32 {
        self.blocked + self.ready + self.running + self.succeeded + self.failed + self.skipped + self.canceled
    }
}
