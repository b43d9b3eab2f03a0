//! A batch in memory, whose jobs are claimed, reported, canceled and retried in any order: what must hold
//! in all of them. The store does to its rows what is done to the jobs here.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    attempt::Attempt,
    batch::{Batch, BatchState, FailurePolicy, Origin, Watermarks},
    graph::{Edge, JobGraph},
    id::Id,
    job::{Job, JobState, JobType, RequirementKind},
    lease::{LeaseDuration, LeaseToken},
    rerun::rerun,
    retry::Jitter,
    settle::{Effects, Refused, Report, Reported, Rest, Settled, TryAgain, settle},
    since::Window,
    text::{Message, Text},
    transition::Ended,
};

/// What can happen. The numbers choose a job or an attempt among those that there are.
#[derive(Debug, Clone)]
enum Step {
    Claim(usize),
    Publish(usize),
    Complete(usize),
    Fail(usize, TryAgain),
    Release(usize),
    Expire(usize),
    Wait,
    Cancel,
    Retry,
}

struct World {
    now: DateTime<Utc>,
    batch: Batch,
    jobs: Vec<Job>,
    unsatisfied: Vec<usize>,
    graph: JobGraph,
    attempts: Vec<Attempt>,
}

fn id<K>(number: usize) -> Id<K>
where
    K: type_safe_id::StaticType,
{
    Id::from_uuid(Uuid::from_u128(number as u128))
}

/// A job of that batch.
pub fn job(position: usize, job_type: JobType, waits: bool, now: DateTime<Utc>) -> Job {
    Job {
        id: id(position + 1),
        batch_id: id(1),
        tenant_id: id(1),
        position: position as u32,
        revision: 1,
        job_type,
        object: Text::stored(position.to_string()),
        grain: None,
        connection_id: id(1),
        window: Window::default(),
        from_watermark: false,
        allow_delete: false,
        priority: 0,
        max_attempts: 2,
        attempt: 0,
        last_attempt: 0,
        required_objects: None,
        wave: 0,
        state: if waits { JobState::Blocked } else { JobState::Ready { not_before: None } },
        entered_at: now,
        published_at: None,
        created_at: now,
    }
}

/// A batch of so many jobs, of which nothing has started.
pub fn batch(jobs: u32, now: DateTime<Utc>) -> Batch {
    Batch {
        id: id(1),
        tenant_id: id(1),
        origin: Origin::Client,
        watermarks: Watermarks::Stay,
        source_connection_id: id(1),
        destination_connection_id: id(2),
        window: Window::default(),
        until: None,
        priority: 0,
        failure_policy: FailurePolicy::Continue,
        state: BatchState::Pending,
        version: 1,
        unfinished: jobs,
        unsuccessful: 0,
        revision: 1,
        created_at: now,
        updated_at: now,
    }
}

impl World {
    fn new(types: &[JobType], edges: &[(usize, usize, bool)], failure_policy: FailurePolicy) -> Self {
        let now = DateTime::UNIX_EPOCH;
        let edges = edges.iter().filter_map(|&(one, other, result)| {
            let (required, dependent) = (one.min(other) % types.len(), one.max(other) % types.len());
            let kind = match (types[required], result) {
                (JobType::Extract, _) => RequirementKind::Extract,
                (JobType::Load, false) => RequirementKind::Load,
                (JobType::Load, true) => RequirementKind::LoadResult,
            };
            (required < dependent).then_some(Edge {
                dependent: dependent as u32,
                required: required as u32,
                kind,
            })
        });
        let mut edges: Vec<Edge> = edges.collect();
        edges.sort_unstable();
        edges.dedup();
        let graph = JobGraph::new(types.len(), &edges).unwrap();
        let unsatisfied: Vec<usize> =
            (0..types.len()).map(|position| graph.required(position as u32).len()).collect();
        let jobs = types.iter().zip(&unsatisfied).enumerate();
        let jobs: Vec<Job> =
            jobs.map(|(position, (job_type, waits))| job(position, *job_type, *waits > 0, now)).collect();
        let batch = Batch { failure_policy, ..batch(jobs.len() as u32, now) };
        Self { now, batch, jobs, unsatisfied, graph, attempts: Vec::new() }
    }

    fn step(&mut self, step: Step) {
        self.now += TimeDelta::seconds(1);
        match step {
            Step::Claim(which) => self.claim(which),
            Step::Publish(which) => self.report(which, Report::Published { output: None }),
            Step::Complete(which) => {
                self.report(which, Report::Completed { output: None, records: None, bytes: None });
            }
            Step::Fail(which, again) => {
                let (code, message) = (Text::stored("X".into()), Message::of("x".into()));
                self.report(which, Report::Failed { code, message, again });
            }
            Step::Release(which) => self.report(which, Report::Released),
            Step::Expire(which) => {
                self.now += TimeDelta::seconds(60);
                self.report(which, Report::Expired);
            }
            Step::Wait => self.now += TimeDelta::minutes(11),
            Step::Cancel => self.cancel(),
            Step::Retry => self.retry(),
        }
    }

    fn claim(&mut self, which: usize) {
        let now = self.now;
        let ready = self.jobs.iter_mut().filter(|job| job.state.clone().start(now).is_ok());
        let ready: Vec<&mut Job> = ready.collect();
        let count = ready.len().max(1);
        let Some(job) = ready.into_iter().nth(which % count) else { return };
        job.state = job.state.clone().start(now).unwrap();
        job.attempt += 1;
        job.last_attempt += 1;
        self.batch.start(now);
        let lease = LeaseToken::new([self.attempts.len() as u8; 32]);
        self.attempts.push(Attempt {
            job_id: job.id,
            batch_id: job.batch_id,
            number: job.last_attempt,
            lease_hash: lease.hash(),
            lease_duration: LeaseDuration::stored(60),
            worker: Text::stored("w".into()),
            started_at: now,
            expires_at: now + TimeDelta::seconds(60),
            end: None,
            progress: None,
        });
    }

    /// Any attempt may be reported, also one that has ended or expired.
    fn report(&mut self, which: usize, report: Report) {
        let count = self.attempts.len().max(1);
        let Some(attempt) = self.attempts.get_mut(which % count) else { return };
        let job = self.jobs.iter_mut().find(|job| job.id == attempt.job_id).unwrap();
        let before = (attempt.clone(), job.clone());
        let reported = Reported { attempt, job, batch: &self.batch };
        let effects = match settle(reported, report, self.now, Jitter::new(0)) {
            Ok(Settled::Changed(effects)) => effects,
            Ok(Settled::Repeated) | Err(Refused::LeaseLost | Refused::NotALoad) => {
                assert_eq!((attempt.clone(), job.clone()), before, "nothing has changed");
                return;
            }
        };
        let (position, ended) = (job.position, Ended::of(&job.state));
        self.follow(position, ended, effects);
    }

    fn follow(&mut self, position: u32, mut ended: Ended, effects: Effects) {
        for link in self.graph.dependents(position) {
            let dependent = link.position as usize;
            if effects.satisfies.contains(&link.kind) && self.jobs[dependent].state == JobState::Blocked {
                self.unsatisfied[dependent] -= 1;
                if self.unsatisfied[dependent] == 0 {
                    self.jobs[dependent].state = JobState::Blocked.promote().unwrap();
                }
            }
        }
        let doomed = |link: &&super::graph::Link| effects.dooms.contains(&link.kind);
        let mut open: Vec<u32> =
            self.graph.dependents(position).iter().filter(doomed).map(|link| link.position).collect();
        while let Some(position) = open.pop() {
            let job = &mut self.jobs[position as usize];
            if job.state == JobState::Blocked {
                job.state = JobState::Blocked.skip(self.now).unwrap();
                ended += Ended { succeeded: 0, otherwise: 1 };
                open.extend(self.graph.dependents(position).iter().map(|link| link.position));
            }
        }
        self.batch.end_jobs(ended, self.now);
        if effects.rest == Rest::IsCanceled && self.batch.unfinished > 0 {
            self.cancel();
        }
    }

    fn cancel(&mut self) {
        if !matches!(self.batch.state, BatchState::Pending | BatchState::Running { .. }) {
            return;
        }
        let mut ended = Ended::default();
        for job in &mut self.jobs {
            if matches!(job.state, JobState::Blocked | JobState::Ready { .. }) {
                job.state = job.state.clone().cancel(self.now).unwrap();
                ended += Ended::of(&job.state);
            }
        }
        self.batch.cancel(ended, self.now).unwrap();
    }

    fn retry(&mut self) {
        let jobs: Vec<Arc<Job>> = self.jobs.iter().cloned().map(Arc::new).collect();
        let rerun = rerun(&jobs, &self.graph, None).unwrap();
        if rerun.jobs.is_empty() || self.batch.is_canceling() {
            return;
        }
        self.batch.retry(rerun.jobs.len() as u32).unwrap();
        for (position, unsatisfied) in rerun.jobs.iter().zip(&rerun.unsatisfied) {
            let job = &mut self.jobs[*position as usize];
            job.state = job.state.clone().start_over(*unsatisfied).unwrap();
            job.attempt = 0;
            self.unsatisfied[*position as usize] = *unsatisfied;
        }
    }

    fn check(&self) {
        let ended = self.jobs.iter().filter(|job| job.state.has_ended()).count();
        let succeeded =
            self.jobs.iter().filter(|job| matches!(job.state, JobState::Succeeded { .. })).count();
        assert_eq!(self.batch.unfinished as usize, self.jobs.len() - ended);
        assert_eq!(self.batch.unsuccessful as usize, ended - succeeded);
        assert_eq!(self.batch.state.finished_at().is_some(), ended == self.jobs.len());
        let all = succeeded == self.jobs.len();
        let ended_otherwise =
            matches!(self.batch.state, BatchState::Failed { .. } | BatchState::Canceled { .. });
        assert!(!all || !ended_otherwise, "SUCCEEDED when all did, even after a cancel");
        assert!(all || !matches!(self.batch.state, BatchState::Succeeded { .. }));
        for job in &self.jobs {
            let live =
                self.attempts.iter().filter(|attempt| attempt.job_id == job.id && attempt.end.is_none());
            let runs = matches!(job.state, JobState::Running { .. });
            assert_eq!(live.count(), usize::from(runs), "one live attempt when it runs, else none");
            assert!((0..=job.max_attempts).contains(&job.attempt));
            if matches!(job.state, JobState::Blocked) {
                let missing = self.graph.required(job.position).iter();
                let missing =
                    missing.filter(|link| !link.kind.satisfied_by(&self.jobs[link.position as usize]));
                assert_eq!(missing.count(), self.unsatisfied[job.position as usize]);
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..8).prop_map(Step::Claim),
        2 => (0usize..40).prop_map(Step::Publish),
        5 => (0usize..40).prop_map(Step::Complete),
        2 => (0usize..40).prop_map(|which| Step::Fail(which, TryAgain::Yes)),
        1 => (0usize..40).prop_map(|which| Step::Fail(which, TryAgain::No)),
        1 => (0usize..40).prop_map(Step::Release),
        1 => (0usize..40).prop_map(Step::Expire),
        2 => Just(Step::Wait),
        1 => Just(Step::Cancel),
        1 => Just(Step::Retry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_the_rules_hold_and_every_batch_can_end(
        types in prop::collection::vec(prop_oneof![Just(JobType::Extract), Just(JobType::Load)], 1..8),
        edges in prop::collection::vec((0usize..8, 0usize..8, any::<bool>()), 0..14),
        cancels in any::<bool>(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let policy = if cancels { FailurePolicy::CancelBatch } else { FailurePolicy::Continue };
        let mut world = World::new(&types, &edges, policy);
        for step in steps {
            let final_before: Vec<Option<JobState>> =
                world.jobs.iter().map(|job| Some(job.state.clone()).filter(JobState::has_ended)).collect();
            let retries = matches!(step, Step::Retry);
            world.step(step);
            world.check();
            for (job, before) in world.jobs.iter().zip(final_before) {
                let stays = before.is_none_or(|before| before == job.state);
                let retried = retries && !matches!(job.state, JobState::Succeeded { .. });
                prop_assert!(stays || retried, "what has ended stays as it is");
            }
        }
        // From here on everything goes well.
        for _ in 0..200 {
            world.step(Step::Wait);
            for attempt in 0..world.attempts.len() {
                world.report(attempt, Report::Expired);
            }
            world.step(Step::Claim(0));
            for attempt in 0..world.attempts.len() {
                world.step(Step::Complete(attempt));
            }
            world.check();
        }
        prop_assert!(world.batch.state.finished_at().is_some(), "{:?}", world.jobs);
    }
}
