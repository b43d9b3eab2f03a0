//! Backfills: a schedule's template run once for each window of a stretch of time.

mod course;
mod draft;

use chrono::{DateTime, Utc};

pub use course::{Changed, Outcome, Work};
pub use draft::{BackfillDraft, NewBackfill, draft_of_window};

use super::{
    batch::{BatchState, Watermarks},
    firing::FiringProblem,
    id::{BackfillId, BatchId, ScheduleId, TenantId},
    windows::{Stretch, Windows},
};

/// The most batches of a backfill that can be under way at once.
pub const MAX_PARALLEL: i32 = 100;
/// How far below the priority of its schedule a backfill is where nobody says otherwise.
pub const PRIORITY_BELOW: i32 = 100;

/// In which order the windows of a backfill are begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WindowOrder {
    /// The earliest first.
    #[default]
    OldestFirst,
    /// The latest first.
    NewestFirst,
}

/// Where a backfill stands.
#[derive(Debug, Clone, PartialEq)]
pub enum BackfillState {
    /// Its windows are begun one after the other.
    Running,
    /// No window of it is begun until it is resumed. Those that are under way go on.
    Paused {
        /// Since when, UTC.
        since: DateTime<Utc>,
        /// What was wrong with the template, if that is why.
        problems: Vec<FiringProblem>,
    },
    /// It was canceled and waits for its batches to end.
    Canceling,
    /// All of its windows succeeded.
    Succeeded {
        /// Since when, UTC.
        ended_at: DateTime<Utc>,
    },
    /// All of its windows have ended, and not all succeeded.
    Failed {
        /// Since when, UTC.
        ended_at: DateTime<Utc>,
    },
    /// It was canceled.
    Canceled {
        /// Since when, UTC.
        ended_at: DateTime<Utc>,
    },
}

/// The name of a [`BackfillState`] without what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BackfillStatus {
    /// See [`BackfillState::Running`].
    Running,
    /// See [`BackfillState::Paused`].
    Paused,
    /// See [`BackfillState::Canceling`].
    Canceling,
    /// See [`BackfillState::Succeeded`].
    Succeeded,
    /// See [`BackfillState::Failed`].
    Failed,
    /// See [`BackfillState::Canceled`].
    Canceled,
}

/// Where a window stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowStatus {
    /// It was not begun, or is to be run again.
    Pending,
    /// Its batch has not ended.
    Running,
    /// Its batch succeeded.
    Succeeded,
    /// Its batch failed.
    Failed,
    /// Its batch was canceled, or the backfill was before it was begun.
    Canceled,
}

/// A backfill as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Backfill {
    /// Its id.
    pub id: BackfillId,
    /// The tenant of the schedule.
    pub tenant_id: TenantId,
    /// The schedule whose template it runs.
    pub schedule_id: ScheduleId,
    /// Its windows.
    pub windows: Windows,
    /// In which order they are begun.
    pub order: WindowOrder,
    /// How many of its batches are under way at the most.
    pub max_parallel: u32,
    /// The priority of its batches.
    pub priority: i32,
    /// What becomes of the watermarks of its schedule when it has succeeded.
    pub watermarks: Watermarks,
    /// Where it stands.
    pub state: BackfillState,
    /// How many of its windows were begun, in its order. Only of these there are records.
    pub begun: u32,
    /// Rises with every change of the backfill, but not with its windows.
    pub version: i32,
    /// When it was made, UTC.
    pub created_at: DateTime<Utc>,
    /// When its first window was begun, UTC.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was last changed, UTC.
    pub updated_at: DateTime<Utc>,
}

/// A window of a backfill and what has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackfillWindow {
    /// The stretch of the data.
    pub stretch: Stretch,
    /// Where it stands.
    pub status: WindowStatus,
    /// Its batch, if it was begun.
    pub batch_id: Option<BatchId>,
}

/// How many windows are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowCounts {
    /// See [`WindowStatus::Pending`].
    pub pending: u32,
    /// See [`WindowStatus::Running`].
    pub running: u32,
    /// See [`WindowStatus::Succeeded`].
    pub succeeded: u32,
    /// See [`WindowStatus::Failed`].
    pub failed: u32,
    /// See [`WindowStatus::Canceled`].
    pub canceled: u32,
}

impl Backfill {
    /// How many windows are in each state, by what their records say.
    pub fn progress(&self, recorded: WindowCounts) -> WindowCounts {
        let mut progress = recorded;
        // Not by how many were begun: there may be records of more by now.
        progress.add(self.unbegun_status(), self.windows.count.saturating_sub(recorded.total()));
        progress
    }

    /// How far its jobs have got once it has succeeded, UTC: to its end, but no further than when it was begun, for what
    /// was changed later may have been missed.
    pub fn reaches(&self) -> Option<DateTime<Utc>> {
        self.started_at.map(|started_at| started_at.min(self.windows.to.instant()))
    }

    /// How many windows were not begun.
    pub fn unbegun(&self) -> u32 {
        self.windows.count.saturating_sub(self.begun)
    }

    /// What is to be said of windows that were not begun.
    pub fn unbegun_status(&self) -> WindowStatus {
        match self.state.status() {
            BackfillStatus::Canceling | BackfillStatus::Canceled => WindowStatus::Canceled,
            BackfillStatus::Running
            | BackfillStatus::Paused
            | BackfillStatus::Succeeded
            | BackfillStatus::Failed => WindowStatus::Pending,
        }
    }

    /// The indexes of the windows that were not begun, in the order of time.
    pub fn unbegun_indexes(&self) -> std::ops::Range<u32> {
        match self.order {
            WindowOrder::OldestFirst => self.begun..self.windows.count,
            WindowOrder::NewestFirst => 0..self.unbegun(),
        }
    }

    /// The windows that are begun next, at most so many.
    pub fn next(&self, most: u32) -> Vec<Stretch> {
        let Self { begun, windows, .. } = self;
        let end = windows.count.min(begun.saturating_add(most));
        windows.of((*begun..end).map(|place| match self.order {
            WindowOrder::OldestFirst => place,
            WindowOrder::NewestFirst => windows.count - 1 - place,
        }))
    }
}

impl BackfillState {
    /// The name of the state.
    pub fn status(&self) -> BackfillStatus {
        match self {
            Self::Running => BackfillStatus::Running,
            Self::Paused { .. } => BackfillStatus::Paused,
            Self::Canceling => BackfillStatus::Canceling,
            Self::Succeeded { .. } => BackfillStatus::Succeeded,
            Self::Failed { .. } => BackfillStatus::Failed,
            Self::Canceled { .. } => BackfillStatus::Canceled,
        }
    }

    /// When it ended, UTC.
    pub fn ended_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Running | Self::Paused { .. } | Self::Canceling => None,
            Self::Succeeded { ended_at } | Self::Failed { ended_at } | Self::Canceled { ended_at } => {
                Some(*ended_at)
            }
        }
    }
}

impl BackfillStatus {
    const ALL: [Self; 6] =
        [Self::Running, Self::Paused, Self::Canceling, Self::Succeeded, Self::Failed, Self::Canceled];

    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
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

impl WindowStatus {
    /// Where a window stands whose batch stands there.
    pub fn of(batch: &BatchState) -> Self {
        match batch {
            BatchState::Pending | BatchState::Running { .. } | BatchState::Canceling { .. } => Self::Running,
            BatchState::Succeeded { .. } => Self::Succeeded,
            BatchState::Failed { .. } => Self::Failed,
            BatchState::Canceled { .. } => Self::Canceled,
        }
    }

    const ALL: [Self; 5] = [Self::Pending, Self::Running, Self::Succeeded, Self::Failed, Self::Canceled];

    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
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

impl WindowOrder {
    const ALL: [Self; 2] = [Self::OldestFirst, Self::NewestFirst];

    /// The name that the database uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::OldestFirst => "oldest_first",
            Self::NewestFirst => "newest_first",
        }
    }

    /// The order with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.name() == name)
    }
}

impl WindowCounts {
    /// So many more windows are in this state.
    pub fn add(&mut self, status: WindowStatus, windows: u32) {
        *match status {
            WindowStatus::Pending => &mut self.pending,
            WindowStatus::Running => &mut self.running,
            WindowStatus::Succeeded => &mut self.succeeded,
            WindowStatus::Failed => &mut self.failed,
            WindowStatus::Canceled => &mut self.canceled,
        } += windows;
    }

    /// All of them.
    pub fn total(&self) -> u32 {
        let Self { pending, running, succeeded, failed, canceled } = self;
        pending + running + succeeded + failed + canceled
    }
}
