//! What a retry of a batch runs again, and what it uses again.

use std::{collections::HashSet, sync::Arc};

use super::{
    graph::JobGraph,
    id::JobId,
    job::{Job, JobState},
    problem::{At, Problem, ProblemCode},
};

/// What would run again. Jobs are named by their positions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rerun {
    /// The jobs that start over, by position.
    pub jobs: Vec<u32>,
    /// For each of them how many of its requirements it must wait for.
    pub unsatisfied: Vec<usize>,
    /// Jobs that have succeeded and whose outputs those use again.
    pub reused: Vec<u32>,
}

impl Rerun {
    /// The jobs that start over, each with the number of requirements that it must wait for.
    pub fn of<'a>(&'a self, jobs: &'a [Arc<Job>]) -> impl Iterator<Item = (&'a Job, usize)> {
        let again = self.jobs.iter().zip(&self.unsatisfied);
        again.filter_map(|(position, unsatisfied)| Some((&**jobs.get(*position as usize)?, *unsatisfied)))
    }
}

/// Which jobs of a batch run again: all that failed, were skipped or canceled, or those of them that
/// are `named`, with what depends on them and with what they require and can't have otherwise.
pub fn rerun(jobs: &[Arc<Job>], graph: &JobGraph, named: Option<&[JobId]>) -> Result<Rerun, Vec<Problem>> {
    let chosen: HashSet<u32> = match named {
        None => (0..jobs.len() as u32).filter(|&position| starts_over(&jobs[position as usize])).collect(),
        Some(named) => closure(jobs, graph, positions(jobs, named)?),
    };
    let mut rerun = Rerun { jobs: chosen.iter().copied().collect(), ..Rerun::default() };
    rerun.jobs.sort_unstable();
    let mut reused = HashSet::new();
    for &position in &rerun.jobs {
        let mut unsatisfied = 0;
        for link in graph.required(position) {
            let required = &jobs[link.position as usize];
            // A load that was published stays so: its records are written, and others may have started.
            if !link.kind.satisfied_by(required) {
                unsatisfied += 1;
            } else if !chosen.contains(&link.position) {
                reused.insert(link.position);
            }
        }
        rerun.unsatisfied.push(unsatisfied);
    }
    rerun.reused = reused.into_iter().collect();
    rerun.reused.sort_unstable();
    Ok(rerun)
}

/// Whether a job has ended without success.
fn starts_over(job: &Job) -> bool {
    match job.state {
        JobState::Failed { .. } | JobState::Skipped { .. } | JobState::Canceled { .. } => true,
        JobState::Blocked
        | JobState::Ready { .. }
        | JobState::Running { .. }
        | JobState::Succeeded { .. } => false,
    }
}

fn positions(jobs: &[Arc<Job>], named: &[JobId]) -> Result<Vec<u32>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut found = Vec::with_capacity(named.len());
    let at = At::Root.field("jobs");
    for (index, id) in named.iter().enumerate() {
        match jobs.iter().find(|job| job.id == *id) {
            None => {
                let message = "this batch has no job with this id";
                problems.push(at.index(index).problem(ProblemCode::NotFound, message));
            }
            Some(job)
                if !starts_over(job) && !matches!(job.state, JobState::Blocked | JobState::Ready { .. }) =>
            {
                let status = job.state.status().name();
                let message = format!(
                    "this job is {status}; only one that failed, was skipped or canceled can run again"
                );
                problems.push(at.index(index).problem(ProblemCode::WrongState, message));
            }
            Some(job) => found.push(job.position),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// These jobs and what must run with them, as far as it has not succeeded.
fn closure(jobs: &[Arc<Job>], graph: &JobGraph, named: Vec<u32>) -> HashSet<u32> {
    let over = |position: &u32| starts_over(&jobs[*position as usize]);
    let walk = |from: Vec<u32>, next: &dyn Fn(u32) -> Vec<u32>| {
        let mut seen: HashSet<u32> = from.iter().copied().collect();
        let mut open = from;
        while let Some(position) = open.pop() {
            open.extend(next(position).into_iter().filter(|next| over(next) && seen.insert(*next)));
        }
        seen
    };
    let down = |position| graph.dependents(position).iter().map(|link| link.position).collect();
    let up = |position| {
        let required = graph.required(position).iter();
        let missing = required.filter(|link| !link.kind.satisfied_by(&jobs[link.position as usize]));
        missing.map(|link| link.position).collect()
    };
    let with_dependents = walk(named.into_iter().filter(over).collect(), &down);
    walk(with_dependents.into_iter().collect(), &up)
}
