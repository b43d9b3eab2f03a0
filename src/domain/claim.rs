//! Who gets which job: the rules of a claim, on what the store has found.
//!
//! Ready jobs stand in **lanes**, one for each connection and type. A lane is open while its
//! connection and its tenant have a free slot. Among the tenants with open lanes, the one with the
//! least running work goes first; within a tenant the highest priority, then the oldest job. Claims
//! are made one after the other, whatever the number of servers, so that what is counted here stays
//! true until it is written.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;

use super::{
    access::Scope,
    id::{BatchId, ConnectionId, JobId, TenantId},
    job::JobType,
    lease::LeaseDuration,
    problem::{At, Problem, ProblemCode, keep},
    tenant::no_tenant,
    text::{Provider, Text, WorkerName},
};

/// The most jobs that one claim can ask for.
pub const MAX_CLAIM: i32 = 100;
/// The longest that a claim can wait for work, in seconds.
pub const MAX_WAIT: i32 = 30;
/// The most providers that one claim can name.
const MAX_PROVIDERS: usize = 100;

/// What a worker asks for.
#[derive(Debug, Clone)]
pub struct ClaimDraft {
    /// What it calls itself.
    pub worker: String,
    /// Which types; `None`: any.
    pub types: Option<Vec<JobType>>,
    /// Which providers; `None`: any.
    pub providers: Option<Vec<String>>,
    /// The id of a tenant; `None`: any.
    pub tenant_id: Option<String>,
    /// How many jobs at the most.
    pub limit: i32,
    /// How long the leases shall last without a heartbeat, in seconds.
    pub lease_seconds: i32,
    /// How long to wait when there is no work, in seconds.
    pub wait_seconds: i32,
}

/// A claim that can be made.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Who asks.
    pub worker: WorkerName,
    /// Which jobs will do.
    pub wanted: Wanted,
    /// How many at the most.
    pub limit: usize,
    /// How long the leases shall last without a heartbeat.
    pub lease: LeaseDuration,
    /// How long to wait when there is no work.
    pub wait: TimeDelta,
}

/// Which jobs a worker can run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Of these types.
    pub types: Vec<JobType>,
    /// Whose connections lead to one of these systems; `None`: any.
    pub providers: Option<Vec<Provider>>,
    /// Of this tenant; `None`: any.
    pub tenant_id: Option<TenantId>,
}

impl Claim {
    /// Checks a draft and says everything that is wrong with it. Who sees one tenant only gets jobs of that one.
    pub fn parse(draft: ClaimDraft, scope: Scope) -> Result<Self, Vec<Problem>> {
        let at = At::Root;
        let mut problems = Vec::new();
        let worker = keep(Text::parse(draft.worker, &at.field("worker")), &mut problems);
        let types = types(draft.types, &at.field("types"), &mut problems);
        let providers = providers(draft.providers, &at.field("providers"), &mut problems);
        let tenant_id = draft.tenant_id.and_then(|id| keep(tenant(&id, scope), &mut problems));
        let mut number = |number: i32, (least, most), name| {
            if !(least..=most).contains(&number) {
                let message = format!("this must be between {least} and {most}");
                problems.push(at.field(name).problem(ProblemCode::OutOfRange, message));
            }
            number.clamp(least, most)
        };
        let limit = number(draft.limit, (1, MAX_CLAIM), "limit").unsigned_abs() as usize;
        let wait = TimeDelta::seconds(number(draft.wait_seconds, (0, MAX_WAIT), "wait_seconds").into());
        let lease =
            keep(LeaseDuration::parse(draft.lease_seconds, &at.field("lease_seconds")), &mut problems);
        match (worker, lease, problems.is_empty()) {
            (Some(worker), Some(lease), true) => {
                let tenant_id = tenant_id.or(scope.tenant());
                Ok(Self { worker, wanted: Wanted { types, providers, tenant_id }, limit, lease, wait })
            }
            _ => Err(problems),
        }
    }
}

fn tenant(id: &str, scope: Scope) -> Result<TenantId, Problem> {
    let at = At::Root.field("tenant_id");
    let id = TenantId::parse(id, &at)?;
    if scope.contains(id) {
        return Ok(id);
    }
    Err(no_tenant(&at))
}

fn types(types: Option<Vec<JobType>>, at: &At<'_>, problems: &mut Vec<Problem>) -> Vec<JobType> {
    let mut types = types.unwrap_or_else(|| JobType::ALL.to_vec());
    if types.is_empty() {
        problems.push(at.problem(ProblemCode::Blank, "name at least one type, or leave this out for any"));
    }
    types.sort_unstable();
    types.dedup();
    types
}

fn providers(
    providers: Option<Vec<String>>,
    at: &At<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Provider>> {
    let providers = providers?;
    if providers.is_empty() {
        let message = "name at least one provider, or leave this out for any";
        problems.push(at.problem(ProblemCode::Blank, message));
    }
    if providers.len() > MAX_PROVIDERS {
        let message = format!("these are {} providers; name at most {MAX_PROVIDERS}", providers.len());
        problems.push(at.problem(ProblemCode::TooMany, message));
        return None;
    }
    let parsed = providers.into_iter().enumerate();
    let mut parsed: Vec<Provider> = parsed
        .filter_map(|(index, provider)| keep(Provider::parse(provider, &at.index(index)), problems))
        .collect();
    parsed.sort_unstable();
    parsed.dedup();
    Some(parsed)
}

/// The ready jobs of one type that use one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The type.
    pub job_type: JobType,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The system that it leads to.
    pub provider: Provider,
    /// The tenant that it belongs to.
    pub tenant_id: TenantId,
    /// How many jobs may use the connection at once; `None`: no limit.
    pub connection_limit: Option<usize>,
    /// How many jobs of the tenant may run at once; `None`: no limit.
    pub tenant_limit: Option<usize>,
    /// The highest priority in it.
    pub priority: i32,
    /// The oldest job of that priority.
    pub first: JobId,
}

/// A ready job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The job.
    pub job_id: JobId,
    /// Its batch.
    pub batch_id: BatchId,
    /// The priority of the batch.
    pub priority: i32,
}

/// How many jobs run, on each connection and for each tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Running {
    connections: HashMap<ConnectionId, usize>,
    tenants: HashMap<TenantId, usize>,
}

impl Running {
    /// Adds `jobs` that run on this connection.
    pub fn add(&mut self, tenant: TenantId, connection: ConnectionId, jobs: usize) {
        *self.connections.entry(connection).or_default() += jobs;
        *self.tenants.entry(tenant).or_default() += jobs;
    }

    /// How many run for this tenant.
    pub fn of_tenant(&self, tenant: TenantId) -> usize {
        self.tenants.get(&tenant).copied().unwrap_or_default()
    }

    /// How many run on this connection.
    pub fn of_connection(&self, connection: ConnectionId) -> usize {
        self.connections.get(&connection).copied().unwrap_or_default()
    }

    /// How many more jobs of this lane may start.
    fn free(&self, lane: &Lane) -> usize {
        let left =
            |limit: Option<usize>, running| limit.map_or(usize::MAX, |limit| limit.saturating_sub(running));
        let connection = left(lane.connection_limit, self.of_connection(lane.connection_id));
        connection.min(left(lane.tenant_limit, self.of_tenant(lane.tenant_id)))
    }
}

impl Wanted {
    /// Whether the jobs of this lane will do.
    pub fn takes(&self, lane: &Lane) -> bool {
        let Self { types, providers, tenant_id } = self;
        types.contains(&lane.job_type)
            && providers.as_ref().is_none_or(|providers| providers.contains(&lane.provider))
            && tenant_id.is_none_or(|tenant| tenant == lane.tenant_id)
    }
}

/// The most lanes that one claim looks into.
const MAX_LANES: usize = 256;

/// A lane that is worth looking into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLane {
    /// The lane.
    pub lane: Lane,
    /// How many of its jobs could start.
    pub jobs: usize,
}

/// The lanes to look into for these claims: the open ones of the tenants that come first, for each kind of
/// jobs that is wanted. Where those are too many, each kind gets its share.
pub fn open_lanes(lanes: Vec<Lane>, running: &Running, claims: &[Claim]) -> Vec<OpenLane> {
    // All of them, and not only those of one kind: what the others get makes tenants come later.
    let jobs = claims.iter().map(|claim| claim.limit).sum();
    let open: Vec<OpenLane> = lanes
        .into_iter()
        .map(|lane| OpenLane { jobs: running.free(&lane).min(jobs), lane })
        .filter(|open| open.jobs > 0)
        .collect();
    let kinds: HashSet<&Wanted> = claims.iter().map(|claim| &claim.wanted).collect();
    let of_kind = |wanted: &&Wanted| {
        let taken = open.iter().filter(|open| wanted.takes(&open.lane)).cloned().collect();
        first_tenants(taken, running, jobs).into_iter()
    };
    let mut of_kinds: Vec<_> = kinds.iter().map(of_kind).collect();
    let mut chosen = Vec::new();
    let mut seen = HashSet::new();
    while chosen.len() < MAX_LANES && !of_kinds.is_empty() {
        of_kinds.retain_mut(|lanes| {
            let next = lanes.find(|open| seen.insert((open.lane.job_type, open.lane.connection_id)));
            let more = next.is_some();
            chosen.extend(next);
            more
        });
    }
    chosen.truncate(MAX_LANES);
    chosen
}

/// The lanes of the first tenants, best first. More tenants than jobs are not needed, since a tenant is
/// passed over only after it got a job.
fn first_tenants(mut open: Vec<OpenLane>, running: &Running, jobs: usize) -> Vec<OpenLane> {
    let best = |lane: &Lane| (std::cmp::Reverse(lane.priority), lane.first);
    let mut best_of_tenant = HashMap::new();
    for OpenLane { lane, .. } in &open {
        let found = best_of_tenant.entry(lane.tenant_id).or_insert(best(lane));
        *found = best(lane).min(*found);
    }
    open.sort_by_key(|OpenLane { lane, .. }| {
        (running.of_tenant(lane.tenant_id), best_of_tenant.get(&lane.tenant_id).copied(), best(lane))
    });
    let mut tenants = 0;
    let mut last = None;
    open.retain(|open| {
        if last.replace(open.lane.tenant_id) != Some(open.lane.tenant_id) {
            tenants += 1;
        }
        tenants <= jobs
    });
    open
}

/// A lane with its first jobs, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilledLane {
    /// The lane.
    pub lane: Lane,
    /// Its first jobs, by priority, then by age.
    pub candidates: Vec<Candidate>,
}

/// Hands out jobs: to each claim, in turn, those that come first among what it wants, up to its limit.
pub fn hand_out(lanes: &[FilledLane], mut running: Running, claims: &[Claim]) -> Vec<Vec<Candidate>> {
    let mut next = vec![0; lanes.len()];
    let mut hand_out_one = |wanted: &Wanted| {
        let open = lanes.iter().enumerate().filter_map(|(index, filled)| {
            let candidate = filled.candidates.get(next[index])?;
            let takes = wanted.takes(&filled.lane) && running.free(&filled.lane) > 0;
            let rank = (
                running.of_tenant(filled.lane.tenant_id),
                std::cmp::Reverse(candidate.priority),
                candidate.job_id,
            );
            takes.then_some((rank, index, *candidate))
        });
        let (_, index, candidate) = open.min_by_key(|(rank, ..)| *rank)?;
        next[index] += 1;
        let Lane { tenant_id, connection_id, .. } = lanes[index].lane;
        running.add(tenant_id, connection_id, 1);
        Some(candidate)
    };
    let mut one_claim = |claim: &Claim| (0..claim.limit).map_while(|_| hand_out_one(&claim.wanted)).collect();
    claims.iter().map(&mut one_claim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn id<K: type_safe_id::StaticType>(number: usize) -> super::super::id::Id<K> {
        super::super::id::Id::from_uuid(Uuid::from_u128(number as u128))
    }

    fn lane(tenant: usize, connection: usize, limits: (Option<usize>, Option<usize>)) -> Lane {
        Lane {
            job_type: JobType::Extract,
            connection_id: id(connection),
            provider: Text::stored("csv".into()),
            tenant_id: id(tenant),
            connection_limit: limits.0,
            tenant_limit: limits.1,
            priority: 0,
            first: id(0),
        }
    }

    fn claim(limit: usize) -> Claim {
        Claim {
            worker: Text::stored("w".into()),
            wanted: Wanted { types: JobType::ALL.to_vec(), providers: None, tenant_id: None },
            limit,
            lease: LeaseDuration::stored(60),
            wait: TimeDelta::zero(),
        }
    }

    /// Lanes of two connections a tenant, with jobs of these priorities.
    fn filled(jobs: &[(usize, usize, i32)], limits: (Option<usize>, Option<usize>)) -> Vec<FilledLane> {
        let mut lanes: Vec<FilledLane> = (0..8)
            .map(|connection| FilledLane {
                lane: lane(connection / 2, connection, limits),
                candidates: vec![],
            })
            .collect();
        for (number, (tenant, connection, priority)) in jobs.iter().enumerate() {
            let candidate = Candidate { job_id: id(number + 1), batch_id: id(1), priority: *priority };
            lanes[tenant * 2 + connection].candidates.push(candidate);
        }
        for lane in &mut lanes {
            lane.candidates.sort_by_key(|job| (std::cmp::Reverse(job.priority), job.job_id));
            if let Some(first) = lane.candidates.first() {
                (lane.lane.priority, lane.lane.first) = (first.priority, first.job_id);
            }
        }
        lanes
    }

    fn tenant_of(lanes: &[FilledLane], job: &Candidate) -> TenantId {
        lanes.iter().find(|lane| lane.candidates.contains(job)).unwrap().lane.tenant_id
    }

    #[test]
    fn a_tenant_with_many_jobs_does_not_hold_up_one_with_few() {
        let jobs: Vec<_> = (0..50).map(|_| (0, 0, 9)).chain((0..3).map(|_| (1, 0, 0))).collect();
        let lanes = filled(&jobs, (None, None));
        let got = hand_out(&lanes, Running::default(), &[claim(6)]).remove(0);
        let of_second = got.iter().filter(|job| tenant_of(&lanes, job) == id(1)).count();
        assert_eq!((got.len(), of_second), (6, 3));
    }

    #[test]
    fn within_a_tenant_the_highest_priority_goes_first_and_then_the_oldest() {
        let lanes = filled(&[(0, 0, 1), (0, 1, 5), (0, 0, 5), (0, 1, 1)], (None, None));
        let got = hand_out(&lanes, Running::default(), &[claim(4)]).remove(0);
        assert_eq!(got.iter().map(|job| job.job_id).collect::<Vec<_>>(), [id(2), id(3), id(1), id(4)]);
    }

    #[test]
    fn everything_wrong_with_a_claim_is_said_at_once() {
        let draft = ClaimDraft {
            worker: " ".into(),
            types: Some(vec![]),
            providers: Some(vec!["".into()]),
            tenant_id: Some("x".into()),
            limit: 101,
            lease_seconds: 0,
            wait_seconds: 31,
        };
        let problems = Claim::parse(draft, Scope::SLUICE).unwrap_err();
        let paths: Vec<String> = problems.iter().map(|problem| problem.path[0].to_string()).collect();
        assert_eq!(
            paths,
            ["worker", "types", "providers", "tenant_id", "limit", "wait_seconds", "lease_seconds"]
        );
    }

    #[test]
    fn who_wants_something_else_than_most_is_not_forgotten() {
        // Two tenants come first, with extracts only; the third has the only load.
        let mut lanes: Vec<Lane> = (0..3).map(|tenant| lane(tenant, tenant, (None, None))).collect();
        lanes[2].job_type = JobType::Load;
        let mut running = Running::default();
        running.add(lanes[2].tenant_id, id(9), 5);
        let wanting = |job_type| Claim {
            wanted: Wanted { types: vec![job_type], providers: None, tenant_id: None },
            ..claim(1)
        };
        let claims = [wanting(JobType::Extract), wanting(JobType::Load)];
        let open = open_lanes(lanes, &running, &claims);
        assert!(open.iter().any(|open| open.lane.job_type == JobType::Load), "{open:?}");
    }

    proptest! {
        #[test]
        fn no_limit_is_exceeded_nothing_is_handed_out_twice_and_no_slot_stays_empty(
            jobs in prop::collection::vec((0usize..4, 0usize..2, 0i32..3), 0..60),
            of_connection in prop::option::of(1usize..5),
            of_tenant in prop::option::of(1usize..6),
            before in prop::collection::vec(0usize..3, 8),
            limits in prop::collection::vec(1usize..20, 1..5),
        ) {
            let lanes = filled(&jobs, (of_connection, of_tenant));
            let mut running = Running::default();
            for (filled, jobs) in lanes.iter().zip(&before) {
                running.add(filled.lane.tenant_id, filled.lane.connection_id, *jobs);
            }
            let claims: Vec<Claim> = limits.iter().map(|limit| claim(*limit)).collect();
            let got: Vec<Candidate> = hand_out(&lanes, running.clone(), &claims).concat();
            let mut seen = std::collections::HashSet::new();
            prop_assert!(got.iter().all(|job| seen.insert(job.job_id)));
            let mut after = running.clone();
            for filled in &lanes {
                let taken = filled.candidates.iter().filter(|job| seen.contains(&job.job_id)).count();
                prop_assert!(filled.candidates.iter().take(taken).all(|job| seen.contains(&job.job_id)));
                after.add(filled.lane.tenant_id, filled.lane.connection_id, taken);
            }
            for filled in &lanes {
                let (tenant, connection) = (filled.lane.tenant_id, filled.lane.connection_id);
                let kept = |limit: Option<usize>, now: usize, then: usize| limit.is_none_or(|limit| now <= limit.max(then));
                prop_assert!(kept(of_connection, after.of_connection(connection), running.of_connection(connection)));
                prop_assert!(kept(of_tenant, after.of_tenant(tenant), running.of_tenant(tenant)));
                let left = filled.candidates.iter().any(|job| !seen.contains(&job.job_id));
                let asked: usize = limits.iter().sum();
                prop_assert!(got.len() == asked || !left || after.free(&filled.lane) == 0);
            }
        }

        #[test]
        fn the_open_lanes_are_enough(
            jobs in prop::collection::vec((0usize..4, 0usize..2, 0i32..3), 0..40),
            before in prop::collection::vec(0usize..3, 8),
            limit in 1usize..6,
        ) {
            let lanes = filled(&jobs, (Some(3), None));
            let mut running = Running::default();
            for (filled, jobs) in lanes.iter().zip(&before) {
                running.add(filled.lane.tenant_id, filled.lane.connection_id, *jobs);
            }
            let claims = [claim(limit)];
            let all = hand_out(&lanes, running.clone(), &claims);
            let waiting = lanes.iter().filter(|filled| !filled.candidates.is_empty());
            let known = waiting.map(|filled| filled.lane.clone()).collect();
            let open = open_lanes(known, &running, &claims);
            let some: Vec<FilledLane> = open
                .into_iter()
                .map(|open| {
                    let whole = lanes.iter().find(|filled| filled.lane == open.lane).unwrap();
                    let candidates = whole.candidates.iter().take(open.jobs).copied().collect();
                    FilledLane { lane: open.lane, candidates }
                })
                .collect();
            prop_assert_eq!(hand_out(&some, running, &claims), all);
        }
    }
}
