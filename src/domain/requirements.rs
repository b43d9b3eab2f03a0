//! What the jobs of a batch ask of each other: identity, required objects, cycles, deletions.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use super::{
    batch::Watermarks,
    draft::{Asked, BatchLimits, CheckedJob},
    graph::{Edge, JobGraph},
    job::{JobType, RequirementKind},
    problem::{At, Problem, ProblemCode},
};

/// The graph of a batch and the wave of each of its jobs.
pub(super) type Resolved = (JobGraph, Vec<u32>);

/// Resolves every required object to the jobs it names and checks what the jobs ask of each other.
/// `None` when there is no graph, or none without circles.
pub(super) fn resolve(
    jobs: &[CheckedJob],
    data: Asked,
    limits: &BatchLimits,
    at: &At<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Resolved> {
    find_duplicates(jobs, at, problems);
    let edges = find_edges(jobs, limits, at, problems)?;
    let graph = JobGraph::new(jobs.len(), &edges)?;
    find_unsafe_deletes(jobs, &graph, data, at, problems);
    match graph.waves() {
        Ok(waves) => Some((graph, waves)),
        Err(cycles) => {
            problems.extend(cycles.iter().map(|cycle| cycle_problem(cycle, jobs, at)));
            None
        }
    }
}

/// In a batch no two jobs share type, object, grain and connection.
fn find_duplicates(jobs: &[CheckedJob], at: &At<'_>, problems: &mut Vec<Problem>) {
    let mut first = HashMap::new();
    for (position, job) in jobs.iter().enumerate() {
        let (Some(object), Some(connection)) = (&job.object, job.connection_id) else { continue };
        match first.entry((job.job_type, object, &job.grain, connection)) {
            Entry::Vacant(entry) => {
                entry.insert(position);
            }
            Entry::Occupied(entry) => {
                let message = format!(
                    "job {} already is {}; two jobs must differ in type, object, grain or connection",
                    entry.get(),
                    describe(job)
                );
                problems.push(at.index(position).problem(ProblemCode::DuplicateJob, message));
            }
        }
    }
}

/// A required object names every job with that object and the type of its kind, in all its grains.
/// `None` when the requirements name too many jobs to go on.
fn find_edges(
    jobs: &[CheckedJob],
    limits: &BatchLimits,
    at: &At<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Edge>> {
    let mut providers: HashMap<(JobType, &str), Vec<u32>> = HashMap::new();
    for (position, job) in jobs.iter().enumerate() {
        if let Some(object) = &job.object {
            providers.entry((job.job_type, object)).or_default().push(position as u32);
        }
    }
    let mut edges = Vec::new();
    for (position, job) in jobs.iter().enumerate() {
        let at_required = at.index(position);
        let at_required = at_required.field("required_objects");
        for kind in RequirementKind::ALL {
            let mut seen = HashSet::new();
            for (index, object) in job.required_objects.of(kind).iter().enumerate() {
                let Some(object) = object.as_ref().filter(|object| seen.insert(object.as_ref() as &str))
                else {
                    continue;
                };
                let Some(required) = providers.get(&(kind.job_type(), object)) else {
                    let message = format!("no job of this batch {}s {:?}", kind.job_type().name(), &**object);
                    let at_kind = at_required.field(kind.name());
                    problems.push(at_kind.index(index).problem(ProblemCode::UnknownObject, message));
                    continue;
                };
                if edges.len() + required.len() > limits.dependencies {
                    let message = format!(
                        "the required objects of this batch name more than {} jobs in all; require fewer, or split the batch",
                        limits.dependencies
                    );
                    problems.push(at.problem(ProblemCode::TooMany, message));
                    return None;
                }
                let dependent = position as u32;
                edges.extend(required.iter().map(|&required| Edge { dependent, required, kind }));
            }
        }
    }
    Some(edges)
}

/// An incremental extract shows only what changed, and one that ends somewhere nothing of what comes after. A load
/// that deletes what its extract does not show would take all the rest for gone.
fn find_unsafe_deletes(
    jobs: &[CheckedJob],
    graph: &JobGraph,
    data: Asked,
    at: &At<'_>,
    problems: &mut Vec<Problem>,
) {
    for (position, _) in jobs.iter().enumerate().filter(|(_, job)| job.deletes()) {
        let partial = graph.required(position as u32).iter().find_map(|link| {
            let extract = &jobs[link.position as usize];
            let (shows, instead) = only_shows(extract, data)?;
            (link.kind == RequirementKind::Extract).then_some((extract, shows, instead))
        });
        if let Some((extract, shows, instead)) = partial {
            let message = format!(
                "{} shows only {shows}; to delete what it does not show would delete good data: \
                 {instead}, or don't allow deletions",
                describe(extract)
            );
            problems
                .push(at.index(position).field("allow_delete").problem(ProblemCode::UnsafeDelete, message));
        }
    }
}

/// What an extract shows, if that is not all that there is from some point on, and what to do about it.
fn only_shows(extract: &CheckedJob, data: Asked) -> Option<(String, &'static str)> {
    let Asked { window, until, watermarks } = data;
    match (extract.window.or(window).updated_since, watermarks, until) {
        (Some(updated_since), _, _) => {
            Some((format!("what changed after {updated_since}"), "ask for all of it (no updatedSince)"))
        }
        (None, Watermarks::Move, _) => {
            let shows = "what changed after the last success of this schedule".to_owned();
            Some((shows, "let the schedule not be incremental"))
        }
        (None, Watermarks::Stay, Some(until)) => {
            Some((format!("what is dated before {until}"), "ask for all of it (no until)"))
        }
        (None, Watermarks::Stay, None) => None,
    }
}

fn cycle_problem(cycle: &[u32], jobs: &[CheckedJob], at: &At<'_>) -> Problem {
    let first = cycle.first().copied().unwrap_or_default();
    let names: Vec<String> = cycle.iter().chain([&first]).map(|&job| describe(&jobs[job as usize])).collect();
    let message =
        format!("none of these jobs could ever start, since each requires the next: {}", names.join(" → "));
    at.index(first as usize).field("required_objects").problem(ProblemCode::DependencyCycle, message)
}

/// A job as people speak of it: `load "accounts" (daily)`.
fn describe(job: &CheckedJob) -> String {
    let object = job.object.as_deref().unwrap_or_default();
    match &job.grain {
        Some(grain) => format!("{} {object:?} ({grain})", job.job_type.name()),
        None => format!("{} {object:?}", job.job_type.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        batch::NewBatch,
        draft::{BatchDraft, JobDraft},
        id::ConnectionId,
        job::RequiredObjects,
        problem::Segment,
    };
    use super::*;

    const LIMITS: BatchLimits = BatchLimits { jobs: 100, dependencies: 50 };

    fn job(job_type: JobType, object: &str) -> JobDraft {
        JobDraft {
            job_type,
            object: object.into(),
            grain: None,
            connection_id: None,
            since: None,
            updated_since: None,
            allow_delete: false,
            max_attempts: 3,
            required_objects: RequiredObjects::default(),
        }
    }

    fn requiring(mut job: JobDraft, kind: RequirementKind, objects: &[&str]) -> JobDraft {
        job.required_objects.of_mut(kind).extend(objects.iter().map(|object| object.to_string()));
        job
    }

    fn batch(jobs: Vec<JobDraft>) -> BatchDraft {
        BatchDraft {
            source_connection_id: ConnectionId::from_uuid(uuid::Uuid::from_u128(1)).to_string(),
            destination_connection_id: ConnectionId::from_uuid(uuid::Uuid::from_u128(2)).to_string(),
            jobs,
            ..BatchDraft::default()
        }
    }

    /// The problems as `CODE path.to.it`.
    fn problems(draft: BatchDraft) -> Vec<String> {
        NewBatch::parse(draft, &LIMITS)
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|problem| {
                let path: Vec<String> = problem.path.iter().map(Segment::to_string).collect();
                format!("{} {}", problem.code.name(), path.join("."))
            })
            .collect()
    }

    use JobType::{Extract, Load};
    use RequirementKind as Kind;

    #[test]
    fn a_required_object_names_all_its_grains() {
        let grain = |grain: &str| JobDraft { grain: Some(grain.into()), ..job(Extract, "sales") };
        let draft = batch(vec![
            grain("daily"),
            grain("monthly"),
            requiring(job(Load, "sales"), Kind::Extract, &["sales", "sales"]),
        ]);
        let new = NewBatch::parse(draft, &LIMITS).unwrap();
        let required: Vec<u32> = new.graph.required(2).iter().map(|link| link.position).collect();
        assert_eq!(required, [0, 1]);
        assert_eq!(new.waves, [0, 0, 1]);
        assert_eq!(new.jobs[2].required_objects.extract.len(), 1, "named twice, kept once");
    }

    #[test]
    fn all_problems_are_said_at_once() {
        let draft = BatchDraft {
            tenant_id: Some("batch_01h2xcejqtf2nbrexx3vqjhp41".into()),
            since: Some("tomorrow".into()),
            priority: 1_001,
            ..batch(vec![
                job(Extract, "a"),
                job(Extract, "a"),
                job(Load, " "),
                requiring(job(Load, "b"), Kind::Extract, &["a", "c", ""]),
                JobDraft { max_attempts: 0, ..requiring(job(Load, "d"), Kind::LoadResult, &["d"]) },
                JobDraft { allow_delete: true, ..job(Extract, "e") },
            ])
        };
        assert_eq!(
            problems(draft),
            [
                "WRONG_ID_KIND tenant_id",
                "INVALID_SINCE since",
                "OUT_OF_RANGE priority",
                "BLANK jobs.2.object",
                "BLANK jobs.3.required_objects.extract.2",
                "OUT_OF_RANGE jobs.4.max_attempts",
                "INVALID_VALUE jobs.5.allow_delete",
                "DUPLICATE_JOB jobs.1",
                "UNKNOWN_OBJECT jobs.3.required_objects.extract.1",
                "DEPENDENCY_CYCLE jobs.4.required_objects",
            ]
        );
    }

    #[test]
    fn a_cycle_of_mixed_kinds_is_named_whole() {
        let draft = batch(vec![
            requiring(job(Load, "a"), Kind::Extract, &["b"]),
            requiring(job(Extract, "b"), Kind::Load, &["c"]),
            requiring(job(Load, "c"), Kind::LoadResult, &["a"]),
        ]);
        let problem = NewBatch::parse(draft, &LIMITS).unwrap_err().remove(0);
        assert!(
            problem.message.ends_with(r#"load "a" → extract "b" → load "c" → load "a""#),
            "{}",
            problem.message
        );
    }

    #[test]
    fn a_load_may_not_delete_by_what_an_incremental_extract_shows() {
        let deleting = |job| JobDraft { allow_delete: true, ..job };
        let incremental = |job| JobDraft { updated_since: Some("2020-01-01".into()), ..job };
        let load = || deleting(requiring(job(Load, "x"), Kind::Extract, &["x"]));

        assert!(problems(batch(vec![job(Extract, "x"), load()])).is_empty());
        let unsafe_delete = ["UNSAFE_DELETE jobs.1.allow_delete"];
        assert_eq!(problems(batch(vec![incremental(job(Extract, "x")), load()])), unsafe_delete);
        let whole_batch =
            BatchDraft { updated_since: Some("0".into()), ..batch(vec![job(Extract, "x"), load()]) };
        assert_eq!(problems(whole_batch), unsafe_delete);
        // So does a watermark, whether there is one yet or not.
        let whole = || batch(vec![job(Extract, "x"), load()]);
        assert_eq!(problems(BatchDraft { watermarks: Watermarks::Move, ..whole() }), unsafe_delete);
        // The load's own updatedSince changes nothing about what the extract shows.
        assert!(problems(batch(vec![job(Extract, "x"), incremental(load())])).is_empty());
    }

    #[test]
    fn a_batch_has_jobs_but_not_too_many() {
        assert_eq!(problems(batch(vec![])), ["BLANK jobs"]);
        let many = (0..101).map(|number| job(Load, &number.to_string())).collect();
        assert_eq!(problems(batch(many)), ["TOO_MANY jobs"]);
    }

    #[test]
    fn a_few_names_can_not_ask_for_millions_of_dependencies() {
        let mut jobs: Vec<JobDraft> =
            (0..10).map(|grain| JobDraft { grain: Some(grain.to_string()), ..job(Extract, "x") }).collect();
        jobs.extend((0..6).map(|number| requiring(job(Load, &number.to_string()), Kind::Extract, &["x"])));
        assert_eq!(problems(batch(jobs)), ["TOO_MANY jobs"]);
    }

    #[test]
    fn the_same_object_on_another_connection_or_grain_is_another_job() {
        let own = |id: u128| JobDraft {
            connection_id: Some(ConnectionId::from_uuid(uuid::Uuid::from_u128(id)).to_string()),
            ..job(Load, "x")
        };
        assert!(
            problems(batch(vec![
                job(Load, "x"),
                own(1),
                JobDraft { grain: Some("daily".into()), ..job(Load, "x") }
            ]))
            .is_empty()
        );
        // The batch's own connection, named again.
        assert_eq!(problems(batch(vec![job(Load, "x"), own(2)])), ["DUPLICATE_JOB jobs.1"]);
    }
}
