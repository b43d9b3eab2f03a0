//! What can be asked of a list: which rows, in which order. Every filter and order here has an
//! index behind it.

use super::{
    batch::BatchStatus,
    id::{BatchId, ConnectionId, ScheduleId, TenantId},
    job::{JobStatus, JobType},
    text::{Name, ObjectName, Provider},
};

/// Which way a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Least first: oldest, lowest.
    Ascending,
    /// Greatest first: newest, highest.
    Descending,
}

impl Direction {
    /// The other way.
    pub fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}

/// What a list is sorted by; rows that are equal in it follow their ids, which rise with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortField {
    /// When the row was made.
    CreatedAt,
    /// When the row was last changed.
    UpdatedAt,
    /// The priority of a batch.
    Priority,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Order {
    /// What it is sorted by.
    pub field: SortField,
    /// Which way.
    pub direction: Direction,
}

impl Order {
    /// Newest first.
    pub const NEWEST: Self = Self { field: SortField::CreatedAt, direction: Direction::Descending };
    /// Oldest first.
    pub const OLDEST: Self = Self { field: SortField::CreatedAt, direction: Direction::Ascending };
}

/// Which connections; `None` and an empty list leave a question open.
#[derive(Debug, Clone, Default)]
pub struct ConnectionFilter {
    /// Those of this tenant.
    pub tenant_id: Option<TenantId>,
    /// Those that lead to this kind of system.
    pub provider: Option<Provider>,
    /// The one with this name, in each tenant.
    pub name: Option<Name>,
    /// Those that are archived, or those that are not.
    pub archived: Option<Archived>,
}

/// Whether a connection is archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archived {
    /// It is, and takes no new batches.
    Yes,
    /// It is not.
    No,
}

/// Which batches; `None` and an empty list leave a question open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchFilter {
    /// Those of this tenant.
    pub tenant_id: Option<TenantId>,
    /// Those in one of these states.
    pub statuses: Vec<BatchStatus>,
    /// Those that read from this connection.
    pub source_connection_id: Option<ConnectionId>,
    /// Those that write into this connection.
    pub destination_connection_id: Option<ConnectionId>,
    /// Those that read from or write into this connection.
    pub connection_id: Option<ConnectionId>,
    /// Those that this schedule has made.
    pub schedule_id: Option<ScheduleId>,
}

/// Which schedules; `None` leaves a question open.
#[derive(Debug, Clone, Default)]
pub struct ScheduleFilter {
    /// Those of this tenant.
    pub tenant_id: Option<TenantId>,
    /// The one with this name, in each tenant.
    pub name: Option<Name>,
}

/// Which jobs; `None` and an empty list leave a question open.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Those of this tenant.
    pub tenant_id: Option<TenantId>,
    /// Those of this batch.
    pub batch_id: Option<BatchId>,
    /// Those that use this connection.
    pub connection_id: Option<ConnectionId>,
    /// Those in one of these states.
    pub statuses: Vec<JobStatus>,
    /// Those of this type.
    pub job_type: Option<JobType>,
    /// Those that extract or load this object.
    pub object: Option<ObjectName>,
}
