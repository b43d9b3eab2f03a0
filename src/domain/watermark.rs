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
    draft::{BatchDraft, JobDraft},
    graph::{JobGraph, Link},
    id::{ConnectionId, ScheduleId, TenantId, rising},
    job::{Job, JobState, JobType, RequirementKind},
    problem::At,
    schedule::Schedule,
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

impl JobIdentity {
    /// That of a job of this draft; `None` where that would be refused.
    fn of_draft(draft: &BatchDraft, job: &JobDraft) -> Option<Self> {
        let at = At::Root;
        let of_batch = match job.job_type {
            JobType::Extract => &draft.source_connection_id,
            JobType::Load => &draft.destination_connection_id,
        };
        let connection = job.connection_id.as_ref().unwrap_or(of_batch);
        Some(Self {
            job_type: job.job_type,
            object: ObjectName::parse(job.object.clone(), &at).ok()?,
            grain: job.grain.clone().map(|grain| Grain::parse(grain, &at)).transpose().ok()?,
            connection_id: ConnectionId::parse(connection, &at).ok()?,
        })
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

/// Which watermarks of a schedule are to be reset: those of an object.
#[derive(Debug, Clone)]
pub struct Resync {
    /// The object.
    pub object: ObjectName,
    /// Its extracts or its loads alone; `None`: both.
    pub job_type: Option<JobType>,
}

impl Resync {
    /// What is to be reset, of the watermarks and of the template of a schedule; empty when there is no such object.
    pub fn of(&self, schedule: &Schedule, watermarks: Vec<Watermark>, now: DateTime<Utc>) -> Vec<Watermark> {
        let is_meant = |job: &JobIdentity| {
            job.object == self.object && self.job_type.is_none_or(|job_type| job_type == job.job_type)
        };
        let mut meant: Vec<Watermark> =
            watermarks.into_iter().filter(|watermark| is_meant(&watermark.job)).collect();
        let template = &schedule.template;
        let asked_for = template.jobs.iter().filter_map(|job| JobIdentity::of_draft(template, job));
        for job in asked_for.filter(is_meant) {
            if meant.iter().all(|watermark| watermark.job != job) {
                meant.push(Watermark {
                    place: rising(now),
                    schedule_id: schedule.id,
                    tenant_id: schedule.tenant_id,
                    job,
                    level: Level::default(),
                });
            }
        }
        meant
    }
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
    /// Reset now, UTC, so that no batch moves it of which the last was made then, UTC. The same where that was done and
    /// no batch was made since.
    pub fn reset(self, now: DateTime<Utc>, last_batch_made_at: Option<DateTime<Utc>>) -> Self {
        // The clock of the server that has made it may be ahead.
        let reset_at = last_batch_made_at.map_or(now, |made_at| made_at.max(now));
        match self {
            Self { at: None, reset_at: Some(was_reset_at) } if last_batch_made_at <= Some(was_reset_at) => {
                self
            }
            Self { .. } => Self { at: None, reset_at: Some(reset_at) },
        }
    }

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
    use proptest::{collection::vec, prelude::*};

    use super::{
        super::{
            batch::Watermarks,
            draft::BatchLimits,
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

    /// What may happen to a job of a schedule in the course of time.
    #[derive(Debug, Clone)]
    enum Happening {
        /// A batch is made.
        Made,
        /// One of those that are there succeeds, having started so long after it was made; it may do so again.
        Succeeds(prop::sample::Index, i64),
        /// The watermark is reset.
        Reset,
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            3 => Just(Happening::Made),
            4 => (any::<prop::sample::Index>(), 0..5i64)
                .prop_map(|(which, later)| Happening::Succeeds(which, later)),
            1 => Just(Happening::Reset),
        ]
    }

    proptest! {
        #[test]
        fn a_watermark_never_goes_back_nor_over_what_nobody_has_asked_for(
            happenings in vec((0..3i64, happening()), 1..60)
        ) {
            let mut now = 0;
            let mut level = Level::default();
            let mut batches: Vec<(i64, Option<DateTime<Utc>>)> = Vec::new();
            // Up to when everything was asked for, by batches that were made since the last reset.
            let (mut done, mut last_reset) = (None, -1);
            for (passed, happening) in happenings {
                now += passed;
                let before = level;
                match happening {
                    Happening::Made => batches.push((now, level.at)),
                    Happening::Succeeds(_, _) if batches.is_empty() => {}
                    Happening::Succeeds(which, later) => {
                        let (made, after) = *which.get(&batches);
                        let reached = Reached { job: JobIdentity::from(&job(0, Extract, false, at(0))), after, at: at(made + later) };
                        if made > last_reset && (after.is_none() || after <= done) {
                            done = done.max(Some(reached.at));
                        }
                        level = level.moved(at(made), &reached).unwrap_or(level);
                        prop_assert!(level.at >= before.at);
                    }
                    Happening::Reset => {
                        let last = batches.last().map(|(made, _)| at(*made));
                        level = level.reset(at(now), last);
                        prop_assert_eq!(level.reset(at(now + 1), last), level, "a repeated one changes nothing");
                        prop_assert_eq!(level.at, None);
                        (done, last_reset) = (None, seconds(level.reset_at.unwrap()));
                    }
                }
                prop_assert!(level.at <= done, "{:?} {:?}", level, done);
            }
        }
    }
}
