//! The wall: nothing of one tenant is seen from another.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    id::TenantId,
    problem::{At, Problem, ProblemCode, keep},
    text::Name,
};

/// The built-in tenant that serves who names none.
pub const DEFAULT_TENANT: TenantId =
    TenantId::from_uuid(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000));

/// A tenant as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name, unique among all tenants.
    pub name: Name,
    /// How many of its jobs may run at once; `None`: no limit.
    pub max_concurrent_jobs: Option<Concurrency>,
    /// When it was made, UTC.
    pub created_at: DateTime<Utc>,
    /// When it was last changed, UTC.
    pub updated_at: DateTime<Utc>,
}

/// A tenant that is named at this place is not there, or is not to be seen.
pub fn no_tenant(at: &At<'_>) -> Problem {
    at.problem(ProblemCode::NotFound, "there is no tenant with this id")
}

/// How many jobs may run at once: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency(i32);

impl Concurrency {
    /// The most that can be asked for.
    pub const MAX: i32 = 1_000_000;

    /// Checks a limit that came from outside.
    pub fn parse(jobs: i32, at: &At<'_>) -> Result<Self, Problem> {
        Self::stored(jobs).ok_or_else(|| {
            at.problem(
                ProblemCode::OutOfRange,
                format!("this must be between 1 and {}; leave it out for no limit", Self::MAX),
            )
        })
    }

    /// A limit that was stored; `None` when it is out of range.
    pub fn stored(jobs: i32) -> Option<Self> {
        (1..=Self::MAX).contains(&jobs).then_some(Self(jobs))
    }

    /// The limit as a number of jobs.
    pub fn jobs(self) -> i32 {
        self.0
    }
}

/// What a client asks for when it makes a tenant.
#[derive(Debug, Clone, Default)]
pub struct TenantDraft {
    /// See [`Tenant::name`].
    pub name: String,
    /// See [`Tenant::max_concurrent_jobs`].
    pub max_concurrent_jobs: Option<i32>,
}

/// A tenant that can be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTenant {
    /// See [`Tenant::name`].
    pub name: Name,
    /// See [`Tenant::max_concurrent_jobs`].
    pub max_concurrent_jobs: Option<Concurrency>,
}

impl NewTenant {
    /// Checks a draft and says everything that is wrong with it.
    pub fn parse(draft: TenantDraft) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let name = keep(Name::parse(draft.name, &At::Root.field("name")), &mut problems);
        let max_concurrent_jobs = concurrency(draft.max_concurrent_jobs, &mut problems);
        match (name, problems.is_empty()) {
            (Some(name), true) => Ok(Self { name, max_concurrent_jobs }),
            _ => Err(problems),
        }
    }
}

/// Checks the field `max_concurrent_jobs`, which tenants and connections share.
pub(super) fn concurrency(jobs: Option<i32>, problems: &mut Vec<Problem>) -> Option<Concurrency> {
    let at = At::Root.field("max_concurrent_jobs");
    jobs.and_then(|jobs| keep(Concurrency::parse(jobs, &at), problems))
}

/// What of an object shall change: `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct TenantPatch {
    /// A new name.
    pub name: Option<String>,
    /// A new limit; `Some(None)` removes it.
    pub max_concurrent_jobs: Option<Option<i32>>,
}

impl TenantPatch {
    /// The tenant with the changes made, or everything that is wrong with them.
    pub fn apply(self, mut tenant: Tenant) -> Result<Tenant, Vec<Problem>> {
        let mut problems = Vec::new();
        if let Some(name) = self.name
            && let Some(name) = keep(Name::parse(name, &At::Root.field("name")), &mut problems)
        {
            tenant.name = name;
        }
        if let Some(jobs) = self.max_concurrent_jobs {
            tenant.max_concurrent_jobs = concurrency(jobs, &mut problems);
        }
        if problems.is_empty() { Ok(tenant) } else { Err(problems) }
    }
}
