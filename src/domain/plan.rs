//! What Sluice would make, or has made, of a batch's definition: the waves and the longest chain.

use std::sync::Arc;

use super::{
    batch::{Batch, NewBatch},
    graph::{JobGraph, Link},
    id::ConnectionId,
    job::{Job, JobType},
    since::Window,
    text::{Grain, ObjectName},
};

/// The order in which the jobs of a batch can run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BatchPlan {
    /// The jobs, in the order given.
    pub jobs: Vec<PlannedJob>,
    /// The positions of the jobs of each wave.
    pub waves: Vec<Vec<u32>>,
    /// The positions on a longest chain of jobs that must run one after the other.
    pub critical_path: Vec<u32>,
}

/// A job of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedJob {
    /// See [`Job::position`].
    pub position: u32,
    /// See [`Job::job_type`].
    pub job_type: JobType,
    /// See [`Job::object`].
    pub object: ObjectName,
    /// See [`Job::grain`].
    pub grain: Option<Grain>,
    /// See [`Job::connection_id`].
    pub connection_id: ConnectionId,
    /// The window that the worker will use.
    pub effective_window: Window,
    /// See [`Job::wave`].
    pub wave: u32,
    /// What it waits for.
    pub required: Vec<Link>,
}

impl BatchPlan {
    /// The plan of a batch that is not made yet.
    pub fn of_new(new: NewBatch) -> Self {
        let NewBatch { window, jobs, graph, waves, .. } = new;
        let jobs = jobs.into_iter().zip(&waves).enumerate().map(|(position, (job, &wave))| PlannedJob {
            position: position as u32,
            job_type: job.job_type,
            object: job.object,
            grain: job.grain,
            connection_id: job.connection_id,
            effective_window: job.window.or(window),
            wave,
            required: graph.required(position as u32).to_vec(),
        });
        Self::new(jobs.collect(), &graph)
    }

    /// The plan of a batch that is there.
    pub fn of_stored(batch: &Batch, jobs: &[Arc<Job>], graph: &JobGraph) -> Self {
        let jobs = jobs.iter().map(|job| PlannedJob {
            position: job.position,
            job_type: job.job_type,
            object: job.object.clone(),
            grain: job.grain.clone(),
            connection_id: job.connection_id,
            effective_window: job.window.or(batch.window),
            wave: job.wave,
            required: graph.required(job.position).to_vec(),
        });
        Self::new(jobs.collect(), graph)
    }

    fn new(jobs: Vec<PlannedJob>, graph: &JobGraph) -> Self {
        let wave_of: Vec<u32> = jobs.iter().map(|job| job.wave).collect();
        let mut waves = vec![Vec::new(); wave_of.iter().max().map_or(0, |last| *last as usize + 1)];
        for job in &jobs {
            waves[job.wave as usize].push(job.position);
        }
        Self { critical_path: graph.critical_path(&wave_of), waves, jobs }
    }
}
