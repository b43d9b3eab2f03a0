//! Watermarks: how far the jobs of an incremental schedule have got.
//!
//! A watermark is a point in time: what was changed before it has been read, and written where it should be. Each job
//! has its own, and the next batch asks for what was changed after it, less an overlap.
//!
//! **Where it moves to.** To the start of the attempt that has succeeded: what is changed while that runs it may miss.
//! A job that takes over what others have read (it requires their `extract`) has no more than they: where a load is
//! retried a day later, it writes yesterday's records, and its watermark moves to yesterday.
//!
//! **When it moves.** When its batch ends, if the job has succeeded and all that require it, however indirectly. What a
//! job puts out is handed on within its batch only: where its load has failed, an extract must be asked for the same
//! again, or those records would be lost. Other objects of the batch move.
//!
//! **When it stays.** It never moves backwards: an older batch that ends later, or is retried, changes nothing. It never
//! moves over a gap: a batch that has asked for less than what was changed after it changes nothing. And it is not moved
//! by a batch that was made before it was reset.
//!
//! **Where the next batch begins.** A job begins at its own watermark, but no later than those whose records it takes
//! over and those who take over its own, directly or not; where one of them has none, it asks for everything. Else a load
//! into another connection than before would get no more than the latest changes, from an extract that has not changed.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    batch::{Batch, NewBatch, NewJob},
    graph::{JobGraph, Link},
    id::{ConnectionId, ScheduleId, TenantId},
    job::{Job, JobState, JobType, RequirementKind},
    since::Since,
    text::{Grain, ObjectName},
};

/// What makes a job the same in all batches of a schedule: no two jobs of a batch share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobIdentity {
    /// See [`Job::job_type`].
    pub job_type: JobType,
    /// See [`Job::object`].
    pub object: ObjectName,
    /// See [`Job::grain`].
    pub grain: Option<Grain>,
    /// See [`Job::connection_id`].
    pub connection_id: ConnectionId,
}

impl From<&Job> for JobIdentity {
    fn from(job: &Job) -> Self {
        let Job { job_type, object, grain, connection_id, .. } = job;
        let (object, grain) = (object.clone(), grain.clone());
        Self { job_type: *job_type, object, grain, connection_id: *connection_id }
    }
}

impl From<&NewJob> for JobIdentity {
    fn from(job: &NewJob) -> Self {
        let NewJob { job_type, object, grain, connection_id, .. } = job;
        let (object, grain) = (object.clone(), grain.clone());
        Self { job_type: *job_type, object, grain, connection_id: *connection_id }
    }
}

/// The watermark of a job of a schedule, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// Where it stands in the list of its schedule's.
    pub place: Uuid,
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// The tenant of the schedule.
    pub tenant_id: TenantId,
    /// The job.
    pub job: JobIdentity,
    /// How far it has got.
    pub level: Level,
}

/// How far a job has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Level {
    /// What was changed before this, UTC, is done; `None`: nothing is, or it was reset.
    pub at: Option<DateTime<Utc>>,
    /// When it was last reset, UTC: only batches that were made after that move it.
    pub reset_at: Option<DateTime<Utc>>,
}

/// What a batch has done of what a job is there for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The job.
    pub job: JobIdentity,
    /// It has asked for what was changed after this, UTC; `None`: for everything.
    pub after: Option<DateTime<Utc>>,
    /// And has done what was changed before this, UTC.
    pub at: DateTime<Utc>,
}

impl Level {
    /// Where a batch that was made then, UTC, moves it; `None`: it stays.
    pub fn moved(self, batch_made_at: DateTime<Utc>, reached: &Reached) -> Option<Self> {
        let was_reset = self.reset_at.is_some_and(|reset_at| reset_at >= batch_made_at);
        let follows =
            self.at.is_none_or(|at| at < reached.at && reached.after.is_none_or(|after| after <= at));
        (!was_reset && follows).then_some(Self { at: Some(reached.at), ..self })
    }
}

/// What a batch that has ended has done, job by job. Jobs that have asked for changes since a point of their own are
/// left out: they go by no watermark. The jobs are all of the batch, in its order.
pub fn reached(batch: &Batch, jobs: &[impl AsRef<Job>], graph: &JobGraph) -> Vec<Reached> {
    let jobs: Vec<&Job> = jobs.iter().map(AsRef::as_ref).collect();
    let order = by_wave(jobs.iter().map(|job| job.wave));
    let mut done = vec![false; jobs.len()];
    for &job in order.iter().rev() {
        let succeeded = matches!(jobs[job].state, JobState::Succeeded { .. });
        let dependents = graph.dependents(job as u32).iter();
        done[job] = succeeded && dependents.map(place).all(|dependent| done[dependent]);
    }
    let mut read = vec![None; jobs.len()];
    for &job in &order {
        let others =
            graph.required(job as u32).iter().filter(takes_over).filter_map(|link| read[place(link)]);
        read[job] = others.chain(jobs[job].state.started_at()).min();
    }
    let reached = |job: usize| {
        let own = jobs[job].window.updated_since.is_some() && !jobs[job].from_watermark;
        let after = jobs[job].window.or(batch.window).updated_since.map(Since::instant);
        let at = read[job].filter(|_| done[job] && !own)?;
        Some(Reached { job: JobIdentity::from(jobs[job]), after, at })
    };
    (0..jobs.len()).filter_map(reached).collect()
}

impl NewBatch {
    /// The same, each job of which asks for what was changed after its watermark, less this overlap. Jobs that ask for
    /// changes since a point of their own stay as they are.
    pub fn begin_at(mut self, watermarks: &HashMap<JobIdentity, DateTime<Utc>>, overlap: TimeDelta) -> Self {
        let order = by_wave(self.waves.iter().copied());
        // `None`, everything, is the least; a job with a point of its own holds nobody back.
        let own = |job: &NewJob| match job.window.updated_since {
            Some(_) => Some(DateTime::<Utc>::MAX_UTC),
            None => watermarks.get(&JobIdentity::from(job)).copied(),
        };
        let mut giving: Vec<Option<DateTime<Utc>>> = self.jobs.iter().map(own).collect();
        let mut taking = giving.clone();
        for &job in &order {
            for link in self.graph.required(job as u32).iter().filter(takes_over) {
                taking[job] = taking[job].min(taking[place(link)]);
            }
        }
        for &job in order.iter().rev() {
            for link in self.graph.dependents(job as u32).iter().filter(takes_over) {
                giving[job] = giving[job].min(giving[place(link)]);
            }
        }
        for (job, begins) in self.jobs.iter_mut().zip(giving.into_iter().zip(taking)) {
            let after = begins.0.min(begins.1).and_then(|at| Since::new(at.checked_sub_signed(overlap)?));
            if job.window.updated_since.is_none() && after.is_some() {
                job.window.updated_since = after;
                job.from_watermark = true;
            }
        }
        self
    }
}

/// Whether the one of two jobs that waits takes over the records of the other.
fn takes_over(link: &&Link) -> bool {
    link.kind == RequirementKind::Extract
}

fn place(link: &Link) -> usize {
    link.position as usize
}

/// The positions of jobs, none before one that it requires.
fn by_wave(waves: impl Iterator<Item = u32>) -> Vec<usize> {
    let waves: Vec<u32> = waves.collect();
    let mut order: Vec<usize> = (0..waves.len()).collect();
    order.sort_by_key(|job| waves[*job]);
    order
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            batch::Watermarks,
            draft::{BatchDraft, BatchLimits, JobDraft},
            graph::Edge,
            job::RequiredObjects,
            world::{batch, job},
        },
        *,
    };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
    }

    fn seconds(instant: DateTime<Utc>) -> i64 {
        (instant - at(0)).num_seconds()
    }

    fn edges(graph: &[(u32, u32, RequirementKind)]) -> Vec<Edge> {
        graph.iter().map(|&(dependent, required, kind)| Edge { dependent, required, kind }).collect()
    }

    /// Where jobs of an ended batch have got, by position. Each is a type, a wave and, if it succeeded, when it started.
    fn got(
        jobs: &[(JobType, u32, Option<i64>)],
        graph: &[(u32, u32, RequirementKind)],
    ) -> Vec<(String, i64)> {
        let ended = jobs.iter().enumerate().map(|(position, (job_type, wave, started))| {
            let state = match started {
                Some(started) => JobState::Succeeded { started_at: at(*started), finished_at: at(100) },
                None => JobState::Failed { started_at: at(0), finished_at: at(100) },
            };
            Box::new(Job { wave: *wave, state, ..job(position, *job_type, false, at(0)) })
        });
        let ended: Vec<Box<Job>> = ended.collect();
        let graph = JobGraph::new(jobs.len(), &edges(graph)).unwrap();
        let reached = reached(&batch(jobs.len() as u32, at(0)), &ended, &graph);
        reached.into_iter().map(|reached| (reached.job.object.to_string(), seconds(reached.at))).collect()
    }

    use JobType::{Extract, Load};
    use RequirementKind as Kind;

    #[test]
    fn a_job_has_got_as_far_as_those_whose_records_it_takes_over() {
        let jobs = [(Extract, 0, Some(5)), (Load, 1, Some(9)), (Load, 2, Some(12))];
        let graph = [(1, 0, Kind::Extract), (2, 1, Kind::Load)];
        let expected = [("0".to_owned(), 5), ("1".to_owned(), 5), ("2".to_owned(), 12)];
        assert_eq!(got(&jobs, &graph), expected);
    }

    #[test]
    fn what_failed_holds_back_all_that_it_requires_and_nothing_else() {
        let jobs = [
            (Extract, 0, Some(1)),
            (Load, 1, Some(2)),
            (Load, 2, None),
            (Load, 1, Some(3)),
            (Extract, 0, Some(4)),
        ];
        let graph = [(1, 0, Kind::Extract), (2, 1, Kind::LoadResult), (3, 4, Kind::Extract)];
        assert_eq!(got(&jobs, &graph), [("3".to_owned(), 3), ("4".to_owned(), 4)]);
    }

    /// From when on each job asks, given where those at these positions have got.
    fn begins(jobs: Vec<JobDraft>, got: &[(usize, i64)]) -> Vec<Option<i64>> {
        let draft = BatchDraft {
            source_connection_id: ConnectionId::from_uuid(Uuid::from_u128(1)).to_string(),
            destination_connection_id: ConnectionId::from_uuid(Uuid::from_u128(2)).to_string(),
            watermarks: Watermarks::Move,
            jobs,
            ..BatchDraft::default()
        };
        let new = NewBatch::parse(draft, &BatchLimits { jobs: 100, dependencies: 100 }).unwrap();
        let got =
            got.iter().map(|(position, reached)| (JobIdentity::from(&new.jobs[*position]), at(*reached)));
        let got = got.collect();
        let new = new.begin_at(&got, TimeDelta::seconds(10));
        let since = |job: &NewJob| job.window.updated_since.map(|since| seconds(since.instant()));
        new.jobs.iter().map(since).collect()
    }

    fn draft(job_type: JobType, object: &str, extract: &[&str]) -> JobDraft {
        let extract = extract.iter().map(|object| object.to_string()).collect();
        JobDraft {
            job_type,
            object: object.into(),
            grain: None,
            connection_id: None,
            since: None,
            updated_since: None,
            allow_delete: false,
            max_attempts: 3,
            required_objects: RequiredObjects { extract, ..RequiredObjects::default() },
        }
    }

    #[test]
    fn jobs_that_hand_records_on_begin_together_and_others_where_they_are() {
        let keys = || draft(Extract, "keys", &[]);
        let details = || draft(Extract, "details", &["keys"]);
        let write = || draft(Load, "write", &["details"]);
        let index = || draft(Load, "index", &["details"]);
        let all = || vec![keys(), details(), write(), index()];
        let same = Some(90);
        assert_eq!(begins(all(), &[(0, 100), (1, 100), (2, 100), (3, 100)]), [same; 4]);
        // A load that failed, or is new: the extracts go back for it, and the other load does not.
        assert_eq!(
            begins(all(), &[(0, 100), (1, 100), (2, 50), (3, 100)]),
            [Some(40), Some(40), Some(40), same]
        );
        assert_eq!(begins(all(), &[(0, 100), (1, 100), (3, 100)]), [None, None, None, same]);
        // The first of the chain was reset: what comes after it takes over everything.
        assert_eq!(begins(all(), &[(1, 100), (2, 100), (3, 100)]), [None; 4]);
    }

    #[test]
    fn a_job_with_a_point_of_its_own_keeps_it_and_holds_nobody_back() {
        let own = |job| JobDraft { updated_since: Some(at(-500).timestamp().to_string()), ..job };
        let jobs = vec![own(draft(Extract, "a", &[])), draft(Load, "a", &["a"])];
        assert_eq!(begins(jobs, &[(0, 100), (1, 100)]), [Some(-500), Some(90)]);
    }
}
