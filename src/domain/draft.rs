//! What a client asks for when it makes or replaces a batch, and its way to a [`NewBatch`]: every
//! field is checked here, what the jobs ask of each other in [`super::requirements`].

use std::collections::HashSet;

use super::{
    batch::{FailurePolicy, NewBatch, NewJob, Watermarks},
    id::{ConnectionId, TenantId},
    job::{JobType, RequiredObjects, RequirementKind},
    problem::{At, Problem, ProblemCode, Segment, keep},
    requirements,
    since::{Since, Window},
    tenant::DEFAULT_TENANT,
    text::{Grain, IdempotencyKey, ObjectName},
};

/// How often a job is tried where nobody says otherwise.
pub const DEFAULT_MAX_ATTEMPTS: i32 = 3;
/// How often a job may be tried at the most.
pub const MAX_ATTEMPTS: i32 = 100;
/// The highest priority; the lowest is its negative.
pub const MAX_PRIORITY: i32 = 1_000;

/// How large a batch may be.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// The most jobs.
    pub jobs: usize,
    /// The most dependencies. A requirement stands for as many as there are jobs it names, so a
    /// short request could ask for millions.
    pub dependencies: usize,
}

/// What a client asks for. Ids and times are still as they were written.
#[derive(Debug, Clone, Default)]
pub struct BatchDraft {
    /// The tenant's id; `None`: the default tenant.
    pub tenant_id: Option<String>,
    /// See [`NewBatch::source_connection_id`].
    pub source_connection_id: String,
    /// See [`NewBatch::destination_connection_id`].
    pub destination_connection_id: String,
    /// See [`Window::since`].
    pub since: Option<String>,
    /// See [`NewBatch::until`].
    pub until: Option<String>,
    /// See [`Window::updated_since`].
    pub updated_since: Option<String>,
    /// See [`NewBatch::priority`].
    pub priority: i32,
    /// See [`NewBatch::failure_policy`].
    pub failure_policy: FailurePolicy,
    /// See [`NewBatch::watermarks`].
    pub watermarks: Watermarks,
    /// See [`NewBatch::idempotency_key`].
    pub idempotency_key: Option<String>,
    /// The jobs.
    pub jobs: Vec<JobDraft>,
}

impl BatchDraft {
    /// The connections that the draft names, each with the place that names it. What is no id at all
    /// is left out: [`NewBatch::parse`] has a problem for it.
    pub fn named_connections(&self) -> Vec<(ConnectionId, Vec<Segment>)> {
        let at = At::Root;
        let at_jobs = at.field("jobs");
        let named = |id: &str, at: At<'_>| Some((ConnectionId::parse(id, &at).ok()?, at.path()));
        let of_batch = [
            named(&self.source_connection_id, at.field("source_connection_id")),
            named(&self.destination_connection_id, at.field("destination_connection_id")),
        ];
        let of_jobs = self.jobs.iter().enumerate().map(|(position, job)| {
            named(job.connection_id.as_deref()?, at_jobs.index(position).field("connection_id"))
        });
        of_batch.into_iter().chain(of_jobs).flatten().collect()
    }
}

/// A job of a [`BatchDraft`].
#[derive(Debug, Clone)]
pub struct JobDraft {
    /// See [`NewJob::job_type`].
    pub job_type: JobType,
    /// See [`NewJob::object`].
    pub object: String,
    /// See [`NewJob::grain`].
    pub grain: Option<String>,
    /// The connection's id; `None`: the batch's.
    pub connection_id: Option<String>,
    /// See [`Window::since`].
    pub since: Option<String>,
    /// See [`Window::updated_since`].
    pub updated_since: Option<String>,
    /// See [`NewJob::allow_delete`].
    pub allow_delete: bool,
    /// See [`NewJob::max_attempts`].
    pub max_attempts: i32,
    /// See [`NewJob::required_objects`].
    pub required_objects: RequiredObjects<String>,
}

/// Which data a batch asks for, where a job says nothing else.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub window: Window,
    pub until: Option<Since>,
    pub watermarks: Watermarks,
}

/// A job whose fields were checked one by one. What did not pass is `None`, and a problem says so;
/// what did can still be compared with the other jobs, so that all problems are found at once.
#[derive(Debug)]
pub(super) struct CheckedJob {
    pub job_type: JobType,
    pub object: Option<ObjectName>,
    pub grain: Option<Grain>,
    pub connection_id: Option<ConnectionId>,
    pub window: Window,
    allow_delete: bool,
    max_attempts: i32,
    pub required_objects: RequiredObjects<Option<ObjectName>>,
}

impl CheckedJob {
    /// Whether the job is a load that may delete.
    pub fn deletes(&self) -> bool {
        self.allow_delete && self.job_type == JobType::Load
    }
}

impl NewBatch {
    /// Checks a draft and says everything that is wrong with it.
    pub fn parse(draft: BatchDraft, limits: &BatchLimits) -> Result<Self, Vec<Problem>> {
        let at = At::Root;
        let problems = &mut Vec::new();
        let tenant_id = match &draft.tenant_id {
            None => Some(DEFAULT_TENANT),
            Some(id) => keep(TenantId::parse(id, &at.field("tenant_id")), problems),
        };
        let connection =
            |id: &str, at: At<'_>, problems: &mut _| keep(ConnectionId::parse(id, &at), problems);
        let source = connection(&draft.source_connection_id, at.field("source_connection_id"), problems);
        let destination =
            connection(&draft.destination_connection_id, at.field("destination_connection_id"), problems);
        let window = check_window(draft.since.as_deref(), draft.updated_since.as_deref(), &at, problems);
        let until = draft.until.and_then(|until| keep(Since::parse(&until, &at.field("until")), problems));
        check_range(draft.priority, -MAX_PRIORITY, MAX_PRIORITY, &at.field("priority"), problems);
        let at_key = at.field("idempotency_key");
        let idempotency_key =
            draft.idempotency_key.and_then(|key| keep(IdempotencyKey::parse(key, &at_key), problems));
        let defaults = |job_type| match job_type {
            JobType::Extract => source,
            JobType::Load => destination,
        };
        let jobs = check_jobs(draft.jobs, limits, &at.field("jobs"), defaults, problems);
        let data = Asked { window, until, watermarks: draft.watermarks };
        check_until(&jobs, data, &at, problems);
        let resolved = requirements::resolve(&jobs, data, limits, &at.field("jobs"), problems);

        let jobs: Option<Vec<NewJob>> = jobs.into_iter().map(NewJob::from_checked).collect();
        match (tenant_id, source, destination, jobs, resolved) {
            (
                Some(tenant_id),
                Some(source_connection_id),
                Some(destination_connection_id),
                Some(jobs),
                Some((graph, waves)),
            ) if problems.is_empty() => Ok(Self {
                tenant_id,
                source_connection_id,
                destination_connection_id,
                window,
                until,
                priority: draft.priority,
                failure_policy: draft.failure_policy,
                watermarks: draft.watermarks,
                idempotency_key,
                jobs,
                graph,
                waves,
            }),
            _ => Err(std::mem::take(problems)),
        }
    }
}

impl NewJob {
    /// `None` when a field of it did not pass.
    fn from_checked(job: CheckedJob) -> Option<Self> {
        let mut required_objects = RequiredObjects::default();
        for kind in RequirementKind::ALL {
            let mut seen = HashSet::new();
            let checked = job.required_objects.of(kind).iter().flatten();
            *required_objects.of_mut(kind) = checked.filter(|object| seen.insert(*object)).cloned().collect();
        }
        Some(Self {
            job_type: job.job_type,
            object: job.object?,
            grain: job.grain,
            connection_id: job.connection_id?,
            window: job.window,
            from_watermark: false,
            allow_delete: job.allow_delete,
            max_attempts: job.max_attempts,
            required_objects,
        })
    }
}

fn check_window(
    since: Option<&str>,
    updated_since: Option<&str>,
    at: &At<'_>,
    problems: &mut Vec<Problem>,
) -> Window {
    let mut check =
        |text: Option<&str>, name| text.and_then(|text| keep(Since::parse(text, &at.field(name)), problems));
    Window { since: check(since, "since"), updated_since: check(updated_since, "updated_since") }
}

/// What is asked for must end after it begins, for each job.
fn check_until(jobs: &[CheckedJob], data: Asked, at: &At<'_>, problems: &mut Vec<Problem>) {
    let Some(until) = data.until else { return };
    let mut check = |since: Option<Since>, at: At<'_>| {
        if let Some(since) = since.filter(|since| *since >= until) {
            let message = format!("{since} is not before {until}: there is no data between them");
            problems.push(at.problem(ProblemCode::OutOfRange, message));
        }
    };
    check(data.window.since, at.field("until"));
    let at_jobs = at.field("jobs");
    for (position, job) in jobs.iter().enumerate() {
        check(job.window.since, at_jobs.index(position).field("since"));
    }
}

fn check_range(number: i32, least: i32, most: i32, at: &At<'_>, problems: &mut Vec<Problem>) {
    if !(least..=most).contains(&number) {
        problems
            .push(at.problem(ProblemCode::OutOfRange, format!("this must be between {least} and {most}")));
    }
}

/// Checks each job on its own. None are returned when there are too many to look at.
fn check_jobs(
    jobs: Vec<JobDraft>,
    limits: &BatchLimits,
    at: &At<'_>,
    default_connection: impl Fn(JobType) -> Option<ConnectionId>,
    problems: &mut Vec<Problem>,
) -> Vec<CheckedJob> {
    if jobs.is_empty() {
        problems.push(at.problem(ProblemCode::Blank, "a batch needs at least one job"));
    }
    if jobs.len() > limits.jobs {
        let message = format!("these are {} jobs; a batch can have at most {}", jobs.len(), limits.jobs);
        problems.push(at.problem(ProblemCode::TooMany, message));
        return Vec::new();
    }
    jobs.into_iter()
        .enumerate()
        .map(|(position, job)| check_job(job, &at.index(position), &default_connection, problems))
        .collect()
}

fn check_job(
    draft: JobDraft,
    at: &At<'_>,
    default_connection: impl Fn(JobType) -> Option<ConnectionId>,
    problems: &mut Vec<Problem>,
) -> CheckedJob {
    if draft.allow_delete && draft.job_type == JobType::Extract {
        let message = "only a load can delete; leave this out for an extract";
        problems.push(at.field("allow_delete").problem(ProblemCode::InvalidValue, message));
    }
    check_range(draft.max_attempts, 1, MAX_ATTEMPTS, &at.field("max_attempts"), problems);
    let at_required = at.field("required_objects");
    let mut required_objects = RequiredObjects::default();
    let RequiredObjects { extract, load, load_result } = draft.required_objects;
    for (kind, objects) in RequirementKind::ALL.into_iter().zip([extract, load, load_result]) {
        let at_kind = at_required.field(kind.name());
        *required_objects.of_mut(kind) = objects
            .into_iter()
            .enumerate()
            .map(|(index, object)| keep(ObjectName::parse(object, &at_kind.index(index)), problems))
            .collect();
    }
    CheckedJob {
        job_type: draft.job_type,
        object: keep(ObjectName::parse(draft.object, &at.field("object")), problems),
        grain: draft.grain.and_then(|grain| keep(Grain::parse(grain, &at.field("grain")), problems)),
        connection_id: match draft.connection_id {
            Some(id) => keep(ConnectionId::parse(&id, &at.field("connection_id")), problems),
            None => default_connection(draft.job_type),
        },
        window: check_window(draft.since.as_deref(), draft.updated_since.as_deref(), at, problems),
        allow_delete: draft.allow_delete,
        max_attempts: draft.max_attempts,
        required_objects,
    }
}
